//! JSON as columns keep it: `json` as it is written, `jsonb` as values. And bytes by which `jsonb` is compared.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, StringViewArray, StringViewBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use udfs::{Json, Keeping, Shape, Spacing, TooLong};

use super::Refusal;
use crate::Error;
use crate::query::stop::check_current;

/// Bytes by which the numbers of a `jsonb` may grow that have exponents, and those of a column together.
const GROWN_BYTES_MAX: usize = 16 << 20;
/// The bytes by which the values of one column are compared.
const ORDER_BYTES_MAX: usize = 1 << 30;
/// What the bytes of a text begin with that is no JSON, which a source may have: behind all others.
const NO_JSON_ORDER: u8 = u8::MAX;

/// What is wrong with a text that is no JSON.
pub(crate) const NO_JSON: &str = "invalid input syntax for type json";
/// What to do about it.
pub(crate) const JSON_HINT: &str = "Names and texts of JSON stand in double quotes: '{\"a\": 1}'.";

/// What is kept of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kept {
    /// Its text, as in `json`.
    AsWritten,
    /// What it says, in one form, as in `jsonb`.
    AsValues,
}

impl Kept {
    /// What a type keeps; `None` of types that are not JSON.
    pub(crate) fn of(logical: &str) -> Option<Kept> {
        match logical {
            "json" => Some(Kept::AsWritten),
            "jsonb" => Some(Kept::AsValues),
            _ => None,
        }
    }

    /// Reads a text.
    pub(super) fn read(self, text: &str) -> Result<ScalarValue, Refusal> {
        let kept = match self {
            Kept::AsWritten => {
                Shape::of(text).ok_or(Refusal::Form)?;
                text.to_owned()
            }
            Kept::AsValues => {
                let mut kept = String::with_capacity(text.len());
                write(text, GROWN_BYTES_MAX, &mut kept)?;
                kept
            }
        };
        Ok(ScalarValue::Utf8(Some(kept)))
    }
}

/// Writes what a text says as `jsonb` keeps it, by so many bytes longer at most than twice the text.
fn write(text: &str, grown_max: usize, kept: &mut String) -> Result<(), Refusal> {
    let json = Json::parse(text, Keeping::Values).ok_or(Refusal::Form)?;
    if escapes_nothing(text) {
        return Err(Refusal::Letter);
    }
    if escapes_half(text) {
        return Err(Refusal::Form);
    }
    let bytes_max = text.len().saturating_mul(2).saturating_add(grown_max);
    json.root().write(Spacing::Blanks, bytes_max, kept).map_err(|TooLong| Refusal::Range)
}

/// Tells whether JSON escapes half of a pair of surrogates, which is no letter.
fn escapes_half(json: &str) -> bool {
    let unit = |at: usize| {
        let digits = json.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let mut from = 0;
    while let Some(found) = json.get(from..).and_then(|rest| rest.find('\\')) {
        let at = from + found;
        from = match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => at + 12,
            Some(0xd800..=0xdfff) => return true,
            // What is escaped stands behind the backslash.
            _ => at + 2,
        };
    }
    false
}

/// Tells whether JSON has `\u0000`, which stands for a letter that no text has.
fn escapes_nothing(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let before = json[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        before.is_multiple_of(2)
    })
}

/// Reads a column of texts as JSON.
///
/// # Errors
/// SQLSTATE 22P02 if one of them is none.
pub(crate) fn documents(texts: &ArrayRef, kept: Kept) -> Result<ArrayRef> {
    let views = views(texts)?;
    let mut documents = match kept {
        Kept::AsWritten => None,
        Kept::AsValues => Some(StringViewBuilder::with_capacity(views.len())),
    };
    let mut document = String::new();
    let mut grown = 0;
    for text in &views {
        check_current()?;
        match (text, &mut documents) {
            (None, None) => {}
            (None, Some(documents)) => documents.append_null(),
            (Some(text), None) => {
                Shape::of(text).ok_or_else(|| refused(Refusal::Form))?;
            }
            (Some(text), Some(documents)) => {
                document.clear();
                write(text, GROWN_BYTES_MAX - grown, &mut document).map_err(refused)?;
                grown += document.len().saturating_sub(text.len().saturating_mul(2));
                documents.append_value(&document);
            }
        }
    }
    Ok(match documents {
        None => Arc::clone(texts),
        Some(mut documents) => Arc::new(documents.finish()),
    })
}

fn refused(refusal: Refusal) -> DataFusionError {
    let (sqlstate, message, hint) = match refusal {
        Refusal::Form => (refusal.sqlstate(), NO_JSON.to_owned(), JSON_HINT),
        _ => (refusal.sqlstate(), refusal.message("jsonb"), refusal.hint()),
    };
    let error = Error::Standard { sqlstate, message, hint: hint.to_owned() };
    DataFusionError::External(Box::new(error))
}

fn views(texts: &ArrayRef) -> Result<StringViewArray> {
    Ok(cast(texts, &DataType::Utf8View)?.as_string_view().clone())
}

/// Returns the bytes by which a `jsonb` is compared.
///
/// # Errors
/// SQLSTATE 22P02 if the text is no JSON.
pub(crate) fn order_of(text: &str) -> Result<Vec<u8>> {
    let json = Json::parse(text, Keeping::Values).ok_or_else(|| refused(Refusal::Form))?;
    let mut order = Vec::with_capacity(text.len());
    json.root().write_order(&mut order);
    Ok(order)
}

/// Returns the bytes by which the values of a column are compared. A text that is no JSON is compared as it stands.
pub(crate) fn orders(texts: &ArrayRef) -> Result<ArrayRef> {
    let views = views(texts)?;
    let mut orders = BinaryBuilder::new();
    let mut order = Vec::new();
    for text in &views {
        check_current()?;
        let Some(text) = text else {
            orders.append_null();
            continue;
        };
        order.clear();
        match Json::parse(text, Keeping::Values) {
            Some(json) => json.root().write_order(&mut order),
            None => {
                order.push(NO_JSON_ORDER);
                order.extend_from_slice(text.as_bytes());
            }
        }
        if orders.values_slice().len() + order.len() > ORDER_BYTES_MAX {
            let message = "values of jsonb that are compared are too large together".to_owned();
            let hint = "Compare parts of them, or fewer rows.".to_owned();
            let error = Error::Standard { sqlstate: "54000", message, hint };
            return Err(DataFusionError::External(Box::new(error)));
        }
        orders.append_value(&order);
    }
    Ok(Arc::new(orders.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(texts: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringViewArray::from_iter(texts.iter().copied()))
    }

    #[test]
    fn columns_are_kept_as_their_type_keeps_them() {
        let texts = column(&[Some(r#"{"b": 1,"a":[1e1], "b": 2}"#), None, Some(" 1 ")]);
        let kept = documents(&texts, Kept::AsValues).unwrap();
        let kept: Vec<_> = kept.as_string_view().iter().collect();
        assert_eq!(kept, [Some(r#"{"a": [10], "b": 2}"#), None, Some("1")]);
        assert_eq!(&documents(&texts, Kept::AsWritten).unwrap(), &texts);
        let bad = column(&[Some("1"), Some("{bad")]);
        for kept in [Kept::AsWritten, Kept::AsValues] {
            let error = documents(&bad, kept).unwrap_err();
            assert!(error.to_string().contains(NO_JSON), "{error}");
        }
    }

    #[test]
    fn values_have_no_letter_that_no_text_has() {
        for (text, refused) in
            [(r#""\u0000""#, true), (r#""\\u0000""#, false), (r#""\u0001""#, false)]
        {
            let kept = documents(&column(&[Some(text)]), Kept::AsValues);
            assert_eq!(kept.is_err(), refused, "{text}");
            assert!(documents(&column(&[Some(text)]), Kept::AsWritten).is_ok(), "{text}");
        }
    }

    #[test]
    fn values_have_no_half_of_a_letter() {
        for (text, refused) in [
            (r#""\ud83d\ude00""#, false),
            (r#""\\ud83d""#, false),
            (r#""\ud83d""#, true),
            (r#""\ude00""#, true),
            (r#""\ud83d\ud83d""#, true),
            (r#""\n\uD83Dx""#, true),
        ] {
            let kept = documents(&column(&[Some(text)]), Kept::AsValues);
            assert_eq!(kept.is_err(), refused, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_compared_as_it_stands() {
        let found = orders(&column(&[Some("1"), Some("1.0"), Some("oops"), None])).unwrap();
        let found = found.as_binary::<i32>();
        assert_eq!(found.value(0), found.value(1));
        assert!(found.value(2) > found.value(0) && found.is_null(3));
        assert!(order_of("oops").is_err());
    }
}
