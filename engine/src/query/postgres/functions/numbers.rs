//! Functions of numbers that DataFusion lacks, or answers otherwise.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, make_comparator};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{SortOptions, cast};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::checked::{Check, checked};
use super::numeric::{Number, decimals};
use super::rounded::nearest;
use super::{Body, Call, Function, Kind, failure};
use crate::Error;
use crate::query::postgres::types::pg_type_of;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("to_hex", &[Kind::Any], "text", Body::Text(to_hex)).with(Volatility::Immutable),
    Function::new("num_nulls", &[Kind::Any], "int4", Body::Column(|call| nulls(call, true)))
        .variadic()
        .with_nulls()
        .with(Volatility::Immutable),
    Function::new("num_nonnulls", &[Kind::Any], "int4", Body::Column(|call| nulls(call, false)))
        .variadic()
        .with_nulls()
        .with(Volatility::Immutable),
    Function::new("scale", &[Kind::Any], "int4", Body::Int(|call, row| scale(call, row, false)))
        .with(Volatility::Immutable),
    Function::new("min_scale", &[Kind::Any], "int4", Body::Int(|call, row| scale(call, row, true)))
        .with(Volatility::Immutable),
    Function::new(
        "width_bucket",
        &[Kind::Any, Kind::Any, Kind::Float, Kind::Int],
        "int4",
        Body::Column(buckets),
    )
    .at_least(2)
    .with(Volatility::Immutable),
];

/// Returns DataFusion's functions that are looked after here.
pub(super) fn functions() -> Vec<ScalarUDF> {
    FOLLOWED.iter().chain(CHECKED.iter()).cloned().collect()
}

static CHECKED: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| checked([("chr", Character)]));

static FOLLOWED: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
    let all = SessionStateDefaults::default_scalar_functions();
    let followed = [
        ("round", Own::Rounds),
        ("exp", Own::Finite),
        ("sinh", Own::Finite),
        ("cosh", Own::Finite),
        ("power", Own::Finite),
    ];
    let followed = followed.into_iter().filter_map(|(name, own)| {
        let inner = all.iter().find(|function| function.name() == name)?;
        Some(ScalarUDF::from(Followed { inner: Arc::clone(inner), own }))
    });
    followed.collect()
});

/// The digits of a whole number to the base of sixteen: those of a negative one are as many as its type has.
fn to_hex(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let Some(numbers) = call.arguments.first() else { return Ok(None) };
    Ok(Some(match numbers.data_type() {
        DataType::Int16 => {
            let number = numbers.as_primitive::<Int16Type>().value(row);
            format!("{:x}", i32::from(number))
        }
        DataType::Int32 => format!("{:x}", numbers.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => format!("{:x}", numbers.as_primitive::<Int64Type>().value(row)),
        other => {
            let (pg_type, _) = pg_type_of(&Field::new("", other.clone(), true));
            return Err(failure(Error::Standard {
                sqlstate: "42883",
                message: format!("function to_hex({}) does not exist", pg_type.display),
                hint: "Cast the argument to integer or bigint.".to_owned(),
            }));
        }
    }))
}

/// How many of the arguments are null, or are not.
fn nulls(call: &Call<'_>, wanted: bool) -> Result<ArrayRef> {
    let logical: Vec<_> = call.arguments.iter().map(|argument| argument.logical_nulls()).collect();
    let counts = (0..call.rows).map(|row| {
        let is_null =
            |nulls: &Option<NullBuffer>| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        logical.iter().filter(|nulls| is_null(nulls) == wanted).count() as i32
    });
    Ok(Arc::new(counts.collect::<Int32Array>()))
}

/// How many digits a number has behind the point, or how many it needs. A column has one number of them for all rows.
fn scale(call: &Call<'_>, row: usize, is_least: bool) -> Result<Option<i64>> {
    let Some(numbers) = call.arguments.first() else { return Ok(None) };
    let (numbers, scale) = decimals(&numbers.slice(row, 1))?;
    let number = Number { value: numbers.value(0), scale };
    let scale = if is_least { number.least_scale() } else { scale };
    Ok(Some(scale.into()))
}

/// The number of the bucket that each value falls into: of so many of equal width, or of those that begin at the elements
/// of an array.
fn buckets(call: &Call<'_>) -> Result<ArrayRef> {
    match call.arguments {
        [values, thresholds] => among_thresholds(call, values, thresholds),
        [values, low, high, _] => {
            let floats = |numbers: &ArrayRef| cast(numbers, &DataType::Float64);
            let (values, low, high) = (floats(values)?, floats(low)?, floats(high)?);
            let float = |numbers: &ArrayRef, row: usize| {
                let numbers = numbers.as_primitive::<Float64Type>();
                numbers.is_valid(row).then(|| numbers.value(row))
            };
            let one = |row: usize| {
                let given = float(&values, row).zip(float(&low, row)).zip(float(&high, row));
                match given.zip(call.int(3, row)) {
                    Some((((value, low), high), count)) => bucket(value, low, high, count),
                    None => Ok(None),
                }
            };
            let numbers = (0..call.rows).map(one).collect::<Result<Int64Array>>()?;
            Ok(Arc::new(numbers))
        }
        _ => plan_err!("width_bucket() takes a value and thresholds, or two bounds and a count"),
    }
}

/// How many thresholds, which are in order, are no larger than each value.
fn among_thresholds(call: &Call<'_>, values: &ArrayRef, thresholds: &ArrayRef) -> Result<ArrayRef> {
    let Some(lists) = thresholds.as_list_opt::<i32>() else {
        return plan_err!("width_bucket() takes its thresholds as an array");
    };
    let (found, held) = (values.data_type(), lists.values().data_type());
    let common = match found.is_numeric() && held.is_numeric() {
        true => DataType::Float64,
        false => held.clone(),
    };
    let (values, held) = (cast(values, &common)?, cast(lists.values(), &common)?);
    let compare = make_comparator(&held, &values, SortOptions::default())?;
    let one = |row: usize| {
        if values.is_null(row) || lists.is_null(row) {
            return Ok(None);
        }
        let at = |place: i32| usize::try_from(place).unwrap_or(0);
        let places = at(lists.value_offsets()[row])..at(lists.value_offsets()[row + 1]);
        if places.clone().any(|place| held.is_null(place)) {
            return Err(failure(Error::Standard {
                sqlstate: "22004",
                message: "thresholds array must not contain NULLs".to_owned(),
                hint: String::new(),
            }));
        }
        Ok(Some(places.filter(|place| compare(*place, row).is_le()).count() as i64))
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<Result<Int64Array>>()?))
}

/// The number of a bucket of so many of equal width: 0 below them, one more than there are above.
fn bucket(value: f64, low: f64, high: f64, count: i64) -> Result<Option<i64>> {
    let refused = |message: &str| {
        Err(failure(Error::Standard {
            sqlstate: "2201G",
            message: message.to_owned(),
            hint: String::new(),
        }))
    };
    if count <= 0 {
        return refused("count must be greater than zero");
    }
    if value.is_nan() || low.is_nan() || high.is_nan() {
        return refused("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return refused("lower and upper bounds must be finite");
    }
    if low == high {
        return refused("lower bound cannot equal upper bound");
    }
    // Buckets count downwards where the first bound is the upper one.
    let (below, above) = match low < high {
        true => (value < low, value >= high),
        false => (value > low, value <= high),
    };
    Ok(Some(if below {
        0
    } else if above {
        count + 1
    } else {
        let bucket = (count as f64 * ((value - low) / (high - low))).floor() as i64;
        bucket.min(count - 1) + 1
    }))
}

/// There is no character of number zero.
#[derive(Debug)]
struct Character;

impl Check for Character {
    fn check(&self, _: &str, args: &ScalarFunctionArgs) -> Result<()> {
        for arg in &args.args {
            // A constant is looked at once.
            let numbers = match arg {
                ColumnarValue::Array(array) => Arc::clone(array),
                ColumnarValue::Scalar(value) => value.to_array()?,
            };
            let numbers = numbers.as_primitive_opt::<Int64Type>();
            let first =
                numbers.and_then(|numbers| numbers.iter().flatten().find(|code| !is_code(*code)));
            let Some(first) = first else { continue };
            let message = match first {
                0 => "null character not permitted".to_owned(),
                _ => "requested character is not valid for encoding UTF8".to_owned(),
            };
            return Err(failure(Error::Standard {
                sqlstate: "54000",
                message,
                hint: "Give the number of a character: from 1 to 1114111.".to_owned(),
            }));
        }
        Ok(())
    }
}

fn is_code(code: i64) -> bool {
    code > 0 && u32::try_from(code).is_ok_and(|code| char::from_u32(code).is_some())
}

/// What is done otherwise than by DataFusion's function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Own {
    /// Halves of floating-point numbers become even.
    Rounds,
    /// What is finite does not become infinite.
    Finite,
}

/// A function of DataFusion with PostgreSQL's answer where the two differ.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Followed {
    inner: Arc<ScalarUDF>,
    own: Own,
}

impl ScalarUDFImpl for Followed {
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
        if self.own == Own::Rounds {
            return match args.args.as_slice() {
                [number] if args.return_field.data_type().is_floating() => nearest(number),
                _ => self.inner.invoke_with_args(args),
            };
        }
        let given = args.args.clone();
        let result = self.inner.invoke_with_args(args)?;
        if has_infinite(std::slice::from_ref(&result))? && !has_infinite(&given)? {
            return Err(ArrowError::ArithmeticOverflow("value out of range".into()).into());
        }
        Ok(result)
    }
}

fn has_infinite(values: &[ColumnarValue]) -> Result<bool> {
    for value in values {
        let found = match value {
            ColumnarValue::Scalar(ScalarValue::Float64(number)) => {
                number.is_some_and(f64::is_infinite)
            }
            ColumnarValue::Scalar(ScalarValue::Float32(number)) => {
                number.is_some_and(f32::is_infinite)
            }
            ColumnarValue::Array(array) => match array.data_type() {
                DataType::Float64 => {
                    array.as_primitive::<Float64Type>().iter().flatten().any(f64::is_infinite)
                }
                DataType::Float32 => {
                    array.as_primitive::<Float32Type>().iter().flatten().any(f32::is_infinite)
                }
                _ => false,
            },
            ColumnarValue::Scalar(_) => false,
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}
