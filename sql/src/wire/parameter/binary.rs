//! Parameters in binary.

use std::ops::{Range, RangeInclusive};

use datafusion::common::ScalarValue;

use super::{bad_binary, decimal, out_of_range, text, unknown_type, utc, uuid_text};
use crate::wire::encode::{EPOCH_SHIFT_DAYS, EPOCH_SHIFT_US};
use crate::wire::error::WireError;
use crate::wire::frame::short;
use crate::wire::types::oid;

/// Days from the year 2000 that PostgreSQL has dates of.
const DATES: Range<i32> = -2_451_545..2_145_031_949;
/// Microseconds from then on that it has timestamps of.
const MOMENTS: Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;
/// Microseconds of a day, whose end is a time, too.
const TIMES: RangeInclusive<i64> = 0..=86_400_000_000;
/// Digits that a group of a numeric stands for.
const GROUP: i128 = 10_000;
const NEGATIVE: u16 = 0x4000;
const POSITIVE: u16 = 0;
/// Of NaN and the infinities.
const NO_NUMBERS: [u16; 3] = [0xc000, 0xd000, 0xf000];

/// Takes exactly so many bytes.
fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| if bytes.len() < N { short() } else { bad_binary() })
}

/// Reads a value that is no array.
pub(super) fn scalar(bytes: &[u8], oid: u32) -> Result<ScalarValue, WireError> {
    Ok(match oid {
        oid::BOOL => ScalarValue::Boolean(Some(exactly::<1>(bytes)? != [0])),
        oid::INT2 => ScalarValue::Int16(Some(i16::from_be_bytes(exactly(bytes)?))),
        oid::INT4 => ScalarValue::Int32(Some(i32::from_be_bytes(exactly(bytes)?))),
        oid::INT8 => ScalarValue::Int64(Some(i64::from_be_bytes(exactly(bytes)?))),
        oid::OID | oid::XID | oid::CID | oid::REGCLASS | oid::REGTYPE | oid::REGPROC => {
            ScalarValue::Int64(Some(i64::from(u32::from_be_bytes(exactly(bytes)?))))
        }
        oid::FLOAT4 => ScalarValue::Float32(Some(f32::from_be_bytes(exactly(bytes)?))),
        oid::FLOAT8 => ScalarValue::Float64(Some(f64::from_be_bytes(exactly(bytes)?))),
        oid::NUMERIC => numeric(bytes)?,
        oid::BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        oid::UUID => ScalarValue::Utf8(Some(uuid_text(&exactly(bytes)?))),
        oid::DATE => ScalarValue::Date32(Some(match i32::from_be_bytes(exactly(bytes)?) {
            infinite @ (i32::MAX | i32::MIN) => infinite,
            days => {
                let days = Some(days).filter(|days| DATES.contains(days));
                let days = days.and_then(|days| days.checked_add(EPOCH_SHIFT_DAYS));
                days.ok_or_else(|| beyond("date"))?
            }
        })),
        oid::TIME => {
            let micros = Some(i64::from_be_bytes(exactly(bytes)?));
            let micros = micros.filter(|micros| TIMES.contains(micros));
            ScalarValue::Time64Microsecond(Some(micros.ok_or_else(|| beyond("time"))?))
        }
        oid::TIMESTAMP => ScalarValue::TimestampMicrosecond(Some(micros(bytes)?), None),
        oid::TIMESTAMPTZ => ScalarValue::TimestampMicrosecond(Some(micros(bytes)?), utc()),
        oid::INTERVAL => interval(bytes)?,
        oid::JSONB => match bytes.split_first() {
            Some((1, json)) => ScalarValue::Utf8(Some(text::utf8(json)?.to_owned())),
            _ => return Err(bad_binary()),
        },
        0
        | oid::TEXT
        | oid::VARCHAR
        | oid::BPCHAR
        | oid::NAME
        | oid::CHAR
        | oid::JSON
        | oid::UNKNOWN => ScalarValue::Utf8(Some(text::utf8(bytes)?.to_owned())),
        other => return Err(unknown_type(other)),
    })
}

fn micros(bytes: &[u8]) -> Result<i64, WireError> {
    match i64::from_be_bytes(exactly(bytes)?) {
        infinite @ (i64::MAX | i64::MIN) => Ok(infinite),
        micros => {
            let micros = Some(micros).filter(|micros| MOMENTS.contains(micros));
            let micros = micros.and_then(|micros| micros.checked_add(EPOCH_SHIFT_US));
            micros.ok_or_else(|| beyond("timestamp"))
        }
    }
}

/// A day or a time that there is not.
fn beyond(what: &str) -> WireError {
    WireError::new("22008", format!("{what} out of range"))
}

fn interval(bytes: &[u8]) -> Result<ScalarValue, WireError> {
    let bytes = exactly::<16>(bytes)?;
    let micros = i64::from_be_bytes(exactly(&bytes[..8])?);
    let days = i32::from_be_bytes(exactly(&bytes[8..12])?);
    let months = i32::from_be_bytes(exactly(&bytes[12..])?);
    let nanos = micros.checked_mul(1000).ok_or_else(bad_binary)?;
    Ok(ScalarValue::new_interval_mdn(months, days, nanos))
}

/// Reads groups of four digits: how many, the weight of the first, the sign, and the digits behind the point.
fn numeric(bytes: &[u8]) -> Result<ScalarValue, WireError> {
    let word = |at: usize| -> Result<[u8; 2], WireError> {
        exactly(bytes.get(at..at + 2).ok_or_else(short)?)
    };
    let count = usize::try_from(i16::from_be_bytes(word(0)?)).map_err(|_| bad_binary())?;
    let weight = i32::from(i16::from_be_bytes(word(2)?));
    let sign = u16::from_be_bytes(word(4)?);
    let scale = i32::from(u16::from_be_bytes(word(6)?));
    if !NO_NUMBERS.contains(&sign) && sign != NEGATIVE && sign != POSITIVE {
        return Err(bad_binary());
    }
    if NO_NUMBERS.contains(&sign) {
        return Err(WireError::new("0A000", "numeric values that are no number are not supported")
            .hint("Use double precision."));
    }
    if bytes.len() != 8 + count * 2 {
        return Err(bad_binary());
    }
    let overflow = || out_of_range(oid::NUMERIC);
    let scale = i8::try_from(scale).ok().filter(|scale| *scale <= 38).ok_or_else(overflow)?;
    // The last group ends at this power of ten; the value must end at the scale.
    let last = 4 * (weight - i32::try_from(count).map_err(|_| bad_binary())? + 1);
    let shift = last + i32::from(scale);
    let mut value: i128 = 0;
    let mut shift_left = shift;
    for index in 0..count {
        let mut group = i128::from(i16::from_be_bytes(word(8 + index * 2)?));
        let mut room = GROUP;
        if !(0..GROUP).contains(&group) {
            return Err(bad_binary());
        }
        // Digits of the last group that are behind the scale are zeros, for which there may be no room.
        if index + 1 == count && (-3..0).contains(&shift) {
            let behind = 10i128.pow(shift.unsigned_abs());
            (group, room, shift_left) = (group / behind, GROUP / behind, 0);
        }
        value = value
            .checked_mul(room)
            .and_then(|value| value.checked_add(group))
            .ok_or_else(overflow)?;
    }
    let shift = shift_left;
    let power = 10i128.checked_pow(shift.unsigned_abs());
    let value = match (value, power) {
        (0, _) => 0,
        (_, None) => return Err(overflow()),
        (value, Some(power)) if shift >= 0 => value.checked_mul(power).ok_or_else(overflow)?,
        (value, Some(power)) => value / power,
    };
    decimal(if sign == NEGATIVE { -value } else { value }, scale)
}
