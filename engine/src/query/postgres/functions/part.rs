//! `extract(field FROM time)`, which is a numeric, and `date_part(field, time)`, which is a double precision number.
//!
//! DataFusion's gives integers and cuts the parts of seconds off, which are asked of it as microseconds here. `spans` takes
//! intervals and times of a day apart.

mod spans;

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array,
};
use datafusion::arrow::compute::{cast, nullif};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, Int32Type, TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions::datetime::date_part;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    lit,
};

use super::age::micros;
use super::endless::{end, has_ends};
use super::failure;
use super::text_of::civil;
use super::zone_part::zone_part;
use crate::Error;

const DAY_US: i64 = 86_400_000_000;
/// The day of the Julian calendar on which 1970 began.
const JULIAN_1970: i64 = 2_440_588;

/// The function that `EXTRACT` calls.
pub(in crate::query::postgres) const EXTRACT: &str = "extract";

/// Digits of a number of microseconds below a minute, and some to count on with.
const MICROS_PRECISION: u8 = 16;
const EPOCH_PRECISION: u8 = 20;
/// Digits of a number of nanoseconds below a minute, which is the largest that DataFusion's gives.
pub(in crate::query::postgres) const WHOLE_PRECISION: u8 = 11;

static EXTRACT_FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(part(EXTRACT)));

/// Returns `date_part`, and `extract` under its name.
pub(super) fn parts() -> [ScalarUDF; 2] {
    [part("date_part"), EXTRACT_FUNCTION.as_ref().clone()]
}

/// Calls `extract`.
pub(in crate::query::postgres) fn extract(arguments: Vec<Expr>) -> Expr {
    EXTRACT_FUNCTION.call(arguments)
}

fn part(name: &'static str) -> ScalarUDF {
    ScalarUDF::from(Part { name, inner: date_part() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Part {
    name: &'static str,
    inner: Arc<ScalarUDF>,
}

/// What a field is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Microseconds of a minute, counted in units of so many digits.
    Micros(i8),
    /// Seconds since 1970.
    Epoch,
    /// A year. There is no year 0: the one before the first is -1.
    Year,
    /// So many years, of which the first of our era are the first.
    Years(i64),
    /// Days since the beginning of the Julian calendar.
    Julian,
    /// How far a zone is from UTC, or the hours or minutes of that. Only the zone of a session can tell.
    Zone,
    /// A whole number.
    Whole,
}

fn unit(field: &str) -> Unit {
    match field.trim().to_lowercase().as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Micros(6),
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => Unit::Micros(3),
        "us" | "usec" | "usecs" | "microsecond" | "microseconds" => Unit::Micros(0),
        "epoch" => Unit::Epoch,
        "y" | "year" | "years" | "yr" | "yrs" | "isoyear" => Unit::Year,
        "decade" | "decades" | "dec" | "decs" => Unit::Years(10),
        "c" | "cent" | "century" | "centuries" => Unit::Years(100),
        "mil" | "mils" | "millennium" | "millennia" => Unit::Years(1000),
        "j" | "jd" | "julian" => Unit::Julian,
        field if zone_part(field).is_some() => Unit::Zone,
        _ => Unit::Whole,
    }
}

impl Part {
    fn result(&self, unit: Unit, of: &DataType) -> DataType {
        let is_day = matches!(of, DataType::Date32 | DataType::Date64);
        match unit {
            _ if self.name != EXTRACT => DataType::Float64,
            Unit::Micros(scale) => DataType::Decimal128(MICROS_PRECISION, scale),
            Unit::Epoch => DataType::Decimal128(EPOCH_PRECISION, if is_day { 0 } else { 6 }),
            Unit::Year | Unit::Years(_) | Unit::Julian | Unit::Zone | Unit::Whole => {
                DataType::Decimal128(WHOLE_PRECISION, 0)
            }
        }
    }

    /// Parts of times among which there are infinite ones. Those have a year and what else grows with time, an infinite
    /// number, and nothing of what comes again.
    fn of_ends(&self, mut args: ScalarFunctionArgs, times: &ArrayRef) -> Result<ColumnarValue> {
        let grows = constant_field(&args).is_some_and(|field| {
            matches!(unit(&field), Unit::Epoch | Unit::Year | Unit::Years(_) | Unit::Julian)
        });
        let ends: Vec<Option<bool>> = (0..times.len()).map(|row| end(times, row)).collect();
        let is_end: BooleanArray = ends.iter().map(|end| Some(end.is_some())).collect();
        let is_constant = matches!(args.args.get(1), Some(ColumnarValue::Scalar(_)));
        args.args[1] = ColumnarValue::Array(nullif(times, &is_end)?);
        args.number_rows = times.len();
        let parts = self.invoke_with_args(args)?.to_array(times.len())?;
        let parts = match parts.as_primitive_opt::<Float64Type>().filter(|_| grows) {
            Some(numbers) => {
                let numbers = numbers.iter().zip(&ends).map(|(number, end)| match end {
                    Some(true) => Some(f64::INFINITY),
                    Some(false) => Some(f64::NEG_INFINITY),
                    None => number,
                });
                Arc::new(numbers.collect::<Float64Array>()) as ArrayRef
            }
            None if grows => {
                return Err(failure(Error::Unsupported {
                    what: "an infinite number as extract() of an infinite time".to_owned(),
                    hint: "Use date_part(), or leave such rows out: WHERE isfinite(time)."
                        .to_owned(),
                }));
            }
            None => Arc::clone(&parts),
        };
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&parts, 0)?),
            false => ColumnarValue::Array(parts),
        })
    }
}

/// The field of a call, if it is a constant text.
fn constant_field(args: &ScalarFunctionArgs) -> Option<String> {
    match args.args.first() {
        Some(ColumnarValue::Scalar(field)) => field_of(Some(field)).map(str::to_owned),
        _ => None,
    }
}

/// A field that is given as a constant text.
fn field_of(value: Option<&ScalarValue>) -> Option<&str> {
    value?.try_as_str().flatten()
}

impl ScalarUDFImpl for Part {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args answers for {}", self.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let (field, of) = (args.scalar_arguments.first(), args.arg_fields.get(1));
        let (field, of) = (field.copied().flatten(), of.map(|of| of.data_type().clone()));
        let unit = field_of(field).map(unit);
        if unit == Some(Unit::Zone)
            && let Some(of) = &of
        {
            return Ok(Arc::new(Field::new(self.name, self.result(Unit::Zone, of), true)));
        }
        let inner = self.inner.return_field_from_args(args)?;
        let (Some(unit), Some(of)) = (unit, of) else { return Ok(inner) };
        Ok(Arc::new(Field::new(self.name, self.result(unit, &of), inner.is_nullable())))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(times) = args.args.get(1).map(|of| of.to_array(1)).transpose()?
            && has_ends(&times)
        {
            return self.of_ends(args, &times);
        }
        let field = constant_field(&args);
        let unit = field.as_deref().map_or(Unit::Whole, unit);
        if let Some(of) = args.args.get(1)
            && let Some(field) = field.as_deref()
            && (is_own(unit, &of.data_type()) || spans::are_spans(&of.data_type()))
        {
            let to = args.return_field.data_type();
            let found = |array: &ArrayRef| match spans::are_spans(array.data_type()) {
                true => spans::parts(array, field, to),
                false => own(array, unit, to),
            };
            return Ok(match of {
                ColumnarValue::Array(array) => ColumnarValue::Array(found(array)?),
                ColumnarValue::Scalar(value) => {
                    let found = found(&value.to_array()?)?;
                    ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?)
                }
            });
        }
        if let (Unit::Micros(_), Some(field)) = (unit, args.args.first_mut()) {
            *field = ColumnarValue::Scalar(ScalarValue::from("microsecond"));
        }
        let to = args.return_field.data_type().clone();
        // The field of the result is that of this function, which the inner one does not look at.
        match self.inner.inner().invoke_with_args(args)? {
            ColumnarValue::Array(found) => Ok(ColumnarValue::Array(converted(&found, unit, &to)?)),
            ColumnarValue::Scalar(found) => {
                let found = converted(&found.to_array()?, unit, &to)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?))
            }
        }
    }

    /// Years are ranges of time: what DataFusion knows of the integer holds for the number.
    fn preimage(
        &self,
        args: &[Expr],
        lit_expr: &Expr,
        info: &SimplifyContext,
    ) -> Result<PreimageResult> {
        let year = match lit_expr {
            Expr::Literal(ScalarValue::Decimal128(Some(year), _, 0), _) => {
                i32::try_from(*year).ok()
            }
            Expr::Literal(ScalarValue::Float64(Some(year)), _) => {
                let whole = year.fract() == 0.0 && year.abs() < f64::from(i32::MAX);
                whole.then_some(*year as i32)
            }
            _ => None,
        };
        match year {
            Some(year) if year > 0 => self.inner.preimage(args, &lit(year), info),
            // Years before the first are counted otherwise there.
            _ => Ok(PreimageResult::None),
        }
    }
}

/// Tells whether a field of a type is one that DataFusion does not know, or knows otherwise.
fn is_own(unit: Unit, of: &DataType) -> bool {
    match unit {
        Unit::Years(_) => matches!(of, DataType::Date32 | DataType::Timestamp(..)),
        Unit::Julian => *of == DataType::Date32,
        Unit::Micros(_) | Unit::Epoch | Unit::Year | Unit::Zone | Unit::Whole => false,
    }
}

/// Finds such a field as a number of a type.
fn own(array: &ArrayRef, unit: Unit, to: &DataType) -> Result<ArrayRef> {
    let micros = micros(array)?;
    let micros = micros.as_primitive::<TimestampMicrosecondType>();
    let numbers: Int64Array = micros.unary(|micros| {
        let days = micros.div_euclid(DAY_US);
        match unit {
            Unit::Years(years) => of_year(civil(days).0, years),
            _ => days + JULIAN_1970,
        }
    });
    Ok(cast(&numbers, to)?)
}

/// The decade, the century or the millennium of a year. There is no year 0, and the first decade has nine.
fn of_year(year: i64, years: i64) -> i64 {
    match years {
        10 => year.div_euclid(10),
        _ if year > 0 => (year + years - 1) / years,
        _ => -((years - year) / years),
    }
}

/// What DataFusion's function found as a number of PostgreSQL's type.
fn converted(found: &ArrayRef, unit: Unit, to: &DataType) -> Result<ArrayRef> {
    let scale = match unit {
        Unit::Micros(scale) => scale,
        Unit::Year => {
            let years = cast(found, &DataType::Int32)?;
            let years = years.as_primitive::<Int32Type>();
            let counted: Int32Array = years.unary(|year| if year > 0 { year } else { year - 1 });
            return Ok(cast(&counted, to)?);
        }
        _ => return Ok(cast(found, to)?),
    };
    let Some(micros) = found.as_primitive_opt::<Int32Type>() else {
        return internal_err!("microseconds of a minute are an integer");
    };
    match to {
        DataType::Decimal128(precision, scale) => {
            let numbers: Decimal128Array =
                micros.iter().map(|value| value.map(i128::from)).collect();
            Ok(Arc::new(numbers.with_precision_and_scale(*precision, *scale)?))
        }
        _ => {
            let by = 10_f64.powi(i32::from(scale));
            let numbers = micros.iter().map(|value| value.map(|value| f64::from(value) / by));
            Ok(Arc::new(numbers.collect::<Float64Array>()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_are_of_decades_centuries_and_millennia() {
        for (year, years, expected) in [
            (2024, 10, 202),
            (2000, 100, 20),
            (2001, 100, 21),
            (2000, 1000, 2),
            (2001, 1000, 3),
            (0, 100, -1),
            (-99, 100, -1),
            (-100, 100, -2),
            (-1, 10, -1),
        ] {
            assert_eq!(of_year(year, years), expected, "{year} {years}");
        }
    }
}
