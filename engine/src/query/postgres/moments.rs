//! Points in time beside days and wall clocks, which are those of the session's zone.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, binary_expr};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::facts::SessionFacts;
use super::functions::{between, elapsed, in_zone, moved};
use super::types::UTC;
use super::zone::{DateOrder, Zone};

/// The type of points in time of no zone.
pub(super) const WALL_CLOCK: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// Returns the type of points in time.
pub(super) fn moment_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

/// Returns the zone of a session, with the order of its dates.
pub(crate) fn zone_of(facts: &SessionFacts) -> Zone {
    let zone = facts.setting("TimeZone").and_then(|name| Zone::parse(&name));
    let order = facts.setting("DateStyle").map(|style| DateOrder::named(&style));
    zone.unwrap_or_else(Zone::utc).with_order(order.unwrap_or_default())
}

/// Returns the zone of a session, if it is another than UTC.
fn local_zone(facts: &SessionFacts) -> Option<Zone> {
    Some(zone_of(facts)).filter(Zone::is_local)
}

/// A wall clock as a point in time; a constant as one.
pub(super) fn moment(expr: Expr, zone: &Zone) -> Expr {
    if let Expr::Literal(value, _) = &expr
        && let Ok(ScalarValue::TimestampMicrosecond(clock, None)) = value.cast_to(&WALL_CLOCK)
    {
        let moment = clock.map(|clock| zone.moment(clock));
        return Expr::Literal(ScalarValue::TimestampMicrosecond(moment, Some(UTC.into())), None);
    }
    match zone.is_local() {
        true => in_zone(zone.name(), expr),
        false => Expr::Cast(Cast::new(Box::new(expr), moment_type())),
    }
}

/// The beginning of a day; of a constant one.
pub(super) fn midnight(day: Expr) -> Expr {
    if let Expr::Literal(value, _) = &day
        && let Ok(midnight) = value.cast_to(&WALL_CLOCK)
    {
        return Expr::Literal(midnight, None);
    }
    Expr::Cast(Cast::new(Box::new(day), WALL_CLOCK))
}

/// Tells whether a type is that of days or of wall clocks.
pub(super) fn is_clock(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Timestamp(_, None))
}

/// Tells whether a type is that of points in time.
pub(super) fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, Some(_)))
}

/// Brings an expression to the type of what it is compared with: a day or a wall clock to a point in time, and a day to a
/// wall clock.
pub(super) fn beside(expr: Expr, of: &DataType, other: &DataType, zone: &Zone) -> Expr {
    match (of, other) {
        (DataType::Date32, DataType::Timestamp(_, None)) => midnight(expr),
        // In UTC a parameter is cast once: filters that compare with it go below the governed leaf.
        (DataType::Date32, DataType::Timestamp(_, Some(_)))
            if !zone.is_local() && !matches!(expr, Expr::Literal(..)) =>
        {
            Expr::Cast(Cast::new(Box::new(expr), moment_type()))
        }
        (DataType::Date32, DataType::Timestamp(_, Some(_))) => moment(midnight(expr), zone),
        // In UTC the two are the same numbers.
        (DataType::Timestamp(_, None), DataType::Timestamp(_, Some(_))) if zone.is_local() => {
            moment(expr, zone)
        }
        _ => expr,
    }
}

/// Plans a difference of points in time, and one that is some time before or after another; `None` for what DataFusion
/// plans as PostgreSQL does.
pub(super) fn arithmetic(
    op: &BinaryOperator,
    left: &Expr,
    right: &Expr,
    schema: &DFSchema,
    facts: &SessionFacts,
) -> Option<Expr> {
    use BinaryOperator::{Minus, Plus};
    use DataType::{Date32, Interval, Timestamp};
    if !matches!(op, Plus | Minus) {
        return None;
    }
    let (one, other) = (left.get_type(schema).ok()?, right.get_type(schema).ok()?);
    match (op, &one, &other) {
        (Minus, Timestamp(..), Timestamp(..) | Date32) | (Minus, Date32, Timestamp(..)) => {
            let zone = zone_of(facts);
            let later = beside(left.clone(), &one, &other, &zone);
            Some(elapsed(later, beside(right.clone(), &other, &one, &zone)))
        }
        (Plus | Minus, Timestamp(_, zoned), Interval(_)) if has_days(right) => {
            let Some(zone) = local_zone(facts).filter(|_| zoned.is_some()) else {
                // Days have 24 hours: what passed between two times is a number of microseconds.
                let [later, earlier] = between(right)?;
                let passed = binary_expr(later.clone(), Operator::Minus, earlier.clone());
                let op = if *op == Minus { Operator::Minus } else { Operator::Plus };
                return Some(binary_expr(left.clone(), op, passed));
            };
            let span = match op {
                Minus => Expr::Negative(Box::new(right.clone())),
                _ => right.clone(),
            };
            Some(moved(zone.name(), left.clone(), span))
        }
        (Plus, Interval(_), Timestamp(_, Some(_))) if has_days(left) => {
            Some(moved(local_zone(facts)?.name(), right.clone(), left.clone()))
        }
        _ => None,
    }
}

/// Tells whether an interval may have days or months.
fn has_days(interval: &Expr) -> bool {
    match interval {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => {
            interval.months != 0 || interval.days != 0
        }
        _ => true,
    }
}

/// Brings a column of days, wall clocks or points in time to another of these types in a zone; `None` where a cast does so.
pub(crate) fn assigned(
    array: &ArrayRef,
    target: &DataType,
    zone: &Zone,
) -> Option<Result<ArrayRef>> {
    let from = array.data_type();
    let turns = is_clock(from) && is_moment(target) || is_moment(from) && is_clock(target);
    (turns && zone.is_local()).then(|| {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let to_clock = is_moment(from);
        let known = if to_clock { moment_type() } else { WALL_CLOCK };
        let known = cast_with_options(array, &known, &options)?;
        let micros = known.as_primitive::<TimestampMicrosecondType>();
        let turned: PrimitiveArray<TimestampMicrosecondType> = match to_clock {
            true => micros.unary(|micros| zone.wall_clock(micros)),
            false => micros.unary(|micros| zone.moment(micros)),
        };
        let zone = (!to_clock).then_some(UTC);
        let turned: ArrayRef = Arc::new(turned.with_timezone_opt(zone));
        Ok(cast_with_options(&turned, target, &options)?)
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Date32Array, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn columns_are_turned_in_the_zone() {
        let zone = Zone::parse("America/New_York").unwrap();
        let day: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), None]));
        let moments = assigned(&day, &moment_type(), &zone).unwrap().unwrap();
        let expected = TimestampMicrosecondArray::from(vec![Some(18_000_000_000), None]);
        let expected: ArrayRef = Arc::new(expected.with_timezone(UTC));
        assert_eq!(&moments, &expected);
        let days = assigned(&moments, &DataType::Date32, &zone).unwrap().unwrap();
        assert_eq!(&days, &day);
        assert!(assigned(&day, &moment_type(), &Zone::utc()).is_none());
        assert!(assigned(&day, &DataType::Date32, &zone).is_none());
    }
}
