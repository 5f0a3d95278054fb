//! Parameters that are arrays, of one dimension or several.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::common::utils::list_ndims;
use engine::query::postgres::ArrayText;

use super::{bad_binary, binary, list_of, text};
use crate::wire::encode::Zone;
use crate::wire::error::{WireError, sqlstate};
use crate::wire::frame::short;

/// How many dimensions an array may have.
const DIMENSIONS_MAX: usize = 6;

/// Reads `{1,2,NULL,"a b"}` or `{{1,2},{3,4}}` in the session's zone.
pub(super) fn from_text(array: &str, element: u32, zone: &Zone) -> Result<ScalarValue, WireError> {
    let ArrayText { lengths, elements } = ArrayText::read(array).ok_or_else(|| {
        WireError::new(sqlstate::INVALID_TEXT_REPRESENTATION, "malformed array literal")
    })?;
    let values = elements.iter().map(|value| match value {
        None => Ok(ScalarValue::Null),
        Some(word) => text::scalar(word, element, zone),
    });
    in_dimensions(list_of(&values.collect::<Result<Vec<_>, _>>()?, element)?, &lengths)
}

/// Reads the number of dimensions, a flag, the type of the elements, length and first index of each dimension, and sized
/// elements.
pub(super) fn from_binary(bytes: &[u8], element: u32) -> Result<ScalarValue, WireError> {
    let mut rest = bytes;
    let mut number = || -> Result<i32, WireError> {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        rest = tail;
        Ok(i32::from_be_bytes(*head))
    };
    let dimensions = usize::try_from(number()?).map_err(|_| bad_binary())?;
    number()?;
    let sent = number()?;
    let declared = i32::try_from(element).map_err(|_| bad_binary())?;
    if sent != declared {
        return Err(WireError::new(
            "42804",
            format!("binary data has array element type {sent} instead of expected {declared}"),
        ));
    }
    if dimensions > DIMENSIONS_MAX {
        return Err(WireError::new(
            "54000",
            format!(
                "number of array dimensions ({dimensions}) exceeds the maximum allowed ({DIMENSIONS_MAX})"
            ),
        ));
    }
    let mut lengths = Vec::with_capacity(dimensions);
    for _ in 0..dimensions {
        lengths.push(usize::try_from(number()?).map_err(|_| bad_binary())?);
        number()?;
    }
    let count = lengths.iter().try_fold(1, |count: usize, length| count.checked_mul(*length));
    let count = if dimensions == 0 { Some(0) } else { count };
    let count = count.filter(|count| *count <= rest.len() / 4).ok_or_else(bad_binary)?;
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(bad_binary)?;
        rest = tail;
        values.push(match i32::from_be_bytes(*head) {
            -1 => ScalarValue::Null,
            length => {
                let length = usize::try_from(length).map_err(|_| bad_binary())?;
                let (value, tail) = rest.split_at_checked(length).ok_or_else(bad_binary)?;
                rest = tail;
                binary::scalar(value, element)?
            }
        });
    }
    if !rest.is_empty() {
        return Err(bad_binary());
    }
    let list = list_of(&values, element)?;
    if count == 0 { Ok(list) } else { in_dimensions(list, &lengths) }
}

/// Gives an array of one dimension those that it has, from the outermost to the innermost.
fn in_dimensions(list: ScalarValue, lengths: &[usize]) -> Result<ScalarValue, WireError> {
    let ScalarValue::List(flat) = &list else { return Ok(list) };
    if lengths.len() < 2 {
        return Ok(list);
    }
    let mut array = ListArray::clone(flat);
    let mut values: ArrayRef = Arc::clone(flat.values());
    for (at, length) in lengths.iter().enumerate().rev() {
        let item = Arc::new(Field::new("item", values.data_type().clone(), true));
        let count = lengths[..at].iter().product();
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(*length, count));
        array = ListArray::try_new(item, offsets, values, None).map_err(|_| bad_binary())?;
        values = Arc::new(array.clone());
    }
    Ok(ScalarValue::List(Arc::new(array)))
}

/// A type of arrays with as many dimensions as a value has: the type of a parameter does not tell of them.
pub(super) fn with_dimensions(target: &DataType, value: &DataType) -> DataType {
    let known = list_ndims(target);
    let missing = if known == 0 { 0..0 } else { known..list_ndims(value) };
    missing.fold(target.clone(), |inner, _| DataType::new_list(inner, true))
}
