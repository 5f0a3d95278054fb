//! Cursors: `DECLARE`, `FETCH`, `MOVE`, `CLOSE`. They go forward only.

use super::portal::place_of;
use super::query::{Delivery, Planned};
use super::statement::How;
use super::{Connection, Run, Stop};
use crate::dialect::{FetchDirection, Parsed};
use crate::session::backend::Plan;
use crate::wire::encode::{Format, RowEncoder};
use crate::wire::error::{Place, WireError, sqlstate};
use crate::wire::limits::CURSORS_MAX;
use crate::wire::message;
use crate::wire::output::{Framing, RowRun, Sent};

/// A declared cursor.
pub(super) struct Cursor {
    /// Its plan, whose columns it has.
    pub(super) plan: Plan,
    run: Box<RowRun>,
    /// Whether no row is left.
    finished: bool,
    /// Whether its rows are written in binary where the simple protocol fetches them.
    binary: bool,
    /// Whether it is to outlive its transaction.
    hold: bool,
    /// Whether it has: no other transaction undoes it.
    held: bool,
    source: std::sync::Arc<str>,
    query: Parsed,
}

impl Cursor {
    /// Notes the end of a transaction, and tells whether it is there still.
    pub(super) fn outlives(&mut self, committed: bool) -> bool {
        self.held |= self.hold && committed;
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
        if scroll {
            return Err(super::query::unsupported(
                "DECLARE with SCROLL",
                "Cursors go forward; leave SCROLL out.",
            )
            .into());
        }
        if !hold {
            self.session.transaction.require_block("DECLARE CURSOR")?;
        }
        if self.session.cursors.contains_key(name) {
            let message = format!("cursor \"{name}\" already exists");
            return Err(WireError::new(sqlstate::DUPLICATE_CURSOR, message).into());
        }
        if self.session.cursors.len() >= CURSORS_MAX {
            let message = format!("too many cursors: the bound is {CURSORS_MAX}");
            return Err(WireError::new(sqlstate::LIMIT_EXCEEDED, message)
                .hint("Close those that are done.")
                .into());
        }
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
        let cursor = Cursor {
            plan,
            run,
            finished: false,
            binary,
            hold,
            held: false,
            source: how.source.into(),
            query: query.clone(),
        };
        self.session.cursors.insert(name.to_owned(), cursor);
        Ok("DECLARE CURSOR".to_owned())
    }

    /// Sends rows of a cursor, at most as many as `delivery` wants.
    pub(super) async fn fetch(
        &mut self,
        name: &str,
        direction: FetchDirection,
        delivery: Delivery,
    ) -> Run<Sent> {
        let wanted = forward(direction)?.min(delivery.rows_max);
        let zone = self.session.settings.zone();
        let cursor = self.cursor(name)?;
        // In the extended protocol the Bind says how rows are written, whatever the cursor was declared as.
        let binary = cursor.binary && delivery.describe;
        let formats = if binary { vec![Format::Binary] } else { delivery.formats };
        let encoder = RowEncoder::new(&cursor.plan.schema, &formats, zone);
        if delivery.describe {
            message::row_description(&encoder, &mut self.outbox);
        }
        self.advance(name, Framing::Rows(encoder), wanted).await
    }

    /// Passes over rows of a cursor.
    pub(super) async fn move_cursor(&mut self, name: &str, direction: FetchDirection) -> Run<Sent> {
        let wanted = forward(direction)?;
        self.advance(name, Framing::Skipped, wanted).await
    }

    async fn advance(&mut self, name: &str, framing: Framing, wanted: u64) -> Run<Sent> {
        let Some(cursor) = self.session.cursors.remove(name) else {
            return Err(no_cursor(name).into());
        };
        self.check_epoch(&cursor.run, &format!("cursor \"{name}\""))?;
        if cursor.finished || wanted == 0 {
            self.session.cursors.insert(name.to_owned(), cursor);
            return Ok(Sent { rows: 0, finished: true });
        }
        let Cursor { plan, run, binary, hold, held, source, query, .. } = cursor;
        let place = Place { source: &source, offset: query.offset, text: &query.text };
        // A cursor that failed, or was stopped, is gone: nobody knows how far it was read.
        let (sent, run) =
            self.continue_rows(run, framing, wanted).await.map_err(|halt| halt.at(place))?;
        let finished = sent.finished;
        let cursor = Cursor { plan, run, finished, binary, hold, held, source, query };
        self.session.cursors.insert(name.to_owned(), cursor);
        Ok(sent)
    }

    /// Returns a cursor by name.
    pub(super) fn cursor(&self, name: &str) -> Run<&Cursor> {
        self.session.cursors.get(name).ok_or_else(|| Stop::Failed(no_cursor(name)))
    }

    /// Closes one cursor or all.
    pub(super) fn close_cursors(&mut self, name: Option<&str>) -> Run<String> {
        match name {
            None => {
                self.session.cursors.clear();
                Ok("CLOSE CURSOR ALL".to_owned())
            }
            Some(name) => match self.session.cursors.remove(name) {
                Some(_) => Ok("CLOSE CURSOR".to_owned()),
                None => Err(no_cursor(name).into()),
            },
        }
    }
}

fn no_cursor(name: &str) -> WireError {
    WireError::new(sqlstate::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}

/// Returns how many rows a direction asks for, if it goes forward.
fn forward(direction: FetchDirection) -> Result<u64, WireError> {
    let count = match direction {
        FetchDirection::ForwardAll => return Ok(u64::MAX),
        FetchDirection::Forward(count) => u64::try_from(count).ok().filter(|count| *count > 0),
        FetchDirection::Relative(1) => Some(1),
        _ => None,
    };
    count.ok_or_else(|| {
        WireError::new(sqlstate::OBJECT_NOT_IN_STATE, "cursor can only scan forward")
            .hint("Use FETCH NEXT, FETCH n or FETCH ALL.")
    })
}

/// Returns how many rows a `FETCH` asks for, as far as they can be had.
pub(super) fn rows_of(direction: FetchDirection) -> u64 {
    forward(direction).unwrap_or(0)
}
