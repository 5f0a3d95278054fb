//! Values as PostgreSQL reads them from text: literals of a statement, and parameters.
//!
//! Arrow reads less than PostgreSQL writes, such as intervals with a clock, times without seconds and bytes in hexadecimal
//! digits, and it knows no zone of a session. So a text that is known when a statement is planned is read here. What no
//! type of the lake can hold, such as an infinite date, is refused.

mod bytes;
mod moment;
mod number;
mod span;

use std::sync::Arc;

use datafusion::common::ScalarValue;
use udfs::{Json, Keeping, Spacing};
use uuid::Uuid;

pub use self::bytes::uuid;
pub use self::span::Span;

use super::types::{self, UTC};
use super::zone::Zone;
use crate::Error;

/// Why a text is no value of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It has not the form of the type.
    Form,
    /// It has not the form of a date, a time or an interval.
    MomentForm,
    /// A day, an hour or the like that there is not.
    Moment,
    /// It is further from UTC than any zone.
    Displacement,
    /// It is a number that does not fit.
    Range,
    /// Hexadecimal digits that are none, or one too few.
    Digits,
    /// It is no number, or an infinite one or moment.
    Infinite,
}

impl Refusal {
    /// Returns the SQLSTATE.
    pub fn sqlstate(self) -> &'static str {
        match self {
            Refusal::Form => "22P02",
            Refusal::MomentForm => "22007",
            Refusal::Moment => "22008",
            Refusal::Displacement => "22009",
            Refusal::Range => "22003",
            Refusal::Digits => "22023",
            Refusal::Infinite => "0A000",
        }
    }

    /// Says what is wrong, with the name of the type and without the value.
    pub fn message(self, pg_type: &str) -> String {
        let name = types::by_name(pg_type).map_or(pg_type, |known| known.display.as_str());
        match self {
            Refusal::Form | Refusal::MomentForm => format!("invalid input syntax for type {name}"),
            Refusal::Moment => "date/time field value out of range".to_owned(),
            Refusal::Displacement => "time zone displacement out of range".to_owned(),
            Refusal::Range => format!("value out of range for type {name}"),
            Refusal::Digits => "invalid hexadecimal data".to_owned(),
            Refusal::Infinite => {
                format!("values of type {name} that are infinite or no number are not supported")
            }
        }
    }

    /// Says what to do; empty if the message says it.
    pub fn hint(self) -> &'static str {
        match self {
            Refusal::Infinite => "Use double precision for numbers, and null for no end.",
            Refusal::Moment => "Write dates as 2026-01-31, times as 23:59:59.",
            _ => "",
        }
    }

    pub(super) fn error(self, pg_type: &str) -> Error {
        Error::Standard {
            sqlstate: self.sqlstate(),
            message: self.message(pg_type),
            hint: self.hint().to_owned(),
        }
    }
}

/// Reads a value of a type, named as in `pg_type`, in a session's zone; `None` for types that a text is as it stands.
pub fn read(text: &str, pg_type: &str, zone: &Zone) -> Option<Result<ScalarValue, Refusal>> {
    let trimmed = text.trim();
    let out_of_range = |_| Refusal::Range;
    Some(match pg_type {
        "bool" => number::boolean(trimmed).map(|flag| ScalarValue::Boolean(Some(flag))),
        "int2" => number::integer(trimmed)
            .and_then(|number| i16::try_from(number).map_err(out_of_range))
            .map(|number| ScalarValue::Int16(Some(number))),
        "int4" => number::integer(trimmed)
            .and_then(|number| i32::try_from(number).map_err(out_of_range))
            .map(|number| ScalarValue::Int32(Some(number))),
        "int8" | "oid" | "xid" | "cid" => {
            number::integer(trimmed).map(|number| ScalarValue::Int64(Some(number)))
        }
        "float4" => number::float4(trimmed).map(|number| ScalarValue::Float32(Some(number))),
        "float8" => number::float8(trimmed).map(|number| ScalarValue::Float64(Some(number))),
        "numeric" => number::numeric(trimmed),
        "bytea" => self::bytes::bytea(text).map(|bytes| ScalarValue::Binary(Some(bytes))),
        "uuid" => {
            uuid(trimmed).map(|bytes| ScalarValue::Utf8(Some(Uuid::from_bytes(bytes).to_string())))
        }
        "date" => moment::date(trimmed).map(|days| ScalarValue::Date32(Some(days))),
        "time" => moment::time(trimmed).map(|micros| ScalarValue::Time64Microsecond(Some(micros))),
        "timestamp" => moment::timestamp(trimmed)
            .map(|micros| ScalarValue::TimestampMicrosecond(Some(micros), None)),
        "timestamptz" => moment::timestamptz(trimmed, zone)
            .map(|micros| ScalarValue::TimestampMicrosecond(Some(micros), Some(Arc::from(UTC)))),
        "interval" => interval(trimmed),
        "json" => json(text, Keeping::Everything),
        "jsonb" => json(text, Keeping::Values),
        _ => return None,
    })
}

fn interval(text: &str) -> Result<ScalarValue, Refusal> {
    let span = Span::parse(text).ok_or(Refusal::MomentForm)?;
    let nanos = span.micros.checked_mul(1000).ok_or(Refusal::Moment)?;
    Ok(ScalarValue::new_interval_mdn(span.months, span.days, nanos))
}

/// JSON as it is written, or as `jsonb` keeps it.
fn json(text: &str, keeping: Keeping) -> Result<ScalarValue, Refusal> {
    let value = Json::parse(text, keeping).ok_or(Refusal::Form)?;
    let mut kept = text.to_owned();
    if keeping == Keeping::Values {
        kept.clear();
        value.write(Spacing::Blanks, &mut kept);
    }
    Ok(ScalarValue::Utf8(Some(kept)))
}

#[cfg(test)]
mod tests;
