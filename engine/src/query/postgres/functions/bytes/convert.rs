//! Bytes in the encodings of texts: `convert_from`, `convert_to`, `convert`, and how many letters some bytes are.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BinaryBuilder};
use datafusion::common::Result;

use super::super::bounded::{BATCH_BYTES_MAX, VALUE_BYTES_MAX, too_large};
use super::{Call, bytes, failure, written};
use crate::Error;
use crate::query::stop::check_current;

/// Reads bytes of an encoding as text.
pub(super) fn from(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let (Some(bytes), Some(encoding)) = (bytes(call, row)?, call.text(1, row)) else {
        return Ok(false);
    };
    Encoding::of(encoding)?.read(&bytes, out)?;
    Ok(true)
}

/// Writes text as bytes of an encoding.
pub(super) fn to(call: &Call<'_>) -> Result<ArrayRef> {
    written(call, "convert_to", |text, encoding| Encoding::of(encoding)?.write(text))
}

/// Brings bytes from one encoding to another.
pub(super) fn between(call: &Call<'_>) -> Result<ArrayRef> {
    let mut all = BinaryBuilder::new();
    let mut text = String::new();
    for row in 0..call.rows {
        check_current()?;
        let (Some(bytes), Some(source), Some(target)) =
            (bytes(call, row)?, call.text(1, row), call.text(2, row))
        else {
            all.append_null();
            continue;
        };
        text.clear();
        Encoding::of(source)?.read(&bytes, &mut text)?;
        let made = Encoding::of(target)?.write(&text)?;
        let total = (all.values_slice().len() + made.len()) as u64;
        if made.len() as u64 > VALUE_BYTES_MAX || total > BATCH_BYTES_MAX {
            return Err(too_large("convert"));
        }
        all.append_value(made);
    }
    Ok(Arc::new(all.finish()))
}

/// Counts the letters that bytes are in an encoding.
pub(super) fn letters(bytes: &[u8], encoding: &str) -> Result<Option<i32>> {
    let mut text = String::new();
    Encoding::of(encoding)?.read(bytes, &mut text)?;
    Ok(i32::try_from(text.chars().count()).ok())
}

/// How letters become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Latin1,
}

impl Encoding {
    fn of(name: &str) -> Result<Self> {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        match plain.to_ascii_lowercase().as_str() {
            "utf8" | "unicode" => Ok(Encoding::Utf8),
            "latin1" | "iso88591" => Ok(Encoding::Latin1),
            _ => Err(failure(Error::Standard {
                sqlstate: "0A000",
                message: format!("encoding \"{name}\" is not supported"),
                hint: "There are UTF8 and LATIN1.".to_owned(),
            })),
        }
    }

    /// Reads bytes as letters.
    fn read(self, bytes: &[u8], out: &mut String) -> Result<()> {
        match self {
            Encoding::Utf8 => match std::str::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => out.push_str(text),
                _ => {
                    return Err(failure(Error::Standard {
                        sqlstate: "22021",
                        message: "invalid byte sequence for encoding \"UTF8\"".to_owned(),
                        hint: "Name the encoding that the bytes have, such as LATIN1.".to_owned(),
                    }));
                }
            },
            Encoding::Latin1 => out.extend(bytes.iter().map(|byte| char::from(*byte))),
        }
        Ok(())
    }

    /// Writes letters as bytes.
    fn write(self, text: &str) -> Result<Vec<u8>> {
        match self {
            Encoding::Utf8 => Ok(text.as_bytes().to_vec()),
            Encoding::Latin1 => {
                let bytes = text.chars().map(|letter| u8::try_from(u32::from(letter)));
                bytes.collect::<std::result::Result<_, _>>().map_err(|_| {
                    failure(Error::Standard {
                        sqlstate: "22P05",
                        message: "a character has no equivalent in encoding \"LATIN1\"".to_owned(),
                        hint: "Use UTF8, which has all of them.".to_owned(),
                    })
                })
            }
        }
    }
}
