//! Where in a statement that writes its columns and their values stand, for errors to point at.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{
    CastKind, Expr, ObjectName, Query, SelectItem, SetExpr, Spanned, Statement,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::insert::is_open;
use super::statement::parts;
use super::with;
use crate::error::Error;
use crate::query::postgres::at_span;

/// The columns that a statement names, and the query that gives their values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    columns: &'a [ObjectName],
    body: Option<&'a SetExpr>,
    /// How many columns of the query come before the values.
    before: usize,
}

impl<'a> Places<'a> {
    /// Of what the server wrote itself.
    pub(super) const NONE: Places<'static> = Places { columns: &[], body: None, before: 0 };

    /// Those of an `INSERT`, without values.
    pub(super) fn of_insert(statement: &'a Statement) -> Self {
        let insert = match statement {
            Statement::Query(query) => with::behind(query),
            other => Some(other),
        };
        match insert {
            Some(Statement::Insert(insert)) => Self { columns: &insert.columns, ..Self::NONE },
            _ => Self::NONE,
        }
    }

    /// The same with the values that a query gives.
    pub(super) fn giving(self, query: &'a Query) -> Self {
        Self { body: Some(query.body.as_ref()), ..self }
    }

    /// Those of an `UPDATE`, of which the query gives the number of the row first.
    pub(super) fn of_change(query: &'a Statement) -> Self {
        match query {
            Statement::Query(query) => Self { before: 1, ..Self::NONE.giving(query) },
            _ => Self::NONE,
        }
    }

    /// Tells whether the values are written as rows.
    pub(super) fn are_rows(&self) -> bool {
        matches!(self.body, Some(SetExpr::Values(_)))
    }

    /// Adds where a column is named for the second time to the error that tells of it.
    pub(super) fn at_second(&self, error: Error) -> Error {
        let mut named = BTreeSet::new();
        let second = self.columns.iter().find(|column| !named.insert(parts(column).pop()));
        match second.filter(|_| error.sqlstate() == "42701") {
            Some(column) => at_span(error, column.span()),
            None => error,
        }
    }

    /// Adds where a column is named.
    pub(super) fn at_column(&self, name: &str, error: Error) -> Error {
        let is_it = |column: &&ObjectName| parts(column).last().is_some_and(|last| last == name);
        match self.columns.iter().find(is_it) {
            Some(column) => at_span(error, column.span()),
            None => error,
        }
    }

    /// Adds where the value `at` of `count` stands.
    pub(super) fn at_value(&self, (at, count): (usize, usize), error: Error) -> Error {
        let value =
            self.body.and_then(|body| value_of(body, at + self.before, count + self.before));
        match value.and_then(start) {
            Some(span) => at_span(error, span),
            None => error,
        }
    }

    /// Tells whether the value `at` of `count` is a literal or a parameter that has the type of its place.
    pub(super) fn is_open(&self, (at, count): (usize, usize)) -> bool {
        match self.body {
            Some(body @ SetExpr::Select(_)) => {
                value_of(body, at + self.before, count + self.before).is_some_and(is_open)
            }
            _ => false,
        }
    }
}

/// Returns the value `at` of `count`; of many rows the first that has a type, and none beside `*` on both sides.
fn value_of(body: &SetExpr, at: usize, count: usize) -> Option<&Expr> {
    match body {
        SetExpr::Values(values) => {
            let mut cells = values.rows.iter().filter_map(|row| row.content.get(at));
            let first = cells.clone().next();
            cells.find(|cell| !is_open(cell)).or(first)
        }
        SetExpr::Query(query) => value_of(&query.body, at, count),
        SetExpr::SetOperation { left, .. } => value_of(left, at, count),
        SetExpr::Select(select) => {
            let items = &select.projection;
            let plain = |items: &[SelectItem]| items.iter().all(|item| expr_of(item).is_some());
            if let Some(to_here) = items.get(..=at).filter(|to_here| plain(to_here)) {
                return to_here.last().and_then(expr_of);
            }
            // Behind `*` it is counted from the end.
            let from_here = items.get(items.len().checked_sub(count.checked_sub(at)?)?..)?;
            from_here.first().filter(|_| plain(from_here)).and_then(expr_of)
        }
        _ => None,
    }
}

fn expr_of(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// Where an expression begins, if the tree knows it.
fn start(expr: &Expr) -> Option<Span> {
    match expr {
        Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Some(expr.span()),
        Expr::Function(function) => Some(function.name.span()),
        Expr::Nested(inner) | Expr::Cast { kind: CastKind::DoubleColon, expr: inner, .. } => {
            start(inner)
        }
        Expr::BinaryOp { left, .. } => start(left),
        Expr::Case { case_token, .. } => Some(case_token.0.span),
        _ => None,
    }
}
