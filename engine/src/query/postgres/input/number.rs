//! Booleans and numbers.

use std::num::IntErrorKind;

use datafusion::arrow::datatypes::DECIMAL128_MAX_PRECISION;
use datafusion::common::ScalarValue;

use super::Refusal;

/// Reads a boolean, or a beginning of one of its words, as PostgreSQL does.
pub(super) fn boolean(text: &str) -> Result<bool, Refusal> {
    let text = text.to_ascii_lowercase();
    let begins = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    if text == "1" || text == "on" || begins("true", 1) || begins("yes", 1) {
        Ok(true)
    } else if text == "0" || begins("off", 2) || begins("false", 1) || begins("no", 1) {
        Ok(false)
    } else {
        Err(Refusal::Form)
    }
}

pub(super) fn integer(text: &str) -> Result<i64, Refusal> {
    text.parse::<i64>().map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => Refusal::Range,
        _ => Refusal::Form,
    })
}

pub(super) fn float4(text: &str) -> Result<f32, Refusal> {
    let number = text.parse::<f32>().map_err(|_| Refusal::Form)?;
    if is_lost(text, number.is_infinite(), number == 0.0) {
        Err(Refusal::Range)
    } else {
        Ok(number)
    }
}

pub(super) fn float8(text: &str) -> Result<f64, Refusal> {
    let number = text.parse::<f64>().map_err(|_| Refusal::Form)?;
    if is_lost(text, number.is_infinite(), number == 0.0) {
        Err(Refusal::Range)
    } else {
        Ok(number)
    }
}

/// Tells whether a number in digits was too large or too small for what was made of it.
fn is_lost(text: &str, is_infinite: bool, is_zero: bool) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let has = |wanted: fn(u8) -> bool| mantissa.bytes().any(wanted);
    is_infinite && has(|byte| byte.is_ascii_digit())
        || is_zero && has(|byte| matches!(byte, b'1'..=b'9'))
}

/// Reads a decimal with or without an exponent, with the digits that it has.
pub(super) fn numeric(text: &str) -> Result<ScalarValue, Refusal> {
    let unsigned = text.trim_start_matches(['-', '+']).to_ascii_lowercase();
    if ["nan", "infinity", "inf"].contains(&unsigned.as_str()) {
        return Err(Refusal::Infinite);
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            (mantissa, exponent.parse::<i32>().map_err(|_| Refusal::Form)?)
        }
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    let whole = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    if (whole.is_empty() && fraction.is_empty())
        || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
    {
        return Err(Refusal::Form);
    }
    let digits = format!("{whole}{fraction}");
    let mut digits = digits.trim_start_matches('0').to_owned();
    let length = i32::try_from(fraction.len()).map_err(|_| Refusal::Form)?;
    let mut scale = length.saturating_sub(exponent);
    if scale < 0 && digits.len() <= usize::from(DECIMAL128_MAX_PRECISION) {
        let zeros = usize::try_from(scale.unsigned_abs()).unwrap_or(usize::MAX);
        let zeros = if digits.is_empty() { 0 } else { zeros.min(39) };
        digits.extend(std::iter::repeat_n('0', zeros));
        scale = 0;
    }
    if digits.len() > usize::from(DECIMAL128_MAX_PRECISION) {
        return Err(Refusal::Range);
    }
    let value =
        if digits.is_empty() { 0 } else { digits.parse::<i128>().map_err(|_| Refusal::Range)? };
    let scale = i8::try_from(scale).ok().filter(|scale| (0..=38).contains(scale));
    let scale = scale.ok_or(Refusal::Range)?;
    let count = u8::try_from(digits.len()).map_err(|_| Refusal::Range)?.max(1);
    Ok(ScalarValue::Decimal128(Some(sign * value), count.max(scale.unsigned_abs()), scale))
}
