//! Windows of one select that are the same once their types are settled: `lag(x, 1, 0) OVER w` and `lag(x, 1, '0') OVER w`.
//!
//! DataFusion would put what they have in common below them. That is a window itself, of which it makes no value of a row.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Window};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::sparing::Rule;

/// The rule of DataFusion that finds what expressions have in common.
const SHARING: &str = "common_sub_expression_eliminate";

/// Puts the rule before that of DataFusion.
pub(super) fn among(mut rules: Vec<Rule>) -> Vec<Rule> {
    let place = rules.iter().position(|rule| rule.name() == SHARING).unwrap_or(rules.len());
    rules.insert(place, Arc::new(SameWindows));
    rules
}

/// The rule.
#[derive(Debug)]
struct SameWindows;

impl OptimizerRule for SameWindows {
    fn name(&self) -> &str {
        "same_windows"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Window(window) if has_same(&window.window_expr) => {
                worked_out_once(window).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn has_same(windows: &[Expr]) -> bool {
    let is_again = |(at, window): (usize, &Expr)| {
        windows[..at].iter().any(|other| bare(other) == bare(window))
    };
    windows.iter().enumerate().any(is_again)
}

/// Keeps the first of windows that are the same, and shows it under the names of all.
fn worked_out_once(window: Window) -> Result<LogicalPlan> {
    let columns = window.input.schema().columns().into_iter();
    let mut shown: Vec<Expr> = columns.map(Expr::Column).collect();
    let mut kept: Vec<Expr> = Vec::with_capacity(window.window_expr.len());
    let column =
        |window: &Expr| Expr::Column(Column::new_unqualified(window.schema_name().to_string()));
    for expr in window.window_expr {
        match kept.iter().find(|known| bare(known) == bare(&expr)) {
            Some(known) => shown.push(column(known).alias(expr.schema_name().to_string())),
            None => {
                shown.push(column(&expr));
                kept.push(expr);
            }
        }
    }
    let kept = LogicalPlan::Window(Window::try_new(kept, window.input)?);
    Ok(LogicalPlan::Projection(Projection::try_new(shown, Arc::new(kept))?))
}

/// A window without the name that it is given.
fn bare(window: &Expr) -> &Expr {
    match window {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}
