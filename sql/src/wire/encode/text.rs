//! Strings, bytes, booleans, uuids and dictionaries of them.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field};
use bytes::BufMut;

use super::whole::{fixed, slices};
use super::{Cell, Column, Format, Zone, cell, child};

/// The version byte before the text of a binary jsonb.
pub(super) const JSONB_VERSION: u8 = 1;

/// Writes booleans: `t` and `f`, or a byte.
pub(super) fn boolean(array: &dyn Array, format: Format) -> Box<dyn Column + '_> {
    let values = array.as_boolean();
    match format {
        Format::Text => fixed(array, move |row| [if values.value(row) { b't' } else { b'f' }]),
        Format::Binary => fixed(array, move |row| [u8::from(values.value(row))]),
    }
}

/// Writes strings, which are the same in both formats.
pub(super) fn string(array: &dyn Array) -> Box<dyn Column + '_> {
    match array.data_type() {
        DataType::LargeUtf8 => {
            let values = array.as_string::<i64>();
            slices(array, move |row| values.value(row).as_bytes())
        }
        DataType::Utf8View => {
            let values = array.as_string_view();
            slices(array, move |row| values.value(row).as_bytes())
        }
        _ => {
            let values = array.as_string::<i32>();
            slices(array, move |row| values.value(row).as_bytes())
        }
    }
}

/// Writes strings with blanks behind them, so that each has as many characters as its type says.
pub(super) fn padded(array: &dyn Array, chars: i32) -> Box<dyn Column + '_> {
    let Some(bytes) = bytes_of(array) else { return cell(array, |_, _| {}) };
    let chars = usize::try_from(chars).unwrap_or(0);
    cell(array, move |row, out: &mut Vec<u8>| {
        let text = bytes(row);
        // Each character has one byte that continues no other.
        let written = text.iter().filter(|byte| (**byte & 0xc0) != 0x80).count();
        out.put_slice(text);
        out.put_bytes(b' ', chars.saturating_sub(written));
    })
}

/// Gives the bytes of each row of a string or binary array; `None` for other arrays.
pub(super) fn bytes_of<'a>(
    array: &'a dyn Array,
) -> Option<Box<dyn Fn(usize) -> &'a [u8] + Send + 'a>> {
    Some(match array.data_type() {
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            Box::new(move |row| values.value(row).as_bytes())
        }
        DataType::LargeUtf8 => {
            let values = array.as_string::<i64>();
            Box::new(move |row| values.value(row).as_bytes())
        }
        DataType::Utf8View => {
            let values = array.as_string_view();
            Box::new(move |row| values.value(row).as_bytes())
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            Box::new(move |row| values.value(row))
        }
        DataType::LargeBinary => {
            let values = array.as_binary::<i64>();
            Box::new(move |row| values.value(row))
        }
        DataType::BinaryView => {
            let values = array.as_binary_view();
            Box::new(move |row| values.value(row))
        }
        DataType::FixedSizeBinary(_) => {
            let values = array.as_fixed_size_binary();
            Box::new(move |row| values.value(row))
        }
        _ => return None,
    })
}

/// Writes bytes: `\x` and hexadecimal digits, or the bytes.
pub(super) fn bytea(array: &dyn Array, format: Format) -> Box<dyn Column + '_> {
    let Some(bytes) = bytes_of(array) else { return cell(array, |_, _| {}) };
    match format {
        Format::Text => cell(array, move |row, out: &mut Vec<u8>| {
            out.put_slice(b"\\x");
            put_hex(bytes(row), out);
        }),
        Format::Binary => slices(array, bytes),
    }
}

/// Writes uuids, which are sixteen bytes, or text as it stands.
pub(super) fn uuid(array: &dyn Array, format: Format) -> Box<dyn Column + '_> {
    let is_text =
        matches!(array.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let Some(bytes) = bytes_of(array) else { return cell(array, |_, _| {}) };
    match (is_text, format) {
        (true, Format::Text) | (false, Format::Binary) => slices(array, bytes),
        (true, Format::Binary) => {
            cell(array, move |row, out: &mut Vec<u8>| put_uuid_bytes(bytes(row), out))
        }
        (false, Format::Text) => {
            cell(array, move |row, out: &mut Vec<u8>| put_uuid_text(bytes(row), out))
        }
    }
}

/// Writes JSON text; the binary form has a version before it.
pub(super) fn jsonb(array: &dyn Array, format: Format) -> Box<dyn Column + '_> {
    let Some(bytes) = bytes_of(array) else { return cell(array, |_, _| {}) };
    cell(array, move |row, out: &mut Vec<u8>| {
        if format == Format::Binary {
            out.put_u8(JSONB_VERSION);
        }
        out.put_slice(bytes(row));
    })
}

/// Writes a dictionary: each row is one of its values.
pub(super) fn dictionary<'a>(
    array: &'a dyn Array,
    field: &Field,
    format: Format,
    zone: &Zone,
) -> Box<dyn Column + 'a> {
    let dictionary = array.as_any_dictionary();
    let values: &'a ArrayRef = dictionary.values();
    let field = field.clone().with_data_type(values.data_type().clone());
    let keys = dictionary.normalized_keys();
    let inner = child(values, &field, format, zone);
    // A row is null if its key is, or if the value that the key names is.
    Box::new(Cell {
        nulls: array.logical_nulls(),
        write: move |row: usize, out: &mut Vec<u8>| inner.write(keys[row], out),
    })
}

fn put_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.put_u8(DIGITS[usize::from(byte >> 4)]);
        out.put_u8(DIGITS[usize::from(byte & 15)]);
    }
}

fn put_uuid_text(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.len() != 16 {
        put_hex(bytes, out);
        return;
    }
    for (index, part) in [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]]
        .into_iter()
        .enumerate()
    {
        if index > 0 {
            out.put_u8(b'-');
        }
        put_hex(part, out);
    }
}

/// Reads the hexadecimal digits of a uuid; what is no digit counts as a separator.
fn put_uuid_bytes(text: &[u8], out: &mut Vec<u8>) {
    let mut bytes = [0u8; 16];
    let digits = text.iter().filter_map(|digit| char::from(*digit).to_digit(16)).take(32);
    for (index, digit) in digits.enumerate() {
        let digit = u8::try_from(digit).unwrap_or(0);
        bytes[index / 2] |= if index % 2 == 0 { digit << 4 } else { digit };
    }
    out.put_slice(&bytes);
}
