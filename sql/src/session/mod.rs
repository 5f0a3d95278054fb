//! The state of one connection's session: settings, transaction, prepared statements, portals and cursors.
//!
//! Nothing here talks to a client and nothing here computes. [`backend`] is the whole of what the front needs of the
//! engine; the Postgres front (`wire`) reads messages, changes this state and asks the backend.
//!
//! Transactions are honest: a block only reads, since each statement that changes the lake commits by itself. Such a
//! statement inside of a block is refused, never committed behind the back of a later `ROLLBACK`.

pub(crate) mod backend;
pub(crate) mod engine_backend;
mod record_consent;
mod secrets;
mod setting;
mod settings;
mod transaction;

pub(crate) use settings::{Change, Settings};
pub(crate) use transaction::{Transaction, TransactionState, changes_the_lake};
