//! Privileges as the catalog keeps them, as arrays of `aclitem`: `acldefault`, and the lists that `aclexplode` unnests. So are
//! the options of foreign tables, which `pg_options_to_table` unnests.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Int64Builder, ListBuilder, StringArray, StringBuilder,
};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, internal_err};
use datafusion::error::DataFusionError;

use super::{Body, Call, Function, Kind, failure};
use crate::Error;
use crate::query::postgres::rewrite::{array_elements, malformed_array};
use crate::query::postgres::snapshot::OWNER_OID;
use crate::query::stop::check_current;

/// Everybody, as the one who was given a privilege.
const PUBLIC: i64 = 0;

/// The letters of the privileges and their names, in the order in which they are told.
const PRIVILEGES: [(char, &str); 14] = [
    ('a', "INSERT"),
    ('r', "SELECT"),
    ('w', "UPDATE"),
    ('d', "DELETE"),
    ('D', "TRUNCATE"),
    ('x', "REFERENCES"),
    ('t', "TRIGGER"),
    ('X', "EXECUTE"),
    ('U', "USAGE"),
    ('C', "CREATE"),
    ('T', "TEMPORARY"),
    ('c', "CONNECT"),
    ('s', "SET"),
    ('A', "ALTER SYSTEM"),
];

const ITEMS: &[Kind] = &[Kind::Texts];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("acldefault", &[Kind::Text, Kind::Int], "_aclitem", Body::Column(defaults)),
    Function::new("acl_grantors", ITEMS, "_oid", Body::Column(|c| roles(c, |grant| grant.grantor))),
    Function::new("acl_grantees", ITEMS, "_oid", Body::Column(|c| roles(c, |grant| grant.grantee))),
    Function::new("acl_privileges", ITEMS, "_text", Body::Column(privileges)),
    Function::new("acl_grantable", ITEMS, "_bool", Body::Column(grantable)),
    Function::new(
        "option_names",
        ITEMS,
        "_text",
        Body::Column(|c| options(c, |(name, _)| Some(name))),
    ),
    Function::new(
        "option_values",
        ITEMS,
        "_text",
        Body::Column(|c| options(c, |(_, value)| value)),
    ),
];

/// A privilege that somebody was given.
struct Grant {
    grantor: i64,
    grantee: i64,
    privilege: &'static str,
    /// Whether it may be handed on.
    grantable: bool,
}

/// What everybody and the owner may do with an object of a kind before anything is granted.
fn of_kind(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "c" => ("", ""),
        "r" => ("", "arwdDxt"),
        "s" => ("", "rwU"),
        "d" => ("Tc", "CTc"),
        "f" => ("X", "X"),
        "l" | "T" => ("U", "U"),
        "L" => ("", "rw"),
        "n" => ("", "UC"),
        "p" => ("", "sA"),
        "t" => ("", "C"),
        "F" | "S" => ("", "U"),
        _ => return None,
    })
}

fn defaults(call: &Call<'_>) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(item(call)?);
    for row in 0..call.rows {
        check_current()?;
        let (Some(kind), Some(owner)) = (call.text(0, row), call.int(1, row)) else {
            lists.append_null();
            continue;
        };
        let Some((everybody, own)) = of_kind(kind) else {
            return Err(refused("22023", format!("unrecognized objtype abbreviation: {kind}")));
        };
        let owner = role_shown(call, owner);
        if !everybody.is_empty() {
            lists.values().append_value(format!("={everybody}/{owner}"));
        }
        if !own.is_empty() {
            let grantee = if call.int(1, row) == Some(PUBLIC) { "" } else { owner.as_ref() };
            lists.values().append_value(format!("{grantee}={own}/{owner}"));
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

/// A role as a privilege names it; one that there is not by its number.
fn role_shown<'a>(call: &'a Call<'_>, oid: i64) -> Cow<'a, str> {
    let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match u32::try_from(oid).ok().and_then(|oid| call.snapshot.role_name(oid)) {
        Some(name) if plain(name) => Cow::Borrowed(name),
        Some(name) => Cow::Owned(format!("\"{}\"", name.replace('"', "\"\""))),
        None => Cow::Owned(oid.to_string()),
    }
}

fn roles(call: &Call<'_>, role: fn(&Grant) -> i64) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(Int64Builder::new()).with_field(item(call)?);
    for row in 0..call.rows {
        let grants = grants(call, row)?;
        grants.iter().flatten().for_each(|grant| lists.values().append_value(role(grant)));
        lists.append(grants.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

fn privileges(call: &Call<'_>) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(item(call)?);
    for row in 0..call.rows {
        let grants = grants(call, row)?;
        grants.iter().flatten().for_each(|grant| lists.values().append_value(grant.privilege));
        lists.append(grants.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

fn grantable(call: &Call<'_>) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(BooleanBuilder::new()).with_field(item(call)?);
    for row in 0..call.rows {
        let grants = grants(call, row)?;
        grants.iter().flatten().for_each(|grant| lists.values().append_value(grant.grantable));
        lists.append(grants.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

/// The names or the values of options, which are written as `name=value`.
fn options(
    call: &Call<'_>,
    part: for<'t> fn((&'t str, Option<&'t str>)) -> Option<&'t str>,
) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(item(call)?);
    for row in 0..call.rows {
        let options = items(call, row)?;
        for option in options.iter().flatten() {
            let split = option.split_once('=');
            let split = split.map_or((option.as_ref(), None), |(name, value)| (name, Some(value)));
            lists.values().append_option(part(split));
        }
        lists.append(options.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

/// The field of the elements of the list that a call gives.
fn item(call: &Call<'_>) -> Result<FieldRef> {
    match call.result.data_type() {
        DataType::List(item) => Ok(Arc::clone(item)),
        _ => internal_err!("privileges and options are lists"),
    }
}

/// The privileges of a row; `None` where there is no array.
fn grants(call: &Call<'_>, row: usize) -> Result<Option<Vec<Grant>>> {
    let Some(items) = items(call, row)? else { return Ok(None) };
    let mut grants = Vec::new();
    for item in &items {
        given(call, item, &mut grants)?;
    }
    Ok(Some(grants))
}

/// The texts of a row, which may be written as an array.
fn items<'a>(call: &'a Call<'_>, row: usize) -> Result<Option<Vec<Cow<'a, str>>>> {
    check_current()?;
    let Some(array) = call.arguments.first() else { return Ok(None) };
    if let Some(lists) = array.as_list_opt::<i32>() {
        if lists.is_null(row) {
            return Ok(None);
        }
        let Some(texts) = lists.values().as_string_opt::<i32>() else {
            return internal_err!("privileges and options are texts");
        };
        let at = |row: usize| usize::try_from(lists.value_offsets()[row]).unwrap_or(0);
        return (at(row)..at(row + 1)).map(|at| stored(texts, at)).collect::<Result<_>>().map(Some);
    }
    let Some(text) = call.text(0, row) else { return Ok(None) };
    let Some(elements) = array_elements(text) else {
        return Err(failure(malformed_array()));
    };
    let texts = elements.into_iter().map(|element| element.map(Cow::Owned).ok_or_else(no_nulls));
    texts.collect::<Result<_>>().map(Some)
}

fn stored(texts: &StringArray, at: usize) -> Result<Cow<'_, str>> {
    if texts.is_valid(at) { Ok(Cow::Borrowed(texts.value(at))) } else { Err(no_nulls()) }
}

fn no_nulls() -> DataFusionError {
    refused("22004", "ACL arrays must not contain null values")
}

/// Adds the privileges that one item tells, as in `ada=r*w/onefold`, in the order of [`PRIVILEGES`].
fn given(call: &Call<'_>, item: &str, grants: &mut Vec<Grant>) -> Result<()> {
    let (grantee, rest) = role_named(item);
    let Some(rest) = rest.strip_prefix('=') else {
        return Err(refused("22P02", "missing \"=\" sign"));
    };
    let (letters, grantor) = match rest.split_once('/') {
        Some((letters, grantor)) => (letters, role_named(grantor).0),
        // Without a grantor the owner of everything is meant.
        None => (rest, Cow::Borrowed("10")),
    };
    let known = |letter: char| PRIVILEGES.iter().any(|(known, _)| *known == letter);
    if letters.starts_with('*') || letters.chars().any(|c| c != '*' && !known(c)) {
        let message = "invalid mode character: must be one of \"arwdDxtXUCTcsA\"";
        return Err(refused("22P02", message));
    }
    let grantee = if grantee.is_empty() { PUBLIC } else { role_number(call, &grantee)? };
    let grantor = role_number(call, &grantor)?;
    for (letter, privilege) in PRIVILEGES {
        if let Some(at) = letters.find(letter) {
            let grantable = letters[at + letter.len_utf8()..].starts_with('*');
            grants.push(Grant { grantor, grantee, privilege, grantable });
        }
    }
    Ok(())
}

/// The name of a role at the beginning of a text, and what stands behind it.
fn role_named(text: &str) -> (Cow<'_, str>, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        return (Cow::Borrowed(name), rest);
    };
    let mut name = String::new();
    let mut rest = quoted;
    while let Some((part, behind)) = rest.split_once('"') {
        name.push_str(part);
        rest = behind;
        match rest.strip_prefix('"') {
            Some(more) => rest = more,
            None => break,
        }
        name.push('"');
    }
    (Cow::Owned(name), rest)
}

fn role_number(call: &Call<'_>, name: &str) -> Result<i64> {
    let roles = call.snapshot.roles.iter().find(|(known, _)| known == name);
    let number = roles.map(|(_, oid)| i64::from(*oid)).or_else(|| {
        let owner = call.snapshot.role_name(OWNER_OID).filter(|owner| *owner == name);
        owner.map(|_| i64::from(OWNER_OID)).or_else(|| name.parse().ok())
    });
    number.ok_or_else(|| refused("42704", format!("role \"{name}\" does not exist")))
}

fn refused(sqlstate: &'static str, message: impl Into<String>) -> DataFusionError {
    let hint = "acldefault('r', relowner) shows how privileges on a table are written.";
    failure(Error::Standard { sqlstate, message: message.into(), hint: hint.to_string() })
}
