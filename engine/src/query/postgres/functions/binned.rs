//! `date_bin`, of strides that PostgreSQL takes: DataFusion takes months, whose length differs, and strides that lead nowhere.

use std::sync::LazyLock;

use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use super::checked::{Check, checked};
use super::failure;
use crate::Error;

const DAY_NANOS: i128 = 86_400_000_000_000;

static FUNCTIONS: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| checked([("date_bin", Stride)]));

/// Returns the function.
pub(super) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS.clone()
}

#[derive(Debug)]
struct Stride;

impl Check for Stride {
    fn is_null(&self, _: &str, args: &ScalarFunctionArgs) -> bool {
        args.args.iter().any(|arg| matches!(arg, ColumnarValue::Scalar(value) if value.is_null()))
    }

    fn check(&self, _: &str, args: &ScalarFunctionArgs) -> Result<()> {
        let Some(ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(Some(stride)))) =
            args.args.first()
        else {
            return Ok(());
        };
        if stride.months != 0 {
            return Err(failure(Error::Standard {
                sqlstate: "0A000",
                message: "timestamps cannot be binned into intervals containing months or years"
                    .to_owned(),
                hint: "Use date_trunc('month', x).".to_owned(),
            }));
        }
        if i128::from(stride.days) * DAY_NANOS + i128::from(stride.nanoseconds) <= 0 {
            return Err(failure(Error::Standard {
                sqlstate: "22008",
                message: "stride must be greater than zero".to_owned(),
                hint: String::new(),
            }));
        }
        Ok(())
    }
}
