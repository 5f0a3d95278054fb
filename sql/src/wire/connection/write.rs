//! Statements that change tables and views of the schema `analytics`, and their commit.
//!
//! Outside of a block a text of the simple protocol is one transaction, and so are the messages up to a Sync.

use futures::FutureExt;

use super::portal::place_of;
use super::query::no_parameter;
use super::statement::How;
use super::{Connection, Run};
use crate::dialect::Parsed;
use crate::session::Transaction;
use crate::wire::error::Place;
use crate::wire::output::WorkError;

impl Connection {
    /// Runs a statement that writes, and returns its tag.
    pub(super) async fn write(&mut self, verb: &str, parsed: &Parsed, how: How<'_>) -> Run<String> {
        Transaction::admit_write(verb, self.is_read_only())?;
        let engine = self.session.engine.clone();
        let prepared = how.prepared.and_then(|(prepared, values)| {
            prepared.plan.clone().map(|plan| (plan, values.to_vec()))
        });
        let text = parsed.text.clone();
        let answer = self.answer(&how);
        let done = self.on_cpu(move |output| {
            async move {
                let (plan, values) = match prepared {
                    Some(prepared) => prepared,
                    None => {
                        let plan = engine.plan(&text, &[]).await.map_err(WorkError::planning)?;
                        if !plan.parameters.is_empty() {
                            return Err(no_parameter().into());
                        }
                        (plan, vec![])
                    }
                };
                let outcome = engine.write(&plan, values).await.map_err(WorkError::running)?;
                answer.send(outcome, output).await
            }
            .boxed()
        });
        let done = done.await;
        let place = place_of(how.source, Some(parsed));
        self.adopt_settings(done.is_ok()).await.map_err(|halt| halt.at(place))?;
        let told = done.map_err(|halt| halt.at(place))?;
        Ok(self.note_told(told))
    }

    /// Makes what this session has changed visible to all, whole or not at all.
    pub(super) async fn commit_changes(&mut self) -> Run<()> {
        self.check_listening()?;
        if !self.session.engine.has_changes() {
            self.keep_listening();
            return Ok(());
        }
        let engine = self.session.engine.clone();
        let done = self
            .on_cpu(move |_| {
                async move { engine.commit().await.map_err(WorkError::running) }.boxed()
            })
            .await;
        // A commit that was stopped goes on to its end or never was; nothing of it is left here.
        self.session.engine.rollback();
        done.map_err(|halt| halt.at(Place::NOWHERE))?;
        self.keep_listening();
        Ok(())
    }

    /// Commits what was changed outside of a block, unless a part of it failed.
    pub(super) async fn commit_implicit(&mut self, failed: bool) -> Run<()> {
        match failed || self.session.transaction.is_open() {
            true => Ok(()),
            false => self.commit_changes().await,
        }
    }
}
