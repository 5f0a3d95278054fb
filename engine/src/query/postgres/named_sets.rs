//! What sets of groups are made of, under names of their own: `GROUP BY ROLLUP (city, day + 1)`.
//!
//! Whoever changes an expression of a plan keeps its name. Of a set it would be that of all of it, and it would be no set any
//! more, so each part has its name before its types are worked out. Calls of `grouping` are numbers by then: before that they ask
//! for the parts themselves, under whatever names these have.
//!
//! Each is a [part](set_part) of which nothing is known, too: one that is the same in all rows is null in the totals.

use std::mem::take;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::functions::set_part;

/// The rule of DataFusion that makes numbers of calls of `grouping`.
pub(super) const RESOLVING: &str = "resolve_grouping_function";

/// Tells whether a plan groups by sets.
pub(super) fn has_sets(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Aggregate(aggregate) if is_of_sets(aggregate))
}

fn is_of_sets(aggregate: &Aggregate) -> bool {
    matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_)])
}

/// Tells whether an expression is a call of `grouping`.
pub(super) fn is_grouping(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_grouping(&alias.expr),
        Expr::AggregateFunction(call) => call.func.name() == "grouping",
        _ => false,
    }
}

/// The rule that looks up what `grouping` asks for. It must come before the one that resolves it.
#[derive(Debug)]
pub(super) struct AskedSets;

impl AnalyzerRule for AskedSets {
    fn name(&self) -> &str {
        "asked_sets"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.iter().any(is_grouping) => {
                let parts = grouping_set_to_exprlist(&aggregate.group_expr)?;
                let asked = aggregate.aggr_expr.iter().cloned().map(|expr| asked(expr, &parts));
                let asked = asked.collect::<Result<Vec<_>>>()?;
                let (input, groups, schema) =
                    (aggregate.input, aggregate.group_expr, aggregate.schema);
                let asked = Aggregate::try_new_with_schema(input, groups, asked, schema)?;
                Ok(Transformed::yes(LogicalPlan::Aggregate(asked)))
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

/// A call of `grouping` with the groups that it asks for, under its own name.
fn asked(expr: Expr, parts: &[&Expr]) -> Result<Expr> {
    if !is_grouping(&expr) {
        return Ok(expr);
    }
    let name = expr.schema_name().to_string();
    let found = expr.transform_up(|part| match part {
        Expr::AggregateFunction(mut call) => {
            for argument in &mut call.params.args {
                let asked = bare(argument);
                if let Some(same) = parts.iter().find(|part| bare(part) == asked) {
                    *argument = (*same).clone();
                }
            }
            Ok(Transformed::yes(Expr::AggregateFunction(call)))
        }
        other => Ok(Transformed::no(other)),
    });
    let found = found.data()?;
    Ok(if found.schema_name().to_string() == name { found } else { found.alias(name) })
}

/// An expression without the names of its parts.
fn bare(expr: &Expr) -> Expr {
    expr.clone().unalias_nested().data
}

/// The rule that gives names.
#[derive(Debug)]
pub(super) struct NamedSets;

impl AnalyzerRule for NamedSets {
    fn name(&self) -> &str {
        "named_sets"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(aggregate) if is_of_sets(&aggregate) => {
                let groups = aggregate.group_expr.into_iter().map(parts_named).collect();
                let (input, schema) = (aggregate.input, aggregate.schema);
                let named =
                    Aggregate::try_new_with_schema(input, groups, aggregate.aggr_expr, schema)?;
                Ok(Transformed::yes(LogicalPlan::Aggregate(named)))
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

fn parts_named(group: Expr) -> Expr {
    let all = |parts: Vec<Expr>| parts.into_iter().map(named).collect::<Vec<_>>();
    match group {
        Expr::GroupingSet(GroupingSet::Rollup(parts)) => {
            Expr::GroupingSet(GroupingSet::Rollup(all(parts)))
        }
        Expr::GroupingSet(GroupingSet::Cube(parts)) => {
            Expr::GroupingSet(GroupingSet::Cube(all(parts)))
        }
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
            let sets = sets.into_iter().map(all).collect();
            Expr::GroupingSet(GroupingSet::GroupingSets(sets))
        }
        other => other,
    }
}

/// A part under its name; what is known of it before rows are grouped is not so of what they are grouped to.
fn named(part: Expr) -> Expr {
    match part {
        Expr::Alias(mut alias) => {
            *alias.expr = set_part(take(alias.expr.as_mut()));
            Expr::Alias(alias)
        }
        Expr::Column(column) => {
            let Column { relation, name, .. } = column.clone();
            set_part(Expr::Column(column)).alias_qualified(relation, name)
        }
        other => {
            let name = other.schema_name().to_string();
            set_part(other).alias(name)
        }
    }
}
