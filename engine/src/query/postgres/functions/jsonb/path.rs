//! Paths into JSON: `jsonb_path_exists`, `jsonb_path_match`, `jsonb_path_query` and its kin, and the operators `@?` and
//! `@@`.

mod items;
mod node;
mod pattern;
mod syntax;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanBuilder, StringBuilder};
use datafusion::common::Result;
use udfs::{Json, Keeping, Spacing, TooLong, Value, View, quote_json};

use self::items::{Fault, Item, Looking, written};
use self::node::Path;
use super::parts::Parts;
use super::{Call, document, refused};
use crate::query::postgres::functions::bounded::{BATCH_BYTES_MAX, VALUE_BYTES_MAX, too_large};
use crate::query::stop::check_current;

/// What a path finds in a row.
enum Found<'a> {
    /// An argument is null.
    Null,
    /// What the document is not as the path says, which is passed over in silence.
    Fault,
    Items(Vec<Item<'a>>),
}

/// Looks for what the path of each row finds, and hands it on.
fn each(
    call: &Call<'_>,
    silent: bool,
    mut take: impl FnMut(Found<'_>) -> Result<()>,
) -> Result<()> {
    // Mostly there is one path for all rows.
    let mut known: Option<(&str, Path)> = None;
    for row in 0..call.rows {
        check_current()?;
        if call.arguments.iter().any(|argument| argument.is_null(row)) {
            take(Found::Null)?;
            continue;
        }
        let (Some(json), Some(text)) = (document(call, 0, row)?, call.text(1, row)) else {
            take(Found::Null)?;
            continue;
        };
        if known.as_ref().is_none_or(|(path, _)| *path != text) {
            known = Some((text, Path::parse(text)?));
        }
        let Some((_, path)) = &known else { continue };
        let variables = document(call, 2, row)?;
        let variables = variables.as_ref().map(|variables| variables.root());
        if variables.is_some_and(|variables| !matches!(variables.view(), View::Object(_))) {
            return Err(refused("22023", "\"vars\" argument is not an object"));
        }
        let found = match Looking::new(path, json.root(), variables).items() {
            Ok(items) => Found::Items(items),
            Err(Fault::Stop(error)) => return Err(error),
            Err(Fault::Path(..)) if silent || call.bool(3, row) == Some(true) => Found::Fault,
            Err(Fault::Path(sqlstate, message)) => return Err(refused(sqlstate, message)),
        };
        take(found)?;
    }
    Ok(())
}

/// Whether a path finds anything.
pub(super) fn exists(call: &Call<'_>, silent: bool) -> Result<ArrayRef> {
    let mut flags = BooleanBuilder::with_capacity(call.rows);
    each(call, silent, |found| {
        flags.append_option(match found {
            Found::Null | Found::Fault => None,
            Found::Items(items) => Some(!items.is_empty()),
        });
        Ok(())
    })?;
    Ok(Arc::new(flags.finish()))
}

/// What a path says of a document.
pub(super) fn matches(call: &Call<'_>, silent: bool) -> Result<ArrayRef> {
    let quiet = |row: usize| silent || call.bool(3, row) == Some(true);
    let mut flags = BooleanBuilder::with_capacity(call.rows);
    let mut row = 0;
    each(call, silent, |found| {
        let flag = match found {
            Found::Null | Found::Fault => None,
            Found::Items(items) => match items.as_slice() {
                [item] if item.truth().is_some() => item.truth().flatten(),
                _ if quiet(row) => None,
                _ => return Err(refused("22038", "single boolean result is expected")),
            },
        };
        row += 1;
        flags.append_option(flag);
        Ok(())
    })?;
    Ok(Arc::new(flags.finish()))
}

/// All that a path finds, as one array.
pub(super) fn query_array(call: &Call<'_>) -> Result<ArrayRef> {
    texts(call, |found, out| {
        let items = match found {
            Found::Null => return Ok(false),
            Found::Fault => Vec::new(),
            Found::Items(items) => items,
        };
        out.push('[');
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            write(item, out)?;
        }
        out.push(']');
        Ok(true)
    })
}

/// The first that a path finds.
pub(super) fn query_first(call: &Call<'_>) -> Result<ArrayRef> {
    texts(call, |found, out| match found {
        Found::Items(items) => match items.first() {
            Some(item) => write(*item, out).map(|()| true),
            None => Ok(false),
        },
        Found::Null | Found::Fault => Ok(false),
    })
}

/// All that a path finds, as a list.
pub(super) fn query(call: &Call<'_>) -> Result<ArrayRef> {
    let mut parts = Parts::of(call)?;
    let mut text = String::new();
    each(call, false, |found| {
        if let Found::Items(items) = found {
            for item in items {
                text.clear();
                write(item, &mut text)?;
                parts.push(Some(&text))?;
            }
        }
        parts.end_list();
        Ok(())
    })?;
    Ok(parts.finish())
}

fn texts(
    call: &Call<'_>,
    mut show: impl FnMut(Found<'_>, &mut String) -> Result<bool>,
) -> Result<ArrayRef> {
    let mut texts = StringBuilder::new();
    let mut text = String::new();
    each(call, false, |found| {
        text.clear();
        let given = show(found, &mut text)?;
        if (texts.values_slice().len() + text.len()) as u64 > BATCH_BYTES_MAX {
            return Err(too_large("jsonb_path_query"));
        }
        texts.append_option(given.then_some(&text));
        Ok(())
    })?;
    Ok(Arc::new(texts.finish()))
}

/// Writes an item as `jsonb` keeps it.
fn write(item: Item<'_>, out: &mut String) -> Result<()> {
    let value = |value: Value<'_>, out: &mut String| {
        let written = value.write(Spacing::Blanks, VALUE_BYTES_MAX as usize, out);
        written.map_err(|TooLong| too_large("jsonb_path_query"))
    };
    match item {
        Item::Json(json) => return value(json, out),
        Item::Number(number) => {
            if let Some(json) = Json::parse(number, Keeping::Values) {
                return value(json.root(), out);
            }
        }
        Item::Null => out.push_str("null"),
        Item::Bool(flag) => out.push_str(if flag { "true" } else { "false" }),
        Item::Text(text) => quote_json(text, out),
        Item::Count(count) => out.push_str(&count.to_string()),
        Item::Made(number) => out.push_str(&written(number)),
    }
    // A path may lead to one long text many times.
    if out.len() as u64 > VALUE_BYTES_MAX { Err(too_large("jsonb_path_query")) } else { Ok(()) }
}
