//! Queries and expressions inside our statements: checked by sqlparser, kept as text.
//!
//! A definition is planned anew for each use, so nothing here resolves a name. What is checked is what would otherwise
//! surface only at the next refresh: syntax, parameters that nobody binds, and columns that the definition needs.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{self, Expr, SelectItem, SetExpr, Spanned, Value, visit_expressions};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token};

use super::error::{
    FEATURE_NOT_SUPPORTED, INVALID_COLUMN_DEFINITION, ParseError, STATEMENT_TOO_COMPLEX,
};
use super::lexer::{Lexeme, byte_at, tokenize};
use super::syntax;

/// Reads one statement of sqlparser from a range of the input; spans count from the start of the range.
pub(crate) fn statement(
    input: &str,
    range: Range<usize>,
) -> Result<Box<ast::Statement>, ParseError> {
    let mut parser = parser(input, &range)?;
    let parsed = parser.parse_statement().map_err(|error| convert(error, input, &range))?;
    expect_end(&mut parser, input, &range)?;
    Ok(Box::new(parsed))
}

/// Checks a query that a definition holds and returns it; `$1` and `INTO` have no meaning there.
pub(crate) fn query(input: &str, range: Range<usize>) -> Result<Box<ast::Query>, ParseError> {
    let parsed = statement(input, range.clone())?;
    let query = match *parsed {
        ast::Statement::Query(query) if reads_only(&query) => query,
        _ => {
            return Err(ParseError::at(
                input,
                range.start,
                "expected a query: SELECT, WITH or VALUES",
            ));
        }
    };
    no_parameters(&*query, input, &range)?;
    Ok(query)
}

/// Checks a scalar expression over the columns of one row and returns it: no subquery, no parameter, no aggregate
/// filter or window.
pub(crate) fn scalar(input: &str, range: Range<usize>) -> Result<Expr, ParseError> {
    let expression = expression(input, range.clone())?;
    let refused = visit_expressions(&expression, |part| match part {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
            ControlFlow::Break((part.span().start, "a subquery"))
        }
        Expr::Function(function) if function.over.is_some() => {
            ControlFlow::Break((part.span().start, "a window function"))
        }
        Expr::Function(function) if function.filter.is_some() => {
            ControlFlow::Break((part.span().start, "an aggregate"))
        }
        _ => ControlFlow::Continue(()),
    });
    match refused {
        ControlFlow::Break((location, what)) => {
            let byte = range.start + byte_at(&input[range.clone()], location);
            Err(ParseError::at(input, byte, format!("{what} cannot stand here"))
                .sqlstate(FEATURE_NOT_SUPPORTED)
                .hint("Use an expression over the columns of one row."))
        }
        ControlFlow::Continue(()) => Ok(expression),
    }
}

/// Checks a condition, which may hold subqueries, and returns it.
pub(crate) fn expression(input: &str, range: Range<usize>) -> Result<Expr, ParseError> {
    let mut parser = parser(input, &range)?;
    let expression = parser.parse_expr().map_err(|error| convert(error, input, &range))?;
    expect_end(&mut parser, input, &range)?;
    no_parameters(&expression, input, &range)?;
    Ok(expression)
}

/// Fails if a query's output columns can be told and one of these is not among them.
pub(crate) fn expect_columns(
    query: &ast::Query,
    needed: &[&str],
    input: &str,
    byte: usize,
    object: &str,
) -> Result<(), ParseError> {
    let Some(columns) = output_columns(&query.body) else { return Ok(()) };
    match needed.iter().find(|needed| !columns.iter().any(|column| column == *needed)) {
        None => Ok(()),
        Some(missing) => Err(ParseError::at(
            input,
            byte,
            format!("the query of {object} has no column \"{missing}\""),
        )
        .sqlstate(INVALID_COLUMN_DEFINITION)
        .hint(format!("Select the columns {}.", needed.join(", ")))),
    }
}

/// Returns the names of a query's columns, if none of them comes from `*`.
fn output_columns(body: &SetExpr) -> Option<Vec<String>> {
    match body {
        SetExpr::Query(query) => output_columns(&query.body),
        SetExpr::SetOperation { left, .. } => output_columns(left),
        SetExpr::Select(select) => select.projection.iter().map(item_name).collect(),
        _ => None,
    }
}

/// Returns the name of one item of a projection; the empty one where the planner makes it up.
fn item_name(item: &SelectItem) -> Option<String> {
    let fold = |ident: &ast::Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(fold(ident)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(fold),
        SelectItem::UnnamedExpr(_) => Some(String::new()),
        _ => None,
    }
}

/// Returns whether a query writes nothing.
pub(crate) fn reads_only(query: &ast::Query) -> bool {
    let tables = query.with.iter().flat_map(|with| &with.cte_tables);
    body_reads(&query.body) && tables.clone().all(|table| reads_only(&table.query))
}

fn body_reads(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::Query(query) => reads_only(query),
        SetExpr::SetOperation { left, right, .. } => body_reads(left) && body_reads(right),
        SetExpr::Values(_) | SetExpr::Table(_) => true,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => false,
    }
}

/// Returns what a query that writes is called, if the engine runs it: `INSERT`, `UPDATE`, `DELETE` or `MERGE` behind `WITH`,
/// `SELECT INTO`, or `SELECT` over queries of `WITH` that change rows.
pub(crate) fn written_by(statement: &ast::Statement) -> Option<&'static str> {
    let ast::Statement::Query(query) = statement else { return None };
    let verb = match query.body.as_ref() {
        SetExpr::Insert(_) => "INSERT",
        SetExpr::Update(_) => "UPDATE",
        SetExpr::Delete(_) => "DELETE",
        SetExpr::Merge(_) => "MERGE",
        body => match engine::analytics::without_into(query) {
            Some((_, without)) if body_reads(&without.body) => "SELECT INTO",
            None if body_reads(body) => "SELECT",
            _ => return None,
        },
    };
    let tables = || query.with.iter().flat_map(|with| &with.cte_tables);
    let changes = |query: &ast::Query| {
        matches!(query.body.as_ref(), SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_))
    };
    let is_run = tables().all(|table| changes(&table.query) || reads_only(&table.query));
    let writes = verb != "SELECT" || tables().any(|table| changes(&table.query));
    (is_run && writes).then_some(verb)
}

/// Fails at the first `$n`.
fn no_parameters(
    part: &impl ast::Visit,
    input: &str,
    range: &Range<usize>,
) -> Result<(), ParseError> {
    let found = visit_expressions(part, |expression| match expression {
        Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
            ControlFlow::Break(value.span.start)
        }
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Break(location) => {
            let byte = range.start + byte_at(&input[range.clone()], location);
            Err(ParseError::at(input, byte, "a definition cannot hold parameters")
                .hint("Write the value itself."))
        }
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Returns a parser of sqlparser over a range of the input.
fn parser(input: &str, range: &Range<usize>) -> Result<Parser<'static>, ParseError> {
    engine::query::syntax::parser(&input[range.clone()])
        .map_err(|error| convert(error, input, range))
}

/// Fails if sqlparser stopped before the end of the range.
fn expect_end(
    parser: &mut Parser<'_>,
    input: &str,
    range: &Range<usize>,
) -> Result<(), ParseError> {
    let next = parser.peek_token();
    if next.token == Token::EOF {
        return Ok(());
    }
    let byte = range.start + byte_at(&input[range.clone()], next.span.start);
    Err(unreadable(input, range, byte, None))
}

/// Returns the error of a query that cannot be read at a byte.
fn unreadable(
    input: &str,
    range: &Range<usize>,
    byte: usize,
    expected: Option<&str>,
) -> ParseError {
    let lexemes = tokenize(input).unwrap_or_default();
    let within = |lexeme: &Lexeme| range.start <= lexeme.start && lexeme.end <= range.end;
    let lexemes: Vec<Lexeme> = lexemes.into_iter().filter(within).collect();
    syntax::error(input, &lexemes, byte, expected)
}

/// Makes an error of sqlparser one of ours: the place at the end of its message becomes the position.
fn convert(error: ParserError, input: &str, range: &Range<usize>) -> ParseError {
    let text = match error {
        ParserError::RecursionLimitExceeded => {
            return ParseError::at(input, range.start, "statement is nested too deeply")
                .sqlstate(STATEMENT_TOO_COMPLEX)
                .hint("Move nested parts into WITH queries.");
        }
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
    };
    let (message, location) = match text.rsplit_once(" at Line: ") {
        Some((message, place)) => (message, location(place)),
        None => (text.as_str(), None),
    };
    let byte = match location {
        Some(location) => range.start + byte_at(&input[range.clone()], location),
        None => range.end,
    };
    let expected =
        message.strip_prefix("Expected: ").and_then(|rest| rest.rsplit_once(", found: "));
    unreadable(input, range, byte, expected.map(|(expected, _)| expected))
}

/// Reads `1, Column: 8`.
fn location(place: &str) -> Option<Location> {
    let (line, column) = place.split_once(", Column: ")?;
    Some(Location::new(line.parse().ok()?, column.trim().parse().ok()?))
}
