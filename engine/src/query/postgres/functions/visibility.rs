//! Whether an object is found without naming its schema.

use datafusion::common::Result;

use super::{Body, Call, Function, Kind};
use crate::query::postgres::catalog::{DEFINITIONS, definition, procedure};
use crate::query::postgres::snapshot::FIRST_OID;
use crate::query::postgres::types;

const OF_SYSTEM: Body = Body::Bool(system_object);
const OID: &[Kind] = &[Kind::Int];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("pg_table_is_visible", OID, "bool", Body::Bool(relation)),
    Function::new("pg_type_is_visible", OID, "bool", Body::Bool(type_)),
    Function::new("pg_function_is_visible", OID, "bool", Body::Bool(function)),
    Function::new("pg_operator_is_visible", OID, "bool", OF_SYSTEM),
    Function::new("pg_opclass_is_visible", OID, "bool", OF_SYSTEM),
    Function::new("pg_opfamily_is_visible", OID, "bool", OF_SYSTEM),
    Function::new("pg_collation_is_visible", OID, "bool", OF_SYSTEM),
    Function::new("pg_conversion_is_visible", OID, "bool", OF_SYSTEM),
    Function::new("pg_statistics_obj_is_visible", OID, "bool", OF_SYSTEM),
    Function::new("pg_ts_config_is_visible", OID, "bool", OF_SYSTEM),
    Function::new("pg_ts_dict_is_visible", OID, "bool", OF_SYSTEM),
    Function::new("pg_ts_parser_is_visible", OID, "bool", OF_SYSTEM),
    Function::new("pg_ts_template_is_visible", OID, "bool", OF_SYSTEM),
];

/// Objects of these kinds exist in `pg_catalog` alone, which is always in the path.
fn system_object(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    Ok(call.int(0, row).and_then(|oid| (oid > 0 && oid < i64::from(FIRST_OID)).then_some(true)))
}

/// Functions need no schema, whatever the path is.
fn function(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    Ok(match call.int(0, row).and_then(procedure) {
        Some(_) => Some(true),
        None => system_object(call, row)?,
    })
}

fn relation(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let Some(oid) = call.int(0, row).and_then(|oid| u32::try_from(oid).ok()) else {
        return Ok(None);
    };
    let with_key = || call.snapshot.with_key(oid).map(|(relation, _)| relation);
    let found = match call.snapshot.relation(oid).or_else(with_key) {
        Some(found) => Some((found.relation.schema.as_str(), found.relation.name.as_str())),
        None => DEFINITIONS
            .iter()
            .find(|known| known.oid == oid)
            .map(|known| (known.schema, known.name)),
    };
    Ok(found.map(|(schema, name)| first_with(call, name) == Some(schema)))
}

/// The first schema of the path that has a relation of this name.
fn first_with<'a>(call: &'a Call<'_>, name: &str) -> Option<&'a str> {
    let has = |schema: &&str| {
        call.snapshot.named(schema, name).is_some() || definition(schema, name).is_some()
    };
    call.search_path().iter().map(String::as_str).find(has)
}

fn type_(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let Some(oid) = call.int(0, row).and_then(|oid| u32::try_from(oid).ok()) else {
        return Ok(None);
    };
    if types::by_oid(oid).is_some() {
        return Ok(Some(true));
    }
    let relation = call.snapshot.with_row_type(oid);
    Ok(relation.map(|r| first_with(call, &r.relation.name) == Some(r.relation.schema.as_str())))
}
