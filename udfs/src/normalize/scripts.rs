//! Names in Greek, Cyrillic, Arabic and Hebrew letters, before every letter is folded by itself.
//!
//! What is written in two scripts is compared with what a passport says:
//!
//! - Greek by ELOT 743, which is ISO 843: Χρήστος is `christos`, Ευάγγελος `evangelos`. Polytonic letters are folded one by one.
//! - Ukrainian by resolution 55 of the Cabinet of Ministers (2010): Сергій is `serhii`, Яценко `yatsenko`. A name is Ukrainian if
//!   it has letters that Russian has not, and none that Ukrainian has not. Other Cyrillic letters are folded one by one, which
//!   comes to what Doc 9303 of the ICAO says: Юлия is `iuliia`, Фёдор `fedor`.
//! - Arabic and Hebrew are consonants only, so that `mhmd` is no Latin name and is compared with its like. Signs for vowels and
//!   for doubling are left out, and letters are one that are written for each other: أ and ا, ة and ه, ى and ي, as in Larkey,
//!   Ballesteros and Connell, *Improving stemming for Arabic information retrieval*, 2002.

use std::borrow::Cow;

/// Letters of Ukrainian that Russian has not.
const UKRAINIAN: &str = "іїєґ";

/// Letters of other languages that Ukrainian has not: Russian, Belarusian, Kazakh, Serbian and Macedonian ones.
const NOT_UKRAINIAN: &str = "ыэъёўқғәңөұүһђћџљњјѕѓќ";

/// Greek letters before which αυ, ευ and ηυ end in `f`, since no voice is in them.
const VOICELESS: &str = "θκξπστφχψ";

/// Returns `text` with such letters as Latin ones, or as those by which they are compared.
pub(super) fn romanize(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| matches!(c, '\u{370}'..='\u{6ff}')) {
        return Cow::Borrowed(text);
    }
    let letters: Vec<char> = text.chars().map(lower).collect();
    let has = |of: &str| letters.iter().any(|letter| of.contains(*letter));
    let is_ukrainian = has(UKRAINIAN) && !has(NOT_UKRAINIAN);
    let mut written = String::with_capacity(text.len());
    for (at, (&letter, c)) in letters.iter().zip(text.chars()).enumerate() {
        let before = &letters[..at];
        let latin = match letter {
            '\u{370}'..='\u{3ff}' => greek(before, letter, letters.get(at + 1).copied()),
            '\u{400}'..='\u{4ff}' => cyrillic(before, letter, is_ukrainian),
            '\u{590}'..='\u{6ff}' => {
                written.extend(consonant(letter));
                continue;
            }
            _ => None,
        };
        match latin {
            Some(latin) => written.push_str(latin),
            None => written.push(c),
        }
    }
    Cow::Owned(written)
}

/// Returns a letter in lower case. Of the letters of these scripts none becomes two.
fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// Tells whether a word begins behind these letters.
fn begins_behind(letters: &[char]) -> bool {
    letters.last().is_none_or(|letter| !letter.is_alphabetic())
}

/// Returns what a Greek letter is in Latin ones, given those before it and the next one.
fn greek(before: &[char], letter: char, next: Option<char>) -> Option<&'static str> {
    Some(match without_accent(letter) {
        'α' => "a",
        'β' => "v",
        'γ' if matches!(next, Some('γ' | 'ξ' | 'χ')) => "n",
        'γ' => "g",
        'δ' => "d",
        'ε' => "e",
        'ζ' => "z",
        'η' | 'ι' => "i",
        'θ' => "th",
        'κ' => "k",
        'λ' => "l",
        // What begins with μπ is spoken with a b.
        'μ' if next == Some('π') && begins_behind(before) => "b",
        'μ' => "m",
        'ν' => "n",
        'ξ' => "x",
        'ο' | 'ω' => "o",
        'π' if matches!(before, [begins @ .., 'μ'] if begins_behind(begins)) => "",
        'π' => "p",
        'ρ' => "r",
        'σ' => "s",
        'τ' => "t",
        'υ' if !matches!(letter, 'ϋ' | 'ΰ') => match before.last() {
            Some('ο') => "u",
            Some('α' | 'ε' | 'η') => {
                let is_voiced =
                    |next: char| next.is_alphabetic() && !VOICELESS.contains(without_accent(next));
                if next.is_some_and(is_voiced) { "v" } else { "f" }
            }
            _ => "y",
        },
        'υ' => "y",
        'φ' => "f",
        'χ' => "ch",
        'ψ' => "ps",
        _ => return None,
    })
}

/// Returns a Greek letter in lower case without accent and diaeresis, as it stands within a word.
fn without_accent(letter: char) -> char {
    match letter {
        'ά' => 'α',
        'έ' => 'ε',
        'ή' => 'η',
        'ί' | 'ϊ' | 'ΐ' => 'ι',
        'ό' => 'ο',
        'ύ' | 'ϋ' | 'ΰ' => 'υ',
        'ώ' => 'ω',
        'ς' => 'σ',
        letter => letter,
    }
}

/// Returns what a Cyrillic letter is in Latin ones, unless it is folded by itself, given those before it.
fn cyrillic(before: &[char], letter: char, is_ukrainian: bool) -> Option<&'static str> {
    if letter == 'ё' {
        return Some("e");
    }
    if !is_ukrainian {
        return None;
    }
    let begins = begins_behind(before);
    Some(match letter {
        'г' if before.last() == Some(&'з') => "gh",
        'г' => "h",
        'ґ' => "g",
        'и' => "y",
        'є' if begins => "ye",
        'є' => "ie",
        'ї' | 'й' if begins => "y",
        'ї' | 'й' => "i",
        'ю' if begins => "yu",
        'ю' => "iu",
        'я' if begins => "ya",
        'я' => "ia",
        _ => return None,
    })
}

/// Returns the Arabic or Hebrew letter by which one is compared; none for signs above and below letters.
fn consonant(letter: char) -> Option<char> {
    Some(match letter {
        '\u{591}'..='\u{5bd}'
        | '\u{5bf}'
        | '\u{5c1}'
        | '\u{5c2}'
        | '\u{5c4}'
        | '\u{5c5}'
        | '\u{5c7}'
        | '\u{610}'..='\u{61a}'
        | '\u{640}'
        | '\u{64b}'..='\u{65f}'
        | '\u{670}'
        | '\u{6d6}'..='\u{6dc}'
        | '\u{6df}'..='\u{6e4}'
        | '\u{6e7}'
        | '\u{6e8}'
        | '\u{6ea}'..='\u{6ed}' => return None,
        'آ' => 'ا',
        'ة' => 'ه',
        'ى' => 'ي',
        'ک' => 'ك',
        letter => letter,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn greek_and_ukrainian_are_written_as_in_passports() {
        for (given, expected) in [
            ("Χρήστος Παπαδόπουλος", "christos papadopoulos"),
            ("ΧΡΗΣΤΟΣ ΠΑΠΑΔΟΠΟΥΛΟΣ", "christos papadopoulos"),
            ("Ευάγγελος Αυγερινός", "evangelos avgerinos"),
            ("Ευθύμιος Ψαρράς", "efthymios psarras"),
            ("Μπάμπης Λάμπρου", "bampis lamprou"),
            ("Νταής Άγχος Μαΐου", "ntais anchos maiou"),
            ("Πραΰλιος Αϋ", "praylios ay"),
            ("Μπ μ π", "b m p"),
            ("Сергій Яценко", "serhii yatsenko"),
            ("Згурський Їжак Йосип Єва", "zghurskyi yzhak yosyp yeva"),
            ("Юлия Фёдорова", "iuliia fedorova"),
            ("Галина", "galina"),
            ("Нұрлыбек Серікұлы Гани", "nurlybek serikuly gani"),
        ] {
            let name = super::super::name::normalize_name_part(given);
            assert_eq!(name.as_deref(), Some(expected), "{given}");
        }
        assert_eq!(romanize("Łukasz 王伟"), "Łukasz 王伟");
    }

    #[test]
    fn arabic_and_hebrew_are_compared_by_their_consonants() {
        for (one, other) in [
            ("مُحَمَّد", "محمد"),
            ("مـحـمـد", "محمد"),
            ("حُسَيْن", "حسين"),
            ("أحمد", "احمد"),
            ("آدم", "ادم"),
            ("فاطمة", "فاطمه"),
            ("على", "علي"),
            ("کریم", "كريم"),
            ("דָּוִד", "דוד"),
        ] {
            let names = [one, other].map(super::super::name::normalize_name_part);
            assert!(names[0].is_some() && names[0] == names[1], "{names:?}");
        }
    }

    proptest! {
        #[test]
        fn no_letter_is_too_much(given in "[Ͱ-ۿμπαευϋгзїй\u{300}-\u{36f} ]{0,9}|.*") {
            prop_assert!(romanize(&given).len() <= 2 * given.len());
        }
    }
}
