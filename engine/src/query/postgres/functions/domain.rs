//! Logarithms, of values that have one: to PostgreSQL that of zero is an error and not minus infinity.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use super::checked::{Check, checked};
use super::failure;
use crate::Error;

static FUNCTIONS: LazyLock<Vec<ScalarUDF>> =
    LazyLock::new(|| checked(["ln", "log", "log2", "log10"].map(|name| (name, Positive))));

/// Returns the logarithms.
pub(super) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS.clone()
}

/// Each argument, a base included, must be greater than zero.
#[derive(Debug)]
struct Positive;

impl Check for Positive {
    fn check(&self, _: &str, args: &ScalarFunctionArgs) -> Result<()> {
        for arg in &args.args {
            let values = match arg {
                ColumnarValue::Array(array) => Arc::clone(array),
                ColumnarValue::Scalar(value) => value.to_array()?,
            };
            let values = cast(&values, &DataType::Float64)?;
            let least = values.as_primitive::<Float64Type>().iter().flatten().find(|x| *x <= 0.0);
            if let Some(least) = least {
                let of = if least == 0.0 { "zero" } else { "a negative number" };
                return Err(failure(Error::Standard {
                    sqlstate: "2201E",
                    message: format!("cannot take logarithm of {of}"),
                    hint: "Leave out the rows with such values, or put null in their place with nullif or CASE.".to_owned(),
                }));
            }
        }
        Ok(())
    }
}
