//! `single_value(x)`: the one row of a subquery used as an expression.
//!
//! A correlated subquery becomes a join, and a join would repeat the outer row for each inner one. This aggregate keeps
//! the meaning of SQL: no row gives null, one row its value, and two are an error.

use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility,
};

use super::failure;
use crate::Error;

/// Returns the aggregate function.
pub(super) fn single_value() -> AggregateUDF {
    AggregateUDF::from(SingleValue { signature: Signature::any(1, Volatility::Immutable) })
}

/// The value of the one row that there is.
pub(in crate::query::postgres) fn single(value: Expr) -> Expr {
    single_value().call(vec![value])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleValue {
    signature: Signature,
}

impl AggregateUDFImpl for SingleValue {
    fn name(&self) -> &str {
        "single_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [one] => Ok(one.clone()),
            _ => internal_err!("single_value takes one argument"),
        }
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        match fields {
            [one] => Ok(Arc::new(one.as_ref().clone().with_name(self.name()).with_nullable(true))),
            _ => internal_err!("single_value takes one argument"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let value = args
            .return_field
            .as_ref()
            .clone()
            .with_name(format!("{}[value]", args.name))
            .with_nullable(true);
        Ok(vec![
            Arc::new(value),
            Arc::new(Field::new(format!("{}[rows]", args.name), DataType::Int64, false)),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One { value: ScalarValue::try_from(args.return_field.data_type())?, rows: 0 }))
    }
}

#[derive(Debug)]
struct One {
    value: ScalarValue,
    rows: i64,
}

impl One {
    fn take(&mut self, values: &ArrayRef, at: usize, rows: i64) -> Result<()> {
        self.rows += rows;
        if self.rows > 1 {
            return Err(failure(Error::Standard {
                sqlstate: "21000",
                message: "more than one row returned by a subquery used as an expression"
                    .to_string(),
                hint: "Add LIMIT 1 or an aggregate, or use IN or ARRAY(...).".to_string(),
            }));
        }
        if rows == 1 {
            self.value = ScalarValue::try_from_array(values, at)?;
        }
        Ok(())
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values[0].len();
        if rows == 0 {
            return Ok(());
        }
        self.take(&values[0], 0, i64::try_from(rows).unwrap_or(i64::MAX))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states[1].as_primitive::<Int64Type>();
        for at in 0..rows.len() {
            if rows.value(at) > 0 {
                self.take(&states[0], at, rows.value(at))?;
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), ScalarValue::Int64(Some(self.rows))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size() - size_of_val(&self.value)
    }
}
