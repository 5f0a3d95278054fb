//! The times of the transaction and of the statement.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::types::{UTC, arrow_type};

/// Calls `now()` in a session.
pub(in crate::query::postgres) fn call(facts: &Arc<SessionFacts>) -> Expr {
    now(facts).call(vec![])
}

/// Returns `now()`, which is one time for a whole transaction of several statements, and `statement_timestamp()`, which is one
/// for the whole statement. Both are with time zone and in microseconds.
pub(super) fn functions(facts: &Arc<SessionFacts>) -> [ScalarUDF; 2] {
    [now(facts), ScalarUDF::from(Now::of("statement_timestamp", &[], None))]
}

fn now(facts: &Arc<SessionFacts>) -> ScalarUDF {
    let aliases = ["current_timestamp", "transaction_timestamp"];
    ScalarUDF::from(Now::of("now", &aliases, Some(facts)))
}

#[derive(Debug)]
struct Now {
    name: &'static str,
    signature: Signature,
    aliases: Vec<String>,
    /// The session whose transaction has begun at that time; without it, it is that of the statement.
    facts: Option<Arc<SessionFacts>>,
}

impl Now {
    fn of(name: &'static str, aliases: &[&str], facts: Option<&Arc<SessionFacts>>) -> Self {
        let signature = Signature::nullary(Volatility::Stable);
        let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        Now { name, signature, aliases, facts: facts.map(Arc::clone) }
    }
}

impl PartialEq for Now {
    fn eq(&self, other: &Self) -> bool {
        let of = |now: &Self| now.facts.as_ref().map(Arc::as_ptr);
        self.name == other.name && of(self) == of(other)
    }
}

impl Eq for Now {}

impl Hash for Now {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        self.name
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
        internal_err!("{}() is replaced by its time when the statement is planned", self.name)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Some(now) = info.query_execution_start_time() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let began = self.facts.as_ref().and_then(|facts| facts.transaction_began());
        let now = began.unwrap_or_else(|| now.timestamp_micros());
        let now = ScalarValue::TimestampMicrosecond(Some(now), Some(UTC.into()));
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(now, None)))
    }
}
