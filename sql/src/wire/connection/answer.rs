//! How the outcome of a statement that is no query is told, and what is kept of rows that were not asked for yet.

use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryPool;
use engine::analytics::Notice;

use super::Connection;
use super::portal::Unsent;
use super::statement::How;
use crate::session::backend::Outcome;
use crate::wire::encode::{Format, IntervalStyle, RowEncoder, Zone};
use crate::wire::message;
use crate::wire::output::{Framing, Output, RowRun, Sent, WorkError};

/// How the outcome of a statement is told.
pub(super) struct Answer {
    formats: Vec<Format>,
    describe: bool,
    zone: Zone,
    intervals: IntervalStyle,
    memory: Option<Arc<dyn MemoryPool>>,
    rows_max: u64,
    /// What the session stands on.
    epoch: u64,
}

/// What was told of an outcome.
pub(super) struct Told {
    pub(super) tag: String,
    pub(super) notices: Vec<Notice>,
    pub(super) unsent: Option<Unsent>,
}

impl Answer {
    /// Sends the rows of an outcome, if it has some, and returns what is left to be told.
    pub(super) async fn send(
        self,
        outcome: Outcome,
        output: &mut Output,
    ) -> Result<Told, WorkError> {
        match outcome {
            Outcome::Done { tag, notices } => Ok(Told { tag, notices, unsent: None }),
            Outcome::Rows { tag, rows } => {
                let encoder = RowEncoder::new(&rows.schema(), &self.formats, self.zone)
                    .with_intervals(self.intervals);
                if self.describe {
                    message::row_description(&encoder, output.messages());
                }
                let mut run = Box::new(RowRun::new(rows, self.epoch).within(self.memory));
                let mut framing = Framing::Rows(encoder.clone());
                let sent = run.send(&mut framing, self.rows_max, output).await?;
                let unsent = (!sent.finished).then_some((run, encoder));
                Ok(Told { tag, notices: Vec::new(), unsent })
            }
        }
    }
}

impl Connection {
    /// Returns how the outcome of a statement is told.
    pub(super) fn answer(&self, how: &How<'_>) -> Answer {
        let (zone, intervals) = (self.session.settings.zone(), self.session.settings.intervals());
        let (formats, memory) = (how.formats.to_vec(), self.session.engine.memory());
        let (rows_max, epoch) = (how.rows_max, self.session.engine.status().epoch);
        Answer { formats, describe: how.describe, zone, intervals, memory, rows_max, epoch }
    }

    /// Notes what was told of a statement, and returns its tag.
    pub(super) fn note_told(&mut self, told: Told) -> String {
        for notice in told.notices {
            self.notice(&notice);
        }
        self.session.unsent = told.unsent;
        told.tag
    }

    /// Keeps the rows that a statement was not to send yet.
    pub(super) fn keep_unsent(&mut self, sent: Sent, unsent: Unsent) {
        self.session.unsent = (!sent.finished).then_some(unsent);
    }
}
