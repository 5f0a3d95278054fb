//! `records_of_lists('name', list, ...)`: lists of equal length as one of records, each of what stands at one place of them.
//! The rewriting of statements makes it of functions that give rows of several columns, where those stand in a select list:
//! `SELECT aclexplode(acl)`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// Its name.
pub(crate) const NAME: &str = "records_of_lists";

/// Returns the function: the rewriting of statements unnests what it gives.
pub(super) fn records_of() -> ScalarUDF {
    ScalarUDF::from(RecordsOf { signature: Signature::variadic_any(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RecordsOf {
    signature: Signature,
}

impl ScalarUDFImpl for RecordsOf {
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
        let names = args.scalar_arguments.iter().step_by(2);
        let lists = args.arg_fields.iter().skip(1).step_by(2);
        let fields = names.zip(lists).map(|(name, list)| {
            match (name.and_then(|name| name.try_as_str().flatten()), list.data_type()) {
                (Some(name), DataType::List(item)) => {
                    Ok(item.as_ref().clone().with_name(name).with_nullable(true))
                }
                _ => plan_err!("function {NAME} takes constant names with lists"),
            }
        });
        let fields = fields.collect::<Result<Vec<Field>>>()?;
        let item = Field::new("item", DataType::Struct(fields.into()), true);
        Ok(Arc::new(Field::new(NAME, DataType::List(Arc::new(item)), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::List(item) = args.return_field.data_type() else {
            return internal_err!("{NAME} gives a list");
        };
        let DataType::Struct(fields) = item.data_type() else {
            return internal_err!("{NAME} gives records");
        };
        let lists = args.args.iter().skip(1).step_by(2);
        let lists = lists.map(|list| list.to_array(args.number_rows));
        let lists = lists.collect::<Result<Vec<ArrayRef>>>()?;
        let lists: Vec<&ListArray> =
            lists.iter().filter_map(|list| list.as_list_opt::<i32>()).collect();
        let Some(first) = lists.first() else {
            return internal_err!("{NAME} takes lists");
        };
        let columns = lists.iter().copied().map(elements).collect();
        let records = StructArray::try_new(fields.clone(), columns, None)?;
        let offsets = OffsetBuffer::from_lengths(first.offsets().lengths());
        let nulls = first.nulls().cloned();
        let records = ListArray::try_new(Arc::clone(item), offsets, Arc::new(records), nulls)?;
        Ok(ColumnarValue::Array(Arc::new(records)))
    }
}

/// The elements of all lists of a column, which may be a part of a longer one.
fn elements(lists: &ListArray) -> ArrayRef {
    let at = |offset: Option<&i32>| offset.map_or(0, |at| usize::try_from(*at).unwrap_or(0));
    let (from, to) = (at(lists.offsets().first()), at(lists.offsets().last()));
    lists.values().slice(from, to.saturating_sub(from))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int32Array;
    use datafusion::arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn elements_are_those_of_the_lists_that_there_are() {
        let rows = vec![Some(vec![Some(1)]), None, Some(vec![Some(2), Some(3)]), Some(vec![])];
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(rows);
        let of = |lists: &ListArray| elements(lists).as_primitive::<Int32Type>().clone();
        assert_eq!(of(&lists), Int32Array::from(vec![1, 2, 3]));
        assert_eq!(of(&lists.slice(1, 2)), Int32Array::from(vec![2, 3]));
        assert_eq!(of(&lists.slice(3, 1)).len(), 0);
    }
}
