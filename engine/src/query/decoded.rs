//! Parts of columns that were decoded for one statement and are at hand for the next.
//!
//! To open a file, read a page of each column and decode it costs a thousand times what it costs to take one row out of
//! it. So who asks for few rows takes them out of blocks of [`BLOCK_ROWS`] rows, which are kept for as long as there is
//! room. Files are immutable, so a block never goes stale. It holds the rows of everybody, like the file: whose rows
//! exist is asked of each statement's [`Access`](super::access::Access) before a block is looked into.
//!
//! To read all blocks of a file at once costs what it costs to read a dozen of them one by one, since each column has a
//! dictionary that all of its pages need. So the rest of a file is read ahead once a few blocks of it were asked for. What
//! scans read is kept once it was decoded [`DECODED_TIMES`] over, if it is small enough to stay.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::HashMap;
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, RowSelection, RowSelector};
use datafusion::parquet::arrow::async_reader::{
    ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder,
};
use futures::TryStreamExt;
use object_store::ObjectStore;
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::lake::FileEntry;
use crate::table_read::{StoreReader, adapt, read_footer};

/// Rows of one block: as many as a page has at most, and a whole number of blocks is a row group.
pub(super) const BLOCK_ROWS: u64 = 8_192;

/// Blocks of a file that are read one by one before the rest is read ahead.
const ONE_BY_ONE_MAX: usize = 4;

/// How often the rows of a scan are decoded before they are kept: what is read once is not worth its memory.
pub(super) const DECODED_TIMES: u64 = 2;

/// Scans that are counted at most; all are forgotten beyond that.
const SCANS_MAX: usize = 4_096;

/// Footers that are kept at most; all are dropped beyond that.
const FOOTERS_MAX: usize = 1_024;

/// A column and a block of a file.
type Place = (usize, u64);

/// The blocks of all files of a lake.
#[derive(Debug)]
pub(super) struct DecodedCache {
    /// Bytes of blocks that are kept at most; those that were used longest ago are dropped beyond that.
    bytes_max: usize,
    kept: Mutex<Kept>,
    footers: Mutex<HashMap<String, ArrowReaderMetadata>>,
    /// Files are read ahead one after the other.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By the path of the file.
    files: HashMap<String, HashMap<Place, Block>>,
    /// The columns of files that are read ahead, or were.
    ahead: HashSet<(String, Vec<usize>)>,
    /// Rows that scans have decoded of what they read, by what that is.
    scanned: HashMap<u64, u64>,
    bytes: usize,
    /// Counts look-ups.
    clock: u64,
}

#[derive(Debug)]
struct Block {
    values: ArrayRef,
    bytes: usize,
    used: u64,
}

/// A file that blocks are read from.
#[derive(Debug, Clone)]
pub(super) struct BlockFile {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) rows: u64,
    /// The columns of its table.
    pub(super) schema: SchemaRef,
    /// What keeps it from being deleted.
    #[expect(dead_code, reason = "it is held, not used")]
    pub(super) entry: FileEntry,
}

impl DecodedCache {
    /// Keeps at most so many bytes of blocks.
    pub(super) fn new(bytes_max: usize) -> Self {
        let (kept, footers, turn) = Default::default();
        Self { bytes_max, kept, footers, turn }
    }

    /// Returns how many bytes of one file, or of one scan, are read ahead at most.
    pub(super) fn ahead_bytes_max(&self) -> usize {
        self.bytes_max / 2
    }

    /// Returns one block of each of `columns`, or `None` if one of them is not at hand.
    pub(super) fn get(&self, path: &str, block: u64, columns: &[usize]) -> Option<Vec<ArrayRef>> {
        let mut kept = self.kept.lock();
        kept.clock += 1;
        let now = kept.clock;
        let file = kept.files.get_mut(path)?;
        let values = columns.iter().map(|column| {
            let block = file.get_mut(&(*column, block))?;
            block.used = now;
            Some(Arc::clone(&block.values))
        });
        values.collect()
    }

    /// Reads one block of those of `columns` that are not at hand, and keeps it.
    pub(super) async fn read(&self, file: &BlockFile, block: u64, columns: &[usize]) -> Result<()> {
        let absent: Vec<usize> = {
            let kept = self.kept.lock();
            let known = kept.files.get(&file.path);
            let is_absent =
                |column: &usize| known.is_none_or(|known| !known.contains_key(&(*column, block)));
            columns.iter().copied().filter(is_absent).collect()
        };
        if absent.is_empty() {
            return Ok(());
        }
        let start = block * BLOCK_ROWS;
        let rows = BLOCK_ROWS.min(file.rows.saturating_sub(start));
        let (schema, batches) = self.read_rows(file, start, rows, &absent).await?;
        let batch = concat_batches(&schema, &batches).map_err(DataFusionError::from)?;
        check_rows(file, start, batch.num_rows(), rows)?;
        self.keep(file, block, &absent, &batch);
        Ok(())
    }

    fn keep(&self, file: &BlockFile, block: u64, columns: &[usize], batch: &RecordBatch) {
        let mut kept = self.kept.lock();
        for (column, values) in columns.iter().zip(batch.columns()) {
            kept.insert(&file.path, (*column, block), compact(values), self.bytes_max);
        }
    }

    /// Returns one block of each of `columns`, which is read if it is not at hand.
    pub(super) async fn block(
        &self,
        file: &BlockFile,
        block: u64,
        columns: &[usize],
    ) -> Result<Vec<ArrayRef>> {
        loop {
            if let Some(values) = self.get(&file.path, block, columns) {
                return Ok(values);
            }
            self.read(file, block, columns).await?;
        }
    }

    /// Tells whether all of these blocks are at hand.
    pub(super) fn holds(
        &self,
        path: &str,
        mut blocks: impl Iterator<Item = u64>,
        columns: &[usize],
    ) -> bool {
        let kept = self.kept.lock();
        kept.files.get(path).is_some_and(|file| {
            blocks.all(|block| columns.iter().all(|column| file.contains_key(&(*column, block))))
        })
    }

    /// Tells, once, that what a scan reads was decoded so often that it should be kept: `rows` of `total` now.
    pub(super) fn is_due_whole(&self, scan: u64, rows: u64, total: u64) -> bool {
        let mut kept = self.kept.lock();
        if kept.scanned.len() >= SCANS_MAX && !kept.scanned.contains_key(&scan) {
            kept.scanned.clear();
        }
        let decoded = kept.scanned.entry(scan).or_default();
        let before = *decoded;
        *decoded += rows;
        let due = DECODED_TIMES * total;
        (before..*decoded).contains(&(due.saturating_sub(1)))
    }

    /// Reads all blocks of `columns` of the files of a scan and keeps them, if they are few enough to stay.
    pub(super) async fn keep_whole(&self, files: &[BlockFile], columns: &[usize]) -> Result<()> {
        let mut bytes = 0;
        for file in files {
            let footer = self.footer(file).await.map_err(|error| damaged(file, error.into()))?;
            bytes += decoded_bytes(&footer, file, columns);
        }
        if bytes > self.ahead_bytes_max() {
            return Ok(());
        }
        for file in files {
            self.read_ahead(file, columns).await?;
        }
        Ok(())
    }

    /// Tells, once, that so many blocks of `columns` were read that the others of the file should be, too.
    pub(super) fn is_due_ahead(&self, file: &BlockFile, columns: &[usize]) -> bool {
        let mut kept = self.kept.lock();
        let Some(known) = kept.files.get(&file.path) else { return false };
        let of = |at: usize| known.iter().filter(move |((column, _), _)| *column == at);
        let Some(read) = columns.iter().map(|column| of(*column).count()).min() else {
            return false;
        };
        let bytes: usize =
            columns.iter().flat_map(|column| of(*column)).map(|(_, block)| block.bytes).sum();
        let blocks = file.rows.div_ceil(BLOCK_ROWS) as usize;
        (ONE_BY_ONE_MAX..blocks).contains(&read)
            && bytes / read * blocks <= self.ahead_bytes_max()
            && kept.ahead.insert((file.path.clone(), columns.to_vec()))
    }

    /// Reads the blocks of `columns`, and keeps those that are not at hand.
    pub(super) async fn read_ahead(&self, file: &BlockFile, columns: &[usize]) -> Result<()> {
        let _turn = self.turn.lock().await;
        let mut rows = self.open(file, 0, file.rows, columns).await?;
        let mut block = 0;
        // Every row group but the last is a whole number of blocks, so that every batch is one.
        while let Some(batch) = rows.next().await? {
            let expected = BLOCK_ROWS.min(file.rows.saturating_sub(block * BLOCK_ROWS));
            check_rows(file, block * BLOCK_ROWS, batch.num_rows(), expected)?;
            if self.get(&file.path, block, columns).is_none() {
                self.keep(file, block, columns, &batch);
            }
            block += 1;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Reads a column of a whole file, which is not kept.
    pub(super) async fn read_column(&self, file: &BlockFile, column: usize) -> Result<ArrayRef> {
        let (schema, batches) = self.read_rows(file, 0, file.rows, &[column]).await?;
        let batch = concat_batches(&schema, &batches).map_err(DataFusionError::from)?;
        Ok(Arc::clone(batch.column(0)))
    }

    /// Reads rows of columns.
    async fn read_rows(
        &self,
        file: &BlockFile,
        start: u64,
        rows: u64,
        columns: &[usize],
    ) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let mut rows = self.open(file, start, rows, columns).await?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await? {
            batches.push(batch);
        }
        Ok((rows.schema, batches))
    }

    /// Begins to read rows of columns.
    async fn open<'a>(
        &self,
        file: &'a BlockFile,
        start: u64,
        rows: u64,
        columns: &[usize],
    ) -> Result<RowReader<'a>> {
        let damaged = |error| damaged(file, error);
        let footer = self.footer(file).await.map_err(|error| damaged(error.into()))?;
        let reader = StoreReader::new(Arc::clone(&file.store), &file.path, file.size);
        let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, footer);
        let schema = Arc::new(file.schema.project(columns).map_err(|error| damaged(error.into()))?);
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let mask = ProjectionMask::columns(builder.parquet_schema(), names);
        let wanted = RowSelection::from(vec![
            RowSelector::skip(start as usize),
            RowSelector::select(rows as usize),
            RowSelector::skip(file.rows.saturating_sub(start + rows) as usize),
        ]);
        let stream = builder
            .with_projection(mask)
            .with_row_selection(wanted)
            .with_batch_size(BLOCK_ROWS as usize)
            .build()
            .map_err(|error| damaged(error.into()))?;
        Ok(RowReader { file, schema, stream })
    }

    async fn footer(
        &self,
        file: &BlockFile,
    ) -> datafusion::parquet::errors::Result<ArrowReaderMetadata> {
        if let Some(footer) = self.footers.lock().get(&file.path) {
            return Ok(footer.clone());
        }
        let footer = read_footer(&file.store, &file.path, file.size).await?;
        let mut footers = self.footers.lock();
        if footers.len() >= FOOTERS_MAX {
            footers.clear();
        }
        footers.insert(file.path.clone(), footer.clone());
        Ok(footer)
    }
}

/// Rows of a file that are being read.
struct RowReader<'a> {
    file: &'a BlockFile,
    schema: SchemaRef,
    stream: ParquetRecordBatchStream<StoreReader>,
}

impl RowReader<'_> {
    /// Returns rows as the table has them; columns that the file was written without are null.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let batch = self.stream.try_next().await;
        let batch = batch.map_err(|error| damaged(self.file, error.into()))?;
        batch.map(|batch| adapt(&batch, &self.schema)).transpose()
    }
}

/// Checks that a block has as many rows as the log says.
fn check_rows(file: &BlockFile, start: u64, rows: usize, expected: u64) -> Result<()> {
    if rows as u64 == expected {
        return Ok(());
    }
    let path = &file.path;
    Err(Error::Corrupt {
        message: format!(
            "file \"{path}\" has {rows} rows from row {start} on, and the log says {expected}"
        ),
        source: None,
    })
}

fn damaged(file: &BlockFile, source: DataFusionError) -> Error {
    Error::Corrupt {
        message: format!("file \"{}\" of the lake cannot be read", file.path),
        source: Some(Box::new(source)),
    }
}

/// Returns about how many bytes columns of a file take once they are decoded.
fn decoded_bytes(footer: &ArrowReaderMetadata, file: &BlockFile, columns: &[usize]) -> usize {
    let stored = |name: &str| -> i64 {
        let chunks = footer.metadata().row_groups().iter().flat_map(|group| group.columns());
        let of_column = chunks
            .filter(|chunk| chunk.column_path().parts().first().is_some_and(|first| first == name));
        let bytes = of_column.map(|chunk| {
            chunk.unencoded_byte_array_data_bytes().unwrap_or_else(|| chunk.uncompressed_size())
        });
        bytes.sum()
    };
    let bytes = columns.iter().map(|column| {
        let field = file.schema.field(*column);
        let each = field.data_type().primitive_width().unwrap_or(size_of::<u128>());
        let beside = match field.data_type().is_primitive() {
            true => 0,
            false => usize::try_from(stored(field.name())).unwrap_or(0),
        };
        each * file.rows as usize + beside
    });
    bytes.sum()
}

/// Returns values that hold no others in memory.
fn compact(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Utf8View => Arc::new(values.as_string_view().gc()),
        DataType::BinaryView => Arc::new(values.as_binary_view().gc()),
        _ => Arc::clone(values),
    }
}

impl Kept {
    fn insert(&mut self, path: &str, place: Place, values: ArrayRef, bytes_max: usize) {
        let bytes = values.get_array_memory_size();
        if self.bytes + bytes > bytes_max {
            self.drop_older_half();
        }
        let block = Block { values, bytes, used: self.clock };
        self.bytes += bytes;
        let before = self.files.entry(path.to_owned()).or_default().insert(place, block);
        self.bytes -= before.map_or(0, |before| before.bytes);
    }

    fn drop_older_half(&mut self) {
        let mut uses: Vec<u64> =
            self.files.values().flat_map(HashMap::values).map(|block| block.used).collect();
        uses.sort_unstable();
        let median = uses.get(uses.len() / 2).copied().unwrap_or(0);
        for blocks in self.files.values_mut() {
            blocks.retain(|_, block| block.used > median);
        }
        self.files.retain(|_, blocks| !blocks.is_empty());
        self.ahead.clear();
        self.scanned.clear();
        self.bytes = self.files.values().flat_map(HashMap::values).map(|block| block.bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    fn block(of: i64) -> ArrayRef {
        Arc::new(Int64Array::from(vec![of; BLOCK_ROWS as usize]))
    }

    #[test]
    fn the_blocks_that_are_kept_fit_their_bound_and_are_the_last_used() {
        const BYTES_MAX: usize = 16 << 20;
        let cache = DecodedCache::new(BYTES_MAX);
        let each = block(0).get_array_memory_size();
        let blocks = 3 * BYTES_MAX / each;
        for number in 0..blocks {
            let (path, place) = (format!("file {}", number % 7), (0, number as u64));
            cache.kept.lock().insert(&path, place, block(number as i64), BYTES_MAX);
            // What is asked for again and again stays.
            assert!(cache.get("file 0", 0, &[0]).is_some(), "after {number} others");
            let kept = cache.kept.lock();
            assert!(kept.bytes <= BYTES_MAX);
            // All of them are thousands, which are added up now and then.
            if number % 61 == 0 {
                let bytes: usize =
                    kept.files.values().flat_map(HashMap::values).map(|block| block.bytes).sum();
                assert_eq!(bytes, kept.bytes);
            }
        }
        let last = blocks as u64 - 1;
        let values = cache.get(&format!("file {}", last % 7), last, &[0]).unwrap();
        assert_eq!(values[0].as_ref(), block(last as i64).as_ref() as &dyn Array);
        assert!(cache.get("file 1", 1, &[0]).is_none(), "it was used longest ago");
    }
}
