//! Subqueries that depend on the row, in the conditions of joins: `t LEFT JOIN a ON a.id = (SELECT c.id FROM c WHERE c.name =
//! t.name)`, or with `EXISTS`.
//!
//! DataFusion takes such subqueries in projections, filters and aggregates alone. A condition of an inner join is a filter of its
//! rows. In other joins what depends on the rows of one side is a column of that side, and the join shows no more columns than
//! before. So it is with `x IN (SELECT ...)` of any rows, unless it is a condition on the rows of the one side that the join may
//! leave out: that becomes a join of its own.
//!
//! Within a subquery, what an inner join demands of the row around chooses rows of the subquery: it becomes a condition of these,
//! where DataFusion looks for such conditions. So it is with `EXISTS (SELECT 1 FROM a JOIN b ON b.id = t.id)`.

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
            LogicalPlan::Join(mut join) => {
                let around = taken_around(&mut join)?;
                let joined = match join.join_type {
                    _ if !join.filter.as_ref().is_some_and(has_subquery) => {
                        Transformed::no(LogicalPlan::Join(join))
                    }
                    JoinType::Inner => filtered(join)?,
                    JoinType::Left | JoinType::Right | JoinType::Full => values_first(join)?,
                    _ => Transformed::no(LogicalPlan::Join(join)),
                };
                Ok(match conjunction(around) {
                    Some(around) => {
                        let chosen = Filter::try_new(around, Arc::new(joined.data))?;
                        Transformed::yes(LogicalPlan::Filter(chosen))
                    }
                    None => joined,
                })
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

/// Takes the conditions on the row around out of a join that keeps no row which they do not choose: those of an inner one, and
/// those that were taken out of the join on its left side.
fn taken_around(join: &mut Join) -> Result<Vec<Expr>> {
    let mut around = Vec::new();
    if join.join_type == JoinType::Inner
        && let Some(filter) = join.filter.take_if(|filter| filter.contains_outer())
    {
        let (outer, within) = by_row_around(filter);
        around.extend(outer);
        join.filter = conjunction(within);
    }
    if matches!(join.join_type, JoinType::Inner | JoinType::Left)
        && let LogicalPlan::Filter(filter) = join.left.as_ref()
        && matches!(filter.input.as_ref(), LogicalPlan::Join(_))
        && filter.predicate.contains_outer()
    {
        let (outer, within) = by_row_around(filter.predicate.clone());
        around.extend(outer);
        let input = Arc::clone(&filter.input);
        join.left = match conjunction(within) {
            Some(within) => Arc::new(LogicalPlan::Filter(Filter::try_new(within, input)?)),
            None => input,
        };
    }
    Ok(around)
}

/// The conditions on the row around among those that are to be true together, and the others.
fn by_row_around(filter: Expr) -> (Vec<Expr>, Vec<Expr>) {
    split_conjunction_owned(filter).into_iter().partition(Expr::contains_outer)
}

/// The subquery that an expression is made of, if it depends on the row.
fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    around::subquery_of(expr).filter(|subquery| is_correlated(subquery))
}

fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|part| Ok(subquery_of(part).is_some() || is_in(part))).unwrap_or(false)
}

fn is_in(part: &Expr) -> bool {
    matches!(part, Expr::InSubquery(_))
}

/// What is looked for among the rows of a subquery, where that is the whole of a condition that does not depend on the row.
fn looked_for(condition: &Expr) -> Option<&Expr> {
    let condition = match condition {
        Expr::Not(inner) => inner.as_ref(),
        other => other,
    };
    match condition {
        Expr::InSubquery(within) if !is_correlated(&within.subquery) => Some(&within.expr),
        _ => None,
    }
}

/// Tells whether a condition is one of which DataFusion makes a join of its own, below an outer join or beside an inner one.
fn is_join(condition: &Expr, join: &Join) -> bool {
    let Some(value) = looked_for(condition) else { return false };
    let columns = value.column_refs();
    let is_of = |side: &LogicalPlan| {
        !columns.is_empty() && columns.iter().all(|column| side.schema().has_column(column))
    };
    match join.join_type {
        JoinType::Left => is_of(&join.right),
        JoinType::Right => is_of(&join.left),
        JoinType::Inner => true,
        _ => false,
    }
}

/// Puts the conditions with subqueries above the join.
fn filtered(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let conditions = join.filter.take().map(split_conjunction_owned).unwrap_or_default();
    let (above, within): (Vec<Expr>, Vec<Expr>) = conditions
        .into_iter()
        .partition(|condition| has_subquery(condition) && !is_join(condition, &join));
    if above.is_empty() {
        join.filter = conjunction(within);
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
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
    let conditions = split_conjunction_owned(filter).into_iter().map(|condition| {
        if is_join(&condition, &join) {
            return Ok(condition);
        }
        let settled = condition.transform_up(|part| {
            let (subquery, value) = match &part {
                Expr::InSubquery(within) => (Some(&within.subquery), Some(&within.expr)),
                Expr::ScalarSubquery(_) | Expr::Exists(_) => (subquery_of(&part), None),
                _ => (None, None),
            };
            let Some(subquery) = subquery else { return Ok(Transformed::no(part)) };
            let is_of = |schema: &DFSchema| {
                let columns = value.map(|value| value.column_refs()).unwrap_or_default();
                depends_on(subquery, schema)
                    && columns.into_iter().all(|column| schema.has_column(column))
            };
            let values = if is_of(join.left.schema()) {
                &mut of_left
            } else if is_of(join.right.schema()) {
                &mut of_right
            } else {
                return Ok(Transformed::no(part));
            };
            let (relation, name) = (TableReference::bare(VALUES), format!("value_{count}"));
            count += 1;
            values.push(part.alias_qualified(Some(relation.clone()), &name));
            Ok(Transformed::yes(Expr::Column(Column::new(Some(relation), name))))
        });
        settled.data()
    });
    let conditions = conditions.collect::<Result<Vec<_>>>()?;
    let Some(filter) = conjunction(conditions) else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
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
