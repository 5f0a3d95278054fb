//! Roots, powers and logarithms of numerics, with the digits behind the point that PostgreSQL gives them.
//!
//! They are worked out with 36 digits behind the point, of which rounding leaves 34 at least.

use datafusion::arrow::datatypes::i256;

use super::quotient::{DIGITS_MAX, Number, wide_power};

/// Digits behind the point of what is worked out on the way.
const INNER: i32 = 36;
/// Digits that a result has at least.
const SIGNIFICANT_MIN: i32 = 16;
/// The natural logarithm of ten.
const LN_10: i128 = 2_302_585_092_994_045_684_017_991_454_684_364_208;
/// How often the argument of the exponential series is halved.
const HALVINGS: u8 = 8;

fn fixed(value: i128) -> i256 {
    i256::from_i128(value)
}

fn one() -> Option<i256> {
    wide_power(INNER)
}

fn times(left: i256, right: i256) -> Option<i256> {
    left.checked_mul(right)?.checked_div(one()?)
}

/// A number as a double precision one, for estimates.
fn estimate(number: Number) -> f64 {
    number.value as f64 * 10_f64.powi(-number.scale)
}

/// e to the power of a number of at most about two.
fn exp_small(power: i256) -> Option<i256> {
    let power = power >> HALVINGS;
    let (mut sum, mut term) = (one()?, one()?);
    for count in 1..40 {
        term = times(term, power)?.checked_div(i256::from_i128(count))?;
        if term == i256::ZERO {
            break;
        }
        sum = sum.checked_add(term)?;
    }
    for _ in 0..HALVINGS {
        sum = times(sum, sum)?;
    }
    Some(sum)
}

/// e to the power of a number with [`INNER`] digits behind the point; `None` if that has more digits than there are.
fn exp_inner(power: i128) -> Option<Number> {
    let tens = (estimate(Number { value: power, scale: INNER }) / std::f64::consts::LN_10).round();
    if tens > f64::from(DIGITS_MAX) {
        return None;
    }
    if tens < -f64::from(2 * DIGITS_MAX) {
        return Some(Number { value: 0, scale: DIGITS_MAX });
    }
    let tens = tens as i32;
    let rest = fixed(power).checked_sub(fixed(LN_10).checked_mul(fixed(tens.into()))?)?;
    Some(Number { value: exp_small(rest)?.to_i128()?, scale: INNER - tens })
}

/// The natural logarithm of a number greater than zero, with [`INNER`] digits behind the point.
fn ln_inner(number: Number) -> Option<i128> {
    let digits = number.digits();
    // Between one and ten.
    let first = Number { value: number.value, scale: digits - 1 };
    let first = fixed(first.rounded(INNER)?);
    let near = estimate(Number { value: first.to_i128()?, scale: INNER }).ln();
    let near = fixed((near * 1e15).round() as i128).checked_mul(wide_power(INNER - 15)?)?;
    // One step of Halley's brings 15 digits to 45.
    let power = exp_small(near)?;
    let (less, more) = (first.checked_sub(power)?, first.checked_add(power)?);
    let step = less.checked_mul(one()?)?.checked_div(more)?.checked_mul(fixed(2))?;
    let tens = fixed(LN_10).checked_mul(fixed((digits - 1 - number.scale).into()))?;
    near.checked_add(step)?.checked_add(tens)?.to_i128()
}

/// The decimal position of the first digit of a logarithm, as PostgreSQL estimates it.
fn ln_position(number: Number) -> i32 {
    let value = estimate(number);
    if (0.9..=1.1).contains(&value) {
        let difference = (value - 1.0).abs();
        return if difference == 0.0 { 0 } else { difference.log10().floor() as i32 };
    }
    // Towards zero.
    value.ln().abs().log10() as i32
}

fn scale_of(position: i32, least: i32) -> i32 {
    (SIGNIFICANT_MIN - position).max(least).max(0)
}

/// Rounds to as many digits behind the point as wanted, or as fit.
fn fitted(number: Number, scale: i32) -> Option<Number> {
    (0..=scale.min(DIGITS_MAX))
        .rev()
        .find_map(|scale| number.rounded(scale).map(|value| Number { value, scale }))
}

/// The root of a number that is not negative.
pub(super) fn sqrt(number: Number) -> Option<Number> {
    let group = (number.digits() - 1 - number.scale).div_euclid(4);
    let group = if number.value == 0 { 0 } else { group };
    let scale = scale_of((group + 1) * 2 - 1, number.scale).min(DIGITS_MAX);
    let shift = 2 * scale - number.scale;
    let square = match shift < 0 {
        true => fixed(number.value).checked_div(wide_power(-shift)?)?,
        false => fixed(number.value).checked_mul(wide_power(shift)?)?,
    };
    Some(Number { value: whole_root(square)?, scale })
}

/// The whole number nearest to the root of one that is not negative.
pub(in crate::query::postgres::functions) fn whole_root(square: i256) -> Option<i128> {
    let Some(most) = square.checked_ilog10() else { return Some(0) };
    // From above, each step comes nearer, until one would go below.
    let mut found = wide_power(i32::try_from(most).ok()? / 2 + 1)?;
    loop {
        let next = found.checked_add(square.checked_div(found)?)? >> 1_u8;
        if next >= found {
            break;
        }
        found = next;
    }
    let rest = square.checked_sub(found.checked_mul(found)?)?;
    let nearest = if rest > found { found.checked_add(i256::ONE)? } else { found };
    nearest.to_i128()
}

/// e to the power of a number; `None` if it has too many digits.
pub(super) fn exp(number: Number) -> Option<Number> {
    let position = (estimate(number) * std::f64::consts::LOG10_E) as i32;
    let scale = scale_of(position, number.scale);
    // Below that nothing is left in 38 digits.
    if estimate(number) < -90.0 {
        return fitted(Number { value: 0, scale: 0 }, scale);
    }
    fitted(exp_inner(number.rounded(INNER)?)?, scale)
}

/// The natural logarithm of a number greater than zero.
pub(super) fn ln(number: Number) -> Option<Number> {
    let scale = scale_of(ln_position(number), number.scale);
    fitted(Number { value: ln_inner(number)?, scale: INNER }, scale)
}

/// The logarithm of a number to a base, both greater than zero; `None` to the base of one.
pub(super) fn log(base: Number, number: Number) -> Option<Number> {
    let position = ln_position(number) - ln_position(base);
    let scale = scale_of(position, number.scale.max(base.scale)).min(DIGITS_MAX);
    let inner = |of: Number| Some(Number { value: ln_inner(of)?, scale: INNER });
    let (of_base, of_number) = (inner(base)?, inner(number)?);
    if of_base.value == 0 {
        return None;
    }
    (0..=scale)
        .rev()
        .find_map(|scale| of_number.divided(of_base, scale).map(|value| Number { value, scale }))
}

/// A number to the power of another. Zero has no negative powers, and a negative number those of whole numbers alone.
pub(super) fn power(base: Number, exponent: Number) -> Option<Number> {
    let whole = exponent.rounded(0).filter(|whole| {
        Number { value: *whole, scale: 0 }.rounded(exponent.scale) == Some(exponent.value)
    });
    if let Some(whole) = whole.and_then(|whole| i32::try_from(whole).ok()) {
        return whole_power(base, whole);
    }
    let scale = SIGNIFICANT_MIN.max(base.scale).max(exponent.scale);
    if base.value == 0 {
        return fitted(base, scale);
    }
    let ln = ln_inner(base)?;
    let position = estimate(exponent) * (ln as f64 * 10_f64.powi(-INNER));
    let position = (position * std::f64::consts::LOG10_E) as i32;
    let scale = scale_of(position, base.scale.max(exponent.scale));
    let product = Number { value: ln, scale: INNER }.times(exponent, INNER);
    match product {
        Some(product) => fitted(exp_inner(product)?, scale),
        // Far below all digits.
        None if position < 0 => fitted(Number { value: 0, scale: 0 }, scale),
        None => None,
    }
}

fn whole_power(base: Number, exponent: i32) -> Option<Number> {
    let scale = SIGNIFICANT_MIN.max(base.scale);
    let one = Number { value: 1, scale: 0 };
    let (mut result, mut square, mut left) = (one, base, exponent.unsigned_abs());
    while left > 0 {
        if left % 2 == 1 {
            result = product(result, square)?;
        }
        left /= 2;
        if left > 0 {
            square = product(square, square)?;
        }
    }
    if exponent >= 0 || result.value == 0 {
        return fitted(result, scale);
    }
    (0..=scale.min(DIGITS_MAX))
        .rev()
        .find_map(|scale| one.divided(result, scale).map(|value| Number { value, scale }))
}

/// The product of two numbers with as many of its digits as fit.
fn product(left: Number, right: Number) -> Option<Number> {
    // Ten thousand digits before or behind the point are out of every range.
    let scale = left.scale + right.scale;
    if scale.abs() > 10_000 {
        return if scale > 0 { Some(Number { value: 0, scale: 0 }) } else { None };
    }
    narrow(fixed(left.value).checked_mul(fixed(right.value))?, scale)
}

/// Returns a number with as many of its digits as fit.
pub(in crate::query::postgres::functions) fn narrow(wide: i256, scale: i32) -> Option<Number> {
    let digits = wide.checked_abs()?.checked_ilog10().map_or(1, |most| most as i32 + 1);
    let left_out = (digits - DIGITS_MAX).max(0);
    let value = wide.checked_div(wide_power(left_out)?)?.to_i128()?;
    Some(Number { value, scale: scale - left_out })
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
    fn results_have_the_digits_of_postgresql() {
        for (found, expected) in [
            (sqrt(number("2.0")), "1.414213562373095"),
            (sqrt(number("0")), "0.000000000000000"),
            (sqrt(number("1000000.00")), "1000.0000000000000"),
            (exp(number("1.0")), "2.7182818284590452"),
            (exp(number("0.0")), "1.0000000000000000"),
            (exp(number("-1.0")), "0.3678794411714423"),
            (ln(number("2.0")), "0.6931471805599453"),
            (ln(number("10.0")), "2.3025850929940457"),
            (ln(number("1.0")), "0.0000000000000000"),
            (log(number("2.0"), number("64.0")), "6.0000000000000000"),
            (log(number("10"), number("100.0")), "2.0000000000000000"),
            (power(number("2.0"), number("3")), "8.0000000000000000"),
            (power(number("2.0"), number("-1")), "0.5000000000000000"),
            (power(number("-2.0"), number("3.0")), "-8.0000000000000000"),
            (power(number("2.0"), number("0.5")), "1.4142135623730950"),
        ] {
            assert_eq!(found, Some(number(expected)), "{expected}");
        }
    }

    #[test]
    fn what_has_too_many_digits_is_none() {
        assert_eq!(exp(number("1000.0")), None);
        assert_eq!(power(number("10.0"), number("40")), None);
        assert_eq!(power(number("10.0"), number("1000000000")), None);
        assert_eq!(exp(number("-1000.0")).map(|number| number.value), Some(0));
    }
}
