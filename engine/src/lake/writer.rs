//! Encoding rows into Parquet files of the lake.
//!
//! Rows come in batches, in the order in which they shall lie in the files. They are brought into the stored schema, cut
//! into files of at most [`FILE_ROWS_MAX`] rows, encoded off the runtime one row group at a time, and put into the store.
//! The files are durable when this returns, and invisible until they are committed; whoever never commits them leaves
//! orphans, which maintenance deletes.
//!
//! Only columns with statistics get any: neither the footer nor a page of another column holds its least or greatest
//! value. Every column has an offset index and a dictionary, identifiers have a bloom filter. The footer names no schema
//! but Parquet's and holds no key-value pairs.

use std::pin::pin;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use futures::{Stream, StreamExt, stream};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::file::{ColumnBounds, FileEntry, new_path};
use super::scan::ROW_GROUP_ROWS;
use super::schema::TableSchema;
use super::store::unavailable;
use super::table::Table;
use super::types::physical_batch;
use crate::{Error, Result};

/// How many rows a file has at most: a whole number of row groups.
pub(super) const FILE_ROWS_MAX: usize = 8 * ROW_GROUP_ROWS;
/// How many rows a page has at most.
const PAGE_ROWS_MAX: usize = 8_192;
/// How many rows are encoded before the writer looks at the size of a page.
const WRITE_BATCH_ROWS: usize = 1_024;
/// How many bytes a dictionary may have before a column goes on without one.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;
/// Files above this size are put in parts of this size.
const PART_BYTES: usize = 16 << 20;
/// How many bytes of a text stand in an index at most.
const INDEX_BYTES_MAX: usize = 64;
const ZSTD_LEVEL: i32 = 1;
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// How files are written.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// The schema to write, when the commit that adds the files also adds columns; the table's otherwise.
    pub schema: Option<TableSchema>,
    /// How many rows a file has at most, if fewer than usual.
    pub file_rows_max: Option<usize>,
}

/// Writes batches, whose rows are in the order of the table, into files; [`super::Commit`] makes them visible.
pub async fn write_files(
    table: &Table,
    batches: Vec<RecordBatch>,
    options: &WriteOptions,
) -> Result<Vec<FileEntry>> {
    write_stream(table, stream::iter(batches.into_iter().map(Ok)), options).await
}

/// Writes a stream of batches as [`write_files`] does, holding at most one row group of it in memory.
pub async fn write_stream(
    table: &Table,
    batches: impl Stream<Item = Result<RecordBatch>> + Send,
    options: &WriteOptions,
) -> Result<Vec<FileEntry>> {
    let schema = match &options.schema {
        Some(wider) => {
            let current = table.snapshot().table_schema.clone();
            current.widened(wider)?.map_or(current, Arc::new)
        }
        None => table.snapshot().table_schema.clone(),
    };
    let file_rows_max = options.file_rows_max.unwrap_or(FILE_ROWS_MAX).clamp(1, FILE_ROWS_MAX);
    let mut batches = pin!(batches);
    let mut files = Vec::new();
    let mut open: Option<OpenFile> = None;
    while let Some(batch) = batches.next().await {
        let mut rest = physical_batch(&batch?, &schema.fields)?;
        while rest.num_rows() > 0 {
            let mut file = match open.take() {
                Some(file) => file,
                None => OpenFile::new(table, &schema)?,
            };
            let taken = rest.num_rows().min(file_rows_max - file.rows);
            file.push(rest.slice(0, taken)).await?;
            rest = rest.slice(taken, rest.num_rows() - taken);
            match file.rows == file_rows_max {
                true => files.push(file.finish(table, &schema).await?),
                false => open = Some(file),
            }
        }
    }
    if let Some(file) = open {
        files.push(file.finish(table, &schema).await?);
    }
    Ok(files)
}

/// A file that is being written.
struct OpenFile {
    path: Arc<str>,
    /// Keeps the unfinished file from being taken for an orphan.
    pin: Arc<()>,
    encoder: Encoder,
    upload: Upload,
    /// Rows that wait to be encoded.
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    rows: usize,
}

impl OpenFile {
    fn new(table: &Table, schema: &TableSchema) -> Result<Self> {
        let path = new_path();
        let pin = table.0.pins.pin(&path);
        let target = table.file_path(&path);
        let upload = Upload { table: table.clone(), target, buffer: Vec::new(), parts: None };
        let encoder = Encoder::new(schema)?;
        Ok(Self { path, pin, encoder, upload, waiting: Vec::new(), waiting_rows: 0, rows: 0 })
    }

    async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        self.waiting_rows += batch.num_rows();
        self.waiting.push(batch);
        if self.waiting_rows < ROW_GROUP_ROWS {
            return Ok(());
        }
        let (encoder, waiting) =
            (std::mem::take(&mut self.encoder), std::mem::take(&mut self.waiting));
        self.waiting_rows = 0;
        let (encoder, bytes) = off_runtime(move || encoder.write(&waiting)).await?;
        self.encoder = encoder;
        self.upload.push(bytes).await
    }

    async fn finish(self, table: &Table, schema: &TableSchema) -> Result<FileEntry> {
        let Self { path, pin, encoder, mut upload, waiting, rows, .. } = self;
        let (bounded, fields) = (schema.stats_columns.clone(), schema.fields.clone());
        let (bytes, size, bounds) = off_runtime(move || {
            let (encoder, mut bytes) = encoder.write(&waiting)?;
            let (footer, metadata) = encoder.finish()?;
            bytes.extend(footer.bytes);
            Ok((bytes, footer.file_size, bounds(&metadata, &fields, &bounded)?))
        })
        .await?;
        upload.push(bytes).await?;
        upload.finish().await?;
        let written_ms = table.0.clock.now_us() / 1000;
        Ok(FileEntry { path, size, rows: rows as u64, written_ms, bounds: bounds.into(), pin })
    }
}

/// The Parquet writer, over a buffer that is emptied after each row group. It is absent only while it encodes.
#[derive(Default)]
struct Encoder(Option<ArrowWriter<Vec<u8>>>);

/// The end of a file.
struct Footer {
    bytes: Vec<u8>,
    file_size: u64,
}

impl Encoder {
    fn new(schema: &TableSchema) -> Result<Self> {
        let options = ArrowWriterOptions::new()
            .with_properties(properties(schema))
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema.fields.clone(), options);
        writer.map(|writer| Self(Some(writer))).map_err(|source| Error::Query(source.into()))
    }

    /// Encodes batches and returns the bytes that are final.
    fn write(mut self, batches: &[RecordBatch]) -> Result<(Self, Vec<u8>), ParquetError> {
        let writer = self.writer()?;
        batches.iter().try_for_each(|batch| writer.write(batch))?;
        let bytes = std::mem::take(writer.inner_mut());
        Ok((self, bytes))
    }

    fn finish(mut self) -> Result<(Footer, ParquetMetaData), ParquetError> {
        let writer = self.writer()?;
        let metadata = writer.finish()?;
        let file_size = writer.bytes_written() as u64;
        Ok((Footer { bytes: std::mem::take(writer.inner_mut()), file_size }, metadata))
    }

    fn writer(&mut self) -> Result<&mut ArrowWriter<Vec<u8>>, ParquetError> {
        self.0.as_mut().ok_or_else(|| ParquetError::General("the file failed before".into()))
    }
}

fn properties(schema: &TableSchema) -> WriterProperties {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).expect("1 is a level of zstd");
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_write_batch_size(WRITE_BATCH_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_index_truncate_length(Some(INDEX_BYTES_MAX))
        .set_statistics_truncate_length(Some(INDEX_BYTES_MAX));
    for name in &schema.stats_columns {
        properties = properties.set_column_statistics_enabled(
            ColumnPath::from(name.as_str()),
            EnabledStatistics::Page,
        );
    }
    for name in &schema.bloom_columns {
        let column = ColumnPath::from(name.as_str());
        // A filter is made for a full row group, and folded to what its values need when the row group ends.
        properties = properties
            .set_column_bloom_filter_fpp(column.clone(), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(column, ROW_GROUP_ROWS as u64);
    }
    properties.build()
}

/// Reads the bounds of a file from its footer, which has them for exactly the columns with statistics.
fn bounds(
    metadata: &ParquetMetaData,
    fields: &SchemaRef,
    columns: &[String],
) -> Result<Vec<ColumnBounds>, ParquetError> {
    let groups = metadata.row_groups();
    let parquet_schema = metadata.file_metadata().schema_descr();
    let bounds_of = |name: &String| {
        let converter = StatisticsConverter::try_new(name, fields, parquet_schema)?;
        let nulls = converter.row_group_null_counts(groups)?;
        Ok(ColumnBounds {
            column: name.as_str().into(),
            min: outermost(&converter.row_group_mins(groups)?, std::cmp::Ordering::Less)?,
            max: outermost(&converter.row_group_maxes(groups)?, std::cmp::Ordering::Greater)?,
            nulls: (nulls.null_count() == 0).then(|| nulls.values().iter().sum()),
        })
    };
    columns.iter().map(bounds_of).collect()
}

/// Returns the least or greatest of the values; `None` when there is none, or when any is unknown.
fn outermost(
    values: &dyn Array,
    wanted: std::cmp::Ordering,
) -> Result<Option<ScalarValue>, ParquetError> {
    let mut best: Option<ScalarValue> = None;
    for row in 0..values.len() {
        let value = ScalarValue::try_from_array(values, row)
            .map_err(|error| ParquetError::External(error.into()))?;
        if value.is_null() || value.data_type().is_floating() {
            return Ok(None);
        }
        match best.as_ref().map(|best| value.partial_cmp(best)) {
            None => best = Some(value),
            Some(Some(order)) if order == wanted => best = Some(value),
            Some(_) => {}
        }
    }
    Ok(best)
}

/// Bytes on their way into the store: in one piece, or in parts when there are many.
struct Upload {
    table: Table,
    target: Path,
    buffer: Vec<u8>,
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    async fn push(&mut self, bytes: Vec<u8>) -> Result<()> {
        match self.buffer.is_empty() {
            true => self.buffer = bytes,
            false => self.buffer.extend_from_slice(&bytes),
        }
        while self.buffer.len() > PART_BYTES {
            let rest = self.buffer.split_off(PART_BYTES);
            let part = std::mem::replace(&mut self.buffer, rest);
            let outcome = self.put_part(part).await;
            self.settle(outcome).await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.buffer);
        let outcome = match self.parts.is_some() {
            false => self.table.0.store.put(&self.target, bytes.into()).await.map(|_| ()),
            true => match self.put_part(bytes).await {
                Ok(()) => match self.parts.as_mut() {
                    Some(parts) => parts.complete().await.map(|_| ()),
                    None => Ok(()),
                },
                failed => failed,
            },
        };
        self.settle(outcome).await
    }

    async fn put_part(&mut self, part: Vec<u8>) -> Result<(), object_store::Error> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None => self.parts.insert(self.table.0.store.put_multipart(&self.target).await?),
        };
        parts.put_part(part.into()).await
    }

    /// Turns a failure of the store into ours, after clearing away the parts.
    async fn settle(&mut self, outcome: Result<(), object_store::Error>) -> Result<()> {
        let Err(source) = outcome else { return Ok(()) };
        if let Some(mut parts) = self.parts.take()
            && let Err(error) = parts.abort().await
        {
            tracing::warn!(%error, file = %self.target, "an unfinished upload could not be cleared away");
        }
        Err(unavailable(format_args!("write to table \"{}\"", self.table.path()), source))
    }
}

/// Encodes on a thread that may be busy for long.
async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ParquetError> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(|source| Error::Query(source.into())),
        Err(source) => Err(Error::Unavailable {
            message: "encoding a file was interrupted".into(),
            source: Some(Box::new(source)),
        }),
    }
}
