//! Functions over arrays. A vector of `pg_catalog` counts from 0, an array from 1.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int32Builder, Int64Builder, ListArray, ListBuilder,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::utils::list_ndims;
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, Volatility};

use super::{Body, Call, Function, Kind, failure};
use crate::Error;
use crate::query::postgres::types::TYPE_KEY;

const ARRAY_AND_DIMENSION: &[Kind] = &[Kind::Any, Kind::Int];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("array_lower", ARRAY_AND_DIMENSION, "int4", Body::Int(lower))
        .with(Volatility::Immutable),
    Function::new("array_upper", ARRAY_AND_DIMENSION, "int4", Body::Int(upper))
        .with(Volatility::Immutable),
    Function::new("array_dims", &[Kind::Any], "text", Body::Text(bounds))
        .with(Volatility::Immutable),
    Function::new("array_ndims", &[Kind::Any], "int4", Body::Int(dimension_count))
        .with(Volatility::Immutable),
    Function::new("array_length", ARRAY_AND_DIMENSION, "int4", Body::Int(dimension))
        .at_least(1)
        .with(Volatility::Immutable),
    Function::new("trim_array", ARRAY_AND_DIMENSION, "", Body::Column(trim))
        .with(Volatility::Immutable),
    Function::new(
        "array_subscripts",
        &[Kind::Any, Kind::Int, Kind::Bool],
        "_int4",
        Body::Column(subscripts),
    )
    .at_least(2)
    .with(Volatility::Immutable),
    Function::new("array_ordinals", &[Kind::Any], "_int8", Body::Column(ordinals))
        .variadic()
        .with_nulls()
        .with(Volatility::Immutable),
    Function::new("array_whole", &[Kind::Any], "", Body::Column(whole)).with(Volatility::Immutable),
    Function::new("array_or_empty", &[Kind::Any], "", Body::Column(or_empty))
        .with_nulls()
        .with(Volatility::Immutable),
];

/// The number of the first element.
fn first(call: &Call<'_>) -> i64 {
    let logical = call.fields.first().and_then(|field| field.metadata().get(TYPE_KEY));
    i64::from(!logical.is_some_and(|name| name.ends_with("vector")))
}

/// How long an array is in each dimension; an empty one has none.
fn lengths(array: &ArrayRef, row: usize) -> Result<Vec<i64>> {
    let Some(mut lists) = array.as_list_opt::<i32>() else {
        return plan_err!("an array is expected, not {}", array.data_type());
    };
    let (mut found, mut at) = (Vec::new(), row);
    while lists.is_valid(at) && lists.value_length(at) > 0 {
        found.push(i64::from(lists.value_length(at)));
        at = usize::try_from(lists.value_offsets()[at]).unwrap_or(0);
        match lists.values().as_list_opt::<i32>() {
            Some(inner) => lists = inner,
            None => return Ok(found),
        }
    }
    // The parts of an array have elements, or it has none.
    Ok(if list_ndims(array.data_type()) == found.len() as u64 { found } else { Vec::new() })
}

/// Fails where arrays that are to be parts of one are not as long as each other.
pub(super) fn check_even(arrays: &[ColumnarValue], rows: usize) -> Result<()> {
    if !arrays.iter().all(|part| matches!(part.data_type(), DataType::List(_))) {
        return Ok(());
    }
    let parts = arrays.iter().map(|part| match part {
        ColumnarValue::Array(array) => Ok((Arc::clone(array), false)),
        ColumnarValue::Scalar(value) => Ok((value.to_array()?, true)),
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    for row in 0..rows {
        let mut first: Option<Vec<i64>> = None;
        for (part, constant) in &parts {
            let found = lengths(part, if *constant { 0 } else { row })?;
            if *first.get_or_insert_with(|| found.clone()) != found {
                return Err(failure(Error::Standard {
                    sqlstate: "2202E",
                    message: "multidimensional arrays must have array expressions with matching dimensions".to_owned(),
                    hint: "Make the inner arrays as long as each other.".to_owned(),
                }));
            }
        }
    }
    Ok(())
}

/// Fails where arrays that were gathered as parts of one cannot be that: they are null, empty, or not as long as each other.
pub(super) fn check_parts(gathered: &ArrayRef) -> Result<()> {
    let Some(lists) = gathered.as_list_opt::<i32>() else { return Ok(()) };
    let refused = |sqlstate, message: &str| {
        Err(failure(Error::Standard {
            sqlstate,
            message: message.to_owned(),
            hint: "Gather arrays of one length, or their elements: array_agg(element).".to_owned(),
        }))
    };
    let parts = lists.values();
    for row in 0..lists.len() {
        let mut first: Option<Vec<i64>> = None;
        let place = |at: usize| usize::try_from(lists.value_offsets()[at]).unwrap_or(0);
        for at in place(row)..place(row + 1) {
            if parts.is_null(at) {
                return refused("22004", "cannot accumulate null arrays");
            }
            let found = lengths(parts, at)?;
            if found.is_empty() {
                return refused("2202E", "cannot accumulate empty arrays");
            }
            if *first.get_or_insert_with(|| found.clone()) != found {
                return refused("2202E", "cannot accumulate arrays of different dimensionality");
            }
        }
    }
    Ok(())
}

/// The length of a dimension; an empty array has none. Without a number it is the first.
fn dimension(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    let wanted = if call.arguments.len() == 1 { Some(1) } else { call.int(1, row) };
    let at = wanted.and_then(|wanted| usize::try_from(wanted).ok()?.checked_sub(1));
    Ok(lengths(&call.arguments[0], row)?.get(at.unwrap_or(usize::MAX)).copied())
}

/// `[1:2][1:3]`: from which place to which each dimension goes.
fn bounds(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let first = first(call);
    let lengths = lengths(&call.arguments[0], row)?;
    let bounds = lengths.iter().map(|length| format!("[{first}:{}]", first + length - 1));
    Ok(Some(bounds.collect::<String>()).filter(|bounds| !bounds.is_empty()))
}

fn dimension_count(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    let count = lengths(&call.arguments[0], row)?.len();
    Ok(i64::try_from(count).ok().filter(|count| *count > 0))
}

/// An array without so many of its last elements.
fn trim(call: &Call<'_>) -> Result<ArrayRef> {
    let Some(lists) = call.arguments[0].as_list_opt::<i32>() else {
        return plan_err!("an array is expected, not {}", call.arguments[0].data_type());
    };
    let DataType::List(item) = lists.data_type() else { return internal_err!("a list is one") };
    let (mut places, mut lengths) = (Vec::new(), Vec::with_capacity(call.rows));
    let mut valid = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let count = call.int(1, row).filter(|_| lists.is_valid(row));
        valid.push(count.is_some());
        let Some(count) = count else {
            lengths.push(0);
            continue;
        };
        let length = i64::from(lists.value_length(row));
        if !(0..=length).contains(&count) {
            return Err(failure(Error::Standard {
                sqlstate: "2202E",
                message: format!("number of elements to trim must be between 0 and {length}"),
                hint: "cardinality(array) tells how many elements there are.".to_owned(),
            }));
        }
        let first = lists.value_offsets()[row];
        let kept = i32::try_from(length - count).unwrap_or(0);
        places.extend(first..first + kept);
        lengths.push(usize::try_from(kept).unwrap_or(0));
    }
    let values = take(lists.values(), &Int32Array::from(places), None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = Some(NullBuffer::from(valid));
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, nulls)?))
}

fn lower(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    Ok(dimension(call, row)?.map(|_| first(call)))
}

fn upper(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    Ok(dimension(call, row)?.map(|length| first(call) + length - 1))
}

/// The numbers of the elements: what `generate_subscripts` unnests.
fn subscripts(call: &Call<'_>) -> Result<ArrayRef> {
    let DataType::List(item) = call.result.data_type() else {
        return plan_err!("array_subscripts returns a list");
    };
    let first = i32::try_from(first(call)).unwrap_or(1);
    let mut lists = ListBuilder::new(Int32Builder::new()).with_field(Arc::clone(item));
    for row in 0..call.rows {
        let valid = call.arguments.iter().all(|argument| argument.is_valid(row));
        let length = if valid { dimension(call, row)?.unwrap_or(0) } else { 0 };
        let length = i32::try_from(length).unwrap_or(0);
        let is_backward = call.bool(2, row) == Some(true);
        (0..length).for_each(|at| {
            let at = if is_backward { length - 1 - at } else { at };
            lists.values().append_value(first + at);
        });
        lists.append(valid);
    }
    Ok(Arc::new(lists.finish()))
}

/// The places of the elements of the longest array, in however many dimensions they are: what numbers the rows that are made
/// of them.
fn ordinals(call: &Call<'_>) -> Result<ArrayRef> {
    let DataType::List(item) = call.result.data_type() else {
        return plan_err!("array_ordinals returns a list");
    };
    let arrays: Vec<&ArrayRef> =
        call.arguments.iter().filter(|array| !array.data_type().is_null()).collect();
    let mut lists = ListBuilder::new(Int64Builder::new()).with_field(Arc::clone(item));
    for row in 0..call.rows {
        let mut most = 0;
        for array in &arrays {
            // An empty array has no dimension, whose product would be one.
            let count = lengths(array, row)?.into_iter().reduce(|one, other| one * other);
            most = most.max(count.unwrap_or(0));
        }
        (1..=most).for_each(|place| lists.values().append_value(place));
        lists.append(arrays.iter().any(|array| array.is_valid(row)));
    }
    Ok(Arc::new(lists.finish()))
}

/// An array as it is. A subscript behind it is none of the subscripts within.
fn whole(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(Arc::clone(&call.arguments[0]))
}

/// An array, empty where it is null: `ARRAY(SELECT ...)` over no rows is an empty array.
fn or_empty(call: &Call<'_>) -> Result<ArrayRef> {
    let array = &call.arguments[0];
    let Some(lists) = array.as_list_opt::<i32>().filter(|lists| lists.null_count() > 0) else {
        return Ok(Arc::clone(array));
    };
    let DataType::List(item) = lists.data_type() else { return Ok(Arc::clone(array)) };
    // A null list may hide elements: take the valid ones only.
    let valid = |row: usize| if lists.is_valid(row) { lists.value_length(row) as usize } else { 0 };
    let offsets = OffsetBuffer::from_lengths((0..lists.len()).map(valid));
    let parts: Vec<ArrayRef> =
        (0..lists.len()).filter(|row| lists.is_valid(*row)).map(|row| lists.value(row)).collect();
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    let values = if parts.is_empty() {
        lists.values().slice(0, 0)
    } else {
        datafusion::arrow::compute::concat(&parts)?
    };
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, None::<NullBuffer>)?))
}
