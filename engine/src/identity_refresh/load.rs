//! Reading the graph's tables back into memory.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::common::ScalarValue;

use crate::catalog::Published;
use crate::consent::ConsentBook;
use crate::error::{Error, Result};
use crate::lake::{Lake, TableSnapshot};
use crate::query::access::{NO_SUBJECT, People};
use crate::tables;

use super::*;

/// Reads who is whose.
pub async fn load_people(lake: &Lake, published: &Published) -> Result<People> {
    let Some(table) = published.table(tables::PEOPLE.path) else { return Ok(People::default()) };
    let (mut profile_ids, mut anchors) = (vec![], vec![]);
    for batch in
        sorted_rows(lake, tables::PEOPLE.path, &table, &["_subject", "anchor", "profile_id"])
            .await?
    {
        let [subjects, of_anchor, of_profile] =
            [0, 1, 2].map(|at| batch.column(at).as_primitive::<Int64Type>().clone());
        for row in 0..batch.num_rows() {
            if subjects.value(row) != anchors.len() as i64 {
                return Err(gap(anchors.len()));
            }
            anchors.push(if of_anchor.is_null(row) {
                NO_SUBJECT
            } else {
                of_anchor.value(row) as u32
            });
            profile_ids.push(if of_profile.is_null(row) { 0 } else { of_profile.value(row) });
        }
    }
    let people = People::new(published.state.sequence, profile_ids, anchors);
    Ok(match households::load(lake, published).await? {
        Some(found) => {
            let ids = ProfileIds::of_households(published.state.profile_key()?);
            people.with_households(Arc::new(found), ids)
        }
        None => people,
    })
}

/// Reads a bucketed table in the order of subjects.
async fn sorted_rows(
    lake: &Lake,
    path: &str,
    table: &TableSnapshot,
    columns: &[&str],
) -> Result<Vec<RecordBatch>> {
    let schema = crate::table_read::project(&table.schema, columns)?;
    let mut batches = Vec::new();
    for file in &table.files_in_order() {
        batches.extend(crate::table_read::read_file(lake, path, file, &schema).await?);
    }
    Ok(batches)
}

/// Reads whose the identifiers are into `book`.
pub async fn load_identifiers(
    lake: &Lake,
    published: &Published,
    book: &mut ConsentBook,
) -> Result<()> {
    let Some(table) = published.table(tables::PROFILE_IDENTIFIERS.path) else { return Ok(()) };
    let columns = ["_subject", "kind", "value", "status"];
    for batch in
        crate::table_read::read_table(lake, tables::PROFILE_IDENTIFIERS.path, &table, &columns)
            .await?
    {
        let anchors = batch.column(0).as_primitive::<Int64Type>();
        let [kinds, values, classes] = [
            tables::texts(batch.column(1))?,
            tables::texts(batch.column(2))?,
            tables::texts(batch.column(3))?,
        ];
        for row in 0..batch.num_rows() {
            book.hold(
                anchors.value(row) as u32,
                kinds.value(row),
                values.value(row),
                ![ValueClass::Nobody.word(), EXPIRED].contains(&classes.value(row)),
            );
        }
    }
    Ok(())
}

pub(super) fn gap(subject: usize) -> Error {
    Error::Corrupt {
        message: format!("subject {subject} is missing in table \"{}\"", tables::SUBJECTS.path),
        source: None,
    }
}

/// The rows of subjects' identifiers.
pub(super) struct IdentifierRows {
    pub(super) subjects: arrow::array::Int64Array,
    pub(super) kinds: arrow::array::StringArray,
    pub(super) values: arrow::array::StringArray,
}

impl IdentifierRows {
    pub(super) fn new(batch: &RecordBatch) -> Result<Self> {
        Ok(Self {
            subjects: batch.column(0).as_primitive::<Int64Type>().clone(),
            kinds: tables::texts(batch.column(1))?,
            values: tables::texts(batch.column(2))?,
        })
    }
}

/// Reads the rows of a subjects' table, in their order, from the files that hold subjects from `from` on.
pub(super) async fn rows_from(
    lake: &Lake,
    published: &Published,
    layout: &SystemLayout,
    from: i64,
) -> Result<Vec<RecordBatch>> {
    let Some(table) = published.table(layout.path) else { return Ok(vec![]) };
    let schema = layout.schema();
    let mut batches = Vec::new();
    for file in &table.files_in_order() {
        let newest = file.bounds.first().and_then(|bounds| bounds.max.clone());
        if matches!(newest, Some(ScalarValue::Int64(Some(newest))) if newest < from) {
            continue;
        }
        batches.extend(crate::table_read::read_file(lake, layout.path, file, &schema).await?);
    }
    Ok(batches)
}
