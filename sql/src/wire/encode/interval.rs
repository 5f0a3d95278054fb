//! Intervals and durations: months, days and microseconds, each with its own sign, in PostgreSQL's own style unless a
//! session asked for another.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit,
    IntervalYearMonthType, TimeUnit,
};
use bytes::BufMut;
use engine::query::postgres::input::Span;

use super::number::put_number;
use super::text::bytes_of;
use super::time::put_time;
use super::{Column, Format, cell};

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

/// Writes interval and duration arrays.
pub(super) fn interval(array: &dyn Array, format: Format) -> Box<dyn Column + '_> {
    written(array, move |span, out| put(span, format, out))
}

/// Writes interval and duration arrays by what writes one span.
pub(super) fn written<'a>(
    array: &'a dyn Array,
    put: impl Fn(Span, &mut Vec<u8>) + Send + 'a,
) -> Box<dyn Column + 'a> {
    macro_rules! arm {
        ($arrow:ty, $span:expr) => {{
            let values = array.as_primitive::<$arrow>();
            cell(array, move |row, out| put($span(values.value(row)), out))
        }};
    }
    // The time between two points in time has days.
    let micros = |micros: i64| {
        let days = i32::try_from(micros / DAY_US).unwrap_or(0);
        Span { months: 0, days, micros: micros - i64::from(days) * DAY_US }
    };
    match array.data_type() {
        DataType::Interval(IntervalUnit::YearMonth) => {
            arm!(IntervalYearMonthType, |months| Span { months, ..Span::default() })
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            arm!(
                IntervalDayTimeType,
                |value: <IntervalDayTimeType as arrow::datatypes::ArrowPrimitiveType>::Native| {
                    Span {
                        months: 0,
                        days: value.days,
                        micros: i64::from(value.milliseconds) * 1000,
                    }
                }
            )
        }
        DataType::Duration(TimeUnit::Second) => {
            arm!(DurationSecondType, |value: i64| micros(value.saturating_mul(SECOND_US)))
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            arm!(DurationMillisecondType, |value: i64| micros(value.saturating_mul(1000)))
        }
        DataType::Duration(TimeUnit::Microsecond) => arm!(DurationMicrosecondType, micros),
        DataType::Duration(TimeUnit::Nanosecond) => {
            arm!(DurationNanosecondType, |value: i64| micros(value / 1000))
        }
        _ => {
            arm!(IntervalMonthDayNanoType, |value: <IntervalMonthDayNanoType as arrow::datatypes::ArrowPrimitiveType>::Native| Span {
                months: value.months,
                days: value.days,
                micros: value.nanoseconds / 1000
            })
        }
    }
}

/// Writes intervals that are kept as text; `None` when the array holds none.
pub(super) fn from_text(array: &dyn Array, format: Format) -> Option<Box<dyn Column + '_>> {
    if !matches!(array.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        return None;
    }
    let bytes = bytes_of(array)?;
    Some(cell(array, move |row, out: &mut Vec<u8>| {
        let text = std::str::from_utf8(bytes(row)).unwrap_or_default();
        match Span::parse(text) {
            Some(span) => put(span, format, out),
            None if format == Format::Text => out.put_slice(text.as_bytes()),
            None => put(Span::default(), format, out),
        }
    }))
}

fn put(span: Span, format: Format, out: &mut Vec<u8>) {
    match format {
        Format::Text => put_text(span, out),
        Format::Binary => {
            out.put_i64(span.micros);
            out.put_i32(span.days);
            out.put_i32(span.months);
        }
    }
}

/// Appends a span as `IntervalStyle = postgres` writes it: `1 year 2 mons -3 days +04:05:06.7`.
fn put_text(span: Span, out: &mut Vec<u8>) {
    let mut style = Style { empty: true, negative_before: false };
    style.part(span.months / 12, "year", out);
    style.part(span.months % 12, "mon", out);
    style.part(span.days, "day", out);
    if span.micros == 0 && !style.empty {
        return;
    }
    if !style.empty {
        out.put_u8(b' ');
    }
    if span.micros < 0 {
        out.put_u8(b'-');
    } else if style.negative_before {
        out.put_u8(b'+');
    }
    put_time(i64::try_from(span.micros.unsigned_abs()).unwrap_or(i64::MAX), out);
}

struct Style {
    empty: bool,
    negative_before: bool,
}

impl Style {
    fn part(&mut self, value: i32, unit: &str, out: &mut Vec<u8>) {
        if value == 0 {
            return;
        }
        if !self.empty {
            out.put_u8(b' ');
        }
        if self.negative_before && value > 0 {
            out.put_u8(b'+');
        }
        put_number(value, out);
        out.put_u8(b' ');
        out.put_slice(unit.as_bytes());
        if value != 1 {
            out.put_u8(b's');
        }
        self.negative_before = value < 0;
        self.empty = false;
    }
}
