//! Clauses in any order, each at most once, and what several kinds of objects have in common.

use engine::catalog::{ConnectorSpec, Format, Freshness, IdentifierMapping, Kind};
use sqlparser::tokenizer::Token;

use super::super::cursor::Cursor;
use super::super::embedded;
use super::super::error::{
    DUPLICATE_OBJECT, FEATURE_NOT_SUPPORTED, INVALID_PARAMETER_VALUE, ParseError,
};

/// Which clauses were read.
#[derive(Default)]
pub(crate) struct Seen(Vec<&'static str>);

impl Seen {
    /// Reads the words of a clause if they come next; a second time is an error.
    pub(crate) fn accept(
        &mut self,
        cursor: &mut Cursor<'_>,
        clause: &'static str,
    ) -> Result<bool, ParseError> {
        let start = cursor.start();
        if !cursor.accept(clause) {
            return Ok(false);
        }
        self.once(cursor, start, clause)?;
        Ok(true)
    }

    /// Notes a clause that was read from `start` on; a second time is an error.
    pub(crate) fn once(
        &mut self,
        cursor: &Cursor<'_>,
        start: usize,
        clause: &'static str,
    ) -> Result<(), ParseError> {
        if self.0.contains(&clause) {
            let message = format!("{} is given twice", clause.to_uppercase());
            return Err(cursor.error_at(start, message));
        }
        self.0.push(clause);
        Ok(())
    }

    /// Returns whether a clause was read.
    pub(crate) fn has(&self, clause: &str) -> bool {
        self.0.contains(&clause)
    }

    /// Reads a freshness clause if one comes next.
    pub(crate) fn freshness(
        &mut self,
        cursor: &mut Cursor<'_>,
        freshness: &mut Freshness,
    ) -> Result<bool, ParseError> {
        let start = cursor.start();
        let Some(found) = super::super::freshness::freshness(cursor)? else { return Ok(false) };
        self.once(cursor, start, "every, target lag or on demand")?;
        *freshness = found;
        Ok(true)
    }

    /// Returns the error for a word that begins no clause, or none that is still to come.
    pub(crate) fn unknown(&self, cursor: &Cursor<'_>, clauses: &[&'static str]) -> ParseError {
        let left = clauses.iter().copied().filter(|clause| !self.has(clause));
        if cursor.at_end() {
            return cursor.expected_one_of("", left);
        }
        cursor.expected_one_of("the end of the statement or a clause", left)
    }
}

/// Returns the error for a clause that must be there and is not.
pub(crate) fn missing(cursor: &Cursor<'_>, kind: Kind, clause: &str, example: &str) -> ParseError {
    let article = if kind.word().starts_with(['a', 'e', 'i']) { "an" } else { "a" };
    cursor
        .error_at(cursor.end(), format!("{article} {} needs {clause}", kind.word()))
        .hint(format!("Add {example}, for example."))
}

/// Reads `FILE ('path', ...)` behind `FROM` or `TO`.
pub(crate) fn file_connector(
    cursor: &mut Cursor<'_>,
    direction: &str,
) -> Result<ConnectorSpec, ParseError> {
    const PLANNED: [&str; 12] = [
        "segment http",
        "snowplow http",
        "webhook",
        "kafka",
        "postgres",
        "mysql",
        "delta",
        "iceberg",
        "airbyte",
        "singer",
        "sftp",
        "faker",
    ];
    if !cursor.accept("file") {
        if let Some(known) = PLANNED.iter().find(|known| cursor.clone().accept(known)) {
            return Err(cursor
                .error(format!("{direction} {} is not supported", known.to_uppercase()))
                .sqlstate(FEATURE_NOT_SUPPORTED)
                .hint(format!("Use {direction} FILE ('path').")));
        }
        return Err(cursor.expected("FILE").suggest(&cursor.word().unwrap_or_default(), ["file"]));
    }
    let path = |cursor: &mut Cursor<'_>| {
        let byte = cursor.start();
        let path = cursor.text("a path in quotes")?;
        if path.is_empty() {
            return Err(cursor.error_at(byte, "a path is empty").sqlstate(INVALID_PARAMETER_VALUE));
        }
        Ok(path)
    };
    let paths = match cursor.peek() {
        Some(Token::LParen) => cursor.list(path)?,
        _ => vec![path(cursor)?],
    };
    Ok(ConnectorSpec::File { paths })
}

/// Reads a format that files of this direction have.
pub(crate) fn format(
    cursor: &mut Cursor<'_>,
    allowed: &[(&str, Format)],
) -> Result<Format, ParseError> {
    if cursor.is("json") || cursor.is("jsonl") {
        return Err(cursor.error("format json is not known").hint(
            "Use FORMAT ndjson for one object on each line, or segment for calls of the Segment specification.",
        ));
    }
    cursor.choose("a format", allowed)
}

/// Reads `(column, ...)`, each at most once.
pub(crate) fn columns(cursor: &mut Cursor<'_>) -> Result<Vec<String>, ParseError> {
    let mut names: Vec<String> = Vec::new();
    cursor.list(|cursor| {
        let byte = cursor.start();
        let name = cursor.identifier("a column")?;
        if names.contains(&name) {
            return Err(cursor
                .error_at(byte, format!("column \"{name}\" is given twice"))
                .sqlstate(DUPLICATE_OBJECT));
        }
        names.push(name);
        Ok(())
    })?;
    Ok(names)
}

/// Reads `(name => expression, ...)`.
pub(crate) fn mappings(
    cursor: &mut Cursor<'_>,
    what: &str,
    mut check: impl FnMut(&Cursor<'_>, usize, &str) -> Result<(), ParseError>,
) -> Result<Vec<IdentifierMapping>, ParseError> {
    cursor.list(|cursor| {
        let byte = cursor.start();
        let kind = cursor.identifier(what)?;
        check(cursor, byte, &kind)?;
        if !cursor.accept_token(&Token::RArrow) {
            return Err(cursor.expected("\"=>\"").hint(format!("Write {kind} => expression.")));
        }
        let range = cursor.expression()?;
        embedded::scalar(cursor.input, range.clone())?;
        Ok(IdentifierMapping { kind, expression: cursor.input[range].to_string() })
    })
}

/// Reads `(name = literal, ...)` behind `WITH` and hands each whole number to `take`, which answers whether it knows
/// the name.
pub(crate) fn number_options(
    cursor: &mut Cursor<'_>,
    known: &[(&'static str, std::ops::RangeInclusive<u64>)],
    mut take: impl FnMut(&str, u64),
) -> Result<(), ParseError> {
    let mut seen: Vec<String> = Vec::new();
    cursor.list(|cursor| {
        let byte = cursor.start();
        let name = cursor.identifier("an option")?;
        let Some((_, range)) = known.iter().find(|(option, _)| *option == name) else {
            let error = cursor.error_at(byte, format!("option \"{name}\" is not known"));
            let error = error
                .sqlstate(INVALID_PARAMETER_VALUE)
                .suggest(&name, known.iter().map(|(option, _)| *option));
            return Err(match error.hint {
                Some(_) => error,
                None if known.is_empty() => error.hint("This kind of object has no options."),
                None => {
                    let names: Vec<&str> = known.iter().map(|(option, _)| *option).collect();
                    error.hint(format!("The options are {}.", names.join(", ")))
                }
            });
        };
        if seen.contains(&name) {
            return Err(cursor.error_at(byte, format!("option \"{name}\" is given twice")));
        }
        cursor.expect_token(&Token::Eq)?;
        take(&name, cursor.integer(&name, range.clone())?);
        seen.push(name);
        Ok(())
    })?;
    Ok(())
}
