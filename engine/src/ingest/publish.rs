//! The end of a refresh: everything that it took becomes visible in one publication.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use connectors::Rejection;

use crate::catalog::{Change, OnError, Shape};
use crate::error::Result;
use crate::lake::{Commit, FileEntry};
use crate::tables;
use known::Known;
use subjects::Subjects;

use super::*;

impl Refresh<'_> {
    /// Rewrites the files that hold replaced rows, and moves those rows to the history.
    async fn rewrite_stale(&mut self) -> Result<HashSet<u32>> {
        let Shape::Records { key, .. } = &self.source.shape else { return Ok(HashSet::new()) };
        let key = key.clone();
        let stale = std::mem::take(&mut self.stale);
        let (lake, hasher, schema) = (
            self.intake.catalog.lake(),
            self.memory.hasher,
            self.current.snapshot().schema.clone(),
        );
        let sort = sort_columns(&self.source);
        let mut gone = HashSet::new();
        for (number, contents) in stale {
            let batches = crate::table_read::read_file(
                lake,
                self.current.path(),
                &self.files[number as usize],
                &schema,
            )
            .await?;
            let rows = arrow::compute::concat_batches(&schema, &batches)
                .map_err(datafusion::error::DataFusionError::from)?;
            let (keys, hashes) = (hash_key(&hasher, &rows, &key)?, hash_content(&hasher, &rows)?);
            let is_stale =
                |row: usize| contents.contains(&(keys[row] ^ hashes[row].rotate_left(17)));
            let (replaced, kept): (Vec<u32>, Vec<u32>) =
                (0..rows.num_rows() as u32).partition(|row| is_stale(*row as usize));
            gone.insert(number);
            if let (Some(superseded), false) = (&self.superseded, replaced.is_empty()) {
                self.history
                    .extend(write(superseded, chunk::sorted(&rows, &replaced, &sort)?).await?);
            }
            if !kept.is_empty() {
                let rewritten = self.files.len() as u32;
                self.files.extend(write(&self.current, chunk::sorted(&rows, &kept, &sort)?).await?);
                if let Some((_, Known::Records(known))) = self.memory.known.get_mut(self.name) {
                    kept.iter().for_each(|row| known.moved(keys[*row as usize], rewritten));
                }
            }
        }
        Ok(gone)
    }

    /// Makes everything visible in one publication.
    pub(super) async fn finish(mut self) -> Result<SourceReport> {
        let gone = self.rewrite_stale().await?;
        let had = self.before.files.len();
        let mut change = Change::default();
        let removes: Vec<FileEntry> = gone
            .iter()
            .filter(|number| (**number as usize) < had)
            .map(|number| self.files[*number as usize].clone())
            .collect();
        let adds: Vec<FileEntry> = self
            .files
            .iter()
            .enumerate()
            .skip(had)
            .filter(|(number, _)| !gone.contains(&(*number as u32)))
            .map(|(_, file)| file.clone())
            .collect();
        // Numbers of files change with the commit; what is remembered of keyed rows is numbered anew from the table.
        let renumber: HashMap<Arc<str>, u32> = self
            .files
            .iter()
            .enumerate()
            .map(|(number, file)| (Arc::clone(&file.path), number as u32))
            .collect();
        let snapshot = if adds.is_empty() && removes.is_empty() {
            self.current.snapshot()
        } else if removes.is_empty() {
            self.current.commit(Commit::append(adds)).await?
        } else {
            self.current.commit(Commit::rewrite(Arc::clone(&self.before), adds, removes)).await?
        };
        if let Some((version, _)) = self.memory.known.get_mut(self.name) {
            *version = snapshot.version;
        }
        if let Some((_, Known::Records(known))) = self.memory.known.get_mut(self.name) {
            let numbers: HashMap<u32, u32> = snapshot
                .files
                .iter()
                .enumerate()
                .filter_map(|(number, file)| Some((*renumber.get(&file.path)?, number as u32)))
                .collect();
            known.renumber(&numbers);
        }
        change.table(&self.current, snapshot);
        if let Some(superseded) = &self.superseded {
            let snapshot = append(superseded, std::mem::take(&mut self.history)).await?;
            change.table(superseded, snapshot);
        }
        self.publish_subjects(&mut change).await?;
        self.publish_quarantine(&mut change).await?;
        let reached = std::mem::take(&mut self.reached);
        self.state.positions.extend(reached);
        self.state.refreshed_at = Some(self.now);
        self.state.rejected += self.report.rejected;
        self.state.duplicates += self.report.duplicates;
        let (name, state) = (self.name.to_owned(), self.state);
        change.edit(move |catalog| {
            catalog.sources.insert(name, state);
            Ok(())
        });
        self.intake.run.publish(change).await?;
        Ok(self.report)
    }

    async fn publish_subjects(&mut self, change: &mut Change) -> Result<()> {
        let new = std::mem::take(&mut self.new_subjects);
        if new.is_empty() {
            return Ok(());
        }
        let (subjects, identifiers) = new.finish(self.now)?;
        for (layout, rows) in
            [(tables::SUBJECTS, subjects), (tables::SUBJECT_IDENTIFIERS, identifiers)]
        {
            let table = self.intake.catalog.table(layout.path, || layout.table_schema()).await?;
            let written = write(&table, rows).await?;
            let snapshot = append(&table, written).await?;
            change.table(&table, snapshot);
        }
        let next = u64::from(self.memory.subjects.as_ref().map_or(0, Subjects::next));
        change.edit(move |catalog| {
            catalog.next_subject = next;
            Ok(())
        });
        Ok(())
    }

    async fn publish_quarantine(&mut self, change: &mut Change) -> Result<()> {
        let mut rejections = std::mem::take(&mut self.quarantine);
        if rejections.is_empty() {
            return Ok(());
        }
        let table = self
            .intake
            .catalog
            .table(tables::QUARANTINE.path, || tables::QUARANTINE.table_schema())
            .await?;
        let hasher = self.memory.hasher;
        let key = |file: &str, reason: &str, raw: &str| {
            hasher.text(file) ^ hasher.text(reason).rotate_left(3) ^ hasher.text(raw).rotate_left(7)
        };
        if !self.memory.quarantined.contains_key(self.name) {
            let mut seen = HashSet::new();
            let columns = ["source", "file", "reason", "raw"];
            for batch in crate::table_read::read_table(
                self.intake.catalog.lake(),
                table.path(),
                &table.snapshot(),
                &columns,
            )
            .await?
            {
                let texts =
                    batch.columns().iter().map(tables::texts).collect::<Result<Vec<_>>>()?;
                let own = (0..batch.num_rows()).filter(|row| texts[0].value(*row) == self.name);
                seen.extend(
                    own.map(|row| {
                        key(texts[1].value(row), texts[2].value(row), texts[3].value(row))
                    }),
                );
            }
            self.memory.quarantined.insert(self.name.to_owned(), seen);
        }
        if let Some(seen) = self.memory.quarantined.get_mut(self.name) {
            // Of equal bad rows in one file each is kept, but none of a file that is read again.
            let before = seen.clone();
            rejections.retain(|rejection| {
                let key = key(&rejection.file, rejection.reason, &rejection.raw);
                seen.insert(key);
                !before.contains(&key)
            });
        }
        self.report.rejected += rejections.len() as u64;
        if rejections.is_empty() || self.source.on_error == OnError::Skip {
            return Ok(());
        }
        let rows = quarantine_rows(self.name, &rejections, self.now)?;
        let written = write(&table, rows).await?;
        let snapshot = append(&table, written).await?;
        change.table(&table, snapshot);
        Ok(())
    }
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
