//! `surname_agreement`: how far two surnames agree, in the levels that the FUZZY rule weighs.

use arrow::datatypes::DataType;

use super::slip::{is_alike, is_name_slip};
use crate::column::{Specification, text, texts};
use crate::normalize::name::{compared, normalize_family_name, take_suffix};
use crate::normalize::surname::surname_key;

/// Nothing speaks for one name.
pub const DIFFERENT: u8 = 0;
/// One is the other record's given name, and the other way round.
pub const SWAPPED: u8 = 1;
/// They are alike by Jaro and Winkler, or one is half of the other.
pub const LOOSE: u8 = 2;
/// They are one name but for a slip of the keyboard.
pub const CLOSE: u8 = 3;
/// They are forms of one name.
pub const SAME: u8 = 4;

/// What the levels are called, lowest first.
pub const LABELS: &[&str] = &[
    "different",
    "swapped with the given name",
    "alike or half of a double name",
    "one slip",
    "equal",
];

/// The similarity by Jaro and Winkler from which surnames are alike: the threshold of Splink's library of comparisons.
const ALIKE: f64 = 0.92;

pub(crate) fn specification() -> Specification {
    Specification {
        name: "surname_agreement",
        section: "Agreement",
        description: "Returns how far two surnames agree, in the levels of `cdp.match_weights`: `equal`, `one slip`, `alike or half \
                      of a double name` or `different`. Feminine forms are equal to masculine ones.",
        parameters: const { &[text("left", "One surname."), text("right", "The other surname.")] },
        required: 2,
        example: (&["Kowalska", "Kowalski"], "equal"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| {
            let (left, right) = (arguments.text(0)?, arguments.text(1)?);
            let label = |row| surname_agreement(left.get(row)?, right.get(row)?);
            Ok(texts((0..arguments.rows()).map(label)))
        },
    }
}

/// Returns how far two surnames agree as they are written; `None` where one of them is none.
pub fn surname_agreement(left: &str, right: &str) -> Option<&'static str> {
    let (left, right) = (normalize_family_name(left)?, normalize_family_name(right)?);
    let ((surname, half), (other, other_half)) = (halves(&left)?, halves(&right)?);
    let (key, other_key) = (surname_key(surname), surname_key(other));
    let mut level = surname_level(&key, &other_key);
    let is_half = |half: Option<&str>, whole: &str| half.is_some_and(|of| surname_key(of) == whole);
    if level < LOOSE && (is_half(half, &other_key) || is_half(other_half, &key)) {
        level = LOOSE;
    }
    LABELS.get(usize::from(level)).copied()
}

/// Returns the last word of a normalised surname, and the one before it.
fn halves(surname: &str) -> Option<(&str, Option<&str>)> {
    let mut words: Vec<&str> = surname.split(' ').collect();
    take_suffix(&mut words);
    Some((compared(words.pop()?), words.pop().map(compared)))
}

/// Returns the level of the [keys](surname_key) of two surnames.
pub fn surname_level(left: &str, right: &str) -> u8 {
    if left == right {
        return SAME;
    }
    if left.len() == 1 || right.len() == 1 {
        let agree = left.as_bytes().first() == right.as_bytes().first();
        return if agree { LOOSE } else { DIFFERENT };
    }
    if is_name_slip(left, right) {
        return CLOSE;
    }
    if is_alike(left, right, ALIKE) { LOOSE } else { DIFFERENT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surnames_have_levels() {
        let half = "alike or half of a double name";
        for (left, right, expected) in [
            ("Wójcik", "WOJCIK", Some("equal")),
            ("Nowacka", "nowacki", Some("equal")),
            ("Müller", "Mueller", Some("equal")),
            ("Smith Jr.", "Smith", Some("equal")),
            ("Wojcik", "Wojick", Some("one slip")),
            ("Nowak-Zając", "Nowak", Some(half)),
            ("Nowak-Zając", "Zając", Some("equal")),
            ("N.", "Nowak", Some(half)),
            ("이", "Lee", Some("equal")),
            ("Nowak", "Zając", Some("different")),
            ("Nowak", "?", None),
        ] {
            assert_eq!(surname_agreement(left, right), expected, "{left} {right}");
            assert_eq!(surname_agreement(right, left), expected, "{right} {left}");
        }
    }
}
