//! The elements of an array, and the names and values of an object, as lists: what `jsonb_array_elements`,
//! `jsonb_object_keys` and `jsonb_each` unnest.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use udfs::{Json, Keeping, Spacing, TooLong, Value, View};

use super::{Call, refused};
use crate::query::postgres::functions::bounded::{BATCH_BYTES_MAX, too_large};
use crate::query::stop::check_current;

/// Parts that one batch may have.
const PARTS_MAX: usize = 1 << 22;
/// Of them from one question whether to stop to the next.
const PARTS_BETWEEN: usize = 1 << 14;

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
    lists(call, keeping, |value, parts| match value.view() {
        View::Array(mut elements) => elements.try_for_each(|element| parts.value(element, shown)),
        View::Object(_) => Err(refused("22023", "cannot extract elements from an object")),
        _ => Err(refused("22023", "cannot extract elements from a scalar")),
    })
}

/// The names of the members of objects.
pub(super) fn keys(call: &Call<'_>, keeping: Keeping) -> Result<ArrayRef> {
    lists(call, keeping, |value, parts| match value.view() {
        View::Object(mut members) => members.try_for_each(|(name, _)| parts.push(Some(name))),
        View::Array(_) => Err(refused("22023", "cannot get the keys of an array")),
        _ => Err(refused("22023", "cannot get the keys of a scalar")),
    })
}

/// The values of the members of objects, in the order of [`keys`].
pub(super) fn values(call: &Call<'_>, keeping: Keeping, shown: As) -> Result<ArrayRef> {
    lists(call, keeping, |value, parts| match value.view() {
        View::Object(mut members) => members.try_for_each(|(_, value)| parts.value(value, shown)),
        View::Array(_) => Err(refused("22023", "cannot get the values of an array")),
        _ => Err(refused("22023", "cannot get the values of a scalar")),
    })
}

/// The parts of one value after the other.
pub(super) struct Parts {
    lists: ListBuilder<StringBuilder>,
    bytes: u64,
    count: usize,
    /// The one that is written.
    text: String,
}

impl Parts {
    /// Begins the lists that a call gives.
    pub(super) fn of(call: &Call<'_>) -> Result<Parts> {
        let DataType::List(item) = call.result.data_type() else {
            return internal_err!("parts of JSON are a list");
        };
        let lists = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item));
        Ok(Parts { lists, bytes: 0, count: 0, text: String::new() })
    }

    /// Ends the list of a row.
    pub(super) fn end_list(&mut self) {
        self.lists.append(true);
    }

    pub(super) fn finish(mut self) -> ArrayRef {
        Arc::new(self.lists.finish())
    }

    /// Adds a part as text or JSON.
    fn value(&mut self, value: Value<'_>, shown: As) -> Result<()> {
        match (value.view(), shown) {
            (View::Null, As::Text) => return self.push(None),
            (View::Text(text), As::Text) => return self.push(Some(text)),
            _ => {}
        }
        let spacing = if shown == As::Written { Spacing::None } else { Spacing::Blanks };
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let written = value.write(spacing, BATCH_BYTES_MAX as usize, &mut text);
        written.map_err(|TooLong| too_large("jsonb_array_elements"))?;
        self.push(Some(&text))?;
        self.text = text;
        Ok(())
    }

    /// Adds a part that is written.
    pub(super) fn push(&mut self, part: Option<&str>) -> Result<()> {
        self.bytes += part.map_or(0, str::len) as u64;
        self.count += 1;
        if self.bytes > BATCH_BYTES_MAX || self.count > PARTS_MAX {
            return Err(too_large("jsonb_array_elements"));
        }
        if self.count.is_multiple_of(PARTS_BETWEEN) {
            check_current()?;
        }
        self.lists.values().append_option(part);
        Ok(())
    }
}

fn lists(
    call: &Call<'_>,
    keeping: Keeping,
    take: impl Fn(Value<'_>, &mut Parts) -> Result<()>,
) -> Result<ArrayRef> {
    let mut parts = Parts::of(call)?;
    for row in 0..call.rows {
        check_current()?;
        let json = call.text(0, row).and_then(|text| Json::parse(text, keeping));
        let Some(json) = json else {
            parts.lists.append_null();
            continue;
        };
        take(json.root(), &mut parts)?;
        parts.end_list();
    }
    Ok(parts.finish())
}
