//! Correlated subqueries used as expressions, in the form that DataFusion can make a join of.
//!
//! DataFusion takes such a subquery where it is an aggregate, and where each condition on the outer row is an equality.
//! PostgreSQL takes any. This rule closes most of the gap without changing an answer:
//! a subquery that may give several rows goes through [`single_value`](super::functions()), which fails on the second row as
//! SQL demands; a condition on the outer row alone moves out of it into a `CASE`; and where an inner column equals an
//! outer one, the inner column stands for it in the other conditions. `EXISTS` outside a filter becomes a count, and so does
//! `IN`.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{
    Column, DFSchema, ExprSchema, Result, ScalarValue, internal_err, plan_err,
};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::binary::comparison_coercion;
use datafusion::logical_expr::expr::{AggregateFunction, Cast, Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction_owned};
use datafusion::logical_expr::{
    AggregateUDF, BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator,
    Subquery, lit, when,
};
use datafusion::optimizer::AnalyzerRule;

use super::functions;

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
        plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            let shown = matches!(node, LogicalPlan::Projection(_));
            let node = node.map_expressions(|expr| {
                let name = names.save(&expr);
                let rewritten = expr.transform_up(|expr| match expr {
                    Expr::ScalarSubquery(subquery) if !subquery.outer_ref_columns.is_empty() => {
                        self.value(subquery, &schema).map(Transformed::yes)
                    }
                    // In a filter it becomes a semi-join; as a value it is a count.
                    Expr::Exists(exists) if shown => {
                        exists_value(exists, &schema).map(Transformed::yes)
                    }
                    Expr::InSubquery(within) if shown => {
                        in_value(within, &schema).map(Transformed::yes)
                    }
                    other => Ok(Transformed::no(other)),
                })?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })?;
            if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
        })
        .data()
    }
}

/// A subquery in pieces: `SELECT expr FROM input WHERE conditions`.
struct Pieces {
    expr: Expr,
    input: Arc<LogicalPlan>,
    conditions: Vec<Expr>,
}

impl CorrelatedSubqueries {
    /// A subquery as a value: null without rows, an error with two.
    fn value(&self, subquery: Subquery, outer: &DFSchema) -> Result<Expr> {
        let Some(mut pieces) = take_apart(&subquery.subquery) else {
            return Ok(Expr::ScalarSubquery(subquery));
        };
        let moved = pieces.separate(outer)?;
        let value = Expr::AggregateFunction(AggregateFunction::new_udf(
            Arc::clone(&self.single_value),
            vec![pieces.expr.clone()],
            false,
            None,
            vec![],
            None,
        ));
        let name = subquery.subquery.schema().field(0).name().clone();
        let column = |aggregate| Expr::Column(Column::new_unqualified(aggregate)).alias(name);
        let value = pieces.aggregate(value, column, &subquery)?;
        match conjunction(moved) {
            Some(condition) => when(as_columns(condition)?, value).end(),
            None => Ok(value),
        }
    }
}

/// `EXISTS` as a value: whether a count is above zero.
fn exists_value(exists: Exists, outer: &DFSchema) -> Result<Expr> {
    let subquery = exists.subquery;
    let whole = || Pieces {
        expr: lit(1_i64),
        input: Arc::clone(&subquery.subquery),
        conditions: Vec::new(),
    };
    let mut pieces = take_apart(&subquery.subquery).unwrap_or_else(whole);
    let moved = pieces.separate(outer)?;
    let column =
        |aggregate| Expr::Column(Column::new_unqualified(aggregate)).gt(lit(0_i64)).alias("exists");
    let mut value = pieces.aggregate(count(lit(1_i64)), column, &subquery)?;
    if let Some(condition) = conjunction(moved) {
        value = when(as_columns(condition)?, value).otherwise(lit(false))?;
    }
    Ok(if exists.negated { Expr::Not(Box::new(value)) } else { value })
}

/// `x IN (SELECT y ...)` as a value: true where a row has it, null where a null leaves it open, and false otherwise.
fn in_value(within: InSubquery, outer: &DFSchema) -> Result<Expr> {
    let InSubquery { expr, subquery, negated } = within;
    let inner = subquery.subquery.schema();
    let Some(column) = inner.columns().into_iter().next() else {
        return internal_err!("a subquery of IN has a column");
    };
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
        let mut builder = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone());
        if let Some(condition) = condition {
            builder = builder.filter(condition)?;
        }
        let plan = builder.build()?;
        let outer_ref_columns = plan.all_out_ref_exprs();
        let spans = subquery.spans.clone();
        let subquery = Subquery { subquery: Arc::new(plan), outer_ref_columns, spans };
        exists_value(Exists { subquery, negated: false }, outer)
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
    let mut equal: Vec<(Column, Column)> = Vec::new();
    for condition in &pieces.conditions {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else {
            continue;
        };
        match (left.as_ref(), right.as_ref()) {
            (Expr::Column(inner), Expr::OuterReferenceColumn(_, outer))
            | (Expr::OuterReferenceColumn(_, outer), Expr::Column(inner)) => {
                equal.push((outer.clone(), inner.clone()))
            }
            _ => {}
        }
    }
    let replace = |expr: Expr| {
        expr.transform_up(|expr| match &expr {
            Expr::OuterReferenceColumn(_, column) => {
                match equal.iter().find(|(outer, _)| outer == column) {
                    Some((_, inner)) => Ok(Transformed::yes(Expr::Column(inner.clone()))),
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

/// Whether a condition names columns of the outer row and nothing else.
fn is_about_outer_row(condition: &Expr, outer: &DFSchema) -> bool {
    let mut known = true;
    let visited = condition.apply(|expr| {
        if let Expr::OuterReferenceColumn(_, column) = expr {
            // A column of a row further out is not there yet.
            known &= outer.has_column(column);
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    });
    visited.is_ok()
        && known
        && condition.contains_outer()
        && !condition.any_column_refs()
        && !has_subquery(condition)
}

fn has_subquery(expr: &Expr) -> bool {
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
fn as_outer(expr: Expr, row: &DFSchema) -> Result<Expr> {
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
