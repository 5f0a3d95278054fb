//! `SET`, `SHOW`, `RESET`, `DISCARD`.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use engine::analytics::Notice;
use engine::query::postgres::Configured;

use super::portal::place_of;
use super::statement::How;
use super::work::Halt;
use super::{Connection, Run, Stop};
use crate::dialect::DiscardTarget;
use crate::session::{Change, Settings, inside_block};
use crate::wire::encode::RowEncoder;
use crate::wire::error::{Phase, WireError, from_engine, sqlstate};
use crate::wire::message;
use crate::wire::output::RowRun;

impl Connection {
    /// Sets one setting; no values stand for its default.
    pub(super) async fn set(
        &mut self,
        name: &str,
        values: Option<&[String]>,
        local: bool,
    ) -> Run<String> {
        let change = self.session.settings.check(name, values)?;
        // A lone statement is a transaction, and others behind it in a series of messages belong to that.
        if local && !self.session.transaction.is_shared() {
            self.warn(
                sqlstate::NO_ACTIVE_SQL_TRANSACTION,
                "SET LOCAL can only be used in transaction blocks",
            );
        }
        if change.name() == "transaction_read_only" && change.value == "off" && self.is_read_only()
        {
            self.session.transaction.admit_writing(self.session.engine.has_read())?;
        }
        // A setting of the transaction lives as long as the transaction.
        let of_transaction = change.name().starts_with("transaction_");
        self.tell_engine(&change).await?;
        self.session.settings.store(change, local || of_transaction);
        Ok("SET".to_owned())
    }

    /// Takes one setting, or all, back to what they were at the start of the session.
    pub(super) async fn reset(&mut self, name: Option<&str>) -> Run<String> {
        let changes = match name {
            Some(name) => vec![self.session.settings.check(name, None)?],
            None => self.session.settings.reset_all(),
        };
        for change in changes {
            // RESET ALL leaves what the transaction began with, as in PostgreSQL.
            if name.is_none() && change.name().starts_with("transaction_") {
                continue;
            }
            self.tell_engine(&change).await?;
            self.session.settings.store(change, false);
        }
        Ok("RESET".to_owned())
    }

    /// Tells the engine of a change before it is stored. Under another purpose nothing that was begun goes on.
    async fn tell_engine(&mut self, change: &Change) -> Run<()> {
        if change.is_purpose() && self.session.settings.get("cdp.purpose")? == change.value {
            return Ok(());
        }
        let told = self.session.engine.set(change.name(), &change.value).await;
        told.map_err(|error| from_engine(&error, Phase::Planning, place_of("", None)))?;
        if change.is_purpose() {
            self.registration.hide();
            self.session.portals.clear();
            self.session.cursors.clear();
        }
        Ok(())
    }

    /// Keeps what functions of a statement have set and said, or takes it back if the statement failed.
    pub(super) async fn adopt_settings(&mut self, succeeded: bool) -> Result<(), Halt> {
        self.adopt_said(succeeded).map_err(Halt::Stop)?;
        for configured in self.session.engine.configured() {
            let Configured { name, value, local } = configured;
            let change = match value {
                Some(value) if succeeded => Settings::checked(&name, value),
                None if succeeded => self.session.settings.check(&name, None),
                _ => self.session.settings.kept(&name),
            };
            let change = change.map_err(stop)?;
            self.tell_engine(&change).await.map_err(Halt::Stop)?;
            if succeeded {
                self.session.settings.store(change, local);
            }
        }
        Ok(())
    }

    /// Tells the engine of changes that the end of a transaction made, and which it had accepted before. All are told, also
    /// behind one that it accepts no more: who was to go back to a purpose that was taken from the role goes on without one.
    pub(super) async fn tell_engine_all(&mut self, changes: Vec<Change>) -> Run<()> {
        let mut refused = None;
        for change in changes {
            let told = self.session.engine.set(change.name(), &change.value).await;
            let refusal =
                |error: engine::Error| from_engine(&error, Phase::Planning, place_of("", None));
            let error = told.err().map(refusal);
            if change.is_purpose() {
                self.registration.hide();
                self.session.portals.clear();
                self.session.cursors.clear();
                if error.is_some() {
                    let none = Settings::checked(change.name(), String::new())?;
                    let told = self.session.engine.set(none.name(), &none.value).await;
                    told.map_err(refusal)?;
                    self.session.settings.store_for_good(none);
                }
            }
            refused = refused.or(error);
        }
        match refused {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Sends the value of a setting, and returns the tag.
    pub(super) fn show(&mut self, name: &str, how: &How<'_>) -> Run<String> {
        let value = self.session.settings.get(name)?;
        let column: ArrayRef = Arc::new(StringArray::from_iter_values([value]));
        self.send_settings(show_schema(name)?, vec![column], how)
    }

    /// Sends every setting, and returns the tag.
    pub(super) fn show_all(&mut self, how: &How<'_>) -> Run<String> {
        let settings = || self.session.settings.all();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(settings().map(|(name, ..)| name))),
            Arc::new(StringArray::from_iter_values(settings().map(|(_, value, _)| value))),
            Arc::new(StringArray::from_iter_values(settings().map(|(.., about)| about))),
        ];
        self.send_settings(show_all_schema(), columns, how)
    }

    fn send_settings(
        &mut self,
        schema: Schema,
        columns: Vec<ArrayRef>,
        how: &How<'_>,
    ) -> Run<String> {
        let encoder = RowEncoder::new(&schema, how.formats, self.session.settings.zone());
        let batch = RecordBatch::try_new(Arc::new(schema), columns)
            .map_err(|error| WireError::new(sqlstate::INTERNAL_ERROR, error.to_string()))?;
        if how.describe {
            message::row_description(&encoder, &mut self.outbox);
        }
        let mut run = Box::new(RowRun::of(batch, self.session.engine.status().epoch));
        let sent = run.write(&encoder, how.rows_max, &mut self.outbox);
        self.keep_unsent(sent, (run, encoder));
        Ok("SHOW".to_owned())
    }

    /// Forgets what the session has gathered.
    pub(super) async fn discard(&mut self, target: DiscardTarget) -> Run<String> {
        let what = match target {
            DiscardTarget::All => "ALL",
            DiscardTarget::Plans => "PLANS",
            DiscardTarget::Sequences => "SEQUENCES",
            DiscardTarget::Temporary => "TEMP",
        };
        // What is dropped comes back by no ROLLBACK, and what was written before goes with it.
        let is_within = match target {
            DiscardTarget::All => self.session.transaction.is_shared(),
            DiscardTarget::Temporary => self.session.transaction.is_open(),
            DiscardTarget::Plans | DiscardTarget::Sequences => false,
        };
        let drops = matches!(target, DiscardTarget::All | DiscardTarget::Temporary);
        if is_within || drops && self.session.engine.has_changes() {
            return Err(inside_block(&format!("DISCARD {what}")).into());
        }
        if target == DiscardTarget::All {
            self.session.cursors.clear();
            self.session.portals.clear();
            self.forget_statements();
            self.unlisten(None)?;
            self.reset(None).await?;
            self.session.engine.unlock();
        }
        if drops {
            self.session.engine.discard_temporary();
        }
        if matches!(target, DiscardTarget::All | DiscardTarget::Sequences) {
            self.session.engine.forget_numbers();
        }
        Ok(format!("DISCARD {what}"))
    }

    /// Sends a warning, if they are wanted.
    pub(super) fn warn(&mut self, sqlstate: &str, text: &str) {
        if self.session.settings.wants_warnings() {
            message::notice("WARNING", sqlstate, &text.into(), &mut self.outbox);
        }
    }

    /// Sends a notice, if they are wanted.
    pub(super) fn notice(&mut self, notice: &Notice) {
        if self.session.settings.wants_notices() {
            message::notice("NOTICE", notice.sqlstate, notice, &mut self.outbox);
        }
    }
}

fn stop(error: WireError) -> Halt {
    Halt::Stop(Stop::from(error))
}

/// Returns the column of `SHOW name`.
pub(super) fn show_schema(name: &str) -> Result<Schema, WireError> {
    Ok(text_columns(&[&Settings::spelled(name)?]))
}

/// Returns the columns of `SHOW ALL`.
pub(super) fn show_all_schema() -> Schema {
    text_columns(&["name", "setting", "description"])
}

fn text_columns(names: &[&str]) -> Schema {
    Schema::new(
        names.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect::<Vec<_>>(),
    )
}
