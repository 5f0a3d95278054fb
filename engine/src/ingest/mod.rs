//! From a source to rows in the lake.
//!
//! [`refresh_source`] reads what a source has that the lake has not, a chunk at a time: it brings columns to the
//! lake's types, sets aside rows that cannot be taken, recognises rows that are there already, gives each row its subject,
//! and writes sorted files. Nothing is visible until the end, when rows, history, quarantine, new subjects and
//! the source's cursor become one publication; a failure or a crash before it leaves everything as it was.

mod chunk;
mod hash;
mod known;
mod properties;
mod rows;
mod subjects;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use connectors::{Rejection, SourceBatch, SourceSpec};

use crate::catalog::{Body, Catalog, Change, Format, Kind, OnError, Shape, Source, SourceState};
use crate::error::{Error, Result};
use crate::jobs::Run;
use crate::lake::{self, Commit, FileEntry, Table, TableSchema, TableSnapshot, WriteOptions};
use crate::query::planner::Planner;
use crate::tables;
use chunk::{Chunk, Outcome};
pub use hash::RowHasher;
use known::{Known, KnownRecords, Version};
use subjects::NewSubjects;
pub use subjects::{PERSON_FIELDS, RECORD_KIND, Subjects};

/// Rows that are held in memory, sorted and written at a time.
const CHUNK_ROWS: usize = 1_000_000;

/// Rows of one batch of a source.
const BATCH_ROWS: usize = 65_536;

/// The system column that says when a row was taken.
pub const INGESTED_AT: &str = "_ingested_at";

/// The system column of logs without message ids that says which file a row came from.
pub const ORIGIN: &str = "_origin";

/// What ingest keeps between refreshes. It follows what was published; after a failure it is forgotten and rebuilt.
#[derive(Debug, Default)]
pub struct IngestMemory {
    hasher: RowHasher,
    subjects: Option<Subjects>,
    /// By source: the version of its table that is remembered, and what of it.
    known: HashMap<String, (u64, Known)>,
    quarantined: HashMap<String, HashSet<u128>>,
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
    let result = Refresh::run(intake, memory, name).await;
    if result.is_err() {
        *memory = IngestMemory::default();
    }
    result
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
    history: Vec<FileEntry>,
    new_subjects: NewSubjects,
    quarantine: Vec<Rejection>,
    /// Files that are read again: how often each of their lines is there already.
    read_again: HashMap<String, HashMap<u128, u32>>,
    /// Files of logs without message ids: the last position that was taken.
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
        let mut pending: Vec<SourceBatch> = Vec::new();
        let mut pending_rows = 0;
        while let Some(batch) = next {
            refresh.note(&batch)?;
            pending_rows += batch.records.num_rows();
            pending.push(batch);
            if pending_rows >= CHUNK_ROWS - BATCH_ROWS {
                refresh.take(std::mem::take(&mut pending)).await?;
                pending_rows = 0;
            }
            next = reader.read().await?;
        }
        refresh.take(pending).await?;
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
            history: vec![],
            new_subjects: NewSubjects::default(),
            quarantine: vec![],
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
                let batches = crate::table_read::read_table(
                    lake,
                    tables::SUBJECT_IDENTIFIERS.path,
                    &stored,
                    &["_subject", "kind", "value"],
                )
                .await?;
                subjects.load(
                    &batches,
                    u32::try_from(published.state.next_subject).unwrap_or(u32::MAX),
                )?;
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
                                .zip(contents)
                                .for_each(|(key, content)| known.load_superseded(*key, content));
                        }
                    }
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
            self.quarantine.extend(batch.rejected);
        }
        let subjects = self.subjects_of(&chunk).await?;
        let outcomes = self.outcomes(&chunk).await?;
        let rows = chunk.finish(&subjects, self.now, &self.source)?;
        let number = self.files.len() as u32;
        let (mut kept, mut replaced): (Vec<u32>, Vec<u32>) = (vec![], vec![]);
        for (row, outcome) in outcomes.iter().enumerate() {
            match outcome {
                Outcome::Current => kept.push(row as u32),
                Outcome::History => replaced.push(row as u32),
                Outcome::Duplicate => self.report.duplicates += 1,
                Outcome::Rejected => {}
            }
        }
        self.report.rows_taken += (kept.len() + replaced.len()) as u64;
        let sort = sort_columns(&self.source);
        if !kept.is_empty() {
            let written = write(&self.current, chunk::sorted(&rows, &kept, &sort)?).await?;
            debug_assert_eq!(written.len(), 1, "a chunk is one file");
            self.files.extend(written);
            self.settle(number);
        }
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
    async fn finish(mut self) -> Result<SourceReport> {
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
        self.intake.catalog.publish(change).await?;
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

/// Adds the columns that `table` has not.
async fn widen(table: &Table, layout: &TableSchema) -> Result<()> {
    let have = table.snapshot().schema.clone();
    if layout.fields.fields().iter().any(|field| have.field_with_name(field.name()).is_err()) {
        table.commit(Commit::append(vec![]).with_schema(layout.clone())).await?;
    }
    Ok(())
}

/// The layout of a source's table: system columns first, then its own under their names in the lake.
fn table_schema(source: &Source, schema: &SchemaRef) -> Result<TableSchema> {
    let mut fields = vec![
        Field::new(crate::query::governed::SUBJECT, DataType::Int64, true),
        Field::new(
            INGESTED_AT,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
    ];
    let mut stats = vec![crate::query::governed::SUBJECT.to_owned(), INGESTED_AT.to_owned()];
    if matches!(source.shape, Shape::Events { .. }) && message_key(source).is_empty() {
        fields.push(Field::new(ORIGIN, DataType::Int64, true));
        stats.push(ORIGIN.to_owned());
    }
    let names = chunk::lake_names(schema);
    for (field, name) in schema.fields().iter().zip(&names) {
        let mut metadata = field.metadata().clone();
        if field.name() != name {
            metadata.insert(lake::COMMENT.to_owned(), field.name().clone());
        }
        fields.push(Field::new(name, field.data_type().clone(), true).with_metadata(metadata));
    }
    for public in &source.public_columns {
        if !names.contains(public) {
            return Err(Error::Invalid {
                message: format!("public column \"{public}\" is not a column of the source"),
                hint: format!("Its columns are {}.", names.join(", ")),
            });
        }
    }
    stats.extend(source.public_columns.iter().cloned());
    let mut blooms: Vec<String> = match &source.shape {
        Shape::Records { key, .. } => key.clone(),
        Shape::Events { .. } => message_key(source),
    };
    blooms.extend(
        source.identifiers.iter().map(|identifier| identifier.expression.trim().to_owned()),
    );
    blooms.retain(|column| names.contains(column));
    blooms.sort();
    blooms.dedup();
    Ok(TableSchema {
        fields: Arc::new(Schema::new(fields)),
        stats_columns: stats,
        bloom_columns: blooms,
        sort: sort_columns(source),
    })
}

/// The columns that a source's files are sorted by.
fn sort_columns(source: &Source) -> Vec<String> {
    let time = match &source.shape {
        Shape::Records { version_by, .. } => version_by.clone(),
        Shape::Events { event_time, .. } => event_time
            .clone()
            .or_else(|| (source.format == Format::Segment).then(|| "occurred_at".to_owned())),
    };
    std::iter::once(crate::query::governed::SUBJECT.to_owned()).chain(time).collect()
}

/// The columns that identify a message of a source of events; empty for logs without message ids.
fn message_key(source: &Source) -> Vec<String> {
    match &source.shape {
        Shape::Events { key, .. } if key.is_empty() && source.format == Format::Segment => {
            vec!["message_id".to_owned()]
        }
        Shape::Events { key, .. } => key.clone(),
        Shape::Records { .. } => vec![],
    }
}

/// The columns of a table under the names that they have in the source.
fn original_schema(schema: &Schema) -> SchemaRef {
    let fields =
        schema.fields().iter().filter(|field| !field.name().starts_with('_')).map(|field| {
            let logical = lake::logical_field(field);
            let name = field
                .metadata()
                .get(lake::COMMENT)
                .cloned()
                .unwrap_or_else(|| field.name().clone());
            logical.as_ref().clone().with_name(name)
        });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn hash_key(hasher: &RowHasher, batch: &RecordBatch, key: &[String]) -> Result<Vec<u128>> {
    let columns: Vec<(&str, &ArrayRef)> =
        key.iter().filter_map(|name| Some((name.as_str(), batch.column_by_name(name)?))).collect();
    hasher.hash(&columns, batch.num_rows())
}

/// Hashes a row's own columns: not when it was taken, nor whom it belongs to.
fn hash_content(hasher: &RowHasher, batch: &RecordBatch) -> Result<Vec<u128>> {
    let schema = batch.schema();
    let columns: Vec<(&str, &ArrayRef)> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter(|(field, _)| !field.name().starts_with('_'))
        .map(|(field, column)| (field.name().as_str(), column))
        .collect();
    hasher.hash(&columns, batch.num_rows())
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
