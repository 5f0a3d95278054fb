//! What `information_schema` tells of privileges: a role may read what it sees and write to the tables that it made, or to all if
//! it may define everything, and it may grant nothing.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;

use super::definition::Definition;
use super::information_schema::standard;
use super::rows::Rows;
use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::snapshot::{Numbered, OWNER};

/// The relations that this builds.
pub(super) const NAMES: [&str; 4] =
    ["column_privileges", "role_column_grants", "role_table_grants", "table_privileges"];

const ON_TABLE: [&str; 5] = ["INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE"];
const ON_COLUMN: [&str; 3] = ["INSERT", "SELECT", "UPDATE"];
const READ: &str = "SELECT";

/// Builds such a relation.
pub(super) fn build(definition: &'static Definition, facts: &SessionFacts) -> Result<RecordBatch> {
    match definition.name {
        "role_table_grants" | "table_privileges" => on_tables(definition, facts),
        _ => on_columns(definition, facts),
    }
}

/// The privileges that the session's role has on a relation, of those that there are.
fn held<'a>(r: &Numbered, all: &'a [&'static str]) -> impl Iterator<Item = &'static str> + use<'a> {
    let writable = r.relation.writable;
    all.iter().copied().filter(move |privilege| writable || *privilege == READ)
}

fn grantor(r: &Numbered) -> &str {
    r.relation.owner.as_deref().unwrap_or(OWNER)
}

fn on_tables(definition: &'static Definition, facts: &SessionFacts) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for r in standard(&facts.snapshot()) {
        for privilege in held(r, &ON_TABLE) {
            rows.push(&[
                grantor(r).into(),
                facts.role.as_str().into(),
                facts.database.as_str().into(),
                r.relation.schema.as_str().into(),
                r.relation.name.as_str().into(),
                privilege.into(),
                "NO".into(),
                (if privilege == READ { "YES" } else { "NO" }).into(),
            ]);
        }
    }
    rows.finish()
}

fn on_columns(definition: &'static Definition, facts: &SessionFacts) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for r in standard(&facts.snapshot()) {
        for column in r.relation.columns.iter() {
            for privilege in held(r, &ON_COLUMN) {
                rows.push(&[
                    grantor(r).into(),
                    facts.role.as_str().into(),
                    facts.database.as_str().into(),
                    r.relation.schema.as_str().into(),
                    r.relation.name.as_str().into(),
                    column.name().as_str().into(),
                    privilege.into(),
                    "NO".into(),
                ]);
            }
        }
    }
    rows.finish()
}
