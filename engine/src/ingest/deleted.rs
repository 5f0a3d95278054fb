//! Rows that say that their record is gone.
//!
//! `DELETED WHEN` tells them from others. Such a row is a version of its record like any: a newer one takes its place, an older
//! one that comes late does not, and it has its subject, so that it is known whose it was. Where it is the newest, the record
//! has no current row, and the row itself lies in the history beside those that it ended.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{and, prep_null_mask_filter};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use datafusion::error::DataFusionError;

use super::chunk::{Chunk, Outcome};
use super::known::{Known, KnownRecords, Order, Version};
use super::rows::not_loaded;
use super::{INGESTED_AT, Refresh, hash_key};
use crate::catalog::Shape;
use crate::error::{Error, Result};
use crate::lake;
use crate::query::planner::Planner;

/// Which rows of a batch say that their record is gone: none of a source without `DELETED WHEN`.
pub(super) struct Deletions(Option<BooleanArray>);

impl Deletions {
    /// Tells whether a row says so.
    pub(super) fn is_one(&self, row: usize) -> bool {
        self.0.as_ref().is_some_and(|deleted| deleted.value(row))
    }
}

/// By key: the newest version that says that its record is gone, and when it was taken.
#[derive(Default)]
pub(super) struct NewestDeleted(HashMap<u128, (Version, i64)>);

impl NewestDeleted {
    /// Notes the rows of a batch of the history that say so, given the key and the content of each.
    pub(super) fn note(
        &mut self,
        batch: &RecordBatch,
        deletions: &Deletions,
        (keys, contents): (&[u128], &[u128]),
        orders: impl FnOnce() -> Result<Vec<Order>>,
    ) -> Result<()> {
        if deletions.0.as_ref().is_none_or(|deleted| deleted.true_count() == 0) {
            return Ok(());
        }
        let (orders, ingested) = (orders()?, ingested_at(batch)?);
        for row in (0..batch.num_rows()).filter(|row| deletions.is_one(*row)) {
            let (order, content, file) = (orders[row], contents[row], Version::DELETED);
            let (version, at) = (Version { order, content, file }, ingested.value(row));
            let newest = self.0.entry(keys[row]).or_insert((version, at));
            if (order, at) >= (newest.0.order, newest.1) {
                *newest = (version, at);
            }
        }
        Ok(())
    }

    /// Says of those that no current row stands against that they are what is known of their records.
    pub(super) fn load(self, known: &mut KnownRecords) {
        self.0.into_iter().for_each(|(key, (version, _))| known.load_deleted(key, version));
    }
}

impl Refresh<'_> {
    /// Finds out which of these rows say that their record is gone.
    ///
    /// # Errors
    /// [`Error::Invalid`] if what `DELETED WHEN` says of a row is not true or false.
    pub(super) async fn deletions(&self, rows: &RecordBatch) -> Result<Deletions> {
        deletions_of(self.intake.planner, self.source.deleted_when.as_ref(), rows).await
    }

    /// Finds out which rows of `chunk` say that their record is gone and lack the version that `VERSION BY` asks for. A row
    /// without one is older than any other, so that nobody would ever hear of the deletion.
    pub(super) async fn undated_deletions(
        &self,
        chunk: &Chunk,
        orders: &[Order],
    ) -> Result<Deletions> {
        let is_versioned = matches!(&self.source.shape, Shape::Records { version_by: Some(_), .. });
        if !is_versioned || !orders.contains(&Order::ABSENT) {
            return Ok(Deletions(None));
        }
        let Deletions(deleted) = self.deletions(&chunk.rows).await?;
        let undated: BooleanArray =
            orders.iter().map(|order| Some(*order == Order::ABSENT)).collect();
        let both = deleted.map(|deleted| and(&deleted, &undated).map_err(DataFusionError::from));
        Ok(Deletions(both.transpose()?))
    }

    /// Returns those of the rows of a chunk after which their record is gone, each with its key.
    pub(super) async fn gone(
        &self,
        rows: &RecordBatch,
        outcomes: &[Outcome],
    ) -> Result<HashMap<u32, u128>> {
        let (Shape::Records { key, .. }, Some(_)) = (&self.source.shape, &self.source.deleted_when)
        else {
            return Ok(HashMap::new());
        };
        let deletions = self.deletions(rows).await?;
        let keys = hash_key(&self.memory.hasher, rows, key)?;
        let is_gone = |row: &usize| outcomes[*row] == Outcome::Current && deletions.is_one(*row);
        let gone = (0..outcomes.len()).filter(is_gone);
        Ok(gone.map(|row| (row as u32, keys[row])).collect())
    }

    /// Says of the rows that were incoming that they are in the history, as far as they are such.
    pub(super) fn settle_gone(&mut self, gone: &HashMap<u32, u128>) {
        if gone.is_empty() {
            return;
        }
        if let Some((_, Known::Records(known))) = self.memory.known.get_mut(self.name) {
            // Those that are left if no row of the chunk is kept.
            known.settle(Version::DELETED);
            gone.values().for_each(|key| known.moved(*key, Version::DELETED));
        }
    }
}

/// Finds out which rows say that their record is gone, by this condition.
///
/// # Errors
/// [`Error::Invalid`] if what it says of a row is not true or false.
pub(super) async fn deletions_of(
    planner: &Planner,
    condition: Option<&String>,
    rows: &RecordBatch,
) -> Result<Deletions> {
    let Some(condition) = condition else { return Ok(Deletions(None)) };
    let logical = lake::logical_batch(rows, &lake::logical(&rows.schema()))?;
    // Planning takes much of a stack, and a refresh is deep already.
    let planned = Box::pin(planner.evaluate_as_is(&logical, std::slice::from_ref(condition)));
    let columns = planned.await?;
    let column = columns.first().ok_or_else(not_loaded)?;
    if *column.data_type() == DataType::Null {
        return Ok(Deletions(None));
    }
    let Some(deleted) = column.as_boolean_opt() else {
        return Err(Error::Invalid {
            message: format!("DELETED WHEN ({condition}) is not a condition"),
            hint: "Write a condition over the columns of one row, such as deleted_at IS NOT NULL."
                .into(),
        });
    };
    // What is unknown is not true.
    let deleted = match deleted.null_count() {
        0 => deleted.clone(),
        _ => prep_null_mask_filter(deleted),
    };
    Ok(Deletions(Some(deleted)))
}

/// Returns when each row of a table of records was taken.
pub(super) fn ingested_at(rows: &RecordBatch) -> Result<TimestampMicrosecondArray> {
    let column = rows.column_by_name(INGESTED_AT);
    let times = column.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    times.cloned().ok_or_else(not_loaded)
}
