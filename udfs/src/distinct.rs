//! Each distinct tuple of arguments once.
//!
//! Names, towns and pairs of them repeat within a batch, and what is computed of them costs more than to look them up. A
//! batch in which little repeats is seen to be one early, and is evaluated as it is.

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use datafusion_common::{HashMap, Result};

use crate::column::{Arguments, Text};

/// Arguments at most of a function that is evaluated so.
const ARGUMENTS_MAX: usize = 3;

/// Rows from which it is worth the while.
const ROWS_MIN: usize = 32;

/// Rows after which it is given up if nearly all were different.
const PROBED_ROWS: usize = 512;

/// Evaluates a batch, rows whose arguments are equal once.
pub(crate) fn evaluate(
    arguments: &Arguments,
    evaluate: fn(&Arguments) -> Result<ArrayRef>,
) -> Result<ArrayRef> {
    match Distinct::of(arguments) {
        None => evaluate(arguments),
        Some(Distinct { first, place }) => {
            let few = evaluate(&arguments.rows_at(&UInt32Array::from(first))?)?;
            Ok(take(&few, &UInt32Array::from(place), None)?)
        }
    }
}

/// The distinct rows of a batch.
struct Distinct {
    /// The first row of each.
    first: Vec<u32>,
    /// For each row which of them it equals.
    place: Vec<u32>,
}

impl Distinct {
    /// Finds the distinct rows; `None` if there are too many, or arguments that are not text.
    fn of(arguments: &Arguments) -> Option<Self> {
        let rows = arguments.rows();
        if arguments.count() > ARGUMENTS_MAX || rows < ROWS_MIN {
            return None;
        }
        let texts = (0..arguments.count()).map(|index| arguments.text(index));
        let mut texts: Vec<Text<'_>> = texts.collect::<Result<_>>().ok()?;
        // What is the same in every row tells none from another, and may be long.
        texts.retain(|text| !matches!(text, Text::Constant(_)));
        let mut numbers: HashMap<[Option<&str>; ARGUMENTS_MAX], u32> = HashMap::new();
        let (mut first, mut place) = (Vec::new(), Vec::with_capacity(rows));
        for row in 0..rows {
            if row == PROBED_ROWS && is_little(first.len(), row) {
                return None;
            }
            let mut key = [None; ARGUMENTS_MAX];
            key.iter_mut().zip(&texts).for_each(|(slot, text)| *slot = text.get(row));
            let next = u32::try_from(first.len()).ok()?;
            let number = *numbers.entry(key).or_insert(next);
            if number == next {
                first.push(u32::try_from(row).ok()?);
            }
            place.push(number);
        }
        (!is_little(first.len(), rows)).then_some(Self { first, place })
    }
}

/// Tells whether so many distinct rows of these leave little to be saved.
fn is_little(distinct: usize, rows: usize) -> bool {
    distinct * 4 > rows * 3
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{AsArray, StringArray};
    use datafusion_common::ScalarValue;
    use datafusion_expr::ColumnarValue;
    use proptest::prelude::*;

    use super::*;
    use crate::column::texts;

    fn arguments(left: Vec<Option<String>>, right: ColumnarValue) -> Arguments {
        let rows = left.len();
        let left = ColumnarValue::Array(Arc::new(StringArray::from(left)));
        Arguments::new(vec![left, right], rows, || Ok(()))
    }

    /// Joins both arguments.
    fn joined(arguments: &Arguments) -> Result<ArrayRef> {
        let (left, right) = (arguments.text(0)?, arguments.text(1)?);
        let joined = |row| Some(format!("{} {}", left.get(row)?, right.get(row)?));
        Ok(texts((0..arguments.rows()).map(joined)))
    }

    #[test]
    fn a_value_is_evaluated_once() {
        static ROWS: AtomicUsize = AtomicUsize::new(0);
        fn counted(arguments: &Arguments) -> Result<ArrayRef> {
            ROWS.fetch_add(arguments.rows(), Ordering::Relaxed);
            joined(arguments)
        }
        let constant = || ColumnarValue::Scalar(ScalarValue::Utf8(Some("x".into())));
        let few = (0..8_000).map(|row| Some(format!("{}", row % 7))).collect();
        let result = evaluate(&arguments(few, constant()), counted).unwrap();
        assert_eq!(ROWS.swap(0, Ordering::Relaxed), 7);
        assert_eq!(result.as_string_view().value(7_999), format!("{} x", 7_999 % 7));
        let all = (0..8_000).map(|row| Some(row.to_string())).collect();
        evaluate(&arguments(all, constant()), counted).unwrap();
        assert_eq!(ROWS.load(Ordering::Relaxed), 8_000);
    }

    proptest! {
        #[test]
        fn rows_keep_what_they_had(
            rows in prop::collection::vec((prop::option::of("[ab]{0,2}"), prop::option::of("[ab]{0,1}")), 0..200)
        ) {
            let (left, right): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            let right = ColumnarValue::Array(Arc::new(StringArray::from(right)));
            let arguments = arguments(left, right);
            prop_assert_eq!(&evaluate(&arguments, joined).unwrap(), &joined(&arguments).unwrap());
        }
    }
}
