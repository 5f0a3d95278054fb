//! `generate_series` as a list: of integers it is one of integers, where DataFusion counts in bigints.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::failure;
use crate::Error;

/// Puts the function around that which counts in bigints.
pub(super) fn of(inner: ScalarUDF) -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::from(IntegerSeries { inner: Arc::new(inner), signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntegerSeries {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

/// Tells whether all arguments are integers, or nulls among them.
fn are_integers(types: &[DataType]) -> bool {
    let is_integer = |data_type: &DataType| {
        matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32)
    };
    types.iter().any(is_integer)
        && types.iter().all(|data_type| is_integer(data_type) || data_type.is_null())
}

/// Fails if a step is zero, which leads nowhere. There is no series where an argument is null.
fn refuse_zero(args: &ScalarFunctionArgs) -> Result<()> {
    let [start, stop, step] = args.args.as_slice() else { return Ok(()) };
    if !step.data_type().is_integer() {
        return Ok(());
    }
    let rows = args.number_rows;
    let (start, stop) = (start.to_array(rows)?, stop.to_array(rows)?);
    let steps = cast(&step.to_array(rows)?, &DataType::Int64)?;
    let steps = steps.as_primitive::<Int64Type>();
    let leads_nowhere = |(row, step): (usize, Option<i64>)| {
        step == Some(0) && start.is_valid(row) && stop.is_valid(row)
    };
    match steps.iter().enumerate().any(leads_nowhere) {
        true => Err(failure(Error::Standard {
            sqlstate: "22023",
            message: "step size cannot equal zero".to_owned(),
            hint: "Take a step that leads from the start to the stop.".to_owned(),
        })),
        false => Ok(()),
    }
}

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(element, true)))
}

impl ScalarUDFImpl for IntegerSeries {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if are_integers(types) && types.len() <= 3 {
            return Ok(vec![DataType::Int32; types.len()]);
        }
        let field = |data_type: &DataType| Arc::new(Field::new("", data_type.clone(), true));
        let fields: Vec<FieldRef> = types.iter().map(field).collect();
        let fields = fields_with_udf(&fields, self.inner.as_ref())?;
        Ok(fields.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match are_integers(types) {
            true => Ok(list_of(DataType::Int32)),
            false => self.inner.return_type(types),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        refuse_zero(&args)?;
        let to = args.return_field.data_type().clone();
        if to != list_of(DataType::Int32) {
            return self.inner.invoke_with_args(args);
        }
        for arg in &mut args.args {
            *arg = arg.cast_to(&DataType::Int64, None)?;
        }
        let bigints = args.return_field.as_ref().clone().with_data_type(list_of(DataType::Int64));
        args.return_field = Arc::new(bigints);
        self.inner.invoke_with_args(args)?.cast_to(&to, None)
    }
}
