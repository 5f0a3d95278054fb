//! How much of a statement the rules that write a subquery several times may write.
//!
//! `x IN (SELECT ...)` as a value asks up to three times what the subquery holds, and each of these may hold such a value
//! itself: twenty of them within one another are a line of text and a plan of billions of nodes.

use std::cell::Cell;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::applied::around::subquery_of;
use crate::error::Error;

/// The weight of all that is copied in one statement at most: of an expression each part weighs one.
const WEIGHT_MAX: usize = 1 << 16;
/// The weight of a node of a plan, its expressions apart.
const NODE_WEIGHT: usize = 16;
/// How deep subqueries may lie within an expression that is put into another subquery: with each level, planning takes twice
/// as long.
const DEPTH_MAX: usize = 8;

/// What may still be copied.
pub(super) struct Copies(Cell<usize>);

impl Copies {
    pub(super) fn new() -> Copies {
        Copies(Cell::new(WEIGHT_MAX))
    }

    /// Notes that a subquery, and an expression beside it, are to be there so many times more.
    ///
    /// # Errors
    /// [`Error::Limit`] with 54001 if that is too much.
    pub(super) fn note(&self, times: usize, plan: &LogicalPlan, expr: &Expr) -> Result<()> {
        let mut weighed = Weighed { weight: 0, max: self.0.get() };
        weighed.plan(plan)?;
        weighed.expr(expr)?;
        let left = self.0.get().checked_sub(weighed.weight.saturating_mul(times));
        match left.filter(|_| depth(expr) < DEPTH_MAX) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => Err(DataFusionError::External(Box::new(Error::Limit {
                sqlstate: "54001",
                message: "the statement has too many subqueries within subqueries".into(),
                hint: "Join the relations, or make several statements of it.".into(),
            }))),
        }
    }
}

/// What was weighed so far; no more than `max` of it is looked at.
struct Weighed {
    weight: usize,
    max: usize,
}

impl Weighed {
    fn add(&mut self, weight: usize) -> TreeNodeRecursion {
        self.weight = self.weight.saturating_add(weight);
        match self.weight > self.max {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        }
    }

    fn plan(&mut self, plan: &LogicalPlan) -> Result<()> {
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| expr.apply(|_| Ok(self.add(1))))?;
            Ok(self.add(NODE_WEIGHT))
        })?;
        Ok(())
    }

    fn expr(&mut self, expr: &Expr) -> Result<()> {
        expr.apply(|part| {
            if let Some(subquery) = subquery_of(part) {
                self.plan(&subquery.subquery)?;
            }
            Ok(self.add(1))
        })?;
        Ok(())
    }
}

/// Returns how many subqueries lie within one another in an expression.
fn depth(expr: &Expr) -> usize {
    let mut deepest = 0;
    // Nothing here breaks off.
    let _ = expr.apply(|part| {
        if let Some(subquery) = subquery_of(part) {
            deepest = deepest.max(1 + depth_of_plan(&subquery.subquery));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    deepest
}

fn depth_of_plan(plan: &LogicalPlan) -> usize {
    let mut deepest = 0;
    let _ = plan.apply(|node| {
        node.apply_expressions(|expr| {
            deepest = deepest.max(depth(expr));
            Ok(TreeNodeRecursion::Continue)
        })
    });
    deepest
}
