//! `repair_mojibake`: text that was UTF-8 and was read as Latin-1 or Windows-1252.

use std::borrow::Cow;

use arrow::datatypes::DataType;

use crate::column::{Specification, text};

pub(crate) fn specification() -> Specification {
    Specification {
        name: "repair_mojibake",
        section: "Normalisation",
        description: "Puts letters back that were written in UTF-8 and read in another encoding. All else is kept as it is.",
        parameters: const { &[text("text", "The text.")] },
        required: 1,
        example: (&["MÃ¼hlenstraÃŸe"], "Mühlenstraße"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| arguments.map_text(|text| Some(repair_mojibake(text))),
    }
}

/// What Windows-1252 makes of the bytes 0x80 to 0x9f; 0 where it has nothing and the control character stands.
const WINDOWS_1252: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
    0x0152, 0, 0x017d, 0, //
    0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a,
    0x0153, 0, 0x017e, 0x0178,
];

/// Returns `text` with letters such as `Ã¼` and `Å„` put back to `ü` and `ń`, also when it was misread repeatedly.
///
/// Only what decodes to a letter or a sign of Latin-1 or of typography is changed; all else is kept as it is. Where a
/// byte was lost on the way, as in `Åukasz` for `Łukasz`, nothing can be told and nothing is changed.
pub fn repair_mojibake(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    // Each pass makes the text shorter, so this ends.
    while let Some(repaired) = repair_once(&text) {
        text = Cow::Owned(repaired);
    }
    text
}

fn repair_once(text: &str) -> Option<String> {
    if !text.chars().any(|c| matches!(c, '\u{c2}'..='\u{f4}')) {
        return None;
    }
    let mut repaired: Option<String> = None;
    let mut rest = text;
    let mut done = 0;
    while let Some(c) = rest.chars().next() {
        let start = text.len() - rest.len();
        match decode(rest) {
            Some((decoded, length)) => {
                let out = repaired.get_or_insert_default();
                out.push_str(&text[done..start]);
                out.push(decoded);
                rest = &rest[length..];
                done = start + length;
            }
            None => rest = &rest[c.len_utf8()..],
        }
    }
    if let Some(repaired) = &mut repaired {
        repaired.push_str(&text[done..]);
    }
    repaired
}

/// Decodes the misread character at the start of `text`, and says how many bytes of `text` it takes.
fn decode(text: &str) -> Option<(char, usize)> {
    let mut chars = text.chars();
    let lead = chars.next()?;
    let count = match lead {
        '\u{c2}'..='\u{df}' => 2,
        '\u{e0}'..='\u{ef}' => 3,
        '\u{f0}'..='\u{f4}' => 4,
        _ => return None,
    };
    let mut bytes = [lead as u8, 0, 0, 0];
    let mut length = lead.len_utf8();
    for byte in &mut bytes[1..count] {
        let c = chars.next()?;
        length += c.len_utf8();
        *byte = continuation(c)?;
    }
    let decoded = std::str::from_utf8(&bytes[..count]).ok()?.chars().next()?;
    // Letters and typographic signs, or a sign that is half of a letter that was misread twice.
    let plausible = decoded.is_alphabetic()
        || continuation(decoded).is_some()
        || matches!(decoded, '\u{2010}'..='\u{2027}');
    plausible.then_some((decoded, length))
}

fn continuation(c: char) -> Option<u8> {
    match c {
        '\u{80}'..='\u{bf}' => u8::try_from(u32::from(c)).ok(),
        _ => {
            let at = WINDOWS_1252
                .iter()
                .position(|code| u32::from(*code) == u32::from(c) && *code != 0)?;
            u8::try_from(0x80 + at).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn misread_letters_come_back() {
        for (given, expected) in [
            ("MÃ¼ller", "Müller"),
            ("WrÃ³bel", "Wróbel"),
            ("ZieliÅ„ska", "Zielińska"),
            ("Å\u{81}ukasz", "Łukasz"),
            ("StraÃŸe", "Straße"),
            ("MÃƒÂ¼ller", "Müller"),
            ("Oâ€™Hara", "O’Hara"),
            ("Åukasz", "Åukasz"),
            ("Åsa", "Åsa"),
            ("JOÃO", "JOÃO"),
            ("Łukasz Müller", "Łukasz Müller"),
            ("plain", "plain"),
        ] {
            assert_eq!(repair_mojibake(given), expected);
        }
        assert!(matches!(repair_mojibake("Müller"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn latin_names_survive_a_misreading(name in "[a-zA-ZäöüßéèąćęłńóśźżŁŚŻ]{1,12}") {
            let misread: String = name.bytes().map(char::from).collect();
            prop_assert_eq!(repair_mojibake(&misread), name);
        }

        #[test]
        fn twice_is_once(given in "[ÃÅÂ€âa¼³„ƒ]{0,12}|.*") {
            let once = repair_mojibake(&given).into_owned();
            prop_assert_eq!(repair_mojibake(&once), once.clone());
        }
    }
}
