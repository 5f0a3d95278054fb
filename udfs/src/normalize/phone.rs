//! `normalize_phone`: telephone numbers in E.164.

use std::borrow::Cow;

use arrow::datatypes::DataType;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region};

use super::country::normalize_country;
use super::text::trim;
use crate::column::{Specification, text, texts};

/// The digits of a telephone number, country code included.
const DIGITS_MIN: usize = 7;
const DIGITS_MAX: usize = 15;

/// The longest text looked at, in bytes: what is longer is no telephone number.
const TEXT_BYTES_MAX: usize = 100;

/// How often a number is read again until it no longer changes; each time takes a digit off, if anything.
const READS_MAX: usize = DIGITS_MAX;

pub(crate) fn specification() -> Specification {
    Specification {
        name: "normalize_phone",
        section: "Normalisation",
        description: "Returns a telephone number in E.164, such as `+48609969356`, however it was written; an extension is dropped. \
                      The region says which country a number without `+` or `00` is of. Numbers that are not in use are \
                      normalised all the same; null when it can be no number.",
        parameters: const {
            &[
                text("phone", "The number."),
                text(
                    "region",
                    "The country of national numbers: a code or a name. Without it they are null.",
                ),
            ]
        },
        required: 1,
        example: (&["0171/1234567", "DE"], "+491711234567"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| {
            let (phones, regions) = (arguments.text(0)?, arguments.text(1)?);
            let phone =
                |row| phones.get(row).and_then(|phone| normalize_phone(phone, regions.get(row)));
            Ok(texts((0..arguments.rows()).map(phone)))
        },
    }
}

/// Returns the number in E.164, or `None` when `text` can be no number. `region` is the country, by code or by name, of
/// numbers that are not written internationally.
///
/// What counts is that one number always gives one result, not that it can be dialled: numbers reserved for drama and
/// numbers of the wrong length come through as they are read.
pub fn normalize_phone(text: &str, region: Option<&str>) -> Option<String> {
    let text = whole(trim(text));
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let text = &with_zeros(text);
    let number = without_extension(text);
    let region = region.and_then(normalize_country).and_then(|code| Region::from_code(code).ok());
    let mut e164 = read(&international(number), region)?;
    if is_letter_for_digit(number, &text[number.len()..]) && !is_complete(&e164) {
        return None;
    }
    for _ in 0..READS_MAX {
        let again = read(&e164, None)?;
        if again == e164 {
            return Some(e164);
        }
        e164 = again;
    }
    None
}

/// Takes off the fraction that a number has when a spreadsheet took it for a quantity: `48501502503.0`.
fn whole(text: &str) -> &str {
    let Some((number, fraction)) = text.rsplit_once(['.', ',']) else { return text };
    let digits = number.strip_prefix('+').unwrap_or(number);
    let is_one = digits.len() >= DIGITS_MIN && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_nothing = !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0');
    if is_one && is_nothing { number } else { text }
}

/// Reads the letter O as the zero that it stands for: behind a digit, and before another one or at the end.
fn with_zeros(text: &str) -> Cow<'_, str> {
    let is_o = |c: char| matches!(c, 'o' | 'O');
    if !text.contains(is_o) {
        return Cow::Borrowed(text);
    }
    let mut read = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let before = read.chars().next_back();
        let after = text[at..].trim_start_matches(is_o).chars().next();
        let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let is_between = |c: Option<char>| c.is_none_or(|c| matches!(c, ' ' | '-' | '.' | '/'));
        let is_zero = is_o(c)
            && (is_digit(before) && (is_digit(after) || is_between(after))
                || !read.is_empty() && is_between(before) && is_digit(after));
        read.push(if is_zero { '0' } else { c });
    }
    Cow::Owned(read)
}

/// Cuts what follows a number that is complete: an extension, in any language, or another number.
fn without_extension(text: &str) -> &str {
    let mut digits = 0;
    for (at, c) in text.char_indices() {
        if c.is_numeric() {
            digits += 1;
        } else if digits >= DIGITS_MIN && (c.is_alphabetic() || matches!(c, '#' | ';' | ',')) {
            return &text[..at];
        }
    }
    text
}

/// Tells whether what was cut off behind a number is a letter that stands in the place of its last digit.
fn is_letter_for_digit(number: &str, cut: &str) -> bool {
    let mut cut = cut.chars();
    number.ends_with(|c: char| c.is_ascii_digit())
        && cut.next().is_some_and(char::is_alphabetic)
        && cut.next().is_none()
}

/// Tells whether a number in E.164 has all the digits that numbers of its country have.
fn is_complete(e164: &str) -> bool {
    PHONE_NUMBER_UTIL.parse(e164, None).is_ok_and(|number| is_valid(&number))
}

/// Writes the prefix `00` as `+`, wherever the number is from.
fn international(text: &str) -> Cow<'_, str> {
    let number = text.trim_start_matches(|c: char| !c.is_numeric() && !matches!(c, '+' | '＋'));
    let digits = number.trim_start_matches(['+', '＋', ' ', '(']);
    if digits.starts_with("00") || (digits.len() < number.len() && digits.starts_with('0')) {
        return Cow::Owned(format!(
            "+{}",
            digits.trim_start_matches(['0', ' ', '-', '(', ')', '.'])
        ));
    }
    Cow::Borrowed(text)
}

fn read(text: &str, region: Option<Region>) -> Option<String> {
    let mut number = PHONE_NUMBER_UTIL.parse(text, region).ok()?;
    if number.italian_leading_zero() && !is_valid(&number) {
        // An old trunk zero, as in +48 (0)609 969 356, where the country has none today.
        let without = PhoneNumber {
            italian_leading_zero: None,
            number_of_leading_zeros: None,
            ..number.clone()
        };
        if is_valid(&without) {
            number = without;
        }
    }
    let e164 = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned();
    let digits = e164.bytes().filter(u8::is_ascii_digit).count();
    (e164.starts_with('+') && (DIGITS_MIN..=DIGITS_MAX).contains(&digits)).then_some(e164)
}

fn is_valid(number: &PhoneNumber) -> bool {
    PHONE_NUMBER_UTIL.is_valid_number(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_of_a_number_is_one_number() {
        for (expected, region, forms) in [
            (
                "+48609969356",
                "PL",
                "609969356|609969356.0|48609969356.0|+48609969356,00|609 969 356|609-969-356|0048609969356|(+48) 609969356|+48 609 969 356|48609969356|+48 (0)609 969 356|0 609 969 356|+48609969356 wew. 12|(00 48) 609-969-356",
            ),
            (
                "+447728098250",
                "GB",
                "07728 098250|07728098250|+44 (0)7728 098250|00447728098250|+44 7728 098250|+447728098250|07728 098250 ext. 3|447728098250",
            ),
            (
                "+441632960123",
                "GB",
                "01632 960123|+44 (0)1632 960123|+44 1632 960123|00441632960123|01632960123 x7",
            ),
            (
                "+491749550019",
                "DE",
                "0174/9550019|0174 9550019|00491749550019|+49 (0)174 9550019|+49 174 9550019|01749550019",
            ),
            (
                "+17605555873",
                "US",
                "+17605555873|(760) 555-5873|760.555.5873|1-760-555-5873|760-555-5873|+1 760 555 5873|7605555873|0017605555873|011 1 760 555 5873",
            ),
            (
                "+493055501234",
                "DE",
                "030 55501234|+49 (0)30 55501234|+49 30 55501234|+493055501234",
            ),
            ("+390612345678", "IT", "06 12345678|+39 06 12345678|0039 06 12345678"),
        ] {
            for form in forms.split('|') {
                assert_eq!(
                    normalize_phone(form, Some(region)).as_deref(),
                    Some(expected),
                    "{form}"
                );
            }
            assert_eq!(normalize_phone(expected, None).as_deref(), Some(expected));
        }
    }

    #[test]
    fn numbers_out_of_use_come_through_and_no_numbers_do_not() {
        for (given, region, expected) in [
            ("111111111", Some("PL"), Some("+48111111111")),
            ("123456789", Some("pl"), Some("+48123456789")),
            ("1234567890", Some("GB"), Some("+441234567890")),
            ("07760 555 999", Some("United Kingdom"), Some("+447760555999")),
            ("609969356", None, None),
            ("609969356", Some("nowhere"), None),
            ("+48609969356", Some("nowhere"), Some("+48609969356")),
            ("000000000", Some("PL"), None),
            ("112", Some("PL"), None),
            ("n/a", Some("PL"), None),
            ("-", Some("PL"), None),
            ("", Some("PL"), None),
            ("+999123456789012345", None, None),
            ("1-800-FLOWERS", Some("US"), Some("+18003569377")),
            ("+4860010020O", None, Some("+48600100200")),
            ("+486OO1OO2OO", None, Some("+48600100200")),
            ("6O1 0O2 O03", Some("PL"), Some("+48601002003")),
            ("609969356 o", Some("PL"), Some("+48609969356")),
            ("+4860010020B", None, None),
            ("60010020l", Some("PL"), None),
            ("609969356k", Some("PL"), Some("+48609969356")),
            ("60010020 B", Some("PL"), Some("+4860010020")),
        ] {
            assert_eq!(normalize_phone(given, region).as_deref(), expected, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn twice_is_once(given in "\\+?[0-9]{1,17}|[+0-9 ()/.x-]{0,22}|.*", region in "(PL|DE|GB|US|IT|AR|BR|MX|RU|FR|CI|HU|AU)") {
            if let Some(once) = normalize_phone(&given, Some(&region)) {
                prop_assert_eq!(normalize_phone(&once, None), Some(once.clone()));
                prop_assert_eq!(normalize_phone(&once, Some("PL")), Some(once));
            }
        }

        #[test]
        fn spacing_does_not_matter(digits in "[1-9][0-9]{8}", at in 1usize..8) {
            let spaced = format!("{} {}", &digits[..at], &digits[at..]);
            let international = format!("+48 {spaced}");
            let expected = normalize_phone(&digits, Some("PL"));
            prop_assert_eq!(normalize_phone(&spaced, Some("PL")), expected.clone());
            prop_assert_eq!(normalize_phone(&international, None), expected);
        }
    }
}
