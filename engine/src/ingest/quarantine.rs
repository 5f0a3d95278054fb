//! Rows that cannot be taken are set aside, chunk by chunk, and become visible with the rows that can.
//!
//! A file that is read again gives its bad rows again: each is set aside once. They are told apart by what they are, not by
//! where they stand, since a line may have moved; of equal ones in a file, the n-th is the n-th.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use connectors::{Cursor, Rejection};

use super::{Refresh, RowHasher, append, write};
use crate::catalog::{Change, OnError, SourceState};
use crate::error::Result;
use crate::lake::{FileEntry, Table};
use crate::tables;

/// What one refresh set aside.
#[derive(Default)]
pub(super) struct Quarantine {
    /// The table, once there is something for it, and the files that are written for it.
    written: Option<(Table, Vec<FileEntry>)>,
    /// Whether the source is read from its beginning: then all of its files may have been read before.
    all_again: bool,
    /// The files that are read again.
    again: HashSet<String>,
    /// How often each bad row was set aside before and did not come up yet; known once it is asked for.
    before: Option<HashMap<u128, u32>>,
}

impl Quarantine {
    /// Begins a refresh of a source that was read as far as `state` says.
    pub(super) fn of(state: &SourceState) -> Self {
        Self { all_again: state.cursor == Cursor::default(), ..Self::default() }
    }

    /// Notes that a file is read again.
    pub(super) fn read_again(&mut self, file: &str) {
        if !self.again.contains(file) {
            self.again.insert(file.to_owned());
        }
    }

    fn is_again(&self, file: &str) -> bool {
        self.all_again || self.again.contains(file)
    }
}

impl Refresh<'_> {
    /// Writes what was rejected since the last call, unless it was set aside before.
    pub(super) async fn set_aside(&mut self) -> Result<()> {
        let mut rejected = std::mem::take(&mut self.rejected);
        let again = rejected.iter().any(|rejection| self.quarantine.is_again(&rejection.file));
        if again && self.quarantine.before.is_none() {
            self.quarantine.before = Some(self.set_aside_before().await?);
        }
        let (hasher, Quarantine { before, again, all_again, .. }) =
            (self.memory.hasher, &mut self.quarantine);
        if let Some(before) = before {
            rejected.retain(|rejection| {
                if !*all_again && !again.contains(&rejection.file) {
                    return true;
                }
                let row = row_hash(&hasher, &rejection.file, rejection.reason, &rejection.raw);
                match before.get_mut(&row).filter(|count| **count > 0) {
                    Some(count) => {
                        *count -= 1;
                        false
                    }
                    None => true,
                }
            });
        }
        self.report.rejected += rejected.len() as u64;
        if rejected.is_empty() || self.source.on_error == OnError::Skip {
            return Ok(());
        }
        let rows = quarantine_rows(self.name, &rejected, self.now)?;
        let (table, files) = match &mut self.quarantine.written {
            Some(written) => written,
            none => {
                let layout = tables::QUARANTINE;
                let table =
                    self.intake.catalog.table(layout.path, || layout.table_schema()).await?;
                none.insert((table, vec![]))
            }
        };
        files.extend(write(table, rows).await?);
        Ok(())
    }

    /// Counts the bad rows of the source that are set aside already.
    async fn set_aside_before(&self) -> Result<HashMap<u128, u32>> {
        let mut before = HashMap::new();
        let published = self.intake.catalog.current();
        let Some(snapshot) = published.table(tables::QUARANTINE.path) else { return Ok(before) };
        let batches = crate::table_read::read_table(
            self.intake.catalog.lake(),
            tables::QUARANTINE.path,
            &snapshot,
            &["source", "file", "reason", "raw"],
        );
        for batch in batches.await? {
            let texts = batch.columns().iter().map(tables::texts).collect::<Result<Vec<_>>>()?;
            for row in (0..batch.num_rows()).filter(|row| texts[0].value(*row) == self.name) {
                let [file, reason, raw] = [1, 2, 3].map(|column: usize| texts[column].value(row));
                *before.entry(row_hash(&self.memory.hasher, file, reason, raw)).or_default() += 1;
            }
        }
        Ok(before)
    }

    /// Adds what was set aside to a publication.
    pub(super) async fn publish_quarantine(&mut self, change: &mut Change) -> Result<()> {
        if let Some((table, files)) = self.quarantine.written.take() {
            let snapshot = append(&table, files).await?;
            change.table(&table, snapshot);
        }
        Ok(())
    }
}

fn row_hash(hasher: &RowHasher, file: &str, reason: &str, raw: &str) -> u128 {
    hasher.text(file) ^ hasher.text(reason).rotate_left(3) ^ hasher.text(raw).rotate_left(7)
}

fn quarantine_rows(source: &str, rejections: &[Rejection], now: i64) -> Result<RecordBatch> {
    let texts = |value: &dyn Fn(&Rejection) -> String| {
        Arc::new(rejections.iter().map(|r| Some(value(r))).collect::<StringArray>()) as ArrayRef
    };
    let columns: Vec<ArrayRef> = vec![
        texts(&|_| source.to_owned()),
        texts(&|r| r.file.clone()),
        Arc::new(rejections.iter().map(|r| Some(r.position as i64)).collect::<Int64Array>()),
        texts(&|r| r.reason.to_owned()),
        texts(&|r| r.hint.clone()),
        texts(&|r| r.raw.clone()),
        Arc::new(TimestampMicrosecondArray::from(vec![now; rejections.len()]).with_timezone("UTC")),
    ];
    tables::QUARANTINE.batch(columns)
}
