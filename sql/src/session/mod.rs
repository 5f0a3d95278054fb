//! A session apart from its wire: its settings, where it stands in a transaction, and the engine behind it.
//!
//! Nothing here talks to a client and nothing here computes. [`backend`] is the whole of what the front needs of the
//! engine, and [`engine_backend`] how the engine gives it. The Postgres front (`wire`) reads messages, keeps prepared
//! statements, portals and cursors, changes this state and asks the backend.
//!
//! Transactions are honest: what statements change in the schema `analytics` is seen by nobody else before the commit, and
//! gone after a `ROLLBACK`. Each other statement that changes the lake commits by itself: inside of a block it is refused,
//! never committed behind the back of a later `ROLLBACK`.

mod alter;
mod apply_overrides;
pub(crate) mod backend;
mod calls;
mod decide;
pub(crate) mod engine_backend;
mod like;
mod read;
mod secrets;
mod setting;
mod settings;
mod show;
mod transaction;
mod values;

pub(crate) use calls::calls_an_action;
pub(crate) use settings::Settings;
pub(crate) use transaction::{
    Moment, Transaction, TransactionState, changes_the_lake, inside_block,
};
pub(crate) use values::Change;
