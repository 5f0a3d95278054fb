//! `mask_email`: an address that can be recognised but not written to.

use arrow::datatypes::DataType;

use crate::column::{Specification, text};

pub(crate) fn specification() -> Specification {
    Specification {
        name: "mask_email",
        section: "Privacy",
        description: "Returns an e-mail address with its name hidden but for the first letter; what is no address is hidden whole.",
        parameters: const { &[text("email", "The address.")] },
        required: 1,
        example: (&["ada.lovelace@x.com"], "a***@x.com"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| arguments.map_text(|text| Some(mask_email(text))),
    }
}

/// Returns the first letter of the name, three stars and the domain; a name of one letter shows none.
pub fn mask_email(text: &str) -> String {
    let text = text.trim();
    // Text with a second @ or with spaces may hold anything: none of it is shown.
    let Some((local, domain)) = text.split_once('@').filter(|(local, domain)| {
        !local.is_empty()
            && !domain.is_empty()
            && !domain.contains('@')
            && !text.contains(char::is_whitespace)
    }) else {
        return "***".to_owned();
    };
    let mut letters = local.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(_)) => format!("{first}***@{domain}"),
        _ => format!("***@{domain}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hidden() {
        for (given, expected) in [
            ("ada@x.com", "a***@x.com"),
            (" ada@x.com ", "a***@x.com"),
            ("żółw@x.com", "ż***@x.com"),
            ("a@x.com", "***@x.com"),
            ("ada", "***"),
            ("@x.com", "***"),
            ("ada@", "***"),
            ("a@b@c", "***"),
            ("Ada Lovelace ada@x.com", "***"),
            ("", "***"),
        ] {
            assert_eq!(mask_email(given), expected, "{given:?}");
        }
    }
}
