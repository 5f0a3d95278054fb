//! `SELECT lower(s) AS s FROM t ORDER BY length(s)`: within an expression of the order a name is that of a column that is read, and
//! not that of a column that is shown.
//!
//! DataFusion takes it for the one that is shown, and cannot tell the two apart if it is written with its relation. So what such
//! rows are ordered by is worked out beside what is shown, in a query in `FROM`, and so is `grouping(x)`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins,
};

use super::expressions::{self, number, take};
use super::made::{bare, expr_of};
use super::scope::Scope;
use super::{columns, function_name, normal};
use crate::query::syntax::outside;

/// What the columns are called: no text of a statement has such a name.
const ORDER: &str = "\u{1}order ";

/// Puts a query around one whose order names columns that what is shown is called like.
pub(super) fn work_out(query: &mut Query, scope: &Scope<'_>) {
    let has_ties = query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties);
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = &mut query.order_by else {
        return;
    };
    let hidden: Vec<String> = select.projection.iter().filter_map(hiding).collect();
    if select.distinct.is_some() || select.into.is_some() {
        return;
    }
    let names: Option<Vec<String>> = select.projection.iter().map(columns::name_of).collect();
    let Some(names) = names else { return };
    // Rows that are tied are counted by what they are ordered by, whatever that is called.
    let is_column = |item: &SelectItem| {
        matches!(item, SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
    };
    let mut is_concerned = has_ties && !select.projection.iter().all(is_column);
    for by in order.iter_mut() {
        let is_name = matches!(bare(&by.expr), Expr::Identifier(_));
        if is_name || !names_read(&by.expr, &hidden, select, scope) {
            continue;
        }
        // What is shown as it is has a position.
        let shown = select.projection.iter().map(expr_of);
        let found = (1..).zip(shown).find(|(_, shown)| *shown == Some(&by.expr));
        match found.map(|(position, _)| position) {
            Some(position) => by.expr = number(position),
            None => is_concerned = true,
        }
    }
    let named = |name: &String| names.iter().filter(|other| *other == name).count();
    let is_open =
        |by: &Expr| matches!(bare(by), Expr::Identifier(name) if named(&normal(name)) > 1);
    if !is_concerned || order.iter().any(|by| is_open(&by.expr)) {
        return;
    }
    let quoted = |name: &str| Ident::with_quote('"', name);
    // Within the query in `FROM` each column has a name of its own.
    let own = |at: usize| {
        let again = names[..at].iter().filter(|other| **other == names[at]).count();
        quoted(&columns::unique(&names[at], again))
    };
    for (at, item) in select.projection.iter_mut().enumerate() {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                *item = SelectItem::ExprWithAlias { expr: take(expr), alias: own(at) };
            }
            SelectItem::ExprWithAlias { alias, .. } => *alias = own(at),
            _ => {}
        }
    }
    let is_shown = |by: &Expr| match bare(by) {
        Expr::Value(_) => true,
        Expr::Identifier(name) => names.contains(&normal(name)),
        _ => false,
    };
    for (at, by) in order.iter_mut().filter(|by| !is_shown(&by.expr)).enumerate() {
        let alias = quoted(&format!("{ORDER}{at}"));
        let column = Expr::Identifier(alias.clone());
        let expr = std::mem::replace(&mut by.expr, column);
        select.projection.push(SelectItem::ExprWithAlias { expr, alias });
    }
    let shown = names.iter().enumerate().map(|(at, name)| {
        let expr = Expr::Identifier(own(at));
        SelectItem::ExprWithAlias { expr, alias: quoted(name) }
    });
    let mut inner = expressions::select(shown.collect());
    std::mem::swap(&mut inner.body, &mut query.body);
    // What was around is the body now, and `inner` the query in FROM.
    let (lateral, subquery, alias, sample) = (false, Box::new(inner), None, None);
    let relation = TableFactor::Derived { lateral, subquery, alias, sample };
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![TableWithJoins { relation, joins: vec![] }];
    }
}

/// The name of a column that is shown, if it is not that of the column that it is made of.
fn hiding(item: &SelectItem) -> Option<String> {
    let SelectItem::ExprWithAlias { expr, alias } = item else { return None };
    let name = normal(alias);
    let is_own = match expr {
        Expr::Identifier(column) => normal(column) == name,
        Expr::CompoundIdentifier(names) => names.last().map(normal).as_ref() == Some(&name),
        _ => false,
    };
    (!is_own).then_some(name)
}

/// Tells whether an expression names a column that is read and `hidden` by one that is shown, or tells groups apart, which
/// DataFusion does not twice.
fn names_read(by: &Expr, hidden: &[String], select: &Select, scope: &Scope<'_>) -> bool {
    let found = outside::see(by, |part| {
        let is_such = match part {
            Expr::Identifier(name) => {
                let name = normal(name);
                hidden.contains(&name)
                    && scope.relations(select).is_some_and(|relations| {
                        relations.iter().any(|given| given.columns.contains(&name))
                    })
            }
            Expr::CompoundIdentifier(names) => {
                names.last().is_some_and(|name| hidden.contains(&normal(name)))
            }
            Expr::Function(function) => {
                function_name(&function.name).as_deref() == Some("grouping")
            }
            _ => false,
        };
        if is_such { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found.is_break()
}
