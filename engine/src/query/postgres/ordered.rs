//! `ORDER BY` an expression that holds a subquery, such as `CASE WHEN schema IN (SELECT ...) THEN 0 ELSE 1 END`.
//!
//! DataFusion makes joins of the subqueries of a projection, and takes none where it sorts. So the expression becomes a
//! column below the sort, and is left out above it.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Sort};
use datafusion::optimizer::AnalyzerRule;

/// The rule. It must come before those that look at the subqueries of projections.
#[derive(Debug)]
pub(super) struct OrderedSubqueries;

impl AnalyzerRule for OrderedSubqueries {
    fn name(&self) -> &str {
        "ordered_subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Sort(sort) if sort.expr.iter().any(|by| has_subquery(&by.expr)) => {
                by_columns(sort).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

fn has_subquery(expr: &Expr) -> bool {
    let is_one = |expr: &Expr| {
        Ok(matches!(expr, Expr::InSubquery(_) | Expr::Exists(_) | Expr::ScalarSubquery(_)))
    };
    expr.exists(is_one).unwrap_or(false)
}

fn by_columns(mut sort: Sort) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = sort.input.schema().columns().into_iter().map(Expr::Column).collect();
    let mut computed = columns.clone();
    for (at, by) in sort.expr.iter_mut().enumerate().filter(|(_, by)| has_subquery(&by.expr)) {
        let name = format!("__ordered_by_{at}");
        let column = Expr::Column(Column::new_unqualified(&name));
        computed.push(std::mem::replace(&mut by.expr, column).alias(name));
    }
    let below = Projection::try_new(computed, sort.input)?;
    sort.input = Arc::new(LogicalPlan::Projection(below));
    let sorted = Arc::new(LogicalPlan::Sort(sort));
    Ok(LogicalPlan::Projection(Projection::try_new(columns, sorted)?))
}
