//! Numbers that are written in one place with different numbers of digits behind the point, as in `VALUES (1.5), (2.25)`.
//!
//! To PostgreSQL each keeps its own. A column of decimals has as many for all, so what is shown of it is as many as each
//! number needs, and no fewer than the least of them was written with: those are the digits of every number, or else the
//! column is shown as it is.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Cast;

use super::Found;
use crate::query::postgres::types::plain_from;

/// Digits before the point of the decimals that integers become.
const INTEGER_DIGITS: [i32; 3] = [10, 19, 20];

/// A number as it is written, in the column of decimals that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// Digits before the point; none are known of an integer.
    whole: Option<i32>,
    /// Digits behind the point.
    scale: i32,
    /// How many of these are needed.
    needed: i32,
    /// Digits before the point and behind it that the column has, where it is another one.
    column: Option<(i32, i32)>,
    /// The logical type of the number alone.
    pub(super) otherwise: Option<String>,
}

impl Written {
    /// Looks at an expression; `None` for what is no number that is written out.
    pub(super) fn of(expr: &Expr) -> Option<Written> {
        match expr {
            Expr::Literal(value @ ScalarValue::Decimal128(..), None) => {
                Written::number(value, None)
            }
            Expr::Cast(Cast { expr, field }) if field.metadata().is_empty() => {
                let Expr::Literal(value, None) = expr.as_ref() else { return None };
                let DataType::Decimal128(digits, scale) = *field.data_type() else { return None };
                let (digits, scale) = (i32::from(digits), i32::from(scale));
                Written::number(value, Some((digits - scale, scale)))
            }
            _ => None,
        }
    }

    fn number(value: &ScalarValue, column: Option<(i32, i32)>) -> Option<Written> {
        let (whole, scale, needed) = match value {
            ScalarValue::Decimal128(Some(value), digits, scale) => {
                let (digits, scale) = (i32::from(*digits), i32::from(*scale));
                (Some(digits - scale), scale, needed(*value, scale))
            }
            ScalarValue::Int32(Some(_)) | ScalarValue::Int64(Some(_)) => (None, 0, 0),
            _ => return None,
        };
        Some(Written { whole, scale, needed, column, otherwise: None })
    }
}

/// How many digits behind the point a number needs.
fn needed(mut value: i128, mut scale: i32) -> i32 {
    while scale > 0 && value % 10 == 0 {
        value /= 10;
        scale -= 1;
    }
    scale
}

/// Returns the logical type of which all numbers of a choice are shown with their own digits; `None` if there is none.
pub(super) fn shown(all: &[Found]) -> Option<String> {
    let known = all.iter().find_map(|found| match found {
        Found::Known(Some(logical)) => Some((logical, least_of(logical)?)),
        _ => None,
    });
    let Some((logical, least)) = known else { return self::least(all).map(plain_from) };
    let is_shown = |found: &Found| match found {
        Found::Known(Some(other)) => other == logical,
        Found::Known(None) => false,
        // An integer beside such numbers is shown as the shortest of them.
        Found::Open | Found::Number => true,
        Found::Written(number) => number.needed.max(least) == number.scale,
    };
    all.iter().all(is_shown).then(|| logical.clone())
}

/// Tells whether numbers of a logical type, of which each is shown with its own digits, are so when one is added or taken away,
/// or what is left of a division by it: one with no more digits than the shortest.
pub(super) fn keeps(logical: &str, other: &Expr, of: &DataType) -> bool {
    let Some(least) = least_of(logical) else { return false };
    of.is_integer() || Written::of(other).is_some_and(|number| number.scale <= least)
}

/// Returns how many digits behind the point each number is shown with at least, where that is what a logical type says.
pub(super) fn least_of(logical: &str) -> Option<i32> {
    logical.strip_prefix("numeric(plain,")?.strip_suffix(')')?.parse().ok()
}

/// Returns how many digits behind the point each of some numbers is shown with at least, if they are all written with
/// different ones and that gives each its own; `None` if not.
fn least(all: &[Found]) -> Option<i32> {
    let (mut numbers, mut has_integers) = (Vec::new(), false);
    for found in all {
        match found {
            Found::Written(written) => {
                has_integers |= written.whole.is_none();
                numbers.push(written);
            }
            Found::Number => has_integers = true,
            Found::Open => {}
            Found::Known(_) => return None,
        }
    }
    let scales = numbers.iter().map(|number| number.scale);
    let most = scales.clone().max()?;
    let least = if has_integers { 0 } else { scales.min()? };
    let whole = numbers.iter().filter_map(|number| number.whole).max()?;
    let is_own = |number: &&Written| {
        let fits = number.column.is_none_or(|(digits, scale)| {
            let is_room = digits == whole || has_integers && INTEGER_DIGITS.contains(&digits);
            scale == most && is_room
        });
        fits && number.needed.max(least) == number.scale
    };
    (least < most && numbers.iter().all(is_own)).then_some(least)
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::lit;

    use super::*;

    #[test]
    fn each_number_has_the_digits_that_it_is_written_with() {
        let number = |value, digits, scale| {
            let number = lit(ScalarValue::Decimal128(Some(value), digits, scale));
            Found::Written(Written::of(&number).unwrap())
        };
        let (half, quarter, whole) = (number(15, 2, 1), number(225, 3, 2), number(10, 2, 1));
        assert_eq!(least(&[half.clone(), quarter.clone()]), Some(1));
        assert_eq!(least(&[whole.clone(), quarter.clone(), Found::Open]), Some(1));
        assert_eq!(least(&[Found::Number, half.clone()]), Some(0));
        // One as wide as the others needs nothing, and a zero that is written here is not there.
        assert_eq!(least(&[half.clone(), half.clone()]), None);
        assert_eq!(least(&[Found::Number, whole, half.clone()]), None);
        assert_eq!(least(&[half, Found::Known(None)]), None);
        // A cast that is written says more digits than the numbers have.
        let cast = |to| {
            let number = lit(ScalarValue::Decimal128(Some(15), 2, 1));
            let cast = Expr::Cast(Cast::new(Box::new(number), to));
            Found::Written(Written::of(&cast).unwrap())
        };
        let within = cast(DataType::Decimal128(3, 2));
        assert_eq!(least(&[within, quarter.clone()]), Some(1));
        assert_eq!(least(&[cast(DataType::Decimal128(12, 2)), quarter]), None);
        let scaled = Found::Known(Some(plain_from(1)));
        assert_eq!(shown(&[scaled.clone(), Found::Number]), Some(plain_from(1)));
        assert_eq!(shown(&[scaled.clone(), number(5, 1, 1)]), Some(plain_from(1)));
        assert_eq!(shown(&[scaled.clone(), number(50, 2, 2)]), None);
        assert_eq!(shown(&[scaled, Found::Known(Some("decimal".to_owned()))]), None);
        let half = lit(ScalarValue::Decimal128(Some(5), 1, 1));
        assert!(keeps(&plain_from(1), &half, &DataType::Decimal128(1, 1)));
        assert!(!keeps(&plain_from(0), &half, &DataType::Decimal128(1, 1)));
        assert!(keeps(&plain_from(0), &lit(2), &DataType::Int32));
    }
}
