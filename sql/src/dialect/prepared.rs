//! Statements and cursors that have names: `PREPARE`, `EXECUTE`, `DEALLOCATE`, `DECLARE`, `FETCH`, `MOVE`, `CLOSE`.

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::error::ParseError;
use super::statement::{FetchDirection, Statement};
use super::types::parameter_type;
use super::{inner, transaction};

/// Rows that a direction can name, in either direction.
const ROWS_MAX: u64 = i64::MAX as u64;

/// Reads the rest of `PREPARE`.
pub(crate) fn prepare(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    if cursor.is("transaction") && !cursor.is_at(1, "as") {
        return Ok(transaction::two_phase());
    }
    let name = cursor.identifier("the name of a statement")?;
    let types = match cursor.peek() {
        Some(Token::LParen) => cursor.list(parameter_type)?,
        _ => Vec::new(),
    };
    cursor.expect("as")?;
    let start = cursor.start();
    let statement = inner(cursor)?;
    if matches!(statement.statement, Statement::Prepare { .. } | Statement::Execute { .. }) {
        return Err(cursor.error_at(start, "a prepared statement cannot hold PREPARE or EXECUTE"));
    }
    Ok(Statement::Prepare { name, types, statement: Box::new(statement) })
}

/// Reads the rest of `EXECUTE`.
pub(crate) fn execute(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let name = cursor.identifier("the name of a statement")?;
    let arguments = match cursor.peek() {
        Some(Token::LParen) => cursor.list(|cursor| {
            let range = cursor.expression()?;
            super::embedded::scalar(cursor.input, range.clone())?;
            Ok(cursor.input[range].to_string())
        })?,
        _ => Vec::new(),
    };
    cursor.expect_end()?;
    Ok(Statement::Execute { name, arguments })
}

/// Reads the rest of `DEALLOCATE`.
pub(crate) fn deallocate(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    if cursor.is("prepare") && cursor.peek_at(1).is_some() {
        cursor.advance();
    }
    let name = match cursor.accept("all") {
        true => None,
        false => Some(cursor.identifier("the name of a statement")?),
    };
    cursor.expect_end()?;
    Ok(Statement::Deallocate { name })
}

/// Reads the rest of `DECLARE`.
pub(crate) fn declare(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let name = cursor.identifier("the name of a cursor")?;
    let (mut binary, mut scroll) = (false, false);
    loop {
        if cursor.accept("binary") {
            binary = true;
        } else if cursor.accept("no scroll") {
            scroll = false;
        } else if cursor.accept("scroll") {
            scroll = true;
        } else if !(cursor.accept("asensitive") || cursor.accept("insensitive")) {
            break;
        }
    }
    cursor.expect("cursor")?;
    let hold = cursor.accept("with hold");
    if !hold {
        cursor.accept("without hold");
    }
    cursor.expect("for")?;
    let start = cursor.start();
    let query = inner(cursor)?;
    if !matches!(query.statement, Statement::Query { .. }) {
        return Err(cursor.error_at(start, "a cursor needs a query: SELECT, WITH or VALUES"));
    }
    Ok(Statement::Declare { name, binary, scroll, hold, query: Box::new(query) })
}

/// Reads the rest of `FETCH`.
pub(crate) fn fetch(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let (direction, cursor) = direction(cursor)?;
    Ok(Statement::Fetch { direction, cursor })
}

/// Reads the rest of `MOVE`.
pub(crate) fn move_cursor(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let (direction, cursor) = direction(cursor)?;
    Ok(Statement::Move { direction, cursor })
}

/// Reads the rest of `CLOSE`.
pub(crate) fn close(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let name = match cursor.accept("all") {
        true => None,
        false => Some(cursor.identifier("the name of a cursor")?),
    };
    cursor.expect_end()?;
    Ok(Statement::Close { cursor: name })
}

/// Reads `[direction] [FROM | IN] name` to the end of the statement.
fn direction(cursor: &mut Cursor<'_>) -> Result<(FetchDirection, String), ParseError> {
    let only_name = cursor.peek_at(1).is_none();
    let unsaid = only_name || cursor.is("from") || cursor.is("in");
    let direction = if unsaid || cursor.accept("next") {
        FetchDirection::Forward(1)
    } else if cursor.accept("prior") {
        FetchDirection::Backward(1)
    } else if cursor.accept("first") {
        FetchDirection::First
    } else if cursor.accept("last") {
        FetchDirection::Last
    } else if cursor.accept("absolute") {
        FetchDirection::Absolute(count(cursor)?)
    } else if cursor.accept("relative") {
        FetchDirection::Relative(count(cursor)?)
    } else if cursor.accept("all") {
        FetchDirection::ForwardAll
    } else if cursor.accept("forward") {
        match rows(cursor)? {
            Some(count) => FetchDirection::Forward(count),
            None => FetchDirection::ForwardAll,
        }
    } else if cursor.accept("backward") {
        match rows(cursor)? {
            Some(count) => FetchDirection::Backward(count),
            None => FetchDirection::BackwardAll,
        }
    } else {
        FetchDirection::Forward(count(cursor)?)
    };
    if !cursor.accept("from") {
        cursor.accept("in");
    }
    let name = cursor.identifier("the name of a cursor")?;
    cursor.expect_end()?;
    Ok((direction, name))
}

/// Reads `n`, `ALL` (`None`) or nothing (one row) behind `FORWARD` or `BACKWARD`.
fn rows(cursor: &mut Cursor<'_>) -> Result<Option<i64>, ParseError> {
    if cursor.accept("all") {
        return Ok(None);
    }
    match cursor.peek() {
        Some(Token::Number(..) | Token::Minus) => count(cursor).map(Some),
        _ => Ok(Some(1)),
    }
}

/// Reads a whole number with a sign.
fn count(cursor: &mut Cursor<'_>) -> Result<i64, ParseError> {
    let negative = cursor.accept_token(&Token::Minus);
    let rows = cursor.integer("a number of rows", 0..=ROWS_MAX)?;
    let rows = i64::try_from(rows).expect("bounded by ROWS_MAX");
    Ok(if negative { -rows } else { rows })
}
