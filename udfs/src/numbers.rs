//! Arguments that are numbers.

use arrow::array::{Array, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use crate::column::{Accepts, Arguments, Parameter, Text};

/// Returns the parameter of numbers called `name`.
pub(crate) const fn number(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, description, accepts: Accepts::Number }
}

/// A column of numbers.
pub(crate) enum Numbers<'a> {
    /// The same in every row.
    Constant(Option<f64>),
    /// A column.
    Float64(&'a Float64Array),
    /// Numbers that are written as text.
    Text(Text<'a>),
}

impl<'a> Numbers<'a> {
    /// Returns argument `index` as numbers; what is written as text and is none is null.
    pub(crate) fn of(arguments: &'a Arguments, index: usize) -> Result<Self> {
        match arguments.value(index) {
            Some(ColumnarValue::Scalar(ScalarValue::Float64(value))) => {
                Ok(Numbers::Constant(*value))
            }
            Some(ColumnarValue::Array(array)) if *array.data_type() == DataType::Float64 => {
                Ok(Numbers::Float64(array.as_primitive::<Float64Type>()))
            }
            _ => arguments.text(index).map(Numbers::Text),
        }
    }

    /// Returns the value of `row`.
    pub(crate) fn get(&self, row: usize) -> Option<f64> {
        match self {
            Numbers::Constant(value) => *value,
            Numbers::Float64(array) => array.is_valid(row).then(|| array.value(row)),
            Numbers::Text(text) => text.get(row)?.trim().parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn columns_constants_and_texts_are_numbers() {
        let column = Float64Array::from(vec![Some(0.5), None]);
        let values = vec![
            ColumnarValue::Array(Arc::new(column)),
            ColumnarValue::Scalar(ScalarValue::Float64(Some(2.0))),
            ColumnarValue::Scalar(ScalarValue::from(" 1.25 ")),
            ColumnarValue::Scalar(ScalarValue::from("half")),
            ColumnarValue::Scalar(ScalarValue::Null),
        ];
        let arguments = Arguments::new(values, 2, || Ok(()));
        let rows = |index| {
            let numbers = Numbers::of(&arguments, index).unwrap();
            [numbers.get(0), numbers.get(1)]
        };
        assert_eq!([rows(0), rows(1)], [[Some(0.5), None], [Some(2.0); 2]]);
        assert_eq!([rows(2), rows(3), rows(4)], [[Some(1.25); 2], [None; 2], [None; 2]]);
    }
}
