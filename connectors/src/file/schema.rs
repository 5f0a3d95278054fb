//! The schema of a file source: declared, or inferred from a sample and from then on only added to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::guess::Guess;
use super::input::Origin;
use super::mark::Start;
use super::{column, csv, ndjson, parquet, segment};
use crate::contract::{Format, SourceSpec};
use crate::error::{Error, Result};
use crate::{LOGICAL_TYPE_JSON, LOGICAL_TYPE_KEY};

/// Columns of one source at most. Objects whose keys are data would make a column of each.
const COLUMNS_MAX: usize = 2_000;

/// A file that is going to be read, and where from.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) origin: Origin,
    pub(super) start: Start,
}

/// Returns a column of JSON texts.
pub(super) fn json_field(name: &str) -> Field {
    let metadata = HashMap::from([(LOGICAL_TYPE_KEY.to_owned(), LOGICAL_TYPE_JSON.to_owned())]);
    Field::new(name, DataType::Utf8, true).with_metadata(metadata)
}

/// Names with what was found out about them, in the order in which they appeared.
pub(super) struct Found<T> {
    pub(super) items: Vec<(String, T)>,
    places: HashMap<String, usize>,
}

impl<T> Found<T> {
    pub(super) fn new() -> Found<T> {
        Found { items: Vec::new(), places: HashMap::new() }
    }

    /// Returns the entry of a name, made by `first` when it is new.
    pub(super) fn entry(&mut self, name: &str, first: impl FnOnce() -> T) -> &mut T {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                self.places.insert(name.to_owned(), self.items.len());
                self.items.push((name.to_owned(), first()));
                self.items.len() - 1
            }
        };
        &mut self.items[place].1
    }
}

/// Returns the schema of everything in `pending`, and of what was read before.
pub(super) fn of(spec: &SourceSpec, pending: &[Pending]) -> Result<SchemaRef> {
    if spec.format == Format::Segment {
        if !spec.columns.is_empty() {
            let hint = "Remove the columns: calls of the Segment specification have their own.";
            return Err(invalid(spec, "the column list", hint));
        }
        return Ok(segment::schema());
    }
    let fields = match spec.columns.is_empty() {
        true => inferred(spec, pending)?,
        false => declared(spec, pending)?,
    };
    if fields.len() > COLUMNS_MAX {
        let hint =
            format!("It has more than {COLUMNS_MAX} columns. Declare those that are wanted.");
        return Err(invalid(spec, "the schema", &hint));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn declared(spec: &SourceSpec, pending: &[Pending]) -> Result<Vec<FieldRef>> {
    let mut names = HashSet::new();
    let mut fields = Vec::with_capacity(spec.columns.len());
    for column in &spec.columns {
        let what = format!("column \"{}\"", column.name);
        if !names.insert(column.name.as_str()) {
            return Err(invalid(spec, &what, "Declare each column once."));
        }
        let readable = match spec.format {
            Format::Parquet => parquet::castable(&column.data_type),
            Format::Csv | Format::Ndjson | Format::Segment => column::readable(&column.data_type),
        };
        if !readable {
            let hint =
                format!("Values cannot be read as {}. Declare it as text.", column.data_type);
            return Err(invalid(spec, &what, &hint));
        }
        fields.push(Arc::new(Field::new(&column.name, column.data_type.clone(), true)));
    }
    let first_run = spec.known_schema.is_none() && !pending.is_empty();
    if first_run && spec.format != Format::Ndjson {
        all_present(spec, pending, &names)?;
    }
    Ok(fields)
}

/// Refuses a declared column that no file has: it is a misspelling, and would be null for ever.
fn all_present(spec: &SourceSpec, pending: &[Pending], names: &HashSet<&str>) -> Result<()> {
    let mut present = HashSet::new();
    for Pending { origin, .. } in pending {
        present.extend(match spec.format {
            Format::Parquet => {
                parquet::fields(origin)?.into_iter().map(|field| field.name().clone()).collect()
            }
            Format::Csv | Format::Ndjson | Format::Segment => csv::header(origin)?,
        });
    }
    let absent = spec
        .columns
        .iter()
        .find(|column| names.contains(column.name.as_str()) && !present.contains(&column.name));
    match absent {
        None => Ok(()),
        Some(column) => {
            let mut present: Vec<_> = present.into_iter().collect();
            present.sort_unstable();
            let hint = format!("No file has it. The files have: {}.", present.join(", "));
            Err(invalid(spec, &format!("column \"{}\"", column.name), &hint))
        }
    }
}

fn inferred(spec: &SourceSpec, pending: &[Pending]) -> Result<Vec<FieldRef>> {
    let known = spec.known_schema.as_deref();
    let mut fields: Vec<FieldRef> = known.map_or(Vec::new(), |schema| {
        let nullable = |field: &FieldRef| Arc::new(field.as_ref().clone().with_nullable(true));
        schema.fields().iter().map(nullable).collect()
    });
    let names: HashSet<String> = fields.iter().map(|field| field.name().clone()).collect();
    if spec.format == Format::Parquet {
        fields.extend(parquet_fields(pending, &names)?);
        return Ok(fields);
    }
    if let Some(field) = fields.iter().find(|field| !column::readable(field.data_type())) {
        let hint = format!(
            "It is {} from an earlier run, which text cannot be read as.",
            field.data_type()
        );
        return Err(invalid(spec, &format!("column \"{}\"", field.name()), &hint));
    }
    let mut guesses = Found::new();
    for Pending { origin, start } in pending {
        match spec.format {
            Format::Csv => csv::sample(origin, start.at, spec, &names, &mut guesses)?,
            _ => ndjson::sample(origin, start.at, spec, &names, &mut guesses)?,
        }
        if guesses.items.len() > COLUMNS_MAX {
            break;
        }
    }
    fields.extend(
        guesses.items.iter().map(|(name, guess): &(String, Guess)| Arc::new(guess.field(name))),
    );
    Ok(fields)
}

fn parquet_fields(pending: &[Pending], known: &HashSet<String>) -> Result<Vec<FieldRef>> {
    let mut found: Found<Field> = Found::new();
    for Pending { origin, .. } in pending {
        for field in parquet::fields(origin)? {
            if known.contains(field.name()) {
                continue;
            }
            let entry = found.entry(field.name(), || field.clone());
            if entry.data_type() != field.data_type() || entry.metadata() != field.metadata() {
                *entry =
                    Field::new(field.name(), common(entry.data_type(), field.data_type()), true);
            }
        }
    }
    Ok(found.items.into_iter().map(|(_, field)| Arc::new(field)).collect())
}

/// Returns the least type that holds the values of both exactly, or text.
fn common(one: &DataType, other: &DataType) -> DataType {
    use DataType::{
        Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Timestamp, Utf8,
    };
    let integer = |data_type: &DataType| matches!(data_type, Int8 | Int16 | Int32 | Int64);
    let float = |data_type: &DataType| matches!(data_type, Float32 | Float64);
    match (one, other) {
        _ if one == other => one.clone(),
        (a, b) if integer(a) && integer(b) => Int64,
        (a, b) if float(a) && float(b) => Float64,
        (Decimal128(p1, s1), Decimal128(p2, s2)) => {
            let scale = *s1.max(s2);
            let whole = (i16::from(*p1) - i16::from(*s1)).max(i16::from(*p2) - i16::from(*s2));
            match u8::try_from(whole + i16::from(scale)) {
                Ok(precision) if precision <= 38 => Decimal128(precision, scale),
                _ => Utf8,
            }
        }
        (Decimal128(_, scale), b) | (b, Decimal128(_, scale)) if integer(b) && *scale <= 19 => {
            Decimal128(38, *scale)
        }
        (Date32, Timestamp(unit, None)) | (Timestamp(unit, None), Date32) => Timestamp(*unit, None),
        _ => Utf8,
    }
}

fn invalid(spec: &SourceSpec, what: &str, hint: &str) -> Error {
    Error::Invalid {
        connector: "source",
        name: spec.name.clone(),
        what: what.to_owned(),
        hint: hint.to_owned(),
    }
}
