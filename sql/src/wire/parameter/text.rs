//! Parameters as text.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;

use super::{bad_text, decimal, out_of_range, utc};
use crate::wire::encode::Span;
use crate::wire::error::{WireError, sqlstate};
use crate::wire::types::oid;

/// Reads bytes as text.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes).map_err(|_| {
        WireError::new(
            sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\"",
        )
    })
}

/// Reads a value that is no array.
pub(super) fn scalar(text: &str, oid: u32) -> Result<ScalarValue, WireError> {
    let trimmed = text.trim();
    let bad = || bad_text(oid);
    let integer = |trimmed: &str| match trimmed.parse::<i64>() {
        Ok(number) => Ok(number),
        Err(error)
            if matches!(
                error.kind(),
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow
            ) =>
        {
            Err(out_of_range(oid))
        }
        Err(_) => Err(bad()),
    };
    let through_arrow = |data_type: &DataType| {
        ScalarValue::Utf8(Some(trimmed.to_owned())).cast_to(data_type).map_err(|_| bad()).and_then(
            |value| {
                if value.is_null() { Err(bad()) } else { Ok(value) }
            },
        )
    };
    Ok(match oid {
        oid::BOOL => ScalarValue::Boolean(Some(boolean(trimmed).ok_or_else(bad)?)),
        oid::INT2 => ScalarValue::Int16(Some(
            i16::try_from(integer(trimmed)?).map_err(|_| out_of_range(oid))?,
        )),
        oid::INT4 => ScalarValue::Int32(Some(
            i32::try_from(integer(trimmed)?).map_err(|_| out_of_range(oid))?,
        )),
        oid::INT8 | oid::OID | oid::XID | oid::CID => ScalarValue::Int64(Some(integer(trimmed)?)),
        oid::FLOAT4 => ScalarValue::Float32(Some(trimmed.parse().map_err(|_| bad())?)),
        oid::FLOAT8 => ScalarValue::Float64(Some(trimmed.parse().map_err(|_| bad())?)),
        oid::NUMERIC => numeric(trimmed)?,
        oid::BYTEA => ScalarValue::Binary(Some(bytea(text).ok_or_else(bad)?)),
        oid::UUID => ScalarValue::Binary(Some(uuid(trimmed)?.to_vec())),
        oid::DATE => through_arrow(&DataType::Date32)?,
        oid::TIME => through_arrow(&DataType::Time64(TimeUnit::Microsecond))?,
        oid::TIMESTAMP => through_arrow(&DataType::Timestamp(TimeUnit::Microsecond, None))?,
        oid::TIMESTAMPTZ => through_arrow(&DataType::Timestamp(TimeUnit::Microsecond, utc()))?,
        oid::INTERVAL => interval(trimmed).ok_or_else(bad)?,
        // Everything else is text, and what the plan makes of it.
        _ => ScalarValue::Utf8(Some(text.to_owned())),
    })
}

/// Reads a boolean, or a beginning of one of its words, as PostgreSQL does.
fn boolean(text: &str) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    let begins = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    if text == "1" || text == "on" || begins("true", 1) || begins("yes", 1) {
        Some(true)
    } else if text == "0" || begins("off", 2) || begins("false", 1) || begins("no", 1) {
        Some(false)
    } else {
        None
    }
}

/// Reads a decimal with or without an exponent.
fn numeric(text: &str) -> Result<ScalarValue, WireError> {
    let bad = || bad_text(oid::NUMERIC);
    if ["nan", "infinity", "-infinity", "inf", "-inf"].contains(&text.to_ascii_lowercase().as_str())
    {
        let message = "numeric values that are no number are not supported";
        return Err(
            WireError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).hint("Use double precision.")
        );
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| bad())?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    let whole = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    if (whole.is_empty() && fraction.is_empty())
        || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
    {
        return Err(bad());
    }
    let digits = format!("{whole}{fraction}");
    let mut digits = digits.trim_start_matches('0').to_owned();
    let mut scale = i32::try_from(fraction.len()).map_err(|_| bad())? - exponent;
    if scale < 0 && digits.len() <= 38 {
        digits.extend(std::iter::repeat_n('0', usize::try_from(-scale).unwrap_or(0).min(39)));
        scale = 0;
    }
    let value = if digits.is_empty() {
        0
    } else {
        digits.parse::<i128>().map_err(|_| out_of_range(oid::NUMERIC))?
    };
    let scale = i8::try_from(scale).ok().filter(|scale| (0..=38).contains(scale));
    let scale = scale.filter(|_| digits.len() <= 38).ok_or_else(|| out_of_range(oid::NUMERIC))?;
    decimal(sign * value, scale)
}

/// Reads bytes in hexadecimal digits behind `\x`, or with backslashes before octal ones.
fn bytea(text: &str) -> Option<Vec<u8>> {
    if let Some(digits) = text.strip_prefix("\\x") {
        return hex::decode(digits.split_ascii_whitespace().collect::<String>()).ok();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'\\' {
            bytes.push(*first);
        } else if let Some(behind) = rest.strip_prefix(b"\\") {
            bytes.push(b'\\');
            rest = behind;
        } else {
            let octal = std::str::from_utf8(rest.get(..3)?).ok()?;
            bytes.push(u8::from_str_radix(octal, 8).ok()?);
            rest = &rest[3..];
        }
    }
    Some(bytes)
}

/// Reads a uuid, with or without hyphens and braces.
pub(super) fn uuid(text: &str) -> Result<[u8; 16], WireError> {
    let digits: String =
        text.trim_matches(['{', '}']).chars().filter(|letter| *letter != '-').collect();
    hex::decode(digits)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| bad_text(oid::UUID))
}

fn interval(text: &str) -> Option<ScalarValue> {
    let span = Span::parse(text)?;
    Some(ScalarValue::new_interval_mdn(span.months, span.days, span.micros.checked_mul(1000)?))
}
