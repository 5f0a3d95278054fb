//! `normalize_street`: the name of a street, the house, the apartment.

use arrow::datatypes::DataType;

use super::fold::{Fold, fold, fold_umlauts};
use super::mojibake::repair_mojibake;
use crate::column::{Specification, text};

/// Kinds of streets that stand before the name. Like all words here as [`fold_umlauts`] leaves them: `ru` is `rue`.
const KINDS_BEFORE: [&str; 14] = [
    "ul", "ulica", "al", "aleja", "aleje", "os", "osiedle", "pl", "plac", "strasse", "str", "ru",
    "via", "calle",
];

/// Kinds of streets that stand behind the name.
const KINDS_BEHIND: [&str; 29] = [
    "street",
    "st",
    "road",
    "rd",
    "avenu",
    "ave",
    "av",
    "lane",
    "ln",
    "drive",
    "dr",
    "court",
    "ct",
    "boulevard",
    "blvd",
    "place",
    "pl",
    "terrace",
    "ter",
    "crescent",
    "cres",
    "square",
    "sq",
    "highway",
    "hwy",
    "strasse",
    "str",
    "weg",
    "platz",
];

/// Words before the number of an apartment.
const APARTMENT: [&str; 12] = [
    "flat",
    "apt",
    "apartment",
    "unit",
    "suite",
    "ste",
    "m",
    "lok",
    "lokal",
    "mieszkanie",
    "wohnung",
    "whg",
];

/// Words before the number of a house.
const HOUSE: [&str; 4] = ["no", "nr", "num", "number"];

/// Words beside the number of a floor.
const FLOOR: [&str; 2] = ["floor", "etage"];

pub(crate) fn specification() -> Specification {
    Specification {
        name: "normalize_street",
        section: "Normalisation",
        description: "Returns a street address as folded words, then the house, then the apartment; words such as `street`, `ul.` \
                      and `straße`, umlauts and floors go; null when nothing is left. For comparing, not for showing.",
        parameters: const { &[text("street", "The street with house and apartment.")] },
        required: 1,
        example: (&["Flat 51, 125 Center Lane"], "center 125 51"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| arguments.map_text(normalize_street),
    }
}

/// Returns `text` as the words of the street's name, the number of the house and the number of the apartment, folded
/// and without kinds of streets; `None` when nothing is left.
pub fn normalize_street(text: &str) -> Option<String> {
    let folded = tokens(&repair_mojibake(text));
    let mut words: Vec<&str> = Vec::new();
    let mut house: Vec<String> = Vec::new();
    let mut apartment: Vec<&str> = Vec::new();
    let mut tokens = folded.split_ascii_whitespace().peekable();
    while let Some(token) = tokens.next() {
        if token == "#" || APARTMENT.contains(&token) {
            apartment.extend(tokens.next_if(|next| is_number(next)));
        } else if FLOOR.contains(&token) {
            tokens.next_if(|next| is_number(next));
        } else if is_number(token) {
            house.push(token.to_owned());
            if token.bytes().all(|byte| byte.is_ascii_digit())
                && let Some(letter) = house_letter(&mut tokens)
                && let Some(number) = house.last_mut()
            {
                number.push_str(letter);
            }
        } else if is_ordinal(token) && tokens.next_if(|next| FLOOR.contains(next)).is_some() {
            continue;
        } else if token != "," && !HOUSE.contains(&token) {
            words.push(token);
        }
    }
    let name = without_kinds(&words);
    let numbers = house.iter().map(String::as_str).chain(apartment);
    let all: Vec<&str> = name.iter().copied().chain(numbers).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

/// Takes the letter of a house that is written apart, as in `12 A`, if nothing but a comma or the end follows.
fn house_letter<'a>(
    tokens: &mut std::iter::Peekable<std::str::SplitAsciiWhitespace<'a>>,
) -> Option<&'a str> {
    let mut ahead = tokens.clone();
    let letter = ahead.next().filter(|token| matches!(token.as_bytes(), [b'a'..=b'h']))?;
    if ahead.next().is_some_and(|token| token != ",") {
        return None;
    }
    tokens.next();
    Some(letter)
}

/// Folds `text` to tokens with single spaces between them: words, numbers such as `12` and `12a`, ordinals such as
/// `5th`, `#`, and commas.
fn tokens(text: &str) -> String {
    let mut tokens = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if matches!(c, '#' | ',' | ';' | '\n') {
            tokens.push_str(if c == '#' { " # " } else { " , " });
            continue;
        }
        let gap = fold(c, &mut |c| {
            // "spacerowa56" is two tokens, "56a" is one.
            if c.is_ascii_digit() && tokens.ends_with(|last: char| last.is_ascii_lowercase()) {
                tokens.push(' ');
            }
            tokens.push(c);
        });
        if gap == Fold::Gap {
            tokens.push(' ');
        }
    }
    split_units(&tokens)
}

/// Folds umlauts, takes kinds of streets off words, and parts numbers from words that are written together, as in `56flat`.
fn split_units(tokens: &str) -> String {
    let mut split = String::with_capacity(tokens.len());
    for token in tokens.split_ascii_whitespace() {
        let token = &*fold_umlauts(token);
        let digits = token.bytes().take_while(u8::is_ascii_digit).count();
        let (number, word) = token.split_at(digits);
        split.push_str(number);
        if digits > 0 && word.len() > 1 && !is_ordinal(token) {
            split.push(' ');
        }
        split.push_str(without_kind(word));
        split.push(' ');
    }
    split
}

fn is_number(token: &str) -> bool {
    let digits = token.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && token.len() <= digits + 1
}

fn is_ordinal(token: &str) -> bool {
    let number = token.trim_end_matches(|c: char| c.is_ascii_lowercase());
    !number.is_empty() && matches!(&token[number.len()..], "st" | "nd" | "rd" | "th")
}

/// Takes the kind of street off a word that it is part of: `hauptstr` and `hauptstrasse` are `haupt`.
fn without_kind(word: &str) -> &str {
    let mut word = word;
    while let Some(name) = word.strip_suffix("strasse").or_else(|| word.strip_suffix("str"))
        && name.len() >= 3
    {
        word = name;
    }
    word
}

/// Takes the kinds of streets off both ends, as long as a word is left.
fn without_kinds<'a, 'b>(words: &'b [&'a str]) -> &'b [&'a str] {
    let mut words = words;
    while let [first, rest @ ..] = words
        && !rest.is_empty()
        && KINDS_BEFORE.contains(first)
    {
        words = rest;
    }
    while let [rest @ .., last] = words
        && !rest.is_empty()
        && KINDS_BEHIND.contains(last)
    {
        words = rest;
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_of_one_address_agree() {
        for (expected, forms) in [
            (
                "warszawska 185",
                "ul. Warszawska 185|Warszawska 185|ulica warszawska nr 185|UL WARSZAWSKA 185",
            ),
            (
                "debowa 132 8",
                "Dębowa 132/8|ul. Debowa 132 m. 8|Dębowa 132 lok. 8|Debowa 132/8,\nfloor 6",
            ),
            (
                "center 125 51",
                "Flat 51, 125 Center Lane|125 Center Ln, #51|125 Center Lane Apt 51|125 CENTER LN APT. 51",
            ),
            (
                "muhlen 68",
                "Mühlenstr. 68|Muehlenstraße 68|Mühlenstrasse 68|Mühlen Straße 68|MÃ¼hlenstraÃŸe 68",
            ),
            (
                "lange 12",
                "Lange Str. 12|Lange Straße 12|Langestr. 12|LANGE STRAẞE 12|Lange-Straße 12",
            ),
            ("des juni 17 135", "Str. des 17. Juni 135|Straße des 17. Juni 135"),
            ("jana pawla ii 27", "Jana Pawła II 27|al. Jana Pawla II 27"),
            ("spacerowa 56", "ul. Spacerowa56"),
            ("court 84", "84 Court Lane|84 Court"),
            ("st johns 5a", "5a St John's Road|5 A, St. Johns Rd"),
            ("5th 12", "12 5th Ave"),
            ("main 12", "12 Main St, 6th floor|12 Main Street Floor 6"),
            ("maja 1 15", "ul. 1 Maja 15"),
            ("rynek 31 45", "Rynek 31 m. 45"),
            ("kirchweg 3", "Kirchweg 3"),
        ] {
            for form in forms.split('|') {
                assert_eq!(normalize_street(form).as_deref(), Some(expected), "{form}");
            }
        }
        for nothing in ["", " - ", ",", "#"] {
            assert_eq!(normalize_street(nothing), None, "{nothing:?}");
        }
    }

    proptest! {
        #[test]
        fn twice_is_once(
            given in "((ul|st|flat|m|no|floor|court|lane|muehlenstr|strstrasse|5th|12|7a|a|b|#|Ł|aeue)[ ,./]{0,2}){0,7}|.*",
        ) {
            if let Some(once) = normalize_street(&given) {
                prop_assert_eq!(normalize_street(&once), Some(once.clone()), "{}", given);
            }
        }
    }
}
