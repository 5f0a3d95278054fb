//! Single bits and bytes: `get_bit`, `set_bit`, `set_byte`, `bit_count`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BinaryBuilder};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::Volatility;

use super::super::bounded::{BATCH_BYTES_MAX, too_large};
use super::{Body, Call, Function, Kind, bytes, failure};
use crate::Error;

pub(in super::super) const FUNCTIONS: &[Function] = &[
    Function::new("get_bit", &[Kind::Any, Kind::Int], "int4", Body::Int(get_bit))
        .with(Volatility::Immutable),
    Function::new(
        "set_bit",
        &[Kind::Any, Kind::Int, Kind::Int],
        "bytea",
        Body::Column(|call| changed(call, "set_bit", set_bit)),
    )
    .with(Volatility::Immutable),
    Function::new(
        "set_byte",
        &[Kind::Any, Kind::Int, Kind::Int],
        "bytea",
        Body::Column(|call| changed(call, "set_byte", set_byte)),
    )
    .with(Volatility::Immutable),
    Function::new("bit_count", &[Kind::Any], "int8", Body::Int(bit_count))
        .with(Volatility::Immutable),
];

/// Refuses a place behind so many bits or bytes.
pub(super) fn out_of_range(place: i64, count: usize) -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "2202E",
        message: format!(
            "index {place} out of valid range, 0..{}",
            i64::try_from(count).unwrap_or(i64::MAX) - 1
        ),
        hint: "Bytes and their bits are counted from 0.".to_owned(),
    })
}

/// The byte of a bit, and its place there: the first one is the lowest.
fn place_of(bit: i64, bytes: &[u8]) -> Result<(usize, u8)> {
    let byte = usize::try_from(bit / 8).ok().filter(|byte| bit >= 0 && *byte < bytes.len());
    let byte = byte.ok_or_else(|| out_of_range(bit, bytes.len().saturating_mul(8)))?;
    Ok((byte, 1 << (bit % 8)))
}

fn get_bit(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    let (Some(bytes), Some(bit)) = (bytes(call, row)?, call.int(1, row)) else { return Ok(None) };
    let (byte, mask) = place_of(bit, &bytes)?;
    Ok(Some(i64::from(bytes[byte] & mask != 0)))
}

fn set_bit(bytes: &mut [u8], bit: i64, value: i64) -> Result<()> {
    let (byte, mask) = place_of(bit, bytes)?;
    match value {
        0 => bytes[byte] &= !mask,
        1 => bytes[byte] |= mask,
        _ => {
            return Err(failure(Error::Standard {
                sqlstate: "22023",
                message: "new bit must be 0 or 1".to_owned(),
                hint: String::new(),
            }));
        }
    }
    Ok(())
}

fn set_byte(bytes: &mut [u8], place: i64, value: i64) -> Result<()> {
    let count = bytes.len();
    let found = usize::try_from(place).ok().and_then(|place| bytes.get_mut(place));
    // Of a larger number its lowest bits.
    *found.ok_or_else(|| out_of_range(place, count))? = value as u8;
    Ok(())
}

fn bit_count(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    let bytes = bytes(call, row)?;
    Ok(bytes.map(|bytes| bytes.iter().map(|byte| i64::from(byte.count_ones())).sum()))
}

fn changed(
    call: &Call<'_>,
    function: &str,
    change: fn(&mut [u8], i64, i64) -> Result<()>,
) -> Result<ArrayRef> {
    let mut all = BinaryBuilder::new();
    for row in 0..call.rows {
        let (Some(bytes), Some(place), Some(value)) =
            (bytes(call, row)?, call.int(1, row), call.int(2, row))
        else {
            all.append_null();
            continue;
        };
        let mut bytes = bytes.into_owned();
        change(&mut bytes, place, value)?;
        if (all.values_slice().len() + bytes.len()) as u64 > BATCH_BYTES_MAX {
            return Err(too_large(function));
        }
        all.append_value(&bytes);
    }
    Ok(Arc::new(all.finish()))
}
