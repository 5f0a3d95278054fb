//! Whether an object is found without naming its schema.

use datafusion::common::Result;

use super::{Body, Call, Function, Kind};
use crate::query::postgres::catalog::{DEFINITIONS, definition};
use crate::query::postgres::facts::FIRST_OID;
use crate::query::postgres::types;

const OF_SYSTEM: Body = Body::Bool(system_object);
const OID: &[Kind] = &[Kind::Int];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("pg_table_is_visible", OID, "bool", Body::Bool(relation)),
    Function::new("pg_type_is_visible", OID, "bool", Body::Bool(type_)),
    Function::new("pg_function_is_visible", OID, "bool", OF_SYSTEM),
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

fn relation(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let Some(oid) = call.int(0, row).and_then(|oid| u32::try_from(oid).ok()) else {
        return Ok(None);
    };
    let found = match call.snapshot.relation(oid).or_else(|| call.snapshot.with_key(oid)) {
        Some(found) => Some((found.relation.schema.as_str(), found.relation.name.as_str())),
        None => DEFINITIONS
            .iter()
            .find(|known| known.oid == oid)
            .map(|known| (known.schema, known.name)),
    };
    Ok(found.map(|(schema, name)| first_with(call, name).as_deref() == Some(schema)))
}

/// The first schema of the path that has a relation of this name.
fn first_with(call: &Call<'_>, name: &str) -> Option<String> {
    let has = |schema: &String| {
        call.snapshot.named(schema, name).is_some() || definition(schema, name).is_some()
    };
    call.facts.search_path().into_iter().find(has)
}

fn type_(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let Some(oid) = call.int(0, row).and_then(|oid| u32::try_from(oid).ok()) else {
        return Ok(None);
    };
    if types::by_oid(oid).is_some() {
        return Ok(Some(true));
    }
    let relation = call.snapshot.with_row_type(oid);
    Ok(relation
        .map(|r| first_with(call, &r.relation.name).as_deref() == Some(r.relation.schema.as_str())))
}
