//! Numbers by pattern: `999,990.00`, `FM0000`, `S99`, `99PR`.

use datafusion::common::Result;

use super::{ending, unsupported};

/// A pattern, read once.
#[derive(Debug, Default)]
struct Pattern {
    /// `9`, `0` and separators before the point.
    whole: Vec<char>,
    /// `9` and `0` behind the point.
    fraction: Vec<char>,
    point: bool,
    fill: bool,
    sign: Sign,
    ordinal: Option<bool>,
    before: String,
    after: String,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Sign {
    /// A minus before the first digit, or a space.
    #[default]
    Anchored,
    /// `S` before the digits.
    Leading,
    /// `S` behind the digits.
    Trailing,
    /// `MI`: a minus or a space, behind the digits.
    MinusAfter,
    /// `MI` before the digits.
    MinusBefore,
    /// `PR`: negative numbers in angle brackets.
    Brackets,
}

fn parse(pattern: &str) -> Result<Pattern> {
    let mut parsed = Pattern { fill: true, ..Pattern::default() };
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        let two = rest.get(..2).unwrap_or_default().to_uppercase();
        let digits = !parsed.whole.is_empty() || parsed.point;
        let mut taken = letter.len_utf8();
        match (letter, two.as_str()) {
            (_, "FM") => (parsed.fill, taken) = (false, 2),
            (_, "MI") => {
                (parsed.sign, taken) =
                    (if digits { Sign::MinusAfter } else { Sign::MinusBefore }, 2)
            }
            (_, "PR") => (parsed.sign, taken) = (Sign::Brackets, 2),
            (_, "TH") => (parsed.ordinal, taken) = (Some(rest.starts_with('T')), 2),
            ('S' | 's', _) => parsed.sign = if digits { Sign::Trailing } else { Sign::Leading },
            ('9' | '0', _) if parsed.point => parsed.fraction.push(letter),
            ('9' | '0', _) => parsed.whole.push(letter),
            (',' | 'G' | 'g', _) if !parsed.point => parsed.whole.push(','),
            ('.' | 'D' | 'd', _) if !parsed.point => parsed.point = true,
            ('"', _) => {
                let text = rest[1..].split('"').next().unwrap_or_default();
                taken = (text.len() + 2).min(rest.len());
                if digits { parsed.after.push_str(text) } else { parsed.before.push_str(text) }
            }
            // There is no currency, as in PostgreSQL's own locale.
            ('L' | 'l', _) => {
                if digits {
                    parsed.after.push(' ')
                } else {
                    parsed.before.push(' ')
                }
            }
            (other, _) if !other.is_ascii_alphanumeric() => {
                if digits {
                    parsed.after.push(other)
                } else {
                    parsed.before.push(other)
                }
            }
            _ => return Err(unsupported(format!("the pattern \"{pattern}\" of to_char()"))),
        }
        rest = &rest[taken..];
    }
    Ok(parsed)
}

/// Writes a number, given as text, by a pattern.
pub(super) fn format(value: &str, pattern: &str) -> Result<String> {
    let pattern = parse(pattern)?;
    let negative = value.starts_with('-');
    let (whole, fraction) = rounded(&plain(value.trim_start_matches('-')), pattern.fraction.len());
    let zero = whole.bytes().chain(fraction.bytes()).all(|digit| digit == b'0');
    let negative = negative && !zero;
    let places = pattern.whole.iter().filter(|c| **c != ',').count();
    let whole = whole.trim_start_matches('0');
    let overflow = whole.len() > places || !value.bytes().any(|b| b.is_ascii_digit());
    let digits = if overflow { "#".repeat(places) } else { whole.to_string() };
    let mut body = integer_part(&pattern, &digits);
    let sign = sign_of(&pattern, negative);
    // The sign stands right before the first digit.
    let at = body.len() - body.trim_start().len();
    body.insert_str(at, sign.0);
    if pattern.point {
        body.push('.');
        let fraction = if overflow { "#".repeat(fraction.len()) } else { fraction };
        // Without fill, trailing zeros that a 9 stands for are not written.
        let zeros = pattern.fraction.iter().rposition(|c| *c == '0').map_or(0, |last| last + 1);
        let kept = if pattern.fill {
            fraction.len()
        } else {
            fraction.trim_end_matches('0').len().max(zeros)
        };
        body.push_str(&fraction[..kept]);
    }
    if let Some(upper) = pattern.ordinal.filter(|_| !negative && !pattern.point) {
        body.push_str(ending(whole.parse().unwrap_or(0), upper));
    }
    body.push_str(sign.1);
    let body = if pattern.fill { body } else { body.trim().to_string() };
    Ok(format!("{}{body}{}", pattern.before, pattern.after))
}

/// The digits before the point in their places, with separators and leading blanks.
fn integer_part(pattern: &Pattern, digits: &str) -> String {
    let places = pattern.whole.iter().filter(|c| **c != ',').count();
    let first_zero =
        pattern.whole.iter().filter(|c| **c != ',').position(|c| *c == '0').unwrap_or(places);
    let missing = places.saturating_sub(digits.len());
    // A number below one shows a zero where the pattern has no place behind the point.
    let lone = digits.is_empty() && first_zero == places && !pattern.point;
    let (mut out, mut place, mut begun) = (String::new(), 0, false);
    let mut letters = digits.chars();
    for symbol in &pattern.whole {
        if *symbol == ',' {
            out.push(if begun { ',' } else { ' ' });
            continue;
        }
        let letter = if place >= missing {
            letters.next().unwrap_or('0')
        } else if place >= first_zero || (lone && place + 1 == places) {
            '0'
        } else {
            ' '
        };
        begun |= letter != ' ';
        out.push(letter);
        place += 1;
    }
    if pattern.fill { out } else { out.trim_start().to_string() }
}

/// What stands before the first digit and what stands behind the last.
fn sign_of(pattern: &Pattern, negative: bool) -> (&'static str, &'static str) {
    match (&pattern.sign, negative) {
        (Sign::Anchored, true) => ("-", ""),
        (Sign::Anchored, false) => (" ", ""),
        (Sign::Leading, true) => ("-", ""),
        (Sign::Leading, false) => ("+", ""),
        (Sign::Trailing, true) | (Sign::MinusAfter, true) => ("", "-"),
        (Sign::Trailing, false) => ("", "+"),
        (Sign::MinusAfter, false) => ("", " "),
        (Sign::MinusBefore, true) => ("-", ""),
        (Sign::MinusBefore, false) => (" ", ""),
        (Sign::Brackets, true) => ("<", ">"),
        (Sign::Brackets, false) => (" ", " "),
    }
}

/// Digits without an exponent.
fn plain(value: &str) -> String {
    let Some((mantissa, exponent)) = value.split_once(['e', 'E']) else { return value.to_string() };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let point = whole.len() as i32 + exponent;
    if point <= 0 {
        return format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize));
    }
    let point = point as usize;
    let digits = format!("{digits:0<point$}");
    format!("{}.{}", &digits[..point], &digits[point..])
}

/// The digits before and behind the point, rounded half away from zero.
fn rounded(value: &str, places: usize) -> (String, String) {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let up = fraction.as_bytes().get(places).is_some_and(|digit| *digit >= b'5');
    let kept = &fraction[..places.min(fraction.len())];
    let mut digits: Vec<u8> = format!("0{whole}{kept:0<places$}").into_bytes();
    if up {
        for digit in digits.iter_mut().rev() {
            if *digit == b'9' {
                *digit = b'0';
            } else {
                *digit += 1;
                break;
            }
        }
    }
    let text = String::from_utf8_lossy(&digits).into_owned();
    let point = text.len() - places;
    (text[..point].to_string(), text[point..].to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn formats_numbers_as_postgres_does() {
        let check = |value: &str, pattern: &str, expected: &str| {
            assert_eq!(
                super::format(value, pattern).unwrap_or_default(),
                expected,
                "{value} {pattern}"
            );
        };
        check("1234.567", "999,990.00", "   1,234.57");
        check("-1234.5", "FM999,999.00", "-1,234.50");
        check("-12", "999", " -12");
        check("12", "999", "  12");
        check("5", "000", " 005");
        check("0.5", "990.00", "   0.50");
        check("12345", "999", " ###");
        check("-7", "9PR", "<7>");
        check("7", "S9", "+7");
        check("0.1", "FM9.99", ".1");
        check("21", "99th", " 21st");
        check("0", "9", " 0");
        check("1e3", "9999", " 1000");
        check("99.99", "FM99.9", "##.#");
        check("0.1", "9.99", "  .10");
        check("12", "L999", "   12");
        check("-12", "L999", "  -12");
        check("12", "FM999L", "12 ");
    }
}
