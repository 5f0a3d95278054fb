//! Names to oids and back: the types `regclass`, `regtype` and their kin.
//!
//! `x::regclass` becomes the function `regclass(x)`, which fails where there is no such object; `to_regclass(x)` gives
//! null. Their results are numbers whose metadata says what they number, and the function with the suffix
//! [`NAME_SUFFIX`] turns them into names where they are shown or cast to text.

use datafusion::common::Result;

use super::{Body, Call, Function, Kind, failure, quote_ident};
use crate::Error;
use crate::query::postgres::catalog::{
    DEFINITIONS, definition, procedure, procedure_name, procedure_oid, procedures,
};
use crate::query::postgres::types;

/// The types whose values are numbers shown as names.
pub(crate) const REG_TYPES: [&str; 8] = [
    "regclass",
    "regtype",
    "regproc",
    "regprocedure",
    "regnamespace",
    "regrole",
    "regoper",
    "regoperator",
];

/// `regclass_name` gives the name of a `regclass`.
pub(crate) const NAME_SUFFIX: &str = "_name";

const OBJECT: &[Kind] = &[Kind::Object];
const NUMBER: &[Kind] = &[Kind::Int];

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::new("regclass", OBJECT, "regclass", Body::Int(|c, row| strict(c, row, "regclass"))),
    Function::new("regtype", OBJECT, "regtype", Body::Int(|c, row| strict(c, row, "regtype"))),
    Function::new("regproc", OBJECT, "regproc", Body::Int(|c, row| strict(c, row, "regproc"))),
    Function::new(
        "regprocedure",
        OBJECT,
        "regprocedure",
        Body::Int(|c, row| strict(c, row, "regprocedure")),
    ),
    Function::new(
        "regnamespace",
        OBJECT,
        "regnamespace",
        Body::Int(|c, row| strict(c, row, "regnamespace")),
    ),
    Function::new("regrole", OBJECT, "regrole", Body::Int(|c, row| strict(c, row, "regrole"))),
    Function::new("regoper", OBJECT, "regoper", Body::Int(|c, row| strict(c, row, "regoper"))),
    Function::new(
        "regoperator",
        OBJECT,
        "regoperator",
        Body::Int(|c, row| strict(c, row, "regoper")),
    ),
    Function::new(
        "to_regclass",
        OBJECT,
        "regclass",
        Body::Int(|c, row| object(c, 0, row, "regclass")),
    ),
    Function::new(
        "to_regtype",
        OBJECT,
        "regtype",
        Body::Int(|c, row| object(c, 0, row, "regtype")),
    ),
    Function::new(
        "to_regproc",
        OBJECT,
        "regproc",
        Body::Int(|c, row| object(c, 0, row, "regproc")),
    ),
    Function::new(
        "to_regprocedure",
        OBJECT,
        "regprocedure",
        Body::Int(|c, row| object(c, 0, row, "regprocedure")),
    ),
    Function::new(
        "to_regnamespace",
        OBJECT,
        "regnamespace",
        Body::Int(|c, row| object(c, 0, row, "regnamespace")),
    ),
    Function::new(
        "to_regrole",
        OBJECT,
        "regrole",
        Body::Int(|c, row| object(c, 0, row, "regrole")),
    ),
    Function::new(
        "regclass_name",
        NUMBER,
        "text",
        Body::Text(|c, row| shown(c, row, relation_name)),
    ),
    Function::new("regtype_name", NUMBER, "text", Body::Text(|c, row| shown(c, row, type_name))),
    Function::new(
        "regproc_name",
        NUMBER,
        "text",
        Body::Text(|c, row| shown(c, row, function_name)),
    ),
    Function::new(
        "regprocedure_name",
        NUMBER,
        "text",
        Body::Text(|c, row| shown(c, row, function_signature)),
    ),
    Function::new(
        "regnamespace_name",
        NUMBER,
        "text",
        Body::Text(|c, row| shown(c, row, schema_name)),
    ),
    Function::new("regrole_name", NUMBER, "text", Body::Text(|c, row| shown(c, row, role_name))),
    Function::new("regoper_name", NUMBER, "text", Body::Text(|c, row| shown(c, row, |_, _| None))),
    Function::new(
        "regoperator_name",
        NUMBER,
        "text",
        Body::Text(|c, row| shown(c, row, |_, _| None)),
    ),
];

/// Returns the oid that an argument means: a number, a number in digits, or a name. Null where there is no such object.
pub(super) fn object(
    call: &Call<'_>,
    argument: usize,
    row: usize,
    kind: &str,
) -> Result<Option<i64>> {
    if let Some(oid) = call.int(argument, row) {
        return Ok(Some(oid));
    }
    let Some(text) = call.text(argument, row).map(str::trim) else { return Ok(None) };
    if text == "-" {
        return Ok(Some(0));
    }
    if let Ok(oid) = text.parse::<u32>() {
        return Ok(Some(i64::from(oid)));
    }
    if kind == "regprocedure" {
        return Ok(by_signature(text));
    }
    let parts = split(text);
    Ok(match (kind, parts.as_slice()) {
        ("regtype", _) => {
            // A name in quotes is that of the catalog.
            let quoted = || types::by_name(&parts.join(".")).filter(|_| text.contains('"'));
            let known = types::by_name(text).or_else(quoted);
            known.map(|t| i64::from(t.oid)).or_else(|| row_type(call, &parts))
        }
        ("regproc", [name]) => procedure_oid(name).or_else(|| own_procedure(name)),
        ("regproc", [schema, name]) if schema == "public" => own_procedure(name),
        ("regproc", [schema, name]) if schema == "pg_catalog" => procedure_oid(name),
        ("regclass", [.., schema, name]) => relation(call, schema, name),
        ("regclass", [name]) => {
            call.search_path().iter().find_map(|schema| relation(call, schema, name))
        }
        ("regnamespace", [name]) => call.snapshot.schema_oid(name).map(i64::from),
        ("regrole", [name]) => {
            let owner = crate::query::postgres::snapshot::OWNER;
            let roles =
                call.snapshot.roles.iter().find(|(role, _)| role == name).map(|(_, oid)| *oid);
            roles
                .or((name == owner).then_some(crate::query::postgres::snapshot::OWNER_OID))
                .map(i64::from)
        }
        _ => None,
    })
}

/// A function that PostgreSQL does not have.
fn own_procedure(name: &str) -> Option<i64> {
    procedures(Some("public"), name).next().map(|known| i64::from(known.oid))
}

/// `lower(text)`: the function of this name that takes these types.
fn by_signature(text: &str) -> Option<i64> {
    let (name, types) = text.strip_suffix(')')?.split_once('(')?;
    let given = types.split(',').filter(|part| !part.trim().is_empty());
    let takes = given.map(|part| types::by_name(part.trim().trim_matches('"')).map(|t| t.oid));
    let takes = takes.collect::<Option<Vec<u32>>>()?;
    let parts = split(name.trim());
    let (schema, name) = match parts.as_slice() {
        [name] => (None, name),
        [schema, name] => (Some(schema.as_str()), name),
        _ => return None,
    };
    let found = procedures(schema, name).find(|known| known.takes() == takes);
    found.map(|known| i64::from(known.oid))
}

fn relation(call: &Call<'_>, schema: &str, name: &str) -> Option<i64> {
    let ours = call.snapshot.named(schema, name).map(|r| r.oid);
    let key = || call.snapshot.index(schema, name).map(|(_, key)| key.index);
    let known = ours.or_else(|| definition(schema, name).map(|known| known.oid));
    known.or_else(key).map(i64::from)
}

fn row_type(call: &Call<'_>, parts: &[String]) -> Option<i64> {
    let found = match parts {
        [.., schema, name] => call.snapshot.named(schema, name),
        [name] => call.search_path().iter().find_map(|schema| call.snapshot.named(schema, name)),
        [] => None,
    };
    found.map(|r| i64::from(r.row_type))
}

/// Splits a name at dots outside quotes, with or without blanks beside them, and folds what is not quoted.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut gap) = (false, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let Some(part) = parts.last_mut() else { break };
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                part.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => {
                gap = false;
                parts.push(String::new());
            }
            blank if !quoted && blank.is_whitespace() => gap = !part.is_empty(),
            letter if quoted => part.push(letter),
            letter => {
                // No name has a blank between two words that are not quoted.
                if std::mem::take(&mut gap) {
                    part.push(' ');
                }
                part.extend(letter.to_lowercase());
            }
        }
    }
    parts
}

fn strict(call: &Call<'_>, row: usize, kind: &'static str) -> Result<Option<i64>> {
    if let Some(oid) = object(call, 0, row, kind)? {
        return Ok(Some(oid));
    }
    let kind = match kind {
        "regclass" => "relation",
        "regtype" => "type",
        "regnamespace" => "schema",
        "regrole" => "role",
        "regoper" => "operator",
        _ => "function",
    };
    let name = call.text(0, row).unwrap_or_default().to_string();
    Err(failure(Error::Missing {
        kind,
        name,
        hint: "Check its spelling and its schema.".to_string(),
    }))
}

fn shown(
    call: &Call<'_>,
    row: usize,
    name: fn(&Call<'_>, i64) -> Option<String>,
) -> Result<Option<String>> {
    Ok(call.int(0, row).map(|oid| match oid {
        0 => "-".to_string(),
        oid => name(call, oid).unwrap_or_else(|| oid.to_string()),
    }))
}

/// Returns a relation's name, with its schema where the search path does not lead to it.
pub(super) fn qualified(call: &Call<'_>, schema: &str, name: &str) -> String {
    let found =
        |s: &&String| call.snapshot.named(s, name).is_some() || definition(s, name).is_some();
    match call.search_path().iter().find(found) {
        Some(first) if first == schema => quote_ident(name),
        _ => format!("{}.{}", quote_ident(schema), quote_ident(name)),
    }
}

pub(super) fn relation_name(call: &Call<'_>, oid: i64) -> Option<String> {
    let oid = u32::try_from(oid).ok()?;
    if let Some(r) = call.snapshot.relation(oid) {
        return Some(qualified(call, &r.relation.schema, &r.relation.name));
    }
    if let Some((_, key)) = call.snapshot.with_key(oid) {
        return Some(quote_ident(&key.name));
    }
    let known = DEFINITIONS.iter().find(|known| known.oid == oid)?;
    Some(qualified(call, known.schema, known.name))
}

/// Returns a sequence's name with its schema, as `pg_get_serial_sequence` does.
pub(super) fn sequence_name(schema: &str, sequence: &str) -> String {
    format!("{}.{}", quote_ident(schema), quote_ident(sequence))
}

fn type_name(call: &Call<'_>, oid: i64) -> Option<String> {
    let oid = u32::try_from(oid).ok()?;
    if let Some(found) = types::by_oid(oid) {
        return Some(found.display.clone());
    }
    let relation = call.snapshot.with_row_type(oid)?;
    Some(qualified(call, &relation.relation.schema, &relation.relation.name))
}

fn function_name(_: &Call<'_>, oid: i64) -> Option<String> {
    let named = procedure_name(oid).map(str::to_string);
    named.or_else(|| procedure(oid).map(|known| known.name.clone()))
}

fn function_signature(_: &Call<'_>, oid: i64) -> Option<String> {
    procedure(oid).map(|known| known.signature())
}

fn schema_name(call: &Call<'_>, oid: i64) -> Option<String> {
    call.snapshot
        .schemas
        .iter()
        .find(|(_, known)| i64::from(*known) == oid)
        .map(|(name, _)| quote_ident(name))
}

fn role_name(call: &Call<'_>, oid: i64) -> Option<String> {
    call.snapshot.role_name(u32::try_from(oid).ok()?).map(quote_ident)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn splits_names_at_dots_outside_quotes() {
        assert_eq!(split("Public.Profiles"), ["public", "profiles"]);
        assert_eq!(split("\"A.b\".\"c\"\"d\""), ["A.b", "c\"d"]);
    }
}
