//! Logarithms and angles, of values that have one: to PostgreSQL the logarithm of zero is an error and not minus infinity, and
//! the angle whose sine is 2 one and not `NaN`.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use super::checked::{Check, checked};
use super::failure;
use crate::Error;

static FUNCTIONS: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
    let finite = Within(f64::MIN, f64::MAX);
    let angles = [
        ("asin", Within(-1.0, 1.0)),
        ("acos", Within(-1.0, 1.0)),
        ("atanh", Within(-1.0, 1.0)),
        ("acosh", Within(1.0, f64::INFINITY)),
        ("sin", finite),
        ("cos", finite),
        ("tan", finite),
        ("cot", finite),
    ];
    let mut functions = checked(["ln", "log", "log2", "log10"].map(|name| (name, Positive)));
    functions.extend(checked(angles));
    functions
});

/// Returns the logarithms and the functions of angles.
pub(super) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS.clone()
}

/// Each argument, a base included, must be greater than zero.
#[derive(Debug)]
struct Positive;

impl Check for Positive {
    fn check(&self, _: &str, args: &ScalarFunctionArgs) -> Result<()> {
        for arg in &args.args {
            let values = numbers(arg)?;
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

/// An argument as floating-point numbers.
fn numbers(arg: &ColumnarValue) -> Result<ArrayRef> {
    let values = match arg {
        ColumnarValue::Array(array) => Arc::clone(array),
        ColumnarValue::Scalar(value) => value.to_array()?,
    };
    Ok(cast(&values, &DataType::Float64)?)
}

/// The argument must lie between two numbers, or be none.
#[derive(Debug, Clone, Copy)]
struct Within(f64, f64);

impl Check for Within {
    fn check(&self, _: &str, args: &ScalarFunctionArgs) -> Result<()> {
        let Some(arg) = args.args.first() else { return Ok(()) };
        let values = numbers(arg)?;
        let mut values = values.as_primitive::<Float64Type>().iter().flatten();
        if values.all(|value| value.is_nan() || (self.0..=self.1).contains(&value)) {
            return Ok(());
        }
        Err(failure(Error::Standard {
            sqlstate: "22003",
            message: "input is out of range".to_owned(),
            hint: "Leave out the rows with such values, or put null in their place with nullif or CASE.".to_owned(),
        }))
    }
}
