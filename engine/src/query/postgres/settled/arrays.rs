//! Casts to arrays: of texts, which are read, and of arrays, whose elements are cast each as a single value is.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, FieldRef};
use datafusion::common::utils::list_ndims;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, ExprSchemable};

use super::Types;
use crate::query::postgres::functions::{
    ARRAY_CAST, array_cast, array_of, is_cut, is_other_cast, leaf_of, reads_uuids,
};
use crate::query::postgres::types::arrow_type;

impl Types {
    /// A cast to an array, which has the dimensions of what is cast.
    pub(super) fn cast_array(&mut self, cast: Cast, schema: &DFSchema) -> Expr {
        let Ok(from) = cast.expr.get_type(schema) else { return Expr::Cast(cast) };
        let DataType::List(item) = cast.field.data_type() else { return Expr::Cast(cast) };
        // The wire reads a parameter as what it is cast to.
        if matches!(*cast.expr, Expr::Placeholder(_)) {
            return Expr::Cast(cast);
        }
        let declared = leaf_of(item);
        let is_done = matches!(cast.expr.as_ref(),
            Expr::ScalarFunction(call) if call.func.name() == ARRAY_CAST);
        let (given, is_read) = match &from {
            DataType::List(item) => {
                let given = leaf_of(item);
                let is_read = is_cut(declared) && !is_done || reads_uuids(given, declared);
                (given.data_type(), is_read)
            }
            text if text.is_string() => (text, true),
            _ => return Expr::Cast(cast),
        };
        let leaf = with_digits(declared, given);
        let is_reshaped = list_ndims(&from).max(1) != list_ndims(cast.field.data_type());
        let is_other = is_read || is_other_cast(given, leaf.data_type());
        if !is_other && !is_reshaped && leaf == *declared {
            return Expr::Cast(cast);
        }
        let mut field = Arc::clone(&cast.field);
        if is_reshaped || leaf != *declared {
            self.changed = true;
            let to = array_of(&leaf, &from);
            field = Arc::new(field.as_ref().clone().with_data_type(to));
        }
        let expr = match is_other {
            true => Box::new(array_cast(*cast.expr, &leaf, &self.zone)),
            false => cast.expr,
        };
        Expr::Cast(Cast { expr, field })
    }
}

/// Elements that are cast to plain `numeric` keep the digits that they have.
fn with_digits(leaf: &FieldRef, given: &DataType) -> FieldRef {
    if *leaf.data_type() != arrow_type("numeric") || !leaf.metadata().is_empty() {
        return Arc::clone(leaf);
    }
    let digits = match given {
        whole if whole.is_integer() => DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0),
        DataType::Decimal128(..) => given.clone(),
        _ => return Arc::clone(leaf),
    };
    Arc::new(leaf.as_ref().clone().with_data_type(digits))
}

/// The decimal that has room for each of some values; `None` where there is none among them.
pub(super) fn decimal_for(values: &[ScalarValue]) -> Option<DataType> {
    let shapes = values.iter().filter_map(|value| match value {
        ScalarValue::Decimal128(Some(_), digits, scale) => {
            Some((digits.saturating_sub(scale.unsigned_abs()), *scale))
        }
        _ => None,
    });
    let (whole, scale) = shapes.reduce(|one, other| (one.0.max(other.0), one.1.max(other.1)))?;
    let digits = whole.saturating_add(scale.unsigned_abs());
    (digits <= DECIMAL128_MAX_PRECISION)
        .then_some(DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale))
}
