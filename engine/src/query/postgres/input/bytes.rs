//! Bytes and uuids.

use super::Refusal;

/// Reads bytes in hexadecimal digits behind `\x`, or with backslashes before octal ones.
pub(in crate::query::postgres) fn bytea(text: &str) -> Result<Vec<u8>, Refusal> {
    match text.strip_prefix("\\x") {
        Some(digits) => hexadecimal(digits),
        None => escaped(text),
    }
}

/// Reads pairs of hexadecimal digits, between which there may be blanks.
pub(in crate::query::postgres) fn hexadecimal(text: &str) -> Result<Vec<u8>, Refusal> {
    let digit = |letter: u8| match letter {
        b'0'..=b'9' => Ok(letter - b'0'),
        b'a'..=b'f' => Ok(letter - b'a' + 10),
        b'A'..=b'F' => Ok(letter - b'A' + 10),
        _ => Err(Refusal::Digits),
    };
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut letters = text.bytes();
    while let Some(first) = letters.next() {
        if matches!(first, b' ' | b'\n' | b'\t' | b'\r') {
            continue;
        }
        let high = digit(first)?;
        let low = digit(letters.next().ok_or(Refusal::OddDigits)?)?;
        bytes.push((high << 4) | low);
    }
    Ok(bytes)
}

/// Reads bytes with backslashes before octal digits and before themselves.
pub(in crate::query::postgres) fn escaped(text: &str) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b'\\', b'\\', behind @ ..] => {
                bytes.push(b'\\');
                behind
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..] => {
                bytes.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                behind
            }
            [b'\\', ..] => return Err(Refusal::Form),
            [byte, behind @ ..] => {
                bytes.push(*byte);
                behind
            }
        };
    }
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
