//! The row that a subquery makes of columns around it, as in `row_to_json((SELECT e FROM (SELECT t.id AS id, t.name AS name) AS e))`:
//! so Hasura names what it shows. The record of these columns stands for it, and no subquery is left.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query, Select, SelectItem,
    TableFactor, Value,
};

use super::made::plain;
use super::{normal, rows};

/// Puts records in the place of such subqueries that a function is given.
pub(super) fn in_arguments(function: &mut Function) {
    let FunctionArguments::List(list) = &mut function.args else { return };
    for argument in &mut list.args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument
            && let Expr::Subquery(query) = &*expr
            && let Some(record) = record(query)
        {
            *expr = record;
        }
    }
}

fn record(query: &Query) -> Option<Expr> {
    let select = showing(query)?;
    let [SelectItem::UnnamedExpr(Expr::Identifier(shown))] = select.projection.as_slice() else {
        return None;
    };
    let [from] = select.from.as_slice() else { return None };
    let TableFactor::Derived { subquery, alias: Some(alias), .. } = &from.relation else {
        return None;
    };
    let row = showing(subquery)?;
    let is_row = from.joins.is_empty()
        && alias.columns.is_empty()
        && row.from.is_empty()
        && normal(&alias.name) == normal(shown);
    if !is_row {
        return None;
    }
    let fields: Vec<(String, Expr)> = row.projection.iter().map(field).collect::<Option<_>>()?;
    let names: HashSet<String> = fields.iter().map(|(name, _)| name.clone()).collect();
    // Where a column is called like the row, the column is shown.
    let is_known = names.len() == fields.len() && !names.contains(&normal(shown));
    is_known.then(|| rows::named_record(fields.into_iter()))
}

/// A select of a query that does nothing but show something.
fn showing(query: &Query) -> Option<&Select> {
    plain(query).filter(|select| query.order_by.is_none() && select.selection.is_none())
}

/// A field of the row, by its name.
fn field(item: &SelectItem) -> Option<(String, Expr)> {
    let (expr, name) = match item {
        SelectItem::ExprWithAlias { expr, alias } => (expr, alias),
        SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(parts)) => (expr, parts.last()?),
        SelectItem::UnnamedExpr(expr @ Expr::Identifier(ident)) => (expr, ident),
        _ => return None,
    };
    is_value(expr).then(|| (normal(name), expr.clone()))
}

/// Tells whether an expression is a column or a literal, or a cast of one: aggregates and lists are of the subquery itself.
fn is_value(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => true,
        Expr::Value(value) => !matches!(value.value, Value::Placeholder(_)),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_value(inner),
        _ => false,
    }
}
