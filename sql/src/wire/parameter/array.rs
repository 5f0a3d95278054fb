//! Parameters that are one-dimensional arrays.

use datafusion::common::ScalarValue;

use super::{bad_binary, binary, list_of, text};
use crate::wire::encode::Zone;
use crate::wire::error::{WireError, sqlstate};

/// Reads `{1,2,NULL,"a b"}` in the session's zone.
pub(super) fn from_text(array: &str, element: u32, zone: &Zone) -> Result<ScalarValue, WireError> {
    let malformed =
        || WireError::new(sqlstate::INVALID_TEXT_REPRESENTATION, "malformed array literal");
    let body = array
        .trim()
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(malformed)?;
    let mut values = Vec::new();
    let mut letters = body.chars().peekable();
    if body.trim().is_empty() {
        return list_of(&values, element);
    }
    loop {
        while letters.next_if(|letter| letter.is_ascii_whitespace()).is_some() {}
        let mut word = String::new();
        let quoted = letters.next_if_eq(&'"').is_some();
        loop {
            match letters.peek() {
                None if quoted => return Err(malformed()),
                None => break,
                Some(',') if !quoted => break,
                Some('"') if quoted => {
                    letters.next();
                    break;
                }
                Some('{' | '}' | '"') if !quoted => return Err(several_dimensions()),
                Some('\\') => {
                    letters.next();
                    word.push(letters.next().ok_or_else(malformed)?);
                }
                Some(letter) => {
                    word.push(*letter);
                    letters.next();
                }
            }
        }
        while letters.next_if(|letter| letter.is_ascii_whitespace()).is_some() {}
        let word = if quoted { word.as_str() } else { word.trim_end() };
        values.push(match word {
            "" if !quoted => return Err(malformed()),
            null if !quoted && null.eq_ignore_ascii_case("null") => ScalarValue::Null,
            word => text::scalar(word, element, zone)?,
        });
        match letters.next() {
            Some(',') => {}
            None => return list_of(&values, element),
            Some(_) => return Err(malformed()),
        }
    }
}

/// Reads the number of dimensions, a flag, the type of the elements, the length, the first index, and sized elements.
pub(super) fn from_binary(bytes: &[u8], element: u32) -> Result<ScalarValue, WireError> {
    let mut rest = bytes;
    let mut number = || -> Result<i32, WireError> {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(bad_binary)?;
        rest = tail;
        Ok(i32::from_be_bytes(*head))
    };
    let dimensions = number()?;
    number()?;
    let sent = number()?;
    let declared = i32::try_from(element).map_err(|_| bad_binary())?;
    if sent != declared {
        return Err(WireError::new(
            "42804",
            format!("binary data has array element type {sent} instead of expected {declared}"),
        ));
    }
    match dimensions {
        0 => return list_of(&[], element),
        1 => {}
        _ => return Err(several_dimensions()),
    }
    let count = usize::try_from(number()?).map_err(|_| bad_binary())?;
    number()?;
    if count > rest.len() / 4 {
        return Err(bad_binary());
    }
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(bad_binary)?;
        rest = tail;
        values.push(match i32::from_be_bytes(*head) {
            -1 => ScalarValue::Null,
            length => {
                let length = usize::try_from(length).map_err(|_| bad_binary())?;
                let (value, tail) = rest.split_at_checked(length).ok_or_else(bad_binary)?;
                rest = tail;
                binary::scalar(value, element)?
            }
        });
    }
    if rest.is_empty() { list_of(&values, element) } else { Err(bad_binary()) }
}

fn several_dimensions() -> WireError {
    WireError::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        "arrays of several dimensions are not supported as parameters",
    )
}
