//! `normalize_text`: text without differences of spacing and case.

use std::borrow::Cow;

use arrow::datatypes::DataType;

use crate::column::{Specification, text};

pub(crate) fn specification() -> Specification {
    Specification {
        name: "normalize_text",
        section: "Normalisation",
        description: "Trims text, makes one space of each run of white space, and lower-cases it; null when nothing is left.",
        parameters: const { &[text("text", "The text.")] },
        required: 1,
        example: (&["  Ada   LOVELACE "], "ada lovelace"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| arguments.map_text(normalize_text),
    }
}

/// Returns `text` trimmed, lower case, with single spaces; `None` when nothing is left.
pub fn normalize_text(text: &str) -> Option<Cow<'_, str>> {
    let text = trim(text);
    if text.is_empty() {
        return None;
    }
    if is_normal(text) {
        return Some(Cow::Borrowed(text));
    }
    let mut normal = String::with_capacity(text.len());
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        if !normal.is_empty() {
            normal.push(' ');
        }
        normal.push_str(&word.to_lowercase());
    }
    Some(Cow::Owned(normal))
}

/// Returns `text` without white space and invisible characters at its ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Returns true for white space and for characters that are as good as none: spaces of no width and byte order marks.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}')
}

/// Returns true for characters that show nothing wherever they stand: soft hyphens, joiners, marks of direction.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2064}' | '\u{feff}')
}

fn is_normal(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.is_ascii()
        && bytes.iter().all(|byte| {
            !byte.is_ascii_uppercase() && (*byte == b' ' || !is_space(char::from(*byte)))
        })
        && !bytes.windows(2).any(|pair| pair == b"  ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spacing_and_case_go() {
        for (given, expected) in [
            ("a b", Some("a b")),
            (" A\t\n b\u{a0}", Some("a b")),
            ("\u{feff}ŁÓDŹ", Some("łódź")),
            ("a  b", Some("a b")),
            ("", None),
            (" \u{200b} ", None),
        ] {
            assert_eq!(normalize_text(given).as_deref(), expected, "{given:?}");
        }
        assert!(matches!(normalize_text(" as is "), Some(Cow::Borrowed("as is"))));
    }

    proptest! {
        #[test]
        fn twice_is_once(given in any::<String>()) {
            if let Some(once) = normalize_text(&given) {
                prop_assert_eq!(normalize_text(&once), Some(Cow::Borrowed(&*once)));
            }
        }
    }
}
