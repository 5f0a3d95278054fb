//! What makes a cancelled statement stop, also within a join that has nothing to hand on.
//!
//! DataFusion stops a statement at the next point where a task yields, and leaves and exchanges yield. A join between
//! them can work for minutes on what it has been given. So each join of a session's plan is put under a
//! `StoppableExec`, which yields after batches and fails once the statement is to stop, and the filter of a nested
//! loop, which may drop every pair that it looks at, is asked the same for each batch of pairs.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
    PiecewiseMergeJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use crate::error::Error;

/// Whether the statements that hold it are to stop.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Stops every statement that holds it.
    pub fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Fails once they are to stop.
    pub(super) fn check(&self) -> DataFusionResult<()> {
        if !self.0.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(DataFusionError::External(Box::new(Error::Limit {
            sqlstate: "57014",
            message: "the statement was cancelled".into(),
            hint: "Send it again if it was not meant to be.".into(),
        })))
    }
}

/// Makes the joins of `plan` stop with `stop`.
pub(super) fn stoppable(
    plan: Arc<dyn ExecutionPlan>,
    stop: &Arc<Stop>,
) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let wrapped = plan.transform_up(|node| {
        let any: &dyn Any = node.as_ref();
        let joins = any.is::<CrossJoinExec>()
            || any.is::<HashJoinExec>()
            || any.is::<SortMergeJoinExec>()
            || any.is::<PiecewiseMergeJoinExec>();
        let node = match any.downcast_ref::<NestedLoopJoinExec>() {
            Some(join) => with_stoppable_filter(join, stop)?,
            None if joins => node,
            None => return Ok(Transformed::no(node)),
        };
        let wrapped = StoppableExec { input: node, stop: Arc::clone(stop) };
        Ok(Transformed::yes(Arc::new(wrapped) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(wrapped.data)
}

fn with_stoppable_filter(
    join: &NestedLoopJoinExec,
    stop: &Arc<Stop>,
) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let filter = join.filter().map(|filter| {
        let expression =
            StoppableExpr { inner: Arc::clone(filter.expression()), stop: Arc::clone(stop) };
        let columns = filter.column_indices().to_vec();
        JoinFilter::new(Arc::new(expression), columns, Arc::clone(filter.schema()))
    });
    let (left, right) = (Arc::clone(join.left()), Arc::clone(join.right()));
    let rebuilt = NestedLoopJoinExecBuilder::new(left, right, *join.join_type())
        .with_projection_ref(join.projection().clone())
        .with_filter(filter)
        .build()?;
    Ok(Arc::new(rebuilt))
}

/// Hands on what its input gives, yields in between, and fails once the statement is to stop.
#[derive(Debug)]
struct StoppableExec {
    input: Arc<dyn ExecutionPlan>,
    stop: Arc<Stop>,
}

impl StoppableExec {
    fn with_input(
        &self,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.pop()) {
            (Some(input), None) => Ok(Arc::new(Self { input, stop: Arc::clone(&self.stop) })),
            _ => Err(DataFusionError::Internal("StoppableExec has one child".into())),
        }
    }
}

impl DisplayAs for StoppableExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoppableExec")
    }
}

impl ExecutionPlan for StoppableExec {
    fn name(&self) -> &str {
        "StoppableExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.with_input(children)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.with_input(children)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (schema, stop) = (input.schema(), Arc::clone(&self.stop));
        let checked = input.map(move |batch| stop.check().and(batch));
        Ok(make_cooperative(Box::pin(RecordBatchStreamAdapter::new(schema, checked))))
    }
}

/// An expression that fails once the statement is to stop.
#[derive(Debug)]
struct StoppableExpr {
    inner: Arc<dyn PhysicalExpr>,
    stop: Arc<Stop>,
}

impl PartialEq for StoppableExpr {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for StoppableExpr {}

impl Hash for StoppableExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for StoppableExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for StoppableExpr {
    fn evaluate(&self, batch: &RecordBatch) -> DataFusionResult<ColumnarValue> {
        self.stop.check()?;
        self.inner.evaluate(batch)
    }

    fn return_field(&self, schema: &Schema) -> DataFusionResult<FieldRef> {
        self.inner.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.pop()) {
            (Some(inner), None) => Ok(Arc::new(Self { inner, stop: Arc::clone(&self.stop) })),
            _ => Err(DataFusionError::Internal("StoppableExpr has one child".into())),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
