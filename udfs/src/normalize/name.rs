//! `normalize_name`: a person's name in one order and one alphabet.

use arrow::datatypes::DataType;

use super::east_asian::{family_last, spelled_family};
use super::fold::{Fold, fold};
use super::kana::in_latin;
use super::mojibake::repair_mojibake;
use super::scripts::romanize;
use super::titles::{drop_degrees, is_degree, is_rank_part, title_length};
use crate::column::{Specification, text};

/// Generations as normalised names write them, behind the surname.
pub const SUFFIXES: [&str; 5] = ["jr", "sr", "ii", "iii", "iv"];

/// Generations as they are written behind a name with a full stop, and behind how many words at least: without the stop
/// `Sen` is a surname, and `Kowalski St.` is `Stanisław`.
const SHORT_GENERATIONS: [(&str, &str, usize); 9] = [
    ("jun.", "jr", 1),
    ("sen.", "sr", 1),
    ("mł.", "jr", 1),
    ("ml.", "jr", 1),
    ("st.", "sr", 2),
    ("d. ä.", "sr", 1),
    ("d.ä.", "sr", 1),
    ("d. j.", "jr", 1),
    ("d.j.", "jr", 1),
];

/// Bytes of a word that are compared: a longer one is no name, and what compares two may take the product of their lengths.
const COMPARED_BYTES_MAX: usize = 100;

pub(crate) fn specification() -> Specification {
    Specification {
        name: "normalize_name",
        section: "Normalisation",
        description: "Returns a person's name as lower-case ASCII words, given name first: `Last, First` is turned, titles and \
                      punctuation go, broken encoding is repaired, a suffix such as `jr` stands last, also for `senior`, `starszy` \
                      and `młodszy`, `jun.`, `d. Ä.` and `fils`; in Chinese, Japanese and Korean letters the family's name is told from \
                      the given name; null when nothing is left.",
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
/// [`surname_key`](crate::surname_key) and [`given_name_key`](crate::given_name_key) make them agree. In Chinese, Japanese and
/// Korean letters the family's name is first, and is told from the given name: `王小明` is `xiaoming wang`.
pub fn normalize_name(text: &str) -> Option<String> {
    normalize_name_part(&family_last(text))
}

/// Does the same with a family's name alone: 이 is `lee`, as it is in 이민수.
pub fn normalize_family_name(text: &str) -> Option<String> {
    normalize_name_part(spelled_family(text.trim()))
}

/// Does the same with a part of a name, such as a given name alone, or with the name of a town: it has no family in it.
pub fn normalize_name_part(text: &str) -> Option<String> {
    let has_titles = writes_vowels(text);
    let words = words(&romanize(&in_latin(&repair_mojibake(text))));
    let mut parts: Vec<Vec<&str>> =
        words.split(',').map(|part| part.split_ascii_whitespace().collect()).collect();
    parts.retain(|part| !part.is_empty());
    let lone = parts.last()?.last().copied()?;
    let is_behind_name = parts.first().is_some_and(|first| first.len() > 1);
    let mut place = 0;
    parts.retain_mut(|part| {
        place += 1;
        if place > 1 && is_rank_part(part, is_behind_name) {
            return false;
        }
        if has_titles {
            part.drain(..title_length(part));
        }
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
    // What may be a name was left where its part had no other: "Huber, Graf Otto".
    if has_titles {
        words.drain(..title_length(&words));
    }
    if words.is_empty() {
        // Nothing but titles: "Pan" is a surname, too.
        return Some(lone.to_owned());
    }
    drop_degrees(&mut words);
    let last = words.len();
    let count = last + usize::from(suffix.is_some());
    let mut at = 0;
    let mut within = None;
    words.retain(|word| {
        at += 1;
        let behind = if at == last { generation_behind(word, count) } else { None };
        match suffix_of(word, count).or(behind) {
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

/// Tells whether a text is in a script that writes vowels. Of a name in Arabic or Hebrew letters its consonants are left, which
/// may look like a title: `عمر`, Omar, like `mr`.
pub fn writes_vowels(text: &str) -> bool {
    !text.chars().any(|c| matches!(c, '\u{590}'..='\u{6ff}'))
}

/// Takes the suffix off the words of a normalised name, and returns its place among [`SUFFIXES`].
pub fn take_suffix(words: &mut Vec<&str>) -> Option<u8> {
    let [_, .., last] = words.as_slice() else { return None };
    let place = SUFFIXES.iter().position(|suffix| suffix == last)?;
    words.pop();
    u8::try_from(place).ok()
}

/// Returns as much of a word of a name as is compared.
pub(crate) fn compared(word: &str) -> &str {
    word.get(..COMPARED_BYTES_MAX).unwrap_or(word)
}

/// Folds `text` to ASCII words, single spaces between them; commas stay.
fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for (at, part) in text.split([',', '，', ';']).enumerate() {
        if at > 0 {
            words.push(',');
        }
        let (part, generation) = without_generation(part, at);
        for c in part.chars() {
            if fold(c, &mut |c| words.push(c)) == Fold::Gap {
                words.push(' ');
            }
        }
        if let Some(generation) = generation {
            words.push(' ');
            words.push_str(generation);
        }
    }
    words
}

/// Takes one of [`SHORT_GENERATIONS`] off the end of what stands behind so many commas.
fn without_generation(part: &str, commas: usize) -> (&str, Option<&'static str>) {
    let written = part.trim_end();
    if !written.ends_with('.') {
        return (part, None);
    }
    for (short, generation, words_min) in SHORT_GENERATIONS {
        let letters = short.chars().count();
        let Some((start, _)) = written.char_indices().rev().nth(letters - 1) else { continue };
        let (name, end) = written.split_at(start);
        // Two letters in capitals are initials: "Smith D. J."
        let is_short = end.to_lowercase() == short && (letters < 4 || !end.starts_with('D'));
        let is_word = name.chars().next_back().is_none_or(|c| c.is_whitespace() || c == '.');
        if is_short && is_word && commas + name.split_whitespace().count() >= words_min {
            return (name, Some(generation));
        }
    }
    (part, None)
}

/// Takes out the parts between commas that are suffixes and degrees only, as long as a name is left.
fn without_suffixes<'a>(
    parts: Vec<Vec<&'a str>>,
    suffix: &mut Option<&'static str>,
) -> Vec<Vec<&'a str>> {
    let is_affix = |word: &&str| suffix_of(word, usize::MAX).is_some() || is_degree(word);
    // Of two parts, letters are initials: "Smith, M. D." is one of two names, "Smith, John, M.D." is a doctor.
    let is_spelled = |part: &[&str]| parts.len() > 2 && is_degree(&part.concat());
    let (affixes, names): (Vec<_>, Vec<_>) =
        parts.iter().cloned().partition(|part| part.iter().all(is_affix) || is_spelled(part));
    if names.is_empty() {
        return parts;
    }
    *suffix = affixes.iter().flatten().filter_map(|word| suffix_of(word, usize::MAX)).next_back();
    names
}

/// Returns the canonical suffix that `word` is in a name of `count` words: `Senior` alone behind a word is a surname.
pub(super) fn suffix_of(word: &str, count: usize) -> Option<&'static str> {
    match word {
        "jr" | "jnr" | "mlodszy" | "mlodsza" => Some("jr"),
        "sr" | "snr" | "starszy" | "starsza" => Some("sr"),
        "junior" if count > 2 => Some("jr"),
        "senior" if count > 2 => Some("sr"),
        "ii" => Some("ii"),
        "iii" => Some("iii"),
        "iv" => Some("iv"),
        _ => None,
    }
}

/// Returns the canonical suffix that the last word of a name of `count` words is, where it may be a name elsewhere.
fn generation_behind(word: &str, count: usize) -> Option<&'static str> {
    match word {
        "syn" | "fils" if count > 2 => Some("jr"),
        "ojciec" | "pere" if count > 2 => Some("sr"),
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
            ("عمر", Some("mr")),
            ("عمر حسن", Some("mr hsn")),
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
            ("Jan Kot starszy", Some("jan kot sr")),
            ("Jan Kot, młodszy", Some("jan kot jr")),
            ("Jan Kot syn", Some("jan kot jr")),
            ("Jan Kot ojciec", Some("jan kot sr")),
            ("Jan Syn", Some("jan syn")),
            ("Jean Dupont père", Some("jean dupont sr")),
            ("Jan Nowak jun.", Some("jan nowak jr")),
            ("Jan Nowak sen. ", Some("jan nowak sr")),
            ("Nowak jun., Jan", Some("jan nowak jr")),
            ("Nowak, Jan, sen.", Some("jan nowak sr")),
            ("Jan Kot mł.", Some("jan kot jr")),
            ("Jan Kot st.", Some("jan kot sr")),
            ("Kowalski St.", Some("kowalski st")),
            ("Oliver St. John", Some("oliver st john")),
            ("Amartya Kumar Sen", Some("amartya kumar sen")),
            ("Park Min Jun", Some("park min jun")),
            ("Hans Müller d. Ä.", Some("hans muller sr")),
            ("Hans Müller d.J.", Some("hans muller jr")),
            ("Smith D. J.", Some("smith d j")),
            ("Ks. Jan Kot", Some("jan kot")),
            ("ks. prof. dr hab. Jan Kot", Some("jan kot")),
            ("Rev. Dr. John Smith", Some("john smith")),
            ("Adw. Ewa Lis", Some("ewa lis")),
            ("Mag. Eva Huber", Some("eva huber")),
            ("Bp Jan Kot", Some("jan kot")),
            ("Biskup Jan", Some("biskup jan")),
            ("Юлия Ковальчук", Some("iuliia kovalchuk")),
            ("Дмитрий Иванов", Some("dmitrii ivanov")),
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
            ("Sir Thomas Chichester, 2nd Baronet", Some("thomas chichester")),
            ("Thomas Clifford, 1st Baron Clifford of Chudleigh", Some("thomas clifford")),
            ("Thomas Clifford, Baron Clifford", Some("thomas clifford")),
            ("Edward Stanley, Earl of Derby", Some("edward stanley")),
            ("Chichester, Sir Thomas, Bt", Some("thomas chichester")),
            ("Rt. Hon. John Smith, OBE", Some("john smith")),
            ("Dela Cruz, Earl John", Some("earl john dela cruz")),
            ("Brown, Dame Mary", Some("mary brown")),
            ("Lord Byron", Some("byron")),
            ("Baron, Anna", Some("anna baron")),
            ("Lord, Jane", Some("jane lord")),
            ("Huber, Graf Otto", Some("otto huber")),
            ("Lt. Col. John Smith", Some("john smith")),
            ("James Earl Jones", Some("james earl jones")),
            ("Fräulein Eva Huber", Some("eva huber")),
            ("płk Jan Kot", Some("jan kot")),
            ("Bayan Ayşe Yılmaz", Some("ayse yilmaz")),
            ("Sayın, Ayşe", Some("ayse sayin")),
            ("Rabbi David Cohen", Some("david cohen")),
            ("Sir", Some("sir")),
            ("Jr.", Some("jr")),
            ("北京市", Some("jingshi bei")),
            ("王小明", Some("xiaoming wang")),
            ("김민수", Some("minsu kim")),
            ("山田 太郎", Some("tailang shantian")),
            ("ﾔﾏﾀﾞ ｼﾝｼﾞ", Some("shinji yamada")),
            ("ジョン・スミス", Some("jon sumisu")),
            ("王\u{301}\u{200d}小明", Some("wangxiaoming")),
            ("\u{1100}\u{1161}\u{20bb7}\u{fe0f}\u{202e}", Some("gaji")),
            ("مُحَمَّد عَلِيّ", Some("mhmd ly")),
            ("Ευάγγελος Παπαδόπουλος", Some("evangelos papadopoulos")),
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
        fn twice_is_once(given in "((mr|pan|lord|graf|hon|baron|2nd|of|obe|jr|senior|starszy|syn|sen|st|d|j|Ä|ii|md|ph|dr|n|med|mgr|Ada|Ł|Smith|-)[ ,.]{0,2}){0,6}|.*") {
            if let Some(once) = normalize_name(&given) {
                prop_assert!(once.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' '));
                prop_assert_eq!(normalize_name(&once), Some(once));
            }
        }
    }
}
