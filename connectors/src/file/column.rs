//! Builders of typed columns from text, value by value.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder, new_null_array,
};
use arrow::datatypes::{DataType, Field, TimeUnit};

use super::value;
use crate::{LOGICAL_TYPE_JSON, LOGICAL_TYPE_KEY};

/// One column that is being filled.
pub(super) struct Column {
    values: Values,
    data_type: DataType,
    /// Whether its type was declared; else it was inferred, and only numbers in their plain form are numbers.
    declared: bool,
    /// Values that did not parse and were made null.
    pub(super) nulled: u64,
    /// The first row with a number that the inferred type cannot hold as it is written.
    pub(super) misfit: Option<usize>,
    /// Whether the column holds JSON texts.
    pub(super) json: bool,
}

enum Values {
    Boolean(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, u8),
    Date(Date32Builder),
    Timestamp { values: TimestampMicrosecondBuilder, zoned: bool },
    Text(StringBuilder),
}

/// Returns whether text can be read as this type.
pub(super) fn readable(data_type: &DataType) -> bool {
    Values::of(data_type).is_some()
}

impl Values {
    fn of(data_type: &DataType) -> Option<Values> {
        Some(match data_type {
            DataType::Boolean => Values::Boolean(BooleanBuilder::new()),
            DataType::Int16 => Values::Int16(Int16Builder::new()),
            DataType::Int32 => Values::Int32(Int32Builder::new()),
            DataType::Int64 => Values::Int64(Int64Builder::new()),
            DataType::Float32 => Values::Float32(Float32Builder::new()),
            DataType::Float64 => Values::Float64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => {
                let builder = Decimal128Builder::new().with_data_type(data_type.clone());
                Values::Decimal(builder, *precision, u8::try_from(*scale).ok()?)
            }
            DataType::Date32 => Values::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => Values::Timestamp {
                values: TimestampMicrosecondBuilder::new().with_data_type(data_type.clone()),
                zoned: zone.is_some(),
            },
            DataType::Utf8 => Values::Text(StringBuilder::new()),
            _ => return None,
        })
    }
}

/// Appends a value, or null when it is `None`; answers whether there was one.
macro_rules! append {
    ($builder:expr, $value:expr) => {{
        let value = $value;
        $builder.append_option(value);
        value.is_some()
    }};
}

impl Column {
    /// Starts a column; its type must be [`readable`]. If it is not `declared`, it was inferred.
    pub(super) fn new(field: &Field, declared: bool) -> Option<Column> {
        Some(Column {
            values: Values::of(field.data_type())?,
            data_type: field.data_type().clone(),
            declared,
            nulled: 0,
            misfit: None,
            json: field
                .metadata()
                .get(LOGICAL_TYPE_KEY)
                .is_some_and(|name| name == LOGICAL_TYPE_JSON),
        })
    }

    /// Appends a text as a value of the column's type; null, and counted, when it is none. Blanks around what is not
    /// text do not matter, and nothing but blanks is null without being counted.
    ///
    /// A column that was inferred to hold numbers holds what is written as they are: `007` and `+48123` are no numbers
    /// that can be taken, or they would be other values. What such a number is, and one that is too long, a
    /// [`misfit`](Column::misfit) tells.
    pub(super) fn append(&mut self, text: &str) {
        let (written, text, declared) = (text, text.trim_ascii(), self.declared);
        let number = || Some(text).filter(|text| declared || value::is_plain_number(text));
        let taken = match &mut self.values {
            Values::Boolean(builder) => append!(builder, value::boolean(text)),
            Values::Int16(builder) => append!(builder, number().and_then(|text| text.parse().ok())),
            Values::Int32(builder) => append!(builder, number().and_then(|text| text.parse().ok())),
            Values::Int64(builder) => append!(builder, number().and_then(|text| text.parse().ok())),
            Values::Float32(builder) => {
                let read = number().and_then(|text| text.parse().ok());
                append!(builder, read.filter(|value: &f32| value.is_finite()))
            }
            Values::Float64(builder) => append!(builder, number().and_then(value::float)),
            Values::Decimal(builder, precision, scale) => {
                append!(builder, number().and_then(|text| value::decimal(text, *precision, *scale)))
            }
            Values::Date(builder) => append!(builder, value::date(text)),
            Values::Timestamp { values, zoned } => {
                // A zone in a column without zones would be lost, so such a value does not fit.
                let read = value::timestamp(text).filter(|(_, has_zone)| *zoned || !has_zone);
                append!(values, read.map(|(micros, _)| micros))
            }
            Values::Text(builder) => {
                builder.append_value(written);
                true
            }
        };
        if !taken && !text.is_empty() {
            self.nulled += 1;
            if !self.declared && self.data_type.is_numeric() && value::float(text).is_some() {
                self.misfit = self.misfit.or(Some(self.builder().len() - 1));
            }
        }
    }

    fn builder(&self) -> &dyn ArrayBuilder {
        match &self.values {
            Values::Boolean(builder) => builder,
            Values::Int16(builder) => builder,
            Values::Int32(builder) => builder,
            Values::Int64(builder) => builder,
            Values::Float32(builder) => builder,
            Values::Float64(builder) => builder,
            Values::Decimal(builder, ..) => builder,
            Values::Date(builder) => builder,
            Values::Timestamp { values, .. } => values,
            Values::Text(builder) => builder,
        }
    }

    /// Appends a null.
    pub(super) fn append_null(&mut self) {
        match &mut self.values {
            Values::Boolean(builder) => builder.append_null(),
            Values::Int16(builder) => builder.append_null(),
            Values::Int32(builder) => builder.append_null(),
            Values::Int64(builder) => builder.append_null(),
            Values::Float32(builder) => builder.append_null(),
            Values::Float64(builder) => builder.append_null(),
            Values::Decimal(builder, ..) => builder.append_null(),
            Values::Date(builder) => builder.append_null(),
            Values::Timestamp { values, .. } => values.append_null(),
            Values::Text(builder) => builder.append_null(),
        }
    }

    /// Ends the column; one that nothing was appended to has `rows` nulls.
    pub(super) fn finish(&mut self, rows: usize) -> ArrayRef {
        let array: ArrayRef = match &mut self.values {
            Values::Boolean(builder) => Arc::new(builder.finish()),
            Values::Int16(builder) => Arc::new(builder.finish()),
            Values::Int32(builder) => Arc::new(builder.finish()),
            Values::Int64(builder) => Arc::new(builder.finish()),
            Values::Float32(builder) => Arc::new(builder.finish()),
            Values::Float64(builder) => Arc::new(builder.finish()),
            Values::Decimal(builder, ..) => Arc::new(builder.finish()),
            Values::Date(builder) => Arc::new(builder.finish()),
            Values::Timestamp { values, .. } => Arc::new(values.finish()),
            Values::Text(builder) => Arc::new(builder.finish()),
        };
        match array.is_empty() && rows > 0 {
            true => new_null_array(&self.data_type, rows),
            false => array,
        }
    }
}

/// Texts that stand for null.
#[derive(Debug, Clone, Default)]
pub(super) struct NullTexts {
    texts: Vec<String>,
    /// Bit n is set if one of them is n bytes long; bit 63 stands for all longer ones.
    lengths: u64,
}

impl NullTexts {
    pub(super) fn new(texts: &[String]) -> NullTexts {
        let lengths = texts.iter().fold(0, |bits, text| bits | 1 << text.len().min(63));
        NullTexts { texts: texts.to_vec(), lengths }
    }

    /// Tells whether there is any besides the empty one.
    pub(super) fn any(&self) -> bool {
        self.lengths & !1 != 0
    }

    /// Tells whether a text stands for null; the empty one is for the format to judge.
    pub(super) fn contains(&self, text: &str) -> bool {
        self.lengths >> text.len().min(63) & 1 == 1 && self.texts.iter().any(|null| null == text)
    }
}
