//! What a plan takes from rows around it.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, ExprSchemable, Join, LogicalPlan, Operator, SkipType, Subquery,
    SubqueryAlias,
};

use super::rows::{ALIKE, KEPT};

/// The columns of rows around a plan that it names. A join gives the rows of its left side to a query on its right one, so that
/// their columns are not among them.
pub(in crate::query::postgres) fn taken(plan: &LogicalPlan) -> Vec<Column> {
    let mut found = Vec::new();
    // The visitor never fails.
    let _ = plan.apply_expressions(|expr| {
        expr.apply(|part| {
            match part {
                Expr::OuterReferenceColumn(_, column) => found.push(column.clone()),
                other => {
                    let inputs = plan.inputs();
                    let within = subquery_of(other).map(|within| taken(&within.subquery));
                    let further = within.into_iter().flatten().filter(|column| {
                        !inputs.iter().any(|input| input.schema().has_column(column))
                    });
                    found.extend(further);
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })
    });
    found.extend(of_inputs(plan, taken));
    found
}

/// Those of them that relations within the plan name which are made of a row, such as lists: no condition tells of them, so that
/// none can be taken out of the plan.
pub(super) fn taken_by_relations(plan: &LogicalPlan) -> Vec<Column> {
    match plan {
        LogicalPlan::Subquery(subquery) => taken(&subquery.subquery),
        other => of_inputs(other, taken_by_relations),
    }
}

/// Tells whether a plan makes something of the rows that conditions on the row around it choose, so that the conditions cannot be
/// taken out of it: windows, the first row of each group, unions, nulls where an outer join finds none of them, what is left
/// of aggregates, or queries in `FROM` that show something else by the name of what the conditions are about.
pub(super) fn counts_chosen(plan: &LogicalPlan) -> bool {
    holds(plan, |node| match node {
        LogicalPlan::Window(_) | LogicalPlan::Union(_) | LogicalPlan::Distinct(Distinct::On(_)) => {
            !taken(node).is_empty()
        }
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner => false,
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                depends_on_others(&join.right, join.left.schema())
            }
            _ => !taken(node).is_empty(),
        },
        // An aggregate of all rows has one where none is chosen, and the condition may leave that out.
        LogicalPlan::Filter(filter) => holds(&filter.input, is_of_all),
        LogicalPlan::SubqueryAlias(alias) => binds(alias, |column| {
            let shown = alias.input.schema();
            !shown.has_column(column) && shown.has_column_with_unqualified_name(&column.name)
        }),
        _ => false,
    })
}

/// Tells whether a query in `FROM` has conditions on the row around it about columns that it does not show.
pub(in crate::query::postgres) fn hides_chosen(plan: &LogicalPlan) -> bool {
    holds(plan, |node| match node {
        LogicalPlan::SubqueryAlias(alias) => {
            binds(alias, |column| !alias.input.schema().has_column(column))
        }
        _ => false,
    })
}

/// The same of columns that it shows by another name, if only that of their relation.
pub(super) fn renames_chosen(plan: &LogicalPlan) -> bool {
    holds(plan, |node| match node {
        LogicalPlan::SubqueryAlias(alias) => binds(alias, |column| {
            column.relation.as_ref() != Some(&alias.alias)
                || !alias.input.schema().has_column(column)
        }),
        _ => false,
    })
}

/// Tells whether conditions on the row around a query in `FROM` are about such a column.
fn binds(alias: &SubqueryAlias, is_such: impl Fn(&Column) -> bool) -> bool {
    bound(&alias.input).iter().any(is_such)
}

/// The columns of a plan that conditions within it on the row around are about, by the names that they would have in it.
fn bound(plan: &LogicalPlan) -> Vec<Column> {
    // Nothing is taken out of a relation that is made of a row within the plan.
    if matches!(plan, LogicalPlan::Subquery(_)) {
        return Vec::new();
    }
    let mut found: Vec<Column> = plan.inputs().into_iter().flat_map(bound).collect();
    match plan {
        LogicalPlan::Filter(filter) => {
            let conditions = split_conjunction(&filter.predicate).into_iter();
            for condition in conditions.filter(|condition| condition.contains_outer()) {
                found.extend(condition.column_refs().into_iter().cloned());
            }
        }
        LogicalPlan::SubqueryAlias(alias) => {
            for column in &mut found {
                column.relation = Some(alias.alias.clone());
            }
        }
        _ => {}
    }
    found
}

/// Tells whether a node is an aggregate of all rows that the row around it chooses.
fn is_of_all(node: &LogicalPlan) -> bool {
    matches!(node, LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty())
        && !taken(node).is_empty()
}

/// The same where all rows are shown: there it matters which of them are told apart, and what is joined to an aggregate.
pub(super) fn shows_chosen(plan: &LogicalPlan) -> bool {
    let is_aggregate =
        |node: &LogicalPlan| matches!(node, LogicalPlan::Aggregate(_)) && !taken(node).is_empty();
    counts_chosen(plan)
        || holds(plan, |node| match node {
            LogicalPlan::Distinct(Distinct::All(_)) => !taken(node).is_empty(),
            LogicalPlan::Join(join) => {
                holds(&join.left, is_aggregate) || holds(&join.right, is_aggregate)
            }
            _ => false,
        })
}

/// The same where rows are looked for among those of the plan: an aggregate of all rows has one where there are none, and what
/// leaves rows out, or looks at some of them alone, may have none where there are some.
pub(in crate::query::postgres) fn asks_chosen(plan: &LogicalPlan) -> bool {
    counts_chosen(plan)
        || holds(plan, |node| is_of_all(node) || leaves_out(node) || asks_limited(node))
}

/// Tells whether a limit keeps some of the rows that the row around a plan chooses.
pub(in crate::query::postgres) fn limits_chosen(plan: &LogicalPlan) -> bool {
    holds(plan, |node| matches!(node, LogicalPlan::Limit(_)) && !taken(node).is_empty())
}

/// Tells whether a node asks something of the rows that such a limit keeps.
fn asks_limited(node: &LogicalPlan) -> bool {
    match node {
        LogicalPlan::Filter(filter) => limits_chosen(&filter.input),
        LogicalPlan::Join(join) => limits_chosen(&join.left) || limits_chosen(&join.right),
        _ => false,
    }
}

/// Tells whether a plan asks something of groups of the rows that the row around it chooses.
pub(super) fn asks_groups(plan: &LogicalPlan) -> bool {
    let is_of_groups = |node: &LogicalPlan| {
        matches!(node, LogicalPlan::Aggregate(aggregate) if !aggregate.aggr_expr.is_empty())
            && !taken(node).is_empty()
    };
    holds(plan, |node| match node {
        LogicalPlan::Filter(filter) => holds(&filter.input, is_of_groups),
        _ => false,
    })
}

/// Tells whether a node leaves out the first of the rows that the row around it chooses.
fn leaves_out(node: &LogicalPlan) -> bool {
    let LogicalPlan::Limit(limit) = node else { return false };
    !matches!(limit.get_skip_type(), Ok(SkipType::Literal(0))) && !taken(node).is_empty()
}

/// Tells whether a plan may give a row for each of several groups: those that it has are not all of one value by the row around
/// it.
pub(super) fn gives_groups(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => gives_groups(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => gives_groups(&alias.input),
        LogicalPlan::Filter(filter) => gives_groups(&filter.input),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => gives_groups(&sort.input),
        LogicalPlan::Aggregate(aggregate) => {
            let known = known_columns(&aggregate.input);
            let is_known =
                |group: &Expr| matches!(group, Expr::Column(column) if known.contains(column));
            !aggregate.group_expr.is_empty()
                && (aggregate.aggr_expr.is_empty() || !aggregate.group_expr.iter().all(is_known))
        }
        _ => false,
    }
}

/// The columns that are equal to what the row around a plan has.
fn known_columns(plan: &LogicalPlan) -> Vec<Column> {
    let LogicalPlan::Filter(filter) = plan else { return Vec::new() };
    let is_given = |side: &Expr| side.contains_outer() && !side.any_column_refs();
    let known = |condition: &Expr| match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            match (left.as_ref(), right.as_ref()) {
                (Expr::Column(column), given) | (given, Expr::Column(column))
                    if is_given(given) =>
                {
                    Some(column.clone())
                }
                _ => None,
            }
        }
        _ => None,
    };
    split_conjunction(&filter.predicate).into_iter().filter_map(known).collect()
}

/// Tells whether a plan holds a union of rows that depend on the row around it.
pub(super) fn unites(plan: &LogicalPlan) -> bool {
    holds(plan, |node| matches!(node, LogicalPlan::Union(_)) && !taken(node).is_empty())
}

/// Aggregates of which the order of their rows makes no difference.
const UNORDERED: [&str; 10] = [
    "avg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "count",
    "max",
    "min",
    "single_value",
    "sum",
];

/// Tells whether a plan gives the same rows each time that it is run: none that are chosen among others, numbered or made of
/// others in an order that leaves some of it open.
pub(super) fn is_settled(plan: &LogicalPlan) -> bool {
    let mut settled = true;
    let visited = plan.apply_with_subqueries(|node| {
        settled &= match node {
            LogicalPlan::Limit(_)
            | LogicalPlan::Distinct(Distinct::On(_))
            | LogicalPlan::Extension(_) => false,
            LogicalPlan::Window(window) => window.window_expr.iter().all(is_own_number),
            LogicalPlan::Aggregate(aggregate) => {
                let schema = aggregate.input.schema();
                aggregate.aggr_expr.iter().all(|value| is_of_any_order(value, schema))
            }
            _ => true,
        };
        node.apply_expressions(|expr| {
            settled &= !expr.is_volatile();
            Ok(TreeNodeRecursion::Continue)
        })
    });
    visited.is_ok() && settled
}

/// Tells whether a window is one with which a union of a row before this one was put beside it.
fn is_own_number(window: &Expr) -> bool {
    matches!(window, Expr::Alias(alias) if alias.name == ALIKE || alias.name.starts_with(KEPT))
}

/// Tells whether an aggregate has one value in whatever order its rows come: in sums of floats each order rounds otherwise.
fn is_of_any_order(value: &Expr, schema: &DFSchema) -> bool {
    match value {
        Expr::Alias(alias) => is_of_any_order(&alias.expr, schema),
        Expr::AggregateFunction(call) => {
            let name = call.func.name();
            let is_exact = || value.get_type(schema).is_ok_and(|found| !found.is_floating());
            UNORDERED.contains(&name) && (!matches!(name, "avg" | "sum") || is_exact())
        }
        _ => false,
    }
}

fn holds(plan: &LogicalPlan, is_such: impl Fn(&LogicalPlan) -> bool) -> bool {
    plan.exists(|node| Ok(is_such(node))).unwrap_or(true)
}

/// Tells whether a join depends on rows that are further out, beside which its sides have to be put.
pub(in crate::query::postgres) fn depends_further(join: &Join) -> bool {
    !taken(&join.left).is_empty() || depends_on_others(&join.right, join.left.schema())
}

/// Tells whether a plan takes columns that a row does not have.
pub(super) fn depends_on_others(plan: &LogicalPlan, row: &DFSchema) -> bool {
    taken(plan).iter().any(|column| !row.has_column(column))
}

fn of_inputs(plan: &LogicalPlan, taken: fn(&LogicalPlan) -> Vec<Column>) -> Vec<Column> {
    match plan {
        LogicalPlan::Join(join) => {
            let mut found = taken(&join.left);
            let right = taken(&join.right).into_iter();
            found.extend(right.filter(|column| !join.left.schema().has_column(column)));
            found
        }
        other => other.inputs().into_iter().flat_map(taken).collect(),
    }
}

/// The subquery that an expression is made of.
pub(in crate::query::postgres) fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery) => Some(subquery),
        Expr::Exists(exists) => Some(&exists.subquery),
        Expr::InSubquery(within) => Some(&within.subquery),
        Expr::SetComparison(comparison) => Some(&comparison.subquery),
        _ => None,
    }
}
