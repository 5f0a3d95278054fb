//! Conditions that stay above an aggregate, `SELECT n FROM (SELECT count(*) AS n, 1 AS k FROM t) s WHERE k = 2`.
//!
//! DataFusion moves a condition below an aggregate if all columns that it names are groups. Of one that names none this is always
//! so, but an aggregate of all rows has a row where it reads none, which the condition is to leave out. And what gives another
//! value at each call chooses among groups, and not among the rows of which they are made.

use datafusion::logical_expr::{Expr, LogicalPlan};

use super::sparing::{Rule, sparing};

/// The rule of DataFusion that moves conditions.
const MOVING: &str = "push_down_filter";

/// Lets the rule among those of DataFusion that moves conditions leave these where they are.
pub(super) fn among(rules: Vec<Rule>) -> Vec<Rule> {
    let held = |rule: Rule| -> Rule {
        if rule.name() == MOVING { sparing(rule, |plan| Ok(stays(plan))) } else { rule }
    };
    rules.into_iter().map(held).collect()
}

/// Tells whether a plan is a condition on an aggregate which may not move below it.
fn stays(mut plan: &LogicalPlan) -> bool {
    let mut changes = false;
    // The rule makes one condition of several.
    while let LogicalPlan::Filter(filter) = plan {
        changes |= filter.predicate.is_volatile();
        plan = &filter.input;
    }
    match plan {
        // What the rule itself works out to be false names no column any more.
        LogicalPlan::Aggregate(aggregate) => {
            let is_set = |group: &Expr| matches!(group, Expr::GroupingSet(_));
            changes || aggregate.group_expr.is_empty() || aggregate.group_expr.iter().any(is_set)
        }
        LogicalPlan::Window(_) => changes,
        _ => false,
    }
}
