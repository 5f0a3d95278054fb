//! A bound on what `||` makes.
//!
//! The operator doubles a text in one step, so that thirty steps of a recursive query take the memory of the process. What
//! it makes goes through [`bound()`], which lets everything pass that is not too large.

use std::sync::LazyLock;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::bounded::{BATCH_BYTES_MAX, VALUE_BYTES_MAX};
use super::failure;
use crate::Error;
use crate::query::stop::fold;

static BOUND: LazyLock<ScalarUDF> = LazyLock::new(|| {
    ScalarUDF::from(Bound { signature: Signature::any(1, Volatility::Immutable) })
});

/// Puts the bound on an expression that makes texts.
pub(in crate::query::postgres) fn bound(texts: Expr) -> Expr {
    BOUND.call(vec![texts])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bound {
    signature: Signature,
}

impl ScalarUDFImpl for Bound {
    fn name(&self) -> &str {
        "textcat"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [one] => Ok(one.clone()),
            _ => internal_err!("textcat takes one argument"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [one] => Ok(FieldRef::clone(one)),
            _ => internal_err!("textcat takes one argument"),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(texts) = args.args.pop() else {
            return internal_err!("textcat takes one argument");
        };
        let (longest, total) = bytes_of(&texts);
        if longest > VALUE_BYTES_MAX || total > BATCH_BYTES_MAX {
            return Err(failure(Error::Limit {
                sqlstate: "54000",
                message: format!("|| would make a text of more than {VALUE_BYTES_MAX} bytes"),
                hint: "Make smaller values.".to_owned(),
            }));
        }
        fold(total)?;
        Ok(texts)
    }
}

/// The bytes of the longest text and of all of them.
pub(super) fn bytes_of(texts: &ColumnarValue) -> (u64, u64) {
    match texts {
        ColumnarValue::Array(array) => sizes(array),
        ColumnarValue::Scalar(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)),
        ) => (text.len() as u64, text.len() as u64),
        ColumnarValue::Scalar(_) => (0, 0),
    }
}

fn sizes(array: &ArrayRef) -> (u64, u64) {
    let fold = |lengths: &mut dyn Iterator<Item = u64>| {
        lengths.fold((0, 0), |(longest, total), length| (length.max(longest), total + length))
    };
    match array.data_type() {
        DataType::Utf8View => fold(&mut array.as_string_view().lengths().map(u64::from)),
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            fold(&mut (0..texts.len()).map(|row| texts.value_length(row) as u64))
        }
        DataType::LargeUtf8 => {
            let texts = array.as_string::<i64>();
            fold(&mut (0..texts.len()).map(|row| texts.value_length(row) as u64))
        }
        _ => (0, 0),
    }
}
