//! Percentiles of intervals, which are ordered by how long they are.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, Decimal128Array, IntervalMonthDayNanoArray, UInt32Array,
};
use datafusion::arrow::datatypes::{IntervalMonthDayNano, IntervalMonthDayNanoType};
use datafusion::common::{DataFusionError, Result};

use super::failure;
use crate::Error;
use crate::query::postgres::functions::elapsed::length;
use crate::query::postgres::functions::spans::scaled;

/// How long intervals are; `None` for other values.
pub(super) fn lengths(values: &ArrayRef) -> Option<ArrayRef> {
    let spans = values.as_primitive_opt::<IntervalMonthDayNanoType>()?;
    let lengths = Decimal128Array::from_iter_values(spans.values().iter().map(length));
    Some(Arc::new(lengths))
}

/// What lies at a share of the way from the first interval of an order to the last; there is one at least.
pub(super) fn between(
    spans: &IntervalMonthDayNanoArray,
    order: &UInt32Array,
    share: f64,
) -> Result<IntervalMonthDayNano> {
    // The number of values is far below what a float holds exactly.
    let place = share * (order.len() - 1) as f64;
    let at = |place: f64| spans.value(order.value(place as usize) as usize);
    let (low, high) = (at(place.floor()), at(place.ceil()));
    if place.floor() == place.ceil() {
        return Ok(low);
    }
    let way = joined(high, low, -1).ok_or_else(out_of_range)?;
    joined(scaled(way, place - place.floor(), false)?, low, 1).ok_or_else(out_of_range)
}

/// An interval with another added, or taken away.
fn joined(
    one: IntervalMonthDayNano,
    other: IntervalMonthDayNano,
    sign: i32,
) -> Option<IntervalMonthDayNano> {
    Some(IntervalMonthDayNano::new(
        one.months.checked_add(other.months.checked_mul(sign)?)?,
        one.days.checked_add(other.days.checked_mul(sign)?)?,
        one.nanoseconds.checked_add(other.nanoseconds.checked_mul(sign.into())?)?,
    ))
}

fn out_of_range() -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "22008",
        message: "interval out of range".to_owned(),
        hint: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are those of PostgreSQL 15.
    #[test]
    fn percentiles_lie_between_intervals() {
        const HOUR: i64 = 3_600_000_000_000;
        let spans = [(0, 29, 0), (1, 0, 0), (0, 31, 10 * HOUR), (12, -3, 0)];
        let spans =
            spans.map(|(months, days, nanos)| IntervalMonthDayNano::new(months, days, nanos));
        let spans = IntervalMonthDayNanoArray::from(spans.to_vec());
        let order = UInt32Array::from(vec![0, 1, 2, 3]);
        for (share, expected) in [
            (0.5, IntervalMonthDayNano::new(1, 0, 17 * HOUR)),
            (0.25, IntervalMonthDayNano::new(0, 30, -6 * HOUR)),
            (0.0, IntervalMonthDayNano::new(0, 29, 0)),
            (1.0, IntervalMonthDayNano::new(12, -3, 0)),
        ] {
            assert_eq!(between(&spans, &order, share).unwrap(), expected, "{share}");
        }
    }
}
