//! What holds for the values of the domains of `information_schema`, which are other types with conditions.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::Volatility;

use super::{Body, Call, Function, Kind, failure};
use crate::Error;

/// The name of the function that the rewriting calls on values that were cast to a domain; the domain follows them.
pub(in crate::query::postgres) const OF_DOMAIN: &str = "value_of_domain";

pub(super) const FUNCTIONS: &[Function] =
    &[Function::new(OF_DOMAIN, &[Kind::Any, Kind::Text], "", Body::Column(held))
        .with(Volatility::Immutable)];

/// The values as they are, if they are those of the domain.
fn held(call: &Call<'_>) -> Result<ArrayRef> {
    let values = &call.arguments[0];
    let domain = if call.rows == 0 { None } else { call.text(1, 0) };
    match domain {
        Some("cardinal_number") => {
            let numbers = values.as_primitive_opt::<Int32Type>();
            if numbers.is_some_and(|numbers| numbers.iter().flatten().any(|number| number < 0)) {
                return Err(violated("cardinal_number", "cardinal_number_domain_check"));
            }
        }
        Some("yes_or_no") => {
            let is_either = |row| call.text(0, row).is_none_or(|text| matches!(text, "YES" | "NO"));
            if !(0..call.rows).all(is_either) {
                return Err(violated("yes_or_no", "yes_or_no_check"));
            }
        }
        _ => {}
    }
    Ok(Arc::clone(values))
}

fn violated(domain: &str, check: &str) -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "23514",
        message: format!(
            "value for domain information_schema.{domain} violates check constraint \"{check}\""
        ),
        hint: "Cast to the type below the domain, or give a value that it has.".to_owned(),
    })
}
