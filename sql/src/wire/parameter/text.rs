//! Parameters as text.

use datafusion::common::ScalarValue;
use engine::query::postgres::input::{self, Refusal};
use engine::query::postgres::types as catalog;

use crate::wire::encode::Zone;
use crate::wire::error::{WireError, sqlstate};

/// Reads bytes as text.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, WireError> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| {
        WireError::new(
            sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\"",
        )
    })
}

/// Reads a value that is no array, in the session's zone.
pub(super) fn scalar(text: &str, oid: u32, zone: &Zone) -> Result<ScalarValue, WireError> {
    let name = catalog::by_oid(oid).map_or("text", |known| known.name.as_str());
    match input::read(text, name, zone) {
        Some(read) => read.map_err(|refusal| refused(refusal, name)),
        // Everything else is text, and what the plan makes of it.
        None => Ok(ScalarValue::Utf8(Some(text.to_owned()))),
    }
}

/// Reads a uuid, with or without hyphens and braces.
pub(super) fn uuid(text: &str) -> Result<[u8; 16], WireError> {
    input::uuid(text).map_err(|refusal| refused(refusal, "uuid"))
}

fn refused(refusal: Refusal, name: &str) -> WireError {
    let error = WireError::new(refusal.sqlstate(), refusal.message(name));
    if refusal.hint().is_empty() { error } else { error.hint(refusal.hint()) }
}
