//! The relations of `information_schema` that tell of parts: the elements of arrays, and the types of columns.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::Result;

use super::definition::{Definition, stored_rows};
use super::information_schema::{data_type, standard};
use super::rows::Rows;
use crate::query::postgres::snapshot::{Numbered, Snapshot};
use crate::query::postgres::types::{self, pg_type_of};

const SYSTEM: &str = "pg_catalog";
/// What both tables and views are called where they have columns.
const TABLE: &str = "TABLE";

/// The columns of the relations that the standard knows of, with their numbers.
fn columns(snapshot: &Snapshot) -> impl Iterator<Item = (&Numbered, &FieldRef, i64)> {
    standard(snapshot).flat_map(|r| {
        r.relation.columns.iter().zip(1_i64..).map(move |(column, place)| (r, column, place))
    })
}

/// Builds `element_types`: one row for each column that is an array.
pub(super) fn element_types(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let named = [
        "object_catalog",
        "object_schema",
        "object_name",
        "object_type",
        "collection_type_identifier",
        "data_type",
        "udt_catalog",
        "udt_schema",
        "udt_name",
        "dtd_identifier",
    ];
    let mut rows = Rows::new(definition, &named)?;
    for (r, column, place) in columns(snapshot) {
        let (t, _) = pg_type_of(column);
        let Some(element) = types::by_oid(t.element).filter(|_| t.len == -1) else { continue };
        let place = place.to_string();
        rows.push(&[
            database.into(),
            r.relation.schema.as_str().into(),
            r.relation.name.as_str().into(),
            TABLE.into(),
            place.as_str().into(),
            data_type(element).into(),
            database.into(),
            SYSTEM.into(),
            element.name.as_str().into(),
            format!("a{place}").as_str().into(),
        ]);
    }
    rows.finish()
}

/// Builds `data_type_privileges`: the columns whose types the role may know.
pub(super) fn data_type_privileges(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for (r, _, place) in columns(snapshot) {
        rows.push(&[
            database.into(),
            r.relation.schema.as_str().into(),
            r.relation.name.as_str().into(),
            TABLE.into(),
            place.to_string().as_str().into(),
        ]);
    }
    rows.finish()
}

/// Builds `column_udt_usage`.
pub(super) fn column_udt_usage(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for (r, column, _) in columns(snapshot) {
        rows.push(&[
            database.into(),
            SYSTEM.into(),
            pg_type_of(column).0.name.as_str().into(),
            database.into(),
            r.relation.schema.as_str().into(),
            r.relation.name.as_str().into(),
            column.name().as_str().into(),
        ]);
    }
    rows.finish()
}

/// Builds `collations`: none of them pads what it compares.
pub(super) fn collations(definition: &'static Definition, database: &str) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for known in stored_rows("pg_collation") {
        rows.push(&[database.into(), SYSTEM.into(), known[1].into(), "NO PAD".into()]);
    }
    rows.finish()
}
