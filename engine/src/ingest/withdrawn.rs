//! Rows that were taken before they were complete.
//!
//! A file may end within a row that looks whole. It is taken, since most files that end without a line end are whole.
//! When the file goes on with more of that row, what was taken is taken back in the publication that brings the whole
//! one: it was never a row, so it is in no history either. Of keyed rows the version that it had replaced is current
//! again, until the whole row says otherwise; one that a newer version replaced meanwhile stays in the history.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::chunk::{self, Chunk, Outcome};
use super::deleted::ingested_at;
use super::known::{Known, Version, version_hash};
use super::rows::not_loaded;
use super::{ORIGIN, Refresh, hash_content, hash_key, message_key};
use crate::catalog::Shape;
use crate::error::Result;

impl Refresh<'_> {
    /// Takes back what `chunk` says was never a row.
    pub(super) async fn withdraw(&mut self, chunk: &Chunk) -> Result<()> {
        for part in &chunk.parts {
            let Some(row) = &part.withdrawn else { continue };
            // One that was there already was not taken for the sake of this file.
            if !self.state.provisional.remove(&part.origin) {
                continue;
            }
            match self.source.shape.clone() {
                Shape::Records { key, version_by } => {
                    self.withdraw_record(row, &key, version_by.as_deref()).await?
                }
                Shape::Events { .. } => self.withdraw_event(row, &part.origin).await?,
            }
        }
        Ok(())
    }

    /// Notes which of the rows that end with their file were taken.
    pub(super) fn note_provisional(&mut self, chunk: &Chunk, outcomes: &[Outcome]) {
        let mut end = 0;
        for part in &chunk.parts {
            end += part.rows;
            if part.provisional {
                match outcomes[..end].last().is_some_and(Outcome::is_taken) {
                    true => self.state.provisional.insert(part.origin.clone()),
                    false => self.state.provisional.remove(&part.origin),
                };
            }
        }
    }

    /// Notes that a version which a file of the table holds was replaced.
    pub(super) fn note_stale(&mut self, key: u128, replaced: Version) {
        // One that is current again and not written yet is in the history already.
        if !replaced.is_in_history() {
            self.stale
                .entry(replaced.file)
                .or_default()
                .insert(version_hash(key, replaced.content));
        }
    }

    /// Returns what tells each row of a table's file from others, with equal ones as often as they are there.
    pub(super) fn versions(&self, rows: &RecordBatch) -> Result<Vec<u128>> {
        let hasher = &self.memory.hasher;
        let keys = match &self.source.shape {
            Shape::Records { key, .. } => hash_key(hasher, rows, key)?,
            Shape::Events { .. } if message_key(&self.source).is_empty() => {
                let origins = rows
                    .column_by_name(ORIGIN)
                    .and_then(|column| column.as_primitive_opt::<Int64Type>());
                origins
                    .ok_or_else(not_loaded)?
                    .values()
                    .iter()
                    .copied()
                    .map(key_of_origin)
                    .collect()
            }
            Shape::Events { .. } => hash_key(hasher, rows, &message_key(&self.source))?,
        };
        let contents = hash_content(hasher, rows)?;
        Ok(keys
            .into_iter()
            .zip(contents)
            .map(|(key, content)| version_hash(key, content))
            .collect())
    }

    async fn withdraw_record(
        &mut self,
        row: &RecordBatch,
        key: &[String],
        version_by: Option<&str>,
    ) -> Result<()> {
        let hasher = &self.memory.hasher;
        let (hash, content) = (hash_key(hasher, row, key)?[0], hash_content(hasher, row)?[0]);
        let Some((_, Known::Records(known))) = self.memory.known.get(self.name) else {
            return Err(not_loaded());
        };
        let current = known.current(hash).filter(|version| version.content == content);
        let file = match current.map(|version| version.file) {
            Some(file) if (file as usize) < self.files.len() => Some(file),
            // What said that the record is gone lies in the history, where it stands for nothing.
            Some(Version::DELETED) => None,
            _ => return Ok(()),
        };
        let before = self.last_superseded((hash, content), key, version_by).await?;
        if before.is_some() {
            self.reopened.push(hash);
        }
        if let Some((_, Known::Records(known))) = self.memory.known.get_mut(self.name) {
            known.take_back(hash, before);
        }
        if let Some(file) = file {
            self.take_out(file, version_hash(hash, content));
        }
        Ok(())
    }

    /// Returns the newest version of a key that the history holds, besides the one that is withdrawn: the greatest, and of
    /// equal ones the last that came.
    async fn last_superseded(
        &self,
        (hash, withdrawn): (u128, u128),
        key: &[String],
        version_by: Option<&str>,
    ) -> Result<Option<Version>> {
        let Some(superseded) = &self.superseded else { return Ok(None) };
        let (lake, hasher) = (self.intake.catalog.lake(), &self.memory.hasher);
        let snapshot = superseded.snapshot();
        let mut newest: Option<(Version, i64)> = None;
        for file in snapshot.files.iter() {
            let batches =
                crate::table_read::read_file(lake, superseded.path(), file, &snapshot.schema);
            for batch in batches.await? {
                let (keys, contents) =
                    (hash_key(hasher, &batch, key)?, hash_content(hasher, &batch)?);
                let orders = chunk::orders(&batch, version_by)?;
                let (ingested, deletions) = (ingested_at(&batch)?, self.deletions(&batch).await?);
                let is_asked = |row: &usize| keys[*row] == hash && contents[*row] != withdrawn;
                for row in (0..keys.len()).filter(is_asked) {
                    let (order, at) = (orders[row], ingested.value(row));
                    let newer =
                        newest.is_none_or(|(newest, last)| (order, at) >= (newest.order, last));
                    if newer {
                        let file = match deletions.is_one(row) {
                            true => Version::DELETED,
                            false => Version::SUPERSEDED,
                        };
                        let content = contents[row];
                        newest = Some((Version { order, content, file }, at));
                    }
                }
            }
        }
        Ok(newest.map(|(version, _)| version))
    }

    async fn withdraw_event(&mut self, row: &RecordBatch, origin: &str) -> Result<()> {
        let hasher = &self.memory.hasher;
        let content = hash_content(hasher, row)?[0];
        let key = match message_key(&self.source) {
            ids if ids.is_empty() => key_of_origin(chunk::origin(origin)),
            ids => hash_key(hasher, row, &ids)?[0],
        };
        if let Some((_, Known::Messages(messages))) = self.memory.known.get_mut(self.name) {
            messages.remove(&key);
        }
        let version = version_hash(key, content);
        // It was the last row of its file, so it is most likely in one of the last files.
        for number in (0..self.before.files.len()).rev() {
            let file = &self.before.files[number];
            let (lake, schema) = (self.intake.catalog.lake(), &self.before.schema);
            for batch in
                crate::table_read::read_file(lake, self.current.path(), file, schema).await?
            {
                if self.versions(&batch)?.contains(&version) {
                    self.take_out(number as u32, version);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Notes that one row goes out of a file of the table.
    fn take_out(&mut self, file: u32, version: u128) {
        *self.withdrawn.entry(file).or_default().entry(version).or_default() += 1;
    }
}

/// What stands for a key of lines that have none: the file that they came from.
fn key_of_origin(origin: i64) -> u128 {
    u128::from(origin.cast_unsigned())
}
