//! `CREATE SOURCE`: where records come from, what they are, and whom they name.

use std::collections::BTreeMap;

use engine::catalog::{Format, Freshness, Kind, OnError, Shape, Source};
use engine::lake::{column_name, column_names};
use sqlparser::tokenizer::Token;

use super::super::cursor::Cursor;
use super::super::embedded;
use super::super::error::{INVALID_PARAMETER_VALUE, ParseError, UNDEFINED_COLUMN};
use super::clauses::{Seen, columns, file_connector, format, mappings, missing, number_options};
use super::event::declared_columns;

/// How far a source is trusted if nothing is said.
const TRUST_DEFAULT: u16 = 100;
/// The greatest trust.
const TRUST_MAX: u64 = 1_000;

/// What a row can say about its person.
pub(crate) const PERSON_FIELDS: [&str; 8] =
    ["name", "first_name", "last_name", "birth_date", "street", "postal_code", "city", "country"];

const FORMATS: [(&str, Format); 4] = [
    ("csv", Format::Csv),
    ("ndjson", Format::Ndjson),
    ("parquet", Format::Parquet),
    ("segment", Format::Segment),
];

const CLAUSES: [&str; 18] = [
    "from",
    "format",
    "as records",
    "as events",
    "key",
    "version by",
    "event time",
    "deleted when",
    "null values",
    "identifiers",
    "person",
    "public",
    "trust",
    "on error",
    "every",
    "target lag",
    "on demand",
    "with",
];

/// The clauses of one source while they are read.
#[derive(Default)]
struct Clauses {
    seen: Seen,
    connector: Option<engine::catalog::ConnectorSpec>,
    format: Option<Format>,
    key: Vec<String>,
    version_by: Option<String>,
    event_time: Option<String>,
    deleted_when: Option<String>,
    null_values: Vec<String>,
    identifiers: Vec<engine::catalog::IdentifierMapping>,
    person: BTreeMap<String, String>,
    public: Vec<String>,
    trust: Option<u16>,
    on_error: Option<OnError>,
}

/// Reads `[(column type, ...)]` and the clauses, in any order.
pub(crate) fn source(cursor: &mut Cursor<'_>) -> Result<Source, ParseError> {
    let list_start = cursor.start();
    let (declared, logical_types) = match cursor.peek() {
        Some(Token::LParen) => declared_columns(cursor)?,
        _ => Default::default(),
    };
    let mut clauses = Clauses::default();
    let mut freshness = Freshness::OnDemand;
    while !cursor.at_end() {
        if !clauses.seen.freshness(cursor, &mut freshness)? && !clauses.read(cursor)? {
            return Err(clauses.seen.unknown(cursor, &CLAUSES));
        }
    }
    let format = clauses.format;
    let shape = clauses.shape(cursor)?;
    let connector = clauses
        .connector
        .ok_or_else(|| missing(cursor, Kind::Source, "FROM", "FROM FILE ('data/*.csv')"))?;
    let format = format.ok_or_else(|| missing(cursor, Kind::Source, "FORMAT", "FORMAT csv"))?;
    if format == Format::Segment && !declared.is_empty() {
        let message = "the columns of format segment cannot be declared";
        return Err(cursor.error_at(list_start, message).hint("Leave the list of columns out."));
    }
    let source = Source {
        connector,
        format,
        columns: declared,
        logical_types,
        shape,
        null_values: clauses.null_values,
        identifiers: clauses.identifiers,
        person: clauses.person,
        deleted_when: clauses.deleted_when,
        public_columns: clauses.public,
        on_error: clauses.on_error.unwrap_or(OnError::Quarantine),
        freshness,
        trust: clauses.trust.unwrap_or(TRUST_DEFAULT),
    };
    check_columns(cursor, &source)?;
    Ok(source)
}

impl Clauses {
    /// Reads one clause; answers whether there was one.
    fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, ParseError> {
        let seen = &mut self.seen;
        if seen.accept(cursor, "from")? {
            self.connector = Some(file_connector(cursor, "FROM")?);
        } else if seen.accept(cursor, "format")? {
            self.format = Some(format(cursor, &FORMATS)?);
        } else if seen.accept(cursor, "as records")? || seen.accept(cursor, "as events")? {
            if seen.has("as records") && seen.has("as events") {
                return Err(
                    cursor.error_at(cursor.last_end(), "a source is either records or events")
                );
            }
        } else if seen.accept(cursor, "key")? {
            self.key = lake_names(columns(cursor)?);
        } else if seen.accept(cursor, "version by")? {
            self.version_by = Some(column_name(&cursor.identifier("a column")?));
        } else if seen.accept(cursor, "event time")? {
            self.event_time = Some(column_name(&cursor.identifier("a column")?));
        } else if seen.accept(cursor, "deleted when")? {
            self.deleted_when = Some(condition(cursor)?);
        } else if seen.accept(cursor, "null values")? {
            self.null_values = cursor.list(|cursor| cursor.text("a text in quotes"))?;
        } else if seen.accept(cursor, "identifiers")? {
            self.identifiers = mappings(cursor, "a kind of identifier", |_, _, _| Ok(()))?;
        } else if seen.accept(cursor, "person")? {
            self.person = person(cursor)?;
        } else if seen.accept(cursor, "public")? {
            self.public = lake_names(columns(cursor)?);
        } else if seen.accept(cursor, "trust")? {
            let trust = cursor.integer("trust", 0..=TRUST_MAX)?;
            self.trust = Some(u16::try_from(trust).expect("bounded by TRUST_MAX"));
        } else if seen.accept(cursor, "on error")? {
            self.on_error = Some(cursor.choose(
                "",
                &[
                    ("quarantine", OnError::Quarantine),
                    ("skip", OnError::Skip),
                    ("fail", OnError::Fail),
                ],
            )?);
        } else if seen.accept(cursor, "with")? {
            number_options(cursor, &[], |_, _| {})?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Returns what the rows are, if the clauses agree on it.
    fn shape(&mut self, cursor: &Cursor<'_>) -> Result<Shape, ParseError> {
        let (key, version_by, event_time) =
            (std::mem::take(&mut self.key), self.version_by.take(), self.event_time.take());
        let at_end = |message: &str| cursor.error_at(cursor.end(), message);
        if self.seen.has("as records") {
            if event_time.is_some() {
                return Err(at_end("EVENT TIME is for events").hint("Use VERSION BY for records."));
            }
            if self.format == Some(Format::Segment) {
                return Err(at_end("format segment holds events").hint("Write AS EVENTS."));
            }
            if key.is_empty() {
                return Err(missing(cursor, Kind::Source, "KEY for its records", "KEY (id)"));
            }
            return Ok(Shape::Records { key, version_by });
        }
        if self.seen.has("as events") {
            if version_by.is_some() {
                return Err(at_end("VERSION BY is for records").hint("Use EVENT TIME for events."));
            }
            if self.deleted_when.is_some() {
                return Err(at_end("DELETED WHEN is for records")
                    .hint("Leave it out: what happened stays so."));
            }
            if self.format == Some(Format::Segment) && !(key.is_empty() && event_time.is_none()) {
                return Err(at_end("format segment has its own key and time")
                    .hint("Leave KEY and EVENT TIME out: they are message_id and occurred_at."));
            }
            return Ok(Shape::Events { key, event_time });
        }
        Err(missing(cursor, Kind::Source, "AS RECORDS or AS EVENTS", "AS RECORDS KEY (id)"))
    }
}

/// Reads `(condition)`, over the columns of one row.
fn condition(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    cursor.expect_token(&Token::LParen)?;
    let range = cursor.expression()?;
    embedded::scalar(cursor.input, range.clone())?;
    cursor.expect_token(&Token::RParen)?;
    Ok(cursor.input[range].to_string())
}

/// Reads `(field => expression, ...)`.
fn person(cursor: &mut Cursor<'_>) -> Result<BTreeMap<String, String>, ParseError> {
    let mut names: Vec<String> = Vec::new();
    let fields = mappings(cursor, "a field of a person", |cursor, byte, field| {
        if names.iter().any(|name| name == field) {
            return Err(cursor.error_at(byte, format!("field \"{field}\" is given twice")));
        }
        names.push(field.to_string());
        if PERSON_FIELDS.contains(&field) {
            return Ok(());
        }
        let error = cursor
            .error_at(byte, format!("\"{field}\" is not a field of a person"))
            .sqlstate(INVALID_PARAMETER_VALUE)
            .suggest(field, PERSON_FIELDS);
        let hint = error
            .hint
            .clone()
            .unwrap_or_else(|| format!("The fields are {}.", PERSON_FIELDS.join(", ")));
        Err(error.hint(hint))
    })?;
    Ok(fields.into_iter().map(|mapping| (mapping.kind, mapping.expression)).collect())
}

/// Returns how the lake names these columns.
fn lake_names(names: Vec<String>) -> Vec<String> {
    names.iter().map(|name| column_name(name)).collect()
}

/// Fails if the columns are declared and a clause names another.
fn check_columns(cursor: &Cursor<'_>, source: &Source) -> Result<(), ParseError> {
    if source.columns.is_empty() {
        return Ok(());
    }
    let declared = column_names(source.columns.iter().map(|column| column.name.as_str()));
    let of_shape: Vec<&String> = match &source.shape {
        Shape::Records { key, version_by } => key.iter().chain(version_by).collect(),
        Shape::Events { key, event_time } => key.iter().chain(event_time).collect(),
    };
    for name in of_shape.into_iter().chain(&source.public_columns) {
        if !declared.contains(name) {
            return Err(cursor
                .error_at(cursor.end(), format!("column \"{name}\" is not declared"))
                .sqlstate(UNDEFINED_COLUMN)
                .suggest(name, declared.iter().map(String::as_str)));
        }
    }
    Ok(())
}
