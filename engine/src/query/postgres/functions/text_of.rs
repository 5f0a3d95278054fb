//! A cast to text as PostgreSQL writes it, of types whose text is another in Arrow: points in time in the session's zone,
//! times of a day, floating point numbers, intervals, bytes and arrays.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, DurationMicrosecondType, Float32Type, Float64Type, Int64Type,
    IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use super::endless::{is_endless_day, is_endless_time, word};
use crate::query::postgres::zone::Zone;

const SECOND_US: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
const DAY_US: i64 = DAY_SECONDS * SECOND_US;

/// From this decimal exponent on a `real` and a `double precision` are written with one.
const REAL_EXPONENT_FROM: i32 = 6;
const DOUBLE_EXPONENT_FROM: i32 = 15;
/// Below this decimal exponent both are.
const EXPONENT_BELOW: i32 = -4;

static TEXT_OF: LazyLock<ScalarUDF> = LazyLock::new(|| {
    ScalarUDF::from(TextOf { signature: Signature::any(2, Volatility::Immutable) })
});

/// Writes an expression as text, in a zone.
pub(in crate::query::postgres) fn text_of(zone: &str, value: Expr) -> Expr {
    TEXT_OF.call(vec![lit(zone), value])
}

/// Tells whether Arrow writes values of a type otherwise.
pub(in crate::query::postgres) fn is_other_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(_, _)
        | DataType::Date32
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Float32
        | DataType::Float64
        | DataType::Interval(IntervalUnit::MonthDayNano)
        | DataType::Binary => true,
        // Objects have names of their own.
        DataType::List(element) => {
            element.metadata().is_empty() && !matches!(element.data_type(), DataType::Struct(_))
        }
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextOf {
    signature: Signature,
}

impl ScalarUDFImpl for TextOf {
    fn name(&self) -> &str {
        "text_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(ScalarValue::Utf8(Some(zone))), values] = args.args.as_slice()
        else {
            return internal_err!("text_of takes a zone and values");
        };
        let zone = Zone::parse(zone).unwrap_or_else(Zone::utc);
        Ok(match values {
            ColumnarValue::Array(array) => ColumnarValue::Array(Arc::new(texts(array, &zone)?)),
            ColumnarValue::Scalar(value) => {
                let text: ArrayRef = Arc::new(texts(&value.to_array()?, &zone)?);
                ColumnarValue::Scalar(ScalarValue::try_from_array(&text, 0)?)
            }
        })
    }
}

/// Writes a column as texts, points in time in a zone.
pub(super) fn texts(array: &ArrayRef, zone: &Zone) -> Result<StringArray> {
    Ok(match array.data_type() {
        DataType::Timestamp(_, tz) => {
            let micros = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, tz.clone()))?;
            let micros = micros.as_primitive::<TimestampMicrosecondType>();
            let zone = tz.is_some().then_some(zone);
            each(array, |row, out| put_timestamp(micros.value(row), zone, out))
        }
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>();
            each(array, |row, out| match days.value(row) {
                end if is_endless_day(end) => out.push_str(word(end > 0)),
                day => {
                    let is_before_christ = put_day(i64::from(day), out);
                    out.push_str(if is_before_christ { " BC" } else { "" });
                }
            })
        }
        DataType::Time64(_) => {
            let micros = cast(array, &DataType::Time64(TimeUnit::Microsecond))?;
            let micros = cast(&micros, &DataType::Int64)?;
            let micros = micros.as_primitive::<Int64Type>();
            each(array, |row, out| put_clock(micros.value(row), out))
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            each(array, |row, out| {
                let value = values.value(row);
                put_float(value.into(), &format!("{value:e}"), REAL_EXPONENT_FROM, out);
            })
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            each(array, |row, out| {
                let value = values.value(row);
                put_float(value, &format!("{value:e}"), DOUBLE_EXPONENT_FROM, out);
            })
        }
        DataType::Duration(_) => {
            let micros = cast(array, &DataType::Duration(TimeUnit::Microsecond))?;
            let micros = micros.as_primitive::<DurationMicrosecondType>();
            each(array, |row, out| {
                let micros = micros.value(row);
                let days = i32::try_from(micros / DAY_US).unwrap_or(0);
                put_interval(0, days, micros - i64::from(days) * DAY_US, out);
            })
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let values = array.as_primitive::<IntervalMonthDayNanoType>();
            each(array, |row, out| {
                let value = values.value(row);
                put_interval(value.months, value.days, value.nanoseconds / 1000, out);
            })
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            each(array, |row, out| {
                out.push_str("\\x");
                out.push_str(&hex::encode(values.value(row)));
            })
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let (offsets, is_nested) =
                (lists.value_offsets(), lists.values().data_type().is_nested());
            let elements = element_texts(lists.values(), zone)?;
            let at = |row: usize| usize::try_from(offsets[row]).unwrap_or(0);
            each(array, |row, out| {
                out.push('{');
                for (index, element) in (at(row)..at(row + 1)).enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    match elements.is_valid(element) {
                        true => put_element(elements.value(element), is_nested, out),
                        false => out.push_str("NULL"),
                    }
                }
                out.push('}');
            })
        }
        _ => cast(array, &DataType::Utf8)?.as_string::<i32>().clone(),
    })
}

/// As [`texts`], of the elements of arrays, among which a boolean is a letter.
pub(super) fn element_texts(elements: &ArrayRef, zone: &Zone) -> Result<StringArray> {
    let Some(flags) = elements.as_boolean_opt() else { return texts(elements, zone) };
    let letter = |flag| if flag { "t" } else { "f" };
    Ok(flags.iter().map(|flag| flag.map(letter)).collect())
}

/// Writes each value that is not null.
fn each(array: &ArrayRef, mut write: impl FnMut(usize, &mut String)) -> StringArray {
    let mut found = StringBuilder::new();
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            found.append_null();
            continue;
        }
        text.clear();
        write(row, &mut text);
        found.append_value(&text);
    }
    found.finish()
}

/// Appends formatted text: a `String` takes all.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

fn put_timestamp(micros: i64, zone: Option<&Zone>, out: &mut String) {
    if is_endless_time(micros) {
        return out.push_str(word(micros > 0));
    }
    let utc = micros.div_euclid(SECOND_US);
    let offset = zone.map(|zone| zone.offset_at(utc));
    let seconds = utc + i64::from(offset.unwrap_or(0));
    let is_before_christ = put_day(seconds.div_euclid(DAY_SECONDS), out);
    out.push(' ');
    put_clock(seconds.rem_euclid(DAY_SECONDS) * SECOND_US + micros.rem_euclid(SECOND_US), out);
    if let Some(offset) = offset {
        let (sign, from) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
        put(out, format_args!("{sign}{:02}", from / 3600));
        if from % 3600 != 0 {
            put(out, format_args!(":{:02}", from / 60 % 60));
        }
        if from % 60 != 0 {
            put(out, format_args!(":{:02}", from % 60));
        }
    }
    if is_before_christ {
        out.push_str(" BC");
    }
}

/// Writes a day, and tells whether it is one before Christ.
fn put_day(days: i64, out: &mut String) -> bool {
    let (year, month, day) = civil(days);
    let shown = if year > 0 { year } else { 1 - year };
    put(out, format_args!("{shown:04}-{month:02}-{day:02}"));
    year <= 0
}

/// The day of the calendar that is so many days from 1970.
pub(super) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn put_clock(micros: i64, out: &mut String) {
    let (seconds, rest) = (micros / SECOND_US, micros % SECOND_US);
    put(out, format_args!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    if rest != 0 {
        let digits = format!("{rest:06}");
        put(out, format_args!(".{}", digits.trim_end_matches('0')));
    }
}

/// Lays out the digits of Rust's text, such as `1.5e3`, in PostgreSQL's way.
fn put_float(value: f64, shortest: &str, exponent_from: i32, out: &mut String) {
    if !value.is_finite() {
        out.push_str(match value {
            value if value.is_nan() => "NaN",
            f64::INFINITY => "Infinity",
            _ => "-Infinity",
        });
        return;
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent = exponent.parse::<i32>().unwrap_or(0);
    let digits = match mantissa.strip_prefix('-') {
        Some(rest) => {
            out.push('-');
            rest
        }
        None => mantissa,
    };
    let digits: String = digits.chars().filter(|letter| *letter != '.').collect();
    let (first, rest) = digits.split_at(1);
    if exponent < EXPONENT_BELOW || exponent >= exponent_from {
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        put(out, format_args!("{first}{point}{rest}e{sign}{:02}", exponent.unsigned_abs()));
        return;
    }
    match usize::try_from(exponent) {
        Ok(exponent) if digits.len() > exponent + 1 => {
            let (whole, fraction) = digits.split_at(exponent + 1);
            put(out, format_args!("{whole}.{fraction}"));
        }
        Ok(exponent) => put(out, format_args!("{digits:0<width$}", width = exponent + 1)),
        Err(_) => {
            let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
            put(out, format_args!("0.{:0<zeros$}{digits}", ""));
        }
    }
}

fn put_interval(months: i32, days: i32, micros: i64, out: &mut String) {
    let mut is_after_negative = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value == 0 {
            continue;
        }
        let blank = if out.is_empty() { "" } else { " " };
        let plus = if is_after_negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        put(out, format_args!("{blank}{plus}{value} {unit}{plural}"));
        is_after_negative = value < 0;
    }
    if micros == 0 && !out.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push(' ');
    }
    if micros < 0 {
        out.push('-');
    } else if is_after_negative {
        out.push('+');
    }
    put_clock(i64::try_from(micros.unsigned_abs()).unwrap_or(i64::MAX), out);
}

/// Appends an element of an array, in quotes when it needs them.
fn put_element(text: &str, is_array: bool, out: &mut String) {
    let special = |letter: char| {
        matches!(letter, '"' | '\\' | '{' | '}' | ',' | '\u{b}') || letter.is_ascii_whitespace()
    };
    if is_array || !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special)
    {
        out.push_str(text);
        return;
    }
    out.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_postgresql_does() {
        let text = |value: ScalarValue, zone: &str| {
            let zone = Zone::parse(zone).unwrap();
            texts(&value.to_array().unwrap(), &zone).unwrap().value(0).to_string()
        };
        let at = |micros| ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()));
        let double = |value| ScalarValue::Float64(Some(value));
        let interval = ScalarValue::new_interval_mdn;
        for (value, expected) in [
            (at(0), "1970-01-01 01:00:00+01"),
            (at(1_792_962_908_500_000), "2026-10-25 22:15:08.5+01"),
            (ScalarValue::TimestampMicrosecond(Some(-1), None), "1969-12-31 23:59:59.999999"),
            (
                ScalarValue::TimestampMicrosecond(Some(-62_135_596_800_000_001), None),
                "0001-12-31 23:59:59.999999 BC",
            ),
            (double(0.0), "0"),
            (double(-0.0), "-0"),
            (double(1.0), "1"),
            (double(0.1), "0.1"),
            (double(123_456.75), "123456.75"),
            (double(100_000_000_000_000.0), "100000000000000"),
            (double(1e15), "1e+15"),
            (double(0.0001), "0.0001"),
            (double(1.5e-5), "1.5e-05"),
            (double(5e-324), "5e-324"),
            (double(f64::NEG_INFINITY), "-Infinity"),
            (ScalarValue::Float32(Some(1e6)), "1e+06"),
            (ScalarValue::Float32(Some(0.1)), "0.1"),
            (interval(14, 3, 14_706_000_000_000), "1 year 2 mons 3 days 04:05:06"),
            (interval(-14, 3, -1_000_000_000), "-1 years -2 mons +3 days -00:00:01"),
            (interval(0, 0, 0), "00:00:00"),
            (ScalarValue::Binary(Some(vec![0, 255])), "\\x00ff"),
            (ScalarValue::Time64Microsecond(Some(37_230_500_000)), "10:20:30.5"),
            (ScalarValue::Time64Microsecond(Some(86_400_000_000)), "24:00:00"),
        ] {
            assert_eq!(text(value.clone(), "Europe/Warsaw"), expected, "{value}");
        }
        let list = |values: &[ScalarValue], data_type: &DataType| {
            ScalarValue::List(ScalarValue::new_list(values, data_type, true))
        };
        let words = ["a", "b c", "", "NULL", "x\"y"].map(ScalarValue::from);
        assert_eq!(text(list(&words, &DataType::Utf8), "UTC"), r#"{a,"b c","","NULL","x\"y"}"#);
        let flags = [ScalarValue::Boolean(Some(true)), ScalarValue::Boolean(None)];
        assert_eq!(text(list(&flags, &DataType::Boolean), "UTC"), "{t,NULL}");
    }
}
