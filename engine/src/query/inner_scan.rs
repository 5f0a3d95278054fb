//! The scan below a leaf: out of memory where all that a partition reads is at hand, and out of the files where not.
//!
//! Both give the same rows in the same order. What is read again and again, and is small enough, is kept in memory as it
//! comes out of the files, by [`DecodedCache`]: to decode it costs several times what it costs to send it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use tokio::runtime::Handle;

use super::decoded::{BLOCK_ROWS, BlockFile, DecodedCache};
use super::runs::Range;

/// A scan of stored columns.
#[derive(Debug)]
pub(super) struct InnerScan {
    from_files: Arc<dyn ExecutionPlan>,
    /// Absent where it is too large to be kept.
    from_memory: Option<MemoryScan>,
}

/// The same scan out of memory.
#[derive(Debug, Clone)]
pub(super) struct MemoryScan {
    cache: Arc<DecodedCache>,
    files: Arc<[BlockFile]>,
    /// What each partition reads, in order.
    partitions: Vec<Arc<[Part]>>,
    /// The columns of the files: those that are handed on, and then those that only the filter needs.
    columns: Arc<[usize]>,
    /// As the batches have them that the filter looks at.
    schema: SchemaRef,
    handed_on: usize,
    /// What rows have to pass.
    filter: Option<Arc<dyn PhysicalExpr>>,
    /// Tells this scan from others.
    key: u64,
    rows: u64,
}

/// The rows of one file that a partition reads.
#[derive(Debug)]
pub(super) struct Part {
    /// The file's place among those that are read.
    pub(super) file: usize,
    pub(super) ranges: Vec<Range>,
}

impl InnerScan {
    /// Reads what `from_files` reads, out of memory where it is there.
    pub(super) fn new(from_files: Arc<dyn ExecutionPlan>, from_memory: Option<MemoryScan>) -> Self {
        Self { from_files, from_memory }
    }

    /// Reads the rows of one partition.
    pub(super) fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        if let Some(memory) = &self.from_memory {
            if memory.is_at_hand(partition) {
                return Ok(memory.execute(partition));
            }
            memory.note(partition);
        }
        self.from_files.execute(partition, context)
    }
}

impl MemoryScan {
    /// Reads `columns` of rows that pass `filter`, and hands on the first `handed_on` of them. Returns `None` if they are
    /// too many to be kept.
    pub(super) fn new(
        cache: Arc<DecodedCache>,
        files: Vec<BlockFile>,
        partitions: Vec<Vec<Part>>,
        columns: Vec<usize>,
        handed_on: usize,
        filter: Option<Arc<dyn PhysicalExpr>>,
    ) -> DataFusionResult<Option<Self>> {
        let Some(first) = files.first() else { return Ok(None) };
        let schema = Arc::new(first.schema.project(&columns)?);
        let rows = files.iter().map(|file| file.rows).sum::<u64>();
        let width = schema.fields().iter().map(|field| field.data_type().primitive_width());
        let width: usize = width.map(|width| width.unwrap_or(size_of::<u128>())).sum();
        if rows.saturating_mul(width as u64) > cache.ahead_bytes_max() as u64 {
            return Ok(None);
        }
        let mut key = DefaultHasher::new();
        files.iter().for_each(|file| file.path.hash(&mut key));
        columns.hash(&mut key);
        Ok(Some(Self {
            cache,
            files: files.into(),
            partitions: partitions.into_iter().map(Arc::from).collect(),
            columns: columns.into(),
            schema,
            handed_on,
            filter,
            key: key.finish(),
            rows,
        }))
    }

    fn is_at_hand(&self, partition: usize) -> bool {
        self.partitions[partition].iter().all(|part| {
            let blocks = part.ranges.iter().flat_map(|range| {
                range.start / BLOCK_ROWS..(range.start + range.rows).div_ceil(BLOCK_ROWS)
            });
            self.cache.holds(&self.files[part.file].path, blocks, &self.columns)
        })
    }

    /// Notes that a partition is decoded, and sees that what is read again and again is kept.
    fn note(&self, partition: usize) {
        let ranges = self.partitions[partition].iter().flat_map(|part| &part.ranges);
        let rows = ranges.map(|range| range.rows).sum();
        if !self.cache.is_due_whole(self.key, rows, self.rows) {
            return;
        }
        // Among the heavy statements, as who scans so much is one.
        let Ok(here) = Handle::try_current() else { return };
        let (cache, files, columns) =
            (Arc::clone(&self.cache), Arc::clone(&self.files), Arc::clone(&self.columns));
        here.spawn(async move {
            // Who reads the file and cannot is told why.
            if let Err(error) = cache.keep_whole(&files, &columns).await {
                tracing::debug!(%error, "what is read again and again could not be kept");
            }
        });
    }

    fn execute(&self, partition: usize) -> SendableRecordBatchStream {
        let strips = Strips::of(Arc::clone(&self.partitions[partition]));
        let handed_on = self.schema.project(&(0..self.handed_on).collect::<Vec<_>>());
        let schema = handed_on.map_or_else(|_| Arc::clone(&self.schema), Arc::new);
        let batches = stream::try_unfold((self.clone(), strips), |(scan, mut strips)| async move {
            let Some(strip) = strips.next() else { return Ok(None) };
            Ok(Some((scan.read(&strip).await?, (scan, strips))))
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }

    async fn read(&self, strip: &Strip) -> DataFusionResult<RecordBatch> {
        let read = self.cache.block(&self.files[strip.file], strip.block, &self.columns).await;
        let values = read.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let batch = strip.take(RecordBatch::try_new(Arc::clone(&self.schema), values)?)?;
        let batch = match &self.filter {
            None => batch,
            Some(filter) => {
                let passed = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
                filter_record_batch(&batch, passed.as_boolean())?
            }
        };
        match self.handed_on == self.columns.len() {
            true => Ok(batch),
            false => Ok(batch.project(&(0..self.handed_on).collect::<Vec<_>>())?),
        }
    }
}

/// Rows of one block.
#[derive(Debug, PartialEq, Eq)]
struct Strip {
    file: usize,
    block: u64,
    /// From which row of the block on how many.
    rows: Vec<(usize, usize)>,
}

impl Strip {
    fn take(&self, block: RecordBatch) -> DataFusionResult<RecordBatch> {
        if let [(start, rows)] = self.rows[..] {
            return Ok(match rows == block.num_rows() {
                true => block,
                false => block.slice(start, rows),
            });
        }
        let mut mask = BooleanBufferBuilder::new(block.num_rows());
        for (start, rows) in &self.rows {
            mask.append_n(start - mask.len(), false);
            mask.append_n(*rows, true);
        }
        mask.append_n(block.num_rows() - mask.len(), false);
        Ok(filter_record_batch(&block, &BooleanArray::new(mask.finish(), None))?)
    }
}

/// Cuts what a partition reads into blocks.
#[derive(Debug)]
struct Strips {
    parts: Arc<[Part]>,
    part: usize,
    range: usize,
    /// Rows of the range that are taken.
    taken: u64,
}

impl Strips {
    fn of(parts: Arc<[Part]>) -> Self {
        Self { parts, part: 0, range: 0, taken: 0 }
    }
}

impl Iterator for Strips {
    type Item = Strip;

    fn next(&mut self) -> Option<Strip> {
        let mut strip: Option<Strip> = None;
        while let Some(part) = self.parts.get(self.part) {
            let Some(range) = part.ranges.get(self.range) else {
                (self.part, self.range, self.taken) = (self.part + 1, 0, 0);
                match strip {
                    Some(strip) => return Some(strip),
                    None => continue,
                }
            };
            let (start, left) = (range.start + self.taken, range.rows - self.taken);
            let block = start / BLOCK_ROWS;
            if strip.as_ref().is_some_and(|strip| strip.block != block) {
                return strip;
            }
            let rows = left.min((block + 1) * BLOCK_ROWS - start);
            let file = part.file;
            let strip = strip.get_or_insert_with(|| Strip { file, block, rows: Vec::new() });
            strip.rows.push(((start % BLOCK_ROWS) as usize, rows as usize));
            self.taken += rows;
            if self.taken == range.rows {
                (self.range, self.taken) = (self.range + 1, 0);
            }
        }
        strip
    }
}
