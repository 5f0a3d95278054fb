//! Casts of numerics that round, `amount::int` and `amount::numeric(10,1)`.
//!
//! DataFusion compares what such a cast is of, `amount::int = 2` as `amount = 2.00`, as if it lost nothing: 1.50 would be left
//! out. So the cast is a function, into which it does not look, and which is named and shown as the cast is.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, FieldRef};
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

/// Numerics without digits behind the point.
const WHOLE: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);

/// Returns the function for a cast that rounds; `None` for all others.
pub(super) fn narrowed(cast: &Cast, schema: &DFSchema) -> Option<Expr> {
    // A constant is rounded before anything is compared with it.
    if matches!(*cast.expr, Expr::Literal(..)) {
        return None;
    }
    let from = cast.expr.get_type(schema).ok()?;
    if !rounds(&from, cast.field.data_type()) {
        return None;
    }
    let signature = Signature::any(1, Volatility::Immutable);
    let function = Narrowed { field: Arc::clone(&cast.field), signature };
    Some(ScalarUDF::from(function).call(vec![cast.expr.as_ref().clone()]))
}

fn rounds(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Decimal128(_, scale), DataType::Decimal128(_, kept)) => kept < scale,
        (DataType::Decimal128(_, scale), to) => *scale > 0 && to.is_integer(),
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Narrowed {
    /// What the cast makes.
    field: FieldRef,
    signature: Signature,
}

impl Narrowed {
    /// The cast that it stands for.
    fn written(&self, arguments: &[Expr]) -> Result<Expr> {
        match arguments {
            [number] => {
                let field = Arc::clone(&self.field);
                Ok(Expr::Cast(Cast::new_from_field(Box::new(number.clone()), field)))
            }
            _ => internal_err!("a cast is of one value"),
        }
    }
}

impl ScalarUDFImpl for Narrowed {
    fn name(&self) -> &str {
        "narrowed"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(self.field.as_ref().clone().with_nullable(nullable)))
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        Ok(self.written(arguments)?.to_string())
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        Ok(self.written(arguments)?.schema_name().to_string())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [number] = args.args.as_slice() else {
            return internal_err!("a cast is of one value");
        };
        let kept = self.field.data_type();
        match kept.is_integer() {
            // A cast to an integer alone would cut the digits off.
            true => number.cast_to(&WHOLE, None)?.cast_to(kept, None),
            false => number.cast_to(kept, None),
        }
    }
}
