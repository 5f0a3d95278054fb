//! Functions over JSON that is kept as text, and what the operators `#>`, `#>>`, `@>`, `<@`, `?`, `?|`, `?&`, `||`, `-` and
//! `#-`, `@?` and `@@` are: the rewriting of statements calls them by the names here.
//!
//! A text that is no JSON has nothing in it: functions of it give null. What is given beside it, such as the value that
//! `jsonb_set` puts in, must be JSON.

mod change;
mod contains;
mod look_up;
mod parts;
mod path;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::Volatility;
use udfs::{Json, Keeping, Spacing, TooLong, Value, View, Writer, name_order};

use self::change::{Change, Changing, Put};
use self::look_up::{exists, exists_all, exists_any, extract, extract_text, length, type_of};
use self::parts::As;
use super::bounded::{VALUE_BYTES_MAX, too_large};
use super::{Body, Call, Function, Kind, failure};
use crate::Error;
use crate::query::postgres::rewrite::array_elements;

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
const WITH_JSONPATH: &[Kind] = &[Kind::Json, Kind::Text, Kind::Json, Kind::Bool];
const WITH_VALUE: &[Kind] = &[Kind::Json, Kind::Texts, Kind::Json, Kind::Bool];
const WITH_TREATMENT: &[Kind] = &[Kind::Json, Kind::Texts, Kind::Json, Kind::Bool, Kind::Text];

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
    pure("json_get_path", WITH_PATH, "", Body::Column(look_up::get_path)),
    pure("json_get_path_text", WITH_PATH, "text", Body::Column(look_up::get_path_text)),
    pure("json_extract_path", WITH_NAME, "json", Body::Write(extract)).at_least(1).variadic(),
    pure("jsonb_extract_path", WITH_NAME, "jsonb", Body::Write(extract)).at_least(1).variadic(),
    pure("json_extract_path_text", WITH_NAME, "text", Body::Write(extract_text))
        .at_least(1)
        .variadic(),
    pure("jsonb_extract_path_text", WITH_NAME, "text", Body::Write(extract_text))
        .at_least(1)
        .variadic(),
    pure("jsonb_exists", WITH_NAME, "bool", Body::Bool(exists)),
    pure("jsonb_exists_any", WITH_PATH, "bool", Body::Bool(exists_any)),
    pure("jsonb_exists_all", WITH_PATH, "bool", Body::Bool(exists_all)),
    pure(CONTAINS, TWO, "bool", Body::Bool(|c, row| contains::contains(c, row, 0, 1))),
    pure(CONTAINED, TWO, "bool", Body::Bool(|c, row| contains::contains(c, row, 1, 0))),
    pure(CONCAT, TWO, "jsonb", Body::Write(concat)),
    pure(DELETE[0], WITH_NAME, "jsonb", Body::Write(delete_name)),
    pure(DELETE[1], &[Kind::Json, Kind::Int], "jsonb", Body::Write(delete_at)),
    pure(DELETE[2], WITH_PATH, "jsonb", Body::Write(delete_all)),
    pure("jsonb_delete_path", WITH_PATH, "jsonb", Body::Write(delete_path)),
    pure("jsonb_set", WITH_VALUE, "jsonb", Body::Write(set)).at_least(3),
    pure("jsonb_set_lax", WITH_TREATMENT, "jsonb", Body::Write(set_lax)).at_least(3).with_nulls(),
    pure("jsonb_insert", WITH_VALUE, "jsonb", Body::Write(insert)).at_least(3),
    pure("json_strip_nulls", ONE, "json", Body::Write(strip)),
    pure("jsonb_strip_nulls", ONE, "jsonb", Body::Write(strip_jsonb)),
    pure("jsonb_pretty", ONE, "text", Body::Write(pretty)),
    pure("json_typeof", ONE, "text", Body::Write(type_of)),
    pure("jsonb_typeof", ONE, "text", Body::Write(type_of)),
    pure("json_array_length", ONE, "int4", Body::Int(length)),
    pure("jsonb_array_length", ONE, "int4", Body::Int(length)),
    pure("json_elements", ONE, "_json", Body::Column(|c| parts::elements(c, As::Written))),
    pure("jsonb_elements", ONE, "_jsonb", Body::Column(|c| parts::elements(c, As::Jsonb))),
    pure("json_elements_text", ONE, "_text", Body::Column(|c| parts::elements(c, As::Text))),
    pure("json_keys", ONE, "_text", Body::Column(|c| parts::keys(c, Keeping::Everything))),
    pure("jsonb_keys", ONE, "_text", Body::Column(|c| parts::keys(c, Keeping::Values))),
    pure("json_values", ONE, "_json", Body::Column(|c| values(c, As::Written))),
    pure("jsonb_values", ONE, "_jsonb", Body::Column(|c| values(c, As::Jsonb))),
    pure("json_values_text", ONE, "_text", Body::Column(|c| values(c, As::Text))),
    pure("jsonb_path_exists", WITH_JSONPATH, "bool", Body::Column(|c| path::exists(c, false)))
        .at_least(2),
    pure("jsonb_path_exists_opr", WITH_NAME, "bool", Body::Column(|c| path::exists(c, true))),
    pure("jsonb_path_match", WITH_JSONPATH, "bool", Body::Column(|c| path::matches(c, false)))
        .at_least(2),
    pure("jsonb_path_match_opr", WITH_NAME, "bool", Body::Column(|c| path::matches(c, true))),
    pure("jsonb_path_query_array", WITH_JSONPATH, "jsonb", Body::Column(path::query_array))
        .at_least(2),
    pure("jsonb_path_query_first", WITH_JSONPATH, "jsonb", Body::Column(path::query_first))
        .at_least(2),
    // Nothing here compares times, so that their zones do not matter.
    pure("jsonb_path_exists_tz", WITH_JSONPATH, "bool", Body::Column(|c| path::exists(c, false)))
        .at_least(2),
    pure("jsonb_path_match_tz", WITH_JSONPATH, "bool", Body::Column(|c| path::matches(c, false)))
        .at_least(2),
    pure("jsonb_path_query_array_tz", WITH_JSONPATH, "jsonb", Body::Column(path::query_array))
        .at_least(2),
    pure("jsonb_path_query_first_tz", WITH_JSONPATH, "jsonb", Body::Column(path::query_first))
        .at_least(2),
    pure("jsonb_path_items", WITH_JSONPATH, "_jsonb", Body::Column(path::query)).at_least(2),
    pure(
        "jsonb_values_text",
        ONE,
        "_text",
        Body::Column(|c| parts::values(c, Keeping::Values, As::Text)),
    ),
];

/// The values of members: those of `jsonb` in its order, others as they are written.
fn values(call: &Call<'_>, shown: As) -> Result<ArrayRef> {
    let jsonb = shown == As::Jsonb;
    parts::values(call, if jsonb { Keeping::Values } else { Keeping::Everything }, shown)
}

/// A step into JSON: the name of a member, or the position of an element. A null leads nowhere.
pub(super) type Step<'a> = Option<Cow<'a, str>>;

/// Reads an argument; `None` for null, and for a first one that is no JSON.
fn document<'c>(call: &'c Call<'_>, argument: usize, row: usize) -> Result<Option<Json<'c>>> {
    let Some(text) = call.text(argument, row) else { return Ok(None) };
    match Json::parse(text, Keeping::Values) {
        None if argument > 0 => Err(refused("22P02", "invalid input syntax for type json")),
        found => Ok(found),
    }
}

/// The texts of an argument.
pub(super) fn steps<'c>(
    call: &'c Call<'_>,
    argument: usize,
    row: usize,
) -> Result<Option<Vec<Step<'c>>>> {
    let Some(array) = call.arguments.get(argument) else { return Ok(None) };
    if let Some(lists) = array.as_list_opt::<i32>() {
        if lists.is_null(row) {
            return Ok(None);
        }
        let Some(texts) = lists.values().as_string_opt::<i32>() else {
            return internal_err!("a path is a list of texts");
        };
        let at = |row: usize| usize::try_from(lists.value_offsets()[row]).unwrap_or(0);
        return Ok(Some((at(row)..at(row + 1)).map(|at| step(texts, at)).collect()));
    }
    let Some(text) = call.text(argument, row) else { return Ok(None) };
    match array_elements(text) {
        Some(steps) => Ok(Some(steps.into_iter().map(|step| step.map(Cow::Owned)).collect())),
        None => Err(refused("22P02", "malformed array literal")),
    }
}

fn step(texts: &StringArray, at: usize) -> Step<'_> {
    texts.is_valid(at).then(|| Cow::Borrowed(texts.value(at)))
}

fn refused(sqlstate: &'static str, message: impl Into<String>) -> DataFusionError {
    let hint = match sqlstate {
        "22P02" => "JSON is written as '{\"a\": [1, 2]}', a path into it as '{a,0}'.",
        _ => "jsonb_typeof() tells what a value is.",
    };
    failure(Error::Standard { sqlstate, message: message.into(), hint: hint.to_string() })
}

/// Writes values as `jsonb` keeps them, a row of a function as large as it may be.
fn writer(out: &mut String) -> Writer<'_> {
    Writer::new(out, Spacing::Blanks, VALUE_BYTES_MAX as usize)
}

fn concat(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let (Some(left), Some(right)) = (document(call, 0, row)?, document(call, 1, row)?) else {
        return Ok(false);
    };
    join(left.root(), right.root(), &mut writer(out)).map_err(|TooLong| too_large(CONCAT))?;
    Ok(true)
}

fn join(left: Value<'_>, right: Value<'_>, writer: &mut Writer<'_>) -> Result<(), TooLong> {
    let mut first = true;
    let (View::Object(one), View::Object(other)) = (left.view(), right.view()) else {
        writer.open('[');
        for side in [left, right] {
            match side.view() {
                View::Array(elements) => {
                    for element in elements {
                        writer.part(&mut first);
                        writer.value(element)?;
                    }
                }
                _ => {
                    writer.part(&mut first);
                    writer.value(side)?;
                }
            }
        }
        writer.close(']');
        return Ok(());
    };
    writer.open('{');
    let (mut one, mut other) = (one.peekable(), other.peekable());
    loop {
        let order = match (one.peek(), other.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((left, _)), Some((right, _))) => name_order(left, right),
        };
        // Of equal names the one on the right stands.
        if order.is_eq() {
            one.next();
        }
        let next = if order.is_lt() { one.next() } else { other.next() };
        if let Some((name, value)) = next {
            writer.part(&mut first);
            writer.name(name);
            writer.value(value)?;
        }
    }
    writer.close('}');
    Ok(())
}

/// Writes a value without the members and elements of these names.
fn without(json: &Json<'_>, names: &HashSet<&str>, name: &str, out: &mut String) -> Result<bool> {
    let too_long = |TooLong| too_large(name);
    let (mut writer, mut first) = (writer(out), true);
    match json.root().view() {
        View::Object(members) => {
            writer.open('{');
            for (key, value) in members.filter(|(key, _)| !names.contains(key)) {
                writer.part(&mut first);
                writer.name(key);
                writer.value(value).map_err(too_long)?;
            }
            writer.close('}');
        }
        View::Array(elements) => {
            writer.open('[');
            for value in elements {
                if matches!(value.view(), View::Text(text) if names.contains(text)) {
                    continue;
                }
                writer.part(&mut first);
                writer.value(value).map_err(too_long)?;
            }
            writer.close(']');
        }
        _ => return Err(refused("22023", "cannot delete from scalar")),
    }
    Ok(true)
}

fn delete_name(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let Some((json, name)) = document(call, 0, row)?.zip(call.text(1, row)) else {
        return Ok(false);
    };
    without(&json, &HashSet::from([name]), DELETE[0], out)
}

fn delete_all(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let Some((json, names)) = document(call, 0, row)?.zip(steps(call, 1, row)?) else {
        return Ok(false);
    };
    let names: HashSet<&str> = names.iter().filter_map(Option::as_deref).collect();
    without(&json, &names, DELETE[2], out)
}

fn delete_at(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let Some((json, index)) = document(call, 0, row)?.zip(call.int(1, row)) else {
        return Ok(false);
    };
    let elements = match json.root().view() {
        View::Array(elements) => elements,
        View::Object(_) => {
            return Err(refused("22023", "cannot delete from object using integer index"));
        }
        _ => return Err(refused("22023", "cannot delete from scalar")),
    };
    let count = i64::try_from(elements.clone().count()).unwrap_or(i64::MAX);
    let index = if index < 0 { index.saturating_add(count) } else { index };
    let deleted = usize::try_from(index).ok();
    let (mut writer, mut first) = (writer(out), true);
    writer.open('[');
    for (at, element) in elements.enumerate() {
        if Some(at) != deleted {
            writer.part(&mut first);
            writer.value(element).map_err(|TooLong| too_large(DELETE[1]))?;
        }
    }
    writer.close(']');
    Ok(true)
}

fn delete_path(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let Some((json, steps)) = document(call, 0, row)?.zip(steps(call, 1, row)?) else {
        return Ok(false);
    };
    if json.root().is_scalar() {
        return Err(refused("22023", "cannot delete path in scalar"));
    }
    let (writer, change, function) = (writer(out), Change::Delete, "jsonb_delete_path");
    Changing { writer, steps: &steps, change, function }.write(json.root())?;
    Ok(true)
}

fn set(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let create = call.bool(3, row).unwrap_or(true);
    put(call, row, "jsonb_set", if create { Put::Set } else { Put::Replace }, out)
}

/// `jsonb_set` with a say in what a null value does.
fn set_lax(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let create = if call.arguments.len() > 3 { call.bool(3, row) } else { Some(true) };
    let (Some(text), Some(create)) = (call.text(0, row), create) else { return Ok(false) };
    if call.arguments[1].is_null(row) {
        return Ok(false);
    }
    let put_in = if create { Put::Set } else { Put::Replace };
    if call.text(2, row).is_some() {
        return put(call, row, "jsonb_set_lax", put_in, out);
    }
    let treatment =
        if call.arguments.len() > 4 { call.text(4, row) } else { Some("use_json_null") };
    match treatment {
        Some("delete_key") => delete_path(call, row, out),
        Some("return_target") => {
            out.push_str(text);
            Ok(true)
        }
        Some("raise_exception") => Err(refused("22004", "JSON value must not be null")),
        Some("use_json_null") => {
            let (Some(json), Some(steps), Some(null)) = (
                document(call, 0, row)?,
                steps(call, 1, row)?,
                Json::parse("null", Keeping::Values),
            ) else {
                return Ok(false);
            };
            if json.root().is_scalar() {
                return Err(refused("22023", "cannot set path in scalar"));
            }
            let (writer, change) = (writer(out), Change::Put(put_in, null.root()));
            Changing { writer, steps: &steps, change, function: "jsonb_set_lax" }
                .write(json.root())?;
            Ok(true)
        }
        _ => Err(refused(
            "22023",
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
        )),
    }
}

fn insert(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let after = call.bool(3, row).unwrap_or(false);
    put(call, row, "jsonb_insert", if after { Put::After } else { Put::Before }, out)
}

fn put(call: &Call<'_>, row: usize, function: &str, put: Put, out: &mut String) -> Result<bool> {
    let (Some(json), Some(steps), Some(new)) =
        (document(call, 0, row)?, steps(call, 1, row)?, document(call, 2, row)?)
    else {
        return Ok(false);
    };
    if json.root().is_scalar() {
        return Err(refused("22023", "cannot set path in scalar"));
    }
    let (writer, change) = (writer(out), Change::Put(put, new.root()));
    Changing { writer, steps: &steps, change, function }.write(json.root())?;
    Ok(true)
}

fn strip(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    strip_kept(call, row, Keeping::Everything, out)
}

fn strip_jsonb(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    strip_kept(call, row, Keeping::Values, out)
}

fn strip_kept(call: &Call<'_>, row: usize, keeping: Keeping, out: &mut String) -> Result<bool> {
    let Some(json) = call.text(0, row).and_then(|text| Json::parse(text, keeping)) else {
        return Ok(false);
    };
    let is_json = keeping == Keeping::Everything;
    let spacing = if is_json { Spacing::None } else { Spacing::Blanks };
    let mut writer = Writer::new(out, spacing, VALUE_BYTES_MAX as usize);
    without_nulls(json.root(), &mut writer).map_err(|TooLong| too_large("jsonb_strip_nulls"))?;
    Ok(true)
}

/// Writes a value without the members that are null, wherever they are.
fn without_nulls(value: Value<'_>, writer: &mut Writer<'_>) -> Result<(), TooLong> {
    let mut first = true;
    match value.view() {
        View::Object(members) => {
            writer.open('{');
            for (name, value) in members.filter(|(_, value)| !value.is_null()) {
                writer.part(&mut first);
                writer.name(name);
                without_nulls(value, writer)?;
            }
            writer.close('}');
        }
        View::Array(elements) => {
            writer.open('[');
            for element in elements {
                writer.part(&mut first);
                without_nulls(element, writer)?;
            }
            writer.close(']');
        }
        _ => writer.value(value)?,
    }
    Ok(())
}

fn pretty(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let Some(json) = document(call, 0, row)? else { return Ok(false) };
    let written = json.root().write(Spacing::Lines, VALUE_BYTES_MAX as usize, out);
    written.map_err(|TooLong| too_large("jsonb_pretty"))?;
    Ok(true)
}
