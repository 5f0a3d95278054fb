//! Parameters of the session: `SET`, `SHOW`, `RESET`, `DISCARD`.

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::error::{INVALID_PARAMETER_VALUE, ParseError};
use super::statement::{DiscardTarget, Statement};
use super::{kind, objects, transaction};

/// Reads the rest of `SET`.
pub(crate) fn set(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    if cursor.accept("transaction") {
        let modes = transaction::modes(cursor)?;
        return Ok(Statement::SetTransaction { modes, session: false });
    }
    if cursor.accept("session characteristics as transaction") {
        let modes = transaction::modes(cursor)?;
        return Ok(Statement::SetTransaction { modes, session: true });
    }
    let local = cursor.accept("local");
    if !local && cursor.is("session") && !assigned(cursor, 1) {
        cursor.advance();
    }
    if ["role none", "authorization default"].iter().any(|words| cursor.accept(words)) {
        cursor.expect_end()?;
        return Ok(Statement::Set {
            name: "session_authorization".to_string(),
            value: None,
            local,
        });
    }
    for (words, hint) in
        [("role", "Connect as the role."), ("authorization", "Connect as the role.")]
    {
        if cursor.is(words) && !assigned(cursor, 1) {
            let what = format!("SET {}", words.to_uppercase());
            return Ok(Statement::Unsupported { what, hint: hint.to_string() });
        }
    }
    if cursor.is("constraints") && !assigned(cursor, 1) {
        cursor.advance();
        return constraints(cursor);
    }
    if cursor.accept("time zone") {
        let value = match cursor.accept("local") || cursor.accept("default") {
            true => None,
            false if cursor.accept("interval") => Some(vec![hours(cursor)?]),
            false => Some(vec![value(cursor)?]),
        };
        cursor.expect_end()?;
        return Ok(Statement::Set { name: "timezone".to_string(), value, local });
    }
    if cursor.accept("names") {
        let value = match cursor.accept("default") {
            true => None,
            false => Some(vec![value(cursor)?]),
        };
        cursor.expect_end()?;
        return Ok(Statement::Set { name: "client_encoding".to_string(), value, local });
    }
    let name = parameter(cursor)?;
    if !cursor.accept_token(&Token::Eq) && !cursor.accept("to") {
        return Err(cursor.expected("TO or \"=\""));
    }
    let value = match cursor.accept("default") {
        true => None,
        false => Some(values(cursor)?),
    };
    cursor.expect_end()?;
    Ok(Statement::Set { name, value, local })
}

/// Reads the rest of `SET CONSTRAINTS`.
fn constraints(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let names = match cursor.accept("all") {
        true => None,
        false => {
            let mut names = vec![constraint(cursor)?];
            while cursor.accept_token(&Token::Comma) {
                names.push(constraint(cursor)?);
            }
            Some(names)
        }
    };
    let deferred = cursor.accept("deferred");
    if !deferred && !cursor.accept("immediate") {
        return Err(cursor.expected("DEFERRED or IMMEDIATE"));
    }
    cursor.expect_end()?;
    Ok(Statement::SetConstraints { names, deferred })
}

/// Reads the name of a constraint, with its schema or without.
fn constraint(cursor: &mut Cursor<'_>) -> Result<(Option<String>, String), ParseError> {
    let name = cursor.identifier("the name of a constraint")?;
    match cursor.accept_token(&Token::Period) {
        true => Ok((Some(name), cursor.identifier("the name of a constraint")?)),
        false => Ok((None, name)),
    }
}

/// Returns whether the word before `ahead` is a parameter that is set.
fn assigned(cursor: &Cursor<'_>, ahead: usize) -> bool {
    cursor.peek_at(ahead) == Some(&Token::Eq) || cursor.is_at(ahead, "to")
}

/// Reads the name of a parameter, such as `cdp.purpose`, in lower case.
fn parameter(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    let mut name = cursor.identifier("the name of a parameter")?.to_lowercase();
    while cursor.accept_token(&Token::Period) {
        name.push('.');
        name.push_str(&cursor.identifier("the name of a parameter")?.to_lowercase());
    }
    Ok(name)
}

/// Reads one or more values.
fn values(cursor: &mut Cursor<'_>) -> Result<Vec<String>, ParseError> {
    let mut values = vec![value(cursor)?];
    while cursor.accept_token(&Token::Comma) {
        values.push(value(cursor)?);
    }
    Ok(values)
}

/// Reads a text, a number or a word.
fn value(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    let negative = cursor.accept_token(&Token::Minus);
    if !negative {
        cursor.accept_token(&Token::Plus);
    }
    if let Some(Token::Number(digits, _)) = cursor.peek() {
        cursor.advance();
        return Ok(format!("{}{digits}", if negative { "-" } else { "" }));
    }
    if negative {
        return Err(cursor.expected("a number"));
    }
    if let Some(word) = cursor.word() {
        cursor.advance();
        return Ok(word);
    }
    match cursor.peek() {
        Some(Token::Word(_)) => cursor.identifier("a value"),
        _ => cursor.text("a value"),
    }
}

/// Reads the interval that a time zone is ahead of UTC, as hours: unlike in an offset such as `UTC-2`, east is positive.
fn hours(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    let start = cursor.start();
    let text = cursor.text("an interval")?;
    let is_hours = cursor.accept("hour to minute") || cursor.accept("hour");
    ahead(&text, is_hours).map(|hours| hours.to_string()).ok_or_else(|| {
        let message = format!("invalid value for parameter \"TimeZone\": \"{text}\"");
        let refused = cursor.error_at(start, message).sqlstate(INVALID_PARAMETER_VALUE);
        refused.hint("Write hours and minutes, such as '+05:30'.")
    })
}

/// The hours of `+05:30` or `-8`; a number alone is one of hours if the interval is said to be of these.
fn ahead(text: &str, is_hours: bool) -> Option<f64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let parts: Vec<&str> = digits.split(':').collect();
    if parts.len() > 3 || parts.len() == 1 && !is_hours {
        return None;
    }
    let (mut hours, mut unit) = (0.0, 1.0);
    for part in parts {
        if part.is_empty() || part.len() > 2 || !part.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        hours += part.parse::<f64>().ok()? / unit;
        unit *= 60.0;
    }
    Some(sign * hours)
}

/// Reads the rest of `SHOW`.
pub(crate) fn show(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    if cursor.accept("all") {
        cursor.expect_end()?;
        return Ok(Statement::ShowAll);
    }
    if cursor.is("create") {
        cursor.advance();
        return objects::show_create(cursor);
    }
    if let Some(statement) = objects::show_objects(cursor)? {
        return Ok(statement);
    }
    for (words, name) in [
        ("time zone", "timezone"),
        ("transaction isolation level", "transaction_isolation"),
        ("session authorization", "session_authorization"),
        ("names", "client_encoding"),
    ] {
        if cursor.accept(words) {
            cursor.expect_end()?;
            return Ok(Statement::Show { name: name.to_string() });
        }
    }
    let hint = match cursor.word().as_deref() {
        Some("tables" | "databases" | "schemas" | "views") => {
            "Use \\dt or \\dn in psql, or information_schema.tables."
        }
        Some("columns" | "fields") => "Use \\d name in psql, or information_schema.columns.",
        Some("functions") => "Use \\df in psql.",
        _ => "",
    };
    if !hint.is_empty() {
        let what = format!("SHOW {}", cursor.word().unwrap_or_default().to_uppercase());
        return Ok(Statement::Unsupported { what, hint: hint.to_string() });
    }
    let start = cursor.start();
    let name = parameter(cursor)?;
    if !cursor.at_end() {
        let error = cursor
            .error_at(start, format!("\"{name}\" is neither a parameter nor a kind of object"));
        return Err(error.suggest(&name, kind::plurals()));
    }
    Ok(Statement::Show { name })
}

/// Reads the rest of `RESET`.
pub(crate) fn reset(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let name = if cursor.accept("all") {
        None
    } else if cursor.accept("time zone") {
        Some("timezone".to_string())
    } else if cursor.accept("session authorization") || cursor.accept("role") {
        Some("session_authorization".to_string())
    } else {
        Some(parameter(cursor)?)
    };
    cursor.expect_end()?;
    Ok(Statement::Reset { name })
}

/// Reads the rest of `DISCARD`.
pub(crate) fn discard(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let target = cursor.choose(
        "",
        &[
            ("all", DiscardTarget::All),
            ("plans", DiscardTarget::Plans),
            ("sequences", DiscardTarget::Sequences),
            ("temporary", DiscardTarget::Temporary),
            ("temp", DiscardTarget::Temporary),
        ],
    )?;
    cursor.expect_end()?;
    Ok(Statement::Discard { target })
}
