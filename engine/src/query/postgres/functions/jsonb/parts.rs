//! The elements of an array, and the names and values of an object, as lists: what `jsonb_array_elements`,
//! `jsonb_object_keys` and `jsonb_each` unnest.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use udfs::{Json, Keeping, Spacing};

use super::{Call, refused, written};
use crate::query::postgres::functions::bounded::{BATCH_BYTES_MAX, too_large};

/// Parts that one batch may have.
const PARTS_MAX: usize = 1 << 22;

/// What an element becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// JSON without blanks.
    Written,
    /// JSON as `jsonb` keeps it.
    Jsonb,
    /// Text: a string is what it says, and null is null.
    Text,
}

/// The elements of arrays.
pub(super) fn elements(call: &Call<'_>, shown: As) -> Result<ArrayRef> {
    let keeping = if shown == As::Written { Keeping::Everything } else { Keeping::Values };
    lists(call, keeping, |value| match value {
        Json::Array(elements) => {
            Ok(elements.into_iter().map(|element| text_of(element, shown)).collect())
        }
        Json::Object(_) => Err(refused("22023", "cannot extract elements from an object")),
        _ => Err(refused("22023", "cannot extract elements from a scalar")),
    })
}

fn text_of(element: Json, shown: As) -> Option<String> {
    match (element, shown) {
        (Json::Null, As::Text) => None,
        (Json::Text(text), As::Text) => Some(text),
        (element, As::Written) => {
            let mut text = String::new();
            element.write(Spacing::None, &mut text);
            Some(text)
        }
        (element, _) => Some(written(&element)),
    }
}

/// The names of the members of objects.
pub(super) fn keys(call: &Call<'_>, keeping: Keeping) -> Result<ArrayRef> {
    lists(call, keeping, |value| match value {
        Json::Object(members) => Ok(members.into_iter().map(|(name, _)| Some(name)).collect()),
        Json::Array(_) => Err(refused("22023", "cannot get the keys of an array")),
        _ => Err(refused("22023", "cannot get the keys of a scalar")),
    })
}

/// The values of the members of objects, in the order of [`keys`].
pub(super) fn values(call: &Call<'_>, keeping: Keeping, shown: As) -> Result<ArrayRef> {
    lists(call, keeping, |value| match value {
        Json::Object(members) => {
            Ok(members.into_iter().map(|(_, value)| text_of(value, shown)).collect())
        }
        Json::Array(_) => Err(refused("22023", "cannot get the values of an array")),
        _ => Err(refused("22023", "cannot get the values of a scalar")),
    })
}

fn lists(
    call: &Call<'_>,
    keeping: Keeping,
    parts: impl Fn(Json) -> Result<Vec<Option<String>>>,
) -> Result<ArrayRef> {
    let DataType::List(item) = call.result.data_type() else {
        return internal_err!("parts of JSON are a list");
    };
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item));
    let (mut bytes, mut count) = (0_u64, 0_usize);
    for row in 0..call.rows {
        let value = call.text(0, row).and_then(|text| Json::parse(text, keeping));
        let Some(value) = value else {
            lists.append_null();
            continue;
        };
        for part in parts(value)? {
            bytes += part.as_ref().map_or(0, String::len) as u64;
            count += 1;
            if bytes > BATCH_BYTES_MAX || count > PARTS_MAX {
                return Err(too_large("jsonb_array_elements"));
            }
            lists.values().append_option(part);
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}
