//! Values within a subquery that depend on a row further out alone: for each row of `t`, the inner one of `(SELECT k.oid FROM
//! pg_class k WHERE k.relname = t.name AND k.relnamespace = (SELECT s.oid FROM pg_namespace s WHERE s.nspname = t.schema))`.
//!
//! DataFusion takes a subquery for one of the row next to it. Such a value is the same for all rows that the subquery around it
//! reads, so that it becomes a column of the row that it depends on.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DFSchemaRef, Result, TableReference};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, Subquery};
use datafusion::optimizer::AnalyzerRule;

use super::applied::around;
use super::subqueries::has_subquery;

/// The relation of the values: no text of a statement has such a name.
const VALUES: &str = "\u{1}lifted";

/// The rule. It must come before those that make something of subqueries, and after those that move them.
#[derive(Debug)]
pub(super) struct LiftedValues;

impl AnalyzerRule for LiftedValues {
    fn name(&self) -> &str {
        "lifted_values"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_down_with_subqueries(|node| {
            let lifted = match &node {
                LogicalPlan::Projection(projection) if projection.expr.iter().any(is_deep) => {
                    shown(projection)?
                }
                LogicalPlan::Filter(filter) if is_deep(&filter.predicate) => {
                    kept(&filter.input, &filter.predicate)?
                }
                _ => None,
            };
            Ok(lifted.map_or_else(|| Transformed::no(node), Transformed::yes))
        })
        .data()
    }
}

/// A projection over rows that have the values; `None` if there are none.
fn shown(projection: &Projection) -> Result<Option<LogicalPlan>> {
    let (row, names) = (projection.input.schema(), NamePreserver::new_for_projection());
    let mut values = Vec::new();
    let exprs = projection.expr.iter().map(|expr| {
        let name = names.save(expr);
        Ok(name.restore(without_values(expr.clone(), row, &mut values)?))
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    if values.is_empty() {
        return Ok(None);
    }
    let input = with_values(&projection.input, values)?;
    Ok(Some(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?)))
}

/// The rows that fulfil a condition, which have the values while they are asked; `None` if there are none.
fn kept(input: &LogicalPlan, predicate: &Expr) -> Result<Option<LogicalPlan>> {
    let mut values = Vec::new();
    let predicate = without_values(predicate.clone(), input.schema(), &mut values)?;
    if values.is_empty() {
        return Ok(None);
    }
    let columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let kept = LogicalPlanBuilder::from(with_values(input, values)?).filter(predicate)?;
    kept.project(columns)?.build().map(Some)
}

fn with_values(input: &LogicalPlan, values: Vec<Expr>) -> Result<LogicalPlan> {
    let columns = input.schema().columns().into_iter().map(Expr::Column).chain(values);
    LogicalPlanBuilder::from(input.clone()).project(columns)?.build()
}

/// Tells whether an expression holds a subquery with subqueries of its own.
fn is_deep(expr: &Expr) -> bool {
    let is_such = |part: &Expr| match around::subquery_of(part) {
        Some(subquery) => holds_subqueries(&subquery.subquery),
        None => Ok(false),
    };
    expr.exists(is_such).unwrap_or(false)
}

fn holds_subqueries(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| {
        let mut found = false;
        node.apply_expressions(|expr| {
            found |= has_subquery(expr);
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    })
}

/// An expression of a row whose subqueries name the columns that values of the row become.
fn without_values(expr: Expr, row: &DFSchema, values: &mut Vec<Expr>) -> Result<Expr> {
    let replaced = expr.transform_up(|part| {
        Ok(match part {
            Expr::ScalarSubquery(subquery) => {
                within(subquery, row, values)?.update_data(Expr::ScalarSubquery)
            }
            Expr::Exists(Exists { subquery, negated }) => within(subquery, row, values)?
                .update_data(|subquery| Expr::Exists(Exists { subquery, negated })),
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                let of = |subquery| Expr::InSubquery(InSubquery { expr, subquery, negated });
                within(subquery, row, values)?.update_data(of)
            }
            other => Transformed::no(other),
        })
    });
    replaced.data()
}

fn within(
    subquery: Subquery,
    row: &DFSchema,
    values: &mut Vec<Expr>,
) -> Result<Transformed<Subquery>> {
    let plan = subquery.subquery.as_ref().clone();
    let plan = plan.transform_down(|node| {
        // What is made of a row within the subquery may name that row.
        if matches!(node, LogicalPlan::Subquery(_)) {
            return Ok(Transformed::new(node, false, TreeNodeRecursion::Jump));
        }
        let inputs: Vec<DFSchemaRef> =
            node.inputs().into_iter().map(|input| Arc::clone(input.schema())).collect();
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let replaced = expr.transform_down(|part| Ok(reference(part, row, &inputs, values)))?;
            Ok(replaced.update_data(|expr| name.restore(expr)))
        })?;
        if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
    })?;
    if !plan.transformed {
        return Ok(Transformed::no(subquery));
    }
    let (subquery, spans) = (Arc::new(plan.data), subquery.spans);
    let outer_ref_columns = subquery.all_out_ref_exprs();
    Ok(Transformed::yes(Subquery { subquery, outer_ref_columns, spans }))
}

/// The column that a value becomes, in its place, if it depends on the row alone and on none of the rows beside it.
fn reference(
    part: Expr,
    row: &DFSchema,
    beside: &[DFSchemaRef],
    values: &mut Vec<Expr>,
) -> Transformed<Expr> {
    let field = match &part {
        Expr::ScalarSubquery(subquery) => {
            let field = subquery.subquery.schema().field(0);
            Field::new("value", field.data_type().clone(), true)
                .with_metadata(field.metadata().clone())
        }
        Expr::Exists(_) => Field::new("value", DataType::Boolean, false),
        _ => return Transformed::no(part),
    };
    let taken = around::subquery_of(&part).map(|subquery| around::taken(&subquery.subquery));
    let taken = taken.unwrap_or_default();
    let is_of_row = |column: &Column| {
        row.has_column(column) && !beside.iter().any(|input| input.has_column(column))
    };
    if taken.is_empty() || !taken.iter().all(is_of_row) {
        return Transformed::no(part);
    }
    let relation = TableReference::bare(VALUES);
    let name = format!("value_{}", values.len());
    let column = Column::new(Some(relation.clone()), &name);
    values.push(part.alias_qualified(Some(relation), &name));
    Transformed::yes(Expr::OuterReferenceColumn(Arc::new(field), column))
}
