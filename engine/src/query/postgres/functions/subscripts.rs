//! Subscripts of arrays: `a[1][2]` is an element, `a[1:2][2:3]` a part.
//!
//! An element has as many subscripts as its array has dimensions; where there are fewer or more, or one of them names no
//! place, there is none. A part takes in each dimension what lies between two bounds, all of the dimensions behind those
//! with bounds, and is counted from 1 again.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int32Builder, Int64Array, ListArray, new_null_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, internal_err};
use datafusion::functions_nested::expr_fn::array_element;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, GetFieldAccess, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use super::bounded::{BATCH_BYTES_MAX, too_large};
use super::failure;
use super::flat::has_dimensions;
use crate::Error;
use crate::query::postgres::input::Refusal;
use crate::query::postgres::types::{TYPE_KEY, document_in, pg_type_of};

/// The element that subscripts name.
pub(in crate::query::postgres) const ELEMENT: &str = "array_at";
/// What lies between pairs of bounds.
pub(in crate::query::postgres) const PART: &str = "array_part";
/// DataFusion's own, which counts numbers below 1 from the end.
const FIRST_DIMENSION: &str = "array_element";

static AT: LazyLock<ScalarUDF> = LazyLock::new(|| ScalarUDF::from(Subscripts::new(Of::Element)));
static BETWEEN: LazyLock<ScalarUDF> = LazyLock::new(|| ScalarUDF::from(Subscripts::new(Of::Part)));

/// Returns the functions.
pub(super) fn functions() -> [ScalarUDF; 2] {
    [AT.clone(), BETWEEN.clone()]
}

/// Plans a subscript behind an expression; `None` for what is no array. One that follows others is of the next dimension.
pub(in crate::query::postgres) fn subscript(
    access: &GetFieldAccess,
    of: &Expr,
    schema: &DFSchema,
) -> Result<Option<Expr>> {
    let Ok(data_type) = of.get_type(schema) else { return Ok(None) };
    let is_array = matches!(data_type, DataType::List(_));
    match earlier(of) {
        Some((PART, args)) if is_array => {
            let args = args.iter().cloned().chain(bounds(access, schema)?);
            return Ok(Some(BETWEEN.call(args.collect())));
        }
        Some((_, [array, numbers @ ..])) if !data_type.is_nested() || is_array => {
            let GetFieldAccess::ListRange { .. } = access else {
                let number = number(access, schema)?;
                let numbers = numbers.iter().cloned().chain([number]);
                return Ok(Some(AT.call(std::iter::once(array.clone()).chain(numbers).collect())));
            };
            // Where there is one pair of bounds, a number alone is what goes up to it.
            let pairs = numbers.iter().cloned().flat_map(|number| [lit(1_i64), number]);
            let pairs = pairs.chain(bounds(access, schema)?);
            return Ok(Some(BETWEEN.call(std::iter::once(array.clone()).chain(pairs).collect())));
        }
        _ => {}
    }
    if !is_array {
        return match data_type.is_nested() || data_type.is_null() {
            true => Ok(None),
            false => Err(no_subscripts(of, schema)),
        };
    }
    if let GetFieldAccess::ListRange { .. } = access {
        let [lower, upper] = bounds(access, schema)?;
        return Ok(Some(BETWEEN.call(vec![of.clone(), lower, upper])));
    }
    let number = number(access, schema)?;
    Ok(Some(match is_place(&number) && !has_dimensions(&data_type) {
        true => array_element(of.clone(), number),
        false => AT.call(vec![of.clone(), number]),
    }))
}

/// Tells whether a number is written and counts from the beginning.
fn is_place(number: &Expr) -> bool {
    match number {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => *number >= 0,
        Expr::Literal(ScalarValue::Int32(Some(number)), _) => *number >= 0,
        Expr::Cast(cast) => is_place(&cast.expr),
        _ => false,
    }
}

/// The array and the subscripts before the one that is planned.
fn earlier(of: &Expr) -> Option<(&'static str, &[Expr])> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = of else { return None };
    let known = [ELEMENT, PART, FIRST_DIMENSION];
    Some((known.into_iter().find(|known| *known == func.name())?, args.as_slice()))
}

/// The number in a subscript. A text is one, too, if it has the form.
fn number(access: &GetFieldAccess, schema: &DFSchema) -> Result<Expr> {
    let text = match access {
        GetFieldAccess::ListIndex { key } => return numeric(key, schema),
        GetFieldAccess::NamedStructField { name } => name.to_string(),
        GetFieldAccess::ListRange { .. } => return internal_err!("a range is no number"),
    };
    match text.trim().parse::<i32>() {
        Ok(number) => Ok(lit(i64::from(number))),
        Err(_) => Err(failure(Refusal::Form.error("int4"))),
    }
}

/// The bounds in a subscript; a number alone is what goes up to it.
fn bounds(access: &GetFieldAccess, schema: &DFSchema) -> Result<[Expr; 2]> {
    match access {
        GetFieldAccess::ListRange { start, stop, .. } => {
            Ok([numeric(start, schema)?, numeric(stop, schema)?])
        }
        other => Ok([lit(1_i64), number(other, schema)?]),
    }
}

/// Refuses what is no number.
fn numeric(number: &Expr, schema: &DFSchema) -> Result<Expr> {
    match number.get_type(schema) {
        Ok(other) if !other.is_numeric() && !other.is_null() => Err(no_number()),
        _ => Ok(number.clone()),
    }
}

fn no_number() -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "42804",
        message: "array subscript must have type integer".to_owned(),
        hint: "Cast it: CAST(value AS integer).".to_owned(),
    })
}

fn no_subscripts(of: &Expr, schema: &DFSchema) -> DataFusionError {
    let field = of.to_field(schema).map(|(_, field)| field);
    let name = field.map_or("unknown", |field| pg_type_of(&field).0.display.as_str());
    failure(Error::Standard {
        sqlstate: "42804",
        message: format!("cannot subscript type {name} because it does not support subscripting"),
        hint: "Arrays and jsonb have subscripts.".to_owned(),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Element,
    Part,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Subscripts {
    of: Of,
    signature: Signature,
}

impl Subscripts {
    fn new(of: Of) -> Self {
        Subscripts { of, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Subscripts {
    fn name(&self) -> &str {
        match self.of {
            Of::Element => ELEMENT,
            Of::Part => PART,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let coerced = types.iter().enumerate().map(|(at, given)| match given {
            array if at == 0 => Ok(array.clone()),
            number if number.is_numeric() || number.is_null() => Ok(DataType::Int64),
            _ => Err(no_number()),
        });
        coerced.collect()
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args answers for {}", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(array) = args.arg_fields.first() else {
            return internal_err!("{} takes an array", self.name());
        };
        let mut field: &Field = array.as_ref();
        if self.of == Of::Element {
            while let DataType::List(item) = field.data_type() {
                field = item.as_ref();
            }
        }
        let logical = document_in(array, field).filter(|_| self.of == Of::Element);
        let mut field = field.clone().with_name(self.name()).with_nullable(true);
        if let Some(logical) = logical {
            field.set_metadata([(TYPE_KEY.to_owned(), logical.to_owned())].into());
        }
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let Some((array, numbers)) = args.args.split_first() else {
            return internal_err!("{} takes an array", self.name());
        };
        // One array for all rows stands there once.
        let (array, is_one) = match array {
            ColumnarValue::Array(array) => (Arc::clone(array), false),
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
        };
        let is_copied = self.of == Of::Part || !args.return_field.data_type().is_primitive();
        let bytes = array.get_array_memory_size() as u64;
        if is_one && is_copied && bytes.saturating_mul(rows as u64) > BATCH_BYTES_MAX {
            return Err(too_large(self.name()));
        }
        let number = |number: &ColumnarValue| -> Result<ArrayRef> {
            Ok(cast(&number.to_array(rows)?, &DataType::Int64)?)
        };
        let numbers = numbers.iter().map(number).collect::<Result<Vec<_>>>()?;
        let numbers: Vec<&Int64Array> =
            numbers.iter().map(|number| number.as_primitive::<Int64Type>()).collect();
        let subscripted = Subscripted { array: &array, is_one, numbers: &numbers, rows };
        let found = match self.of {
            Of::Element => subscripted.elements(args.return_field.data_type())?,
            Of::Part => subscripted.parts(args.return_field.data_type())?,
        };
        Ok(match (is_constant, found.as_list_opt::<i32>()) {
            (true, Some(list)) => ColumnarValue::Scalar(ScalarValue::List(Arc::new(list.clone()))),
            (true, None) => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            (false, _) => ColumnarValue::Array(found),
        })
    }
}

/// Arrays and the numbers in their subscripts, row by row.
struct Subscripted<'a> {
    array: &'a ArrayRef,
    /// Whether one array stands for all rows.
    is_one: bool,
    numbers: &'a [&'a Int64Array],
    rows: usize,
}

impl<'a> Subscripted<'a> {
    fn row(&self, row: usize) -> usize {
        if self.is_one { 0 } else { row }
    }

    fn number(&self, at: usize, row: usize) -> Option<i64> {
        let numbers = self.numbers.get(at)?;
        numbers.is_valid(row).then(|| numbers.value(row))
    }

    /// The lists of each dimension, from the outermost to the innermost, and their elements.
    fn levels(&self) -> (Vec<&'a ListArray>, &'a ArrayRef) {
        let (mut levels, mut values) = (Vec::new(), self.array);
        while let Some(list) = values.as_list_opt::<i32>() {
            levels.push(list);
            values = list.values();
        }
        (levels, values)
    }

    fn elements(&self, result: &DataType) -> Result<ArrayRef> {
        let (levels, values) = self.levels();
        if levels.is_empty() || levels.len() != self.numbers.len() {
            return Ok(new_null_array(result, self.rows));
        }
        let mut places = Int32Builder::with_capacity(self.rows);
        for row in 0..self.rows {
            let mut at = Some(self.row(row));
            for (dimension, level) in levels.iter().enumerate() {
                at = at.and_then(|at| {
                    let number = self.number(dimension, row)?.checked_sub(1)?;
                    let place = within(level, at)?.nth(usize::try_from(number).ok()?);
                    place.filter(|_| level.is_valid(at))
                });
            }
            places.append_option(at.and_then(|at| i32::try_from(at).ok()));
        }
        Ok(take(values, &places.finish(), None)?)
    }

    fn parts(&self, result: &DataType) -> Result<ArrayRef> {
        let (levels, values) = self.levels();
        if levels.is_empty() {
            return Ok(new_null_array(result, self.rows));
        }
        let ranges: Vec<Option<Vec<Range<usize>>>> =
            (0..self.rows).map(|row| self.ranges(&levels, row)).collect();
        // Which lists of a dimension are taken, and for which row.
        let mut places: Vec<(usize, usize)> =
            (0..self.rows).map(|row| (self.row(row), row)).collect();
        let mut taken = Vec::with_capacity(levels.len());
        for (dimension, level) in levels.iter().enumerate() {
            let (mut below, mut lengths) = (Vec::new(), Vec::with_capacity(places.len()));
            let mut valid = Vec::with_capacity(places.len());
            for (at, row) in places {
                let range = ranges[row].as_ref().and_then(|ranges| ranges.get(dimension));
                let range = range.cloned().unwrap_or_default();
                let all = within(level, at).unwrap_or_default();
                // Parts of one array are as long as each other, or else nothing of another is taken.
                let place = |at: usize| (all.start + at).min(all.end);
                let part = place(range.start)..place(range.end);
                lengths.push(part.len());
                valid.push(ranges[row].is_some() && level.is_valid(at));
                below.extend(part.map(|place| (place, row)));
            }
            taken.push((OffsetBuffer::from_lengths(lengths), NullBuffer::from(valid)));
            places = below;
        }
        let places = places.iter().map(|(at, _)| i32::try_from(*at).ok());
        let mut values = take(values, &places.collect::<Int32Array>(), None)?;
        for (level, (offsets, nulls)) in levels.iter().zip(taken).rev() {
            let DataType::List(item) = level.data_type() else {
                return internal_err!("a list is one");
            };
            values = Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, Some(nulls))?);
        }
        Ok(values)
    }

    /// What is taken of each dimension of one array, counted from 0; nothing where a dimension has nothing between its bounds.
    /// `None` is null.
    fn ranges(&self, levels: &[&ListArray], row: usize) -> Option<Vec<Range<usize>>> {
        let pairs = self.numbers.len() / 2;
        let mut at = self.row(row);
        let mut ranges = Vec::with_capacity(levels.len());
        let mut bounds = Vec::with_capacity(pairs);
        for pair in 0..pairs {
            bounds.push((self.number(2 * pair, row)?, self.number(2 * pair + 1, row)?));
        }
        if !levels.first().is_some_and(|level| level.is_valid(at)) {
            return None;
        }
        if pairs > levels.len() {
            return Some(Vec::new());
        }
        for (dimension, level) in levels.iter().enumerate() {
            let all = within(level, at).unwrap_or_default();
            let length = i64::try_from(all.len()).unwrap_or(i64::MAX);
            let (lower, upper) = bounds.get(dimension).copied().unwrap_or((1, length));
            let (from, to) = (lower.max(1) - 1, upper.min(length));
            if from >= to {
                return Some(Vec::new());
            }
            let place = |number: i64| usize::try_from(number).unwrap_or(0);
            ranges.push(place(from)..place(to));
            at = all.start;
        }
        Some(ranges)
    }
}

/// Where the elements of a list are.
fn within(level: &ListArray, at: usize) -> Option<Range<usize>> {
    let [start, end] = level.value_offsets().get(at..at + 2)? else { return None };
    Some(usize::try_from(*start).ok()?..usize::try_from(*end).ok()?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Int32Type;

    use super::*;

    /// `{{1,2},{3,4}}`, `{}`, null and `{{5,6}}`.
    fn arrays() -> ArrayRef {
        let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(
            [[1, 2], [3, 4], [5, 6]].map(|list| Some(list.map(Some))),
        );
        let item = Arc::new(Field::new("item", inner.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([2, 0, 0, 1]);
        let nulls = NullBuffer::from(vec![true, true, false, true]);
        Arc::new(ListArray::new(item, offsets, Arc::new(inner), Some(nulls)))
    }

    fn numbers(all: &[i64]) -> Vec<Int64Array> {
        all.iter().map(|number| Int64Array::from_value(*number, 4)).collect()
    }

    #[test]
    fn an_element_has_a_subscript_for_each_dimension() {
        let array = arrays();
        let check = |all: &[i64], expected: [Option<i32>; 4]| {
            let numbers = numbers(all);
            let numbers: Vec<&Int64Array> = numbers.iter().collect();
            let of = Subscripted { array: &array, is_one: false, numbers: &numbers, rows: 4 };
            let found = of.elements(&DataType::Int32).unwrap();
            assert_eq!(found.as_ref(), &Int32Array::from(expected.to_vec()) as &dyn Array);
        };
        check(&[1, 2], [Some(2), None, None, Some(6)]);
        check(&[2, 1], [Some(3), None, None, None]);
        check(&[0, 1], [None; 4]);
        check(&[-1, 1], [None; 4]);
        check(&[1], [None; 4]);
        check(&[1, 1, 1], [None; 4]);
    }

    #[test]
    fn a_part_lies_between_bounds_in_each_dimension() {
        let array = arrays();
        let check = |all: &[i64], expected: [Option<&[i32]>; 4]| {
            let numbers = numbers(all);
            let numbers: Vec<&Int64Array> = numbers.iter().collect();
            let of = Subscripted { array: &array, is_one: false, numbers: &numbers, rows: 4 };
            let found = of.parts(array.data_type()).unwrap();
            let found = found.as_list::<i32>();
            for (row, expected) in expected.iter().enumerate() {
                assert_eq!(found.is_valid(row), expected.is_some(), "{all:?} of {row}");
                let Some(expected) = expected else { continue };
                let lists = found.value(row);
                let leaves: Vec<i32> = lists
                    .as_list::<i32>()
                    .iter()
                    .flatten()
                    .flat_map(|list| list.as_primitive::<Int32Type>().values().to_vec())
                    .collect();
                assert_eq!(leaves, *expected, "{all:?} of {row}");
            }
        };
        check(&[1, 2], [Some(&[1, 2, 3, 4]), Some(&[]), None, Some(&[5, 6])]);
        check(&[2, 9], [Some(&[3, 4]), Some(&[]), None, Some(&[])]);
        check(&[1, 2, 2, 2], [Some(&[2, 4]), Some(&[]), None, Some(&[6])]);
        check(&[2, 1], [Some(&[]), Some(&[]), None, Some(&[])]);
        check(&[1, 1, 1, 1, 1, 1], [Some(&[]), Some(&[]), None, Some(&[])]);
    }
}
