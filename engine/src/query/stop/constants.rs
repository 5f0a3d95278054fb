//! Long constants, which are written out once for each row that they are used for: ten thousand rows of a constant of a
//! megabyte take ten gigabytes, before any function that takes it is asked.

use std::any::Any;
use std::sync::Arc;

use arrow::array::Array;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{LambdaExpr, Literal};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use super::plans::text_bytes;
use crate::error::Error;

/// Bytes of a constant that is a long one.
const LONG_BYTES: usize = 4 << 10;
/// Bytes of long constants that are written out at a time, or one row of them.
const WRITTEN_OUT_BYTES: usize = 1 << 20;

/// Returns how many rows a node may have at a time for its long constants; `None` if it has none.
pub(super) fn rows_at_a_time(node: &Arc<dyn ExecutionPlan>) -> DataFusionResult<Option<usize>> {
    Ok(match in_node(node)? {
        0 => None,
        bytes => Some((WRITTEN_OUT_BYTES / bytes).max(1)),
    })
}

/// Fails if a node has long constants where they cannot be written out for few rows at a time: a window looks at all of its
/// rows, and a function of the elements of an array at all of them.
pub(super) fn check(node: &Arc<dyn ExecutionPlan>) -> DataFusionResult<()> {
    let any: &dyn Any = node.as_ref();
    if any.is::<WindowAggExec>() || any.is::<BoundedWindowAggExec>() {
        return refuse(in_node(node)?, "a window function takes");
    }
    node.apply_expressions(&mut |root| {
        root.apply(|part| {
            let any: &dyn Any = part.as_ref();
            if any.is::<LambdaExpr>() {
                refuse(within(part)?, "what is made of each element of an array has")?;
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(())
}

fn refuse(bytes: usize, what: &str) -> DataFusionResult<()> {
    if bytes == 0 {
        return Ok(());
    }
    Err(DataFusionError::External(Box::new(Error::Limit {
        sqlstate: "54000",
        message: format!("{what} no constant of {LONG_BYTES} bytes"),
        hint: "Put the long value to the result, in a query around this one.".into(),
    })))
}

/// Returns how many bytes the long constants of a node have.
fn in_node(node: &Arc<dyn ExecutionPlan>) -> DataFusionResult<usize> {
    let mut bytes = 0;
    node.apply_expressions(&mut |root| {
        bytes += within(root)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(bytes)
}

fn within(root: &Arc<dyn PhysicalExpr>) -> DataFusionResult<usize> {
    let mut bytes = 0;
    root.apply(|part| {
        let part: &dyn Any = part.as_ref();
        let constant = part.downcast_ref::<Literal>().map_or(0, |part| length(part.value()));
        if constant >= LONG_BYTES {
            bytes += constant;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(bytes)
}

/// Returns about how many bytes a constant has.
fn length(constant: &ScalarValue) -> usize {
    match constant {
        ScalarValue::Binary(bytes) | ScalarValue::BinaryView(bytes) => {
            bytes.as_ref().map_or(0, Vec::len)
        }
        ScalarValue::List(lists) => {
            let values = lists.values().to_data().get_slice_memory_size();
            values.unwrap_or(0) + text_bytes(&**lists)
        }
        _ => constant.try_as_str().flatten().map_or(0, str::len),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use datafusion::physical_plan::collect;
    use datafusion::prelude::SessionContext;

    use super::super::{Stop, stoppable};
    use super::*;

    async fn context() -> SessionContext {
        let context = SessionContext::new();
        let rows = "CREATE TABLE t AS SELECT value AS a FROM generate_series(1, 3000)";
        context.sql(rows).await.unwrap().collect().await.unwrap();
        context
    }

    async fn plan(context: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
        context.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
    }

    #[tokio::test]
    async fn they_are_written_out_for_few_rows() {
        let context = context().await;
        for (value, rows_max) in [
            ("repeat('x', 100000)", 10),
            ("repeat('x', 2000000)", 1),
            ("range(1, 100000)", 1),
            ("length(repeat('x', 100000) || a)", 10),
        ] {
            let plan = plan(&context, &format!("SELECT a, {value} AS v FROM t LIMIT 50")).await;
            let asking = stoppable(plan, &Arc::<Stop>::default()).unwrap();
            let batches = collect(asking, context.task_ctx()).await.unwrap();
            let rows: Vec<usize> = batches.iter().map(RecordBatch::num_rows).collect();
            assert_eq!(rows.iter().sum::<usize>(), 50, "{value}");
            assert!(rows.iter().all(|rows| *rows <= rows_max), "{value}: {rows:?}");
        }
    }

    #[tokio::test]
    async fn short_constants_and_columns_are_left_alone() {
        let context = context().await;
        let plan = plan(&context, "SELECT a, repeat('x', 100) AS v, ARRAY[1, 2] AS w FROM t").await;
        let mut nodes = vec![plan];
        while let Some(node) = nodes.pop() {
            check(&node).unwrap();
            assert_eq!(rows_at_a_time(&node).unwrap(), None);
            nodes.extend(node.children().into_iter().cloned());
        }
    }

    #[tokio::test]
    async fn a_window_takes_none() {
        let context = context().await;
        let sql = "SELECT string_agg('x', repeat('y', 5000)) OVER (ORDER BY a) AS s FROM t";
        let refused = stoppable(plan(&context, sql).await, &Arc::<Stop>::default()).unwrap_err();
        assert!(refused.to_string().contains("a window function takes no constant"), "{refused}");
    }
}
