//! What happens by itself: refreshes by their freshness, syncs by their schedule, and the upkeep of the lake.

use std::collections::HashMap;
use std::time::Duration;

use super::{Progress, Target, Trigger};
use crate::activation;
use crate::catalog::{Body, Definition, Freshness, Kind};
use crate::engine::Engine;
use crate::error::Result;

impl Engine {
    /// Runs what is due until `shutdown`: refreshes by their freshness, syncs by their schedule, and the lake's upkeep.
    ///
    /// Missed runs are done once. A failing object is tried again when it is next due, and its failure is in `cdp.refreshes`.
    pub async fn run_schedule(&self, shutdown: tokio_util::sync::CancellationToken) {
        let mut last: HashMap<String, i64> = HashMap::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(SCHEDULE_TICK) => {}
            }
            for due in self.due(&mut last) {
                if shutdown.is_cancelled() {
                    return;
                }
                if let Err(error) = self.run_due(&due).await {
                    let error = error.without_values();
                    tracing::error!(object = due.name, error, "a scheduled run failed");
                }
            }
            if self.upkeep_is_due(&mut last) {
                self.upkeep().await;
            }
        }
    }

    fn upkeep_is_due(&self, last: &mut HashMap<String, i64>) -> bool {
        let now = self.now();
        let since = last.entry("maintenance".into()).or_insert(self.started_at_us());
        let due = now - *since >= i64::try_from(MAINTENANCE_EVERY.as_micros()).unwrap_or(i64::MAX);
        if due {
            *since = now;
        }
        due
    }

    /// The objects whose time has come, in the order of [`Kind::ALL`].
    fn due(&self, last: &mut HashMap<String, i64>) -> Vec<Definition> {
        let now = self.now();
        let live = self.live();
        let mut due = Vec::new();
        for kind in [Kind::Source, Kind::Trait, Kind::Segment, Kind::Sync] {
            for definition in live.published.state.of_kind(kind) {
                let every = match freshness_of(&definition.body) {
                    Some(Freshness::Every(every) | Freshness::TargetLag(every)) => every,
                    _ => continue,
                };
                let key = format!("{}/{}", kind.word(), definition.name);
                let since = *last.entry(key.clone()).or_insert(self.started_at_us());
                if now - since >= i64::try_from(every.as_micros()).unwrap_or(i64::MAX) {
                    last.insert(key, now);
                    due.push(definition.clone());
                }
            }
        }
        due
    }

    async fn run_due(&self, due: &Definition) -> Result<()> {
        let quiet: Progress<'_> = &|_, _| {};
        let name = due.name.clone();
        let target = match due.body.kind() {
            Kind::Source => Target::Source(name),
            Kind::Trait => Target::Profiles,
            Kind::Segment => Target::Segment(name),
            _ => return activation::run_sync(self, &name, SCHEDULER, false).await.map(drop),
        };
        self.refresh(&target, false, Trigger::Schedule, quiet).await?.into_result().map(drop)
    }
}

/// How often it is looked whether something is due.
const SCHEDULE_TICK: Duration = Duration::from_secs(1);

/// How often the lake is looked after.
const MAINTENANCE_EVERY: Duration = Duration::from_secs(60);

/// The role that scheduled syncs run as, in the logs.
const SCHEDULER: &str = "scheduler";

fn freshness_of(body: &Body) -> Option<Freshness> {
    match body {
        Body::Source(source) => Some(source.freshness),
        Body::Trait(computed) => Some(computed.freshness),
        Body::Segment(segment) => Some(segment.freshness),
        Body::Sync(sync) => Some(sync.freshness),
        _ => None,
    }
}
