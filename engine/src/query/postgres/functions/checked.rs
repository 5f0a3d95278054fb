//! DataFusion's functions, each behind a check of its arguments.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// What the arguments of a call have to pass.
pub(super) trait Check: Debug + Send + Sync + 'static {
    /// Fails if `function` is not to be called with these arguments.
    fn check(&self, function: &str, args: &ScalarFunctionArgs) -> Result<()>;

    /// Tells whether the result is null whatever the function would make of these arguments.
    fn is_null(&self, _function: &str, _args: &ScalarFunctionArgs) -> bool {
        false
    }
}

/// Returns DataFusion's functions of these names, each behind its check.
pub(super) fn checked<C: Check>(
    checks: impl IntoIterator<Item = (&'static str, C)>,
) -> Vec<ScalarUDF> {
    let all = SessionStateDefaults::default_scalar_functions();
    let wrap = |(name, check): (&'static str, C)| {
        let inner = all.iter().find(|function| function.name() == name)?;
        Some(with_check(Arc::clone(inner), check))
    };
    checks.into_iter().filter_map(wrap).collect()
}

/// Puts a function behind a check.
pub(super) fn with_check<C: Check>(inner: Arc<ScalarUDF>, check: C) -> ScalarUDF {
    ScalarUDF::from(Checked { inner, check })
}

#[derive(Debug)]
struct Checked<C> {
    inner: Arc<ScalarUDF>,
    check: C,
}

impl<C> PartialEq for Checked<C> {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl<C> Eq for Checked<C> {}

impl<C> Hash for Checked<C> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl<C: Check> ScalarUDFImpl for Checked<C> {
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
        if self.check.is_null(self.inner.name(), &args) {
            let null = ScalarValue::try_from(args.return_field.data_type())?;
            return Ok(ColumnarValue::Scalar(null));
        }
        self.check.check(self.inner.name(), &args)?;
        self.inner.invoke_with_args(args)
    }
}
