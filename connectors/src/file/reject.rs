//! Why a row cannot be taken: codes that stay, and hints that help.

use crate::contract::Rejection;

/// A reason to reject a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    CsvFieldCount,
    CsvUnterminatedQuote,
    InvalidUtf8,
    NulCharacter,
    BadJsonGarbage,
    BadJsonTruncated,
    NotAnObject,
    MissingType,
    UnknownType,
    MissingMessageId,
    MissingIdentity,
    UserIdWrongType,
    TrackWithoutEvent,
    PropertiesNotObject,
    BadTimestamp,
    TooLarge,
    TooDeep,
}

impl Reason {
    /// Returns the stable code.
    pub(super) fn code(self) -> &'static str {
        match self {
            Reason::CsvFieldCount => "csv_field_count",
            Reason::CsvUnterminatedQuote => "csv_unterminated_quote",
            Reason::InvalidUtf8 => "invalid_utf8",
            Reason::NulCharacter => "nul_character",
            Reason::BadJsonGarbage => "bad_json_garbage",
            Reason::BadJsonTruncated => "bad_json_truncated",
            Reason::NotAnObject => "not_an_object",
            Reason::MissingType => "missing_type",
            Reason::UnknownType => "unknown_type",
            Reason::MissingMessageId => "missing_message_id",
            Reason::MissingIdentity => "missing_identity",
            Reason::UserIdWrongType => "user_id_wrong_type",
            Reason::TrackWithoutEvent => "track_without_event",
            Reason::PropertiesNotObject => "properties_not_object",
            Reason::BadTimestamp => "bad_timestamp",
            Reason::TooLarge => "too_large",
            Reason::TooDeep => "too_deep",
        }
    }

    /// Returns what to do about it.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Reason::CsvFieldCount => "Give the row as many fields as the header has.",
            Reason::CsvUnterminatedQuote => {
                "Close the quote that opens on this line; reading went on with the next line."
            }
            Reason::InvalidUtf8 => "Export the file as UTF-8.",
            Reason::NulCharacter => "Remove the NUL characters.",
            Reason::BadJsonGarbage => {
                "Write one JSON object on the line, without repeated keys, lone surrogates or NUL."
            }
            Reason::BadJsonTruncated => "Send the line again whole.",
            Reason::NotAnObject => "Write one JSON object on the line.",
            Reason::MissingType => "Set \"type\".",
            Reason::UnknownType => "Set \"type\" to identify, track, page, screen, group or alias.",
            Reason::MissingMessageId => "Set \"messageId\" to a text that is unique for the call.",
            Reason::MissingIdentity => "Set \"userId\" or \"anonymousId\".",
            Reason::UserIdWrongType => "Set \"userId\" and \"anonymousId\" to a text or a number.",
            Reason::TrackWithoutEvent => "Set \"event\" to the name of what was tracked.",
            Reason::PropertiesNotObject => {
                "Set \"properties\", \"traits\" and \"context\" to JSON objects."
            }
            Reason::BadTimestamp => {
                "Write times as ISO 8601 with a zone, such as 2026-01-31T12:00:00Z, and at least one."
            }
            Reason::TooLarge => "Send less in one row.",
            Reason::TooDeep => "Nest objects and arrays less deeply.",
        }
    }

    /// Makes the rejection of one row.
    pub(super) fn reject(self, file: &str, position: u64, raw: &[u8]) -> Rejection {
        let mut kept = String::from_utf8_lossy(&raw[..raw.len().min(Rejection::RAW_BYTES_MAX)]);
        let mut length = kept.len().min(Rejection::RAW_BYTES_MAX);
        while !kept.is_char_boundary(length) {
            length -= 1;
        }
        kept.to_mut().truncate(length);
        Rejection {
            file: file.to_owned(),
            position,
            reason: self.code(),
            hint: self.hint().to_owned(),
            raw: kept.into_owned(),
        }
    }
}
