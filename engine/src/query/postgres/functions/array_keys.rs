//! Bytes in whose order arrays stand, as in PostgreSQL: their elements decide one by one in however many dimensions, a null being
//! equal to a null and greater than any value; then how many there are, how many dimensions, and how long these are.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, ListArray};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::bounded::{BATCH_BYTES_MAX, too_large};
use super::flat::{has_dimensions, without_outermost};
use crate::query::stop::check_current;

/// Its name, which no statement calls.
pub(super) const NAME: &str = "array_order";

/// What an array is compared by in its place.
pub(in crate::query::postgres) fn array_order(array: Expr) -> Expr {
    static ORDER: LazyLock<ScalarUDF> = LazyLock::new(|| {
        ScalarUDF::from(ArrayOrder { signature: Signature::any(1, Volatility::Immutable) })
    });
    ORDER.call(vec![array])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayOrder {
    signature: Signature,
}

impl ScalarUDFImpl for ArrayOrder {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(arrays)] => Ok(ColumnarValue::Array(orders(arrays)?)),
            [ColumnarValue::Scalar(array)] => {
                let order = orders(&array.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&order, 0)?))
            }
            _ => internal_err!("{NAME} takes one argument"),
        }
    }
}

fn orders(arrays: &ArrayRef) -> Result<ArrayRef> {
    let mut flat = Arc::clone(arrays);
    while has_dimensions(flat.data_type()) {
        flat = without_outermost(&flat)?;
    }
    let Some(lists) = arrays.as_list_opt::<i32>() else {
        return internal_err!("{NAME} takes arrays");
    };
    let nulls_last = SortOptions { descending: false, nulls_first: false };
    let field = SortField::new_with_options(flat.data_type().clone(), nulls_last);
    let rows = RowConverter::new(vec![field])?.convert_columns(&[flat])?;
    let mut orders = BinaryBuilder::new();
    let mut order = Vec::new();
    for (row, elements) in rows.iter().enumerate() {
        check_current()?;
        if lists.is_null(row) {
            orders.append_null();
            continue;
        }
        order.clear();
        order.extend_from_slice(elements.data());
        if has_dimensions(lists.data_type()) {
            write_dimensions(lists, row, &mut order);
        }
        if (orders.values_slice().len() + order.len()) as u64 > BATCH_BYTES_MAX {
            return Err(too_large(NAME));
        }
        orders.append_value(&order);
    }
    Ok(Arc::new(orders.finish()))
}

/// Writes how many dimensions an array has, and how long they are. One dimension is as long as there are elements, which stand
/// before it, and one without elements has none.
fn write_dimensions(lists: &ListArray, row: usize, order: &mut Vec<u8>) {
    let place = |at: i32| usize::try_from(at).unwrap_or(0);
    let before = order.len();
    let (mut lists, mut row) = (lists, row);
    order.push(0);
    loop {
        let offsets = lists.value_offsets();
        let (first, end) = (offsets[row], offsets[row + 1]);
        if first == end {
            order.truncate(before);
            return;
        }
        order[before] = order[before].saturating_add(1);
        order.extend_from_slice(&(end - first).to_be_bytes());
        match lists.values().as_list_opt::<i32>() {
            Some(inner) => (lists, row) = (inner, place(first)),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int32Array, StringArray};
    use datafusion::arrow::buffer::OffsetBuffer;
    use datafusion::arrow::datatypes::{Field, Int32Type};

    use super::*;

    fn found(arrays: ArrayRef) -> Vec<Option<Vec<u8>>> {
        let orders = orders(&arrays).unwrap();
        orders.as_binary::<i32>().iter().map(|order| order.map(<[u8]>::to_vec)).collect()
    }

    /// The elements one behind the other, as lists of lists of these lengths.
    fn nested(values: Vec<Option<i32>>, inner: &[usize], outer: &[usize]) -> ArrayRef {
        let list = |values: ArrayRef, lengths: &[usize]| -> ArrayRef {
            let item = Arc::new(Field::new("item", values.data_type().clone(), true));
            let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
            Arc::new(ListArray::new(item, offsets, values, None))
        };
        list(list(Arc::new(Int32Array::from(values)), inner), outer)
    }

    #[test]
    fn nulls_are_equal_and_greater_than_values() {
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![]),
            Some(vec![Some(1)]),
            Some(vec![Some(1), Some(-2)]),
            Some(vec![Some(1), Some(2)]),
            Some(vec![Some(1), Some(2), Some(3)]),
            Some(vec![Some(1), None]),
            Some(vec![Some(2), Some(1)]),
            Some(vec![None]),
        ]));
        assert!(found(lists).is_sorted_by(|one, other| one < other));
        let same = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            Some(vec![Some(1), None]),
            None,
        ]);
        let same = found(Arc::new(same));
        assert!(same[0].is_some() && same[0] == same[1] && same[2].is_none());
    }

    #[test]
    fn texts_are_compared_whole() {
        let texts: ArrayRef =
            Arc::new(StringArray::from(vec![Some("a"), Some("a"), Some("b"), Some("aa"), None]));
        let item = Arc::new(Field::new("item", DataType::Utf8, true));
        let offsets = OffsetBuffer::from_lengths([1, 2, 1, 1]);
        let lists = ListArray::new(item, offsets, texts, None);
        assert!(found(Arc::new(lists)).is_sorted_by(|one, other| one < other));
    }

    #[test]
    fn elements_come_before_dimensions() {
        let flat = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), Some(2)])]);
        let mut all = found(Arc::new(flat));
        // {{1,2}}, {{1},{2}} and {{1},{5}}.
        let values = [1, 2, 1, 2, 1, 5].map(Some).to_vec();
        all.extend(found(nested(values, &[2, 1, 1, 1, 1], &[1, 2, 2])));
        assert!(all.is_sorted_by(|one, other| one < other), "{all:?}");
        assert_eq!(all.len(), 4);
        let empty =
            ListArray::from_iter_primitive::<Int32Type, Vec<Option<i32>>, _>([Some(vec![])]);
        assert_eq!(found(Arc::new(empty)), found(nested(vec![], &[], &[0])));
    }
}
