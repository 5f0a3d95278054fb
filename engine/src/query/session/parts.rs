//! `UNION ALL` at the end of a statement: its parts come one after the other, as they are written.
//!
//! DataFusion hands on whatever comes first, so that a row of totals that is written last would stand anywhere. Here each part
//! is one stream, which is worked out on as many threads as before, and the next one begins when it has ended.

use std::any::Any;
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, execute_stream, replace_children_if_necessary,
};
use futures::{TryStreamExt, stream};

/// Makes a partition of each part of a plan that ends with a union; `None` for other plans.
pub(super) fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let any: &dyn Any = plan.as_ref();
    if let Some(projection) = any.downcast_ref::<ProjectionExec>() {
        let Some(parts) = of(projection.input())? else { return Ok(None) };
        return replace_children_if_necessary(Arc::clone(plan), vec![parts]).map(Some);
    }
    if !any.is::<UnionExec>() && !any.is::<InterleaveExec>() {
        return Ok(None);
    }
    let parts = plan.children().into_iter().map(|part| {
        Ok(match of(part)? {
            Some(parts) => parts,
            None if part.output_partitioning().partition_count() > 1 => {
                Arc::new(CoalescePartitionsExec::new(Arc::clone(part))) as Arc<dyn ExecutionPlan>
            }
            None => Arc::clone(part),
        })
    });
    UnionExec::try_new(parts.collect::<Result<Vec<_>>>()?).map(Some)
}

/// Runs a plan; `in_parts` says that its partitions are parts that follow each other.
pub(super) fn rows(
    plan: Arc<dyn ExecutionPlan>,
    in_parts: bool,
    task: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let parts = plan.output_partitioning().partition_count();
    if !in_parts || parts < 2 {
        return execute_stream(plan, task);
    }
    let schema = plan.schema();
    let parts = (0..parts).map(move |part| plan.execute(part, Arc::clone(&task)));
    let rows = stream::iter(parts).try_flatten();
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
}
