//! Values as PostgreSQL reads them from text: literals of a statement, and parameters.
//!
//! Arrow reads less than PostgreSQL writes, such as intervals with a clock, times without seconds and bytes in hexadecimal
//! digits, and it knows no zone of a session. So a text that is known when a statement is planned is read here. What no
//! type here can hold, such as an infinite numeric, is refused.

mod bytes;
mod documents;
mod moment;
mod number;
mod span;

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, Date32Array, IntervalMonthDayNanoArray, StringArray, StringBuilder,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

pub use self::bytes::uuid;
pub(in crate::query::postgres) use self::bytes::{bytea, escaped, hexadecimal};
pub(crate) use self::documents::{JSON_HINT, Kept, NO_JSON, documents, order_of, orders};
pub(in crate::query::postgres) use self::moment::{ABBREVIATIONS, abbreviated};
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
    /// Hexadecimal digits that are none.
    Digits,
    /// One hexadecimal digit too few.
    OddDigits,
    /// It is no number, or an infinite one.
    Infinite,
    /// It escapes a letter that no text has.
    Letter,
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
            Refusal::Digits | Refusal::OddDigits => "22023",
            Refusal::Infinite => "0A000",
            Refusal::Letter => "22P05",
        }
    }

    /// Says what is wrong, with the name of the type and without the value.
    pub fn message(self, pg_type: &str) -> String {
        let name = match pg_type {
            // What cannot be read is no JSON, of whatever type it was to be.
            "jsonb" => "json",
            other => types::by_name(other).map_or(other, |known| known.display.as_str()),
        };
        match self {
            Refusal::Form | Refusal::MomentForm => format!("invalid input syntax for type {name}"),
            Refusal::Moment => "date/time field value out of range".to_owned(),
            Refusal::Displacement => "time zone displacement out of range".to_owned(),
            Refusal::Range => format!("value out of range for type {name}"),
            Refusal::Digits => "invalid hexadecimal digit".to_owned(),
            Refusal::OddDigits => "invalid hexadecimal data: odd number of digits".to_owned(),
            Refusal::Letter => "unsupported Unicode escape sequence".to_owned(),
            Refusal::Infinite => {
                format!("values of type {name} that are infinite or no number are not supported")
            }
        }
    }

    /// Says what to do; empty if the message says it.
    pub fn hint(self) -> &'static str {
        match self {
            Refusal::Infinite => "Use double precision for such numbers.",
            Refusal::Moment => "Write dates as 2026-01-31, times as 23:59:59.",
            Refusal::Letter => "\\u0000 cannot be converted to text.",
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
            uuid(text).map(|bytes| ScalarValue::Utf8(Some(Uuid::from_bytes(bytes).to_string())))
        }
        "date" => moment::date(trimmed, zone.order()).map(|days| ScalarValue::Date32(Some(days))),
        "time" => moment::time(trimmed).map(|micros| ScalarValue::Time64Microsecond(Some(micros))),
        "timestamp" => moment::timestamp(trimmed, zone.order())
            .map(|micros| ScalarValue::TimestampMicrosecond(Some(micros), None)),
        "timestamptz" => moment::timestamptz(trimmed, zone)
            .map(|micros| ScalarValue::TimestampMicrosecond(Some(micros), Some(Arc::from(UTC)))),
        "interval" => interval(trimmed),
        "json" => Kept::AsWritten.read(text),
        "jsonb" => Kept::AsValues.read(text),
        _ => return None,
    })
}

/// Reads a column of texts as dates, times or intervals in a session's zone; `None` for other types.
pub fn times(texts: &StringArray, to: &DataType, zone: &Zone) -> Option<Result<ArrayRef, Error>> {
    use DataType::{Date32, Interval, Time64, Timestamp};
    let name = match to {
        Date32 => "date",
        Time64(TimeUnit::Microsecond) => "time",
        Timestamp(TimeUnit::Microsecond, None) => "timestamp",
        Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamptz",
        Interval(IntervalUnit::MonthDayNano) => "interval",
        _ => return None,
    };
    let texts = texts.iter().map(|text| text.map(str::trim));
    let order = zone.order();
    let read = match to {
        Date32 => all(texts, |text| moment::date(text, order))
            .map(|days| Arc::new(days.collect::<Date32Array>()) as ArrayRef),
        Time64(_) => all(texts, moment::time)
            .map(|micros| Arc::new(micros.collect::<Time64MicrosecondArray>()) as ArrayRef),
        Timestamp(_, None) => all(texts, |text| moment::timestamp(text, order))
            .map(|micros| Arc::new(micros.collect::<TimestampMicrosecondArray>()) as ArrayRef),
        Timestamp(_, _) => all(texts, |text| moment::timestamptz(text, zone)).map(|micros| {
            let micros: TimestampMicrosecondArray = micros.collect();
            Arc::new(micros.with_timezone(UTC)) as ArrayRef
        }),
        _ => all(texts, span_of)
            .map(|spans| Arc::new(spans.collect::<IntervalMonthDayNanoArray>()) as ArrayRef),
    };
    Some(read.map_err(|refusal| refusal.error(name)))
}

/// Brings a column of texts of uuids into the one form that they are shown and compared in.
pub(crate) fn uuids(texts: &StringArray) -> Result<StringArray, Error> {
    let mut written = StringBuilder::with_capacity(texts.len(), texts.len() * Hyphenated::LENGTH);
    let mut buffer = [0; Hyphenated::LENGTH];
    for text in texts {
        match text.map(uuid).transpose().map_err(|refusal| refusal.error("uuid"))? {
            Some(bytes) => {
                let id = Uuid::from_bytes(bytes).hyphenated();
                written.append_value(id.encode_lower(&mut buffer));
            }
            None => written.append_null(),
        }
    }
    Ok(written.finish())
}

/// Reads each text, of which the first that is none of the type is an error.
fn all<'a, T>(
    texts: impl Iterator<Item = Option<&'a str>>,
    read: impl Fn(&'a str) -> Result<T, Refusal>,
) -> Result<std::vec::IntoIter<Option<T>>, Refusal> {
    let read: Result<Vec<Option<T>>, Refusal> =
        texts.map(|text| text.map(&read).transpose()).collect();
    read.map(Vec::into_iter)
}

fn span_of(text: &str) -> Result<IntervalMonthDayNano, Refusal> {
    let span = Span::parse(text).ok_or(Refusal::MomentForm)?;
    let nanos = span.micros.checked_mul(1000).ok_or(Refusal::Moment)?;
    Ok(IntervalMonthDayNano::new(span.months, span.days, nanos))
}

fn interval(text: &str) -> Result<ScalarValue, Refusal> {
    Ok(ScalarValue::IntervalMonthDayNano(Some(span_of(text)?)))
}

#[cfg(test)]
mod tests;
