//! Texts of a COPY as the values of a column, where they are written otherwise than Arrow reads them: bytes and arrays.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, StringBuilder, new_empty_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;

use crate::error::{Error, Result};
use crate::query::postgres::input::{self, Refusal};
use crate::query::postgres::types::{arrow_type, pg_type_of};
use crate::query::postgres::{ArrayText, Zone};

/// Reads the texts of a column; those of types that need no reading stay as they are, and so do values.
pub(super) fn read(texts: &ArrayRef, field: &Field, zone: &Zone) -> Result<ArrayRef> {
    match field.data_type() {
        _ if !texts.data_type().is_string() => Ok(Arc::clone(texts)),
        DataType::List(item) => lists(texts, item, zone),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => each(texts, field, zone),
        _ => Ok(Arc::clone(texts)),
    }
}

/// Reads arrays of one dimension: the elements of all rows as one column.
fn lists(texts: &ArrayRef, item: &FieldRef, zone: &Zone) -> Result<ArrayRef> {
    let texts = crate::tables::texts(texts)?;
    let mut lengths = Vec::with_capacity(texts.len());
    let mut parts = StringBuilder::new();
    for text in &texts {
        let found = match text {
            Some(text) => parts_of(text)?,
            None => vec![],
        };
        lengths.push(found.len());
        found.iter().for_each(|part| parts.append_option(part.as_deref()));
    }
    let item = Arc::new(item.as_ref().clone().with_nullable(true));
    let parts: ArrayRef = Arc::new(parts.finish());
    let values = elements(&parts, &item, zone)?;
    let nulls: Option<NullBuffer> = texts.nulls().cloned();
    let lists = ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), values, nulls);
    Ok(Arc::new(lists.map_err(DataFusionError::from)?))
}

/// Takes the text of an array of one dimension apart.
fn parts_of(text: &str) -> Result<Vec<Option<String>>> {
    let ArrayText { lengths, elements } = ArrayText::read(text).ok_or_else(malformed)?;
    if lengths.len() > 1 {
        return Err(Error::Unsupported {
            what: "an array of several dimensions in a column".into(),
            hint: "Put each of its parts into a row of its own.".into(),
        });
    }
    Ok(elements)
}

/// Reads the elements of arrays.
fn elements(texts: &ArrayRef, item: &Field, zone: &Zone) -> Result<ArrayRef> {
    let to = item.data_type();
    let read = match to {
        // Decimals that are read one by one have each its own digits.
        as_written if as_written.is_string() || as_written.is_decimal() => Arc::clone(texts),
        _ => each(texts, item, zone)?,
    };
    let options = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(&read, to, &options).map_err(DataFusionError::from)?)
}

/// Reads each text as PostgreSQL does.
fn each(texts: &ArrayRef, field: &Field, zone: &Zone) -> Result<ArrayRef> {
    let name = pg_type_of(field).0.name.as_str();
    let held = arrow_type(name);
    if texts.is_empty() {
        return Ok(new_empty_array(&held));
    }
    let texts = crate::tables::texts(texts)?;
    let mut values = Vec::with_capacity(texts.len());
    for text in &texts {
        values.push(match text.and_then(|text| input::read(text, name, zone)) {
            Some(read) => read.map_err(|refusal| refused(refusal, name))?,
            None => ScalarValue::try_from(&held)?,
        });
    }
    Ok(ScalarValue::iter_to_array(values)?)
}

/// Says why a text is none of the type of a column, `None` if it is not the text alone. Unlike other answers this one has the
/// value, as PostgreSQL's has: the client has just sent it.
pub(super) fn refusal(text: &str, field: &Field, zone: &Zone) -> Option<Error> {
    let name = pg_type_of(field).0.name.as_str();
    let refusal = input::read(text, name, zone)?.err()?;
    let message = refusal.message(name);
    let message = match refusal {
        // What is wrong in a document is told by its own message.
        Refusal::Form if matches!(name, "json" | "jsonb") => message,
        Refusal::Form | Refusal::MomentForm | Refusal::Moment | Refusal::Displacement => {
            format!("{message}: \"{text}\"")
        }
        Refusal::Range => {
            let value = if matches!(name, "float4" | "float8") { "" } else { "value " };
            let type_name = message.strip_prefix("value out of range for ").unwrap_or(name);
            format!("{value}\"{text}\" is out of range for {type_name}")
        }
        Refusal::Digits | Refusal::OddDigits | Refusal::Infinite | Refusal::Letter => message,
    };
    let (sqlstate, hint) = (refusal.sqlstate(), refusal.hint().into());
    Some(Error::Standard { sqlstate, message, hint })
}

fn malformed() -> Error {
    Error::Standard {
        sqlstate: "22P02",
        message: "malformed array literal".into(),
        hint: "Write arrays of one dimension as {1,2,NULL}.".into(),
    }
}

fn refused(refusal: Refusal, name: &str) -> Error {
    Error::Standard {
        sqlstate: refusal.sqlstate(),
        message: refusal.message(name),
        hint: refusal.hint().into(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;
    use arrow::util::display::array_value_to_string;

    use super::*;

    fn shown(texts: &[Option<&str>], data_type: DataType) -> Vec<String> {
        let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        match read(&texts, &Field::new("c", data_type, true), &Zone::utc()) {
            Ok(read) => {
                (0..read.len()).map(|row| array_value_to_string(&read, row).unwrap()).collect()
            }
            Err(error @ (Error::Standard { .. } | Error::Unsupported { .. })) => {
                vec![error.sqlstate().to_owned()]
            }
            Err(other) => vec![other.to_string()],
        }
    }

    #[test]
    fn a_refusal_has_the_value() {
        let told = |text: &str, data_type: DataType| {
            let field = Field::new("c", data_type, true);
            let error = refusal(text, &field, &Zone::utc())?;
            Some(format!("{} {error}", error.sqlstate()))
        };
        let expect = |text: &str, data_type: DataType, expected: &str| {
            assert_eq!(told(text, data_type).as_deref(), Some(expected));
        };
        expect("x", DataType::Int32, "22P02 invalid input syntax for type integer: \"x\"");
        expect(
            "99999999999",
            DataType::Int32,
            "22003 value \"99999999999\" is out of range for type integer",
        );
        expect(
            "1e400",
            DataType::Float64,
            "22003 \"1e400\" is out of range for type double precision",
        );
        expect("x", DataType::Date32, "22007 invalid input syntax for type date: \"x\"");
        expect(
            "2024-02-30",
            DataType::Date32,
            "22008 date/time field value out of range: \"2024-02-30\"",
        );
        assert_eq!(told("7", DataType::Int32), None);
        assert_eq!(told("x", DataType::Utf8), None);
    }

    #[test]
    fn texts_are_read_as_postgresql_does() {
        let list = |of| DataType::new_list(of, true);
        assert_eq!(
            shown(&[Some("{1,2}"), None, Some("{}"), Some("{NULL, 3}")], list(DataType::Int32)),
            ["[1, 2]", "", "[]", "[, 3]"]
        );
        for wrong in ["1,2", "{x}"] {
            assert_eq!(shown(&[Some(wrong)], list(DataType::Int32)), ["22P02"], "{wrong}");
        }
        assert_eq!(shown(&[Some("{{1},{2}}")], list(DataType::Int32)), ["0A000"]);
        assert_eq!(shown(&[Some("{a,\"b c\"}")], list(DataType::Utf8)), ["[a, b c]"]);
        let decimals = list(DataType::Decimal128(8, 2));
        assert_eq!(shown(&[Some("{1.5,2}")], decimals), ["[1.50, 2.00]"]);
        assert_eq!(shown(&[Some("{2024-07-01,NULL}")], list(DataType::Date32)), ["[2024-07-01, ]"]);
        assert_eq!(shown(&[Some("{2024-02-30}")], list(DataType::Date32)), ["22008"]);
        assert_eq!(shown(&[Some("\\x00ff"), None], DataType::Binary), ["00ff", ""]);
        assert_eq!(shown(&[Some("\\x0")], DataType::Binary), ["22023"]);
        assert!(shown(&[], DataType::Binary).is_empty());
    }
}
