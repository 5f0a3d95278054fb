//! What intervals and times of a day are made of, as PostgreSQL takes them apart: an hour of an interval may be the hundredth,
//! and the last moment of a day is 24:00.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType};
use datafusion::common::{DataFusionError, Result};

use super::super::failure;
use super::super::to_char::as_spans;
use super::DAY_US;
use crate::Error;

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
const HOUR_US: i64 = 60 * MINUTE_US;
const MONTHS_A_YEAR: i32 = 12;

/// Why a field is refused: the SQLSTATE, and how PostgreSQL says it.
type Why = (&'static str, &'static str);
const UNSUPPORTED: Why = ("0A000", "not supported");
const UNKNOWN: Why = ("22023", "not recognized");

/// A part of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Microseconds of a minute, counted in units of so many digits.
    Micros(i32),
    Minute,
    Hour,
    Day,
    Month,
    Quarter,
    /// So many years.
    Years(i32),
    /// All of it, in seconds.
    Epoch,
}

/// Tells whether values of a type are intervals or times of a day.
pub(super) fn are_spans(of: &DataType) -> bool {
    matches!(of, DataType::Interval(_) | DataType::Duration(_)) || is_time(of)
}

fn is_time(of: &DataType) -> bool {
    matches!(of, DataType::Time64(_))
}

/// Finds a field of intervals or of times of a day, as numbers of a type.
pub(super) fn parts(array: &ArrayRef, field: &str, to: &DataType) -> Result<ArrayRef> {
    // Nobody asks a null whether it has such a part.
    if array.null_count() == array.len() {
        return Ok(new_null_array(to, array.len()));
    }
    let part = part(field, array.data_type())?;
    let spans = as_spans(array)?;
    let spans = spans.as_primitive::<IntervalMonthDayNanoType>();
    match to {
        DataType::Decimal128(precision, scale) => {
            let numbers: Decimal128Array = spans.unary(|span| exact(&span, part));
            Ok(Arc::new(numbers.with_precision_and_scale(*precision, *scale)?))
        }
        _ => {
            let numbers: Float64Array = spans.unary(|span| float(&span, part));
            Ok(Arc::new(numbers))
        }
    }
}

/// The part that a field names; not every part is one of a time of a day.
fn part(field: &str, of: &DataType) -> Result<Part> {
    let field = field.trim().to_lowercase();
    let part = match field.as_str() {
        "us" | "usec" | "usecs" | "microsecond" | "microseconds" => Part::Micros(0),
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => Part::Micros(3),
        "s" | "sec" | "secs" | "second" | "seconds" => Part::Micros(6),
        "m" | "min" | "mins" | "minute" | "minutes" => Part::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Part::Hour,
        "epoch" => Part::Epoch,
        "d" | "day" | "days" => Part::Day,
        "mon" | "mons" | "month" | "months" => Part::Month,
        "qtr" | "quarter" => Part::Quarter,
        "y" | "yr" | "yrs" | "year" | "years" => Part::Years(1),
        "dec" | "decs" | "decade" | "decades" => Part::Years(10),
        "c" | "cent" | "century" | "centuries" => Part::Years(100),
        "mil" | "mils" | "millennium" | "millennia" => Part::Years(1000),
        "w" | "week" | "weeks" | "dow" | "isodow" | "doy" | "isoyear" | "j" | "jd" | "julian"
        | "timezone" | "timezone_hour" | "timezone_minute" => {
            return Err(refused(UNSUPPORTED, &field, of));
        }
        _ => return Err(refused(UNKNOWN, &field, of)),
    };
    match part {
        Part::Micros(_) | Part::Minute | Part::Hour | Part::Epoch => Ok(part),
        _ if is_time(of) => Err(refused(UNSUPPORTED, &field, of)),
        _ => Ok(part),
    }
}

fn refused((sqlstate, why): Why, field: &str, of: &DataType) -> DataFusionError {
    let (name, hint) = match is_time(of) {
        true => ("time without time zone", "A time of a day has hours, minutes and seconds."),
        false => ("interval", "An interval has years, months, days, hours, minutes and seconds."),
    };
    let message = format!("unit \"{field}\" {why} for type {name}");
    failure(Error::Standard { sqlstate, message, hint: hint.to_owned() })
}

/// A part as a whole number: of microseconds, where the type of the result says how many digits are behind the point.
fn exact(span: &IntervalMonthDayNano, part: Part) -> i128 {
    let micros = span.nanoseconds / 1000;
    let month = span.months % MONTHS_A_YEAR;
    match part {
        Part::Micros(_) => i128::from(micros % MINUTE_US),
        Part::Minute => i128::from(micros / MINUTE_US % 60),
        Part::Hour => i128::from(micros / HOUR_US),
        Part::Day => i128::from(span.days),
        Part::Month => i128::from(month),
        Part::Quarter => i128::from(month / 3 + 1),
        Part::Years(years) => i128::from(span.months / MONTHS_A_YEAR / years),
        Part::Epoch => {
            // Years have 365 days and a quarter, and months 30.
            let years = i128::from(span.months / MONTHS_A_YEAR);
            let quarters = years * 1461 + i128::from(month) * 120 + i128::from(span.days) * 4;
            quarters * i128::from(DAY_US / 4) + i128::from(micros)
        }
    }
}

/// A part as PostgreSQL's `date_part` counts it, whose sums of floats are rounded one by one.
fn float(span: &IntervalMonthDayNano, part: Part) -> f64 {
    const DAY_S: f64 = 86_400.0;
    match part {
        Part::Micros(scale) => exact(span, part) as f64 / 10_f64.powi(scale),
        Part::Epoch => {
            let micros = span.nanoseconds / 1000;
            let seconds = micros as f64 / SECOND_US as f64;
            let seconds = seconds + 365.25 * DAY_S * f64::from(span.months / MONTHS_A_YEAR);
            let seconds = seconds + 30.0 * DAY_S * f64::from(span.months % MONTHS_A_YEAR);
            seconds + DAY_S * f64::from(span.days)
        }
        _ => exact(span, part) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_of_intervals_have_a_quarter_of_a_day() {
        let epoch = |span| exact(&span, Part::Epoch);
        assert_eq!(epoch(IntervalMonthDayNano::new(12, 0, 0)), 31_557_600_000_000);
        assert_eq!(epoch(IntervalMonthDayNano::new(1, 1, 1_000_000)), 31 * 86_400_000_000 + 1000);
    }

    #[test]
    fn seconds_of_intervals_keep_their_parts() {
        let span = IntervalMonthDayNano::new(14, 3, 14_706_789_000_000);
        for (part, expected) in [
            (Part::Micros(6), 6_789_000),
            (Part::Minute, 5),
            (Part::Hour, 4),
            (Part::Quarter, 1),
            (Part::Years(1), 1),
        ] {
            assert_eq!(exact(&span, part), expected, "{part:?}");
        }
        assert_eq!(float(&span, Part::Micros(6)), 6.789);
    }

    #[test]
    fn a_time_of_a_day_has_no_days() {
        let time = DataType::Time64(datafusion::arrow::datatypes::TimeUnit::Microsecond);
        assert!(part("hour", &time).is_ok() && part("day", &time).is_err());
    }
}
