//! How many rows a query gives: `FETCH FIRST`, a limit that is a query itself, and `HAVING` where there are no groups.
//!
//! DataFusion takes a constant limit. What else PostgreSQL takes is a condition on the number of a row in the order of the query,
//! which `QUALIFY` states: `rank()` keeps the rows that are tied with the last one.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Distinct, Expr, GroupByExpr, Ident, LimitClause, OrderBy,
    OrderByExpr, OrderByKind, OrderByOptions, Query, Select, SelectItem, SetExpr, TableAlias,
    TableFactor, TableWithJoins, Value, VisitMut, VisitorMut, WildcardAdditionalOptions,
    WindowSpec, WindowType,
};

use super::expressions::{self, number, take};
use super::made::bare;
use super::relations::cast;
use super::scope::Scope;
use super::{call, columns, empty, normal, order_beside};
use crate::error::{Error, Result};
use crate::query::syntax::outside;

/// The relation of the rows that are numbered: no text of a statement has such a name.
const NUMBERED: &str = "\u{1}numbered";

/// Puts the rows that a query gives in the form that DataFusion plans.
///
/// # Errors
/// SQLSTATE 42601 for `WITH TIES` without an order.
pub(super) fn rewrite(query: &mut Query) -> Result<()> {
    for bound in bounds(&mut query.limit_clause) {
        unquote(bound);
    }
    let mut ties = false;
    if let Some(fetch) = query.fetch.take_if(|fetch| !fetch.percent) {
        ties = fetch.with_ties;
        let count = Some(fetch.quantity.unwrap_or_else(|| number(1)));
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, .. }) => *limit = count,
            _ => {
                query.limit_clause =
                    Some(LimitClause::LimitOffset { limit: count, offset: None, limit_by: vec![] });
            }
        }
    }
    if ties && query.order_by.is_none() {
        return Err(Error::Standard {
            sqlstate: "42601",
            message: "WITH TIES cannot be specified without ORDER BY clause".into(),
            hint: "Rows are tied by the order that they are in: write ORDER BY, or ONLY in place of WITH TIES."
                .into(),
        });
    }
    if ties || bounds(&mut query.limit_clause).any(|bound| bound.visit(&mut Queries).is_break()) {
        return by_number(query, ties).ok_or_else(|| Error::Unsupported {
            what: "a limit by ties or by a query, where the order is a position of several columns"
                .into(),
            hint: "Name the columns that the rows are ordered by.".into(),
        });
    }
    Ok(())
}

/// The limit and the offset.
fn bounds(clause: &mut Option<LimitClause>) -> impl Iterator<Item = &mut Expr> {
    let (limit, offset) = match clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => {
            (limit.as_mut(), offset.as_mut().map(|offset| &mut offset.value))
        }
        _ => (None, None),
    };
    limit.into_iter().chain(offset)
}

/// `LIMIT '2'` is `LIMIT 2`, and `LIMIT 2.5` is what that is as a bigint.
fn unquote(bound: &mut Expr) {
    let Expr::Value(value) = &mut *bound else { return };
    match &value.value {
        Value::SingleQuotedString(text) => {
            if let Ok(rows) = text.trim().parse::<i64>() {
                value.value = Value::Number(rows.to_string(), false);
            }
        }
        Value::Number(digits, _) if digits.parse::<i64>().is_err() => {
            *bound = bigint(take(bound));
        }
        _ => {}
    }
}

/// Looks for queries.
struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

/// Makes conditions on the number of a row of what a query is limited by; `None` where the order cannot be told.
fn by_number(query: &mut Query, ties: bool) -> Option<()> {
    let mut order = match query.order_by.as_ref().map(|order| &order.kind) {
        None => vec![],
        Some(OrderByKind::Expressions(order)) => order.clone(),
        Some(OrderByKind::All(_)) => return None,
    };
    let is_plain = match query.body.as_ref() {
        SetExpr::Select(select) => {
            select.distinct.is_none() && select.qualify.is_none() && !has_windows(&order, select)
        }
        _ => false,
    };
    if !is_plain {
        // Which rows `DISTINCT ON` takes is a matter of their own order.
        let picking = match query.body.as_ref() {
            SetExpr::Select(select) if matches!(select.distinct, Some(Distinct::On(_))) => {
                query.order_by.clone()
            }
            _ => None,
        };
        // The order names columns of what is numbered.
        for by in &mut order {
            by.expr = by_name(&by.expr, &query.body)?;
        }
        if let Some(OrderBy { kind: OrderByKind::Expressions(written), .. }) = &mut query.order_by {
            written.clone_from(&order);
        }
        around(query, picking);
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let order: Vec<OrderByExpr> =
        order.into_iter().map(|by| shown(by, select)).collect::<Option<_>>()?;
    let Some(LimitClause::LimitOffset { limit, offset, .. }) = query.limit_clause.take() else {
        return None;
    };
    let offset = offset.map(|offset| bigint(offset.value));
    let at = |function: &str| windowed(function, order.clone());
    // Rows that are tied stay in the order in which they were numbered, whichever way they go from there.
    if ties && let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = &mut query.order_by
    {
        let options = OrderByOptions { asc: None, nulls_first: None };
        order.push(OrderByExpr { expr: at("row_number"), options, with_fill: None });
    }
    let mut conditions = Vec::new();
    if let Some(limit) = limit {
        let limit = bigint(limit);
        if ties {
            conditions.push(binary(limit.clone(), BinaryOperator::Gt, number(0)));
        }
        let last = match &offset {
            Some(offset) => binary(offset.clone(), BinaryOperator::Plus, limit),
            None => limit,
        };
        let place = at(if ties { "rank" } else { "row_number" });
        conditions.push(binary(place, BinaryOperator::LtEq, last));
    }
    if let Some(offset) = offset {
        conditions.push(binary(at("row_number"), BinaryOperator::Gt, offset));
    }
    // A null is no limit.
    let conditions = conditions.into_iter().map(|condition| Expr::IsNotFalse(Box::new(condition)));
    select.qualify = conditions.reduce(|one, other| binary(one, BinaryOperator::And, other));
    Some(())
}

/// What a body is ordered by as a name of one of its columns; `None` for what is none.
fn by_name(by: &Expr, body: &SetExpr) -> Option<Expr> {
    let by = bare(by);
    let Expr::Value(value) = by else {
        let shows_all = !matches!(body, SetExpr::Select(select) if select.distinct.is_none());
        let is_column = || match (by, names(body)) {
            (Expr::Identifier(ident), Some(names)) => names.contains(&normal(ident)),
            _ => false,
        };
        return (shows_all || is_column()).then(|| by.clone());
    };
    let Value::Number(position, _) = &value.value else { return None };
    let names = names(body)?;
    let name = names.get(position.parse::<usize>().ok()?.checked_sub(1)?)?;
    let is_alone = names.iter().filter(|other| *other == name).count() == 1;
    is_alone.then(|| Expr::Identifier(Ident::with_quote('"', name.as_str())))
}

/// The names of the columns of a body; `None` where they are not written.
fn names(body: &SetExpr) -> Option<Vec<String>> {
    match body {
        SetExpr::Select(select) => select.projection.iter().map(columns::name_of).collect(),
        SetExpr::Query(query) => names(&query.body),
        SetExpr::SetOperation { left, .. } => names(left),
        _ => None,
    }
}

/// Tells whether rows are ordered by what a window computes: the number of a row would be a window of windows.
fn has_windows(order: &[OrderByExpr], select: &Select) -> bool {
    order.iter().filter_map(|by| shown(by.clone(), select)).any(|by| {
        let found = outside::see(&by.expr, |expr| match expr {
            Expr::Function(function) if function.over.is_some() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        found.is_break()
    })
}

/// Numbers the rows of a query within another one of which the first are left out and the rest is not bounded. DataFusion takes
/// the order of such rows for nothing that matters, and leaves out others.
pub(super) fn number_the_rest(query: &mut Query, scope: &Scope<'_>) {
    let leaves_out = match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit: None, offset: Some(offset), limit_by }) => {
            // What is below zero is refused where it stands.
            limit_by.is_empty() && !matches!(offset.value, Expr::UnaryOp { .. })
        }
        _ => false,
    };
    if leaves_out && query.fetch.is_none() && query.order_by.is_some() {
        // What its own common table expressions show is not known here.
        if query.with.is_none() {
            order_beside::work_out(query, scope);
        }
        // Where its order cannot be told it stays as it is.
        let _: Option<()> = by_number(query, false);
    }
}

/// The same of queries that are parts of a set.
pub(super) fn number_the_rest_of_parts(body: &mut SetExpr, scope: &Scope<'_>) {
    let SetExpr::SetOperation { left, right, .. } = body else { return };
    for part in [left, right] {
        match part.as_mut() {
            SetExpr::Query(query) => number_the_rest(query, scope),
            part => number_the_rest_of_parts(part, scope),
        }
    }
}

/// Puts a select around the body of a query, which keeps an order of its own if it has one.
fn around(query: &mut Query, order_by: Option<OrderBy>) {
    let all = SelectItem::Wildcard(WildcardAdditionalOptions::default());
    let mut outer = expressions::select(vec![all]);
    std::mem::swap(&mut outer.body, &mut query.body);
    // What was around is the body now, and `outer` the query in FROM.
    outer.order_by = order_by;
    let alias = TableAlias {
        explicit: true,
        name: Ident::with_quote('"', NUMBERED),
        columns: vec![],
        at: None,
    };
    let relation = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(outer),
        alias: Some(alias),
        sample: None,
    };
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![TableWithJoins { relation, joins: vec![] }];
    }
}

/// What a select is ordered by, with what is shown in the place of its name and its position.
fn shown(mut by: OrderByExpr, select: &Select) -> Option<OrderByExpr> {
    let found = match bare(&by.expr) {
        Expr::Value(value) => match &value.value {
            Value::Number(position, _) => {
                let position = position.parse::<usize>().ok()?.checked_sub(1)?;
                match select.projection.get(position)? {
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                        Some(expr.clone())
                    }
                    _ => return None,
                }
            }
            _ => None,
        },
        Expr::Identifier(ident) => select.projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if normal(alias) == normal(ident) => {
                Some(expr.clone())
            }
            _ => None,
        }),
        _ => None,
    };
    if let Some(found) = found {
        by.expr = found;
    }
    Some(by)
}

fn windowed(function: &str, order_by: Vec<OrderByExpr>) -> Expr {
    let mut place = call(function, vec![]);
    if let Expr::Function(function) = &mut place {
        function.over = Some(WindowType::WindowSpec(WindowSpec {
            window_name: None,
            partition_by: vec![],
            order_by,
            window_frame: None,
        }));
    }
    place
}

fn bigint(expr: Expr) -> Expr {
    cast(Expr::Nested(Box::new(expr)), DataType::BigInt(None))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }))
}

/// All rows are one group where there is `HAVING` alone, which DataFusion knows by an aggregate.
pub(super) fn group_all(select: &mut Select) {
    let GroupByExpr::Expressions(by, _) = &select.group_by else { return };
    if !by.is_empty() || empty::has_aggregate(&mut select.projection) {
        return;
    }
    let Some(having) = &mut select.having else { return };
    if empty::has_aggregate(having) {
        return;
    }
    let condition = Expr::Nested(Box::new(take(having)));
    let rows = binary(expressions::count_of_rows(), BinaryOperator::GtEq, number(0));
    *having = binary(condition, BinaryOperator::And, rows);
}
