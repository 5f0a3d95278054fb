//! Correlated subqueries used as expressions, in the form that DataFusion can make a join of.
//!
//! DataFusion takes such a subquery where it is an aggregate, and where each condition on the outer row is an equality.
//! PostgreSQL takes any. This rule closes most of the gap without changing an answer:
//! a subquery that may give several rows goes through [`single_value`](super::functions()), which fails on the second row as
//! SQL demands; a condition on the outer row alone moves out of it into a `CASE`; what is made of both rows is made outside, of a
//! subquery for each inner column; and where an inner column equals an outer one, the inner column stands for it in the other
//! conditions.
//!
//! `x IN (SELECT y ...)` is null where a null leaves it open, which matters wherever it is a value, and in a filter wherever
//! something is made of it but a condition or an alternative. There it becomes a `CASE` over `EXISTS`. `EXISTS` outside a filter
//! is a count where it is the same for all rows; where it is not, `MarkedRows` makes a join of it.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, JoinType, Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::binary::comparison_coercion;
use datafusion::logical_expr::expr::{AggregateFunction, Cast, Exists, InSubquery, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction_owned};
use datafusion::logical_expr::{
    AggregateUDF, BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator,
    Subquery, lit, when,
};
use datafusion::optimizer::AnalyzerRule;

use super::any_row::any_row;
use super::applied::around;
use super::copies::Copies;
use super::{compared_sets, functions, lone_values};

/// The rule. It must come before DataFusion's own.
#[derive(Debug)]
pub struct CorrelatedSubqueries {
    single_value: Arc<AggregateUDF>,
}

impl CorrelatedSubqueries {
    /// Makes the rule.
    pub fn new() -> CorrelatedSubqueries {
        let single_value = functions::aggregates().into_iter().find(|f| f.name() == "single_value");
        CorrelatedSubqueries {
            single_value: Arc::new(
                single_value.expect("single_value is in the list of aggregates"),
            ),
        }
    }
}

impl Default for CorrelatedSubqueries {
    fn default() -> Self {
        CorrelatedSubqueries::new()
    }
}

impl AnalyzerRule for CorrelatedSubqueries {
    fn name(&self) -> &str {
        "correlated_subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let copies = Copies::new();
        plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            let shown = matches!(node, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_));
            let filters = matches!(node, LogicalPlan::Filter(_));
            let joins = matches!(&node, LogicalPlan::Join(j) if j.join_type == JoinType::Inner);
            let node = node.map_expressions(|expr| {
                let name = names.save(&expr);
                let rewritten = expr.transform_up(|expr| match expr {
                    Expr::ScalarSubquery(subquery) if is_correlated(&subquery) => {
                        self.value(subquery, &schema, &copies).map(Transformed::yes)
                    }
                    Expr::ScalarSubquery(subquery) => lone_values::with_null(subquery),
                    Expr::Exists(exists) if gives_one_row(&exists.subquery.subquery) => {
                        Ok(Transformed::yes(lit(!exists.negated)))
                    }
                    // In a filter it becomes a semi-join.
                    Expr::Exists(exists) if shown && !is_correlated(&exists.subquery) => {
                        exists_value(exists).map(Transformed::yes)
                    }
                    Expr::Exists(exists) if is_correlated(&exists.subquery) => Ok(any_row(exists)),
                    Expr::InSubquery(within) if shown => {
                        in_value(within, &schema, &copies).map(Transformed::yes)
                    }
                    Expr::SetComparison(comparison) => {
                        compared_sets::value(comparison, &schema, &copies).map(Transformed::yes)
                    }
                    other => Ok(Transformed::no(other)),
                })?;
                let is_condition = filters && rewritten.data.exists(is_in)?
                    || joins && rewritten.data.exists(is_in_of_constant)?;
                let rewritten = match is_condition {
                    true => Transformed::yes(within_filter(rewritten.data, &schema, &copies)?),
                    false => rewritten,
                };
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })?;
            if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
        })
        .data()
    }
}

/// A subquery in pieces: `SELECT expr FROM input WHERE conditions`.
#[derive(Clone)]
struct Pieces {
    expr: Expr,
    input: Arc<LogicalPlan>,
    conditions: Vec<Expr>,
}

impl CorrelatedSubqueries {
    /// A subquery as a value: null without rows, an error with two.
    fn value(&self, subquery: Subquery, outer: &DFSchema, copies: &Copies) -> Result<Expr> {
        let Some(mut pieces) = take_apart(&subquery.subquery) else {
            return lone_values::with_null(subquery).data();
        };
        let moved = pieces.separate(outer)?;
        let value = match is_of_both_rows(&pieces.expr, outer) {
            true => self.of_both_rows(&pieces, &subquery, copies)?,
            false => {
                let name = subquery.subquery.schema().field(0).name().clone();
                let expr = pieces.expr.clone();
                self.single(pieces, expr, name, &subquery)?
            }
        };
        match conjunction(moved) {
            Some(condition) => when(as_columns(condition)?, value).end(),
            None => Ok(value),
        }
    }

    /// The value of `expr` for the one row that there is.
    fn single(&self, pieces: Pieces, expr: Expr, name: String, old: &Subquery) -> Result<Expr> {
        let value = Expr::AggregateFunction(AggregateFunction::new_udf(
            Arc::clone(&self.single_value),
            vec![expr],
            false,
            None,
            vec![],
            None,
        ));
        let column = |aggregate| Expr::Column(Column::new_unqualified(aggregate)).alias(name);
        pieces.aggregate(value, column, old)
    }

    /// What is made of the outer row and of the one row that there is: null if there is none.
    fn of_both_rows(&self, pieces: &Pieces, old: &Subquery, copies: &Copies) -> Result<Expr> {
        let mut named = 0;
        pieces.expr.apply(|part| {
            named += usize::from(matches!(part, Expr::Column(_)));
            Ok(TreeNodeRecursion::Continue)
        })?;
        copies.note(named, &old.subquery, &pieces.expr)?;
        let mut inner: Vec<(Column, Expr)> = Vec::new();
        for column in pieces.expr.column_refs() {
            let (column, name) = (column.clone(), column.name.clone());
            let expr = Expr::Column(column.clone());
            inner.push((column, self.single(pieces.clone(), expr, name, old)?));
        }
        let known = |column: &Column| inner.iter().find(|(known, _)| known == column);
        let made = pieces.expr.clone().transform_up(|expr| {
            Ok(match expr {
                Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
                Expr::Column(column) => match known(&column) {
                    Some((_, value)) => Transformed::yes(value.clone()),
                    None => Transformed::no(Expr::Column(column)),
                },
                other => Transformed::no(other),
            })
        });
        let column = |aggregate| {
            Expr::Column(Column::new_unqualified(aggregate)).gt(lit(0_i64)).alias("exists")
        };
        // Where no value of the one row is asked for, nothing else tells that there are several.
        let is_there = match inner.is_empty() {
            true => {
                self.single(pieces.clone(), lit(1_i64), "exists".to_owned(), old)?.is_not_null()
            }
            false => pieces.clone().aggregate(count(lit(1_i64)), column, old)?,
        };
        when(is_there, made.data()?).end()
    }
}

/// Whether an expression names columns of the outer row, and none of a row further out.
fn is_of_both_rows(expr: &Expr, outer: &DFSchema) -> bool {
    let mut known = true;
    let visited = expr.apply(|part| {
        if let Expr::OuterReferenceColumn(_, column) = part {
            known &= outer.has_column(column);
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    });
    visited.is_ok() && known && expr.contains_outer() && !has_subquery(expr)
}

pub(super) fn is_correlated(subquery: &Subquery) -> bool {
    !subquery.outer_ref_columns.is_empty()
}

fn is_in(expr: &Expr) -> Result<bool> {
    Ok(matches!(expr, Expr::InSubquery(_)))
}

fn is_in_of_constant(expr: &Expr) -> Result<bool> {
    Ok(matches!(expr, Expr::InSubquery(within) if compared_sets::is_constant(&within.expr)))
}

/// Tells whether a query gives one row whatever it reads: it aggregates all of it, or reads nothing.
pub(super) fn gives_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => gives_one_row(&projection.input),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => gives_one_row(&sort.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        _ => false,
    }
}

/// The predicate of a filter, with each `IN` as a value of which it matters whether it is false or null.
///
/// As a condition, or as an alternative of one, it does not: DataFusion makes a join of it, which marks rows. Nor does it of a
/// `NOT IN` on its own, of which DataFusion makes a join that knows nulls, unless the subquery depends on the row.
fn within_filter(predicate: Expr, row: &DFSchema, copies: &Copies) -> Result<Expr> {
    let conditions = split_conjunction_owned(predicate).into_iter().map(|condition| {
        if is_anti_join(&condition) {
            return Ok(condition);
        }
        let settled = condition.transform_down(|part| match part {
            Expr::BinaryExpr(BinaryExpr { op: Operator::And | Operator::Or, .. }) => {
                Ok(Transformed::no(part))
            }
            part if is_semi_join(&part) => {
                Ok(Transformed::new(part, false, TreeNodeRecursion::Jump))
            }
            other => {
                let made = other.transform_up(|part| match part {
                    Expr::InSubquery(within) => in_value(within, row, copies).map(Transformed::yes),
                    other => Ok(Transformed::no(other)),
                })?;
                Ok(Transformed::new(made.data, made.transformed, TreeNodeRecursion::Jump))
            }
        });
        settled.data()
    });
    let conditions = conditions.collect::<Result<Vec<_>>>()?;
    Ok(conjunction(conditions).unwrap_or_else(|| lit(true)))
}

/// Tells whether a condition is an `IN` that DataFusion makes a join of.
fn is_semi_join(condition: &Expr) -> bool {
    matches!(condition, Expr::InSubquery(within)
        if !within.negated
            && !around::asks_chosen(&within.subquery.subquery)
            && !around::limits_chosen(&within.subquery.subquery)
            && !around::hides_chosen(&within.subquery.subquery))
}

/// Tells whether a condition is a `NOT IN` over rows that are the same for all, of something that the row has: DataFusion's join
/// forgets the nulls where a constant is looked for.
fn is_anti_join(condition: &Expr) -> bool {
    let joins = |within: &InSubquery| {
        !compared_sets::is_constant(&within.expr) && !is_correlated(&within.subquery)
    };
    match condition {
        Expr::InSubquery(within) => within.negated && joins(within),
        Expr::Not(inner) => match inner.as_ref() {
            Expr::InSubquery(within) => !within.negated && joins(within),
            _ => false,
        },
        _ => false,
    }
}

/// `EXISTS` as a value that is the same for all rows: whether a count is above zero.
pub(super) fn exists_value(exists: Exists) -> Result<Expr> {
    let Exists { subquery, negated } = exists;
    // One row is enough.
    let rows = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone()).limit(0, Some(1))?;
    let input = Arc::new(rows.build()?);
    let pieces = Pieces { expr: lit(1_i64), input, conditions: Vec::new() };
    let column =
        |aggregate| Expr::Column(Column::new_unqualified(aggregate)).gt(lit(0_i64)).alias("exists");
    let value = pieces.aggregate(count(lit(1_i64)), column, &subquery)?;
    Ok(if negated { Expr::Not(Box::new(value)) } else { value })
}

/// `x IN (SELECT y ...)` as a value: true where a row has it, null where a null leaves it open, and false otherwise.
fn in_value(within: InSubquery, outer: &DFSchema, copies: &Copies) -> Result<Expr> {
    let InSubquery { expr, subquery, negated } = within;
    copies.note(2, &subquery.subquery, &expr)?;
    let (rows, column) = compared_sets::compared(&subquery.subquery)?;
    let inner = rows.schema();
    let (given, held) = (expr.get_type(outer)?, inner.field(0).data_type());
    let Some(common) = comparison_coercion(&given, held) else {
        return plan_err!("expr type {given} can't cast to {held} in InSubquery");
    };
    let cast = |expr: Expr, from: &DataType| match *from == common {
        true => expr,
        false => Expr::Cast(Cast::new(Box::new(expr), common.clone())),
    };
    let column = Expr::Column(column);
    let equal = cast(column.clone(), held).eq(cast(as_outer((*expr).clone(), outer)?, &given));
    let has_row = |condition: Option<Expr>| {
        let mut builder = LogicalPlanBuilder::from(rows.clone());
        if let Some(condition) = condition {
            builder = builder.filter(condition)?;
        }
        let plan = builder.build()?;
        let outer_ref_columns = plan.all_out_ref_exprs();
        let spans = subquery.spans.clone();
        let subquery = Subquery { subquery: Arc::new(plan), outer_ref_columns, spans };
        let exists = Exists { subquery, negated: false };
        match is_correlated(&exists.subquery) {
            true => Ok(any_row(exists).data),
            false => exists_value(exists),
        }
    };
    let unknown = lit(ScalarValue::Boolean(None));
    let mut value = when(has_row(Some(equal))?, lit(true));
    if expr.nullable(outer)? {
        value = value.when(expr.is_null().and(has_row(None)?), unknown.clone());
    }
    if inner.field(0).is_nullable() {
        value = value.when(has_row(Some(column.is_null()))?, unknown);
    }
    let value = value.otherwise(lit(false))?;
    Ok(if negated { Expr::Not(Box::new(value)) } else { value })
}

impl Pieces {
    /// Takes out the conditions that are about the outer row alone, and gives the inner columns their part in the others.
    fn separate(&mut self, outer: &DFSchema) -> Result<Vec<Expr>> {
        substitute(self)?;
        let (moved, kept) = std::mem::take(&mut self.conditions)
            .into_iter()
            .partition(|condition| is_about_outer_row(condition, outer));
        self.conditions = kept;
        Ok(moved)
    }

    /// Puts the pieces together again as one aggregate; `column` makes the result of its name.
    fn aggregate(
        self,
        value: Expr,
        column: impl FnOnce(String) -> Expr,
        old: &Subquery,
    ) -> Result<Expr> {
        let mut builder = LogicalPlanBuilder::from(Arc::unwrap_or_clone(self.input));
        if let Some(condition) = conjunction(self.conditions) {
            builder = builder.filter(condition)?;
        }
        let name = value.schema_name().to_string();
        let plan = builder
            .aggregate(Vec::<Expr>::new(), vec![value])?
            .project(vec![column(name)])?
            .build()?;
        let outer_ref_columns = plan.all_out_ref_exprs();
        Ok(Expr::ScalarSubquery(Subquery {
            subquery: Arc::new(plan),
            outer_ref_columns,
            spans: old.spans.clone(),
        }))
    }
}

/// Takes apart a select without aggregates, windows or limits; `None` for all others.
fn take_apart(plan: &LogicalPlan) -> Option<Pieces> {
    match plan {
        // The order of at most one row does not matter.
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => take_apart(&sort.input),
        LogicalPlan::Projection(projection) => {
            let [expr] = projection.expr.as_slice() else { return None };
            let (input, conditions) = match projection.input.as_ref() {
                LogicalPlan::Filter(filter) => {
                    (Arc::clone(&filter.input), split_conjunction_owned(filter.predicate.clone()))
                }
                _ => (Arc::clone(&projection.input), Vec::new()),
            };
            if matches!(
                input.as_ref(),
                LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Unnest(_)
            ) {
                return None;
            }
            Some(Pieces { expr: expr.clone().unalias(), input, conditions })
        }
        _ => None,
    }
}

/// Where `inner = outer`, the inner column stands for the outer one everywhere else.
fn substitute(pieces: &mut Pieces) -> Result<()> {
    let mut equal: Vec<(Column, Expr)> = Vec::new();
    for condition in &pieces.conditions {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else {
            continue;
        };
        match (left.as_ref(), right.as_ref()) {
            (Expr::Column(inner), Expr::OuterReferenceColumn(field, outer))
            | (Expr::OuterReferenceColumn(field, outer), Expr::Column(inner)) => {
                let held = pieces.input.schema().field_from_column(inner)?;
                let same = in_place(inner, held.data_type(), field.data_type());
                equal.push((outer.clone(), same));
            }
            _ => {}
        }
    }
    let replace = |expr: Expr| {
        expr.transform_up(|expr| match &expr {
            Expr::OuterReferenceColumn(_, column) => {
                match equal.iter().find(|(outer, _)| outer == column) {
                    Some((_, inner)) => Ok(Transformed::yes(inner.clone())),
                    None => Ok(Transformed::no(expr)),
                }
            }
            _ => Ok(Transformed::no(expr)),
        })
        .data()
    };
    for condition in &mut pieces.conditions {
        let is_equality = matches!(condition, Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right })
            if matches!((left.as_ref(), right.as_ref()),
                (Expr::Column(_), Expr::OuterReferenceColumn(..)) | (Expr::OuterReferenceColumn(..), Expr::Column(_))));
        if !is_equality && condition.contains_outer() {
            *condition = replace(condition.clone())?;
        }
    }
    if pieces.expr.contains_outer() {
        pieces.expr = replace(pieces.expr.clone())?;
    }
    Ok(())
}

/// An inner column for an outer one that it equals, in the outer one's type: 1.500 is 1.50 then, and 7.00 divides as 7 does.
fn in_place(inner: &Column, held: &DataType, wanted: &DataType) -> Expr {
    let column = Expr::Column(inner.clone());
    match held == wanted || held.is_string() && wanted.is_string() {
        true => column,
        // What does not fit equals no outer row.
        false => Expr::TryCast(TryCast::new(Box::new(column), wanted.clone())),
    }
}

/// Whether a condition names columns of the outer row and nothing else.
fn is_about_outer_row(condition: &Expr, outer: &DFSchema) -> bool {
    let mut known = true;
    let visited = condition.apply(|expr| {
        if let Expr::OuterReferenceColumn(_, column) = expr {
            // A column of a row further out is not there yet.
            known &= outer.has_column(column);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.is_ok()
        && known
        && condition.contains_outer()
        && !condition.any_column_refs()
        && !has_subquery(condition)
}

pub(super) fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
        ))
    })
    .unwrap_or(true)
}

/// The columns of a row as those that a subquery over the row names.
pub(super) fn as_outer(expr: Expr, row: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| match expr {
        Expr::Column(column) => {
            let field = Arc::clone(row.field_from_column(&column)?);
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

fn as_columns(expr: Expr) -> Result<Expr> {
    expr.transform_up(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
        other => Ok(Transformed::no(other)),
    })
    .data()
}
