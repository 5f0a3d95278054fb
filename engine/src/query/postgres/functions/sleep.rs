//! `pg_sleep`: a statement that waits. It waits as a task, so that it keeps no thread from others, and ends with its
//! statement.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, AsArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::types::{NativeType, logical_float64};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    Coercion, ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TypeSignatureClass, Volatility,
};

use crate::query::postgres::types;

const NAME: &str = "pg_sleep";

/// Returns the function.
pub(super) fn sleep() -> ScalarUDF {
    let seconds = Coercion::new_implicit(
        TypeSignatureClass::Native(logical_float64()),
        vec![TypeSignatureClass::Numeric],
        NativeType::Float64,
    );
    let signature = Signature::coercible(vec![seconds], Volatility::Volatile);
    AsyncScalarUDF::new(Arc::new(Sleep { signature })).into_scalar_udf()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sleep {
    signature: Signature,
}

impl ScalarUDFImpl for Sleep {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(types::arrow_type("void"))
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(types::field(NAME, "void")))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{NAME} waits")
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Sleep {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(seconds) = args.args.first() else {
            return internal_err!("{NAME} takes one argument");
        };
        let seconds = seconds.to_array(args.number_rows)?;
        let Some(seconds) = seconds.as_primitive_opt::<Float64Type>() else {
            return internal_err!("{NAME} takes seconds");
        };
        let mut answers = StringBuilder::new();
        for row in 0..seconds.len() {
            let span = seconds.is_valid(row).then(|| seconds.value(row));
            if let Some(span) = span.filter(|span| *span > 0.0) {
                // What is longer than a clock counts has no end.
                let longest = Duration::try_from_secs_f64(span).unwrap_or(Duration::MAX);
                tokio::time::sleep(longest).await;
            }
            answers.append_option(span.map(|_| ""));
        }
        Ok(ColumnarValue::Array(Arc::new(answers.finish())))
    }
}
