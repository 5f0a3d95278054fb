//! What is found in JSON without reading it into a tree: what is at a path, what it is, and whether it has a name.

use std::collections::HashSet;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::Result;
use udfs::{Json, Keeping, Key, Shape, TooLong, View, json_as_text, json_get, json_names};

use super::{Call, Step, refused, steps, writer};
use crate::query::postgres::functions::bounded::too_large;
use crate::query::postgres::types::TYPE_KEY;
use crate::query::stop::check_current;

/// Writes a part of a document, which is `jsonb` or not; false if it is null.
type Show = fn(&str, bool, &mut String) -> Result<bool>;

/// `#>`.
pub(super) fn get_path(call: &Call<'_>) -> Result<ArrayRef> {
    by_path(call, "json_get_path", show)
}

/// `#>>`.
pub(super) fn get_path_text(call: &Call<'_>) -> Result<ArrayRef> {
    by_path(call, "json_get_path_text", show_as_text)
}

fn by_path(call: &Call<'_>, function: &str, write: Show) -> Result<ArrayRef> {
    let jsonb = is_jsonb(call);
    // Mostly there is one path for all rows.
    let mut known: Option<(&str, Vec<Step<'_>>)> = None;
    call.texts(function, |row, out| {
        let Some(json) = call.text(0, row) else { return Ok(false) };
        let path = call.text(1, row);
        if path.is_none() || known.as_ref().map(|(text, _)| *text) != path {
            known = steps(call, 1, row)?.map(|steps| (path.unwrap_or_default(), steps));
        }
        let Some((_, steps)) = &known else { return Ok(false) };
        match at_path(json, steps.iter().map(Option::as_deref))? {
            Some(part) => write(part, jsonb, out),
            None => Ok(false),
        }
    })
}

/// `json_extract_path` and `jsonb_extract_path`.
pub(super) fn extract(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let jsonb = call.result.metadata().get(TYPE_KEY).is_some_and(|logical| logical == "jsonb");
    match listed(call, row)? {
        Some(part) => show(part, jsonb, out),
        None => Ok(false),
    }
}

/// `json_extract_path_text` and `jsonb_extract_path_text`.
pub(super) fn extract_text(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    match listed(call, row)? {
        Some(part) => show_as_text(part, is_jsonb(call), out),
        None => Ok(false),
    }
}

/// What the steps lead to that stand one by one behind the first argument.
fn listed<'c>(call: &'c Call<'_>, row: usize) -> Result<Option<&'c str>> {
    let Some(json) = call.text(0, row) else { return Ok(None) };
    at_path(json, (1..call.arguments.len()).map(|at| call.text(at, row)))
}

/// Whether the first argument is `jsonb`, of which parts are shown as it would keep them.
fn is_jsonb(call: &Call<'_>) -> bool {
    let logical = call.fields.first().and_then(|field| field.metadata().get(TYPE_KEY));
    logical.is_some_and(|logical| logical == "jsonb")
}

/// The JSON at a path, as it stands in the text.
fn at_path<'a>(
    text: &'a str,
    steps: impl Iterator<Item = Option<&'a str>>,
) -> Result<Option<&'a str>> {
    let mut found = text;
    for step in steps {
        // Each of them goes over all that the one before found.
        check_current()?;
        let Some(step) = step else { return Ok(None) };
        let member = json_get(found, Key::Name(step));
        let index = || step.parse::<i32>().ok();
        match member.or_else(|| json_get(found, Key::Index(index()?.into()))) {
            Some(part) => found = part,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// A part as JSON.
fn show(part: &str, jsonb: bool, out: &mut String) -> Result<bool> {
    if !jsonb {
        out.push_str(part);
        return Ok(true);
    }
    let Some(json) = Json::parse(part, Keeping::Values) else { return Ok(false) };
    writer(out).value(json.root()).map_err(|TooLong| too_large("jsonb_extract_path"))?;
    Ok(true)
}

/// A part as text: a string is what it says, and null is null.
fn show_as_text(part: &str, jsonb: bool, out: &mut String) -> Result<bool> {
    if !jsonb || part.starts_with('"') {
        return Ok(json_as_text(part, out).is_some());
    }
    let Some(json) = Json::parse(part, Keeping::Values) else { return Ok(false) };
    match json.root().view() {
        View::Null => return Ok(false),
        View::Text(text) => out.push_str(text),
        _ => writer(out).value(json.root()).map_err(|TooLong| too_large("jsonb_extract_path"))?,
    }
    Ok(true)
}

/// `jsonb_typeof`.
pub(super) fn type_of(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let shape = call.text(0, row).and_then(Shape::of);
    out.extend(shape.map(Shape::type_name));
    Ok(shape.is_some())
}

/// `jsonb_array_length`.
pub(super) fn length(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    match call.text(0, row).and_then(Shape::of) {
        None => Ok(None),
        Some(Shape::Array(elements)) => Ok(i64::try_from(elements).ok()),
        Some(Shape::Object) => Err(refused("22023", "cannot get array length of a non-array")),
        Some(_) => Err(refused("22023", "cannot get array length of a scalar")),
    }
}

/// `?`.
pub(super) fn exists(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let Some((json, name)) = call.text(0, row).zip(call.text(1, row)) else { return Ok(None) };
    let mut found = false;
    let read = json_names(json, |one| found |= one == name);
    Ok(read.map(|()| found))
}

/// `?|`.
pub(super) fn exists_any(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let Some((names, json)) = steps(call, 1, row)?.zip(call.text(0, row)) else { return Ok(None) };
    let sought: HashSet<&str> = names.iter().filter_map(Option::as_deref).collect();
    let mut found = false;
    let read = json_names(json, |one| found |= sought.contains(&*one));
    Ok(read.map(|()| found))
}

/// `?&`.
pub(super) fn exists_all(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let Some((names, json)) = steps(call, 1, row)?.zip(call.text(0, row)) else { return Ok(None) };
    let mut missing: HashSet<&str> = names.iter().filter_map(Option::as_deref).collect();
    let read = json_names(json, |one| {
        missing.remove(&*one);
    });
    Ok(read.map(|()| missing.is_empty()))
}
