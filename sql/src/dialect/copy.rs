//! `COPY (query) | relation TO STDOUT`, in the form of today and in the two that PostgreSQL still takes, and `ANALYZE`,
//! which names relations as COPY does.

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::error::{FEATURE_NOT_SUPPORTED, INVALID_PARAMETER_VALUE, ParseError, SYNTAX_ERROR};
use super::inner;
use super::statement::{CopyFormat, CopyHeader, CopyInput, CopyOptions, Forced, Statement};

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
    let options = options(cursor, old_binary, Direction::To)?;
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
    if relation.peek() == Some(&Token::LParen) {
        return Err(relation.error("COPY FROM needs a table"));
    }
    let options = options(cursor, old_binary, Direction::From)?;
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

/// Which way rows go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    From,
    To,
}

/// The options as they were given.
#[derive(Default)]
struct Given {
    format: Option<CopyFormat>,
    header: Option<CopyHeader>,
    delimiter: Option<String>,
    null: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<Forced>,
    force_not_null: Option<Forced>,
    force_null: Option<Forced>,
    encoding: Option<String>,
    freeze: Option<bool>,
}

const FORMATS: [(&str, CopyFormat); 3] =
    [("text", CopyFormat::Text), ("csv", CopyFormat::Csv), ("binary", CopyFormat::Binary)];

/// Reads the options to the end of the statement.
fn options(
    cursor: &mut Cursor<'_>,
    old_binary: bool,
    direction: Direction,
) -> Result<CopyOptions, ParseError> {
    let mut given = Given { format: old_binary.then_some(CopyFormat::Binary), ..Given::default() };
    // Clients of long ago write `USING DELIMITERS ';'` before all others.
    if cursor.accept("using delimiters") || cursor.accept("delimiters") {
        given.delimiter = Some(cursor.text("a text in quotes")?);
    }
    cursor.accept("with");
    let start = cursor.start();
    let is_filter = |cursor: &Cursor<'_>| direction == Direction::From && cursor.is("where");
    if cursor.peek() == Some(&Token::LParen) {
        cursor.list(|cursor| new_option(cursor, &mut given, direction))?;
    } else {
        while !cursor.at_end() && !is_filter(cursor) {
            old_option(cursor, &mut given)?;
        }
    }
    if is_filter(cursor) {
        return Err(cursor
            .error("COPY FROM with WHERE is not supported")
            .sqlstate(FEATURE_NOT_SUPPORTED)
            .hint(
                "Copy the rows into a temporary table, and INSERT ... SELECT those that you want.",
            ));
    }
    cursor.expect_end()?;
    settle(given, direction)
        .map_err(|(sqlstate, message)| cursor.error_at(start, message).sqlstate(sqlstate))
}

/// Keeps the value of an option, which is given once.
fn keep<T>(
    cursor: &Cursor<'_>,
    start: usize,
    option: &mut Option<T>,
    value: T,
) -> Result<(), ParseError> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err(cursor.error_at(start, "conflicting or redundant options")),
    }
}

/// Reads `FORMAT csv` and the like between brackets.
fn new_option(
    cursor: &mut Cursor<'_>,
    given: &mut Given,
    direction: Direction,
) -> Result<(), ParseError> {
    const NAMES: [&str; 11] = [
        "format",
        "header",
        "delimiter",
        "null",
        "quote",
        "escape",
        "force_quote",
        "force_not_null",
        "force_null",
        "encoding",
        "freeze",
    ];
    let start = cursor.start();
    let name = NAMES.iter().find(|name| cursor.accept(name));
    match name.copied() {
        Some("format") => {
            // PostgreSQL takes the name of the format as a word or in quotes.
            let found = match cursor.peek() {
                Some(Token::Word(_)) => cursor.identifier("a format")?,
                _ => cursor.text("a format")?.to_lowercase(),
            };
            let known = FORMATS.iter().find(|(name, _)| *name == found);
            let (_, format) = known.ok_or_else(|| {
                let message = format!("COPY format \"{found}\" not recognized");
                let error = cursor.error_at(start, message).sqlstate(INVALID_PARAMETER_VALUE);
                error.suggest(&found, FORMATS.iter().map(|(name, _)| *name))
            })?;
            keep(cursor, start, &mut given.format, *format)
        }
        Some("header") => {
            let header = header(cursor, direction)?;
            keep(cursor, start, &mut given.header, header)
        }
        Some("delimiter") => text(cursor, start, &mut given.delimiter),
        Some("null") => text(cursor, start, &mut given.null),
        Some("quote") => text(cursor, start, &mut given.quote),
        Some("escape") => text(cursor, start, &mut given.escape),
        Some("force_quote") => {
            let forced = match cursor.accept_token(&Token::Mul) {
                true => Forced::All,
                false => listed(cursor, start, "force_quote")?,
            };
            keep(cursor, start, &mut given.force_quote, forced)
        }
        Some("force_not_null") => {
            let forced = listed(cursor, start, "force_not_null")?;
            keep(cursor, start, &mut given.force_not_null, forced)
        }
        Some("force_null") => {
            let forced = listed(cursor, start, "force_null")?;
            keep(cursor, start, &mut given.force_null, forced)
        }
        Some("encoding") => encoding(cursor, start, given),
        // Rows are never written twice, so that there is nothing to freeze.
        Some("freeze") => {
            let freeze = boolean(cursor)?;
            keep(cursor, start, &mut given.freeze, freeze)
        }
        _ => match cursor.peek() {
            Some(Token::Word(word)) => Err(cursor
                .error(format!("option \"{}\" not recognized", word.value.to_lowercase()))
                .suggest(&word.value.to_lowercase(), NAMES)),
            _ => Err(cursor.expected_one_of("an option", NAMES.into_iter())),
        },
    }
}

/// Reads `CSV HEADER` and the like without brackets.
fn old_option(cursor: &mut Cursor<'_>, given: &mut Given) -> Result<(), ParseError> {
    let start = cursor.start();
    if cursor.accept("binary") {
        keep(cursor, start, &mut given.format, CopyFormat::Binary)
    } else if cursor.accept("csv") {
        keep(cursor, start, &mut given.format, CopyFormat::Csv)
    } else if cursor.accept("header") {
        keep(cursor, start, &mut given.header, CopyHeader::Skipped)
    } else if cursor.accept("freeze") {
        keep(cursor, start, &mut given.freeze, true)
    } else if cursor.accept("delimiter as") || cursor.accept("delimiter") {
        text(cursor, start, &mut given.delimiter)
    } else if cursor.accept("null as") || cursor.accept("null") {
        text(cursor, start, &mut given.null)
    } else if cursor.accept("quote as") || cursor.accept("quote") {
        text(cursor, start, &mut given.quote)
    } else if cursor.accept("escape as") || cursor.accept("escape") {
        text(cursor, start, &mut given.escape)
    } else if cursor.accept("force quote") {
        let forced = match cursor.accept_token(&Token::Mul) {
            true => Forced::All,
            false => bare_list(cursor)?,
        };
        keep(cursor, start, &mut given.force_quote, forced)
    } else if cursor.accept("force not null") {
        let forced = bare_list(cursor)?;
        keep(cursor, start, &mut given.force_not_null, forced)
    } else if cursor.accept("force null") {
        let forced = bare_list(cursor)?;
        keep(cursor, start, &mut given.force_null, forced)
    } else if cursor.accept("encoding") {
        encoding(cursor, start, given)
    } else {
        let words = [
            "binary",
            "csv",
            "header",
            "freeze",
            "delimiter",
            "null",
            "quote",
            "escape",
            "force quote",
            "force not null",
            "force null",
            "encoding",
        ];
        Err(cursor.expected_one_of("an option", words.into_iter()))
    }
}

/// Reads the text of an option.
fn text(
    cursor: &mut Cursor<'_>,
    start: usize,
    option: &mut Option<String>,
) -> Result<(), ParseError> {
    let text = cursor.text("a text in quotes")?;
    keep(cursor, start, option, text)
}

/// Reads `(column, ...)` of an option.
fn listed(cursor: &mut Cursor<'_>, start: usize, option: &str) -> Result<Forced, ParseError> {
    if cursor.peek() != Some(&Token::LParen) {
        let message = format!("argument to option \"{option}\" must be a list of column names");
        return Err(cursor.error_at(start, message).sqlstate(INVALID_PARAMETER_VALUE));
    }
    Ok(Forced::Columns(cursor.list(|cursor| cursor.identifier("a column"))?))
}

/// Reads `column, ...` of an option.
fn bare_list(cursor: &mut Cursor<'_>) -> Result<Forced, ParseError> {
    let mut columns = vec![cursor.identifier("a column")?];
    while cursor.accept_token(&Token::Comma) {
        columns.push(cursor.identifier("a column")?);
    }
    Ok(Forced::Columns(columns))
}

/// Reads what the first line is: a truth, or `MATCH`.
fn header(cursor: &mut Cursor<'_>, direction: Direction) -> Result<CopyHeader, ParseError> {
    let start = cursor.start();
    let quoted = matches!(cursor.peek(),
        Some(Token::SingleQuotedString(text)) if text.eq_ignore_ascii_case("match"));
    if quoted {
        cursor.advance();
    }
    if quoted || cursor.accept("match") {
        return match direction {
            Direction::From => Ok(CopyHeader::Matched),
            Direction::To => Err(cursor
                .error_at(start, "cannot use \"match\" with HEADER in COPY TO")
                .sqlstate(FEATURE_NOT_SUPPORTED)),
        };
    }
    let given = boolean(cursor)
        .map_err(|_| cursor.error_at(start, "header requires a Boolean value or \"match\""))?;
    Ok(if given { CopyHeader::Skipped } else { CopyHeader::None })
}

/// Reads an encoding, of which there is one.
fn encoding(cursor: &mut Cursor<'_>, start: usize, given: &mut Given) -> Result<(), ParseError> {
    let name = cursor.text("a text in quotes")?;
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_lowercase().as_str() {
        "utf8" | "unicode" => keep(cursor, start, &mut given.encoding, name),
        known if ENCODINGS.split(' ').any(|name| name == known) => Err(cursor
            .error_at(start, format!("COPY in encoding \"{name}\" is not supported"))
            .sqlstate(FEATURE_NOT_SUPPORTED)
            .hint("Everything is sent as UTF8.")),
        _ => Err(cursor
            .error_at(start, "argument to option \"encoding\" must be a valid encoding name")
            .sqlstate(INVALID_PARAMETER_VALUE)
            .hint("Everything is sent as UTF8.")),
    }
}

/// What PostgreSQL calls the encodings that it has besides UTF8, without signs.
const ENCODINGS: &str = "abc alt big5 euccn eucjis2004 eucjp euckr euctw gb18030 gbk iso88591 iso885910 iso885913 \
    iso885914 iso885915 iso885916 iso88592 iso88593 iso88594 iso88595 iso88596 iso88597 iso88598 iso88599 johab koi8 \
    koi8r koi8u latin1 latin10 latin2 latin3 latin4 latin5 latin6 latin7 latin8 latin9 shiftjis2004 sjis sqlascii tcvn \
    tcvn5712 uhc vscii win win1250 win1251 win1252 win1253 win1254 win1255 win1256 win1257 win1258 win866 win874 win932 \
    win936 win949 win950";

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

/// What options say that cannot be: its SQLSTATE and how PostgreSQL puts it.
type Wrong = (&'static str, String);

/// Fills in the defaults and refuses what contradicts itself, in the order in which PostgreSQL does.
fn settle(given: Given, direction: Direction) -> Result<CopyOptions, Wrong> {
    let format = given.format.unwrap_or(CopyFormat::Text);
    let (csv, binary) = (format == CopyFormat::Csv, format == CopyFormat::Binary);
    let header = given.header.unwrap_or(CopyHeader::None);
    for (option, is_given) in
        [("DELIMITER", given.delimiter.is_some()), ("NULL", given.null.is_some())]
    {
        if binary && is_given {
            return Err((SYNTAX_ERROR, format!("cannot specify {option} in BINARY mode")));
        }
    }
    let delimiter = byte(given.delimiter.as_deref(), if csv { b',' } else { b'\t' }, "delimiter")?;
    if matches!(delimiter, b'\n' | b'\r') {
        return invalid("COPY delimiter cannot be newline or carriage return");
    }
    let null = given.null.clone().unwrap_or_else(|| if csv { "" } else { "\\N" }.to_owned());
    if null.contains(['\n', '\r']) {
        return invalid("COPY null representation cannot use newline or carriage return");
    }
    if !csv && matches!(delimiter, b'\\' | b'.' | b'a'..=b'z' | b'0'..=b'9') {
        let sign = char::from(delimiter);
        return invalid(&format!("COPY delimiter cannot be \"{sign}\""));
    }
    if binary && header != CopyHeader::None {
        return unsupported("cannot specify HEADER in BINARY mode");
    }
    if !csv && given.quote.is_some() {
        return unsupported("COPY quote available only in CSV mode");
    }
    let quote = byte(given.quote.as_deref(), b'"', "quote")?;
    if csv && delimiter == quote {
        return invalid("COPY delimiter and quote must be different");
    }
    if !csv && given.escape.is_some() {
        return unsupported("COPY escape available only in CSV mode");
    }
    let escape = byte(given.escape.as_deref(), quote, "escape")?;
    check_forced(&given, csv, direction)?;
    if null.as_bytes().contains(&delimiter) {
        return unsupported("COPY delimiter must not appear in the NULL specification");
    }
    if csv && null.as_bytes().contains(&quote) {
        return unsupported("CSV quote character must not appear in the NULL specification");
    }
    let [force_quote, force_not_null, force_null] =
        [given.force_quote, given.force_not_null, given.force_null]
            .map(|forced| forced.unwrap_or(Forced::None));
    Ok(CopyOptions {
        format,
        header,
        delimiter,
        null,
        quote,
        escape,
        force_quote,
        force_not_null,
        force_null,
    })
}

/// Fails if an option for columns is not for this format, or for rows that go the other way.
fn check_forced(given: &Given, csv: bool, direction: Direction) -> Result<(), Wrong> {
    for (option, forced, way, towards) in [
        ("quote", &given.force_quote, Direction::To, "TO"),
        ("not null", &given.force_not_null, Direction::From, "FROM"),
        ("null", &given.force_null, Direction::From, "FROM"),
    ] {
        if forced.is_some() && !csv {
            return unsupported(&format!("COPY force {option} available only in CSV mode"));
        }
        if forced.is_some() && way != direction {
            return unsupported(&format!(
                "COPY force {option} only available using COPY {towards}"
            ));
        }
    }
    Ok(())
}

/// Returns the one byte of a text, or the default where none is given.
fn byte(text: Option<&str>, default: u8, option: &str) -> Result<u8, Wrong> {
    match text.map(str::as_bytes) {
        None => Ok(default),
        Some([byte]) => Ok(*byte),
        Some(_) => unsupported(&format!("COPY {option} must be a single one-byte character")),
    }
}

fn invalid<T>(message: &str) -> Result<T, Wrong> {
    Err((INVALID_PARAMETER_VALUE, message.to_owned()))
}

fn unsupported<T>(message: &str) -> Result<T, Wrong> {
    Err((FEATURE_NOT_SUPPORTED, message.to_owned()))
}
