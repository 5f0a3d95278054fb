//! The relations of `information_schema` that tell of constraints.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;

use super::definition::Definition;
use super::information_schema::yes;
use super::keys::keys;
use super::rows::{Cell, Rows};
use crate::catalog::Deferral;
use crate::query::postgres::Relation;
use crate::query::postgres::foreign_keys::Reference;
use crate::query::postgres::snapshot::{NumberedCheck, Snapshot};

/// Builds `table_constraints`.
pub(super) fn of_tables(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        definition,
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "constraint_type",
            "is_deferrable",
            "initially_deferred",
            "enforced",
            "nulls_distinct",
        ],
    )?;
    let mut push = |r: &Relation, name: &str, kind: &str, deferral: Deferral, nulls_distinct| {
        let schema = Cell::Text(&r.schema);
        rows.push(&[
            database.into(),
            schema,
            name.into(),
            database.into(),
            schema,
            r.name.as_str().into(),
            kind.into(),
            yes(deferral != Deferral::None),
            yes(deferral == Deferral::Deferred),
            yes(true),
            nulls_distinct,
        ]);
    };
    for (r, key) in keys(snapshot) {
        let (kind, nulls_distinct) = match key.is_primary {
            true => ("PRIMARY KEY", Cell::Null),
            false => ("UNIQUE", yes(true)),
        };
        push(&r.relation, &key.name, kind, Deferral::None, nulls_distinct);
    }
    for (r, NumberedCheck { check, .. }) in snapshot.checks() {
        push(&r.relation, &check.name, "CHECK", Deferral::None, Cell::Null);
    }
    for Reference { foreign, relation: r, .. } in snapshot.references() {
        let key = &foreign.key;
        push(&r.relation, &key.name, "FOREIGN KEY", key.deferral, Cell::Null);
    }
    rows.finish()
}

/// Builds `check_constraints`.
pub(super) fn checks(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let columns = ["constraint_catalog", "constraint_schema", "constraint_name", "check_clause"];
    let mut rows = Rows::new(definition, &columns)?;
    for (r, NumberedCheck { check, .. }) in snapshot.checks() {
        let clause = format!("(({}))", check.condition);
        rows.push(&[
            database.into(),
            r.relation.schema.as_str().into(),
            check.name.as_str().into(),
            clause.as_str().into(),
        ]);
    }
    rows.finish()
}

/// Builds `referential_constraints`.
pub(super) fn referential(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for Reference { foreign, relation: r, referred, key: to } in snapshot.references() {
        let key = &foreign.key;
        rows.push(&[
            database.into(),
            r.relation.schema.as_str().into(),
            key.name.as_str().into(),
            database.into(),
            referred.relation.schema.as_str().into(),
            to.name.as_str().into(),
            (if key.match_full { "FULL" } else { "NONE" }).into(),
            key.on_update.words().into(),
            key.on_delete.words().into(),
        ]);
    }
    rows.finish()
}

/// Builds `key_column_usage`.
pub(super) fn key_columns(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    let mut push = |r: &Relation, name: &str, columns: &[String], places: Option<Vec<usize>>| {
        let schema = Cell::Text(&r.schema);
        for (at, column) in columns.iter().enumerate() {
            let place = places.as_ref().and_then(|places| places.get(at));
            rows.push(&[
                database.into(),
                schema,
                name.into(),
                database.into(),
                schema,
                r.name.as_str().into(),
                column.as_str().into(),
                Cell::Int(at as i64 + 1),
                place.map_or(Cell::Null, |place| Cell::Int(*place as i64 + 1)),
            ]);
        }
    };
    for (r, key) in keys(snapshot) {
        push(&r.relation, &key.name, &key.columns, None);
    }
    for Reference { foreign, relation: r, key: to, .. } in snapshot.references() {
        let key = &foreign.key;
        let place = |name: &String| to.columns.iter().position(|column| column == name);
        let places = key.referred.iter().filter_map(place).collect();
        push(&r.relation, &key.name, &key.columns, Some(places));
    }
    rows.finish()
}

/// Builds `constraint_column_usage`: the columns of keys, those that checks are about, and those that foreign keys refer to.
pub(super) fn columns_used(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    let mut push = |r: &Relation, columns: &[String], schema: &str, name: &str| {
        for column in columns {
            rows.push(&[
                database.into(),
                r.schema.as_str().into(),
                r.name.as_str().into(),
                column.as_str().into(),
                database.into(),
                schema.into(),
                name.into(),
            ]);
        }
    };
    for (r, key) in keys(snapshot) {
        push(&r.relation, &key.columns, &r.relation.schema, &key.name);
    }
    for (r, NumberedCheck { check, .. }) in snapshot.checks() {
        push(&r.relation, &check.columns, &r.relation.schema, &check.name);
    }
    for Reference { foreign, relation: r, referred, .. } in snapshot.references() {
        let key = &foreign.key;
        push(&referred.relation, &key.referred, &r.relation.schema, &key.name);
    }
    rows.finish()
}

/// Builds `constraint_table_usage`: the tables of keys, and those that foreign keys refer to.
pub(super) fn tables_used(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    let mut push = |r: &Relation, schema: &str, name: &str| {
        rows.push(&[
            database.into(),
            r.schema.as_str().into(),
            r.name.as_str().into(),
            database.into(),
            schema.into(),
            name.into(),
        ]);
    };
    for (r, key) in keys(snapshot) {
        push(&r.relation, &r.relation.schema, &key.name);
    }
    for Reference { foreign, relation: r, referred, .. } in snapshot.references() {
        push(&referred.relation, &r.relation.schema, &foreign.key.name);
    }
    rows.finish()
}
