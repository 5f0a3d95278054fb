//! Bytes and uuids.

use super::Refusal;

/// Reads bytes in hexadecimal digits behind `\x`, or with backslashes before octal ones.
pub(super) fn bytea(text: &str) -> Result<Vec<u8>, Refusal> {
    if let Some(digits) = text.strip_prefix("\\x") {
        let digits: String = digits.split_ascii_whitespace().collect();
        return hex::decode(digits).map_err(|_| Refusal::Digits);
    }
    escaped(text).ok_or(Refusal::Form)
}

fn escaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'\\' {
            bytes.push(*first);
        } else if let Some(behind) = rest.strip_prefix(b"\\") {
            bytes.push(b'\\');
            rest = behind;
        } else {
            let octal = std::str::from_utf8(rest.get(..3)?).ok()?;
            bytes.push(u8::from_str_radix(octal, 8).ok()?);
            rest = &rest[3..];
        }
    }
    Some(bytes)
}

/// Reads a uuid: 32 hexadecimal digits, of which a hyphen may follow any four, in braces or without.
pub fn uuid(text: &str) -> Result<[u8; 16], Refusal> {
    let bare = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}').ok_or(Refusal::Form)?,
        None => text,
    };
    let mut rest = bare.as_bytes();
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        let (digits, behind) = rest.split_at_checked(2).ok_or(Refusal::Form)?;
        hex::decode_to_slice(digits, std::slice::from_mut(byte)).map_err(|_| Refusal::Form)?;
        rest = match behind {
            [b'-', more @ ..] if at % 2 == 1 && at < 15 => more,
            more => more,
        };
    }
    if rest.is_empty() { Ok(bytes) } else { Err(Refusal::Form) }
}
