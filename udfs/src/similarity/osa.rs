//! `osa_distance`: how many typing errors lie between two texts.

use arrow::datatypes::DataType;
use rapidfuzz::distance::osa;

use crate::column::{Specification, integers, text};

pub(crate) fn specification() -> Specification {
    Specification {
        name: "osa_distance",
        section: "Similarity",
        description: "Returns how many letters have to be put in, left out, replaced or swapped with their neighbour to make one \
                      text of the other: Damerau's and Levenshtein's distance, no letter being touched twice (optimal string alignment).",
        parameters: const { &[text("left", "One text."), text("right", "The other text.")] },
        required: 2,
        example: (&["alicja", "alijca"], "1"),
        returns: DataType::Int64,
        logical_type: None,
        evaluate: |arguments| {
            let (left, right) = (arguments.text(0)?, arguments.text(1)?);
            let distance = |row| i64::try_from(osa_distance(left.get(row)?, right.get(row)?)).ok();
            Ok(integers((0..arguments.rows()).map(distance)))
        },
    }
}

/// Returns the least number of insertions, deletions, replacements and swaps of neighbours between two texts.
pub fn osa_distance(left: &str, right: &str) -> usize {
    if left == right {
        return 0;
    }
    if left.is_ascii() && right.is_ascii() {
        return osa::distance(left.bytes(), right.bytes());
    }
    osa::distance(left.chars(), right.chars())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_are_counted() {
        for (left, right, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("abc", "ab", 1),
            ("ca", "abc", 3),
            ("żółw", "żółwie", 2),
        ] {
            assert_eq!(osa_distance(left, right), expected, "{left} {right}");
        }
    }

    proptest! {
        #[test]
        fn is_symmetric_and_within_bounds(left in "[ab]{0,8}|.*", right in "[ab]{0,8}|.*") {
            let distance = osa_distance(&left, &right);
            prop_assert_eq!(distance, osa_distance(&right, &left));
            prop_assert!(distance <= left.chars().count().max(right.chars().count()));
            prop_assert_eq!(distance == 0, left == right);
        }
    }
}
