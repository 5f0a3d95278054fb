//! Second given names: what they tell of two people of one first name.
//!
//! Most records leave them out, so that one that has none says nothing. Where both have some, `Jean-Luc` and `Jean-Pierre` are two
//! people. Two names that are written as one are neither another first name nor a missing second one: `Maryann` is `Mary Ann`.

use super::given_name::{DIFFERENT, SAME};
use super::name::{MIDDLE_WORDS_MAX, NamePart, name_key};
use super::slip::is_slip;
use crate::normalize::given_name::{GivenNames, is_given_name, relate_given_names};
use crate::normalize::name::compared;

/// First words of given names that say little without the next one: `Abdul Rahman`, `Abu Bakr`, `Mohammed Ali`. As the keys of
/// given names, and as what Arabic script is folded to.
const BEGINNINGS: [&str; 5] = ["abdul", "abu", "bd", "mhmd", "muhammad"];

/// The longest word that is an article or an initial rather than a second name: `al`, `el`. With three letters names begin, such
/// as `Ann` and `Luc`; with one, every `El` would be a name.
const ARTICLE_LENGTH_MAX: usize = 2;

/// Tells whether a word between first name and surname may be a name.
pub(super) fn may_be_second_name(word: &str) -> bool {
    word.len() > ARTICLE_LENGTH_MAX
}

/// Tells whether second names are of two people of one first name, whose key is `first`: `Jean-Pierre` and `Jean-Luc`, `Abdul
/// Rahman` and `Abdul Aziz`. Each of the one has to differ from each of the other, and has to be known as a name; half a surname
/// is none.
pub(super) fn differ<'a>(
    first: &str,
    left: impl Iterator<Item = NamePart<'a>>,
    right: impl Iterator<Item = NamePart<'a>> + Clone,
) -> bool {
    let is_beginning = BEGINNINGS.contains(&first);
    let mut compared = false;
    for one in left {
        for other in right.clone() {
            if !are_two(is_beginning, one, other) {
                return false;
            }
            compared = true;
        }
    }
    compared
}

fn are_two(is_beginning: bool, one: NamePart<'_>, other: NamePart<'_>) -> bool {
    one.key != other.key
        && match relate_given_names(one.text, other.text) {
            GivenNames::One => false,
            GivenNames::Two => is_beginning || is_given_name(one.text) && is_given_name(other.text),
            GivenNames::Open => is_beginning && !is_slip(one.text, other.text),
        }
}

/// Tells whether one given name is two of another record's without the space: `Maryann` is `Mary Ann`, `Karlheinz` is
/// `Karl-Heinz`.
pub(super) fn is_written_as_one(one: &str, first: &str, second: &str) -> bool {
    let are_initials = first.len() == 1 || second.len() == 1;
    !are_initials && !second.is_empty() && one.strip_prefix(first) == Some(second)
}

/// Returns the level of given names whose first words have a [level](super::given_name), once second names are looked at. Both
/// names are a first word and what follows it, which may be nothing, normalised.
pub fn level_with_second_names(level: u8, left: [&str; 2], right: [&str; 2]) -> u8 {
    if level < SAME {
        let joined = |[one, _]: [&str; 2], [first, rest]: [&str; 2]| {
            is_written_as_one(one, first, rest.split(' ').next().unwrap_or_default())
        };
        return if joined(left, right) || joined(right, left) { SAME } else { level };
    }
    let words = [left, right].map(|[_, rest]| {
        let names = rest.split(' ').take(MIDDLE_WORDS_MAX).filter(|word| may_be_second_name(word));
        let keyed = names.map(compared).map(|word| (word, name_key(word)));
        keyed.collect::<Vec<_>>()
    });
    let [one, other] = words
        .each_ref()
        .map(|words| words.iter().map(|(text, key)| NamePart { text, key: key.as_ref() }));
    if differ(&name_key(left[0]), one, other) { DIFFERENT } else { level }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::given_name::{EXACT, INITIAL, LOOSE, given_name_level};

    fn level(left: &str, right: &str) -> u8 {
        let [left, right] = [left, right].map(|name| {
            let (first, rest) = name.split_once(' ').unwrap_or((name, ""));
            [first, rest]
        });
        level_with_second_names(given_name_level(left[0], right[0]), left, right)
    }

    #[test]
    fn second_names_tell_people_apart_and_names_written_as_one_do_not() {
        for (left, right, expected) in [
            ("maryann", "mary ann", SAME),
            ("jeanluc", "jean luc", SAME),
            ("annamaria", "anna maria", SAME),
            ("karlheinz", "karl heinz", SAME),
            ("anna maria", "anna maria", EXACT),
            ("anna maria", "anna", EXACT),
            ("ania maria", "anna", SAME),
            ("jean luc", "jean pierre", DIFFERENT),
            ("anna maria", "anna ewa", DIFFERENT),
            ("ania maria", "anna ewa", DIFFERENT),
            ("mary lou", "maryann", LOOSE),
            ("abdul rahman", "abdul aziz", DIFFERENT),
            ("abdul rahman", "abdul rehman", EXACT),
            // An initial, a slip, an article, one of several, and what may be half a surname.
            ("jan p", "jan piotr", EXACT),
            ("anna maria", "anna marai", EXACT),
            ("maria del", "maria ewa", EXACT),
            ("jan piotr adam", "jan adam", EXACT),
            ("anna maria", "anna zajac", EXACT),
            ("m ann", "mann", INITIAL),
            ("", "", given_name_level("", "")),
        ] {
            assert_eq!(level(left, right), expected, "{left} {right}");
            assert_eq!(level(right, left), expected, "{right} {left}");
        }
    }
}
