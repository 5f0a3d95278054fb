//! A cast of a numeric to a floating-point number: the one that is nearest to it.
//!
//! Arrow makes a floating-point number of the digits first, which rounds those of an average or a quotient, and divides it,
//! which rounds once more: `59.995` with twenty digits behind the point becomes `59.995000000000005`.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Decimal128Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Digits that a whole number and a power of ten may have to be floating-point numbers as they are.
const EXACT_DIGITS: u8 = 15;
const EXACT_POWER_MAX: i32 = 22;
const EXACT_MAX: u128 = 1 << 53;

static TO_FLOAT: LazyLock<ScalarUDF> = LazyLock::new(|| {
    ScalarUDF::from(ToFloat { signature: Signature::any(1, Volatility::Immutable) })
});

/// Tells whether a cast of an expression of a type to a double precision number would round twice.
pub(in crate::query::postgres) fn rounds_twice(number: &Expr, found: &DataType) -> bool {
    let is_known = matches!(number, Expr::Literal(..) | Expr::Placeholder(_));
    let is_long = |digits: u8, scale: i8| digits > EXACT_DIGITS && scale > 0;
    !is_known && matches!(found, DataType::Decimal128(digits, scale) if is_long(*digits, *scale))
}

/// Makes the nearest double precision number of a numeric.
pub(in crate::query::postgres) fn to_float(number: Expr) -> Expr {
    TO_FLOAT.call(vec![number])
}

/// The floating-point number that is nearest to digits, so many of which are behind the point.
fn nearest(mut value: i128, mut scale: i32, text: &mut String) -> f64 {
    for step in [16, 8, 4, 2, 1_u32] {
        let zeros = 10_i128.pow(step);
        if scale >= step as i32 && value % zeros == 0 {
            value /= zeros;
            scale -= step as i32;
        }
    }
    if value.unsigned_abs() <= EXACT_MAX && scale <= EXACT_POWER_MAX {
        return value as f64 / 10_f64.powi(scale);
    }
    text.clear();
    // Writing to a text cannot fail, and what is written is a number.
    let _ = write!(text, "{value}e-{scale}");
    text.parse().unwrap_or(f64::NAN)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToFloat {
    signature: Signature,
}

impl ScalarUDFImpl for ToFloat {
    fn name(&self) -> &str {
        "float_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [number] = args.args.as_slice() else {
            return internal_err!("float_of takes one argument");
        };
        let is_constant = matches!(number, ColumnarValue::Scalar(_));
        let numbers = number.to_array(if is_constant { 1 } else { args.number_rows })?;
        let DataType::Decimal128(_, scale) = *numbers.data_type() else {
            return internal_err!("float_of takes a numeric");
        };
        let mut text = String::new();
        let numbers = numbers.as_primitive::<Decimal128Type>().iter();
        let floats: Float64Array = numbers
            .map(|number| number.map(|number| nearest(number, scale.into(), &mut text)))
            .collect();
        let floats: ArrayRef = Arc::new(floats);
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&floats, 0)?),
            false => ColumnarValue::Array(floats),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_the_nearest_ones() {
        let mut text = String::new();
        for (value, scale, expected) in [
            (5_999_500_000_000_000_000_000, 20, 59.995),
            (-33_333_333_333_333_333_333, 20, -0.333_333_333_333_333_3),
            (10_i128.pow(38) - 1, 37, 10.0),
            (1, 30, 1e-30),
            (0, 20, 0.0),
            (12_345, 0, 12_345.0),
        ] {
            assert_eq!(nearest(value, scale, &mut text), expected, "{value} {scale}");
        }
    }
}
