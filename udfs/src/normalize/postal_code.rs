//! `normalize_postal_code`: the letters and digits of a postal code.

use std::borrow::Cow;

use arrow::datatypes::DataType;
use deunicode::deunicode_char;

use crate::column::{Specification, text};

pub(crate) fn specification() -> Specification {
    Specification {
        name: "normalize_postal_code",
        section: "Normalisation",
        description: "Returns the letters and digits of a postal code, upper case; null when there are none.",
        parameters: const { &[text("postal_code", "The postal code.")] },
        required: 1,
        example: (&[" eh5 9ft"], "EH59FT"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| arguments.map_text(normalize_postal_code),
    }
}

/// Returns the letters and digits of `text`, folded to upper-case ASCII; `None` when there are none.
pub fn normalize_postal_code(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let is_code = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    if text.bytes().all(is_code) {
        return (!text.is_empty()).then_some(Cow::Borrowed(text));
    }
    let mut code = String::with_capacity(text.len());
    for c in text.chars().filter(|c| c.is_alphanumeric()) {
        let mut buffer = [0; 4];
        let folded = if c.is_ascii() {
            &*c.encode_utf8(&mut buffer)
        } else {
            deunicode_char(c).unwrap_or("")
        };
        code.extend(
            folded.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()),
        );
    }
    (!code.is_empty()).then_some(Cow::Owned(code))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_letters_and_digits_stay() {
        for (given, expected) in [
            ("30-792", Some("30792")),
            (" 30 792 ", Some("30792")),
            ("le4  1le", Some("LE41LE")),
            ("92660", Some("92660")),
            ("３０", Some("30")),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(normalize_postal_code(given).as_deref(), expected, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn twice_is_once(given in any::<String>()) {
            if let Some(once) = normalize_postal_code(&given) {
                prop_assert_eq!(normalize_postal_code(&once), Some(Cow::Borrowed(&*once)));
            }
        }
    }
}
