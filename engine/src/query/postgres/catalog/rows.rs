//! Rows of a system relation, pushed cell by cell into column builders.

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder, ListBuilder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, FieldRef, IntervalMonthDayNano, IntervalUnit};
use datafusion::common::{Result, internal_datafusion_err};

use super::definition::{Definition, procedure_oid};
use crate::query::postgres::types;

const SECOND_NS: i64 = 1_000_000_000;

/// One value of a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'a> {
    /// Null, or in a column without nulls the type's empty value.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number of any width.
    Int(i64),
    /// Text of any type.
    Text(&'a str),
    /// A vector or array of numbers.
    Ints(&'a [i64]),
    /// Microseconds since 1970.
    Time(i64),
    /// An interval.
    Seconds(i32),
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(value: Option<&'a str>) -> Self {
        value.map_or(Cell::Null, Cell::Text)
    }
}

impl From<u32> for Cell<'_> {
    fn from(value: u32) -> Self {
        Cell::Int(i64::from(value))
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(value: &'a str) -> Self {
        Cell::Text(value)
    }
}

impl From<bool> for Cell<'_> {
    fn from(value: bool) -> Self {
        Cell::Bool(value)
    }
}

impl From<i32> for Cell<'_> {
    fn from(value: i32) -> Self {
        Cell::Int(i64::from(value))
    }
}

impl From<i64> for Cell<'_> {
    fn from(value: i64) -> Self {
        Cell::Int(value)
    }
}

/// The rows of one relation while they are collected. Columns that are not named stay null, or empty where the column
/// has no nulls.
pub(super) struct Rows {
    definition: &'static Definition,
    places: Vec<usize>,
    builders: Vec<Option<Builder>>,
    count: usize,
}

impl Rows {
    /// Starts rows whose cells come in the order of `columns`.
    pub(super) fn new(definition: &'static Definition, columns: &[&str]) -> Result<Rows> {
        let mut builders: Vec<Option<Builder>> = definition.columns.iter().map(|_| None).collect();
        let mut places = Vec::with_capacity(columns.len());
        for name in columns {
            let place = definition.columns.iter().position(|column| column.name == *name);
            let place = place.ok_or_else(|| {
                internal_datafusion_err!("\"{}\" has no column {name}", definition.name)
            })?;
            builders[place] = Some(Builder::new(definition.arrow.field(place).data_type()));
            places.push(place);
        }
        Ok(Rows { definition, places, builders, count: 0 })
    }

    /// Starts rows whose cells come in the order of all columns.
    pub(super) fn all(definition: &'static Definition) -> Result<Rows> {
        let names: Vec<&str> = definition.columns.iter().map(|column| column.name).collect();
        Rows::new(definition, &names)
    }

    /// Adds a row.
    pub(super) fn push(&mut self, cells: &[Cell<'_>]) {
        for (place, cell) in self.places.iter().zip(cells) {
            let nullable = self.definition.columns[*place].nullable;
            if let Some(builder) = &mut self.builders[*place] {
                builder.push(*cell, nullable);
            }
        }
        self.count += 1;
    }

    /// Adds a row whose cells are in COPY format.
    pub(super) fn push_copy(&mut self, cells: &[&str]) {
        for (place, text) in self.places.iter().zip(cells) {
            let column = &self.definition.columns[*place];
            let numbers: Vec<i64>;
            let cell = match (*text, column.pg_type) {
                ("\\N", _) => Cell::Null,
                (text, "bool") => Cell::Bool(text == "t"),
                ("-", "regproc") => Cell::Int(0),
                (text, "regproc") => Cell::Int(procedure_oid(text).unwrap_or(0)),
                (text, "int2vector" | "oidvector") => {
                    numbers = text.split(' ').filter_map(|n| n.parse().ok()).collect();
                    Cell::Ints(&numbers)
                }
                (text, "int2" | "int4" | "int8" | "oid" | "xid" | "float4" | "float8") => {
                    text.parse().map_or(Cell::Null, Cell::Int)
                }
                (text, _) => Cell::Text(text),
            };
            if let Some(builder) = &mut self.builders[*place] {
                builder.push(cell, column.nullable);
            }
        }
        self.count += 1;
    }

    /// Ends the rows.
    pub(super) fn finish(self) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.builders.len());
        for (builder, field) in self.builders.into_iter().zip(self.definition.arrow.fields()) {
            columns.push(match builder {
                Some(builder) => builder.finish(),
                None if field.is_nullable() => new_null_array(field.data_type(), self.count),
                None => {
                    let mut builder = Builder::new(field.data_type());
                    (0..self.count).for_each(|_| builder.push(Cell::Null, false));
                    builder.finish()
                }
            });
        }
        Ok(RecordBatch::try_new(self.definition.arrow.clone(), columns)?)
    }
}

enum Builder {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Text(StringBuilder),
    Time(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    Int16s(ListBuilder<Int16Builder>),
    Int64s(ListBuilder<Int64Builder>),
    /// Types that no row of ours ever fills.
    Nulls(DataType, usize),
}

impl Builder {
    fn new(data_type: &DataType) -> Builder {
        match data_type {
            DataType::Boolean => Builder::Bool(BooleanBuilder::new()),
            DataType::Int16 => Builder::Int16(Int16Builder::new()),
            DataType::Int32 => Builder::Int32(Int32Builder::new()),
            DataType::Int64 => Builder::Int64(Int64Builder::new()),
            DataType::Float32 => Builder::Float32(Float32Builder::new()),
            DataType::Float64 => Builder::Float64(Float64Builder::new()),
            DataType::Utf8 => Builder::Text(StringBuilder::new()),
            DataType::Timestamp(_, Some(_)) => {
                Builder::Time(TimestampMicrosecondBuilder::new().with_timezone(types::UTC))
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Builder::Interval(IntervalMonthDayNanoBuilder::new())
            }
            DataType::List(item) => list(data_type, item),
            other => Builder::Nulls(other.clone(), 0),
        }
    }

    fn push(&mut self, cell: Cell<'_>, nullable: bool) {
        let empty = matches!(cell, Cell::Null) && !nullable;
        let number = match cell {
            Cell::Int(number) => Some(number),
            _ => empty.then_some(0),
        };
        match self {
            Builder::Bool(b) => b.append_option(if let Cell::Bool(v) = cell {
                Some(v)
            } else {
                empty.then_some(false)
            }),
            Builder::Int16(b) => b.append_option(number.and_then(|n| i16::try_from(n).ok())),
            Builder::Int32(b) => b.append_option(number.and_then(|n| i32::try_from(n).ok())),
            Builder::Int64(b) => b.append_option(number),
            Builder::Float32(b) => b.append_option(number.map(|n| n as f32)),
            Builder::Float64(b) => b.append_option(number.map(|n| n as f64)),
            Builder::Text(b) => b.append_option(if let Cell::Text(v) = cell {
                Some(v)
            } else {
                empty.then_some("")
            }),
            Builder::Time(b) => {
                b.append_option(if let Cell::Time(v) = cell { Some(v) } else { None })
            }
            Builder::Interval(b) => b.append_option(if let Cell::Seconds(v) = cell {
                Some(IntervalMonthDayNano::new(0, 0, i64::from(v) * SECOND_NS))
            } else {
                empty.then_some(IntervalMonthDayNano::ZERO)
            }),
            Builder::Int16s(b) => {
                if let Cell::Ints(values) = cell {
                    values.iter().for_each(|v| b.values().append_option(i16::try_from(*v).ok()));
                }
                b.append(matches!(cell, Cell::Ints(_)) || empty);
            }
            Builder::Int64s(b) => {
                if let Cell::Ints(values) = cell {
                    b.values().append_slice(values);
                }
                b.append(matches!(cell, Cell::Ints(_)) || empty);
            }
            Builder::Nulls(_, count) => *count += 1,
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Builder::Nulls(data_type, count) => new_null_array(&data_type, count),
            Builder::Bool(b) => boxed(b),
            Builder::Int16(b) => boxed(b),
            Builder::Int32(b) => boxed(b),
            Builder::Int64(b) => boxed(b),
            Builder::Float32(b) => boxed(b),
            Builder::Float64(b) => boxed(b),
            Builder::Text(b) => boxed(b),
            Builder::Time(b) => boxed(b),
            Builder::Interval(b) => boxed(b),
            Builder::Int16s(b) => boxed(b),
            Builder::Int64s(b) => boxed(b),
        }
    }
}

fn boxed(mut builder: impl ArrayBuilder) -> ArrayRef {
    ArrayBuilder::finish(&mut builder)
}

fn list(data_type: &DataType, item: &FieldRef) -> Builder {
    match item.data_type() {
        DataType::Int16 => {
            Builder::Int16s(ListBuilder::new(Int16Builder::new()).with_field(item.clone()))
        }
        DataType::Int64 => {
            Builder::Int64s(ListBuilder::new(Int64Builder::new()).with_field(item.clone()))
        }
        _ => Builder::Nulls(data_type.clone(), 0),
    }
}
