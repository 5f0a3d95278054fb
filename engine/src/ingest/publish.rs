//! The end of a refresh: everything that it took becomes visible in one publication.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{RecordBatch, TimestampMicrosecondArray};

use crate::catalog::{Change, Shape};
use crate::error::Result;
use crate::lake::{Commit, FileEntry};
use crate::tables;
use known::{Known, Returned, version_hash};
use subjects::Subjects;

use super::*;

impl Refresh<'_> {
    /// Rewrites the files that hold replaced or withdrawn rows, and moves those that were replaced to the history.
    async fn rewrite_stale(&mut self) -> Result<HashSet<u32>> {
        let mut stale = std::mem::take(&mut self.stale);
        let mut withdrawn = std::mem::take(&mut self.withdrawn);
        let numbers: BTreeSet<u32> = stale.keys().chain(withdrawn.keys()).copied().collect();
        let (lake, schema) = (self.intake.catalog.lake(), self.current.snapshot().schema.clone());
        let sort = sort_columns(&self.source);
        let mut gone = HashSet::new();
        for number in numbers {
            let stale = stale.remove(&number).unwrap_or_default();
            let mut withdrawn = withdrawn.remove(&number).unwrap_or_default();
            let batches = crate::table_read::read_file(
                lake,
                self.current.path(),
                &self.files[number as usize],
                &schema,
            )
            .await?;
            let rows = arrow::compute::concat_batches(&schema, &batches)
                .map_err(datafusion::error::DataFusionError::from)?;
            let (mut replaced, mut kept) = (vec![], vec![]);
            for (row, version) in (0..).zip(self.versions(&rows)?) {
                match withdrawn.get_mut(&version).filter(|count| **count > 0) {
                    Some(count) => *count -= 1,
                    None if stale.contains(&version) => replaced.push(row),
                    None => kept.push(row),
                }
            }
            gone.insert(number);
            if let (Some(superseded), false) = (&self.superseded, replaced.is_empty()) {
                self.history
                    .extend(write(superseded, chunk::sorted(&rows, &replaced, &sort)?).await?);
            }
            if !kept.is_empty() {
                let rewritten = self.files.len() as u32;
                self.files.extend(write(&self.current, chunk::sorted(&rows, &kept, &sort)?).await?);
                self.moved(&rows, &kept, rewritten)?;
            }
        }
        Ok(gone)
    }

    /// Says of the chosen `rows` that they are in another file now.
    fn moved(&mut self, rows: &RecordBatch, chosen: &[u32], file: u32) -> Result<()> {
        let Shape::Records { key, .. } = &self.source.shape else { return Ok(()) };
        let keys = hash_key(&self.memory.hasher, rows, key)?;
        if let Some((_, Known::Records(known))) = self.memory.known.get_mut(self.name) {
            chosen.iter().for_each(|row| known.moved(keys[*row as usize], file));
        }
        Ok(())
    }

    /// Makes versions current again, by key and content, that the source went back to. Their rows are in the history,
    /// and stay there: they were current once before.
    async fn restore(&mut self, returned: &[(u128, u128)]) -> Result<()> {
        let (Shape::Records { key, .. }, Some(superseded)) =
            (self.source.shape.clone(), self.superseded.clone())
        else {
            return Ok(());
        };
        let hasher = self.memory.hasher;
        let mut missing: HashSet<u128> =
            returned.iter().map(|(key, content)| version_hash(*key, *content)).collect();
        let snapshot = superseded.snapshot();
        let written: Vec<FileEntry> =
            snapshot.files.iter().cloned().chain(self.history.iter().cloned()).collect();
        let (mut found, mut found_rows) = (vec![], 0);
        for file in written {
            if missing.is_empty() {
                break;
            }
            let lake = self.intake.catalog.lake();
            for batch in
                crate::table_read::read_file(lake, superseded.path(), &file, &snapshot.schema)
                    .await?
            {
                let (keys, contents) =
                    (hash_key(&hasher, &batch, &key)?, hash_content(&hasher, &batch)?);
                let rows = (0..batch.num_rows() as u32).filter(|row| {
                    missing.remove(&version_hash(keys[*row as usize], contents[*row as usize]))
                });
                let rows: Vec<u32> = rows.collect();
                let deletions = self.deletions(&batch).await?;
                let (deleted, rows): (Vec<u32>, Vec<u32>) =
                    rows.into_iter().partition(|row| deletions.is_one(*row as usize));
                if !deleted.is_empty() {
                    self.moved(&batch, &deleted, Version::DELETED)?;
                }
                found_rows += rows.len();
                found.push(chunk::sorted(&batch, &rows, &[])?);
            }
            if found_rows >= CHUNK_ROWS {
                self.write_restored(&std::mem::take(&mut found)).await?;
                found_rows = 0;
            }
        }
        if !missing.is_empty() {
            return Err(Error::Corrupt {
                message: format!("the history of source \"{}\" lacks rows", self.name),
                source: None,
            });
        }
        self.write_restored(&found).await
    }

    /// Writes rows of the history as current rows that were taken now.
    async fn write_restored(&mut self, found: &[RecordBatch]) -> Result<()> {
        let schema = self.current.snapshot().schema.clone();
        let found = found.iter().map(|rows| crate::table_read::adapt(rows, &schema));
        let found = found.collect::<Result<Vec<_>>>()?;
        let rows = arrow::compute::concat_batches(&schema, &found)
            .map_err(datafusion::error::DataFusionError::from)?;
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let now = TimestampMicrosecondArray::from(vec![self.now; rows.num_rows()]);
        let mut columns = rows.columns().to_vec();
        for (field, column) in schema.fields().iter().zip(&mut columns) {
            if field.name() == INGESTED_AT {
                *column = Arc::new(now.clone().with_timezone("UTC"));
            }
        }
        let rows = RecordBatch::try_new(schema, columns)
            .map_err(datafusion::error::DataFusionError::from)?;
        let all: Vec<u32> = (0..rows.num_rows() as u32).collect();
        let sorted = chunk::sorted(&rows, &all, &sort_columns(&self.source))?;
        let number = self.files.len() as u32;
        self.files.extend(write(&self.current, sorted).await?);
        self.moved(&rows, &all, number)
    }

    /// Makes everything visible in one publication.
    pub(super) async fn finish(mut self) -> Result<SourceReport> {
        let returned = match self.memory.known.get_mut(self.name) {
            Some((_, Known::Records(known))) => known.returned(),
            _ => vec![],
        };
        let mut restored: Vec<(u128, u128)> = match self.memory.known.get(self.name) {
            Some((_, Known::Records(known))) => known.in_history(&self.reopened),
            _ => vec![],
        };
        for Returned { key, content, replaced } in &returned {
            self.note_stale(*key, *replaced);
            restored.push((*key, *content));
        }
        self.report.rows_taken += returned.len() as u64;
        self.report.duplicates -= returned.len() as u64;
        let gone = self.rewrite_stale().await?;
        self.restore(&restored).await?;
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
            widen(&table, &layout.table_schema()).await?;
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
}
