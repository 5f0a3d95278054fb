//! `EXISTS` of rows that have an order or a limit: which of them come first makes no difference where one is enough.
//!
//! DataFusion takes no condition on the row around a subquery out of what is below an order.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::{Expr, FetchType, Limit, LogicalPlan, SkipType, Subquery};

/// Leaves out the order of the rows of a subquery, and a limit that keeps the first of them.
pub(super) fn any_row(exists: Exists) -> Transformed<Expr> {
    let Exists { subquery, negated } = exists;
    match without_order(&subquery.subquery) {
        Some(plan) => {
            let outer_ref_columns = plan.all_out_ref_exprs();
            let subquery =
                Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: subquery.spans };
            Transformed::yes(Expr::Exists(Exists { subquery, negated }))
        }
        None => Transformed::no(Expr::Exists(Exists { subquery, negated })),
    }
}

/// The rows of a plan, with something else in each; `None` where they have no order and no limit.
fn without_order(plan: &LogicalPlan) -> Option<LogicalPlan> {
    let rest = |input: &LogicalPlan| without_order(input).unwrap_or_else(|| input.clone());
    match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => Some(rest(&sort.input)),
        LogicalPlan::Limit(limit) if keeps_first(limit) => Some(rest(&limit.input)),
        LogicalPlan::Projection(projection) => without_order(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => without_order(&alias.input),
        _ => None,
    }
}

/// Tells whether a limit keeps a row where there are some.
fn keeps_first(limit: &Limit) -> bool {
    let is_any = match limit.get_fetch_type() {
        Ok(FetchType::Literal(count)) => count.is_none_or(|count| count > 0),
        _ => false,
    };
    is_any && matches!(limit.get_skip_type(), Ok(SkipType::Literal(0)))
}
