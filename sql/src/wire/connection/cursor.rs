//! Cursors: `DECLARE`, `FETCH`, `MOVE`, `CLOSE`. They go forward, and backward if they were declared with `SCROLL`. Portals
//! have their names among them: rows are fetched from a portal as from a cursor, and a cursor is executed as a portal.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use engine::query::postgres::OpenCursor;
use futures::FutureExt;

use super::extended::not_run;
use super::portal::{Portal, PortalState, place_of};
use super::query::{Delivery, Planned, ground_changed};
use super::statement::{How, tag_for, tag_of};
use super::{Connection, Halt, Run, Stop, activity};
use crate::dialect::{FetchDirection, Parsed};
use crate::wire::encode::{Format, RowEncoder};
use crate::wire::error::{WireError, sqlstate};
use crate::wire::limits::{CURSORS_MAX, OPEN_BYTES_MAX, SCROLLED_BYTES_MAX};
use crate::wire::message;
use crate::wire::output::{Framing, RowRun, Sent};
use crate::wire::scroll::{Scroll, Step};

/// A cursor: one that was declared, or a portal that rows were fetched from.
pub(super) struct Cursor {
    /// Its columns.
    pub(super) columns: SchemaRef,
    /// How Execute writes them; as text if there are none.
    pub(super) formats: Vec<Format>,
    run: Box<RowRun>,
    /// What it keeps to go backward; `None` if it goes forward only.
    scroll: Option<Scroll>,
    /// How many rows it has passed, if it goes forward only.
    passed: usize,
    /// Whether no row is left then.
    finished: bool,
    /// What was declared, as the session is shown it.
    shown: Arc<OpenCursor>,
    /// Whether it has outlived its transaction: no other one undoes it.
    held: bool,
    /// Which of the portals and cursors of its session it is.
    pub(super) opened: u64,
    /// Bytes of the values of its parameters.
    bytes: usize,
    /// The tag of a statement that was run whole before its rows were sent.
    told: Option<String>,
    source: Arc<str>,
    query: Arc<Parsed>,
}

impl Cursor {
    /// Notes the end of a transaction, and tells whether it is there still.
    pub(super) fn outlives(&mut self, committed: bool) -> bool {
        self.held |= self.shown.is_holdable && committed;
        self.held
    }
}

/// What `DECLARE` says besides the query.
pub(super) struct Declared<'a> {
    pub(super) name: &'a str,
    pub(super) binary: bool,
    pub(super) scroll: bool,
    pub(super) hold: bool,
}

impl Connection {
    /// Declares a cursor.
    pub(super) async fn declare(
        &mut self,
        declared: Declared<'_>,
        query: &Parsed,
        how: How<'_>,
    ) -> Run<String> {
        let Declared { name, binary, scroll, hold } = declared;
        if !hold {
            self.session.transaction.require_shared("DECLARE CURSOR")?;
        }
        self.check_cursor_name(name)?;
        self.check_cursor_count()?;
        let bytes = how.prepared.map_or(0, |(_, values)| bytes_of(values));
        self.check_room(bytes)?;
        let planned = match how
            .prepared
            .and_then(|(prepared, values)| prepared.plan.as_ref().zip(Some(values)))
        {
            Some((plan, values)) => Planned::Plan(plan.clone(), values.to_vec()),
            None => Planned::Text(query.text.clone()),
        };
        let place = place_of(how.source, Some(query));
        let started = self.start_run(planned, how.followed).await;
        let (plan, run) = started.map_err(|halt| halt.at(place))?;
        self.session.opened += 1;
        let cursor = Cursor {
            columns: plan.schema,
            formats: vec![],
            run,
            scroll: scroll.then(Scroll::default),
            passed: 0,
            finished: false,
            shown: self.session.engine.show_cursor(OpenCursor {
                name: name.to_owned(),
                statement: how.source.into(),
                is_holdable: hold,
                is_binary: binary,
                is_scrollable: scroll,
                created_at_us: 0,
            }),
            held: false,
            opened: self.session.opened,
            bytes,
            told: None,
            source: how.source.into(),
            query: Arc::new(query.clone()),
        };
        self.session.cursors.insert(name.to_owned(), cursor);
        Ok("DECLARE CURSOR".to_owned())
    }

    /// Makes the portal of this name, if there is one, a cursor that goes on where Execute left off.
    async fn open_portal(&mut self, name: &str) -> Run<()> {
        let Some(portal) = self.session.portals.get(name) else { return Ok(()) };
        let prepared = Arc::clone(&portal.prepared);
        let (Some(parsed), Some(columns)) = (&prepared.parsed, self.fetched(portal)) else {
            return Err(not_run(name).into());
        };
        self.check_cursor_count()?;
        let Some(portal) = self.session.portals.remove(name) else { return Ok(()) };
        let Portal { values, formats, state, passed, told, opened, bytes, _shown: shown, .. } =
            portal;
        let Some(shown) = shown else { return Ok(()) };
        let stood = self.session.engine.status();
        let (run, told) = match state {
            PortalState::Suspended(run, _) => (Some(run), told),
            PortalState::Done => (None, told),
            PortalState::Ready | PortalState::Fetching(_) => {
                let how = How {
                    source: &prepared.source,
                    prepared: Some((&prepared, &values)),
                    formats: &formats,
                    describe: false,
                    followed: false,
                    rows_max: 0,
                };
                let told = Box::pin(self.statement(parsed, how)).await?;
                (self.session.unsent.take().map(|(run, _)| run), Some(told))
            }
        };
        // A function of the statement may have changed the purpose.
        if self.session.engine.status() != stood {
            return Err(ground_changed(&format!("portal \"{name}\"")).into());
        }
        let finished = run.is_none();
        let none = || Box::new(RowRun::of(RecordBatch::new_empty(columns.clone()), stood.epoch));
        let cursor = Cursor {
            run: run.unwrap_or_else(none),
            columns: columns.clone(),
            formats,
            scroll: None,
            passed,
            finished,
            shown,
            held: false,
            opened,
            bytes,
            told,
            source: Arc::clone(&prepared.source),
            query: Arc::new(parsed.clone()),
        };
        self.session.cursors.insert(name.to_owned(), cursor);
        Ok(())
    }

    /// Sends rows of a cursor as of a portal, since they share their names.
    pub(super) async fn execute_cursor(&mut self, name: &str, rows_max: u64) -> Run<()> {
        self.session.transaction.check_whole()?;
        let (zone, intervals) = (self.session.settings.zone(), self.session.settings.intervals());
        let cursor = self.cursor(name)?;
        let (query, told) = (Arc::clone(&cursor.query), cursor.told.clone());
        let encoder =
            RowEncoder::new(&cursor.columns, &cursor.formats, zone).with_intervals(intervals);
        self.show_running(activity::shown(&query.text, std::slice::from_ref(&*query)))?;
        let framing = Framing::Rows(encoder);
        let sent = self.advance(name, FetchDirection::ForwardAll, framing, rows_max).await?;
        match (sent.finished, told) {
            (false, _) => message::portal_suspended(&mut self.outbox),
            (true, Some(told)) => message::complete(&tag_for(&told, sent.rows), &mut self.outbox),
            (true, None) => {
                message::complete(&tag_of(&query.statement, sent.rows), &mut self.outbox);
            }
        }
        Ok(())
    }

    fn check_cursor_count(&self) -> Result<(), WireError> {
        if self.session.cursors.len() < CURSORS_MAX {
            return Ok(());
        }
        let message = format!("too many cursors: the bound is {CURSORS_MAX}");
        Err(WireError::new(sqlstate::LIMIT_EXCEEDED, message).hint("Close those that are done."))
    }

    /// Refuses a name that a cursor or portal has.
    pub(super) fn check_cursor_name(&self, name: &str) -> Result<(), WireError> {
        if !self.session.cursors.contains_key(name) && !self.session.portals.contains_key(name) {
            return Ok(());
        }
        let message = format!("cursor \"{name}\" already exists");
        Err(WireError::new(sqlstate::DUPLICATE_CURSOR, message))
    }

    /// Refuses so many bytes of values besides those that portals and cursors have.
    pub(super) fn check_room(&self, bytes: usize) -> Result<(), WireError> {
        let portals = self.session.portals.values().map(|portal| portal.bytes);
        let cursors = self.session.cursors.values().map(|cursor| cursor.bytes);
        if portals.chain(cursors).sum::<usize>() + bytes <= OPEN_BYTES_MAX {
            return Ok(());
        }
        let mib = OPEN_BYTES_MAX >> 20;
        let message =
            format!("values of portals and cursors are too long: all of a session have {mib} MiB");
        Err(WireError::new(sqlstate::LIMIT_EXCEEDED, message).hint("Close those that are done."))
    }

    /// Sends rows of a cursor, at most as many as `delivery` wants.
    pub(super) async fn fetch(
        &mut self,
        name: &str,
        direction: FetchDirection,
        delivery: Delivery,
    ) -> Run<Sent> {
        self.open_portal(name).await?;
        let (zone, intervals) = (self.session.settings.zone(), self.session.settings.intervals());
        let cursor = self.cursor(name)?;
        // In the extended protocol the Bind says how rows are written, whatever the cursor was declared as.
        let binary = cursor.shown.is_binary && delivery.describe;
        let formats = if binary { vec![Format::Binary] } else { delivery.formats };
        let encoder = RowEncoder::new(&cursor.columns, &formats, zone).with_intervals(intervals);
        // What is refused has no columns either.
        if cursor.scroll.is_none() {
            cursor.ahead(direction, false)?;
        }
        if delivery.describe {
            message::row_description(&encoder, &mut self.outbox);
        }
        self.advance(name, direction, Framing::Rows(encoder), delivery.rows_max).await
    }

    /// Passes over rows of a cursor.
    pub(super) async fn move_cursor(&mut self, name: &str, direction: FetchDirection) -> Run<Sent> {
        self.open_portal(name).await?;
        self.advance(name, direction, Framing::Skipped, u64::MAX).await
    }

    async fn advance(
        &mut self,
        name: &str,
        direction: FetchDirection,
        framing: Framing,
        rows_max: u64,
    ) -> Run<Sent> {
        let moves = matches!(framing, Framing::Skipped);
        let ahead = match self.cursor(name)? {
            Cursor { scroll: Some(_), .. } => None,
            cursor => Some(cursor.ahead(direction, moves)?),
        };
        let others = self.session.cursors.iter().filter(|(other, _)| other.as_str() != name);
        let kept: usize =
            others.filter_map(|(_, other)| other.scroll.as_ref()).map(Scroll::bytes).sum();
        let room = SCROLLED_BYTES_MAX.saturating_sub(kept);
        let Some(mut cursor) = self.session.cursors.remove(name) else {
            return Err(no_cursor(name).into());
        };
        self.check_epoch(&cursor.run, &format!("cursor \"{name}\""))?;
        let (source, query) = (Arc::clone(&cursor.source), Arc::clone(&cursor.query));
        let place = place_of(&source, Some(&*query));
        // A cursor that failed, or was stopped, is gone: nobody knows how far it was read.
        let done = match cursor.scroll.take() {
            Some(scroll) => self.scroll(cursor, scroll, (direction, rows_max), room, framing).await,
            None => self.go_on(cursor, ahead.unwrap_or_default(), framing, rows_max).await,
        };
        let (cursor, sent) = done.map_err(|halt| halt.at(place))?;
        self.session.cursors.insert(name.to_owned(), cursor);
        Ok(sent)
    }

    /// Passes over rows of a cursor that goes forward only, and sends those behind them.
    async fn go_on(
        &mut self,
        mut cursor: Cursor,
        ahead: Ahead,
        framing: Framing,
        rows_max: u64,
    ) -> Result<(Cursor, Sent), Halt> {
        let Ahead { skipped, wanted, stands } = ahead;
        if skipped > 0 {
            (cursor, _) = self.run_on(cursor, Framing::Skipped, skipped).await?;
        }
        match wanted.min(rows_max) {
            0 => Ok((cursor, Sent { rows: u64::from(stands), finished: true })),
            wanted => self.run_on(cursor, framing, wanted).await,
        }
    }

    async fn run_on(
        &mut self,
        mut cursor: Cursor,
        framing: Framing,
        wanted: u64,
    ) -> Result<(Cursor, Sent), Halt> {
        if cursor.finished {
            return Ok((cursor, Sent { rows: 0, finished: true }));
        }
        let (sent, run) = self.continue_rows(cursor.run, framing, wanted).await?;
        cursor.run = run;
        cursor.finished = sent.finished;
        let rows = usize::try_from(sent.rows).unwrap_or(usize::MAX);
        cursor.passed = cursor.passed.saturating_add(rows);
        Ok((cursor, sent))
    }

    /// Sends rows of a cursor that goes both ways, and keeps what it reads within `room`.
    async fn scroll(
        &mut self,
        mut cursor: Cursor,
        mut scroll: Scroll,
        ask: (FetchDirection, u64),
        room: usize,
        mut framing: Framing,
    ) -> Result<(Cursor, Sent), Halt> {
        let mut run = cursor.run;
        let done = self.on_cpu(move |output| {
            async move {
                let sent = scroll.send(&mut run, ask, room, &mut framing, output).await?;
                Ok((sent, run, scroll))
            }
            .boxed()
        });
        let done = done.await;
        self.adopt_settings(done.is_ok()).await?;
        let (sent, run, scroll) = done?;
        cursor.run = run;
        cursor.scroll = Some(scroll);
        Ok((cursor, sent))
    }

    /// Returns a cursor by name.
    pub(super) fn cursor(&self, name: &str) -> Run<&Cursor> {
        self.session.cursors.get(name).ok_or_else(|| Stop::Failed(no_cursor(name)))
    }

    /// Closes one cursor or portal, or all.
    pub(super) fn close(&mut self, name: Option<&str>) -> Run<String> {
        let Some(name) = name else {
            self.session.cursors.clear();
            self.session.portals.clear();
            return Ok("CLOSE CURSOR ALL".to_owned());
        };
        let is_cursor = self.session.cursors.remove(name).is_some();
        match is_cursor || self.session.portals.remove(name).is_some() {
            true => Ok("CLOSE CURSOR".to_owned()),
            false => Err(no_cursor(name).into()),
        }
    }
}

fn no_cursor(name: &str) -> WireError {
    WireError::new(sqlstate::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}

/// What a cursor that goes forward only has to do.
#[derive(Debug, Default, Clone, Copy)]
struct Ahead {
    /// How many rows to pass over.
    skipped: u64,
    /// How many to send behind them.
    wanted: u64,
    /// Whether the row that it stands on is all that is counted.
    stands: bool,
}

impl Cursor {
    /// Returns what a direction asks for of a cursor that goes forward only, if it can be had.
    fn ahead(&self, direction: FetchDirection, moves: bool) -> Result<Ahead, WireError> {
        let stands = self.passed > 0 && !self.finished;
        let of = |skipped: usize, wanted: usize| Ahead {
            skipped: u64::try_from(skipped).unwrap_or(u64::MAX),
            wanted: u64::try_from(wanted).unwrap_or(u64::MAX),
            stands: false,
        };
        match Step::of(direction, self.passed) {
            Step::Forward(count) => Ok(of(0, count)),
            Step::Row(row) if row > self.passed => Ok(of(row - self.passed - 1, 1)),
            Step::Here if moves || !stands => Ok(Ahead { stands, ..of(0, 0) }),
            Step::Start if self.passed == 0 && !self.finished => Ok(of(0, 0)),
            Step::Backward(_) | Step::Row(_) | Step::FromEnd(_) | Step::Here | Step::Start => {
                let message = "cursor can only scan forward";
                Err(WireError::new(sqlstate::OBJECT_NOT_IN_STATE, message)
                    .hint("Declare it with SCROLL option to enable backward scan."))
            }
        }
    }
}

/// Returns how many bytes values take.
pub(super) fn bytes_of(values: &[ScalarValue]) -> usize {
    values.iter().map(ScalarValue::size).sum()
}

/// Returns how many rows a `FETCH` asks for at most.
pub(super) fn rows_of(direction: FetchDirection) -> u64 {
    match direction {
        FetchDirection::Forward(count) | FetchDirection::Backward(count) => {
            count.unsigned_abs().max(1)
        }
        FetchDirection::ForwardAll | FetchDirection::BackwardAll => u64::MAX,
        FetchDirection::First
        | FetchDirection::Last
        | FetchDirection::Absolute(_)
        | FetchDirection::Relative(_) => 1,
    }
}
