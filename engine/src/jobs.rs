//! The refresher: brings derived tables up to date, in the order in which they depend on each other.
//!
//! Sources come first, then the consent ledger, then identity and profiles in one publication, then segments, then syncs that
//! are due. One refresh runs at a time; what falls due meanwhile is done once, afterwards. Each step writes a row to
//! `cdp.refreshes` before it starts and another when it ends, so that a run that was killed is seen as one that never ended.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray};
use uuid::Uuid;

use crate::catalog::{Body, Change, Definition, Freshness, Kind};
use crate::engine::{Engine, Writing};
use crate::error::{Error, Result};
use crate::ingest::{self, Intake};
use crate::{activation, consent, identity_refresh, profile, segment, tables};

/// What to bring up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

impl Engine {
    /// Brings `target` and all that it depends on up to date; with `full`, derived tables are rebuilt from nothing.
    pub async fn refresh(
        &self,
        target: &Target,
        full: bool,
        trigger: Trigger,
        progress: Progress<'_>,
    ) -> Result<Vec<Step>> {
        let mut writing = self.writing().await;
        let current = self.catalog().current();
        let state = &current.state;
        let mut steps = Vec::new();
        let sources: Vec<String> = match target {
            Target::All | Target::Profiles | Target::Segment(_) => {
                state.of_kind(Kind::Source).map(|source| source.name.clone()).collect()
            }
            Target::Source(name) => vec![state.expect(Kind::Source, name)?.name.clone()],
            Target::Members(_) => vec![],
        };
        if let Target::Segment(name) | Target::Members(name) = target {
            state.expect(Kind::Segment, name)?;
        }
        let run = |object: String| Run::new(self, object, trigger, full, progress);
        if let Target::Members(name) = target {
            let step = self.step(run(format!("segment {name}")), async |run: &Run<'_>| {
                self.refresh_segment(run, name).await
            });
            return Ok(vec![step.await?]);
        }
        for source in sources {
            let step = self.step(run(format!("source {source}")), async |run: &Run<'_>| {
                self.refresh_source(&mut writing, run, &source).await
            });
            steps.push(step.await?);
        }
        if matches!(target, Target::Source(_)) {
            return Ok(steps);
        }
        steps.push(
            self.step(run("consent ledger".into()), async |run: &Run<'_>| {
                self.refresh_consent(run).await
            })
            .await?,
        );
        steps.push(
            self.step(run("profiles".into()), async |run: &Run<'_>| {
                self.refresh_profiles(&mut writing, run).await
            })
            .await?,
        );
        let segments: Vec<String> = match target {
            Target::All => self
                .catalog()
                .current()
                .state
                .of_kind(Kind::Segment)
                .map(|segment| segment.name.clone())
                .collect(),
            Target::Segment(name) => vec![name.clone()],
            _ => vec![],
        };
        for name in segments {
            let step = self.step(run(format!("segment {name}")), async |run: &Run<'_>| {
                self.refresh_segment(run, &name).await
            });
            steps.push(step.await?);
        }
        Ok(steps)
    }

    /// Notes how a step ends.
    async fn step(
        &self,
        run: Run<'_>,
        work: impl AsyncFnOnce(&Run<'_>) -> Result<Step>,
    ) -> Result<Step> {
        (run.progress)(&run.object, None);
        let result = work(&run).await;
        match &result {
            Ok(step) if run.begun.load(Ordering::SeqCst) => {
                run.note("done", Some(step), None).await?
            }
            Ok(_) => {}
            Err(error) => run.note("failed", None, Some(error)).await?,
        }
        let step = result?;
        (run.progress)(&run.object, Some(&step));
        Ok(step)
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
        self.show(self.catalog().current());
        Ok(run.done(report.rows_read, report.rows_taken))
    }

    async fn refresh_consent(&self, run: &Run<'_>) -> Result<Step> {
        let mut change = Change::default();
        let Some(rows) = consent::refresh_feeds(self, run, &mut change).await? else {
            return Ok(run.idle());
        };
        let published = self.catalog().publish(change).await?;
        let mut book = self.book().read().clone();
        book.forget_answers();
        consent::load_answers(self.catalog().lake(), &published, &mut book).await?;
        *self.book().write() = book;
        self.show_consent(published);
        Ok(run.done(rows, rows))
    }

    async fn refresh_profiles(&self, writing: &mut Writing, run: &Run<'_>) -> Result<Step> {
        let result = self.unify(writing, run).await;
        if result.is_err() {
            // What the resolver was fed was not published: it is fed anew.
            writing.identity = None;
        }
        result
    }

    /// Identity and profiles, in one publication: no reader sees one without the other.
    async fn unify(&self, writing: &mut Writing, run: &Run<'_>) -> Result<Step> {
        let mut change = Change::default();
        let live = self.live();
        let refreshed =
            identity_refresh::refresh(self.catalog(), &mut writing.identity, &mut change, run)
                .await?;
        let (people, moved, looked_at) = match &refreshed {
            Some(refreshed) => (
                Arc::clone(&refreshed.people),
                Some(&refreshed.touched),
                refreshed.subjects_resolved,
            ),
            None => (Arc::clone(&live.people), None, 0),
        };
        let nobody = BTreeSet::new();
        let report =
            profile::refresh(self, run, &mut change, &people, moved.unwrap_or(&nobody)).await?;
        if refreshed.is_none() && report.is_none() {
            return Ok(run.idle());
        }
        let published = self.catalog().publish(change).await?;
        if refreshed.is_some() {
            let mut book = self.book().read().clone();
            book.forget_people();
            identity_refresh::load_identifiers(self.catalog().lake(), &published, &mut book)
                .await?;
            self.show_people(published, people, book);
        } else {
            self.show(published);
        }
        let touched = report.map_or(0, |report| report.touched);
        Ok(run.done(looked_at.max(touched) as u64, touched as u64))
    }

    async fn refresh_segment(&self, run: &Run<'_>, name: &str) -> Result<Step> {
        let mut change = Change::default();
        let Some(report) = segment::refresh(self, run, &mut change, name).await? else {
            return Ok(run.idle());
        };
        let published = self.catalog().publish(change).await?;
        self.show(published);
        Ok(run.done(report.members as u64, (report.entered + report.exited) as u64))
    }

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
            if let Err(error) = self.maintain(&mut last).await {
                tracing::warn!(error = error.without_values(), "the upkeep of the lake failed");
            }
        }
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
        match due.body.kind() {
            Kind::Source => drop(
                self.refresh(&Target::Source(due.name.clone()), false, Trigger::Schedule, quiet)
                    .await?,
            ),
            Kind::Trait => {
                drop(self.refresh(&Target::Profiles, false, Trigger::Schedule, quiet).await?)
            }
            Kind::Segment => drop(
                self.refresh(&Target::Segment(due.name.clone()), false, Trigger::Schedule, quiet)
                    .await?,
            ),
            _ => drop(activation::run_sync(self, &due.name, SCHEDULER, false).await?),
        }
        Ok(())
    }

    /// Checkpoints, log clean-up, compaction, the removal of files that nobody needs, and the audit log's segments.
    pub(crate) async fn maintain(&self, last: &mut HashMap<String, i64>) -> Result<()> {
        let now = self.now();
        let since = last.entry("maintenance".into()).or_insert(self.started_at_us());
        if now - *since < i64::try_from(MAINTENANCE_EVERY.as_micros()).unwrap_or(i64::MAX) {
            return Ok(());
        }
        *since = now;
        let _writing = self.writing().await;
        let published = self.catalog().current();
        let mut change = Change::default();
        let mut changed = false;
        for table in published.tables() {
            // The files of bucketed tables and of the ledger each say what they cover: merged, they would not.
            if merges_files(table.path()) {
                table.compact().await?;
            }
            table.upkeep().await?;
            let snapshot = table.snapshot();
            if snapshot.version != published.version(table.path()) {
                change.table(table, snapshot);
                changed = true;
            }
        }
        if changed {
            let published = self.catalog().publish(change).await?;
            self.show(published);
        }
        self.audit().fold().await?;
        Ok(())
    }
}

/// Tells whether small files of the table at `path` may be merged.
fn merges_files(path: &str) -> bool {
    path.starts_with("sources/")
        || path.starts_with("cdp/")
        || path == tables::SUBJECTS.path
        || path == tables::SUBJECT_IDENTIFIERS.path
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

/// One run of one step.
pub struct Run<'a> {
    engine: &'a Engine,
    id: String,
    /// The object, such as `source crm_contacts`.
    pub object: String,
    trigger: Trigger,
    /// Whether everything is rebuilt.
    pub full: bool,
    /// When it started, in microseconds since 1970; later than every publication before it.
    pub now: i64,
    progress: Progress<'a>,
    begun: AtomicBool,
}

impl<'a> Run<'a> {
    fn new(
        engine: &'a Engine,
        object: String,
        trigger: Trigger,
        full: bool,
        progress: Progress<'a>,
    ) -> Self {
        let id = Uuid::new_v4().to_string();
        Self {
            engine,
            id,
            object,
            trigger,
            full,
            now: engine.now(),
            progress,
            begun: AtomicBool::new(false),
        }
    }

    /// Notes that work begins: called once it is known that there is any, and before the first of it.
    pub async fn begin(&self) -> Result<()> {
        if self.begun.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.note("running", None, None).await
    }

    fn done(&self, rows_in: u64, rows_out: u64) -> Step {
        Step {
            object: self.object.clone(),
            rows_in,
            rows_out,
            worked: self.begun.load(Ordering::SeqCst),
        }
    }

    fn idle(&self) -> Step {
        Step { object: self.object.clone(), rows_in: 0, rows_out: 0, worked: false }
    }

    async fn note(&self, status: &str, step: Option<&Step>, error: Option<&Error>) -> Result<()> {
        let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
        let count = |value: Option<u64>| {
            Arc::new(Int64Array::from(vec![value.map(|value| value as i64)])) as ArrayRef
        };
        let trigger = match self.trigger {
            Trigger::Demand => "demand",
            Trigger::Schedule => "schedule",
        };
        let error = error.map(Error::without_values);
        let batch = tables::REFRESHES.batch(vec![
            text(&self.id),
            text(&self.object),
            text(trigger),
            text(status),
            Arc::new(TimestampMicrosecondArray::from(vec![self.engine.now()]).with_timezone("UTC")),
            count(step.map(|step| step.rows_in)),
            count(step.map(|step| step.rows_out)),
            Arc::new(BooleanArray::from(vec![self.full])),
            Arc::new(StringArray::from(vec![error])),
        ])?;
        let catalog = self.engine.catalog();
        let table =
            catalog.table(tables::REFRESHES.path, || tables::REFRESHES.table_schema()).await?;
        let snapshot = ingest::append(&table, ingest::write(&table, batch).await?).await?;
        let mut change = Change::default();
        change.table(&table, snapshot);
        let published = catalog.publish(change).await?;
        self.engine.show(published);
        Ok(())
    }
}
