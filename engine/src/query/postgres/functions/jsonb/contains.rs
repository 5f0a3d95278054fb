//! `@>`: whether a value has all that another has.

use std::cell::Cell;

use datafusion::common::Result;
use udfs::Json;

use super::{Call, document};
use crate::query::postgres::functions::bounded::too_large;

/// Pairs of parts that may be held against each other for one row: elements of arrays stand in no order.
const COMPARED_MAX: u64 = 10_000_000;

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
    Ok(Some(is_within(&whole, &part)?))
}

fn is_within(whole: &Json, part: &Json) -> Result<bool> {
    let compared = Compared(Cell::new(0));
    match (whole, part) {
        // An array has the scalars that are its elements.
        (Json::Array(elements), part) if part.is_scalar() => compared.any(elements, part),
        (whole, part) => compared.holds(whole, part),
    }
}

struct Compared(Cell<u64>);

impl Compared {
    fn holds(&self, whole: &Json, part: &Json) -> Result<bool> {
        let count = self.0.get() + 1;
        self.0.set(count);
        if count > COMPARED_MAX {
            return Err(too_large("jsonb_contains"));
        }
        match (whole, part) {
            (Json::Object(members), Json::Object(wanted)) => {
                for (name, value) in wanted {
                    // Names are sorted as `jsonb` sorts them.
                    let sought = (name.len(), name.as_bytes());
                    let at = members
                        .binary_search_by(|(key, _)| (key.len(), key.as_bytes()).cmp(&sought));
                    match at {
                        Ok(at) if self.holds(&members[at].1, value)? => {}
                        _ => return Ok(false),
                    }
                }
                Ok(true)
            }
            (Json::Array(elements), Json::Array(wanted)) => {
                for value in wanted {
                    if !self.any(elements, value)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (one, other) => Ok(one.is_scalar() && one.is_same(other)),
        }
    }

    fn any(&self, elements: &[Json], part: &Json) -> Result<bool> {
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
    use udfs::Keeping;

    use super::*;

    #[test]
    fn values_are_within_values_as_in_postgres() {
        let json = |text: &str| Json::parse(text, Keeping::Values).unwrap();
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
            assert_eq!(
                is_within(&json(whole), &json(part)).unwrap(),
                expected,
                "{whole} @> {part}"
            );
        }
        let many = format!("[{}1]", "1,".repeat(10_000));
        let others = format!("[{}2]", "1,".repeat(10_000));
        assert!(!is_within(&json(&many), &json(&others)).unwrap());
        let zeros = format!("[{}0]", "0,".repeat(10_000));
        assert!(!is_within(&json(&zeros), &json(&many)).unwrap());
    }
}
