//! What Arrow and DataFusion say, sorted by SQLSTATE, without the values that running queries put into it.

use arrow::datatypes::DECIMAL128_MAX_PRECISION;
use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use engine::query::postgres::arrow_names::in_postgres_words;

use super::{Phase, Place, WireError, sqlstate};
use crate::dialect::nearest;

/// Sorts an error of Arrow.
pub(super) fn from_arrow(error: &ArrowError) -> WireError {
    match error {
        ArrowError::DivideByZero => WireError::new("22012", "division by zero"),
        ArrowError::ArithmeticOverflow(_) => WireError::new("22003", "value out of range"),
        ArrowError::CastError(message)
            if message.starts_with("Can't cast value") || message.starts_with("value of ") =>
        {
            too_large(message)
        }
        ArrowError::CastError(message) | ArrowError::ParseError(message) => {
            numeric_overflow(message).unwrap_or_else(|| bad_value(message))
        }
        ArrowError::ComputeError(message) | ArrowError::InvalidArgumentError(message) => {
            failed_run(message)
        }
        ArrowError::NotYetImplemented(_) => WireError::new(
            sqlstate::FEATURE_NOT_SUPPORTED,
            "this operation on these types is not supported",
        ),
        ArrowError::MemoryError(_) | ArrowError::OffsetOverflowError(_) => out_of_memory(),
        ArrowError::IoError(_, _) | ArrowError::ParquetError(_) | ArrowError::IpcError(_) => {
            unreadable()
        }
        _ => failed_run(""),
    }
}

/// Sorts an error of DataFusion.
pub(super) fn from_datafusion(
    error: &DataFusionError,
    phase: Phase,
    place: Place<'_>,
) -> WireError {
    match error {
        DataFusionError::SchemaError(error, _) => from_schema(error, place),
        DataFusionError::Plan(message) => from_plan(message, place),
        DataFusionError::SQL(error, _) => from_parser(&error.to_string(), place),
        DataFusionError::NotImplemented(message) => not_built(message),
        DataFusionError::ResourcesExhausted(_) => out_of_memory(),
        DataFusionError::Configuration(message) if phase == Phase::Planning => {
            WireError::new(sqlstate::INVALID_PARAMETER_VALUE, tidy(message))
        }
        DataFusionError::Execution(message) => match phase {
            Phase::Planning => WireError { message: tidy(message).into(), ..failed_run(message) },
            Phase::Running => failed_run(message),
        },
        DataFusionError::ObjectStore(error) => {
            // It names objects and never values.
            tracing::error!(%error, "the store failed a query");
            unreadable()
        }
        DataFusionError::IoError(error) => {
            tracing::error!(%error, "reading or writing failed a query");
            unreadable()
        }
        DataFusionError::ParquetError(_) => unreadable(),
        other if is_pattern(&other.to_string()) => invalid_pattern(),
        _ => WireError::new(sqlstate::INTERNAL_ERROR, "internal error of the query engine")
            .hint("This is a bug: the same question, asked in other words, may be answered."),
    }
}

fn from_schema(error: &SchemaError, place: Place<'_>) -> WireError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names = valid_fields.iter().map(|column| column.name.as_str());
            // A relation further out may stand behind a schema that no text of a statement has.
            let name = field.flat_name();
            let name = name.trim_start_matches("\u{1}.");
            let wire = WireError::new("42703", format!("column \"{name}\" does not exist"))
                .at(place.of_word(name).or_else(|| place.of_word(&field.name)));
            match nearest(&field.name, names) {
                Some(near) => wire.hint(format!("Did you mean \"{near}\"?")),
                None => wire,
            }
        }
        SchemaError::AmbiguousReference { field } => {
            WireError::new("42702", format!("column reference \"{}\" is ambiguous", field.name))
                .hint("Write the name of the relation before it.")
                .at(place.of_word(&field.name))
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            WireError::new("42701", format!("column \"{name}\" specified more than once"))
        }
    }
}

/// Sorts what the planner says, by the beginnings of its texts.
fn from_plan(message: &str, place: Place<'_>) -> WireError {
    let message = message.trim_start_matches("Error during planning: ");
    let between = |before: &str, after: &str| {
        message.strip_prefix(before).and_then(|rest| rest.find(after).map(|end| &rest[..end]))
    };
    if let Some(name) = between("table function '", "' not found") {
        return WireError::new("42883", format!("function {name} does not exist"))
            .at(place.of_word(name));
    }
    if let Some(name) =
        between("table '", "' not found").or_else(|| message.strip_prefix("Table not found: "))
    {
        // Catalog, schema and name; the catalog is always the same, and the schema mostly.
        let name = if name.matches('.').count() == 2 {
            name.split_once('.').map_or(name, |(_, rest)| rest)
        } else {
            name
        };
        let name = name.strip_prefix("public.").unwrap_or(name);
        let last = name.rsplit('.').next().unwrap_or(name);
        return WireError::new("42P01", format!("relation \"{name}\" does not exist"))
            .hint("\\d or information_schema.tables lists the relations that you can read.")
            .at(place.of_word(name).or_else(|| place.of_word(last)));
    }
    if let Some(name) = between("Invalid function '", "'") {
        let wire = WireError::new("42883", format!("function {name} does not exist"))
            .at(place.of_word(name));
        return match message
            .split_once("Did you mean '")
            .and_then(|(_, rest)| rest.split_once('\''))
        {
            Some((near, _)) if nearest(name, [near]).is_some() => {
                wire.hint(format!("Did you mean \"{near}\"?"))
            }
            _ => wire,
        };
    }
    if let Some((_, rest)) =
        message.split_once("No function matches the given name and argument types '")
    {
        let call = rest.split('\'').next().unwrap_or_default();
        let name = call.split('(').next().unwrap_or_default();
        let call = in_postgres_words(call);
        return WireError::new("42883", format!("function {call} does not exist"))
            .hint("You might need to add explicit type casts.")
            .at(place.of_word(name));
    }
    let compared = between("expr type ", " in InSubquery");
    if let Some((left, right)) = compared.and_then(|types| types.split_once(" can't cast to ")) {
        let (left, right) = (in_postgres_words(left), in_postgres_words(right));
        return WireError::new("42883", format!("operator does not exist: {left} = {right}"))
            .hint("Cast one of the two sides; an array that a subquery gives is looked through behind a cast: x = ANY ((SELECT ...)::integer[]).");
    }
    if message.eq_ignore_ascii_case("step cannot be zero") {
        return WireError::new(sqlstate::INVALID_PARAMETER_VALUE, "step size cannot equal zero")
            .hint("Take a step that leads from the start to the stop.");
    }
    // Of one that is written out as such more is said.
    for (clause, sqlstate) in [("LIMIT", "2201W"), ("OFFSET", "2201X")] {
        if message.strip_prefix(clause).is_some_and(|rest| rest.starts_with(" must be >=")) {
            return WireError::new(sqlstate, format!("{clause} must not be negative"));
        }
    }
    let sqlstate = if message.contains("GROUP BY") || message.contains("non-aggregate") {
        "42803"
    } else if message.contains("coerce")
        || message.contains("common argument type")
        || message.contains("type_coercion")
    {
        "42804"
    } else if message.starts_with("column '") && message.contains("not found") {
        "42703"
    } else {
        "42000"
    };
    WireError::new(sqlstate, tidy(message))
}

/// Reads `... at Line: 1, Column: 8` off a parser's message.
fn from_parser(message: &str, place: Place<'_>) -> WireError {
    let message = message.trim_start_matches("sql parser error: ");
    let (text, position) = match message.rsplit_once(" at Line: ") {
        Some((text, numbers)) => {
            let (line, column) = numbers.split_once(", Column: ").unwrap_or((numbers, "1"));
            let position = line.trim().parse().ok().zip(column.trim().parse().ok());
            (text, position.and_then(|(line, column)| place.of_line(line, column)))
        }
        None => (message, None),
    };
    WireError::new(sqlstate::SYNTAX_ERROR, tidy(text)).at(position)
}

/// Says what a running query may say about its failure: which kind it was.
fn failed_run(message: &str) -> WireError {
    if let Some(overflow) = numeric_overflow(message) {
        return overflow;
    }
    let lower = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["divide by zero", "division by zero"]) {
        WireError::new("22012", "division by zero")
    } else if has(&["overflow", "out of range", "too large", "too big"]) {
        WireError::new("22003", "value out of range")
    } else if has(&["can't cast value"]) {
        too_large(message)
    } else if has(&["cast", "parse", "invalid input syntax"]) {
        bad_value(message)
    } else if has(&["more than one row", "scalar subquery"]) {
        WireError::new("21000", "more than one row returned by a subquery used as an expression")
    } else if is_pattern(message) {
        invalid_pattern()
    } else if has(&["field position must not be zero"]) {
        WireError::new("22023", "field position must not be zero")
            .hint("Parts are counted from 1, and with a minus from the end.")
    } else if has(&["negative count not allowed"]) {
        WireError::new("22011", "negative substring length not allowed")
            .hint("Give a length of 0 or more.")
    } else if has(&["square root"]) {
        WireError::new("2201F", "cannot take square root of a negative number")
    } else {
        WireError::new("22000", "the query failed on a value that it met")
            .hint("The message is withheld, since it may hold values of rows that you cannot read.")
    }
}

/// What the planner does not have, without its words for syntax trees.
fn not_built(message: &str) -> WireError {
    let inner = ["{", "ast node", "sqltorel", "physical plan", "logical"];
    let lower = message.to_ascii_lowercase();
    if inner.iter().any(|word| lower.contains(word)) {
        return WireError::new(
            sqlstate::FEATURE_NOT_SUPPORTED,
            "a form of an expression in this statement is not supported",
        )
        .hint("Write it in another way: leave parts of the statement out to find which it is.");
    }
    WireError::new(sqlstate::FEATURE_NOT_SUPPORTED, tidy(message))
}

fn is_pattern(message: &str) -> bool {
    let lower = message.to_ascii_lowercase();
    lower.contains("regular expression") || lower.contains("regex")
}

fn invalid_pattern() -> WireError {
    WireError::new("2201B", "invalid regular expression").hint(
        "Close every bracket, and write a backslash before a character that stands for itself.",
    )
}

/// A number that does not fit the type that it is cast to. A text is said to be no value of a type.
fn too_large(message: &str) -> WireError {
    let name = type_wanted(message).unwrap_or("value");
    WireError::new("22003", format!("{name} out of range"))
}

/// A number that has more digits than its `numeric(precision, scale)`. Of the message only the type is told, never the value.
fn numeric_overflow(message: &str) -> Option<WireError> {
    let (precision, scale) = match message.split_once(" to store in a Decimal128 of precision ") {
        // "... of precision 8. Max is 999999.99", or "Min is -999999.99".
        Some((_, rest)) => {
            let (precision, bound) = rest.split_once(". ")?;
            let digits = bound.split_once('.').map_or("", |(_, digits)| digits);
            (precision, digits.chars().take_while(char::is_ascii_digit).count())
        }
        None => {
            let (_, rest) = message.split_once("Cannot cast to Decimal128(")?;
            let (precision, rest) = rest.split_once(", ")?;
            let (scale, _) = rest.split_once("). Overflowing on ")?;
            (precision, scale.parse().ok()?)
        }
    };
    let precision: usize = precision.parse().ok()?;
    if precision >= usize::from(DECIMAL128_MAX_PRECISION) {
        // Nobody declared it: plain `numeric` has as many as there can be.
        return None;
    }
    let bound = match precision.saturating_sub(scale) {
        0 => "1".to_owned(),
        whole => format!("10^{whole}"),
    };
    let detail = format!(
        "A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."
    );
    let hint = "Give the column or the cast more digits, or leave such values out.";
    let wire = WireError::new("22003", "numeric field overflow").hint(hint);
    Some(WireError { detail: Some(detail.into()), ..wire })
}

/// The type that a message about a cast ends in: "Cannot cast string 'x' to value of Int64 type".
fn type_wanted(message: &str) -> Option<&'static str> {
    let wanted = [
        ("Int8", "smallint"),
        ("Int16", "smallint"),
        ("Int32", "integer"),
        ("Int64", "bigint"),
        ("Float32", "real"),
        ("Float64", "double precision"),
        ("Decimal", "numeric"),
        ("Boolean", "boolean"),
        ("Date32", "date"),
        ("Date64", "date"),
        ("Timestamp", "timestamp"),
        ("timestamp", "timestamp"),
        ("Time32", "time"),
        ("Time64", "time"),
        ("Interval", "interval"),
        ("interval", "interval"),
        ("uuid", "uuid"),
        ("json", "json"),
    ];
    // The quoted value is skipped.
    let tail = message.rsplit('\'').next().unwrap_or(message);
    wanted.iter().find(|(arrow, _)| tail.contains(arrow)).map(|(_, name)| *name)
}

/// A value that has not the form of its type: only the type is named, never the value.
fn bad_value(message: &str) -> WireError {
    match type_wanted(message) {
        Some(name) => WireError::new(
            sqlstate::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type {name}"),
        ),
        None => WireError::new(
            sqlstate::INVALID_TEXT_REPRESENTATION,
            "a value has not the form of its type",
        ),
    }
}

fn out_of_memory() -> WireError {
    WireError::new("53200", "out of memory for this query")
        .hint("Read fewer columns or rows, or aggregate before you join and sort.")
}

fn unreadable() -> WireError {
    WireError::new("58030", "stored data could not be read")
        .hint("Try again. If it fails again, the server's log says more.")
}

/// Makes one line of somebody else's message, in our form.
fn tidy(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.trim_start_matches("Error during planning: ").trim_end_matches(['.', ' ']);
    let line = in_postgres_words(line);
    let mut letters = line.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => line,
    }
}
