//! `to_char(x, pattern)`: times and numbers by PostgreSQL's patterns.
//!
//! DataFusion's function of this name takes other patterns. As in PostgreSQL, what no pattern is stands for itself.

use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int32Type, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{Result, plan_err};

use super::age::micros;
use super::elapsed::INTERVAL;
use super::{Body, Call, Function, Kind};
use crate::query::postgres::zone::Zone;
use number::Value;
use picture::Picture;

mod number;
mod picture;
mod span;

const SECOND_US: i64 = 1_000_000;

pub(super) const FUNCTIONS: &[Function] =
    &[Function::new("to_char", &[Kind::Any, Kind::Text], "text", Body::Column(to_char))];

fn to_char(call: &Call<'_>) -> Result<ArrayRef> {
    let array = &call.arguments[0];
    match array.data_type() {
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => times(call),
        DataType::Interval(_) | DataType::Duration(_) | DataType::Time64(_) => spans(call),
        numeric if numeric.is_numeric() => numbers(call),
        other => plan_err!("to_char() takes a time or a number, not {other}"),
    }
}

fn numbers(call: &Call<'_>) -> Result<ArrayRef> {
    let array = &call.arguments[0];
    // Text of a decimal keeps all its digits.
    let options = FormatOptions::default();
    let texts = ArrayFormatter::try_new(array, &options)?;
    let integers = match array.data_type() {
        DataType::Int8 | DataType::Int16 | DataType::Int32 => Some(cast(array, &DataType::Int32)?),
        _ => None,
    };
    let mut out = StringBuilder::new();
    let mut parsed: Option<(String, Picture)> = None;
    for row in 0..call.rows {
        let Some(pattern) = call.text(1, row).filter(|_| array.is_valid(row)) else {
            out.append_null();
            continue;
        };
        if parsed.as_ref().is_none_or(|(known, _)| known != pattern) {
            parsed = Some((pattern.to_string(), Picture::parse(pattern)?));
        }
        let Some((_, picture)) = &parsed else { continue };
        let text;
        let value = if let Some(integers) = &integers {
            Value::Integer(integers.as_primitive::<Int32Type>().value(row))
        } else if let Some(values) = array.as_primitive_opt::<Float32Type>() {
            Value::Real(values.value(row))
        } else if let Some(values) = array.as_primitive_opt::<Float64Type>() {
            Value::Double(values.value(row))
        } else {
            text = texts.value(row).try_to_string()?;
            Value::Exact(&text)
        };
        out.append_value(number::format(value, picture)?);
    }
    Ok(Arc::new(out.finish()))
}

/// The parts of the pattern of a row, which are those of the row before if the pattern is.
fn parts_of<'a>(known: &'a mut Option<(String, Vec<Part>)>, pattern: &str) -> &'a [Part] {
    if known.as_ref().is_none_or(|(known, _)| known != pattern) {
        *known = Some((pattern.to_string(), parse(pattern)));
    }
    known.as_ref().map_or(&[][..], |(_, parts)| parts)
}

/// Intervals as they are, and times of a day as the intervals since midnight.
pub(super) fn as_spans(array: &ArrayRef) -> Result<ArrayRef> {
    let DataType::Time64(unit) = array.data_type() else { return Ok(cast(array, &INTERVAL)?) };
    let nanos_each = if *unit == TimeUnit::Microsecond { 1000 } else { 1 };
    let counted = cast(array, &DataType::Int64)?;
    let counted = counted.as_primitive::<Int64Type>();
    let spans = counted.unary::<_, IntervalMonthDayNanoType>(|count| {
        IntervalMonthDayNano::new(0, 0, count * nanos_each)
    });
    Ok(Arc::new(spans))
}

fn spans(call: &Call<'_>) -> Result<ArrayRef> {
    let spans = as_spans(&call.arguments[0])?;
    let spans = spans.as_primitive::<IntervalMonthDayNanoType>();
    let mut out = StringBuilder::new();
    let mut parsed: Option<(String, Vec<Part>)> = None;
    for row in 0..call.rows {
        // An empty pattern gives null, and not an empty text.
        let pattern = call.text(1, row).filter(|pattern| !pattern.is_empty());
        let Some(pattern) = pattern.filter(|_| spans.is_valid(row)) else {
            out.append_null();
            continue;
        };
        let mut text = String::new();
        span::write(&spans.value(row), parts_of(&mut parsed, pattern), &mut text)?;
        out.append_value(text);
    }
    Ok(Arc::new(out.finish()))
}

fn times(call: &Call<'_>) -> Result<ArrayRef> {
    let array = &call.arguments[0];
    let zoned = matches!(array.data_type(), DataType::Timestamp(_, Some(_)));
    let zone =
        call.facts.setting("TimeZone").filter(|_| zoned).unwrap_or_else(|| "UTC".to_string());
    let there = Zone::parse(&zone).unwrap_or_else(Zone::utc);
    let local = micros(array)?;
    let local = local.as_primitive::<TimestampMicrosecondType>();
    let mut out = StringBuilder::new();
    let mut parsed: Option<(String, Vec<Part>)> = None;
    for row in 0..call.rows {
        let time = local.is_valid(row).then(|| local.value(row)).and_then(|micros| {
            let time = DateTime::from_timestamp_micros(there.wall_clock(micros))?.naive_utc();
            let offset = there.offset_at(micros.div_euclid(SECOND_US));
            Some(Shown { time, zone: if zoned { &zone } else { "" }, offset })
        });
        let pattern = call.text(1, row).filter(|pattern| !pattern.is_empty());
        let Some((time, pattern)) = time.zip(pattern) else {
            out.append_null();
            continue;
        };
        let parts = parts_of(&mut parsed, pattern);
        let mut text = String::new();
        parts.iter().for_each(|part| part.write(&time, &mut text));
        out.append_value(text);
    }
    Ok(Arc::new(out.finish()))
}

/// A time as the clock on the wall of a zone shows it.
struct Shown<'a> {
    time: NaiveDateTime,
    /// The name of the zone, which a clock on the wall has none of.
    zone: &'a str,
    /// Seconds east of Greenwich.
    offset: i32,
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Field { name: &'static str, fill: bool, ordinal: Option<bool>, shape: Shape },
}

/// How the pattern was written: `MONTH`, `Month` or `month`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Upper,
    Title,
    Lower,
}

/// Every pattern, longer ones before those they begin with.
const FIELDS: [&str; 53] = [
    "TZH", "TZM", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "SSSSS", "SSSS", "SS", "Y,YYY", "YYYY",
    "YYY", "YY", "IYYY", "IYY", "IY", "MONTH", "MON", "MM", "MI", "MS", "US", "DAY", "DDD", "DD",
    "DY", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "WW", "A.M.", "P.M.", "AM", "PM", "B.C.",
    "A.D.", "BC", "AD", "TZ", "OF", "CC", "RM", "Q", "J", "D", "W", "Y", "I",
];

pub(super) fn parse(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        // How strictly a text is read has no meaning where one is written.
        if let Some("FX" | "fx") = rest.get(..2) {
            rest = &rest[2..];
            continue;
        }
        // Words of the session's language are English, and are not filled up either.
        let (fill, after) = match rest.get(..2) {
            Some("FM" | "fm" | "TM" | "tm") => (false, &rest[2..]),
            _ => (true, rest),
        };
        let found = FIELDS
            .iter()
            .find(|name| after.get(..name.len()).is_some_and(|start| is_written(start, name)));
        if let Some(name) = found {
            let written = &after[..name.len()];
            rest = &after[name.len()..];
            let ordinal = match rest.get(..2) {
                Some("TH") => Some(true),
                Some("th") => Some(false),
                _ => None,
            };
            let is_spelled = rest.starts_with("SP");
            rest = &rest[if ordinal.is_some() || is_spelled { 2 } else { 0 }..];
            parts.push(Part::Field { name, fill, ordinal, shape: shape(written) });
        } else if letter == '"' {
            let (text, after) = quoted(&rest[1..]);
            parts.push(Part::Text(text));
            rest = after;
        } else {
            // A backslash has a meaning before a quotation mark alone.
            rest = rest.strip_prefix('\\').filter(|after| after.starts_with('"')).unwrap_or(rest);
            let letter = rest.chars().next().unwrap_or(letter);
            // What begins with FM or TM and goes on with no pattern loses that.
            if !fill {
                rest = after;
                continue;
            }
            parts.push(Part::Text(letter.to_string()));
            rest = &rest[letter.len_utf8()..];
        }
    }
    parts
}

/// Tells whether a text is the name of a field: in upper or in lower case, and the names of days and months as titles, too.
fn is_written(text: &str, name: &str) -> bool {
    let (first, others) = text.split_at(1.min(text.len()));
    text == name
        || text.eq_ignore_ascii_case(name)
            && (!text.bytes().any(|letter| letter.is_ascii_uppercase())
                || matches!(name, "MONTH" | "MON" | "DAY" | "DY")
                    && first.bytes().all(|letter| letter.is_ascii_uppercase())
                    && others.bytes().all(|letter| letter.is_ascii_lowercase()))
}

/// Reads a text up to its closing quotation mark, if there is one, and returns what follows.
fn quoted(rest: &str) -> (String, &str) {
    let mut text = String::new();
    let mut letters = rest.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => text.extend(letters.next()),
            other => text.push(other),
        }
    }
    (text, letters.as_str())
}

fn shape(written: &str) -> Shape {
    let mut letters = written.chars().filter(char::is_ascii_alphabetic);
    match (letters.next(), letters.next()) {
        (Some(first), _) if first.is_ascii_lowercase() => Shape::Lower,
        (Some(_), Some(second)) if second.is_ascii_lowercase() => Shape::Title,
        _ => Shape::Upper,
    }
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
pub(super) const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

impl Part {
    fn write(&self, shown: &Shown<'_>, out: &mut String) {
        let time = shown.time;
        let (name, fill, ordinal, shape) = match self {
            Part::Text(text) => return out.push_str(text),
            Part::Field { name, fill, ordinal, shape } => (*name, *fill, *ordinal, *shape),
        };
        if let Some((value, width)) = numeric(name, time) {
            let fill = fill || is_fraction(name);
            let width = if value < 0 { width + 1 } else { width };
            let text = if fill { format!("{value:0width$}") } else { value.to_string() };
            out.push_str(&text);
            if let Some(upper) = ordinal {
                out.push_str(ending(value, upper));
            }
            return;
        }
        let (text, width) = word(name, shown);
        let text = match shape {
            Shape::Upper => text.to_uppercase(),
            Shape::Lower => text.to_lowercase(),
            Shape::Title => text,
        };
        out.push_str(&text);
        if fill {
            (text.len()..width).for_each(|_| out.push(' '));
        }
    }
}

/// The number that a pattern stands for, and its width.
fn numeric(name: &str, time: NaiveDateTime) -> Option<(i64, usize)> {
    // There is no year 0: the one before the first is 1 BC.
    let counted = i64::from(time.year());
    let year = if counted > 0 { counted } else { 1 - counted };
    let iso = i64::from(time.iso_week().year());
    let iso = if iso > 0 { iso } else { 1 - iso };
    let hour12 = i64::from(time.hour12().1);
    let seconds = i64::from(time.num_seconds_from_midnight());
    let micros = i64::from(time.nanosecond() / 1000);
    Some(match name {
        "YYYY" => (year, 4),
        "YYY" => (year.rem_euclid(1000), 3),
        "YY" => (year.rem_euclid(100), 2),
        "Y" => (year.rem_euclid(10), 1),
        "IYYY" => (iso, 4),
        "IYY" => (iso.rem_euclid(1000), 3),
        "IY" => (iso.rem_euclid(100), 2),
        "I" => (iso.rem_euclid(10), 1),
        "MM" => (time.month().into(), 2),
        "DD" => (time.day().into(), 2),
        "DDD" => (time.ordinal().into(), 3),
        "IDDD" => (i64::from(time.iso_week().week0() * 7 + time.weekday().number_from_monday()), 3),
        "D" => (time.weekday().number_from_sunday().into(), 1),
        "ID" => (time.weekday().number_from_monday().into(), 1),
        "HH24" => (time.hour().into(), 2),
        "HH12" | "HH" => (hour12, 2),
        "MI" => (time.minute().into(), 2),
        "SS" => (time.second().into(), 2),
        "SSSS" | "SSSSS" => (seconds, 1),
        "IW" => (time.iso_week().week().into(), 2),
        "WW" => (i64::from((time.ordinal() - 1) / 7 + 1), 2),
        "W" => (i64::from((time.day() - 1) / 7 + 1), 1),
        "Q" => (i64::from((time.month() - 1) / 3 + 1), 1),
        "CC" if counted > 0 => ((counted - 1) / 100 + 1, 2),
        "CC" => (-((100 - counted) / 100), 2),
        "J" => (i64::from(time.date().num_days_from_ce()) + 1_721_425, 1),
        _ => return fraction(name, micros),
    })
}

/// The parts of a second that a pattern stands for, and how many digits they have.
fn fraction(name: &str, micros: i64) -> Option<(i64, usize)> {
    let digits: usize = match name {
        "MS" => 3,
        "US" => 6,
        other => other.strip_prefix("FF")?.parse().ok()?,
    };
    let unit = (digits..6).fold(1, |unit, _| unit * 10);
    Some((micros / unit, digits))
}

/// Whether a pattern stands for parts of a second, which always have all their digits.
fn is_fraction(name: &str) -> bool {
    matches!(name, "MS" | "US") || name.starts_with("FF")
}

/// The word that a pattern stands for as a title, and the width that it is filled to.
fn word(name: &str, shown: &Shown<'_>) -> (String, usize) {
    let time = shown.time;
    let (sign, east) = (if shown.offset < 0 { '-' } else { '+' }, shown.offset.unsigned_abs());
    let month = MONTHS[time.month0() as usize];
    let day = DAYS[time.weekday().num_days_from_sunday() as usize];
    let afternoon = time.hour12().0;
    match name {
        "MONTH" => (month.to_string(), 9),
        "MON" => (month[..3].to_string(), 0),
        "DAY" => (day.to_string(), 9),
        "DY" => (day[..3].to_string(), 0),
        "AM" | "PM" => ((if afternoon { "PM" } else { "AM" }).to_string(), 0),
        "A.M." | "P.M." => ((if afternoon { "P.M." } else { "A.M." }).to_string(), 0),
        "BC" | "AD" => ((if time.year() < 1 { "BC" } else { "AD" }).to_string(), 0),
        "B.C." | "A.D." => ((if time.year() < 1 { "B.C." } else { "A.D." }).to_string(), 0),
        "RM" => (ROMAN[time.month0() as usize].to_string(), 4),
        "TZ" => (shown.zone.to_string(), 0),
        "TZH" => (format!("{sign}{:02}", east / 3600), 0),
        "TZM" => (format!("{:02}", east / 60 % 60), 0),
        "OF" if east.is_multiple_of(3600) => (format!("{sign}{:02}", east / 3600), 0),
        "OF" => (format!("{sign}{:02}:{:02}", east / 3600, east / 60 % 60), 0),
        _ => {
            let year = if time.year() > 0 { time.year() } else { 1 - time.year() };
            (format!("{},{:03}", year / 1000, year % 1000), 0)
        }
    }
}

fn ending(value: i64, upper: bool) -> &'static str {
    let value = value.unsigned_abs();
    let at = match (value % 100, value % 10) {
        (11..=13, _) => 3,
        (_, 1) => 0,
        (_, 2) => 1,
        (_, 3) => 2,
        _ => 3,
    };
    if upper { ["ST", "ND", "RD", "TH"][at] } else { ["st", "nd", "rd", "th"][at] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_times_as_postgres_does() {
        let time = DateTime::from_timestamp_micros(1_770_987_909_012_345)
            .map(|t| t.naive_utc())
            .unwrap_or_default();
        let check = |pattern: &str, expected: &str| {
            let mut out = String::new();
            let shown = Shown { time, zone: "UTC", offset: -12_600 };
            parse(pattern).iter().for_each(|part| part.write(&shown, &mut out));
            assert_eq!(out, expected, "{pattern}");
        };
        check("YYYY-MM-DD HH24:MI:SS.US", "2026-02-13 13:05:09.012345");
        check("FMDay, FMDDth FMMonth YYYY", "Friday, 13th February 2026");
        check("Month|mon|DY", "February |feb|FRI");
        check("YYYY-\"W\"IW-ID Q HH12 am", "2026-W07-5 1 01 pm");
        check("YYYY-MM-DD\"T\"HH24:MI:SS TZ", "2026-02-13T13:05:09 UTC");
        check("J DDD WW W CC", "2461085 044 07 2 21");
        check("SS.FF3 TZH:TZM OF TMMonth", "09.012 -03:30 -03:30 February");
        check("HH24hMI FMMS FMMM", "13h05 012 2");
        check("Mm Dd YYYYSP Y,YYY", "Mm 66 2026 2,026");
        check("%Y-xx \\\"DD\\\" \"a\\\"b\"", "%6-xx \"13\" a\"b");
    }
}
