//! Aggregates of the query around in a subquery that reads nothing: `SELECT g, (SELECT sum(x)) FROM t GROUP BY g`, where `x` can
//! be a column of `t` alone. What such a subquery shows stands for it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, Statement, VisitMut, VisitorMut,
};

use super::empty::is_aggregate;
use super::function_name;
use super::made::{nested, plain};
use super::relations::gives_rows;
use crate::query::syntax::outside;

/// Puts what such subqueries show in their place.
pub(super) fn replace(statement: &mut Statement) {
    // The visitor never breaks off.
    let _ = statement.visit(&mut Alone);
}

struct Alone;

impl VisitorMut for Alone {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Subquery(query)) = &*item
                && let Some((expr, Some(alias))) = shown(query)
            {
                *item = SelectItem::ExprWithAlias { expr: nested(expr), alias };
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Subquery(query) = &*expr
            && let Some((shown, _)) = shown(query)
        {
            *expr = nested(shown);
        }
        ControlFlow::Continue(())
    }
}

/// What such a subquery shows, and what it calls it.
fn shown(query: &Query) -> Option<(Expr, Option<Ident>)> {
    let select = plain(query)?;
    let reads_nothing = select.from.is_empty() && select.selection.is_none();
    let (expr, alias) = match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr)] => (expr, None),
        [SelectItem::ExprWithAlias { expr, alias }] => (expr, Some(alias.clone())),
        _ => return None,
    };
    (reads_nothing && aggregates_columns(expr)).then(|| (expr.clone(), alias))
}

/// Tells whether an expression has aggregates, all of them of columns, and is one value.
fn aggregates_columns(expr: &Expr) -> bool {
    let mut found = false;
    let fits = outside::see(expr, |part| {
        let Expr::Function(function) = part else { return ControlFlow::Continue(()) };
        let Some(name) = function_name(&function.name) else { return ControlFlow::Continue(()) };
        let is_aggregated = is_aggregate(&name);
        found |= is_aggregated;
        match function.over.is_some() || gives_rows(&name) || is_aggregated && !has_column(part) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    found && fits.is_continue()
}

/// Tells whether an expression names a column, outside of the queries in it.
pub(super) fn has_column(expr: &Expr) -> bool {
    let found = outside::see(expr, |part| match part {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::syntax::statements;

    #[test]
    fn aggregates_of_the_query_around_stand_in_it() {
        for (sql, expected) in [
            ("SELECT (SELECT sum(x)) FROM t", "SELECT (sum(x)) FROM t"),
            ("SELECT (SELECT max(x) + 1 AS m) FROM t", "SELECT (max(x) + 1) AS m FROM t"),
            (
                "SELECT g FROM t GROUP BY g HAVING (SELECT count(x)) > 1",
                "SELECT g FROM t GROUP BY g HAVING (count(x)) > 1",
            ),
            ("SELECT (SELECT sum(1)) FROM t", "SELECT (SELECT sum(1)) FROM t"),
            ("SELECT (SELECT sum(x) FROM u) FROM t", "SELECT (SELECT sum(x) FROM u) FROM t"),
            ("SELECT (SELECT sum(x) OVER ()) FROM t", "SELECT (SELECT sum(x) OVER ()) FROM t"),
        ] {
            let mut read = statements(sql).unwrap();
            replace(&mut read[0]);
            assert_eq!(read[0].to_string(), expected);
        }
    }
}
