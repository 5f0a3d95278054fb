//! Logical and physical types: what a query sees, and what lies in the Parquet files.
//!
//! Delta at protocol 1/2 has no zone-less timestamp, no time of day, no interval, no unsigned integer and no UUID. Such a
//! column is stored as something it has, and its logical type stands in the field's metadata under [`LOGICAL_TYPE`]:
//!
//! | logical                     | physical      | metadata                 |
//! |-----------------------------|---------------|--------------------------|
//! | zone-less timestamp         | long, µs      | `timestamp`              |
//! | time of day                 | long, µs      | `time`                   |
//! | interval                    | string        | `interval`               |
//! | unsigned integer            | decimal(20,0) | `uint8` to `uint64`      |
//! | fixed binary(16), UUID      | binary        | `uuid`, or `binary(16)`  |
//! | json, jsonb, varchar(n)     | string        | as the caller set it     |
//!
//! Everything else is stored as it is, times in microseconds and UTC. The physical schema has view types for strings and
//! binaries, the form in which the scan yields them. `physical(logical(p)) == p` for every physical schema.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit,
};

use crate::{Error, Result};

/// The key of a field's metadata that holds its logical type, where that differs from the physical one.
pub const LOGICAL_TYPE: &str = "onefold.type";
/// The key of a field's metadata that holds the name of the column in its source.
pub const COMMENT: &str = "comment";

const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);
const TIME: DataType = DataType::Time64(TimeUnit::Microsecond);
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const UNSIGNED: DataType = DataType::Decimal128(20, 0);
/// How many bytes a UUID has.
const UUID_BYTES: i32 = 16;

/// Returns the schema that is stored for a logical schema.
pub fn physical(schema: &Schema) -> Result<SchemaRef> {
    let fields: Result<Vec<FieldRef>> =
        schema.fields().iter().map(|field| physical_field(field)).collect();
    Ok(Arc::new(Schema::new(fields?)))
}

/// Returns the schema that queries see of a stored schema.
pub fn logical(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(
        schema.fields().iter().map(|field| logical_field(field)).collect::<Vec<_>>(),
    ))
}

/// Returns the field that is stored for a logical field, with its logical type in the metadata.
pub fn physical_field(field: &Field) -> Result<FieldRef> {
    let data_type = match physical_type(field.data_type()) {
        Some(data_type) => data_type,
        None => {
            return Err(Error::Unsupported {
                what: format!(
                    "type {} of column \"{}\" in the lake",
                    field.data_type(),
                    field.name()
                ),
                hint: "Cast the column, or keep it as json.".into(),
            });
        }
    };
    let mut metadata = field.metadata().clone();
    if let Some(name) = logical_name(field.data_type()) {
        metadata.entry(LOGICAL_TYPE.into()).or_insert(name);
    }
    Ok(Arc::new(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(metadata)))
}

/// Returns the field that queries see of a stored field.
pub fn logical_field(field: &Field) -> FieldRef {
    let data_type = logical_type(field).unwrap_or_else(|| field.data_type().clone());
    Arc::new(
        Field::new(field.name(), data_type, field.is_nullable())
            .with_metadata(field.metadata().clone()),
    )
}

/// Tells whether two stored fields hold values of one logical type: a time and a number may be stored alike.
pub fn same_type(one: &Field, other: &Field) -> bool {
    one.data_type() == other.data_type()
        && logical_type(one).as_ref() == logical_type(other).as_ref()
}

/// Brings a batch into the stored schema `schema`: columns by name, absent ones as nulls.
pub fn physical_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    if let Some(extra) =
        batch.schema_ref().fields().iter().find(|field| schema.index_of(field.name()).is_err())
    {
        return Err(Error::Invalid {
            message: format!("the table has no column \"{}\"", extra.name()),
            hint: "Add the column to the table first.".into(),
        });
    }
    let column = |field: &FieldRef| match batch.column_by_name(field.name()) {
        Some(array) => physical_array(array, field),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    };
    let columns: Result<Vec<_>> = schema.fields().iter().map(column).collect();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns?, &options)
        .map_err(|source| Error::Query(source.into()))
}

/// Brings a batch of stored columns into the form that queries see; `schema` is [`logical`] of the batch's schema.
pub fn logical_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns: Result<Vec<_>> = std::iter::zip(batch.columns(), schema.fields())
        .map(|(array, field)| {
            let hop = match (array.data_type(), field.data_type()) {
                (DataType::BinaryView, DataType::FixedSizeBinary(_)) => Some(DataType::Binary),
                _ => None,
            };
            convert(array, hop, field.data_type())
        })
        .collect();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns?, &options)
        .map_err(|source| Error::Query(source.into()))
}

/// Converts one column into the type of a stored field, if that is how its type is stored.
fn physical_array(array: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    let (from, to) = (array.data_type(), field.data_type());
    if from == to {
        return Ok(array.clone());
    }
    if from == &DataType::Null {
        return Ok(new_null_array(to, array.len()));
    }
    if physical_type(from).as_ref() != Some(to) {
        return Err(Error::Invalid {
            message: format!("column \"{}\" is stored as {to}, not as {from}", field.name()),
            hint: "Cast the value to the type of the column.".into(),
        });
    }
    let hop = match from {
        DataType::Timestamp(_, None) => Some(TIMESTAMP),
        DataType::Time32(_) | DataType::Time64(_) => Some(TIME),
        DataType::Interval(_) => Some(DataType::Utf8),
        _ => None,
    };
    convert(array, hop, to)
}

fn convert(array: &ArrayRef, hop: Option<DataType>, to: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |array: &ArrayRef, to: &DataType| match array.data_type() == to {
        true => Ok(array.clone()),
        false => {
            cast_with_options(array, to, &options).map_err(|source| Error::Query(source.into()))
        }
    };
    match hop {
        Some(hop) => cast(&cast(array, &hop)?, to),
        None => cast(array, to),
    }
}

/// Returns how a type is stored, or `None` for what cannot be.
fn physical_type(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Timestamp(_, None) | DataType::Time32(_) | DataType::Time64(_) => DataType::Int64,
        DataType::Interval(_) => DataType::Utf8View,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => UNSIGNED,
        DataType::Dictionary(_, value) => return physical_type(value),
        other => return native_type(other),
    })
}

/// Returns the stored form of a type that Delta has; types inside others have no metadata, so they must be of these.
fn native_type(data_type: &DataType) -> Option<DataType> {
    let element = |field: &FieldRef| {
        Some(Arc::new(Field::new("element", native_type(field.data_type())?, field.is_nullable())))
    };
    Some(match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32 => data_type.clone(),
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            DataType::Utf8View
        }
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => DataType::BinaryView,
        DataType::Timestamp(_, Some(_)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
            if *scale >= 0 =>
        {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            DataType::List(element(field)?)
        }
        DataType::Struct(fields) => DataType::Struct(native_fields(fields)?),
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else { return None };
            let [key, value] = &pair[..] else { return None };
            let key = Field::new("key", native_type(key.data_type())?, false);
            let value = Field::new("value", native_type(value.data_type())?, value.is_nullable());
            let entries =
                Field::new("key_value", DataType::Struct(Fields::from(vec![key, value])), false);
            DataType::Map(Arc::new(entries), false)
        }
        DataType::Dictionary(_, value) => return native_type(value),
        _ => return None,
    })
}

fn native_fields(fields: &Fields) -> Option<Fields> {
    let stored = |field: &FieldRef| {
        Some(Arc::new(Field::new(
            field.name(),
            native_type(field.data_type())?,
            field.is_nullable(),
        )))
    };
    fields.iter().map(stored).collect::<Option<Vec<_>>>().map(Fields::from)
}

/// Returns what stands in the metadata for a type that is stored as another.
fn logical_name(data_type: &DataType) -> Option<String> {
    Some(match data_type {
        DataType::Timestamp(_, None) => "timestamp".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time".into(),
        DataType::Interval(_) => "interval".into(),
        DataType::UInt8 => "uint8".into(),
        DataType::UInt16 => "uint16".into(),
        DataType::UInt32 => "uint32".into(),
        DataType::UInt64 => "uint64".into(),
        DataType::FixedSizeBinary(size) => format!("binary({size})"),
        DataType::Dictionary(_, value) => return logical_name(value),
        _ => return None,
    })
}

/// Returns the type that queries see of a stored field whose metadata names one.
fn logical_type(field: &Field) -> Option<DataType> {
    let name = field.metadata().get(LOGICAL_TYPE)?.as_str();
    let logical = match name {
        "timestamp" => TIMESTAMP,
        "time" => TIME,
        "interval" => INTERVAL,
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "uuid" => DataType::FixedSizeBinary(UUID_BYTES),
        other => DataType::FixedSizeBinary(
            other.strip_prefix("binary(")?.strip_suffix(')')?.parse().ok()?,
        ),
    };
    (physical_type(&logical).as_ref() == Some(field.data_type())).then_some(logical)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::*;
    use arrow::datatypes::{IntervalMonthDayNano, IntervalMonthDayNanoType};

    #[test]
    fn every_stored_type_comes_back() {
        let uuid = std::collections::HashMap::from([(LOGICAL_TYPE.to_owned(), "uuid".to_owned())]);
        let intervals = PrimitiveArray::<IntervalMonthDayNanoType>::from_iter([
            Some(IntervalMonthDayNano::new(14, -3, 1_500_000_000)),
            None,
        ]);
        let columns: Vec<(Field, ArrayRef)> = vec![
            (
                Field::new("a", TIMESTAMP, true),
                Arc::new(TimestampMicrosecondArray::from(vec![Some(-7), None])),
            ),
            (
                Field::new("b", TIME, true),
                Arc::new(Time64MicrosecondArray::from(vec![Some(86_399_999_999), None])),
            ),
            (Field::new("c", INTERVAL, true), Arc::new(intervals)),
            (
                Field::new("d", DataType::UInt64, true),
                Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])),
            ),
            (
                Field::new("e", DataType::FixedSizeBinary(16), true).with_metadata(uuid),
                Arc::new(
                    FixedSizeBinaryArray::try_from_iter([[7u8; 16], [9u8; 16]].into_iter())
                        .unwrap(),
                ),
            ),
            (
                Field::new("f", DataType::Utf8View, true),
                Arc::new(StringViewArray::from(vec![Some("x"), None])),
            ),
            (
                Field::new("g", DataType::Decimal128(12, 2), true),
                Arc::new(
                    Decimal128Array::from(vec![Some(-125), None])
                        .with_precision_and_scale(12, 2)
                        .unwrap(),
                ),
            ),
        ];
        let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        let stored = physical(batch.schema_ref()).unwrap();
        let stored_batch = physical_batch(&batch, &stored).unwrap();
        let seen = logical(&stored);
        assert_eq!(physical(&seen).unwrap(), stored);
        assert_eq!(logical_batch(&stored_batch, &seen).unwrap().columns(), batch.columns());
    }

    #[test]
    fn coarser_and_finer_times_become_microseconds() {
        let field = Field::new("t", DataType::Timestamp(TimeUnit::Nanosecond, None), true);
        let array: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_234_567]));
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap();
        let stored = physical_batch(&batch, &physical(batch.schema_ref()).unwrap()).unwrap();
        assert_eq!(stored.column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0), 1_234);
    }

    #[test]
    fn what_has_no_form_is_refused() {
        let inner = Field::new("element", TIMESTAMP, true);
        let field = Field::new("t", DataType::List(Arc::new(inner)), true);
        assert!(matches!(physical_field(&field), Err(Error::Unsupported { .. })));
        let target = physical(&Schema::new(vec![Field::new("n", DataType::Int64, true)])).unwrap();
        let text: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
        let batch = RecordBatch::try_from_iter([("n", text.clone())]).unwrap();
        assert!(matches!(physical_batch(&batch, &target), Err(Error::Invalid { .. })));
        let batch = RecordBatch::try_from_iter([("m", text)]).unwrap();
        assert!(matches!(physical_batch(&batch, &target), Err(Error::Invalid { .. })));
    }
}
