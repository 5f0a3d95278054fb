//! Intervals as `IntervalStyle = iso_8601` writes them, which ActiveRecord asks for in each of its connections.
//!
//! Arrays of intervals, also inside lists and records, become arrays of text before a batch is written, so that whoever did
//! not ask for the style pays nothing for it. A cast to text inside a query keeps the style `postgres`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringBuilder, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use bytes::BufMut;
use engine::query::postgres::input::Span;
use engine::query::postgres::types::TYPE_KEY;

use super::interval;

const SECOND_US: u64 = 1_000_000;

/// How intervals are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntervalStyle {
    /// `1 year 2 mons -3 days +04:05:06.7`.
    Postgres,
    /// `P1Y2M-3DT4H5M6.7S`.
    Iso8601,
}

impl IntervalStyle {
    /// Returns the style that the setting `IntervalStyle` names.
    pub(crate) fn named(name: &str) -> IntervalStyle {
        if name == "iso_8601" { IntervalStyle::Iso8601 } else { IntervalStyle::Postgres }
    }
}

/// Returns the field whose intervals are texts instead; `None` for a field without intervals.
pub(super) fn field_of_texts(field: &Field) -> Option<FieldRef> {
    let data_type = match field.data_type() {
        DataType::Interval(_) | DataType::Duration(_) => DataType::Utf8,
        DataType::List(element) => DataType::List(field_of_texts(element)?),
        DataType::Struct(fields) => {
            let texts: Vec<Option<FieldRef>> =
                fields.iter().map(|field| field_of_texts(field)).collect();
            if texts.iter().all(Option::is_none) {
                return None;
            }
            let either = |(text, field): (Option<FieldRef>, &FieldRef)| {
                text.unwrap_or_else(|| Arc::clone(field))
            };
            DataType::Struct(texts.into_iter().zip(fields).map(either).collect())
        }
        _ => return None,
    };
    let mut metadata = field.metadata().clone();
    metadata.remove(TYPE_KEY);
    Some(Arc::new(field.clone().with_data_type(data_type).with_metadata(metadata)))
}

/// Returns an array of the type that [`field_of_texts`] gave.
pub(super) fn texts(array: &ArrayRef, shown: &DataType) -> ArrayRef {
    match (array.data_type(), shown) {
        (DataType::Interval(_) | DataType::Duration(_), DataType::Utf8) => written(array.as_ref()),
        (DataType::List(_), DataType::List(element)) => {
            let list = array.as_list::<i32>();
            let values = texts(list.values(), element.data_type());
            let nulls = list.nulls().cloned();
            ListArray::try_new(Arc::clone(element), list.offsets().clone(), values, nulls)
                .map_or_else(|_| Arc::clone(array), |list| Arc::new(list) as ArrayRef)
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let record = array.as_struct();
            let columns = record.columns().iter().zip(fields);
            let columns = columns.map(|(column, field)| texts(column, field.data_type())).collect();
            StructArray::try_new(fields.clone(), columns, record.nulls().cloned())
                .map_or_else(|_| Arc::clone(array), |record| Arc::new(record) as ArrayRef)
        }
        _ => Arc::clone(array),
    }
}

fn written(array: &dyn Array) -> ArrayRef {
    let column = interval::written(array, put);
    let (mut texts, mut text) = (StringBuilder::new(), Vec::new());
    for row in 0..array.len() {
        text.clear();
        if column.is_null(row) {
            texts.append_null();
            continue;
        }
        column.write(row, &mut text);
        texts.append_value(String::from_utf8_lossy(&text));
    }
    Arc::new(texts.finish())
}

/// Appends a span; each part has its own sign.
fn put(span: Span, out: &mut Vec<u8>) {
    let negative = span.micros < 0;
    let micros = span.micros.unsigned_abs();
    let (seconds, fraction) = (micros / SECOND_US, micros % SECOND_US);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let start = out.len();
    out.put_u8(b'P');
    let days = [(span.months / 12, "Y"), (span.months % 12, "M"), (span.days, "D")];
    for (value, unit) in days.into_iter().filter(|(value, _)| *value != 0) {
        out.put_slice(format!("{value}{unit}").as_bytes());
    }
    if micros == 0 {
        if out.len() == start + 1 {
            out.put_slice(b"T0S");
        }
        return;
    }
    out.put_u8(b'T');
    let sign = if negative { "-" } else { "" };
    for (value, unit) in [(hours, "H"), (minutes, "M")].into_iter().filter(|part| part.0 != 0) {
        out.put_slice(format!("{sign}{value}{unit}").as_bytes());
    }
    if (seconds, fraction) == (0, 0) {
        return;
    }
    out.put_slice(format!("{sign}{seconds}").as_bytes());
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        out.put_u8(b'.');
        out.put_slice(digits.trim_end_matches('0').as_bytes());
    }
    out.put_u8(b'S');
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, IntervalMonthDayNanoArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{IntervalMonthDayNanoType, IntervalUnit};

    use super::*;

    fn shown(months: i32, days: i32, micros: i64) -> String {
        let mut out = Vec::new();
        put(Span { months, days, micros }, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn parts_that_are_nothing_are_left_out_and_each_has_its_sign() {
        for (months, days, micros, expected) in [
            (0, 0, 0, "PT0S"),
            (14, 3, 14_706_700_000, "P1Y2M3DT4H5M6.7S"),
            (-14, 3, -1_000_000, "P-1Y-2M3DT-1S"),
            (0, 0, -500_000, "PT-0.5S"),
            (0, 1, 0, "P1D"),
            (0, 0, 3_600_000_001, "PT1H0.000001S"),
            (12, 0, 90_000_000_000, "P1YT25H"),
        ] {
            assert_eq!(shown(months, days, micros), expected);
        }
    }

    #[test]
    fn lists_of_intervals_become_lists_of_texts_and_numbers_stay() {
        let value = IntervalMonthDayNanoType::make_value(0, 1, 0);
        let values: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![Some(value), None]));
        let element = Field::new("item", DataType::Interval(IntervalUnit::MonthDayNano), true);
        let list = ListArray::new(
            Arc::new(element),
            OffsetBuffer::from_lengths([2]),
            Arc::clone(&values),
            None,
        );
        let field = field_of_texts(&Field::new("l", list.data_type().clone(), true)).unwrap();
        let list: ArrayRef = Arc::new(list);
        let lists = texts(&list, field.data_type());
        assert_eq!(lists.data_type(), field.data_type());
        let strings = lists.as_list::<i32>().value(0);
        assert_eq!(strings.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("P1D"), None]);
        assert!(field_of_texts(&Field::new("n", DataType::Int32, true)).is_none());
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert_eq!(&texts(&numbers, &DataType::Int32), &numbers);
    }
}
