//! `sqrt`, `exp`, `ln`, `log`, `power` and `sign` of numerics, which are numerics. Those of other numbers are DataFusion's.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err, plan_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::powers::{exp, ln, log, power, sqrt};
use super::{
    DIGITS_MAX, Number, column_scale, constant, decimal, decimals, digits_of, literal, out_of_range,
};
use crate::Error;
use crate::query::postgres::functions::{domain, failure, numbers};
use crate::query::stop::check_current;

/// The functions, by DataFusion's names.
const KINDS: [(&str, Kind); 7] = [
    ("sqrt", Kind::Sqrt),
    ("exp", Kind::Exp),
    ("ln", Kind::Ln),
    ("log", Kind::Log),
    ("log10", Kind::Log),
    ("power", Kind::Power),
    ("signum", Kind::Sign),
];

static FUNCTIONS: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
    let checked = domain::functions().into_iter().chain(numbers::functions()).map(Arc::new);
    let all: Vec<_> = checked.chain(SessionStateDefaults::default_scalar_functions()).collect();
    let of_numerics = KINDS.into_iter().filter_map(|(name, kind)| {
        let named = |name: &str| all.iter().find(|function| function.name() == name).cloned();
        let inner = named(name)?;
        // A quotient of two logarithms is less than three for a thousand.
        let of_one = if kind == Kind::Log { named("log10")? } else { Arc::clone(&inner) };
        let signature = Signature::user_defined(Volatility::Immutable);
        Some(ScalarUDF::from(OfNumerics { inner, of_one, kind, signature }))
    });
    of_numerics.collect()
});

/// Returns the functions.
pub(in crate::query::postgres::functions) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS.clone()
}

/// Works out a call of one of these functions with constants, with exactly the digits of PostgreSQL; `None` for others.
pub(in crate::query::postgres) fn worked_out(function: &ScalarUDF, args: &[Expr]) -> Option<Expr> {
    let kind = function.inner().downcast_ref::<OfNumerics>()?.kind;
    let is_numeric =
        |arg: &Expr| matches!(arg, Expr::Literal(ScalarValue::Decimal128(Some(_), ..), _));
    if !(args.iter().any(is_numeric) || kind == Kind::Log && args.len() == 2) {
        return None;
    }
    let numbers = args.iter().map(constant).collect::<Option<Vec<_>>>()?;
    // What there is not is refused when the statement is run, if it comes to that.
    kind.of(&numbers).ok().and_then(literal)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Sqrt,
    Exp,
    Ln,
    Log,
    Power,
    Sign,
}

fn refused(sqlstate: &'static str, message: &str) -> DataFusionError {
    failure(Error::Standard {
        sqlstate,
        message: message.to_owned(),
        hint: "Leave out such rows, or put null in their place with nullif or CASE.".to_owned(),
    })
}

/// Zero has no negative powers, and a negative number those of whole numbers alone.
fn refused_power(is_of_zero: bool) -> DataFusionError {
    let message = match is_of_zero {
        true => "zero raised to a negative power is undefined",
        false => "a negative number raised to a non-integer power yields a complex result",
    };
    refused("2201F", message)
}

fn check_power(args: &ScalarFunctionArgs) -> Result<()> {
    let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if is_constant { 1 } else { args.number_rows };
    let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
    let floats = arrays.iter().filter_map(|array| array.as_primitive_opt::<Float64Type>());
    let floats = floats.collect::<Vec<_>>();
    let [bases, exponents] = floats.as_slice() else { return Ok(()) };
    for pair in bases.iter().zip(exponents.iter()) {
        let (Some(base), Some(exponent)) = pair else { continue };
        let of_zero = base == 0.0 && exponent < 0.0;
        if of_zero || base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
            return Err(refused_power(of_zero));
        }
    }
    Ok(())
}

fn positive(number: Number) -> Result<()> {
    match number.value {
        0 => Err(refused("2201E", "cannot take logarithm of zero")),
        ..0 => Err(refused("2201E", "cannot take logarithm of a negative number")),
        _ => Ok(()),
    }
}

impl Kind {
    /// Works out the function of numbers.
    fn of(self, numbers: &[Number]) -> Result<Number> {
        let ten = Number { value: 10, scale: 0 };
        let found = match (self, numbers) {
            (Kind::Sqrt, [number]) if number.value < 0 => {
                return Err(refused("2201F", "cannot take square root of a negative number"));
            }
            (Kind::Sqrt, [number]) => sqrt(*number),
            (Kind::Exp, [number]) => exp(*number),
            (Kind::Ln, [number]) => {
                positive(*number)?;
                ln(*number)
            }
            (Kind::Log, [number]) => {
                positive(*number)?;
                log(ten, *number)
            }
            (Kind::Log, [base, number]) => {
                positive(*base)?;
                positive(*number)?;
                let one = Number { value: 1, scale: 0 };
                if one.rounded(base.scale) == Some(base.value) {
                    return Err(ArrowError::DivideByZero.into());
                }
                log(*base, *number)
            }
            (Kind::Power, [base, exponent]) => {
                if base.value == 0 && exponent.value < 0 {
                    return Err(refused_power(true));
                }
                let whole = exponent.rounded(0).map(|value| Number { value, scale: 0 });
                let is_whole = whole.and_then(|whole| whole.rounded(exponent.scale));
                if base.value < 0 && is_whole != Some(exponent.value) {
                    return Err(refused_power(false));
                }
                power(*base, *exponent)
            }
            (Kind::Sign, [number]) => Some(Number { value: number.value.signum(), scale: 0 }),
            _ => return internal_err!("a function of another number of arguments"),
        };
        found.ok_or_else(out_of_range)
    }

    /// The type of a column of results.
    fn data_type(self, types: &[DataType]) -> Option<DataType> {
        let digits = types.iter().map(digits_of).collect::<Option<Vec<_>>>()?;
        let (first, scale) = *digits.first()?;
        let least = digits.iter().map(|(_, scale)| *scale).max()?;
        let is_open = first >= DIGITS_MAX;
        Some(match self {
            Kind::Sqrt => {
                let whole = (first - scale) / 2 + 1;
                decimal(whole, column_scale(whole, is_open, least))
            }
            // A logarithm has two digits before the point, and that to a base near one some more.
            Kind::Ln => decimal(2, column_scale(2, false, least)),
            Kind::Log => decimal(8, column_scale(8, false, least)),
            Kind::Exp | Kind::Power => decimal(DIGITS_MAX, column_scale(DIGITS_MAX, true, 0)),
            Kind::Sign => decimal(1, 0),
        })
    }
}

/// Whether arguments of these types make a numeric: one of them is one, and the others are exact.
fn are_numeric(kind: Kind, types: &[DataType]) -> bool {
    let is_numeric = types.iter().any(|found| matches!(found, DataType::Decimal128(..)));
    let is_exact = types.iter().all(|found| digits_of(found).is_some());
    // PostgreSQL has the logarithm to a base of numerics alone.
    let of_base = kind == Kind::Log && types.len() == 2 && !types.iter().all(DataType::is_null);
    is_exact && (is_numeric || of_base)
}

/// A function of numerics beside one of floating-point numbers.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfNumerics {
    inner: Arc<ScalarUDF>,
    /// What one argument is given to.
    of_one: Arc<ScalarUDF>,
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for OfNumerics {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let fitting = match self.kind {
            Kind::Power => types.len() == 2,
            Kind::Log if self.name() == "log" => matches!(types.len(), 1 | 2),
            _ => types.len() == 1,
        };
        if !fitting {
            return plan_err!("function {} does not take {} arguments", self.name(), types.len());
        }
        if are_numeric(self.kind, types) {
            return Ok(types.to_vec());
        }
        let floats = types.iter().map(|given| match given {
            given if given.is_numeric() || given.is_null() || given.is_string() => {
                Ok(DataType::Float64)
            }
            given => plan_err!("function {} does not take {given}", self.name()),
        });
        floats.collect()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if are_numeric(self.kind, types)
            && let Some(found) = self.kind.data_type(types)
        {
            return Ok(found);
        }
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Decimal128(digits, scale) = *args.return_field.data_type() else {
            if self.kind == Kind::Power {
                check_power(&args)?;
            }
            let function = if args.args.len() == 1 { &self.of_one } else { &self.inner };
            return function.invoke_with_args(args);
        };
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|arg| decimals(&arg.to_array(rows)?));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let mut numbers = Vec::with_capacity(columns.len());
        let results = (0..rows).map(|row| -> Result<Option<i128>> {
            check_current()?;
            if columns.iter().any(|(column, _)| column.is_null(row)) {
                return Ok(None);
            }
            numbers.clear();
            let of_row = columns.iter().map(|(column, scale)| (column.value(row), *scale));
            numbers.extend(of_row.map(|(value, scale)| Number { value, scale }));
            let result = self.kind.of(&numbers)?.rounded(scale.into());
            result.map(Some).ok_or_else(out_of_range)
        });
        let results = results.collect::<Result<Decimal128Array>>()?;
        let results: ArrayRef = Arc::new(results.with_precision_and_scale(digits, scale)?);
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&results, 0)?),
            false => ColumnarValue::Array(results),
        })
    }
}
