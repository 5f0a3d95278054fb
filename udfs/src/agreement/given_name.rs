//! `given_name_agreement`: how far two given names agree, in the levels that the FUZZY rule weighs.

use arrow::datatypes::DataType;

use super::second_name::level_with_second_names;
use super::slip::{is_alike, is_name_slip};
use crate::column::{Specification, text, texts};
use crate::normalize::given_name::{
    GivenNames, given_name_key, is_slip_of_form, relate_given_names,
};
use crate::normalize::name::{compared, normalize_name_part};

/// Nothing speaks for one name.
pub const DIFFERENT: u8 = 0;
/// One is the other record's surname, and the other way round.
pub const SWAPPED: u8 = 1;
/// One is the first letter of the other.
pub const INITIAL: u8 = 2;
/// They are alike by Jaro and Winkler.
pub const LOOSE: u8 = 3;
/// They are one name but for a slip of the keyboard.
pub const CLOSE: u8 = 4;
/// They are forms of one name.
pub const SAME: u8 = 5;
/// They are equal.
pub const EXACT: u8 = 6;

/// What the levels are called, lowest first. From [`SAME`] on, the names are forms of one.
pub const LABELS: &[&str] = &[
    "different",
    "swapped with the surname",
    "initial",
    "alike",
    "one slip",
    "forms of one name",
    "equal",
];

/// The similarity by Jaro and Winkler from which given names are alike: the threshold of Splink's library of comparisons.
const ALIKE: f64 = 0.88;

pub(crate) fn specification() -> Specification {
    Specification {
        name: "given_name_agreement",
        section: "Agreement",
        description: "Returns how far two given names agree, in the levels of `cdp.match_weights`: `equal`, `forms of one name`, \
                      `one slip`, `alike`, `initial` or `different`. Names are normalised first. Of several the first one counts, unless \
                      both have second ones, known and different: `Jean-Luc` is not `Jean-Pierre`. `Maryann` is a form of `Mary Ann`. \
                      Two names that are known, such as `Marta` and `Maria`, are different however alike they are.",
        parameters: const { &[text("left", "One given name."), text("right", "The other given name.")] },
        required: 2,
        example: (&["Kuba", "Jakub"], "forms of one name"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| {
            let (left, right) = (arguments.text(0)?, arguments.text(1)?);
            let label = |row| given_name_agreement(left.get(row)?, right.get(row)?);
            Ok(texts((0..arguments.rows()).map(label)))
        },
    }
}

/// Returns how far two given names agree as they are written; `None` where one of them is none.
pub fn given_name_agreement(left: &str, right: &str) -> Option<&'static str> {
    let (left, right) = (normalize_name_part(left)?, normalize_name_part(right)?);
    let (left, right) = (words(&left), words(&right));
    let level = level_with_second_names(given_name_level(left[0], right[0]), left, right);
    LABELS.get(usize::from(level)).copied()
}

/// Returns the first word of normalised given names, and the rest of them.
fn words(names: &str) -> [&str; 2] {
    let (first, rest) = names.split_once(' ').unwrap_or((names, ""));
    [compared(first), rest]
}

/// Returns the level of two normalised given names, each a single word.
pub fn given_name_level(left: &str, right: &str) -> u8 {
    if left.len() == 1 || right.len() == 1 {
        let starts = |short: &str, long: &str| {
            short.len() == 1 && (long.starts_with(short) || given_name_key(long).starts_with(short))
        };
        return if starts(left, right) || starts(right, left) { INITIAL } else { DIFFERENT };
    }
    if left == right {
        return EXACT;
    }
    match relate_given_names(left, right) {
        GivenNames::One => SAME,
        GivenNames::Two => DIFFERENT,
        GivenNames::Open if is_name_slip(left, right) => CLOSE,
        GivenNames::Open if is_alike(left, right, ALIKE) || is_slip_of_form(left, right) => LOOSE,
        GivenNames::Open => DIFFERENT,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_names_have_levels() {
        for (left, right, expected) in [
            ("Łukasz", "lukasz", Some("equal")),
            ("Dr. Mary Ann", "MARY", Some("equal")),
            ("Mary Ann", "Maryann", Some("forms of one name")),
            ("Jean-Luc", "Jean Pierre", Some("different")),
            ("Anna Maria", "Anna-Maria", Some("equal")),
            ("Gosia", "Małgorzata", Some("forms of one name")),
            ("Chris", "Christopher", Some("forms of one name")),
            ("Jennifer", "Jwnnifer", Some("one slip")),
            ("Martha", "Marhtas", Some("alike")),
            ("Marai", "Maria", Some("one slip")),
            ("Katarzna", "Katarzyna", Some("one slip")),
            ("Marta", "Maria", Some("different")),
            ("Zbyszke", "Zbigniew", Some("alike")),
            ("Christine", "Christopher", Some("different")),
            ("Romana", "Roman", Some("different")),
            ("J.", "Jan", Some("initial")),
            ("J", "Kuba", Some("initial")),
            ("K", "Jan", Some("different")),
            ("Jan", "Anna", Some("different")),
            ("Jan", " - ", None),
        ] {
            assert_eq!(given_name_agreement(left, right), expected, "{left} {right}");
            assert_eq!(given_name_agreement(right, left), expected, "{right} {left}");
        }
    }

    proptest! {
        #[test]
        fn neither_name_comes_first(left in "[a-z]{1,9}", right in "[a-z]{1,9}") {
            prop_assert_eq!(given_name_level(&left, &right), given_name_level(&right, &left));
        }
    }
}
