//! Subqueries that are never evaluated.
//!
//! Relations such as `pg_publication` have no rows here and never will have any, and what tells of sequences or foreign keys
//! is empty where there are none. A select over such relations gives no row, so that the subqueries of
//! its select list are never evaluated, and PostgreSQL's own clients put subqueries there that no planner but PostgreSQL's
//! takes. They are replaced by null, and so is a select over such relations that stands for a value itself.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, DataType, Expr, FunctionArguments, GroupByExpr, Ident,
    JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier,
    TableFactor, Value, VisitMut, VisitorMut,
};

use super::made::array;
use super::relations::cast;
use super::{arguments, call, function_name, normal, null, parts, values};
use crate::query::postgres::catalog::definition;
use crate::query::postgres::facts::SessionFacts;

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
const AGGREGATES: [&str; 16] = [
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "max",
    "min",
    "string_agg",
    "sum",
];

/// Removes the subqueries of the select list where the select has no rows.
pub(super) fn prune(select: &mut Select, facts: &SessionFacts) {
    without_ancestors(select);
    if !has_no_rows(select, facts) {
        return;
    }
    // Aggregates within a subquery are the subquery's own: look for others in what is left without subqueries.
    let mut projection = select.projection.clone();
    let _ = projection.visit(&mut Replace);
    if projection.visit(&mut FindAggregate).is_continue() {
        select.projection = projection;
    }
}

/// `SELECT pg_partition_ancestors(oid)` gives no row, since no relation is a partition of another one.
fn without_ancestors(select: &mut Select) {
    if asks_for_ancestors(select)
        && let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
            select.projection.as_mut_slice()
    {
        *expr = cast(null(), named("oid"));
        select.selection = Some(Expr::Value(Value::Boolean(false).into()));
    }
}

/// What is put together with the rows of `SELECT pg_partition_ancestors(oid)` is all there is.
pub(super) fn leave_ancestors_out(body: &mut SetExpr) {
    let union = match body {
        SetExpr::SetOperation { op, set_quantifier, left, right } => match left.as_ref() {
            SetExpr::Select(select) => {
                let is_plain = *op == SetOperator::Union && *set_quantifier == SetQuantifier::All;
                // DataFusion takes no bare rows for a subquery of `IN`.
                (is_plain && asks_for_ancestors(select)).then(|| match right.as_ref() {
                    SetExpr::Values(rows) => values::selects(rows),
                    rest => Some(rest.clone()),
                })
            }
            _ => None,
        },
        _ => None,
    };
    if let Some(Some(rest)) = union {
        *body = rest;
    }
}

fn asks_for_ancestors(select: &Select) -> bool {
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_slice()
    else {
        return false;
    };
    let Expr::Function(function) = expr else { return false };
    function_name(&function.name).as_deref() == Some("pg_partition_ancestors")
        && select.from.is_empty()
        && select.selection.is_none()
}

/// The value of a subquery that has no rows, whatever the row that it is asked for: null, of the subquery's type.
pub(super) fn value(query: &Query, facts: &SessionFacts) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let mut columns = select.projection.clone();
    let has_rows = query.with.is_some() || !has_no_rows(select, facts);
    if has_rows || columns.visit(&mut FindAggregate).is_break() {
        return None;
    }
    null_of(select)
}

/// Null of the type of the one column of a select; `None` if it has several.
fn null_of(select: &Select) -> Option<Expr> {
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_slice()
    else {
        return None;
    };
    Some(match type_of(expr, select) {
        Some(data_type) => cast(null(), data_type),
        None => null(),
    })
}

/// The walk from a domain to the type under it, `WITH RECURSIVE ... SELECT typbasetype FROM pg_type WHERE oid = t.oid`: no
/// type here is a domain, so that it ends where it begins, with no type under it.
pub(super) fn base_type(query: &Query) -> Option<Expr> {
    let with = query.with.as_ref().filter(|with| with.recursive)?;
    let [cte] = with.cte_tables.as_slice() else { return None };
    let SetExpr::SetOperation { left, .. } = cte.query.body.as_ref() else { return None };
    let SetExpr::Select(start) = left.as_ref() else { return None };
    let [from] = start.from.as_slice() else { return None };
    let TableFactor::Table { name, args: None, .. } = &from.relation else { return None };
    let last = |expr: &Expr| match expr {
        Expr::CompoundIdentifier(parts) => parts.last().map(normal),
        Expr::Identifier(ident) => Some(normal(ident)),
        _ => None,
    };
    let first = match start.projection.first()? {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => last(expr)?,
        _ => return None,
    };
    let by_oid = match start.selection.as_ref()? {
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            last(left).as_deref() == Some("oid") && last(right).as_deref() == Some("oid")
        }
        _ => false,
    };
    let SetExpr::Select(shown) = query.body.as_ref() else { return None };
    let [SelectItem::UnnamedExpr(shown)] = shown.projection.as_slice() else { return None };
    let shows_first = cte.alias.columns.first().map(|column| normal(&column.name)) == last(shown);
    let walks = from.joins.is_empty()
        && parts(name).last().is_some_and(|name| name == "pg_type")
        && first == "typbasetype"
        && by_oid
        && shows_first
        && query.limit_clause.is_some();
    walks.then(|| cast(Expr::Value(Value::Number("0".to_string(), false).into()), named("oid")))
}

fn has_no_rows(select: &Select, facts: &SessionFacts) -> bool {
    let grouped = matches!(&select.group_by, GroupByExpr::Expressions(by, _) if !by.is_empty());
    if grouped || select.having.is_some() {
        return false;
    }
    let foreign_keys = !facts.snapshot().has_foreign_keys
        && select.from.iter().any(|from| is_table(&from.relation, "pg_constraint"))
        && select.selection.as_ref().is_some_and(asks_for_foreign_keys);
    foreign_keys
        || select.from.iter().any(|from| {
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
                && (is_empty(&from.relation, facts)
                    || joined.into_iter().any(|join| is_empty(&join.relation, facts)))
        })
}

/// Tells whether a condition holds for foreign keys alone.
fn asks_for_foreign_keys(condition: &Expr) -> bool {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            asks_for_foreign_keys(left) || asks_for_foreign_keys(right)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            let column = match left.as_ref() {
                Expr::CompoundIdentifier(parts) => parts.last(),
                Expr::Identifier(ident) => Some(ident),
                _ => None,
            };
            let letter = match right.as_ref() {
                Expr::Value(value) => {
                    matches!(&value.value, Value::SingleQuotedString(letter) if letter == "f")
                }
                _ => false,
            };
            letter && column.is_some_and(|column| normal(column) == "contype")
        }
        Expr::Nested(inner) => asks_for_foreign_keys(inner),
        _ => false,
    }
}

fn is_table(factor: &TableFactor, table: &str) -> bool {
    let TableFactor::Table { name, args: None, .. } = factor else { return false };
    match parts(name).as_slice() {
        [.., schema, name] => schema == "pg_catalog" && name == table,
        _ => false,
    }
}

/// The type of an expression over relations of the catalog, where it can be read off.
fn type_of(expr: &Expr, select: &Select) -> Option<DataType> {
    let column = match expr {
        Expr::Cast { data_type, .. } => return Some(data_type.clone()),
        Expr::Function(function) => {
            return match function_name(&function.name)?.as_str() {
                "count" => Some(DataType::BigInt(None)),
                "json_build_object" | "json_build_array" => Some(DataType::JSON),
                "pg_get_expr" => Some(DataType::Text),
                "array_agg" => {
                    let element = arguments(&function.args);
                    Some(array(type_of(element.first()?, select)?))
                }
                _ => None,
            };
        }
        Expr::BinaryOp { op: BinaryOperator::StringConcat, .. } => return Some(DataType::Text),
        Expr::CompoundIdentifier(parts) => normal(parts.last()?),
        Expr::Identifier(ident) => normal(ident),
        _ => return None,
    };
    let factors = select.from.iter().flat_map(|from| {
        std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
    });
    let found = factors.filter_map(|factor| {
        let TableFactor::Table { name, args: None, .. } = factor else { return None };
        let known = definition("pg_catalog", parts(name).last()?)?;
        known.columns.iter().find(|known| known.name == column)
    });
    found.map(|column| named(column.pg_type)).next()
}

fn named(pg_type: &str) -> DataType {
    DataType::Custom(ObjectName::from(vec![Ident::with_quote('"', pg_type)]), vec![])
}

fn is_empty(factor: &TableFactor, facts: &SessionFacts) -> bool {
    let TableFactor::Table { name, args: None, .. } = factor else { return false };
    match parts(name).as_slice() {
        [.., schema, name] if schema == "pg_catalog" => match name.as_str() {
            "pg_attrdef" => !facts.snapshot().has_defaults,
            "pg_sequence" => !facts.snapshot().has_sequences,
            name => EMPTY.contains(&name),
        },
        _ => false,
    }
}

/// Tells whether something calls an aggregate.
pub(super) fn has_aggregate(part: &mut impl VisitMut) -> bool {
    part.visit(&mut FindAggregate).is_break()
}

struct FindAggregate;

impl VisitorMut for FindAggregate {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(f) if function_name(&f.name).is_some_and(|name| is_aggregate(&name)) => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Tells whether a function makes one value of many rows.
pub(super) fn is_aggregate(function: &str) -> bool {
    AGGREGATES.contains(&function)
}

struct Replace;

impl VisitorMut for Replace {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Subquery(query) => {
                let select = query.body.as_select();
                let nothing = select.and_then(null_of).unwrap_or_else(null);
                *expr = nothing;
            }
            Expr::InSubquery { .. } | Expr::Exists { .. } => {
                *expr = cast(null(), DataType::Boolean);
            }
            // Where an array is expected, an empty one.
            Expr::Function(f) if matches!(f.args, FunctionArguments::Subquery(_)) => {
                *expr = no_elements(DataType::Text);
            }
            Expr::Function(f) if function_name(&f.name).as_deref() == Some("unnest") => {
                if let [Expr::Subquery(query)] = arguments(&f.args).as_slice() {
                    *expr = call("unnest", vec![no_elements(element_of(query))]);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn no_elements(element: DataType) -> Expr {
    cast(Expr::Array(Array { elem: vec![], named: true }), array(element))
}

/// The type of what a subquery gathers into an array.
fn element_of(query: &Query) -> DataType {
    let found = match query.body.as_ref() {
        SetExpr::Select(select) => match select.projection.as_slice() {
            [SelectItem::UnnamedExpr(expr)] => type_of(expr, select),
            _ => None,
        },
        _ => None,
    };
    match found {
        Some(DataType::Array(ArrayElemTypeDef::SquareBracket(element, _))) => *element,
        _ => DataType::Text,
    }
}
