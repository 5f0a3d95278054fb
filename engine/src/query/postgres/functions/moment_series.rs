//! `generate_series(start, stop, step)` of days and points in time, whose steps are those of the session's zone.
//!
//! DataFusion's counts in nanoseconds, which end in the year 2262, and in UTC. The rewriting of statements calls this
//! function where a step is an interval.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, ListArray, TimestampMicrosecondArray, new_null_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, IntervalMonthDayNano, IntervalMonthDayNanoType, TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::elapsed::{INTERVAL, later_by, length};
use super::failure;
use crate::Error;
use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::input;
use crate::query::postgres::moments::{WALL_CLOCK, assigned, is_moment, moment_type, zone_of};
use crate::query::postgres::types::UTC;
use crate::query::postgres::zone::Zone;
use crate::query::stop::check_current;

/// The name that the rewriting calls it by.
pub(in crate::query::postgres) const NAME: &str = "moment_series";

/// What one call makes has at most this many elements.
const ELEMENTS_MAX: usize = 10_000_000;
/// After so many elements it is asked whether the statement is to stop.
const ELEMENTS_BETWEEN_CHECKS: usize = 1 << 16;

/// Returns the function.
pub(super) fn moment_series(facts: &Arc<SessionFacts>) -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Stable);
    ScalarUDF::from(MomentSeries { facts: Arc::clone(facts), signature })
}

#[derive(Debug)]
struct MomentSeries {
    facts: Arc<SessionFacts>,
    signature: Signature,
}

impl PartialEq for MomentSeries {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.facts, &other.facts)
    }
}

impl Eq for MomentSeries {}

impl Hash for MomentSeries {
    fn hash<H: Hasher>(&self, state: &mut H) {
        NAME.hash(state);
    }
}

/// The type of the elements: wall clocks if a bound is one and none is a point in time.
fn element_of(bounds: &[DataType]) -> DataType {
    let has_clock = bounds.iter().any(|bound| matches!(bound, DataType::Timestamp(_, None)));
    if has_clock && !bounds.iter().any(is_moment) { WALL_CLOCK } else { moment_type() }
}

impl ScalarUDFImpl for MomentSeries {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [start, stop, step] = types else {
            return plan_err!("function generate_series does not take {} arguments", types.len());
        };
        let bound = |given: &DataType| match given {
            DataType::Timestamp(_, None) => Ok(WALL_CLOCK),
            DataType::Timestamp(_, Some(_)) => Ok(moment_type()),
            DataType::Date32 => Ok(DataType::Date32),
            text if text.is_string() || text.is_null() => Ok(DataType::Utf8),
            other => plan_err!("function generate_series does not take {other} as a bound"),
        };
        let step = if step.is_string() || step.is_null() { DataType::Utf8 } else { INTERVAL };
        Ok(vec![bound(start)?, bound(stop)?, step])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let bounds = &types[..types.len().min(2)];
        Ok(DataType::List(Arc::new(Field::new_list_field(element_of(bounds), true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let [start, stop, step] = arrays.as_slice() else {
            return plan_err!("function generate_series does not take {} arguments", arrays.len());
        };
        let element = element_of(&[start.data_type().clone(), stop.data_type().clone()]);
        let zone = if is_moment(&element) { zone_of(&self.facts) } else { Zone::utc() };
        let (start, stop) = (bounds(start, &element, &zone)?, bounds(stop, &element, &zone)?);
        let step = bounds(step, &INTERVAL, &zone)?;
        let lists = series(
            start.as_primitive::<TimestampMicrosecondType>(),
            stop.as_primitive::<TimestampMicrosecondType>(),
            step.as_primitive::<IntervalMonthDayNanoType>().iter(),
            &zone,
            is_moment(&element),
        )?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::List(Arc::new(lists))),
            false => ColumnarValue::Array(Arc::new(lists)),
        })
    }
}

/// An argument in the type of the elements, or as an interval.
fn bounds(array: &ArrayRef, to: &DataType, zone: &Zone) -> Result<ArrayRef> {
    if array.data_type().is_null() {
        return Ok(new_null_array(to, array.len()));
    }
    if let Some(texts) = array.as_string_opt::<i32>()
        && let Some(read) = input::times(texts, to, zone)
    {
        return read.map_err(failure);
    }
    match assigned(array, to, zone) {
        Some(turned) => turned,
        None => Ok(cast(array, to)?),
    }
}

fn series(
    start: &TimestampMicrosecondArray,
    stop: &TimestampMicrosecondArray,
    steps: impl Iterator<Item = Option<IntervalMonthDayNano>>,
    zone: &Zone,
    is_moment: bool,
) -> Result<ListArray> {
    let (mut values, mut lengths, mut given) = (Vec::new(), Vec::new(), Vec::new());
    for ((start, stop), step) in start.iter().zip(stop).zip(steps) {
        let before = values.len();
        given.push(start.is_some() && stop.is_some() && step.is_some());
        if let (Some(start), Some(stop), Some(step)) = (start, stop, step) {
            append(start, stop, &step, zone, &mut values)?;
        }
        lengths.push(values.len() - before);
    }
    let values =
        TimestampMicrosecondArray::from(values).with_timezone_opt(is_moment.then_some(UTC));
    let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    let nulls = Some(NullBuffer::from(given)).filter(|nulls| nulls.null_count() > 0);
    Ok(ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), Arc::new(values), nulls)?)
}

fn append(
    start: i64,
    stop: i64,
    step: &IntervalMonthDayNano,
    zone: &Zone,
    values: &mut Vec<i64>,
) -> Result<()> {
    let span = length(step);
    if span == 0 {
        return Err(failure(Error::Standard {
            sqlstate: "22023",
            message: "step size cannot equal zero".to_string(),
            hint: "Take a step that leads from the start to the stop.".to_string(),
        }));
    }
    let mut next = Some(start);
    while let Some(at) = next.filter(|at| if span > 0 { *at <= stop } else { *at >= stop }) {
        if values.len() >= ELEMENTS_MAX {
            return Err(failure(Error::Limit {
                sqlstate: "54000",
                message: format!("generate_series() would make more than {ELEMENTS_MAX} rows"),
                hint: "Make a shorter series.".to_string(),
            }));
        }
        values.push(at);
        if values.len().is_multiple_of(ELEMENTS_BETWEEN_CHECKS) {
            check_current()?;
        }
        // A step of months and days against each other may lead nowhere.
        next = later_by(at, step, zone).filter(|later| later.cmp(&at) == span.cmp(&0));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, start: &str, stop: &str, step: (i32, i32, i64), expected: &[&str]) {
        let zone = Zone::parse(zone).unwrap();
        let at = |text: &str| {
            let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
            zone.moment(time.and_utc().timestamp_micros())
        };
        let step = IntervalMonthDayNano::new(step.0, step.1, step.2 * 3_600_000_000_000);
        let mut values = vec![];
        append(at(start), at(stop), &step, &zone, &mut values).unwrap();
        let expected: Vec<i64> = expected.iter().map(|text| at(text)).collect();
        assert_eq!(values, expected, "{start}");
    }

    #[test]
    fn steps_are_those_of_the_zone() {
        let days = ["2024-03-09 00:00", "2024-03-10 00:00", "2024-03-11 00:00", "2024-03-12 00:00"];
        check("America/New_York", days[0], days[3], (0, 1, 0), &days);
        check("UTC", days[0], days[3], (0, 1, 0), &days);
        check("UTC", days[1], days[0], (0, 0, -12), &[days[1], "2024-03-09 12:00", days[0]]);
        check(
            "UTC",
            "9999-12-30 00:00",
            "9999-12-31 00:00",
            (0, 1, 0),
            &["9999-12-30 00:00", "9999-12-31 00:00"],
        );
        check(
            "UTC",
            "2024-01-31 00:00",
            "2024-03-31 00:00",
            (1, 0, 0),
            &["2024-01-31 00:00", "2024-02-29 00:00", "2024-03-29 00:00"],
        );
        check("UTC", days[1], days[0], (0, 1, 0), &[]);
    }

    #[test]
    fn a_step_of_nothing_is_refused() {
        let step = IntervalMonthDayNano::new(0, 0, 0);
        assert!(append(0, 1, &step, &Zone::utc(), &mut vec![]).is_err());
        // January has as many days as are taken back.
        let step = IntervalMonthDayNano::new(1, -31, 0);
        let mut values = vec![];
        append(0, -1, &step, &Zone::utc(), &mut values).unwrap();
        assert_eq!(values, [0]);
    }
}
