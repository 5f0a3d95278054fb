//! `age(a, b)`: the time between two times in years, months and days, as people count them.

use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDateTime};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, IntervalMonthDayNano, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Volatility;

use super::endless::midnights;
use super::{Body, Call, Function, Kind, failure};
use crate::Error;

pub(super) const FUNCTIONS: &[Function] =
    &[Function::new("age", &[Kind::Any, Kind::Any], "interval", Body::Column(age))
        .with(Volatility::Immutable)];

const NANOS_A_DAY: i64 = 86_400_000_000_000;

fn age(call: &Call<'_>) -> Result<ArrayRef> {
    let (later, earlier) = (micros(&call.arguments[0])?, micros(&call.arguments[1])?);
    let (later, earlier) = (
        later.as_primitive::<TimestampMicrosecondType>(),
        earlier.as_primitive::<TimestampMicrosecondType>(),
    );
    let mut ages = IntervalMonthDayNanoBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        if later.is_null(row) || earlier.is_null(row) {
            ages.append_null();
            continue;
        }
        let times = DateTime::from_timestamp_micros(later.value(row))
            .zip(DateTime::from_timestamp_micros(earlier.value(row)));
        let Some((later, earlier)) = times else {
            return Err(failure(Error::Standard {
                sqlstate: "22008",
                message: "timestamp out of range".to_owned(),
                hint: "Leave infinite times out: WHERE isfinite(time).".to_owned(),
            }));
        };
        ages.append_value(between(later.naive_utc(), earlier.naive_utc()));
    }
    Ok(Arc::new(ages.finish()))
}

/// Dates, times and the text of times in microseconds.
pub(super) fn micros(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 | DataType::Int64 => {}
        text if text.is_string() => {}
        other => return plan_err!("a date or time is expected, not {other}"),
    }
    if *array.data_type() == DataType::Date32 {
        return midnights(array);
    }
    // Through the zone's own time first: a cast that drops the zone would shift.
    let zone = match array.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let instants = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, zone))?;
    Ok(Arc::new(
        instants
            .as_primitive::<TimestampMicrosecondType>()
            .clone()
            .with_timezone_opt(None::<Arc<str>>),
    ))
}

fn between(a: NaiveDateTime, b: NaiveDateTime) -> IntervalMonthDayNano {
    let (later, earlier, sign) = if a >= b { (a, b, 1) } else { (b, a, -1) };
    let mut nanos = (later.time() - earlier.time()).num_nanoseconds().unwrap_or(0);
    let mut days = i64::from(later.day()) - i64::from(earlier.day());
    let mut months =
        (later.year() - earlier.year()) * 12 + later.month() as i32 - earlier.month() as i32;
    if nanos < 0 {
        nanos += NANOS_A_DAY;
        days -= 1;
    }
    if days < 0 {
        // PostgreSQL borrows the days of the month of the earlier time.
        days += i64::from(days_of_month(earlier));
        months -= 1;
    }
    IntervalMonthDayNano::new(
        sign * months,
        sign * i32::try_from(days).unwrap_or(0),
        i64::from(sign) * nanos,
    )
}

fn days_of_month(time: NaiveDateTime) -> u32 {
    match time.month() {
        2 if time.date().leap_year() => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &str, b: &str, months: i32, days: i32, hours: i64) {
        let parse = |text: &str| {
            NaiveDateTime::parse_from_str(&format!("{text}:00"), "%Y-%m-%d %H:%M").unwrap()
        };
        assert_eq!(
            between(parse(a), parse(b)),
            IntervalMonthDayNano::new(months, days, hours * 3_600_000_000_000),
            "{a} {b}"
        );
    }

    #[test]
    fn counts_as_postgres_does() {
        check("2024-03-31 00", "2024-02-29 00", 1, 2, 0);
        check("2026-11-23 05", "2000-01-31 06", 26 * 12 + 9, 22, 23);
        check("2024-01-01 00", "2024-03-01 00", -2, 0, 0);
        check("2024-02-03 00", "2024-04-01 00", -1, -27, 0);
    }
}
