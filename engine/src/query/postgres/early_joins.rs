//! Values of subqueries become joins before expressions are made simpler.
//!
//! What is made of an aggregate where a row sees no rows, as of `count(*) IS NULL`, DataFusion works out from the aggregates that
//! the expression names. Once it is simpler it may name none, and null would be taken for it.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::sparing::{Rule, sparing};

/// The rules of DataFusion that make joins of such subqueries.
const JOINING: [&str; 2] = ["scalar_subquery_to_join", "decorrelate_lateral_join"];
/// The one that they come before.
const SIMPLIFYING: &str = "simplify_expressions";

/// Puts the rules among those of DataFusion one more time: in their own place they see what others make.
pub(super) fn among(mut rules: Vec<Rule>) -> Vec<Rule> {
    let joining = rules.iter().filter(|rule| JOINING.contains(&rule.name()));
    let joining: Vec<Rule> = joining.map(|rule| sparing(Arc::clone(rule), waits)).collect();
    let place = rules.iter().position(|rule| rule.name() == SIMPLIFYING).unwrap_or(0);
    rules.splice(place..place, joining);
    rules
}

/// Tells whether a plan has subqueries that hold `EXISTS` or `IN`: joins are made of these first.
fn waits(plan: &LogicalPlan) -> Result<bool> {
    match plan {
        LogicalPlan::Filter(_) | LogicalPlan::Projection(_) => {
            let mut waits = false;
            plan.apply_expressions(|expr| {
                waits = waits || expr.exists(holds_conditions)?;
                Ok(TreeNodeRecursion::Continue)
            })?;
            Ok(waits)
        }
        LogicalPlan::Join(join) if is_lateral(&join.right) => has_conditions(&join.right),
        _ => Ok(false),
    }
}

/// Tells whether the right side of a join may depend on the rows of the left one.
fn is_lateral(right: &LogicalPlan) -> bool {
    match right {
        LogicalPlan::SubqueryAlias(alias) => is_lateral(&alias.input),
        other => matches!(other, LogicalPlan::Subquery(_)),
    }
}

/// Tells whether a part of an expression is a value of a subquery with such conditions.
fn holds_conditions(part: &Expr) -> Result<bool> {
    match part {
        Expr::ScalarSubquery(subquery) => has_conditions(&subquery.subquery),
        _ => Ok(false),
    }
}

fn has_conditions(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found = found
                || expr.exists(|part| {
                    Ok(matches!(
                        part,
                        Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)
                    ))
                })?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
