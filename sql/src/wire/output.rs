//! The way of rows from a query, on a runtime for statements, to the socket, on the network runtime.

use std::sync::Arc;
use std::task::Poll;

use arrow::array::RecordBatch;
use bytes::{Bytes, BytesMut};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use engine::lanes;
use futures::StreamExt;
use tokio::sync::mpsc;

use super::ahead::Ahead;
use super::copy::CopyEncoder;
use super::encode::RowEncoder;
use super::error::{Phase, WireError, sqlstate};
use super::limits::FLUSH_BYTES;
use super::message::DATA_ROW;

/// Why work on a runtime for statements ended without an answer.
#[derive(Debug)]
pub(crate) enum WorkError {
    /// The engine failed.
    Engine(engine::Error, Phase),
    /// The front itself refused, or the connection is gone.
    Wire(WireError),
}

impl WorkError {
    /// Wraps an error of planning.
    pub(crate) fn planning(error: engine::Error) -> WorkError {
        WorkError::Engine(error, Phase::Planning)
    }

    /// Wraps an error of running.
    pub(crate) fn running(error: engine::Error) -> WorkError {
        WorkError::Engine(error, Phase::Running)
    }
}

impl From<WireError> for WorkError {
    fn from(error: WireError) -> WorkError {
        WorkError::Wire(error)
    }
}

/// The bytes that work has written. What it has not flushed when it ends goes to the connection with its result.
pub(crate) struct Output {
    /// Whole messages.
    buffer: BytesMut,
    /// Whole messages of rows, behind these. They are moved to the socket, not copied, once they are many.
    rows: Vec<u8>,
    chunks: mpsc::Sender<Bytes>,
}

impl Output {
    /// Makes an empty output.
    pub(crate) fn new(chunks: mpsc::Sender<Bytes>) -> Output {
        Output { buffer: BytesMut::new(), rows: Vec::new(), chunks }
    }

    /// Returns where messages are appended.
    pub(crate) fn messages(&mut self) -> &mut BytesMut {
        self.buffer.extend_from_slice(&self.rows);
        self.rows.clear();
        &mut self.buffer
    }

    /// Returns what was not handed over.
    pub(crate) fn into_rest(mut self) -> BytesMut {
        std::mem::take(self.messages())
    }

    /// Hands over what there is, and waits for room if the client is slow.
    pub(crate) async fn flush(&mut self) -> Result<(), WorkError> {
        if self.rows.len() < FLUSH_BYTES {
            self.messages();
        }
        if !self.buffer.is_empty() {
            let chunk = self.buffer.split().freeze();
            self.hand_over(chunk).await?;
        }
        if !self.rows.is_empty() {
            // As much as the next chunk takes, unless the last one was of large rows.
            let room = self.rows.len().min(2 * FLUSH_BYTES) + FLUSH_BYTES / 8;
            let room = Vec::with_capacity(room);
            let chunk = std::mem::replace(&mut self.rows, room);
            self.hand_over(chunk.into()).await?;
        }
        Ok(())
    }

    /// Writes rows of a batch from `start` on, `rows_max` at most, and returns how many: at least one when there is one.
    pub(crate) fn write_rows(
        &mut self,
        framing: &mut Framing,
        batch: &RecordBatch,
        start: usize,
        rows_max: usize,
    ) -> usize {
        framing.write(batch, start, rows_max, &mut self.rows)
    }

    /// Writes the rows of a batch from `start` to `end`, and hands them over as they become many. Returns how many bytes each
    /// of the last of them took.
    pub(super) async fn write_all(
        &mut self,
        framing: &mut Framing,
        batch: &RecordBatch,
        (start, end): (usize, usize),
    ) -> Result<Option<usize>, WorkError> {
        let (mut row, mut row_bytes) = (start, None);
        while row < end {
            let before = self.rows.len();
            let written = self.write_rows(framing, batch, row, end - row);
            row += written;
            row_bytes = Some((self.rows.len() - before).div_ceil(written.max(1)));
            self.relieve().await?;
        }
        Ok(row_bytes)
    }

    /// Hands over what there is, and takes rows that were written elsewhere behind it.
    pub(super) async fn append(&mut self, rows: Vec<u8>) -> Result<(), WorkError> {
        if !self.buffer.is_empty() {
            let chunk = self.buffer.split().freeze();
            self.hand_over(chunk).await?;
        }
        let before = std::mem::replace(&mut self.rows, rows);
        if !before.is_empty() {
            self.hand_over(before.into()).await?;
        }
        Ok(())
    }

    /// Hands rows over once they are many.
    pub(crate) async fn relieve(&mut self) -> Result<(), WorkError> {
        match self.rows.len() >= FLUSH_BYTES {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    async fn hand_over(&self, chunk: Bytes) -> Result<(), WorkError> {
        self.chunks
            .send(chunk)
            .await
            .map_err(|_| WireError::new(sqlstate::QUERY_CANCELED, "the connection is gone").into())
    }
}

/// How rows are framed.
pub(crate) enum Framing {
    /// As DataRow messages.
    Rows(RowEncoder),
    /// As CopyData messages.
    Copy(CopyEncoder),
    /// Not at all: `MOVE` only counts them.
    Skipped,
}

impl Framing {
    /// Writes rows of a batch from `start` on at the end of `out`, `rows_max` at most, until there are many bytes. Returns how
    /// many it wrote: at least one when there is one.
    pub(super) fn write(
        &mut self,
        batch: &RecordBatch,
        start: usize,
        rows_max: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        match self {
            Framing::Rows(encoder) => {
                encoder.sized_rows(DATA_ROW, batch, start, rows_max, FLUSH_BYTES, out)
            }
            Framing::Copy(encoder) => encoder.copy_rows(batch, start, rows_max, FLUSH_BYTES, out),
            Framing::Skipped => rows_max.min(batch.num_rows() - start),
        }
    }

    /// Returns what another task writes rows with, besides this one; `None` if there is nothing to be written now.
    pub(super) fn for_another(&self) -> Option<Framing> {
        match self {
            Framing::Rows(encoder) => Some(Framing::Rows(encoder.clone())),
            Framing::Copy(encoder) => encoder.for_another().map(Framing::Copy),
            Framing::Skipped => None,
        }
    }
}

/// A result that is being sent: its stream, and the batch of which some rows were sent already.
pub(crate) struct RowRun {
    stream: SendableRecordBatchStream,
    batch: Option<(RecordBatch, usize)>,
    /// What the session stood on when the query began.
    pub(crate) epoch: u64,
    /// Whether it was started as a heavy statement, and so goes on as one.
    heavy: bool,
    /// How many bytes a row took, the last time that some were written.
    row_bytes: Option<usize>,
    /// What the stream gave when it was asked for a batch in advance and had none.
    given: Option<Option<DataFusionResult<RecordBatch>>>,
    /// Where rows count that are written ahead of the client. Without it none are.
    memory: Option<Arc<dyn MemoryPool>>,
}

/// Rows of a batch that are about to be sent: from `start` to `own` by the statement itself, and to `end` by others.
struct Due {
    batch: RecordBatch,
    start: usize,
    own: usize,
    end: usize,
    ahead: Ahead,
}

/// How far sending came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// How many rows.
    pub(crate) rows: u64,
    /// Whether none is left. Not known, hence false, when exactly as many came as were asked for.
    pub(crate) finished: bool,
}

impl RowRun {
    /// Takes a stream that has not been read.
    pub(crate) fn new(stream: SendableRecordBatchStream, epoch: u64) -> RowRun {
        let (batch, row_bytes, given, memory) = (None, None, None, None);
        RowRun { stream, batch, epoch, heavy: lanes::is_heavy(), row_bytes, given, memory }
    }

    /// Lets rows be written ahead of the client, as far as there is room for them in `memory`.
    pub(crate) fn within(mut self, memory: Option<Arc<dyn MemoryPool>>) -> RowRun {
        self.memory = memory;
        self
    }

    /// Takes rows that are all there.
    pub(crate) fn of(batch: RecordBatch, epoch: u64) -> RowRun {
        let rest = RecordBatchStreamAdapter::new(batch.schema(), futures::stream::empty());
        let (stream, batch) = (Box::pin(rest), Some((batch, 0)));
        RowRun { stream, batch, epoch, heavy: false, row_bytes: None, given: None, memory: None }
    }

    /// Writes rows that are all there, as many as `rows_max`.
    pub(crate) fn write(
        &mut self,
        encoder: &RowEncoder,
        rows_max: u64,
        buffer: &mut BytesMut,
    ) -> Sent {
        let mut rows = 0;
        if let Some((batch, start)) = self.batch.take() {
            let left = usize::try_from(rows_max).unwrap_or(usize::MAX);
            let mut messages = Vec::new();
            let written =
                encoder.sized_rows(DATA_ROW, &batch, start, left, usize::MAX, &mut messages);
            buffer.extend_from_slice(&messages);
            rows = u64::try_from(written).unwrap_or(0);
            if start + written < batch.num_rows() {
                self.batch = Some((batch, start + written));
            }
        }
        Sent { rows, finished: rows < rows_max }
    }

    /// Sends rows until `rows_max` are sent or none is left.
    pub(crate) async fn send(
        &mut self,
        framing: &mut Framing,
        rows_max: u64,
        output: &mut Output,
    ) -> Result<Sent, WorkError> {
        if self.heavy {
            lanes::go_heavy().await;
        }
        let (mut rows, mut next) = (0, None);
        while rows < rows_max {
            let due = match (next.take(), self.batch.take()) {
                (Some(due), _) => due,
                (None, Some((batch, start))) => self.due(framing, batch, start, rows_max - rows),
                (None, None) => match self.next_batch(output).await? {
                    Some(batch) => self.due(framing, batch, 0, rows_max - rows),
                    None => return Ok(Sent { rows, finished: true }),
                },
            };
            let Due { batch, start, own, end, ahead } = due;
            self.row_bytes = output.write_all(framing, &batch, (start, own)).await?;
            rows += u64::try_from(end - start).unwrap_or(0);
            // Whoever has written its part goes on with the next batch, and need not be woken for it.
            if ahead.is_shared()
                && rows < rows_max
                && let Some(batch) = self.batch_at_hand().await
            {
                next = Some(self.due(framing, batch, 0, rows_max - rows));
            }
            ahead.send(framing, &batch, output).await?;
            output.relieve().await?;
            if end < batch.num_rows() {
                self.batch = Some((batch, end));
            }
        }
        Ok(Sent { rows, finished: false })
    }

    /// Deals out the rows of `batch` from `start` on, `rows_max` at most, to those who write them.
    fn due(&self, framing: &Framing, batch: RecordBatch, start: usize, rows_max: u64) -> Due {
        let rows_max = usize::try_from(rows_max).unwrap_or(usize::MAX);
        let end = batch.num_rows().min(start.saturating_add(rows_max));
        let memory = self.memory.as_ref();
        let (own, ahead) = Ahead::begin(framing, &batch, (start, end), self.row_bytes, memory);
        Due { batch, start, own, end, ahead }
    }

    /// Reads the next batch of rows, of which none is sent.
    pub(crate) async fn read(
        &mut self,
        output: &mut Output,
    ) -> Result<Option<RecordBatch>, WorkError> {
        if self.heavy {
            lanes::go_heavy().await;
        }
        self.next_batch(output).await
    }

    /// Reads the values of the first row; none if there is no row.
    pub(crate) async fn first_row(&mut self) -> Result<Vec<ScalarValue>, WorkError> {
        while let Some(batch) = self.stream.next().await {
            let batch = batch.map_err(|error| WorkError::running(error.into()))?;
            if batch.num_rows() > 0 {
                let values =
                    batch.columns().iter().map(|column| ScalarValue::try_from_array(column, 0));
                return values
                    .collect::<Result<_, _>>()
                    .map_err(|error| WorkError::running(error.into()));
            }
        }
        Ok(Vec::new())
    }

    /// Waits for the next batch. If it is not there at once, the client first gets the rows that are.
    async fn next_batch(&mut self, output: &mut Output) -> Result<Option<RecordBatch>, WorkError> {
        loop {
            let next = match self.given.take() {
                Some(given) => given,
                None => match futures::poll!(self.stream.next()) {
                    Poll::Ready(next) => next,
                    Poll::Pending => {
                        output.flush().await?;
                        self.stream.next().await
                    }
                },
            };
            match next {
                None => return Ok(None),
                Some(Ok(batch)) if batch.num_rows() == 0 => {}
                Some(Ok(batch)) => return Ok(Some(batch)),
                Some(Err(error)) => return Err(WorkError::running(error.into())),
            }
        }
    }

    /// Returns the next batch of rows if it is there at once.
    async fn batch_at_hand(&mut self) -> Option<RecordBatch> {
        if self.given.is_some() {
            return None;
        }
        match futures::poll!(self.stream.next()) {
            Poll::Ready(Some(Ok(batch))) if batch.num_rows() > 0 => Some(batch),
            Poll::Ready(given) => {
                self.given = Some(given);
                None
            }
            Poll::Pending => None,
        }
    }
}
