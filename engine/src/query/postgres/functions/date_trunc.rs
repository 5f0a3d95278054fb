//! `date_trunc(unit, time [, zone])`, counted in microseconds.
//!
//! DataFusion's counts in nanoseconds, which end in the year 2262, and knows neither intervals nor units beyond a year.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, new_null_array};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::elapsed::INTERVAL;
use super::endless::{has_ends, is_endless_time};
use super::failure;
use super::text_of::civil;
use crate::Error;
use crate::query::postgres::input::abbreviated;
use crate::query::postgres::moments::{WALL_CLOCK, is_moment, moment_type};
use crate::query::postgres::zone::Zone;

const NAME: &str = "date_trunc";

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3600 * SECOND_US;
const DAY_US: i64 = 24 * HOUR_US;
/// Days from a Monday to 1970.
const MONDAY_DAYS: i64 = 3;

static DATE_TRUNC: LazyLock<ScalarUDF> = LazyLock::new(|| {
    ScalarUDF::from(DateTrunc { signature: Signature::user_defined(Volatility::Immutable) })
});

/// Returns the function.
pub(super) fn date_trunc() -> ScalarUDF {
    DATE_TRUNC.clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DateTrunc {
    signature: Signature,
}

/// What a time is cut to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// So many microseconds.
    Micros(i64),
    Week,
    /// So many months of a year.
    Months(i64),
    /// So many years, of which the first of our era is the first.
    Years(i64),
}

fn unit_of(text: &str) -> Option<Unit> {
    let text = text.trim().to_ascii_lowercase();
    Some(match text.strip_suffix('s').filter(|rest| rest.len() > 1).unwrap_or(&text) {
        "microsecond" | "usec" | "us" => Unit::Micros(1),
        "millisecond" | "msec" | "ms" => Unit::Micros(1000),
        "second" | "sec" | "s" => Unit::Micros(SECOND_US),
        "minute" | "min" | "m" => Unit::Micros(60 * SECOND_US),
        "hour" | "hr" | "h" => Unit::Micros(HOUR_US),
        "day" | "d" => Unit::Micros(DAY_US),
        "week" | "w" => Unit::Week,
        "month" | "mon" => Unit::Months(1),
        "quarter" | "qtr" => Unit::Months(3),
        "year" | "yr" | "y" => Unit::Months(12),
        "decade" | "dec" => Unit::Years(10),
        "century" | "centurie" | "cent" | "c" => Unit::Years(100),
        "millennium" | "millennia" | "mil" => Unit::Years(1000),
        _ => return None,
    })
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (unit, time, zone) = match types {
            [unit, time] => (unit, time, None),
            [unit, time, zone] => (unit, time, Some(zone)),
            _ => return plan_err!("function {NAME} does not take {} arguments", types.len()),
        };
        let is_text = |given: &DataType| given.is_string() || given.is_null();
        if !is_text(unit) || !zone.is_none_or(is_text) {
            return plan_err!("function {NAME} does not take {unit} as a unit");
        }
        let time = match time {
            _ if zone.is_some() => moment_type(),
            DataType::Timestamp(_, Some(_)) => moment_type(),
            DataType::Timestamp(_, None) | DataType::Date32 | DataType::Null => WALL_CLOCK,
            DataType::Interval(_) | DataType::Duration(_) | DataType::Time64(_) => INTERVAL,
            text if text.is_string() => WALL_CLOCK,
            other => return plan_err!("function {NAME} does not take {other} as a time"),
        };
        Ok([DataType::Utf8, time].into_iter().chain(zone.map(|_| DataType::Utf8)).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [_, time, ..] => Ok(time.clone()),
            _ => internal_err!("{NAME} takes a unit and a time"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> =
            args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(NAME, self.return_type(&types)?, is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let (Some(unit), Some(time)) = (args.args.first(), args.args.get(1)) else {
            return internal_err!("{NAME} takes a unit and a time");
        };
        let time = time.to_array(rows)?;
        let zone = args.args.get(2).map(zone_of).transpose()?;
        let array = match (unit, zone) {
            // Of no zone there is no time.
            (_, Some(None)) => new_null_array(time.data_type(), rows),
            (ColumnarValue::Scalar(unit), zone) => match unit.try_as_str().flatten() {
                Some(unit) => truncated(&time, unit, zone.flatten().as_ref())?,
                None => new_null_array(time.data_type(), rows),
            },
            (ColumnarValue::Array(units), zone) => each(&time, units, zone.flatten().as_ref())?,
        };
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
            false => ColumnarValue::Array(array),
        })
    }

    /// Times that are sorted stay so.
    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        Ok(match input {
            [unit, time] if unit.sort_properties == SortProperties::Singleton => {
                time.sort_properties
            }
            _ => SortProperties::Unordered,
        })
    }
}

/// The zone that is named; `None` for null.
fn zone_of(name: &ColumnarValue) -> Result<Option<Zone>> {
    let ColumnarValue::Scalar(name) = name else {
        return Err(failure(Error::Unsupported {
            what: "date_trunc() with a zone of each row".to_owned(),
            hint: "Write date_trunc(unit, time AT TIME ZONE zone) AT TIME ZONE zone.".to_owned(),
        }));
    };
    let Some(name) = name.try_as_str().flatten() else { return Ok(None) };
    let abbreviated = || abbreviated(name).map(Zone::fixed);
    let zone = Zone::of_clock(name).or_else(abbreviated).ok_or_else(|| {
        failure(Error::Standard {
            sqlstate: "22023",
            message: "time zone not recognized".to_owned(),
            hint: "Use a name such as Europe/Warsaw, or UTC.".to_owned(),
        })
    })?;
    Ok(Some(zone))
}

/// Cuts the time of each row to the unit of the row.
fn each(time: &ArrayRef, units: &ArrayRef, zone: Option<&Zone>) -> Result<ArrayRef> {
    let units = units.as_string::<i32>();
    let mut values = Vec::with_capacity(time.len());
    for row in 0..time.len() {
        let one = time.slice(row, 1);
        values.push(match units.is_valid(row) {
            true => truncated(&one, units.value(row), zone)?,
            false => new_null_array(time.data_type(), 1),
        });
    }
    if values.is_empty() {
        return Ok(time.slice(0, 0));
    }
    let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
    Ok(datafusion::arrow::compute::concat(&values)?)
}

fn truncated(time: &ArrayRef, unit: &str, zone: Option<&Zone>) -> Result<ArrayRef> {
    let is_interval = *time.data_type() == INTERVAL;
    let unit = unit_of(unit).filter(|unit| !is_interval || *unit != Unit::Week).ok_or_else(|| {
        failure(Error::Standard {
            sqlstate: "22023",
            message: format!("unit \"{unit}\" not recognized for {NAME}()"),
            hint: "Units are microseconds, milliseconds, second, minute, hour, day, week, month, quarter, year, decade, century and millennium.".to_owned(),
        })
    })?;
    if is_interval {
        let spans = time.as_primitive::<IntervalMonthDayNanoType>();
        let cut: PrimitiveArray<IntervalMonthDayNanoType> = spans.unary(|span| shorter(span, unit));
        return Ok(Arc::new(cut));
    }
    let micros = time.as_primitive::<TimestampMicrosecondType>();
    let cut: PrimitiveArray<TimestampMicrosecondType> = match (unit, zone) {
        // An hour that the clock shows twice stays the one that it is.
        (Unit::Micros(by), Some(zone)) if by < DAY_US && is_moment(time.data_type()) => {
            micros.unary(|micros| micros.saturating_sub(zone.wall_clock(micros).rem_euclid(by)))
        }
        (unit, Some(zone)) if is_moment(time.data_type()) => {
            micros.unary(|micros| zone.moment(earlier(zone.wall_clock(micros), unit)))
        }
        (Unit::Micros(by), _) => {
            micros.unary(|micros| micros.saturating_sub(micros.rem_euclid(by)))
        }
        (unit, _) => micros.unary(|micros| earlier(micros, unit)),
    };
    let cut = match has_ends(time) {
        // They begin nowhere.
        true => cut
            .iter()
            .zip(micros)
            .map(|(cut, time)| if time.is_some_and(is_endless_time) { time } else { cut })
            .collect(),
        false => cut,
    };
    Ok(Arc::new(cut.with_data_type(time.data_type().clone())))
}

/// The beginning of the unit that a time is in.
fn earlier(micros: i64, unit: Unit) -> i64 {
    let days = micros.div_euclid(DAY_US);
    let begin = match unit {
        Unit::Micros(by) => return micros.saturating_sub(micros.rem_euclid(by)),
        Unit::Week => (days + MONDAY_DAYS).div_euclid(7) * 7 - MONDAY_DAYS,
        Unit::Months(months) => {
            let (year, month, _) = civil(days);
            first_day(year, (month - 1) / months * months + 1)
        }
        Unit::Years(10) => first_day(civil(days).0.div_euclid(10) * 10, 1),
        Unit::Years(years) => first_day((civil(days).0 - 1).div_euclid(years) * years + 1, 1),
    };
    begin.saturating_mul(DAY_US)
}

/// Days from 1970 to the first of a month.
fn first_day(year: i64, month: i64) -> i64 {
    // Years are counted from March, so that the day that not all have is the last one.
    let from_march = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (from_march.div_euclid(400), from_march.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// An interval without what is less than a unit.
fn shorter(span: IntervalMonthDayNano, unit: Unit) -> IntervalMonthDayNano {
    let (months, days, nanos) = (span.months, span.days, span.nanoseconds);
    let cut = |by: i64| i32::try_from(i64::from(months) / by * by).unwrap_or(0);
    match unit {
        Unit::Micros(DAY_US) => IntervalMonthDayNano::new(months, days, 0),
        Unit::Micros(by) => {
            IntervalMonthDayNano::new(months, days, nanos / (by * 1000) * (by * 1000))
        }
        Unit::Week => span,
        Unit::Months(by) => IntervalMonthDayNano::new(cut(by), 0, 0),
        Unit::Years(by) => IntervalMonthDayNano::new(cut(by * 12), 0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_begin_with_their_unit() {
        let at = |text: &str| {
            let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
            time.and_utc().timestamp_micros()
        };
        for (time, unit, expected) in [
            ("2024-05-15 10:31", "hour", "2024-05-15 10:00"),
            ("2024-05-15 10:31", "day", "2024-05-15 00:00"),
            ("2024-05-15 10:31", "week", "2024-05-13 00:00"),
            ("2024-05-15 10:31", "months", "2024-05-01 00:00"),
            ("2024-05-15 10:31", "quarter", "2024-04-01 00:00"),
            ("2024-02-29 10:31", "year", "2024-01-01 00:00"),
            ("9999-12-31 10:31", "year", "9999-01-01 00:00"),
            ("2024-05-15 10:31", "decade", "2020-01-01 00:00"),
            ("2000-05-15 10:31", "century", "1901-01-01 00:00"),
            ("2001-05-15 10:31", "millennium", "2001-01-01 00:00"),
            ("1969-12-31 23:59", "week", "1969-12-29 00:00"),
            ("1969-12-31 23:59", "hour", "1969-12-31 23:00"),
        ] {
            let found = earlier(at(time), unit_of(unit).unwrap());
            assert_eq!(found, at(expected), "{time} {unit}");
        }
        assert_eq!(unit_of("fortnight"), None);
    }

    #[test]
    fn hours_that_a_zone_has_twice_stay_apart() {
        let zone = Zone::parse("America/New_York").unwrap();
        // 1:30 of daylight saving time and 1:30 an hour later.
        let (first, second) = (1_730_611_800_000_000, 1_730_615_400_000_000);
        let times: PrimitiveArray<TimestampMicrosecondType> = vec![first, second].into();
        let times: ArrayRef = Arc::new(times.with_data_type(moment_type()));
        let cut = |unit: &str| {
            let cut = truncated(&times, unit, Some(&zone)).unwrap();
            cut.as_primitive::<TimestampMicrosecondType>().values().to_vec()
        };
        assert_eq!(cut("hour"), [first - HOUR_US / 2, second - HOUR_US / 2]);
        assert_eq!(cut("day"), [first - 3 * HOUR_US / 2; 2]);
    }

    #[test]
    fn intervals_lose_what_is_less() {
        let span = IntervalMonthDayNano::new(29, 5, 3_723_000_000_000);
        let check = |unit: &str, months, days, seconds: i64| {
            let expected = IntervalMonthDayNano::new(months, days, seconds * 1_000_000_000);
            assert_eq!(shorter(span, unit_of(unit).unwrap()), expected, "{unit}");
        };
        check("hour", 29, 5, 3600);
        check("day", 29, 5, 0);
        check("month", 29, 0, 0);
        check("year", 24, 0, 0);
        check("decade", 0, 0, 0);
    }
}
