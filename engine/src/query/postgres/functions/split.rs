//! `regexp_split_to_array`: a text cut wherever a pattern matches. `regexp_split_to_table` unnests it.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Volatility;

use super::bounded::{BATCH_BYTES_MAX, too_large};
use super::matched::refuse_global;
use super::regexp::{Compiled, Regexp};
use super::{Body, Call, Function, Kind};

const NAME: &str = "regexp_split_to_array";

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
    let mut compiled = Compiled::default();
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
        refuse_global(NAME, flags)?;
        for part in cut(text, compiled.of(NAME, pattern, flags)?)? {
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
fn cut<'a>(text: &'a str, regexp: &Regexp) -> Result<Vec<&'a str>> {
    let mut parts = Vec::new();
    let mut start = 0;
    regexp.each(text, 0, |found| {
        let found = found.whole();
        if !found.is_empty() || (found.start != start && found.start != text.len()) {
            parts.push(&text[start..found.start]);
            start = found.end;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    parts.push(&text[start..]);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_as_postgres_does() {
        let check = |text: &str, pattern: &str, flags: &str, parts: &[&str]| {
            let regexp = Regexp::compile(NAME, pattern, flags).unwrap();
            assert_eq!(cut(text, &regexp).unwrap(), parts, "{text} {pattern}");
        };
        check("a1b22c", r"\d+", "", &["a", "b", "c"]);
        check("abc", "", "", &["a", "b", "c"]);
        check("aBc", "b", "i", &["a", "c"]);
        check("", "x", "", &[""]);
        check("xax", "x", "", &["", "a", ""]);
        check("the quick", r"\s*", "", &["t", "h", "e", "q", "u", "i", "c", "k"]);
        check("a1b22c", r"(?<=\d)(?=[a-z])", "", &["a1", "b22", "c"]);
        assert!(Regexp::compile(NAME, "(", "").is_err());
    }
}
