//! `normalize_country`: the code of a country.

use std::collections::HashMap;
use std::sync::LazyLock;

use arrow::datatypes::DataType;

use super::country_names::COUNTRIES;
use super::fold::fold;
use crate::column::{Specification, text};

/// The longest folded name that is looked up, in bytes; a test holds that every known name fits.
const KEY_BYTES_MAX: usize = 48;

/// The code for each folded name and code.
static CODES: LazyLock<HashMap<Box<str>, &'static str>> = LazyLock::new(|| {
    let mut codes = HashMap::new();
    for (code, alpha3, names) in COUNTRIES {
        for name in [*code, *alpha3].into_iter().chain(names.split('|')) {
            let mut key = Key::default();
            if let Some(key) = key.of(name) {
                codes.insert(key.into(), *code);
            }
        }
    }
    codes
});

pub(crate) fn specification() -> Specification {
    Specification {
        name: "normalize_country",
        section: "Normalisation",
        description: "Returns the ISO 3166 code of two letters for a country, given by a code of two or three letters, by its English \
                      name or by its name in its own languages; null when it is not known.",
        parameters: const { &[text("country", "The country.")] },
        required: 1,
        example: (&["Great Britain"], "GB"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| arguments.map_text(normalize_country),
    }
}

/// Returns the ISO 3166 alpha-2 code of the country that `text` names, or `None` when it names none.
pub fn normalize_country(text: &str) -> Option<&'static str> {
    let mut key = Key::default();
    let key = key.of(text)?;
    if key == "na" && text.trim().len() > key.len() {
        // "n/a" and "N.A." say that there is no answer, not Namibia.
        return None;
    }
    CODES.get(key).or_else(|| CODES.get(key.strip_prefix("the")?)).copied()
}

/// A name without case, accents, spaces and punctuation, on the stack.
struct Key {
    bytes: [u8; KEY_BYTES_MAX],
}

impl Default for Key {
    fn default() -> Self {
        Self { bytes: [0; KEY_BYTES_MAX] }
    }
}

impl Key {
    /// Returns the key of `text`, or `None` when that is too long for a country.
    fn of(&mut self, text: &str) -> Option<&str> {
        let mut length = 0;
        for c in text.chars() {
            fold(c, &mut |folded| {
                if let (Some(byte), Ok(folded)) = (self.bytes.get_mut(length), u8::try_from(folded))
                {
                    *byte = folded;
                }
                length += 1;
            });
            if length > KEY_BYTES_MAX {
                return None;
            }
        }
        std::str::from_utf8(&self.bytes[..length]).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn countries_are_known_by_many_names() {
        for (code, names) in [
            ("NA", "na|NAM|Namibia"),
            ("PL", "PL|pl|POL|Polska|Poland| poland |Rzeczpospolita Polska|Polen"),
            (
                "GB",
                "GB|UK|U.K.|United Kingdom|Great Britain|GBR|England|Scotland|Wales|Northern Ireland|the United Kingdom|Wielka Brytania",
            ),
            (
                "US",
                "US|USA|U.S.|U.S.A.|United States|United States of America|the united states|America|Stany Zjednoczone",
            ),
            ("DE", "DE|DEU|Deutschland|Germany|GERMANY|Niemcy|Allemagne"),
            ("AT", "Österreich|Oesterreich|Austria"),
            ("GR", "Ελλάδα|EL|Greece|Hellas"),
            ("BG", "България|Bulgaria"),
            ("CI", "Côte d’Ivoire|Cote d'Ivoire|Ivory Coast"),
            ("NL", "The Netherlands|Nederland|Holland"),
            ("CZ", "Česko|Czechia|Czech Republic|Česká republika"),
        ] {
            for name in names.split('|') {
                assert_eq!(normalize_country(name), Some(code), "{name}");
            }
        }
        for unknown in ["", "n/a", "N.A.", "-", "NULL", "Atlantis", "XX", "the", &"x".repeat(500)] {
            assert_eq!(normalize_country(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn table_is_sound() {
        let mut keys: HashMap<String, &str> = HashMap::new();
        for (code, alpha3, names) in COUNTRIES {
            assert_eq!((code.len(), alpha3.len()), (2, 3));
            for name in [*code, *alpha3].into_iter().chain(names.split('|')) {
                let mut key = Key::default();
                let key = key.of(name).unwrap_or_else(|| panic!("{name} is too long")).to_owned();
                assert!(!key.is_empty(), "{code} has an empty name");
                let other = keys.insert(key.clone(), code);
                assert!(
                    other.is_none_or(|other| other == *code),
                    "{key} stands for {code} and for {other:?}"
                );
            }
        }
        assert_eq!(COUNTRIES.len(), 250, "249 of ISO 3166, and Kosovo");
    }

    proptest! {
        #[test]
        fn codes_stay_and_nothing_panics(given in "[a-zA-Z]{2}|.*") {
            if let Some(code) = normalize_country(&given) {
                prop_assert_eq!(normalize_country(code), Some(code));
            }
        }
    }
}
