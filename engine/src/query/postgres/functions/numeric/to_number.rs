//! `to_number(text, pattern)`: a numeric with as many digits behind the point as the pattern has.

use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Decimal128Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::{DIGITS_MAX, Number, decimal, out_of_range};
use crate::Error;
use crate::query::postgres::functions::failure;
use crate::query::postgres::types::arrow_type;
use crate::query::stop::check_current;

/// Returns the function.
pub(super) fn to_number() -> ScalarUDF {
    let texts = vec![DataType::Utf8, DataType::Utf8];
    ScalarUDF::from(ToNumber { signature: Signature::exact(texts, Volatility::Immutable) })
}

/// Reads a number as a pattern says; `None` if there are no digits.
fn read(text: &str, pattern: &str) -> Option<Number> {
    let mut rest = text.chars().peekable();
    let mut signs = pattern.chars();
    let (mut digits, mut scale, mut is_negative) = (String::new(), None, false);
    while let Some(sign) = signs.next() {
        match sign.to_ascii_uppercase() {
            '9' | '0' => {
                is_negative |= signed(&mut rest);
                if let Some(digit) = rest.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                    scale = scale.map(|scale| scale + 1);
                }
            }
            '.' | 'D' => {
                if rest.next_if_eq(&'.').is_some() {
                    scale = Some(0);
                }
            }
            ',' | 'G' => _ = rest.next_if_eq(&','),
            'S' => is_negative |= signed(&mut rest),
            'M' | 'P' | 'R' | 'I' | 'L' | 'F' | 'T' | 'H' | '$' | ' ' => {
                is_negative |= signed(&mut rest);
                rest.next_if(|next| !next.is_ascii_digit() && !matches!(next, '.' | ','));
            }
            // What is written between quotes stands for as many signs, and any other for itself.
            '"' => {
                for _ in signs.by_ref().take_while(|next| *next != '"') {
                    rest.next();
                }
            }
            _ => _ = rest.next(),
        }
    }
    let value = digits.parse::<i128>().ok()?;
    let value = if is_negative { -value } else { value };
    Some(Number { value, scale: scale.unwrap_or(0) })
}

/// Passes over blanks and a sign, and tells whether that is a minus.
fn signed(rest: &mut Peekable<Chars<'_>>) -> bool {
    while rest.next_if_eq(&' ').is_some() {}
    match rest.next_if(|next| matches!(next, '-' | '+' | '<')) {
        Some(sign) => sign != '+',
        None => false,
    }
}

/// How many digits a pattern has before and behind the point.
fn digits_of(pattern: &str) -> (i32, i32) {
    let (mut whole, mut fraction, mut is_behind) = (0, 0, false);
    for sign in pattern.split('"').step_by(2).flat_map(str::chars) {
        match sign.to_ascii_uppercase() {
            '9' | '0' if is_behind => fraction += 1,
            '9' | '0' => whole += 1,
            '.' | 'D' => is_behind = true,
            _ => {}
        }
    }
    (whole.min(DIGITS_MAX), fraction.min(DIGITS_MAX))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToNumber {
    signature: Signature,
}

impl ScalarUDFImpl for ToNumber {
    fn name(&self) -> &str {
        "to_number"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args answers for to_number")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let data_type = match args.scalar_arguments.get(1).copied().flatten() {
            Some(ScalarValue::Utf8(Some(pattern))) => {
                let (whole, fraction) = digits_of(pattern);
                decimal(whole, fraction)
            }
            _ => arrow_type("numeric"),
        };
        Ok(Arc::new(Field::new("to_number", data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ([text, pattern], DataType::Decimal128(digits, scale)) =
            (args.args.as_slice(), args.return_field.data_type())
        else {
            return internal_err!("to_number takes a text and a pattern");
        };
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let [text, pattern] = [text, pattern]
            .map(|side| -> Result<ArrayRef> { Ok(cast(&side.to_array(rows)?, &DataType::Utf8)?) });
        let (text, pattern) = (text?, pattern?);
        let pairs = text.as_string::<i32>().iter().zip(pattern.as_string::<i32>().iter());
        let numbers = pairs.map(|pair| -> Result<Option<i128>> {
            check_current()?;
            let (Some(text), Some(pattern)) = pair else { return Ok(None) };
            let Some(number) = read(text, pattern) else {
                return Err(failure(Error::Standard {
                    sqlstate: "22P02",
                    message: "invalid input syntax for type numeric".to_owned(),
                    hint: "The text has no digits where the pattern has them.".to_owned(),
                }));
            };
            number.rounded((*scale).into()).map(Some).ok_or_else(out_of_range)
        });
        let numbers = numbers.collect::<Result<Decimal128Array>>()?;
        let numbers: ArrayRef = Arc::new(numbers.with_precision_and_scale(*digits, *scale)?);
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&numbers, 0)?),
            false => ColumnarValue::Array(numbers),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_patterns() {
        let check = |text: &str, pattern: &str, value: i128, scale: i32| {
            let found = read(text, pattern);
            assert_eq!(found, Some(Number { value, scale }), "{text} by {pattern}");
        };
        check("12,454.8-", "99G999D9S", -124_548, 1);
        check("-34,338,492", "99G999G999", -34_338_492, 0);
        check("$1,234.50", "L9,999.99", 123_450, 2);
        check("<564646.654564>", "999999.999999PR", -564_646_654_564, 6);
        check("  42", "9999", 42, 0);
        assert_eq!(read("x", "9"), None);
        assert_eq!(digits_of("99G999D9S"), (5, 1));
        assert_eq!(digits_of("\"99\"9.99"), (1, 2));
    }
}
