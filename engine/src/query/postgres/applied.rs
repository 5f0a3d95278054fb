//! Subqueries of a row that DataFusion makes no join of: `LATERAL` with an order and a limit, and values such as
//! `(SELECT count(*) FROM emp x WHERE x.salary > e.salary)`.
//!
//! DataFusion takes conditions on the row out of a subquery, and what is left has to be the same for all rows. That fails of an
//! aggregate with any condition but an equality, of a limit, of windows, of the side of an outer join that may be missing, and of
//! lists that the row gives, and of unions. Here the rows around the subquery are numbered first and joined with the rows that
//! they see; aggregates are then grouped by the number, windows parted by it, and limits count within it (`rows`). What
//! DataFusion can do is left to it.

pub(super) mod around;
mod rows;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, JoinType, Result, TableReference};
use datafusion::functions_aggregate::expr_fn::count as counted;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, Projection, Subquery, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::decorrelate::PullUpCorrelatedExpr;
use datafusion::optimizer::utils::evaluates_to_null;

use self::rows::Rows;
use super::copies::Copies;
use super::functions::{failure, single};
use super::lateral::is_always;
use super::subqueries::{has_subquery, is_correlated};
use crate::error::Error;

/// The relation of values that subqueries gave: no text of a statement has such a name.
const VALUES: &str = "\u{1}values";

/// Of what DataFusion complains where it knows no join for a subquery.
const MADE: [&str; 2] = ["scalar subquery must be aggregated", "single expression required"];

/// The rule. It must come before DataFusion's own, and after those that change the shape of subqueries.
#[derive(Debug)]
pub(super) struct AppliedRows;

impl AnalyzerRule for AppliedRows {
    fn name(&self) -> &str {
        "applied_rows"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let filtered = plan.transform_down_with_subqueries(|node| match node {
            LogicalPlan::Filter(filter) => filtered_first(filter),
            other => Ok(Transformed::no(other)),
        });
        let plan = filtered.data()?;
        let copies = Copies::new();
        let applied = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join)
                if matches!(join.join_type, JoinType::Inner | JoinType::Left) =>
            {
                Ok(match lateral(&join, &copies)? {
                    Some(plan) => Transformed::yes(plan),
                    None => Transformed::no(LogicalPlan::Join(join)),
                })
            }
            LogicalPlan::Projection(projection) if projection.expr.iter().any(has_stuck) => {
                let mut input = Arc::unwrap_or_clone(projection.input);
                let expr = named(projection.expr, &mut input, &mut 0, &copies)?;
                let projection = Projection::try_new(expr, Arc::new(input))?;
                Ok(Transformed::yes(LogicalPlan::Projection(projection)))
            }
            LogicalPlan::Aggregate(aggregate)
                if aggregate.group_expr.iter().chain(&aggregate.aggr_expr).any(has_stuck) =>
            {
                let (mut input, mut count) = (Arc::unwrap_or_clone(aggregate.input), 0);
                let groups = named(aggregate.group_expr, &mut input, &mut count, &copies)?;
                let values = named(aggregate.aggr_expr, &mut input, &mut count, &copies)?;
                let aggregate = Aggregate::try_new(Arc::new(input), groups, values)?;
                Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
            }
            LogicalPlan::Filter(filter) if has_stuck(&filter.predicate) => {
                let columns = filter.input.schema().columns().into_iter().map(Expr::Column);
                let columns: Vec<Expr> = columns.collect();
                let mut input = Arc::unwrap_or_clone(filter.input);
                let predicate = with_values(filter.predicate, &mut input, &mut 0, &copies)?;
                let kept = LogicalPlanBuilder::from(input).filter(predicate)?;
                Ok(Transformed::yes(kept.project(columns)?.build()?))
            }
            other => Ok(Transformed::no(other)),
        });
        let plan = applied.data()?;
        check_values(&plan)?;
        Ok(plan)
    }
}

/// Refuses values of subqueries that are left where nothing here takes them, and of which DataFusion would make others.
fn check_values(plan: &LogicalPlan) -> Result<()> {
    let is_wrong = |expr: &Expr| {
        expr.exists(|part| {
            Ok(matches!(part, Expr::ScalarSubquery(subquery)
                if is_correlated(subquery) && around::counts_chosen(&subquery.subquery)))
        })
    };
    let mut wrong = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            wrong = wrong || is_wrong(expr)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if wrong { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if wrong { Err(failure(unsupported())) } else { Ok(()) }
}

/// Refuses an optimized plan with subqueries that nothing made a join of, which cannot run.
///
/// # Errors
/// [`Error::Unsupported`].
pub(in crate::query) fn check_joined(optimized: &LogicalPlan) -> crate::error::Result<()> {
    if holds_row_around(optimized)? { Err(unsupported()) } else { Ok(()) }
}

/// What a failure of the optimizer means where a plan holds subqueries of a row: it is about what was made of them, and names
/// nothing that the statement does.
pub(in crate::query) fn of_subqueries(error: DataFusionError, plan: &LogicalPlan) -> Error {
    let is_of_made = match error.find_root() {
        DataFusionError::SchemaError(..) | DataFusionError::Internal(_) => true,
        DataFusionError::Plan(message) => MADE.iter().any(|words| message.contains(words)),
        _ => false,
    };
    if is_of_made && holds_row_around(plan).unwrap_or(false) { unsupported() } else { error.into() }
}

/// Tells whether a plan holds subqueries that depend on a row around them.
fn holds_row_around(plan: &LogicalPlan) -> Result<bool> {
    let is_such = |expr: &Expr| {
        expr.exists(|part| {
            Ok(match part {
                Expr::ScalarSubquery(subquery) => is_correlated(subquery),
                Expr::Exists(exists) => is_correlated(&exists.subquery),
                Expr::InSubquery(within) => is_correlated(&within.subquery),
                _ => false,
            })
        })
    };
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found = found || matches!(node, LogicalPlan::Subquery(subquery) if is_correlated(subquery));
        node.apply_expressions(|expr| {
            found = found || is_such(expr)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn unsupported() -> Error {
    Error::Unsupported {
        what: "a subquery that depends on the row around it in this way".into(),
        hint: "Join the relation and group or filter the rows that come of it, or keep conditions on the row around to the WHERE of the subquery."
            .into(),
    }
}

/// Tells whether an expression holds a subquery that DataFusion makes no join of.
fn has_stuck(expr: &Expr) -> bool {
    let found = expr.exists(|part| match part {
        Expr::ScalarSubquery(subquery) => Ok(is_stuck_value(subquery)),
        Expr::Exists(exists) => Ok(is_stuck_exists(&exists.subquery)),
        _ => Ok(false),
    });
    found.unwrap_or(false)
}

/// The same of `EXISTS`, which others make a join of: not where it reads relations that are made of the row around it, or counts
/// the rows that this one sees.
fn is_stuck_exists(subquery: &Subquery) -> bool {
    let plan = &subquery.subquery;
    is_correlated(subquery)
        && (!around::taken_by_relations(plan).is_empty()
            || around::asks_chosen(plan)
            || around::asks_groups(plan) && !asks_of_join(plan))
}

/// Tells whether DataFusion asks of a join whether a subquery has rows.
fn asks_of_join(plan: &LogicalPlan) -> bool {
    let mut pulled = PullUpCorrelatedExpr::new().with_exists_sub_query(true);
    plan.clone().rewrite(&mut pulled).is_ok() && pulled.can_pull_up
}

/// Tells whether DataFusion makes no join of a relation that depends on the row before it. Conditions that it takes out of a query
/// in `FROM` keep the names that their columns have there.
fn is_stuck(subquery: &Subquery) -> bool {
    is_correlated(subquery)
        && (around::renames_chosen(&subquery.subquery) || !pulls_up(&subquery.subquery))
}

/// The same of a value, which is an error where there are several.
fn is_stuck_value(subquery: &Subquery) -> bool {
    is_correlated(subquery)
        && (around::gives_groups(&subquery.subquery) || !pulls_up(&subquery.subquery))
}

/// Tells whether DataFusion takes the conditions on the row around it out of a subquery, and may: not out of a relation within it
/// that depends on the row, such as a list, and not from below what is made of the rows that they choose.
fn pulls_up(plan: &LogicalPlan) -> bool {
    let is_relation = |node: &LogicalPlan| Ok(matches!(node, LogicalPlan::Subquery(_)));
    if plan.exists(is_relation).unwrap_or(true) || around::shows_chosen(plan) {
        return false;
    }
    let mut pulled = PullUpCorrelatedExpr::new().with_need_handle_count_bug(true);
    let is_pulled = plan.clone().rewrite(&mut pulled).is_ok() && pulled.can_pull_up;
    is_pulled && !fails_without_rows(&pulled)
}

/// Tells whether what is made of aggregates fails where there are no rows, as `1 / count(*)` does: DataFusion works it out for
/// every statement, also if no row comes to it.
fn fails_without_rows(pulled: &PullUpCorrelatedExpr) -> bool {
    pulled.collected_count_expr_map.values().flat_map(|found| found.values()).any(|value| {
        evaluates_to_null(value.clone(), value.column_refs()).is_err_and(|error| {
            let root = error.find_root();
            matches!(root, DataFusionError::ArrowError(..) | DataFusionError::External(_))
        })
    })
}

/// Puts columns in the place of subqueries, which are joined to `input`; `count` tells the columns apart.
fn named(
    exprs: Vec<Expr>,
    input: &mut LogicalPlan,
    count: &mut usize,
    copies: &Copies,
) -> Result<Vec<Expr>> {
    let names = NamePreserver::new_for_projection();
    let exprs = exprs.into_iter().map(|expr| {
        if !has_stuck(&expr) {
            return Ok(expr);
        }
        let name = names.save(&expr);
        Ok(name.restore(with_values(expr, input, count, copies)?))
    });
    exprs.collect()
}

/// The same with one expression, which may have another name then.
fn with_values(
    expr: Expr,
    input: &mut LogicalPlan,
    count: &mut usize,
    copies: &Copies,
) -> Result<Expr> {
    let replaced = expr.transform_up(|part| match part {
        Expr::ScalarSubquery(subquery) if is_stuck_value(&subquery) => {
            Ok(match with_value(&subquery.subquery, input, count, copies)? {
                Some(value) => Transformed::yes(value),
                None if around::counts_chosen(&subquery.subquery) => {
                    return Err(failure(unsupported()));
                }
                None => Transformed::no(Expr::ScalarSubquery(subquery)),
            })
        }
        Expr::Exists(exists) if is_stuck_exists(&exists.subquery) => {
            let rows = LogicalPlanBuilder::from(exists.subquery.subquery.as_ref().clone());
            let rows = rows.aggregate(Vec::<Expr>::new(), vec![counted(lit(1_i64))])?.build()?;
            Ok(match with_value(&rows, input, count, copies)? {
                Some(value) if exists.negated => Transformed::yes(value.eq(lit(0_i64))),
                Some(value) => Transformed::yes(value.gt(lit(0_i64))),
                // What others would make of it could give other rows.
                None if around::asks_chosen(&exists.subquery.subquery) => {
                    return Err(failure(unsupported()));
                }
                None => Transformed::no(Expr::Exists(exists)),
            })
        }
        other => Ok(Transformed::no(other)),
    });
    replaced.data()
}

/// Joins the value of a subquery to `input`, and returns its column; `None` where this knows no way.
fn with_value(
    subquery: &LogicalPlan,
    input: &mut LogicalPlan,
    count: &mut usize,
    copies: &Copies,
) -> Result<Option<Expr>> {
    if around::depends_on_others(subquery, input.schema()) {
        return Ok(None);
    }
    let rows = Rows::of(input, true, subquery, copies);
    let (mut found, mut shown) = (rows.beside(subquery)?, subquery.schema().columns());
    if found.as_ref().is_some_and(|beside| !beside.is_one) && !shown.is_empty() {
        let value = single(Expr::Column(shown.swap_remove(0)));
        let alone = LogicalPlanBuilder::from(subquery.clone());
        let alone = alone.aggregate(Vec::<Expr>::new(), vec![value])?.build()?;
        (found, shown) = (rows.beside(&alone)?, alone.schema().columns());
    }
    let Some(beside) = found.filter(|beside| beside.is_one) else { return Ok(None) };
    let Some(value) = shown.first().and_then(|column| beside.value(column)) else {
        return Ok(None);
    };
    let relation = TableReference::bare(VALUES);
    let name = format!("value_{count}");
    *count += 1;
    let mut columns = rows.columns();
    columns.push(value?.alias_qualified(Some(relation.clone()), &name));
    *input = LogicalPlanBuilder::from(beside.plan).project(columns)?.build()?;
    Ok(Some(Expr::Column(Column::new(Some(relation), name))))
}

/// Puts the conditions on the rows before a lateral join below it: once those are numbered, a condition does not get there
/// any more, and all rows would be joined for the few that are asked for.
fn filtered_first(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let join = match filter.input.as_ref() {
        LogicalPlan::Join(join)
            if matches!(join.join_type, JoinType::Inner | JoinType::Left)
                && stuck_beside(join).is_some() =>
        {
            join
        }
        _ => return Ok(Transformed::no(LogicalPlan::Filter(filter))),
    };
    let left = join.left.schema();
    let is_of_left = |condition: &Expr| {
        let columns = condition.column_refs();
        let known = |column: &&Column| column.relation.is_some() && left.has_column(column);
        !columns.is_empty()
            && columns.iter().all(known)
            && !condition.is_volatile()
            && !condition.contains_outer()
            && !has_subquery(condition)
    };
    let (first, rest): (Vec<Expr>, Vec<Expr>) =
        split_conjunction_owned(filter.predicate.clone()).into_iter().partition(is_of_left);
    let Some(first) = conjunction(first) else {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    };
    let mut join = join.clone();
    join.left = Arc::new(LogicalPlan::Filter(Filter::try_new(first, join.left)?));
    let joined = LogicalPlan::Join(join);
    Ok(Transformed::yes(match conjunction(rest) {
        Some(rest) => LogicalPlan::Filter(Filter::try_new(rest, Arc::new(joined))?),
        None => joined,
    }))
}

/// What the right side of a join reads for each row of the left one, if DataFusion does not take it.
fn stuck_beside(join: &Join) -> Option<&LogicalPlan> {
    let subquery = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(alias) => match alias.input.as_ref() {
            LogicalPlan::Subquery(subquery) => subquery,
            _ => return None,
        },
        LogicalPlan::Subquery(subquery) => subquery,
        // In `FROM a, b JOIN LATERAL ...` what is `LATERAL` may depend on both.
        joined @ LogicalPlan::Join(_) => {
            return (!around::taken(joined).is_empty()).then_some(joined);
        }
        _ => return None,
    };
    is_stuck(subquery).then_some(subquery.subquery.as_ref())
}

/// A lateral join that DataFusion does not take; `None` for all others.
fn lateral(join: &Join, copies: &Copies) -> Result<Option<LogicalPlan>> {
    let keeps = join.join_type == JoinType::Left;
    let Some(subquery) = stuck_beside(join) else { return Ok(None) };
    // Rows that depend on some further out are not there yet: they are joined where those are.
    if around::depends_further(join) {
        return Ok(None);
    }
    let rows = Rows::of(&join.left, keeps, subquery, copies);
    let Some(mut beside) = rows.beside(subquery)? else {
        return if around::counts_chosen(subquery) {
            Err(failure(unsupported()))
        } else {
            Ok(None)
        };
    };
    let mut columns = rows.columns();
    let found = subquery.schema().columns();
    let equal = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    let condition = conjunction(equal.chain(join.filter.clone()));
    if keeps
        && !is_always(join)
        && let Some(condition) = &condition
    {
        let mut known = HashMap::new();
        for (column, shown) in found.iter().zip(join.right.schema().columns()) {
            let Some(value) = beside.value(column) else { return Ok(None) };
            known.insert(shown, value?);
        }
        if has_subquery(condition) {
            return Ok(None);
        }
        let condition = condition.clone().transform_up(|part| match &part {
            Expr::Column(column) => match known.get(column) {
                Some(value) => Ok(Transformed::yes(value.clone())),
                None => Ok(Transformed::no(part)),
            },
            _ => Ok(Transformed::no(part)),
        });
        beside = rows.kept_where(beside, condition.data()?)?;
    }
    for (column, (relation, field)) in found.iter().zip(join.right.schema().iter()) {
        let Some(value) = beside.value(column) else { return Ok(None) };
        columns.push(value?.alias_qualified(relation.cloned(), field.name()));
    }
    let plan = LogicalPlanBuilder::from(beside.plan).project(columns)?;
    match condition.filter(|_| !keeps) {
        Some(condition) => plan.filter(condition)?.build().map(Some),
        None => plan.build().map(Some),
    }
}
