//! Arrays of objects, such as a `regtype[]`, for a client: each number becomes a record of the number and the name, of which the
//! client gets what its format has.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, ListArray, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::query::postgres::types::{self, TYPE_KEY};

const NAME: &str = "object_names";

/// Returns the function for arrays of one of the types that are shown by name, and the function that names one of those.
pub(in crate::query::postgres) fn object_list(reg: &'static str, of: &Arc<ScalarUDF>) -> ScalarUDF {
    let signature = Signature::any(1, Volatility::Stable);
    ScalarUDF::from(ObjectList { reg, of: Arc::clone(of), signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ObjectList {
    reg: &'static str,
    of: Arc<ScalarUDF>,
    signature: Signature,
}

impl ObjectList {
    /// An element: a record that is known for an object by its type.
    fn element(&self) -> FieldRef {
        let metadata = HashMap::from([(TYPE_KEY.to_string(), self.reg.to_string())]);
        let record = DataType::Struct(members());
        Arc::new(Field::new("item", record, true).with_metadata(metadata))
    }
}

fn members() -> Fields {
    let [oid, name] = [("oid", DataType::Int64), ("name", DataType::Utf8)]
        .map(|(name, data_type)| Field::new(name, data_type, true));
    Fields::from(vec![oid, name])
}

impl ScalarUDFImpl for ObjectList {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(self.element()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(lists) = args.args.first() else {
            return internal_err!("{NAME} takes one argument");
        };
        let lists = lists.to_array(args.number_rows)?;
        let Some(lists) = lists.as_list_opt::<i32>() else {
            return internal_err!("{NAME} takes an array");
        };
        let numbers = cast(lists.values(), &DataType::Int64)?;
        let named = self.of.invoke_with_args(ScalarFunctionArgs {
            args: vec![ColumnarValue::Array(Arc::clone(&numbers))],
            arg_fields: vec![Arc::new(Field::new("oid", DataType::Int64, true))],
            number_rows: numbers.len(),
            return_field: Arc::new(types::field(self.of.name(), "text")),
            config_options: args.config_options,
        })?;
        let (names, nulls) = (named.into_array(numbers.len())?, numbers.nulls().cloned());
        let objects = StructArray::try_new(members(), vec![numbers, names], nulls)?;
        let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
        let objects = ListArray::try_new(self.element(), offsets, Arc::new(objects), nulls)?;
        Ok(ColumnarValue::Array(Arc::new(objects)))
    }
}
