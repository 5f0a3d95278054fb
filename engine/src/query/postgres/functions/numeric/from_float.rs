//! A cast of a floating-point number to a numeric: as many digits of it as are sure, six of a `real` and fifteen of a
//! `double precision`; and one of a text, which is read as a literal is, exponents included.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Decimal128Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{DIGITS_MAX, Number, out_of_range};
use crate::query::postgres::functions::failure;
use crate::query::postgres::input::{self, Refusal};
use crate::query::postgres::zone::Zone;

/// Digits behind the first of a number that are sure.
const REAL_DIGITS: usize = 5;
const DOUBLE_DIGITS: usize = 14;

/// Makes a numeric of so many digits, some of them behind the point, of an expression of a floating-point type or of texts.
pub(in crate::query::postgres) fn from_float(number: Expr, digits: u8, scale: i8) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::from(FromFloat { digits, scale, signature }).call(vec![number])
}

/// Makes numerics of floating-point numbers or texts, as casts to their type do.
///
/// # Errors
/// 22003 for numbers that have no place in the type, 0A000 for those that are infinite or no number.
pub(crate) fn numerics_of(numbers: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let DataType::Decimal128(digits, scale) = *to else {
        return internal_err!("a numeric was expected, found {to}");
    };
    let signature = Signature::any(1, Volatility::Immutable);
    FromFloat { digits, scale, signature }.all(numbers)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FromFloat {
    digits: u8,
    scale: i8,
    signature: Signature,
}

impl FromFloat {
    /// Reads a number as it is written with an exponent.
    fn read(&self, text: &str) -> Option<i128> {
        let (mantissa, exponent) = text.split_once('e')?;
        let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let value = mantissa.replace('.', "").parse::<i128>().ok()?;
        let scale = i32::try_from(fraction).ok()? - exponent.parse::<i32>().ok()?;
        let value = match scale > 10 * DIGITS_MAX {
            true => 0,
            false => Number { value, scale }.rounded(self.scale.into())?,
        };
        let fits = Number { value, scale: 0 }.digits() <= i32::from(self.digits);
        fits.then_some(value)
    }

    fn numerics<T: std::fmt::LowerExp + Copy + Into<f64>>(
        &self,
        numbers: impl Iterator<Item = Option<T>>,
        digits: usize,
    ) -> Result<ArrayRef> {
        let mut text = String::new();
        let numerics = numbers.map(|number| -> Result<Option<i128>> {
            let Some(number) = number else { return Ok(None) };
            let wide: f64 = number.into();
            if !wide.is_finite() {
                return Err(failure(Refusal::Infinite.error("numeric")));
            }
            text.clear();
            // Writing to a text cannot fail.
            let _ = write!(text, "{number:.digits$e}");
            self.read(&text).map(Some).ok_or_else(out_of_range)
        });
        let numerics = numerics.collect::<Result<Decimal128Array>>()?;
        Ok(Arc::new(numerics.with_precision_and_scale(self.digits, self.scale)?))
    }
}

impl FromFloat {
    fn all(&self, numbers: &ArrayRef) -> Result<ArrayRef> {
        match numbers.data_type() {
            DataType::Float32 => {
                self.numerics(numbers.as_primitive::<Float32Type>().iter(), REAL_DIGITS)
            }
            DataType::Float64 => {
                self.numerics(numbers.as_primitive::<Float64Type>().iter(), DOUBLE_DIGITS)
            }
            found if found.is_string() => self.texts(numbers),
            other => internal_err!("a number or a text was expected, found {other}"),
        }
    }

    fn texts(&self, texts: &ArrayRef) -> Result<ArrayRef> {
        let texts = cast(texts, &DataType::Utf8)?;
        let numerics = texts.as_string::<i32>().iter().map(|text| -> Result<Option<i128>> {
            let Some(text) = text else { return Ok(None) };
            let value = written(text.trim())?.rounded(self.scale.into());
            let fits = |value: &i128| {
                Number { value: *value, scale: 0 }.digits() <= i32::from(self.digits)
            };
            value.filter(fits).map(Some).ok_or_else(out_of_range)
        });
        let numerics = numerics.collect::<Result<Decimal128Array>>()?;
        Ok(Arc::new(numerics.with_precision_and_scale(self.digits, self.scale)?))
    }
}

/// The number that a text is.
fn written(text: &str) -> Result<Number> {
    if let Some(number) = of_digits(text) {
        return Ok(number);
    }
    match input::read(text, "numeric", &Zone::utc()) {
        Some(Ok(ScalarValue::Decimal128(Some(value), _, scale))) => {
            Ok(Number { value, scale: scale.into() })
        }
        Some(Err(refusal)) => Err(failure(refusal.error("numeric"))),
        _ => internal_err!("a numeric is read as one"),
    }
}

/// The number that digits with a point among them are, as nearly all texts have it; `None` for what is written otherwise.
fn of_digits(text: &str) -> Option<Number> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let fits = i32::try_from(digits.len()).is_ok_and(|length| length <= DIGITS_MAX);
    if !fits || !digits.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (mut value, mut scale, mut is_behind) = (0_i128, 0, false);
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + i128::from(byte - b'0');
                scale += i32::from(is_behind);
            }
            b'.' if !is_behind => is_behind = true,
            _ => return None,
        }
    }
    Some(Number { value: if is_negative { -value } else { value }, scale })
}

impl ScalarUDFImpl for FromFloat {
    fn name(&self) -> &str {
        "numeric_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(self.digits, self.scale))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [number] = args.args.as_slice() else {
            return internal_err!("numeric_of takes one argument");
        };
        let is_constant = matches!(number, ColumnarValue::Scalar(_));
        let numbers = number.to_array(if is_constant { 1 } else { args.number_rows })?;
        let numerics = self.all(&numbers)?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&numerics, 0)?),
            false => ColumnarValue::Array(numerics),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_that_are_sure_stay() {
        let signature = Signature::any(1, Volatility::Immutable);
        let cast = FromFloat { digits: 38, scale: 10, signature };
        for (text, expected) in [
            ("1.00000e-1", Some(1_000_000_000)),
            ("-2.50000e0", Some(-25_000_000_000)),
            ("1.23456789100000e6", Some(12_345_678_910_000_000)),
            ("1.00000000000000e-300", Some(0)),
            ("1.00000000000000e300", None),
        ] {
            assert_eq!(cast.read(text), expected, "{text}");
        }
    }

    #[test]
    fn texts_are_read_with_their_digits() -> Result<()> {
        for (text, value, scale) in [
            ("12", 12, 0),
            ("-1.50", -150, 2),
            (".5", 5, 1),
            ("5.", 5, 0),
            ("+2", 2, 0),
            ("1e3", 1000, 0),
            ("1.2E-5", 12, 6),
        ] {
            assert_eq!(written(text)?, Number { value, scale }, "{text}");
        }
        for text in ["", ".", "-", "1,5", "1.2.3", "x"] {
            assert!(written(text).is_err(), "{text}");
        }
        Ok(())
    }
}
