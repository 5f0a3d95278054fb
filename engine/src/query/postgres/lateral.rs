//! Rows that a row before them gives, as in `FROM events e, jsonb_array_elements(e.properties -> 'items') item`.
//!
//! DataFusion joins what is `LATERAL` where conditions alone tell of the row before. A list of that row becomes rows without
//! a join: the columns of the row go along through the steps that make rows of the list.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchemaRef, JoinType, Result, TableReference};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder, Projection};
use datafusion::optimizer::AnalyzerRule;

/// The rule. It must come before those that look at subqueries.
#[derive(Debug)]
pub(super) struct LateralRows;

impl AnalyzerRule for LateralRows {
    fn name(&self) -> &str {
        "lateral_rows"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
                Ok(match joined(&join)? {
                    Some(plan) => Transformed::yes(plan),
                    None => Transformed::no(LogicalPlan::Join(join)),
                })
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

/// A join with rows that its left side gives; `None` for all others.
fn joined(join: &Join) -> Result<Option<LogicalPlan>> {
    let (subquery, alias) = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(alias) => match alias.input.as_ref() {
            LogicalPlan::Subquery(subquery) => (subquery, Some(&alias.alias)),
            _ => return Ok(None),
        },
        LogicalPlan::Subquery(subquery) => (subquery, None),
        _ => return Ok(None),
    };
    let found = match alias {
        Some(alias) => called(&subquery.subquery, &join.left, alias)?,
        None => along(&subquery.subquery, &join.left)?,
    };
    let Some(plan) = found else { return Ok(None) };
    let equal = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    match conjunction(equal.chain(join.filter.clone())) {
        Some(condition) => Ok(Some(LogicalPlanBuilder::from(plan).filter(condition)?.build()?)),
        None => Ok(Some(plan)),
    }
}

/// The same as [`along`] with the name of the relation that the subquery is. Its columns get it at once: without it a column
/// of the row before could have the same name.
fn called(
    plan: &LogicalPlan,
    row: &Arc<LogicalPlan>,
    alias: &TableReference,
) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::Subquery(subquery) => called(&subquery.subquery, row, alias),
        LogicalPlan::Projection(projection) => match along(&projection.input, row)? {
            Some(input) => projected(projection, input, row, Some(alias)),
            None => Ok(None),
        },
        other => match along(other, row)? {
            Some(plan) => renamed(plan, row.schema(), alias).map(Some),
            None => Ok(None),
        },
    }
}

/// A subquery of one row with the columns of the row before in front of its own; `None` where it reads anything.
fn along(plan: &LogicalPlan, row: &Arc<LogicalPlan>) -> Result<Option<LogicalPlan>> {
    let input = match plan {
        LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => {
            return Ok(Some(row.as_ref().clone()));
        }
        LogicalPlan::Projection(projection) => &projection.input,
        LogicalPlan::SubqueryAlias(alias) => return called(&alias.input, row, &alias.alias),
        LogicalPlan::Subquery(subquery) => return along(&subquery.subquery, row),
        LogicalPlan::Filter(filter) => &filter.input,
        LogicalPlan::Unnest(unnest) => &unnest.input,
        _ => return Ok(None),
    };
    let Some(input) = along(input, row)? else { return Ok(None) };
    Ok(Some(match plan {
        LogicalPlan::Projection(projection) => return projected(projection, input, row, None),
        LogicalPlan::Filter(filter) => {
            let condition = of_row(filter.predicate.clone(), row.schema())?;
            LogicalPlanBuilder::from(input).filter(condition)?.build()?
        }
        LogicalPlan::Unnest(unnest) => {
            let (lists, options) = (unnest.exec_columns.clone(), unnest.options.clone());
            LogicalPlanBuilder::from(input).unnest_columns_with_options(lists, options)?.build()?
        }
        _ => return Ok(None),
    }))
}

/// A projection behind the columns of the row before; `None` where a name would mean two columns.
fn projected(
    projection: &Projection,
    input: LogicalPlan,
    row: &Arc<LogicalPlan>,
    alias: Option<&TableReference>,
) -> Result<Option<LogicalPlan>> {
    let mut columns = columns_of(row.schema());
    for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
        let expr = of_row(expr.clone(), row.schema())?;
        columns.push(match alias {
            Some(alias) => expr.alias_qualified(Some(alias.clone()), field.name()),
            None => expr,
        });
    }
    Ok(Projection::try_new(columns, Arc::new(input)).ok().map(LogicalPlan::Projection))
}

fn columns_of(schema: &DFSchemaRef) -> Vec<Expr> {
    schema.columns().into_iter().map(Expr::Column).collect()
}

/// Gives the columns behind those of the row before the name of a relation.
fn renamed(plan: LogicalPlan, row: &DFSchemaRef, alias: &TableReference) -> Result<LogicalPlan> {
    let mut columns = plan.schema().columns();
    let own = columns.split_off(row.fields().len().min(columns.len()));
    let mut columns: Vec<Expr> = columns.into_iter().map(Expr::Column).collect();
    columns.extend(own.into_iter().map(|column| {
        let name = column.name.clone();
        Expr::Column(column).alias_qualified(Some(alias.clone()), name)
    }));
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
}

/// The columns of the row before are there now.
fn of_row(expr: Expr, row: &DFSchemaRef) -> Result<Expr> {
    let name = NamePreserver::new_for_projection().save(&expr);
    let expr = expr.transform_up(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) if row.has_column(&column) => {
            Ok(Transformed::yes(Expr::Column(column)))
        }
        other => Ok(Transformed::no(other)),
    });
    Ok(name.restore(expr.data()?))
}
