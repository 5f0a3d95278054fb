//! The operators as parts of a physical plan: streams of batches with metrics, of one partition each.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, Time,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputDistributionRequirements,
    Partitioning, PlanProperties,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::blocking::{self, BLOCK_ROWS_MAX};
use super::ids::IDS_MAX;
use super::{Operator, components, refinement, scoring};
use crate::error::{Error, failure};
use crate::explain::PairWeigher;
use crate::query::access::no_purpose;
use crate::query::postgres::column_name;

/// What an operator gives once it has read its input.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// An operator over the rows of its input.
#[derive(Debug)]
pub(super) struct OperatorExec {
    operator: Operator,
    input: Arc<dyn ExecutionPlan>,
    /// What weighs the pairs of the operator that has some to be weighed.
    weigher: Option<Arc<PairWeigher>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl OperatorExec {
    /// Builds the operator that gives rows of `schema`.
    pub(super) fn new(
        operator: Operator,
        input: Arc<dyn ExecutionPlan>,
        weigher: Option<Arc<PairWeigher>>,
        schema: SchemaRef,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Self { operator, input, weigher, properties: Arc::new(properties), metrics }
    }

    fn with_input(
        &self,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.pop()) {
            (Some(input), None) => {
                let weigher = self.weigher.clone();
                Ok(Arc::new(Self::new(self.operator, input, weigher, self.schema())))
            }
            _ => Err(DataFusionError::Internal(format!("{} has one child", self.name()))),
        }
    }
}

impl DisplayAs for OperatorExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operator.exec())?;
        match self.operator {
            Operator::CandidatePairs => write!(f, ": key_rows_max={BLOCK_ROWS_MAX}"),
            Operator::ScoredPairs | Operator::ConnectedComponents | Operator::RefineClusters => {
                Ok(())
            }
        }
    }
}

impl ExecutionPlan for OperatorExec {
    fn name(&self) -> &str {
        self.operator.exec()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition])
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.with_input(children)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.with_input(children)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if partition != 0 || self.input.properties().partitioning.partition_count() != 1 {
            let message = format!("{} has one partition", self.name());
            return Err(DataFusionError::Internal(message));
        }
        let input = self.input.execute(0, Arc::clone(&context))?;
        let measured = BaselineMetrics::new(&self.metrics, partition);
        let work = Work {
            operator: self.operator,
            output: self.schema(),
            batch_rows: context.session_config().batch_size(),
            time: measured.elapsed_compute().clone(),
            memory: MemoryConsumer::new(self.name()).register(context.memory_pool()),
            metrics: self.metrics.clone(),
        };
        let (operator, weigher) = (self.operator, self.weigher.clone());
        let made = async move {
            let batches = match (operator, weigher) {
                (Operator::CandidatePairs, _) => blocking::run(input, work).await?,
                (Operator::ScoredPairs, Some(weigher)) => {
                    scoring::run(input, work, weigher).await?
                }
                (Operator::ScoredPairs, None) => return Err(failure(no_purpose())),
                (Operator::ConnectedComponents, _) => components::run(input, work).await?,
                (Operator::RefineClusters, _) => refinement::run(input, work).await?,
            };
            Ok::<_, DataFusionError>(stream::iter(batches))
        };
        let batches = stream::once(made).try_flatten().map(move |batch| {
            if let Ok(batch) = &batch {
                measured.record_output(batch.num_rows());
            }
            batch
        });
        Ok(make_cooperative(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches))))
    }
}

/// What an operator works with while it runs.
pub(super) struct Work {
    operator: Operator,
    output: SchemaRef,
    /// Rows of a batch.
    pub(super) batch_rows: usize,
    /// The time that it computes.
    pub(super) time: Time,
    memory: MemoryReservation,
    metrics: ExecutionPlanMetricsSet,
}

impl Work {
    /// Returns columns of a batch of the input, none of which may hold a null.
    pub(super) fn values<'a, const N: usize>(
        &self,
        batch: &'a RecordBatch,
        columns: [usize; N],
    ) -> Result<[&'a ArrayRef; N]> {
        match columns.iter().find(|at| batch.column(**at).null_count() > 0) {
            None => Ok(columns.map(|at| batch.column(at))),
            Some(at) => Err(failure(Error::Standard {
                sqlstate: "22004",
                message: format!(
                    "column \"{}\" of the query of {}() is null in a row",
                    column_name(batch.schema().field(*at).name()),
                    self.operator.function()
                ),
                hint: "Leave such rows out: WHERE column IS NOT NULL.".into(),
            })),
        }
    }

    /// Makes a batch of the output.
    pub(super) fn batch(&self, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(Arc::clone(&self.output), columns)?)
    }

    /// Reserves so many bytes in place of those that were reserved before.
    pub(super) fn hold(&self, bytes: usize) -> Result<()> {
        self.memory.try_resize(bytes)
    }

    /// Returns how many bytes are reserved.
    pub(super) fn held(&self) -> usize {
        self.memory.size()
    }

    /// Refuses more ids than can be numbered.
    pub(super) fn check_ids(&self, count: usize) -> Result<()> {
        if count < IDS_MAX {
            return Ok(());
        }
        Err(failure(Error::Limit {
            sqlstate: "54000",
            message: format!("{}() takes at most {IDS_MAX} ids", self.operator.function()),
            hint: "Ask about a part of them at a time.".into(),
        }))
    }

    /// Returns a counter among the metrics.
    pub(super) fn counter(&self, name: &'static str) -> Count {
        MetricBuilder::new(&self.metrics).counter(name, 0)
    }
}
