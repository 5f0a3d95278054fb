//! Functions that describe objects of the catalog.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::{Result, plan_err};

use super::{Body, Call, Function, Kind, definitions_of, names};
use crate::query::postgres::catalog::{
    CLASS_OIDS, DEFAULT_BY, Procedure, column_comment, procedure,
};
use crate::query::postgres::snapshot::{Numbered, NumberedKey, RelationKind};
use crate::query::postgres::types;

const OID: &[Kind] = &[Kind::Int];
const OID_AND_FLAG: &[Kind] = &[Kind::Int, Kind::Bool];
/// For objects of which there are none here: triggers, rules, bodies of functions in SQL, extended statistics, partitions.
const NONE: Body = Body::Text(|_, _| Ok(None));
/// The size of a relation would count people whom the session must not see.
const UNKNOWN_SIZE: Body = Body::Int(|_, _| Ok(None));

/// The bits of `INSERT`, `UPDATE` and `DELETE`.
const ANY_CHANGE: i64 = 8 | 4 | 16;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("format_type", &[Kind::Int, Kind::Int], "text", Body::Text(format_type))
        .with_nulls(),
    Function::new("oidvectortypes", &[Kind::Any], "text", Body::Text(listed_types)),
    Function::new("pg_get_userbyid", OID, "name", Body::Text(user_name)),
    Function::new(
        "pg_get_expr",
        &[Kind::Text, Kind::Int, Kind::Bool],
        "text",
        Body::Text(expression),
    )
    .at_least(2),
    Function::new("pg_get_constraintdef", OID_AND_FLAG, "text", Body::Text(constraint)).at_least(1),
    Function::new(
        "pg_get_indexdef",
        &[Kind::Int, Kind::Int, Kind::Bool],
        "text",
        Body::Text(index),
    )
    .at_least(1),
    Function::new("pg_get_viewdef", &[Kind::Object, Kind::Any], "text", Body::Text(view))
        .at_least(1),
    Function::new("pg_get_ruledef", OID_AND_FLAG, "text", NONE).at_least(1),
    Function::new("pg_get_triggerdef", OID_AND_FLAG, "text", NONE).at_least(1),
    Function::new("pg_get_functiondef", OID, "text", NONE),
    Function::new(
        "pg_get_function_result",
        OID,
        "text",
        Body::Text(|c, row| of_function(c, row, Procedure::gives)),
    ),
    Function::new(
        "pg_get_function_arguments",
        OID,
        "text",
        Body::Text(|c, row| of_function(c, row, |known| known.arguments(true))),
    ),
    Function::new(
        "pg_get_function_identity_arguments",
        OID,
        "text",
        Body::Text(|c, row| of_function(c, row, |known| known.arguments(false))),
    ),
    Function::new("pg_get_function_sqlbody", OID, "text", NONE),
    Function::new("pg_get_statisticsobjdef", OID, "text", NONE),
    Function::new("pg_get_statisticsobjdef_columns", OID, "text", NONE),
    Function::new("pg_get_partkeydef", OID, "text", NONE),
    Function::new("pg_get_partition_constraintdef", OID, "text", NONE),
    Function::new("obj_description", &[Kind::Int, Kind::Text], "text", Body::Text(object_comment))
        .at_least(1),
    Function::new(
        "col_description",
        &[Kind::Int, Kind::Int],
        "text",
        Body::Text(comment_of_column),
    ),
    Function::new("shobj_description", &[Kind::Int, Kind::Text], "text", NONE),
    Function::new(
        "pg_tablespace_location",
        OID,
        "text",
        Body::Text(|_, _| Ok(Some(String::new()))),
    ),
    Function::new("pg_relation_is_publishable", &[Kind::Object], "bool", Body::Bool(publishable)),
    Function::new(
        "pg_relation_is_updatable",
        &[Kind::Object, Kind::Bool],
        "int4",
        Body::Int(|c, row| Ok(Some(if is_made(c, row)? { ANY_CHANGE } else { 0 }))),
    ),
    Function::new(
        "pg_column_is_updatable",
        &[Kind::Object, Kind::Int, Kind::Bool],
        "bool",
        Body::Bool(|c, row| Ok(Some(c.int(1, row) > Some(0) && is_made(c, row)?))),
    ),
    Function::new("pg_relation_size", &[Kind::Object, Kind::Text], "int8", UNKNOWN_SIZE)
        .at_least(1),
    Function::new("pg_table_size", &[Kind::Object], "int8", UNKNOWN_SIZE),
    Function::new("pg_indexes_size", &[Kind::Object], "int8", UNKNOWN_SIZE),
    Function::new("pg_total_relation_size", &[Kind::Object], "int8", UNKNOWN_SIZE),
    Function::new("pg_database_size", &[Kind::Object], "int8", UNKNOWN_SIZE),
    Function::new("pg_tablespace_size", &[Kind::Object], "int8", UNKNOWN_SIZE),
];

/// What is said of a function.
fn of_function(
    call: &Call<'_>,
    row: usize,
    said: fn(&Procedure) -> String,
) -> Result<Option<String>> {
    Ok(call.int(0, row).and_then(procedure).map(said))
}

fn oid(call: &Call<'_>, row: usize) -> Option<u32> {
    u32::try_from(call.int(0, row)?).ok()
}

fn format_type(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some(oid) = call.int(0, row) else { return Ok(None) };
    let rows_of = u32::try_from(oid).ok().and_then(|oid| call.snapshot.with_row_type(oid));
    if let Some(relation) = rows_of {
        return Ok(Some(names::qualified(
            call,
            &relation.relation.schema,
            &relation.relation.name,
        )));
    }
    Ok(Some(types::format_type(oid, call.int(1, row).unwrap_or(-1))))
}

/// The types of a list of them, as of the parameters of a function.
fn listed_types(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some(given) = call.arguments.first() else { return Ok(None) };
    if given.data_type().is_null() {
        return Ok(None);
    }
    let Some(lists) = given.as_list_opt::<i32>() else {
        return plan_err!("function oidvectortypes does not take {}", given.data_type());
    };
    let list = lists.value(row);
    let Some(oids) = list.as_primitive_opt::<Int64Type>() else {
        return plan_err!("function oidvectortypes does not take {}", given.data_type());
    };
    let names = oids.iter().map(|oid| types::format_type(oid.unwrap_or_default(), -1));
    Ok(Some(names.collect::<Vec<_>>().join(", ")))
}

fn user_name(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some(oid) = call.int(0, row) else { return Ok(None) };
    let known = u32::try_from(oid).ok().and_then(|oid| call.snapshot.role_name(oid));
    Ok(Some(known.map_or_else(|| format!("unknown (OID={oid})"), str::to_string)))
}

/// Expressions in the catalog are kept as text, and the default of a numbered column as [`DEFAULT_BY`] and the oid of its
/// sequence: which name that goes by depends on the search path.
fn expression(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some(text) = call.text(0, row) else { return Ok(None) };
    let sequence = text.strip_prefix(DEFAULT_BY).and_then(|oid| oid.parse().ok());
    let name = sequence.and_then(|oid| names::relation_name(call, oid));
    Ok(Some(name.map_or_else(|| text.to_string(), |name| definitions_of::default_by(&name))))
}

fn with_key<'a>(call: &'a Call<'_>, row: usize) -> Option<(&'a Numbered, &'a NumberedKey)> {
    call.snapshot.with_key(oid(call, row)?)
}

fn constraint(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    if let Some((_, key)) = with_key(call, row) {
        return Ok(Some(definitions_of::constraint(key)));
    }
    let wanted = oid(call, row);
    if let Some(found) = call.snapshot.references().find(|one| Some(one.foreign.oid) == wanted) {
        let referred = &found.referred.relation;
        let table = names::qualified(call, &referred.schema, &referred.name);
        return Ok(Some(definitions_of::foreign_key(&found.foreign.key, &table)));
    }
    let found = call.snapshot.checks().find(|(_, known)| Some(known.oid) == wanted);
    let is_pretty = call.bool(1, row) == Some(true);
    Ok(found.map(|(_, known)| definitions_of::check(&known.check, is_pretty)))
}

fn index(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some((relation, key)) = with_key(call, row) else { return Ok(None) };
    Ok(match call.int(1, row) {
        None | Some(0) => {
            let r = &relation.relation;
            // Pretty text names a schema only where the search path does not lead to it.
            let table = match call.bool(2, row) {
                Some(true) => names::qualified(call, &r.schema, &r.name),
                _ => definitions_of::table(relation),
            };
            Some(definitions_of::index_on(key, &table))
        }
        // A column of the index: its name.
        Some(column) => {
            let at = usize::try_from(column - 1).ok();
            at.and_then(|at| key.columns.get(at)).map(|name| super::quote_ident(name))
        }
    })
}

fn view(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let oid = names::object(call, 0, row, "regclass")?;
    Ok(oid
        .and_then(|oid| call.snapshot.relation(u32::try_from(oid).ok()?))
        .and_then(definitions_of::view))
}

fn object_comment(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let relations =
        call.text(1, row).is_none_or(|class| CLASS_OIDS.contains_key(class) && class == "pg_class");
    Ok(oid(call, row)
        .filter(|_| relations)
        .and_then(|oid| column_comment(call.snapshot, oid, 0))
        .map(str::to_string))
}

fn comment_of_column(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some((oid, column)) =
        oid(call, row).zip(call.int(1, row)).filter(|(_, column)| *column > 0)
    else {
        return Ok(None);
    };
    Ok(column_comment(call.snapshot, oid, column).map(str::to_string))
}

/// Whether statements change the rows of a relation: those of tables that were made by `CREATE TABLE`, and of no others.
fn is_made(call: &Call<'_>, row: usize) -> Result<bool> {
    let relation = names::object(call, 0, row, "regclass")?
        .and_then(|oid| call.snapshot.relation(u32::try_from(oid).ok()?));
    Ok(relation
        .is_some_and(|r| r.relation.kind == RelationKind::Table && r.relation.owner.is_some()))
}

fn publishable(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let relation = names::object(call, 0, row, "regclass")?
        .and_then(|oid| call.snapshot.relation(u32::try_from(oid).ok()?));
    Ok(Some(relation.is_some_and(|r| r.relation.kind == RelationKind::Table)))
}
