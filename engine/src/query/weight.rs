//! Which plans are heavy: those that may compute for longer than a small statement should have to wait.
//!
//! What counts is how many rows the leaves read and how many pairs of rows are looked at, as far as a plan says it before
//! it runs. It decides [where a statement runs](crate::lanes) and nothing that can be seen in its answer.

use std::any::Any;
use std::sync::Arc;

use datafusion::catalog::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::{MemTable, source_as_provider};
use datafusion::error::Result as DataFusionResult;
use datafusion::functions_table::generate_series::GenerateSeriesTable;
use datafusion::logical_expr::{LogicalPlan, TableScan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::joins::{CrossJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;

use super::operators::PAIR_SCORING;
use super::postgres::OfSession;
use super::relations::ReturnedTable;
use super::scan::GovernedScanExec;
use super::system::SystemTable;

/// Rows, or pairs of rows, that a plan works through if it is not heavy: two batches.
const LIGHT_ROWS_MAX: u64 = 2 * super::selection::BATCH_ROWS as u64;

/// The same for a plan that reads memory alone, as drivers' questions about a catalog of many tables do: nothing is read or
/// decoded for a row.
const LIGHT_MEMORY_ROWS_MAX: u64 = 8 * LIGHT_ROWS_MAX;

/// Pairs that are looked at in the time that one row takes to be read.
const PAIRS_A_ROW: u64 = 16;

/// Tells whether a plan is heavy; `in_memory` is what [`reads_memory_alone`] says of it.
pub(super) fn is_heavy(plan: &Arc<dyn ExecutionPlan>, in_memory: bool) -> bool {
    rows(plan) > if in_memory { LIGHT_MEMORY_ROWS_MAX } else { LIGHT_ROWS_MAX }
}

/// Tells whether a plan reads what is in memory, such as the catalog, and nothing else. To deal its few rows to partitions
/// and to collect them again takes longer than to work through them, and binds it to the runtime that it began on.
pub(super) fn reads_memory_alone(plan: &LogicalPlan) -> bool {
    let mut alone = true;
    let visited = plan.apply_with_subqueries(|node| {
        alone &= match node {
            LogicalPlan::TableScan(scan) => {
                let provider = source_as_provider(&scan.source)?;
                let provider: &dyn Any = provider.as_ref();
                provider.is::<MemTable>()
                    || provider.is::<OfSession>()
                    || provider.is::<SystemTable>()
            }
            LogicalPlan::RecursiveQuery(_) | LogicalPlan::Extension(_) => false,
            _ => true,
        };
        Ok(if alone { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    alone && visited.is_ok()
}

/// Tells whether the rows of a plan have an order of their own, in which they are written out, generated or held in memory, and
/// keep it where they are worked through in one piece.
pub(super) fn comes_in_order(plan: &LogicalPlan) -> bool {
    let has_order = |scan: &TableScan| -> DataFusionResult<bool> {
        let provider = source_as_provider(&scan.source)?;
        let provider: &dyn Any = provider.as_ref();
        Ok(provider.is::<ReturnedTable>()
            || provider.is::<MemTable>()
            || provider.is::<SystemTable>()
            || provider.is::<GenerateSeriesTable>())
    };
    let mut in_order = true;
    let visited = plan.apply_with_subqueries(|node| {
        in_order &= match node {
            LogicalPlan::TableScan(scan) => has_order(scan)?,
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::EmptyRelation(_) => true,
            _ => false,
        };
        Ok(if in_order { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    in_order && visited.is_ok()
}

/// Returns about how many rows are worked through; a leaf that does not say how many it has may have any number.
fn rows(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let node: &dyn Any = plan.as_ref();
    if let Some(scan) = node.downcast_ref::<GovernedScanExec>() {
        return scan.rows_read();
    }
    if let Some(source) = node.downcast_ref::<DataSourceExec>() {
        let memory = source.data_source().downcast_ref::<MemorySourceConfig>();
        let wanted = plan.fetch().map_or(u64::MAX, |wanted| wanted as u64);
        return memory.map_or(u64::MAX, |memory| {
            let batches = memory.partitions().iter().flatten();
            batches.map(|batch| batch.num_rows() as u64).sum::<u64>().min(wanted)
        });
    }
    if node.is::<PlaceholderRowExec>() || node.is::<EmptyExec>() {
        return 1;
    }
    let children: Vec<u64> = plan.children().into_iter().map(rows).collect();
    match children.as_slice() {
        // `EXPLAIN` has made its rows already; what generates rows does not say how many.
        [] if plan.name() == "ExplainExec" => 1,
        [] => u64::MAX,
        [_] if plan.name() == PAIR_SCORING => u64::MAX,
        [left, right] if node.is::<NestedLoopJoinExec>() || node.is::<CrossJoinExec>() => {
            let pairs = left.saturating_mul(*right) / PAIRS_A_ROW;
            pairs.max(left.saturating_add(*right))
        }
        all => {
            let all = all.iter().fold(0_u64, |sum, rows| sum.saturating_add(*rows));
            let wanted = match node.downcast_ref::<GlobalLimitExec>() {
                // Rows that are passed over are read, too.
                Some(limit) => limit.fetch().map(|wanted| wanted.saturating_add(limit.skip())),
                None => plan.fetch(),
            };
            match wanted.filter(|_| hands_on(plan)) {
                // Each partition may be one batch ahead of what is wanted.
                Some(wanted) => all.min(wanted as u64 + super::selection::BATCH_ROWS as u64),
                None => all,
            }
        }
    }
}

/// Tells whether a plan gives its first rows without having read all that it reads.
fn hands_on(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let names = [
        "GlobalLimitExec",
        "LocalLimitExec",
        "CoalescePartitionsExec",
        "CooperativeExec",
        "ProjectionExec",
        "DataSourceExec",
        "GovernedScanExec",
        "StoppableExec",
    ];
    names.contains(&plan.name()) && plan.children().into_iter().all(hands_on)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    async fn heavy(sql: &str, in_memory: bool) -> bool {
        let context =
            SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        for (name, rows) in [("small", 1_000), ("large", 100_000)] {
            let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
            let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
            context.register_batch(name, batch).unwrap();
        }
        let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        is_heavy(&plan, in_memory)
    }

    #[tokio::test]
    async fn what_is_heavy_follows_from_what_is_read() {
        for sql in [
            "SELECT 1",
            "SELECT sum(a) FROM small",
            "SELECT s.a FROM small s JOIN small t ON s.a = t.a ORDER BY 1",
            "SELECT count(*) FROM (VALUES (1), (2)) s, small",
            "SELECT a FROM small UNION ALL SELECT a FROM small",
            "SELECT a + 1 FROM large LIMIT 100",
        ] {
            assert!(!heavy(sql, false).await, "{sql}");
        }
        for sql in [
            "SELECT sum(a) FROM large",
            "SELECT count(*) FROM small s JOIN small t ON s.a + t.a > 7",
            "SELECT count(*) FROM generate_series(1, 10)",
            "SELECT small.a FROM small JOIN large ON small.a = large.a",
            "SELECT a FROM large LIMIT 50000",
            "SELECT a FROM large LIMIT 1 OFFSET 90000",
            "SELECT a FROM large ORDER BY a DESC LIMIT 1",
        ] {
            assert!(heavy(sql, false).await, "{sql}");
        }
        // As with a catalog of ten thousand tables.
        assert!(!heavy("SELECT s.a FROM large s JOIN small t ON s.a = t.a", true).await);
        assert!(heavy("SELECT s.a FROM large s JOIN large t ON s.a = t.a", true).await);
        assert!(heavy("SELECT count(*) FROM large s JOIN small t ON s.a + t.a > 7", true).await);
    }
}
