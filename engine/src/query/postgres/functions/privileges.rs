//! What the role may do: read what its snapshot shows, write to the tables that it made, take numbers of its own sequences, and
//! nothing else.

use datafusion::common::Result;

use super::{Body, Call, Function, Kind, failure, names};
use crate::Error;
use crate::query::postgres::RelationKind;
use crate::query::postgres::catalog::{DEFINITIONS, procedure};

/// `[role,] object, privilege`.
const THREE: &[Kind] = &[Kind::Object, Kind::Object, Kind::Object];
/// `[role,] relation, column, privilege`.
const FOUR: &[Kind] = &[Kind::Object, Kind::Object, Kind::Object, Kind::Object];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("has_table_privilege", THREE, "bool", Body::Bool(|c, row| relation(c, row, 1)))
        .at_least(2),
    Function::new(
        "has_any_column_privilege",
        THREE,
        "bool",
        Body::Bool(|c, row| relation(c, row, 1)),
    )
    .at_least(2),
    Function::new("has_column_privilege", FOUR, "bool", Body::Bool(|c, row| relation(c, row, 2)))
        .at_least(3),
    Function::new("has_schema_privilege", THREE, "bool", Body::Bool(schema)).at_least(2),
    Function::new(
        "has_database_privilege",
        THREE,
        "bool",
        Body::Bool(|c, row| held(c, row, 1, &["connect"])),
    )
    .at_least(2),
    Function::new("has_function_privilege", THREE, "bool", Body::Bool(function)).at_least(2),
    Function::new(
        "has_language_privilege",
        THREE,
        "bool",
        Body::Bool(|c, row| held(c, row, 1, &["usage"])),
    )
    .at_least(2),
    Function::new(
        "has_type_privilege",
        THREE,
        "bool",
        Body::Bool(|c, row| held(c, row, 1, &["usage"])),
    )
    .at_least(2),
    Function::new("has_sequence_privilege", THREE, "bool", Body::Bool(sequence)).at_least(2),
    Function::new(
        "has_tablespace_privilege",
        THREE,
        "bool",
        Body::Bool(|c, row| held(c, row, 1, &[])),
    )
    .at_least(2),
    Function::new("has_server_privilege", THREE, "bool", Body::Bool(|c, row| held(c, row, 1, &[])))
        .at_least(2),
    Function::new(
        "has_foreign_data_wrapper_privilege",
        THREE,
        "bool",
        Body::Bool(|c, row| held(c, row, 1, &[])),
    )
    .at_least(2),
    Function::new("pg_has_role", THREE, "bool", Body::Bool(has_role)).at_least(2),
];

/// Whether the call names a role, given how many arguments follow the role.
fn names_role(call: &Call<'_>, others: usize) -> bool {
    call.arguments.len() > others
}

fn is_own_role(call: &Call<'_>, argument: usize, row: usize) -> bool {
    let own = call
        .snapshot
        .roles
        .iter()
        .find(|(name, _)| *name == call.facts.role)
        .map(|(_, oid)| i64::from(*oid));
    match call.int(argument, row) {
        Some(oid) => Some(oid) == own,
        None => call.text(argument, row) == Some(call.facts.role.as_str()),
    }
}

/// Whether one of the privileges asked for is among those held. `depth` arguments stand between role and privilege.
fn held(call: &Call<'_>, row: usize, depth: usize, privileges: &[&str]) -> Result<Option<bool>> {
    if names_role(call, depth + 1) && !is_own_role(call, 0, row) {
        // What others may do is not shown.
        return Ok(Some(false));
    }
    let asked = call.text(call.arguments.len() - 1, row).unwrap_or_default().to_lowercase();
    Ok(Some(asked.split(',').any(|one| privileges.contains(&one.trim()))))
}

fn relation(call: &Call<'_>, row: usize, depth: usize) -> Result<Option<bool>> {
    let argument = usize::from(names_role(call, depth + 1));
    let Some(oid) =
        names::object(call, argument, row, "regclass")?.and_then(|oid| u32::try_from(oid).ok())
    else {
        let name = call.text(argument, row).unwrap_or_default().to_string();
        return Err(failure(Error::Missing {
            kind: "relation",
            name,
            hint: "Check its spelling and its schema.".into(),
        }));
    };
    match call.snapshot.relation(oid).map(|found| &found.relation) {
        // A role may write to the tables that it made.
        Some(relation)
            if relation.kind == RelationKind::Table
                && relation.owner.as_deref() == Some(call.facts.role.as_str()) =>
        {
            held(call, row, depth, &["select", "insert", "update", "delete", "truncate"])
        }
        None if !DEFINITIONS.iter().any(|known| known.oid == oid) => Ok(None),
        _ => held(call, row, depth, &["select"]),
    }
}

fn sequence(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let argument = usize::from(names_role(call, 2));
    let (_, sequence) = super::sequences::named(call, argument, row)?;
    let privileges: &[&str] = match (sequence.usable, sequence.readable) {
        (true, _) => &["usage", "select", "update"],
        (false, true) => &["select"],
        (false, false) => &[],
    };
    held(call, row, 1, privileges)
}

fn schema(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let argument = usize::from(names_role(call, 2));
    let Some(oid) = names::object(call, argument, row, "regnamespace")? else {
        let name = call.text(argument, row).unwrap_or_default().to_string();
        return Err(failure(Error::Missing {
            kind: "schema",
            name,
            hint: "\\dn lists the schemas.".into(),
        }));
    };
    let known = call.snapshot.schemas.iter().any(|(_, known)| i64::from(*known) == oid);
    if known { held(call, row, 1, &["usage"]) } else { Ok(None) }
}

fn function(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let argument = usize::from(names_role(call, 2));
    let Some(oid) = names::object(call, argument, row, "regprocedure")? else {
        return Err(failure(Error::Missing {
            kind: "function",
            name: call.text(argument, row).unwrap_or_default().to_string(),
            hint: "Name the types of its arguments: lower(text).".into(),
        }));
    };
    if procedure(oid).is_some() { held(call, row, 1, &["execute"]) } else { Ok(None) }
}

/// A role is a member of itself and of no other.
fn has_role(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let member = !names_role(call, 2) || is_own_role(call, 0, row);
    let argument = usize::from(names_role(call, 2));
    Ok(Some(member && is_own_role(call, argument, row)))
}
