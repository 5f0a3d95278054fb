//! Functions over text.

use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result;
use datafusion::logical_expr::Volatility;

use super::bounded::{VALUE_BYTES_MAX, too_large};
use super::{Body, Call, Function, Kind, failure};
use crate::Error;

const ONE: &[Kind] = &[Kind::Text];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(
        "quote_ident",
        ONE,
        "text",
        Body::Text(|c, row| Ok(c.text(0, row).map(quote_ident))),
    )
    .with(Volatility::Immutable),
    Function::new(
        "quote_literal",
        &[Kind::Any],
        "text",
        Body::Text(|c, row| Ok(shown(c, 0, row)?.map(|t| quote_literal(&t)))),
    )
    .with(Volatility::Immutable),
    Function::new("quote_nullable", &[Kind::Any], "text", Body::Text(quote_nullable))
        .with_nulls()
        .with(Volatility::Immutable),
    Function::new("format", &[Kind::Text, Kind::Any], "text", Body::Text(format))
        .at_least(1)
        .variadic()
        .with_nulls()
        .with(Volatility::Immutable),
    Function::new("like_escape", &[Kind::Text, Kind::Text], "text", Body::Text(like_escape))
        .with(Volatility::Immutable),
    Function::new(
        "pg_size_pretty",
        &[Kind::Int],
        "text",
        Body::Text(|c, row| Ok(c.int(0, row).map(size_pretty))),
    )
    .with(Volatility::Immutable),
    Function::new("pg_size_bytes", &[Kind::Text], "int8", Body::Int(size_bytes))
        .with(Volatility::Immutable),
];

/// Words that cannot stand unquoted as the name of a column or table.
const RESERVED: [&str; 77] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "current_catalog",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "lateral",
    "leading",
    "limit",
    "localtime",
    "localtimestamp",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "placing",
    "primary",
    "references",
    "returning",
    "select",
    "session_user",
    "some",
    "symmetric",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "when",
    "where",
    "window",
    "with",
];

/// Returns an identifier, quoted where SQL needs it.
pub(crate) fn quote_ident(name: &str) -> String {
    let mut letters = name.bytes();
    let plain = letters.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && letters
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_');
    if plain && !RESERVED.contains(&name) {
        return name.to_string();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// An argument of any type as text.
fn shown(call: &Call<'_>, argument: usize, row: usize) -> Result<Option<String>> {
    let Some(array) = call
        .arguments
        .get(argument)
        .filter(|array| array.is_valid(row) && !array.data_type().is_null())
    else {
        return Ok(None);
    };
    let options = FormatOptions::default();
    Ok(Some(ArrayFormatter::try_new(array, &options)?.value(row).try_to_string()?))
}

fn quote_nullable(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    Ok(Some(shown(call, 0, row)?.map_or_else(|| "NULL".to_string(), |text| quote_literal(&text))))
}

fn invalid(message: String) -> datafusion::error::DataFusionError {
    failure(Error::Invalid {
        message,
        hint: "format() takes %s, %I, %L and %%, each with a position such as %1$s.".into(),
    })
}

/// `format('%I.%I', schema, name)`.
fn format(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some(pattern) = call.text(0, row) else { return Ok(None) };
    let mut out = String::with_capacity(pattern.len());
    let mut next = 1;
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && rest[digits..].starts_with('$') {
            next = rest[..digits].parse().unwrap_or(0);
            rest = &rest[digits + 1..];
        }
        let is_left = rest.starts_with('-');
        rest = rest.trim_start_matches('-');
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (width, after) = rest.split_at(digits);
        let width: usize =
            if width.is_empty() { 0 } else { width.parse().map_err(|_| too_large("format"))? };
        rest = after;
        let Some(kind) = rest.chars().next() else {
            return Err(invalid("unterminated format() type specifier".to_string()));
        };
        rest = &rest[kind.len_utf8()..];
        if next == 0 || next >= call.arguments.len() {
            return Err(invalid("too few arguments for format()".to_string()));
        }
        let value = shown(call, next, row)?;
        if out.len() as u64 > VALUE_BYTES_MAX {
            return Err(too_large("format"));
        }
        next += 1;
        let text = match (kind, value) {
            ('s', value) => value.unwrap_or_default(),
            ('I', Some(value)) => quote_ident(&value),
            ('L', Some(value)) => quote_literal(&value),
            ('L', None) => "NULL".to_string(),
            ('I', None) => {
                return Err(invalid(
                    "null values cannot be formatted as an SQL identifier".to_string(),
                ));
            }
            (other, _) => {
                return Err(invalid(format!("unrecognized format() type specifier \"{other}\"")));
            }
        };
        let blanks = width.saturating_sub(text.chars().count());
        if blanks as u64 > VALUE_BYTES_MAX {
            return Err(too_large("format"));
        }
        let blanks = " ".repeat(blanks);
        let (before, after) = if is_left { ("", blanks.as_str()) } else { (blanks.as_str(), "") };
        [before, text.as_str(), after].into_iter().for_each(|part| out.push_str(part));
    }
    out.push_str(rest);
    Ok(Some(out))
}

/// A pattern of `LIKE` with another escape, as one with the backslash.
fn like_escape(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some((pattern, escape)) = call.text(0, row).zip(call.text(1, row)) else { return Ok(None) };
    let escape = escape.chars().next();
    let mut out = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if Some(letter) == escape {
            out.push('\\');
            out.extend(letters.next());
        } else {
            // A backslash means itself when it is not the escape.
            out.push_str(if letter == '\\' { "\\\\" } else { "" });
            if letter != '\\' {
                out.push(letter);
            }
        }
    }
    Ok(Some(out))
}

/// A number of bytes in the largest unit that keeps four digits or fewer.
fn size_pretty(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let (mut size, mut unit) = (bytes, 0);
    // PostgreSQL changes the unit at ten of it, and rounds half away from zero.
    if size.unsigned_abs() >= 10 * 1024 {
        size >>= 9;
        unit = 1;
        while size.unsigned_abs() >= 20 * 1024 - 1 && unit < UNITS.len() - 1 {
            size >>= 10;
            unit += 1;
        }
        size = if size > 0 { (size + 1) / 2 } else { (size - 1) / 2 };
    }
    format!("{size} {}", UNITS[unit])
}

/// The bytes of a size that is written with its unit, in whatever case.
fn size_bytes(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    const UNITS: [&str; 6] = ["bytes", "kb", "mb", "gb", "tb", "pb"];
    let Some(text) = call.text(0, row) else { return Ok(None) };
    let size = text.trim();
    let is_digit = |letter: char| matches!(letter, '0'..='9' | '.' | '+' | '-');
    let (number, unit) = size.split_at(size.find(|letter| !is_digit(letter)).unwrap_or(size.len()));
    let unit = unit.trim().to_lowercase();
    let unit =
        if unit.is_empty() { Some(0) } else { UNITS.iter().position(|known| *known == unit) };
    let refused = |sqlstate, message: String| {
        let hint =
            "Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".".to_owned();
        failure(Error::Standard { sqlstate, message, hint })
    };
    let invalid = || refused("22023", format!("invalid size: \"{text}\""));
    let factor = 1_i64 << (10 * unit.ok_or_else(invalid)?);
    let bytes = match number.parse::<i64>() {
        Ok(number) => number.checked_mul(factor),
        Err(_) => {
            let bytes = number.parse::<f64>().map_err(|_| invalid())? * factor as f64;
            (bytes.abs() < i64::MAX as f64).then(|| bytes.round() as i64)
        }
    };
    bytes.map(Some).ok_or_else(|| refused("22003", "bigint out of range".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_postgres_does() {
        for (name, quoted) in [
            ("a_1", "a_1"),
            ("A", "\"A\""),
            ("select", "\"select\""),
            ("1a", "\"1a\""),
            ("a\"b", "\"a\"\"b\""),
        ] {
            assert_eq!(quote_ident(name), quoted);
        }
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b"), " E'a\\\\b'");
    }

    #[test]
    fn sizes_as_postgres_does() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (10239, "10239 bytes"),
            (10240, "10 kB"),
            (123_456_789, "118 MB"),
            (-20480, "-20 kB"),
        ] {
            assert_eq!(size_pretty(bytes), text);
        }
    }
}
