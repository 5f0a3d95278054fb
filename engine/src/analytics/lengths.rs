//! Texts of columns that hold so many characters at most, `varchar(n)` and `char(n)`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::error::DataFusionError;

use crate::error::{Error, Result};
use crate::lake;
use crate::query::postgres::types::{format_type, pg_type_of};

/// Cuts the blanks behind texts that are longer than their column allows, also those of arrays.
///
/// # Errors
/// 22001 where more than blanks would be cut.
pub(super) fn fitted(array: ArrayRef, field: &Field) -> Result<ArrayRef> {
    let logical = field.metadata().get(lake::LOGICAL_TYPE);
    let logical = logical.map(|logical| logical.trim_end_matches("[]"));
    let most = logical.and_then(|logical| {
        let (base, rest) = logical.split_once('(')?;
        let counted = matches!(base, "varchar" | "character varying" | "bpchar" | "character");
        rest.strip_suffix(')').filter(|_| counted)?.parse::<usize>().ok()
    });
    match most {
        Some(most) => cut(array, most, field),
        None => Ok(array),
    }
}

/// Cuts texts, or those within arrays of however many dimensions.
fn cut(array: ArrayRef, most: usize, field: &Field) -> Result<ArrayRef> {
    if let (Some(lists), DataType::List(item)) = (array.as_list_opt::<i32>(), array.data_type()) {
        let (offsets, values) = own_values(lists);
        let fitted = cut(Arc::clone(&values), most, field)?;
        if Arc::ptr_eq(&fitted, &values) {
            return Ok(Arc::clone(&array));
        }
        let lists = ListArray::try_new(Arc::clone(item), offsets, fitted, lists.nulls().cloned());
        return Ok(Arc::new(lists.map_err(DataFusionError::from)?));
    }
    if !array.data_type().is_string() {
        return Ok(array);
    }
    let texts = crate::tables::texts(&array)?;
    if texts.iter().flatten().all(|text| text.chars().count() <= most) {
        return Ok(array);
    }
    let short = texts.iter().map(|text| match text {
        Some(text) => without_blanks(text, most).map(Some).ok_or_else(|| too_long(field)),
        None => Ok(None),
    });
    let short: ArrayRef = Arc::new(short.collect::<Result<StringArray>>()?);
    Ok(cast(&short, array.data_type()).map_err(DataFusionError::from)?)
}

/// Where arrays begin and end among their values, without the values of those that a limit has left out.
fn own_values(lists: &ListArray) -> (OffsetBuffer<i32>, ArrayRef) {
    let offsets = lists.offsets();
    let first = offsets.first().copied().unwrap_or(0);
    let count = offsets.last().map_or(0, |last| last - first);
    let place = |at: i32| usize::try_from(at).unwrap_or(0);
    let values = lists.values().slice(place(first), place(count));
    let offsets: Vec<i32> = offsets.iter().map(|at| at - first).collect();
    (OffsetBuffer::new(offsets.into()), values)
}

/// A text without the blanks behind so many characters; `None` if there is more than blanks.
fn without_blanks(text: &str, most: usize) -> Option<&str> {
    let end = text.char_indices().nth(most).map_or(text.len(), |(at, _)| at);
    let (kept, rest) = text.split_at(end);
    rest.trim_end_matches(' ').is_empty().then_some(kept)
}

fn too_long(field: &Field) -> Error {
    let (pg_type, modifier) = pg_type_of(field);
    let data_type = format_type(i64::from(pg_type.oid), i64::from(modifier));
    let of_value = data_type.trim_end_matches("[]");
    Error::Standard {
        sqlstate: "22001",
        message: format!("value too long for type {of_value}"),
        hint: "Cut the value with left(value, n), or make the column text.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_alone_are_cut() {
        assert_eq!(without_blanks("ab  ", 3), Some("ab "));
        assert_eq!(without_blanks("äb", 3), Some("äb"));
        assert_eq!(without_blanks("äbc ", 3), Some("äbc"));
        assert_eq!(without_blanks("abc d", 3), None);
    }
}
