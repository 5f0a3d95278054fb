//! The extended protocol: Parse, Bind, Describe, Execute, Close.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use engine::query::postgres::OpenCursor;

use super::cursor::{bytes_of, rows_of};
use super::explained::explain_columns;
use super::portal::{Portal, PortalState, Prepared, Written, formats_of, place_of};
use super::query::{Delivery, Planned, planned_text, unsupported};
use super::setting::{show_all_schema, show_schema};
use super::statement::{
    How, nested_execute, no_statement, oid_of, parse, place_of_start, tag_for, tag_of,
};
use super::{Connection, Run, activity};
use crate::dialect::{Parsed, Statement};
use crate::wire::encode::{Format, RowEncoder};
use crate::wire::error::{WireError, sqlstate};
use crate::wire::frame::{Bind, Frontend, Target};
use crate::wire::limits::PORTALS_MAX;
use crate::wire::message;
use crate::wire::output::Framing;
use crate::wire::parameter;

impl Connection {
    /// Handles one message of the extended protocol.
    pub(super) async fn extended(&mut self, message: Frontend) -> Run<()> {
        match message {
            Frontend::Parse { name, text, types } => self.parse_message(&name, &text, types).await,
            Frontend::Bind(bind) => self.bind(bind),
            Frontend::Describe { target: Target::Statement, name } => {
                self.describe_statement(&name)
            }
            Frontend::Describe { target: Target::Portal, name } => self.describe_portal(&name),
            Frontend::Execute { portal, rows_max } => self.execute(&portal, rows_max).await,
            Frontend::Close { target, name } => {
                match target {
                    Target::Statement => drop(self.session.statements.remove(&name)),
                    Target::Portal => {
                        self.session.portals.remove(&name);
                        self.session.cursors.remove(&name);
                    }
                }
                message::close_complete(&mut self.outbox);
                Ok(())
            }
            Frontend::Unreadable { error, .. } => Err(error.into()),
            // The others are handled before it comes to this.
            _ => Err(WireError::protocol("unexpected message").into()),
        }
    }

    async fn parse_message(&mut self, name: &str, text: &str, types: Vec<u32>) -> Run<()> {
        if name.is_empty() {
            self.session.statements.remove("");
        }
        let mut statements = parse(text)?;
        if statements.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(WireError::new(sqlstate::SYNTAX_ERROR, message).into());
        }
        let parsed = statements.pop();
        let declared: Vec<_> = types.iter().map(|oid| parameter::arrow_of(*oid)).collect();
        let mut plan = None;
        if let Some(parsed) = &parsed {
            self.session.transaction.admit(&parsed.statement)?;
            // The query of a cursor may have parameters, as drivers send it.
            let query = match &parsed.statement {
                Statement::Declare { query, .. } => query,
                _ => parsed,
            };
            // Said before parameters are counted: a plan would know how many there are, and there is none.
            if let Statement::Unsupported { what, hint } = &query.statement {
                return Err(unsupported(what, hint).at(place_of_start(text, query)).into());
            }
            if let Some(sql) = planned_text(query)? {
                let planned = self.plan(sql, declared.clone()).await;
                plan = Some(planned.map_err(|halt| halt.at(place_of(text, Some(query))))?);
            }
        }
        let parameters = Prepared::parameters_of(plan.as_ref(), &types);
        let (source, written, _shown) = (text.into(), Written::default(), None);
        let prepared = Prepared { source, parsed, plan, parameters, declared, _shown, written };
        self.keep(name, prepared, false)?;
        message::parse_complete(&mut self.outbox);
        Ok(())
    }

    fn bind(&mut self, bind: Bind) -> Run<()> {
        let Some(prepared) = self.session.statements.get(&bind.statement).cloned() else {
            return Err(no_statement(&bind.statement).into());
        };
        let (given, wanted) = (bind.values.len(), prepared.parameters.len());
        let count = bind.formats.len();
        if count > 1 && count != given {
            let message =
                format!("bind message has {count} parameter formats but {given} parameters");
            return Err(WireError::new(sqlstate::PROTOCOL_VIOLATION, message).into());
        }
        if given != wanted {
            let message = format!(
                "bind message supplies {given} parameters, but prepared statement \"{}\" requires {wanted}",
                bind.statement
            );
            return Err(WireError::new(sqlstate::PROTOCOL_VIOLATION, message).into());
        }
        match &prepared.parsed {
            Some(parsed) => self.session.transaction.admit(&parsed.statement)?,
            None => self.session.transaction.check_whole()?,
        }
        let formats = formats_of(&bind.formats)?;
        let format_of = |index: usize| match formats.as_slice() {
            [] => Format::Text,
            [all] => *all,
            each => each[index],
        };
        let zone = self.session.settings.zone();
        let values = bind.values.iter().zip(&prepared.parameters).enumerate().map(
            |(index, (value, parameter))| {
                parameter::decode(
                    value.as_deref(),
                    format_of(index),
                    oid_of(parameter),
                    &parameter.field,
                    index,
                    &zone,
                )
            },
        );
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let result_formats = formats_of(&bind.result_formats)?;
        let count = result_formats.len();
        if count > 1
            && let Ok(Some(columns)) = self.columns_of(&prepared)
            && columns.fields().len() != count
        {
            let width = columns.fields().len();
            let message =
                format!("bind message has {count} result formats but query has {width} columns");
            return Err(WireError::new(sqlstate::PROTOCOL_VIOLATION, message).into());
        }
        if !bind.portal.is_empty() {
            self.check_cursor_name(&bind.portal)?;
        }
        if self.session.portals.len() >= PORTALS_MAX
            && !self.session.portals.contains_key(&bind.portal)
        {
            let message = format!("too many portals: the bound is {PORTALS_MAX}");
            return Err(WireError::new(sqlstate::LIMIT_EXCEEDED, message)
                .hint("Close those that are done.")
                .into());
        }
        let statement = Arc::clone(&prepared.source);
        let mut portal = self.portal(prepared, values, result_formats);
        if !bind.portal.is_empty() {
            portal.bytes = bind.portal.len() + bytes_of(&portal.values);
            self.check_room(portal.bytes)?;
            portal._shown = Some(self.session.engine.show_cursor(OpenCursor {
                name: bind.portal.clone(),
                statement,
                is_holdable: false,
                is_binary: false,
                is_scrollable: false,
                created_at_us: 0,
            }));
        }
        self.session.portals.insert(bind.portal, portal);
        message::bind_complete(&mut self.outbox);
        Ok(())
    }

    fn describe_statement(&mut self, name: &str) -> Run<()> {
        let Some(prepared) = self.session.statements.get(name).cloned() else {
            return Err(no_statement(name).into());
        };
        let columns = self.described(&prepared)?;
        let types = prepared.parameters.iter().map(oid_of).collect();
        message::parameter_description(types, &mut self.outbox);
        self.describe(&prepared, columns, &[]);
        Ok(())
    }

    /// Describes a portal. A cursor that was declared in SQL is one, too: drivers ask for its columns before they fetch,
    /// and it is the Bind of the `FETCH` that will say how they are written.
    fn describe_portal(&mut self, name: &str) -> Run<()> {
        if let Some(cursor) = self.session.cursors.get(name) {
            self.session.transaction.check_whole()?;
            let zone = self.session.settings.zone();
            let encoder = RowEncoder::new(&cursor.columns, &cursor.formats, zone);
            message::row_description(&encoder, &mut self.outbox);
            return Ok(());
        }
        let Some(portal) = self.session.portals.get(name) else {
            return Err(no_portal(name).into());
        };
        let (prepared, formats) = (portal.prepared.clone(), portal.formats.clone());
        let columns = self.described(&prepared)?;
        self.describe(&prepared, columns, &formats);
        Ok(())
    }

    /// Returns the columns that a statement is described with: in a block that has failed only one without them is.
    fn described(&self, prepared: &Prepared) -> Run<Option<SchemaRef>> {
        let columns = self.columns_of(prepared)?;
        if columns.is_some() {
            self.session.transaction.check_whole()?;
        }
        Ok(columns)
    }

    fn describe(&mut self, prepared: &Prepared, columns: Option<SchemaRef>, formats: &[Format]) {
        match columns {
            Some(schema) => {
                let settings = &self.session.settings;
                let encoder =
                    prepared.encoder(&schema, formats, settings.zone(), settings.intervals());
                message::row_description(&encoder, &mut self.outbox);
            }
            None => message::no_data(&mut self.outbox),
        }
    }

    /// Returns the columns that a statement will answer with, `None` if it has no rows.
    fn columns_of(&self, prepared: &Prepared) -> Run<Option<SchemaRef>> {
        let Some(Parsed { statement, .. }) = &prepared.parsed else { return Ok(None) };
        let of = |schema: Schema| Some(Arc::new(schema));
        Ok(match statement {
            // `EXPLAIN EXECUTE` is planned when it is run.
            Statement::Explain { format, .. } if prepared.plan.is_none() => {
                Some(explain_columns(*format))
            }
            Statement::Query { .. }
            | Statement::Explain { .. }
            | Statement::ExplainIdentity { .. } => prepared.schema().cloned(),
            Statement::Write { .. } => {
                prepared.schema().filter(|schema| !schema.fields().is_empty()).cloned()
            }
            Statement::Show { name } => of(show_schema(name)?),
            Statement::ShowAll => of(show_all_schema()),
            // What is not there fails when it is executed, and has no columns until then.
            Statement::Fetch { cursor: name, .. } => match self.session.cursors.get(name) {
                Some(cursor) => Some(cursor.columns.clone()),
                None => self.session.portals.get(name).and_then(|portal| self.fetched(portal)),
            },
            Statement::Execute { name, .. } => match self.session.statements.get(name) {
                Some(inner) if inner.is_execute() => return Err(nested_execute(name).into()),
                Some(inner) => self.columns_of(inner)?,
                None => None,
            },
            Statement::ShowObjects { .. }
            | Statement::ShowCreate { .. }
            | Statement::Refresh { .. }
            | Statement::RunSync { .. }
            | Statement::Decide { .. }
            | Statement::ExplainImpact { .. }
            | Statement::ExplainAlteration(_) => self.session.engine.columns(statement),
            _ => None,
        })
    }

    /// Returns the columns of what is fetched from a portal, `None` if it has no rows. What would fetch itself has none.
    pub(super) fn fetched(&self, portal: &Portal) -> Option<SchemaRef> {
        let columns = match &portal.prepared.parsed.as_ref()?.statement {
            Statement::Fetch { .. } => None,
            Statement::Execute { name, .. } => {
                self.session.statements.get(name).and_then(|inner| inner.schema().cloned())
            }
            _ => self.columns_of(&portal.prepared).ok().flatten(),
        };
        columns.filter(|schema| !schema.fields().is_empty())
    }

    async fn execute(&mut self, name: &str, rows_max: u32) -> Run<()> {
        let rows_max = if rows_max == 0 { u64::MAX } else { u64::from(rows_max) };
        if self.session.cursors.contains_key(name) {
            return self.execute_cursor(name, rows_max).await;
        }
        let Some(portal) = self.session.portals.get_mut(name) else {
            return Err(no_portal(name).into());
        };
        let state = std::mem::replace(&mut portal.state, PortalState::Done);
        // It is run once with its values; whoever executes it again has the rest of its rows.
        let values = std::mem::take(&mut portal.values);
        let told = portal.told.clone();
        let (prepared, formats) = (portal.prepared.clone(), portal.formats.clone());
        let Some(parsed) = &prepared.parsed else {
            message::empty_query(&mut self.outbox);
            return Ok(());
        };
        self.session.transaction.admit(&parsed.statement)?;
        // All up to the Sync is one transaction, and what comes behind this has its time.
        self.session.engine.begin_transaction();
        self.show_running(activity::shown_again(&prepared.source, parsed))?;
        match (state, &parsed.statement) {
            (PortalState::Done, _) => self.execute_again(name, parsed, told.as_deref()),
            (PortalState::Suspended(run, encoder), statement) => {
                self.check_epoch(&run, &format!("portal \"{name}\""))?;
                let framing = Framing::Rows(encoder.clone());
                let place = prepared.place();
                let (sent, run) = self
                    .continue_rows(run, framing, rows_max)
                    .await
                    .map_err(|halt| halt.at(place))?;
                let next = (!sent.finished).then(|| PortalState::Suspended(run, encoder));
                let tag = match told {
                    Some(told) => tag_for(&told, sent.rows),
                    None => tag_of(statement, sent.rows),
                };
                self.complete_portal(name, next, (sent.rows, tag))
            }
            (
                PortalState::Ready,
                Statement::Query { .. }
                | Statement::Explain { .. }
                | Statement::ExplainIdentity { .. },
            ) if let Some(plan) = prepared.plan.clone() => {
                let (zone, intervals) =
                    (self.session.settings.zone(), self.session.settings.intervals());
                let encoder = Some(prepared.encoder(&plan.schema, &formats, zone, intervals));
                let (describe, followed) = (false, false);
                let delivery = Delivery { formats, encoder, describe, rows_max, followed };
                let started = self.send_rows(Planned::Plan(plan, values), delivery).await;
                let (sent, run, encoder) = started.map_err(|halt| halt.at(prepared.place()))?;
                let next = (!sent.finished).then(|| PortalState::Suspended(run, encoder));
                let tag = tag_of(&parsed.statement, sent.rows);
                self.complete_portal(name, next, (sent.rows, tag))
            }
            (state, Statement::Fetch { direction, cursor }) => {
                let left = match state {
                    PortalState::Fetching(left) => left,
                    _ => rows_of(*direction),
                };
                let rows_max = rows_max.min(left);
                let (describe, followed) = (false, false);
                let delivery = Delivery { formats, encoder: None, describe, rows_max, followed };
                let sent = self.fetch(cursor, *direction, delivery).await?;
                let left = left.saturating_sub(sent.rows);
                let next = (!sent.finished && left > 0).then_some(PortalState::Fetching(left));
                let tag = tag_of(&parsed.statement, sent.rows);
                self.complete_portal(name, next, (sent.rows, tag))
            }
            _ => {
                let how = How {
                    source: &prepared.source,
                    prepared: Some((&prepared, &values)),
                    formats: &formats,
                    describe: false,
                    followed: false,
                    rows_max,
                };
                // One with rows is run whole all the same. What was not asked for yet comes with the next Execute.
                let has_rows = matches!(self.columns_of(&prepared), Ok(Some(_)));
                let tag = self.statement(parsed, how).await?;
                let unsent = self.session.unsent.take();
                if has_rows && let Some(portal) = self.session.portals.get_mut(name) {
                    portal.told = Some(tag.clone());
                }
                let rows = if unsent.is_some() { rows_max } else { 0 };
                let next = unsent.map(|(run, encoder)| PortalState::Suspended(run, encoder));
                self.complete_portal(name, next, (rows, tag))
            }
        }
    }

    /// Says that a portal has sent rows and has more, and keeps it, or that it is done.
    fn complete_portal(
        &mut self,
        name: &str,
        next: Option<PortalState>,
        (rows, tag): (u64, String),
    ) -> Run<()> {
        // Under another purpose all portals are gone.
        let Some(portal) = self.session.portals.get_mut(name) else {
            message::complete(&tag, &mut self.outbox);
            return Ok(());
        };
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        portal.passed = portal.passed.saturating_add(rows);
        match next {
            Some(next) => {
                portal.state = next;
                message::portal_suspended(&mut self.outbox);
            }
            None => message::complete(&tag, &mut self.outbox),
        }
        Ok(())
    }

    /// A statement with rows that has given them all gives none; anything else may not run twice.
    fn execute_again(&mut self, name: &str, parsed: &Parsed, told: Option<&str>) -> Run<()> {
        let tag = match (told, &parsed.statement) {
            (Some(told), _) => tag_for(told, 0),
            (
                None,
                Statement::Query { .. }
                | Statement::Explain { .. }
                | Statement::ExplainIdentity { .. }
                | Statement::Fetch { .. },
            ) => tag_of(&parsed.statement, 0),
            (None, _) => return Err(not_run(name).into()),
        };
        message::complete(&tag, &mut self.outbox);
        Ok(())
    }
}

/// The answer to a portal that is to be run again, or that has no rows to be fetched.
pub(super) fn not_run(name: &str) -> WireError {
    let message = format!("portal \"{name}\" cannot be run");
    WireError::new(sqlstate::OBJECT_NOT_IN_STATE, message)
}

fn no_portal(name: &str) -> WireError {
    WireError::new(sqlstate::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}
