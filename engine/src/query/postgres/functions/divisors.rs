//! `gcd` and `lcm` of whole numbers, which are of the type of the larger one.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

static FUNCTIONS: LazyLock<[ScalarUDF; 2]> = LazyLock::new(|| {
    [("gcd", Of(greatest_divisor)), ("lcm", Of(least_multiple))].map(|(name, of)| {
        let signature = Signature::user_defined(Volatility::Immutable);
        ScalarUDF::from(Divisors { name, of, signature })
    })
});

/// Returns the functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS.to_vec()
}

/// What is worked out of two numbers; nothing where it fits none.
#[derive(Debug, Clone, Copy)]
struct Of(fn(i64, i64) -> Option<i64>);

#[derive(Debug)]
struct Divisors {
    name: &'static str,
    of: Of,
    signature: Signature,
}

impl PartialEq for Divisors {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Divisors {}

impl std::hash::Hash for Divisors {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Divisors {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Int64))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let small = |of: &DataType| {
            matches!(of, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Null)
        };
        let number = |of: &DataType| of.is_integer() || of.is_string() || of.is_null();
        match types {
            [one, other] if small(one) && small(other) => Ok(vec![DataType::Int32; 2]),
            [one, other] if number(one) && number(other) => Ok(vec![DataType::Int64; 2]),
            _ => plan_err!("function {} takes two whole numbers", self.name),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let [one, other] = args.args.as_slice() else {
            return internal_err!("{} takes two numbers", self.name);
        };
        let numbers = |value: &ColumnarValue| -> Result<ArrayRef> {
            Ok(cast(&value.to_array(rows)?, &DataType::Int64)?)
        };
        let (one, other) = (numbers(one)?, numbers(other)?);
        let (one, other) = (one.as_primitive::<Int64Type>(), other.as_primitive::<Int64Type>());
        let result = args.return_field.data_type();
        let fits = |number: &i64| *result != DataType::Int32 || i32::try_from(*number).is_ok();
        let each = one.iter().zip(other).map(|pair| match pair {
            (Some(one), Some(other)) => match (self.of.0)(one, other).filter(fits) {
                Some(number) => Ok(Some(number)),
                None => Err(ArrowError::ArithmeticOverflow(out_of_range(result).into())),
            },
            _ => Ok(None),
        });
        let found: ArrayRef = Arc::new(each.collect::<std::result::Result<Int64Array, _>>()?);
        let found = cast(&found, result)?;
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            false => ColumnarValue::Array(found),
        })
    }
}

fn out_of_range(data_type: &DataType) -> &'static str {
    if *data_type == DataType::Int32 { "integer out of range" } else { "bigint out of range" }
}

fn greatest_divisor(one: i64, other: i64) -> Option<i64> {
    let (mut one, mut other) = (one.unsigned_abs(), other.unsigned_abs());
    while other != 0 {
        (one, other) = (other, one % other);
    }
    i64::try_from(one).ok()
}

fn least_multiple(one: i64, other: i64) -> Option<i64> {
    if one == 0 || other == 0 {
        return Some(0);
    }
    let divisor = greatest_divisor(one, other)?.unsigned_abs();
    let multiple = (one.unsigned_abs() / divisor).checked_mul(other.unsigned_abs())?;
    i64::try_from(multiple).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_and_multiples_are_positive() {
        assert_eq!(greatest_divisor(12, -18), Some(6));
        assert_eq!(greatest_divisor(0, 0), Some(0));
        assert_eq!(greatest_divisor(i64::MIN, 0), None);
        assert_eq!(least_multiple(4, -6), Some(12));
        assert_eq!(least_multiple(i64::MAX, 2), None);
    }
}
