//! `SET`, `SHOW`, `RESET`, `DISCARD`.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use engine::query::postgres::Configured;

use super::portal::place_of;
use super::work::Halt;
use super::{Connection, Run, Stop};
use crate::dialect::DiscardTarget;
use crate::session::{Change, Settings};
use crate::wire::encode::{Format, RowEncoder};
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
        let in_block = self.session.transaction.is_open();
        if local && !in_block {
            self.warn(
                sqlstate::NO_ACTIVE_SQL_TRANSACTION,
                "SET LOCAL can only be used in transaction blocks",
            );
            return Ok("SET".to_owned());
        }
        // A setting of the transaction lives as long as the transaction: outside of a block, it is gone at once.
        let of_transaction = change.name().starts_with("transaction_");
        if of_transaction && !in_block {
            return Ok("SET".to_owned());
        }
        self.tell_engine(&change).await?;
        self.session.settings.store(change, local || of_transaction);
        self.follow_isolation().await?;
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
        self.follow_isolation().await?;
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
            let in_block = self.session.transaction.is_open();
            let kept = succeeded && (in_block || !local);
            let change = match value {
                Some(value) if kept => Settings::checked(&name, value),
                None if kept => self.session.settings.check(&name, None),
                _ => self.session.settings.kept(&name),
            };
            let change = change.map_err(stop)?;
            self.tell_engine(&change).await.map_err(Halt::Stop)?;
            if kept {
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
                    self.session.settings.store(none, false);
                }
            }
            refused = refused.or(error);
        }
        match refused {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Sends the value of a setting.
    pub(super) fn show(&mut self, name: &str, describe: bool, formats: &[Format]) -> Run<()> {
        let value = self.session.settings.get(name)?.to_owned();
        if describe {
            let encoder =
                RowEncoder::new(&show_schema(name)?, formats, self.session.settings.zone());
            message::row_description(&encoder, &mut self.outbox);
        }
        message::text_row([value.as_str()], &mut self.outbox);
        Ok(())
    }

    /// Sends every setting.
    pub(super) fn show_all(&mut self, describe: bool, formats: &[Format]) {
        if describe {
            let encoder =
                RowEncoder::new(&show_all_schema(), formats, self.session.settings.zone());
            message::row_description(&encoder, &mut self.outbox);
        }
        for (name, value, about) in self.session.settings.all() {
            message::text_row([name, value, about], &mut self.outbox);
        }
    }

    /// Returns every setting as rows that are still to be sent, for a client that wants some at a time.
    pub(super) fn all_settings(&self, formats: &[Format]) -> Run<(Box<RowRun>, RowEncoder)> {
        let settings = || self.session.settings.all();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(settings().map(|(name, ..)| name))),
            Arc::new(StringArray::from_iter_values(settings().map(|(_, value, _)| value))),
            Arc::new(StringArray::from_iter_values(settings().map(|(.., about)| about))),
        ];
        let schema = Arc::new(show_all_schema());
        let encoder = RowEncoder::new(&schema, formats, self.session.settings.zone());
        let batch = RecordBatch::try_new(schema.clone(), columns)
            .map_err(|error| WireError::new(sqlstate::INTERNAL_ERROR, error.to_string()))?;
        let rows = RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(batch)]));
        let epoch = self.session.engine.status().epoch;
        Ok((Box::new(RowRun::new(Box::pin(rows), epoch)), encoder))
    }

    /// Forgets what the session has gathered.
    pub(super) async fn discard(&mut self, target: DiscardTarget) -> Run<String> {
        let what = match target {
            DiscardTarget::All => "ALL",
            DiscardTarget::Plans => "PLANS",
            DiscardTarget::Sequences => "SEQUENCES",
            DiscardTarget::Temporary => "TEMP",
        };
        if target == DiscardTarget::All {
            if self.session.transaction.is_open() {
                let message = "DISCARD ALL cannot run inside a transaction block";
                return Err(WireError::new(sqlstate::ACTIVE_SQL_TRANSACTION, message).into());
            }
            self.session.cursors.clear();
            self.session.portals.clear();
            self.forget_statements();
            self.unlisten(None)?;
            self.reset(None).await?;
        }
        if matches!(target, DiscardTarget::All | DiscardTarget::Temporary) {
            self.session.engine.discard_temporary();
        }
        if matches!(target, DiscardTarget::All | DiscardTarget::Sequences) {
            self.session.engine.forget_numbers();
        }
        Ok(format!("DISCARD {what}"))
    }

    /// Sends a warning.
    pub(super) fn warn(&mut self, sqlstate: &str, text: &str) {
        message::notice("WARNING", sqlstate, text, &mut self.outbox);
    }

    /// Sends a notice, if they are wanted.
    pub(super) fn notice(&mut self, text: &str) {
        if self.session.settings.wants_notices() {
            message::notice("NOTICE", "00000", text, &mut self.outbox);
        }
    }
}

fn stop(error: WireError) -> Halt {
    Halt::Stop(Stop::from(error))
}

/// Returns the column of `SHOW name`.
pub(super) fn show_schema(name: &str) -> Result<arrow::datatypes::Schema, WireError> {
    Ok(text_columns(&[&Settings::spelled(name)?]))
}

/// Returns the columns of `SHOW ALL`.
pub(super) fn show_all_schema() -> arrow::datatypes::Schema {
    text_columns(&["name", "setting", "description"])
}

fn text_columns(names: &[&str]) -> arrow::datatypes::Schema {
    use arrow::datatypes::{DataType, Field};
    arrow::datatypes::Schema::new(
        names.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect::<Vec<_>>(),
    )
}
