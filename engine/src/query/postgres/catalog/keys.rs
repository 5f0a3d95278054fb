//! The relations of `pg_catalog` that describe primary keys.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;

use super::definition::{Definition, stored_rows};
use super::rows::{Cell, Rows};
use crate::query::postgres::facts::{Numbered, Snapshot};
use crate::query::postgres::functions::definitions_of;
use crate::query::postgres::types::{PgType, pg_type_of};

pub(super) fn key_name(relation: &Numbered) -> String {
    format!("{}_pkey", relation.relation.name)
}

/// The numbers of the columns of the primary key, from 1.
pub(super) fn key_columns(relation: &Numbered) -> Vec<i64> {
    let columns = &relation.relation.columns;
    let number =
        |name: &String| columns.iter().position(|c| c.name() == name).map_or(0, |at| at as i64 + 1);
    relation.relation.primary_key.iter().map(number).collect()
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
    for r in &snapshot.relations {
        let Some((index, _)) = r.key else { continue };
        let key = key_columns(r);
        let column = |number: &i64| {
            let column = usize::try_from(number - 1).ok().and_then(|n| r.relation.columns.get(n));
            column.map(|column| pg_type_of(column))
        };
        let found: Vec<_> = key.iter().filter_map(column).collect();
        let collations: Vec<i64> = found.iter().map(|(t, _)| i64::from(t.collation)).collect();
        let classes: Vec<i64> = found.iter().map(|(t, _)| operator_class(t)).collect();
        let count = Cell::Int(key.len() as i64);
        rows.push(&[
            index.into(),
            r.oid.into(),
            count,
            count,
            true.into(),
            true.into(),
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
        ],
    )?;
    for r in &snapshot.relations {
        let Some((index, constraint)) = r.key else { continue };
        rows.push(&[
            constraint.into(),
            key_name(r).as_str().into(),
            r.schema_oid.into(),
            "p".into(),
            true.into(),
            r.oid.into(),
            index.into(),
            " ".into(),
            " ".into(),
            " ".into(),
            true.into(),
            true.into(),
            Cell::Ints(&key_columns(r)),
        ]);
    }
    rows.finish()
}

pub(super) fn index_definitions(
    definition: &'static Definition,
    snapshot: &Snapshot,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for r in snapshot.relations.iter().filter(|r| r.key.is_some()) {
        let (name, text) = (key_name(r), definitions_of::index(r));
        rows.push(&[
            r.relation.schema.as_str().into(),
            r.relation.name.as_str().into(),
            name.as_str().into(),
            Cell::Null,
            text.as_str().into(),
        ]);
    }
    rows.finish()
}
