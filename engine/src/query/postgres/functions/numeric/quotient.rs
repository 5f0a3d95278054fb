//! Numbers of 38 digits, divided and multiplied as PostgreSQL does: halves go away from zero.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, i256};

/// Digits of the largest number.
pub(in crate::query::postgres::functions) const DIGITS_MAX: i32 = DECIMAL128_MAX_PRECISION as i32;
/// Digits that a quotient has at least, counted from its first that is not zero.
const SIGNIFICANT_MIN: i32 = 16;
/// PostgreSQL keeps four digits in one.
const GROUP: i32 = 4;

/// A number with digits behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query::postgres::functions) struct Number {
    /// Its digits.
    pub(in crate::query::postgres::functions) value: i128,
    /// How many of them are behind the point.
    pub(in crate::query::postgres::functions) scale: i32,
}

/// Returns a power of ten that a number can have.
fn power(exponent: i32) -> Option<u128> {
    10_u128.checked_pow(u32::try_from(exponent).ok()?)
}

/// Puts a sign before digits, if they are not too many.
fn signed(digits: u128, is_negative: bool) -> Option<i128> {
    let fits = digits < power(DIGITS_MAX)?;
    let value = i128::try_from(digits).ok().filter(|_| fits)?;
    Some(if is_negative { -value } else { value })
}

impl Number {
    /// How many digits it has; zero has one.
    pub(in crate::query::postgres::functions) fn digits(self) -> i32 {
        self.value.unsigned_abs().checked_ilog10().map_or(1, |most| most as i32 + 1)
    }

    /// The position of its first group of four digits, counted from the point, and that group.
    fn first_group(self) -> (i32, u128) {
        let magnitude = self.value.unsigned_abs();
        let Some(most) = magnitude.checked_ilog10() else { return (0, 0) };
        let position = (most as i32 - self.scale).div_euclid(GROUP);
        let below = position * GROUP + self.scale;
        let group = match power(below.abs()) {
            Some(power) if below >= 0 => magnitude / power,
            Some(power) => magnitude.saturating_mul(power),
            None => 0,
        };
        (position, group)
    }

    /// How many digits behind the point PostgreSQL gives to the quotient of two numbers.
    pub(in crate::query::postgres::functions) fn quotient_scale(self, divisor: Number) -> i32 {
        let (dividend_at, dividend_first) = self.first_group();
        let (divisor_at, divisor_first) = divisor.first_group();
        let less = i32::from(dividend_first <= divisor_first);
        let scale = SIGNIFICANT_MIN - (dividend_at - divisor_at - less) * GROUP;
        scale.max(self.scale).max(divisor.scale).max(0)
    }

    /// Divides by a number that is not zero; `None` if the quotient has more digits than there are.
    pub(in crate::query::postgres::functions) fn divided(
        self,
        divisor: Number,
        scale: i32,
    ) -> Option<i128> {
        let is_negative = (self.value < 0) != (divisor.value < 0);
        let (dividend, by) = (self.value.unsigned_abs(), divisor.value.unsigned_abs());
        let shift = scale + divisor.scale - self.scale;
        let (up, down) = if shift < 0 { (0, -shift) } else { (shift, 0) };
        let narrow = || Some((dividend.checked_mul(power(up)?)?, by.checked_mul(power(down)?)?));
        if let Some((dividend, by)) = narrow() {
            let (whole, rest) = (dividend.checked_div(by)?, dividend % by);
            return signed(whole + u128::from(rest >= by - rest), is_negative);
        }
        let dividend = wide(dividend)?.checked_mul(wide_power(up)?)?;
        signed(wide_quotient(dividend, wide(by)?.checked_mul(wide_power(down)?)?)?, is_negative)
    }

    /// Multiplies and rounds to so many digits behind the point; `None` if they are more than there are.
    pub(in crate::query::postgres::functions) fn times(
        self,
        other: Number,
        scale: i32,
    ) -> Option<i128> {
        let down = self.scale + other.scale - scale;
        if let Some(product) = self.value.checked_mul(other.value) {
            return Number { value: product, scale: self.scale + other.scale }.rounded(scale);
        }
        let is_negative = (self.value < 0) != (other.value < 0);
        let product =
            wide(self.value.unsigned_abs())?.checked_mul(wide(other.value.unsigned_abs())?)?;
        signed(wide_quotient(product, wide_power(down)?)?, is_negative)
    }

    /// Returns the digits that it has with so many of them behind the point.
    pub(in crate::query::postgres::functions) fn rounded(self, scale: i32) -> Option<i128> {
        let magnitude = self.value.unsigned_abs();
        let digits = if scale >= self.scale {
            match magnitude {
                0 => 0,
                _ => magnitude.checked_mul(power(scale - self.scale)?)?,
            }
        } else {
            match power(self.scale - scale) {
                Some(by) => {
                    let rest = magnitude % by;
                    magnitude / by + u128::from(rest >= by - rest)
                }
                None => 0,
            }
        };
        signed(digits, self.value < 0)
    }
}

/// Divides two numbers, of which the second is not zero, with PostgreSQL's digits behind the point, or as many as fit.
pub(in crate::query::postgres::functions) fn quotient_alone(
    dividend: Number,
    divisor: Number,
) -> Option<Number> {
    let most = dividend.quotient_scale(divisor).min(DIGITS_MAX);
    (0..=most)
        .rev()
        .find_map(|scale| dividend.divided(divisor, scale).map(|value| Number { value, scale }))
}

/// Divides two numbers, of which the second is not zero, in a column with `scale` digits behind the point: rounded to as
/// many as PostgreSQL gives to these two.
pub(in crate::query::postgres::functions) fn quotient_within(
    dividend: Number,
    divisor: Number,
    scale: i32,
) -> Option<i128> {
    let own = dividend.quotient_scale(divisor).min(scale);
    Number { value: dividend.divided(divisor, own)?, scale: own }.rounded(scale)
}

fn wide(magnitude: u128) -> Option<i256> {
    i128::try_from(magnitude).ok().map(i256::from_i128)
}

/// Returns a power of ten, of which there are 76.
pub(in crate::query::postgres::functions) fn wide_power(exponent: i32) -> Option<i256> {
    i256::from_i128(10).checked_pow(u32::try_from(exponent).ok()?)
}

/// Divides numbers that are not negative.
fn wide_quotient(dividend: i256, by: i256) -> Option<u128> {
    let (whole, rest) = (dividend.checked_div(by)?, dividend.checked_rem(by)?);
    let whole = u128::try_from(whole.to_i128()?).ok()?;
    Some(whole + u128::from(rest >= by.checked_sub(rest)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let value = format!("{whole}{fraction}").parse().unwrap();
        Number { value, scale: i32::try_from(fraction.len()).unwrap() }
    }

    #[test]
    fn quotients_have_the_digits_of_postgresql() {
        for (dividend, divisor, expected) in [
            ("1", "3.0", "0.33333333333333333333"),
            ("2", "3", "0.66666666666666666667"),
            ("1", "1000000.0", "0.000001000000000000000000"),
            ("7", "3.0", "2.3333333333333333"),
            ("10.00", "3", "3.3333333333333333"),
            ("85000.00", "3", "28333.333333333333"),
            ("-5", "9.0", "-0.55555555555555555556"),
            ("3", "3.0", "1.00000000000000000000"),
            ("0", "7.0", "0.00000000000000000000"),
            ("100000", "3.0", "33333.333333333333"),
        ] {
            assert_eq!(
                quotient_alone(number(dividend), number(divisor)),
                Some(number(expected)),
                "{dividend} / {divisor}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_has_fewer_digits_behind_the_point() {
        let largest = Number { value: 10_i128.pow(38) - 1, scale: 0 };
        assert_eq!(quotient_alone(largest, number("1.0")), Some(largest));
        assert_eq!(quotient_alone(number("1"), largest), Some(Number { value: 1, scale: 38 }));
        assert_eq!(quotient_within(largest, number("1"), 16), None);
        assert_eq!(largest.times(largest, 0), None);
    }

    #[test]
    fn quotients_of_a_column_are_rounded_as_each_alone() {
        let check = |dividend: &str, divisor: &str, expected: &str| {
            let found = quotient_within(number(dividend), number(divisor), 20);
            assert_eq!(found, number(expected).rounded(20), "{dividend} / {divisor}");
        };
        check("85000.00", "3", "28333.333333333333");
        check("1", "3", "0.33333333333333333333");
    }

    #[test]
    fn halves_go_away_from_zero() {
        let check = |text: &str, scale: i32, expected: &str| {
            assert_eq!(number(text).rounded(scale), Some(number(expected).value), "{text}");
        };
        check("2.5", 0, "3");
        check("-2.5", 0, "-3");
        check("2.45", 1, "2.5");
        check("2.449", 1, "2.4");
        check("2.4", 3, "2.400");
        let half = Number { value: 5, scale: 1 };
        assert_eq!(half.times(half, 1), Some(3));
    }
}
