//! Arithmetic of a path, `$.price * 2`, and its methods over numbers.
//!
//! Numbers are worked out as `numeric` is, with as many digits behind the point, up to 38 of them in all.

use super::{Fault, Found, Item, Looking, Scalar};
use crate::query::postgres::functions::jsonb::path::node::{Method, Node, Operator};
use crate::query::postgres::functions::jsonb::path::syntax::unsupported;
use crate::query::postgres::functions::numeric::{DIGITS_MAX, Number};

impl<'a> Looking<'a> {
    /// What a sum, a product or the like is worked out to.
    pub(super) fn computed(&self, node: &'a Node, current: Item<'a>) -> Found<Vec<Item<'a>>> {
        self.look()?;
        match node {
            Node::Sign(is_minus, inner) => {
                let signed = |item: Item<'a>| -> Found<Item<'a>> {
                    match number_of(item)? {
                        Some(Number { value, scale }) => {
                            let value = if *is_minus { -value } else { value };
                            Ok(Item::Made(Number { value, scale }))
                        }
                        None => {
                            let sign = if *is_minus { '-' } else { '+' };
                            let what = "operand of unary jsonpath operator";
                            let message = format!("{what} {sign} is not a numeric value");
                            Err(Fault::Path("2203B", message))
                        }
                    }
                };
                self.unwrapped(self.of(inner, current)?)?.into_iter().map(signed).collect()
            }
            Node::Math(operator, left, right) => {
                let left = self.unwrapped(self.of(left, current)?)?;
                let right = self.unwrapped(self.of(right, current)?)?;
                let left = operand(*operator, "left", &left)?;
                let right = operand(*operator, "right", &right)?;
                Ok(vec![Item::Made(work_out(*operator, left, right)?)])
            }
            other => self.of(other, current),
        }
    }

    /// The place that an expression between brackets says, of an array with so many elements.
    pub(super) fn place(&self, node: &'a Node, count: i64) -> Found<i64> {
        let outside = self.last.replace(count.saturating_sub(1));
        let found = self.of(node, Item::Json(self.root));
        self.last.set(outside);
        let number = match found?.as_slice() {
            [item] => number_of(*item)?,
            _ => None,
        };
        let refused =
            |what: &str| Fault::Path("22033", format!("jsonpath array subscript is {what}"));
        let number = number.ok_or_else(|| refused("not a single numeric value"))?;
        let whole = match power(number.scale) {
            Some(by) => number.value / by,
            None => 0,
        };
        i32::try_from(whole).map(i64::from).map_err(|_| refused("out of integer range"))
    }
}

/// The one number of a side.
fn operand(operator: Operator, side: &str, items: &[Item<'_>]) -> Found<Number> {
    let number = match items {
        [item] => number_of(*item)?,
        _ => None,
    };
    number.ok_or_else(|| {
        let symbol = operator.symbol();
        let message =
            format!("{side} operand of jsonpath operator {symbol} is not a single numeric value");
        Fault::Path("22038", message)
    })
}

fn work_out(operator: Operator, left: Number, right: Number) -> Found<Number> {
    let common = left.scale.max(right.scale);
    let aligned = || left.rounded(common).zip(right.rounded(common));
    if matches!(operator, Operator::Over | Operator::Modulo) && right.value == 0 {
        return Err(Fault::Path("22012", "division by zero".to_owned()));
    }
    let (value, scale) = match operator {
        Operator::Plus => (aligned().and_then(|(one, other)| one.checked_add(other)), common),
        Operator::Minus => (aligned().and_then(|(one, other)| one.checked_sub(other)), common),
        Operator::Times => {
            let scale = left.scale + right.scale;
            (left.times(right, scale), scale)
        }
        Operator::Over => {
            let scale = left.quotient_scale(right);
            (left.divided(right, scale), scale)
        }
        Operator::Modulo => (aligned().map(|(one, other)| one % other), common),
    };
    let number = value.map(|value| Number { value, scale });
    number.filter(fits).ok_or_else(too_many_digits)
}

/// What a method makes of an item.
pub(super) fn applied(method: Method, item: Item<'_>) -> Found<Item<'_>> {
    if method == Method::Double {
        return double(item);
    }
    let Some(number) = number_of(item)? else {
        let name = method.name();
        let message =
            format!("jsonpath item method .{name}() can only be applied to a numeric value");
        return Err(Fault::Path("22036", message));
    };
    let Number { value, scale } = number;
    let whole = |rounded: fn(i128, i128) -> i128, far: i128| {
        let value = power(scale).map_or(far, |by| rounded(value, by));
        Item::Made(Number { value, scale: 0 })
    };
    Ok(match method {
        Method::Abs | Method::Double => Item::Made(Number { value: value.abs(), scale }),
        Method::Floor => whole(i128::div_euclid, -i128::from(value < 0)),
        Method::Ceiling => whole(|value, by| -(-value).div_euclid(by), i128::from(value > 0)),
    })
}

fn double(item: Item<'_>) -> Found<Item<'_>> {
    let refused = |message: String| Fault::Path("22036", message);
    match item.scalar() {
        Scalar::Number(number) => match number.parse::<f64>() {
            Ok(double) if double.is_finite() => Ok(item),
            _ => Err(refused("numeric argument of jsonpath item method .double() is out of range for type double precision".to_owned())),
        },
        Scalar::Count(_) => Ok(item),
        Scalar::Text(text) => match text.trim().parse::<f64>() {
            Ok(double) if double.is_finite() => of_double(double).map(Item::Made),
            _ => Err(refused("string argument of jsonpath item method .double() is not a valid representation of a double precision number".to_owned())),
        },
        Scalar::Null | Scalar::Bool(_) | Scalar::Compound => Err(refused(
            "jsonpath item method .double() can only be applied to a string or numeric value"
                .to_owned(),
        )),
    }
}

/// A double as a number of the fifteen digits that it surely keeps.
fn of_double(double: f64) -> Found<Number> {
    let written = format!("{double:.14e}");
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    read(&format!("{mantissa}e{exponent}")).ok_or_else(too_many_digits)
}

/// The number that an item is; nothing if it is none.
fn number_of(item: Item<'_>) -> Found<Option<Number>> {
    if let Item::Made(number) = item {
        return Ok(Some(number));
    }
    match item.scalar() {
        Scalar::Number(text) => read(text).map(Some).ok_or_else(too_many_digits),
        Scalar::Count(text) => read(&text).map(Some).ok_or_else(too_many_digits),
        _ => Ok(None),
    }
}

/// Reads a number of JSON; nothing if it has too many digits.
fn read(text: &str) -> Option<Number> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.parse::<i32>().ok()?;
    let (is_minus, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut value = 0_i128;
    for digit in whole.bytes().chain(fraction.bytes()).map(|digit| digit.wrapping_sub(b'0')) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    if scale < 0 {
        value = if value == 0 { 0 } else { value.checked_mul(power(-scale)?)? };
        scale = 0;
    }
    let number = Number { value: if is_minus { -value } else { value }, scale };
    Some(number).filter(fits)
}

/// Tells whether a number has no more digits than there may be, before the point and behind it.
fn fits(number: &Number) -> bool {
    number.digits() <= DIGITS_MAX && number.scale <= SCALE_MAX
}

/// Digits behind the point at most.
const SCALE_MAX: i32 = 1000;

fn power(exponent: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(exponent).ok()?)
}

/// Writes a number as `numeric` is written.
pub(in super::super) fn written(Number { value, scale }: Number) -> String {
    let scale = usize::try_from(scale).unwrap_or(0);
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let (sign, point) = (if value < 0 { "-" } else { "" }, if scale > 0 { "." } else { "" });
    format!("{sign}{whole}{point}{fraction}")
}

fn too_many_digits() -> Fault {
    Fault::Stop(unsupported(&format!("arithmetic with more than {DIGITS_MAX} digits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_written() {
        for (text, expected) in [
            ("0", "0"),
            ("-1.50", "-1.50"),
            ("1e3", "1000"),
            ("1.5E2", "150"),
            ("1.5e-7", "0.00000015"),
            ("-0.05", "-0.05"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ] {
            assert_eq!(read(text).map(written).as_deref(), Some(expected), "{text}");
        }
        for text in ["123456789012345678901234567890123456789", "1e38", "1e-1001", "1e99999999999"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    /// Zeros behind the point are no digits, of which a product has as many as its factors together.
    #[test]
    fn what_is_worked_out_has_a_bound_of_digits() {
        let least = read("1e-1000").unwrap();
        assert_eq!(written(least).len(), 1002);
        for (left, right) in [(least, least), (Number { value: 0, scale: 1000 }, least)] {
            assert!(matches!(work_out(Operator::Times, left, right), Err(Fault::Stop(_))));
        }
    }

    #[test]
    fn doubles_keep_fifteen_digits() {
        for (double, expected) in [
            (123_456_789.123_456_79, "123456789.123457"),
            (1e20, "100000000000000000000"),
            (0.1, "0.1"),
            (-0.0, "0"),
        ] {
            assert_eq!(of_double(double).map(written).unwrap(), expected);
        }
    }
}
