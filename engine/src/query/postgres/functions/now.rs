//! The time of the statement.

use std::sync::LazyLock;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::query::postgres::types::{UTC, arrow_type};

static NOW: LazyLock<ScalarUDF> = LazyLock::new(now);

/// Calls `now()`.
pub(in crate::query::postgres) fn call() -> Expr {
    NOW.call(vec![])
}

/// Returns `now()`: one time for the whole statement, with time zone and in microseconds.
pub(super) fn now() -> ScalarUDF {
    let aliases = ["current_timestamp", "transaction_timestamp", "statement_timestamp"];
    ScalarUDF::from(Now {
        signature: Signature::nullary(Volatility::Stable),
        aliases: aliases.map(str::to_string).to_vec(),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    signature: Signature,
    aliases: Vec<String>,
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        "now"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(arrow_type("timestamptz"))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("now() is replaced by the time of the statement when it is planned")
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Some(now) = info.query_execution_start_time() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let now = ScalarValue::TimestampMicrosecond(Some(now.timestamp_micros()), Some(UTC.into()));
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(now, None)))
    }
}
