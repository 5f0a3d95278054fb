//! The elements of an array of several dimensions as an array of one, which is what `unnest` makes rows of.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray};
use datafusion::arrow::buffer::{OffsetBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// Its name, which the rewriting of statements writes.
pub(in crate::query::postgres) const NAME: &str = "array_flat";

static FLAT: LazyLock<ScalarUDF> =
    LazyLock::new(|| ScalarUDF::from(Flat { signature: Signature::any(1, Volatility::Immutable) }));

/// Returns the function.
pub(super) fn function() -> ScalarUDF {
    FLAT.clone()
}

/// The elements of an array as one of one dimension.
pub(in crate::query::postgres) fn flat(array: Expr) -> Expr {
    FLAT.call(vec![array])
}

/// Tells whether values of a type are arrays of several dimensions.
pub(in crate::query::postgres) fn has_dimensions(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(item) if matches!(item.data_type(), DataType::List(_)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Flat {
    signature: Signature,
}

impl ScalarUDFImpl for Flat {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args answers for {NAME}")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(given) = args.arg_fields.first() else {
            return internal_err!("{NAME} takes one argument");
        };
        let mut data_type = given.data_type();
        while let DataType::List(item) = data_type
            && has_dimensions(data_type)
        {
            data_type = item.data_type();
        }
        let field = given.as_ref().clone().with_name(NAME).with_data_type(data_type.clone());
        Ok(Arc::new(field.with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(argument) = args.args.first() else {
            return internal_err!("{NAME} takes one argument");
        };
        flattened(argument, args.number_rows)
    }
}

/// Arrays as those of one dimension; a constant stays one.
pub(super) fn flattened(arrays: &ColumnarValue, rows: usize) -> Result<ColumnarValue> {
    let constant = matches!(arrays, ColumnarValue::Scalar(_));
    let mut array = arrays.to_array(if constant { 1 } else { rows })?;
    while has_dimensions(array.data_type()) {
        array = without_outermost(&array)?;
    }
    Ok(match (constant, array.as_list_opt::<i32>()) {
        (true, Some(list)) => ColumnarValue::Scalar(ScalarValue::List(Arc::new(list.clone()))),
        _ => ColumnarValue::Array(array),
    })
}

/// The lists within each list, one behind the other.
pub(super) fn without_outermost(array: &ArrayRef) -> Result<ArrayRef> {
    let Some(outer) = array.as_list_opt::<i32>() else { return Ok(Arc::clone(array)) };
    let Some(inner) = outer.values().as_list_opt::<i32>() else { return Ok(Arc::clone(array)) };
    let DataType::List(item) = inner.data_type() else { return internal_err!("a list is one") };
    let ends = inner.value_offsets();
    let offsets: Vec<i32> =
        outer.value_offsets().iter().map(|at| ends[usize::try_from(*at).unwrap_or(0)]).collect();
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let (item, values) = (Arc::clone(item), Arc::clone(inner.values()));
    Ok(Arc::new(ListArray::try_new(item, offsets, values, outer.nulls().cloned())?))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int32Array;
    use datafusion::arrow::datatypes::{Field, Int32Type};

    use super::*;

    #[test]
    fn lists_within_lists_are_one() {
        let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(
            [[1, 2], [3, 4], [5, 6]].map(|list| Some(list.map(Some))),
        );
        let item = Arc::new(Field::new("item", inner.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([2, 0, 1]);
        let outer: ArrayRef = Arc::new(ListArray::new(item, offsets, Arc::new(inner), None));
        let flat = without_outermost(&outer).unwrap();
        let flat = flat.as_list::<i32>();
        assert_eq!(flat.value_offsets(), [0, 4, 4, 6]);
        assert_eq!(flat.values().as_ref(), &Int32Array::from(vec![1, 2, 3, 4, 5, 6]) as &dyn Array);
        assert!(has_dimensions(outer.data_type()) && !has_dimensions(flat.data_type()));
    }
}
