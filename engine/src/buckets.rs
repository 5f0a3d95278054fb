//! Derived tables that are updated: sorted by subject, in files that each cover one range of subjects.
//!
//! A bucket is [`BUCKET_SUBJECTS`] consecutive subjects. A refresh rewrites the buckets whose rows it touched and no others,
//! in one commit; a bucket whose rows turn out to be the same is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::lake::{Commit, FileEntry, Lake, Table, TableSnapshot};
use crate::query::access::SubjectSet;
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
fn split(rows: &RecordBatch) -> Result<BTreeMap<u32, RecordBatch>> {
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

/// Which rows of the dirty buckets are replaced.
#[derive(Clone)]
pub(crate) enum Replaced {
    /// All of them.
    All,
    /// Those of these subjects.
    Of(Arc<SubjectSet>),
}

/// Puts `rows` in the place of the replaced rows of the `dirty` buckets and returns the new version. No other bucket may
/// have any of `rows`.
pub(crate) async fn update(
    lake: &Lake,
    table: &Table,
    dirty: &BTreeSet<u32>,
    replaced: Replaced,
    rows: &RecordBatch,
) -> Result<Arc<TableSnapshot>> {
    let before = table.snapshot();
    let mut new = split(&sort_by_subject(&adapt(rows, &before.schema)?)?)?;
    let mut had: BTreeMap<u32, Vec<FileEntry>> = BTreeMap::new();
    for file in before.files_in_order() {
        had.entry(bucket_of_file(&file)?).or_default().push(file);
    }
    let mut waiting = dirty.iter().map(|bucket| Bucket {
        lake: lake.clone(),
        table: table.clone(),
        schema: Arc::clone(&before.schema),
        files: had.remove(bucket).unwrap_or_default(),
        replaced: replaced.clone(),
        rows: new.remove(bucket),
    });
    // Decoding, comparing and encoding a bucket is work for one core: as many at once as there are cores.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut running = JoinSet::new();
    let (mut adds, mut removes) = (vec![], vec![]);
    loop {
        while running.len() < cores
            && let Some(bucket) = waiting.next()
        {
            running.spawn(bucket.rewrite());
        }
        let Some(outcome) = running.join_next().await else { break };
        let outcome = outcome.map_err(|error| DataFusionError::External(Box::new(error)))?;
        if let Some((add, remove)) = outcome? {
            adds.extend(add);
            removes.extend(remove);
        }
    }
    if adds.is_empty() && removes.is_empty() {
        return Ok(before);
    }
    table.commit(Commit::rewrite(before, adds, removes)).await
}

/// One bucket that is brought up to date.
struct Bucket {
    lake: Lake,
    table: Table,
    schema: SchemaRef,
    files: Vec<FileEntry>,
    replaced: Replaced,
    rows: Option<RecordBatch>,
}

impl Bucket {
    /// Writes the bucket anew; `None` if its rows are the same as before.
    async fn rewrite(self) -> Result<Option<(Vec<FileEntry>, Vec<FileEntry>)>> {
        let rows = match &self.rows {
            Some(rows) => rows.clone(),
            None => RecordBatch::new_empty(Arc::clone(&self.schema)),
        };
        let rows = match &self.replaced {
            Replaced::All => {
                let stored: u64 = self.files.iter().map(|file| file.rows).sum();
                if stored == rows.num_rows() as u64
                    && self.read().await?.columns() == rows.columns()
                {
                    return Ok(None);
                }
                rows
            }
            Replaced::Of(subjects) => {
                let stored = self.read().await?;
                let merged = merge(&stored, subjects, &rows)?;
                if stored.columns() == merged.columns() {
                    return Ok(None);
                }
                merged
            }
        };
        let adds = match rows.num_rows() {
            0 => vec![],
            _ => crate::ingest::write(&self.table, rows).await?,
        };
        Ok(Some((adds, self.files)))
    }

    async fn read(&self) -> Result<RecordBatch> {
        let mut batches = Vec::new();
        for file in &self.files {
            batches.extend(read_file(&self.lake, self.table.path(), file, &self.schema).await?);
        }
        Ok(concat_batches(&self.schema, &batches).map_err(DataFusionError::from)?)
    }
}

/// Returns the stored rows of all but these subjects together with the new `rows`, sorted by subject.
fn merge(stored: &RecordBatch, subjects: &SubjectSet, rows: &RecordBatch) -> Result<RecordBatch> {
    let of = subjects_of(stored)?;
    let others: BooleanArray =
        of.values().iter().map(|subject| Some(!subjects.contains(*subject as u32))).collect();
    let others = filter_record_batch(stored, &others).map_err(DataFusionError::from)?;
    let both = concat_batches(&stored.schema(), [&others, rows]).map_err(DataFusionError::from)?;
    sort_by_subject(&both)
}

/// Sorts rows by subject; rows of one subject keep their order.
fn sort_by_subject(rows: &RecordBatch) -> Result<RecordBatch> {
    let subjects = subjects_of(rows)?;
    if subjects.values().is_sorted() {
        return Ok(rows.clone());
    }
    let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
    order.sort_by_key(|row| subjects.value(*row as usize));
    Ok(take_record_batch(rows, &UInt32Array::from(order)).map_err(DataFusionError::from)?)
}
