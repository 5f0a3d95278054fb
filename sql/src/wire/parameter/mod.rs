//! Values of parameters: read by the type that the client sends, then cast to the type that the plan wants.

mod array;
mod binary;
mod declared;
mod text;

pub(crate) use declared::{arrow_of, held_as};

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field};
use datafusion::common::ScalarValue;
use engine::query::postgres::types::is_blank_padded;

use super::encode::{Format, Zone};
use super::error::{WireError, sqlstate};
use super::types::{Logical, PgType, element_of, oid};

/// Reads the value of the parameter at `index`, counted from 0; `zone` is that of times that come without one.
pub(crate) fn decode(
    value: Option<&[u8]>,
    format: Format,
    oid: u32,
    field: &Field,
    index: usize,
    zone: &Zone,
) -> Result<ScalarValue, WireError> {
    let Some(bytes) = value else { return null(field) };
    let value = match (format, element_of(oid), written_array(oid, field)) {
        (Format::Text, Some(element), _) | (_, None, Some(element)) => {
            text::utf8(bytes).and_then(|text| array::from_text(text, element, zone))
        }
        (Format::Text, None, None) => {
            text::utf8(bytes).and_then(|text| text::scalar(text, oid, zone))
        }
        (Format::Binary, Some(element), _) => array::from_binary(bytes, element),
        (Format::Binary, None, None) => binary::scalar(bytes, oid),
    };
    value.and_then(|value| cast(value, field)).map_err(|mut error| {
        if error.sqlstate == sqlstate::INVALID_BINARY_REPRESENTATION {
            error.message = format!("{} {}", error.message, index + 1).into();
        }
        error.detail = Some(format!("It is the value of parameter ${}.", index + 1).into());
        error
    })
}

/// The type of the elements of an array that is sent as a text.
fn written_array(oid: u32, field: &Field) -> Option<u32> {
    let is_text = matches!(oid, 0 | oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::UNKNOWN);
    let is_array = is_text && matches!(field.data_type(), DataType::List(_));
    if is_array { element_of(PgType::of(field).oid) } else { None }
}

/// Returns the value of a parameter that `EXECUTE` gives as an expression, of which a text is read as a literal of the type is.
pub(crate) fn given(
    value: ScalarValue,
    oid: u32,
    field: &Field,
    zone: &Zone,
) -> Result<ScalarValue, WireError> {
    let read = match (value.try_as_str().flatten(), element_of(oid)) {
        (Some(text), Some(element)) => Some(array::from_text(text, element, zone)?),
        (Some(text), None) => Some(text::scalar(text, oid, zone)?),
        (None, _) => None,
    };
    cast(read.unwrap_or(value), field)
}

/// Casts a value to the type of a parameter. Decimals stay as they are, whatever precision and scale the plan has found:
/// a parameter of type numeric has neither, and what it is compared with or added to must meet all of its digits.
fn cast(value: ScalarValue, field: &Field) -> Result<ScalarValue, WireError> {
    if value.is_null() {
        return null(field);
    }
    let with_dimensions;
    let target = match &value {
        ScalarValue::List(_) => {
            with_dimensions = array::with_dimensions(field.data_type(), &value.data_type());
            &with_dimensions
        }
        _ => field.data_type(),
    };
    // Texts are compared as they are held: those of a uuid in its one form, others without blanks that count for nothing.
    let value = match &value {
        ScalarValue::Utf8(Some(text)) if Logical::of(field) == Logical::Uuid => {
            ScalarValue::Utf8(Some(uuid_text(&text::uuid(text)?)))
        }
        ScalarValue::Utf8(Some(text)) if is_blank_padded(field) => {
            ScalarValue::Utf8(Some(text.trim_end_matches(' ').to_owned()))
        }
        _ => value,
    };
    if value.data_type() == *target || both_decimal(&value.data_type(), target) {
        return Ok(value);
    }
    let is_number = value.data_type().is_numeric() && target.is_integer();
    let value = if is_number { rounded(value) } else { value };
    // Neither the value nor what Arrow says about it is repeated.
    value.cast_to(target).map_err(|_| match is_number {
        true => WireError::new(
            sqlstate::NUMERIC_OUT_OF_RANGE,
            format!("{} out of range", whole(target)),
        ),
        false => WireError::new(
            sqlstate::INVALID_TEXT_REPRESENTATION,
            "a parameter has a value that its type does not allow",
        ),
    })
}

/// Returns the whole number next to a number, as where it is put into a column: of two that are as near the one that is further
/// from zero, and for a floating point number the even one.
fn rounded(value: ScalarValue) -> ScalarValue {
    let to = match value {
        ScalarValue::Float32(Some(number)) => {
            return ScalarValue::Float32(Some(number.round_ties_even()));
        }
        ScalarValue::Float64(Some(number)) => {
            return ScalarValue::Float64(Some(number.round_ties_even()));
        }
        ScalarValue::Decimal128(_, precision, 1..) => DataType::Decimal128(precision, 0),
        ScalarValue::Decimal256(_, precision, 1..) => DataType::Decimal256(precision, 0),
        _ => return value,
    };
    value.cast_to(&to).unwrap_or(value)
}

/// What a type of whole numbers is called.
fn whole(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        _ => "bigint",
    }
}

/// Tells whether two types are decimals, or arrays of them, of whatever precision and scale.
pub(crate) fn both_decimal(one: &DataType, other: &DataType) -> bool {
    match (one, other) {
        (DataType::List(one), DataType::List(other)) => {
            both_decimal(one.data_type(), other.data_type())
        }
        _ => one.is_decimal() && other.is_decimal(),
    }
}

fn null(field: &Field) -> Result<ScalarValue, WireError> {
    ScalarValue::try_from(field.data_type()).map_err(|_| {
        let message = format!("could not determine data type of parameter \"{}\"", field.name());
        WireError::new(sqlstate::INDETERMINATE_DATATYPE, message)
            .hint("Cast the parameter, as in $1::text.")
    })
}

fn uuid_text(bytes: &[u8; 16]) -> String {
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The name of a type, for messages.
fn name_of(oid: u32) -> &'static str {
    match oid {
        oid::BOOL => "boolean",
        oid::BYTEA => "bytea",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::INT8 => "bigint",
        oid::OID => "oid",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double precision",
        oid::NUMERIC => "numeric",
        oid::DATE => "date",
        oid::TIME => "time",
        oid::TIMESTAMP => "timestamp",
        oid::TIMESTAMPTZ => "timestamp with time zone",
        oid::INTERVAL => "interval",
        oid::UUID => "uuid",
        oid::JSON => "json",
        oid::JSONB => "jsonb",
        _ => "text",
    }
}

fn bad_binary() -> WireError {
    WireError::new(
        sqlstate::INVALID_BINARY_REPRESENTATION,
        "incorrect binary data format in bind parameter",
    )
}

fn unknown_type(oid: u32) -> WireError {
    let message = format!("parameters of the type with oid {oid} are not supported in binary");
    WireError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).hint("Send the value as text.")
}

/// Makes the value of an array of the values of its elements.
fn list_of(values: &[ScalarValue], element: u32) -> Result<ScalarValue, WireError> {
    let data_type = match decimals(values) {
        Some(data_type) => Some(data_type),
        None => values.iter().find(|value| !value.is_null()).map(ScalarValue::data_type),
    };
    let data_type = data_type.or_else(|| held_as(element)).unwrap_or(DataType::Utf8);
    let values = values.iter().map(|value| match value.is_null() {
        true => Ok(ScalarValue::try_from(&data_type).unwrap_or(ScalarValue::Null)),
        false if value.data_type() == data_type => Ok(value.clone()),
        false => value.cast_to(&data_type).map_err(|_| out_of_range(element)),
    });
    let values = values.collect::<Result<Vec<_>, _>>()?;
    Ok(ScalarValue::List(ScalarValue::new_list(&values, &data_type, true)))
}

/// Returns the type that has room for each of some decimals; `None` if there are none.
fn decimals(values: &[ScalarValue]) -> Option<DataType> {
    let shapes = values.iter().filter_map(|value| match value {
        ScalarValue::Decimal128(Some(_), precision, scale) => Some((*precision, *scale)),
        _ => None,
    });
    let room =
        shapes.map(|(precision, scale)| (precision.saturating_sub(scale.unsigned_abs()), scale));
    let (whole, scale) = room.reduce(|one, other| (one.0.max(other.0), one.1.max(other.1)))?;
    let precision = whole.saturating_add(scale.unsigned_abs()).min(DECIMAL128_MAX_PRECISION);
    Some(DataType::Decimal128(precision, scale))
}

fn out_of_range(oid: u32) -> WireError {
    WireError::new(
        sqlstate::NUMERIC_OUT_OF_RANGE,
        format!("value out of range for type {}", name_of(oid)),
    )
}

/// Makes a decimal of digits, a sign and a scale from 0 to 38, with no more precision than that takes.
fn decimal(digits: i128, scale: i8) -> Result<ScalarValue, WireError> {
    let count = digits.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
    let precision = u8::try_from(count).unwrap_or(u8::MAX).max(scale.unsigned_abs());
    if precision > DECIMAL128_MAX_PRECISION {
        return Err(out_of_range(oid::NUMERIC));
    }
    Ok(ScalarValue::Decimal128(Some(digits), precision, scale))
}

/// The zone of timestamps with one: their values are UTC.
fn utc() -> Option<Arc<str>> {
    Some("+00:00".into())
}

#[cfg(test)]
mod tests;
