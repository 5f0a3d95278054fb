//! `BEGIN`, `COMMIT`, `ROLLBACK` and savepoints: what a block has set and what it has changed in tables and views.

use super::{Connection, Run};
use crate::dialect::TransactionModes;
use crate::session::{Moment, TransactionState};
use crate::wire::error::sqlstate;

impl Connection {
    /// Opens a block.
    pub(super) async fn begin(&mut self, start: bool, modes: TransactionModes) -> Run<String> {
        if self.session.transaction.is_open() {
            self.warn(
                sqlstate::ACTIVE_SQL_TRANSACTION,
                "there is already a transaction in progress",
            );
        } else {
            self.open_block(modes).await?;
        }
        Ok(if start { "START TRANSACTION" } else { "BEGIN" }.to_owned())
    }

    async fn open_block(&mut self, modes: TransactionModes) -> Run<()> {
        let settings = &self.session.settings;
        let read_only =
            modes.read_only.unwrap_or_else(|| settings.is_on("default_transaction_read_only"));
        let level = match modes.isolation {
            Some(level) => level.to_owned(),
            None => settings.get("default_transaction_isolation")?.to_owned(),
        };
        self.session.transaction.begin();
        self.session.settings.begin();
        self.set_read_only("transaction_read_only", read_only, true).await?;
        if self.session.settings.get("transaction_isolation")? != level {
            self.set("transaction_isolation", Some(&[level]), true).await?;
        }
        Ok(())
    }

    /// Closes the block: `COMMIT` if it is whole and that was asked for, `ROLLBACK` otherwise.
    pub(super) async fn end_block(&mut self, commit: bool, chain: bool) -> Run<String> {
        let asked = if commit { "COMMIT" } else { "ROLLBACK" };
        if !self.session.transaction.is_open() {
            if chain {
                self.session.transaction.require_block(&format!("{asked} AND CHAIN"))?;
            }
            self.warn(sqlstate::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
            // It ends the transaction that a text, or a series of messages, is all the same.
            if commit {
                self.commit_changes().await?;
            }
            self.end_implicit_transaction(!commit);
            return Ok(asked.to_owned());
        }
        let read_only = self.session.settings.is_on("transaction_read_only");
        let isolation = level_named(self.session.settings.get("transaction_isolation")?);
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
        self.follow_isolation().await?;
        done?;
        if chain {
            let modes = TransactionModes {
                isolation,
                read_only: Some(read_only),
                ..TransactionModes::default()
            };
            self.open_block(modes).await?;
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
            opened: self.session.opened,
        };
        self.session.transaction.save(name, moment)?;
        Ok("SAVEPOINT".to_owned())
    }

    /// Goes back to a savepoint. Portals and cursors that were opened since are gone: they may show what is undone.
    pub(super) async fn rollback_to(&mut self, name: &str) -> Run<String> {
        let Moment { settings, changes, asked, opened } = self.session.transaction.back_to(name)?;
        self.session.portals.retain(|_, portal| portal.opened <= opened);
        self.session.cursors.retain(|_, cursor| cursor.opened <= opened);
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
        if !session && self.session.transaction.state() == TransactionState::Idle {
            self.warn(
                sqlstate::NO_ACTIVE_SQL_TRANSACTION,
                "SET TRANSACTION can only be used in transaction blocks",
            );
            return Ok("SET".to_owned());
        }
        let prefix = if session { "default_" } else { "" };
        if let Some(level) = modes.isolation {
            let name = format!("{prefix}transaction_isolation");
            self.set(&name, Some(&[level.to_owned()]), !session).await?;
        }
        if let Some(read_only) = modes.read_only {
            let name = format!("{prefix}transaction_read_only");
            self.set_read_only(&name, read_only, !session).await?;
        }
        Ok("SET".to_owned())
    }

    /// Outside of a block, makes the level of a statement the one that a block would have.
    pub(super) async fn follow_isolation(&mut self) -> Run<()> {
        let settings = &self.session.settings;
        let level = settings.get("default_transaction_isolation")?;
        if self.session.transaction.is_open() || settings.get("transaction_isolation")? == level {
            return Ok(());
        }
        let change = settings.check("transaction_isolation", Some(&[level.to_owned()]))?;
        self.tell_engine_all(vec![change.clone()]).await?;
        self.session.settings.store(change, false);
        Ok(())
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

/// Returns the level of this name as modes have it.
fn level_named(name: &str) -> Option<&'static str> {
    ["serializable", "repeatable read", "read committed", "read uncommitted"]
        .into_iter()
        .find(|level| *level == name)
}
