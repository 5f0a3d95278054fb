//! Statements that help a server which plans by statistics and indexes, and have nothing to do here: what they name is looked
//! up, so that a misspelt name is an error.

use sqlparser::ast;
use sqlparser::tokenizer::Token;

use super::copy::{boolean, reading};
use super::cursor::Cursor;
use super::embedded;
use super::error::ParseError;
use super::statement::Statement;

/// Reads the rest of `ANALYZE`.
pub(crate) fn analyze(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    if cursor.peek() == Some(&Token::LParen) {
        const NAMES: [&str; 2] = ["verbose", "skip_locked"];
        cursor.list(|cursor| match NAMES.iter().any(|name| cursor.accept(name)) {
            true => boolean(cursor),
            false => Err(cursor.expected_one_of("an option", NAMES.into_iter())),
        })?;
    } else {
        cursor.accept("verbose");
    }
    let mut reads = Vec::new();
    while !cursor.at_end() {
        if !reads.is_empty() {
            cursor.expect_token(&Token::Comma)?;
        }
        reads.push(format!("{} LIMIT 0", reading(cursor)?));
    }
    Ok(Statement::Tuning { tag: "ANALYZE", reads })
}

/// Reads `CREATE INDEX`. The cursor stands at its start.
pub(crate) fn index(cursor: &Cursor<'_>) -> Result<Statement, ParseError> {
    let parsed = embedded::statement(cursor.input, cursor.clone().rest())?;
    let ast::Statement::CreateIndex(index) = *parsed else {
        return Err(cursor.error("expected CREATE INDEX [name] ON table (columns)"));
    };
    let columns = index.columns.iter().map(|column| column.column.expr.to_string());
    let columns: Vec<String> =
        columns.chain(index.include.iter().map(|column| column.to_string())).collect();
    let condition = index.predicate.map(|condition| format!(" WHERE {condition}"));
    let (columns, condition) = (columns.join(", "), condition.unwrap_or_default());
    let reads = vec![format!("SELECT {columns} FROM {}{condition} LIMIT 0", index.table_name)];
    Ok(Statement::Tuning { tag: "CREATE INDEX", reads })
}
