//! Numbers of JSON: as `numeric` writes them, and which of them are equal.

use std::borrow::Cow;

/// Numbers with a larger exponent stay as they are written: written out they would be mostly zeros.
const EXPONENT_MAX: u64 = 400;

/// Returns a number as `numeric` writes it: without an exponent, and zero without a sign.
pub(super) fn written_out(number: &str) -> Cow<'_, str> {
    let (sign, unsigned) = signed(number);
    let Some((mantissa, exponent)) = unsigned.split_once(['e', 'E']) else {
        return Cow::Borrowed(if is_zero(unsigned) { unsigned } else { number });
    };
    let Some(exponent) = small(exponent) else { return Cow::Borrowed(number) };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    let scale = i64::try_from(fraction.len()).unwrap_or(i64::MAX).saturating_sub(exponent);
    let shift = usize::try_from(scale.unsigned_abs()).unwrap_or(usize::MAX);
    if scale <= 0 {
        digits.extend(std::iter::repeat_n('0', shift));
    } else {
        let missing = (shift + 1).saturating_sub(digits.len());
        digits.insert_str(0, &"0".repeat(missing));
        digits.insert(digits.len() - shift, '.');
    }
    let digits = digits.trim_start_matches('0');
    let zero = if digits.is_empty() || digits.starts_with('.') { "0" } else { "" };
    let sign = if is_zero(digits) { "" } else { sign };
    Cow::Owned(format!("{sign}{zero}{digits}"))
}

/// Tells whether two numbers are equal: `1.0` is `1`.
pub(super) fn is_same_number(one: &str, other: &str) -> bool {
    one == other
        || match (Decimal::of(one), Decimal::of(other)) {
            (Some(one), Some(other)) => one.is(&other),
            _ => false,
        }
}

/// Writes bytes that stand as numbers do: those of equal numbers are the same, and of two others the first that differ tell.
/// The bytes of no number begin those of another.
pub(super) fn write_order(number: &str, out: &mut Vec<u8>) {
    const BELOW_ZERO: u8 = 1;
    const ZERO: u8 = 2;
    const ABOVE_ZERO: u8 = 3;
    let Some(number) = Decimal::read(number, |exponent| Some(saturated(exponent))) else { return };
    if number.digits == 0 {
        out.push(ZERO);
        return;
    }
    // With the highest bit flipped, negative places stand before the others.
    let point = (number.point ^ i64::MIN).to_be_bytes();
    let bytes = point.into_iter().chain(number.letters()).chain([0]);
    if number.is_negative {
        out.push(BELOW_ZERO);
        out.extend(bytes.map(|byte| !byte));
    } else {
        out.push(ABOVE_ZERO);
        out.extend(bytes);
    }
}

/// An exponent, as far as it can be told from larger ones.
fn saturated(exponent: &str) -> i64 {
    const LARGEST: i64 = i64::MAX / 4;
    let least = if exponent.starts_with('-') { -LARGEST } else { LARGEST };
    exponent.parse().unwrap_or(least).clamp(-LARGEST, LARGEST)
}

fn signed(number: &str) -> (&str, &str) {
    number.strip_prefix('-').map_or(("", number), |unsigned| ("-", unsigned))
}

fn is_zero(unsigned: &str) -> bool {
    unsigned.bytes().all(|digit| matches!(digit, b'0' | b'.'))
}

/// An exponent that is written out.
fn small(exponent: &str) -> Option<i64> {
    exponent.parse().ok().filter(|exponent: &i64| exponent.unsigned_abs() <= EXPONENT_MAX)
}

/// A number by its digits, without zeros at either end.
struct Decimal<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
    /// Zeros before the digits.
    zeros: usize,
    digits: usize,
    /// How many digits stand before the point.
    point: i64,
}

impl<'a> Decimal<'a> {
    /// Takes a number apart; `None` if it has a large exponent.
    fn of(number: &'a str) -> Option<Self> {
        Self::read(number, small)
    }

    /// Takes a number apart whose exponent is read in this way.
    fn read(number: &'a str, read: impl Fn(&str) -> Option<i64>) -> Option<Self> {
        let (sign, unsigned) = signed(number);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let letters = || whole.bytes().chain(fraction.bytes());
        let length = whole.len() + fraction.len();
        let zeros = letters().take_while(|letter| *letter == b'0').count();
        if zeros == length {
            return Some(Self { is_negative: false, whole, fraction, zeros, digits: 0, point: 0 });
        }
        let behind = letters().rev().take_while(|letter| *letter == b'0').count();
        let before = i64::try_from(whole.len()).ok()? - i64::try_from(zeros).ok()?;
        let (is_negative, digits) = (!sign.is_empty(), length - zeros - behind);
        Some(Self { is_negative, whole, fraction, zeros, digits, point: before + exponent })
    }

    fn letters(&self) -> impl Iterator<Item = u8> {
        self.whole.bytes().chain(self.fraction.bytes()).skip(self.zeros).take(self.digits)
    }

    fn is(&self, other: &Self) -> bool {
        let shape = |number: &Self| (number.is_negative, number.point, number.digits);
        shape(self) == shape(other) && self.letters().eq(other.letters())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A number without the zeros at the end of its fraction.
    fn significant(number: &str) -> String {
        let number = written_out(number);
        match number.contains('.') && !number.contains(['e', 'E']) {
            true => number.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => number.into_owned(),
        }
    }

    #[test]
    fn numbers_are_written_out() {
        for (number, expected) in [
            ("1e2", "100"),
            ("1.50e1", "15.0"),
            ("1.5E-3", "0.0015"),
            ("1.10", "1.10"),
            ("0.5e+1", "5"),
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("-0e5", "0"),
            ("-12.5e0", "-12.5"),
            ("0.5", "0.5"),
            ("-0.5", "-0.5"),
            ("1e9999999", "1e9999999"),
            ("1e-9223372036854775808", "1e-9223372036854775808"),
            ("12345678901234567890123456789", "12345678901234567890123456789"),
        ] {
            assert_eq!(written_out(number), expected, "{number}");
        }
    }

    #[test]
    fn numbers_are_equal_by_their_value() {
        for (one, other, expected) in [
            ("1.0", "1", true),
            ("1e1", "10.00", true),
            ("-0", "0.0e7", true),
            ("0.001", "1e-3", true),
            ("100", "1", false),
            ("1", "-1", false),
            ("0.1", "0.01", false),
            ("1e500", "1e500", true),
            ("1e500", "10e499", false),
        ] {
            assert_eq!(is_same_number(one, other), expected, "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_equal_that_are_written_alike(
            one in "-?(0|[1-9][0-2]{0,2})(\\.[0-1]{1,3})?([eE][+-]?[0-3])?",
            other in "-?(0|[1-9][0-2]{0,2})(\\.[0-1]{1,3})?([eE][+-]?[0-3])?",
        ) {
            prop_assert_eq!(is_same_number(&one, &other), significant(&one) == significant(&other));
        }
    }
}
