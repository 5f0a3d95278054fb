//! Slips of the keyboard (Damerau, 1964): a letter put in, left out, wrong, or swapped with its neighbour.
//!
//! Rules that are exact take two slips in a long name for one name, since names are all that they look at. The FUZZY rule
//! weighs everything else besides, and counts one slip alone.

use crate::similarity::jaro_winkler::jaro_winkler_at_least;

/// The shortest name in which exact rules take one wrong letter for a slip.
pub const SLIP_LENGTH_MIN: usize = 3;

/// The shortest name in which they take two for slips.
const TWO_SLIPS_LENGTH_MIN: usize = 6;

/// The shortest name in which the FUZZY rule takes one wrong letter for a slip, not for another name.
const NAME_SLIP_LENGTH_MIN: usize = 4;

/// Tells whether two parts of names differ as slips of the keyboard do, as exact rules see it.
pub fn is_slip(left: &str, right: &str) -> bool {
    match left.len().min(right.len()) {
        0..SLIP_LENGTH_MIN => false,
        SLIP_LENGTH_MIN..TWO_SLIPS_LENGTH_MIN => is_one_slip(left, right),
        _ => is_two_slips(left.as_bytes(), right.as_bytes()),
    }
}

/// Tells whether two words are one but for a slip, as the FUZZY rule sees it.
pub fn is_name_slip(left: &str, right: &str) -> bool {
    left.len().min(right.len()) >= NAME_SLIP_LENGTH_MIN && is_one_slip(left, right)
}

/// Tells whether a letter was put in, left out, replaced or swapped with its neighbour, or nothing at all.
pub fn is_one_slip(left: &str, right: &str) -> bool {
    is_one(left.as_bytes(), right.as_bytes())
}

fn is_one(left: &[u8], right: &[u8]) -> bool {
    if left.len().abs_diff(right.len()) > 1 {
        return false;
    }
    let start = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    let (left, right) = (&left[start..], &right[start..]);
    let end =
        left.iter().rev().zip(right.iter().rev()).take_while(|(left, right)| left == right).count();
    match (&left[..left.len() - end], &right[..right.len() - end]) {
        ([], []) | ([_], []) | ([], [_]) | ([_], [_]) => true,
        ([first, second], [other_first, other_second]) => {
            first == other_second && second == other_first
        }
        _ => false,
    }
}

/// Tells whether two slips or fewer lie between two texts, in time that grows with their lengths and not with the product of
/// these: what the first letters that differ can be leaves one slip for the rest.
fn is_two_slips(left: &[u8], right: &[u8]) -> bool {
    if left.len().abs_diff(right.len()) > 2 {
        return false;
    }
    let start = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    match (&left[start..], &right[start..]) {
        ([], _) | (_, []) => true,
        (left @ [first, rest @ ..], right @ [other, other_rest @ ..]) => {
            let is_swap = rest.first() == Some(other) && other_rest.first() == Some(first);
            is_one(rest, other_rest)
                || is_one(rest, right)
                || is_one(left, other_rest)
                || is_swap && is_one(&rest[1..], &other_rest[1..])
        }
    }
}

/// Tells whether two names are alike. Which of them comes first makes a difference to Jaro's measure of a few pairs, so texts
/// decide it.
pub(super) fn is_alike(left: &str, right: &str, least: f64) -> bool {
    jaro_winkler_at_least(left.min(right), left.max(right), least).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::similarity::osa::osa_distance;

    #[test]
    fn long_parts_may_have_two_slips_and_short_ones_none() {
        for (left, right, expected) in [
            ("jennifer", "jwnnifre", true),
            ("jennifer", "jwnnixre", false),
            ("kowal", "kowla", true),
            ("kowal", "kwola", false),
            ("jo", "joe", false),
            ("jan", "jean", true),
            ("", "", false),
        ] {
            assert_eq!(is_slip(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn texts_of_any_length_take_time_by_their_length() {
        let long = "ab".repeat(200_000);
        assert!(is_slip(&long, &format!("b{long}a")));
        assert!(!is_slip(&long, &format!("c{}cc", &long[..long.len() - 2])));
        assert!(is_slip(&long, &format!("{}c", &long[..long.len() - 1])));
    }

    proptest! {
        #[test]
        fn two_slips_are_a_distance_of_two(left in "[abc]{0,8}", right in "[abc]{0,8}") {
            let found = is_two_slips(left.as_bytes(), right.as_bytes());
            prop_assert_eq!(found, osa_distance(&left, &right) <= 2);
        }

        #[test]
        fn one_slip_is_a_distance_of_one(left in "[ab]{0,6}", right in "[ab]{0,6}") {
            prop_assert_eq!(is_one_slip(&left, &right), osa_distance(&left, &right) <= 1);
        }
    }
}
