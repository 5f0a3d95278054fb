//! `floor`, `ceil`, `round`, `trunc`, `div` and `trim_scale` of numerics, which leave no digits behind the point that are not
//! there: `round` and `trunc` leave as many as they are told to, zeros included, of integers, too.
//!
//! Those of floating-point numbers are DataFusion's.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, Decimal128Array};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::{DIGITS_MAX, Number, OPEN_SCALE, decimal, decimals, digits_of, out_of_range};
use crate::query::postgres::functions::numbers;
use crate::query::postgres::types::arrow_type;

const KINDS: [(&str, Kind); 6] = [
    ("floor", Kind::Floor),
    ("ceil", Kind::Ceil),
    ("round", Kind::Round),
    ("trunc", Kind::Trunc),
    ("div", Kind::Div),
    ("trim_scale", Kind::Trim),
];

static FUNCTIONS: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
    let checked = numbers::functions().into_iter().map(Arc::new);
    let all: Vec<_> = checked.chain(SessionStateDefaults::default_scalar_functions()).collect();
    let functions = KINDS.into_iter().map(|(name, kind)| {
        let inner = all.iter().find(|function| function.name() == name).cloned();
        let signature = Signature::user_defined(Volatility::Immutable);
        ScalarUDF::from(Whole { name, inner, kind, signature })
    });
    functions.collect()
});

/// Returns the functions.
pub(in crate::query::postgres::functions) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS.clone()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Floor,
    Ceil,
    Round,
    Trunc,
    Div,
    Trim,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    name: &'static str,
    /// What works it out for floating-point numbers, if that is there.
    inner: Option<Arc<ScalarUDF>>,
    kind: Kind,
    signature: Signature,
}

impl Number {
    /// Leaves out what is behind so many digits behind the point.
    fn truncated(self, scale: i32) -> Number {
        let left_out = self.scale - scale;
        let power = u32::try_from(left_out).ok().map(|left_out| 10_i128.checked_pow(left_out));
        match power {
            None => self,
            Some(None) => Number { value: 0, scale },
            Some(Some(power)) => Number { value: self.value / power, scale },
        }
    }

    /// The place that a number is rounded to if this one says it; beyond its last digit there is nothing to round.
    fn places(self, number: Number) -> i32 {
        let places = i32::try_from(self.value.clamp(-100, 100)).unwrap_or(0);
        places.min(number.scale)
    }

    /// How many digits behind the point it has without the zeros at its end.
    pub(in crate::query::postgres::functions) fn least_scale(self) -> i32 {
        let (mut value, mut scale) = (self.value, self.scale.max(0));
        if value == 0 {
            return 0;
        }
        while scale > 0 && value % 10 == 0 {
            value /= 10;
            scale -= 1;
        }
        scale
    }
}

impl Kind {
    /// Works out the function of one row; `None` if the result has too many digits.
    fn of(self, number: Number, other: Option<Number>) -> Result<Option<Number>> {
        let step = |away: i128| {
            let whole = number.truncated(0);
            let is_whole = whole.rounded(number.scale) == Some(number.value);
            let is_off = !is_whole && number.value.signum() == away;
            Number { value: whole.value + if is_off { away } else { 0 }, scale: whole.scale }
        };
        Ok(match (self, other) {
            (Kind::Floor, _) => Some(step(-1)),
            (Kind::Ceil, _) => Some(step(1)),
            (Kind::Trunc, None) => Some(number.truncated(0)),
            (Kind::Trunc, Some(places)) => Some(number.truncated(places.places(number))),
            (Kind::Round, places) => {
                let scale = places.map_or(0, |places| places.places(number));
                number.rounded(scale).map(|value| Number { value, scale })
            }
            (Kind::Div, Some(divisor)) if divisor.value == 0 => {
                return Err(ArrowError::DivideByZero.into());
            }
            (Kind::Div, Some(divisor)) => {
                let scale = number.scale.max(divisor.scale);
                let sides = number.rounded(scale).zip(divisor.rounded(scale));
                sides.map(|(number, divisor)| Number { value: number / divisor, scale: 0 })
            }
            (Kind::Trim, _) => Some(number),
            (Kind::Div, None) => return internal_err!("div takes two arguments"),
        })
    }

    fn data_type(self, types: &[DataType], constants: &[Option<&ScalarValue>]) -> Option<DataType> {
        let (digits, scale) = digits_of(types.first()?)?;
        let whole = digits - scale;
        Some(match self {
            Kind::Round | Kind::Trunc if types.len() == 2 => {
                let places = constants.get(1).copied().flatten().map(ScalarValue::to_string);
                let places = places.and_then(|places| places.parse::<i32>().ok());
                let open = if digits >= DIGITS_MAX { OPEN_SCALE } else { 0 };
                let fitting = (DIGITS_MAX - whole - 1).max(open).max(scale);
                decimal(whole + 1, places.map_or(scale, |places| places.clamp(0, fitting)))
            }
            // What is rounded up may have a digit more.
            Kind::Floor | Kind::Ceil | Kind::Round => decimal(whole + 1, 0),
            Kind::Trunc => decimal(whole, 0),
            Kind::Div => decimal(whole + digits_of(types.get(1)?)?.1, 0),
            Kind::Trim => match constants.first().copied().flatten() {
                Some(ScalarValue::Decimal128(Some(value), _, _)) => {
                    decimal(whole, Number { value: *value, scale }.least_scale())
                }
                _ => decimal(whole, scale),
            },
        })
    }
}

/// Rounds or cuts all numbers of a column at one place, so that what they are divided and multiplied by is worked out once;
/// `None` where that is more than a number has.
fn at_one_place(
    kind: Kind,
    column: &Decimal128Array,
    from: i32,
    places: i32,
    to: i32,
) -> Result<Option<Decimal128Array>> {
    let power = |digits: i32| 10_i128.checked_pow(u32::try_from(digits).ok()?);
    let place = places.min(from);
    let (Some(by), Some(times), Some(limit)) =
        (power(from - place), power(to - place), power(DIGITS_MAX))
    else {
        return Ok(None);
    };
    let cut = |value: i128| {
        let whole = value / by;
        let rest = (value - whole * by).abs();
        let is_up = kind == Kind::Round && rest >= by - rest;
        if is_up { whole + value.signum() } else { whole }
    };
    if times == 1 {
        return Ok(Some(column.unary(cut)));
    }
    let widened = column.try_unary::<_, Decimal128Type, _>(|value| {
        let value = cut(value).checked_mul(times).filter(|value| value.abs() < limit);
        value.ok_or_else(out_of_range)
    });
    widened.map(Some)
}

/// The place that a function leaves the digits before, if it is the same for all rows.
fn one_place(kind: Kind, args: &[ColumnarValue]) -> Option<i32> {
    if !matches!(kind, Kind::Round | Kind::Trunc) {
        return None;
    }
    let places = match args {
        [_] => 0,
        [_, ColumnarValue::Scalar(ScalarValue::Int16(Some(places)))] => i64::from(*places),
        [_, ColumnarValue::Scalar(ScalarValue::Int32(Some(places)))] => i64::from(*places),
        [_, ColumnarValue::Scalar(ScalarValue::Int64(Some(places)))] => *places,
        _ => return None,
    };
    i32::try_from(places.clamp(-100, 100)).ok()
}

/// Whether the function of arguments of these types is that of numerics.
fn is_numeric(kind: Kind, types: &[DataType]) -> bool {
    let is_decimal = types.iter().any(|found| matches!(found, DataType::Decimal128(..)));
    let is_exact = types.iter().all(|found| digits_of(found).is_some());
    match kind {
        Kind::Div | Kind::Trim => is_exact,
        // How many digits they leave is a whole number.
        Kind::Round | Kind::Trunc if types.len() == 2 => is_exact && !types[1].is_decimal(),
        Kind::Floor | Kind::Ceil | Kind::Round | Kind::Trunc => is_exact && is_decimal,
    }
}

impl ScalarUDFImpl for Whole {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        self.inner.as_ref().map_or(&[], |inner| inner.aliases())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let fitting = match self.kind {
            Kind::Div => types.len() == 2,
            Kind::Round | Kind::Trunc => matches!(types.len(), 1 | 2),
            Kind::Floor | Kind::Ceil | Kind::Trim => types.len() == 1,
        };
        if !fitting {
            return plan_err!("function {} does not take {} arguments", self.name, types.len());
        }
        if is_numeric(self.kind, types) {
            let mut types = types.to_vec();
            if let (Kind::Round | Kind::Trunc, [number, places]) = (self.kind, &mut types[..]) {
                // What says nothing of its type is a numeric, and a whole number of digits.
                if number.is_null() {
                    *number = arrow_type("numeric");
                }
                if places.is_null() {
                    *places = DataType::Int32;
                }
            }
            return Ok(types);
        }
        let coerced = types.iter().enumerate().map(|(at, given)| match given {
            given if given.is_string() && self.kind == Kind::Round => {
                plan_err!("function {} does not take {given}", self.name)
            }
            given if given.is_decimal() && at == 1 => {
                plan_err!("function {} does not take {given}", self.name)
            }
            given if given.is_string() && self.inner.is_none() => Ok(arrow_type("numeric")),
            given if given.is_numeric() || given.is_null() || given.is_string() => match at {
                _ if self.inner.is_none() => {
                    plan_err!("function {} does not take {given}", self.name)
                }
                0 => Ok(DataType::Float64),
                _ if self.kind == Kind::Round => Ok(DataType::Int32),
                _ => Ok(DataType::Int64),
            },
            given => plan_err!("function {} does not take {given}", self.name),
        });
        coerced.collect()
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args answers for {}", self.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types = args.arg_fields.iter().map(|field| field.data_type().clone());
        let types = types.collect::<Vec<_>>();
        let exact = match is_numeric(self.kind, &types) {
            true => self.kind.data_type(&types, args.scalar_arguments),
            false => None,
        };
        Ok(Arc::new(Field::new(self.name, exact.unwrap_or(DataType::Float64), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Decimal128(digits, scale) = *args.return_field.data_type() else {
            return match &self.inner {
                Some(inner) => inner.invoke_with_args(args),
                None => internal_err!("{} takes numerics", self.name),
            };
        };
        if let Some(places) = one_place(self.kind, &args.args)
            && let [ColumnarValue::Array(numbers), ..] = args.args.as_slice()
        {
            let (column, from) = decimals(numbers)?;
            if let Some(cut) = at_one_place(self.kind, &column, from, places, scale.into())? {
                let cut = cut.with_precision_and_scale(digits, scale)?;
                return Ok(ColumnarValue::Array(Arc::new(cut)));
            }
        }
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|arg| decimals(&arg.to_array(rows)?));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let results = (0..rows).map(|row| -> Result<Option<i128>> {
            if columns.iter().any(|(column, _)| column.is_null(row)) {
                return Ok(None);
            }
            let number = |at: usize| {
                let (column, scale) = columns.get(at)?;
                Some(Number { value: column.value(row), scale: *scale })
            };
            let Some(first) = number(0) else { return Ok(None) };
            let result = self.kind.of(first, number(1))?;
            let result = result.and_then(|result| result.rounded(scale.into()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_rounded_as_each_of_its_numbers() -> Result<()> {
        let values = [0, 5, -5, 14, 15, -15, 4_999, 5_000, -99_995, 10_i128.pow(36) - 1];
        let column = Decimal128Array::from(values.to_vec());
        for kind in [Kind::Round, Kind::Trunc] {
            for places in -4..=4 {
                let to = places.max(0);
                let found = at_one_place(kind, &column, 2, places, to)?.unwrap();
                for (value, found) in values.into_iter().zip(found.values().iter()) {
                    let places = Number { value: places.into(), scale: 0 };
                    let alone = kind.of(Number { value, scale: 2 }, Some(places))?.unwrap();
                    assert_eq!(Some(*found), alone.rounded(to), "{kind:?}({value}, {places:?})");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn what_is_too_large_at_its_place_is_refused() {
        let column = Decimal128Array::from(vec![Some(10_i128.pow(37)), None]);
        assert!(at_one_place(Kind::Round, &column, 0, 2, 2).is_err());
        assert!(at_one_place(Kind::Round, &column, 0, 0, 0).is_ok());
    }
}
