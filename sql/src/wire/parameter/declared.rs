//! Which Arrow type a parameter of a declared Postgres type is planned as.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use engine::query::postgres::types::UUID_PARAMETER;

use crate::wire::types::{element_of, oid};

/// Returns the Arrow type that says which Postgres type a parameter was declared with, or `None` when the type says
/// nothing (`unknown`, 0) or is not known. Values are of the type that `held_as` gives.
pub(crate) fn arrow_of(oid: u32) -> Option<DataType> {
    if let Some(element) = element_of(oid) {
        return arrow_of(element).map(|element| DataType::new_list(element, true));
    }
    Some(match oid {
        oid::BOOL => DataType::Boolean,
        oid::INT2 => DataType::Int16,
        oid::INT4 => DataType::Int32,
        oid::INT8
        | oid::OID
        | oid::XID
        | oid::CID
        | oid::REGCLASS
        | oid::REGTYPE
        | oid::REGPROC => DataType::Int64,
        oid::FLOAT4 => DataType::Float32,
        oid::FLOAT8 => DataType::Float64,
        // What a numeric is planned as: its value keeps the digits that it has.
        oid::NUMERIC => DataType::Decimal128(38, 10),
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::CHAR | oid::JSON | oid::JSONB => {
            DataType::Utf8
        }
        oid::BYTEA => DataType::Binary,
        oid::UUID => UUID_PARAMETER,
        oid::DATE => DataType::Date32,
        oid::TIME => DataType::Time64(TimeUnit::Microsecond),
        oid::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        oid::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        oid::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => return None,
    })
}

/// Returns the Arrow type that values of a Postgres type are held in.
pub(crate) fn held_as(oid: u32) -> Option<DataType> {
    if let Some(element) = element_of(oid) {
        return held_as(element).map(|element| DataType::new_list(element, true));
    }
    arrow_of(oid).map(|held| if held == UUID_PARAMETER { DataType::Utf8 } else { held })
}
