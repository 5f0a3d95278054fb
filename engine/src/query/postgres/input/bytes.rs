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

/// Reads a uuid, with or without hyphens and braces.
pub fn uuid(text: &str) -> Result<[u8; 16], Refusal> {
    let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let digits: String = bare.chars().filter(|letter| *letter != '-').collect();
    let bytes = hex::decode(digits).map_err(|_| Refusal::Form)?;
    bytes.try_into().map_err(|_| Refusal::Form)
}
