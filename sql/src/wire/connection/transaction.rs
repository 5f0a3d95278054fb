//! `BEGIN`, `COMMIT`, `ROLLBACK` and savepoints: what a transaction has set and what it has changed in tables and views.

use futures::FutureExt;

use super::{Connection, Run, Stop};
use crate::dialect::TransactionModes;
use crate::session::{Change, Moment, Settings};
use crate::wire::error::{Place, WireError, sqlstate};
use crate::wire::output::WorkError;

/// The settings of a transaction, and what they are when it begins.
pub(super) const MODES: [(&str, &str); 2] = [
    ("transaction_isolation", "default_transaction_isolation"),
    ("transaction_read_only", "default_transaction_read_only"),
];

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
        self.session.transaction.begin();
        self.session.engine.begin_transaction();
        if let Some(read_only) = modes.read_only
            && self.is_read_only() != read_only
        {
            self.set_read_only("transaction_read_only", read_only, true).await?;
        }
        if let Some(level) = modes.isolation
            && self.session.settings.get("transaction_isolation")? != level
        {
            self.set("transaction_isolation", Some(&[level.to_owned()]), true).await?;
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
            self.end_implicit_transaction(!commit).await?;
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
        self.follow_settings(changes).await?;
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

    /// Ends the transaction that a text or a series of messages is outside of a block: what lives no longer than that is
    /// dropped, and what was set in it is undone if a part of it has failed.
    pub(super) async fn end_implicit_transaction(&mut self, failed: bool) -> Run<()> {
        if self.session.transaction.is_open() {
            return Ok(());
        }
        self.session.engine.rollback();
        self.session.listening.back_to(0);
        let changes = self.session.settings.end(!failed);
        self.session.portals.clear();
        self.session.cursors.retain(|_, cursor| cursor.outlives(!failed));
        self.session.engine.end_transaction();
        match self.follow_settings(changes).await {
            // Whether the text has failed is told already; that the session stands elsewhere now must be told, too.
            Err(Stop::Failed(WireError { sqlstate, message, .. })) => {
                self.warn(sqlstate, &message);
                Ok(())
            }
            done => done,
        }
    }

    /// Tells the engine what the end of a transaction has changed back; `None` if it has set nothing.
    async fn follow_settings(&mut self, changes: Option<Vec<Change>>) -> Run<()> {
        let Some(changes) = changes else { return Ok(()) };
        let told = self.tell_engine_all(changes).await;
        let followed = self.follow_defaults().await;
        told.and(followed)
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
        if !session && !self.session.transaction.is_shared() {
            self.warn(
                sqlstate::NO_ACTIVE_SQL_TRANSACTION,
                "SET TRANSACTION can only be used in transaction blocks",
            );
            // It would hold for a transaction that ends with it.
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
        // There is nothing to wait for, but the statement comes too late all the same.
        if !session && modes.deferrable.is_some() {
            check_first(self.session.engine.has_read())?;
        }
        Ok("SET".to_owned())
    }

    /// `SET CONSTRAINTS`.
    pub(super) async fn set_constraints(
        &mut self,
        names: Option<Vec<(Option<String>, String)>>,
        deferred: bool,
    ) -> Run<String> {
        if !self.session.transaction.is_shared() {
            self.warn(
                sqlstate::NO_ACTIVE_SQL_TRANSACTION,
                "SET CONSTRAINTS can only be used in transaction blocks",
            );
        }
        let engine = self.session.engine.clone();
        let set = self.on_cpu(move |_| {
            async move {
                let done = engine.set_constraints(names.as_deref(), deferred).await;
                done.map_err(WorkError::running)
            }
            .boxed()
        });
        set.await.map_err(|halt| halt.at(Place::NOWHERE))?;
        Ok("SET CONSTRAINTS".to_owned())
    }

    /// Between transactions, makes the level of the next one, and whether it may write, what the defaults say.
    async fn follow_defaults(&mut self) -> Run<()> {
        for (mode, default) in MODES {
            let settings = &self.session.settings;
            let value = settings.get(default)?;
            if settings.get(mode)? != value {
                let change = Settings::checked(mode, value.to_owned())?;
                self.tell_engine_all(vec![change.clone()]).await?;
                self.session.settings.store_for_good(change);
            }
        }
        Ok(())
    }

    async fn set_read_only(&mut self, name: &str, read_only: bool, local: bool) -> Run<()> {
        let value = if read_only { "on" } else { "off" };
        self.set(name, Some(&[value.to_owned()]), local).await.map(drop)
    }

    /// Returns whether statements may only read now.
    pub(super) fn is_read_only(&self) -> bool {
        self.session.settings.is_on("transaction_read_only")
    }
}

/// Returns the level of this name as modes have it.
fn level_named(name: &str) -> Option<&'static str> {
    ["serializable", "repeatable read", "read committed", "read uncommitted"]
        .into_iter()
        .find(|level| *level == name)
}

/// Refuses to say of a transaction that has read whether it may wait.
fn check_first(has_read: bool) -> Result<(), WireError> {
    if !has_read {
        return Ok(());
    }
    let message = "SET TRANSACTION [NOT] DEFERRABLE must be called before any query";
    let error = WireError::new(sqlstate::ACTIVE_SQL_TRANSACTION, message);
    Err(error.hint("BEGIN takes it, too."))
}
