//! Merging small files: many small commits become few large files with the rows in the table's order.
//!
//! Files are merged with files of their own size first, so that each row is rewritten a logarithmic number of times. The
//! merge is a commit of its own, which loses to every change that removed one of its inputs.

use std::sync::Arc;

use arrow::compute::SortOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;

use super::commit::Commit;
use super::file::FileEntry;
use super::object_store_url;
use super::scan::scan_files;
use super::table::{Table, TableSnapshot};
use super::writer::{FILE_ROWS_MAX, WriteOptions, write_stream};
use crate::{Error, Result};

/// A table with more small files than this is worth a merge.
const SMALL_FILES_MAX: usize = 64;
/// A file below this size is small.
const SMALL_FILE_BYTES: u64 = 32 << 20;
/// How many files are merged at once.
const MERGED_FILES_MAX: usize = 128;
/// How many rows are merged at once.
const MERGED_ROWS_MAX: u64 = 4 << 20;
/// How many rows of each file are in memory at a time.
const BATCH_ROWS: usize = 4_096;
/// How much memory a merge may take.
const MEMORY_BYTES_MAX: usize = 512 << 20;

impl Table {
    /// Merges small files if there are too many; the caller holds the turn. Returns the newest snapshot.
    pub(super) async fn compact_in_turn(&self) -> Result<Arc<TableSnapshot>> {
        let snapshot = self.snapshot();
        let chosen = choose(&snapshot.files);
        if chosen.is_empty() {
            return Ok(snapshot);
        }
        let written = self.merge(&snapshot, &chosen).await?;
        self.commit(Commit::compaction(snapshot, written, chosen)).await
    }

    /// Writes the rows of some files into new ones, in the table's order.
    async fn merge(&self, snapshot: &TableSnapshot, files: &[FileEntry]) -> Result<Vec<FileEntry>> {
        let runtime =
            RuntimeEnvBuilder::new().with_memory_limit(MEMORY_BYTES_MAX, 1.0).build_arc()?;
        runtime.register_object_store(object_store_url().as_ref(), self.0.store.clone());
        let session = SessionContext::new_with_config_rt(
            SessionConfig::new().with_batch_size(BATCH_ROWS),
            runtime,
        );
        let scan =
            scan_files(&session.state(), self, &snapshot.schema, files.to_vec(), files.len())?;
        let merged: Arc<dyn ExecutionPlan> = match ordering(snapshot)? {
            Some(ordering) => Arc::new(SortPreservingMergeExec::new(ordering, scan)),
            None => Arc::new(CoalescePartitionsExec::new(scan)),
        };
        let rows = execute_stream(merged, session.task_ctx())?.map_err(Error::from);
        let options = WriteOptions {
            schema: Some(snapshot.table_schema.as_ref().clone()),
            file_rows_max: None,
        };
        write_stream(self, rows, &options).await
    }
}

/// Chooses the files to merge: none, unless there are too many small ones.
fn choose(files: &[FileEntry]) -> Vec<FileEntry> {
    let is_small =
        |file: &&FileEntry| file.size < SMALL_FILE_BYTES && file.rows < FILE_ROWS_MAX as u64 / 2;
    let mut small: Vec<&FileEntry> = files.iter().filter(is_small).collect();
    if small.len() <= SMALL_FILES_MAX {
        return Vec::new();
    }
    small.sort_by_key(|file| file.size);
    let (mut bytes, mut rows) = (0, 0);
    let mut chosen: Vec<FileEntry> = Vec::new();
    for file in small {
        let full = chosen.len() == MERGED_FILES_MAX || rows + file.rows > MERGED_ROWS_MAX;
        // A file that is much larger than all smaller ones together begins a group of its own: they wait for more of theirs.
        if full || (bytes > 0 && file.size > 2 * bytes) {
            if chosen.len() >= 2 {
                break;
            }
            (bytes, rows) = (0, 0);
            chosen.clear();
        }
        bytes += file.size;
        rows += file.rows;
        chosen.push(file.clone());
    }
    if chosen.len() < 2 { Vec::new() } else { chosen }
}

/// Returns the order of the table's rows: ascending, nulls first.
fn ordering(snapshot: &TableSnapshot) -> Result<Option<LexOrdering>> {
    let sorted = |name: &String| {
        Ok(PhysicalSortExpr::new(col(name, &snapshot.schema)?, SortOptions::default()))
    };
    let columns: Result<Vec<_>> = snapshot.table_schema.sort.iter().map(sorted).collect();
    Ok(LexOrdering::new(columns?))
}
