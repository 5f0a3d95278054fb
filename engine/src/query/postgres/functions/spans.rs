//! Times and spans of time made of numbers: `make_time`, and an interval times or over a number, for which DataFusion has
//! no operator.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, IntervalMonthDayNanoBuilder, Time64MicrosecondBuilder,
};
use datafusion::arrow::datatypes::{
    DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{Body, Call, Function, Kind, failure};
use crate::Error;

pub(super) const FUNCTIONS: &[Function] = &[Function::new(
    "make_time",
    &[Kind::Int, Kind::Int, Kind::Float],
    "time",
    Body::Column(make_time),
)
.with(Volatility::Immutable)];

const SECOND_MICROS: f64 = 1e6;
const MINUTE_MICROS: i64 = 60_000_000;
const DAY_MICROS: i64 = 1440 * MINUTE_MICROS;
const DAY_SECONDS: f64 = 86_400.0;
/// Days of a month where parts of months are days.
const MONTH_DAYS: f64 = 30.0;

fn make_time(call: &Call<'_>) -> Result<ArrayRef> {
    let Some(seconds) = call.arguments[2].as_primitive_opt::<Float64Type>() else {
        return internal_err!("make_time takes seconds as a floating-point number");
    };
    let mut times = Time64MicrosecondBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let clock = call.int(0, row).zip(call.int(1, row));
        let Some((hour, minute)) = clock.filter(|_| seconds.is_valid(row)) else {
            times.append_null();
            continue;
        };
        times.append_value(time(hour, minute, seconds.value(row)).ok_or_else(|| {
            failure(Error::Standard {
                sqlstate: "22008",
                message: "time field value out of range".to_string(),
                hint: "A day has 24 hours, an hour 60 minutes, a minute 60 seconds.".to_string(),
            })
        })?);
    }
    Ok(Arc::new(times.finish()))
}

/// Microseconds since midnight; `None` where there is no such time. Seconds may be sixty, of the next minute.
fn time(hour: i64, minute: i64, second: f64) -> Option<i64> {
    let micros = (second * SECOND_MICROS).round_ties_even();
    let fits = (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..=MINUTE_MICROS as f64).contains(&micros);
    let time = fits.then(|| (hour * 60 + minute) * MINUTE_MICROS + micros as i64)?;
    (time < DAY_MICROS).then_some(time)
}

static TIMES: LazyLock<ScalarUDF> = LazyLock::new(|| Scaled::udf("interval_mul", false));
static DIVIDED: LazyLock<ScalarUDF> = LazyLock::new(|| Scaled::udf("interval_div", true));

/// An interval times a number.
pub(in crate::query::postgres) fn times(span: Expr, number: Expr) -> Expr {
    TIMES.call(vec![span, number])
}

/// An interval over a number.
pub(in crate::query::postgres) fn divided(span: Expr, number: Expr) -> Expr {
    DIVIDED.call(vec![span, number])
}

fn interval() -> DataType {
    DataType::Interval(IntervalUnit::MonthDayNano)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Scaled {
    name: &'static str,
    divides: bool,
    signature: Signature,
}

impl Scaled {
    fn udf(name: &'static str, divides: bool) -> ScalarUDF {
        let types = vec![interval(), DataType::Float64];
        let signature = Signature::exact(types, Volatility::Immutable);
        ScalarUDF::from(Scaled { name, divides, signature })
    }
}

impl ScalarUDFImpl for Scaled {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(interval())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let [spans, numbers] = args.args.as_slice() else {
            return internal_err!("{} takes two arguments", self.name);
        };
        let (spans, numbers) = (spans.to_array(rows)?, numbers.to_array(rows)?);
        let spans = spans.as_primitive::<IntervalMonthDayNanoType>();
        let numbers = numbers.as_primitive::<Float64Type>();
        let mut found = IntervalMonthDayNanoBuilder::with_capacity(rows);
        for row in 0..rows {
            if spans.is_null(row) || numbers.is_null(row) {
                found.append_null();
                continue;
            }
            found.append_value(scaled(spans.value(row), numbers.value(row), self.divides)?);
        }
        let array: ArrayRef = Arc::new(found.finish());
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
            false => ColumnarValue::Array(array),
        })
    }
}

/// What is left of a month becomes days, and what is left of a day seconds.
pub(super) fn scaled(
    span: IntervalMonthDayNano,
    number: f64,
    divides: bool,
) -> Result<IntervalMonthDayNano> {
    if divides && number == 0.0 {
        return Err(DataFusionError::from(ArrowError::DivideByZero));
    }
    let by = |value: f64| if divides { value / number } else { value * number };
    let rounded = |value: f64| (value * SECOND_MICROS).round_ties_even() / SECOND_MICROS;
    let (months, days) = (by(f64::from(span.months)), by(f64::from(span.days)));
    let left_days = rounded((months - months.trunc()) * MONTH_DAYS);
    let left_seconds = rounded((days - days.trunc() + left_days - left_days.trunc()) * DAY_SECONDS);
    // Rounding, and what is left of both, may make a day of seconds.
    let whole_days = (left_seconds / DAY_SECONDS).trunc();
    let days = days.trunc() + left_days.trunc() + whole_days;
    let left_seconds = left_seconds - whole_days * DAY_SECONDS;
    // Spans are of whole microseconds.
    let micros = by(span.nanoseconds as f64 / 1e3) + left_seconds * SECOND_MICROS;
    let nanos = micros.round_ties_even() * 1e3;
    let fits = |value: f64| value.abs() <= f64::from(i32::MAX);
    if !fits(months) || !fits(days) || nanos.is_nan() || nanos.abs() >= i64::MAX as f64 {
        return Err(failure(Error::Standard {
            sqlstate: "22008",
            message: "interval out of range".to_string(),
            hint: "Take a number that makes the interval smaller.".to_string(),
        }));
    }
    let micros = micros.round_ties_even() as i64;
    Ok(IntervalMonthDayNano::new(months.trunc() as i32, days as i32, micros * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span((months, days, seconds): (i32, i32, i64)) -> IntervalMonthDayNano {
        IntervalMonthDayNano::new(months, days, seconds * 1_000_000_000)
    }

    #[test]
    fn spans_are_multiplied_and_divided_as_in_postgres() {
        let check = |given: (i32, i32, i64), number: f64, divides: bool, expected| {
            let found = scaled(span(given), number, divides).unwrap();
            assert_eq!(found, span(expected), "{given:?} {number} {divides}");
        };
        check((0, 1, 0), 3.0, false, (0, 3, 0));
        check((0, 0, 1), 90.0, false, (0, 0, 90));
        check((1, 0, 0), 1.5, false, (1, 15, 0));
        check((0, 1, 0), 0.5, false, (0, 0, 43_200));
        check((1, 1, 1), -2.0, false, (-2, -2, -2));
        check((0, 1, 43_200), 2.5, false, (0, 2, 151_200));
        check((0, 1, 0), 2.0, true, (0, 0, 43_200));
        check((0, 0, 3600), 4.0, true, (0, 0, 900));
        check((1, 0, 0), 3.0, true, (0, 10, 0));
        check((7, 0, 0), 2.0, true, (3, 15, 0));
        assert!(scaled(span((1, 0, 0)), 1e300, false).is_err());
        assert!(scaled(span((0, 0, 1)), f64::NAN, false).is_err());
        assert!(scaled(span((0, 1, 0)), 0.0, true).is_err());
    }

    #[test]
    fn times_have_hours_minutes_and_seconds() {
        assert_eq!(time(13, 5, 9.5), Some(47_109_500_000));
        assert_eq!(time(0, 0, 60.0), Some(MINUTE_MICROS));
        for (hour, minute, second) in
            [(24, 0, 0.0), (-1, 0, 0.0), (0, 60, 0.0), (0, 0, 60.1), (23, 59, 60.0), (0, 0, -1.0)]
        {
            assert_eq!(time(hour, minute, second), None, "{hour}:{minute}:{second}");
        }
        assert_eq!(time(0, 0, f64::NAN), None);
    }
}
