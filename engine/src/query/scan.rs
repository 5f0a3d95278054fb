//! The opaque leaf below which consent is enforced.
//!
//! [`GovernedScanExec`] has no children, so that neither `EXPLAIN` nor an optimizer rule can look at, move or measure what
//! lies below. It takes the selected rows, and drops those between them where it is cheaper to read them, too; puts
//! `profile_id` and the household in the place of the subject, applies the leakproof filters, and cuts whole batches,
//! unless nobody is hidden: what comes out depends on visible rows alone.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, Int64Builder, RecordBatch,
    RecordBatchOptions,
};
use arrow::compute::{BatchCoalescer, cast, filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::access::{Access, NO_SUBJECT, Visible};
use super::inner_scan::InnerScan;
use super::runs::Runs;
use super::selection::{BATCH_ROWS, Selection, Stretches};

/// Where a column of the output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputColumn {
    /// From the subject, by the identity graph of this statement.
    ProfileId,
    /// From the subject, by the households that those make who may be seen.
    HouseholdId,
    /// From this column of the inner scan.
    Stored(usize),
}

/// How a leaf takes rows out of those that an inner scan reads: the selected ones that pass.
#[derive(Debug)]
pub(super) struct Picks {
    /// For each file whether it is read.
    pub(super) is_read: Vec<bool>,
    /// A leakproof filter over what is read.
    pub(super) passes: Option<Arc<dyn PhysicalExpr>>,
}

/// A governed scan: the visible rows of one table.
#[derive(Debug)]
pub struct GovernedScanExec {
    table: String,
    output: SchemaRef,
    columns: Vec<OutputColumn>,
    /// Where the inner scan holds the subject, if it was asked for.
    subject_at: Option<usize>,
    selection: Selection,
    runs: Vec<Arc<Runs>>,
    /// Absent when the output follows from the runs alone.
    inner: Option<InnerScan>,
    /// What takes the selected rows out of those that are read, if more are read.
    picks: Option<Picks>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    access: Arc<Access>,
    rows_read: u64,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl GovernedScanExec {
    /// Builds the leaf over an inner scan that reads the rows of `selection`, and if the leaf `picks`, those between them,
    /// too.
    #[expect(
        clippy::too_many_arguments,
        reason = "one caller, and every argument is a part of the leaf"
    )]
    pub(super) fn new(
        table: String,
        output: SchemaRef,
        columns: Vec<OutputColumn>,
        subject_at: Option<usize>,
        selection: Selection,
        runs: Vec<Arc<Runs>>,
        inner: Option<InnerScan>,
        picks: Option<Picks>,
        filter: Option<Arc<dyn PhysicalExpr>>,
        access: Arc<Access>,
        rows_read: u64,
    ) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&output)),
            Partitioning::UnknownPartitioning(selection.partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let metrics = ExecutionPlanMetricsSet::new();
        Self {
            table,
            output,
            columns,
            subject_at,
            selection,
            runs,
            inner,
            picks,
            filter,
            access,
            rows_read,
            properties,
            metrics,
        }
    }

    /// Returns how many of its rows may have to be read: what tells a statement that is done at once from a heavy one.
    pub(super) fn rows_read(&self) -> u64 {
        self.rows_read
    }

    /// Builds the rows of `partition` from the runs: profile ids, or nothing but their number.
    fn batches_of_runs(&self, partition: usize) -> DataFusionResult<Vec<RecordBatch>> {
        let total = self.selection.rows(partition) as usize;
        let mut batches = Vec::with_capacity(total.div_ceil(BATCH_ROWS));
        if self.columns.is_empty() {
            let mut left = total;
            while left > 0 {
                let rows = left.min(BATCH_ROWS);
                batches.push(with_rows(&self.output, vec![], rows)?);
                left -= rows;
            }
            return Ok(batches);
        }
        let mut ids = Int64Builder::with_capacity(total.min(BATCH_ROWS));
        let mut failed = None;
        for piece in &self.selection.partitions[partition] {
            piece.for_each_run(&self.runs[piece.file], |subject, mut rows| {
                let id = self.access.people.profile_id(subject);
                while rows > 0 {
                    let taken = rows.min(BATCH_ROWS - ids.values_slice().len());
                    (0..taken).for_each(|_| ids.append_option(id));
                    rows -= taken;
                    if ids.values_slice().len() == BATCH_ROWS {
                        match self.ids_batch(&mut ids) {
                            Ok(batch) => batches.push(batch),
                            Err(error) => failed = Some(error),
                        }
                    }
                }
            });
        }
        if !ids.values_slice().is_empty() {
            batches.push(self.ids_batch(&mut ids)?);
        }
        failed.map_or(Ok(batches), Err)
    }

    fn ids_batch(&self, ids: &mut Int64Builder) -> DataFusionResult<RecordBatch> {
        let ids: ArrayRef = Arc::new(ids.finish());
        let rows = ids.len();
        with_rows(&self.output, vec![ids; self.columns.len()], rows)
    }
}

/// Makes a batch of so many rows, also if it has no column.
pub(super) fn with_rows(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> DataFusionResult<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// What one partition needs to turn a batch of the inner scan into one of the output.
struct Shaper {
    output: SchemaRef,
    columns: Vec<OutputColumn>,
    subject_at: Option<usize>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    access: Arc<Access>,
}

impl Shaper {
    fn shape(&self, batch: &RecordBatch) -> DataFusionResult<RecordBatch> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (column, field) in self.columns.iter().zip(self.output.fields()) {
            columns.push(match column {
                OutputColumn::ProfileId => self.profile_ids(batch)?,
                OutputColumn::HouseholdId => self.household_ids(batch)?,
                OutputColumn::Stored(at) if batch.column(*at).data_type() == field.data_type() => {
                    Arc::clone(batch.column(*at))
                }
                OutputColumn::Stored(at) => cast(batch.column(*at), field.data_type())?,
            });
        }
        let shaped = with_rows(&self.output, columns, batch.num_rows())?;
        let Some(filter) = &self.filter else { return Ok(shaped) };
        let kept = filter.evaluate(&shaped)?.into_array(shaped.num_rows())?;
        Ok(filter_record_batch(&shaped, kept.as_boolean())?)
    }

    fn subjects<'a>(&self, batch: &'a RecordBatch) -> DataFusionResult<&'a Int64Array> {
        let at = self
            .subject_at
            .ok_or_else(|| DataFusionError::Internal("the subject was not read".into()))?;
        Ok(batch.column(at).as_primitive::<Int64Type>())
    }

    fn household_ids(&self, batch: &RecordBatch) -> DataFusionResult<ArrayRef> {
        let subjects = self.subjects(batch)?.iter();
        let subjects = subjects.map(|subject| subject.map_or(NO_SUBJECT, |subject| subject as u32));
        let subjects: Vec<u32> = subjects.collect();
        Ok(Arc::new(Int64Array::from(self.access.household_ids(&subjects))))
    }

    fn profile_ids(&self, batch: &RecordBatch) -> DataFusionResult<ArrayRef> {
        let subjects = self.subjects(batch)?;
        let people = &self.access.people;
        if subjects.null_count() == 0 {
            let ids = subjects
                .values()
                .iter()
                .map(|subject| people.profile_id(*subject as u32).unwrap_or(0));
            let ids: Vec<i64> = ids.collect();
            if !ids.contains(&0) {
                return Ok(Arc::new(Int64Array::from(ids)));
            }
        }
        Ok(Arc::new(
            subjects
                .iter()
                .map(|subject| people.profile_id(subject? as u32))
                .collect::<Int64Array>(),
        ))
    }
}

/// Takes rows out of what one partition reads.
struct Picker {
    stretches: Stretches,
    passes: Option<Arc<dyn PhysicalExpr>>,
}

impl Picker {
    fn pick(&mut self, batch: RecordBatch) -> DataFusionResult<RecordBatch> {
        let selected = self.stretches.next(batch.num_rows());
        let taken = match (selected, &self.passes) {
            (None, None) => return Ok(batch),
            (Some(selected), None) => BooleanArray::new(selected, None),
            (selected, Some(passes)) => {
                let passed = passes.evaluate(&batch)?.into_array(batch.num_rows())?;
                let passed = match passed.as_boolean() {
                    passed if passed.null_count() > 0 => prep_null_mask_filter(passed),
                    passed => passed.clone(),
                };
                match selected {
                    Some(selected) => BooleanArray::new(&selected & passed.values(), None),
                    None => passed,
                }
            }
        };
        Ok(filter_record_batch(&batch, &taken)?)
    }
}

/// Cuts what one partition reads into whole batches.
struct Cutter {
    input: SendableRecordBatchStream,
    /// What takes the selected rows out, if more are read.
    picker: Option<Picker>,
    shaper: Shaper,
    coalescer: BatchCoalescer,
    /// Whether batches are handed on as they come.
    uncut: bool,
    drained: bool,
}

impl Cutter {
    async fn next(&mut self) -> DataFusionResult<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.coalescer.next_completed_batch() {
                return Ok(Some(batch));
            }
            if self.drained {
                return Ok(None);
            }
            match self.input.next().await {
                Some(batch) => {
                    let mut batch = batch?;
                    if let Some(picker) = &mut self.picker {
                        batch = picker.pick(batch)?;
                    }
                    let batch = self.shaper.shape(&batch)?;
                    if self.uncut || batch.num_rows() == BATCH_ROWS && self.coalescer.is_empty() {
                        return Ok(Some(batch));
                    }
                    self.coalescer.push_batch(batch)?;
                }
                None => {
                    if self.picker.as_ref().is_some_and(|picker| !picker.stretches.is_over()) {
                        // Whose rows came is not known any more.
                        return Err(DataFusionError::Internal(
                            "fewer rows were read than are selected from".into(),
                        ));
                    }
                    self.drained = true;
                    self.coalescer.finish_buffered_batch()?;
                }
            }
        }
    }
}

impl DisplayAs for GovernedScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            self.output.fields().iter().map(|field| field.name().as_str()).collect();
        write!(
            f,
            "GovernedScanExec: table={}, purpose={}, columns=[{}]",
            self.table,
            self.access.purpose,
            names.join(", ")
        )
    }
}

impl ExecutionPlan for GovernedScanExec {
    fn name(&self) -> &str {
        "GovernedScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let measured = BaselineMetrics::new(&self.metrics, partition);
        let record = move |batch: RecordBatch| {
            measured.record_output(batch.num_rows());
            batch
        };
        let Some(inner) = &self.inner else {
            let batches = self.batches_of_runs(partition)?;
            let batches = stream::iter(batches).map(move |batch| Ok(record(batch)));
            return Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.output), batches)));
        };
        let shaper = Shaper {
            output: Arc::clone(&self.output),
            columns: self.columns.clone(),
            subject_at: self.subject_at,
            filter: self.filter.clone(),
            access: Arc::clone(&self.access),
        };
        let cutter = Cutter {
            input: inner.execute(partition, context)?,
            // Where nobody is hidden, nobody can be told by where a batch ends.
            uncut: self.picks.is_none()
                && shaper.filter.is_none()
                && matches!(self.access.visible, Visible::Everyone),
            picker: self.picks.as_ref().map(|picks| Picker {
                stretches: self.selection.stretches(partition, &picks.is_read),
                passes: picks.passes.clone(),
            }),
            shaper,
            coalescer: BatchCoalescer::new(Arc::clone(&self.output), BATCH_ROWS),
            drained: false,
        };
        let batches = stream::try_unfold(cutter, |mut cutter| async move {
            Ok(cutter.next().await?.map(|batch| (batch, cutter)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.output),
            batches.map_ok(record),
        )))
    }
}
