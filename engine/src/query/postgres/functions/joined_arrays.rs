//! `array_to_string`: the elements of an array one behind the other, as arrays write them but in no quotes.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::common::Result;
use datafusion::logical_expr::Volatility;

use super::bounded::{VALUE_BYTES_MAX, too_large};
use super::flat::{has_dimensions, without_outermost};
use super::text_of::element_texts;
use super::{Body, Call, Function, Kind, failure};
use crate::Error;
use crate::query::postgres::moments::zone_of;
use crate::query::postgres::types::pg_type_of;

const NAME: &str = "array_to_string";

pub(super) const FUNCTIONS: &[Function] =
    &[Function::new(NAME, &[Kind::Any, Kind::Text, Kind::Text], "text", Body::Column(joined))
        .at_least(2)
        .with_nulls()
        .with(Volatility::Immutable)];

fn joined(call: &Call<'_>) -> Result<ArrayRef> {
    let mut array = Arc::clone(&call.arguments[0]);
    while has_dimensions(array.data_type()) {
        array = without_outermost(&array)?;
    }
    if array.data_type().is_null() {
        return call.texts(NAME, |_, _| Ok(false));
    }
    let Some(lists) = array.as_list_opt::<i32>() else {
        let of =
            call.fields.first().map_or("unknown", |field| pg_type_of(field).0.display.as_str());
        return Err(failure(Error::Standard {
            sqlstate: "42883",
            message: format!("function {NAME}({of}, text) does not exist"),
            hint: "Cast the value to an array: CAST(value AS text[]).".to_owned(),
        }));
    };
    let elements = element_texts(lists.values(), &zone_of(call.facts))?;
    let offsets = lists.value_offsets();
    let place = |at: i32| usize::try_from(at).unwrap_or(0);
    call.texts(NAME, |row, text| {
        let (true, Some(between)) = (lists.is_valid(row), call.text(1, row)) else {
            return Ok(false);
        };
        let mut is_first = true;
        for at in place(offsets[row])..place(offsets[row + 1]) {
            let element = match elements.is_valid(at) {
                true => elements.value(at),
                false => match call.text(2, row) {
                    Some(null) => null,
                    None => continue,
                },
            };
            if !is_first {
                text.push_str(between);
            }
            is_first = false;
            text.push_str(element);
            if text.len() as u64 > VALUE_BYTES_MAX {
                return Err(too_large(NAME));
            }
        }
        Ok(true)
    })
}
