//! Conditions that compare a value of the row around with itself: `(SELECT count(*) FROM t WHERE o.a = o.a)` for each row of `o`.
//!
//! DataFusion takes such a condition for one that always holds, and leaves it out. It is unknown where the value is null, which
//! is what it is made to say: `o.a IS NOT NULL`.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, LogicalPlan, Operator, lit};
use datafusion::optimizer::AnalyzerRule;

/// The rule. It must come before those that make joins of subqueries.
#[derive(Debug)]
pub(super) struct KnownRows;

impl AnalyzerRule for KnownRows {
    fn name(&self) -> &str {
        "known_rows"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Filter(filter)
                if split_conjunction(&filter.predicate).into_iter().any(is_of_itself) =>
            {
                let conditions = split_conjunction_owned(filter.predicate).into_iter().map(known);
                let predicate = conjunction(conditions).unwrap_or_else(|| lit(true));
                let filter = Filter::try_new(predicate, filter.input)?;
                Ok(Transformed::yes(LogicalPlan::Filter(filter)))
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

/// Tells whether a condition says of a value of the row around that it equals itself.
fn is_of_itself(condition: &Expr) -> bool {
    let is_same = matches!(condition, Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right })
        if left == right);
    is_same && condition.contains_outer()
}

fn known(condition: Expr) -> Expr {
    if !is_of_itself(&condition) {
        return condition;
    }
    match condition {
        Expr::BinaryExpr(equality) => equality.left.is_not_null(),
        other => other,
    }
}
