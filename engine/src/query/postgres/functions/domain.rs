//! Logarithms, of values that have one: to PostgreSQL that of zero is an error and not minus infinity.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::Result;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::failure;
use crate::Error;

/// DataFusion's logarithms: each argument, a base included, must be greater than zero.
const LOGARITHMS: [&str; 4] = ["ln", "log", "log2", "log10"];

static FUNCTIONS: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
    let all = SessionStateDefaults::default_scalar_functions();
    let wrap = |name: &&str| {
        let inner = all.iter().find(|function| function.name() == *name)?;
        Some(ScalarUDF::from(Logarithm { inner: Arc::clone(inner) }))
    };
    LOGARITHMS.iter().filter_map(wrap).collect()
});

/// Returns the logarithms.
pub(super) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS.clone()
}

#[derive(Debug)]
struct Logarithm {
    inner: Arc<ScalarUDF>,
}

impl PartialEq for Logarithm {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Logarithm {}

impl Hash for Logarithm {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Logarithm {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
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
        self.inner.invoke_with_args(args)
    }
}
