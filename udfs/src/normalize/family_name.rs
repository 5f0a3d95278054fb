//! Names that begin with the family's: `Nguyễn Văn Minh`, `Yılmaz Ayşe`, `Nowak Anna`.
//!
//! Where the family's name comes first, all of a household have one first word. Taken for a given name it would make one person
//! of them, who has changed the surname. Vietnamese names can be told by themselves, since their family names are few, and so can
//! `Nowak Anna Maria`, where all words but a family's name are given names, and `Shevchenko Oksana Petrivna`; of others two have
//! to be looked at together ([`compare_names`](crate::compare_names)).

use super::given_name::is_given_name;
use super::name::SUFFIXES;

/// Vietnamese family names that are hardly anything else.
const VIETNAMESE: [&str; 8] = ["bui", "dang", "huynh", "ngo", "nguyen", "pham", "phan", "tran"];

/// Vietnamese family names that are words or names elsewhere, too.
const VIETNAMESE_OR_OTHER: [&str; 9] =
    ["do", "duong", "ho", "hoang", "le", "ly", "truong", "vo", "vu"];

/// Words between a Vietnamese family name and a given name, of women and of men.
const VIETNAMESE_BETWEEN: [&str; 2] = ["thi", "van"];

/// Frequent family names of Chinese, Korean, Turkish, Hungarian, Polish and German people, folded, that are no given names.
const FAMILY_NAMES: [&str; 68] = [
    "balogh",
    "baran",
    "becker",
    "bui",
    "celik",
    "chen",
    "choi",
    "dang",
    "dudek",
    "farkas",
    "fischer",
    "guo",
    "hoffmann",
    "horvath",
    "huang",
    "huber",
    "huynh",
    "juhasz",
    "kaczmarek",
    "kilic",
    "kiss",
    "koch",
    "kovacs",
    "kowalczyk",
    "krawczyk",
    "krawiec",
    "kruger",
    "kwon",
    "liu",
    "maier",
    "mazur",
    "meier",
    "meyer",
    "molnar",
    "mueller",
    "muller",
    "nagy",
    "nemeth",
    "neumann",
    "ngo",
    "nguyen",
    "nowak",
    "olah",
    "ozdemir",
    "ozturk",
    "papp",
    "pham",
    "phan",
    "pietrzak",
    "richter",
    "schmidt",
    "schneider",
    "schroder",
    "schulz",
    "sikora",
    "szabo",
    "takacs",
    "toth",
    "tran",
    "wagner",
    "wang",
    "weber",
    "wojcik",
    "xu",
    "yilmaz",
    "zajac",
    "zhang",
    "zhao",
];

/// Endings of family names, Polish, Ukrainian, Turkish and Georgian.
const ENDINGS: [&str; 9] = ["ski", "ska", "cki", "cka", "wicz", "enko", "chuk", "oglu", "shvili"];

/// The shortest word of which the ending tells that.
const ENDING_LENGTH_MIN: usize = 6;

/// Endings of what Ukrainian and Russian people are called after their father.
const PATRONYMIC_ENDINGS: [&str; 8] =
    ["ovich", "evich", "ovych", "evych", "ovna", "evna", "ivna", "inichna"];

/// Tells whether a folded word may be the name of a Vietnamese family.
pub(crate) fn is_vietnamese(word: &str) -> bool {
    VIETNAMESE.contains(&word) || VIETNAMESE_OR_OTHER.contains(&word)
}

/// Tells whether a folded word is the name of a family, and no given name.
pub fn is_family_name(word: &str) -> bool {
    let ends = word.len() >= ENDING_LENGTH_MIN && ENDINGS.iter().any(|end| word.ends_with(end));
    (ends || FAMILY_NAMES.contains(&word)) && !is_given_name(word)
}

/// Returns the word of normalised given names that somebody is called by: the first one, and the last one behind `Thị` or `Văn`.
pub fn called_name(given_names: &str) -> Option<&str> {
    let mut words = given_names.split(' ');
    let first = words.next()?;
    let is_called = |last: &&str| VIETNAMESE_BETWEEN.contains(&first) && !SUFFIXES.contains(last);
    words.next_back().filter(is_called).or(Some(first))
}

/// Brings the words of a normalised name, its suffix taken off, in the order in which the family's name is last, if they tell by
/// themselves that it is first: of a Vietnamese name what somebody is called by, which is the last of the other words, then the
/// rest; of others the given names as they stand, and the name after the father behind them. Others are left as they are.
pub fn turn_family_name(words: &mut [&str]) {
    let [first, second, .., last] = *words else {
        if let [first, last] = words
            && VIETNAMESE.contains(first)
            && !VIETNAMESE.contains(last)
        {
            std::mem::swap(first, last);
        }
        return;
    };
    let is_between = |word: &str| VIETNAMESE_BETWEEN.contains(&word);
    let begins = VIETNAMESE.contains(&first) && !VIETNAMESE.contains(&last)
        || is_vietnamese(first) && is_between(second);
    if begins {
        words.rotate_left(1);
    }
    if begins || is_between(first) && is_vietnamese(last) {
        let names = words.len() - 1;
        words[..names].rotate_right(1);
    } else if is_before_patronymic(words)
        || is_family_name(first) && words[1..].iter().all(|word| is_given_name(word))
    {
        words.rotate_left(1);
    }
}

/// Tells whether a name is one of a family, one of a person, and one of the father, as official papers have it in Ukraine:
/// `Shevchenko Oksana Petrivna`. A family's name may end as a father's does, so that one of the others has to be known.
fn is_before_patronymic(words: &[&str]) -> bool {
    let [family, given, last] = words else { return false };
    PATRONYMIC_ENDINGS.iter().any(|end| last.len() > end.len() && last.ends_with(end))
        && !is_given_name(family)
        && (is_given_name(given) || is_family_name(family))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_family_name_that_tells_by_itself_comes_last() {
        for (name, expected) in [
            ("nguyen van minh", "minh van nguyen"),
            ("van minh nguyen", "minh van nguyen"),
            ("nguyen thi lan", "lan thi nguyen"),
            ("thi lan nguyen", "lan thi nguyen"),
            ("nguyen minh", "minh nguyen"),
            ("minh nguyen", "minh nguyen"),
            ("nguyen thi lan anh", "anh thi lan nguyen"),
            ("le thi lan", "lan thi le"),
            ("nowak anna maria", "anna maria nowak"),
            ("kowalska anna maria", "anna maria kowalska"),
            ("yilmaz mehmet ali", "mehmet ali yilmaz"),
            ("sidorov ivan petrovich", "ivan petrovich sidorov"),
            ("shevchenko oksana petrivna", "oksana petrivna shevchenko"),
            ("roman arkadievich abramovich", "roman arkadievich abramovich"),
            ("ivan petrovich sidorov", "ivan petrovich sidorov"),
            ("nguyen van tran", "tran van nguyen"),
            ("kevin duc nguyen", "kevin duc nguyen"),
            // Words of other languages, and names of others.
            ("le roy", "le roy"),
            ("van morrison", "van morrison"),
            ("jan van le", "jan van le"),
            ("ludwig van beethoven", "ludwig van beethoven"),
            ("tran nguyen", "tran nguyen"),
            ("anna nowak", "anna nowak"),
            // Of two words none tells: both may be surnames of a woman.
            ("nowak anna", "nowak anna"),
            ("nowak anna zielinska", "nowak anna zielinska"),
            ("xyz anna maria", "xyz anna maria"),
            ("nguyen", "nguyen"),
            ("", ""),
        ] {
            let mut words: Vec<&str> = name.split_ascii_whitespace().collect();
            turn_family_name(&mut words);
            assert_eq!(words.join(" "), expected, "{name}");
        }
    }

    #[test]
    fn families_are_told_from_given_names() {
        for word in ["nowak", "kowalska", "nguyen", "yilmaz", "shevchenko", "zajac"] {
            assert!(is_family_name(word), "{word}");
        }
        for word in ["anna", "franziska", "franciszka", "franciska", "kim", "roman", "xyz", ""] {
            assert!(!is_family_name(word), "{word}");
        }
    }

    #[test]
    fn what_somebody_is_called_stands_behind_thi_and_van() {
        for (given_names, expected) in [
            ("thi lan", "lan"),
            ("thi lan anh", "anh"),
            ("van minh", "minh"),
            ("lan anh", "lan"),
            ("van", "van"),
            ("van jr", "van"),
            ("jean luc", "jean"),
        ] {
            assert_eq!(called_name(given_names), Some(expected));
        }
    }

    proptest! {
        #[test]
        fn no_word_is_lost(name in "((nguyen|tran|le|thi|van|lan|minh|anna) ){0,5}") {
            let mut words: Vec<&str> = name.split_ascii_whitespace().collect();
            turn_family_name(&mut words);
            let mut before: Vec<&str> = name.split_ascii_whitespace().collect();
            let mut after = words.clone();
            before.sort_unstable();
            after.sort_unstable();
            prop_assert_eq!(before, after);
        }
    }
}
