//! Arithmetic of numerics: `/` with as many digits as PostgreSQL gives to a quotient, and `*` where the product of two wide
//! numbers has to lose some.
//!
//! A numeric of PostgreSQL has a number of digits behind the point of its own, a column of decimals has one for all rows.
//! What is known when a statement is planned is worked out there, with exactly its digits. A quotient of columns is rounded
//! to the digits that PostgreSQL gives it and stands in a column of twenty, or of as many as fit beside the digits before
//! the point, but at least sixteen: the number of digits that a product of columns could have is none that it has.
//! A cast to a plain numeric keeps the digits of exact numbers, and sixteen behind the point of others.

mod calls;
mod floats;
mod from_float;
mod powers;
mod quotient;
mod to_float;
mod to_number;
mod whole;

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{
    DFSchema, DataFusionError, Result, ScalarValue, internal_datafusion_err, internal_err,
};
use datafusion::logical_expr::expr::{Cast, Placeholder};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

pub(in crate::query::postgres) use calls::worked_out as numeric_call;
pub(in crate::query::postgres) use from_float::from_float;
pub(crate) use from_float::numerics_of;
pub(super) use powers::{narrow, whole_root};
use quotient::quotient_alone;
pub(super) use quotient::{DIGITS_MAX, Number, quotient_within, wide_power};
pub(in crate::query::postgres) use to_float::{rounds_twice, to_float};

use crate::query::postgres::types::arrow_type;

/// Digits behind the point of a quotient that has room for them: as many as PostgreSQL gives to one between 0.0001 and 1.
const QUOTIENT_SCALE: i32 = 20;
/// Digits behind the point where nobody said how many are before it.
const OPEN_SCALE: i32 = 16;
/// Digits before the point of dividends whose quotients have room for all digits behind it.
const DIVIDEND_WHOLE_MAX: i32 = 18;

/// Returns the functions of numerics.
pub(super) fn functions() -> Vec<ScalarUDF> {
    [calls::functions(), whole::functions(), vec![to_number::to_number()]].concat()
}

/// Plans an operator over numerics or floating-point numbers; `None` for those that are DataFusion's.
pub(in crate::query::postgres) fn arithmetic(
    op: &BinaryOperator,
    left: &mut Expr,
    right: &mut Expr,
    schema: &DFSchema,
) -> Option<Expr> {
    use BinaryOperator as Op;
    if !matches!(op, Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo) {
        return None;
    }
    let types = [left.get_type(schema).ok()?, right.get_type(schema).ok()?];
    if types.iter().any(DataType::is_floating) {
        return floats::planned(op, left, right, &types);
    }
    if !types.iter().any(|found| matches!(found, DataType::Decimal128(..))) {
        return None;
    }
    if let (Some(one), Some(other)) = (constant(left), constant(right))
        && let Some(number) = worked_out(op, one, other).and_then(literal)
    {
        return Some(number);
    }
    let [one, other] = &types;
    if matches!(op, Op::Multiply | Op::Divide) {
        take_numeric(left, one, other);
        take_numeric(right, other, one);
    }
    let types = [left.get_type(schema).ok()?, right.get_type(schema).ok()?];
    let digits = (digits_of(&types[0])?, digits_of(&types[1])?);
    let operation = match op {
        Op::Divide => Operation::Divide,
        Op::Multiply if digits.0.0 + digits.1.0 >= DIGITS_MAX => Operation::Times,
        _ => return None,
    };
    Some(FUNCTIONS[operation as usize].call(vec![std::mem::take(left), std::mem::take(right)]))
}

/// A parameter of no type beside a numeric is one, too.
fn take_numeric(expr: &mut Expr, found: &DataType, other: &DataType) {
    if let Expr::Placeholder(Placeholder { field: field @ None, .. }) = expr
        && found.is_null()
        && other.is_decimal()
    {
        *field = Some(Arc::new(Field::new("", arrow_type("numeric"), true)));
    }
}

/// Returns the digits of numbers of a type, and how many of them are behind the point; `None` for other types.
pub(super) fn digits_of(data_type: &DataType) -> Option<(i32, i32)> {
    match data_type {
        DataType::Null => Some((1, 0)),
        DataType::Int16 => Some((5, 0)),
        DataType::Int32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::UInt64 => Some((20, 0)),
        DataType::Decimal128(digits, scale) => Some((i32::from(*digits), i32::from(*scale))),
        _ => None,
    }
}

/// Returns how many digits behind the point a column of quotients has: `whole` digits may be before it, `is_open` says that
/// nobody knows, and `least` are wanted.
pub(super) fn column_scale(whole: i32, is_open: bool, least: i32) -> i32 {
    let wanted = QUOTIENT_SCALE.max(least);
    let fitting = (DIGITS_MAX - whole).clamp(0, wanted);
    if is_open { fitting.max(OPEN_SCALE.max(least)).min(DIGITS_MAX) } else { fitting }
}

/// Returns how many digits behind the point a column of quotients has.
///
/// What is divided by the least fraction that its type has would need as many more digits before the point. Hardly any column
/// does so, and digits that are kept for it are missed behind the point of all the others: a quotient that does need them is
/// out of range.
fn quotient_scale(dividend: (i32, i32), divisor: (i32, i32)) -> i32 {
    let ((digits, scale), (_, divisor_scale)) = (dividend, divisor);
    let (whole, least) = (digits - scale, scale.max(divisor_scale));
    let is_narrow = digits < DIGITS_MAX && whole <= DIVIDEND_WHOLE_MAX;
    let usual = if is_narrow { QUOTIENT_SCALE } else { OPEN_SCALE };
    column_scale(whole + divisor_scale, false, least).max(usual.max(least)).min(DIGITS_MAX)
}

/// Returns the type of a plain numeric that is made of values of a type: exactly the digits of exact numbers, and of others
/// as many behind the point as nobody said.
pub(in crate::query::postgres) fn plain_numeric(found: &DataType) -> Option<DataType> {
    match found {
        DataType::Null => None,
        found if found.is_floating() || found.is_string() => {
            Some(decimal(DIGITS_MAX - OPEN_SCALE, OPEN_SCALE))
        }
        found => digits_of(found).map(|(digits, scale)| decimal(digits - scale, scale)),
    }
}

/// Returns the type of decimals with so many digits before and behind the point.
pub(super) fn decimal(whole: i32, scale: i32) -> DataType {
    let digits = (whole + scale).clamp(1, DIGITS_MAX);
    let digits = u8::try_from(digits).unwrap_or(DECIMAL128_MAX_PRECISION);
    DataType::Decimal128(digits, i8::try_from(scale).unwrap_or(0))
}

/// Says that a number has more digits than there are.
pub(super) fn out_of_range() -> DataFusionError {
    ArrowError::ArithmeticOverflow("value overflows numeric format".into()).into()
}

/// The number that an expression is, whatever the rows.
fn constant(expr: &Expr) -> Option<Number> {
    let whole = |value: i128| Some(Number { value, scale: 0 });
    match expr {
        Expr::Literal(ScalarValue::Int16(Some(value)), None) => whole((*value).into()),
        Expr::Literal(ScalarValue::Int32(Some(value)), None) => whole((*value).into()),
        Expr::Literal(ScalarValue::Int64(Some(value)), None) => whole((*value).into()),
        Expr::Literal(ScalarValue::UInt64(Some(value)), None) => whole((*value).into()),
        Expr::Literal(ScalarValue::Decimal128(Some(value), _, scale), None) => {
            Some(Number { value: *value, scale: (*scale).into() })
        }
        Expr::Negative(inner) => {
            constant(inner).map(|Number { value, scale }| Number { value: -value, scale })
        }
        Expr::Cast(Cast { expr, field }) => {
            let number = constant(expr)?;
            match field.data_type() {
                // What does not fit is refused where casts are.
                DataType::Int16 | DataType::Int32 | DataType::Int64 if number.scale == 0 => {
                    let (digits, _) = digits_of(field.data_type())?;
                    (number.digits() < digits).then_some(number)
                }
                // A plain numeric has the digits that are written.
                to if *to == arrow_type("numeric") => Some(number),
                DataType::Decimal128(digits, scale) => {
                    let scale = i32::from(*scale);
                    let cast = Number { value: number.rounded(scale)?, scale };
                    (cast.digits() <= i32::from(*digits)).then_some(cast)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn worked_out(op: &BinaryOperator, left: Number, right: Number) -> Option<Number> {
    use BinaryOperator as Op;
    let scale = left.scale.max(right.scale);
    let both = || Some((left.rounded(scale)?, right.rounded(scale)?));
    let value = match op {
        Op::Plus => both().and_then(|(left, right)| left.checked_add(right)),
        Op::Minus => both().and_then(|(left, right)| left.checked_sub(right)),
        // Zero as a divisor fails when the statement is run, if it comes to that.
        Op::Modulo => both().and_then(|(left, right)| left.checked_rem(right)),
        Op::Multiply => {
            let scale = left.scale + right.scale;
            let value = left.times(right, scale).filter(|_| scale <= DIGITS_MAX)?;
            return Some(Number { value, scale });
        }
        Op::Divide if right.value != 0 => return quotient_alone(left, right),
        _ => None,
    };
    value.map(|value| Number { value, scale })
}

fn literal(number: Number) -> Option<Expr> {
    let number = match number.scale {
        ..0 => Number { value: number.rounded(0)?, scale: 0 },
        _ => number,
    };
    let digits = number.digits().max(number.scale);
    let digits = u8::try_from(digits).ok().filter(|digits| *digits <= DECIMAL128_MAX_PRECISION)?;
    let scale = i8::try_from(number.scale).ok()?;
    Some(Expr::Literal(ScalarValue::Decimal128(Some(number.value), digits, scale), None))
}

/// Returns numbers as decimals, with the digits that they have behind the point.
pub(super) fn decimals(numbers: &ArrayRef) -> Result<(Decimal128Array, i32)> {
    let Some((digits, scale)) = digits_of(numbers.data_type()) else {
        return internal_err!("numbers were expected, found {}", numbers.data_type());
    };
    let decimals = match numbers.data_type() {
        DataType::Decimal128(..) => Arc::clone(numbers),
        _ => cast(numbers, &decimal(digits, 0))?,
    };
    Ok((decimals.as_primitive::<Decimal128Type>().clone(), scale))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Divide,
    Times,
}

static FUNCTIONS: LazyLock<[ScalarUDF; 2]> = LazyLock::new(|| {
    [Operation::Divide, Operation::Times].map(|operation| {
        let signature = Signature::any(2, Volatility::Immutable);
        ScalarUDF::from(Arithmetic { operation, signature })
    })
});

/// An operator as a function of two numbers. It is shown as the operator is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Arithmetic {
    operation: Operation,
    signature: Signature,
}

impl Arithmetic {
    fn shown(&self, arguments: &[impl std::fmt::Display]) -> Result<String> {
        let sign = match self.operation {
            Operation::Divide => '/',
            Operation::Times => '*',
        };
        match arguments {
            [left, right] => Ok(format!("{left} {sign} {right}")),
            _ => Err(internal_datafusion_err!("an operator has two sides")),
        }
    }

    fn row(&self, left: Number, right: Number, scale: i32) -> Result<i128> {
        let value = match self.operation {
            Operation::Divide if right.value == 0 => return Err(ArrowError::DivideByZero.into()),
            Operation::Divide => quotient_within(left, right, scale),
            Operation::Times => left.times(right, scale),
        };
        value.ok_or_else(out_of_range)
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Divide => "numeric_divide",
            Operation::Times => "numeric_times",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [left, right] = types else {
            return internal_err!("an operator has two sides");
        };
        let (Some((digits, scale)), Some((other, other_scale))) =
            (digits_of(left), digits_of(right))
        else {
            return internal_err!("numbers were expected, found {left} and {right}");
        };
        Ok(match self.operation {
            Operation::Divide => {
                let of_column = quotient_scale((digits, scale), (other, other_scale));
                // What is divided by the least fraction grows by the digits of that.
                decimal(digits - scale + other_scale, of_column)
            }
            Operation::Times => {
                let whole = digits - scale + other - other_scale;
                let fitting = (DIGITS_MAX - whole).max(scale).max(other_scale);
                decimal(whole, (scale + other_scale).min(fitting).min(DIGITS_MAX))
            }
        })
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        self.shown(arguments)
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let names: Vec<_> = arguments.iter().map(Expr::schema_name).collect();
        self.shown(&names)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return internal_err!("an operator has two sides");
        };
        let DataType::Decimal128(digits, scale) = args.return_field.data_type() else {
            return internal_err!("a decimal was expected");
        };
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let (left, left_scale) = decimals(&left.to_array(rows)?)?;
        let (right, right_scale) = decimals(&right.to_array(rows)?)?;
        let nulls = NullBuffer::union(left.nulls(), right.nulls());
        let mut values = Vec::with_capacity(rows);
        for row in 0..rows {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                values.push(0);
                continue;
            }
            let left = Number { value: left.value(row), scale: left_scale };
            let right = Number { value: right.value(row), scale: right_scale };
            values.push(self.row(left, right, (*scale).into())?);
        }
        let array = Decimal128Array::new(values.into(), nulls);
        let array: ArrayRef = Arc::new(array.with_precision_and_scale(*digits, *scale)?);
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
            false => ColumnarValue::Array(array),
        })
    }
}
