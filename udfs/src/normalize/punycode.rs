//! Domains written in ASCII that say something else: `xn--mller-kva.de` is `müller.de` (Punycode, RFC 3492).

use super::text::{is_invisible, is_space};

/// What a label that is written so begins with.
const PREFIX: &str = "xn--";

/// Bytes of a label at most.
const LABEL_BYTES_MAX: usize = 63;

// The parameters that RFC 3492 sets for domains.
const BASE: u32 = 36;
const DIGIT_MIN: u32 = 1;
const DIGIT_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const FIRST_BIAS: u32 = 72;
const FIRST_CODE: u32 = 128;

/// Returns a lower-case domain in its own letters; labels that say nothing sensible stay as they are.
pub(crate) fn decode_domain(domain: &str) -> String {
    let labels: Vec<String> = domain
        .split('.')
        .map(|label| decode_label(label).unwrap_or_else(|| label.to_owned()))
        .collect();
    labels.join(".")
}

/// Returns what a label says, or `None` when it is no such label.
fn decode_label(label: &str) -> Option<String> {
    let encoded = label.strip_prefix(PREFIX).filter(|_| label.len() <= LABEL_BYTES_MAX)?;
    let letters = decode(encoded)?;
    // What would be changed once more if it were normalised again stays encoded.
    let is_plain = |c: char| !is_space(c) && !is_invisible(c) && !c.is_control();
    let is_normal = letters.to_lowercase() == letters && letters.chars().all(is_plain);
    (is_normal && !letters.is_ascii()).then_some(letters)
}

/// Decodes what stands behind the prefix.
fn decode(encoded: &str) -> Option<String> {
    let (plain, inserted) = encoded.rsplit_once('-').unwrap_or(("", encoded));
    if !encoded.is_ascii() {
        return None;
    }
    let mut letters: Vec<char> = plain.chars().collect();
    let (mut code, mut at, mut bias) = (FIRST_CODE, 0_u32, FIRST_BIAS);
    let mut digits = inserted.bytes().peekable();
    while digits.peek().is_some() {
        let before = at;
        let (mut weight, mut place) = (1_u32, BASE);
        loop {
            let digit = value(digits.next()?)?;
            at = at.checked_add(digit.checked_mul(weight)?)?;
            let threshold = place.saturating_sub(bias).clamp(DIGIT_MIN, DIGIT_MAX);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(BASE - threshold)?;
            place += BASE;
        }
        let count = u32::try_from(letters.len()).ok()? + 1;
        bias = adapted(at - before, count, before == 0);
        code = code.checked_add(at / count)?;
        at %= count;
        letters.insert(usize::try_from(at).ok()?, char::from_u32(code)?);
        at += 1;
    }
    Some(letters.into_iter().collect())
}

/// Returns the value of a digit: letters before figures.
fn value(digit: u8) -> Option<u32> {
    match digit {
        b'a'..=b'z' => Some(u32::from(digit - b'a')),
        b'0'..=b'9' => Some(u32::from(digit - b'0') + 26),
        _ => None,
    }
}

/// Returns the bias for the next letter.
fn adapted(delta: u32, count: u32, is_first: bool) -> u32 {
    let mut delta = delta / if is_first { DAMP } else { 2 };
    delta += delta / count;
    let mut bias = 0;
    while delta > (BASE - DIGIT_MIN) * DIGIT_MAX / 2 {
        delta /= BASE - DIGIT_MIN;
        bias += BASE;
    }
    bias + (BASE - DIGIT_MIN + 1) * delta / (delta + SKEW)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn domains_are_read_in_their_own_letters() {
        for (given, expected) in [
            ("xn--mller-kva.de", "müller.de"),
            ("xn--d-uga0v4h.pl", "łódź.pl"),
            ("mail.xn--mller-kva.de", "mail.müller.de"),
            ("xn--bcher-kva.example", "bücher.example"),
            ("example.org", "example.org"),
            ("xn--.org", "xn--.org"),
            ("xn--foo-.org", "xn--foo-.org"),
            ("xn--99999999.org", "xn--99999999.org"),
        ] {
            assert_eq!(decode_domain(given), expected);
        }
    }

    proptest! {
        #[test]
        fn twice_is_once(given in "(xn--)?[a-z0-9-]{0,12}(\\.xn--[a-z0-9-]{0,9})?") {
            let once = decode_domain(&given);
            prop_assert_eq!(decode_domain(&once), once.clone());
        }
    }
}
