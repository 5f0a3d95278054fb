//! One statement of either protocol: what each kind does, and the tag that it ends with.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use engine::query::postgres::PreparedStatement;
use futures::FutureExt;

use super::cursor::Declared;
use super::portal::{Parameter, Portal, PortalState, Prepared, Written, place_of};
use super::query::{Delivery, Planned, explain_prefix, planned_text, refused, unsupported};
use super::{Connection, Run, activity};
use crate::dialect::{self, CopyInput, CopyOptions, Parsed, Statement};
use crate::session::{changes_the_lake, inside_block};
use crate::wire::encode::Format;
use crate::wire::error::{Place, WireError, sqlstate};
use crate::wire::limits::{FLUSH_BYTES, STATEMENTS_BYTES_MAX, STATEMENTS_MAX};
use crate::wire::message;
use crate::wire::output::WorkError;
use crate::wire::parameter;
use crate::wire::types::PgType;

/// How a statement is run.
pub(super) struct How<'a> {
    /// The whole text that it came in.
    pub(super) source: &'a str,
    /// Its plan and the values of its parameters, if the protocol made them.
    pub(super) prepared: Option<(&'a Prepared, &'a [ScalarValue])>,
    /// How its columns are written.
    pub(super) formats: &'a [Format],
    /// Whether its columns are described first.
    pub(super) describe: bool,
    /// Whether other statements follow it in the same text.
    pub(super) followed: bool,
    /// Rows at most; the session keeps the others.
    pub(super) rows_max: u64,
}

impl How<'_> {
    pub(super) fn delivery(&self) -> Delivery {
        Delivery {
            formats: self.formats.to_vec(),
            encoder: None,
            describe: self.describe,
            rows_max: self.rows_max,
            followed: self.followed,
        }
    }
}

impl Connection {
    /// Runs a text of statements, one after the other. What has no name ends with it.
    pub(super) async fn simple_query(&mut self, text: &str) -> Run<()> {
        self.session.statements.remove("");
        self.session.portals.remove("");
        let statements = parse(text)?;
        if statements.is_empty() {
            self.commit_implicit(false).await?;
            message::empty_query(&mut self.outbox);
            return Ok(());
        }
        self.show_running(activity::shown(text, &statements))?;
        let count = statements.len();
        self.session.transaction.note_text(count);
        for (index, parsed) in statements.iter().enumerate() {
            // The one before may have ended a transaction.
            if count > 1 {
                self.session.engine.begin_transaction();
            }
            let how = How {
                source: text,
                prepared: None,
                formats: &[],
                describe: true,
                followed: index + 1 < count,
                rows_max: u64::MAX,
            };
            let tag = self.statement(parsed, how).await?;
            if index + 1 == count {
                self.commit_implicit(false).await?;
            }
            message::complete(&tag, &mut self.outbox);
            if self.outbox.len() >= FLUSH_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Runs one statement and returns its tag.
    pub(super) async fn statement(&mut self, parsed: &Parsed, how: How<'_>) -> Run<String> {
        self.session.transaction.admit(&parsed.statement)?;
        match &parsed.statement {
            Statement::Explain { analyze, verbose, format, statement }
                if let Statement::Execute { name, arguments } = &statement.statement =>
            {
                let prefix = explain_prefix(*analyze, *verbose, *format);
                self.explain_prepared(&prefix, (name, arguments), how).await
            }
            Statement::Query { .. }
            | Statement::Explain { .. }
            | Statement::ExplainIdentity { .. } => self.query(parsed, how).await,
            Statement::Write { verb } => self.write(verb, parsed, how).await,
            Statement::Set { name, value, local } => self.set(name, value.as_deref(), *local).await,
            Statement::SetTransaction { modes, session } => {
                self.set_transaction(*modes, *session).await
            }
            Statement::Show { name } => self.show(name, &how),
            Statement::ShowAll => self.show_all(&how),
            Statement::SetConstraints { names, deferred } => {
                self.set_constraints(names.clone(), *deferred).await
            }
            Statement::Reset { name } => self.reset(name.as_deref()).await,
            Statement::Discard { target } => self.discard(*target).await,
            Statement::Begin { start, modes } => self.begin(*start, *modes).await,
            Statement::Commit { chain } => self.end_block(true, *chain).await,
            Statement::Rollback { chain } => self.end_block(false, *chain).await,
            Statement::Savepoint { name } => self.savepoint(name),
            Statement::RollbackTo { name } => self.rollback_to(name).await,
            Statement::Release { name } => self.release(name),
            Statement::Prepare { name, types, statement } => {
                self.prepare(name, types, statement, how.source).await
            }
            Statement::Execute { name, arguments } => {
                self.execute_prepared(name, arguments, how).await
            }
            Statement::Deallocate { name } => self.deallocate(name.as_deref()),
            Statement::Declare { name, binary, scroll, hold, query } => {
                let declared = Declared { name, binary: *binary, scroll: *scroll, hold: *hold };
                self.declare(declared, query, how).await
            }
            Statement::Fetch { direction, cursor } => {
                let sent = self.fetch(cursor, *direction, how.delivery()).await?;
                Ok(format!("FETCH {}", sent.rows))
            }
            Statement::Move { direction, cursor } => {
                let sent = self.move_cursor(cursor, *direction).await?;
                Ok(format!("MOVE {}", sent.rows))
            }
            Statement::Close { cursor } => self.close(cursor.as_deref()),
            Statement::Listen { channel } => self.listen(channel),
            Statement::Unlisten { channel } => self.unlisten(channel.as_deref()),
            Statement::Notify { channel, payload } => self.notify(channel, payload),
            Statement::Tuning { tag, reads } => self.tune(tag, reads, parsed, how).await,
            Statement::Copy { input, options } => self.copy(input, options, how).await,
            Statement::CopyFrom { relation, columns, options } => {
                self.copy_in(relation, columns, options, parsed, how).await
            }
            Statement::Unsupported { what, hint } => {
                Err(unsupported(what, hint).at(place_of_start(how.source, parsed)).into())
            }
            Statement::Refused { what, hint } => {
                Err(refused(what, hint).at(place_of_start(how.source, parsed)).into())
            }
            Statement::Create { .. }
            | Statement::AlterGraph(_)
            | Statement::Drop { .. }
            | Statement::Comment { .. }
            | Statement::Refresh { .. }
            | Statement::RunSync { .. }
            | Statement::Decide { .. }
            | Statement::ApplyOverrides { .. }
            | Statement::ExplainImpact { .. }
            | Statement::ExplainAlteration(_)
            | Statement::ShowObjects { .. }
            | Statement::ShowCreate { .. } => self.own_statement(parsed, how).await,
        }
    }

    async fn query(&mut self, parsed: &Parsed, how: How<'_>) -> Run<String> {
        let planned = match how
            .prepared
            .and_then(|(prepared, values)| prepared.plan.as_ref().zip(Some(values)))
        {
            Some((plan, values)) => Planned::Plan(plan.clone(), values.to_vec()),
            None => Planned::Text(planned_text(parsed)?.unwrap_or_else(|| parsed.text.clone())),
        };
        let place = place_of(how.source, Some(parsed));
        let (sent, run, encoder) =
            self.send_rows(planned, how.delivery()).await.map_err(|halt| halt.at(place))?;
        self.keep_unsent(sent, (run, encoder));
        Ok(tag_of(&parsed.statement, sent.rows))
    }

    /// Runs a statement of onefold's own. One that changes the lake commits by itself, so that it must stand where
    /// nothing could undo it: outside of a block, and last in its text.
    async fn own_statement(&mut self, parsed: &Parsed, how: How<'_>) -> Run<String> {
        if let Some(what) = changes_the_lake(&parsed.statement) {
            let read_only = self.is_read_only();
            self.session.transaction.admit_change(&what, read_only, how.followed)?;
            // What was written before it in the same text or series of messages is not committed yet.
            if self.session.engine.has_changes() {
                return Err(inside_block(&what).into());
            }
        }
        let engine = self.session.engine.clone();
        let (statement, answer) = (parsed.statement.clone(), self.answer(&how));
        let done = self.on_cpu(move |output| {
            async move {
                let outcome = engine.run(&statement).await.map_err(WorkError::running)?;
                answer.send(outcome, output).await
            }
            .boxed()
        });
        let told = done.await.map_err(|halt| halt.at(place_of(how.source, Some(parsed))))?;
        Ok(self.note_told(told))
    }

    async fn copy(
        &mut self,
        input: &CopyInput,
        options: &CopyOptions,
        how: How<'_>,
    ) -> Run<String> {
        let source = how.source;
        let (text, place) = match input {
            CopyInput::Query(query) => (query.text.clone(), place_of(source, Some(query))),
            CopyInput::Relation { select, offset } => (
                select.clone(),
                Place {
                    source,
                    offset: *offset,
                    text: source.get(*offset..).unwrap_or_default(),
                    prefix: 0,
                },
            ),
        };
        let rows = self
            .send_copy(Planned::Text(text), options.clone(), how.followed)
            .await
            .map_err(|halt| halt.at(place))?;
        Ok(format!("COPY {rows}"))
    }

    /// `ANALYZE`: what it asks for is always so, if the relations are there.
    async fn tune(
        &mut self,
        tag: &'static str,
        reads: &[String],
        parsed: &Parsed,
        how: How<'_>,
    ) -> Run<String> {
        match tag {
            dialect::LOCK => self.session.transaction.require_shared(tag)?,
            "VACUUM" if self.session.transaction.is_shared() => {
                return Err(inside_block(tag).into());
            }
            _ => {}
        }
        for read in reads {
            let planned = self.plan(read.clone(), vec![]).await;
            planned.map_err(|halt| halt.at(place_of(how.source, Some(parsed))))?;
        }
        match tag {
            dialect::LOCK => {}
            "ALTER TABLE" => {
                self.notice(&"rows are merged in the background: there is nothing to do".into());
            }
            _ => self.notice(&"statistics are kept with the rows: there is nothing to do".into()),
        }
        Ok(tag.to_owned())
    }

    async fn prepare(
        &mut self,
        name: &str,
        types: &[Option<arrow::datatypes::DataType>],
        statement: &Parsed,
        source: &str,
    ) -> Run<String> {
        let plan = match planned_text(statement)? {
            Some(text) => {
                let planned = self.plan(text, types.to_vec()).await;
                Some(planned.map_err(|halt| halt.at(place_of(source, Some(statement))))?)
            }
            None => None,
        };
        let parameters = Prepared::parameters_of(plan.as_ref(), &[]);
        let (source, parsed) = (source.into(), Some(statement.clone()));
        let written = Written::default();
        let (declared, _shown) = (types.to_vec(), None);
        let prepared = Prepared { source, parsed, plan, parameters, declared, _shown, written };
        self.keep(name, prepared, true)?;
        Ok("PREPARE".to_owned())
    }

    /// Keeps a prepared statement under a name that is free.
    pub(super) fn keep(
        &mut self,
        name: &str,
        mut prepared: Prepared,
        from_sql: bool,
    ) -> Result<(), WireError> {
        if !name.is_empty() && self.session.statements.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(WireError::new(sqlstate::DUPLICATE_PREPARED_STATEMENT, message));
        }
        if self.session.statements.len() >= STATEMENTS_MAX {
            let message = format!("too many prepared statements: the bound is {STATEMENTS_MAX}");
            return Err(WireError::new(sqlstate::LIMIT_EXCEEDED, message)
                .hint("Use DEALLOCATE for those that are done."));
        }
        let named = self.session.statements.iter().filter(|(name, _)| !name.is_empty());
        let bytes: usize = named.map(|(name, kept)| name.len() + kept.bytes()).sum();
        if !name.is_empty() && bytes + name.len() + prepared.bytes() > STATEMENTS_BYTES_MAX {
            let mib = STATEMENTS_BYTES_MAX >> 20;
            let message =
                format!("prepared statements are too long: all of a session have {mib} MiB");
            return Err(WireError::new(sqlstate::LIMIT_EXCEEDED, message)
                .hint("Use DEALLOCATE for those that are done, or COPY for many rows."));
        }
        if !name.is_empty() {
            prepared._shown = Some(self.session.engine.show_prepared(PreparedStatement {
                name: name.to_owned(),
                statement: Arc::clone(&prepared.source),
                prepared_at_us: 0,
                parameter_types: prepared.parameters.iter().map(oid_of).collect(),
                from_sql,
            }));
        }
        self.session.statements.insert(name.to_owned(), prepared.into());
        Ok(())
    }

    async fn execute_prepared(
        &mut self,
        name: &str,
        arguments: &[String],
        how: How<'_>,
    ) -> Run<String> {
        let (prepared, values) = self.with_values(name, arguments, how.source).await?;
        let Some(parsed) = &prepared.parsed else { return Ok("EXECUTE".to_owned()) };
        let how = How { source: &prepared.source, prepared: Some((&prepared, &values)), ..how };
        Box::pin(self.statement(parsed, how)).await
    }

    /// Returns a prepared statement and the values of its parameters, which are written in `source`.
    pub(super) async fn with_values(
        &mut self,
        name: &str,
        arguments: &[String],
        source: &str,
    ) -> Run<(Arc<Prepared>, Vec<ScalarValue>)> {
        let Some(prepared) = self.session.statements.get(name).cloned() else {
            return Err(no_statement(name).into());
        };
        if prepared.is_execute() {
            return Err(nested_execute(name).into());
        }
        if arguments.len() != prepared.parameters.len() {
            let (given, wanted) = (arguments.len(), prepared.parameters.len());
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            let mut error = WireError::new(sqlstate::SYNTAX_ERROR, message)
                .hint("EXECUTE name (value, ...) gives one value for each parameter.");
            error.detail = Some(format!("Expected {wanted} parameters but got {given}.").into());
            return Err(error.into());
        }
        let nowhere = Place { source, ..Place::NOWHERE };
        let values = self.values_of(arguments).await.map_err(|halt| halt.at(nowhere))?;
        let zone = self.session.settings.zone();
        let given = |(value, parameter): (ScalarValue, &Parameter)| {
            parameter::given(value, oid_of(parameter), &parameter.field, &zone)
        };
        let values = values
            .into_iter()
            .zip(&prepared.parameters)
            .map(given)
            .collect::<Result<Vec<_>, _>>()?;
        Ok((prepared, values))
    }

    /// Forgets every prepared statement that has a name.
    pub(super) fn forget_statements(&mut self) {
        self.session.statements.retain(|name, _| name.is_empty());
    }

    fn deallocate(&mut self, name: Option<&str>) -> Run<String> {
        match name {
            None => {
                self.forget_statements();
                Ok("DEALLOCATE ALL".to_owned())
            }
            Some(name) => match self.session.statements.remove(name) {
                Some(_) => Ok("DEALLOCATE".to_owned()),
                None => Err(no_statement(name).into()),
            },
        }
    }

    /// Makes a portal of a statement that has no parameters left open.
    pub(super) fn portal(
        &mut self,
        prepared: Arc<Prepared>,
        values: Vec<ScalarValue>,
        formats: Vec<Format>,
    ) -> Portal {
        self.session.opened += 1;
        let (state, opened) = (PortalState::Ready, self.session.opened);
        let (passed, told, bytes, _shown) = (0, None, 0, None);
        Portal { prepared, values, formats, state, passed, told, opened, bytes, _shown }
    }
}

/// Reads a text of statements, within its bounds.
pub(super) fn parse(text: &str) -> Result<Vec<Parsed>, WireError> {
    Ok(dialect::parse(text)?)
}

/// Returns the tag of a query, or of what is answered as one.
pub(super) fn tag_of(statement: &Statement, rows: u64) -> String {
    match statement {
        Statement::Explain { .. } | Statement::ExplainIdentity { .. } => "EXPLAIN".to_owned(),
        Statement::Show { .. } | Statement::ShowAll => "SHOW".to_owned(),
        Statement::Fetch { .. } => format!("FETCH {rows}"),
        _ => format!("SELECT {rows}"),
    }
}

/// Returns the tag of a statement that was run whole, for so many of the rows that it gave.
pub(super) fn tag_for(told: &str, rows: u64) -> String {
    match told.rsplit_once(' ') {
        Some((words @ ("SELECT" | "INSERT 0" | "UPDATE" | "DELETE" | "MERGE"), _)) => {
            format!("{words} {rows}")
        }
        _ => told.to_owned(),
    }
}

/// The answer to `EXECUTE` of a statement that is `EXECUTE` itself, which could go round in circles.
pub(super) fn nested_execute(name: &str) -> WireError {
    unsupported(
        &format!("EXECUTE of prepared statement \"{name}\", which is EXECUTE itself,"),
        "Execute the inner statement.",
    )
}

/// The answer to the name of a statement that was not prepared.
pub(super) fn no_statement(name: &str) -> WireError {
    let message: Cow<'static, str> = match name {
        "" => "unnamed prepared statement does not exist".into(),
        name => format!("prepared statement \"{name}\" does not exist").into(),
    };
    WireError::new(sqlstate::INVALID_SQL_STATEMENT_NAME, message)
}

/// Returns the position of a statement in its text.
pub(super) fn place_of_start(source: &str, parsed: &Parsed) -> Option<usize> {
    (parsed.offset <= source.len()).then(|| dialect::position_of(source, parsed.offset))
}

/// Returns the type that a parameter's field has on the wire.
pub(super) fn oid_of(parameter: &Parameter) -> u32 {
    if parameter.oid == 0 { PgType::of(&parameter.field).oid } else { parameter.oid }
}
