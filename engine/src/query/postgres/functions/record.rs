//! `record('name', value, ...)`: values as a record in which each keeps its type. The rewriting of statements makes it of
//! `ROW(...)`, of values in parentheses, and of the name of a relation where a value is expected.
//!
//! `record_found` is the same of a relation that an outer join may find no row of: there the record is null, and so is one of a
//! row that has nothing but nulls.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StructArray};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// Its name.
pub(crate) const NAME: &str = "record";

/// The name of the one that may be null.
pub(crate) const FOUND: &str = "record_found";

/// Returns the functions.
pub(super) fn records() -> [ScalarUDF; 2] {
    [NAME, FOUND].map(|name| {
        let signature = Signature::variadic_any(Volatility::Immutable);
        ScalarUDF::from(Record { name, signature })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Record {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Record {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args answers for {}", self.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let names = args.scalar_arguments.iter().step_by(2);
        let values = args.arg_fields.iter().skip(1).step_by(2);
        if !args.arg_fields.len().is_multiple_of(2) {
            return plan_err!("function {} takes names with their values", self.name);
        }
        let fields = names.zip(values).map(|(name, value)| {
            match name.and_then(|name| name.try_as_str().flatten()) {
                Some(name) => Ok(value.as_ref().clone().with_name(name).with_nullable(true)),
                None => plan_err!("function {} takes constant names", self.name),
            }
        });
        let fields = fields.collect::<Result<Vec<Field>>>()?;
        Ok(Arc::new(Field::new(self.name, DataType::Struct(fields.into()), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Struct(fields) = args.return_field.data_type() else {
            return internal_err!("{} gives a record", self.name);
        };
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let values = args.args.iter().skip(1).step_by(2).map(|value| value.to_array(rows));
        let values = values.collect::<Result<Vec<ArrayRef>>>()?;
        let nulls = if self.name == FOUND { with_values(&values) } else { None };
        let records: ArrayRef = Arc::new(StructArray::try_new(fields.clone(), values, nulls)?);
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&records, 0)?),
            false => ColumnarValue::Array(records),
        })
    }
}

/// The rows that have a value in any column; `None` where all have one.
fn with_values(columns: &[ArrayRef]) -> Option<NullBuffer> {
    let mut found: Option<BooleanBuffer> = None;
    for column in columns {
        let valid = column.logical_nulls()?.into_inner();
        found = Some(match found {
            Some(found) => &found | &valid,
            None => valid,
        });
    }
    found.map(NullBuffer::new)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int32Array, NullArray, StringArray};

    use super::*;

    #[test]
    fn a_row_without_values_is_not_found() {
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, None]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![None, Some("a"), None]));
        let nothing: ArrayRef = Arc::new(NullArray::new(3));
        let found = with_values(&[numbers, texts, nothing]).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), [true, true, false]);
        let whole: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert!(with_values(&[whole]).is_none());
    }
}
