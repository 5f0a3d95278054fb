//! Lists in a select list, `SELECT unnest(l) AS part, CASE WHEN t.flag THEN 1 END AS flag FROM t`.
//!
//! DataFusion keeps the columns beside a list and what is made of them under one another's names, and takes a name that both have
//! for one of two. There the lists go to `FROM`, where they give the same rows.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, Select, SelectItem, TableAlias, TableAliasColumnDef, TableFactor,
    TableWithJoins,
};

use super::made::expr_of;
use super::{arguments, function_name, normal, relations};
use crate::query::syntax::outside;

/// The relation of the lists: no text of a statement has such a name.
const BESIDE: &str = "\u{1}beside";

/// Moves the lists of a select list to `FROM` where something has the name of a column that it is made of.
pub(super) fn move_out(select: &mut Select) {
    let is_plain = select.distinct.is_none()
        && select.having.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let lists = |item: &SelectItem| list_of(item).is_some();
    // A star would show the lists as well.
    let has_star = select.projection.iter().any(|item| expr_of(item).is_none());
    if !is_plain
        || has_star
        || select.from.is_empty()
        || !select.projection.iter().any(lists)
        || !select.projection.iter().any(has_name_of_its_part)
        || select.projection.iter().filter(|item| !lists(item)).any(multiplies)
    {
        return;
    }
    let (mut array_exprs, mut columns) = (Vec::new(), Vec::new());
    for item in &mut select.projection {
        let Some(list) = list_of(item) else { continue };
        array_exprs.push(list);
        let column = Ident::new(format!("list{}", array_exprs.len()));
        let alias = match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
            _ => Ident::new("unnest"),
        };
        let expr = Expr::CompoundIdentifier(vec![Ident::with_quote('"', BESIDE), column.clone()]);
        *item = SelectItem::ExprWithAlias { expr, alias };
        columns.push(TableAliasColumnDef { name: column, data_type: None });
    }
    let name = Ident::with_quote('"', BESIDE);
    let relation = TableFactor::UNNEST {
        alias: Some(TableAlias { explicit: true, name, columns, at: None }),
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
    select.from.push(TableWithJoins { relation, joins: vec![] });
}
/// The list whose parts an item is.
fn list_of(item: &SelectItem) -> Option<Expr> {
    let Expr::Function(function) = expr_of(item)? else { return None };
    let mut lists = arguments(&function.args);
    let is_list = lists.len() == 1 && function_name(&function.name).as_deref() == Some("unnest");
    lists.pop().filter(|_| is_list)
}

/// Tells whether an item has the name of a column that it is made of, but is no column.
fn has_name_of_its_part(item: &SelectItem) -> bool {
    let SelectItem::ExprWithAlias { expr, alias } = item else { return false };
    if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
        return false;
    }
    let alias = normal(alias);
    let is_named = |expr: &Expr| match expr {
        Expr::Identifier(column) => normal(column) == alias,
        Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|last| normal(last) == alias),
        _ => false,
    };
    holds(expr, is_named)
}

/// Tells whether an item gives several rows, or is worked out over several.
fn multiplies(item: &SelectItem) -> bool {
    let is_such = |expr: &Expr| match expr {
        Expr::Function(function) => {
            let gives_rows = |name: String| relations::gives_rows(&name);
            function.over.is_some() || function_name(&function.name).is_some_and(gives_rows)
        }
        _ => false,
    };
    expr_of(item).is_some_and(|expr| holds(expr, is_such))
}

/// Tells whether something is said of a part of an expression outside of its subqueries.
fn holds(expr: &Expr, is_said: impl Fn(&Expr) -> bool) -> bool {
    let found = outside::see(expr, |part| match is_said(part) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    found.is_break()
}
