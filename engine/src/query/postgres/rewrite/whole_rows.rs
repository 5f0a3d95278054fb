//! The name of a relation where a value is expected: its row, as in `SELECT row_to_json(t) FROM t`.
//!
//! It is written out with the columns of the relation, which are those that the role sees, or those that a query in `FROM`
//! gives. Where a column has that name, the column is meant.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, Select, SelectItem, TableFactor, visit_expressions_mut,
};

use super::scope::{Given, Scope};
use super::{normal, rows};
use crate::query::syntax::outside;

/// Replaces the names of relations that stand for their rows.
pub(super) fn replace(select: &mut Select, scope: &Scope<'_>) {
    let Some(relations) = relations(select, scope) else { return };
    // What the select list gives a name to is meant by it, too.
    let is_given = |name: &str| {
        select.projection.iter().any(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => normal(alias) == name,
            _ => false,
        })
    };
    let is_column = |name: &String| relations.iter().any(|(_, columns)| columns.contains(name));
    let rows = relations.iter().filter(|(name, _)| !is_column(name) && !is_given(name)).cloned();
    let rows: Vec<(String, Vec<String>)> = rows.collect();
    let found = Rows { rows };
    if found.rows.is_empty() {
        return;
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(ident)) = item
            && found.row(ident).is_some()
        {
            let (alias, expr) = (ident.clone(), Expr::Identifier(ident.clone()));
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
    // The visitors never break off.
    let _: ControlFlow<()> = visit_expressions_mut(select, |expr| found.set_apart(expr));
    let _: ControlFlow<()> = outside::change(select, |expr| found.replace(expr));
    let _: ControlFlow<()> = visit_expressions_mut(select, name_fields);
}

/// The relations and queries of a select by name, with their columns; `None` where those of one are not known, and where
/// something else is among them.
fn relations(select: &Select, scope: &Scope<'_>) -> Option<Vec<(String, Vec<String>)>> {
    let factors = select.from.iter().flat_map(|from| {
        std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
    });
    let named = |factor: &TableFactor| match factor {
        TableFactor::Table { args: None, .. } | TableFactor::Derived { alias: Some(_), .. } => {
            let Given { name, columns } = scope.factor(factor)?.pop()?;
            let is_unique = columns.iter().collect::<HashSet<_>>().len() == columns.len();
            is_unique.then_some((name, columns))
        }
        _ => None,
    };
    factors.map(named).collect()
}

/// The relations whose names stand for rows.
struct Rows {
    rows: Vec<(String, Vec<String>)>,
}

impl Rows {
    fn row(&self, ident: &Ident) -> Option<&(String, Vec<String>)> {
        let name = normal(ident);
        self.rows.iter().find(|(known, _)| *known == name)
    }

    /// Writes what has the name of a relation and is no row of it in a way that nothing else is written in.
    fn set_apart(&self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundFieldAccess { root, access_chain } = expr {
            // In `t.column[1]` it is the qualifier of a column.
            if let Expr::Identifier(ident) = root.as_ref()
                && self.row(ident).is_some()
                && let Some(AccessExpr::Dot(Expr::Identifier(column))) = access_chain.first()
            {
                **root = Expr::CompoundIdentifier(vec![ident.clone(), column.clone()]);
                access_chain.remove(0);
            }
            // In `(record).t` it is the name of a field.
            for field in fields(access_chain) {
                if let Expr::Identifier(ident) = field {
                    *field = Expr::CompoundIdentifier(vec![ident.clone()]);
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Replaces the name of a relation.
    fn replace(&self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = &*expr
            && let Some((name, columns)) = self.row(ident)
        {
            let quoted = |part: &String| Ident::with_quote('"', part);
            let fields = columns.iter().map(|column| {
                let parts = vec![quoted(name), quoted(column)];
                (column.clone(), Expr::CompoundIdentifier(parts))
            });
            *expr = rows::named_record(fields);
        }
        ControlFlow::Continue(())
    }
}

/// Writes the names of fields as they were before they were set apart.
fn name_fields(expr: &mut Expr) -> ControlFlow<()> {
    if let Expr::CompoundFieldAccess { access_chain, .. } = expr {
        for field in fields(access_chain) {
            if let Expr::CompoundIdentifier(parts) = field
                && let [ident] = parts.as_slice()
            {
                *field = Expr::Identifier(ident.clone());
            }
        }
    }
    ControlFlow::Continue(())
}

/// The fields that are taken of a value.
fn fields(accesses: &mut [AccessExpr]) -> impl Iterator<Item = &mut Expr> {
    accesses.iter_mut().filter_map(|access| match access {
        AccessExpr::Dot(field) => Some(field),
        AccessExpr::Subscript(_) => None,
    })
}
