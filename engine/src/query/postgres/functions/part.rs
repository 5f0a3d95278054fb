//! `extract(field FROM time)`, which is a numeric, and `date_part(field, time)`, which is a double precision number.
//!
//! DataFusion's gives integers and cuts the parts of seconds off, which are asked of it as microseconds here.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int32Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions::datetime::date_part;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    lit,
};

/// The function that `EXTRACT` calls.
pub(crate) const EXTRACT: &str = "extract";

/// Digits of a number of microseconds below a minute, and some to count on with.
const MICROS_PRECISION: u8 = 16;
const EPOCH_PRECISION: u8 = 20;
/// Digits of a number of nanoseconds below a minute, which is the largest that DataFusion's gives.
const WHOLE_PRECISION: u8 = 11;

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
    /// A whole number.
    Whole,
}

fn unit(field: &str) -> Unit {
    match field.trim().to_lowercase().as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Micros(6),
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => Unit::Micros(3),
        "us" | "usec" | "usecs" | "microsecond" | "microseconds" => Unit::Micros(0),
        "epoch" => Unit::Epoch,
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
            Unit::Whole => DataType::Decimal128(WHOLE_PRECISION, 0),
        }
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
        let inner = self.inner.return_field_from_args(args)?;
        let (Some(unit), Some(of)) = (unit, of) else { return Ok(inner) };
        Ok(Arc::new(Field::new(self.name, self.result(unit, &of), inner.is_nullable())))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let unit = match args.args.first() {
            Some(ColumnarValue::Scalar(field)) => field_of(Some(field)).map_or(Unit::Whole, unit),
            _ => Unit::Whole,
        };
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
            Some(year) => self.inner.preimage(args, &lit(year), info),
            None => Ok(PreimageResult::None),
        }
    }
}

/// What DataFusion's function found as a number of PostgreSQL's type.
fn converted(found: &ArrayRef, unit: Unit, to: &DataType) -> Result<ArrayRef> {
    let Unit::Micros(scale) = unit else { return Ok(cast(found, to)?) };
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
