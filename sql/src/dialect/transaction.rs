//! Transactions and what is heard in them: `BEGIN`, `COMMIT`, `ROLLBACK`, savepoints, `LISTEN`, `NOTIFY`.

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::error::ParseError;
use super::statement::{Statement, TransactionModes};

/// Reads the rest of `BEGIN`.
pub(crate) fn begin(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    work(cursor);
    Ok(Statement::Begin { start: false, modes: modes(cursor)? })
}

/// Reads the rest of `START`.
pub(crate) fn start(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    cursor.expect("transaction")?;
    Ok(Statement::Begin { start: true, modes: modes(cursor)? })
}

/// Reads the rest of `COMMIT` or `END`.
pub(crate) fn commit(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    if cursor.is("prepared") {
        return Ok(two_phase());
    }
    work(cursor);
    let chain = chain(cursor)?;
    Ok(Statement::Commit { chain })
}

/// Reads the rest of `ROLLBACK` or `ABORT`.
pub(crate) fn rollback(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    if cursor.is("prepared") {
        return Ok(two_phase());
    }
    work(cursor);
    if cursor.accept("to") {
        cursor.accept("savepoint");
        let name = cursor.identifier("the name of a savepoint")?;
        cursor.expect_end()?;
        return Ok(Statement::RollbackTo { name });
    }
    let chain = chain(cursor)?;
    Ok(Statement::Rollback { chain })
}

/// Reads the rest of `SAVEPOINT`.
pub(crate) fn savepoint(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let name = cursor.identifier("the name of a savepoint")?;
    cursor.expect_end()?;
    Ok(Statement::Savepoint { name })
}

/// Reads the rest of `RELEASE`.
pub(crate) fn release(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    cursor.accept("savepoint");
    let name = cursor.identifier("the name of a savepoint")?;
    cursor.expect_end()?;
    Ok(Statement::Release { name })
}

/// Returns the answer to every statement of a two-phase commit.
pub(crate) fn two_phase() -> Statement {
    Statement::Unsupported {
        what: "two-phase commit".to_string(),
        hint: "Use COMMIT and ROLLBACK.".to_string(),
    }
}

/// Reads the modes of a transaction to the end of the statement.
pub(crate) fn modes(cursor: &mut Cursor<'_>) -> Result<TransactionModes, ParseError> {
    let mut modes = TransactionModes::default();
    while !cursor.at_end() {
        if cursor.accept("isolation level") {
            modes.isolation = Some(cursor.choose(
                "an isolation level",
                &[
                    ("serializable", "serializable"),
                    ("repeatable read", "repeatable read"),
                    ("read committed", "read committed"),
                    ("read uncommitted", "read uncommitted"),
                ],
            )?);
        } else if cursor.accept("read only") {
            modes.read_only = Some(true);
        } else if cursor.accept("read write") {
            modes.read_only = Some(false);
        } else if cursor.accept("not deferrable") {
            modes.deferrable = Some(false);
        } else if cursor.accept("deferrable") {
            modes.deferrable = Some(true);
        } else {
            let words = ["isolation level", "read only", "read write", "deferrable"];
            return Err(cursor.expected_one_of("", words.into_iter()));
        }
        cursor.accept_token(&Token::Comma);
    }
    Ok(modes)
}

/// Reads `WORK` or `TRANSACTION`, which say nothing.
fn work(cursor: &mut Cursor<'_>) {
    if !cursor.accept("work") {
        cursor.accept("transaction");
    }
}

/// Reads `[AND [NO] CHAIN]` to the end of the statement.
fn chain(cursor: &mut Cursor<'_>) -> Result<bool, ParseError> {
    let chain = cursor.accept("and chain");
    if !chain {
        cursor.accept("and no chain");
    }
    cursor.expect_end()?;
    Ok(chain)
}

/// Reads the rest of `LISTEN`.
pub(crate) fn listen(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let channel = cursor.identifier("a channel")?;
    cursor.expect_end()?;
    Ok(Statement::Listen { channel })
}

/// Reads the rest of `UNLISTEN`.
pub(crate) fn unlisten(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let channel = match cursor.accept_token(&Token::Mul) {
        true => None,
        false => Some(cursor.identifier("a channel or \"*\"")?),
    };
    cursor.expect_end()?;
    Ok(Statement::Unlisten { channel })
}

/// Reads the rest of `NOTIFY`.
pub(crate) fn notify(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let channel = cursor.identifier("a channel")?;
    let payload = match cursor.accept_token(&Token::Comma) {
        true => cursor.text("a text in quotes")?,
        false => String::new(),
    };
    cursor.expect_end()?;
    Ok(Statement::Notify { channel, payload })
}
