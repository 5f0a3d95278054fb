//! Errors of the engine, and of DataFusion and Arrow below it, by what they mean to the client.

use std::borrow::Cow;

use arrow::error::ArrowError;
use datafusion::common::diagnostic::Diagnostic;
use datafusion::error::DataFusionError;

use super::cause::{from_arrow, from_datafusion};
use super::{Place, WireError};

/// What the engine was doing, which decides whether its words may be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Reading and planning a statement: messages speak of the statement.
    Planning,
    /// Running it: messages may speak of rows.
    Running,
}

/// Turns an error of the engine into one for the client.
pub(crate) fn from_engine(error: &engine::Error, phase: Phase, place: Place<'_>) -> WireError {
    let (sqlstate, hint) = match error {
        engine::Error::Query(error) => return from_query(error, phase, place),
        engine::Error::Refresh { failed } => return from_refresh(error, failed),
        engine::Error::Definition { source, .. } => return from_definition(error, source),
        engine::Error::Missing {
            kind: "table" | "view" | "materialized view" | "sequence",
            ..
        } => ("42P01", error.hint()),
        engine::Error::Unavailable { .. } => (error.sqlstate(), Some("Try again.".to_owned())),
        error => (error.sqlstate(), error.hint()),
    };
    let mut wire = WireError::new(sqlstate, error.to_string()).of(error.violated());
    wire.detail = error.detail().map(Box::from);
    wire.hint = hint.filter(|hint| !hint.is_empty()).map(Cow::Owned);
    match error {
        engine::Error::Missing { kind, name, .. } => {
            // A name without a schema is told as it is written.
            if *kind == "relation"
                && let Some(bare) = name.strip_prefix("analytics.")
                && !place.has_word(name)
                && place.has_word(bare)
            {
                wire.message = format!("relation \"{bare}\" does not exist").into();
            }
            // A statement that writes names it with its schema or without.
            let last = || place.of_word(name.rsplit('.').next().filter(|_| writes(place.text))?);
            // PostgreSQL points at none of what is to be dropped.
            let is_dropped = matches!(*kind, "table" | "view" | "materialized view" | "sequence");
            wire.position = place.of_word(name).or_else(last).filter(|_| !is_dropped);
        }
        engine::Error::Standard { sqlstate: "42703", message, .. } if writes(place.text) => {
            let column = message.strip_prefix("column \"").and_then(|rest| rest.split('"').next());
            wire.position = column.and_then(|column| place.of_word(column));
        }
        _ => {}
    }
    wire
}

/// Tells whether a statement changes rows: PostgreSQL points into those, and not into statements that change tables.
fn writes(text: &str) -> bool {
    let word = text.split_whitespace().next().unwrap_or_default();
    ["insert", "update", "delete"].iter().any(|verb| word.eq_ignore_ascii_case(verb))
}

/// Turns the failures of a refresh into one: the first decides what kind it is, the detail says each.
fn from_refresh(whole: &engine::Error, failed: &[(String, engine::Error)]) -> WireError {
    let nowhere = Place::NOWHERE;
    let each: Vec<(&str, WireError)> = failed
        .iter()
        .map(|(object, error)| (object.as_str(), from_engine(error, Phase::Running, nowhere)))
        .collect();
    let sqlstate = each.first().map_or("XX000", |(_, error)| error.sqlstate);
    let mut wire = WireError::new(sqlstate, whole.to_string());
    let lines: Vec<String> = each
        .iter()
        .map(|(object, error)| {
            let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{object}: {}: {}{hint}", error.sqlstate, error.message)
        })
        .collect();
    wire.detail = Some(lines.join("\n").into());
    wire.hint = whole.hint().map(Cow::Owned);
    wire
}

/// Turns what keeps a definition from working into an error that names the definition: its text is not the statement.
fn from_definition(whole: &engine::Error, cause: &engine::Error) -> WireError {
    let nowhere = Place::NOWHERE;
    let mut wire = from_engine(cause, Phase::Planning, nowhere);
    wire.message = format!("{whole}: {}", wire.message).into();
    wire.position = None;
    wire
}

/// What an error wraps, once all wrappings are off.
enum Root<'a> {
    Engine(&'a engine::Error),
    Arrow(&'a ArrowError),
    Query(&'a DataFusionError),
}

fn from_query(error: &DataFusionError, phase: Phase, place: Place<'_>) -> WireError {
    let mut diagnostic = None;
    let wire = match root(error, &mut diagnostic) {
        Root::Engine(error) => from_engine(error, phase, place),
        Root::Arrow(error) => from_arrow(error),
        Root::Query(error) => from_datafusion(error, phase, place),
    };
    let span = diagnostic.and_then(|diagnostic: &Diagnostic| diagnostic.span);
    let position = span.and_then(|span| place.of_line(span.start.line, span.start.column));
    let position = position.or(wire.position);
    wire.at(position)
}

fn root<'a>(error: &'a DataFusionError, diagnostic: &mut Option<&'a Diagnostic>) -> Root<'a> {
    match error {
        DataFusionError::Context(_, inner) => root(inner, diagnostic),
        DataFusionError::Shared(inner) => root(inner, diagnostic),
        DataFusionError::Diagnostic(found, inner) => {
            *diagnostic = Some(found);
            root(inner, diagnostic)
        }
        DataFusionError::Collection(all) => match all.first() {
            Some(first) => root(first, diagnostic),
            None => Root::Query(error),
        },
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            ArrowError::ExternalError(external) => {
                root_of_external(external.as_ref(), error, diagnostic)
            }
            inner => Root::Arrow(inner),
        },
        DataFusionError::External(external) => {
            root_of_external(external.as_ref(), error, diagnostic)
        }
        _ => Root::Query(error),
    }
}

fn root_of_external<'a>(
    external: &'a (dyn std::error::Error + Send + Sync + 'static),
    outer: &'a DataFusionError,
    diagnostic: &mut Option<&'a Diagnostic>,
) -> Root<'a> {
    if let Some(error) = external.downcast_ref::<engine::Error>() {
        Root::Engine(error)
    } else if let Some(error) = external.downcast_ref::<DataFusionError>() {
        root(error, diagnostic)
    } else if let Some(error) = external.downcast_ref::<ArrowError>() {
        Root::Arrow(error)
    } else {
        Root::Query(outer)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::{Column, SchemaError};

    use super::*;

    fn wire(error: DataFusionError, phase: Phase, text: &str) -> WireError {
        let place = Place { source: text, offset: 0, text, prefix: 0 };
        from_engine(&engine::Error::Query(error), phase, place)
    }

    #[test]
    fn root_causes_have_their_sqlstate() {
        let cases = [
            (DataFusionError::Plan("table 'onefold.public.profils' not found".into()), "42P01"),
            (DataFusionError::Plan("Invalid function 'lenght'.\nDid you mean 'length'?".into()), "42883"),
            (
                DataFusionError::Plan(
                    "No function matches the given name and argument types 'round(Utf8)'. You might need".into(),
                ),
                "42883",
            ),
            (DataFusionError::from(ArrowError::DivideByZero).context("somewhere"), "22012"),
            (ArrowError::CastError("Cannot cast string 'ada' to value of Int64 type".into()).into(), "22P02"),
            (ArrowError::ArithmeticOverflow("Overflow happened on: 1 + 2".into()).into(), "22003"),
            (DataFusionError::ResourcesExhausted("...".into()), "53200"),
            (DataFusionError::NotImplemented("Unsupported".into()), "0A000"),
            (DataFusionError::Internal("a bug".into()), "XX000"),
            (
                DataFusionError::External(Box::new(engine::Error::Denied {
                    message: "no".into(),
                    hint: "Ask.".into(),
                })),
                "42501",
            ),
        ];
        for (error, sqlstate) in cases {
            let text = error.to_string();
            assert_eq!(wire(error, Phase::Running, "select 1").sqlstate, sqlstate, "{text}");
        }
    }

    #[test]
    fn numbers_with_too_many_digits_are_told_by_their_type() {
        let told = |message: &str| {
            let error = ArrowError::InvalidArgumentError(message.into()).into();
            let wire = wire(error, Phase::Running, "select 1");
            (wire.sqlstate, wire.message, wire.detail.map(String::from))
        };
        let detail = |precision: &str, bound: &str| {
            Some(format!(
                "A field with precision {precision} must round to an absolute value less than {bound}."
            ))
        };
        let overflow = |detail| ("22003", Cow::Borrowed("numeric field overflow"), detail);
        for (message, of) in [
            (
                "1234567.50 is too large to store in a Decimal128 of precision 8. Max is 999999.99",
                detail("8, scale 2", "10^6"),
            ),
            (
                "-1234567.50 is too small to store in a Decimal128 of precision 8. Min is -999999.99",
                detail("8, scale 2", "10^6"),
            ),
            (
                "123456 is too large to store in a Decimal128 of precision 3. Max is 999",
                detail("3, scale 0", "10^3"),
            ),
            ("Cannot cast to Decimal128(2, 2). Overflowing on 100.0", detail("2, scale 2", "1")),
        ] {
            assert_eq!(told(message), overflow(of), "{message}");
        }
        // A cast that nobody wrote says nothing of digits.
        let inner = "9 is too large to store in a Decimal128 of precision 38. Max is 9";
        assert_eq!(told(inner), ("22003", Cow::Borrowed("value out of range"), None));
    }

    #[test]
    fn no_value_of_a_row_is_in_a_message_of_a_running_query() {
        let secret = "ada@example.com";
        for error in [
            ArrowError::CastError(format!("Cannot cast string '{secret}' to value of Int64 type"))
                .into(),
            ArrowError::ParseError(format!(
                "Error parsing timestamp from '{secret}': error parsing date"
            ))
            .into(),
            ArrowError::ComputeError(format!("bad {secret}")).into(),
            DataFusionError::Execution(format!("cannot use {secret}")),
            DataFusionError::Internal(secret.to_owned()),
        ] {
            let wire = wire(error, Phase::Running, "select 1");
            assert!(!format!("{wire:?}").contains(secret), "{wire:?}");
        }
    }

    #[test]
    fn a_misspelt_column_gets_a_hint_and_a_position() {
        let error = DataFusionError::SchemaError(
            Box::new(SchemaError::FieldNotFound {
                field: Box::new(Column::from_name("emial")),
                valid_fields: vec![Column::from_name("email"), Column::from_name("phone")],
            }),
            Box::new(None),
        );
        let wire = wire(error, Phase::Planning, "select emial from profiles");
        assert_eq!((wire.sqlstate, wire.position), ("42703", Some(8)));
        assert_eq!(wire.hint.as_deref(), Some("Did you mean \"email\"?"));
        assert_eq!(wire.message, "column \"emial\" does not exist");
    }

    #[test]
    fn what_a_statement_that_writes_misses_is_pointed_at() {
        let position = |error: engine::Error, text: &'static str| {
            let place = Place { source: text, offset: 0, text, prefix: 0 };
            from_engine(&error, Phase::Planning, place).position
        };
        let relation = || engine::Error::Missing {
            kind: "relation",
            name: "analytics.nope".into(),
            hint: "Look.".into(),
        };
        let told = |text: &'static str| {
            let place = Place { source: text, offset: 0, text, prefix: 0 };
            from_engine(&relation(), Phase::Planning, place).message
        };
        assert_eq!(told("TRUNCATE nope"), "relation \"nope\" does not exist");
        let whole = "relation \"analytics.nope\" does not exist";
        assert_eq!(told("TRUNCATE analytics.nope"), whole);
        assert_eq!(told("EXECUTE p"), whole);
        assert_eq!(position(relation(), "UPDATE nope SET a = 1"), Some(8));
        assert_eq!(position(relation(), "DELETE FROM analytics.nope"), Some(13));
        assert_eq!(position(relation(), "TRUNCATE nope"), None);
        for kind in ["table", "view", "materialized view", "sequence"] {
            let dropped =
                engine::Error::Missing { kind, name: "nope".into(), hint: "Look.".into() };
            assert_eq!(position(dropped, "DROP TABLE nope"), None, "{kind}");
        }
        let column = || engine::Error::Standard {
            sqlstate: "42703",
            message: "column \"nope\" of relation \"odd\" does not exist".into(),
            hint: "Look.".into(),
        };
        assert_eq!(position(column(), "insert into odd (id, nope) values (1, 2)"), Some(22));
        assert_eq!(position(column(), "ALTER TABLE odd DROP COLUMN nope"), None);
    }
}
