//! Subqueries that depend on the row around them, beside window functions and within them, within aggregates, and beside
//! `DISTINCT ON`.
//!
//! Such a subquery sees the rows that `FROM` and `GROUP BY` give, and nothing that a window makes of them. So it becomes a column
//! below the windows: there it is one of a row like any other, and the rules for subqueries make a join of it. So does one that
//! is aggregated or grouped by. Of those within a window, any does: a value of them all is no order of rows to DataFusion.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, LogicalPlan, Projection, Subquery, Window,
};
use datafusion::optimizer::AnalyzerRule;

use super::subqueries::is_correlated;

/// What the columns are called: no text of a statement has such a name.
const BELOW: &str = "\u{1}below_";

/// The rule. It must come before those that look at the subqueries of projections.
#[derive(Debug)]
pub(super) struct WindowedSubqueries;

impl AnalyzerRule for WindowedSubqueries {
    fn name(&self) -> &str {
        "windowed_subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Projection(projection)
                if matches!(projection.input.as_ref(), LogicalPlan::Window(_)) =>
            {
                Ok(match below(&projection.expr, &projection.input, is_correlated)? {
                    Some((expr, input)) => {
                        let projection = Projection::try_new(expr, Arc::new(input))?;
                        Transformed::yes(LogicalPlan::Projection(projection))
                    }
                    None => Transformed::no(LogicalPlan::Projection(projection)),
                })
            }
            LogicalPlan::Window(window) => {
                Ok(match below(&window.window_expr, &window.input, |_| true)? {
                    Some((expr, input)) => {
                        let columns = window.schema.columns().into_iter().map(Expr::Column);
                        let over = LogicalPlan::Window(Window::try_new(expr, Arc::new(input))?);
                        let shown = Projection::try_new(columns.collect(), Arc::new(over))?;
                        Transformed::yes(LogicalPlan::Projection(shown))
                    }
                    None => Transformed::no(LogicalPlan::Window(window)),
                })
            }
            LogicalPlan::Aggregate(aggregate) => aggregated(aggregate),
            LogicalPlan::Distinct(Distinct::On(first)) => {
                Ok(match below(&first.select_expr, &first.input, is_correlated)? {
                    Some((shown, input)) => {
                        let (on, order) = (first.on_expr, first.sort_expr);
                        let first = DistinctOn::try_new(on, shown, order, Arc::new(input))?;
                        Transformed::yes(LogicalPlan::Distinct(Distinct::On(first)))
                    }
                    None => Transformed::no(LogicalPlan::Distinct(Distinct::On(first))),
                })
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

/// Puts the subqueries of an aggregate below it. Sets of groups are left as they are.
fn aggregated(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let is_set = |group: &Expr| matches!(group, Expr::GroupingSet(_));
    let kept = if aggregate.group_expr.iter().any(is_set) { aggregate.group_expr.len() } else { 0 };
    let mut exprs = aggregate.group_expr.clone();
    exprs.extend(aggregate.aggr_expr.iter().cloned());
    let Some((over, input)) = below(&exprs[kept..], &aggregate.input, is_correlated)? else {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    };
    exprs.truncate(kept);
    exprs.extend(over);
    let values = exprs.split_off(aggregate.group_expr.len());
    let aggregate = Aggregate::try_new(Arc::new(input), exprs, values)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
}

/// Puts those subqueries of expressions that are to be taken below the windows that these are over: the expressions over what
/// then is below them.
fn below(
    exprs: &[Expr],
    input: &Arc<LogicalPlan>,
    is_taken: fn(&Subquery) -> bool,
) -> Result<Option<(Vec<Expr>, LogicalPlan)>> {
    let mut windows: Vec<&Window> = Vec::new();
    let mut rows = input;
    while let LogicalPlan::Window(window) = rows.as_ref() {
        windows.push(window);
        rows = &window.input;
    }
    let names = NamePreserver::new_for_projection();
    let (mut found, mut over) = (Vec::new(), Vec::with_capacity(exprs.len()));
    for expr in exprs {
        let name = names.save(expr);
        let taken = taken(expr.clone(), rows.schema(), is_taken, &mut found)?;
        over.push(if taken.transformed { name.restore(taken.data) } else { taken.data });
    }
    if found.is_empty() {
        return Ok(None);
    }
    let mut columns: Vec<Expr> = rows.schema().columns().into_iter().map(Expr::Column).collect();
    let named = found.into_iter().enumerate().map(|(at, part)| part.alias(below_name(at)));
    columns.extend(named);
    let mut input = LogicalPlan::Projection(Projection::try_new(columns, Arc::clone(rows))?);
    for window in windows.into_iter().rev() {
        let window = Window::try_new(window.window_expr.clone(), Arc::new(input))?;
        input = LogicalPlan::Window(window);
    }
    Ok(Some((over, input)))
}

fn below_name(at: usize) -> String {
    format!("{BELOW}{at}")
}

/// Puts columns in the place of the subqueries of an expression, and those among what is `found`.
fn taken(
    expr: Expr,
    rows: &DFSchema,
    is_taken: fn(&Subquery) -> bool,
    found: &mut Vec<Expr>,
) -> Result<Transformed<Expr>> {
    // What is compared with the rows of a subquery may be the value of a window.
    let is_of_rows =
        |expr: &Expr| expr.column_refs().into_iter().all(|column| rows.has_column(column));
    expr.transform_down(|part| {
        let depends = match &part {
            Expr::ScalarSubquery(subquery) => is_taken(subquery),
            Expr::Exists(exists) => is_taken(&exists.subquery),
            Expr::InSubquery(within) => is_taken(&within.subquery) && is_of_rows(&within.expr),
            Expr::SetComparison(set) => is_taken(&set.subquery) && is_of_rows(&set.expr),
            _ => false,
        };
        if !depends {
            return Ok(Transformed::no(part));
        }
        // Windows of one order are of one still.
        let at = found.iter().position(|known| *known == part).unwrap_or(found.len());
        if at == found.len() {
            found.push(part);
        }
        Ok(Transformed::yes(Expr::Column(Column::new_unqualified(below_name(at)))))
    })
}
