//! What a session runs just now, which is what a cancel is for.
//!
//! A session may have begun more than it runs: a cursor waits for the next time that it is asked for rows, and other
//! statements come and are cancelled meanwhile. So each statement has a [`Stop`] of its own, and whatever is asked for rows
//! is what runs.

use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use parking_lot::RwLock;

use super::Stop;

/// What a session runs.
#[derive(Debug, Default)]
pub(in crate::query) struct Running(RwLock<Arc<Stop>>);

impl Running {
    /// Begins to plan or to run something, and returns what stops it.
    pub(in crate::query) fn begin(&self) -> Arc<Stop> {
        let stop = Arc::default();
        *self.0.write() = Arc::clone(&stop);
        stop
    }

    /// Stops what runs; what was begun before and waits, and what comes, is not touched.
    pub(in crate::query) fn stop(&self) {
        std::mem::take(&mut *self.0.write()).stop();
    }

    /// Makes `rows`, which end with `stop`, what runs as often as somebody asks for more of them.
    pub(in crate::query) fn rows(
        self: &Arc<Self>,
        mut rows: SendableRecordBatchStream,
        stop: Arc<Stop>,
    ) -> SendableRecordBatchStream {
        let (running, schema) = (Arc::clone(self), rows.schema());
        let asked = stream::poll_fn(move |context| {
            running.resume(&stop);
            rows.poll_next_unpin(context)
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, asked))
    }

    fn resume(&self, stop: &Arc<Stop>) {
        // What was stopped may be asked once more before it is gone, when the next statement runs already.
        let runs = stop.check().is_err() || Arc::ptr_eq(&self.0.read(), stop);
        if !runs {
            *self.0.write() = Arc::clone(stop);
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use arrow::datatypes::{Schema, SchemaRef};
    use datafusion::error::Result;

    use super::*;

    /// Rows without end, which end with `stop`.
    fn rows(running: &Arc<Running>, stop: &Arc<Stop>) -> SendableRecordBatchStream {
        let schema: SchemaRef = Arc::new(Schema::empty());
        let (empty, asked) = (RecordBatch::new_empty(Arc::clone(&schema)), Arc::clone(stop));
        let batches = stream::repeat(())
            .map(move |()| -> Result<RecordBatch> { asked.check().map(|()| empty.clone()) });
        let batches = Box::pin(RecordBatchStreamAdapter::new(schema, batches));
        running.rows(batches, Arc::clone(stop))
    }

    #[tokio::test]
    async fn a_cancel_is_for_what_was_asked_for_rows_last() {
        let running = Arc::new(Running::default());
        let cursor = running.begin();
        let mut of_cursor = rows(&running, &cursor);
        assert!(of_cursor.next().await.unwrap().is_ok());
        let other = running.begin();
        let mut of_other = rows(&running, &other);
        assert!(of_other.next().await.unwrap().is_ok());
        running.stop();
        assert!(of_other.next().await.unwrap().is_err(), "it was cancelled");
        assert!(of_cursor.next().await.unwrap().is_ok(), "it waited meanwhile");
        running.stop();
        assert!(of_cursor.next().await.unwrap().is_err(), "it was asked for rows");
        let next = running.begin();
        assert!(of_cursor.next().await.unwrap().is_err());
        running.stop();
        assert!(next.check().is_err(), "what is over is no more what runs");
    }
}
