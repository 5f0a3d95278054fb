//! What the front needs of the engine, in one place.
//!
//! A [`Backend`] knows roles and opens a [`QuerySession`] for one that has logged in. Everything that a client reads comes
//! through [`QuerySession::plan`] and [`QuerySession::execute`], or, for onefold's own statements, through
//! [`QuerySession::run`]. Role and purpose are inside of the session and nowhere else.

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use engine::Result;
use engine::query::postgres::Configured;

use crate::dialect::Statement;

/// The engine as the listeners see it.
#[async_trait]
pub(crate) trait Backend: Send + Sync + 'static {
    /// Returns the SCRAM-SHA-256 verifier of a role that may log in.
    async fn verifier(&self, role: &str) -> Option<String>;
    /// Opens a session of a role that has proved who it is.
    async fn open(&self, role: &str, client: Client) -> Result<Arc<dyn QuerySession>>;
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    /// The number that the client knows its session by, as `pg_backend_pid()` returns it.
    pub(crate) pid: i32,
    /// Its address.
    pub(crate) address: IpAddr,
}

/// One session of the engine. Its methods may be called while a stream that it gave is still open.
#[async_trait]
pub(crate) trait QuerySession: Send + Sync + 'static {
    /// Returns what the session stands on now.
    fn status(&self) -> Status;
    /// Takes the new value of a setting, among them `cdp.purpose`, which fails unless the role has that purpose and for
    /// which an empty text stands for none.
    async fn set(&self, name: &str, value: &str) -> Result<()>;
    /// Returns which settings functions have changed since this was asked last. A session without such functions has none.
    fn configured(&self) -> Vec<Configured> {
        Vec::new()
    }
    /// Ends what lives as long as the transaction, such as advisory locks. A session without such things has nothing to end.
    fn end_transaction(&self) {}
    /// Plans a query or an `EXPLAIN`. `parameters` are the types that the client declared, `None` where it left them open.
    async fn plan(&self, sql: &str, parameters: &[Option<DataType>]) -> Result<Plan>;
    /// Starts a planned query. If the plan was made under another purpose, policy or catalog, it is planned anew.
    async fn execute(
        &self,
        plan: &Plan,
        parameters: Vec<ScalarValue>,
    ) -> Result<SendableRecordBatchStream>;
    /// Returns the columns that [`QuerySession::run`] answers a statement with, `None` if it answers with a tag alone.
    fn columns(&self, statement: &Statement) -> Option<SchemaRef>;
    /// Stops every query that runs in this session, now: nobody waits for its rows any more.
    fn stop(&self);
    /// Runs one of onefold's own statements.
    async fn run(&self, statement: &Statement) -> Result<Outcome>;
}

/// What a session stands on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// The declared purpose.
    pub(crate) purpose: Option<String>,
    /// Changes whenever an answer that has begun may not be continued: after a withdrawal, or under other policies.
    pub(crate) epoch: u64,
}

/// A planned query.
#[derive(Clone)]
pub(crate) struct Plan {
    /// The columns of its rows.
    pub(crate) schema: SchemaRef,
    /// Its parameters in order, their logical types in the metadata of the fields.
    pub(crate) parameters: Vec<FieldRef>,
    /// Whether running it changes the lake, as a call of `cdp.record_consent` does.
    pub(crate) changes_the_lake: bool,
    /// What only the engine understands.
    pub(crate) inner: Arc<dyn Any + Send + Sync>,
}

/// What one of onefold's own statements answered with.
pub(crate) enum Outcome {
    /// It is done.
    Done {
        /// The command tag, such as `CREATE SEGMENT`.
        tag: String,
        /// What the client should know besides.
        notices: Vec<String>,
    },
    /// It has rows, with the columns of [`QuerySession::columns`].
    Rows {
        /// The command tag.
        tag: String,
        /// The rows.
        rows: SendableRecordBatchStream,
    },
}
