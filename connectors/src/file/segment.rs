//! Calls of the Segment specification, one on a line of NDJSON, to one row each.
//!
//! What a call says about its person and its time becomes typed columns; `properties`, `traits`, `context` and
//! `integrations` are kept whole, as the bytes that were sent. Calls that were sent twice are two rows here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::input::{Input, Lines, Origin};
use super::mark::At;
use super::part::{Filled, Part};
use super::reject::Reason;
use super::schema::json_field;
use super::{json, value};
use crate::error::Result;

/// The longest call, by the limit of the specification.
const CALL_BYTES_MAX: usize = 32 << 10;

/// How long a call may wait on a device before it is sent: a year.
const WAITED_US_MAX: i64 = 366 * 24 * 3_600 * 1_000_000;

const TEXTS: [&str; 7] =
    ["message_id", "type", "event", "anonymous_id", "user_id", "group_id", "previous_id"];
const JSONS: [&str; 4] = ["properties", "traits", "context", "integrations"];
const TIMES: [&str; 4] = ["occurred_at", "original_timestamp", "sent_at", "received_at"];

/// Returns the columns that every call has.
pub(super) fn schema() -> SchemaRef {
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let texts = TEXTS.iter().map(|name| Field::new(*name, DataType::Utf8, true));
    let jsons = JSONS.iter().map(|name| json_field(name));
    let times = TIMES.iter().map(|name| Field::new(*name, zoned.clone(), true));
    Arc::new(Schema::new(texts.chain(jsons).chain(times).collect::<Vec<_>>()))
}

/// A file of calls that is read to batches.
pub(super) struct SegmentFile {
    lines: Lines,
    schema: SchemaRef,
    waiting: bool,
}

impl SegmentFile {
    pub(super) fn open(origin: &Origin, at: At, schema: &SchemaRef) -> Result<SegmentFile> {
        let lines = Lines::open(origin, at.offset, at.line)?;
        Ok(SegmentFile { lines, schema: schema.clone(), waiting: false })
    }

    /// Tells whether the last line is not complete yet.
    pub(super) fn waiting(&self) -> bool {
        self.waiting
    }

    pub(super) fn input(&self) -> &Input {
        &self.lines.input
    }

    pub(super) fn at(&self) -> At {
        let (offset, line) = self.lines.at();
        At { offset, line, open: None }
    }

    pub(super) fn read(&mut self, rows_max: usize) -> Result<Filled> {
        let mut part = Part::new(&self.schema, rows_max);
        let mut columns = Columns::default();
        let mut nulled = BTreeMap::new();
        let mut last = self.waiting;
        let appendable = self.lines.input.appendable();
        let origin = self.lines.input.origin.clone();
        while !part.full() && !last {
            let Some(line) = self.lines.next()? else {
                last = true;
                break;
            };
            if line.bytes.trim_ascii().is_empty() {
                continue;
            }
            let call = match line.whole && line.bytes.len() <= CALL_BYTES_MAX {
                true => Fields::read(line.bytes).and_then(|fields| fields.judge(&mut nulled)),
                false => Err(Reason::TooLarge),
            };
            match call {
                Ok(call) => {
                    columns.append(&call);
                    part.took(line.number, line.bytes.len());
                }
                // A line without an end is judged when it has one, if what is wrong is that it stops too early.
                Err(Reason::BadJsonTruncated) if !line.terminated && appendable => {
                    self.waiting = true;
                    last = true;
                }
                Err(reason) => part.reject(reason, &origin, line.number, line.bytes),
            }
        }
        if self.waiting {
            self.lines.unread();
            tracing::info!(file = %origin.file, "the last line is not complete yet; it is read when it is");
        }
        Ok(part.finish_arrays(columns.finish(), nulled, last))
    }
}

/// The fields of a call as they are written.
#[derive(Default)]
struct Fields<'a> {
    kind: Option<&'a str>,
    message_id: Option<&'a str>,
    event: Option<&'a str>,
    name: Option<&'a str>,
    anonymous_id: Option<&'a str>,
    user_id: Option<&'a str>,
    group_id: Option<&'a str>,
    previous_id: Option<&'a str>,
    jsons: [Option<&'a str>; JSONS.len()],
    timestamp: Option<&'a str>,
    original_timestamp: Option<&'a str>,
    sent_at: Option<&'a str>,
    received_at: Option<&'a str>,
}

/// A call that can be taken, its columns in the order of the schema.
struct Call<'a> {
    texts: [Option<Cow<'a, str>>; TEXTS.len()],
    jsons: [Option<&'a str>; JSONS.len()],
    times: [Option<i64>; TIMES.len()],
}

impl<'a> Fields<'a> {
    fn read(line: &'a [u8]) -> Result<Fields<'a>, Reason> {
        let mut call = Fields::default();
        json::fields(line, |_, key, raw| {
            let field = match key {
                "type" => &mut call.kind,
                "messageId" => &mut call.message_id,
                "event" => &mut call.event,
                "name" => &mut call.name,
                "anonymousId" => &mut call.anonymous_id,
                "userId" => &mut call.user_id,
                "groupId" => &mut call.group_id,
                "previousId" => &mut call.previous_id,
                "properties" => &mut call.jsons[0],
                "traits" => &mut call.jsons[1],
                "context" => &mut call.jsons[2],
                "integrations" => &mut call.jsons[3],
                "timestamp" => &mut call.timestamp,
                "originalTimestamp" => &mut call.original_timestamp,
                "sentAt" => &mut call.sent_at,
                "receivedAt" => &mut call.received_at,
                _ => return,
            };
            *field = Some(raw).filter(|raw| *raw != "null");
        })?;
        Ok(call)
    }

    /// Judges the call, in the order of what its sender has to mend first.
    fn judge(self, nulled: &mut BTreeMap<String, u64>) -> Result<Call<'a>, Reason> {
        let kind = self.kind.filter(|raw| *raw != "\"\"").ok_or(Reason::MissingType)?;
        let kind = json::text(kind).ok_or(Reason::UnknownType)?;
        let named = match &*kind {
            "track" => self.event,
            "page" | "screen" => self.name,
            "identify" | "group" | "alias" => None,
            _ => return Err(Reason::UnknownType),
        };
        let message_id = present(self.message_id).ok_or(Reason::MissingMessageId)?;
        let user_id = identifier(self.user_id).ok_or(Reason::UserIdWrongType)?;
        let anonymous_id = identifier(self.anonymous_id).ok_or(Reason::UserIdWrongType)?;
        if user_id.is_none() && anonymous_id.is_none() {
            return Err(Reason::MissingIdentity);
        }
        let event = present(named);
        if &*kind == "track" && event.is_none() {
            return Err(Reason::TrackWithoutEvent);
        }
        if self.jsons[..3].iter().flatten().any(|raw| !raw.starts_with('{')) {
            return Err(Reason::PropertiesNotObject);
        }
        let times = self.times()?;
        let mut optional = |raw: Option<&'a str>, name: &str| {
            identifier(raw).unwrap_or_else(|| {
                *nulled.entry(name.to_owned()).or_default() += 1;
                None
            })
        };
        let group_id = optional(self.group_id, "group_id");
        let previous_id = optional(self.previous_id, "previous_id");
        let texts =
            [Some(message_id), Some(kind), event, anonymous_id, user_id, group_id, previous_id];
        Ok(Call { texts, jsons: self.jsons, times })
    }

    /// Reads the times. Where `originalTimestamp` stands, `timestamp` was corrected already. Nothing happened after it was
    /// received.
    fn times(&self) -> Result<[Option<i64>; TIMES.len()], Reason> {
        let read = |raw: Option<&str>| match raw {
            None => Ok(None),
            Some(raw) => instant(raw).map(Some).ok_or(Reason::BadTimestamp),
        };
        let (timestamp, original) = (read(self.timestamp)?, read(self.original_timestamp)?);
        let (sent, received) = (read(self.sent_at)?, read(self.received_at)?);
        let occurred = match (timestamp, original, sent, received) {
            (Some(corrected), Some(_), _, _) => corrected,
            (Some(at), None, Some(sent), Some(received))
            | (None, Some(at), Some(sent), Some(received)) => corrected(at, sent, received),
            _ => timestamp.or(original).or(received).or(sent).ok_or(Reason::BadTimestamp)?,
        };
        let occurred = received.map_or(occurred, |received| occurred.min(received));
        Ok([Some(occurred), original.or(timestamp), sent, received])
    }
}

/// Returns when a call happened by the receiver's clock, which is right. A device's clock may be wrong, but it was wrong
/// by the same `at` the call and when it was `sent`: what lies between is believed, unless it is so long that one of the
/// two was not told by that clock.
fn corrected(at: i64, sent: i64, received: i64) -> i64 {
    match sent.saturating_sub(at) {
        waited if waited > WAITED_US_MAX => at,
        waited => received.saturating_sub(waited),
    }
}

/// Reads a text that is not empty.
fn present(raw: Option<&str>) -> Option<Cow<'_, str>> {
    raw.and_then(json::text).filter(|text| !text.is_empty())
}

/// Reads an identifier: a text, or a number as it is written. The inner `None` is an absent or empty one.
fn identifier(raw: Option<&str>) -> Option<Option<Cow<'_, str>>> {
    let Some(raw) = raw else { return Some(None) };
    match raw.as_bytes() {
        [b'"', ..] => Some(present(Some(raw))),
        [b'-' | b'0'..=b'9', ..] => Some(Some(Cow::Borrowed(raw))),
        _ => None,
    }
}

fn instant(raw: &str) -> Option<i64> {
    let (micros, zoned) = value::timestamp(&json::text(raw)?)?;
    zoned.then_some(micros)
}

#[derive(Default)]
struct Columns {
    texts: [StringBuilder; TEXTS.len()],
    jsons: [StringBuilder; JSONS.len()],
    times: [TimestampMicrosecondBuilder; TIMES.len()],
}

impl Columns {
    fn append(&mut self, call: &Call) {
        for (column, text) in self.texts.iter_mut().zip(&call.texts) {
            column.append_option(text.as_deref());
        }
        for (column, json) in self.jsons.iter_mut().zip(call.jsons) {
            column.append_option(json);
        }
        for (column, time) in self.times.iter_mut().zip(call.times) {
            column.append_option(time);
        }
    }

    fn finish(self) -> Vec<ArrayRef> {
        let texts = self.texts.into_iter().chain(self.jsons);
        let texts = texts.map(|mut column| Arc::new(column.finish()) as ArrayRef);
        let times = self.times.into_iter().map(|column| {
            let column = column.with_timezone("UTC").finish();
            Arc::new(column) as ArrayRef
        });
        texts.chain(times).collect()
    }
}
