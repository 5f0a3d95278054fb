//! `COPY (query) | relation TO STDOUT`, in the form of today and in the two that PostgreSQL still takes, and `ANALYZE`,
//! which names relations as COPY does.

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::error::{INVALID_PARAMETER_VALUE, ParseError};
use super::inner;
use super::statement::{CopyFormat, CopyInput, CopyOptions, ForceQuote, Statement};

/// Reads the rest of `COPY`.
pub(crate) fn copy(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let old_binary = cursor.is("binary") && matches!(cursor.peek_at(1), Some(Token::Word(_)));
    if old_binary {
        cursor.advance();
    }
    let before = cursor.clone();
    let input = match cursor.peek() {
        Some(Token::LParen) => {
            let mut between = cursor.bracketed("a query")?;
            let start = between.start();
            let query = inner(&mut between)?;
            if !matches!(query.statement, Statement::Query { .. }) {
                return Err(cursor.error_at(start, "COPY needs a query: SELECT, WITH or VALUES"));
            }
            CopyInput::Query(Box::new(query))
        }
        _ => {
            let offset = cursor.start();
            CopyInput::Relation { select: reading(cursor)?, offset }
        }
    };
    if cursor.is("from") {
        return from(cursor, before, old_binary);
    }
    cursor.expect("to")?;
    if !cursor.accept("stdout") {
        return Ok(match cursor.peek() {
            Some(Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_))
            | Some(Token::Word(_)) => Statement::Refused {
                what: "COPY to a file or a program of the server".to_string(),
                hint: "Use COPY ... TO STDOUT, or \\copy in psql.".to_string(),
            },
            _ => return Err(cursor.expected("STDOUT")),
        });
    }
    let options = options(cursor, old_binary)?;
    Ok(Statement::Copy { input, options })
}

/// Reads the rest of `COPY ... FROM`; `relation` stands where the relation does.
fn from(
    cursor: &mut Cursor<'_>,
    mut relation: Cursor<'_>,
    old_binary: bool,
) -> Result<Statement, ParseError> {
    cursor.advance();
    if !cursor.accept("stdin") {
        return Ok(Statement::Refused {
            what: "COPY from a file or a program of the server".to_string(),
            hint: "Define a source: CREATE SOURCE name FROM FILE ('data/*.csv') ...".to_string(),
        });
    }
    let start = cursor.start();
    if relation.peek() == Some(&Token::LParen) {
        return Err(relation.error("COPY FROM needs a table"));
    }
    let options = options(cursor, old_binary)?;
    if options.force_quote != ForceQuote::None {
        return Err(cursor
            .error_at(start, "COPY FROM takes no FORCE QUOTE")
            .sqlstate(INVALID_PARAMETER_VALUE));
    }
    let relation_name = name(&mut relation)?;
    let columns = match relation.peek() {
        Some(Token::LParen) => relation.list(|cursor| cursor.identifier("a column"))?,
        _ => Vec::new(),
    };
    Ok(Statement::CopyFrom { relation: relation_name, columns, options })
}

/// Reads `[schema.]relation` and returns it in quotes.
pub(super) fn name(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    let mut name = quoted(&cursor.identifier("a relation or a query in brackets")?);
    while cursor.accept_token(&Token::Period) {
        name.push('.');
        name.push_str(&quoted(&cursor.identifier("the name of a relation")?));
    }
    Ok(name)
}

/// Reads `[schema.]relation [(column, ...)]` and returns the query that reads it.
pub(super) fn reading(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    let name = name(cursor)?;
    let columns = match cursor.peek() {
        Some(Token::LParen) => {
            let names = cursor.list(|cursor| cursor.identifier("a column"))?;
            names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
        }
        _ => "*".to_string(),
    };
    Ok(format!("SELECT {columns} FROM {name}"))
}

/// Returns an identifier in quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The options as they were given.
#[derive(Default)]
struct Given {
    format: Option<CopyFormat>,
    header: Option<bool>,
    delimiter: Option<u8>,
    null: Option<String>,
    quote: Option<u8>,
    escape: Option<u8>,
    force_quote: Option<ForceQuote>,
}

const FORMATS: [(&str, CopyFormat); 3] =
    [("text", CopyFormat::Text), ("csv", CopyFormat::Csv), ("binary", CopyFormat::Binary)];

/// Reads the options to the end of the statement.
fn options(cursor: &mut Cursor<'_>, old_binary: bool) -> Result<CopyOptions, ParseError> {
    let mut given = Given { format: old_binary.then_some(CopyFormat::Binary), ..Given::default() };
    cursor.accept("with");
    let start = cursor.start();
    if cursor.peek() == Some(&Token::LParen) {
        cursor.list(|cursor| new_option(cursor, &mut given))?;
    } else {
        while !cursor.at_end() {
            old_option(cursor, &mut given)?;
        }
    }
    cursor.expect_end()?;
    settle(cursor, start, given)
}

/// Reads `FORMAT csv` and the like between brackets.
fn new_option(cursor: &mut Cursor<'_>, given: &mut Given) -> Result<(), ParseError> {
    const NAMES: [&str; 9] = [
        "format",
        "header",
        "delimiter",
        "null",
        "quote",
        "escape",
        "force_quote",
        "encoding",
        "freeze",
    ];
    let name = NAMES.iter().find(|name| cursor.accept(name));
    match name.copied() {
        Some("format") => {
            // PostgreSQL takes the name of the format as a word or in quotes.
            let start = cursor.start();
            let found = match cursor.peek() {
                Some(Token::Word(_)) => cursor.identifier("a format")?,
                _ => cursor.text("a format")?.to_lowercase(),
            };
            let known = FORMATS.iter().find(|(name, _)| *name == found);
            let (_, format) = known.ok_or_else(|| {
                let error = cursor.error_at(start, format!("COPY format \"{found}\" is not known"));
                let error = error.sqlstate(INVALID_PARAMETER_VALUE);
                error.suggest(&found, FORMATS.iter().map(|(name, _)| *name))
            })?;
            given.format = Some(*format);
        }
        Some("header") => given.header = Some(boolean(cursor)?),
        Some("delimiter") => given.delimiter = Some(byte(cursor, "DELIMITER")?),
        Some("null") => given.null = Some(cursor.text("a text in quotes")?),
        Some("quote") => given.quote = Some(byte(cursor, "QUOTE")?),
        Some("escape") => given.escape = Some(byte(cursor, "ESCAPE")?),
        Some("force_quote") => {
            given.force_quote = Some(match cursor.accept_token(&Token::Mul) {
                true => ForceQuote::All,
                false => ForceQuote::Columns(cursor.list(|cursor| cursor.identifier("a column"))?),
            });
        }
        Some("encoding") => encoding(cursor)?,
        // Rows are never written twice, so that there is nothing to freeze.
        Some("freeze") => {
            boolean(cursor)?;
        }
        _ => return Err(cursor.expected_one_of("an option", NAMES.into_iter())),
    }
    Ok(())
}

/// Reads `CSV HEADER` and the like without brackets.
fn old_option(cursor: &mut Cursor<'_>, given: &mut Given) -> Result<(), ParseError> {
    if cursor.accept("binary") {
        given.format = Some(CopyFormat::Binary);
    } else if cursor.accept("csv") {
        given.format = Some(CopyFormat::Csv);
    } else if cursor.accept("header") {
        given.header = Some(true);
    } else if cursor.accept("delimiter as") || cursor.accept("delimiter") {
        given.delimiter = Some(byte(cursor, "DELIMITER")?);
    } else if cursor.accept("null as") || cursor.accept("null") {
        given.null = Some(cursor.text("a text in quotes")?);
    } else if cursor.accept("quote as") || cursor.accept("quote") {
        given.quote = Some(byte(cursor, "QUOTE")?);
    } else if cursor.accept("escape as") || cursor.accept("escape") {
        given.escape = Some(byte(cursor, "ESCAPE")?);
    } else if cursor.accept("force quote") {
        let mut columns = Vec::new();
        given.force_quote = Some(match cursor.accept_token(&Token::Mul) {
            true => ForceQuote::All,
            false => loop {
                columns.push(cursor.identifier("a column")?);
                if !cursor.accept_token(&Token::Comma) {
                    break ForceQuote::Columns(columns);
                }
            },
        });
    } else if cursor.accept("encoding") {
        encoding(cursor)?;
    } else {
        let words = [
            "binary",
            "csv",
            "header",
            "delimiter",
            "null",
            "quote",
            "escape",
            "force quote",
            "encoding",
        ];
        return Err(cursor.expected_one_of("an option", words.into_iter()));
    }
    Ok(())
}

/// Reads an encoding, of which there is one.
fn encoding(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    let start = cursor.start();
    let name = cursor.text("a text in quotes")?;
    if matches!(name.to_lowercase().as_str(), "utf8" | "utf-8" | "unicode") {
        return Ok(());
    }
    Err(cursor
        .error_at(start, format!("encoding \"{name}\" is not supported"))
        .sqlstate(INVALID_PARAMETER_VALUE)
        .hint("Everything is sent as UTF8."))
}

/// Reads a text of one byte.
fn byte(cursor: &mut Cursor<'_>, option: &str) -> Result<u8, ParseError> {
    let start = cursor.start();
    let text = cursor.text("a text in quotes")?;
    match text.as_bytes() {
        [byte] if !matches!(byte, b'\n' | b'\r' | 0) => Ok(*byte),
        _ => Err(cursor
            .error_at(start, format!("COPY {option} must be a single one-byte character"))
            .sqlstate(INVALID_PARAMETER_VALUE)),
    }
}

/// Reads `true`, `on`, `1` and their opposites; nothing is `true`.
pub(super) fn boolean(cursor: &mut Cursor<'_>) -> Result<bool, ParseError> {
    if matches!(cursor.peek(), Some(Token::Comma | Token::RParen)) {
        return Ok(true);
    }
    let text = match cursor.peek() {
        Some(Token::Number(digits, _)) => digits.clone(),
        Some(Token::Word(word)) => word.value.to_lowercase(),
        Some(Token::SingleQuotedString(text)) => text.to_lowercase(),
        _ => return Err(cursor.expected("true or false")),
    };
    let value = match text.as_str() {
        "true" | "on" | "1" => true,
        "false" | "off" | "0" => false,
        _ => return Err(cursor.expected("true or false")),
    };
    cursor.advance();
    Ok(value)
}

/// Fills in the defaults and refuses what contradicts itself.
fn settle(cursor: &Cursor<'_>, start: usize, given: Given) -> Result<CopyOptions, ParseError> {
    let format = given.format.unwrap_or(CopyFormat::Text);
    let wrong =
        |message: &str| Err(cursor.error_at(start, message).sqlstate(INVALID_PARAMETER_VALUE));
    let for_csv = given.quote.is_some() || given.escape.is_some() || given.force_quote.is_some();
    if for_csv && format != CopyFormat::Csv {
        return wrong("QUOTE, ESCAPE and FORCE QUOTE need format csv");
    }
    if format == CopyFormat::Binary
        && (given.header == Some(true) || given.delimiter.is_some() || given.null.is_some())
    {
        return wrong("format binary takes no HEADER, DELIMITER or NULL");
    }
    let (delimiter, null) = match format {
        CopyFormat::Csv => (b',', ""),
        CopyFormat::Text | CopyFormat::Binary => (b'\t', "\\N"),
    };
    let options = CopyOptions {
        format,
        header: given.header.unwrap_or(false),
        delimiter: given.delimiter.unwrap_or(delimiter),
        null: given.null.unwrap_or_else(|| null.to_string()),
        quote: given.quote.unwrap_or(b'"'),
        escape: given.escape.or(given.quote).unwrap_or(b'"'),
        force_quote: given.force_quote.unwrap_or(ForceQuote::None),
    };
    if options.null.contains(['\n', '\r']) || options.null.as_bytes().contains(&options.delimiter) {
        return wrong("COPY NULL cannot hold the delimiter or a line end");
    }
    if format == CopyFormat::Csv && options.delimiter == options.quote {
        return wrong("COPY DELIMITER and QUOTE must differ");
    }
    Ok(options)
}
