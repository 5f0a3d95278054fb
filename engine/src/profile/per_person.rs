//! Which queries can be a trait's: those whose values for one person do not depend on anybody else, nor on the way in
//! which rows come.
//!
//! A trait is computed for the people that a refresh touched, and must give them what computing it for everybody would.
//! So rows may be grouped, joined and windowed by `profile_id` and by nothing coarser, and an aggregate must give the
//! same however its rows are ordered and cut into batches.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprSchemable, Join, LogicalPlan, Operator, Window,
    WindowFunctionDefinition,
};

use crate::error::{Error, Result};
use crate::query::governed::PROFILE_ID;

/// Aggregates that add up: of floating point numbers the sum depends on the order, of others it does not.
const SUMS: [&str; 3] = ["sum", "avg", "mean"];

/// Beginnings of the names of aggregates that work in floating point whatever they are given.
const INEXACT: [&str; 7] =
    ["var", "stddev", "covar", "corr", "regr_", "approx_percentile", "approx_median"];

/// Aggregates that give the values they met in the order in which they met them, or one by its place.
const ORDERED: [&str; 5] = ["array_agg", "string_agg", "first_value", "last_value", "nth_value"];

/// What keeps a query from being a trait's, and what to write instead.
struct Objection {
    what: &'static str,
    hint: &'static str,
}

const MEETS: &str =
    "A trait is computed from each person's own rows: group, window and join by profile_id.";

/// Fails if `plan` is none of a trait: `profile_id` first, nobody's rows meet another's, and their order does not matter.
pub(super) fn check(plan: &LogicalPlan, name: &str) -> Result<()> {
    let mut objection = None;
    plan.apply_with_subqueries(|node| {
        objection = object(node)?;
        Ok(match objection {
            Some(_) => TreeNodeRecursion::Stop,
            None => TreeNodeRecursion::Continue,
        })
    })?;
    if let Some(Objection { what, hint }) = objection {
        return Err(Error::Unsupported {
            what: format!("{what} in trait \"{name}\""),
            hint: hint.into(),
        });
    }
    if plan.schema().fields().first().map(|field| field.name().as_str()) != Some(PROFILE_ID) {
        return Err(Error::Invalid {
            message: format!("trait \"{name}\" must select {PROFILE_ID} first"),
            hint: format!("Write AS SELECT {PROFILE_ID}, ... GROUP BY {PROFILE_ID}."),
        });
    }
    Ok(())
}

fn object(node: &LogicalPlan) -> DataFusionResult<Option<Objection>> {
    let meets = match node {
        LogicalPlan::Aggregate(aggregate) if !aggregate.group_expr.iter().any(is_profile) => {
            Some("an aggregate that is not grouped by profile_id")
        }
        LogicalPlan::Aggregate(aggregate) => return unsteady_aggregate(aggregate),
        LogicalPlan::Window(window) if !window.window_expr.iter().all(is_partitioned) => {
            Some("a window that is not partitioned by profile_id")
        }
        LogicalPlan::Window(window) => return unsteady_window(window),
        LogicalPlan::Distinct(Distinct::On(distinct))
            if !distinct.on_expr.iter().any(is_profile) =>
        {
            Some("a DISTINCT ON without profile_id")
        }
        LogicalPlan::Join(join) => {
            let literal = |plan: &LogicalPlan| {
                matches!(plan, LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_))
            };
            (!joins_by_person(join) && !literal(&join.left) && !literal(&join.right))
                .then_some("a join that is not on profile_id")
        }
        LogicalPlan::Limit(_) => Some("a LIMIT"),
        LogicalPlan::Subquery(_) => Some("a subquery in an expression"),
        LogicalPlan::RecursiveQuery(_) => Some("a recursive query"),
        LogicalPlan::Extension(_) => Some("a function over the rows of several people"),
        _ => None,
    };
    Ok(meets.map(|what| Objection { what, hint: MEETS }))
}

fn is_profile(expr: &Expr) -> bool {
    matches!(expr.clone().unalias(), Expr::Column(column) if column.name == PROFILE_ID)
}

/// Tells whether rows of one person are joined with rows of the same one. What `ON` says stands in the filter as long as a plan
/// is not optimized.
fn joins_by_person(join: &Join) -> bool {
    let is_of = |expr: &Expr, side: &LogicalPlan| match expr {
        Expr::Column(column) => {
            column.name == PROFILE_ID && side.schema().maybe_index_of_column(column).is_some()
        }
        _ => false,
    };
    let are_of = |one: &Expr, other: &Expr| is_of(one, &join.left) && is_of(other, &join.right);
    let in_filter = |condition: &Expr| match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            are_of(left, right) || are_of(right, left)
        }
        _ => false,
    };
    join.on.iter().any(|(left, right)| is_profile(left) && is_profile(right))
        || join.filter.iter().flat_map(split_conjunction).any(in_filter)
}

fn is_partitioned(expr: &Expr) -> bool {
    match expr.clone().unalias() {
        Expr::WindowFunction(function) => function.params.partition_by.iter().any(is_profile),
        _ => false,
    }
}

fn unsteady_aggregate(aggregate: &Aggregate) -> DataFusionResult<Option<Objection>> {
    let mut found = None;
    for expr in &aggregate.aggr_expr {
        expr.apply(|expr| {
            if let Expr::AggregateFunction(call) = expr {
                let (name, params) = (call.func.name(), &call.params);
                found = unsteady_sum(name, &params.args, aggregate.input.schema())?
                    .or_else(|| unordered(name, &params.args, &params.order_by));
            }
            Ok(match found {
                Some(_) => TreeNodeRecursion::Stop,
                None => TreeNodeRecursion::Continue,
            })
        })?;
        if found.is_some() {
            break;
        }
    }
    Ok(found)
}

fn unsteady_window(window: &Window) -> DataFusionResult<Option<Objection>> {
    for expr in &window.window_expr {
        if let Expr::WindowFunction(call) = expr.clone().unalias()
            && let WindowFunctionDefinition::AggregateUDF(function) = &call.fun
            && let Some(objection) =
                unsteady_sum(function.name(), &call.params.args, window.input.schema())?
        {
            return Ok(Some(objection));
        }
    }
    Ok(None)
}

/// Floating point sums are other ones in another order, if only in their last digit.
fn unsteady_sum(
    name: &str,
    args: &[Expr],
    schema: &DFSchema,
) -> DataFusionResult<Option<Objection>> {
    let inexact = INEXACT.iter().any(|start| name.starts_with(start));
    let sums = SUMS.contains(&name) && {
        let types = args.iter().map(|arg| arg.get_type(schema));
        types.collect::<DataFusionResult<Vec<_>>>()?.iter().any(|data_type| data_type.is_floating())
    };
    Ok((inexact || sums).then_some(Objection {
        what: "a sum in floating point",
        hint: "Its last digits depend on the order of the rows: add up numbers as numeric, as in sum(value::numeric).",
    }))
}

/// An order by the value itself, last of all, leaves nothing to chance.
fn unordered(name: &str, args: &[Expr], order: &[Sort]) -> Option<Objection> {
    let value = args.first()?;
    let total = order.iter().any(|sort| sort.expr == *value);
    (ORDERED.contains(&name) && !total).then_some(Objection {
        what: "an aggregate whose order is left to chance",
        hint: "Order by the value, too, as in array_agg(value ORDER BY occurred_at, value).",
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::datasource::MemTable;

    use super::*;
    use crate::clock::ManualClock;
    use crate::lake::Lake;
    use crate::query::planner::{Planner, Scope, parse_one, plan};

    /// Plans a query over `t (profile_id, city, n, amount, score)` and checks it as a trait's.
    async fn check_query(query: &str) -> std::result::Result<(), String> {
        let fields = [
            ("profile_id", DataType::Int64),
            ("city", DataType::Utf8),
            ("n", DataType::Int64),
            ("amount", DataType::Decimal128(12, 2)),
            ("score", DataType::Float64),
        ];
        let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let table = Arc::new(MemTable::try_new(schema, vec![vec![]]).unwrap());
        let scope = Scope::of_table("t", table).unwrap();
        let store = Arc::new(object_store::memory::InMemory::new());
        let lake = Lake::with_store(store, Arc::new(ManualClock::new(0)));
        let planner = Planner::new(&lake, 1, 1 << 24).unwrap();
        let state = planner.state(&scope);
        let plan = plan(&state, &scope.facts, parse_one(query).unwrap()).await.unwrap();
        check(&plan, "x").map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn queries_of_each_persons_own_rows_are_traits() {
        for query in [
            "SELECT profile_id, count(*), sum(amount), avg(n), max(score) FROM t GROUP BY profile_id",
            "SELECT profile_id, sum(score::numeric(20,6)) FROM t GROUP BY profile_id",
            "SELECT DISTINCT ON (profile_id) profile_id, city FROM t ORDER BY profile_id, n, city",
            "SELECT profile_id, array_agg(city ORDER BY n, city) FROM t GROUP BY profile_id",
            "SELECT profile_id, first_value(city ORDER BY n, city) FROM t GROUP BY profile_id",
            "SELECT a.profile_id, count(*) FROM t a JOIN t b ON a.profile_id = b.profile_id AND a.n < b.n \
             GROUP BY a.profile_id",
            "SELECT t.profile_id, count(*) FROM t LEFT JOIN (SELECT profile_id, max(n) AS most FROM t \
             GROUP BY profile_id) m ON m.profile_id = t.profile_id AND m.most = t.n GROUP BY t.profile_id",
        ] {
            assert_eq!(check_query(query).await, Ok(()), "{query}");
        }
    }

    #[tokio::test]
    async fn what_depends_on_others_or_on_the_order_is_refused() {
        let sum = "a sum in floating point in trait \"x\" is not supported";
        let order = "an aggregate whose order is left to chance in trait \"x\" is not supported";
        let join = "a join that is not on profile_id in trait \"x\" is not supported";
        for (query, expected) in [
            (
                "SELECT DISTINCT ON (city) profile_id, n FROM t",
                "a DISTINCT ON without profile_id in trait \"x\" is not supported",
            ),
            (
                "SELECT min(profile_id) AS profile_id FROM t GROUP BY city",
                "an aggregate that is not grouped by profile_id in trait \"x\" is not supported",
            ),
            (
                "SELECT id AS profile_id FROM connected_components((SELECT profile_id, n FROM t))",
                "a function over the rows of several people in trait \"x\" is not supported",
            ),
            (
                "SELECT a.profile_id, count(*) FROM t a JOIN t b ON a.city = b.city GROUP BY a.profile_id",
                join,
            ),
            (
                "SELECT a.profile_id, count(*) FROM t a JOIN t b ON a.profile_id = b.profile_id OR a.n = b.n \
                 GROUP BY a.profile_id",
                join,
            ),
            (
                "SELECT a.profile_id, count(*) FROM t a LEFT JOIN t b ON a.profile_id = a.profile_id \
                 GROUP BY a.profile_id",
                join,
            ),
            ("SELECT profile_id, sum(score) FROM t GROUP BY profile_id", sum),
            ("SELECT profile_id, avg(score) + 1 FROM t GROUP BY profile_id", sum),
            ("SELECT profile_id, stddev(n) FROM t GROUP BY profile_id", sum),
            ("SELECT profile_id, sum(score) OVER (PARTITION BY profile_id) FROM t", sum),
            ("SELECT profile_id, array_agg(city) FROM t GROUP BY profile_id", order),
            ("SELECT profile_id, array_agg(city ORDER BY n) FROM t GROUP BY profile_id", order),
            ("SELECT profile_id, string_agg(city, ',') FROM t GROUP BY profile_id", order),
        ] {
            assert_eq!(check_query(query).await, Err(expected.to_owned()), "{query}");
        }
    }
}
