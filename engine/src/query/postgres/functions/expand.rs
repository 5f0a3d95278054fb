//! `information_schema._pg_expandarray`: the elements of an array, each with its place. Drivers read the keys of relations
//! with it.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, Int32Array, ListArray, StructArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::query::postgres::types::field;

/// Its name without the schema.
pub(crate) const NAME: &str = "_pg_expandarray";

/// Returns the function, which gives an array of records: the rewriting of statements unnests it.
pub(super) fn expand() -> ScalarUDF {
    ScalarUDF::from(Expand { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Expand {
    signature: Signature,
}

/// A record of an element, `x`, and its place, `n`.
fn record(element: &Field) -> Fields {
    let element = element.clone().with_name("x").with_nullable(true);
    Fields::from(vec![element, field("n", "int4")])
}

impl ScalarUDFImpl for Expand {
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
        match args.arg_fields.first().map(|field| field.data_type()) {
            Some(DataType::List(item)) => {
                let item = Field::new("item", DataType::Struct(record(item)), true);
                Ok(Arc::new(Field::new(NAME, DataType::List(Arc::new(item)), true)))
            }
            _ => plan_err!("function {NAME} takes an array"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (Some(argument), DataType::List(item)) =
            (args.args.first(), args.return_field.data_type())
        else {
            return internal_err!("{NAME} takes one argument and returns a list");
        };
        let array = argument.to_array(args.number_rows)?;
        let (Some(lists), DataType::Struct(fields)) =
            (array.as_list_opt::<i32>(), item.data_type())
        else {
            return internal_err!("{NAME} takes a list and returns records");
        };
        // What a null list hides is no element of it.
        let length = |row: usize| {
            usize::try_from(lists.value_length(row)).unwrap_or(0) * usize::from(lists.is_valid(row))
        };
        let rows = 0..lists.len();
        let places: Int32Array = rows
            .clone()
            .flat_map(|row| (1..=length(row)).map(|at| i32::try_from(at).ok()))
            .collect();
        let parts: Vec<_> =
            rows.clone().filter(|row| length(*row) > 0).map(|row| lists.value(row)).collect();
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        let elements = match parts.as_slice() {
            [] => lists.values().slice(0, 0),
            parts => datafusion::arrow::compute::concat(parts)?,
        };
        let records = StructArray::try_new(fields.clone(), vec![elements, Arc::new(places)], None)?;
        let offsets = OffsetBuffer::from_lengths(rows.map(length));
        let nulls = lists.nulls().cloned();
        let expanded = ListArray::try_new(Arc::clone(item), offsets, Arc::new(records), nulls)?;
        Ok(ColumnarValue::Array(Arc::new(expanded)))
    }
}
