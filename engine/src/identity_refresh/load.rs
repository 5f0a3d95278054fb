//! Reading the graph's tables back into memory.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::common::ScalarValue;

use crate::catalog::Published;
use crate::consent::{ConsentBook, Holding};
use crate::error::{Error, Result};
use crate::identity::{PersonFields, is_ahead};
use crate::ingest::PERSON_FIELDS;
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
    let holding = |status: &str| match [ValueClass::Nobody.word(), EXPIRED].contains(&status) {
        true => Holding::Nobodys,
        false => Holding::Identifies,
    };
    hold_rows(lake, published, &tables::PROFILE_IDENTIFIERS, book, holding).await?;
    hold_rows(lake, published, &tables::FORMER_IDENTIFIERS, book, |_| Holding::Former).await
}

/// Notes in `book` the identifiers that are in a table; `holding` says by the status of each what it is to the profile.
async fn hold_rows(
    lake: &Lake,
    published: &Published,
    layout: &SystemLayout,
    book: &mut ConsentBook,
    holding: impl Fn(&str) -> Holding,
) -> Result<()> {
    let Some(table) = published.table(layout.path) else { return Ok(()) };
    let columns = ["_subject", "kind", "value", "status"];
    for batch in crate::table_read::read_table(lake, layout.path, &table, &columns).await? {
        let anchors = batch.column(0).as_primitive::<Int64Type>();
        let [kinds, values, statuses] = [
            tables::texts(batch.column(1))?,
            tables::texts(batch.column(2))?,
            tables::texts(batch.column(3))?,
        ];
        for row in 0..batch.num_rows() {
            book.hold(
                anchors.value(row) as u32,
                kinds.value(row),
                values.value(row),
                holding(statuses.value(row)),
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

/// Returns what a row says about its person that was taken at `at`, by the places of [`PERSON_FIELDS`].
pub(super) fn person_of(field: &dyn Fn(usize) -> Option<String>, at: i64) -> PersonFields {
    debug_assert_eq!(PERSON_FIELDS.len(), 8);
    let (birth_date, country) = (field(3), field(7));
    let is_ahead = is_ahead(birth_date.as_deref(), country.as_deref(), at);
    PersonFields {
        name: field(0),
        first_name: field(1),
        last_name: field(2),
        birth_date: birth_date.filter(|_| !is_ahead),
        street: field(4),
        postal_code: field(5),
        city: field(6),
        country,
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
