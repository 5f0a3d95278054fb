//! What the server says, appended to the buffer of a connection.

use std::ops::DerefMut;

use bytes::{BufMut, Bytes, BytesMut};
use engine::analytics::Notice;
use pgwire::messages::Message;
use pgwire::messages::copy::{CopyInResponse, CopyOutResponse};
use pgwire::messages::data::ParameterDescription;
use pgwire::messages::response::{ErrorResponse, NoticeResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey,
};

use super::channels::Notification;
use super::encode::{Format, RowEncoder, set_length};
use super::error::WireError;

/// Characters of a notice at most.
const NOTICE_CHARS_MAX: usize = 8_000;
/// The end of a statement.
const COMMAND_COMPLETE: u8 = b'C';
/// The row of a result.
pub(super) const DATA_ROW: u8 = b'D';
/// A piece of a COPY.
pub(super) const COPY_DATA: u8 = b'd';
/// Messages without a body.
const PARSE_COMPLETE: u8 = b'1';
const BIND_COMPLETE: u8 = b'2';
const CLOSE_COMPLETE: u8 = b'3';
const COPY_DONE: u8 = b'c';
const EMPTY_QUERY: u8 = b'I';
const NO_DATA: u8 = b'n';
const PORTAL_SUSPENDED: u8 = b's';

/// Appends a message of pgwire. One that it refuses to encode is left out and logged.
fn put(message: &impl Message, out: &mut BytesMut) {
    let start = out.len();
    if let Err(error) = message.encode(out) {
        out.truncate(start);
        tracing::error!(%error, "a message could not be encoded");
    }
}

fn put_empty(kind: u8, out: &mut BytesMut) {
    out.put_u8(kind);
    out.put_i32(4);
}

/// Appends a step of the authentication.
pub(crate) fn authentication(message: &Authentication, out: &mut BytesMut) {
    put(message, out);
}

/// Says which minor version is spoken and which options are not known.
pub(crate) fn negotiate_version(version: i32, unknown: Vec<String>, out: &mut BytesMut) {
    put(&NegotiateProtocolVersion::new(version, unknown), out);
}

/// Appends the value of a setting that clients follow.
pub(crate) fn parameter_status(name: &str, value: &str, out: &mut BytesMut) {
    put(&ParameterStatus::new(name.to_owned(), value.to_owned()), out);
}

/// Appends what a client needs to cancel its statements.
pub(crate) fn backend_key(pid: i32, secret: i32, out: &mut BytesMut) {
    put(&BackendKeyData::new(pid, SecretKey::I32(secret)), out);
}

/// Says that the next statement may come.
pub(crate) fn ready(status: TransactionStatus, out: &mut BytesMut) {
    put(&ReadyForQuery::new(status), out);
}

/// Says what a statement did.
pub(crate) fn complete(tag: &str, out: &mut BytesMut) {
    out.put_u8(COMMAND_COMPLETE);
    let at = out.len();
    out.put_i32(0);
    // A zero byte would end the tag early.
    out.extend(tag.bytes().filter(|byte| *byte != 0));
    out.put_u8(0);
    set_length(out, at, 0);
}

/// Appends an error.
pub(crate) fn error(error: &WireError, out: &mut BytesMut) {
    let severity = error.severity.word();
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', error.sqlstate.to_owned()),
        (b'M', without_zeros(&error.message)),
    ];
    fields.extend(error.detail.as_ref().map(|detail| (b'D', without_zeros(detail))));
    let hint = error.hint.as_deref().or_else(|| super::error::usual_hint(error.sqlstate));
    fields.extend(hint.map(|hint| (b'H', without_zeros(hint))));
    fields.extend(error.position.map(|position| (b'P', position.to_string())));
    let context = error.context().map(|context| without_zeros(&context.to_string()));
    fields.extend(context.map(|context| (b'W', context)));
    if let Some(violated) = error.violated() {
        fields.push((b's', without_zeros(&violated.schema)));
        fields.push((b't', without_zeros(&violated.table)));
        fields.extend(violated.column.as_deref().map(|column| (b'c', without_zeros(column))));
        let constraint = violated.constraint.as_deref();
        fields.extend(constraint.map(|constraint| (b'n', without_zeros(constraint))));
    }
    put(&ErrorResponse::new(fields), out);
}

/// Appends a notice or warning: `severity` is one of the words that psql prints.
pub(crate) fn notice(severity: &str, sqlstate: &str, notice: &Notice, out: &mut BytesMut) {
    let shown =
        |text: &str| without_zeros(&text.chars().take(NOTICE_CHARS_MAX).collect::<String>());
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', sqlstate.to_owned()),
        (b'M', shown(&notice.message)),
    ];
    fields.extend(notice.detail.as_deref().map(|detail| (b'D', shown(detail))));
    put(&NoticeResponse::new(fields), out);
}

/// Appends what was said in a channel.
pub(super) fn notification(said: &Notification, out: &mut BytesMut) {
    out.put_u8(b'A');
    let at = out.len();
    out.put_i32(0);
    out.put_i32(said.pid);
    for text in [&said.channel, &said.payload] {
        out.extend(text.bytes().filter(|byte| *byte != 0));
        out.put_u8(0);
    }
    set_length(out, at, 0);
}

/// Appends the types of the parameters of a statement.
pub(crate) fn parameter_description(types: Vec<u32>, out: &mut BytesMut) {
    put(&ParameterDescription::new(types), out);
}

/// Appends the columns of a result.
pub(crate) fn row_description(encoder: &RowEncoder, out: &mut BytesMut) {
    out.put_u8(b'T');
    let at = out.len();
    out.put_i32(0);
    out.put_i16(i16::try_from(encoder.width()).unwrap_or(i16::MAX));
    for (name, (relation, number), pg_type, format) in encoder.description() {
        // A zero byte would end the name early and shift everything behind it.
        out.extend(name.bytes().filter(|byte| *byte != 0));
        out.put_u8(0);
        out.put_u32(relation);
        out.put_i16(number);
        out.put_u32(pg_type.oid);
        out.put_i16(pg_type.size);
        out.put_i32(pg_type.modifier);
        out.put_i16(code_of(format));
    }
    set_length(out, at, 0);
}

/// Says that rows of a COPY follow.
pub(crate) fn copy_out(format: Format, columns: usize, out: &mut BytesMut) {
    let code = code_of(format);
    let columns_i16 = i16::try_from(columns).unwrap_or(i16::MAX);
    put(&CopyOutResponse::new(i8::from(code == 1), columns_i16, vec![code; columns]), out);
}

/// Asks for the rows of a COPY, which have so many columns.
pub(crate) fn copy_in(format: Format, columns: usize, out: &mut BytesMut) {
    let code = code_of(format);
    let count = i16::try_from(columns).unwrap_or(i16::MAX);
    put(&CopyInResponse::new(i8::from(code == 1), count, vec![code; columns]), out);
}

/// Appends a piece of a COPY.
pub(crate) fn copy_data<B: BufMut + DerefMut<Target = [u8]>>(
    out: &mut B,
    body: impl FnOnce(&mut B),
) {
    out.put_u8(COPY_DATA);
    let at = out.len();
    out.put_i32(0);
    body(out);
    set_length(out, at, 0);
}

/// Ends a COPY.
pub(crate) fn copy_done(out: &mut BytesMut) {
    put_empty(COPY_DONE, out);
}

/// Answers Parse.
pub(crate) fn parse_complete(out: &mut BytesMut) {
    put_empty(PARSE_COMPLETE, out);
}

/// Answers Bind.
pub(crate) fn bind_complete(out: &mut BytesMut) {
    put_empty(BIND_COMPLETE, out);
}

/// Answers Close.
pub(crate) fn close_complete(out: &mut BytesMut) {
    put_empty(CLOSE_COMPLETE, out);
}

/// Answers a text without a statement.
pub(crate) fn empty_query(out: &mut BytesMut) {
    put_empty(EMPTY_QUERY, out);
}

/// Says that a statement has no rows.
pub(crate) fn no_data(out: &mut BytesMut) {
    put_empty(NO_DATA, out);
}

/// Says that a portal has more rows.
pub(crate) fn portal_suspended(out: &mut BytesMut) {
    put_empty(PORTAL_SUSPENDED, out);
}

/// Returns the number that the protocol has for a format.
pub(crate) fn code_of(format: Format) -> i16 {
    match format {
        Format::Text => 0,
        Format::Binary => 1,
    }
}

fn without_zeros(text: &str) -> String {
    text.replace('\0', "")
}

/// Returns an error alone, as it is sent to clients that are turned away.
pub(crate) fn refusal(refused: &WireError) -> Bytes {
    let mut out = BytesMut::new();
    error(refused, &mut out);
    out.freeze()
}
