//! `regexp_split_to_array`: a text cut wherever a pattern matches. `regexp_split_to_table` unnests it.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Volatility;
use regex::{Regex, RegexBuilder};

use super::bounded::{BATCH_BYTES_MAX, too_large};
use super::patterns::read;
use super::{Body, Call, Function, Kind, failure};
use crate::Error;

const NAME: &str = "regexp_split_to_array";

/// Bytes that a compiled pattern may have.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Parts that one batch may be cut into.
pub(super) const PARTS_MAX: usize = 1 << 22;

pub(super) const FUNCTIONS: &[Function] =
    &[Function::new(NAME, &[Kind::Text, Kind::Text, Kind::Text], "_text", Body::Column(split))
        .at_least(2)
        .with(Volatility::Immutable)];

fn split(call: &Call<'_>) -> Result<ArrayRef> {
    let DataType::List(item) = call.result.data_type() else {
        return internal_err!("{NAME} returns a list");
    };
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item));
    // Mostly there is one pattern for all rows.
    let mut compiled: Option<((String, String), Regex)> = None;
    let (mut bytes, mut parts) = (0_u64, 0_usize);
    for row in 0..call.rows {
        let (Some(text), Some(pattern)) = (call.text(0, row), call.text(1, row)) else {
            lists.append_null();
            continue;
        };
        let flags = match (call.arguments.len(), call.text(2, row)) {
            (3, None) => {
                lists.append_null();
                continue;
            }
            (_, flags) => flags.unwrap_or_default(),
        };
        let regex = match &compiled {
            Some(((known, with), regex)) if known == pattern && with == flags => regex,
            _ => {
                let key = (pattern.to_string(), flags.to_string());
                &compiled.insert((key, compile(NAME, pattern, flags)?)).1
            }
        };
        for part in cut(text, regex) {
            bytes += part.len() as u64;
            parts += 1;
            if bytes > BATCH_BYTES_MAX || parts > PARTS_MAX {
                return Err(too_large(NAME));
            }
            lists.values().append_value(part);
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

/// The parts of a text. An empty match counts only between two letters, and not where a match has just ended.
fn cut<'a>(text: &'a str, regex: &Regex) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for found in regex.find_iter(text) {
        if found.is_empty() && (found.start() == start || found.start() == text.len()) {
            continue;
        }
        parts.push(&text[start..found.start()]);
        start = found.end();
    }
    parts.push(&text[start..]);
    parts
}

/// Compiles a pattern with the options of a call.
pub(super) fn compile(function: &str, pattern: &str, flags: &str) -> Result<Regex> {
    // In PostgreSQL a dot is any letter, the ends of lines included, unless a flag says otherwise.
    let any = !flags.contains(['n', 'm', 'p']);
    let mut builder = RegexBuilder::new(&read(pattern, any)?);
    builder.size_limit(PATTERN_BYTES_MAX);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'c' => builder.case_insensitive(false),
            'n' | 'm' | 'w' => builder.multi_line(true),
            's' => builder.multi_line(false),
            'p' => &mut builder,
            'x' => builder.ignore_whitespace(true),
            _ => {
                return Err(failure(Error::Standard {
                    sqlstate: "22023",
                    message: format!("invalid regular expression option: \"{flag}\""),
                    hint: format!("{function}() takes the options i, c, n, m, s, p, w and x."),
                }));
            }
        };
    }
    builder.build().map_err(|_| {
        failure(Error::Standard {
            sqlstate: "2201B",
            message: "invalid regular expression".to_string(),
            hint: "Close every bracket, and escape what stands for itself.".to_string(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_as_postgres_does() {
        let check = |text: &str, pattern: &str, flags: &str, parts: &[&str]| {
            let regex = compile(NAME, pattern, flags).unwrap();
            assert_eq!(cut(text, &regex), parts, "{text} {pattern}");
        };
        check("a1b22c", r"\d+", "", &["a", "b", "c"]);
        check("abc", "", "", &["a", "b", "c"]);
        check("aBc", "b", "i", &["a", "c"]);
        check("", "x", "", &[""]);
        check("xax", "x", "", &["", "a", ""]);
        check("the quick", r"\s*", "", &["t", "h", "e", "q", "u", "i", "c", "k"]);
        assert!(compile(NAME, "(", "").is_err() && compile(NAME, "a", "g").is_err());
    }
}
