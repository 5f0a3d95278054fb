//! `normalize_name`: a person's name in one order and one alphabet.

use arrow::datatypes::DataType;

use super::fold::{Fold, fold};
use super::mojibake::repair_mojibake;
use crate::column::{Specification, text};

/// Words before a name that are no part of it.
const TITLES: [&str; 24] = [
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
    "herr",
    "frau",
    "ing",
    "dipl",
    "monsieur",
    "madame",
    "mme",
    "mlle",
];

/// Degrees behind a comma that are no part of a name.
const DEGREES: [&str; 8] = ["md", "phd", "esq", "mba", "dds", "cpa", "msc", "bsc"];

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
        let titles = part.iter().take_while(|word| TITLES.contains(word)).count();
        part.drain(..titles);
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
    words.extend(suffix.or(within));
    Some(words.join(" "))
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

/// Takes out the parts between commas that are suffixes and degrees only, as long as a name is left.
fn without_suffixes<'a>(
    parts: Vec<Vec<&'a str>>,
    suffix: &mut Option<&'static str>,
) -> Vec<Vec<&'a str>> {
    let is_affix = |word: &&str| suffix_of(word, usize::MAX).is_some() || DEGREES.contains(word);
    let (affixes, names): (Vec<_>, Vec<_>) =
        parts.iter().cloned().partition(|part| part.iter().all(is_affix));
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
        fn twice_is_once(given in "((mr|pan|jr|senior|ii|md|Ada|Ł|Smith|-)[ ,.]{0,2}){0,6}|.*") {
            if let Some(once) = normalize_name(&given) {
                prop_assert!(once.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' '));
                prop_assert_eq!(normalize_name(&once), Some(once));
            }
        }
    }
}
