//! A cast of texts to days, times, points in time or intervals: each is read as a literal is.
//!
//! Arrow knows fewer forms of them. It takes a time without a zone for one of UTC, where it is one of the session's, and
//! brings one with a zone to UTC, where a wall clock or a day passes over the zone.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::failure;
use crate::query::postgres::input;
use crate::query::postgres::moments::{WALL_CLOCK, moment_type};
use crate::query::postgres::zone::{DateOrder, Zone};

/// The type that texts are read as where they are cast to a type; `None` for types of other values than times.
pub(in crate::query::postgres) fn read_as(to: &DataType) -> Option<DataType> {
    match to {
        DataType::Date32 => Some(DataType::Date32),
        DataType::Time64(_) => Some(DataType::Time64(TimeUnit::Microsecond)),
        DataType::Timestamp(_, None) => Some(WALL_CLOCK),
        DataType::Timestamp(_, Some(_)) => Some(moment_type()),
        DataType::Interval(IntervalUnit::MonthDayNano) => Some(to.clone()),
        _ => None,
    }
}

/// Reads an expression of texts as times of a type that [`read_as`] gave, in a zone.
pub(in crate::query::postgres) fn read_times(texts: Expr, to: DataType, zone: &Zone) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    let (order, zone) = (zone.order(), zone.name().to_owned());
    ScalarUDF::from(ReadTimes { to, zone, order, signature }).call(vec![texts])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ReadTimes {
    to: DataType,
    zone: String,
    order: DateOrder,
    signature: Signature,
}

impl ScalarUDFImpl for ReadTimes {
    fn name(&self) -> &str {
        "time_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts] = args.args.as_slice() else {
            return internal_err!("time_of takes one argument");
        };
        let is_constant = matches!(texts, ColumnarValue::Scalar(_));
        let texts = texts.to_array(if is_constant { 1 } else { args.number_rows })?;
        let texts = cast(&texts, &DataType::Utf8)?;
        let zone = Zone::parse(&self.zone).unwrap_or_else(Zone::utc).with_order(self.order);
        let Some(times) = input::times(texts.as_string::<i32>(), &self.to, &zone) else {
            return internal_err!("times are read, and not {}", self.to);
        };
        let times = times.map_err(failure)?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&times, 0)?),
            false => ColumnarValue::Array(times),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Array, ArrayRef, StringViewArray};
    use datafusion::arrow::datatypes::Field;
    use datafusion::arrow::util::display::array_value_to_string;
    use datafusion::common::config::ConfigOptions;

    use super::*;

    fn read(texts: &[Option<&str>], to: &DataType) -> Result<Vec<String>> {
        let Some(to) = read_as(to) else { return internal_err!("times are read") };
        let zone = Zone::parse("Europe/Berlin").unwrap().with_order(DateOrder::DayMonth);
        let Expr::ScalarFunction(call) = read_times(Expr::default(), to.clone(), &zone) else {
            return internal_err!("a function is called");
        };
        let texts: ArrayRef = Arc::new(StringViewArray::from(texts.to_vec()));
        let args = ScalarFunctionArgs {
            number_rows: texts.len(),
            args: vec![ColumnarValue::Array(texts)],
            arg_fields: vec![Arc::new(Field::new("text", DataType::Utf8View, true))],
            return_field: Arc::new(Field::new("time", to, true)),
            config_options: Arc::new(ConfigOptions::default()),
        };
        let times = call.func.invoke_with_args(args)?.to_array(1)?;
        (0..times.len()).map(|row| Ok(array_value_to_string(&times, row)?)).collect()
    }

    #[test]
    fn texts_are_read_as_literals_are() {
        let check = |texts: &[Option<&str>], to: &DataType, expected: &[&str]| {
            assert_eq!(read(texts, to).unwrap(), expected, "{to}");
        };
        let zoned = Some("2024-06-01T00:30:00+02:00");
        let clock = DataType::Timestamp(TimeUnit::Nanosecond, None);
        check(
            &[zoned, Some("2024-06-01 10:00"), None],
            &clock,
            &["2024-06-01T00:30:00", "2024-06-01T10:00:00", ""],
        );
        check(
            &[zoned, Some("2024-06-01 10:00:00")],
            &moment_type(),
            &["2024-05-31T22:30:00Z", "2024-06-01T08:00:00Z"],
        );
        check(&[zoned, Some(" 20240203 ")], &DataType::Date32, &["2024-06-01", "2024-02-03"]);
        check(&[Some("3/2/2024")], &DataType::Date32, &["2024-02-03"]);
        assert!(read(&[Some("x")], &DataType::Date32).is_err());
        assert!(read_as(&DataType::Int32).is_none());
    }
}
