//! The time between two points in time, and points in time some time on.
//!
//! PostgreSQL's intervals have months, days and a clock. What `timestamp - timestamp` gives has days of 24 hours, and
//! intervals are compared as if a month had 30 days: `1 day` is equal to `24:00:00`. Days and months that are added to a
//! point in time are those of the session's zone, where a day may have 23 hours.

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Months};
use datafusion::arrow::array::{ArrayRef, AsArray, Decimal128Array, PrimitiveArray};
use datafusion::arrow::compute::{cast, try_binary};
use datafusion::arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use super::age::micros;
use super::endless::{is_endless_time, out_of_range};
use super::failure;
use crate::Error;
use crate::query::postgres::types::UTC;
use crate::query::postgres::zone::Zone;

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;
/// Days that a month has where intervals are compared.
const MONTH_DAYS: i128 = 30;
/// Digits of the longest span in microseconds.
const SPAN_PRECISION: u8 = 38;

/// The type of all intervals.
pub(in crate::query::postgres) const INTERVAL: DataType =
    DataType::Interval(IntervalUnit::MonthDayNano);

static ELAPSED: LazyLock<ScalarUDF> = LazyLock::new(|| Operation::Elapsed.udf("elapsed", 2));
static MOVED: LazyLock<ScalarUDF> = LazyLock::new(|| Operation::Moved.udf("moment_plus", 3));
static SPAN: LazyLock<ScalarUDF> = LazyLock::new(|| Operation::Span.udf("interval_span", 1));

/// The time from one point in time to another: whole days and the rest.
pub(in crate::query::postgres) fn elapsed(later: Expr, earlier: Expr) -> Expr {
    ELAPSED.call(vec![later, earlier])
}

/// The points in time of which a call of [`elapsed`] gives the time between.
pub(in crate::query::postgres) fn between(expr: &Expr) -> Option<[&Expr; 2]> {
    match expr {
        Expr::ScalarFunction(function) if function.func.name() == ELAPSED.name() => {
            match function.args.as_slice() {
                [later, earlier] => Some([later, earlier]),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A point in time and an interval of days and months of a zone.
pub(in crate::query::postgres) fn moved(zone: &str, moment: Expr, span: Expr) -> Expr {
    MOVED.call(vec![lit(zone), moment, span])
}

/// What an interval is compared by.
pub(in crate::query::postgres) fn span(interval: Expr) -> Expr {
    match interval {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(interval), _) => lit(
            ScalarValue::Decimal128(interval.map(|interval| length(&interval)), SPAN_PRECISION, 0),
        ),
        other => SPAN.call(vec![other]),
    }
}

/// The microseconds of an interval whose months have 30 days and whose days have 24 hours.
pub(in crate::query::postgres) fn length(interval: &IntervalMonthDayNano) -> i128 {
    let days = i128::from(interval.months) * MONTH_DAYS + i128::from(interval.days);
    days * i128::from(DAY_US) + i128::from(interval.nanoseconds / 1000)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Elapsed,
    Moved,
    Span,
}

impl Operation {
    fn udf(self, name: &'static str, arguments: usize) -> ScalarUDF {
        let signature = Signature::any(arguments, Volatility::Immutable);
        ScalarUDF::from(OfTime { name, operation: self, signature })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfTime {
    name: &'static str,
    operation: Operation,
    signature: Signature,
}

impl ScalarUDFImpl for OfTime {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.operation {
            Operation::Elapsed => INTERVAL,
            Operation::Moved => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            Operation::Span => DataType::Decimal128(SPAN_PRECISION, 0),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let array: ArrayRef = match (self.operation, args.args.as_slice()) {
            (Operation::Elapsed, [later, earlier]) => {
                let (later, earlier) = (later.to_array(rows)?, earlier.to_array(rows)?);
                all_elapsed(&micros(&later)?, &micros(&earlier)?)?
            }
            (
                Operation::Moved,
                [ColumnarValue::Scalar(ScalarValue::Utf8(Some(zone))), moments, spans],
            ) => {
                let zone = Zone::parse(zone).unwrap_or_else(Zone::utc);
                all_moved(&zone, &moments.to_array(rows)?, &spans.to_array(rows)?)?
            }
            (Operation::Span, [intervals]) => spans(&intervals.to_array(rows)?)?,
            _ => return internal_err!("{} has other arguments", self.name),
        };
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
            false => ColumnarValue::Array(array),
        })
    }
}

fn all_elapsed(later: &ArrayRef, earlier: &ArrayRef) -> Result<ArrayRef> {
    let (later, earlier) = (
        later.as_primitive::<TimestampMicrosecondType>(),
        earlier.as_primitive::<TimestampMicrosecondType>(),
    );
    let found: PrimitiveArray<IntervalMonthDayNanoType> =
        try_binary(later, earlier, |later: i64, earlier: i64| {
            if is_endless_time(later) || is_endless_time(earlier) {
                let hint = "Leave such rows out: WHERE isfinite(time).";
                return Err(out_of_range("cannot subtract infinite timestamps", hint));
            }
            let micros = later.checked_sub(earlier).ok_or_else(|| {
                ArrowError::ArithmeticOverflow("interval out of range".to_string())
            })?;
            days_and_clock(micros)
                .ok_or_else(|| ArrowError::ArithmeticOverflow("interval out of range".to_string()))
        })
        .map_err(refused)?;
    Ok(Arc::new(found))
}

/// Whole days and the rest.
fn days_and_clock(micros: i64) -> Option<IntervalMonthDayNano> {
    let days = i32::try_from(micros / DAY_US).ok()?;
    Some(IntervalMonthDayNano::new(0, days, micros % DAY_US * 1000))
}

fn all_moved(zone: &Zone, moments: &ArrayRef, spans: &ArrayRef) -> Result<ArrayRef> {
    let (moments, spans) = (micros(moments)?, cast(spans, &INTERVAL)?);
    let (moments, spans) = (
        moments.as_primitive::<TimestampMicrosecondType>(),
        spans.as_primitive::<IntervalMonthDayNanoType>(),
    );
    let found: PrimitiveArray<TimestampMicrosecondType> =
        try_binary(moments, spans, |micros: i64, span: IntervalMonthDayNano| {
            later_by(micros, &span, zone)
                .ok_or_else(|| out_of_range("timestamp out of range", "Take a shorter interval."))
        })
        .map_err(refused)?;
    Ok(Arc::new(found.with_timezone(UTC)))
}

/// An error of the engine that went through Arrow.
pub(super) fn refused(error: ArrowError) -> DataFusionError {
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast::<Error>() {
            Ok(error) => failure(*error),
            Err(inner) => DataFusionError::External(inner),
        },
        other => DataFusionError::from(other),
    }
}

/// A point in time and an interval, whose months and days are those of a zone.
pub(in crate::query::postgres) fn later_by(
    micros: i64,
    span: &IntervalMonthDayNano,
    zone: &Zone,
) -> Option<i64> {
    if is_endless_time(micros) {
        return Some(micros);
    }
    let mut at = micros;
    if span.months != 0 {
        let local = DateTime::from_timestamp_micros(zone.wall_clock(at))?;
        let months = Months::new(span.months.unsigned_abs());
        let local = match span.months > 0 {
            true => local.checked_add_months(months)?,
            false => local.checked_sub_months(months)?,
        };
        at = zone.moment(local.timestamp_micros());
    }
    if span.days != 0 {
        let days = i64::from(span.days).checked_mul(DAY_US)?;
        at = zone.moment(zone.wall_clock(at).checked_add(days)?);
    }
    at.checked_add(span.nanoseconds / 1000)
}

fn spans(intervals: &ArrayRef) -> Result<ArrayRef> {
    let intervals = cast(intervals, &INTERVAL)?;
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
    let spans: Decimal128Array = intervals.unary(|interval| length(&interval));
    Ok(Arc::new(spans.with_precision_and_scale(SPAN_PRECISION, 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        time.and_utc().timestamp_micros()
    }

    #[test]
    fn elapsed_time_has_days() {
        let check = |micros: i64, days: i32, seconds: i64| {
            let expected = IntervalMonthDayNano::new(0, days, seconds * 1_000_000_000);
            assert_eq!(days_and_clock(micros), Some(expected), "{micros}");
        };
        check(at("2024-01-15 10:20") - at("2024-01-01 00:00"), 14, 37_200);
        check(-DAY_US - SECOND_US, -1, -1);
        check(0, 0, 0);
    }

    #[test]
    fn months_have_thirty_days_where_intervals_are_compared() {
        let of = |months, days, nanos| length(&IntervalMonthDayNano::new(months, days, nanos));
        assert_eq!(of(1, 0, 0), of(0, 30, 0));
        assert_eq!(of(0, 1, 0), of(0, 0, 86_400_000_000_000));
        assert!(of(0, 4, 0) > of(0, 3, 3_600_000_000_000));
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let zone = Zone::parse("America/New_York").unwrap();
        let check = |from: &str, months: i32, days: i32, to: &str| {
            let span = IntervalMonthDayNano::new(months, days, 0);
            assert_eq!(later_by(at(from), &span, &zone), Some(at(to)), "{from} {months} {days}");
        };
        // The night of the change has 23 hours.
        check("2024-03-09 17:00", 0, 1, "2024-03-10 16:00");
        check("2024-02-10 17:00", 1, 0, "2024-03-10 16:00");
        check("2024-04-01 01:00", -1, 0, "2024-03-01 02:00");
        check("2024-01-31 17:00", 1, 0, "2024-02-29 17:00");
    }
}
