//! What a client says, read off its bytes.
//!
//! A frame is a type byte, a length and a body. The length is checked against a bound for the type before any byte of
//! the body is waited for, and the body is read with checked reads only: a message that is too short is an error and never
//! a panic. (The decoders of pgwire index behind the end of short messages, which is why they are not used.) A body that
//! cannot be read fails as its statement would, since the next message can be found all the same; a type that is not known
//! and a length that cannot be end the connection.

use std::borrow::Cow;

use bytes::{Buf, Bytes, BytesMut};

use super::error::{Severity, WireError, sqlstate};
use super::limits::{
    BIND_MESSAGE_BYTES_MAX, COPY_MESSAGE_BYTES_MAX, READ_BYTES_MIN, SMALL_MESSAGE_BYTES_MAX,
    TEXT_MESSAGE_BYTES_MAX,
};

/// A message of a client that has logged in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frontend {
    /// A text of statements, to be run at once.
    Query(String),
    /// A statement to be prepared.
    Parse { name: String, text: String, types: Vec<u32> },
    /// Values for the parameters of a prepared statement.
    Bind(Bind),
    /// A question about what a statement or portal will answer with.
    Describe { target: Target, name: String },
    /// A portal to be run, for so many rows at most; 0 for all.
    Execute { portal: String, rows_max: u32 },
    /// A statement or portal that is no longer needed.
    Close { target: Target, name: String },
    /// Send what there is.
    Flush,
    /// The end of a series of messages.
    Sync,
    /// Goodbye.
    Terminate,
    /// A piece of `COPY ... FROM STDIN`. This and the next two are ignored outside of such a COPY, as by PostgreSQL.
    CopyData(Bytes),
    /// Its end.
    CopyDone,
    /// Its end, without success.
    CopyFail,
    /// The old function call.
    FunctionCall,
    /// A message of this kind with a body that is broken, or has a text that is not in the encoding.
    Unreadable { kind: u8, error: WireError },
}

/// The values of a Bind message, and how results are wanted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) portal: String,
    pub(crate) statement: String,
    pub(crate) formats: Vec<i16>,
    pub(crate) values: Vec<Option<Bytes>>,
    pub(crate) result_formats: Vec<i16>,
}

/// What Describe and Close speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A prepared statement.
    Statement,
    /// A portal.
    Portal,
}

/// Makes room for a read at the end of `inbox`. What was taken off its front leaves room that is used again, and left to
/// itself a buffer goes on with what little is left of it, so that one request takes several reads.
pub(crate) fn with_room(inbox: &mut BytesMut) -> &mut BytesMut {
    inbox.reserve(READ_BYTES_MIN);
    inbox
}

/// Takes one message off the front of `inbox`, or returns `None` if it has not come whole.
pub(crate) fn take(inbox: &mut BytesMut) -> Result<Option<Frontend>, WireError> {
    let Some((kind, length)) = header(inbox, bound_of)? else { return Ok(None) };
    if inbox.len() < length + 5 {
        inbox.reserve(length + 5 - inbox.len());
        return Ok(None);
    }
    inbox.advance(5);
    let mut body = Body(inbox.split_to(length).freeze());
    let decoded = decode(kind, &mut body).and_then(|message| match body.0.has_remaining() {
        true => Err(broken("invalid message format")),
        false => Ok(message),
    });
    match decoded {
        Err(error) if error.severity == Severity::Error => {
            Ok(Some(Frontend::Unreadable { kind, error }))
        }
        decoded => decoded.map(Some),
    }
}

/// Reads the type and the length of the body at the front of `inbox`, and refuses what is too long.
pub(crate) fn header(
    inbox: &BytesMut,
    bound_of: impl FnOnce(u8) -> usize,
) -> Result<Option<(u8, usize)>, WireError> {
    let Some((kind, length)) = inbox.first().zip(inbox.get(1..5)) else { return Ok(None) };
    let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
    let bound = bound_of(*kind);
    match usize::try_from(length).ok().and_then(|length| length.checked_sub(4)) {
        Some(length) if length <= bound => Ok(Some((*kind, length))),
        Some(_) => {
            let message = format!("message is too long: one of its kind has {bound} bytes at most");
            let error = WireError::fatal(sqlstate::LIMIT_EXCEEDED, message);
            Err(match kind {
                b'Q' | b'P' => error.hint("Put in fewer rows at once, or use COPY ... FROM STDIN."),
                _ => error,
            })
        }
        None => Err(WireError::protocol("invalid message length")),
    }
}

fn bound_of(kind: u8) -> usize {
    match kind {
        b'Q' | b'P' => TEXT_MESSAGE_BYTES_MAX,
        b'B' => BIND_MESSAGE_BYTES_MAX,
        b'd' => COPY_MESSAGE_BYTES_MAX,
        _ => SMALL_MESSAGE_BYTES_MAX,
    }
}

fn decode(kind: u8, body: &mut Body) -> Result<Frontend, WireError> {
    Ok(match kind {
        b'Q' => Frontend::Query(body.text()?),
        b'P' => {
            let (name, text) = (body.text()?, body.text()?);
            let count = body.count(4)?;
            let types = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
            Frontend::Parse { name, text, types }
        }
        b'B' => Frontend::Bind(decode_bind(body)?),
        b'D' => Frontend::Describe { target: body.target("DESCRIBE")?, name: body.text()? },
        b'E' => Frontend::Execute { portal: body.text()?, rows_max: body.u32()? },
        b'C' => Frontend::Close { target: body.target("CLOSE")?, name: body.text()? },
        b'H' => Frontend::Flush,
        b'S' => Frontend::Sync,
        b'd' => Frontend::CopyData(body.bytes(body.0.len())?),
        // Whatever else these say is not read, the client's words about a failed COPY included: they may hold values of
        // persons.
        b'X' | b'c' | b'f' | b'F' => {
            body.0.clear();
            match kind {
                b'X' => Frontend::Terminate,
                b'c' => Frontend::CopyDone,
                b'f' => Frontend::CopyFail,
                _ => Frontend::FunctionCall,
            }
        }
        other => return Err(WireError::protocol(format!("invalid frontend message type {other}"))),
    })
}

fn decode_bind(body: &mut Body) -> Result<Bind, WireError> {
    let (portal, statement) = (body.text()?, body.text()?);
    let count = body.count(2)?;
    let formats = (0..count).map(|_| body.i16()).collect::<Result<_, _>>()?;
    let count = body.count(4)?;
    let values = (0..count).map(|_| body.value()).collect::<Result<_, _>>()?;
    let count = body.count(2)?;
    let result_formats = (0..count).map(|_| body.i16()).collect::<Result<_, _>>()?;
    Ok(Bind { portal, statement, formats, values, result_formats })
}

/// A body, with reads that check its length.
pub(crate) struct Body(pub(crate) Bytes);

/// The error of a body that is not that of its kind.
fn broken(message: impl Into<Cow<'static, str>>) -> WireError {
    WireError::new(sqlstate::PROTOCOL_VIOLATION, message)
}

/// The error of a body that ends too early.
pub(crate) fn short() -> WireError {
    broken("insufficient data left in message")
}

impl Body {
    pub(crate) fn i16(&mut self) -> Result<i16, WireError> {
        self.0.try_get_i16().map_err(|_| short())
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.0.try_get_u32().map_err(|_| short())
    }

    pub(crate) fn i32(&mut self) -> Result<i32, WireError> {
        self.0.try_get_i32().map_err(|_| short())
    }

    /// Reads how many elements follow, which must have room for `width` bytes each.
    fn count(&mut self, width: usize) -> Result<usize, WireError> {
        let count = usize::from(self.0.try_get_u16().map_err(|_| short())?);
        if count * width > self.0.len() { Err(short()) } else { Ok(count) }
    }

    /// Reads so many bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Result<Bytes, WireError> {
        if length > self.0.len() { Err(short()) } else { Ok(self.0.split_to(length)) }
    }

    fn value(&mut self) -> Result<Option<Bytes>, WireError> {
        match self.i32()? {
            -1 => Ok(None),
            length => usize::try_from(length)
                .map_err(|_| short())
                .and_then(|length| self.bytes(length))
                .map(Some),
        }
    }

    /// Reads a text that ends with a zero byte. One that is not in the encoding breaks no frame: what follows can be read.
    pub(crate) fn text(&mut self) -> Result<String, WireError> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let end = end.ok_or_else(|| broken("invalid string in message"))?;
        let text = self.bytes(end)?;
        self.0.advance(1);
        String::from_utf8(text.into()).map_err(|_| {
            WireError::new(
                sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\"",
            )
            .hint("Send texts in UTF-8.")
        })
    }

    fn target(&mut self, message: &str) -> Result<Target, WireError> {
        match self.0.try_get_u8().map_err(|_| broken("no data left in message"))? {
            b'S' => Ok(Target::Statement),
            b'P' => Ok(Target::Portal),
            other => Err(broken(format!("invalid {message} message subtype {other}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_of(bytes: &[u8]) -> Result<Option<Frontend>, WireError> {
        take(&mut BytesMut::from(bytes))
    }

    #[test]
    fn whole_messages_are_taken_and_parts_wait() {
        let mut inbox = BytesMut::from(&b"Q\0\0\0\x0dselect 1\0S\0\0\0\x04X\0\0"[..]);
        assert_eq!(take(&mut inbox), Ok(Some(Frontend::Query("select 1".into()))));
        assert_eq!(take(&mut inbox), Ok(Some(Frontend::Sync)));
        assert_eq!(take(&mut inbox), Ok(None));
    }

    #[test]
    fn what_is_read_again_and_again_is_read_into_one_buffer() {
        let mut inbox = BytesMut::new();
        for _ in 0..1_000 {
            let room = with_room(&mut inbox);
            assert!(room.capacity() - room.len() >= READ_BYTES_MIN);
            room.extend_from_slice(b"Q\0\0\0\x0dselect 1\0S\0\0\0\x04X\0");
            assert_eq!(take(&mut inbox), Ok(Some(Frontend::Query("select 1".into()))));
            assert_eq!(take(&mut inbox), Ok(Some(Frontend::Sync)));
            assert_eq!(take(&mut inbox), Ok(None));
            with_room(&mut inbox).extend_from_slice(b"\0\0\x04");
            assert_eq!(take(&mut inbox), Ok(Some(Frontend::Terminate)));
            assert!(inbox.capacity() <= 4 * READ_BYTES_MIN);
        }
    }

    #[test]
    fn every_broken_message_is_an_error_and_never_a_panic() {
        for bytes in
            [&b"Q\0\0\0\x03"[..], b"Q\xff\xff\xff\xff", b"Q\x7f\xff\xff\xff", b"?\0\0\0\x04"]
        {
            let error = take_of(bytes).expect_err("must be refused");
            assert_eq!(error.severity, Severity::Fatal, "{bytes:?}");
        }
        for (bytes, message) in [
            (&b"Q\0\0\0\x06ab"[..], "invalid string in message"),
            (b"Q\0\0\0\x07a\0b", "invalid message format"),
            (b"B\0\0\0\x0c\0\0\0\0\0\0\xff\xff", "insufficient data left in message"),
            (b"B\0\0\0\x0c\0\0\xff\xff\0\0\0\0", "insufficient data left in message"),
            (b"B\0\0\0\x10\0\0\0\0\0\x01\0\0\0\x05ab", "insufficient data left in message"),
            (b"B\0\0\0\x0e\0\0\0\0\0\x01\xff\xff\xff\xfe", "insufficient data left in message"),
            (b"P\0\0\0\x08\0\0\xff\xff", "insufficient data left in message"),
            (b"D\0\0\0\x06Z\0", "invalid DESCRIBE message subtype 90"),
            (b"C\0\0\0\x04", "no data left in message"),
            (b"S\0\0\0\x05\0", "invalid message format"),
        ] {
            let Ok(Some(Frontend::Unreadable { kind, error })) = take_of(bytes) else {
                panic!("must fail alone: {bytes:?}");
            };
            assert_eq!((kind, error.sqlstate), (bytes[0], "08P01"));
            assert_eq!(error.message, message, "{bytes:?}");
        }
        assert_eq!(take_of(b"X\0\0\0\x05x"), Ok(Some(Frontend::Terminate)));
    }

    #[test]
    fn a_text_that_is_no_utf8_fails_alone() {
        let mut inbox =
            BytesMut::from(&b"Q\0\0\0\x07\xff\xfe\0P\0\0\0\x0a\xc3\0\0\0\0\0S\0\0\0\x04"[..]);
        for kind in [b'Q', b'P'] {
            let Ok(Some(Frontend::Unreadable { kind: found, error })) = take(&mut inbox) else {
                panic!("must be told apart");
            };
            assert_eq!((found, error.sqlstate), (kind, "22021"));
        }
        assert_eq!(take(&mut inbox), Ok(Some(Frontend::Sync)));
    }

    #[test]
    fn a_message_is_as_long_as_one_of_its_kind_may_be() {
        let mebibytes = |kind: u8, count: u32| {
            let [first, second, third, fourth] = ((count << 20) + 4).to_be_bytes();
            take_of(&[kind, first, second, third, fourth])
        };
        for (kind, longest, longer) in [(b'Q', 17, 18), (b'd', 16, 17), (b'B', 64, 65)] {
            assert_eq!(mebibytes(kind, longest), Ok(None));
            let refused = mebibytes(kind, longer).expect_err("must be refused");
            assert_eq!(refused.sqlstate, "54000");
        }
        assert_eq!(mebibytes(b'f', 1).expect_err("must be refused").sqlstate, "54000");
    }

    #[test]
    fn random_bytes_never_panic() {
        use rand::{Rng, SeedableRng};
        let mut random = rand::rngs::StdRng::seed_from_u64(7);
        for _ in 0..20_000 {
            let kind = b"QPBDECHSXdcfFp?"[random.random_range(0..15)];
            let length = random.random_range(0..40u8);
            let mut bytes = vec![kind, 0, 0, 0, length];
            bytes.extend((0..length).map(|_| random.random::<u8>() & 3));
            let _ = take_of(&bytes);
        }
    }
}
