//! Rows of a cursor that may go backward: what was read of its query is kept, within a bound, and read again from there.

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::error::DataFusionError;

use super::error::{WireError, sqlstate};
use super::limits::SCROLLED_BYTES_MAX;
use super::output::{Framing, Output, RowRun, Sent, WorkError};
use crate::dialect::FetchDirection;

/// Which rows a direction asks for, seen from where a cursor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// As many rows forward.
    Forward(usize),
    /// As many rows backward.
    Backward(usize),
    /// The row of this number, from 1.
    Row(usize),
    /// The row of this number counted from the end, from 1.
    FromEnd(usize),
    /// The row that the cursor stands on.
    Here,
    /// None: it goes before the first row.
    Start,
}

impl Step {
    /// Returns what `direction` asks for of a cursor at `position`: 0 before the first row, and one more than there are rows
    /// behind the last one.
    pub(crate) fn of(direction: FetchDirection, position: usize) -> Step {
        use FetchDirection as To;
        let count = |number: i64| usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
        match direction {
            To::Forward(0) | To::Backward(0) | To::Relative(0) => Step::Here,
            To::Forward(number) if number > 0 => Step::Forward(count(number)),
            To::Backward(number) if number < 0 => Step::Forward(count(number)),
            To::Forward(number) | To::Backward(number) => Step::Backward(count(number)),
            To::ForwardAll => Step::Forward(usize::MAX),
            To::BackwardAll => Step::Backward(usize::MAX),
            To::First => Step::Row(1),
            To::Last => Step::FromEnd(1),
            To::Absolute(0) => Step::Start,
            To::Absolute(number) if number > 0 => Step::Row(count(number)),
            To::Absolute(number) => Step::FromEnd(count(number)),
            To::Relative(number) if number > 0 => Step::Row(position.saturating_add(count(number))),
            To::Relative(number) => match position.saturating_sub(count(number)) {
                0 => Step::Start,
                row => Step::Row(row),
            },
        }
    }
}

/// What was read of the rows of a cursor, and where it stands.
#[derive(Debug, Default)]
pub(crate) struct Scroll {
    /// What was read, in order.
    batches: Vec<RecordBatch>,
    /// How many rows there are up to the end of each batch.
    ends: Vec<usize>,
    /// How many bytes that is; batches may share theirs.
    kept: RecordBatchMemoryCounter,
    /// Whether all was read.
    complete: bool,
    /// The number of the row that it stands on; 0 before the first, and one more than there are behind the last.
    position: usize,
}

impl Scroll {
    /// Returns how many bytes it keeps.
    pub(crate) fn bytes(&self) -> usize {
        self.kept.memory_usage()
    }

    /// Sends the rows that `direction` asks for, at most `rows_max`, and keeps at most `room` bytes.
    pub(crate) async fn send(
        &mut self,
        run: &mut RowRun,
        (direction, rows_max): (FetchDirection, u64),
        room: usize,
        framing: &mut Framing,
        output: &mut Output,
    ) -> Result<Sent, WorkError> {
        let most = usize::try_from(rows_max).unwrap_or(usize::MAX);
        let row = match Step::of(direction, self.position) {
            Step::Forward(count) => {
                return self.forward(run, count.min(most), room, framing, output).await;
            }
            Step::Backward(count) => return self.backward(count.min(most), framing, output).await,
            Step::Row(row) => {
                self.read(run, row, room, output).await?;
                row
            }
            Step::FromEnd(row) => {
                self.read(run, usize::MAX, room, output).await?;
                (self.total() + 1).saturating_sub(row)
            }
            Step::Here => self.position,
            Step::Start => 0,
        };
        self.position = row.min(self.total() + 1);
        if row == 0 || row > self.total() || most == 0 {
            return Ok(Sent { rows: 0, finished: true });
        }
        let (batch, at) = self.place(row);
        hand_over(&batch, at, 1, framing, output).await?;
        Ok(Sent { rows: 1, finished: true })
    }

    async fn forward(
        &mut self,
        run: &mut RowRun,
        count: usize,
        room: usize,
        framing: &mut Framing,
        output: &mut Output,
    ) -> Result<Sent, WorkError> {
        let mut rows = 0;
        while rows < count {
            let next = self.position + 1;
            self.read(run, next, room, output).await?;
            if next > self.total() {
                self.position = self.total() + 1;
                return Ok(sent(rows, true));
            }
            let (batch, at) = self.place(next);
            let many = (count - rows).min(batch.num_rows() - at);
            hand_over(&batch, at, many, framing, output).await?;
            rows += many;
            self.position += many;
        }
        Ok(sent(rows, false))
    }

    async fn backward(
        &mut self,
        count: usize,
        framing: &mut Framing,
        output: &mut Output,
    ) -> Result<Sent, WorkError> {
        let mut rows = 0;
        while rows < count {
            if self.position <= 1 {
                self.position = 0;
                return Ok(sent(rows, true));
            }
            let (batch, at) = self.place(self.position - 1);
            let many = (count - rows).min(at + 1);
            let places = (at + 1 - many..=at).rev().map(|place| place as u64);
            let places = UInt64Array::from_iter_values(places);
            let turned = take_record_batch(&batch, &places)
                .map_err(|error| WorkError::running(DataFusionError::from(error).into()))?;
            hand_over(&turned, 0, many, framing, output).await?;
            rows += many;
            self.position -= many;
        }
        Ok(sent(rows, false))
    }

    /// Reads on until there are so many rows, or there is no more.
    async fn read(
        &mut self,
        run: &mut RowRun,
        rows: usize,
        room: usize,
        output: &mut Output,
    ) -> Result<(), WorkError> {
        while !self.complete && self.total() < rows {
            let Some(batch) = run.read(output).await? else {
                self.complete = true;
                break;
            };
            self.kept.count_batch(&batch);
            if self.bytes() > room {
                let most = SCROLLED_BYTES_MAX >> 20;
                let message = format!("the scroll cursors of a session keep {most} MB at most");
                return Err(WireError::new(sqlstate::LIMIT_EXCEEDED, message)
                    .hint("Declare the cursor with NO SCROLL, or close others.")
                    .into());
            }
            self.ends.push(self.total() + batch.num_rows());
            self.batches.push(batch);
        }
        Ok(())
    }

    /// Returns how many rows were read.
    fn total(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Returns the batch with a row that was read, and its place there.
    fn place(&self, row: usize) -> (RecordBatch, usize) {
        let at = self.ends.partition_point(|end| *end < row);
        let before = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        (self.batches[at].clone(), row - before - 1)
    }
}

fn sent(rows: usize, finished: bool) -> Sent {
    Sent { rows: u64::try_from(rows).unwrap_or(u64::MAX), finished }
}

/// Sends rows of a batch.
async fn hand_over(
    batch: &RecordBatch,
    start: usize,
    count: usize,
    framing: &mut Framing,
    output: &mut Output,
) -> Result<(), WorkError> {
    let mut written = 0;
    while written < count {
        written += output.write_rows(framing, batch, start + written, count - written);
        output.relieve().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use tokio::sync::mpsc;

    use super::*;

    /// A cursor over five rows in two batches.
    fn five() -> RowRun {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let batch = |numbers: Vec<i64>| {
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(numbers))])
                .unwrap()
        };
        let batches = [batch(vec![1, 2, 3]), batch(vec![4, 5])].map(Ok);
        let stream = RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches));
        RowRun::new(Box::pin(stream), 0)
    }

    #[tokio::test]
    async fn a_cursor_stands_where_that_of_postgresql_does() {
        use FetchDirection as To;
        let (sender, _chunks) = mpsc::channel(1);
        let (mut output, mut run) = (Output::new(sender), five());
        let mut scroll = Scroll::default();
        for (at, (direction, rows, position)) in [
            (To::Backward(1), 0, 0),
            (To::Forward(2), 2, 2),
            (To::Backward(1), 1, 1),
            (To::Relative(0), 1, 1),
            (To::Backward(1), 0, 0),
            (To::Relative(0), 0, 0),
            (To::Last, 1, 5),
            (To::Forward(1), 0, 6),
            (To::Backward(2), 2, 4),
            (To::BackwardAll, 3, 0),
            (To::ForwardAll, 5, 6),
            (To::BackwardAll, 5, 0),
            (To::Absolute(4), 1, 4),
            (To::Relative(-3), 1, 1),
            (To::Relative(9), 0, 6),
            (To::Absolute(-2), 1, 4),
            (To::Absolute(-9), 0, 0),
            (To::First, 1, 1),
            (To::Backward(-4), 4, 5),
            (To::Absolute(0), 0, 0),
            (To::Forward(5), 5, 5),
            (To::Forward(-2), 2, 3),
            (To::Absolute(6), 0, 6),
        ]
        .into_iter()
        .enumerate()
        {
            let ask = (direction, u64::MAX);
            let sent = scroll
                .send(&mut run, ask, usize::MAX, &mut Framing::Skipped, &mut output)
                .await
                .unwrap();
            assert_eq!((sent.rows, scroll.position), (rows, position), "{at}: {direction:?}");
        }
    }

    #[tokio::test]
    async fn no_more_is_kept_than_there_is_room_for() {
        let (sender, _chunks) = mpsc::channel(1);
        let (mut output, mut run) = (Output::new(sender), five());
        let ask = (FetchDirection::Last, u64::MAX);
        let refused = Scroll::default()
            .send(&mut run, ask, 1, &mut Framing::Skipped, &mut output)
            .await
            .unwrap_err();
        let WorkError::Wire(refused) = refused else { panic!("{refused:?}") };
        assert_eq!(refused.sqlstate, sqlstate::LIMIT_EXCEEDED);
    }
}
