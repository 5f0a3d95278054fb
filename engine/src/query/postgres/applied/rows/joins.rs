//! Joins within a subquery of a row: `unnest(r.keys) k JOIN columns c ON c.place = k WHERE c.relation = r.id`.
//!
//! One side is put beside the row, and what comes of it is a row like any other for the other side, which may depend on both:
//! so a query that is `LATERAL` may hold others.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, ExprSchema, JoinType, NullEquality, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan, Projection};

use super::{Beside, Columns, ROW, Rows};
use crate::query::postgres::applied::around;
use crate::query::postgres::subqueries::has_subquery;

/// Whether the row of the one side is there.
const THERE: &str = "there";

impl Rows<'_> {
    /// The rows of a join beside those that see them; `above` are conditions on the rows of an inner one.
    pub(super) fn of_join(&self, join: &Join, above: Vec<Expr>) -> Result<Option<Beside>> {
        let is_inner = join.join_type == JoinType::Inner;
        let is_known = is_inner || join.join_type == JoinType::Left;
        let mut conditions = above;
        conditions.extend(join.on.iter().map(|(left, right)| left.clone().eq(right.clone())));
        conditions.extend(join.filter.clone().map(split_conjunction_owned).into_iter().flatten());
        if !is_known
            || join.null_equality != NullEquality::NullEqualsNothing
            || conditions.iter().any(has_subquery)
        {
            return Ok(None);
        }
        let (mut one, mut other) = (&join.left, &join.right);
        if is_inner && !binds(one, &conditions) && binds(other, &conditions) {
            let is_beside = |column: &Column| one.schema().has_column(column);
            if !around::taken(other).iter().any(is_beside) {
                (one, other) = (other, one);
            }
        }
        let (own, conditions): (Vec<Expr>, Vec<Expr>) =
            conditions.into_iter().partition(|condition| is_inner && is_of(condition, one));
        let one = filtered(one.as_ref().clone(), own)?;
        let Some(found) = self.beside(&one)? else { return Ok(None) };
        let (is_one, is_marked) = (found.is_one, found.is_there.is_some());
        let Some(row) = self.row_of(found, &one)? else { return Ok(None) };

        let mut within = Vec::new();
        if is_marked {
            within.push(self.own(THERE));
        }
        within.extend(conditions);
        let within: Result<Vec<Expr>> =
            within.into_iter().map(|expr| of_row_around(expr, &row, other)).collect();
        let other = filtered(other.as_ref().clone(), within?)?;
        let nested = Rows {
            row: &row,
            keeps: self.keeps || !is_inner,
            depth: self.depth + 1,
            is_counted: self.is_counted,
            is_settled: self.is_settled,
            copies: self.copies,
        };
        let Some(seen) = nested.beside(&other)? else { return Ok(None) };

        let same = |column: Column| (column.clone(), Expr::Column(column));
        let mut columns: Columns = one.schema().columns().into_iter().map(same).collect();
        for column in other.schema().columns() {
            let Some(value) = seen.value(&column) else { return Ok(None) };
            columns.insert(column, value?);
        }
        let is_there = is_marked.then(|| self.own(THERE));
        let is_one = is_one && seen.is_one;
        let beside = Beside { plan: seen.plan, columns, is_one, is_there };
        match seen.is_there.filter(|_| is_inner) {
            Some(is_there) => self.kept_where(beside, is_there).map(Some),
            None => Ok(Some(beside)),
        }
    }

    /// The rows around with what they see of one side, whose columns have their own names; `None` where the row around has a
    /// column of such a name.
    fn row_of(&self, found: Beside, side: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        let mut shown = self.columns();
        shown.push(self.own(ROW));
        for (relation, field) in side.schema().iter() {
            let column = Column::new(relation.cloned(), field.name());
            let Some(expr) = found.columns.get(&column) else { return Ok(None) };
            shown.push(expr.clone().alias_qualified(relation.cloned(), field.name()));
        }
        if let Some(is_there) = found.is_there {
            shown.push(is_there.alias_qualified(Some(self.relation()), THERE));
        }
        let row = Projection::try_new(shown, Arc::new(found.plan));
        Ok(row.ok().map(LogicalPlan::Projection))
    }
}

/// Tells whether a side of a join depends on the rows around, by itself or by a condition on it alone.
fn binds(side: &LogicalPlan, conditions: &[Expr]) -> bool {
    !around::taken(side).is_empty()
        || conditions.iter().any(|condition| condition.contains_outer() && is_of(condition, side))
}

/// Tells whether a condition names no column but those of a plan and of the rows around it.
fn is_of(condition: &Expr, plan: &LogicalPlan) -> bool {
    !condition.is_volatile()
        && condition.column_refs().into_iter().all(|column| plan.schema().has_column(column))
}

fn filtered(plan: LogicalPlan, conditions: Vec<Expr>) -> Result<LogicalPlan> {
    Ok(match conjunction(conditions) {
        Some(condition) => LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?),
        None => plan,
    })
}

/// A condition of a join as one of the other side, around which the rows of the one stand.
fn of_row_around(condition: Expr, row: &LogicalPlan, other: &LogicalPlan) -> Result<Expr> {
    let (row, other) = (row.schema(), other.schema());
    let placed = condition.transform_up(|part| match part {
        Expr::Column(column) if row.has_column(&column) && !other.has_column(&column) => {
            let field = Arc::clone(row.field_from_column(&column)?);
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        other => Ok(Transformed::no(other)),
    });
    placed.data()
}
