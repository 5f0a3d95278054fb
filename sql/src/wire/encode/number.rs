//! Integers: the text is the number, the binary form is big-endian of the width that its Postgres type has.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use bytes::BufMut;

use super::whole::fixed;
use super::{Column, Format, cell, decimal};

/// Writes any integer array; unsigned ones are widened, and `UInt64` is a numeric.
pub(super) fn integer(array: &dyn Array, format: Format) -> Box<dyn Column + '_> {
    /// One arm: the array, and the type it is read as.
    macro_rules! arm {
        ($arrow:ty, $wide:ty) => {{
            let values = array.as_primitive::<$arrow>();
            match format {
                Format::Text => cell(array, move |row, out| put_number(values.value(row), out)),
                Format::Binary => {
                    fixed(array, move |row| <$wide>::from(values.value(row)).to_be_bytes())
                }
            }
        }};
    }
    match array.data_type() {
        DataType::Int8 => arm!(Int8Type, i16),
        DataType::Int16 => arm!(Int16Type, i16),
        DataType::Int32 => arm!(Int32Type, i32),
        DataType::UInt8 => arm!(UInt8Type, i16),
        DataType::UInt16 => arm!(UInt16Type, i32),
        DataType::UInt32 => arm!(UInt32Type, i64),
        DataType::UInt64 => {
            let values = array.as_primitive::<UInt64Type>();
            match format {
                Format::Text => cell(array, move |row, out| put_number(values.value(row), out)),
                Format::Binary => cell(array, move |row, out| {
                    decimal::put_binary(i128::from(values.value(row)), 0, out)
                }),
            }
        }
        _ => arm!(Int64Type, i64),
    }
}

/// Writes an integer array as `oid` and its like: four bytes without a sign. `None` for other arrays.
pub(super) fn unsigned_32(array: &dyn Array, format: Format) -> Option<Box<dyn Column + '_>> {
    macro_rules! arm {
        ($arrow:ty) => {{
            let values = array.as_primitive::<$arrow>();
            // What does not fit an oid is no object's: 0 is Postgres's own word for that.
            let number = move |row: usize| u32::try_from(values.value(row)).unwrap_or(0);
            Some(match format {
                Format::Text => cell(array, move |row, out| put_number(number(row), out)),
                Format::Binary => fixed(array, move |row| number(row).to_be_bytes()),
            })
        }};
    }
    match array.data_type() {
        DataType::Int32 => arm!(Int32Type),
        DataType::Int64 => arm!(Int64Type),
        DataType::UInt32 => arm!(UInt32Type),
        DataType::UInt64 => arm!(UInt64Type),
        _ => None,
    }
}

/// Appends an integer as text.
pub(super) fn put_number(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.put_slice(itoa::Buffer::new().format(number).as_bytes());
}
