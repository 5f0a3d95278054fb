//! The refresher: brings derived tables up to date, in the order in which they depend on each other.
//!
//! Sources come first, then the consent ledger and identity overrides that are followed, then identity and profiles in one
//! publication, then segments, then syncs that are due. One refresh runs at a time; what falls due meanwhile is done once,
//! afterwards. Each step writes a row to `cdp.refreshes` before it starts and another when it ends, so that a run that was
//! killed is seen as one that never ended.
//!
//! A step that fails fails alone: what it had published before stays, and the others go on with that. Only segments wait
//! when consent, profiles or a segment that they read failed, since their members would be those of another moment.

mod run;
mod schedule;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{CatalogState, Change, Kind, SegmentOrder};
use crate::consent::{Answers, ConsentBook, Normalizer};
use crate::engine::{Engine, Shown, Writing};
use crate::error::{Error, Result};
use crate::identity_refresh::{Churn, Stage, Stages};
use crate::ingest::{self, Intake};
use crate::{consent, identity_refresh, overrides, profile, segment};

pub(crate) use run::Record;
pub use run::Run;

/// What to bring up to date.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Everything.
    All,
    /// One source.
    Source(String),
    /// Consent, identity and profiles.
    Profiles,
    /// One segment, and all that it depends on.
    Segment(String),
    /// The members of one segment, from what is there.
    Members(String),
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The object.
    pub object: String,
    /// Rows it looked at.
    pub rows_in: u64,
    /// Rows it made, took or changed.
    pub rows_out: u64,
    /// Whether there was anything to do.
    pub worked: bool,
    /// What became of those who had a profile before, where profiles were made.
    pub churn: Option<Churn>,
    /// What was done for it, stage by stage, where the graph was made.
    pub stages: Vec<Stage>,
}

/// What a refresh did, and what of it failed.
#[derive(Debug, Default)]
#[must_use = "steps may have failed"]
pub struct Refreshed {
    /// The steps that ended well.
    pub steps: Vec<Step>,
    /// The objects whose step failed, and why.
    pub failed: Vec<(String, Error)>,
    /// The objects that were left as they were, because what they are computed from failed.
    pub skipped: Vec<String>,
}

impl Refreshed {
    /// Returns the steps if none failed.
    ///
    /// # Errors
    /// [`Error::Refresh`], which names all that failed, or what failed the one step that there was.
    pub fn into_result(mut self) -> Result<Vec<Step>> {
        match self.failed.len() {
            0 => Ok(self.steps),
            1 if self.steps.is_empty() => Err(self.failed.remove(0).1),
            _ => Err(Error::Refresh { failed: self.failed }),
        }
    }

    /// Takes down how a step ended, and tells whether it ended well.
    fn note(&mut self, object: String, result: Result<Step>) -> Result<bool> {
        match result {
            Ok(step) => self.steps.push(step),
            // Without the store or the lease no step can publish anything.
            Err(error @ (Error::Unavailable { .. } | Error::Conflict { .. })) => return Err(error),
            Err(error) => {
                tracing::error!(object, sqlstate = error.sqlstate(), "a step of a refresh failed");
                self.failed.push((object, error));
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Called as steps begin and end, for progress.
pub type Progress<'a> = &'a (dyn Fn(&str, Option<&Step>) + Send + Sync);

/// Why a refresh runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Somebody asked.
    Demand,
    /// It was due.
    Schedule,
    /// Somebody decided who is who: nobody else's profile is made anew.
    Decision,
}

impl Engine {
    /// Brings `target` and all that it depends on up to date; with `full`, derived tables are rebuilt from nothing.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no such target; [`Error::Unavailable`] and [`Error::Conflict`] if nothing can be
    /// published any more. Other failures are in [`Refreshed::failed`], beside what was done all the same.
    pub async fn refresh(
        &self,
        target: &Target,
        full: bool,
        trigger: Trigger,
        progress: Progress<'_>,
    ) -> Result<Refreshed> {
        let mut writing = self.writing().await?;
        let run = |object: &str| Run::new(self, object.to_owned(), trigger, full, progress);
        let mut refreshed = Refreshed::default();
        let sources = sources_of(target, &self.catalog().current().state)?;
        if let Target::Members(name) = target {
            let object = format!("segment {name}");
            let work = async |run: &Run<'_>| self.refresh_segment(run, name).await;
            let result = run(&object).step(work).await;
            refreshed.note(object, result)?;
            return Ok(refreshed);
        }
        for source in sources {
            let object = format!("source {source}");
            let work = async |run: &Run<'_>| self.refresh_source(&mut writing, run, &source).await;
            let result = run(&object).step(work).await;
            refreshed.note(object, result)?;
        }
        if matches!(target, Target::Source(_)) {
            return Ok(refreshed);
        }
        let object = "consent ledger";
        let result = run(object).step(async |run: &Run<'_>| self.refresh_consent(run).await).await;
        let consent = refreshed.note(object.into(), result)?;
        for name in overrides::names(&self.catalog().current()) {
            let object = format!("identity overrides {name}");
            let work = async |run: &Run<'_>| self.follow_overrides(run, &name).await;
            let result = run(&object).step(work).await;
            refreshed.note(object, result)?;
        }
        let object = "profiles";
        let work = async |run: &Run<'_>| self.refresh_profiles(&mut writing, run).await;
        let result = run(object).step(work).await;
        let profiles = refreshed.note(object.into(), result)?;
        let failed = match (consent, profiles) {
            (false, _) => Some("the consent ledger failed"),
            (_, false) => Some("profiles failed"),
            _ => None,
        };
        self.refresh_segments(target, failed, run, &mut refreshed).await?;
        Ok(refreshed)
    }

    /// Refreshes the segments of `target`, each after those that it reads, unless what all are computed from has `failed`.
    async fn refresh_segments<'a>(
        &self,
        target: &Target,
        failed: Option<&str>,
        run: impl Fn(&str) -> Run<'a>,
        refreshed: &mut Refreshed,
    ) -> Result<()> {
        let order = SegmentOrder::of(&self.catalog().current().state);
        let segments = match target {
            Target::All => order.all(),
            Target::Segment(name) => order.up_to(name),
            Target::Members(_) | Target::Source(_) | Target::Profiles => vec![],
        };
        // Those that are not as they should be, and why.
        let mut stale: BTreeMap<String, String> = BTreeMap::new();
        for name in segments {
            let object = format!("segment {name}");
            let read = order.read_by(&name).find_map(|read| stale.get(read)).map(String::as_str);
            if let Some(because) = failed.or(read).map(str::to_owned) {
                run(&object).skipped(&because).await?;
                refreshed.skipped.push(object);
                stale.insert(name, because);
                continue;
            }
            let work = async |run: &Run<'_>| self.refresh_segment(run, &name).await;
            let result = run(&object).step(work).await;
            if !refreshed.note(object, result)? {
                let because = format!("segment \"{name}\" failed");
                stale.insert(name, because);
            }
        }
        Ok(())
    }

    async fn refresh_source(
        &self,
        writing: &mut Writing,
        run: &Run<'_>,
        name: &str,
    ) -> Result<Step> {
        let intake = Intake {
            catalog: self.catalog(),
            planner: self.planner(),
            run,
            file_root: self.file_root()?,
        };
        let report = ingest::refresh_source(&intake, &mut writing.ingest, name).await?;
        Ok(run.done(report.rows_read, report.rows_taken))
    }

    async fn refresh_consent(&self, run: &Run<'_>) -> Result<Step> {
        let _answering = self.answering().await?;
        let mut change = Change::default();
        let Some(report) = consent::refresh_feeds(self, run, &mut change).await? else {
            return Ok(run.idle());
        };
        let rows = report.added.iter().map(|batch| batch.num_rows() as u64).sum();
        let current = self.catalog().current();
        let all = report.replaced || !self.knows_answers(consent::graph_version(&current));
        let normalizer = consent::normalizer(&current)?;
        let answers = match all {
            true => Answers::read_from(self.catalog().lake(), &report.ledger, normalizer).await?,
            false => Answers::of(&report.added, normalizer)?,
        };
        let take = move |book: &mut ConsentBook| match all {
            true => {
                answers.replace_in(book);
                None
            }
            false => Some(answers.take_into(book)),
        };
        self.publish(change, Shown::Answers(Box::new(take))).await?;
        Ok(run.done(rows, rows))
    }

    async fn refresh_profiles(&self, writing: &mut Writing, run: &Run<'_>) -> Result<Step> {
        // What the resolver is fed counts only once it is published: whatever else becomes of this, it is fed anew.
        let mut memory = writing.identity.take();
        let step = self.unify(&mut memory, run).await?;
        writing.identity = memory;
        Ok(step)
    }

    /// Identity and profiles, in one publication: no reader sees one without the other.
    async fn unify(
        &self,
        memory: &mut Option<identity_refresh::Memory>,
        run: &Run<'_>,
    ) -> Result<Step> {
        let mut change = Change::default();
        let refreshed = identity_refresh::refresh(self.catalog(), memory, &mut change, run).await?;
        self.publish_unified(memory, run, change, refreshed).await
    }

    /// Works out the profiles that identity changed, and publishes both with what `change` has.
    pub(crate) async fn publish_unified(
        &self,
        memory: &mut Option<identity_refresh::Memory>,
        run: &Run<'_>,
        mut change: Change,
        mut refreshed: Option<identity_refresh::Refreshed>,
    ) -> Result<Step> {
        let mut stages = refreshed.as_mut().map(|refreshed| std::mem::take(&mut refreshed.stages));
        let refreshed = refreshed.map(Arc::new);
        let nobody = BTreeSet::new();
        let (people, moved, looked_at) = match &refreshed {
            Some(refreshed) => {
                (Arc::clone(&refreshed.people), &refreshed.touched, refreshed.subjects_resolved)
            }
            None => (Arc::clone(&self.live().people), &nobody, 0),
        };
        let report = profile::refresh(self, run, &mut change, &people, moved).await?;
        if refreshed.is_none() && report.is_none() {
            return Ok(run.idle());
        }
        let touched = report.map_or(0, |report| report.touched);
        if let Some(stages) = &mut stages {
            stages.end(Stage { profiles: Some(touched as u64), ..Stage::of("profiles") });
        }
        match (&refreshed, memory.take()) {
            (Some(refreshed), Some(known)) => {
                let known = Arc::new(known);
                self.publish_people(change, refreshed, &known).await?;
                *memory = Arc::into_inner(known);
            }
            (_, known) => {
                self.publish(change, Shown::AsBefore).await?;
                *memory = known;
            }
        }
        if let Some(stages) = &mut stages {
            stages.end(Stage::of("publish"));
        }
        let stages = stages.map(Stages::into_vec).unwrap_or_default();
        let churn = refreshed.map(|refreshed| refreshed.churn);
        Ok(Step { churn, stages, ..run.done(looked_at.max(touched) as u64, touched as u64) })
    }

    /// Whether the answers in memory are in the normal forms of this version of the graph.
    fn knows_answers(&self, graph: u64) -> bool {
        self.book().read().is_of_graph(graph)
    }

    async fn publish_people(
        &self,
        change: Change,
        refreshed: &Arc<identity_refresh::Refreshed>,
        memory: &Arc<identity_refresh::Memory>,
    ) -> Result<()> {
        let _answering = self.answering().await?;
        let current = self.catalog().current();
        let answers = match self.knows_answers(refreshed.graph.version) {
            true => None,
            false => {
                let normalizer = Normalizer::new(&refreshed.graph)?;
                Some(Answers::read(self.catalog().lake(), &current, Some(normalizer)).await?)
            }
        };
        let people = Arc::clone(&refreshed.people);
        let (refreshed, memory) = (Arc::clone(refreshed), Arc::clone(memory));
        let take = move |book: &mut ConsentBook| {
            match refreshed.all {
                true => book.release_all(),
                false => book.release(&refreshed.touched),
            }
            memory.hold_identifiers(&refreshed.touched, book);
            if let Some(answers) = &answers {
                answers.replace_in(book);
            }
            let some = !refreshed.all && answers.is_none();
            some.then(|| refreshed.touched.clone())
        };
        self.publish(change, Shown::People(people, Box::new(take))).await
    }

    async fn refresh_segment(&self, run: &Run<'_>, name: &str) -> Result<Step> {
        let mut change = Change::default();
        let Some(report) = segment::refresh(self, run, &mut change, name).await? else {
            return Ok(run.idle());
        };
        self.publish(change, Shown::AsBefore).await?;
        Ok(run.done(report.members as u64, (report.entered + report.exited) as u64))
    }
}

/// Returns the sources that `target` is made from.
fn sources_of(target: &Target, state: &CatalogState) -> Result<Vec<String>> {
    if let Target::Segment(name) | Target::Members(name) = target {
        state.expect(Kind::Segment, name)?;
    }
    Ok(match target {
        Target::Source(name) => vec![state.expect(Kind::Source, name)?.name.clone()],
        Target::All | Target::Profiles | Target::Segment(_) => names_of(state, Kind::Source),
        Target::Members(_) => vec![],
    })
}

fn names_of(state: &CatalogState, kind: Kind) -> Vec<String> {
    state.of_kind(kind).map(|definition| definition.name.clone()).collect()
}
