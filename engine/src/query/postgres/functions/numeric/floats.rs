//! Arithmetic of floating-point numbers: a `real` beside a number of another type makes a `double precision`, and a quotient
//! is never infinite unless one of its sides is.

use std::sync::LazyLock;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue, internal_datafusion_err, internal_err};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

static DIVIDE: LazyLock<ScalarUDF> = LazyLock::new(|| {
    ScalarUDF::from(Divide { signature: Signature::any(2, Volatility::Immutable) })
});

/// Plans an operator over numbers of which one is a floating-point number at least: brings both sides to the type that they
/// have in common, and returns their quotient. `None` leaves the operator to DataFusion.
pub(super) fn planned(
    op: &BinaryOperator,
    left: &mut Expr,
    right: &mut Expr,
    [one, other]: &[DataType; 2],
) -> Option<Expr> {
    let is_float = |found: &DataType| matches!(found, DataType::Float32 | DataType::Float64);
    let is_number = |found: &DataType| is_float(found) || super::digits_of(found).is_some();
    let is_null = one.is_null() || other.is_null();
    if is_null || !is_number(one) || !is_number(other) || !(is_float(one) || is_float(other)) {
        return None;
    }
    if one != other {
        for (side, found) in [(&mut *left, one), (&mut *right, other)] {
            if *found != DataType::Float64 {
                let number = Box::new(std::mem::take(side));
                *side = Expr::Cast(Cast::new(number, DataType::Float64));
            }
        }
    }
    let divides = *op == BinaryOperator::Divide;
    divides.then(|| DIVIDE.call(vec![std::mem::take(left), std::mem::take(right)]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Divide {
    signature: Signature,
}

impl Divide {
    fn shown(arguments: &[impl std::fmt::Display]) -> Result<String> {
        match arguments {
            [left, right] => Ok(format!("{left} / {right}")),
            _ => Err(internal_datafusion_err!("an operator has two sides")),
        }
    }
}

impl ScalarUDFImpl for Divide {
    fn name(&self) -> &str {
        "float_divide"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Float32, DataType::Float32] => Ok(DataType::Float32),
            [_, _] => Ok(DataType::Float64),
            _ => internal_err!("an operator has two sides"),
        }
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        Self::shown(arguments)
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let names: Vec<_> = arguments.iter().map(Expr::schema_name).collect();
        Self::shown(&names)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return internal_err!("an operator has two sides");
        };
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let to = args.return_field.data_type();
        let [left, right] = [left, right].map(|side| -> Result<ArrayRef> {
            let side = side.to_array(rows)?;
            Ok(if side.data_type() == to { side } else { cast(&side, to)? })
        });
        let (left, right) = (left?, right?);
        let quotient = numeric::div(&left, &right)?;
        check(&left, &right, &quotient)?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&quotient, 0)?),
            false => ColumnarValue::Array(quotient),
        })
    }
}

/// Fails where a quotient is none. Only these are looked at further.
fn check(left: &ArrayRef, right: &ArrayRef, quotient: &ArrayRef) -> Result<()> {
    let quotient = cast(quotient, &DataType::Float64)?;
    let quotient = quotient.as_primitive::<Float64Type>();
    if quotient.values().iter().all(|number| number.is_finite()) {
        return Ok(());
    }
    let left = cast(left, &DataType::Float64)?;
    let right = cast(right, &DataType::Float64)?;
    let (left, right) = (left.as_primitive::<Float64Type>(), right.as_primitive::<Float64Type>());
    for row in (0..quotient.len()).filter(|row| quotient.is_valid(*row)) {
        let (dividend, divisor) = (left.value(row), right.value(row));
        if divisor == 0.0 && !dividend.is_nan() {
            return Err(ArrowError::DivideByZero.into());
        }
        if quotient.value(row).is_infinite() && dividend.is_finite() {
            return Err(ArrowError::ArithmeticOverflow("value out of range".into()).into());
        }
    }
    Ok(())
}
