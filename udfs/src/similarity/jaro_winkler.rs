//! `jaro_winkler`: how alike two names are.

use arrow::datatypes::DataType;
use rapidfuzz::distance::jaro_winkler::{self as algorithm, Args};

use crate::column::{Specification, floats, text};

pub(crate) fn specification() -> Specification {
    Specification {
        name: "jaro_winkler",
        section: "Similarity",
        description: "Returns the Jaro-Winkler similarity of two texts, from 0 (nothing in common) to 1 (equal).",
        parameters: const { &[text("left", "One text."), text("right", "The other text.")] },
        required: 2,
        example: (&["dwayne", "dwayne"], "1"),
        returns: DataType::Float64,
        logical_type: None,
        evaluate: |arguments| {
            let (left, right) = (arguments.text(0)?, arguments.text(1)?);
            let similarity = |row| Some(jaro_winkler(left.get(row)?, right.get(row)?));
            Ok(floats((0..arguments.rows()).map(similarity)))
        },
    }
}

/// Returns the Jaro-Winkler similarity of two texts, from 0 to 1.
pub fn jaro_winkler(left: &str, right: &str) -> f64 {
    if left == right {
        return 1.0;
    }
    // Bytes are much faster than characters, and the same where every character is a byte.
    if left.is_ascii() && right.is_ascii() {
        return algorithm::similarity(left.bytes(), right.bytes());
    }
    algorithm::similarity(left.chars(), right.chars())
}

/// Returns the Jaro-Winkler similarity of two texts if it is `least` or more; twice as fast as to compute it in full.
pub fn jaro_winkler_at_least(left: &str, right: &str, least: f64) -> Option<f64> {
    if left == right {
        return (least <= 1.0).then_some(1.0);
    }
    let args = Args::default().score_cutoff(least);
    if left.is_ascii() && right.is_ascii() {
        return algorithm::similarity_with_args(left.bytes(), right.bytes(), &args);
    }
    algorithm::similarity_with_args(left.chars(), right.chars(), &args)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_values_come_out() {
        for (left, right, expected) in [
            ("martha", "marhta", 0.9611),
            ("dwayne", "duane", 0.84),
            ("dixon", "dicksonx", 0.8133),
            ("", "", 1.0),
            ("", "a", 0.0),
            ("abc", "xyz", 0.0),
            ("żółw", "żółw", 1.0),
            ("żółw", "żołw", 0.85),
        ] {
            let actual = jaro_winkler(left, right);
            assert!((actual - expected).abs() < 0.0001, "{left} {right} {actual}");
        }
        assert_eq!(jaro_winkler_at_least("martha", "xyz", 0.9), None);
    }

    proptest! {
        #[test]
        fn is_symmetric_and_within_bounds(left in "[ab]{0,8}|.*", right in "[ab]{0,8}|.*") {
            let similarity = jaro_winkler(&left, &right);
            prop_assert!((0.0..=1.0).contains(&similarity));
            prop_assert!((similarity - jaro_winkler(&right, &left)).abs() < 1e-9);
            let expected = (similarity >= 0.5).then_some(similarity);
            prop_assert_eq!(jaro_winkler_at_least(&left, &right, 0.5), expected);
        }
    }
}
