//! One run of one step, and the rows of `cdp.refreshes` that tell of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray};
use uuid::Uuid;

use super::{Progress, Step, Trigger};
use crate::catalog::Change;
use crate::engine::{Engine, Shown};
use crate::error::Result;
use crate::{ingest, tables};

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

    /// Tells whether somebody asked for it; otherwise it was due.
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
                    self.note("done", Some(&step), None).await?;
                }
                (self.progress)(&self.object, Some(&step));
                Ok(step)
            }
            Err(error) => {
                // Of two failures the first one says more: a store that fails a step fails its row, too.
                if let Err(unnoted) = self.note("failed", None, Some(error.without_values())).await
                {
                    tracing::error!(error = %unnoted, "the end of a step could not be noted");
                }
                Err(error)
            }
        }
    }

    /// Notes that the step is not done, and why.
    pub(super) async fn skipped(self, why: &str) -> Result<()> {
        self.note("not run", None, Some(format!("not run, since {why}"))).await
    }

    /// Notes that work begins: called once it is known that there is any, and before the first of it.
    pub async fn begin(&self) -> Result<()> {
        if self.begun.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.note("running", None, None).await
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
        }
    }

    pub(super) fn idle(&self) -> Step {
        Step { object: self.object.clone(), rows_in: 0, rows_out: 0, worked: false }
    }

    async fn note(&self, status: &str, step: Option<&Step>, error: Option<String>) -> Result<()> {
        let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
        let count = |value: Option<u64>| {
            Arc::new(Int64Array::from(vec![value.map(|value| value as i64)])) as ArrayRef
        };
        let trigger = match self.trigger {
            Trigger::Demand => "demand",
            Trigger::Schedule => "schedule",
        };
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
        self.publish(change).await
    }
}
