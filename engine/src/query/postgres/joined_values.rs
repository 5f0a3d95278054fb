//! Subqueries that depend on the row, in the conditions of joins: `t LEFT JOIN a ON a.id = (SELECT c.id FROM c WHERE c.name =
//! t.name)`, or with `EXISTS`.
//!
//! DataFusion takes such subqueries in projections, filters and aggregates alone. A condition of an inner join is a filter of its
//! rows. In other joins what depends on the rows of one side is a column of that side, and the join shows no more columns than
//! before.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, JoinType, Result, TableReference};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, Subquery};
use datafusion::optimizer::AnalyzerRule;

use super::applied::around;
use super::functions::failure;
use super::subqueries::is_correlated;
use crate::error::Error;

/// The relation of the values: no text of a statement has such a name.
const VALUES: &str = "\u{1}joined";

/// The rule. It must come before those that rewrite subqueries of filters and projections.
#[derive(Debug)]
pub(super) struct JoinedValues;

impl AnalyzerRule for JoinedValues {
    fn name(&self) -> &str {
        "joined_values"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) if join.filter.as_ref().is_some_and(has_subquery) => {
                match join.join_type {
                    JoinType::Inner => filtered(join),
                    JoinType::Left | JoinType::Right | JoinType::Full => values_first(join),
                    _ => Ok(Transformed::no(LogicalPlan::Join(join))),
                }
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

/// The subquery that an expression is made of, if it depends on the row.
fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    around::subquery_of(expr).filter(|subquery| is_correlated(subquery))
}

fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|part| Ok(subquery_of(part).is_some())).unwrap_or(false)
}

/// Puts the conditions with subqueries above the join.
fn filtered(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let conditions = join.filter.take().map(split_conjunction_owned).unwrap_or_default();
    let (above, within): (Vec<Expr>, Vec<Expr>) = conditions.into_iter().partition(has_subquery);
    join.filter = conjunction(within);
    let joined = LogicalPlan::Join(join);
    Ok(Transformed::yes(match conjunction(above) {
        Some(above) => LogicalPlan::Filter(Filter::try_new(above, Arc::new(joined))?),
        None => joined,
    }))
}

/// Works the values out below the join.
fn values_first(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let Some(filter) = join.filter.take() else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    let (mut of_left, mut of_right, mut count) = (Vec::new(), Vec::new(), 0);
    let filter = filter.transform_up(|part| {
        let is_value = matches!(part, Expr::ScalarSubquery(_) | Expr::Exists(_));
        let Some(subquery) = subquery_of(&part).filter(|_| is_value) else {
            return Ok(Transformed::no(part));
        };
        let values = if depends_on(subquery, join.left.schema()) {
            &mut of_left
        } else if depends_on(subquery, join.right.schema()) {
            &mut of_right
        } else {
            return Ok(Transformed::no(part));
        };
        let (relation, name) = (TableReference::bare(VALUES), format!("value_{count}"));
        count += 1;
        values.push(part.alias_qualified(Some(relation.clone()), &name));
        Ok(Transformed::yes(Expr::Column(Column::new(Some(relation), name))))
    });
    let filter = filter.data()?;
    let is_stuck =
        |part: &Expr| subquery_of(part).is_some_and(|subquery| depends_on(subquery, &join.schema));
    if filter.exists(|part| Ok(is_stuck(part)))? {
        return Err(failure(Error::Unsupported {
            what: "a subquery of this kind in the condition of an outer join".into(),
            hint: "Join the relation that it reads first, or keep the condition to WHERE.".into(),
        }));
    }
    if of_left.is_empty() && of_right.is_empty() {
        join.filter = Some(filter);
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let shown: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
    let joined = Join::try_new(
        with_values(join.left, of_left)?,
        with_values(join.right, of_right)?,
        join.on,
        Some(filter),
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let joined = LogicalPlanBuilder::from(LogicalPlan::Join(joined)).project(shown)?.build()?;
    Ok(Transformed::yes(joined))
}

/// Tells whether all that a subquery takes from around it is of one relation.
fn depends_on(subquery: &Subquery, schema: &DFSchema) -> bool {
    subquery.outer_ref_columns.iter().all(|outer| match outer {
        Expr::OuterReferenceColumn(_, column) => schema.has_column(column),
        _ => false,
    })
}

fn with_values(plan: Arc<LogicalPlan>, values: Vec<Expr>) -> Result<Arc<LogicalPlan>> {
    if values.is_empty() {
        return Ok(plan);
    }
    let columns = plan.schema().columns().into_iter().map(Expr::Column);
    let columns: Vec<Expr> = columns.chain(values).collect();
    let plan = LogicalPlanBuilder::from(Arc::unwrap_or_clone(plan)).project(columns)?.build()?;
    Ok(Arc::new(plan))
}
