//! A cast of texts to uuids: each is read as a literal is, and brought into the one form of its value.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::failure;
use crate::query::postgres::input;
use crate::query::postgres::types;

static UUIDS: LazyLock<ScalarUDF> = LazyLock::new(|| {
    ScalarUDF::from(ReadUuids { signature: Signature::any(1, Volatility::Immutable) })
});

/// Reads an expression of texts as uuids.
pub(in crate::query::postgres) fn read_uuids(texts: Expr) -> Expr {
    UUIDS.call(vec![texts])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ReadUuids {
    signature: Signature,
}

impl ScalarUDFImpl for ReadUuids {
    fn name(&self) -> &str {
        "uuid_in"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(types::field(self.name(), "uuid").into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts] = args.args.as_slice() else {
            return internal_err!("uuid_in takes one argument");
        };
        let is_constant = matches!(texts, ColumnarValue::Scalar(_));
        let texts = texts.to_array(if is_constant { 1 } else { args.number_rows })?;
        let texts = cast(&texts, &DataType::Utf8)?;
        let uuids = input::uuids(texts.as_string::<i32>()).map_err(failure)?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&uuids, 0)?),
            false => ColumnarValue::Array(Arc::new(uuids)),
        })
    }
}
