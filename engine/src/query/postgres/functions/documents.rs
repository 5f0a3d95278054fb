//! JSON that only a row tells: what a cast to `json` or `jsonb` makes of a text, and bytes in whose order `jsonb` stands.
//!
//! What is cast keeps its name, as it does with any cast.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::grown::bytes_of;
use crate::query::postgres::input::{Kept, documents, order_of, orders};
use crate::query::postgres::types::TYPE_KEY;
use crate::query::stop::fold;

static FUNCTIONS: LazyLock<[ScalarUDF; 3]> = LazyLock::new(|| {
    [Made::Document(Kept::AsWritten), Made::Document(Kept::AsValues), Made::Order].map(|made| {
        let signature = Signature::user_defined(Volatility::Immutable);
        ScalarUDF::from(Documents { made, signature })
    })
});

/// Reads a text as JSON.
pub(in crate::query::postgres) fn document(text: Expr, kept: Kept) -> Expr {
    let at = if kept == Kept::AsWritten { 0 } else { 1 };
    FUNCTIONS[at].call(vec![text])
}

/// What a `jsonb` is compared by in its place: equal bytes are equal values.
///
/// # Errors
/// SQLSTATE 22P02 for a text in quotes that is no JSON.
pub(in crate::query::postgres) fn order(document: Expr) -> Result<Expr> {
    if let Expr::Literal(value, _) = &document
        && let Some(text) = value.try_as_str()
    {
        let order = text.map(order_of).transpose()?;
        return Ok(Expr::Literal(ScalarValue::Binary(order), None));
    }
    Ok(FUNCTIONS[2].call(vec![document]))
}

/// What is made of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Made {
    /// JSON.
    Document(Kept),
    /// The bytes by which it is compared.
    Order,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Documents {
    made: Made,
    signature: Signature,
}

impl Documents {
    fn column(&self, texts: &ArrayRef) -> Result<ArrayRef> {
        match self.made {
            Made::Document(kept) => documents(texts, kept),
            Made::Order => orders(texts),
        }
    }
}

impl ScalarUDFImpl for Documents {
    fn name(&self) -> &str {
        match self.made {
            Made::Document(Kept::AsWritten) => "json_in",
            Made::Document(Kept::AsValues) => "jsonb_in",
            Made::Order => "jsonb_order",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args answers for {}", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let given = args.arg_fields.first().map(|field| field.data_type().clone());
        let (data_type, logical) = match self.made {
            Made::Document(Kept::AsWritten) => (given.unwrap_or(DataType::Utf8), Some("json")),
            Made::Document(Kept::AsValues) => (DataType::Utf8View, Some("jsonb")),
            Made::Order => (DataType::Binary, None),
        };
        let field = Field::new(self.name(), data_type, true);
        Ok(Arc::new(match logical {
            Some(logical) => {
                field.with_metadata([(TYPE_KEY.to_owned(), logical.to_owned())].into())
            }
            None => field,
        }))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [text] if text.is_string() => Ok(vec![text.clone()]),
            [text] if text.is_null() => Ok(vec![DataType::Utf8]),
            _ => plan_err!("{} takes a text", self.name()),
        }
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        match (self.made, args) {
            (Made::Document(_), [text]) => Ok(text.to_string()),
            _ => Ok(format!("{}({})", self.name(), shown(args))),
        }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<_> = args.iter().map(Expr::schema_name).collect();
        match (self.made, names.as_slice()) {
            (Made::Document(_), [name]) => Ok(name.to_string()),
            _ => Ok(format!("{}({})", self.name(), shown(&names))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text] = args.args.as_slice() else {
            return internal_err!("{} takes one argument", self.name());
        };
        match text {
            ColumnarValue::Array(texts) => Ok(ColumnarValue::Array(self.column(texts)?)),
            ColumnarValue::Scalar(text) => {
                let made = self.column(&text.to_array()?)?;
                let value = ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?);
                fold(bytes_of(&value).1)?;
                Ok(value)
            }
        }
    }
}

fn shown(all: &[impl std::fmt::Display]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
