//! Rows of a result as Postgres messages, straight from the columns of a batch.
//!
//! A [`RowEncoder`] is made once for a result, from its schema and the formats that the client chose. For each batch it
//! makes one [`Column`] for each column, which knows the array, the type and the format, so that the loop over rows does
//! no more than ask each column to write itself at the end of one buffer. A value writes its body only; the length
//! before it is filled in afterwards. No value is made into a `String` on its way.
//!
//! Every Arrow type has a writer, and writing cannot fail: a result never breaks off half-way because of a type.

mod decimal;
mod float;
mod interval;
mod interval_style;
mod json;
mod list;
mod nested;
mod number;
mod record;
mod text;
mod time;
mod whole;

pub(crate) use engine::query::postgres::Zone;
pub(crate) use interval_style::IntervalStyle;
pub(crate) use time::{EPOCH_SHIFT_DAYS, EPOCH_SHIFT_US};

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, make_array, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use bytes::BufMut;
use engine::query::postgres::origin_of;
use engine::query::postgres::types::{QUOTIENT, TYPE_KEY, least_scale};

use super::types::{Logical, PgType, elements_of, is_view};

/// How a column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// As people read it.
    Text,
    /// As machines do.
    Binary,
}

/// One column of one batch, ready to write any of its rows.
pub(crate) trait Column: Send {
    /// Returns whether the value of `row` is null.
    fn is_null(&self, row: usize) -> bool;
    /// Writes the body of the value of `row`, which is not null, at the end of `out`.
    fn write(&self, row: usize, out: &mut Vec<u8>);
    /// Writes the body of the value of `row` unless it is null, and tells whether it did.
    fn write_unless_null(&self, row: usize, out: &mut Vec<u8>) -> bool {
        let writes = !self.is_null(row);
        if writes {
            self.write(row, out);
        }
        writes
    }
    /// Writes the value of `row` with its length before it, which is -1 for null.
    fn write_sized(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.put_i32(NULL_LENGTH);
            return;
        }
        let at = out.len();
        out.put_i32(0);
        self.write(row, out);
        set_length(out, at, 4);
    }
}

/// What stands in place of the length of a null.
const NULL_LENGTH: i32 = -1;

struct Cell<F> {
    nulls: Option<NullBuffer>,
    write: F,
}

impl<F: Fn(usize, &mut Vec<u8>) + Send> Column for Cell<F> {
    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        (self.write)(row, out);
    }
}

/// Makes a column of an array and of what writes one of its rows.
fn cell<'a>(
    array: &dyn Array,
    write: impl Fn(usize, &mut Vec<u8>) + Send + 'a,
) -> Box<dyn Column + 'a> {
    Box::new(Cell { nulls: array.logical_nulls(), write })
}

/// Fills in the length at `at` of everything behind it; `less` is what the length does not count.
pub(crate) fn set_length(out: &mut [u8], at: usize, less: usize) {
    // A row cannot reach 2 GiB: values are capped far below it where they are made.
    let length = i32::try_from(out.len() - at - less).unwrap_or(i32::MAX);
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Writes rows of one result.
#[derive(Debug, Clone)]
pub(crate) struct RowEncoder {
    fields: Arc<[EncodedField]>,
    zone: Zone,
    intervals: IntervalStyle,
}

#[derive(Debug, Clone)]
struct EncodedField {
    field: FieldRef,
    logical: Logical,
    pg_type: PgType,
    /// The column of a relation that it is; nothing for what is computed.
    origin: (u32, i16),
    format: Format,
    /// Whether its intervals are texts by now, and `field` says so.
    has_texts: bool,
}

impl RowEncoder {
    /// Makes an encoder; `formats` has one entry for all columns or one for each, and none means text.
    pub(crate) fn new(schema: &Schema, formats: &[Format], zone: Zone) -> RowEncoder {
        let format = |index: usize| match formats {
            [] => Format::Text,
            [all] => *all,
            each => each.get(index).copied().unwrap_or(Format::Text),
        };
        let fields = schema.fields().iter().enumerate().map(|(index, field)| EncodedField {
            field: field.clone(),
            logical: Logical::of(field),
            pg_type: PgType::of(field),
            origin: origin_of(field).unwrap_or_default(),
            format: format(index),
            has_texts: false,
        });
        RowEncoder { fields: fields.collect(), zone, intervals: IntervalStyle::Postgres }
    }

    /// Has intervals that go out as text written in a style.
    pub(crate) fn with_intervals(mut self, style: IntervalStyle) -> RowEncoder {
        if style == IntervalStyle::Iso8601 {
            let columns = Arc::make_mut(&mut self.fields).iter_mut();
            for column in columns.filter(|column| column.format == Format::Text) {
                if let Some(field) = interval_style::field_of_texts(&column.field) {
                    (column.logical, column.has_texts) = (Logical::of(&field), true);
                    column.field = field;
                }
            }
        }
        self.intervals = style;
        self
    }

    /// Returns how many columns a row has.
    pub(crate) fn width(&self) -> usize {
        self.fields.len()
    }

    /// Returns the names of the columns.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.field.name().as_str())
    }

    /// Returns name, origin, type and format of each column, for RowDescription.
    pub(crate) fn description(&self) -> impl Iterator<Item = (&str, (u32, i16), PgType, Format)> {
        self.fields
            .iter()
            .map(|field| (field.field.name().as_str(), field.origin, field.pg_type, field.format))
    }

    /// Tells whether times are written in this zone, and intervals in this style.
    pub(crate) fn is_in(&self, zone: &Zone, intervals: IntervalStyle) -> bool {
        self.zone.name() == zone.name() && self.intervals == intervals
    }

    /// Makes the columns of a batch. The arrays are held by the result, since some must be unpacked first.
    pub(crate) fn unpack(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        let arrays = batch.columns().iter().map(unpacked).zip(self.fields.iter());
        let shown = |(array, column): (ArrayRef, &EncodedField)| match column.has_texts {
            true => interval_style::texts(&array, column.field.data_type()),
            false => array,
        };
        arrays.map(shown).collect()
    }

    /// Makes one writer for each of the arrays that [`RowEncoder::unpack`] gave.
    pub(crate) fn columns<'a>(&'a self, arrays: &'a [ArrayRef]) -> Vec<Box<dyn Column + 'a>> {
        let of = |(field, array): (&EncodedField, &'a ArrayRef)| {
            logical_column(array.as_ref(), &field.field, field.logical, field.format, &self.zone)
        };
        self.fields.iter().zip(arrays).map(of).collect()
    }

    /// Appends messages of this kind for the rows of `batch` from `start` on, until `rows_max` are written or `out` holds
    /// `bytes_max`: each has the number of its columns and their values with their lengths, as DataRow has and a row of a
    /// binary COPY. Returns how many it wrote, at least one when there is one.
    pub(crate) fn sized_rows(
        &self,
        kind: u8,
        batch: &RecordBatch,
        start: usize,
        rows_max: usize,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        let arrays = self.unpack(batch);
        let columns = self.columns(&arrays);
        let [high, low] = i16::try_from(columns.len()).unwrap_or(i16::MAX).to_be_bytes();
        let end = batch.num_rows().min(start.saturating_add(rows_max));
        let mut row = start;
        while row < end {
            let at = out.len() + 1;
            out.extend_from_slice(&[kind, 0, 0, 0, 0, high, low]);
            for column in &columns {
                column.write_sized(row, out);
            }
            set_length(out, at, 0);
            row += 1;
            if out.len() >= bytes_max {
                break;
            }
        }
        row - start
    }
}

/// Returns the array itself, or its values for the encodings that have no place for a row number of their own.
fn unpacked(array: &ArrayRef) -> ArrayRef {
    let target = match array.data_type() {
        DataType::RunEndEncoded(_, values) => values.data_type().clone(),
        DataType::ListView(element) => DataType::List(element.clone()),
        DataType::LargeListView(element) => DataType::LargeList(element.clone()),
        _ => return array.clone(),
    };
    // These casts exist for every value type; should one be missing, null is what can be said about the value.
    cast(array, &target).unwrap_or_else(|_| new_null_array(&target, array.len()))
}

/// Makes the writer of one array.
fn column<'a>(
    array: &'a dyn Array,
    field: &Field,
    format: Format,
    zone: &Zone,
) -> Box<dyn Column + 'a> {
    logical_column(array, field, Logical::of(field), format, zone)
}

/// Makes the writer of one array, of which the logical type is known.
fn logical_column<'a>(
    array: &'a dyn Array,
    field: &Field,
    logical: Logical,
    format: Format,
    zone: &Zone,
) -> Box<dyn Column + 'a> {
    if let DataType::Dictionary(_, _) = array.data_type() {
        return text::dictionary(array, field, format, zone);
    }
    match logical {
        Logical::Uuid => return text::uuid(array, format),
        Logical::Jsonb => return text::jsonb(array, format),
        Logical::Bpchar(chars) if chars > 0 && array.data_type().is_string() => {
            return text::padded(array, chars);
        }
        Logical::Timestamp if array.data_type() == &DataType::Int64 => {
            return time::timestamp_us(array, format);
        }
        Logical::Time if array.data_type() == &DataType::Int64 => {
            return time::time_us(array, format);
        }
        Logical::Interval => {
            if let Some(column) = interval::from_text(array, format) {
                return column;
            }
        }
        Logical::Number(_) => {
            if let Some(column) = record::object(array, format) {
                return column;
            }
            if let Some(column) = number::unsigned_32(array, format) {
                return column;
            }
        }
        Logical::Int2Vector | Logical::OidVector => {
            if let Some(column) = list::vector(array, logical, format, zone) {
                return column;
            }
        }
        _ => {}
    }
    match array.data_type() {
        DataType::Null => cell(array, |_, _| {}),
        DataType::Boolean => text::boolean(array, format),
        data_type if data_type.is_integer() => number::integer(array, format),
        data_type if data_type.is_floating() => float::float(array, format),
        DataType::Decimal128(_, scale) if is_logical(field, QUOTIENT) => {
            decimal::quotient(array, i32::from(*scale), format)
        }
        DataType::Decimal128(_, scale) if least_scale(field).is_some() => {
            decimal::plain(array, i32::from(*scale), least_scale(field).unwrap_or(0), format)
        }
        DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => decimal::decimal(array, format),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => text::string(array),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => text::bytea(array, format),
        DataType::Date32 | DataType::Date64 => time::date(array, format),
        DataType::Time32(_) | DataType::Time64(_) => time::time(array, format),
        DataType::Timestamp(_, _) => time::timestamp(array, format, zone),
        DataType::Interval(_) | DataType::Duration(_) => interval::interval(array, format),
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _)
            if !is_view(element.data_type()) =>
        {
            let element = elements_of(field, element);
            nested::nested(array, &element, format, zone)
                .unwrap_or_else(|| list::list(array, &element, format, zone))
        }
        DataType::Struct(fields) => record::record(array, fields, format, zone),
        _ => json::jsonb(array, format, zone),
    }
}

fn is_logical(field: &Field, name: &str) -> bool {
    field.metadata().get(TYPE_KEY).is_some_and(|logical| logical == name)
}

/// Makes a writer that owns its array, for arrays that were unpacked on the way.
fn owned(array: ArrayRef, field: &Field, format: Format, zone: &Zone) -> Box<dyn Column> {
    let nulls = array.logical_nulls();
    let (field, zone) = (field.clone(), zone.clone());
    Box::new(Cell {
        nulls,
        write: move |row: usize, out: &mut Vec<u8>| {
            column(array.as_ref(), &field, format, &zone).write(row, out)
        },
    })
}

/// Makes the writer of a child array, unpacking it if need be.
fn child<'a>(
    array: &'a ArrayRef,
    field: &Field,
    format: Format,
    zone: &Zone,
) -> Box<dyn Column + 'a> {
    match array.data_type() {
        DataType::RunEndEncoded(_, _) | DataType::ListView(_) | DataType::LargeListView(_) => {
            owned(make_array(unpacked(array).to_data()), field, format, zone)
        }
        _ => column(array.as_ref(), field, format, zone),
    }
}

#[cfg(test)]
mod tests;
