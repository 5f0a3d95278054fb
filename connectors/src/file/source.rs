//! The file source: which files are read, in which order, and one batch after the other.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use tokio::task::{JoinHandle, spawn_blocking};

use super::column::NullTexts;
use super::csv::CsvFile;
use super::input::{Input, Origin, Stat};
use super::mark::{At, Mark, Marks, Start, start_of};
use super::ndjson::NdjsonFile;
use super::parquet::ParquetFile;
use super::part::Filled;
use super::renamed;
use super::root::Root;
use super::schema::{self, Pending};
use super::segment::SegmentFile;
use crate::contract::{Cursor, Format, Source, SourceBatch, SourceSpec};
use crate::error::{Error, Result};

/// Files as a source.
pub(crate) struct FileSource {
    name: Arc<str>,
    schema: SchemaRef,
    worker: Option<Worker>,
    /// The next batch, read while the caller works on the one before: one batch ahead, no more.
    ahead: Option<JoinHandle<(Worker, Result<Option<SourceBatch>>)>>,
}

impl FileSource {
    /// Finds the files, tells which of them have something new, and samples those.
    pub(crate) fn open(spec: SourceSpec, paths: &[String], cursor: &Cursor) -> Result<FileSource> {
        let root = Root::open("source", &spec.name, &spec.root)?;
        let mut marks = Marks::of(cursor).map_err(|error| {
            root.invalid(
                "the stored cursor",
                &format!("It was not written by a file source: {error}."),
            )
        })?;
        let name: Arc<str> = spec.name.as_str().into();
        let found = root.find(paths, marks.names())?;
        let found = found.iter().map(|found| Origin::new(&name, found)).collect();
        let pending = renamed::settle(&mut marks, found, spec.format)?;
        let schema = schema::of(&spec, &pending)?;
        let worker = Worker {
            format: spec.format,
            declared: !spec.columns.is_empty(),
            nulls: NullTexts::new(&spec.null_values),
            rows_max: spec.batch_rows_max.max(1),
            schema: Arc::clone(&schema),
            pending: pending.into(),
            current: None,
            marks,
        };
        Ok(FileSource { name, schema, worker: Some(worker), ahead: None })
    }
}

#[async_trait]
impl Source for FileSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// May be cancelled: the batch that was being read is then the next one.
    async fn read(&mut self) -> Result<Option<SourceBatch>> {
        if let Some(worker) = self.worker.take() {
            self.ahead = Some(spawn_blocking(|| worker.work()));
        }
        let Some(ahead) = self.ahead.as_mut() else { return Ok(None) };
        let joined = ahead.await;
        self.ahead = None;
        match joined {
            Ok((worker, batch)) => {
                match &batch {
                    Ok(Some(_)) => self.ahead = Some(spawn_blocking(|| worker.work())),
                    Ok(None) | Err(_) => self.worker = Some(worker),
                }
                batch
            }
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => {
                    Err(Error::Interrupted { connector: "source", name: self.name.to_string() })
                }
            },
        }
    }

    /// Does nothing: files stay where they are.
    async fn acknowledge(&mut self, _: &Cursor) -> Result<()> {
        Ok(())
    }
}

/// The part of the source that blocks.
struct Worker {
    format: Format,
    declared: bool,
    nulls: NullTexts,
    rows_max: usize,
    schema: SchemaRef,
    pending: VecDeque<Pending>,
    /// The file that is being read.
    current: Option<Current>,
    marks: Marks,
}

/// A file that is being read, and where its last batch ended.
struct Current {
    origin: Origin,
    start: Start,
    /// It was read before and is read again from its beginning.
    again: bool,
    /// A row that was taken before it was complete, for the next batch to tell of.
    withdrawn: Option<RecordBatch>,
    file: Open,
}

/// A reader of one file.
enum Open {
    Csv(Box<CsvFile>),
    Ndjson(NdjsonFile),
    Segment(SegmentFile),
    Parquet(ParquetFile),
}

impl Worker {
    fn work(mut self) -> (Worker, Result<Option<SourceBatch>>) {
        let batch = self.next();
        (self, batch)
    }

    fn next(&mut self) -> Result<Option<SourceBatch>> {
        let Current { origin, start, again, withdrawn, mut file } = match self.current.take() {
            Some(current) => current,
            None => {
                let Some(Pending { origin, start }) = self.pending.front() else { return Ok(None) };
                let opened = self.open_where_it_stands(origin, *start)?;
                self.pending.pop_front();
                opened
            }
        };
        let filled = match file.read(self.rows_max) {
            Ok(filled) => filled,
            Err(error) => {
                // Half a batch is in the columns: who tries again starts behind the last whole one.
                self.pending.push_front(Pending { origin, start });
                return Err(error);
            }
        };
        let at = file.at();
        let incomplete = file.waiting();
        let mark = Mark::new(&origin, file.plain(), file.stat(), at, filled.last)?;
        let name = origin.file.to_string();
        self.marks.files.insert(name.clone(), mark);
        let id = origin.id.to_string();
        if !filled.last {
            let start = Start::at(at);
            self.current = Some(Current { origin, start, again, withdrawn: None, file });
        }
        Ok(Some(SourceBatch {
            records: filled.records,
            positions: filled.positions,
            file: name,
            origin: id,
            rejected: filled.rejected,
            nulled: filled.nulled,
            ignored: filled.ignored,
            again,
            incomplete,
            provisional: filled.provisional,
            withdrawn,
            cursor: self.marks.cursor(),
        }))
    }

    /// Opens a file at `start`, or at its beginning if it was replaced since `start` was found.
    fn open_where_it_stands(&self, origin: &Origin, start: Start) -> Result<Current> {
        let (mut file, mut start, beginning) =
            (self.open(origin, start.at)?, start, Start::at(start_of(self.format)));
        let mark = self.marks.files.get(&*origin.file);
        if let Some(mark) = mark.filter(|_| start != beginning)
            && !mark.begins(origin, file.plain(), file.stat())?
        {
            (file, start) = (self.open(origin, beginning.at)?, beginning);
        }
        let withdrawn = match start.taken_until {
            Some(end) => self.row_between(origin, start.at, end)?,
            None => None,
        };
        let again = mark.is_some() && start == beginning;
        Ok(Current { origin: origin.clone(), start, again, withdrawn, file })
    }

    /// Returns the row that stood between `at` and `end` when the file ended there.
    fn row_between(&self, origin: &Origin, at: At, end: u64) -> Result<Option<RecordBatch>> {
        let (schema, nulls, declared) = (&self.schema, &self.nulls, self.declared);
        let mut file = CsvFile::open_until(origin, at, end, schema, nulls, declared)?;
        let records = file.read(1)?.records;
        Ok((records.num_rows() == 1).then_some(records))
    }

    fn open(&self, origin: &Origin, at: At) -> Result<Open> {
        let (schema, nulls, declared) = (&self.schema, &self.nulls, self.declared);
        Ok(match self.format {
            Format::Csv => Open::Csv(Box::new(CsvFile::open(origin, at, schema, nulls, declared)?)),
            Format::Ndjson => Open::Ndjson(NdjsonFile::open(origin, at, schema, nulls, declared)?),
            Format::Segment => Open::Segment(SegmentFile::open(origin, at, schema)?),
            Format::Parquet => {
                Open::Parquet(ParquetFile::open(origin, at, schema, nulls, self.rows_max)?)
            }
        })
    }
}

impl Open {
    fn read(&mut self, rows_max: usize) -> Result<Filled> {
        match self {
            Open::Csv(file) => file.read(rows_max),
            Open::Ndjson(file) => file.read(rows_max),
            Open::Segment(file) => file.read(rows_max),
            Open::Parquet(file) => file.read(rows_max),
        }
    }

    /// The text that is read, unless the file is no text.
    fn input(&self) -> Option<&Input> {
        match self {
            Open::Csv(file) => Some(file.input()),
            Open::Ndjson(file) => Some(file.input()),
            Open::Segment(file) => Some(file.input()),
            Open::Parquet(_) => None,
        }
    }

    /// Whether the file ends within a row.
    fn waiting(&self) -> bool {
        match self {
            Open::Csv(file) => file.waiting(),
            Open::Ndjson(file) => file.waiting(),
            Open::Segment(file) => file.waiting(),
            Open::Parquet(_) => false,
        }
    }

    /// The file itself, if its bytes are read as they are.
    fn plain(&self) -> Option<&File> {
        self.input().and_then(Input::plain_file)
    }

    fn stat(&self) -> Stat {
        match self {
            Open::Csv(file) => file.input().stat,
            Open::Ndjson(file) => file.input().stat,
            Open::Segment(file) => file.input().stat,
            Open::Parquet(file) => file.stat(),
        }
    }

    fn at(&self) -> At {
        match self {
            Open::Csv(file) => file.at(),
            Open::Ndjson(file) => file.at(),
            Open::Segment(file) => file.at(),
            Open::Parquet(file) => file.at(),
        }
    }
}
