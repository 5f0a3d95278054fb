//! `timezone(zone, x)`, which `x AT TIME ZONE zone` is: a point in time as the wall clock of a zone shows it, and back.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondBuilder};
use datafusion::arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use super::elapsed::INTERVAL;
use super::failure;
use crate::Error;
use crate::query::postgres::input::abbreviated;
use crate::query::postgres::types::UTC;
use crate::query::postgres::zone::Zone;

static TIMEZONE: LazyLock<ScalarUDF> = LazyLock::new(|| {
    ScalarUDF::from(Timezone { signature: Signature::user_defined(Volatility::Immutable) })
});

/// Returns the function.
pub(super) fn timezone() -> ScalarUDF {
    TIMEZONE.clone()
}

/// Calls it for a zone that is known.
pub(in crate::query::postgres) fn in_zone(zone: &str, moment: Expr) -> Expr {
    TIMEZONE.call(vec![lit(zone), moment])
}

/// Tells whether a call is one of [`in_zone`].
pub(in crate::query) fn is_in_zone(call: &ScalarFunction) -> bool {
    call.func.inner().downcast_ref::<Timezone>().is_some()
}

/// What such a call with constants gives; `None` for other calls.
pub(in crate::query) fn known_in_zone(call: &ScalarFunction) -> Option<ScalarValue> {
    let [Expr::Literal(zone, _), Expr::Literal(time, _)] = call.args.as_slice() else {
        return None;
    };
    let zone = zone.try_as_str().flatten().filter(|_| is_in_zone(call))?;
    let zone = zone_of(zone).ok()?;
    match time {
        ScalarValue::TimestampMicrosecond(Some(clock), None) => {
            let moment = Some(zone.moment(*clock));
            Some(ScalarValue::TimestampMicrosecond(moment, Some(UTC.into())))
        }
        ScalarValue::TimestampMicrosecond(Some(moment), Some(_)) => {
            Some(ScalarValue::TimestampMicrosecond(Some(zone.wall_clock(*moment)), None))
        }
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Timezone {
    signature: Signature,
}

fn wall_clock() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

fn moment() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

impl ScalarUDFImpl for Timezone {
    fn name(&self) -> &str {
        "timezone"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [zone, time] = types else { return plan_err!("timezone() takes a zone and a time") };
        // An interval is how far a zone is east of Greenwich.
        let zone = if matches!(zone, DataType::Interval(_)) { INTERVAL } else { DataType::Utf8 };
        let time = match time {
            DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64 => wall_clock(),
            DataType::Timestamp(_, Some(_)) | DataType::Null => moment(),
            text if text.is_string() => moment(),
            other => return plan_err!("timezone() takes a point in time, not {other}"),
        };
        Ok(vec![zone, time])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [_, DataType::Timestamp(_, Some(_))] => Ok(wall_clock()),
            [_, _] => Ok(moment()),
            _ => internal_err!("timezone takes two arguments"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let [zones, times] = args.args.as_slice() else {
            return internal_err!("timezone takes two arguments");
        };
        let (zones, times) = (zones.to_array(rows)?, times.to_array(rows)?);
        let texts = zones.as_string_opt::<i32>();
        let spans = zones.as_primitive_opt::<IntervalMonthDayNanoType>();
        let to_wall_clock = matches!(times.data_type(), DataType::Timestamp(_, Some(_)));
        let micros = times.as_primitive::<TimestampMicrosecondType>();
        let mut found = TimestampMicrosecondBuilder::with_capacity(rows);
        let mut known: Option<(&str, Zone)> = None;
        for row in 0..rows {
            if zones.is_null(row) || micros.is_null(row) {
                found.append_null();
                continue;
            }
            let name = texts.map_or("", |texts| texts.value(row));
            let zone = match (&known, spans) {
                (_, Some(spans)) => &known.insert((name, zone_east(spans.value(row))?)).1,
                (Some((last, zone)), None) if *last == name => zone,
                _ => &known.insert((name, zone_of(name)?)).1,
            };
            let micros = micros.value(row);
            found.append_value(match to_wall_clock {
                true => zone.wall_clock(micros),
                false => zone.moment(micros),
            });
        }
        let zone = (!to_wall_clock).then_some(UTC);
        let array: ArrayRef = Arc::new(found.finish().with_timezone_opt(zone));
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
            false => ColumnarValue::Array(array),
        })
    }
}

/// The zone that is always so far east of Greenwich.
fn zone_east(span: IntervalMonthDayNano) -> Result<Zone> {
    let seconds = i32::try_from(span.nanoseconds / 1_000_000_000).ok();
    let seconds = seconds.filter(|_| span.months == 0 && span.days == 0);
    seconds.map(Zone::fixed).ok_or_else(|| {
        failure(Error::Standard {
            sqlstate: "22023",
            message: "interval time zone must not include months or days".to_owned(),
            hint: "Give the hours and minutes east of Greenwich.".to_owned(),
        })
    })
}

fn zone_of(name: &str) -> Result<Zone> {
    let abbreviated = || abbreviated(name).map(Zone::fixed);
    Zone::of_clock(name).or_else(abbreviated).ok_or_else(|| {
        failure(Error::Standard {
            sqlstate: "22023",
            message: "time zone not recognized".to_owned(),
            hint: "Use a name such as Europe/Warsaw, or UTC.".to_owned(),
        })
    })
}
