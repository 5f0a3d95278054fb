//! `ORDER BY` an expression that holds a subquery, such as `CASE WHEN schema IN (SELECT ...) THEN 0 ELSE 1 END`.
//!
//! DataFusion makes joins of the subqueries of a projection, and takes none where it sorts. So the expression becomes a
//! column below the sort, and is left out above it: one of the rows of which columns are shown, where it names others.

use std::mem::take;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Sort};
use datafusion::optimizer::AnalyzerRule;

use super::applied::around;

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
    let (mut computed, rows) = match of_more(&sort)? {
        Some(shown) => {
            for by in sort.expr.iter_mut().filter(|by| has_subquery(&by.expr)) {
                by.expr = over_rows(take(&mut by.expr), &shown)?;
            }
            (shown.expr, shown.input)
        }
        None => (columns.clone(), sort.input),
    };
    for (at, by) in sort.expr.iter_mut().enumerate().filter(|(_, by)| has_subquery(&by.expr)) {
        let name = format!("__ordered_by_{at}");
        let column = Expr::Column(Column::new_unqualified(&name));
        computed.push(std::mem::replace(&mut by.expr, column).alias(name));
    }
    sort.input = Arc::new(LogicalPlan::Projection(Projection::try_new(computed, rows)?));
    let sorted = Arc::new(LogicalPlan::Sort(sort));
    Ok(LogicalPlan::Projection(Projection::try_new(columns, sorted)?))
}

/// What is shown of rows of which subqueries of the order name more; `None` where they do not.
fn of_more(sort: &Sort) -> Result<Option<Projection>> {
    let LogicalPlan::Projection(shown) = sort.input.as_ref() else { return Ok(None) };
    let mut named = Vec::new();
    for by in &sort.expr {
        by.expr.apply(|part| {
            if let Some(subquery) = around::subquery_of(part) {
                named.extend(around::taken(&subquery.subquery));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    let rows = shown.input.schema();
    let is_more = named.iter().any(|column| !shown.schema.has_column(column))
        && named.iter().all(|column| rows.has_column(column));
    Ok(is_more.then(|| shown.clone()))
}

/// An expression over the rows of which some is shown.
fn over_rows(expr: Expr, shown: &Projection) -> Result<Expr> {
    let columns = shown.schema.columns();
    let replaced = expr.transform_up(|part| {
        let found = match &part {
            Expr::Column(column) => columns.iter().position(|shown| shown == column),
            _ => None,
        };
        Ok(match found {
            Some(at) => Transformed::yes(shown.expr[at].clone().unalias()),
            None => Transformed::no(part),
        })
    });
    replaced.data()
}
