//! Every bound of the Postgres front, by name.

use std::time::Duration;

/// Bytes after which encoded rows are handed to the socket.
pub(crate) const FLUSH_BYTES: usize = 64 * 1024;
/// Chunks of rows that wait between the query and the socket.
pub(crate) const CHUNKS_IN_FLIGHT_MAX: usize = 2;
/// Rows that another task writes ahead at least: fewer are written before it wakes up.
pub(crate) const AHEAD_ROWS_MIN: usize = 1_024;
/// Bytes that such a task writes, up to the row that goes beyond them.
pub(crate) const AHEAD_BYTES_MAX: usize = 1024 * 1024;
/// Such tasks of one statement at a time.
pub(crate) const AHEAD_TASKS_MAX: usize = 3;
/// Bytes of further messages that are read while a statement runs.
pub(crate) const READ_AHEAD_BYTES_MAX: usize = 64 * 1024;
/// Room that a read of messages has at least: as much as PostgreSQL has, so that a Bind comes with what follows it.
pub(crate) const READ_BYTES_MIN: usize = 8 * 1024;
/// Capacity that an empty buffer of a connection keeps.
pub(crate) const IDLE_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a Query or Parse message: more than a text may have with its rows of literals, so that a long one gets an answer.
pub(crate) const TEXT_MESSAGE_BYTES_MAX: usize = 17 * 1024 * 1024;
/// Bytes of a Bind message.
pub(crate) const BIND_MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a piece of `COPY ... FROM STDIN`: as many as a client puts into one.
pub(crate) const COPY_MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of every other message.
pub(crate) const SMALL_MESSAGE_BYTES_MAX: usize = 10_000;
/// Bytes of a start-up packet.
pub(crate) const STARTUP_BYTES_MAX: usize = 10_000;
/// Bytes of a message during authentication.
pub(crate) const AUTHENTICATION_BYTES_MAX: usize = 16 * 1024;
/// Packets before the start-up message: one for TLS, one for GSS, and each of them once more.
pub(crate) const NEGOTIATIONS_MAX: usize = 4;
/// Prepared statements of one session.
pub(crate) const STATEMENTS_MAX: usize = 1_000;
/// Bytes of the texts and names of all that have names: what is kept of a text takes some twenty times as much.
pub(crate) const STATEMENTS_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of text that a parameter counts as, declared or written.
pub(crate) const PARAMETER_BYTES: usize = 16;
/// Portals of one session.
pub(crate) const PORTALS_MAX: usize = 100;
/// Cursors of one session.
pub(crate) const CURSORS_MAX: usize = 100;
/// Bytes of rows that the scroll cursors of one session keep, to go back to.
pub(crate) const SCROLLED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of the values that the portals with names and the cursors of one session have: more than one Bind brings.
pub(crate) const OPEN_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Rows of a `COPY ... FROM STDIN` that are written at a time, if there are so many.
pub(crate) const COPIED_ROWS_MAX: usize = 65_536;
/// Bytes of their values, up to the piece that goes beyond them.
pub(crate) const COPIED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one of these rows at most.
pub(crate) const COPIED_ROW_BYTES_MAX: usize = 16 << 20;
/// Bytes of a piece that the connection itself takes apart: longer ones would keep others waiting.
pub(crate) const PARSED_HERE_BYTES_MAX: usize = 64 * 1024;
/// Notifications that wait for a session that listens: more than one transaction of its own makes.
pub(crate) const NOTIFICATIONS_MAX: usize = 2_048;
/// What one transaction may ask of channels.
pub(crate) const NOTIFICATIONS_OF_TRANSACTION_MAX: usize =
    engine::query::postgres::NOTIFICATIONS_MAX;
/// Channels that one session listens to.
pub(crate) const CHANNELS_MAX: usize = 1_000;
/// Addresses and users whose failed log-ins are remembered.
pub(crate) const FAILURES_REMEMBERED_MAX: usize = 10_000;
/// Clients at a time that are let in to cancel a statement when too many others are about to log in.
pub(crate) const CANCELS_MAX: usize = 16;
/// How long such a client may take.
pub(crate) const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an answer waits for those behind it while the next statement runs.
pub(crate) const ANSWER_PATIENCE: Duration = Duration::from_millis(10);
/// How long a shutdown waits for connections to say goodbye.
pub(crate) const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// How long the server rests when it cannot accept, as when it is out of file descriptors.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds that tests choose otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Connections at a time.
    pub(crate) connections_max: usize,
    /// Connections at a time that have not said who they are.
    pub(crate) unauthenticated_max: usize,
    /// How long a client may take to say who it is.
    pub(crate) authentication_timeout: Duration,
    /// The longest that a statement may run, whatever `statement_timeout` says; `None` for no bound.
    pub(crate) statement_timeout_max: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_max: 1_000,
            unauthenticated_max: 64,
            authentication_timeout: Duration::from_secs(10),
            statement_timeout_max: None,
        }
    }
}
