//! Structs as Postgres records: `(1,"a b",)`, or a count, then type and sized value of each field.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Fields;
use bytes::{BufMut, BytesMut};

use super::{Column, Format, Zone, cell, child, write_sized};
use crate::wire::types::PgType;

/// Writes a struct array.
pub(super) fn record<'a>(
    array: &'a dyn Array,
    fields: &Fields,
    format: Format,
    zone: &Zone,
) -> Box<dyn Column + 'a> {
    let columns: Vec<(u32, Box<dyn Column + 'a>)> = fields
        .iter()
        .zip(array.as_struct().columns())
        .map(|(field, values)| (PgType::of(field).oid, child(values, field, format, zone)))
        .collect();
    match format {
        Format::Text => cell(array, move |row, out: &mut BytesMut| {
            out.put_u8(b'(');
            for (index, (_, column)) in columns.iter().enumerate() {
                if index > 0 {
                    out.put_u8(b',');
                }
                if !column.is_null(row) {
                    put_field(column.as_ref(), row, out);
                }
            }
            out.put_u8(b')');
        }),
        Format::Binary => cell(array, move |row, out: &mut BytesMut| {
            out.put_i32(i32::try_from(columns.len()).unwrap_or(0));
            for (oid, column) in &columns {
                out.put_u32(*oid);
                write_sized(column.as_ref(), row, out);
            }
        }),
    }
}

/// Appends a field, in quotes when a record needs them; quotes and backslashes are doubled.
fn put_field(column: &dyn Column, row: usize, out: &mut BytesMut) {
    let start = out.len();
    column.write(row, out);
    let raw = &out[start..];
    let special = |byte: &u8| {
        matches!(byte, b'"' | b'\\' | b'(' | b')' | b',')
            || byte.is_ascii_whitespace()
            || *byte == 0x0b
    };
    if !raw.is_empty() && !raw.iter().any(special) {
        return;
    }
    let raw = raw.to_vec();
    out.truncate(start);
    out.put_u8(b'"');
    for byte in raw {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(byte);
        }
        out.put_u8(byte);
    }
    out.put_u8(b'"');
}
