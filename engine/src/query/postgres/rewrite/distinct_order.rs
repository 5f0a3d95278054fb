//! `SELECT DISTINCT lower(s) AS l FROM t ORDER BY lower(s)`: distinct rows are ordered by a column that is shown, of whatever it is
//! made.
//!
//! DataFusion looks for such columns by their names. A position says which one it is.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, OrderBy, OrderByKind, Query, SetExpr, TableWithJoins,
};

use super::expressions::number;
use super::made::expr_of;
use crate::query::syntax::outside;

/// Puts positions in the place of what distinct rows are ordered by.
pub(super) fn by_position(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = &mut query.order_by else {
        return;
    };
    if !matches!(select.distinct, Some(Distinct::Distinct)) {
        return;
    }
    // Behind a star nobody knows which column it is.
    let shown = select.projection.iter().map(expr_of);
    let Some(shown) = shown.collect::<Option<Vec<&Expr>>>() else { return };
    let is_one =
        matches!(select.from.as_slice(), [TableWithJoins { joins, .. }] if joins.is_empty());
    for by in order {
        if matches!(by.expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_)) {
            continue;
        }
        let found = (1..).zip(&shown).find(|(_, shown)| is_same(shown, &by.expr, is_one));
        if let Some((position, _)) = found {
            by.expr = number(position);
        }
    }
}

/// Tells whether two expressions are the same: of one relation, with its name or without.
fn is_same(shown: &Expr, by: &Expr, is_one: bool) -> bool {
    shown == by || is_one && without_relations(shown) == without_relations(by)
}

/// An expression whose columns are named without their relations.
fn without_relations(expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    let _ = outside::change(&mut expr, |part| {
        if let Expr::CompoundIdentifier(names) = part
            && let Some(name) = names.pop()
        {
            *part = Expr::Identifier(name);
        }
        ControlFlow::<()>::Continue(())
    });
    expr
}
