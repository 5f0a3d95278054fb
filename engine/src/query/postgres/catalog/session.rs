//! The relations of `pg_catalog` that describe the session that reads them, or what changes without the catalog.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;

use super::definition::Definition;
use super::rows::{Cell, Rows};
use super::{grants, sequences, zones};
use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::settings::SETTINGS;
use crate::query::postgres::snapshot::DATABASE_OID;

/// The relations of `pg_catalog` that differ from session to session.
const OF_SESSION: [&str; 6] = [
    "pg_cursors",
    "pg_prepared_statements",
    "pg_sequences",
    "pg_settings",
    "pg_stat_activity",
    "pg_timezone_names",
];

/// What is shown in the place of a statement that may not be seen.
const HIDDEN: &str = "<insufficient privilege>";

/// Tells whether a relation differs from session to session.
pub(super) fn is_of_session(definition: &Definition) -> bool {
    match definition.schema {
        "pg_catalog" => OF_SESSION.contains(&definition.name),
        _ => {
            ["enabled_roles", "applicable_roles"].contains(&definition.name)
                || grants::NAMES.contains(&definition.name)
        }
    }
}

/// Builds such a relation as it is at a time, in seconds since 1970.
pub(super) fn build(
    definition: &'static Definition,
    facts: &SessionFacts,
    at: i64,
) -> Result<RecordBatch> {
    match definition.name {
        "pg_cursors" => cursors(definition, facts),
        "pg_prepared_statements" => prepared_statements(definition, facts),
        "pg_sequences" => sequences::sequences_now(definition, facts),
        "pg_settings" => settings(definition, facts),
        "pg_stat_activity" => activity(definition, facts),
        "pg_timezone_names" => zones::names(definition, at),
        name if grants::NAMES.contains(&name) => grants::build(definition, facts),
        _ => roles(definition, facts),
    }
}

fn settings(definition: &'static Definition, facts: &SessionFacts) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        definition,
        &[
            "name",
            "setting",
            "unit",
            "category",
            "short_desc",
            "context",
            "vartype",
            "source",
            "boot_val",
            "reset_val",
            "pending_restart",
        ],
    )?;
    for known in SETTINGS.iter() {
        let value = facts.setting(known.name).unwrap_or_default();
        let reset = known.in_unit(known.default);
        let source = if value == known.default { "default" } else { "session" };
        rows.push(&[
            known.name.into(),
            known.in_unit(&value).as_str().into(),
            known.unit().into(),
            (if known.user { "Client" } else { "Preset Options" }).into(),
            known.description.into(),
            (if known.user { "user" } else { "internal" }).into(),
            known.kind.into(),
            source.into(),
            reset.as_str().into(),
            reset.as_str().into(),
            false.into(),
        ]);
    }
    rows.finish()
}

/// A session sees those of its role, and what they run for its own purpose; the rest is not its business.
fn activity(definition: &'static Definition, facts: &SessionFacts) -> Result<RecordBatch> {
    let columns = [
        "datid",
        "datname",
        "pid",
        "usesysid",
        "usename",
        "application_name",
        "backend_start",
        "state",
        "query",
        "backend_type",
    ];
    let mut rows = Rows::new(definition, &columns)?;
    let snapshot = facts.snapshot();
    let role =
        snapshot.roles.iter().find(|(name, _)| *name == facts.role).map_or(0, |(_, oid)| *oid);
    for seen in facts.sessions_of_role() {
        rows.push(&[
            DATABASE_OID.into(),
            facts.database.as_str().into(),
            Cell::Int(seen.pid.into()),
            role.into(),
            facts.role.as_str().into(),
            seen.application.as_str().into(),
            Cell::Time(facts.started_at_us),
            (if seen.is_busy { "active" } else { "idle" }).into(),
            Cell::Text(seen.statement.as_deref().unwrap_or(HIDDEN)),
            "client backend".into(),
        ]);
    }
    rows.finish()
}

fn cursors(definition: &'static Definition, facts: &SessionFacts) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for cursor in facts.open_cursors() {
        rows.push(&[
            cursor.name.as_str().into(),
            Cell::Text(&cursor.statement),
            cursor.is_holdable.into(),
            cursor.is_binary.into(),
            cursor.is_scrollable.into(),
            Cell::Time(cursor.created_at_us),
        ]);
    }
    rows.finish()
}

/// Plans that serve for any values and those for some are not told apart: none is counted.
fn prepared_statements(
    definition: &'static Definition,
    facts: &SessionFacts,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for prepared in facts.prepared_statements() {
        let types: Vec<i64> = prepared.parameter_types.iter().copied().map(i64::from).collect();
        rows.push(&[
            prepared.name.as_str().into(),
            Cell::Text(&prepared.statement),
            Cell::Time(prepared.prepared_at_us),
            Cell::Ints(&types),
            prepared.from_sql.into(),
            Cell::Int(0),
            Cell::Int(0),
        ]);
    }
    rows.finish()
}

fn roles(definition: &'static Definition, facts: &SessionFacts) -> Result<RecordBatch> {
    if definition.name == "applicable_roles" {
        return Rows::all(definition)?.finish();
    }
    let mut rows = Rows::all(definition)?;
    rows.push(&[facts.role.as_str().into()]);
    rows.finish()
}
