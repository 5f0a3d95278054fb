//! Times and spans made of numbers or of others: `make_date`, `make_timestamp`, `make_interval`, `justify_days` and their
//! like, times with fewer digits, and the clock as it is now.

use std::sync::Arc;

use chrono::{NaiveDate, Utc};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Builder, IntervalMonthDayNanoBuilder, ListArray,
    PrimitiveArray, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{DataFusionError, Result, internal_err, plan_err};
use datafusion::logical_expr::Volatility;

use super::elapsed::INTERVAL;
use super::endless::end;
use super::{Body, Call, Function, Kind, failure};
use crate::Error;
use crate::query::postgres::input::abbreviated;
use crate::query::postgres::types::UTC;
use crate::query::postgres::zone::Zone;
use crate::query::postgres::zone_of;

use Kind::{Any, Float, Int, Text};

const CLOCK: &[Kind] = &[Int, Int, Int, Int, Int, Float];
const CLOCK_AND_ZONE: &[Kind] = &[Int, Int, Int, Int, Int, Float, Text];
const UNITS: &[Kind] = &[Int, Int, Int, Int, Int, Int, Float];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("make_date", &[Int, Int, Int], "date", Body::Column(make_date))
        .with(Volatility::Immutable),
    Function::new("make_timestamp", CLOCK, "timestamp", Body::Column(make_timestamp))
        .with(Volatility::Immutable),
    Function::new("make_timestamptz", CLOCK_AND_ZONE, "timestamptz", Body::Column(make_moment))
        .at_least(6),
    Function::new("make_interval", UNITS, "interval", Body::Column(make_interval))
        .with(Volatility::Immutable),
    Function::new("justify_hours", &[Any], "interval", Body::Column(|c| justified(c, true, false)))
        .with(Volatility::Immutable),
    Function::new("justify_days", &[Any], "interval", Body::Column(|c| justified(c, false, true)))
        .with(Volatility::Immutable),
    Function::new(
        "justify_interval",
        &[Any],
        "interval",
        Body::Column(|c| justified(c, true, true)),
    )
    .with(Volatility::Immutable),
    Function::new(TIME_ROUNDED, &[Any, Int], "", Body::Column(time_rounded))
        .with(Volatility::Immutable),
    Function::new("isfinite", &[Any], "bool", Body::Column(is_finite)).with(Volatility::Immutable),
    Function::new("clock_timestamp", &[], "timestamptz", Body::Column(clock_timestamp))
        .with(Volatility::Volatile),
];

/// The name of the function that the rewriting gives times fewer digits by.
pub(in crate::query::postgres) const TIME_ROUNDED: &str = "time_rounded";

const SECOND_US: f64 = 1e6;
const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 1440 * MINUTE_US;
const NANOS_A_DAY: i64 = DAY_US * 1000;
const MONTH_DAYS: i32 = 30;
/// Digits of a second that are kept.
const DIGITS: i64 = 6;
/// The year 2000, from which PostgreSQL counts and rounds, in microseconds since 1970.
const YEAR_2000_US: i64 = 946_684_800_000_000;

fn out_of_range(what: &str) -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "22008",
        message: format!("{what} out of range"),
        hint: "A year has 12 months, a day 24 hours, an hour 60 minutes.".to_string(),
    })
}

/// The wall clocks that numbers say.
fn clocks(call: &Call<'_>) -> Result<TimestampMicrosecondArray> {
    let Some(seconds) = call.arguments[5].as_primitive_opt::<Float64Type>() else {
        return internal_err!("make_timestamp takes seconds as a floating-point number");
    };
    let mut clocks = TimestampMicrosecondBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let part = |at: usize| call.int(at, row);
        let day = part(0).zip(part(1)).zip(part(2));
        let (Some(((year, month), day)), Some((hour, minute))) = (day, part(3).zip(part(4))) else {
            clocks.append_null();
            continue;
        };
        match seconds.is_valid(row) {
            true => clocks.append_value(
                clock((year, month, day), (hour, minute, seconds.value(row)))
                    .ok_or_else(|| out_of_range("date/time field value"))?,
            ),
            false => clocks.append_null(),
        }
    }
    Ok(clocks.finish())
}

/// Microseconds since 1970; `None` where there is no such time. A negative year is one before our era.
fn clock(day: (i64, i64, i64), time: (i64, i64, f64)) -> Option<i64> {
    let year = if day.0 < 0 { day.0 + 1 } else { day.0 };
    let (month, of_month) = (u32::try_from(day.1).ok()?, u32::try_from(day.2).ok()?);
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, of_month)?;
    let date = date.and_hms_opt(0, 0, 0).filter(|_| day.0 != 0)?.and_utc().timestamp_micros();
    let (hour, minute, second) = time;
    let micros = (second * SECOND_US).round_ties_even();
    let fits = (0..=24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..=MINUTE_US as f64).contains(&micros);
    let time = fits.then(|| (hour * 60 + minute) * MINUTE_US + micros as i64)?;
    (time <= DAY_US).then(|| date.checked_add(time)).flatten()
}

fn make_date(call: &Call<'_>) -> Result<ArrayRef> {
    let mut days = Date32Builder::with_capacity(call.rows);
    for row in 0..call.rows {
        let day = call.int(0, row).zip(call.int(1, row)).zip(call.int(2, row));
        let Some(((year, month), day)) = day else {
            days.append_null();
            continue;
        };
        let micros = clock((year, month, day), (0, 0, 0.0));
        let found = micros.and_then(|micros| i32::try_from(micros.div_euclid(DAY_US)).ok());
        days.append_value(found.ok_or_else(|| out_of_range("date field value"))?);
    }
    Ok(Arc::new(days.finish()))
}

fn make_timestamp(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(Arc::new(clocks(call)?))
}

fn make_moment(call: &Call<'_>) -> Result<ArrayRef> {
    let clocks = clocks(call)?;
    let session = zone_of(call.facts);
    if call.arguments.len() < CLOCK_AND_ZONE.len() {
        let moments: TimestampMicrosecondArray = clocks.unary(|clock| session.moment(clock));
        return Ok(Arc::new(moments.with_timezone(UTC)));
    }
    let mut moments = TimestampMicrosecondBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let name = call.text(CLOCK.len(), row).filter(|_| clocks.is_valid(row));
        let Some(name) = name else {
            moments.append_null();
            continue;
        };
        let abbreviated = || abbreviated(name).map(Zone::fixed);
        let zone = Zone::of_offset(name).or_else(|| Zone::parse(name)).or_else(abbreviated);
        let zone = zone.ok_or_else(|| {
            failure(Error::Standard {
                sqlstate: "22023",
                message: "time zone not recognized".to_string(),
                hint: "Use a name such as Europe/Warsaw, or UTC.".to_string(),
            })
        })?;
        moments.append_value(zone.moment(clocks.value(row)));
    }
    Ok(Arc::new(moments.finish().with_timezone(UTC)))
}

fn make_interval(call: &Call<'_>) -> Result<ArrayRef> {
    let Some(seconds) = call.arguments[6].as_primitive_opt::<Float64Type>() else {
        return internal_err!("make_interval takes seconds as a floating-point number");
    };
    let mut spans = IntervalMonthDayNanoBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let parts: Option<Vec<i64>> = (0..6).map(|at| call.int(at, row)).collect();
        let Some(parts) = parts.filter(|_| seconds.is_valid(row)) else {
            spans.append_null();
            continue;
        };
        let found = interval(&parts, seconds.value(row)).ok_or_else(|| out_of_range("interval"))?;
        spans.append_value(found);
    }
    Ok(Arc::new(spans.finish()))
}

/// Years, months, weeks, days, hours and minutes, and seconds, as an interval.
fn interval(parts: &[i64], seconds: f64) -> Option<IntervalMonthDayNano> {
    let [years, months, weeks, days, hours, minutes] = parts else { return None };
    let months = years.checked_mul(12)?.checked_add(*months)?;
    let days = weeks.checked_mul(7)?.checked_add(*days)?;
    let minutes = hours.checked_mul(60)?.checked_add(*minutes)?;
    let micros = (seconds * SECOND_US).round_ties_even();
    if micros.is_nan() || micros.abs() >= i64::MAX as f64 {
        return None;
    }
    let micros = minutes.checked_mul(MINUTE_US)?.checked_add(micros as i64)?;
    let (months, days) = (i32::try_from(months).ok()?, i32::try_from(days).ok()?);
    Some(IntervalMonthDayNano::new(months, days, micros.checked_mul(1000)?))
}

fn spans(call: &Call<'_>) -> Result<ArrayRef> {
    match call.arguments[0].data_type() {
        DataType::Interval(_) | DataType::Duration(_) => Ok(cast(&call.arguments[0], &INTERVAL)?),
        other => plan_err!("an interval is expected, not {other}"),
    }
}

/// Intervals whose days of 24 hours and whose months of 30 days are counted as such, with parts of one sign.
fn justified(call: &Call<'_>, hours: bool, days: bool) -> Result<ArrayRef> {
    let spans = spans(call)?;
    let spans = spans.as_primitive::<IntervalMonthDayNanoType>();
    let found: PrimitiveArray<IntervalMonthDayNanoType> =
        spans.unary(|span| justify(span, hours, days));
    Ok(Arc::new(found))
}

fn justify(span: IntervalMonthDayNano, hours: bool, by_month: bool) -> IntervalMonthDayNano {
    let (mut months, mut days, mut nanos) = (span.months, span.days, span.nanoseconds);
    if hours {
        let whole = i32::try_from(nanos / NANOS_A_DAY).unwrap_or(0);
        days = days.saturating_add(whole);
        nanos -= i64::from(whole) * NANOS_A_DAY;
    }
    if by_month {
        months = months.saturating_add(days / MONTH_DAYS);
        days %= MONTH_DAYS;
        if months > 0 && (days < 0 || hours && days == 0 && nanos < 0) {
            (months, days) = (months - 1, days + MONTH_DAYS);
        } else if months < 0 && (days > 0 || hours && days == 0 && nanos > 0) {
            (months, days) = (months + 1, days - MONTH_DAYS);
        }
    }
    if hours && days > 0 && nanos < 0 {
        (days, nanos) = (days - 1, nanos + NANOS_A_DAY);
    } else if hours && days < 0 && nanos > 0 {
        (days, nanos) = (days + 1, nanos - NANOS_A_DAY);
    }
    IntervalMonthDayNano::new(months, days, nanos)
}

/// Times of so many digits of a second.
fn time_rounded(call: &Call<'_>) -> Result<ArrayRef> {
    let array = &call.arguments[0];
    let digits = if call.rows == 0 { None } else { call.int(1, 0) };
    let Some(digits) = digits.filter(|digits| (0..DIGITS).contains(digits)) else {
        return Ok(Arc::clone(array));
    };
    in_units(array, (digits..DIGITS).fold(1, |unit, _| unit * 10))
}

/// Rounds times, or those in arrays, to whole units of so many microseconds.
fn in_units(array: &ArrayRef, unit: i64) -> Result<ArrayRef> {
    fn all<T: ArrowPrimitiveType>(
        array: &ArrayRef,
        round: impl Fn(T::Native) -> T::Native,
    ) -> ArrayRef {
        let rounded: PrimitiveArray<T> = array.as_primitive::<T>().unary(round);
        Arc::new(rounded.with_data_type(array.data_type().clone()))
    }
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            all::<TimestampMicrosecondType>(array, |micros| {
                rounded(micros.saturating_sub(YEAR_2000_US), unit).saturating_add(YEAR_2000_US)
            })
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            all::<Time64MicrosecondType>(array, |micros| rounded(micros, unit))
        }
        DataType::Interval(_) => all::<IntervalMonthDayNanoType>(array, |span| {
            let nanos = rounded(span.nanoseconds / 1000, unit).saturating_mul(1000);
            IntervalMonthDayNano::new(span.months, span.days, nanos)
        }),
        DataType::List(item) => {
            let lists = array.as_list::<i32>();
            let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
            let values = in_units(lists.values(), unit)?;
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, nulls)?)
        }
        _ => Arc::clone(array),
    })
}

/// A half goes away from zero.
fn rounded(micros: i64, unit: i64) -> i64 {
    let half = unit / 2 * micros.signum();
    micros.saturating_add(half) / unit * unit
}

fn is_finite(call: &Call<'_>) -> Result<ArrayRef> {
    let array = &call.arguments[0];
    if !array.data_type().is_temporal() {
        return plan_err!("a date or time is expected, not {}", array.data_type());
    }
    let finite = (0..call.rows).map(|row| array.is_valid(row).then(|| end(array, row).is_none()));
    Ok(Arc::new(finite.collect::<BooleanArray>()))
}

fn clock_timestamp(call: &Call<'_>) -> Result<ArrayRef> {
    let now = TimestampMicrosecondArray::from_value(Utc::now().timestamp_micros(), call.rows);
    Ok(Arc::new(now.with_timezone(UTC)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(months: i32, days: i32, hours: i64) -> IntervalMonthDayNano {
        IntervalMonthDayNano::new(months, days, hours * 3_600_000_000_000)
    }

    #[test]
    fn spans_are_justified_as_in_postgresql() {
        assert_eq!(justify(span(0, 0, 27), true, false), span(0, 1, 3));
        assert_eq!(justify(span(0, 1, -1), true, false), span(0, 0, 23));
        assert_eq!(justify(span(0, 35, 0), false, true), span(1, 5, 0));
        assert_eq!(justify(span(1, 0, -1), true, true), span(0, 29, 23));
        assert_eq!(justify(span(0, -35, 0), false, true), span(-1, -5, 0));
    }

    #[test]
    fn times_are_rounded_half_away_from_zero() {
        assert_eq!(rounded(600_000, 1_000_000), 1_000_000);
        assert_eq!(rounded(-500_000, 1_000_000), -1_000_000);
        assert_eq!(rounded(123_449, 1_000), 123_000);
    }

    #[test]
    fn clocks_are_those_that_there_are() {
        assert_eq!(clock((1970, 1, 2), (1, 0, 0.5)), Some(DAY_US + 60 * MINUTE_US + 500_000));
        assert_eq!(clock((2023, 2, 29), (0, 0, 0.0)), None);
        assert_eq!(clock((0, 1, 1), (0, 0, 0.0)), None);
        assert_eq!(
            interval(&[1, 2, 1, 3, 4, 5], 6.5),
            Some(IntervalMonthDayNano::new(14, 10, 14_706_500_000_000))
        );
    }
}
