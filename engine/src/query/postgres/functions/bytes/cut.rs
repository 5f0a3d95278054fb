//! Functions of texts that PostgreSQL has of bytes, too: what cuts, trims, searches and overlays. Beside them are those that it
//! has of texts alone, where DataFusion would take bytes for letters, and hashes of literals, which are literals of bytes.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, Int32Array, Int64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err, plan_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::PlannerResult;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::super::bounded::{self, BATCH_BYTES_MAX, VALUE_BYTES_MAX, too_large};
use super::{bytes_at, failure, is_bytes, read};
use crate::Error;
use crate::query::postgres::types;
use crate::query::stop::{check_current, fold};

/// Places that bytes are looked for at before the statement is asked whether it goes on.
const PLACES: usize = 1024;

/// What a function does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Over {
    /// A part of them, from a place on, of a length or to the end.
    Part,
    /// The place of others among them.
    Place,
    /// They without others at their beginning, their end, or both.
    Trimmed { start: bool, end: bool },
    /// They with others in the place of some.
    Overlaid,
    /// A hash, of which a literal is one of bytes.
    Hash,
    /// Nothing: there are texts alone.
    Nothing,
}

const FUNCTIONS: [(&str, Over); 16] = [
    ("substr", Over::Part),
    ("strpos", Over::Place),
    ("btrim", Over::Trimmed { start: true, end: true }),
    ("ltrim", Over::Trimmed { start: true, end: false }),
    ("rtrim", Over::Trimmed { start: false, end: true }),
    ("overlay", Over::Overlaid),
    ("sha224", Over::Hash),
    ("sha256", Over::Hash),
    ("sha384", Over::Hash),
    ("sha512", Over::Hash),
    ("reverse", Over::Nothing),
    ("left", Over::Nothing),
    ("right", Over::Nothing),
    ("lpad", Over::Nothing),
    ("rpad", Over::Nothing),
    ("translate", Over::Nothing),
];

/// Each around the one of texts.
static ALL: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
    let bounded = bounded::functions();
    let plain = SessionStateDefaults::default_scalar_functions();
    let of = |(name, over): (&str, Over)| {
        let inner = match bounded.iter().find(|function| function.name() == name) {
            Some(function) => Arc::new(function.clone()),
            None => Arc::clone(plain.iter().find(|function| function.name() == name)?),
        };
        let signature = Signature::user_defined(Volatility::Immutable);
        Some(ScalarUDF::from(Cut { inner, over, signature }))
    };
    FUNCTIONS.into_iter().filter_map(of).collect()
});

/// Returns the functions.
pub(in super::super) fn functions() -> Vec<ScalarUDF> {
    ALL.clone()
}

/// Calls one of the functions, which SQL may write with words between its arguments.
pub(in crate::query::postgres) fn call(
    name: &str,
    arguments: Vec<Expr>,
) -> PlannerResult<Vec<Expr>> {
    match ALL.iter().find(|function| function.name() == name) {
        Some(function) => PlannerResult::Planned(function.call(arguments)),
        None => PlannerResult::Original(arguments),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Cut {
    /// What does it with texts.
    inner: Arc<ScalarUDF>,
    over: Over,
    signature: Signature,
}

impl Cut {
    /// Tells whether a call is about bytes: then a text among its arguments is a literal of them.
    fn is_over(&self, types: &[DataType]) -> bool {
        match self.over {
            Over::Hash => false,
            Over::Part | Over::Nothing => types.first().is_some_and(is_bytes),
            Over::Place | Over::Trimmed { .. } | Over::Overlaid => {
                types.iter().take(2).any(is_bytes)
            }
        }
    }

    fn result(&self) -> DataType {
        if self.over == Over::Place { DataType::Int32 } else { DataType::Binary }
    }

    /// The types of the arguments of a call about bytes; nothing if there is no such call.
    fn wanted(&self, types: &[DataType]) -> Option<Vec<DataType>> {
        let is_data = |given: &DataType| is_bytes(given) || given.is_string() || given.is_null();
        let is_number = |given: &DataType| given.is_integer() || given.is_null();
        let (data, numbers) = match self.over {
            Over::Part => (1, 1..=2),
            Over::Place | Over::Trimmed { .. } => (2, 0..=0),
            Over::Overlaid => (2, 1..=2),
            Over::Hash | Over::Nothing => return None,
        };
        let (first, rest) = types.split_at_checked(data)?;
        if !first.iter().all(is_data)
            || !rest.iter().all(is_number)
            || !numbers.contains(&rest.len())
        {
            return None;
        }
        let first = first.iter().map(|given| match given {
            DataType::Null => DataType::Binary,
            other => other.clone(),
        });
        Some(first.chain(rest.iter().map(|_| DataType::Int64)).collect())
    }
}

impl ScalarUDFImpl for Cut {
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
        if self.is_over(types) {
            return match self.wanted(types) {
                Some(wanted) => Ok(wanted),
                None => plan_err!("function {} does not take these arguments", self.name()),
            };
        }
        let field = |data_type: &DataType| Arc::new(Field::new("", data_type.clone(), true));
        let fields: Vec<FieldRef> = types.iter().map(field).collect();
        let fields = fields_with_udf(&fields, self.inner.as_ref())?;
        Ok(fields.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match self.is_over(types) {
            true => Ok(self.result()),
            false => self.inner.return_type(types),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> =
            args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        if !self.is_over(&types) {
            return self.inner.return_field_from_args(args);
        }
        let pg_type = if self.over == Over::Place { "int4" } else { "bytea" };
        Ok(Arc::new(types::result_field(self.name(), pg_type)))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        if !self.is_over(&types) {
            if self.over == Over::Hash
                && let Some(argument) = args.args.first_mut()
            {
                read_literal(argument)?;
            }
            return self.inner.invoke_with_args(args);
        }
        let is_constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays: Vec<ArrayRef> =
            args.args.iter().map(|value| value.to_array(rows)).collect::<Result<_>>()?;
        let call = Rows { function: self.name(), arrays: &arrays, rows };
        let found: ArrayRef = match self.over {
            Over::Part => Arc::new(call.parts()?),
            Over::Place => Arc::new(call.places()?),
            Over::Trimmed { start, end } => Arc::new(call.trimmed(start, end)?),
            Over::Overlaid => Arc::new(call.overlaid()?),
            Over::Hash | Over::Nothing => return internal_err!("{} is of texts", self.name()),
        };
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            false => ColumnarValue::Array(found),
        })
    }
}

/// Makes bytes of a literal with escapes: of bytes alone there are hashes. A column of texts stays as it is.
fn read_literal(argument: &mut ColumnarValue) -> Result<()> {
    if let ColumnarValue::Scalar(value) = argument
        && let Some(Some(text)) = value.try_as_str()
        && text.contains('\\')
    {
        *argument = ColumnarValue::Scalar(ScalarValue::Binary(Some(read(text)?)));
    }
    Ok(())
}

/// The arguments of a call as columns of equal length.
struct Rows<'a> {
    function: &'a str,
    arrays: &'a [ArrayRef],
    rows: usize,
}

impl Rows<'_> {
    /// Makes bytes of each row in which no argument is null.
    fn bytes(
        &self,
        mut make: impl FnMut(usize, &mut Vec<u8>) -> Result<()>,
    ) -> Result<BinaryArray> {
        let mut all = BinaryBuilder::new();
        let mut made = Vec::new();
        for row in 0..self.rows {
            check_current()?;
            if self.arrays.iter().any(|array| array.is_null(row)) {
                all.append_null();
                continue;
            }
            made.clear();
            make(row, &mut made)?;
            let total = (all.values_slice().len() + made.len()) as u64;
            if made.len() as u64 > VALUE_BYTES_MAX || total > BATCH_BYTES_MAX {
                return Err(too_large(self.function));
            }
            all.append_value(&made);
        }
        fold(all.values_slice().len() as u64)?;
        Ok(all.finish())
    }

    fn numbers(&self, at: usize) -> Option<&Int64Array> {
        self.arrays.get(at)?.as_primitive_opt::<Int64Type>()
    }

    fn parts(&self) -> Result<BinaryArray> {
        let (Some(from), lengths) = (self.numbers(1), self.numbers(2)) else {
            return internal_err!("{} takes the place of its part", self.function);
        };
        self.bytes(|row, made| {
            let Some(bytes) = bytes_at(self.arrays[0].as_ref(), row)? else { return Ok(()) };
            let length = lengths.map(|lengths| lengths.value(row));
            made.extend_from_slice(part(&bytes, from.value(row), length)?);
            Ok(())
        })
    }

    fn places(&self) -> Result<Int32Array> {
        let mut places = Int32Array::builder(self.rows);
        for row in 0..self.rows {
            let all = bytes_at(self.arrays[0].as_ref(), row)?;
            let sought = bytes_at(self.arrays[1].as_ref(), row)?;
            places.append_option(match all.zip(sought) {
                Some((all, sought)) => Some(place(&all, &sought)?),
                None => None,
            });
        }
        Ok(places.finish())
    }

    fn trimmed(&self, start: bool, end: bool) -> Result<BinaryArray> {
        self.bytes(|row, made| {
            let bytes = bytes_at(self.arrays[0].as_ref(), row)?;
            let set = bytes_at(self.arrays[1].as_ref(), row)?;
            if let Some((bytes, set)) = bytes.zip(set) {
                let mut is_taken = [false; 256];
                for byte in set.iter() {
                    is_taken[usize::from(*byte)] = true;
                }
                let mut left: &[u8] = &bytes;
                while let [first, rest @ ..] = left
                    && start
                    && is_taken[usize::from(*first)]
                {
                    left = rest;
                }
                while let [rest @ .., last] = left
                    && end
                    && is_taken[usize::from(*last)]
                {
                    left = rest;
                }
                made.extend_from_slice(left);
            }
            Ok(())
        })
    }

    fn overlaid(&self) -> Result<BinaryArray> {
        let (Some(from), lengths) = (self.numbers(2), self.numbers(3)) else {
            return internal_err!("{} takes a place", self.function);
        };
        self.bytes(|row, made| {
            let under = bytes_at(self.arrays[0].as_ref(), row)?;
            let over = bytes_at(self.arrays[1].as_ref(), row)?;
            let Some((under, over)) = under.zip(over) else { return Ok(()) };
            let from = from.value(row);
            if from <= 0 {
                return Err(negative_length());
            }
            let length = match lengths {
                Some(lengths) => lengths.value(row),
                None => i64::try_from(over.len()).unwrap_or(i64::MAX),
            };
            made.extend_from_slice(part(&under, 1, Some(from - 1))?);
            made.extend_from_slice(&over);
            made.extend_from_slice(part(&under, from.saturating_add(length), None)?);
            Ok(())
        })
    }
}

/// The bytes from a place on, counted from 1, of a length or to the end.
fn part(bytes: &[u8], from: i64, length: Option<i64>) -> Result<&[u8]> {
    let count = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let end = match length {
        Some(length) if length < 0 => return Err(negative_length()),
        Some(length) => from.saturating_add(length).saturating_sub(1).min(count),
        None => count,
    };
    let start = from.max(1) - 1;
    let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else {
        return Ok(&[]);
    };
    Ok(bytes.get(start..end).unwrap_or(&[]))
}

/// Where some bytes begin among others, counted from 1; 0 if they are not there.
fn place(all: &[u8], sought: &[u8]) -> Result<i32> {
    if sought.is_empty() {
        return Ok(1);
    }
    for (at, part) in all.windows(sought.len()).enumerate() {
        // Long ones that are alike take long to compare.
        if at % PLACES == 0 {
            check_current()?;
        }
        if part == sought {
            return Ok(i32::try_from(at + 1).unwrap_or(0));
        }
    }
    Ok(0)
}

fn negative_length() -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "22011",
        message: "negative substring length not allowed".to_owned(),
        hint: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are those of PostgreSQL 15.
    #[test]
    fn parts_are_those_of_postgres() {
        let bytes = [1, 2, 3, 4, 5];
        for (from, length, expected) in [
            (2, Some(3), &bytes[1..4]),
            (2, None, &bytes[1..]),
            (-1, Some(3), &bytes[..1]),
            (-1, Some(1), &bytes[..0]),
            (-1, None, &bytes[..]),
            (6, None, &bytes[..0]),
            (9, Some(1), &bytes[..0]),
            (4, Some(i64::MAX), &bytes[3..]),
            (1, Some(0), &bytes[..0]),
        ] {
            assert_eq!(part(&bytes, from, length).unwrap(), expected, "{from} {length:?}");
        }
        assert!(part(&bytes, 1, Some(-1)).is_err());
    }

    #[test]
    fn places_are_those_of_postgres() {
        for (all, sought, expected) in
            [("abcab", "ab", 1), ("abcab", "ca", 3), ("abc", "", 1), ("", "a", 0), ("ab", "abc", 0)]
        {
            let found = place(all.as_bytes(), sought.as_bytes()).unwrap();
            assert_eq!(found, expected, "{sought} in {all}");
        }
    }

    #[test]
    fn what_is_made_has_a_bound() {
        let half = vec![b'x'; usize::try_from(VALUE_BYTES_MAX).unwrap() / 2];
        let of = |bytes: &[u8]| Arc::new(BinaryArray::from_vec(vec![bytes])) as ArrayRef;
        let from = Arc::new(Int64Array::from(vec![1])) as ArrayRef;
        let none = Arc::new(Int64Array::from(vec![0])) as ArrayRef;
        for (bytes, is_made) in [(half.clone(), true), ([&half[..], b"x"].concat(), false)] {
            let arrays = [of(&half), of(&bytes), Arc::clone(&from), Arc::clone(&none)];
            let call = Rows { function: "overlay", arrays: &arrays, rows: 1 };
            assert_eq!(call.overlaid().is_ok(), is_made, "{}", bytes.len());
        }
    }

    #[test]
    fn bytes_of_a_set_are_trimmed() {
        let of = |bytes: &[u8]| Arc::new(BinaryArray::from_vec(vec![bytes])) as ArrayRef;
        let arrays = [of(b"\x00\xffab\x00"), of(b"\xff\x00")];
        let call = Rows { function: "btrim", arrays: &arrays, rows: 1 };
        for (start, end, expected) in [
            (true, true, b"ab".to_vec()),
            (true, false, b"ab\x00".to_vec()),
            (false, true, b"\x00\xffab".to_vec()),
        ] {
            assert_eq!(call.trimmed(start, end).unwrap().value(0), expected);
        }
    }
}
