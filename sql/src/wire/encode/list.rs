//! One-dimensional arrays: `{1,2,NULL}` with PostgreSQL's quoting, or dimension, element type and sized elements.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field};
use bytes::BufMut;

use super::{Column, Format, Zone, cell, child};
use crate::wire::types::{Logical, PgType, oid};

/// Gives the range of the elements of a row.
pub(super) type Ranges<'a> = Box<dyn Fn(usize) -> std::ops::Range<usize> + Send + 'a>;

/// Returns the elements of a list array and where those of each row stand.
pub(super) fn parts(array: &dyn Array) -> Option<(&ArrayRef, Ranges<'_>)> {
    Some(match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            let at = move |row: usize| usize::try_from(offsets[row]).unwrap_or(0);
            (list.values(), Box::new(move |row| at(row)..at(row + 1)))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = list.value_offsets();
            let at = move |row: usize| usize::try_from(offsets[row]).unwrap_or(0);
            (list.values(), Box::new(move |row| at(row)..at(row + 1)))
        }
        DataType::FixedSizeList(_, _) => {
            let list = array.as_fixed_size_list();
            let length = usize::try_from(list.value_length()).unwrap_or(0);
            (list.values(), Box::new(move |row| row * length..(row + 1) * length))
        }
        _ => return None,
    })
}

/// Writes a list as an array.
pub(super) fn list<'a>(
    array: &'a dyn Array,
    element: &Field,
    format: Format,
    zone: &Zone,
) -> Box<dyn Column + 'a> {
    let Some((values, ranges)) = parts(array) else { return cell(array, |_, _| {}) };
    let inner = child(values, element, format, zone);
    match format {
        Format::Text => cell(array, move |row, out: &mut Vec<u8>| {
            out.put_u8(b'{');
            for (index, at) in ranges(row).enumerate() {
                if index > 0 {
                    out.put_u8(b',');
                }
                if inner.is_null(at) {
                    out.put_slice(b"NULL");
                } else {
                    put_element(inner.as_ref(), at, out);
                }
            }
            out.put_u8(b'}');
        }),
        Format::Binary => {
            let element = PgType::of(element).oid;
            cell(array, move |row, out| put_binary(inner.as_ref(), ranges(row), element, 1, out))
        }
    }
}

/// Writes a list as `int2vector` or `oidvector`: blanks between, and counted from 0. `None` for other arrays.
pub(super) fn vector<'a>(
    array: &'a dyn Array,
    logical: Logical,
    format: Format,
    zone: &Zone,
) -> Option<Box<dyn Column + 'a>> {
    let (values, ranges) = parts(array)?;
    let element = if logical == Logical::Int2Vector { oid::INT2 } else { oid::OID };
    let number = Field::new("element", values.data_type().clone(), true);
    let number = match element {
        oid::OID => number.with_metadata([("onefold.type".to_owned(), "oid".to_owned())].into()),
        _ => number,
    };
    let inner = child(values, &number, format, zone);
    Some(match format {
        Format::Text => cell(array, move |row, out: &mut Vec<u8>| {
            for (index, at) in ranges(row).enumerate() {
                if index > 0 {
                    out.put_u8(b' ');
                }
                inner.write(at, out);
            }
        }),
        Format::Binary => {
            cell(array, move |row, out| put_binary(inner.as_ref(), ranges(row), element, 0, out))
        }
    })
}

fn put_binary(
    inner: &dyn Column,
    range: std::ops::Range<usize>,
    element: u32,
    first: i32,
    out: &mut Vec<u8>,
) {
    let has_null = range.clone().any(|at| inner.is_null(at));
    out.put_i32(i32::from(!range.is_empty()));
    out.put_i32(i32::from(has_null));
    out.put_u32(element);
    if range.is_empty() {
        return;
    }
    out.put_i32(i32::try_from(range.len()).unwrap_or(i32::MAX));
    out.put_i32(first);
    for at in range {
        inner.write_sized(at, out);
    }
}

/// Appends an element, in quotes when an array needs them.
pub(super) fn put_element(inner: &dyn Column, at: usize, out: &mut Vec<u8>) {
    let start = out.len();
    inner.write(at, out);
    let raw = &out[start..];
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',') || is_blank(*byte);
    if !raw.is_empty() && !raw.eq_ignore_ascii_case(b"null") && !raw.iter().any(special) {
        return;
    }
    let raw = raw.to_vec();
    out.truncate(start);
    out.put_u8(b'"');
    for byte in raw {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(byte);
    }
    out.put_u8(b'"');
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}
