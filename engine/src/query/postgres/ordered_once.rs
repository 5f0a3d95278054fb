//! What is named again among what aggregates, and `DISTINCT ON`, are ordered by: `array_agg(x ORDER BY x, x)`.
//!
//! It orders nothing any more. DataFusion leaves it out of the order, and then fails over an order of other columns than it
//! computed.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, SortExpr};
use datafusion::optimizer::AnalyzerRule;

/// The rule.
#[derive(Debug)]
pub(super) struct OrderedOnce;

impl AnalyzerRule for OrderedOnce {
    fn name(&self) -> &str {
        "ordered_once"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_down_with_subqueries(|node| match node {
            LogicalPlan::Distinct(Distinct::On(mut on))
                if on.sort_expr.as_deref().is_some_and(repeats) =>
            {
                on.sort_expr = on.sort_expr.map(once);
                Ok(Transformed::yes(LogicalPlan::Distinct(Distinct::On(on))))
            }
            LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.iter().any(has_repeated) => {
                let node = LogicalPlan::Aggregate(aggregate);
                let names = NamePreserver::new(&node);
                node.map_expressions(|expr| {
                    if !has_repeated(&expr) {
                        return Ok(Transformed::no(expr));
                    }
                    let name = names.save(&expr);
                    let ordered = expr.transform_up(|part| Ok(ordered_once(part)))?;
                    Ok(ordered.update_data(|expr| name.restore(expr)))
                })
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

fn ordered_once(part: Expr) -> Transformed<Expr> {
    match part {
        Expr::AggregateFunction(mut function) if repeats(&function.params.order_by) => {
            function.params.order_by = once(std::mem::take(&mut function.params.order_by));
            Transformed::yes(Expr::AggregateFunction(function))
        }
        other => Transformed::no(other),
    }
}

fn has_repeated(expr: &Expr) -> bool {
    let is_such = |part: &Expr| {
        Ok(matches!(part, Expr::AggregateFunction(function) if repeats(&function.params.order_by)))
    };
    expr.exists(is_such).unwrap_or(false)
}

fn repeats(order: &[SortExpr]) -> bool {
    order.iter().enumerate().any(|(at, by)| order[..at].iter().any(|first| first.expr == by.expr))
}

/// An order without what it names again.
fn once(order: Vec<SortExpr>) -> Vec<SortExpr> {
    let mut kept: Vec<SortExpr> = Vec::with_capacity(order.len());
    for by in order {
        if !kept.iter().any(|first| first.expr == by.expr) {
            kept.push(by);
        }
    }
    kept
}
