//! `record('name', value, ...)`: values as a record in which each keeps its type. The rewriting of statements makes it of
//! `ROW(...)`, of values in parentheses, and of the name of a relation where a value is expected.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StructArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// Its name.
pub(crate) const NAME: &str = "record";

/// Returns the function.
pub(super) fn record() -> ScalarUDF {
    ScalarUDF::from(Record { signature: Signature::variadic_any(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Record {
    signature: Signature,
}

impl ScalarUDFImpl for Record {
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
        let values = args.arg_fields.iter().skip(1).step_by(2);
        if !args.arg_fields.len().is_multiple_of(2) {
            return plan_err!("function {NAME} takes names with their values");
        }
        let fields = names.zip(values).map(|(name, value)| {
            match name.and_then(|name| name.try_as_str().flatten()) {
                Some(name) => Ok(value.as_ref().clone().with_name(name).with_nullable(true)),
                None => plan_err!("function {NAME} takes constant names"),
            }
        });
        let fields = fields.collect::<Result<Vec<Field>>>()?;
        Ok(Arc::new(Field::new(NAME, DataType::Struct(fields.into()), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Struct(fields) = args.return_field.data_type() else {
            return internal_err!("{NAME} gives a record");
        };
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let values = args.args.iter().skip(1).step_by(2).map(|value| value.to_array(rows));
        let values = values.collect::<Result<Vec<ArrayRef>>>()?;
        let records: ArrayRef = Arc::new(StructArray::try_new(fields.clone(), values, None)?);
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&records, 0)?),
            false => ColumnarValue::Array(records),
        })
    }
}
