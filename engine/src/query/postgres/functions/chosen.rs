//! `coalesce`, `greatest`, `least` and `nullif` over types that DataFusion brings together otherwise than PostgreSQL: beside
//! a float a decimal becomes one, and a literal takes the type of what stands beside it.
//!
//! Which texts are literals is not known here, so a text takes any type. Literals are read when types are settled; a text
//! of another kind is refused before that.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::binary::{comparison_coercion, type_union_resolution};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// The functions that choose one of their arguments.
pub(in crate::query::postgres) const NAMES: [&str; 4] = ["coalesce", "greatest", "least", "nullif"];

/// Returns the functions that choose one of their arguments.
pub(super) fn functions() -> Vec<ScalarUDF> {
    static FUNCTIONS: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
        let all = SessionStateDefaults::default_scalar_functions().into_iter();
        let named = all.filter(|function| NAMES.contains(&function.name()));
        let signature = Signature::user_defined(Volatility::Immutable);
        named.map(|inner| ScalarUDF::from(Chosen { inner, signature: signature.clone() })).collect()
    });
    FUNCTIONS.clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Chosen {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl Chosen {
    /// The type that some types have in common.
    fn common(&self, types: &[DataType]) -> Option<DataType> {
        // Beside a point in time a day or a wall clock is one.
        let is_moment = |found: &&DataType| matches!(found, DataType::Timestamp(_, Some(_)));
        let is_time =
            |found: &DataType| matches!(found, DataType::Timestamp(..) | DataType::Date32);
        if let Some(moment) = types.iter().find(is_moment)
            && types.iter().all(is_time)
        {
            return Some(moment.clone());
        }
        match self.inner.name() {
            "coalesce" => type_union_resolution(types),
            _ => {
                // DataFusion takes days for numbers.
                if types.iter().any(DataType::is_temporal) && types.iter().any(DataType::is_numeric)
                {
                    return None;
                }
                let (first, others) = types.split_first()?;
                others
                    .iter()
                    .try_fold(first.clone(), |common, other| comparison_coercion(&common, other))
            }
        }
    }
}

impl ScalarUDFImpl for Chosen {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.inner.name();
        if types.is_empty() || name == "nullif" && types.len() != 2 {
            return plan_err!("Function '{name}' does not take {} arguments", types.len());
        }
        let common = self.common(&without_texts(&floated(types)));
        match common {
            // There is no cast of a text to such arrays: a literal is read as one when types are settled.
            Some(common) if name == "coalesce" && is_of_records(&common) => {
                let one = |given: &DataType| match given.is_string() {
                    true => given.clone(),
                    false => common.clone(),
                };
                Ok(types.iter().map(one).collect())
            }
            Some(common) => Ok(vec![common; types.len()]),
            None if name == "nullif" => {
                plan_err!("For function 'nullif' {} and {} is not comparable", types[0], types[1])
            }
            None if name != "coalesce" && types.iter().any(DataType::is_temporal) => {
                plan_err!(
                    "Function '{name}' does not take {} beside {}",
                    types[0],
                    types[types.len() - 1]
                )
            }
            // It says in its own words what does not go together.
            None => self.inner.coerce_types(types),
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn conditional_arguments<'a>(
        &self,
        args: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }
}

/// Tells whether values are arrays of records.
fn is_of_records(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(item) if matches!(item.data_type(), DataType::Struct(_)))
}

/// Decimals as the largest float that stands among them.
fn floated(types: &[DataType]) -> Vec<DataType> {
    let floats = types.iter().filter(|found| found.is_floating());
    let float = floats.max_by_key(|found| found.primitive_width());
    let one = |found: &DataType| match float {
        Some(float) if found.is_decimal() => float.clone(),
        _ => found.clone(),
    };
    types.iter().map(one).collect()
}

/// The types without texts, if there are others.
fn without_texts(types: &[DataType]) -> Vec<DataType> {
    let others = types.iter().filter(|found| !found.is_string() && !found.is_null());
    let others: Vec<DataType> = others.cloned().collect();
    if others.is_empty() { types.to_vec() } else { others }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Field;
    use datafusion::arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn types_have_one_in_common() {
        use DataType::{Date32, Decimal128, Float32, Float64, Int32, Int64, Null, Utf8};
        let functions = functions();
        assert_eq!(functions.len(), NAMES.len());
        let time =
            |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        let (moment, wall_clock) = (time(Some("UTC")), time(None));
        for (types, expected) in [
            ([Float64, Decimal128(3, 1)], Float64),
            ([Decimal128(3, 1), Float32], Float32),
            ([Date32, Utf8], Date32),
            ([Utf8, Int32], Int32),
            ([Int64, Null], Int64),
            ([Utf8, Utf8], Utf8),
            ([Date32, moment.clone()], moment.clone()),
            ([moment.clone(), wall_clock], moment),
        ] {
            for function in &functions {
                let found = function.coerce_types(&types).unwrap();
                assert_eq!(found, [expected.clone(), expected.clone()], "{}", function.name());
            }
        }
        let record = DataType::Struct(vec![Field::new("f1", Int32, true)].into());
        let records = DataType::new_list(record, true);
        for function in functions.iter().filter(|function| function.name() == "coalesce") {
            let types = [records.clone(), Utf8];
            assert_eq!(function.coerce_types(&types).unwrap(), types);
        }
        for function in &functions {
            assert!(function.coerce_types(&[Date32, Int32]).is_err(), "{}", function.name());
            assert!(function.coerce_types(&[]).is_err(), "{}", function.name());
        }
    }
}
