//! What the role may do: read what its snapshot shows, write to the tables and take numbers of the sequences that it made, or all
//! if it may define everything, and nothing else.

use datafusion::common::Result;

use super::{Body, Call, Function, Kind, failure, names};
use crate::Error;
use crate::query::postgres::catalog::{DEFINITIONS, procedure};
use crate::query::postgres::snapshot::OWNER;

/// The privileges that there are on an object of a kind, whoever has them.
const ON_TABLE: &[&str] =
    &["select", "insert", "update", "delete", "truncate", "references", "trigger", "rule"];
const ON_COLUMN: &[&str] = &["select", "insert", "update", "references"];
const ON_DATABASE: &[&str] = &["create", "temporary", "temp", "connect"];
const ON_SCHEMA: &[&str] = &["create", "usage"];
const ON_FUNCTION: &[&str] = &["execute"];
const ON_SEQUENCE: &[&str] = &["usage", "select", "update"];
const ON_TABLESPACE: &[&str] = &["create"];
const ON_ROLE: &[&str] = &["usage", "member"];
const USAGE: &[&str] = &["usage"];

/// `[role,] object, privilege`.
const THREE: &[Kind] = &[Kind::Object, Kind::Object, Kind::Object];
/// `[role,] relation, column, privilege`.
const FOUR: &[Kind] = &[Kind::Object, Kind::Object, Kind::Object, Kind::Object];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(
        "has_table_privilege",
        THREE,
        "bool",
        Body::Bool(|c, row| relation(c, row, 1, ON_TABLE)),
    )
    .at_least(2),
    Function::new(
        "has_any_column_privilege",
        THREE,
        "bool",
        Body::Bool(|c, row| relation(c, row, 1, ON_COLUMN)),
    )
    .at_least(2),
    Function::new(
        "has_column_privilege",
        FOUR,
        "bool",
        Body::Bool(|c, row| relation(c, row, 2, ON_COLUMN)),
    )
    .at_least(3),
    Function::new("has_schema_privilege", THREE, "bool", Body::Bool(schema)).at_least(2),
    Function::new("has_database_privilege", THREE, "bool", Body::Bool(database)).at_least(2),
    Function::new("has_function_privilege", THREE, "bool", Body::Bool(function)).at_least(2),
    Function::new(
        "has_language_privilege",
        THREE,
        "bool",
        Body::Bool(|c, row| held(c, row, 1, USAGE, USAGE)),
    )
    .at_least(2),
    Function::new(
        "has_type_privilege",
        THREE,
        "bool",
        Body::Bool(|c, row| held(c, row, 1, USAGE, USAGE)),
    )
    .at_least(2),
    Function::new("has_sequence_privilege", THREE, "bool", Body::Bool(sequence)).at_least(2),
    Function::new(
        "has_tablespace_privilege",
        THREE,
        "bool",
        Body::Bool(|c, row| held(c, row, 1, ON_TABLESPACE, &[])),
    )
    .at_least(2),
    Function::new(
        "has_server_privilege",
        THREE,
        "bool",
        Body::Bool(|c, row| held(c, row, 1, USAGE, &[])),
    )
    .at_least(2),
    Function::new(
        "has_foreign_data_wrapper_privilege",
        THREE,
        "bool",
        Body::Bool(|c, row| held(c, row, 1, USAGE, &[])),
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

/// Whether one of the privileges asked for is among those held. `depth` arguments stand between role and privilege, and
/// `known` are the privileges that there are.
pub(super) fn held(
    call: &Call<'_>,
    row: usize,
    depth: usize,
    known: &[&str],
    privileges: &[&str],
) -> Result<Option<bool>> {
    // What others may do is not shown.
    let is_own = !names_role(call, depth + 1) || is_own_role(call, 0, row);
    let asked = call.text(call.arguments.len() - 1, row).unwrap_or_default();
    let mut found = false;
    for one in asked.split(',').map(str::trim) {
        let lower = one.to_lowercase();
        let (privilege, to_grant) =
            ["grant", "admin"].iter().fold((lower.as_str(), false), |(name, to_grant), way| {
                match name.strip_suffix(&format!(" with {way} option")) {
                    Some(name) => (name, true),
                    None => (name, to_grant),
                }
            });
        if !known.contains(&privilege) {
            return Err(failure(Error::Standard {
                sqlstate: "22023",
                message: format!("unrecognized privilege type: \"{one}\""),
                hint: format!("The privileges are {}.", known.join(", ").to_uppercase()),
            }));
        }
        found |= is_own && !to_grant && privileges.contains(&privilege);
    }
    Ok(Some(found))
}

/// Refuses a role that there is not.
fn check_role(call: &Call<'_>, argument: usize, row: usize) -> Result<()> {
    let Some(name) = call.text(argument, row) else { return Ok(()) };
    // PostgreSQL's own, such as pg_monitor, are asked for by those who watch servers.
    let is_known = ["public", OWNER].contains(&name)
        || name.starts_with("pg_")
        || name == call.facts.role
        || call.snapshot.roles.iter().any(|(known, _)| known == name);
    if is_known {
        return Ok(());
    }
    Err(failure(Error::Standard {
        sqlstate: "42704",
        message: format!("role \"{name}\" does not exist"),
        hint: "\\du lists the roles.".into(),
    }))
}

fn database(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let argument = usize::from(names_role(call, 2));
    if argument == 1 {
        check_role(call, 0, row)?;
    }
    match call.text(argument, row) {
        Some(name) if name != call.facts.database => Err(failure(Error::Standard {
            sqlstate: "3D000",
            message: format!("database \"{name}\" does not exist"),
            hint: format!("There is one database, \"{}\".", call.facts.database),
        })),
        _ => held(call, row, 1, ON_DATABASE, &["connect"]),
    }
}

/// Refuses a column that its relation has not.
fn check_column(call: &Call<'_>, argument: usize, row: usize, relation: u32) -> Result<()> {
    let Some(name) = call.text(argument, row) else { return Ok(()) };
    let (table, is_known) = match call.snapshot.relation(relation) {
        Some(found) => (found.relation.name.as_str(), found.column(name) != 0),
        None => match DEFINITIONS.iter().find(|known| known.oid == relation) {
            Some(known) => (known.name, known.columns.iter().any(|column| column.name == name)),
            None => return Ok(()),
        },
    };
    if is_known {
        return Ok(());
    }
    Err(failure(Error::Standard {
        sqlstate: "42703",
        message: format!("column \"{name}\" of relation \"{table}\" does not exist"),
        hint: "\\d name, or information_schema.columns, lists the columns of a relation.".into(),
    }))
}

fn relation(call: &Call<'_>, row: usize, depth: usize, known: &[&str]) -> Result<Option<bool>> {
    let argument = usize::from(names_role(call, depth + 1));
    if argument == 1 {
        check_role(call, 0, row)?;
    }
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
    if depth == 2 {
        check_column(call, argument + 1, row, oid)?;
    }
    match call.snapshot.relation(oid).map(|found| &found.relation) {
        Some(relation) if relation.writable => {
            held(call, row, depth, known, &["select", "insert", "update", "delete", "truncate"])
        }
        None if !DEFINITIONS.iter().any(|system| system.oid == oid) => Ok(None),
        _ => held(call, row, depth, known, &["select"]),
    }
}

fn sequence(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let argument = usize::from(names_role(call, 2));
    if argument == 1 {
        check_role(call, 0, row)?;
    }
    let (_, sequence) = super::sequences::named(call, argument, row)?;
    let privileges: &[&str] = match (sequence.usable, sequence.readable) {
        (true, _) => &["usage", "select", "update"],
        (false, true) => &["select"],
        (false, false) => &[],
    };
    held(call, row, 1, ON_SEQUENCE, privileges)
}

fn schema(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let argument = usize::from(names_role(call, 2));
    if argument == 1 {
        check_role(call, 0, row)?;
    }
    let Some(oid) = names::object(call, argument, row, "regnamespace")? else {
        let name = call.text(argument, row).unwrap_or_default().to_string();
        return Err(failure(Error::Missing {
            kind: "schema",
            name,
            hint: "\\dn lists the schemas.".into(),
        }));
    };
    let known = call.snapshot.schemas.iter().any(|(_, known)| i64::from(*known) == oid);
    if known { held(call, row, 1, ON_SCHEMA, USAGE) } else { Ok(None) }
}

fn function(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let argument = usize::from(names_role(call, 2));
    if argument == 1 {
        check_role(call, 0, row)?;
    }
    let Some(oid) = names::object(call, argument, row, "regprocedure")? else {
        return Err(failure(Error::Missing {
            kind: "function",
            name: call.text(argument, row).unwrap_or_default().to_string(),
            hint: "Name the types of its arguments: lower(text).".into(),
        }));
    };
    if procedure(oid).is_some() { held(call, row, 1, ON_FUNCTION, ON_FUNCTION) } else { Ok(None) }
}

/// A role is a member of itself and of no other.
fn has_role(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let argument = usize::from(names_role(call, 2));
    (0..=argument).try_for_each(|role| check_role(call, role, row))?;
    let member = is_own_role(call, argument, row);
    held(call, row, 1, ON_ROLE, if member { ON_ROLE } else { &[] })
}
