//! Items that are compared.

use std::cmp::Ordering;

use udfs::number_order;

use super::{Item, Scalar};
use crate::query::postgres::functions::jsonb::path::node::Comparison;

/// How two items stand to each other; nothing if they do not.
pub(super) fn compare(comparison: Comparison, one: Item<'_>, other: Item<'_>) -> Option<bool> {
    use Scalar as S;
    let order = match (one.scalar(), other.scalar()) {
        (S::Compound, S::Compound) => return None,
        (S::Null, S::Null) => Ordering::Equal,
        // Null is unlike all others, and stands in no order to them.
        (S::Null, _) | (_, S::Null) => return Some(comparison == Comparison::NotEqual),
        (S::Bool(one), S::Bool(other)) => one.cmp(&other),
        (S::Text(one), S::Text(other)) => one.cmp(other),
        (one, other) => number_order(number(&one)?, number(&other)?),
    };
    Some(match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}

fn number<'s>(scalar: &'s Scalar<'_>) -> Option<&'s str> {
    match scalar {
        Scalar::Number(number) => Some(number),
        Scalar::Count(count) => Some(count),
        _ => None,
    }
}

/// Tells whether a text begins with another; nothing if they are no texts.
pub(super) fn starts_with(text: Item<'_>, start: Item<'_>) -> Option<bool> {
    match (text.scalar(), start.scalar()) {
        (Scalar::Text(text), Scalar::Text(start)) => Some(text.starts_with(start)),
        _ => None,
    }
}
