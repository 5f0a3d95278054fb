//! The contract between onefold and foreign systems: what a source yields, what a destination is given.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// A place records come from.
#[async_trait]
pub trait Source: Send {
    /// Returns the schema of every batch, as declared or as inferred when the source was opened.
    fn schema(&self) -> SchemaRef;
    /// Returns the next batch after the position reached so far, or `None` when the source is drained.
    async fn read(&mut self) -> Result<Option<SourceBatch>>;
    /// Tells the source that everything up to `cursor` is durable.
    async fn acknowledge(&mut self, cursor: &Cursor) -> Result<()>;
}

/// A place records are delivered to.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Returns where `delivery` becomes visible outside, before it does: what [`Receipt::location`] says afterwards. It
    /// never holds a credential, since it is kept.
    fn location(&self, delivery: &Delivery) -> Result<String>;
    /// Delivers every row of `delivery` or none, and answers with what became visible outside.
    async fn deliver(&self, delivery: Delivery) -> Result<Receipt>;
}

/// One batch of a source: rows that could be read, rows that could not, and the position behind both. A batch may hold
/// no row at all; its cursor counts nevertheless.
#[derive(Debug, Clone)]
pub struct SourceBatch {
    /// The rows, in the schema of [`Source::schema`].
    pub records: RecordBatch,
    /// For each row of `records`, its line (text formats, from 1) or row number (Parquet, from 1) in `file`.
    pub positions: UInt64Array,
    /// The file, relative to the source's root, that every row of this batch was read from.
    pub file: String,
    /// What tells the file from every other one that ever had its name, and stays when it is renamed: most often the
    /// name under which it was first read.
    pub origin: String,
    /// Rows that cannot be taken, with their reasons.
    pub rejected: Vec<Rejection>,
    /// For each column with values that did not parse: how many were made null. Their rows are kept.
    pub nulled: BTreeMap<String, u64>,
    /// For each name that stands in the rows but neither in the declared columns nor in the sample that the schema was
    /// inferred from: how many values were left out. At most [`SourceBatch::IGNORED_NAMES_MAX`] names.
    pub ignored: BTreeMap<String, u64>,
    /// Whether the file was read before and is read again from its beginning: its rows may be there already.
    pub again: bool,
    /// Whether the file ends within a row, which is read once it is complete.
    pub incomplete: bool,
    /// Whether the last of `records` ends with the file and not with a line. It is taken for whole; should the file go
    /// on with more of it, it is `withdrawn`.
    pub provisional: bool,
    /// A row that an earlier batch of the same origin ended with as `provisional` and that has grown since, as it was
    /// given then: it was never a row. The whole one stands at the beginning of this batch.
    pub withdrawn: Option<RecordBatch>,
    /// Where to resume after this batch.
    pub cursor: Cursor,
}

impl SourceBatch {
    /// How many unknown names one batch counts one by one.
    pub const IGNORED_NAMES_MAX: usize = 100;
}

/// A row that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The file, relative to the source's root.
    pub file: String,
    /// The line (text formats, from 1) or row (Parquet, from 1).
    pub position: u64,
    /// A stable code such as `bad_json_truncated`.
    pub reason: &'static str,
    /// What to do about it; never a value of the row.
    pub hint: String,
    /// The row as it was read, at most [`Rejection::RAW_BYTES_MAX`] bytes of it.
    pub raw: String,
}

impl Rejection {
    /// How much of a rejected row is kept, in bytes.
    pub const RAW_BYTES_MAX: usize = 4096;
}

/// How far a source was read: opaque to the engine, which stores it in the same commit as the records.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cursor(pub serde_json::Value);

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Comma separated values with a header line.
    Csv,
    /// One JSON object on a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
    /// One call of the Segment specification on a line of NDJSON.
    Segment,
}

/// A declared column of a source: its name as it stands in the file, and its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// The name as it stands in the source.
    pub name: String,
    /// The Arrow type that its values are read as.
    pub data_type: DataType,
}

/// Which connector to open, and on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorSpec {
    /// Files by path or glob; `.gz` and `.zst` are decompressed.
    File {
        /// Paths or globs, relative to the root.
        paths: Vec<String>,
    },
}

/// Everything needed to open a source.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    /// The source's name, for errors.
    pub name: String,
    /// Which connector.
    pub connector: ConnectorSpec,
    /// How to read it.
    pub format: Format,
    /// The declared columns; empty to infer them from a sample.
    pub columns: Vec<Column>,
    /// The schema of an earlier run: inference only ever adds columns to it.
    pub known_schema: Option<SchemaRef>,
    /// Texts that stand for null, besides the empty one.
    pub null_values: Vec<String>,
    /// The folder that relative paths start from and that no path may leave.
    pub root: PathBuf,
    /// Rows of one batch at most, taken and rejected together; [`SourceSpec::BATCH_ROWS_MAX`] is a good choice.
    pub batch_rows_max: usize,
}

impl SourceSpec {
    /// The usual bound on the rows of one batch.
    pub const BATCH_ROWS_MAX: usize = 65_536;
}

/// Everything needed to open a destination.
#[derive(Debug, Clone)]
pub struct DestinationSpec {
    /// The destination's name, for errors.
    pub name: String,
    /// Which connector: for files, one path with `{segment}`, `{sync}` and `{run}` in it.
    pub connector: ConnectorSpec,
    /// How to write it: CSV, NDJSON or Parquet.
    pub format: Format,
    /// The folder that relative paths start from and that no path may leave.
    pub root: PathBuf,
    /// What no delivery may overwrite.
    pub reserved: Reserved,
}

/// What no delivery may overwrite, each with the words that say what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Folders, with all that is in them; symlinks are resolved.
    pub folders: Vec<(PathBuf, String)>,
    /// Paths or globs of files, relative to the root.
    pub files: Vec<(String, String)>,
}

/// Why personal data leaves: a delivery cannot be built without it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Purpose(pub String);

/// Rows on their way out, for one purpose.
#[derive(Debug)]
pub struct Delivery {
    /// Why they leave.
    pub purpose: Purpose,
    /// The sync that sends them.
    pub sync: String,
    /// The segment they are members of, if any.
    pub segment: Option<String>,
    /// The run, unique for ever: delivering the same run twice replaces, never doubles.
    pub run: String,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// Their schema, also when there are none.
    pub schema: SchemaRef,
}

/// What became visible outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Where, such as a path: as [`Destination::location`] told.
    pub location: String,
    /// How many rows.
    pub rows: u64,
}
