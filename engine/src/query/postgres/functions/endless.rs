//! Days and points in time that stand behind all others or before them, `infinity` and `-infinity`: the greatest and the least
//! number of their type.
//!
//! To Arrow they are numbers as any other: it refuses some of what is done with them, and takes them for a day of the
//! year 294247 elsewhere. The operations here are those that a statement is given which names one.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::compute::{cast, try_binary};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Int32Type, Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::elapsed::{INTERVAL, later_by, refused};
use crate::Error;
use crate::query::postgres::zone::Zone;

const DAY_US: i64 = 86_400_000_000;

static DAYS_BETWEEN: LazyLock<ScalarUDF> = LazyLock::new(|| Operation::DaysBetween.udf(2));
static DAYS_LATER: LazyLock<ScalarUDF> = LazyLock::new(|| Operation::DaysLater.udf(2));
static LATER: LazyLock<ScalarUDF> = LazyLock::new(|| Operation::Later.udf(2));

/// Casts a day or a point in time to another such type.
pub(in crate::query::postgres) fn time_as(time: Expr, to: DataType) -> Expr {
    Operation::Cast(to).udf(1).call(vec![time])
}

/// How many days lie between two.
pub(in crate::query::postgres) fn days_between(later: Expr, earlier: Expr) -> Expr {
    DAYS_BETWEEN.call(vec![later, earlier])
}

/// The day so many days after another.
pub(in crate::query::postgres) fn days_later(day: Expr, days: Expr) -> Expr {
    DAYS_LATER.call(vec![day, days])
}

/// The point in time, of UTC or of no zone, so long after another.
pub(in crate::query::postgres) fn later(time: Expr, span: Expr) -> Expr {
    LATER.call(vec![time, span])
}

/// Tells whether a day is an infinite one.
pub(in crate::query::postgres) fn is_endless_day(days: i32) -> bool {
    days == i32::MAX || days == i32::MIN
}

/// Tells whether a point in time is an infinite one.
pub(in crate::query::postgres) fn is_endless_time(micros: i64) -> bool {
    micros == i64::MAX || micros == i64::MIN
}

/// Tells whether the day or the point in time of a row is an infinite one, and if so whether it lies behind all others.
pub(super) fn end(array: &ArrayRef, row: usize) -> Option<bool> {
    if array.is_null(row) {
        return None;
    }
    if let Some(days) = array.as_primitive_opt::<Date32Type>() {
        let days = days.value(row);
        return is_endless_day(days).then_some(days > 0);
    }
    let micros = array.as_primitive_opt::<TimestampMicrosecondType>()?.value(row);
    is_endless_time(micros).then_some(micros > 0)
}

/// Tells whether there is an infinite day or point in time in an array.
pub(crate) fn has_ends(array: &ArrayRef) -> bool {
    let is_end = |row: usize| end(array, row).is_some();
    match array.data_type() {
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().values();
            days.iter().any(|days| is_endless_day(*days)) && (0..array.len()).any(is_end)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().values();
            micros.iter().any(|micros| is_endless_time(*micros)) && (0..array.len()).any(is_end)
        }
        _ => false,
    }
}

/// The text of an infinite day or point in time.
pub(super) fn word(is_later: bool) -> &'static str {
    if is_later { "infinity" } else { "-infinity" }
}

/// The beginnings of days in microseconds since 1970.
pub(super) fn midnights(days: &ArrayRef) -> Result<ArrayRef> {
    let days = days.as_primitive::<Date32Type>();
    let micros: PrimitiveArray<TimestampMicrosecondType> =
        days.try_unary(midnight).map_err(refused)?;
    Ok(Arc::new(micros))
}

fn midnight(days: i32) -> Result<i64, ArrowError> {
    match days {
        i32::MAX => Ok(i64::MAX),
        i32::MIN => Ok(i64::MIN),
        days => i64::from(days).checked_mul(DAY_US).ok_or_else(|| {
            out_of_range("timestamp out of range", "Take a day of the years up to 294276.")
        }),
    }
}

fn day(micros: i64) -> Result<i32, ArrowError> {
    match micros {
        i64::MAX => Ok(i32::MAX),
        i64::MIN => Ok(i32::MIN),
        micros => i32::try_from(micros.div_euclid(DAY_US))
            .map_err(|_| out_of_range("date out of range", "Take a day nearer to 1970.")),
    }
}

pub(super) fn out_of_range(message: &str, hint: &str) -> ArrowError {
    ArrowError::ExternalError(Box::new(Error::Standard {
        sqlstate: "22008",
        message: message.to_owned(),
        hint: hint.to_owned(),
    }))
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Operation {
    Cast(DataType),
    DaysBetween,
    DaysLater,
    Later,
}

impl Operation {
    fn udf(self, arguments: usize) -> ScalarUDF {
        let signature = Signature::any(arguments, Volatility::Immutable);
        ScalarUDF::from(OfEnds { operation: self, signature })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfEnds {
    operation: Operation,
    signature: Signature,
}

impl ScalarUDFImpl for OfEnds {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Cast(_) => "time_as",
            Operation::DaysBetween => "days_between",
            Operation::DaysLater => "days_later",
            Operation::Later => "time_later",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match (&self.operation, types) {
            (Operation::Cast(to), _) => to.clone(),
            (Operation::DaysBetween, _) => DataType::Int32,
            (Operation::DaysLater, _) => DataType::Date32,
            (Operation::Later, [time, ..]) => time.clone(),
            (Operation::Later, []) => return internal_err!("{} takes a time", self.name()),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let array = match (&self.operation, arrays.as_slice()) {
            (Operation::Cast(to), [times]) => converted(times, to)?,
            (Operation::DaysBetween, [later, earlier]) => between(later, earlier)?,
            (Operation::DaysLater, [days, count]) => moved_by_days(days, count)?,
            (Operation::Later, [times, spans]) => moved(times, spans)?,
            _ => return internal_err!("{} has other arguments", self.name()),
        };
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
            false => ColumnarValue::Array(array),
        })
    }
}

fn converted(times: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let micros = match times.data_type() {
        DataType::Date32 => midnights(times)?,
        DataType::Timestamp(TimeUnit::Microsecond, _) => Arc::clone(times),
        other => return internal_err!("a day or a point in time is expected, not {other}"),
    };
    let micros = micros.as_primitive::<TimestampMicrosecondType>();
    Ok(match to {
        DataType::Date32 => {
            Arc::new(micros.try_unary::<_, Date32Type, _>(day).map_err(refused)?) as ArrayRef
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            Arc::new(micros.clone().with_timezone_opt(zone.clone()))
        }
        // They have no time of the day.
        DataType::Time64(TimeUnit::Microsecond) => {
            Arc::new(micros.unary_opt::<_, Time64MicrosecondType>(|micros| {
                (!is_endless_time(micros)).then(|| micros.rem_euclid(DAY_US))
            }))
        }
        other => return internal_err!("a time is not cast to {other} here"),
    })
}

fn between(later: &ArrayRef, earlier: &ArrayRef) -> Result<ArrayRef> {
    let (later, earlier) =
        (later.as_primitive::<Date32Type>(), earlier.as_primitive::<Date32Type>());
    let days: PrimitiveArray<Int32Type> = try_binary(later, earlier, |later: i32, earlier: i32| {
        if is_endless_day(later) || is_endless_day(earlier) {
            let hint = "Leave such rows out: WHERE isfinite(day).";
            return Err(out_of_range("cannot subtract infinite dates", hint));
        }
        let too_far = || out_of_range("date out of range", "Take days nearer to each other.");
        later.checked_sub(earlier).ok_or_else(too_far)
    })
    .map_err(refused)?;
    Ok(Arc::new(days))
}

fn moved_by_days(days: &ArrayRef, count: &ArrayRef) -> Result<ArrayRef> {
    let count = cast(count, &DataType::Int64)?;
    let (days, count) = (days.as_primitive::<Date32Type>(), count.as_primitive::<Int64Type>());
    let moved: PrimitiveArray<Date32Type> = try_binary(days, count, |day: i32, count: i64| {
        if is_endless_day(day) {
            return Ok(day);
        }
        let moved = i64::from(day).checked_add(count).and_then(|day| i32::try_from(day).ok());
        moved
            .filter(|day| !is_endless_day(*day))
            .ok_or_else(|| out_of_range("date out of range", "Take fewer days."))
    })
    .map_err(refused)?;
    Ok(Arc::new(moved))
}

fn moved(times: &ArrayRef, spans: &ArrayRef) -> Result<ArrayRef> {
    let (utc, spans) = (Zone::utc(), cast(spans, &INTERVAL)?);
    let (micros, spans) = (
        times.as_primitive::<TimestampMicrosecondType>(),
        spans.as_primitive::<IntervalMonthDayNanoType>(),
    );
    let moved: PrimitiveArray<TimestampMicrosecondType> =
        try_binary(micros, spans, |micros, span| {
            later_by(micros, &span, &utc)
                .ok_or_else(|| out_of_range("timestamp out of range", "Take a shorter interval."))
        })
        .map_err(refused)?;
    Ok(Arc::new(moved.with_data_type(times.data_type().clone())))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Date32Array, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn ends_stay_what_they_are() {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX, i32::MIN, 1]));
        let clock = DataType::Timestamp(TimeUnit::Microsecond, None);
        let micros = converted(&days, &clock).unwrap();
        let expected: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX, i64::MIN, DAY_US]));
        assert_eq!(&micros, &expected);
        assert_eq!(&converted(&micros, &DataType::Date32).unwrap(), &days);
        let times = converted(&micros, &DataType::Time64(TimeUnit::Microsecond)).unwrap();
        assert_eq!(times.null_count(), 2);
        assert!(has_ends(&days) && !has_ends(&days.slice(2, 1)));
        let counts: ArrayRef = Arc::new(datafusion::arrow::array::Int32Array::from(vec![1, 1, 1]));
        let later = moved_by_days(&days, &counts).unwrap();
        let expected: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX, i32::MIN, 2]));
        assert_eq!(&later, &expected);
        assert!(between(&days, &days).is_err());
        assert!(between(&days.slice(2, 1), &days.slice(2, 1)).is_ok());
    }
}
