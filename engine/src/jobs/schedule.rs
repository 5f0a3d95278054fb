//! What happens by itself: refreshes by their freshness, syncs by their schedule, and the upkeep of the lake.
//!
//! When an object was last run stands in the lake, so that it makes no difference how often the process is started: what fell
//! due while none ran is done once, as soon as one does.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Progress, Target, Trigger};
use crate::catalog::{Body, CatalogState, Definition, Freshness, Kind};
use crate::engine::Engine;
use crate::error::Result;
use crate::{activation, profile, segment};

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Due {
    /// To be brought up to date.
    Refresh(Target),
    /// To be sent.
    Sync(String),
}

/// When each object was last tried by this process, in microseconds since 1970: what fails is tried again when it is
/// next due, and what had nothing to do leaves no trace in the lake.
type Tried = HashMap<String, i64>;

impl Engine {
    /// Runs what is due until `shutdown`: refreshes by their freshness, syncs by their schedule, and the lake's upkeep.
    ///
    /// Missed runs are done once. A failing object is tried again when it is next due, and its failure is in `cdp.refreshes`.
    pub async fn run_schedule(&self, shutdown: tokio_util::sync::CancellationToken) {
        let mut tried = Tried::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(SCHEDULE_TICK) => {}
            }
            for due in self.due(&mut tried) {
                if shutdown.is_cancelled() {
                    return;
                }
                if let Err(error) = self.run_due(&due).await {
                    let error = error.without_values();
                    tracing::error!(?due, error, "a scheduled run failed");
                }
            }
            if self.upkeep_is_due(&mut tried) {
                self.upkeep().await;
            }
        }
    }

    fn upkeep_is_due(&self, tried: &mut Tried) -> bool {
        let now = self.now();
        let since = tried.entry("maintenance".into()).or_insert(self.started_at_us());
        let due = now - *since >= micros(MAINTENANCE_EVERY);
        if due {
            *since = now;
        }
        due
    }

    /// What has become due, in the order of [`Kind::ALL`], each once, however often its time has come.
    fn due(&self, tried: &mut Tried) -> Vec<Due> {
        let now = self.now();
        let live = self.live();
        let state = &live.published.state;
        let (mut due, mut known) = (Vec::new(), HashSet::new());
        for kind in [Kind::Source, Kind::Trait, Kind::Segment, Kind::Sync] {
            for definition in state.of_kind(kind) {
                let Some(every) = period(&definition.body) else { continue };
                let key = format!("{}/{}", kind.word(), definition.name);
                let since = last_run(state, definition).max(tried.get(&key).copied());
                if now - since.unwrap_or(self.started_at_us()) < every {
                    continue;
                }
                tried.insert(key, now);
                let name = definition.name.clone();
                let found = match kind {
                    Kind::Source => Due::Refresh(Target::Source(name)),
                    Kind::Trait => Due::Refresh(Target::Profiles),
                    Kind::Segment => Due::Refresh(Target::Segment(name)),
                    _ => Due::Sync(name),
                };
                if known.insert(found.clone()) {
                    due.push(found);
                }
            }
        }
        due
    }

    async fn run_due(&self, due: &Due) -> Result<()> {
        let quiet: Progress<'_> = &|_, _| {};
        match due {
            Due::Refresh(target) => {
                let refreshed = self.refresh(target, false, Trigger::Schedule, quiet).await?;
                refreshed.into_result().map(drop)
            }
            Due::Sync(name) => {
                // Somebody may have run it by hand since it was found due.
                let found = self.now();
                let is_due = |state: &CatalogState| {
                    let sync = state.get(Kind::Sync, name);
                    sync.is_some_and(|sync| {
                        let every = period(&sync.body);
                        let last = last_run(state, sync);
                        every.is_some_and(|every| last.is_none_or(|last| found - last >= every))
                    })
                };
                activation::run_sync_if_due(self, name, SCHEDULER, is_due).await.map(drop)
            }
        }
    }
}

/// When an object was last run, in microseconds since 1970; one that never was counts from when it was defined.
fn last_run(state: &CatalogState, definition: &Definition) -> Option<i64> {
    let (kind, name) = (definition.body.kind(), definition.name.as_str());
    let covered = |object: String| state.coverage.get(&object).map(|covered| covered.at);
    let run = match kind {
        Kind::Source => state.sources.get(name).and_then(|source| source.refreshed_at),
        Kind::Trait => profile::computed_at(state, name),
        Kind::Segment => covered(segment::coverage_name(name)),
        Kind::Sync => covered(activation::coverage_name(name)),
        _ => None,
    };
    run.or_else(|| state.created_at(kind, name))
}

/// How often an object is run by itself, in microseconds; `None` if it is not.
fn period(body: &Body) -> Option<i64> {
    let freshness = match body {
        Body::Source(source) => source.freshness,
        Body::Trait(computed) => computed.freshness,
        Body::Segment(segment) => segment.freshness,
        Body::Sync(sync) => sync.freshness,
        _ => return None,
    };
    match freshness {
        Freshness::Every(every) | Freshness::TargetLag(every) => Some(micros(every)),
        Freshness::OnDemand => None,
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// How often it is looked whether something is due.
const SCHEDULE_TICK: Duration = Duration::from_secs(1);

/// How often the lake is looked after.
const MAINTENANCE_EVERY: Duration = Duration::from_secs(60);

/// The role that scheduled syncs run as, in the logs.
const SCHEDULER: &str = "scheduler";

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
