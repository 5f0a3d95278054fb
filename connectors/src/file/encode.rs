//! Columns to bytes: CSV, NDJSON and Parquet texts of batches.
//!
//! Times are written as ISO 8601 in UTC and decimals with all their digits. Columns of JSON texts stand in NDJSON as
//! the JSON that they hold.

use std::io::Write;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::csv::WriterBuilder as CsvBuilder;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::writer::{
    Encoder, EncoderFactory, EncoderOptions, LineDelimited, NullableEncoder,
    WriterBuilder as JsonBuilder, make_encoder,
};

use crate::contract::Format;
use crate::{LOGICAL_TYPE_JSON, LOGICAL_TYPE_KEY};

const ZONED: &str = "%Y-%m-%dT%H:%M:%S%.fZ";
const ZONELESS: &str = "%Y-%m-%dT%H:%M:%S%.f";

/// Writes a file of batches of one schema, and hands the writer back for its own end.
pub(super) fn write<W: Write + Send>(
    format: Format,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    sink: W,
) -> Result<W, ArrowError> {
    let schema = plain_schema(schema, format);
    let batches = batches.iter().map(|batch| plain(batch, &schema));
    match format {
        Format::Csv => write_csv(&schema, batches, sink),
        Format::Parquet => write_parquet(&schema, batches, sink),
        Format::Ndjson | Format::Segment => write_ndjson(batches, sink),
    }
}

fn write_csv<W: Write>(
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    mut sink: W,
) -> Result<W, ArrowError> {
    let mut writer = CsvBuilder::new()
        .with_timestamp_tz_format(ZONED.to_owned())
        .with_timestamp_format(ZONELESS.to_owned())
        .build(&mut sink);
    // The header is written with the first batch, also when there is no row.
    writer.write(&RecordBatch::new_empty(Arc::clone(schema)))?;
    for batch in batches {
        writer.write(&batch?)?;
    }
    drop(writer);
    Ok(sink)
}

fn write_ndjson<W: Write>(
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    mut sink: W,
) -> Result<W, ArrowError> {
    let builder = JsonBuilder::new()
        .with_explicit_nulls(true)
        .with_timestamp_tz_format(ZONED.to_owned())
        .with_timestamp_format(ZONELESS.to_owned())
        .with_encoder_factory(Arc::new(RawJson));
    let mut writer = builder.build::<_, LineDelimited>(&mut sink);
    for batch in batches {
        writer.write(&batch?)?;
    }
    writer.finish()?;
    drop(writer);
    Ok(sink)
}

fn write_parquet<W: Write + Send>(
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    sink: W,
) -> Result<W, ArrowError> {
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(zstd).build();
    let mut writer = ArrowWriter::try_new(sink, Arc::clone(schema), Some(properties))?;
    for batch in batches {
        writer.write(&batch?)?;
    }
    Ok(writer.into_inner()?)
}

/// Returns the schema that is written: times with a zone in UTC, and nested values as JSON texts in CSV.
fn plain_schema(schema: &SchemaRef, format: Format) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::Timestamp(_, Some(_)) => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            nested if nested.is_nested() && format == Format::Csv => DataType::Utf8,
            nested if nested.is_nested() && format != Format::Parquet => json_type(nested),
            data_type => data_type.clone(),
        };
        field.as_ref().clone().with_data_type(data_type)
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

fn plain(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        match (column.data_type().is_nested(), field.data_type()) {
            (true, DataType::Utf8) => json_texts(column),
            (_, data_type) if column.data_type() == data_type => Ok(Arc::clone(column)),
            (_, data_type) => cast(column, data_type),
        }
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
}

/// Returns the type whose values are written as JSON for those of `data_type`: times with a zone are in UTC, and the keys
/// of maps are texts, however deep they lie.
fn json_type(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| {
        Arc::new(field.as_ref().clone().with_data_type(json_type(field.data_type())))
    };
    match data_type {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("UTC".into())),
        DataType::List(field) => DataType::List(inner(field)),
        DataType::LargeList(field) => DataType::LargeList(inner(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(inner(field), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(entries, sorted) => {
            let DataType::Struct(pair) = entries.data_type() else { return data_type.clone() };
            let [key, value] = &pair[..] else { return data_type.clone() };
            let key = Arc::new(key.as_ref().clone().with_data_type(DataType::Utf8));
            let pair = DataType::Struct(vec![key, inner(value)].into());
            DataType::Map(Arc::new(entries.as_ref().clone().with_data_type(pair)), *sorted)
        }
        other => other.clone(),
    }
}

/// Returns each value of a column as one JSON text.
pub(super) fn json_texts(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let data_type = json_type(array.data_type());
    let array = &match array.data_type() == &data_type {
        true => Arc::clone(array),
        false => cast(array, &data_type)?,
    };
    let field: FieldRef = Arc::new(Field::new("value", array.data_type().clone(), true));
    let options = EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_timestamp_tz_format(ZONED.to_owned())
        .with_timestamp_format(ZONELESS.to_owned());
    let mut encoder = make_encoder(&field, array, &options)?;
    let mut texts = StringBuilder::new();
    let mut bytes = Vec::new();
    for row in 0..array.len() {
        if encoder.is_null(row) {
            texts.append_null();
            continue;
        }
        bytes.clear();
        encoder.encode(row, &mut bytes);
        let text = std::str::from_utf8(&bytes);
        texts.append_value(text.map_err(|error| ArrowError::JsonError(error.to_string()))?);
    }
    Ok(Arc::new(texts.finish()))
}

/// Writes columns of JSON texts as the JSON that they hold.
#[derive(Debug)]
struct RawJson;

impl EncoderFactory for RawJson {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let is_json =
            field.metadata().get(LOGICAL_TYPE_KEY).is_some_and(|name| name == LOGICAL_TYPE_JSON);
        match array.as_string_opt::<i32>() {
            Some(texts) if is_json => {
                let encoder = Box::new(RawTexts(texts));
                Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
            }
            _ => Ok(None),
        }
    }
}

struct RawTexts<'a>(&'a StringArray);

impl Encoder for RawTexts<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let text = self.0.value(row);
        // A line break between tokens would end the line; within texts JSON allows none.
        let start = out.len();
        out.extend_from_slice(text.as_bytes());
        for byte in &mut out[start..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
}
