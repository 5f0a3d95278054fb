//! `DISTINCT ON (b, a) ... ORDER BY a, b, c`.
//!
//! To PostgreSQL it is one list whichever way it is written, a number in it is a column of the result, and what the order does
//! not name comes behind it. DataFusion wants the order to begin with the list as it stands.

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, Query, SelectItem, SetExpr,
    Value,
};

use super::made::{bare, expr_of};
use super::normal;

/// Writes the list of `DISTINCT ON` as the order of its query begins.
pub(super) fn in_order(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let select = select.as_mut();
    let Some(Distinct::On(list)) = &mut select.distinct else { return };
    let shown = select.projection.as_slice();
    for part in list.iter_mut() {
        if let Some(column) = at_position(part, shown) {
            *part = column.clone();
        }
    }
    let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = &mut query.order_by else {
        return;
    };
    let (mut rest, mut sorted) = (list.clone(), Vec::with_capacity(list.len()));
    for by in order.iter() {
        let by = meant(&by.expr, shown);
        let is_same = |part: &Expr| is_same(meant(part, shown), by);
        match rest.iter().position(is_same) {
            Some(at) => sorted.push(rest.remove(at)),
            None if rest.is_empty() => break,
            // Something else stands between them.
            None => return,
        }
    }
    let options = OrderByOptions { asc: None, nulls_first: None };
    order.extend(rest.iter().cloned().map(|expr| OrderByExpr { expr, options, with_fill: None }));
    sorted.extend(rest);
    *list = sorted;
}

/// The column of the result that a number stands for.
fn at_position<'a>(part: &Expr, shown: &'a [SelectItem]) -> Option<&'a Expr> {
    let Expr::Value(value) = part else { return None };
    let Value::Number(position, _) = &value.value else { return None };
    shown.get(position.parse::<usize>().ok()?.checked_sub(1)?).and_then(expr_of)
}

/// What a part of an order or a list stands for: a column of the result by its number or name, or itself.
fn meant<'a>(part: &'a Expr, shown: &'a [SelectItem]) -> &'a Expr {
    let part = bare(part);
    let named = || {
        let Expr::Identifier(ident) = part else { return None };
        shown.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if normal(alias) == normal(ident) => {
                Some(expr)
            }
            _ => None,
        })
    };
    at_position(part, shown).or_else(named).unwrap_or(part)
}

/// Tells whether two expressions are the same; a column may have its relation in front.
fn is_same(one: &Expr, other: &Expr) -> bool {
    match (one, other) {
        (Expr::Identifier(name), Expr::CompoundIdentifier(names))
        | (Expr::CompoundIdentifier(names), Expr::Identifier(name)) => {
            names.last().is_some_and(|last| normal(last) == normal(name))
        }
        _ => one == other,
    }
}
