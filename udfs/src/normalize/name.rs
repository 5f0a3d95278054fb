//! `normalize_name`: a person's name in one order and one alphabet.

use arrow::datatypes::DataType;

use super::fold::{Fold, fold};
use super::mojibake::repair_mojibake;
use crate::column::{Specification, text};

/// Words before a name that are no part of it.
const TITLES: [&str; 25] = [
    "mr",
    "mrs",
    "ms",
    "miss",
    "mx",
    "sir",
    "madam",
    "dr",
    "doctor",
    "prof",
    "professor",
    "pan",
    "pani",
    "mgr",
    "inz",
    "hab",
    "lek",
    "herr",
    "frau",
    "ing",
    "dipl",
    "monsieur",
    "madame",
    "mme",
    "mlle",
];

/// Words that say in which field somebody has a title, behind one: `dr n. med.`, `Dr. rer. nat.`
const FIELDS: [&str; 7] = ["med", "hum", "ekon", "rer", "nat", "jur", "iur"];

/// Degrees behind a name that are no part of it.
const DEGREES: [&str; 8] = ["md", "phd", "esq", "mba", "dds", "cpa", "msc", "bsc"];

/// Generations as normalised names write them, behind the surname.
pub const SUFFIXES: [&str; 5] = ["jr", "sr", "ii", "iii", "iv"];

/// Titles that some write behind a name.
const TITLES_BEHIND: [&str; 6] = ["dr", "mgr", "inz", "prof", "hab", "lek"];

pub(crate) fn specification() -> Specification {
    Specification {
        name: "normalize_name",
        section: "Normalisation",
        description: "Returns a person's name as lower-case ASCII words, given name first: `Last, First` is turned, titles and \
                      punctuation go, broken encoding is repaired, a suffix such as `jr` stands last; null when nothing is left.",
        parameters: const { &[text("name", "The name, whole or in part.")] },
        required: 1,
        example: (&["Dr. Wójcik, Łukasz Jr."], "lukasz wojcik jr"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| arguments.map_text(normalize_name),
    }
}

/// Returns `text` as lower-case ASCII words, given name first and a suffix (`jr`, `sr`, `ii`, `iii`, `iv`) last; `None`
/// when nothing is left of it.
///
/// Umlauts are folded as they are written, `müller` to `muller` and `mueller` to itself:
/// [`surname_key`](crate::surname_key) and [`given_name_key`](crate::given_name_key) make them agree.
pub fn normalize_name(text: &str) -> Option<String> {
    let words = words(&repair_mojibake(text));
    let mut parts: Vec<Vec<&str>> =
        words.split(',').map(|part| part.split_ascii_whitespace().collect()).collect();
    parts.retain(|part| !part.is_empty());
    let lone = parts.last()?.last().copied()?;
    parts.retain_mut(|part| {
        part.drain(..title_length(part));
        !part.is_empty()
    });
    let mut suffix = None;
    if parts.len() > 1 {
        parts = without_suffixes(parts, &mut suffix);
    }
    if parts.len() > 1 {
        let last_name = parts.remove(0);
        parts.push(last_name);
    }
    let mut words = parts.concat();
    if words.is_empty() {
        // Nothing but titles: "Pan" is a surname, too.
        return Some(lone.to_owned());
    }
    drop_degrees(&mut words);
    let count = words.len() + usize::from(suffix.is_some());
    let mut at = 0;
    let mut within = None;
    words.retain(|word| {
        at += 1;
        match suffix_of(word, count) {
            Some(found) if at > 1 => {
                within = Some(found);
                false
            }
            _ => true,
        }
    });
    drop_degrees(&mut words);
    words.extend(suffix.or(within));
    Some(words.join(" "))
}

/// Takes the suffix off the words of a normalised name, and returns its place among [`SUFFIXES`].
pub fn take_suffix(words: &mut Vec<&str>) -> Option<u8> {
    let [_, .., last] = words.as_slice() else { return None };
    let place = SUFFIXES.iter().position(|suffix| suffix == last)?;
    words.pop();
    u8::try_from(place).ok()
}

/// Folds `text` to ASCII words, single spaces between them; commas stay.
fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ',' | '，' | ';') {
            words.push(',');
        } else if fold(c, &mut |c| words.push(c)) == Fold::Gap {
            words.push(' ');
        }
    }
    words
}

/// Returns how many words before a name are titles.
fn title_length(words: &[&str]) -> usize {
    let mut length = 0;
    loop {
        match &words[length..] {
            [title, ..] if TITLES.contains(title) => length += 1,
            ["n", field, ..] if length > 0 && FIELDS.contains(field) => length += 2,
            [field, ..] if length > 0 && FIELDS.contains(field) => length += 1,
            _ => return length,
        }
    }
}

/// Takes degrees and titles off the end of a name of two words or more.
fn drop_degrees(words: &mut Vec<&str>) {
    loop {
        let length = match words.as_slice() {
            [_, _, .., "ph", "d"] => 2,
            [_, _, .., last] if DEGREES.contains(last) || TITLES_BEHIND.contains(last) => 1,
            _ => return,
        };
        words.truncate(words.len() - length);
    }
}

/// Takes out the parts between commas that are suffixes and degrees only, as long as a name is left.
fn without_suffixes<'a>(
    parts: Vec<Vec<&'a str>>,
    suffix: &mut Option<&'static str>,
) -> Vec<Vec<&'a str>> {
    let is_affix = |word: &&str| suffix_of(word, usize::MAX).is_some() || DEGREES.contains(word);
    // Of two parts, letters are initials: "Smith, M. D." is one of two names, "Smith, John, M.D." is a doctor.
    let is_spelled = |part: &[&str]| parts.len() > 2 && DEGREES.contains(&part.concat().as_str());
    let (affixes, names): (Vec<_>, Vec<_>) =
        parts.iter().cloned().partition(|part| part.iter().all(is_affix) || is_spelled(part));
    if names.is_empty() {
        return parts;
    }
    *suffix = affixes.iter().flatten().filter_map(|word| suffix_of(word, usize::MAX)).next_back();
    names
}

/// Returns the canonical suffix that `word` is in a name of `count` words: `Senior` alone behind a word is a surname.
fn suffix_of(word: &str, count: usize) -> Option<&'static str> {
    match word {
        "jr" | "jnr" => Some("jr"),
        "sr" | "snr" => Some("sr"),
        "junior" if count > 2 => Some("jr"),
        "senior" if count > 2 => Some("sr"),
        "ii" => Some("ii"),
        "iii" => Some("iii"),
        "iv" => Some("iv"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_take_one_form() {
        for (given, expected) in [
            ("Rodriguez, Lauren", Some("lauren rodriguez")),
            ("ZieliÅ„ska,  Jolanta", Some("jolanta zielinska")),
            ("Łukasz Wójcik ", Some("lukasz wojcik")),
            ("Pan PIOTR BOGKRUIŃSKI", Some("piotr bogkruinski")),
            ("Pani Marta C. Wyorwska", Some("marta c wyorwska")),
            ("Walter Burnrosfield, Sr.", Some("walter burnrosfield sr")),
            ("Charles Chapwood Jr", Some("charles chapwood jr")),
            ("John Jr. Halland", Some("john halland jr")),
            ("Smith Jr., John", Some("john smith jr")),
            ("Smith, John, III", Some("john smith iii")),
            ("Smith, John A., MD, PhD", Some("john a smith")),
            ("Smith, John, M.D., Ph.D.", Some("john smith")),
            ("Smith, M. D.", Some("m d smith")),
            ("John Smith PhD", Some("john smith")),
            ("John Smith Jr Ph.D.", Some("john smith jr")),
            ("John Smith PhD, Jr", Some("john smith jr")),
            ("Dave Senior, MBA", Some("dave senior")),
            ("Dave Senior MBA", Some("dave senior")),
            ("Rahman Md", Some("rahman md")),
            ("Dr Jan Kowalski", Some("jan kowalski")),
            ("mgr inż. Jan Kowalski", Some("jan kowalski")),
            ("Kowalski Jan, mgr inż.", Some("kowalski jan")),
            ("Jan Kowalski mgr inż.", Some("jan kowalski")),
            ("dr n. med. Anna Nowak", Some("anna nowak")),
            ("Prof. Dr. rer. nat. Hans Groß", Some("hans gross")),
            ("Dr. N. Smith", Some("n smith")),
            ("Dr. Phil McGraw", Some("phil mcgraw")),
            ("Robert Smith Senior", Some("robert smith sr")),
            ("Dave Senior", Some("dave senior")),
            ("Ada Senior, Jr", Some("ada jr")),
            ("O'Brien, Conan", Some("conan obrien")),
            ("O’Brien", Some("obrien")),
            ("Anna-Maria Nowak–Kowalska", Some("anna maria nowak kowalska")),
            ("von der Leyen, Ursula", Some("ursula von der leyen")),
            ("Herr Dr. Groß", Some("gross")),
            ("Mueller", Some("mueller")),
            ("Jose\u{301} Garci\u{301}a", Some("jose garcia")),
            ("Pan", Some("pan")),
            ("Pan, Jan", Some("jan")),
            ("Jr.", Some("jr")),
            ("北京", Some("beijing")),
            ("Ada 😀", Some("ada")),
            ("", None),
            ("-", None),
            (" , ", None),
        ] {
            assert_eq!(normalize_name(given).as_deref(), expected, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn twice_is_once(given in "((mr|pan|jr|senior|ii|md|ph|d|dr|n|med|mgr|Ada|Ł|Smith|-)[ ,.]{0,2}){0,6}|.*") {
            if let Some(once) = normalize_name(&given) {
                prop_assert!(once.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' '));
                prop_assert_eq!(normalize_name(&once), Some(once));
            }
        }
    }
}
