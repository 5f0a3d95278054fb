//! `overlaps(start, end, start, end)`, which is `(start, end) OVERLAPS (start, end)`.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Volatility;

use super::age::micros;
use super::{Body, Call, Function, Kind};

/// Its name.
pub(in crate::query::postgres) const NAME: &str = "overlaps";

pub(super) const FUNCTIONS: &[Function] = &[Function::new(
    NAME,
    &[Kind::Any, Kind::Any, Kind::Any, Kind::Any],
    "bool",
    Body::Column(all),
)
.with_nulls()
.with(Volatility::Immutable)];

fn all(call: &Call<'_>) -> Result<ArrayRef> {
    let types = || call.arguments.iter().map(|argument| argument.data_type());
    let zoned = |of: &DataType| matches!(of, DataType::Timestamp(_, Some(_)));
    let local = |of: &DataType| matches!(of, DataType::Timestamp(_, None) | DataType::Date32);
    if types().any(zoned) && types().any(local) {
        return plan_err!("OVERLAPS takes times that all have a zone, or all have none");
    }
    let moments: Vec<ArrayRef> = call.arguments.iter().map(moments).collect::<Result<_>>()?;
    let moment = |at: usize, row: usize| {
        let moments = moments.get(at)?.as_primitive_opt::<Int64Type>()?;
        moments.is_valid(row).then(|| moments.value(row))
    };
    let found = (0..call.rows)
        .map(|row| overlap((moment(0, row), moment(1, row)), (moment(2, row), moment(3, row))));
    Ok(Arc::new(found.collect::<BooleanArray>()))
}

fn moments(array: &ArrayRef) -> Result<ArrayRef> {
    let counted = match array.data_type() {
        DataType::Time64(_) | DataType::Null => cast(array, &DataType::Int64)?,
        _ => cast(&micros(array)?, &DataType::Int64)?,
    };
    Ok(counted)
}

type Span = (Option<i64>, Option<i64>);

/// Whether two spans overlap, each from its earlier end on up to the later one, which is none of it. A span of one point has
/// that, and of a span of which one end is known that is its beginning.
fn overlap(one: Span, other: Span) -> Option<bool> {
    let in_order = |(start, end): Span| match (start, end) {
        (None, end) => (end, None),
        (Some(start), Some(end)) if start > end => (Some(end), Some(start)),
        ends => ends,
    };
    let ((one_start, one_end), (other_start, other_end)) = (in_order(one), in_order(other));
    // Whether what begins later does so before the end of the other.
    let begins_within = |later: i64, end: Option<i64>, own_end: Option<i64>| match end {
        None => None,
        Some(end) if later < end => Some(true),
        Some(_) => own_end.map(|_| false),
    };
    let (one_start, other_start) = (one_start?, other_start?);
    match one_start.cmp(&other_start) {
        Ordering::Greater => begins_within(one_start, other_end, one_end),
        Ordering::Less => begins_within(other_start, one_end, other_end),
        Ordering::Equal => one_end.and(other_end).map(|_| true),
    }
}

#[cfg(test)]
mod tests {
    use super::overlap;

    #[test]
    fn spans_overlap_as_in_postgres() {
        let check = |one: [i64; 2], other: [i64; 2], expected: bool| {
            let span = |ends: [i64; 2]| (Some(ends[0]), Some(ends[1]));
            assert_eq!(overlap(span(one), span(other)), Some(expected), "{one:?} {other:?}");
            assert_eq!(overlap(span(other), span(one)), Some(expected), "{other:?} {one:?}");
        };
        check([1, 5], [3, 8], true);
        check([1, 3], [3, 5], false);
        check([5, 1], [2, 2], true);
        check([3, 3], [3, 5], true);
        check([5, 5], [3, 5], false);
        check([1, 2], [3, 4], false);
        assert_eq!(overlap((Some(1), None), (Some(2), Some(3))), None);
        assert_eq!(overlap((Some(4), None), (Some(2), Some(5))), Some(true));
        assert_eq!(overlap((None, None), (Some(2), Some(5))), None);
    }
}
