//! A part of a set of groups, `ROLLUP (city)`, kept apart from what is known of it before rows are grouped.
//!
//! A column that is the same in all rows is not so any more once it is null in the totals. DataFusion takes it for a constant all
//! the same, and so for sorted: it leaves out sorts by it, and takes groups for complete that are not. Nothing is known of what a
//! function makes of a value and of another function, which is not worked out beforehand.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// The value of a part, of which nothing else is known.
pub(in crate::query::postgres) fn set_part(value: Expr) -> Expr {
    static FUNCTIONS: LazyLock<[ScalarUDF; 2]> = LazyLock::new(|| {
        let part = SetPart { signature: Signature::any(2, Volatility::Immutable) };
        let unknown = Unknown { signature: Signature::nullary(Volatility::Volatile) };
        [ScalarUDF::from(part), ScalarUDF::from(unknown)]
    });
    let [part, unknown] = &*FUNCTIONS;
    part.call(vec![value, unknown.call(vec![])])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SetPart {
    signature: Signature,
}

impl ScalarUDFImpl for SetPart {
    fn name(&self) -> &str {
        "set_part"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args answers for {}", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields.first() {
            Some(field) => Ok(Arc::clone(field)),
            None => internal_err!("{} takes a value", self.name()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(value) => Ok(value),
            None => internal_err!("{} takes a value", self.name()),
        }
    }
}

/// What nothing is known of.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Unknown {
    signature: Signature,
}

impl ScalarUDFImpl for Unknown {
    fn name(&self) -> &str {
        "unknown_part"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)))
    }
}
