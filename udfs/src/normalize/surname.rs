//! `surname_key`: one form of a family's name for all forms that it takes.

use std::borrow::Cow;

use arrow::datatypes::DataType;

use super::fold::fold_umlauts;
use super::name::{normalize_family_name, take_suffix};
use crate::column::{Specification, text};

/// The shortest surname whose ending is taken for a feminine one.
const FEMININE_LENGTH_MIN: usize = 5;

pub(crate) fn specification() -> Specification {
    Specification {
        name: "surname_key",
        section: "Normalisation",
        description: "Returns what the forms of a surname share, as a lower-case ASCII word: feminine forms become masculine, umlauts \
                      are folded, of several words the last one counts. It is for comparing, not for showing.",
        parameters: const { &[text("name", "The surname.")] },
        required: 1,
        example: (&["Zawadzka"], "zawadzki"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| {
            arguments.map_text(|name| {
                let normal = normalize_family_name(name)?;
                let mut words: Vec<&str> = normal.split(' ').collect();
                take_suffix(&mut words);
                Some(surname_key(words.pop()?).into_owned())
            })
        },
    }
}

/// Returns the key of a folded surname: `kowalska` and `kowalski` agree, and so do `mueller` and `muller`.
///
/// The key is for comparing, not for showing.
pub fn surname_key(token: &str) -> Cow<'_, str> {
    let key = fold_umlauts(token);
    // `-dzka` ends in `-zka`; the three endings stand for the masculine `-ski`, `-cki` and `-dzki`.
    let feminine = ["ska", "cka", "dzka"].iter().any(|ending| key.ends_with(ending));
    if !feminine || key.len() < FEMININE_LENGTH_MIN {
        return key;
    }
    let mut key = key.into_owned();
    key.pop();
    key.push('i');
    Cow::Owned(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_of_one_name_agree() {
        for (given, expected) in [
            ("kowalska", "kowalski"),
            ("kowalski", "kowalski"),
            ("nowacka", "nowacki"),
            ("zawadzka", "zawadzki"),
            ("wojcik", "wojcik"),
            ("ska", "ska"),
            ("mueller", "muller"),
            ("kafka", "kafka"),
        ] {
            assert_eq!(surname_key(given), expected);
        }
    }

    proptest! {
        #[test]
        fn twice_is_once(given in "[a-z]{0,8}(ska|cka|dzka|ue)?|.*") {
            let once = surname_key(&given).into_owned();
            prop_assert_eq!(surname_key(&once), once.clone());
        }
    }
}
