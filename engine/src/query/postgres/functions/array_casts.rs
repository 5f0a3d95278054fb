//! Casts to arrays, element by element, as PostgreSQL casts single values: texts of arrays are read, times and numbers are
//! written as it writes them, and fractions are rounded. An array keeps its dimensions.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, ListArray, StringArray, StringBuilder, new_empty_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef};
use datafusion::common::utils::list_ndims;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::failure;
use super::numeric::numerics_of;
use super::rounded::nearest;
use super::text_of::{is_other_text, texts};
use crate::Error;
use crate::query::postgres::input::{self, Refusal};
use crate::query::postgres::rewrite::{ArrayText, malformed_array};
use crate::query::postgres::types::{is_blank_padded, is_text_of_uuid, pg_type_of};
use crate::query::postgres::zone::{DateOrder, Zone};
use crate::query::stop::check_current;

/// The name of the function that casts arrays.
pub(in crate::query::postgres) const NAME: &str = "array_cast";

/// Casts an array, or the text of one, to one whose elements are what `leaf` says, in a zone.
pub(in crate::query::postgres) fn array_cast(array: Expr, leaf: &FieldRef, zone: &Zone) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    let leaf = Arc::new(leaf.as_ref().clone().with_name("item"));
    let (order, zone) = (zone.order(), zone.name().to_owned());
    ScalarUDF::from(ArrayCast { leaf, zone, order, signature }).call(vec![array])
}

/// The type of an array of such elements, with as many dimensions as another has; a text has one.
pub(in crate::query::postgres) fn array_of(leaf: &FieldRef, like: &DataType) -> DataType {
    match like {
        DataType::List(item) if matches!(item.data_type(), DataType::List(_)) => {
            let inner = array_of(leaf, item.data_type());
            DataType::List(Arc::new(Field::new("item", inner, true)))
        }
        _ => DataType::List(Arc::new(leaf.as_ref().clone().with_name("item"))),
    }
}

/// The elements of an array of however many dimensions.
pub(in crate::query::postgres) fn leaf_of(item: &FieldRef) -> &FieldRef {
    match item.data_type() {
        DataType::List(inner) => leaf_of(inner),
        _ => item,
    }
}

/// Tells whether Arrow casts elements otherwise than PostgreSQL does.
pub(in crate::query::postgres) fn is_other_cast(from: &DataType, to: &DataType) -> bool {
    match from {
        text if text.is_string() => !to.is_string(),
        number if number.is_floating() => {
            to.is_integer() || to.is_string() || matches!(to, DataType::Decimal128(..))
        }
        DataType::Decimal128(_, scale) => *scale > 0 && to.is_integer(),
        other => to.is_string() && is_other_text(other),
    }
}

/// Tells whether texts become uuids, each of which is read.
pub(in crate::query::postgres) fn reads_uuids(from: &Field, to: &Field) -> bool {
    from.data_type().is_string() && is_text_of_uuid(to) && !is_text_of_uuid(from)
}

/// Tells whether a cast to a type cuts texts: to so many characters, or the blanks behind them.
pub(in crate::query::postgres) fn is_cut(leaf: &Field) -> bool {
    is_blank_padded(leaf) || chars_of(leaf).is_some()
}

/// How many characters the texts of a type have at most, if that is declared.
fn chars_of(leaf: &Field) -> Option<usize> {
    let (of, modifier) = pg_type_of(leaf);
    let is_counted = matches!(of.name.as_str(), "varchar" | "bpchar");
    usize::try_from(modifier - 4).ok().filter(|_| is_counted)
}

/// Cuts texts as a cast to their type does.
fn fitted(values: ArrayRef, leaf: &Field) -> Result<ArrayRef> {
    if !values.data_type().is_string() || !is_cut(leaf) {
        return Ok(values);
    }
    let (chars, is_padded) = (chars_of(leaf), is_blank_padded(leaf));
    let texts = converted(&values, &DataType::Utf8)?;
    let cut = texts.as_string::<i32>().iter().map(|text| {
        let text = text?;
        let end = chars.and_then(|chars| text.char_indices().nth(chars));
        let text = end.map_or(text, |(end, _)| &text[..end]);
        Some(if is_padded { text.trim_end_matches(' ') } else { text })
    });
    converted(&(Arc::new(cut.collect::<StringArray>()) as ArrayRef), leaf.data_type())
}

/// Brings arrays into the type of a column that they are put into; `None` for other values, and where Arrow does so as
/// PostgreSQL would.
pub(crate) fn assigned_arrays(
    arrays: &ArrayRef,
    to: &DataType,
    zone: &Zone,
) -> Option<Result<ArrayRef>> {
    let (DataType::List(given), DataType::List(item)) = (arrays.data_type(), to) else {
        return None;
    };
    if list_ndims(arrays.data_type()) > list_ndims(to) {
        return Some(Err(failure(Error::Unsupported {
            what: "an array of several dimensions in a column".to_owned(),
            hint: "Put each of its parts into a row of its own.".to_owned(),
        })));
    }
    let leaf = leaf_of(item);
    let given = leaf_of(given);
    if !is_other_cast(given.data_type(), leaf.data_type()) && !reads_uuids(given, leaf) {
        return None;
    }
    let signature = Signature::any(1, Volatility::Immutable);
    let (leaf, order, name) = (Arc::clone(leaf), zone.order(), zone.name().to_owned());
    let cast = ArrayCast { leaf, zone: name, order, signature };
    let lists = cast.cast(arrays.as_list::<i32>(), zone);
    Some(lists.and_then(|lists| converted(&(Arc::new(lists) as ArrayRef), to)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayCast {
    leaf: FieldRef,
    zone: String,
    order: DateOrder,
    signature: Signature,
}

impl ScalarUDFImpl for ArrayCast {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args answers for array_cast")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [given] = args.arg_fields else { return internal_err!("array_cast takes an array") };
        let data_type = array_of(&self.leaf, given.data_type());
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = args.args.as_slice() else {
            return internal_err!("array_cast takes an array");
        };
        let is_constant = matches!(argument, ColumnarValue::Scalar(_));
        let array = argument.to_array(if is_constant { 1 } else { args.number_rows })?;
        let zone = Zone::parse(&self.zone).unwrap_or_else(Zone::utc).with_order(self.order);
        let list = match array.as_list_opt::<i32>() {
            Some(lists) => self.cast(lists, &zone)?,
            None => self.read(converted(&array, &DataType::Utf8)?.as_string::<i32>(), &zone)?,
        };
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::List(Arc::new(list))),
            false => ColumnarValue::Array(Arc::new(list)),
        })
    }
}

impl ArrayCast {
    /// Casts the elements of arrays.
    fn cast(&self, lists: &ListArray, zone: &Zone) -> Result<ListArray> {
        // Elements that no array has are not looked at.
        let offsets = lists.value_offsets();
        let (first, last) = (offsets[0], offsets[lists.len()]);
        let place = |at: i32| usize::try_from(at).unwrap_or(0);
        let values = lists.values().slice(place(first), place(last - first));
        let offsets: ScalarBuffer<i32> = offsets.iter().map(|at| at - first).collect();
        let (item, values) = match values.as_list_opt::<i32>() {
            Some(inner) => {
                let inner = self.cast(inner, zone)?;
                let item = Field::new("item", inner.data_type().clone(), true);
                (Arc::new(item), Arc::new(inner) as ArrayRef)
            }
            None => {
                let values = elements(&values, &self.leaf, zone)?;
                (Arc::clone(&self.leaf), fitted(values, &self.leaf)?)
            }
        };
        let (offsets, nulls) = (OffsetBuffer::new(offsets), lists.nulls().cloned());
        Ok(ListArray::try_new(item, offsets, values, nulls)?)
    }

    /// Reads texts of arrays. Those of a column have one dimension.
    fn read(&self, arrays: &StringArray, zone: &Zone) -> Result<ListArray> {
        let mut parts = StringBuilder::new();
        let (mut lengths, mut valid) = (Vec::with_capacity(arrays.len()), Vec::new());
        for text in arrays {
            check_current()?;
            valid.push(text.is_some());
            let Some(text) = text else {
                lengths.push(0);
                continue;
            };
            let Some(ArrayText { lengths: dimensions, elements }) = ArrayText::read(text) else {
                return Err(failure(malformed_array()));
            };
            if dimensions.len() > 1 {
                return Err(failure(Error::Unsupported {
                    what: "an array of several dimensions among values of a column".to_owned(),
                    hint: "Write arrays of one dimension, or each as a literal of its own."
                        .to_owned(),
                }));
            }
            lengths.push(elements.len());
            elements.iter().for_each(|element| parts.append_option(element.as_deref()));
        }
        let values = fitted(read(&parts.finish(), &self.leaf, zone)?, &self.leaf)?;
        let (item, offsets) = (Arc::clone(&self.leaf), OffsetBuffer::from_lengths(lengths));
        Ok(ListArray::try_new(item, offsets, values, Some(NullBuffer::from(valid)))?)
    }
}

/// Casts the elements of arrays.
fn elements(values: &ArrayRef, leaf: &Field, zone: &Zone) -> Result<ArrayRef> {
    let to = leaf.data_type();
    match values.data_type() {
        text if text.is_string() && (!to.is_string() || is_text_of_uuid(leaf)) => {
            read(converted(values, &DataType::Utf8)?.as_string::<i32>(), leaf, zone)
        }
        other if to.is_string() && is_other_text(other) => {
            converted(&(Arc::new(texts(values, zone)?) as ArrayRef), to)
        }
        number if number.is_floating() && to.is_integer() => {
            let whole = nearest(&ColumnarValue::Array(Arc::clone(values)))?;
            converted(&whole.to_array(values.len())?, to)
        }
        number if number.is_floating() && matches!(to, DataType::Decimal128(..)) => {
            numerics_of(values, to)
        }
        DataType::Decimal128(_, scale) if *scale > 0 && to.is_integer() => {
            let whole = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);
            converted(&converted(values, &whole)?, to)
        }
        _ => converted(values, to),
    }
}

/// Casts values. What has no place in a type is an error and not null.
fn converted(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(values, to, &options)?)
}

/// Reads texts as values of a type.
fn read(texts: &StringArray, leaf: &Field, zone: &Zone) -> Result<ArrayRef> {
    let (name, to) = (pg_type_of(leaf).0.name.as_str(), leaf.data_type());
    if let Some(times) = input::times(texts, to, zone) {
        return times.map_err(failure);
    }
    let refused = |refusal: Refusal| failure(refusal.error(name));
    let mut values = Vec::with_capacity(texts.len());
    for text in texts {
        let Some(text) = text else {
            values.push(ScalarValue::try_from(to)?);
            continue;
        };
        // Everything else is what its text is.
        let Some(value) = input::read(text, name, zone) else {
            return converted(&(Arc::new(texts.clone()) as ArrayRef), to);
        };
        let value = value.map_err(refused)?;
        values.push(match value.data_type() == *to {
            true => value,
            false => value.cast_to(to).map_err(|_| refused(Refusal::Range))?,
        });
    }
    match values.is_empty() {
        true => Ok(new_empty_array(to)),
        false => ScalarValue::iter_to_array(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::postgres::types::TYPE_KEY;

    fn cast_of(leaf: Field) -> ArrayCast {
        let signature = Signature::any(1, Volatility::Immutable);
        let (leaf, zone) = (Arc::new(leaf.with_name("item")), "UTC".to_owned());
        ArrayCast { leaf, zone, order: DateOrder::default(), signature }
    }

    #[test]
    fn texts_of_arrays_are_read() {
        let cast = cast_of(Field::new("item", DataType::Int32, true));
        let arrays = StringArray::from(vec![Some("{1,NULL,3}"), None, Some("{}"), Some(" {4} ")]);
        let lists = cast.read(&arrays, &Zone::utc()).unwrap();
        let found: Vec<Option<String>> = (0..lists.len())
            .map(|row| lists.is_valid(row).then(|| lists.value(row).len().to_string()))
            .collect();
        assert_eq!(found, [Some("3"), None, Some("0"), Some("1")].map(|n| n.map(str::to_owned)));
        for text in ["1,2", "{1,x}", "{{1},{2}}", "{99999999999}"] {
            assert!(cast.read(&StringArray::from(vec![text]), &Zone::utc()).is_err(), "{text}");
        }
    }

    #[test]
    fn elements_are_cast_in_their_dimensions() {
        let halves = ScalarValue::new_list(
            &[1.5, -2.5, 2.6].map(|number| ScalarValue::Float64(Some(number))),
            &DataType::Float64,
            true,
        );
        let check = |leaf: DataType, expected: &str| {
            let cast = cast_of(Field::new("item", leaf, true));
            let list = cast.cast(&halves, &Zone::utc()).unwrap();
            assert_eq!(ScalarValue::List(Arc::new(list)).to_string(), expected);
        };
        check(DataType::Int32, "[2, -2, 3]");
        check(DataType::Utf8, "[1.5, -2.5, 2.6]");
        let named = |logical: &str| {
            let metadata = [(TYPE_KEY.to_owned(), logical.to_owned())];
            cast_of(Field::new("item", DataType::Utf8, true).with_metadata(metadata.into()))
        };
        let texts = StringArray::from(vec!["{abcd,\"a  \",éèê}"]);
        for (logical, expected) in [
            ("varchar(2)", "[ab, a , éè]"),
            ("bpchar(2)", "[ab, a, éè]"),
            ("bpchar", "[abcd, a, éèê]"),
            ("varchar", "[abcd, a  , éèê]"),
        ] {
            let list = named(logical).read(&texts, &Zone::utc()).unwrap();
            assert_eq!(ScalarValue::List(Arc::new(list)).to_string(), expected, "{logical}");
        }
        let like = DataType::new_list(DataType::new_list(DataType::Int32, true), true);
        let leaf: FieldRef = Arc::new(Field::new("x", DataType::Utf8, true));
        let text = DataType::new_list(DataType::new_list(DataType::Utf8, true), true);
        assert_eq!(array_of(&leaf, &like), text);
    }
}
