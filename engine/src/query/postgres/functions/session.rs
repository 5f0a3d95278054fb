//! Functions about the session and the server.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Volatility;

use super::{Body, Call, Function, Kind, failure};
use crate::catalog::TEMPORARY;
use crate::query::postgres::backends::Signal;
use crate::query::postgres::configured::unknown_setting;
use crate::query::postgres::settings::SERVER_VERSION;
use crate::query::postgres::types;

/// The number of the encoding UTF-8.
const UTF8: i64 = 6;

/// Functions whose answers last as long as the session does.
pub(super) const LASTING: [&str; 13] = [
    "version",
    "current_database",
    "current_catalog",
    "current_user",
    "session_user",
    "current_role",
    "pg_backend_pid",
    "pg_is_in_recovery",
    "pg_is_other_temp_schema",
    "pg_client_encoding",
    "getdatabaseencoding",
    "pg_encoding_to_char",
    "pg_char_to_encoding",
];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("version", &[], "text", Body::Text(version)),
    Function::new(
        "current_database",
        &[],
        "name",
        Body::Text(|c, _| Ok(Some(c.facts.database.clone()))),
    ),
    Function::new(
        "current_catalog",
        &[],
        "name",
        Body::Text(|c, _| Ok(Some(c.facts.database.clone()))),
    ),
    Function::new("current_user", &[], "name", Body::Text(role)),
    Function::new("session_user", &[], "name", Body::Text(role)),
    Function::new("current_role", &[], "name", Body::Text(role)),
    Function::new("current_schema", &[], "name", Body::Text(|c, _| Ok(c.facts.current_schema()))),
    Function::new("current_schemas", &[Kind::Bool], "_name", Body::Column(current_schemas)),
    Function::new(
        "current_setting",
        &[Kind::Text, Kind::Bool],
        "text",
        Body::Text(current_setting),
    )
    .at_least(1),
    Function::new(
        "set_config",
        &[Kind::Text, Kind::Text, Kind::Bool],
        "text",
        Body::Text(set_config),
    )
    .with_nulls()
    .with(Volatility::Volatile),
    Function::new("pg_notify", &[Kind::Text, Kind::Text], "void", Body::Text(notify))
        .with_nulls()
        .with(Volatility::Volatile),
    Function::new(
        "pg_backend_pid",
        &[],
        "int4",
        Body::Int(|c, _| Ok(Some(c.facts.backend_pid.into()))),
    ),
    Function::new(
        "pg_cancel_backend",
        &[Kind::Int],
        "bool",
        Body::Bool(|c, row| Ok(c.int(0, row).map(|pid| c.facts.ask(pid, Signal::Cancel)))),
    )
    .with(Volatility::Volatile),
    Function::new(
        "pg_terminate_backend",
        &[Kind::Int],
        "bool",
        Body::Bool(|c, row| Ok(c.int(0, row).map(|pid| c.facts.ask(pid, Signal::End)))),
    )
    .with(Volatility::Volatile),
    Function::new("pg_is_in_recovery", &[], "bool", Body::Bool(|_, _| Ok(Some(false)))),
    Function::new("pg_jit_available", &[], "bool", Body::Bool(|_, _| Ok(Some(false)))),
    Function::new("pg_postmaster_start_time", &[], "timestamptz", Body::Column(started_at)),
    Function::new("pg_conf_load_time", &[], "timestamptz", Body::Column(started_at)),
    Function::new(
        "txid_current",
        &[],
        "int8",
        Body::Int(|c, _| Ok(Some(c.facts.transaction_number()))),
    )
    .with(Volatility::Volatile),
    Function::new("pg_my_temp_schema", &[], "oid", Body::Int(temporary_schema)),
    Function::new(
        "pg_is_other_temp_schema",
        &[Kind::Int],
        "bool",
        Body::Bool(|_, _| Ok(Some(false))),
    ),
    Function::new("pg_client_encoding", &[], "name", Body::Text(|_, _| Ok(Some("UTF8".into())))),
    Function::new("getdatabaseencoding", &[], "name", Body::Text(|_, _| Ok(Some("UTF8".into())))),
    Function::new("pg_encoding_to_char", &[Kind::Int], "name", Body::Text(encoding_name)),
    Function::new("pg_char_to_encoding", &[Kind::Text], "int4", Body::Int(encoding_number)),
];

fn version(_: &Call<'_>, _: usize) -> Result<Option<String>> {
    // Drivers take the version from the second word.
    let system = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    Ok(Some(format!(
        "PostgreSQL {SERVER_VERSION} (onefold {}) on {system}, 64-bit",
        env!("CARGO_PKG_VERSION")
    )))
}

fn role(call: &Call<'_>, _: usize) -> Result<Option<String>> {
    Ok(Some(call.facts.role.clone()))
}

fn current_schemas(call: &Call<'_>) -> Result<ArrayRef> {
    let DataType::List(item) = call.result.data_type() else {
        return internal_err!("current_schemas returns a list");
    };
    let path = call.facts.search_path();
    // The system's schema is in the path even when nobody wrote it there; only `true` shows it then.
    let written = call.facts.setting("search_path").unwrap_or_default().contains("pg_catalog");
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item));
    for row in 0..call.rows {
        let Some(implicit) = call.bool(0, row) else {
            lists.append_null();
            continue;
        };
        for schema in path.iter().filter(|schema| implicit || written || *schema != "pg_catalog") {
            lists.values().append_value(schema);
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

/// The schema of the session's temporary relations; 0 as long as it has none.
fn temporary_schema(call: &Call<'_>, _: usize) -> Result<Option<i64>> {
    Ok(Some(call.snapshot.schema_oid(TEMPORARY).map_or(0, i64::from)))
}

fn current_setting(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some(name) = call.text(0, row) else { return Ok(None) };
    match call.facts.setting(name) {
        Some(value) => Ok(Some(value)),
        None if call.bool(1, row) == Some(true) => Ok(None),
        None => Err(failure(unknown_setting(name))),
    }
}

fn set_config(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some(name) = call.text(0, row) else { return Ok(None) };
    let local = call.bool(2, row) == Some(true);
    call.facts.configure(name, call.text(1, row), local).map_err(failure)
}

fn notify(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let [channel, payload] = [0, 1].map(|at| call.text(at, row).unwrap_or_default());
    call.facts.say(channel, payload).map_err(failure)?;
    Ok(Some(String::new()))
}

fn started_at(call: &Call<'_>) -> Result<ArrayRef> {
    let started = TimestampMicrosecondArray::from(vec![call.facts.started_at_us; call.rows]);
    Ok(Arc::new(started.with_timezone(types::UTC)))
}

fn encoding_name(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    Ok(call
        .int(0, row)
        .map(|number| if number == UTF8 { "UTF8".to_string() } else { String::new() }))
}

fn encoding_number(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    let known = |name: &str| {
        matches!(name.to_uppercase().replace(['-', '_'], "").as_str(), "UTF8" | "UNICODE")
    };
    Ok(call.text(0, row).map(|name| if known(name) { UTF8 } else { -1 }))
}
