//! What is written: rows on stdout, as a table, as CSV, as JSON, and lines for people.
//!
//! A reader may close its end before everything is written, as `head` does. It has what it wants, so what is left is not
//! written and the command ends as it would have.

use std::fmt::Display;
use std::io::{self, ErrorKind, StdoutLock, Write};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{ContentArrangement, Table, presets};

use super::Format;
use super::failure::Failure;
use crate::wire::Logical;

/// Writes rows with the columns of `schema`.
pub(super) fn write_rows(
    format: Format,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<(), Failure> {
    let batches =
        &batches.iter().map(|batch| named(schema, batch)).collect::<Result<Vec<_>, _>>()?;
    let mut out = Output(io::stdout().lock());
    match format {
        Format::Table => table(&mut out, schema, batches),
        Format::Csv => csv(&mut out, schema, batches),
        Format::Json => json(&mut out, schema, batches),
    }
}

/// Writes a line to stdout.
pub(super) fn say(line: impl Display) -> Result<(), Failure> {
    let mut out = Output(io::stdout().lock());
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Writes a line to stderr. If that fails, nobody is left to be told.
pub(crate) fn tell(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Standard output, which takes everything once its reader has gone.
struct Output(StdoutLock<'static>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_closed(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_closed(self.0.flush(), ())
    }
}

fn unless_closed<T>(written: io::Result<T>, closed: T) -> io::Result<T> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(closed),
        written => written,
    }
}

/// Puts the name of an object, such as a value of `regclass`, in the place of its record.
fn named(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
    let mut fields: Vec<FieldRef> = batch.schema().fields().to_vec();
    let mut columns = batch.columns().to_vec();
    for (at, column) in batch.columns().iter().enumerate() {
        let is_object = |field: &FieldRef| matches!(Logical::of(field), Logical::Number(_));
        if let Some(record) = column.as_struct_opt()
            && schema.fields().get(at).is_some_and(is_object)
            && let Some(name) = record.column_by_name("name")
        {
            let field = Field::new(fields[at].name(), name.data_type().clone(), true);
            (fields[at], columns[at]) = (Arc::new(field), Arc::clone(name));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| Failure::failed("a column cannot be written", error))
}

fn options() -> FormatOptions<'static> {
    FormatOptions::new()
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"))
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
}

/// Calls `visit` with each row's values as texts, `None` for null.
fn each_row(
    batches: &[RecordBatch],
    mut visit: impl FnMut(&[Option<String>]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let options = options();
    for batch in batches {
        let formatters = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<Vec<_>, _>>();
        let formatters =
            formatters.map_err(|error| Failure::failed("a column cannot be written", error))?;
        let nulls: Vec<_> = batch.columns().iter().map(|column| column.logical_nulls()).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<Option<String>> = nulls
                .iter()
                .zip(&formatters)
                .map(|(nulls, formatter)| {
                    let null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
                    (!null).then(|| formatter.value(row).to_string())
                })
                .collect();
            visit(&values)?;
        }
    }
    Ok(())
}

fn table(out: &mut impl Write, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<(), Failure> {
    let mut table = Table::new();
    table
        .load_preset(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(schema.fields().iter().map(|field| field.name()));
    let mut rows = 0;
    each_row(batches, |values| {
        table.add_row(values.iter().map(|value| value.as_deref().unwrap_or("")));
        rows += 1;
        Ok(())
    })?;
    writeln!(out, "{table}\n({rows} {})", if rows == 1 { "row" } else { "rows" })?;
    Ok(())
}

fn csv(out: &mut impl Write, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<(), Failure> {
    let quoted = |value: &str| match value.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value.to_owned(),
    };
    let header: Vec<String> = schema.fields().iter().map(|field| quoted(field.name())).collect();
    writeln!(out, "{}", header.join(","))?;
    each_row(batches, |values| {
        let line: Vec<String> =
            values.iter().map(|value| value.as_deref().map(quoted).unwrap_or_default()).collect();
        Ok(writeln!(out, "{}", line.join(","))?)
    })
}

fn json(out: &mut impl Write, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<(), Failure> {
    let names: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| serde_json::Value::from(field.name().as_str()).to_string())
        .collect();
    // Numbers are written with all their digits, as JSON allows.
    let bare =
        |data_type: &DataType| data_type.is_numeric() || matches!(data_type, DataType::Boolean);
    let bare: Vec<bool> = schema.fields().iter().map(|field| bare(field.data_type())).collect();
    write!(out, "[")?;
    let mut first = true;
    each_row(batches, |values| {
        write!(out, "{}", if std::mem::take(&mut first) { "\n" } else { ",\n" })?;
        let pairs: Vec<String> = values
            .iter()
            .zip(names.iter().zip(&bare))
            .map(|(value, (name, bare))| match value {
                None => format!("{name}:null"),
                Some(value) if *bare && !matches!(value.as_str(), "NaN" | "inf" | "-inf") => {
                    format!("{name}:{value}")
                }
                Some(value) => format!("{name}:{}", serde_json::Value::from(value.as_str())),
            })
            .collect();
        Ok(write!(out, "  {{{}}}", pairs.join(","))?)
    })?;
    writeln!(out, "{}]", if first { "" } else { "\n" })?;
    Ok(())
}
