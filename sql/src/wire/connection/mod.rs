//! One connection after its log-in: messages in, answers out.
//!
//! Answers gather in `outbox` and are written when the connection is about to wait, so that a pipeline of messages gets
//! its answers in few packets. Statements run through [`Connection::on_cpu`], which is the only place where a connection
//! waits for the engine: it goes on reading meanwhile, and stops the work at once when it is cancelled, when its time is
//! over, when the client has gone and when the server shuts down.

mod activity;
mod admitted;
mod answer;
mod copy_in;
mod cursor;
mod explained;
mod extended;
mod listen;
mod portal;
mod query;
mod setting;
mod statement;
mod transaction;
mod work;
mod write;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pgwire::messages::response::TransactionStatus;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::cancel::Registration;
use super::error::{WireError, sqlstate};
use super::frame::{self, Frontend};
use super::limits::{FLUSH_BYTES, IDLE_BUFFER_BYTES_MAX};
use super::message;
use super::server::{Shared, Socket};
use crate::session::backend::QuerySession;
use crate::session::{Settings, Transaction, TransactionState};
pub(super) use admitted::Admitted;
use cursor::Cursor;
use listen::Listening;
use portal::{Portal, Prepared, Unsent};
use work::Halt;

/// How long a goodbye may take to be written.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the handling of a message stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The statement failed; the connection goes on.
    Failed(WireError),
    /// The connection ends, with a last word or without.
    Closed(Option<WireError>),
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Stop {
        match error.severity {
            super::error::Severity::Error => Stop::Failed(error),
            super::error::Severity::Fatal => Stop::Closed(Some(error)),
        }
    }
}

/// The result of handling a message.
pub(super) type Run<T> = Result<T, Stop>;

/// What a session holds.
struct Session {
    engine: Arc<dyn QuerySession>,
    settings: Settings,
    transaction: Transaction,
    statements: HashMap<String, Arc<Prepared>>,
    portals: HashMap<String, Portal>,
    cursors: HashMap<String, Cursor>,
    /// The rows of the statement that ran last which it was not to send yet, until a portal or cursor has them.
    unsent: Option<Unsent>,
    /// How many portals and cursors were opened.
    opened: u64,
    listening: Listening,
}

/// One connection.
pub(super) struct Connection {
    reader: ReadHalf<Socket>,
    writer: WriteHalf<Socket>,
    inbox: BytesMut,
    outbox: BytesMut,
    shared: Arc<Shared>,
    registration: Registration,
    session: Session,
    /// After an error of the extended protocol: everything up to the next Sync is ignored.
    skipping: bool,
    /// Whether the client was told that the next statement may come, and has said nothing since.
    at_rest: bool,
}

impl Connection {
    /// Serves the connection until either side ends it.
    pub(super) async fn run(mut self) {
        let Err(stop) = self.serve().await else { return };
        if let Stop::Closed(Some(error)) | Stop::Failed(error) = stop {
            message::error(&error.into_fatal(), &mut self.outbox);
            let _ = tokio::time::timeout(GOODBYE_TIMEOUT, async {
                self.writer.write_all_buf(&mut self.outbox).await?;
                self.writer.shutdown().await
            })
            .await;
        }
    }

    async fn serve(&mut self) -> Run<()> {
        loop {
            let message = self.next().await?;
            self.at_rest = false;
            match message {
                Frontend::Terminate => return Err(Stop::Closed(None)),
                Frontend::Sync => {
                    let mut failed = std::mem::take(&mut self.skipping);
                    if let Err(stop) = self.commit_implicit(failed).await {
                        let Stop::Failed(error) = stop else { return Err(stop) };
                        self.fail(&error);
                        failed = true;
                    }
                    self.end_implicit_transaction(failed).await?;
                    self.ready();
                    self.flush().await?;
                }
                // It ends a series as one that can be read does.
                Frontend::Unreadable { kind: b'S', error } => {
                    self.skipping = false;
                    self.end_query(Err(error.into())).await?;
                }
                Frontend::CopyData(_) | Frontend::CopyDone | Frontend::CopyFail => {}
                // What has failed takes all with it that comes before the Sync, a simple query as well.
                _ if self.skipping => {}
                Frontend::Query(text) => {
                    let done = self.simple_query(&text).await;
                    self.end_query(done).await?;
                }
                Frontend::Unreadable { kind: b'Q', error } => {
                    self.end_query(Err(error.into())).await?;
                }
                Frontend::Flush => self.flush().await?,
                Frontend::FunctionCall => {
                    let error = WireError::new(
                        sqlstate::FEATURE_NOT_SUPPORTED,
                        "function calls are not supported",
                    )
                    .hint("Call the function in a SELECT.");
                    self.end_query(Err(error.into())).await?;
                }
                message => match self.extended(message).await {
                    Err(Stop::Failed(error)) => {
                        self.fail(&error);
                        self.skipping = true;
                        // What the series has done and holds ends here, however long its Sync takes to come.
                        self.end_implicit_transaction(true).await?;
                    }
                    done => done?,
                },
            }
            if self.outbox.len() >= FLUSH_BYTES {
                self.flush().await?;
            }
        }
    }

    /// Ends what a message of the simple protocol asked for.
    async fn end_query(&mut self, done: Run<()>) -> Run<()> {
        let failed = match done {
            Err(Stop::Failed(error)) => {
                self.fail(&error);
                true
            }
            done => {
                done?;
                false
            }
        };
        self.session.transaction.note_text(0);
        self.end_implicit_transaction(failed).await?;
        self.ready();
        Ok(())
    }

    /// Tells the client about an error, and notes it in the transaction.
    fn fail(&mut self, error: &WireError) {
        self.session.transaction.fail();
        message::error(error, &mut self.outbox);
    }

    /// Says that the next statement may come.
    fn ready(&mut self) {
        let status = match self.session.transaction.state() {
            TransactionState::Idle => TransactionStatus::Idle,
            TransactionState::Block => TransactionStatus::Transaction,
            TransactionState::Failed => TransactionStatus::Error,
        };
        // What a block that failed has set is undone with it, or with the part of it behind a savepoint.
        if status != TransactionStatus::Error {
            self.report_settings();
        }
        // In a block the client hears nothing, as its statements see nothing of what others do meanwhile.
        self.at_rest = status == TransactionStatus::Idle;
        if self.at_rest {
            self.tell_heard();
        }
        message::ready(status, &mut self.outbox);
    }

    fn report_settings(&mut self) {
        for (name, value) in self.session.settings.take_reports() {
            message::parameter_status(name, &value, &mut self.outbox);
        }
    }

    /// Returns the next message, after everything that was said has been written.
    async fn next(&mut self) -> Run<Frontend> {
        let idle = match self.session.transaction.is_open() {
            true => self.session.settings.timeout("idle_in_transaction_session_timeout"),
            false => None,
        };
        let idle = idle.map(|idle| Instant::now() + idle);
        loop {
            if let Some(message) = frame::take(&mut self.inbox)? {
                return Ok(message);
            }
            self.flush().await?;
            if self.inbox.is_empty() && self.inbox.capacity() > IDLE_BUFFER_BYTES_MAX {
                self.inbox = BytesMut::new();
            }
            tokio::select! {
                biased;
                () = self.registration.ended() => return Err(shutting_down()),
                () = sleep(idle), if idle.is_some() => {
                    return Err(Stop::Closed(Some(WireError::fatal(
                        sqlstate::IDLE_IN_TRANSACTION_TIMEOUT,
                        "terminating connection due to idle-in-transaction timeout",
                    ))));
                }
                heard = self.session.listening.hear(), if self.at_rest => self.tell(heard)?,
                read = self.reader.read_buf(frame::with_room(&mut self.inbox)) => match read {
                    Ok(0) | Err(_) => return Err(Stop::Closed(None)),
                    Ok(_) => {}
                },
            }
        }
    }

    /// Writes everything that was said.
    async fn flush(&mut self) -> Run<()> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        let written = async {
            self.writer.write_all_buf(&mut self.outbox).await?;
            self.writer.flush().await
        };
        tokio::select! {
            biased;
            written = written => written.map_err(|_| Stop::Closed(None))?,
            () = self.registration.ended() => return Err(shutting_down()),
        }
        if self.outbox.capacity() > IDLE_BUFFER_BYTES_MAX {
            self.outbox = BytesMut::new();
        }
        Ok(())
    }
}

fn shutting_down() -> Stop {
    let message = "terminating connection due to administrator command";
    Stop::Closed(Some(WireError::fatal(sqlstate::ADMIN_SHUTDOWN, message)))
}

/// Waits until a time; for ever if there is none.
async fn sleep(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
