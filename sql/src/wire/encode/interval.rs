//! Intervals and durations: months, days and microseconds, each with its own sign, in PostgreSQL's own style.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit,
    IntervalYearMonthType, TimeUnit,
};
use bytes::{BufMut, BytesMut};

use super::number::put_number;
use super::text::bytes_of;
use super::time::put_time;
use super::{Column, Format, cell};

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3600 * SECOND_US;
const DAY_US: i64 = 24 * HOUR_US;

/// A span of time as Postgres keeps it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) months: i32,
    pub(crate) days: i32,
    pub(crate) micros: i64,
}

/// Writes interval and duration arrays.
pub(super) fn interval(array: &dyn Array, format: Format) -> Box<dyn Column + '_> {
    macro_rules! arm {
        ($arrow:ty, $span:expr) => {{
            let values = array.as_primitive::<$arrow>();
            cell(array, move |row, out| put($span(values.value(row)), format, out))
        }};
    }
    let micros = |micros: i64| Span { micros, ..Span::default() };
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
    Some(cell(array, move |row, out: &mut BytesMut| {
        let text = std::str::from_utf8(bytes(row)).unwrap_or_default();
        match Span::parse(text) {
            Some(span) => put(span, format, out),
            None if format == Format::Text => out.put_slice(text.as_bytes()),
            None => put(Span::default(), format, out),
        }
    }))
}

fn put(span: Span, format: Format, out: &mut BytesMut) {
    match format {
        Format::Text => span.put_text(out),
        Format::Binary => {
            out.put_i64(span.micros);
            out.put_i32(span.days);
            out.put_i32(span.months);
        }
    }
}

impl Span {
    /// Appends the span as `IntervalStyle = postgres` writes it: `1 year 2 mons -3 days +04:05:06.7`.
    pub(super) fn put_text(self, out: &mut BytesMut) {
        let mut style = Style { empty: true, negative_before: false };
        style.part(self.months / 12, "year", out);
        style.part(self.months % 12, "mon", out);
        style.part(self.days, "day", out);
        if self.micros == 0 && !style.empty {
            return;
        }
        if !style.empty {
            out.put_u8(b' ');
        }
        if self.micros < 0 {
            out.put_u8(b'-');
        } else if style.negative_before {
            out.put_u8(b'+');
        }
        put_time(i64::try_from(self.micros.unsigned_abs()).unwrap_or(i64::MAX), out);
    }

    /// Reads an interval in PostgreSQL's own style, in words, or by ISO 8601 (`P1Y2M3DT4H5M6S`).
    pub(crate) fn parse(text: &str) -> Option<Span> {
        let text = text.trim();
        match text.strip_prefix('P') {
            Some(rest) => parse_iso(rest),
            None => parse_words(text),
        }
    }

    /// Adds `count` of a unit, of which parts go into the next smaller one.
    fn add(&mut self, count: f64, unit: &str) -> Option<()> {
        let unit = unit.to_ascii_lowercase();
        let (months, days, micros) =
            match unit.strip_suffix('s').filter(|rest| rest.len() > 1).unwrap_or(&unit) {
                "y" | "yr" | "year" => (12.0, 0.0, 0),
                "mon" | "month" => (1.0, 0.0, 0),
                "w" | "week" => (0.0, 7.0, 0),
                "d" | "day" => (0.0, 1.0, 0),
                "h" | "hr" | "hour" => (0.0, 0.0, HOUR_US),
                "m" | "min" | "minute" => (0.0, 0.0, 60 * SECOND_US),
                "s" | "sec" | "second" => (0.0, 0.0, SECOND_US),
                "ms" | "msec" | "millisecond" => (0.0, 0.0, 1000),
                "us" | "usec" | "microsecond" => (0.0, 0.0, 1),
                _ => return None,
            };
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and a span is far smaller")]
        {
            let whole_months = (count * months).trunc();
            let whole_days = (count * days).trunc() + ((count * months).fract() * 30.0).trunc();
            self.months = self.months.checked_add(whole_months as i32)?;
            self.days = self.days.checked_add(whole_days as i32)?;
            #[expect(clippy::cast_precision_loss, reason = "the constants are below 2^53")]
            let fraction = (count * days).fract() * DAY_US as f64 + count * micros as f64;
            self.micros = self.micros.checked_add(fraction.round() as i64)?;
        }
        Some(())
    }
}

struct Style {
    empty: bool,
    negative_before: bool,
}

impl Style {
    fn part(&mut self, value: i32, unit: &str, out: &mut BytesMut) {
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

fn parse_iso(text: &str) -> Option<Span> {
    let mut span = Span::default();
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    for (part, units) in [
        (date, [('Y', "year"), ('M', "month"), ('W', "week"), ('D', "day")].as_slice()),
        (time, [('H', "hour"), ('M', "minute"), ('S', "second")].as_slice()),
    ] {
        let mut rest = part;
        while !rest.is_empty() {
            let at = rest.find(|letter: char| letter.is_ascii_alphabetic())?;
            let letter = rest[at..].chars().next()?;
            let (_, unit) = units.iter().find(|(of, _)| *of == letter)?;
            span.add(rest[..at].parse().ok()?, unit)?;
            rest = &rest[at + 1..];
        }
    }
    (!text.is_empty()).then_some(span)
}

fn parse_words(text: &str) -> Option<Span> {
    let (text, ago) = match text.strip_suffix(" ago") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let mut span = Span::default();
    let mut words = text.split_ascii_whitespace().filter(|word| *word != "@").peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        if word.contains(':') {
            span.micros = span.micros.checked_add(parse_clock(word)?)?;
            continue;
        }
        let split = word.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(word.len());
        let count = word[..split].parse::<f64>().ok()?;
        let unit =
            if split < word.len() { &word[split..] } else { words.next().unwrap_or("second") };
        span.add(count, unit)?;
    }
    if ago {
        span = Span { months: -span.months, days: -span.days, micros: -span.micros };
    }
    Some(span)
}

/// Reads `[-]hours:minutes[:seconds[.fraction]]`.
fn parse_clock(word: &str) -> Option<i64> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let mut parts = digits.splitn(3, ':');
    let hours = parts.next()?.parse::<i64>().ok()?;
    let minutes = parts.next()?.parse::<i64>().ok()?;
    let seconds = parts.next().unwrap_or("0").parse::<f64>().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "below a minute")]
    let fraction = (seconds * 1e6).round() as i64;
    let micros = hours
        .checked_mul(HOUR_US)?
        .checked_add(minutes.checked_mul(60 * SECOND_US)?)?
        .checked_add(fraction)?;
    Some(if negative { -micros } else { micros })
}
