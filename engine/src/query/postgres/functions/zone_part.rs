//! `extract(timezone FROM time)`, `timezone_hour` and `timezone_minute`: how far a zone is from UTC at a point in time.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::age::micros;
use super::endless::is_endless_time;
use crate::query::postgres::zone::Zone;

const SECOND_US: i64 = 1_000_000;

/// What is asked of an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::query::postgres) enum ZonePart {
    Seconds,
    Hours,
    Minutes,
}

/// Returns the part that a field of `extract` names.
pub(in crate::query::postgres) fn zone_part(field: &str) -> Option<ZonePart> {
    Some(match field.trim().to_ascii_lowercase().as_str() {
        "timezone" => ZonePart::Seconds,
        "timezone_h" | "timezone_hour" => ZonePart::Hours,
        "timezone_m" | "timezone_minute" => ZonePart::Minutes,
        _ => return None,
    })
}

/// A part of the offset of a zone at a point in time, as a number of a type.
pub(in crate::query::postgres) fn offset_part(
    part: ZonePart,
    zone: &str,
    to: DataType,
    moment: Expr,
) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::from(OffsetPart { part, zone: zone.to_owned(), to, signature }).call(vec![moment])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OffsetPart {
    part: ZonePart,
    zone: String,
    to: DataType,
    signature: Signature,
}

impl ZonePart {
    fn of(self, offset: i64) -> i64 {
        match self {
            ZonePart::Seconds => offset,
            ZonePart::Hours => offset / 3600,
            ZonePart::Minutes => offset % 3600 / 60,
        }
    }
}

impl ScalarUDFImpl for OffsetPart {
    fn name(&self) -> &str {
        "zone_offset"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [moments] = args.args.as_slice() else {
            return internal_err!("zone_offset takes one argument");
        };
        let is_constant = matches!(moments, ColumnarValue::Scalar(_));
        let moments = micros(&moments.to_array(if is_constant { 1 } else { args.number_rows })?)?;
        let zone = Zone::parse(&self.zone).unwrap_or_else(Zone::utc);
        let parts = moments.as_primitive::<TimestampMicrosecondType>().iter().map(|moment| {
            let moment = moment.filter(|moment| !is_endless_time(*moment))?;
            Some(self.part.of(zone.offset_at(moment.div_euclid(SECOND_US)).into()))
        });
        let parts = cast(&(Arc::new(parts.collect::<Int64Array>()) as ArrayRef), &self.to)?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&parts, 0)?),
            false => ColumnarValue::Array(parts),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_the_sign_of_the_offset() {
        let all = [ZonePart::Seconds, ZonePart::Hours, ZonePart::Minutes];
        assert_eq!(all.map(|part| part.of(-12_600)), [-12_600, -3, -30]);
        assert_eq!(all.map(|part| part.of(20_700)), [20_700, 5, 45]);
        assert_eq!(zone_part("TimeZone_Minute"), Some(ZonePart::Minutes));
        assert_eq!(zone_part("hour"), None);
    }
}
