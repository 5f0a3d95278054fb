//! `@>`: whether a value has all that another has.

use std::cell::Cell;

use datafusion::common::Result;
use udfs::{Elements, Value, View};

use super::{Call, document};
use crate::query::postgres::functions::bounded::too_large;
use crate::query::stop::check_current;

/// Pairs of parts that may be held against each other for one row: elements of arrays stand in no order.
const COMPARED_MAX: u64 = 10_000_000;
/// Of them from one question whether to stop to the next.
const COMPARED_BETWEEN: u64 = 1 << 16;

/// Whether one argument has all that another has.
pub(super) fn contains(
    call: &Call<'_>,
    row: usize,
    whole: usize,
    part: usize,
) -> Result<Option<bool>> {
    let (Some(whole), Some(part)) = (document(call, whole, row)?, document(call, part, row)?)
    else {
        return Ok(None);
    };
    Ok(Some(is_within(whole.root(), part.root())?))
}

fn is_within(whole: Value<'_>, part: Value<'_>) -> Result<bool> {
    let compared = Compared(Cell::new(0));
    match whole.view() {
        // An array has the scalars that are its elements.
        View::Array(elements) if part.is_scalar() => compared.any(elements, part),
        _ => compared.holds(whole, part),
    }
}

struct Compared(Cell<u64>);

impl Compared {
    fn holds(&self, whole: Value<'_>, part: Value<'_>) -> Result<bool> {
        let count = self.0.get() + 1;
        self.0.set(count);
        if count > COMPARED_MAX {
            return Err(too_large("jsonb_contains"));
        }
        if count.is_multiple_of(COMPARED_BETWEEN) {
            check_current()?;
        }
        match (whole.view(), part.view()) {
            (View::Object(members), View::Object(wanted)) => {
                for (name, value) in wanted {
                    match members.named(name) {
                        Some(found) if self.holds(found, value)? => {}
                        _ => return Ok(false),
                    }
                }
                Ok(true)
            }
            (View::Array(elements), View::Array(wanted)) => {
                for value in wanted {
                    if !self.any(elements.clone(), value)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Ok(whole.is_scalar() && whole.is_same(part)),
        }
    }

    fn any(&self, elements: Elements<'_>, part: Value<'_>) -> Result<bool> {
        for element in elements {
            if self.holds(element, part)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use udfs::{Json, Keeping};

    use super::*;

    #[test]
    fn values_are_within_values_as_in_postgres() {
        let is_within = |whole: &str, part: &str| {
            let [whole, part] =
                [whole, part].map(|text| Json::parse(text, Keeping::Values).unwrap());
            is_within(whole.root(), part.root()).unwrap()
        };
        for (whole, part, expected) in [
            (r#"{"a": 1, "b": 2}"#, r#"{"b": 2.0}"#, true),
            (r#"{"a": 1}"#, r#"{"a": "1"}"#, false),
            (r#"{"a": {"b": [1, 2]}}"#, r#"{"a": {"b": [2]}}"#, true),
            (r#"{"a": [1]}"#, r#"{"a": 1}"#, false),
            ("{}", "{}", true),
            ("[]", "{}", false),
            ("[1, 2, 3]", "[3, 1, 1]", true),
            ("[1, 2]", "[4]", false),
            ("[[1, 2], 3]", "[[1]]", true),
            ("[1, 2]", "1", true),
            ("1", "[1]", false),
            ("[[1]]", "1", false),
            ("1", "1", true),
            (r#""foo""#, r#""bar""#, false),
            (r#"["foo", {"a": 1, "b": 2}]"#, r#"[{"a": 1}]"#, true),
            ("null", "null", true),
        ] {
            assert_eq!(is_within(whole, part), expected, "{whole} @> {part}");
        }
        let many = format!("[{}1]", "1,".repeat(10_000));
        let others = format!("[{}2]", "1,".repeat(10_000));
        assert!(!is_within(&many, &others));
        let zeros = format!("[{}0]", "0,".repeat(10_000));
        assert!(!is_within(&zeros, &many));
    }
}
