//! Derived tables that are updated: sorted by subject, in files that each cover one range of subjects.
//!
//! A bucket is [`BUCKET_SUBJECTS`] consecutive subjects. A refresh rewrites the buckets whose rows it touched and no others,
//! in one commit; a bucket whose rows turn out to be the same is left alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;

use crate::error::{Error, Result};
use crate::lake::{Commit, FileEntry, Lake, Table, TableSnapshot};
use crate::query::governed::SUBJECT;
use crate::table_read::{adapt, read_file};

/// Subjects of one bucket.
pub(crate) const BUCKET_SUBJECTS: u32 = 1 << 16;

/// Returns the bucket of `subject`.
pub(crate) fn bucket_of(subject: u32) -> u32 {
    subject / BUCKET_SUBJECTS
}

/// Returns the bucket that a file covers.
fn bucket_of_file(file: &FileEntry) -> Result<u32> {
    match file.bounds.first().and_then(|bounds| bounds.min.clone()) {
        Some(ScalarValue::Int64(Some(subject))) => {
            Ok(bucket_of(u32::try_from(subject).unwrap_or(u32::MAX)))
        }
        _ => Err(Error::Corrupt {
            message: format!(
                "file \"{}\" of a derived table does not say which subjects it covers",
                file.path
            ),
            source: None,
        }),
    }
}

/// Splits rows that are sorted by subject into buckets.
pub(crate) fn split(rows: &RecordBatch) -> Result<BTreeMap<u32, RecordBatch>> {
    let subjects = subjects_of(rows)?;
    let mut buckets = BTreeMap::new();
    let mut start = 0;
    while start < rows.num_rows() {
        let bucket = bucket_of(subjects.value(start) as u32);
        let end = subjects.values().partition_point(|subject| bucket_of(*subject as u32) <= bucket);
        buckets.insert(bucket, rows.slice(start, end - start));
        start = end;
    }
    Ok(buckets)
}

fn subjects_of(rows: &RecordBatch) -> Result<arrow::array::Int64Array> {
    let column =
        rows.column_by_name(SUBJECT).and_then(|column| column.as_primitive_opt::<Int64Type>());
    column.cloned().ok_or_else(|| Error::Corrupt {
        message: format!("a derived table has no column \"{SUBJECT}\""),
        source: None,
    })
}

/// Replaces the rows of `dirty` buckets by those of `rows`, which are sorted by subject and lie in dirty buckets only, and
/// returns the new version.
pub(crate) async fn replace_buckets(
    lake: &Lake,
    table: &Table,
    dirty: &[u32],
    rows: &RecordBatch,
) -> Result<Arc<TableSnapshot>> {
    let before = table.snapshot();
    let mut new = split(rows)?;
    let mut had: BTreeMap<u32, Vec<FileEntry>> = BTreeMap::new();
    for file in before.files.iter() {
        let bucket = bucket_of_file(file)?;
        if dirty.contains(&bucket) {
            had.entry(bucket).or_default().push(file.clone());
        }
    }
    let (mut adds, mut removes) = (vec![], vec![]);
    for bucket in dirty {
        let (old, new) = (had.remove(bucket).unwrap_or_default(), new.remove(bucket));
        if let Some(new) = &new {
            if !old.is_empty() && same(lake, table, &old, new, &before.schema).await? {
                continue;
            }
            adds.extend(crate::ingest::write(table, new.clone()).await?);
        }
        removes.extend(old);
    }
    if adds.is_empty() && removes.is_empty() {
        return Ok(before);
    }
    table.commit(Commit::rewrite(before, adds, removes)).await
}

async fn same(
    lake: &Lake,
    table: &Table,
    files: &[FileEntry],
    rows: &RecordBatch,
    schema: &SchemaRef,
) -> Result<bool> {
    if files.iter().map(|file| file.rows).sum::<u64>() != rows.num_rows() as u64 {
        return Ok(false);
    }
    let mut batches = Vec::new();
    for file in files {
        batches.extend(read_file(lake, table.path(), file, schema).await?);
    }
    let stored = concat_batches(schema, &batches).map_err(DataFusionError::from)?;
    Ok(stored.columns() == adapt(rows, schema)?.columns())
}

/// Reads the rows of `dirty` buckets whose subject passes `keep`.
pub(crate) async fn read_buckets(
    lake: &Lake,
    table: &Table,
    dirty: &[u32],
    keep: impl Fn(u32) -> bool,
) -> Result<RecordBatch> {
    let snapshot = table.snapshot();
    let mut batches = Vec::new();
    for file in snapshot.files.iter() {
        if !dirty.contains(&bucket_of_file(file)?) {
            continue;
        }
        for batch in read_file(lake, table.path(), file, &snapshot.schema).await? {
            let subjects = subjects_of(&batch)?;
            let kept = (0..batch.num_rows() as u32)
                .filter(|row| keep(subjects.value(*row as usize) as u32));
            let kept = UInt32Array::from_iter_values(kept);
            batches.push(take_record_batch(&batch, &kept).map_err(DataFusionError::from)?);
        }
    }
    Ok(concat_batches(&snapshot.schema, &batches).map_err(DataFusionError::from)?)
}

/// Sorts rows by subject; rows of one subject keep their order.
pub(crate) fn sort_by_subject(rows: &RecordBatch) -> Result<RecordBatch> {
    let subjects = subjects_of(rows)?;
    let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
    order.sort_by_key(|row| subjects.value(*row as usize));
    Ok(take_record_batch(rows, &UInt32Array::from(order)).map_err(DataFusionError::from)?)
}
