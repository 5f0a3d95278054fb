//! Words around a name that are no part of it: titles before it, degrees and honours behind it.
//!
//! What is listed are the forms of address of [Debrett's](https://www.debretts.com/expertise/forms-of-address/) for English,
//! and the usual ones of Polish, German, French, Italian, Spanish and Turkish letters. Words that are given names as well
//! (Earl, Duke) are not, or go only where a whole name is left (`Graf Otto Huber`); ranks of the peerage behind a name
//! go with the place that belongs to them.

use super::name::suffix_of;

/// Words before a name that are no part of it.
const TITLES: [&str; 60] = [
    "mr",
    "mrs",
    "ms",
    "miss",
    "mx",
    "sir",
    "madam",
    "honourable",
    "honorable",
    "viscountess",
    "baroness",
    "baronet",
    "countess",
    "duchess",
    "dr",
    "doctor",
    "prof",
    "professor",
    "capt",
    "lt",
    "lieutenant",
    "sgt",
    "cpl",
    "adm",
    "pan",
    "pani",
    "mgr",
    "inz",
    "hab",
    "lek",
    "ks",
    "ksiadz",
    "bp",
    "abp",
    "adw",
    "mec",
    "kpt",
    "plk",
    "mjr",
    "herr",
    "frau",
    "frl",
    "fraulein",
    "freifrau",
    "ing",
    "dipl",
    "mag",
    "hr",
    "monsieur",
    "madame",
    "mme",
    "mlle",
    "rev",
    "reverend",
    "dott",
    "dra",
    "signor",
    "signora",
    "senor",
    "senora",
];

/// The same where a word is left behind them: `Lord, Jane` has them for a surname.
const TITLES_OR_SURNAMES: [&str; 13] = [
    "dame", "lord", "lady", "viscount", "baron", "captain", "colonel", "sergeant", "corporal",
    "admiral", "sayin", "freiherr", "pfarrer",
];

/// The same where a given name and a surname are left behind them: Bayan and Rabbi are given names, too.
const TITLES_OR_NAMES: [&str; 12] = [
    "rt",
    "hon",
    "major",
    "col",
    "count",
    "graf",
    "grafin",
    "prinz",
    "prinzessin",
    "bay",
    "bayan",
    "rabbi",
];

/// Words that say in which field somebody has a title, behind one: `dr n. med.`, `Dr. rer. nat.`
const FIELDS: [&str; 12] =
    ["med", "hum", "ekon", "rer", "nat", "jur", "iur", "habil", "oec", "theol", "vet", "dent"];

/// Degrees and honours behind a name that are no part of it.
const DEGREES: [&str; 15] = [
    "md", "phd", "esq", "mba", "dds", "cpa", "msc", "bsc", "obe", "mbe", "cbe", "kbe", "dbe", "bt",
    "baronet",
];

/// Titles that some write behind a name.
const TITLES_BEHIND: [&str; 6] = ["dr", "mgr", "inz", "prof", "hab", "lek"];

/// Ranks that stand behind a name with their number, and with a place: `2nd Baronet`, `1st Baron Clifford of Chudleigh`.
const RANKS: [&str; 15] = [
    "baronet",
    "bt",
    "baron",
    "baroness",
    "viscount",
    "viscountess",
    "earl",
    "count",
    "countess",
    "marquess",
    "marquis",
    "duke",
    "duchess",
    "lord",
    "lady",
];

/// Tells whether a word that stands alone where a given name is asked for is none, but a title.
pub fn is_title(word: &str) -> bool {
    TITLES.contains(&word) || TITLES_OR_SURNAMES.contains(&word)
}

/// Returns how many words before a name are titles.
pub(super) fn title_length(words: &[&str]) -> usize {
    // What tells generations apart is no name that a title could belong to.
    let names = |words: &[&str]| {
        words
            .iter()
            .filter(|word| suffix_of(word, usize::MAX).is_none() && !is_degree(word))
            .count()
    };
    let mut length = 0;
    loop {
        match &words[length..] {
            [title, ..] if TITLES.contains(title) => length += 1,
            [title, rest @ ..] if TITLES_OR_SURNAMES.contains(title) && names(rest) > 0 => {
                length += 1;
            }
            [title, rest @ ..] if TITLES_OR_NAMES.contains(title) && names(rest) > 1 => length += 1,
            ["n", field, ..] if length > 0 && FIELDS.contains(field) => length += 2,
            [field, ..] if length > 0 && FIELDS.contains(field) => length += 1,
            _ => return length,
        }
    }
}

/// Tells whether a word is a degree.
pub(super) fn is_degree(word: &str) -> bool {
    DEGREES.contains(&word)
}

/// Takes degrees, titles and ranks off the end of a name of two words or more.
pub(super) fn drop_degrees(words: &mut Vec<&str>) {
    loop {
        let length = match (rank_at(words), words.as_slice()) {
            (Some(start), _) => words.len() - start,
            (None, [_, _, .., "ph", "d"]) => 2,
            (None, [_, _, .., last]) if is_degree(last) || TITLES_BEHIND.contains(last) => 1,
            _ => return,
        };
        words.truncate(words.len() - length);
    }
}

/// Returns where a rank begins behind a name of two words or more.
fn rank_at(words: &[&str]) -> Option<usize> {
    (2..words.len()).find(|&start| is_rank(&words[start..]) && !is_ordinal(words[start - 1]))
}

/// Tells whether words are a rank and what belongs to it: `2nd Baronet`, `Earl of Derby`.
fn is_rank(words: &[&str]) -> bool {
    match words {
        [number, rank, ..] if is_ordinal(number) => RANKS.contains(rank),
        [rank, "of", place, ..] => RANKS.contains(rank) && suffix_of(place, usize::MAX).is_none(),
        _ => false,
    }
}

/// Tells whether a part behind a comma is a rank: with its number or its place, or, behind a whole name, by its own.
pub(super) fn is_rank_part(part: &[&str], is_behind_name: bool) -> bool {
    let is_named = || match part {
        // Given names, too: "Dela Cruz, Earl John".
        ["lord" | "lady" | "earl" | "duke" | "marquis", ..] => false,
        [rank, _, ..] => RANKS.contains(rank),
        _ => false,
    };
    is_rank(part) || is_behind_name && is_named()
}

/// Tells whether a word is a number in its English order: `1st`, `22nd`.
fn is_ordinal(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_digit());
    digits.len() < word.len() && matches!(digits, "st" | "nd" | "rd" | "th")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_around_a_name_are_told_from_names() {
        for (words, expected) in [
            ("sir john smith", 1),
            ("rt hon john smith", 2),
            ("lt col john smith", 2),
            ("major john smith", 1),
            ("major smith", 0),
            ("graf otto huber", 1),
            ("graf huber", 0),
            ("bayan ayse yilmaz", 1),
            ("bayan khalil", 0),
            ("rabbi hasan", 0),
            ("sayin", 0),
            ("dr med vet eva lis", 3),
            ("earl jones", 0),
            ("lord", 0),
            ("lord jr", 0),
            ("lord byron", 1),
            ("pan", 1),
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            assert_eq!(title_length(&words), expected, "{words:?}");
        }
        for (words, expected) in [
            ("thomas clifford 1st baron clifford of chudleigh", "thomas clifford"),
            ("edward stanley earl of derby", "edward stanley"),
            ("thomas chichester 2nd baronet", "thomas chichester"),
            ("thomas chichester bt", "thomas chichester"),
            ("john smith obe phd", "john smith"),
            ("chichester baronet", "chichester baronet"),
            ("john 3rd earl of bute", "john 3rd earl of bute"),
            ("james earl jones", "james earl jones"),
            ("john 2nd smith", "john 2nd smith"),
        ] {
            let mut left: Vec<&str> = words.split(' ').collect();
            drop_degrees(&mut left);
            assert_eq!(left.join(" "), expected);
        }
        assert!(is_rank_part(&["baron", "clifford"], true));
        assert!(!is_rank_part(&["baron", "thomas"], false));
        assert!(!is_rank_part(&["lord", "john"], true));
        assert!(!is_rank_part(&["earl", "john"], true));
        assert!(is_rank_part(&["earl", "of", "derby"], true));
    }
}
