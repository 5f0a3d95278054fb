//! Which Arrow type a parameter of a declared Postgres type is planned as.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

use crate::wire::types::{element_of, oid};

/// Returns the Arrow type that a parameter of a declared Postgres type is planned as, or `None` when the type says
/// nothing (`unknown`, 0) or is not known.
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
        // As in the lake: a uuid is sixteen bytes.
        oid::UUID => DataType::Binary,
        oid::DATE => DataType::Date32,
        oid::TIME => DataType::Time64(TimeUnit::Microsecond),
        oid::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        oid::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        oid::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => return None,
    })
}
