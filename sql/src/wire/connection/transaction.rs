//! `BEGIN`, `COMMIT`, `ROLLBACK` and savepoints: what a block has set and what it has changed in tables and views.

use super::query::unsupported;
use super::{Connection, Run};
use crate::dialect::TransactionModes;
use crate::session::{Moment, TransactionState};
use crate::wire::error::sqlstate;

impl Connection {
    /// Opens a block.
    pub(super) async fn begin(&mut self, modes: TransactionModes) -> Run<String> {
        if self.session.transaction.is_open() {
            self.warn(
                sqlstate::ACTIVE_SQL_TRANSACTION,
                "there is already a transaction in progress",
            );
        } else {
            check_isolation(modes)?;
            self.open_block(modes.read_only).await?;
        }
        Ok("BEGIN".to_owned())
    }

    async fn open_block(&mut self, read_only: Option<bool>) -> Run<()> {
        let read_only = read_only
            .unwrap_or_else(|| self.session.settings.is_on("default_transaction_read_only"));
        self.session.transaction.begin();
        self.session.settings.begin();
        self.set_read_only("transaction_read_only", read_only, true).await
    }

    /// Closes the block: `COMMIT` if it is whole and that was asked for, `ROLLBACK` otherwise.
    pub(super) async fn end_block(&mut self, commit: bool, chain: bool) -> Run<String> {
        let asked = if commit { "COMMIT" } else { "ROLLBACK" };
        if !self.session.transaction.is_open() {
            if chain {
                self.session.transaction.require_block(&format!("{asked} AND CHAIN"))?;
            }
            self.warn(sqlstate::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
            return Ok(asked.to_owned());
        }
        let read_only = self.session.settings.is_on("transaction_read_only");
        let committed = self.session.transaction.end() && commit;
        // What could not be committed never was, and neither was what the block has set.
        let done = match committed {
            true => self.commit_changes().await,
            false => {
                self.session.engine.rollback();
                self.session.listening.back_to(0);
                Ok(())
            }
        };
        let committed = committed && done.is_ok();
        let changes = self.session.settings.end(committed);
        self.session.engine.end_transaction();
        self.session.portals.clear();
        self.session.cursors.retain(|_, cursor| cursor.outlives(committed));
        self.tell_engine_all(changes).await?;
        done?;
        if chain {
            self.open_block(Some(read_only)).await?;
        }
        Ok(if committed { "COMMIT" } else { "ROLLBACK" }.to_owned())
    }

    /// Drops what lives no longer than a series of messages outside of a block, or than one of which a part has failed.
    pub(super) fn end_implicit_transaction(&mut self, failed: bool) {
        if !self.session.transaction.is_open() {
            self.session.engine.rollback();
            self.session.listening.back_to(0);
            self.session.portals.clear();
            self.session.cursors.retain(|_, cursor| cursor.outlives(!failed));
            self.session.engine.end_transaction();
        }
    }

    /// Sets a savepoint.
    pub(super) fn savepoint(&mut self, name: &str) -> Run<String> {
        let moment = Moment {
            settings: self.session.settings.snapshot(),
            changes: self.session.engine.changes(),
            asked: self.session.listening.pending(),
        };
        self.session.transaction.save(name, moment)?;
        Ok("SAVEPOINT".to_owned())
    }

    /// Goes back to a savepoint.
    pub(super) async fn rollback_to(&mut self, name: &str) -> Run<String> {
        let Moment { settings, changes, asked } = self.session.transaction.back_to(name)?;
        self.session.engine.back_to(&changes);
        self.session.listening.back_to(asked);
        let changes = self.session.settings.restore(settings);
        self.tell_engine_all(changes).await?;
        Ok("ROLLBACK".to_owned())
    }

    /// Forgets a savepoint.
    pub(super) fn release(&mut self, name: &str) -> Run<String> {
        self.session.transaction.release(name)?;
        Ok("RELEASE".to_owned())
    }

    /// `SET TRANSACTION`, or `SET SESSION CHARACTERISTICS AS TRANSACTION`.
    pub(super) async fn set_transaction(
        &mut self,
        modes: TransactionModes,
        session: bool,
    ) -> Run<String> {
        check_isolation(modes)?;
        if !session && self.session.transaction.state() == TransactionState::Idle {
            self.warn(
                sqlstate::NO_ACTIVE_SQL_TRANSACTION,
                "SET TRANSACTION can only be used in transaction blocks",
            );
        } else if let Some(read_only) = modes.read_only {
            let name =
                if session { "default_transaction_read_only" } else { "transaction_read_only" };
            self.set_read_only(name, read_only, !session).await?;
        }
        Ok("SET".to_owned())
    }

    async fn set_read_only(&mut self, name: &str, read_only: bool, local: bool) -> Run<()> {
        let value = if read_only { "on" } else { "off" };
        self.set(name, Some(&[value.to_owned()]), local).await.map(drop)
    }

    /// Returns whether statements may only read now.
    pub(super) fn is_read_only(&self) -> bool {
        let name = match self.session.transaction.is_open() {
            true => "transaction_read_only",
            false => "default_transaction_read_only",
        };
        self.session.settings.is_on(name)
    }
}

/// Refuses what is not kept: each statement of a block reads the newest state, which is `READ COMMITTED`.
fn check_isolation(modes: TransactionModes) -> Run<()> {
    match modes.isolation {
        None | Some("read committed" | "read uncommitted") => Ok(()),
        Some(other) => {
            let what = format!("isolation level {}", other.to_uppercase());
            Err(unsupported(&what, "Each statement reads the newest state: use READ COMMITTED.")
                .into())
        }
    }
}
