//! What the front needs of the engine, in one place.
//!
//! A [`Backend`] knows roles and opens a [`QuerySession`] for one that has logged in. Everything that a client reads comes
//! through [`QuerySession::plan`] and [`QuerySession::execute`], or, for onefold's own statements, through
//! [`QuerySession::run`]. Role and purpose are inside of the session and nowhere else.

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryPool;
use engine::Result;
use engine::analytics::{CopyFailure, CopyTarget, Notice};
use engine::query::postgres::{Configured, OpenCursor, PreparedStatement, Reachable, Said};

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
    /// Returns where the memory of its statements is counted. A session without it keeps no rows ahead of its client.
    fn memory(&self) -> Option<Arc<dyn MemoryPool>> {
        None
    }
    /// Lets other sessions of the role reach this one. A session without others has nobody to be reached by.
    fn reached_through(&self, _session: Arc<dyn Reachable>) {}
    /// Takes the new value of a setting, among them `cdp.purpose`, which fails unless the role has that purpose and for
    /// which an empty text stands for none.
    async fn set(&self, name: &str, value: &str) -> Result<()>;
    /// Returns which settings functions have changed since this was asked last. A session without such functions has none.
    fn configured(&self) -> Vec<Configured> {
        Vec::new()
    }
    /// Returns what functions have said in channels since this was asked last. A session without such functions says nothing.
    fn said(&self) -> Vec<Said> {
        Vec::new()
    }
    /// Shows a prepared statement to the session for as long as what this returns is kept.
    fn show_prepared(&self, statement: PreparedStatement) -> Arc<PreparedStatement> {
        Arc::new(statement)
    }
    /// Shows a cursor to the session for as long as what this returns is kept.
    fn show_cursor(&self, cursor: OpenCursor) -> Arc<OpenCursor> {
        Arc::new(cursor)
    }
    /// Notes that a transaction begins which several statements share. Where nothing hangs on its time, that is no matter.
    fn begin_transaction(&self) {}
    /// Tells whether the transaction has run a query. Where nothing hangs on it, none counts.
    fn has_read(&self) -> bool {
        false
    }
    /// Ends what lives as long as the transaction, such as advisory locks. A session without such things has nothing to end.
    fn end_transaction(&self) {}
    /// Gives back the advisory locks that live as long as the session. A session without such locks has none.
    fn unlock(&self) {}
    /// Plans a query or an `EXPLAIN`. `parameters` are the types that the client declared, `None` where it left them open.
    async fn plan(&self, sql: &str, parameters: &[Option<DataType>]) -> Result<Plan>;
    /// Returns the plan of a query that this session has sent before, if [`QuerySession::plan`] would return the same.
    fn known(&self, _sql: &str, _parameters: &[Option<DataType>]) -> Option<Plan> {
        None
    }
    /// Answers a planned query as [`QuerySession::execute`] would, if that takes no waiting and hardly any computing.
    fn answer_at_once(&self, _plan: &Plan, _parameters: &[ScalarValue]) -> Option<RecordBatch> {
        None
    }
    /// Starts a planned query. If the plan was made under another purpose, policy or catalog, it is planned anew.
    async fn execute(
        &self,
        plan: &Plan,
        parameters: Vec<ScalarValue>,
    ) -> Result<SendableRecordBatchStream>;
    /// Runs a planned statement that changes tables or views. Nobody else sees what it changed before the commit. A session
    /// without such statements has nothing to run.
    async fn write(&self, _plan: &Plan, _parameters: Vec<ScalarValue>) -> Result<Outcome> {
        Err(engine::Error::Unsupported {
            what: "writing".into(),
            hint: "This session only reads.".into(),
        })
    }
    /// Finds the table that a COPY from the client fills; no columns stand for all.
    async fn copy_target(&self, _relation: &str, _columns: &[String]) -> Result<CopyTarget> {
        Err(engine::Error::Unsupported {
            what: "writing".into(),
            hint: "This session only reads.".into(),
        })
    }
    /// Puts rows of texts into such a table, column by column, and returns how many they are.
    async fn copy_rows(
        &self,
        _target: &CopyTarget,
        _columns: Vec<ArrayRef>,
    ) -> Result<u64, CopyFailure> {
        Ok(0)
    }
    /// Holds rows that came in pieces against each other. A session without tables has none.
    async fn end_copy(&self) -> Result<()> {
        Ok(())
    }
    /// Lets constraints, or all, wait for the end of the transaction, or checks them now. A session without rows has none.
    async fn set_constraints(
        &self,
        _names: Option<&[(Option<String>, String)]>,
        _deferred: bool,
    ) -> Result<()> {
        Ok(())
    }
    /// Tells whether something was changed and not committed.
    fn has_changes(&self) -> bool {
        false
    }
    /// Makes what was changed visible to everybody, whole or not at all.
    async fn commit(&self) -> Result<()> {
        Ok(())
    }
    /// Forgets what was changed and not committed.
    fn rollback(&self) {}
    /// Drops what lives as long as the session, such as temporary tables.
    fn discard_temporary(&self) {}
    /// Forgets which numbers rows were given. A session without numbered rows has nothing to forget.
    fn forget_numbers(&self) {}
    /// Returns what was changed so far, for a savepoint.
    fn changes(&self) -> Changes {
        Arc::new(())
    }
    /// Goes back to a savepoint.
    fn back_to(&self, _changes: &Changes) {}
    /// Returns the columns that [`QuerySession::run`] answers a statement with, `None` if it answers with a tag alone.
    fn columns(&self, statement: &Statement) -> Option<SchemaRef>;
    /// Stops every query that runs in this session, now: nobody waits for its rows any more.
    fn stop(&self);
    /// Runs one of onefold's own statements.
    async fn run(&self, statement: &Statement) -> Result<Outcome>;
}

/// What a session has changed and not committed: only the engine understands it.
pub(crate) type Changes = Arc<dyn Any + Send + Sync>;

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
    /// Whether running it changes the lake, as a call of `cdp.record_consent` or `cdp.decide` does.
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
        notices: Vec<Notice>,
    },
    /// It has rows, with the columns of [`QuerySession::columns`].
    Rows {
        /// The command tag.
        tag: String,
        /// The rows.
        rows: SendableRecordBatchStream,
    },
}
