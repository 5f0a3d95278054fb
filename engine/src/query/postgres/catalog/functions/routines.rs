//! The same functions as `information_schema` describes them: what each gives, and its parameters.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;

use super::{PROCEDURES, Procedure};
use crate::query::postgres::catalog::definition::Definition;
use crate::query::postgres::catalog::information_schema::data_type;
use crate::query::postgres::catalog::rows::{Cell, Rows};
use crate::query::postgres::types::{self, PgType};

const SYSTEM: &str = "pg_catalog";
const YES: &str = "YES";
const NO: &str = "NO";

/// Builds `information_schema.routines`.
pub(in crate::query::postgres::catalog) fn routines(
    definition: &'static Definition,
    database: &str,
) -> Result<RecordBatch> {
    let columns = [
        "specific_catalog",
        "specific_schema",
        "specific_name",
        "routine_catalog",
        "routine_schema",
        "routine_name",
        "routine_type",
        "data_type",
        "type_udt_catalog",
        "type_udt_schema",
        "type_udt_name",
        "dtd_identifier",
        "routine_body",
        "routine_definition",
        "external_language",
        "parameter_style",
        "is_deterministic",
        "sql_data_access",
        "is_null_call",
        "schema_level_routine",
        "max_dynamic_result_sets",
        "security_type",
        "as_locator",
        "is_udt_dependent",
    ];
    let mut rows = Rows::new(definition, &columns)?;
    for known in PROCEDURES.iter() {
        let (name, schema) = (known.name.as_str(), Cell::Text(known.schema().0));
        let gives = types::by_oid(known.result);
        rows.push(&[
            database.into(),
            schema,
            known.specific_name().as_str().into(),
            database.into(),
            schema,
            name.into(),
            (known.kind == "f").then_some("FUNCTION").into(),
            gives.map(data_type).into(),
            database.into(),
            SYSTEM.into(),
            gives.map(named).into(),
            "0".into(),
            "EXTERNAL".into(),
            name.into(),
            "INTERNAL".into(),
            "GENERAL".into(),
            (if known.volatility == "i" { YES } else { NO }).into(),
            "MODIFIES".into(),
            (if known.strict { YES } else { NO }).into(),
            YES.into(),
            0.into(),
            "INVOKER".into(),
            NO.into(),
            NO.into(),
        ]);
    }
    rows.finish()
}

/// Builds `information_schema.parameters`.
pub(in crate::query::postgres::catalog) fn parameters(
    definition: &'static Definition,
    database: &str,
) -> Result<RecordBatch> {
    let columns = [
        "specific_catalog",
        "specific_schema",
        "specific_name",
        "ordinal_position",
        "parameter_mode",
        "is_result",
        "as_locator",
        "parameter_name",
        "data_type",
        "udt_catalog",
        "udt_schema",
        "udt_name",
        "dtd_identifier",
    ];
    let mut rows = Rows::new(definition, &columns)?;
    for known in PROCEDURES.iter() {
        let specific = known.specific_name();
        for (parameter, place) in known.parameters.iter().zip(1_i64..) {
            let of = types::by_oid(parameter.of);
            let name = Some(parameter.name.as_str()).filter(|name| !name.is_empty());
            rows.push(&[
                database.into(),
                known.schema().0.into(),
                specific.as_str().into(),
                place.into(),
                (match parameter.mode {
                    'o' => "OUT",
                    'b' => "INOUT",
                    _ => "IN",
                })
                .into(),
                NO.into(),
                NO.into(),
                name.into(),
                of.map(data_type).into(),
                database.into(),
                SYSTEM.into(),
                of.map(named).into(),
                place.to_string().as_str().into(),
            ]);
        }
    }
    rows.finish()
}

fn named(t: &PgType) -> &str {
    &t.name
}

impl Procedure {
    /// Its name with its oid, which tells it from others of the name.
    fn specific_name(&self) -> String {
        format!("{}_{}", self.name, self.oid)
    }
}
