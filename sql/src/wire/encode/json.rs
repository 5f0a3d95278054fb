//! Maps, unions and lists of lists as jsonb text: blanks behind colons and commas, keys by length and then by bytes.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field};
use bytes::BufMut;

use super::{Cell, Column, Format, Zone, cell, child, list, text};
use crate::wire::types::Logical;

/// Writes an array as jsonb; the binary form has a version before the text.
pub(super) fn jsonb<'a>(array: &'a dyn Array, format: Format, zone: &Zone) -> Box<dyn Column + 'a> {
    let field = Field::new("value", array.data_type().clone(), true);
    let inner = of_array(array, &field, zone);
    match format {
        Format::Text => inner,
        Format::Binary => cell(array, move |row, out: &mut Vec<u8>| {
            out.put_u8(text::JSONB_VERSION);
            inner.write(row, out);
        }),
    }
}

fn of_child<'a>(array: &'a ArrayRef, field: &Field, zone: &Zone) -> Box<dyn Column + 'a> {
    of_array(array.as_ref(), field, zone)
}

/// Makes the writer of an array's values as JSON.
fn of_array<'a>(array: &'a dyn Array, field: &Field, zone: &Zone) -> Box<dyn Column + 'a> {
    if matches!(Logical::of(field), Logical::Json | Logical::Jsonb) {
        return text::jsonb(array, Format::Text);
    }
    match array.data_type() {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _) => of_list(array, element, zone),
        DataType::Map(entries, _) => of_map(array, entries, zone),
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let mut columns: Vec<(String, Box<dyn Column + 'a>)> = columns
                .map(|(field, values)| (field.name().clone(), of_child(values, field, zone)))
                .collect();
            columns.sort_by(|(left, _), (right, _)| key_order(left.as_bytes(), right.as_bytes()));
            cell(array, move |row, out: &mut Vec<u8>| {
                out.put_u8(b'{');
                for (index, (name, column)) in columns.iter().enumerate() {
                    if index > 0 {
                        out.put_slice(b", ");
                    }
                    put_string(name.as_bytes(), out);
                    out.put_slice(b": ");
                    put_value(column.as_ref(), row, out);
                }
                out.put_u8(b'}');
            })
        }
        DataType::Union(_, _) => of_union(array, zone),
        DataType::Null => cell(array, |_, _| {}),
        DataType::Boolean => {
            let values = array.as_boolean();
            cell(array, move |row, out: &mut Vec<u8>| {
                out.put_slice(if values.value(row) { b"true" } else { b"false" });
            })
        }
        data_type => {
            let numeric = data_type.is_numeric();
            let plain = super::column(array, field, Format::Text, zone);
            cell(array, move |row, out: &mut Vec<u8>| put_scalar(plain.as_ref(), row, numeric, out))
        }
    }
}

fn of_list<'a>(array: &'a dyn Array, element: &Field, zone: &Zone) -> Box<dyn Column + 'a> {
    let Some((values, ranges)) = list::parts(array) else { return cell(array, |_, _| {}) };
    let inner = of_child(values, element, zone);
    cell(array, move |row, out: &mut Vec<u8>| {
        out.put_u8(b'[');
        for (index, at) in ranges(row).enumerate() {
            if index > 0 {
                out.put_slice(b", ");
            }
            put_value(inner.as_ref(), at, out);
        }
        out.put_u8(b']');
    })
}

fn of_map<'a>(array: &'a dyn Array, entries: &Field, zone: &Zone) -> Box<dyn Column + 'a> {
    let map = array.as_map();
    let DataType::Struct(fields) = entries.data_type() else { return cell(array, |_, _| {}) };
    let [key, value] = fields.as_ref() else { return cell(array, |_, _| {}) };
    let keys = child(map.keys(), key, Format::Text, zone);
    let values = of_child(map.values(), value, zone);
    let offsets = map.value_offsets();
    let at = move |row: usize| usize::try_from(offsets[row]).unwrap_or(0);
    cell(array, move |row, out: &mut Vec<u8>| {
        let mut entries: Vec<(Vec<u8>, usize)> = (at(row)..at(row + 1))
            .map(|index| {
                let mut name = Vec::new();
                keys.write(index, &mut name);
                (name, index)
            })
            .collect();
        // Of equal keys the last one counts.
        entries.sort_by(|(left, _), (right, _)| key_order(left, right));
        out.put_u8(b'{');
        let mut first = true;
        for (index, (name, at)) in entries.iter().enumerate() {
            if entries.get(index + 1).is_some_and(|(next, _)| next == name) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.put_slice(b", ");
            }
            put_string(name, out);
            out.put_slice(b": ");
            put_value(values.as_ref(), *at, out);
        }
        out.put_u8(b'}');
    })
}

fn of_union<'a>(array: &'a dyn Array, zone: &Zone) -> Box<dyn Column + 'a> {
    let union = array.as_union();
    let DataType::Union(fields, _) = array.data_type() else { return cell(array, |_, _| {}) };
    let mut children: Vec<Option<Box<dyn Column + 'a>>> = Vec::new();
    for (type_id, field) in fields.iter() {
        let index = usize::try_from(type_id).unwrap_or(0);
        children.resize_with(children.len().max(index + 1), || None);
        children[index] = Some(of_child(union.child(type_id), field, zone));
    }
    Box::new(Cell {
        nulls: array.logical_nulls(),
        write: move |row: usize, out: &mut Vec<u8>| {
            let index = usize::try_from(union.type_id(row)).unwrap_or(0);
            if let Some(Some(column)) = children.get(index) {
                put_value(column.as_ref(), union.value_offset(row), out);
            }
        },
    })
}

/// Orders keys as jsonb does.
fn key_order(left: &[u8], right: &[u8]) -> std::cmp::Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn put_value(column: &dyn Column, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) {
        out.put_slice(b"null");
    } else {
        column.write(row, out);
    }
}

/// Appends a value by its text: numbers as they are, except those JSON has no word for; all else in quotes.
fn put_scalar(plain: &dyn Column, row: usize, numeric: bool, out: &mut Vec<u8>) {
    let start = out.len();
    plain.write(row, out);
    let finite = |text: &[u8]| text.last().is_some_and(u8::is_ascii_digit);
    if numeric && finite(&out[start..]) {
        return;
    }
    let raw = out[start..].to_vec();
    out.truncate(start);
    put_string(&raw, out);
}

fn put_string(text: &[u8], out: &mut Vec<u8>) {
    out.put_u8(b'"');
    for byte in text {
        match byte {
            b'"' => out.put_slice(b"\\\""),
            b'\\' => out.put_slice(b"\\\\"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            0x08 => out.put_slice(b"\\b"),
            0x0c => out.put_slice(b"\\f"),
            control if *control < 0x20 => out.put_slice(format!("\\u{control:04x}").as_bytes()),
            byte => out.put_u8(*byte),
        }
    }
    out.put_u8(b'"');
}
