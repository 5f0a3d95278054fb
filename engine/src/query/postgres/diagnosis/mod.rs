//! What is wrong with a statement: PostgreSQL's SQLSTATE, its words, and the place in the text.
//!
//! [`check`] looks at a statement before it is planned: for what PostgreSQL refuses and the planner takes, or says in words
//! of its own. [`check_choices`] and [`check_plan`] look at the plan, where types are known: texts that are no values of
//! the type they are taken for, and types that do not go together. [`explain`] turns what the planner says into what
//! PostgreSQL says.
//!
//! A place goes with an error as the span of a `Diagnostic` around it, which counts lines and columns of the statement. It
//! may begin at the space before the place, where the syntax tree knows only what stands on the left. Messages name things
//! of the statement, never its texts, which may be personal.

mod calls;
mod clauses;
mod levels;
mod located;
mod names;
mod planner_words;
mod queries;
#[cfg(test)]
mod tests;
mod typed;
mod unseen;
mod values;

use std::ops::ControlFlow;

use datafusion::common::{Diagnostic, Span};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, Query, Select, Statement, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Span as TextSpan;

use crate::error::{Error, Result};

pub(super) use clauses::is_aggregate;
pub(crate) use clauses::{check_assigned, check_returned};
pub(super) use levels::Misplaced;
pub(super) use names::ambiguous;
pub(crate) use names::ambiguous_column;
pub(in crate::query) use planner_words::explain;
pub(super) use typed::check_operator;
pub(in crate::query) use typed::{check_choices, check_plan};
pub(crate) use unseen::{missing_column, refuse_unseen};

/// What is wrong, and what of the statement it is about: who finds it knows no places.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct Fault {
    sqlstate: &'static str,
    message: String,
    hint: String,
    about: About,
}

/// What of a statement something is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    /// A text, which stands in it once.
    Text(String),
    /// An operator, with the columns on its sides.
    Operator { operator: String, left: Option<String>, right: Option<String> },
    /// An argument of a call.
    Argument { function: String, index: usize },
    /// A column of the right side of a `UNION`.
    UnionColumn(usize),
    /// A cast behind its value.
    Cast,
    /// Nothing that could be pointed at.
    Nothing,
}

impl Fault {
    fn new(sqlstate: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault { sqlstate, message: message.into(), hint: hint.into(), about: About::Nothing }
    }

    fn about(mut self, about: About) -> Self {
        self.about = about;
        self
    }

    /// Makes an error of it, with the place in a statement.
    fn in_statement(self, statement: &Statement) -> Error {
        let span = located::find(statement, &self.about).unwrap_or_else(TextSpan::empty);
        self.at(span)
    }

    /// Makes an error of it, with a place; an empty span is none.
    fn at(self, span: TextSpan) -> Error {
        let Fault { sqlstate, message, hint, .. } = self;
        at_span(Error::Standard { sqlstate, message, hint }, span)
    }

    /// Makes an error of the planner of it, for [`explain`] to find the place of.
    pub(super) fn unlocated(self) -> DataFusionError {
        DataFusionError::External(Box::new(self))
    }
}

/// Adds to an error where in the statement it is; an empty span is no place.
pub(crate) fn at_span(error: Error, span: TextSpan) -> Error {
    match Span::try_from_sqlparser_span(span) {
        Some(span) => DataFusionError::External(Box::new(error))
            .with_diagnostic(Diagnostic::new_error("", Some(span)))
            .into(),
        None => error,
    }
}

/// The place behind a span: of what follows it.
fn behind(span: TextSpan) -> TextSpan {
    TextSpan::new(span.end, span.end)
}

/// An error about a text of the statement that is no value of the type it is taken for.
pub(super) fn about_text(text: &str, error: &Error) -> DataFusionError {
    let hint = error.hint().unwrap_or_default();
    Fault::new(error.sqlstate(), error.to_string(), hint)
        .about(About::Text(text.to_owned()))
        .unlocated()
}

/// Refuses what PostgreSQL refuses of the statement alone.
pub(in crate::query) fn check(statement: &Statement) -> Result<()> {
    match statement.visit(&mut Checker) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => levels::check(statement),
    }
}

struct Checker;

impl Checker {
    fn verdict(found: Result<()>) -> ControlFlow<Error> {
        match found {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Visitor for Checker {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        Self::verdict(queries::check_query(query))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        Self::verdict(queries::check_select(select).and_then(|()| clauses::check(select)))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
        Self::verdict(queries::check_relation(factor))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        Self::verdict(calls::check(expr))
    }
}
