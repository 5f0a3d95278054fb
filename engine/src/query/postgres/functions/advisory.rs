//! Functions that take and give back advisory locks.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};

use super::{Body, Call, Function, Kind, failure};
use crate::Error;
use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::locks::{Key, Mode, Span};
use crate::query::postgres::types;

const KEY: &[Kind] = &[Kind::Int, Kind::Int];

const fn function(name: &'static str, body: Body) -> Function {
    Function::new(name, KEY, "bool", body).at_least(1).with(Volatility::Volatile)
}

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "pg_try_advisory_lock",
        Body::Bool(|c, row| taken(c, row, Mode::Exclusive, Span::Session)),
    ),
    function(
        "pg_try_advisory_lock_shared",
        Body::Bool(|c, row| taken(c, row, Mode::Shared, Span::Session)),
    ),
    function(
        "pg_try_advisory_xact_lock",
        Body::Bool(|c, row| taken(c, row, Mode::Exclusive, Span::Transaction)),
    ),
    function(
        "pg_try_advisory_xact_lock_shared",
        Body::Bool(|c, row| taken(c, row, Mode::Shared, Span::Transaction)),
    ),
    function("pg_advisory_unlock", Body::Bool(|c, row| given_back(c, row, Mode::Exclusive))),
    function("pg_advisory_unlock_shared", Body::Bool(|c, row| given_back(c, row, Mode::Shared))),
    Function::new("pg_advisory_unlock_all", &[], "void", Body::Text(all_given_back))
        .with(Volatility::Volatile),
];

fn taken(call: &Call<'_>, row: usize, mode: Mode, span: Span) -> Result<Option<bool>> {
    let Some(key) = key(call.int(0, row), call.arguments.len(), call.int(1, row))? else {
        return Ok(None);
    };
    call.facts.locks.try_take(key, mode, span).map(Some).map_err(failure)
}

fn given_back(call: &Call<'_>, row: usize, mode: Mode) -> Result<Option<bool>> {
    let key = key(call.int(0, row), call.arguments.len(), call.int(1, row))?;
    Ok(key.map(|key| call.facts.locks.give_back(key, mode)))
}

fn all_given_back(call: &Call<'_>, _: usize) -> Result<Option<String>> {
    call.facts.locks.give_back_all(Span::Session);
    Ok(Some(String::new()))
}

/// The lock that one or two numbers name; `None` if one of them is null.
fn key(first: Option<i64>, count: usize, second: Option<i64>) -> Result<Option<Key>> {
    let half = |number: i64| {
        i32::try_from(number).map_err(|_| {
            failure(Error::Standard {
                sqlstate: "22003",
                message: "one of two numbers of an advisory lock is out of range".to_string(),
                hint: "Two numbers have 32 bits each; one alone has 64.".to_string(),
            })
        })
    };
    Ok(match (first, second) {
        (Some(first), Some(second)) => Some(Key::Two(half(first)?, half(second)?)),
        (Some(first), None) if count == 1 => Some(Key::One(first)),
        _ => None,
    })
}

/// Returns the functions that wait for a lock. They run as tasks, so that who waits keeps no thread from others.
pub(super) fn waiting(facts: &Arc<SessionFacts>) -> Vec<ScalarUDF> {
    let numbers = |count| TypeSignature::Exact(vec![DataType::Int64; count]);
    let of = |(name, mode, span)| {
        let signature = Signature::one_of(vec![numbers(1), numbers(2)], Volatility::Volatile);
        let lock = TakeLock { name, mode, span, signature, facts: Arc::clone(facts) };
        AsyncScalarUDF::new(Arc::new(lock)).into_scalar_udf()
    };
    [
        ("pg_advisory_lock", Mode::Exclusive, Span::Session),
        ("pg_advisory_lock_shared", Mode::Shared, Span::Session),
        ("pg_advisory_xact_lock", Mode::Exclusive, Span::Transaction),
        ("pg_advisory_xact_lock_shared", Mode::Shared, Span::Transaction),
    ]
    .into_iter()
    .map(of)
    .collect()
}

#[derive(Debug)]
struct TakeLock {
    name: &'static str,
    mode: Mode,
    span: Span,
    signature: Signature,
    facts: Arc<SessionFacts>,
}

impl PartialEq for TakeLock {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.facts, &other.facts)
    }
}

impl Eq for TakeLock {}

impl Hash for TakeLock {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for TakeLock {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(types::arrow_type("void"))
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(types::field(self.name, "void")))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{} waits", self.name)
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for TakeLock {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let numbers: Vec<ArrayRef> =
            args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<_>>()?;
        let number = |at: usize, row: usize| {
            let numbers = numbers.get(at)?.as_primitive_opt::<Int64Type>()?;
            numbers.is_valid(row).then(|| numbers.value(row))
        };
        let mut answers = StringBuilder::new();
        for row in 0..args.number_rows {
            let key = key(number(0, row), numbers.len(), number(1, row))?;
            if let Some(key) = key {
                self.take(key).await?;
            }
            answers.append_option(key.map(|_| ""));
        }
        Ok(ColumnarValue::Array(Arc::new(answers.finish())))
    }
}

impl TakeLock {
    async fn take(&self, key: Key) -> Result<()> {
        let taking = self.facts.locks.take(key, self.mode, self.span);
        let longest = self.facts.setting("lock_timeout").as_deref().and_then(duration);
        let taken = match longest {
            None => taking.await,
            Some(longest) => tokio::time::timeout(longest, taking).await.unwrap_or_else(|_| {
                Err(Error::Standard {
                    sqlstate: "55P03",
                    message: "canceling statement due to lock timeout".to_string(),
                    hint: "Another session holds the advisory lock: try again.".to_string(),
                })
            }),
        };
        taken.map_err(failure)
    }
}

/// Reads a time as sessions keep it, such as `5s`; `None` for 0, which is no bound.
fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: u64 = text[..split].parse().ok().filter(|number| *number > 0)?;
    let unit = match &text[split..] {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_and_keys() {
        for (text, milliseconds) in [("0", None), ("500ms", Some(500)), ("2min", Some(120_000))] {
            assert_eq!(duration(text), milliseconds.map(Duration::from_millis), "{text}");
        }
        assert_eq!(key(Some(1), 1, None).unwrap(), Some(Key::One(1)));
        assert_eq!(key(Some(1), 2, Some(2)).unwrap(), Some(Key::Two(1, 2)));
        assert_eq!(key(Some(1), 2, None).unwrap(), None);
        assert!(key(Some(1 << 40), 2, Some(2)).is_err());
    }
}
