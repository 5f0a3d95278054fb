//! Where a session stands in a transaction, and which statements may run there.

use engine::overrides::Decision;

use super::alter::ALTER_GRAPH;
use super::backend::Changes;
use super::values::Values;
use crate::dialect::Statement;
use crate::wire::{WireError, sqlstate};

/// Savepoints of one transaction at most.
const SAVEPOINTS_MAX: usize = 1_000;
/// Bytes of their names.
const SAVEPOINT_BYTES_MAX: usize = 1 << 20;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionState {
    /// Outside of a block.
    Idle,
    /// Inside of one.
    Block,
    /// Inside of one in which a statement failed.
    Failed,
}

/// What a transaction has done up to some moment, to go back to.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    /// What it has set.
    pub(crate) settings: (Values, Values),
    /// What it has changed in tables and views.
    pub(crate) changes: Changes,
    /// How much it has asked of channels.
    pub(crate) asked: usize,
    /// How many portals and cursors its session had opened.
    pub(crate) opened: u64,
}

/// A savepoint, with the moment that it goes back to.
#[derive(Debug, Clone)]
struct Savepoint {
    name: String,
    moment: Moment,
}

/// The transaction of a session.
#[derive(Debug)]
pub(crate) struct Transaction {
    state: TransactionState,
    savepoints: Vec<Savepoint>,
    /// Whether the text that runs has several statements, which are one transaction outside of a block, too.
    of_several: bool,
}

impl Transaction {
    /// Returns no transaction.
    pub(crate) fn new() -> Transaction {
        Transaction { state: TransactionState::Idle, savepoints: Vec::new(), of_several: false }
    }

    /// Returns where the session stands.
    pub(crate) fn state(&self) -> TransactionState {
        self.state
    }

    /// Returns whether the session is inside of a block.
    pub(crate) fn is_open(&self) -> bool {
        self.state != TransactionState::Idle
    }

    /// Opens a block.
    pub(crate) fn begin(&mut self) {
        self.state = TransactionState::Block;
    }

    /// Notes that a text begins, or with none that it has ended.
    pub(crate) fn note_text(&mut self, statements: usize) {
        self.of_several = statements > 1;
    }

    /// Returns whether the statement that runs shares its transaction with others of its block or text.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_open() || self.of_several
    }

    /// Notes that a statement failed.
    pub(crate) fn fail(&mut self) {
        if self.state == TransactionState::Block {
            self.state = TransactionState::Failed;
        }
    }

    /// Closes the block, and returns whether it was whole.
    pub(crate) fn end(&mut self) -> bool {
        let whole = self.state == TransactionState::Block;
        *self = Transaction { of_several: self.of_several, ..Transaction::new() };
        whole
    }

    /// Sets a savepoint.
    pub(crate) fn save(&mut self, name: &str, moment: Moment) -> Result<(), WireError> {
        self.require_block("SAVEPOINT")?;
        if self.savepoints.len() >= SAVEPOINTS_MAX {
            let message = format!("too many savepoints: the bound is {SAVEPOINTS_MAX}");
            return Err(WireError::new(sqlstate::LIMIT_EXCEEDED, message));
        }
        let named: usize = self.savepoints.iter().map(|savepoint| savepoint.name.len()).sum();
        if named + name.len() > SAVEPOINT_BYTES_MAX {
            let message = "names of savepoints are too long: all of a transaction have 1 MiB";
            return Err(WireError::new(sqlstate::LIMIT_EXCEEDED, message));
        }
        self.savepoints.push(Savepoint { name: name.to_owned(), moment });
        Ok(())
    }

    /// Goes back to a savepoint, which heals a failed block, and returns what was done by then.
    pub(crate) fn back_to(&mut self, name: &str) -> Result<Moment, WireError> {
        self.require_block("ROLLBACK TO SAVEPOINT")?;
        let index = self.find(name)?;
        self.savepoints.truncate(index + 1);
        self.state = TransactionState::Block;
        Ok(self.savepoints[index].moment.clone())
    }

    /// Forgets a savepoint and those set after it.
    pub(crate) fn release(&mut self, name: &str) -> Result<(), WireError> {
        self.require_block("RELEASE SAVEPOINT")?;
        let index = self.find(name)?;
        self.savepoints.truncate(index);
        Ok(())
    }

    fn find(&self, name: &str) -> Result<usize, WireError> {
        self.savepoints.iter().rposition(|savepoint| savepoint.name == name).ok_or_else(|| {
            WireError::new(
                sqlstate::INVALID_SAVEPOINT,
                format!("savepoint \"{name}\" does not exist"),
            )
        })
    }

    /// Refuses what only makes sense inside of a block.
    pub(crate) fn require_block(&self, what: &str) -> Result<(), WireError> {
        if self.is_open() {
            return Ok(());
        }
        let message = format!("{what} can only be used in transaction blocks");
        Err(WireError::new(sqlstate::NO_ACTIVE_SQL_TRANSACTION, message))
    }

    /// Refuses what only makes sense if other statements follow in the same transaction, be it a block or a text.
    pub(crate) fn require_shared(&self, what: &str) -> Result<(), WireError> {
        if self.of_several { Ok(()) } else { self.require_block(what) }
    }

    /// Refuses everything but the end of a block that has failed.
    pub(crate) fn admit(&self, statement: &Statement) -> Result<(), WireError> {
        let ends = matches!(
            statement,
            Statement::Commit { .. } | Statement::Rollback { .. } | Statement::RollbackTo { .. }
        );
        if ends { Ok(()) } else { self.check_whole() }
    }

    /// Refuses everything in a block that has failed.
    pub(crate) fn check_whole(&self) -> Result<(), WireError> {
        if self.state == TransactionState::Failed { Err(aborted()) } else { Ok(()) }
    }

    /// Refuses to let a transaction write that was read-only so far, for all of it or for what its savepoints undo.
    pub(crate) fn admit_writing(&self, has_read: bool) -> Result<(), WireError> {
        let message = match (self.savepoints.is_empty(), has_read) {
            (false, _) => "cannot set transaction read-write mode inside a read-only transaction",
            (true, true) => "transaction read-write mode must be set before any query",
            (true, false) => return Ok(()),
        };
        Err(WireError::new(sqlstate::ACTIVE_SQL_TRANSACTION, message)
            .hint("BEGIN READ WRITE begins one that may write."))
    }

    /// Refuses to write to tables and views where that was ruled out.
    pub(crate) fn admit_write(verb: &str, read_only: bool) -> Result<(), WireError> {
        if read_only { Err(read_only_transaction(verb)) } else { Ok(()) }
    }

    /// Refuses a change of the lake where it was ruled out, and where a failure behind it could not undo it: inside of a
    /// block, and before other statements of its text, which are one transaction.
    pub(crate) fn admit_change(
        &self,
        what: &str,
        read_only: bool,
        followed: bool,
    ) -> Result<(), WireError> {
        if read_only {
            return Err(read_only_transaction(what));
        }
        if self.is_open() {
            return Err(inside_block(what));
        }
        if followed {
            return Err(before_others(what));
        }
        Ok(())
    }
}

fn read_only_transaction(what: &str) -> WireError {
    let message = format!("cannot execute {what} in a read-only transaction");
    WireError::new(sqlstate::READ_ONLY_SQL_TRANSACTION, message)
}

/// The answer to statements of a block that has failed.
fn aborted() -> WireError {
    WireError::new(
        sqlstate::IN_FAILED_SQL_TRANSACTION,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

/// The answer to a change of the lake inside of a block.
pub(crate) fn inside_block(what: &str) -> WireError {
    WireError::new(
        sqlstate::ACTIVE_SQL_TRANSACTION,
        format!("{what} cannot run inside a transaction block"),
    )
    .hint("It commits by itself and could not be rolled back: run it alone, with autocommit.")
}

/// The answer to a change of the lake before other statements of its text.
fn before_others(what: &str) -> WireError {
    WireError::new(
        sqlstate::ACTIVE_SQL_TRANSACTION,
        format!("{what} cannot run before other statements of its text"),
    )
    .hint("It commits by itself, so that a failure behind it could not undo it: send it last, or alone.")
}

/// Returns what a decision about who is who is called.
pub(crate) fn tag_of(decision: &Decision) -> &'static str {
    match decision {
        Decision::Merge(_) => "MERGE PROFILES",
        Decision::Split(..) => "SPLIT PROFILE",
        Decision::Revoke(_) => "DROP IDENTITY OVERRIDE",
        Decision::Answer(_) => "APPLY IDENTITY OVERRIDES",
        Decision::Classify(..) => "ALTER IDENTIFIER VALUE",
    }
}

/// Returns the name of a statement that changes the lake, for messages; `None` if it does not.
pub(crate) fn changes_the_lake(statement: &Statement) -> Option<String> {
    match statement {
        Statement::Create { definition, .. } => {
            Some(format!("CREATE {}", definition.body.kind().word().to_uppercase()))
        }
        Statement::AlterGraph(_) => Some(ALTER_GRAPH.to_owned()),
        Statement::Drop { kind, .. } => Some(format!("DROP {}", kind.word().to_uppercase())),
        Statement::Comment { .. } => Some("COMMENT".to_owned()),
        Statement::Refresh { .. } => Some("REFRESH".to_owned()),
        Statement::RunSync { dry_run: false, .. } => Some("RUN SYNC".to_owned()),
        Statement::Decide { decision, .. } => Some(tag_of(decision).to_owned()),
        Statement::ApplyOverrides { .. } => Some("APPLY IDENTITY OVERRIDES".to_owned()),
        _ => None,
    }
}
