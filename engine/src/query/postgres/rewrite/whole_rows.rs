//! The name of a relation where a value is expected: its row, as in `SELECT row_to_json(t) FROM t`.
//!
//! It is written out with the columns of the relation, which are those that the role sees, or those that a query in `FROM`
//! gives. Where a column has that name, the column is meant.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, JoinConstraint, JoinOperator, Query, Select, SelectItem, SetExpr,
    TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::{columns, normal, parts, rows};
use crate::query::postgres::catalog::definition;
use crate::query::postgres::facts::SessionFacts;

/// Replaces the names of relations that stand for their rows.
pub(super) fn replace(select: &mut Select, facts: &SessionFacts, ctes: &[Vec<String>]) {
    let scope = Scope { facts, ctes };
    let Some(relations) = scope.relations(select) else { return };
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
    let mut found = Rows { rows, depth: 0 };
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
    // The visitor never breaks off.
    let _ = select.visit(&mut found);
}

/// What names mean where a select stands.
struct Scope<'a> {
    facts: &'a SessionFacts,
    ctes: &'a [Vec<String>],
}

impl Scope<'_> {
    /// The relations of a select by name, with their columns; `None` where those of one are not known.
    fn relations(&self, select: &Select) -> Option<Vec<(String, Vec<String>)>> {
        let factors = select.from.iter().flat_map(|from| {
            std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
        });
        factors.map(|factor| self.relation(factor)).collect()
    }

    fn relation(&self, factor: &TableFactor) -> Option<(String, Vec<String>)> {
        let (name, known, alias) = match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let names = parts(name);
                (names.last()?.clone(), self.table(&names)?, alias.as_ref())
            }
            TableFactor::Derived { subquery, alias: Some(alias), .. } => {
                let known = match alias.columns.is_empty() {
                    true => self.query(subquery)?,
                    false => Vec::new(),
                };
                (String::new(), known, Some(alias))
            }
            _ => return None,
        };
        let name = alias.map_or(name, |alias| normal(&alias.name));
        let known = renamed(known, alias);
        let is_unique = known.iter().enumerate().all(|(at, name)| !known[..at].contains(name));
        is_unique.then_some((name, known))
    }

    fn table(&self, names: &[String]) -> Option<Vec<String>> {
        let snapshot = self.facts.snapshot();
        let of = |schema: &str, table: &str| -> Option<Vec<String>> {
            match definition(schema, table) {
                Some(known) => Some(known.columns.iter().map(|c| c.name.to_string()).collect()),
                None => {
                    let columns = &snapshot.named(schema, table)?.relation.columns;
                    Some(columns.iter().map(|column| column.name().clone()).collect())
                }
            }
        };
        match names {
            [table] if self.ctes.iter().flatten().any(|cte| cte == table) => None,
            [table] => self.facts.search_path().iter().find_map(|schema| of(schema, table)),
            [.., schema, table] => of(schema, table),
            [] => None,
        }
    }

    fn query(&self, query: &Query) -> Option<Vec<String>> {
        match query.body.as_ref() {
            SetExpr::Select(select) => {
                let named = |item: &SelectItem| match item {
                    SelectItem::Wildcard(_) if query.with.is_none() && !merges(select) => {
                        let relations = self.relations(select)?;
                        Some(relations.into_iter().flat_map(|(_, columns)| columns).collect())
                    }
                    other => Some(vec![columns::name_of(other)?]),
                };
                let names: Option<Vec<Vec<String>>> = select.projection.iter().map(named).collect();
                names.map(|names| names.concat())
            }
            SetExpr::Query(query) => self.query(query),
            SetExpr::Values(values) => {
                let width = values.rows.first()?.len();
                Some((1..=width).map(|at| format!("column{at}")).collect())
            }
            _ => None,
        }
    }
}

/// Whether a join makes one column of two.
fn merges(select: &Select) -> bool {
    use JoinOperator::{FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
    select.from.iter().flat_map(|from| &from.joins).any(|join| match &join.join_operator {
        Join(how) | Inner(how) | Left(how) | LeftOuter(how) | Right(how) | RightOuter(how)
        | FullOuter(how) => matches!(how, JoinConstraint::Using(_) | JoinConstraint::Natural),
        _ => false,
    })
}

/// The columns of a relation by the names that its alias gives them.
fn renamed(known: Vec<String>, alias: Option<&TableAlias>) -> Vec<String> {
    let given = alias.map(|alias| alias.columns.as_slice()).unwrap_or_default();
    let given: Vec<String> = given.iter().map(|column| normal(&column.name)).collect();
    let rest = known.into_iter().skip(given.len());
    given.iter().cloned().chain(rest).collect()
}

/// The relations whose names stand for rows.
struct Rows {
    rows: Vec<(String, Vec<String>)>,
    /// How many queries within the select are open: names there may mean something else.
    depth: usize,
}

impl Rows {
    fn row(&self, ident: &Ident) -> Option<&(String, Vec<String>)> {
        let name = normal(ident);
        self.rows.iter().find(|(known, _)| *known == name)
    }
}

impl VisitorMut for Rows {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
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
        if self.depth == 0
            && let Expr::Identifier(ident) = &*expr
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

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
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
}

/// The fields that are taken of a value.
fn fields(accesses: &mut [AccessExpr]) -> impl Iterator<Item = &mut Expr> {
    accesses.iter_mut().filter_map(|access| match access {
        AccessExpr::Dot(field) => Some(field),
        AccessExpr::Subscript(_) => None,
    })
}
