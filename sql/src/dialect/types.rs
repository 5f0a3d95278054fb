//! Types of columns and parameters: the SQL name on one side, the Arrow type and the logical type on the other.

use arrow::datatypes::{DataType, TimeUnit};
use engine::query::postgres::types::UUID_PARAMETER;
use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::error::{FEATURE_NOT_SUPPORTED, INVALID_PARAMETER_VALUE, ParseError};

/// Digits of a number at most, which is what a Delta table holds.
const PRECISION_MAX: u64 = 38;
/// Characters of `varchar(n)` at most, as in Postgres.
const VARCHAR_CHARS_MAX: u64 = 10_485_760;

/// The type of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqlType {
    /// What its values are read as.
    pub(crate) data_type: DataType,
    /// What `onefold.type` says where the Arrow type does not: `varchar(20)`, `uuid`, `json`, `jsonb`, `interval`.
    pub(crate) logical: Option<String>,
}

/// The names of types without arguments, and what they are read as.
const TYPES: [(&str, DataType, Option<&str>); 26] = [
    ("double precision", DataType::Float64, None),
    ("boolean", DataType::Boolean, None),
    ("bool", DataType::Boolean, None),
    ("smallint", DataType::Int16, None),
    ("int2", DataType::Int16, None),
    ("integer", DataType::Int32, None),
    ("int", DataType::Int32, None),
    ("int4", DataType::Int32, None),
    ("bigint", DataType::Int64, None),
    ("int8", DataType::Int64, None),
    ("real", DataType::Float32, None),
    ("float4", DataType::Float32, None),
    ("float8", DataType::Float64, None),
    ("float", DataType::Float64, None),
    ("text", DataType::Utf8, None),
    ("date", DataType::Date32, None),
    ("uuid", DataType::Utf8, Some("uuid")),
    ("json", DataType::Utf8, Some("json")),
    ("jsonb", DataType::Utf8, Some("jsonb")),
    ("bytea", DataType::Binary, None),
    ("interval", DataType::Utf8, Some("interval")),
    ("time", DataType::Time64(TimeUnit::Microsecond), None),
    ("timestamp", DataType::Timestamp(TimeUnit::Microsecond, None), None),
    ("timestamptz", DataType::Timestamp(TimeUnit::Microsecond, None), None),
    ("numeric", DataType::Null, None),
    ("varchar", DataType::Utf8, None),
];

/// Reads a type.
pub(crate) fn sql_type(cursor: &mut Cursor<'_>) -> Result<SqlType, ParseError> {
    let start = cursor.start();
    let found = if cursor.accept("decimal") {
        decimal(cursor)?
    } else if cursor.accept("character varying") {
        varchar(cursor)?
    } else {
        let Some((name, ..)) = TYPES.iter().find(|(name, ..)| cursor.accept(name)) else {
            return Err(unknown(cursor));
        };
        match *name {
            "numeric" => decimal(cursor)?,
            "varchar" => varchar(cursor)?,
            "time" => time(cursor, start)?,
            "timestamp" | "timestamptz" => timestamp(cursor, name)?,
            name => named(name),
        }
    };
    if cursor.peek() == Some(&Token::LBracket) || cursor.is("array") {
        return Err(cursor
            .error_at(start, "columns of arrays are not supported")
            .sqlstate(FEATURE_NOT_SUPPORTED)
            .hint("Declare the column as jsonb."));
    }
    Ok(found)
}

/// Reads the type of a parameter; `None` for one that is left to inference because columns cannot have it.
pub(crate) fn parameter_type(cursor: &mut Cursor<'_>) -> Result<Option<DataType>, ParseError> {
    let mut attempt = cursor.clone();
    if let Ok(found) = sql_type(&mut attempt)
        && matches!(attempt.peek(), Some(Token::Comma | Token::RParen))
    {
        *cursor = attempt;
        return Ok(match found.logical.as_deref() {
            None => Some(found.data_type),
            Some("uuid") => Some(UUID_PARAMETER),
            Some(_) => None,
        });
    }
    cursor.expression()?;
    Ok(None)
}

/// Returns the error for a word that is no type.
fn unknown(cursor: &Cursor<'_>) -> ParseError {
    let error = cursor.expected("a type");
    match super::nearest(&cursor.word().unwrap_or_default(), TYPES.map(|(name, ..)| name)) {
        Some(near) => error.hint(format!("Did you mean {near}?")),
        None => error.hint(
            "The types are boolean, smallint, integer, bigint, real, double precision, numeric(p, s), text, \
             varchar(n), date, time, timestamp, timestamptz, uuid, json, jsonb, bytea and interval.",
        ),
    }
}

/// Returns a type of the table.
fn named(name: &str) -> SqlType {
    let (_, data_type, logical) = TYPES
        .iter()
        .find(|(known, ..)| *known == name)
        .expect("the name was chosen from this table");
    SqlType { data_type: data_type.clone(), logical: logical.map(str::to_string) }
}

/// Reads `(precision, scale)`, without which the size of a number would be a guess.
fn decimal(cursor: &mut Cursor<'_>) -> Result<SqlType, ParseError> {
    if !cursor.accept_token(&Token::LParen) {
        return Err(cursor
            .expected("precision and scale")
            .hint("Write numeric(12, 2), for example."));
    }
    let precision = cursor.integer("the precision", 1..=PRECISION_MAX)?;
    let scale = match cursor.accept_token(&Token::Comma) {
        true => cursor.integer("the scale", 0..=precision)?,
        false => 0,
    };
    cursor.expect_token(&Token::RParen)?;
    let fits = "bounded by PRECISION_MAX";
    let precision = u8::try_from(precision).expect(fits);
    let scale = i8::try_from(scale).expect(fits);
    Ok(SqlType { data_type: DataType::Decimal128(precision, scale), logical: None })
}

/// Reads `(n)`, if it is there.
fn varchar(cursor: &mut Cursor<'_>) -> Result<SqlType, ParseError> {
    let mut logical = None;
    if cursor.accept_token(&Token::LParen) {
        let chars = cursor.integer("the length", 1..=VARCHAR_CHARS_MAX)?;
        cursor.expect_token(&Token::RParen)?;
        logical = Some(format!("varchar({chars})"));
    }
    Ok(SqlType { data_type: DataType::Utf8, logical })
}

/// Reads what may follow `time`.
fn time(cursor: &mut Cursor<'_>, start: usize) -> Result<SqlType, ParseError> {
    precision(cursor)?;
    if cursor.accept("with time zone") {
        return Err(cursor
            .error_at(start, "time with time zone is not supported")
            .sqlstate(FEATURE_NOT_SUPPORTED)
            .hint("Use timestamptz, or time."));
    }
    cursor.accept("without time zone");
    Ok(named("time"))
}

/// Reads what may follow `timestamp`; times with a zone are UTC.
fn timestamp(cursor: &mut Cursor<'_>, name: &str) -> Result<SqlType, ParseError> {
    precision(cursor)?;
    let zone = name == "timestamptz" || cursor.accept("with time zone");
    if !zone {
        cursor.accept("without time zone");
    }
    let data_type = DataType::Timestamp(TimeUnit::Microsecond, zone.then(|| "UTC".into()));
    Ok(SqlType { data_type, logical: None })
}

/// Reads `(6)`, the one precision that times have.
fn precision(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    let start = cursor.start();
    if !cursor.accept_token(&Token::LParen) {
        return Ok(());
    }
    let digits = cursor.integer("the precision", 0..=6)?;
    cursor.expect_token(&Token::RParen)?;
    if digits == 6 {
        return Ok(());
    }
    Err(cursor
        .error_at(start, "times are kept in microseconds, precision 6")
        .sqlstate(INVALID_PARAMETER_VALUE)
        .hint("Leave the precision out."))
}
