//! Subqueries that are never evaluated.
//!
//! Relations such as `pg_publication` have no rows here and never will have any. A select over one gives no row, so that the
//! subqueries of its select list are never evaluated, and PostgreSQL's own clients put subqueries there that no planner but
//! PostgreSQL's takes. They are replaced by null.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, CastKind, DataType, Expr, FunctionArguments, GroupByExpr,
    JoinOperator, Select, TableFactor, Value, VisitMut, VisitorMut,
};

use super::{function_name, parts};

/// Relations of `pg_catalog` for objects that do not exist here.
const EMPTY: [&str; 12] = [
    "pg_event_trigger",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_inherits",
    "pg_policy",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_statistic_ext",
    "pg_subscription",
    "pg_trigger",
];

/// Functions that give a row over no rows.
const AGGREGATES: [&str; 13] = [
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "json_agg",
    "max",
    "min",
    "string_agg",
    "sum",
];

/// Removes the subqueries of the select list where the select has no rows.
pub(super) fn prune(select: &mut Select) {
    let grouped = matches!(&select.group_by, GroupByExpr::Expressions(by, _) if !by.is_empty());
    let none = select.from.iter().any(|from| {
        let joined = from.joins.iter().filter(|join| {
            matches!(
                join.join_operator,
                JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
            )
        });
        let outer = from.joins.iter().any(|join| {
            !matches!(
                join.join_operator,
                JoinOperator::Join(_)
                    | JoinOperator::Inner(_)
                    | JoinOperator::CrossJoin(_)
                    | JoinOperator::Left(_)
                    | JoinOperator::LeftOuter(_)
            )
        });
        !outer
            && (is_empty(&from.relation) || joined.into_iter().any(|join| is_empty(&join.relation)))
    });
    if !none || grouped || select.having.is_some() {
        return;
    }
    // Aggregates within a subquery are the subquery's own: look for others in what is left without subqueries.
    let mut projection = select.projection.clone();
    let _ = projection.visit(&mut Replace);
    if projection.visit(&mut FindAggregate).is_continue() {
        select.projection = projection;
    }
}

fn is_empty(factor: &TableFactor) -> bool {
    let TableFactor::Table { name, args: None, .. } = factor else { return false };
    match parts(name).as_slice() {
        [.., schema, name] => schema == "pg_catalog" && EMPTY.contains(&name.as_str()),
        _ => false,
    }
}

struct FindAggregate;

impl VisitorMut for FindAggregate {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(f)
                if function_name(&f.name)
                    .is_some_and(|name| AGGREGATES.contains(&name.as_str())) =>
            {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

struct Replace;

impl VisitorMut for Replace {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => {
                *expr = Expr::Value(Value::Null.into());
            }
            // Where an array is expected, an empty one.
            Expr::Function(f) if matches!(f.args, FunctionArguments::Subquery(_)) => {
                *expr = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(Expr::Array(Array { elem: vec![], named: true })),
                    data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(
                        Box::new(DataType::Text),
                        None,
                    )),
                    array: false,
                    format: None,
                };
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
