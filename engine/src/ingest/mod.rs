//! From a source to rows in the lake.
//!
//! [`refresh_source`] reads what a source has that the lake has not, a chunk at a time: it brings columns to the
//! lake's types, sets aside rows that cannot be taken, recognises rows that are there already, gives each row its subject,
//! and writes sorted files. Nothing is visible until the end, when rows, history, quarantine, new subjects and
//! the source's cursor become one publication; a failure or a crash before it leaves everything as it was.

mod chunk;
mod deleted;
mod gone;
mod hash;
mod known;
mod layout;
mod properties;
mod publish;
mod quarantine;
mod rows;
mod subjects;
#[cfg(test)]
mod tests;
mod withdrawn;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use connectors::{Rejection, SourceBatch, SourceSpec};

use crate::catalog::{Body, Catalog, Format, Kind, OnError, Shape, Source, SourceState};
use crate::error::{Error, Result};
use crate::jobs::Run;
use crate::lake::{self, Commit, FileEntry, Table, TableSnapshot, WriteOptions};
use crate::query::planner::Planner;
use crate::tables;
use chunk::{Chunk, Outcome, Pending};
use deleted::NewestDeleted;
pub(crate) use gone::gone_rows;
pub use hash::RowHasher;
use known::{Known, KnownRecords, Version};
use layout::{hash_content, hash_key, message_key, original_schema, sort_columns, table_schema};
pub(crate) use layout::{micros, time_column, times, widen};
use quarantine::Quarantine;
use subjects::NewSubjects;
pub use subjects::{PERSON_FIELDS, RECORD_KIND, Subjects};

/// Rows that are held in memory, sorted and written at a time.
const CHUNK_ROWS: usize = 1_000_000;

/// Bytes that are held in memory, sorted and written at a time, rejected rows among them.
const CHUNK_BYTES: usize = 256 << 20;

/// Rows of one batch of a source.
const BATCH_ROWS: usize = 65_536;

/// The system column that says when a row was taken.
pub const INGESTED_AT: &str = "_ingested_at";

/// The system column of logs without message ids that says which file a row came from.
pub const ORIGIN: &str = "_origin";

/// What ingest keeps between refreshes. It follows what was published; after a failure or a cancel it is forgotten and
/// rebuilt.
#[derive(Debug, Default)]
pub struct IngestMemory {
    hasher: RowHasher,
    subjects: Option<Subjects>,
    /// By source: the version of its table that is remembered, and what of it.
    known: HashMap<String, (u64, Known)>,
}

impl IngestMemory {
    /// Forgets a source whose tables are dropped: those of its name that come after them are others.
    pub(crate) fn forget(&mut self, source: &str) {
        self.known.remove(source);
    }
}

/// Where and with what a refresh works.
pub struct Intake<'a> {
    /// The catalog.
    pub catalog: &'a Catalog,
    /// Evaluates expressions.
    pub planner: &'a Planner,
    /// The run that this is part of.
    pub run: &'a Run<'a>,
    /// The folder that relative paths start from and none may leave.
    pub file_root: PathBuf,
}

/// What one refresh of a source did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceReport {
    /// Rows that the source gave.
    pub rows_read: u64,
    /// Rows that were new.
    pub rows_taken: u64,
    /// Rows that were there already.
    pub duplicates: u64,
    /// Rows that could not be taken.
    pub rejected: u64,
}

/// Reads what `name` has that the lake has not, and publishes it.
///
/// # Errors
/// [`Error::Connector`] if it cannot be read, [`Error::Invalid`] if its definition does not fit its rows or, with
/// `ON ERROR FAIL`, if a row cannot be taken. Then nothing was published.
pub async fn refresh_source(
    intake: &Intake<'_>,
    memory: &mut IngestMemory,
    name: &str,
) -> Result<SourceReport> {
    // What is taken counts only once it is published: whatever else becomes of this, the memory is built anew.
    let mut taken = std::mem::take(memory);
    let report = Refresh::run(intake, &mut taken, name).await?;
    *memory = taken;
    Ok(report)
}

/// One running refresh.
struct Refresh<'a> {
    intake: &'a Intake<'a>,
    memory: &'a mut IngestMemory,
    name: &'a str,
    source: Source,
    state: SourceState,
    now: i64,
    report: SourceReport,
    current: Table,
    before: Arc<TableSnapshot>,
    superseded: Option<Table>,
    /// Files of the current table: first those that it had, then those written now.
    files: Vec<FileEntry>,
    /// For each file: the keys of rows that newer versions replaced.
    stale: HashMap<u32, HashSet<u128>>,
    /// For each file: rows that were none, and how many equal ones of them.
    withdrawn: HashMap<u32, HashMap<u128, u32>>,
    /// The keys that lost their current version to that and have an earlier one.
    reopened: Vec<u128>,
    history: Vec<FileEntry>,
    new_subjects: NewSubjects,
    /// Rows that cannot be taken and are not set aside yet.
    rejected: Vec<Rejection>,
    quarantine: Quarantine,
    /// Files that are read again: how often each of their lines is there already.
    read_again: HashMap<String, HashMap<u128, u32>>,
    /// Files of logs without message ids, by what tells them apart: the last position that was taken.
    reached: BTreeMap<String, u64>,
}

impl<'a> Refresh<'a> {
    async fn run(
        intake: &'a Intake<'a>,
        memory: &'a mut IngestMemory,
        name: &'a str,
    ) -> Result<SourceReport> {
        let published = intake.catalog.current();
        let Body::Source(source) = published.state.expect(Kind::Source, name)?.body.clone() else {
            return Err(wrong_kind(name));
        };
        let state = published.state.sources.get(name).cloned().unwrap_or_default();
        let known_schema = published
            .table(&tables::source_path(name))
            .map(|snapshot| original_schema(&snapshot.schema));
        let spec = SourceSpec {
            name: name.to_owned(),
            connector: source.connector.clone(),
            format: source.format,
            columns: source.columns.clone(),
            known_schema,
            null_values: source.null_values.clone(),
            root: intake.file_root.clone(),
            batch_rows_max: BATCH_ROWS,
        };
        let mut reader = connectors::open_source(spec, &state.cursor)?;
        let mut next = reader.read().await?;
        if next.is_none() && published.table(&tables::source_path(name)).is_some() {
            return Ok(SourceReport::default());
        }
        intake.run.begin().await?;
        let mut refresh =
            Self::start(intake, memory, name, source, state, &reader.schema()).await?;
        let mut pending = Pending::default();
        while let Some(batch) = next {
            refresh.note(&batch)?;
            pending.push(batch);
            if pending.is_chunk() {
                refresh.take(std::mem::take(&mut pending).batches).await?;
            }
            next = reader.read().await?;
        }
        refresh.take(pending.batches).await?;
        let cursor = refresh.state.cursor.clone();
        let report = refresh.finish().await?;
        reader.acknowledge(&cursor).await?;
        Ok(report)
    }

    async fn start(
        intake: &'a Intake<'a>,
        memory: &'a mut IngestMemory,
        name: &'a str,
        source: Source,
        state: SourceState,
        schema: &SchemaRef,
    ) -> Result<Self> {
        let layout = table_schema(&source, schema)?;
        let current = intake.catalog.table(&tables::source_path(name), || layout.clone()).await?;
        let superseded = match source.shape {
            Shape::Records { .. } => {
                Some(intake.catalog.table(&tables::superseded_path(name), || layout.clone()).await?)
            }
            Shape::Events { .. } => None,
        };
        for table in std::iter::once(&current).chain(&superseded) {
            widen(table, &layout).await?;
        }
        let before = current.snapshot();
        let quarantine = Quarantine::of(&state);
        let mut refresh = Self {
            intake,
            memory,
            name,
            source,
            state,
            now: intake.run.now,
            report: SourceReport::default(),
            files: before.files.to_vec(),
            before,
            current,
            superseded,
            stale: HashMap::new(),
            withdrawn: HashMap::new(),
            reopened: vec![],
            history: vec![],
            new_subjects: NewSubjects::default(),
            rejected: vec![],
            quarantine,
            read_again: HashMap::new(),
            reached: BTreeMap::new(),
        };
        refresh.remember().await?;
        Ok(refresh)
    }

    /// Notes what is known of a batch before its rows are looked at.
    fn note(&mut self, batch: &SourceBatch) -> Result<()> {
        if let (OnError::Fail, Some(first)) = (self.source.on_error, batch.rejected.first()) {
            return Err(Error::Invalid {
                message: format!(
                    "{} {}: row cannot be taken: {}",
                    first.file, first.position, first.reason
                ),
                hint: first.hint.clone(),
            });
        }
        for (column, count) in &batch.nulled {
            *self.state.nulled.entry(lake::column_name(column)).or_default() += count;
        }
        for (name, count) in &batch.ignored {
            let ignored = &mut self.state.ignored;
            if ignored.contains_key(name) || ignored.len() < SourceBatch::IGNORED_NAMES_MAX {
                *ignored.entry(name.clone()).or_default() += count;
            }
        }
        match batch.incomplete {
            true => self.state.incomplete.insert(batch.file.clone()),
            false => self.state.incomplete.remove(&batch.file),
        };
        if batch.again {
            self.quarantine.read_again(&batch.file);
        }
        self.report.rows_read += batch.records.num_rows() as u64 + batch.rejected.len() as u64;
        self.state.cursor = batch.cursor.clone();
        Ok(())
    }

    /// Makes sure that what the lake holds is remembered.
    async fn remember(&mut self) -> Result<()> {
        let lake = self.intake.catalog.lake();
        let published = self.intake.catalog.current();
        if self.memory.subjects.is_none() {
            let mut subjects = Subjects::new();
            if let Some(stored) = published.table(tables::SUBJECT_IDENTIFIERS.path) {
                let identifiers = crate::table_read::read_table(
                    lake,
                    tables::SUBJECT_IDENTIFIERS.path,
                    &stored,
                    &["_subject", "kind", "value"],
                )
                .await?;
                let persons = match published.table(tables::SUBJECTS.path) {
                    Some(stored) => {
                        let columns: Vec<&str> =
                            std::iter::once("_subject").chain(PERSON_FIELDS).collect();
                        let path = tables::SUBJECTS.path;
                        crate::table_read::read_table(lake, path, &stored, &columns).await?
                    }
                    None => vec![],
                };
                let next = u32::try_from(published.state.next_subject).unwrap_or(u32::MAX);
                subjects.load(&identifiers, &persons, next)?;
            }
            self.memory.subjects = Some(subjects);
        }
        // A compaction gives a table other files: what is remembered of it is then out of date.
        if self
            .memory
            .known
            .get(self.name)
            .is_none_or(|(version, _)| *version != self.before.version)
        {
            let known = self.load_known().await?;
            self.memory.known.insert(self.name.to_owned(), (self.before.version, known));
        }
        Ok(())
    }

    async fn load_known(&self) -> Result<Known> {
        let lake = self.intake.catalog.lake();
        let hasher = self.memory.hasher;
        match &self.source.shape {
            Shape::Records { key, version_by } => {
                let mut known = KnownRecords::default();
                for (number, file) in self.before.files.iter().enumerate() {
                    for batch in crate::table_read::read_file(
                        lake,
                        self.current.path(),
                        file,
                        &self.before.schema,
                    )
                    .await?
                    {
                        let (keys, contents) =
                            (hash_key(&hasher, &batch, key)?, hash_content(&hasher, &batch)?);
                        let orders = chunk::orders(&batch, version_by.as_deref())?;
                        for row in 0..batch.num_rows() {
                            let version = Version {
                                order: orders[row],
                                content: contents[row],
                                file: number as u32,
                            };
                            known.load_current(keys[row], version);
                        }
                    }
                }
                if let Some(superseded) = &self.superseded {
                    let mut deleted = NewestDeleted::default();
                    let snapshot = superseded.snapshot();
                    for file in snapshot.files.iter() {
                        for batch in crate::table_read::read_file(
                            lake,
                            superseded.path(),
                            file,
                            &snapshot.schema,
                        )
                        .await?
                        {
                            let (keys, contents) =
                                (hash_key(&hasher, &batch, key)?, hash_content(&hasher, &batch)?);
                            keys.iter()
                                .zip(&contents)
                                .for_each(|(key, content)| known.load_superseded(*key, *content));
                            let deletions = self.deletions(&batch).await?;
                            let orders = || chunk::orders(&batch, version_by.as_deref());
                            let rows = (keys.as_slice(), contents.as_slice());
                            deleted.note(&batch, &deletions, rows, orders)?;
                        }
                    }
                    deleted.load(&mut known);
                }
                Ok(Known::Records(known))
            }
            Shape::Events { .. } => {
                let key = message_key(&self.source);
                if key.is_empty() {
                    return Ok(Known::Lines);
                }
                let names: Vec<&str> = key.iter().map(String::as_str).collect();
                let mut messages = HashMap::new();
                for batch in
                    crate::table_read::read_table(lake, self.current.path(), &self.before, &names)
                        .await?
                {
                    messages.extend(
                        hash_key(&hasher, &batch, &key)?.into_iter().map(|message| (message, ())),
                    );
                }
                Ok(Known::Messages(messages))
            }
        }
    }

    /// Takes a chunk of batches: sorts out its rows, gives them subjects and writes them.
    async fn take(&mut self, batches: Vec<SourceBatch>) -> Result<()> {
        if batches.is_empty() {
            return Ok(());
        }
        let chunk = Chunk::new(&batches, &self.current.snapshot().schema)?;
        self.state.observe(&self.source, &chunk.rows)?;
        for batch in batches {
            self.rejected.extend(batch.rejected);
        }
        self.withdraw(&chunk).await?;
        let mut outcomes = self.outcomes(&chunk).await?;
        self.note_provisional(&chunk, &outcomes);
        let duplicates = outcomes.iter().filter(|outcome| **outcome == Outcome::Duplicate);
        self.report.duplicates += duplicates.count() as u64;
        self.set_aside().await?;
        // What is not taken says nothing about anybody: only the rows that are have subjects.
        let chunk = chunk.taken(&outcomes)?;
        outcomes.retain(Outcome::is_taken);
        self.report.rows_taken += outcomes.len() as u64;
        let subjects = self.subjects_of(&chunk).await?;
        let gone = self.gone(&chunk.rows, &outcomes).await?;
        let rows = chunk.finish(&subjects, self.now, &self.source)?;
        let number = self.files.len() as u32;
        let is_kept =
            |row: &u32| outcomes[*row as usize] == Outcome::Current && !gone.contains_key(row);
        let (kept, replaced): (Vec<u32>, Vec<u32>) = (0..outcomes.len() as u32).partition(is_kept);
        let sort = sort_columns(&self.source);
        if !kept.is_empty() {
            let written = write(&self.current, chunk::sorted(&rows, &kept, &sort)?).await?;
            debug_assert_eq!(written.len(), 1, "a chunk is one file");
            self.files.extend(written);
            self.settle(number);
        }
        self.settle_gone(&gone);
        if let (Some(superseded), false) = (&self.superseded, replaced.is_empty()) {
            self.history.extend(write(superseded, chunk::sorted(&rows, &replaced, &sort)?).await?);
        }
        Ok(())
    }

    /// Says of the rows that were incoming that they are in file `number` now.
    fn settle(&mut self, number: u32) {
        if let Some((_, Known::Records(known))) = self.memory.known.get_mut(self.name) {
            known.settle(number);
        }
    }
}

/// Writes one sorted batch as files of `table`.
pub(crate) async fn write(table: &Table, rows: RecordBatch) -> Result<Vec<FileEntry>> {
    let rows = crate::table_read::adapt(&rows, &table.snapshot().schema)?;
    lake::write_files(table, vec![rows], &WriteOptions::default()).await
}

/// Commits files to `table`, if there are any.
pub(crate) async fn append(table: &Table, adds: Vec<FileEntry>) -> Result<Arc<TableSnapshot>> {
    if adds.is_empty() {
        return Ok(table.snapshot());
    }
    table.commit(Commit::append(adds)).await
}

fn wrong_kind(name: &str) -> Error {
    Error::Missing {
        kind: "source",
        name: name.to_owned(),
        hint: "SHOW SOURCES lists what there is.".into(),
    }
}

impl SourceState {
    /// Learns the properties of event names from a chunk of Segment calls.
    fn observe(&mut self, source: &Source, rows: &RecordBatch) -> Result<()> {
        if source.format != Format::Segment {
            return Ok(());
        }
        let (Some(names), Some(properties)) =
            (rows.column_by_name("event"), rows.column_by_name("properties"))
        else {
            return Ok(());
        };
        let mut events: BTreeMap<_, _> = std::mem::take(&mut self.events);
        properties::observe(&mut events, &tables::texts(names)?, &tables::texts(properties)?);
        self.events = events;
        Ok(())
    }
}
