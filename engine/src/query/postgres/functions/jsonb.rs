//! Functions over JSON that is kept as text, and what the operators `#>`, `#>>`, `@>`, `<@`, `?`, `?|`, `?&`, `||`, `-` and
//! `#-` are: the rewriting of statements calls them by the names here.
//!
//! A text that is no JSON has nothing in it: functions of it give null. What is given beside it, such as the value that
//! `jsonb_set` puts in, must be JSON.

mod change;
mod contains;
mod parts;

use std::collections::HashSet;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::Volatility;
use udfs::{Json, Keeping, Key, Spacing, json_get};

use self::change::{Change, changed};
use super::{Body, Call, Function, Kind, failure};
use crate::Error;
use crate::query::postgres::rewrite::array_elements;
use crate::query::postgres::types::TYPE_KEY;

const fn pure(
    name: &'static str,
    parameters: &'static [Kind],
    result: &'static str,
    body: Body,
) -> Function {
    Function::new(name, parameters, result, body).with(Volatility::Immutable)
}

const ONE: &[Kind] = &[Kind::Json];
const TWO: &[Kind] = &[Kind::Json, Kind::Json];
const WITH_NAME: &[Kind] = &[Kind::Json, Kind::Text];
const WITH_PATH: &[Kind] = &[Kind::Json, Kind::Texts];
const WITH_VALUE: &[Kind] = &[Kind::Json, Kind::Texts, Kind::Json, Kind::Bool];

/// What `@>` calls.
pub(in crate::query::postgres) const CONTAINS: &str = "jsonb_contains";
/// What `<@` calls.
pub(in crate::query::postgres) const CONTAINED: &str = "jsonb_contained";
/// What `||` calls.
pub(in crate::query::postgres) const CONCAT: &str = "jsonb_concat";
/// What `-` calls with a name, a position and several names.
pub(in crate::query::postgres) const DELETE: [&str; 3] =
    ["jsonb_delete", "jsonb_delete_at", "jsonb_delete_all"];

pub(super) const FUNCTIONS: &[Function] = &[
    pure("json_get_path", WITH_PATH, "", Body::Text(get_path)),
    pure("json_get_path_text", WITH_PATH, "text", Body::Text(get_path_text)),
    pure("json_extract_path", WITH_NAME, "json", Body::Text(extract)).at_least(1).variadic(),
    pure("jsonb_extract_path", WITH_NAME, "jsonb", Body::Text(extract)).at_least(1).variadic(),
    pure("json_extract_path_text", WITH_NAME, "text", Body::Text(extract_text))
        .at_least(1)
        .variadic(),
    pure("jsonb_extract_path_text", WITH_NAME, "text", Body::Text(extract_text))
        .at_least(1)
        .variadic(),
    pure("jsonb_exists", WITH_NAME, "bool", Body::Bool(exists)),
    pure("jsonb_exists_any", WITH_PATH, "bool", Body::Bool(exists_any)),
    pure("jsonb_exists_all", WITH_PATH, "bool", Body::Bool(exists_all)),
    pure(CONTAINS, TWO, "bool", Body::Bool(|c, row| contains::contains(c, row, 0, 1))),
    pure(CONTAINED, TWO, "bool", Body::Bool(|c, row| contains::contains(c, row, 1, 0))),
    pure(CONCAT, TWO, "jsonb", Body::Text(concat)),
    pure(DELETE[0], WITH_NAME, "jsonb", Body::Text(delete_name)),
    pure(DELETE[1], &[Kind::Json, Kind::Int], "jsonb", Body::Text(delete_at)),
    pure(DELETE[2], WITH_PATH, "jsonb", Body::Text(delete_all)),
    pure("jsonb_delete_path", WITH_PATH, "jsonb", Body::Text(delete_path)),
    pure("jsonb_set", WITH_VALUE, "jsonb", Body::Text(set)).at_least(3),
    pure("jsonb_insert", WITH_VALUE, "jsonb", Body::Text(insert)).at_least(3),
    pure("json_strip_nulls", ONE, "json", Body::Text(|c, row| strip(c, row, Keeping::Everything))),
    pure("jsonb_strip_nulls", ONE, "jsonb", Body::Text(|c, row| strip(c, row, Keeping::Values))),
    pure("jsonb_pretty", ONE, "text", Body::Text(pretty)),
    pure("json_typeof", ONE, "text", Body::Text(type_of)),
    pure("jsonb_typeof", ONE, "text", Body::Text(type_of)),
    pure("json_array_length", ONE, "int4", Body::Int(length)),
    pure("jsonb_array_length", ONE, "int4", Body::Int(length)),
    pure("json_elements", ONE, "_json", Body::Column(|c| parts::elements(c, parts::As::Written))),
    pure("jsonb_elements", ONE, "_jsonb", Body::Column(|c| parts::elements(c, parts::As::Jsonb))),
    pure("json_elements_text", ONE, "_text", Body::Column(|c| parts::elements(c, parts::As::Text))),
    pure("json_keys", ONE, "_text", Body::Column(|c| parts::keys(c, Keeping::Everything))),
    pure("jsonb_keys", ONE, "_text", Body::Column(|c| parts::keys(c, Keeping::Values))),
    pure("json_values", ONE, "_json", Body::Column(|c| values(c, parts::As::Written))),
    pure("jsonb_values", ONE, "_jsonb", Body::Column(|c| values(c, parts::As::Jsonb))),
    pure("json_values_text", ONE, "_text", Body::Column(|c| values(c, parts::As::Text))),
    pure(
        "jsonb_values_text",
        ONE,
        "_text",
        Body::Column(|c| parts::values(c, Keeping::Values, parts::As::Text)),
    ),
];

/// The values of members: those of `jsonb` in its order, others as they are written.
fn values(call: &Call<'_>, shown: parts::As) -> Result<ArrayRef> {
    let jsonb = shown == parts::As::Jsonb;
    parts::values(call, if jsonb { Keeping::Values } else { Keeping::Everything }, shown)
}

/// A step into JSON: the name of a member, or the position of an element. A null leads nowhere.
type Step = Option<String>;

/// Reads an argument; `None` for null, and for a first one that is no JSON.
fn document(call: &Call<'_>, argument: usize, row: usize) -> Result<Option<Json>> {
    let Some(text) = call.text(argument, row) else { return Ok(None) };
    match Json::parse(text, Keeping::Values) {
        None if argument > 0 => Err(refused("22P02", "invalid input syntax for type json")),
        found => Ok(found),
    }
}

fn steps(call: &Call<'_>, argument: usize, row: usize) -> Result<Option<Vec<Step>>> {
    let Some(array) = call.arguments.get(argument) else { return Ok(None) };
    if let Some(lists) = array.as_list_opt::<i32>() {
        if lists.is_null(row) {
            return Ok(None);
        }
        let values = lists.value(row);
        let Some(texts) = values.as_string_opt::<i32>() else {
            return internal_err!("a path is a list of texts");
        };
        return Ok(Some(texts.iter().map(|text| text.map(str::to_owned)).collect()));
    }
    let Some(text) = call.text(argument, row) else { return Ok(None) };
    match array_elements(text) {
        Some(steps) => Ok(Some(steps)),
        None => Err(refused("22P02", "malformed array literal")),
    }
}

fn refused(sqlstate: &'static str, message: impl Into<String>) -> DataFusionError {
    let hint = match sqlstate {
        "22P02" => "JSON is written as '{\"a\": [1, 2]}', a path into it as '{a,0}'.",
        _ => "jsonb_typeof() tells what a value is.",
    };
    failure(Error::Standard { sqlstate, message: message.into(), hint: hint.to_string() })
}

fn written(value: &Json) -> String {
    let mut text = String::new();
    value.write(Spacing::Blanks, &mut text);
    text
}

/// Whether the first argument is `jsonb`, of which parts are shown as it would keep them.
fn is_jsonb(call: &Call<'_>) -> bool {
    let logical = call.fields.first().and_then(|field| field.metadata().get(TYPE_KEY));
    logical.is_some_and(|logical| logical == "jsonb")
}

/// The JSON at a path, as it stands in the text.
fn at_path<'a>(text: &'a str, steps: &[Step]) -> Option<&'a str> {
    steps.iter().try_fold(text, |found, step| {
        let step = step.as_deref()?;
        json_get(found, Key::Name(step))
            .or_else(|| json_get(found, Key::Index(i64::from(step.parse::<i32>().ok()?))))
    })
}

/// A part as JSON.
fn shown(part: &str, jsonb: bool) -> Option<String> {
    match jsonb {
        true => Json::parse(part, Keeping::Values).map(|value| written(&value)),
        false => Some(part.to_owned()),
    }
}

/// A part as text: a string is what it says, and null is null.
fn shown_as_text(part: &str, jsonb: bool) -> Option<String> {
    match Json::parse(part, Keeping::Values)? {
        Json::Null => None,
        Json::Text(text) => Some(text),
        value if jsonb => Some(written(&value)),
        _ => Some(part.trim().to_owned()),
    }
}

fn get_path(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some(steps) = steps(call, 1, row)? else { return Ok(None) };
    let part = call.text(0, row).and_then(|text| at_path(text, &steps));
    Ok(part.and_then(|part| shown(part, is_jsonb(call))))
}

fn get_path_text(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some(steps) = steps(call, 1, row)? else { return Ok(None) };
    let part = call.text(0, row).and_then(|text| at_path(text, &steps));
    Ok(part.and_then(|part| shown_as_text(part, is_jsonb(call))))
}

/// The steps that stand one by one behind the first argument.
fn listed(call: &Call<'_>, row: usize) -> Vec<Step> {
    (1..call.arguments.len()).map(|at| call.text(at, row).map(str::to_owned)).collect()
}

fn extract(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let part = call.text(0, row).and_then(|text| at_path(text, &listed(call, row)));
    let jsonb = call.result.metadata().get(TYPE_KEY).is_some_and(|logical| logical == "jsonb");
    Ok(part.and_then(|part| shown(part, jsonb)))
}

fn extract_text(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let part = call.text(0, row).and_then(|text| at_path(text, &listed(call, row)));
    Ok(part.and_then(|part| shown_as_text(part, is_jsonb(call))))
}

/// What a string says.
fn said(value: &Json) -> Option<&str> {
    match value {
        Json::Text(text) => Some(text),
        _ => None,
    }
}

/// The names that a value has: as members, as elements that are strings, or as the string that it is.
fn names_of(value: &Json) -> HashSet<&str> {
    match value {
        Json::Object(members) => members.iter().map(|(key, _)| key.as_str()).collect(),
        Json::Array(elements) => elements.iter().filter_map(said).collect(),
        scalar => said(scalar).into_iter().collect(),
    }
}

fn exists(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let value = document(call, 0, row)?;
    Ok(value.zip(call.text(1, row)).map(|(value, name)| names_of(&value).contains(name)))
}

fn exists_any(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let names = steps(call, 1, row)?;
    Ok(document(call, 0, row)?.zip(names).map(|(value, names)| {
        let known = names_of(&value);
        names.iter().flatten().any(|name| known.contains(name.as_str()))
    }))
}

fn exists_all(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let names = steps(call, 1, row)?;
    Ok(document(call, 0, row)?.zip(names).map(|(value, names)| {
        let known = names_of(&value);
        names.iter().flatten().all(|name| known.contains(name.as_str()))
    }))
}

fn concat(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let (Some(left), Some(right)) = (document(call, 0, row)?, document(call, 1, row)?) else {
        return Ok(None);
    };
    let elements = |value: Json| match value {
        Json::Array(elements) => elements,
        other => vec![other],
    };
    let whole = match (left, right) {
        (Json::Object(mut members), Json::Object(more)) => {
            members.extend(more);
            Json::object(members)
        }
        (left, right) => {
            let mut whole = elements(left);
            whole.extend(elements(right));
            Json::Array(whole)
        }
    };
    Ok(Some(written(&whole)))
}

/// Takes members and elements of these names out.
fn without(value: Json, names: &HashSet<&str>) -> Result<Json> {
    Ok(match value {
        Json::Object(mut members) => {
            members.retain(|(key, _)| !names.contains(key.as_str()));
            Json::Object(members)
        }
        Json::Array(mut elements) => {
            elements.retain(|value| !said(value).is_some_and(|text| names.contains(text)));
            Json::Array(elements)
        }
        _ => return Err(refused("22023", "cannot delete from scalar")),
    })
}

fn delete_name(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some((value, name)) = document(call, 0, row)?.zip(call.text(1, row)) else {
        return Ok(None);
    };
    Ok(Some(written(&without(value, &HashSet::from([name]))?)))
}

fn delete_all(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some((value, names)) = document(call, 0, row)?.zip(steps(call, 1, row)?) else {
        return Ok(None);
    };
    let names: HashSet<&str> = names.iter().flatten().map(String::as_str).collect();
    Ok(Some(written(&without(value, &names)?)))
}

fn delete_at(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some((value, index)) = document(call, 0, row)?.zip(call.int(1, row)) else {
        return Ok(None);
    };
    let mut elements = match value {
        Json::Array(elements) => elements,
        Json::Object(_) => {
            return Err(refused("22023", "cannot delete from object using integer index"));
        }
        _ => return Err(refused("22023", "cannot delete from scalar")),
    };
    let count = i64::try_from(elements.len()).unwrap_or(i64::MAX);
    let index = if index < 0 { index.saturating_add(count) } else { index };
    if let Ok(at) = usize::try_from(index)
        && at < elements.len()
    {
        elements.remove(at);
    }
    Ok(Some(written(&Json::Array(elements))))
}

fn delete_path(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some((value, steps)) = document(call, 0, row)?.zip(steps(call, 1, row)?) else {
        return Ok(None);
    };
    if value.is_scalar() {
        return Err(refused("22023", "cannot delete path in scalar"));
    }
    Ok(Some(written(&changed(value, &steps, &Change::Delete)?)))
}

fn set(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let create = call.bool(3, row).unwrap_or(true);
    put(call, row, |value| if create { Change::Set(value) } else { Change::Replace(value) })
}

fn insert(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let after = call.bool(3, row).unwrap_or(false);
    put(call, row, |value| if after { Change::After(value) } else { Change::Before(value) })
}

fn put(call: &Call<'_>, row: usize, change: impl FnOnce(Json) -> Change) -> Result<Option<String>> {
    let (Some(value), Some(steps), Some(new)) =
        (document(call, 0, row)?, steps(call, 1, row)?, document(call, 2, row)?)
    else {
        return Ok(None);
    };
    if value.is_scalar() {
        return Err(refused("22023", "cannot set path in scalar"));
    }
    Ok(Some(written(&changed(value, &steps, &change(new))?)))
}

fn strip(call: &Call<'_>, row: usize, keeping: Keeping) -> Result<Option<String>> {
    let Some(mut value) = call.text(0, row).and_then(|text| Json::parse(text, keeping)) else {
        return Ok(None);
    };
    without_nulls(&mut value);
    let mut text = String::new();
    let json = keeping == Keeping::Everything;
    value.write(if json { Spacing::None } else { Spacing::Blanks }, &mut text);
    Ok(Some(text))
}

fn without_nulls(value: &mut Json) {
    match value {
        Json::Object(members) => {
            members.retain(|(_, value)| *value != Json::Null);
            members.iter_mut().for_each(|(_, value)| without_nulls(value));
        }
        Json::Array(elements) => elements.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

fn pretty(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    Ok(document(call, 0, row)?.map(|value| {
        let mut text = String::new();
        value.write_pretty(&mut text);
        text
    }))
}

fn type_of(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    Ok(document(call, 0, row)?.map(|value| value.type_name().to_owned()))
}

fn length(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    match document(call, 0, row)? {
        None => Ok(None),
        Some(Json::Array(elements)) => Ok(i64::try_from(elements.len()).ok()),
        Some(Json::Object(_)) => Err(refused("22023", "cannot get array length of a non-array")),
        Some(_) => Err(refused("22023", "cannot get array length of a scalar")),
    }
}
