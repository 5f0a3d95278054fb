//! One run of one step, and the rows of `cdp.refreshes` that tell of it.
//!
//! Refreshes and syncs run beside each other and write to the same table, one row at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use uuid::Uuid;

use super::{Progress, Step, Trigger};
use crate::catalog::Change;
use crate::engine::{Engine, Shown};
use crate::error::{Error, Result};
use crate::identity_refresh::stage_rows;
use crate::ingest;
use crate::tables::{self, SystemLayout};

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
    pub(crate) fn new(
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

    /// Tells whether somebody asked for it; otherwise it was due, or follows from a decision.
    pub(crate) fn is_demanded(&self) -> bool {
        self.trigger == Trigger::Demand
    }

    /// Does the work of a step and notes how it ends.
    pub(crate) async fn step(
        self,
        work: impl AsyncFnOnce(&Run<'_>) -> Result<Step>,
    ) -> Result<Step> {
        (self.progress)(&self.object, None);
        match work(&self).await {
            Ok(step) => {
                if self.begun.load(Ordering::SeqCst) {
                    self.record().done(&step, Change::default()).await?;
                }
                (self.progress)(&self.object, Some(&step));
                Ok(step)
            }
            Err(error) => {
                self.record().failed(&error).await;
                Err(error)
            }
        }
    }

    /// Notes that the step is not done, and why.
    pub(super) async fn skipped(self, why: &str) -> Result<()> {
        let why = format!("not run, since {why}");
        self.record().note("not run", None, Some(why), Change::default()).await
    }

    /// Notes that work begins: called once it is known that there is any, and before the first of it.
    pub async fn begin(&self) -> Result<()> {
        if self.begun.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.record().note("running", None, None, Change::default()).await
    }

    /// Publishes what was made.
    pub(crate) async fn publish(&self, change: Change) -> Result<()> {
        self.engine.publish(change, Shown::AsBefore).await
    }

    pub(crate) fn done(&self, rows_in: u64, rows_out: u64) -> Step {
        Step {
            object: self.object.clone(),
            rows_in,
            rows_out,
            worked: self.begun.load(Ordering::SeqCst),
            churn: None,
            stages: vec![],
        }
    }

    pub(crate) fn idle(&self) -> Step {
        Step { worked: false, ..self.done(0, 0) }
    }

    /// Returns what notes how it goes on, also when nobody waits for it any more.
    pub(crate) fn record(&self) -> Record {
        Record {
            engine: self.engine.clone(),
            id: self.id.clone(),
            object: self.object.clone(),
            trigger: self.trigger,
            full: self.full,
        }
    }
}

/// The rows of `cdp.refreshes` about one run, and those of `cdp.identity_stages`.
#[derive(Clone)]
pub(crate) struct Record {
    engine: Engine,
    id: String,
    object: String,
    trigger: Trigger,
    full: bool,
}

impl Record {
    /// Notes that the run has done `step`, and publishes `change` with that.
    pub(crate) async fn done(&self, step: &Step, change: Change) -> Result<()> {
        self.note("done", Some(step), None, change).await
    }

    /// Notes that the run failed. Of two failures the first one says more: a store that fails a step fails its row, too.
    pub(crate) async fn failed(&self, error: &Error) {
        let noted = self.note("failed", None, Some(error.without_values()), Change::default());
        if let Err(unnoted) = noted.await {
            tracing::error!(error = %unnoted, "the end of a step could not be noted");
        }
    }

    async fn note(
        &self,
        status: &str,
        step: Option<&Step>,
        error: Option<String>,
        mut change: Change,
    ) -> Result<()> {
        let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
        let count = |value: Option<u64>| {
            Arc::new(Int64Array::from(vec![value.map(|value| value as i64)])) as ArrayRef
        };
        let trigger = match self.trigger {
            Trigger::Demand => "demand",
            Trigger::Schedule => "schedule",
            Trigger::Decision => "decision",
        };
        let churn = step.and_then(|step| step.churn);
        let _noting = self.engine.noting().await?;
        let now = self.engine.now();
        let batch = tables::REFRESHES.batch(vec![
            text(&self.id),
            text(&self.object),
            text(trigger),
            text(status),
            Arc::new(TimestampMicrosecondArray::from(vec![now]).with_timezone("UTC")),
            count(step.map(|step| step.rows_in)),
            count(step.map(|step| step.rows_out)),
            Arc::new(BooleanArray::from(vec![self.full])),
            Arc::new(StringArray::from(vec![error])),
            count(churn.map(|churn| churn.records_moved)),
            count(churn.map(|churn| churn.profiles_merged)),
            count(churn.map(|churn| churn.profiles_split)),
        ])?;
        self.append(&tables::REFRESHES, batch, &mut change).await?;
        if let Some(step) = step.filter(|step| !step.stages.is_empty()) {
            let rows = stage_rows(&self.id, now, &step.stages)?;
            self.append(&tables::IDENTITY_STAGES, rows, &mut change).await?;
        }
        self.engine.publish(change, Shown::AsBefore).await
    }

    /// Adds rows to a log, and the log to `change`.
    async fn append(
        &self,
        layout: &SystemLayout,
        rows: RecordBatch,
        change: &mut Change,
    ) -> Result<()> {
        let table = self.engine.catalog().table(layout.path, || layout.table_schema()).await?;
        ingest::widen(&table, &layout.table_schema()).await?;
        let snapshot = ingest::append(&table, ingest::write(&table, rows).await?).await?;
        change.table(&table, snapshot);
        Ok(())
    }
}
