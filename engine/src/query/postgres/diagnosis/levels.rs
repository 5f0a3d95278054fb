//! Aggregates in a subquery over columns of a query further out alone: `SELECT (SELECT y FROM u WHERE y = max(t.x)) FROM t`.
//!
//! They are aggregates of that query, and make one row of all of its rows. Here they would be made of the rows of the subquery.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Select, Spanned, Statement, Visit, Visitor};
use datafusion::sql::sqlparser::tokenizer::Span as TextSpan;

use super::Fault;
use super::clauses::{self, is_aggregate};
use crate::error::{Error, Result};
use crate::query::postgres::rewrite::{normal, relation_names};
use crate::query::syntax::outside;

/// What is said of them.
pub(super) const MESSAGE: &str =
    "an aggregate of a query further out is not supported in a subquery";
/// What to do without them.
pub(super) const HINT: &str = "Write the aggregate outside of the subquery, or name a column of the rows that the subquery reads.";

/// What stands in a query that it is not of, or cannot be of.
#[derive(Debug)]
pub(in crate::query::postgres) enum Misplaced {
    /// An aggregate of a query further out that cannot be moved there.
    FurtherOut,
    /// An aggregate within another of the same query.
    Aggregate,
    /// An aggregate of the query whose `WHERE` it is in.
    Where,
    /// A column that is not grouped by.
    Ungrouped(String),
    /// One of a query further out.
    UngroupedWithin(String),
}

impl Misplaced {
    /// What is said of it where it stands.
    pub(in crate::query::postgres) fn at(self, span: TextSpan) -> Error {
        let fault = match self {
            Misplaced::FurtherOut => Fault::new("0A000", MESSAGE, HINT),
            Misplaced::Aggregate => clauses::nested("aggregate function calls cannot be nested"),
            Misplaced::Where => clauses::aggregate_in_where(),
            Misplaced::Ungrouped(name) => clauses::ungrouped(&name),
            Misplaced::UngroupedWithin(name) => {
                let message = format!("subquery uses ungrouped column \"{name}\" from outer query");
                Fault { message, ..clauses::ungrouped(&name) }
            }
        };
        fault.at(span)
    }
}

/// Refuses them, where they are told by the relations that columns are named with.
pub(super) fn check(statement: &Statement) -> Result<()> {
    match statement.visit(&mut Levels { open: Vec::new() }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Levels {
    /// What the relations of the selects that are open are called, those of the outermost first.
    open: Vec<Vec<String>>,
}

impl Levels {
    /// Tells whether all that an aggregate is made of are columns of relations further out.
    fn is_of_further_out(&self, aggregate: &Expr) -> bool {
        let Some((here, around)) = self.open.split_last() else { return false };
        let mut further = false;
        let own = outside::see(aggregate, |part| match part {
            Expr::CompoundIdentifier(idents) => {
                let name = idents.first().filter(|_| idents.len() == 2).map(normal);
                let is_further = name.is_some_and(|name| {
                    !here.contains(&name) && around.iter().any(|open| open.contains(&name))
                });
                further |= is_further;
                if is_further { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            }
            Expr::Identifier(_)
            | Expr::Subquery(_)
            | Expr::Exists { .. }
            | Expr::InSubquery { .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        further && own.is_continue()
    }
}

impl Visitor for Levels {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        let factors = select.from.iter().flat_map(|from| {
            let joined = from.joins.iter().map(|join| &join.relation);
            std::iter::once(&from.relation).chain(joined)
        });
        self.open.push(factors.flat_map(relation_names).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &Select) -> ControlFlow<Error> {
        self.open.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        if self.open.len() > 1 && is_aggregate(expr) && self.is_of_further_out(expr) {
            return ControlFlow::Break(Fault::new("0A000", MESSAGE, HINT).at(expr.span()));
        }
        ControlFlow::Continue(())
    }
}
