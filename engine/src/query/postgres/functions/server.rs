//! Functions of those who watch a server. What onefold does not have or does not count, files of relations and scans of indexes
//! say, is null; so is where the other end of a connection is, which sessions are not told.

use std::net::IpAddr;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Builder, ListBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Volatility;

use super::privileges::held;
use super::{Body, Call, Function, Kind, failure, names};
use crate::Error;
use crate::query::postgres::configured::unknown_setting;
use crate::query::postgres::settings;

/// What `age` of the number of a transaction is called here: it has a parameter of another type in common with the other.
pub(crate) const TRANSACTION_AGE: &str = "transaction_age";

const OID: &[Kind] = &[Kind::Int];
/// Text that there is none of.
const NO_TEXT: Body = Body::Text(|_, _| Ok(None));
/// A number that nobody counts.
const NO_NUMBER: Body = Body::Int(|_, _| Ok(None));

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("inet_client_addr", &[], "inet", NO_TEXT),
    Function::new("inet_client_port", &[], "int4", NO_NUMBER),
    Function::new("inet_server_addr", &[], "inet", NO_TEXT),
    Function::new("inet_server_port", &[], "int4", NO_NUMBER),
    Function::new("pg_blocking_pids", OID, "_int4", Body::Column(no_pids)),
    Function::new("txid_current_if_assigned", &[], "int8", NO_NUMBER),
    Function::new("host", &[Kind::Text], "text", Body::Text(host)).with(Volatility::Immutable),
    Function::new("txid_current_snapshot", &[], "txid_snapshot", Body::Text(current_snapshot))
        .with(Volatility::Volatile),
    Function::new(
        "txid_snapshot_xmin",
        &[Kind::Text],
        "int8",
        Body::Int(|c, row| Ok(bounds(c, row)?.map(|(first, _)| first))),
    )
    .with(Volatility::Immutable),
    Function::new(
        "txid_snapshot_xmax",
        &[Kind::Text],
        "int8",
        Body::Int(|c, row| Ok(bounds(c, row)?.map(|(_, next)| next))),
    )
    .with(Volatility::Immutable),
    // Nobody recovers here: a lake is opened as it is.
    Function::new("pg_is_wal_replay_paused", &[], "bool", Body::Bool(no_recovery))
        .with(Volatility::Volatile),
    Function::new("pg_last_wal_receive_lsn", &[], "pg_lsn", NO_TEXT),
    Function::new("pg_last_wal_replay_lsn", &[], "pg_lsn", NO_TEXT),
    Function::new("pg_last_xact_replay_timestamp", &[], "timestamptz", NO_NUMBER),
    Function::new("pg_trigger_depth", &[], "int4", Body::Int(|_, _| Ok(Some(0)))),
    Function::new("pg_relation_filenode", &[Kind::Object], "oid", NO_NUMBER),
    Function::new("pg_relation_filepath", &[Kind::Object], "text", NO_TEXT),
    Function::new("pg_stat_get_numscans", OID, "int8", NO_NUMBER),
    Function::new("pg_stat_get_live_tuples", OID, "int8", NO_NUMBER),
    Function::new("pg_stat_get_dead_tuples", OID, "int8", NO_NUMBER),
    Function::new("row_security_active", &[Kind::Object], "bool", Body::Bool(row_security)),
    Function::new(
        "has_parameter_privilege",
        &[Kind::Object, Kind::Object, Kind::Object],
        "bool",
        Body::Bool(parameter),
    )
    .at_least(2),
    // Numbers of transactions never run out here, so that none of them grows old.
    Function::new(TRANSACTION_AGE, &[Kind::Any], "int4", Body::Int(|_, _| Ok(Some(0)))),
];

/// Statements wait for no other session, but for whoever has an advisory lock; and who that is, is that session's business.
fn no_pids(call: &Call<'_>) -> Result<ArrayRef> {
    let DataType::List(item) = call.result.data_type() else {
        return internal_err!("pg_blocking_pids returns a list");
    };
    let mut lists = ListBuilder::new(Int32Builder::new()).with_field(Arc::clone(item));
    for row in 0..call.rows {
        lists.append(call.int(0, row).is_some());
    }
    Ok(Arc::new(lists.finish()))
}

/// The address of an `inet`, without how long its network is.
fn host(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some(text) = call.text(0, row) else { return Ok(None) };
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    match address.trim().parse::<IpAddr>() {
        Ok(address) => Ok(Some(address.to_string())),
        Err(_) => Err(malformed("inet")),
    }
}

/// Of other transactions there is none that others wait for: what was committed is seen, and nothing else.
fn current_snapshot(call: &Call<'_>, _: usize) -> Result<Option<String>> {
    let number = call.facts.transaction_number();
    Ok(Some(format!("{number}:{number}:")))
}

/// The first transaction that a snapshot, `first:next:running`, knows to run, and the next one.
fn bounds(call: &Call<'_>, row: usize) -> Result<Option<(i64, i64)>> {
    let Some(text) = call.text(0, row) else { return Ok(None) };
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [first, next, _] => match (first.parse::<i64>(), next.parse::<i64>()) {
            (Ok(first), Ok(next)) if (1..=next).contains(&first) => Ok(Some((first, next))),
            _ => Err(malformed("pg_snapshot")),
        },
        _ => Err(malformed("pg_snapshot")),
    }
}

fn malformed(name: &str) -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "22P02",
        message: format!("invalid input syntax for type {name}"),
        hint: "Check the value, or leave out the rows that do not have the form of the type."
            .to_owned(),
    })
}

fn no_recovery(_: &Call<'_>, _: usize) -> Result<Option<bool>> {
    Err(failure(Error::Standard {
        sqlstate: "55000",
        message: "recovery is not in progress".to_owned(),
        hint: "Recovery control functions can only be executed during recovery.".to_owned(),
    }))
}

/// Rows are governed by purposes, not by policies.
fn row_security(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    Ok(names::object(call, 0, row, "regclass")?.map(|_| false))
}

/// A session sets what is its own, and changes nothing for others.
fn parameter(call: &Call<'_>, row: usize) -> Result<Option<bool>> {
    let last = call.arguments.len() - 1;
    let name = call.text(last - 1, row).unwrap_or_default();
    let known = match settings::find(name) {
        Some(known) => known.user,
        None if settings::is_custom(name) => true,
        None => return Err(failure(unknown_setting(name))),
    };
    let privileges: &[&str] = if known { &["set"] } else { &[] };
    held(call, row, 1, &["set", "alter system"], privileges)
}
