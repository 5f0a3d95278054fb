//! The relations of `pg_catalog` that describe primary keys, unique constraints, checks and foreign keys.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;

use super::definition::{Definition, stored_rows};
use super::rows::{Cell, Rows};
use crate::catalog::Deferral;
use crate::query::postgres::foreign_keys::{NumberedForeignKey, Reference};
use crate::query::postgres::functions::definitions_of;
use crate::query::postgres::snapshot::{Numbered, NumberedCheck, NumberedKey, Snapshot};
use crate::query::postgres::types::{PgType, pg_type_of};

/// The keys of all relations.
pub(super) fn keys(snapshot: &Snapshot) -> impl Iterator<Item = (&Numbered, &NumberedKey)> {
    snapshot.relations.iter().flat_map(|r| r.keys.iter().map(move |key| (r, key)))
}

/// The numbers of the columns of a key, from 1.
pub(super) fn key_columns(relation: &Numbered, key: &NumberedKey) -> Vec<i64> {
    key.columns.iter().map(|name| relation.column(name)).collect()
}

pub(super) fn indexes(definition: &'static Definition, snapshot: &Snapshot) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        definition,
        &[
            "indexrelid",
            "indrelid",
            "indnatts",
            "indnkeyatts",
            "indisunique",
            "indisprimary",
            "indimmediate",
            "indisvalid",
            "indisready",
            "indislive",
            "indkey",
            "indcollation",
            "indclass",
            "indoption",
        ],
    )?;
    for (r, named) in keys(snapshot) {
        let key = key_columns(r, named);
        let column = |number: &i64| {
            let column = usize::try_from(number - 1).ok().and_then(|n| r.relation.columns.get(n));
            column.map(|column| pg_type_of(column))
        };
        let found: Vec<_> = key.iter().filter_map(column).collect();
        let collations: Vec<i64> = found.iter().map(|(t, _)| i64::from(t.collation)).collect();
        let classes: Vec<i64> = found.iter().map(|(t, _)| operator_class(t)).collect();
        let count = Cell::Int(key.len() as i64);
        rows.push(&[
            named.index.into(),
            r.oid.into(),
            count,
            count,
            true.into(),
            named.is_primary.into(),
            true.into(),
            true.into(),
            true.into(),
            true.into(),
            Cell::Ints(&key),
            Cell::Ints(&collations),
            Cell::Ints(&classes),
            Cell::Ints(&vec![0; key.len()]),
        ]);
    }
    rows.finish()
}

/// The default B-tree class over a type: `pg_opclass` by `opcintype`.
fn operator_class(t: &PgType) -> i64 {
    let input = match t.name.as_str() {
        "varchar" => "25".to_string(),
        _ => t.oid.to_string(),
    };
    let class = stored_rows("pg_opclass").iter().find(|row| row[6] == input);
    class.and_then(|row| row[0].parse().ok()).unwrap_or(0)
}

pub(super) fn constraints(
    definition: &'static Definition,
    snapshot: &Snapshot,
) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        definition,
        &[
            "oid",
            "conname",
            "connamespace",
            "contype",
            "convalidated",
            "conrelid",
            "conindid",
            "confupdtype",
            "confdeltype",
            "confmatchtype",
            "conislocal",
            "connoinherit",
            "conkey",
            "condeferrable",
            "condeferred",
            "confrelid",
            "confkey",
        ],
    )?;
    for (r, key) in keys(snapshot) {
        rows.push(&[
            key.constraint.into(),
            key.name.as_str().into(),
            r.schema_oid.into(),
            (if key.is_primary { "p" } else { "u" }).into(),
            true.into(),
            r.oid.into(),
            key.index.into(),
            " ".into(),
            " ".into(),
            " ".into(),
            true.into(),
            true.into(),
            Cell::Ints(&key_columns(r, key)),
            false.into(),
            false.into(),
            0.into(),
            Cell::Null,
        ]);
    }
    for (r, NumberedCheck { check, oid }) in snapshot.checks() {
        let columns: Vec<i64> = check.columns.iter().map(|name| r.column(name)).collect();
        rows.push(&[
            (*oid).into(),
            check.name.as_str().into(),
            r.schema_oid.into(),
            "c".into(),
            (!check.not_valid).into(),
            r.oid.into(),
            0.into(),
            " ".into(),
            " ".into(),
            " ".into(),
            true.into(),
            false.into(),
            Cell::Ints(&columns),
            false.into(),
            false.into(),
            0.into(),
            Cell::Null,
        ]);
    }
    for Reference { foreign: NumberedForeignKey { key, oid }, relation: r, referred, key: to } in
        snapshot.references()
    {
        let columns: Vec<i64> = key.columns.iter().map(|name| r.column(name)).collect();
        let others: Vec<i64> = key.referred.iter().map(|name| referred.column(name)).collect();
        rows.push(&[
            (*oid).into(),
            key.name.as_str().into(),
            r.schema_oid.into(),
            "f".into(),
            (!key.not_valid).into(),
            r.oid.into(),
            to.index.into(),
            key.on_update.letter().into(),
            key.on_delete.letter().into(),
            (if key.match_full { "f" } else { "s" }).into(),
            true.into(),
            true.into(),
            Cell::Ints(&columns),
            (key.deferral != Deferral::None).into(),
            (key.deferral == Deferral::Deferred).into(),
            referred.oid.into(),
            Cell::Ints(&others),
        ]);
    }
    rows.finish()
}

pub(super) fn index_definitions(
    definition: &'static Definition,
    snapshot: &Snapshot,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for (r, key) in keys(snapshot) {
        let text = definitions_of::index(r, key);
        rows.push(&[
            r.relation.schema.as_str().into(),
            r.relation.name.as_str().into(),
            key.name.as_str().into(),
            Cell::Null,
            text.as_str().into(),
        ]);
    }
    rows.finish()
}
