//! Structs as Postgres records: `(1,"a b",)`, or a count, then type and sized value of each field. Objects of the catalog
//! are records of a number and a name, of which each format has one.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Fields};
use bytes::BufMut;

use super::{Column, Format, Zone, cell, child, number, text};
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
        Format::Text => cell(array, move |row, out: &mut Vec<u8>| {
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
        Format::Binary => cell(array, move |row, out: &mut Vec<u8>| {
            out.put_i32(i32::try_from(columns.len()).unwrap_or(0));
            for (oid, column) in &columns {
                out.put_u32(*oid);
                column.write_sized(row, out);
            }
        }),
    }
}

/// Writes objects, such as values of `regclass`: as text by name, in binary by number. `None` for other arrays.
pub(super) fn object(array: &dyn Array, format: Format) -> Option<Box<dyn Column + '_>> {
    let DataType::Struct(fields) = array.data_type() else { return None };
    let [oid, name] = array.as_struct().columns() else { return None };
    let is_named = fields.iter().map(|field| field.name().as_str()).eq(["oid", "name"]);
    match format {
        _ if !is_named => None,
        Format::Text if name.data_type() == &DataType::Utf8 => Some(text::string(name)),
        Format::Text => None,
        Format::Binary => number::unsigned_32(oid, format),
    }
}

/// Appends a field, in quotes when a record needs them; quotes and backslashes are doubled.
fn put_field(column: &dyn Column, row: usize, out: &mut Vec<u8>) {
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
