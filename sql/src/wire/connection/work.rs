//! Work on the runtimes for statements, and everything that a connection watches while it waits for it.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use engine::lanes;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Connection, Stop, shutting_down, sleep};
use crate::wire::error::{Phase, Place, WireError, from_engine, sqlstate};
use crate::wire::frame;
use crate::wire::limits::{ANSWER_PATIENCE, CHUNKS_IN_FLIGHT_MAX, READ_AHEAD_BYTES_MAX};
use crate::wire::output::{Output, WorkError};
use crate::wire::server::Socket;

/// What work on those runtimes came to: an answer, or why there is none.
#[derive(Debug)]
pub(super) enum Halt {
    /// The work itself failed.
    Work(WorkError),
    /// It was stopped from outside.
    Stop(Stop),
}

impl Halt {
    /// Turns it into what the client is told; `place` is the statement that ran.
    pub(super) fn at(self, place: Place<'_>) -> Stop {
        match self {
            Halt::Work(WorkError::Engine(error, phase)) => {
                if phase == Phase::Running {
                    tracing::debug!("a statement failed while it ran");
                }
                Stop::from(from_engine(&error, phase, place))
            }
            Halt::Work(WorkError::Wire(error)) => {
                let parameter = (error.sqlstate == "42P02").then(|| place.of_word("$1"));
                let position = error.position.or(parameter.flatten());
                Stop::from(error.at(position))
            }
            Halt::Stop(stop) => stop,
        }
    }
}

impl Connection {
    /// Runs work on the runtime for statements, or on that for heavy ones once it turns out to be one, and writes what it
    /// hands over, until it is done or has to stop.
    ///
    /// What the work has written and not flushed is appended to `outbox`, also when it failed. When it is stopped, that
    /// is dropped with the work; since it hands over whole messages only, the client stays in step. What was said before
    /// the work began waits for it a moment and no longer: the client may want to see that one statement is done while
    /// the next one runs.
    pub(super) async fn on_cpu<T, W>(&mut self, work: W) -> Result<T, Halt>
    where
        T: Send + 'static,
        W: for<'a> FnOnce(&'a mut Output) -> BoxFuture<'a, Result<T, WorkError>> + Send + 'static,
    {
        let cancelled = self.registration.begin();
        let timeout = self.statement_timeout();
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let patience = Some(Instant::now() + ANSWER_PATIENCE);
        let (sender, mut chunks) = mpsc::channel(CHUNKS_IN_FLIGHT_MAX);
        let work = async move {
            let mut output = Output::new(sender);
            let result = work(&mut output).await;
            (output.into_rest(), result)
        };
        let heavy = self.shared.heavy.clone();
        let mut task = AbortOnDrop(self.shared.light.spawn(lanes::light_at_first(heavy, work)));
        let mut writing = Bytes::new();
        let (mut open, mut flushing) = (true, false);
        let halt = loop {
            tokio::select! {
                biased;
                () = self.registration.ended() => break shutting_down(),
                () = cancelled.cancelled() => {
                    break stopped("canceling statement due to user request");
                }
                () = sleep(deadline), if deadline.is_some() => {
                    break stopped("canceling statement due to statement timeout");
                }
                done = &mut task.0, if !open && writing.is_empty() && !flushing => {
                    self.registration.end();
                    return self.finish(done);
                }
                chunk = chunks.recv(), if open && writing.is_empty() && !flushing => match chunk {
                    Some(chunk) if self.outbox.is_empty() => writing = chunk,
                    Some(chunk) => {
                        self.outbox.extend_from_slice(&chunk);
                        writing = self.outbox.split().freeze();
                    }
                    None => open = false,
                },
                () = sleep(patience), if !self.outbox.is_empty() && writing.is_empty() && !flushing => {
                    writing = self.outbox.split().freeze();
                }
                written = write_some(&mut self.writer, &writing), if !writing.is_empty() || flushing => {
                    match written {
                        Ok(_) if flushing => flushing = false,
                        Ok(0) | Err(_) => break Stop::Closed(None),
                        Ok(count) => {
                            writing.advance(count);
                            flushing = writing.is_empty();
                        }
                    }
                }
                read = self.reader.read_buf(frame::with_room(&mut self.inbox)), if self.inbox.len() < READ_AHEAD_BYTES_MAX => {
                    match read {
                        Ok(0) | Err(_) => break Stop::Closed(None),
                        // The first byte is that of a message: a goodbye ends what runs.
                        Ok(_) if self.inbox.first() == Some(&b'X') => break Stop::Closed(None),
                        Ok(_) => {}
                    }
                }
            }
        };
        self.registration.end();
        self.session.engine.stop();
        // The rest of a message of which the client has a part comes before anything else.
        if !writing.is_empty() {
            let behind = self.outbox.split();
            self.outbox.extend_from_slice(&writing);
            self.outbox.extend_from_slice(&behind);
        }
        Err(Halt::Stop(halt))
    }

    fn finish<T>(
        &mut self,
        done: Result<(BytesMut, Result<T, WorkError>), tokio::task::JoinError>,
    ) -> Result<T, Halt> {
        let Ok((rest, result)) = done else {
            tracing::error!("a statement ended by a panic, which is a bug");
            let error = WireError::new(
                sqlstate::INTERNAL_ERROR,
                "internal error: the statement could not be finished",
            );
            return Err(Halt::Stop(Stop::Failed(error)));
        };
        if self.outbox.is_empty() {
            self.outbox = rest;
        } else {
            self.outbox.extend_from_slice(&rest);
        }
        result.map_err(Halt::Work)
    }

    /// Returns how long the next statement may run.
    fn statement_timeout(&self) -> Option<Duration> {
        let own = self.session.settings.timeout("statement_timeout");
        match (own, self.shared.limits.statement_timeout_max) {
            (Some(own), Some(most)) => Some(own.min(most)),
            (own, most) => own.or(most),
        }
    }
}

fn stopped(message: &'static str) -> Stop {
    Stop::Failed(WireError::new(sqlstate::QUERY_CANCELED, message))
}

/// Writes a part of a chunk; an empty one means that what was written before is to be pushed out.
async fn write_some(writer: &mut WriteHalf<Socket>, chunk: &[u8]) -> std::io::Result<usize> {
    if chunk.is_empty() { writer.flush().await.map(|()| 0) } else { writer.write(chunk).await }
}

/// A task that does not outlive its handle.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
