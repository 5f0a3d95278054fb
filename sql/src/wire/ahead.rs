//! Large batches of rows, written by several tasks at a time and sent in their order.
//!
//! ```text
//!  batch -> first part : written by the statement itself, and sent as it goes
//!        \> other parts: each written ahead by a task, within a bound, and sent when their turn comes
//! ```
//!
//! What is read of a lake comes faster than one core writes it as messages. Only a [heavy](engine::lanes) statement has its
//! rows written so: the tasks are of its runtime, whose threads have stepped back. They end with the statement. What they
//! have written and a slow reader has not taken counts among the memory of the statements; where that has no room, the
//! statement writes all rows itself.

use std::panic::resume_unwind;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use engine::lanes;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::limits::{AHEAD_BYTES_MAX, AHEAD_ROWS_MIN, AHEAD_TASKS_MAX, FLUSH_BYTES};
use super::output::{Framing, Output, WorkError};

/// What a task has written of its part.
struct Written {
    /// Whole messages.
    chunks: Vec<Vec<u8>>,
    /// The first row that is not in them.
    end: usize,
    /// The room that they take.
    held: MemoryReservation,
}

/// A part of a batch.
struct Part {
    end: usize,
    task: JoinSet<Written>,
}

/// The parts of a batch that tasks write.
#[derive(Default)]
pub(super) struct Ahead {
    parts: Vec<Part>,
    /// A worker keeps the task that it has spawned last for itself, and lets others have those before it: this one does
    /// nothing, so that they have all the parts.
    _last: JoinSet<()>,
}

impl Ahead {
    /// Lets tasks write parts of the rows of `batch` from `start` to `end`, if that is worth while. Returns where the first
    /// part ends, which nobody writes yet, and the others. `row_bytes` is how many bytes a row took so far, and `memory` is
    /// where they count.
    pub(super) fn begin(
        framing: &Framing,
        batch: &RecordBatch,
        (start, end): (usize, usize),
        row_bytes: Option<usize>,
        memory: Option<&Arc<dyn MemoryPool>>,
    ) -> (usize, Ahead) {
        let alone = (end, Ahead::default());
        let rows = end - start;
        let known = row_bytes.zip(memory).filter(|_| rows >= 2 * AHEAD_ROWS_MIN);
        let Some((row_bytes, memory)) = known else { return alone };
        if !lanes::is_heavy() || row_bytes.saturating_mul(AHEAD_ROWS_MIN) > AHEAD_BYTES_MAX {
            return alone;
        }
        let writers = Handle::current().metrics().num_workers().min(AHEAD_TASKS_MAX + 1);
        let each = rows.div_ceil(writers.min(rows / AHEAD_ROWS_MIN).max(1));
        let (others, part_bytes) = ((rows - 1) / each, part_bytes(each, row_bytes));
        let memory = MemoryConsumer::new("rows written ahead").register(memory);
        if memory.try_grow(others * part_bytes).is_err() {
            return alone;
        }
        let mut parts = Vec::new();
        for from in (start + each..end).step_by(each) {
            let Some(mut framing) = framing.for_another() else { return alone };
            let (batch, end) = (batch.clone(), end.min(from + each));
            let held = memory.split(part_bytes);
            let mut task = JoinSet::new();
            task.spawn(async move { write(&mut framing, &batch, (from, end), held) });
            parts.push(Part { end, task });
        }
        let mut last = JoinSet::new();
        if !parts.is_empty() {
            last.spawn(async {});
        }
        (end.min(start + each), Ahead { parts, _last: last })
    }

    /// Tells whether others write a part.
    pub(super) fn is_shared(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Sends what the tasks have written, in order, and writes what they have left.
    pub(super) async fn send(
        self,
        framing: &mut Framing,
        batch: &RecordBatch,
        output: &mut Output,
    ) -> Result<(), WorkError> {
        for Part { end, mut task } in self.parts {
            let written = match task.join_next().await {
                Some(Ok(written)) => written,
                Some(Err(failed)) if failed.is_panic() => resume_unwind(failed.into_panic()),
                // The process ends, and nobody is left to be answered.
                _ => std::future::pending().await,
            };
            for chunk in written.chunks {
                let bytes = chunk.capacity();
                output.append(chunk).await?;
                written.held.shrink(bytes);
            }
            output.write_all(framing, batch, (written.end, end)).await?;
        }
        Ok(())
    }
}

/// Returns what a part of so many rows will take, about.
fn part_bytes(rows: usize, row_bytes: usize) -> usize {
    rows.saturating_mul(row_bytes).min(AHEAD_BYTES_MAX) + 2 * FLUSH_BYTES
}

/// Writes rows from `start` to `end`, until they take too many bytes, into the room that is `held` for them.
fn write(
    framing: &mut Framing,
    batch: &RecordBatch,
    (start, end): (usize, usize),
    held: MemoryReservation,
) -> Written {
    let (mut chunks, mut bytes, mut row) = (Vec::new(), 0, start);
    while row < end && bytes < AHEAD_BYTES_MAX {
        let mut chunk = Vec::with_capacity(FLUSH_BYTES + FLUSH_BYTES / 8);
        row += framing.write(batch, row, end - row, &mut chunk);
        bytes += chunk.len();
        chunks.push(chunk);
    }
    held.resize(chunks.iter().map(Vec::capacity).sum());
    Written { chunks, end: row, held }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use datafusion::error::DataFusionError;
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use tokio::sync::mpsc;

    use super::*;
    use crate::dialect::{CopyFormat, CopyHeader, CopyOptions, Forced};
    use crate::wire::copy::CopyEncoder;
    use crate::wire::encode::{Format, IntervalStyle, RowEncoder, Zone};
    use crate::wire::output::RowRun;

    /// A batch of rows of which those from `wide_from` on have long texts.
    fn batch(rows: usize, wide_from: usize) -> RecordBatch {
        let numbers = Int64Array::from_iter_values(0..rows as i64);
        let text = |row: usize| match row < wide_from {
            true => format!("row {row}"),
            false => "wide ".repeat(AHEAD_BYTES_MAX / 1_024),
        };
        let texts: StringArray = (0..rows).map(|row| Some(text(row))).collect();
        let columns: [(&str, ArrayRef); 2] = [("n", Arc::new(numbers)), ("s", Arc::new(texts))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn memory(bytes_max: usize) -> Arc<dyn MemoryPool> {
        Arc::new(GreedyMemoryPool::new(bytes_max))
    }

    /// Returns the messages of rows, behind which their query `fails` or ends, and how many rows they are if it ends.
    async fn sent(
        batches: Vec<RecordBatch>,
        framing: Framing,
        rows_max: u64,
        fails: bool,
    ) -> (Vec<u8>, Option<u64>) {
        let (sender, mut chunks) = mpsc::channel(1);
        let (mut output, mut framing) = (Output::new(sender), framing);
        let schema = batches[0].schema();
        let failure = fails.then(|| Err(DataFusionError::Execution("it fails here".into())));
        let stream = futures::stream::iter(batches.into_iter().map(Ok).chain(failure));
        let stream = RecordBatchStreamAdapter::new(schema, stream);
        let mut run = RowRun::new(Box::pin(stream), 0).within(Some(memory(64 << 20)));
        let sending = async move {
            let sent = run.send(&mut framing, rows_max, &mut output).await.ok();
            (output.into_rest(), sent.map(|sent| sent.rows))
        };
        let receiving = async {
            let mut all = Vec::new();
            while let Some(chunk) = chunks.recv().await {
                all.extend_from_slice(&chunk);
            }
            all
        };
        let ((rest, rows), mut all) = tokio::join!(sending, receiving);
        all.extend_from_slice(&rest);
        (all, rows)
    }

    fn framings(batch: &RecordBatch) -> Vec<Framing> {
        let schema = batch.schema();
        let copy = |format, delimiter| {
            let options = CopyOptions {
                format,
                header: CopyHeader::None,
                delimiter,
                null: "\\N".into(),
                quote: b'"',
                escape: b'"',
                force_quote: Forced::None,
                force_not_null: Forced::None,
                force_null: Forced::None,
            };
            let intervals = IntervalStyle::Postgres;
            Framing::Copy(CopyEncoder::new(&schema, options, Zone::utc(), intervals))
        };
        let rows = |format| Framing::Rows(RowEncoder::new(&schema, &[format], Zone::utc()));
        vec![
            rows(Format::Text),
            rows(Format::Binary),
            copy(CopyFormat::Text, b'\t'),
            copy(CopyFormat::Csv, b','),
            copy(CopyFormat::Binary, b'\t'),
        ]
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn rows_come_in_their_order_whoever_has_written_them() {
        // The second batch is shared by tasks, and in the third they find more than they may write ahead.
        let batches = [batch(100, 100), batch(8_192, 8_192), batch(8_192, 7_000), batch(3, 3)];
        for (rows_max, fails) in [(u64::MAX, false), (100 + 5_000, false), (u64::MAX, true)] {
            let places = framings(&batches[0]).into_iter().zip(framings(&batches[0]));
            for (place, (here, among_the_heavy)) in places.enumerate() {
                let (expected, rows) = sent(batches.to_vec(), here, rows_max, fails).await;
                assert_eq!(rows.is_none(), fails);
                let batches = batches.to_vec();
                let work = async move {
                    lanes::go_heavy().await;
                    sent(batches, among_the_heavy, rows_max, fails).await
                };
                let (found, found_rows) = lanes::light_at_first(Handle::current(), work).await;
                assert_eq!(rows, found_rows);
                assert!(found == expected, "framing {place}: not the same bytes");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn only_many_rows_of_a_heavy_statement_are_shared() {
        let large = batch(8_192, 8_192);
        let framing = framings(&large).remove(0);
        let memory = memory(64 << 20);
        let parts =
            |row_bytes| Ahead::begin(&framing, &large, (0, 8_192), row_bytes, Some(&memory));
        assert!(parts(Some(50)).1.parts.is_empty(), "it is not heavy");
        let large = large.clone();
        let framing = framings(&large).remove(0);
        let work = async move {
            lanes::go_heavy().await;
            let parts = |rows, row_bytes| {
                let (end, ahead) =
                    Ahead::begin(&framing, &large, (0, rows), row_bytes, Some(&memory));
                let ends = ahead.parts.iter().map(|part| part.end);
                [end].into_iter().chain(ends).collect::<Vec<_>>()
            };
            assert_eq!(parts(8_192, Some(50)), [2_731, 5_462, 8_192]);
            assert_eq!(parts(8_192, None), [8_192], "nobody knows how wide they are");
            assert_eq!(parts(8_192, Some(1 << 20)), [8_192], "they are wide");
            assert_eq!(parts(1_000, Some(50)), [1_000], "they are few");
        };
        lanes::light_at_first(Handle::current(), work).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn what_is_written_ahead_counts_until_it_is_taken() {
        let large = batch(8_192, 8_192);
        let mut framing = framings(&large).remove(0);
        let work = async move {
            lanes::go_heavy().await;
            let (full, roomy) = (memory(64 << 10), memory(64 << 20));
            let ahead = {
                let rows = (0, 8_192);
                let parts = |memory| Ahead::begin(&framing, &large, rows, Some(50), Some(memory)).1;
                assert!(!parts(&full).is_shared(), "there is no room");
                assert_eq!(full.reserved(), 0);
                parts(&roomy)
            };
            assert!(ahead.is_shared() && roomy.reserved() > 0);
            let (sender, mut chunks) = mpsc::channel(1);
            let mut output = Output::new(sender);
            let sending = async move {
                ahead.send(&mut framing, &large, &mut output).await.unwrap();
            };
            let receiving = async { while chunks.recv().await.is_some() {} };
            tokio::join!(sending, receiving);
            assert_eq!(roomy.reserved(), 0);
        };
        lanes::light_at_first(Handle::current(), work).await;
    }
}
