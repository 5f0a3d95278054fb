//! `mask_phone`: a number that can be recognised but not called.

use arrow::datatypes::DataType;

use crate::column::{Specification, text};

/// How many digits at the end are shown.
const SHOWN: usize = 3;

/// The fewest digits of which any are shown.
const DIGITS_MIN: usize = 7;

pub(crate) fn specification() -> Specification {
    Specification {
        name: "mask_phone",
        section: "Privacy",
        description: "Returns a telephone number with all digits but the last three hidden; what is no number is hidden whole.",
        parameters: const { &[text("phone", "The number.")] },
        required: 1,
        example: (&["+48 609 969 356"], "+** *** *** 356"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| arguments.map_text(|text| Some(mask_phone(text))),
    }
}

/// Returns `text` with stars for all digits but the last three; text with anything but digits and what is written
/// between them is three stars.
pub fn mask_phone(text: &str) -> String {
    let text = text.trim();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-/.() ".contains(&byte));
    if !is_number || digits < DIGITS_MIN {
        return "***".to_owned();
    }
    let mut hidden = digits - SHOWN;
    let mut masked = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_digit() && hidden > 0 {
            hidden -= 1;
            masked.push('*');
        } else {
            masked.push(c);
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_hidden() {
        for (given, expected) in [
            ("+48609969356", "+********356"),
            ("(760) 555-5873", "(***) ***-*873"),
            ("112", "***"),
            ("123456", "***"),
            ("ada@x.com", "***"),
            ("call Ada 609969356", "***"),
            ("", "***"),
        ] {
            assert_eq!(mask_phone(given), expected, "{given:?}");
        }
    }
}
