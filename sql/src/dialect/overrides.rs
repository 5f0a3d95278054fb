//! Deciding who is who: `MERGE PROFILES`, `SPLIT PROFILE`, `APPLY IDENTITY OVERRIDES`, `DROP IDENTITY OVERRIDE` and
//! `ALTER IDENTIFIER VALUE`.

use engine::identity::ValueClass;
use engine::overrides::{Decision, Part, REASON_BYTES_MAX};
use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::error::ParseError;
use super::inner;
use super::statement::Statement;

/// Whom a value may be said to identify.
const CLASSES: [(&str, ValueClass); 3] = [
    ("personal", ValueClass::Personal),
    ("shared", ValueClass::Shared),
    ("nobody", ValueClass::Nobody),
];

/// Reads the rest of `MERGE PROFILES id, id [, ...] REASON '...'`.
pub(crate) fn merge(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    cursor.expect("profiles")?;
    let mut profiles = vec![profile_id(cursor)?];
    while cursor.accept_token(&Token::Comma) {
        profiles.push(profile_id(cursor)?);
    }
    if profiles.len() < 2 {
        let error = cursor.expected("\",\" and another profile");
        return Err(error.hint("Name at least two: MERGE PROFILES a, b REASON '...'."));
    }
    let reason = reason(cursor)?;
    cursor.expect_end()?;
    Ok(Statement::Decide { decision: Decision::Merge(profiles), reason })
}

/// Reads the rest of `SPLIT PROFILE id RECORDS ((source, key) [, ...]) | ON IDENTIFIER (kind, value) REASON '...'`.
pub(crate) fn split(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    cursor.expect("profile")?;
    let profile = profile_id(cursor)?;
    let part = if cursor.accept("records") {
        Part::Records(
            cursor.list(|cursor| pair(cursor, "the name of a source", "the key of a record"))?,
        )
    } else if cursor.accept("on identifier") {
        let (kind, value) = pair(cursor, "a kind of identifier", "an identifier")?;
        Part::Carriers(kind, value)
    } else {
        return Err(cursor.expected_one_of("", ["records", "on identifier"].into_iter()));
    };
    let reason = reason(cursor)?;
    cursor.expect_end()?;
    Ok(Statement::Decide { decision: Decision::Split(profile, part), reason })
}

/// Reads the rest of `APPLY IDENTITY OVERRIDES AS query`.
pub(crate) fn apply(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    cursor.expect("identity overrides")?;
    cursor.expect("as")?;
    let start = cursor.start();
    let parsed = inner(cursor)?;
    match parsed.statement {
        Statement::Query { .. } => Ok(Statement::ApplyOverrides { query: parsed.text }),
        _ => {
            let error = cursor.error_at(start, "expected a query");
            Err(error.hint("Each row decides about two records: APPLY IDENTITY OVERRIDES AS SELECT left_source, left_record_key, right_source, right_record_key, decision, reason FROM ..."))
        }
    }
}

/// Reads the rest of `DROP IDENTITY OVERRIDE number [REASON '...']`.
pub(crate) fn take_back(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let number = number(cursor, "the number of an override")?;
    let reason = if cursor.is("reason") { reason(cursor)? } else { String::new() };
    cursor.expect_end()?;
    Ok(Statement::Decide { decision: Decision::Revoke(number), reason })
}

/// Reads the rest of `ALTER IDENTIFIER VALUE (kind, value) SET CLASS class REASON '...' | RESET CLASS [REASON '...']`.
pub(crate) fn alter_value(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let (kind, value) = pair(cursor, "a kind of identifier", "an identifier")?;
    let (class, reason) = if cursor.accept("set class") {
        (Some(cursor.choose("", &CLASSES)?), reason(cursor)?)
    } else if cursor.accept("reset class") {
        (None, if cursor.is("reason") { reason(cursor)? } else { String::new() })
    } else {
        return Err(cursor.expected_one_of("", ["set class", "reset class"].into_iter()));
    };
    cursor.expect_end()?;
    Ok(Statement::Decide { decision: Decision::Classify(kind, value, class), reason })
}

/// Reads the id of a profile.
pub(crate) fn profile_id(cursor: &mut Cursor<'_>) -> Result<i64, ParseError> {
    number(cursor, "the id of a profile")
}

/// Reads a whole number, with or without quotes.
fn number(cursor: &mut Cursor<'_>, what: &str) -> Result<i64, ParseError> {
    let found = match cursor.peek() {
        Some(Token::Number(digits, _)) => digits.parse().ok(),
        Some(Token::SingleQuotedString(digits)) => digits.trim().parse().ok(),
        _ => None,
    };
    match found {
        Some(number) if number > 0 => {
            cursor.advance();
            Ok(number)
        }
        _ => Err(cursor.expected(what).hint("Ids and numbers are whole, such as 1234567.")),
    }
}

/// Reads `(name, value)`: a name with or without quotes, and a text or a number.
pub(crate) fn pair(
    cursor: &mut Cursor<'_>,
    name: &str,
    value: &str,
) -> Result<(String, String), ParseError> {
    cursor.expect_token(&Token::LParen)?;
    let first = match cursor.peek() {
        Some(Token::SingleQuotedString(_)) => cursor.text(name)?,
        _ => cursor.identifier(name)?,
    };
    cursor.expect_token(&Token::Comma)?;
    let second = match cursor.peek() {
        Some(Token::Number(digits, _)) => {
            cursor.advance();
            digits.clone()
        }
        _ => cursor.text(&format!("{value} in quotes"))?,
    };
    cursor.expect_token(&Token::RParen)?;
    Ok((first, second))
}

/// Reads `REASON '...'`, which every decision has.
fn reason(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    if !cursor.accept("reason") {
        let error = cursor.expected("REASON and a text");
        return Err(
            error.hint("Say why, for those who look into it later: REASON 'called and asked'.")
        );
    }
    let start = cursor.start();
    let reason = cursor.text("a text in quotes")?;
    if reason.trim().is_empty() {
        let error = cursor.error_at(start, "the reason is empty");
        return Err(error.hint("Say why, for those who look into it later."));
    }
    if reason.len() > REASON_BYTES_MAX {
        let message = format!("the reason is longer than {REASON_BYTES_MAX} bytes");
        return Err(cursor.error_at(start, message).hint("Make it short."));
    }
    Ok(reason)
}
