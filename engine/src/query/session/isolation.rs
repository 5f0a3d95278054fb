//! Which states of the lake the statements of a transaction read.
//!
//! Each statement reads the newest state, so that consent holds for the next one. A transaction that reads one state
//! throughout is hence one that goes on only as long as its first state is the newest: what was published meanwhile ends it
//! with 40001, as PostgreSQL ends one that cannot be brought into an order with others.

use super::QuerySession;
use crate::engine::Live;
use crate::error::{Error, Result};

/// How much of what others do a transaction sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Isolation {
    /// Each statement reads the newest state.
    #[default]
    ReadCommitted,
    /// All statements read one state.
    RepeatableRead,
    /// All statements read one state, and the changes are made over that state.
    Serializable,
}

impl Isolation {
    /// Returns the level that `transaction_isolation` names.
    fn named(name: &str) -> Self {
        match name {
            "repeatable read" => Self::RepeatableRead,
            "serializable" => Self::Serializable,
            _ => Self::ReadCommitted,
        }
    }
}

/// What the transaction of a session reads.
#[derive(Debug, Default)]
pub(super) struct Reading {
    isolation: Isolation,
    /// The number of the document that its first statement read.
    first: Option<u64>,
}

impl QuerySession {
    /// Sets the level of the transaction, by the name that `transaction_isolation` has for it.
    ///
    /// # Errors
    /// 25001 if a statement of it has run under another level.
    pub fn set_isolation(&self, level: &str) -> Result<()> {
        let isolation = Isolation::named(level);
        let mut reading = self.reading.lock();
        if reading.isolation != isolation && reading.first.is_some() {
            return Err(Error::Standard {
                sqlstate: "25001",
                message: "SET TRANSACTION ISOLATION LEVEL must be called before any query".into(),
                hint: "BEGIN takes the level, too.".into(),
            });
        }
        reading.isolation = isolation;
        Ok(())
    }

    /// Notes that a transaction begins which several statements share: `now()` is the same for all of them.
    pub fn begin_transaction(&self) {
        self.facts.begin_transaction(self.engine.now());
    }

    /// Tells whether the transaction has run a query.
    pub fn has_read(&self) -> bool {
        self.reading.lock().first.is_some()
    }

    /// Forgets what the transaction has read: the next statement is of another one.
    pub fn end_reading(&self) {
        self.reading.lock().first = None;
    }

    /// Fails if a statement that reads `live` would read another state than those before it may.
    pub(crate) fn admit_reading(&self, live: &Live) -> Result<()> {
        let newest = live.published.state.sequence;
        let mut reading = self.reading.lock();
        let first = *reading.first.get_or_insert(newest);
        match reading.isolation == Isolation::ReadCommitted || first == newest {
            true => Ok(()),
            false => Err(not_serializable()),
        }
    }

    /// Returns the number of the document that must still be the newest for the changes of the transaction to be committed;
    /// `None` if any will do.
    pub(crate) fn serialized_at(&self) -> Option<u64> {
        let reading = self.reading.lock();
        reading.first.filter(|_| reading.isolation == Isolation::Serializable)
    }
}

/// The answer to a transaction that others have overtaken.
pub(crate) fn not_serializable() -> Error {
    Error::Standard {
        sqlstate: "40001",
        message: "could not serialize access due to concurrent update".into(),
        hint: "Something was published since the transaction began. Run it again.".into(),
    }
}
