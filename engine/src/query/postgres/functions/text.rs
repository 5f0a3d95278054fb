//! Functions over text.

use std::collections::HashSet;
use std::sync::LazyLock;

use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result;
use datafusion::logical_expr::Volatility;

use super::format::format;
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

/// Words that mean something where a name stands without quotes.
static KEYWORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let lines = include_str!("../catalog/data/keywords.tsv").lines();
    let words = lines.filter_map(|line| line.split_once('\t'));
    words.filter(|(_, rest)| !rest.starts_with('U')).map(|(word, _)| word).collect()
});

/// Returns an identifier, quoted where SQL needs it.
pub(crate) fn quote_ident(name: &str) -> String {
    let mut letters = name.bytes();
    let plain = letters.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && letters
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_');
    if plain && !KEYWORDS.contains(name) {
        return name.to_string();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// An argument of any type as text.
pub(super) fn shown(call: &Call<'_>, argument: usize, row: usize) -> Result<Option<String>> {
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
            ("bigint", "\"bigint\""),
            ("left", "\"left\""),
            ("year", "year"),
            ("1a", "\"1a\""),
            ("a\"b", "\"a\"\"b\""),
        ] {
            assert_eq!(quote_ident(name), quoted);
        }
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b"), "E'a\\\\b'");
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
