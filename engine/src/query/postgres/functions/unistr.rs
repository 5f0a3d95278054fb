//! `unistr`: a text in which letters are written by their numbers, as `\0441` or `\+01F600`.

use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::Volatility;

use super::{Body, Call, Function, Kind, failure};
use crate::Error;

pub(super) const FUNCTIONS: &[Function] =
    &[Function::new("unistr", &[Kind::Text], "text", Body::Write(unistr))
        .with(Volatility::Immutable)];

fn unistr(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    let Some(mut rest) = call.text(0, row) else { return Ok(false) };
    // The first half of a letter that is written in two.
    let mut half = None;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        if half.is_some() && !plain.is_empty() {
            return Err(invalid("invalid Unicode surrogate pair"));
        }
        out.push_str(plain);
        if let Some(behind) = escaped.strip_prefix('\\') {
            if half.is_some() {
                return Err(invalid("invalid Unicode surrogate pair"));
            }
            out.push('\\');
            rest = behind;
            continue;
        }
        let (skipped, digits) = match escaped.chars().next() {
            Some('u') => (1, 4),
            Some('U') => (1, 8),
            Some('+') => (1, 6),
            _ => (0, 4),
        };
        let written = escaped.get(skipped..skipped + digits);
        let written =
            written.filter(|written| written.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let number = written.and_then(|written| u32::from_str_radix(written, 16).ok());
        let number = number.ok_or_else(|| invalid("invalid Unicode escape"))?;
        rest = escaped.get(skipped + digits..).unwrap_or_default();
        match (half.take(), number) {
            (None, 0xD800..=0xDBFF) => half = Some(number),
            (Some(first), 0xDC00..=0xDFFF) => {
                let whole = 0x10000 + ((first - 0xD800) << 10) + (number - 0xDC00);
                out.extend(char::from_u32(whole));
            }
            (None, 1..) => match char::from_u32(number) {
                Some(letter) => out.push(letter),
                None if (0xDC00..=0xDFFF).contains(&number) => {
                    return Err(invalid("invalid Unicode surrogate pair"));
                }
                None => return Err(invalid("invalid Unicode escape value")),
            },
            (None, 0) => return Err(invalid("invalid Unicode escape value")),
            (Some(_), _) => return Err(invalid("invalid Unicode surrogate pair")),
        }
    }
    if half.is_some() {
        return Err(invalid("invalid Unicode surrogate pair"));
    }
    out.push_str(rest);
    Ok(true)
}

fn invalid(message: &str) -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "42601",
        message: message.to_owned(),
        hint: "Write \\ or \\u and four hexadecimal digits, \\+ and six, or \\U and eight."
            .to_owned(),
    })
}
