//! Operators over arrays: how two of them are joined, and whether one holds the other.

use std::cmp::Ordering;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::utils::list_ndims;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions_nested::expr_fn::{array_compact, array_has_all};
use datafusion::logical_expr::binary::type_union_coercion;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, binary_expr, when};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::query::postgres::functions::{array_order, flat, has_dimensions};

/// The function that `||` is where one side is an array.
pub(super) fn makes_array(left: &Expr, right: &Expr, schema: &DFSchema) -> Option<&'static str> {
    let depth = |expr: &Expr| expr.get_type(schema).ok().map(|found| list_ndims(&found));
    let (left, right) = (depth(left)?, depth(right)?);
    match left.cmp(&right) {
        _ if left + right == 0 => None,
        Ordering::Equal => Some("array_concat"),
        Ordering::Greater => Some("array_append"),
        Ordering::Less => Some("array_prepend"),
    }
}

/// Two arrays that are compared and have unlike numbers of dimensions: lists of unlike types, of which the order decides.
/// `None` of all else.
pub(super) fn across_dimensions(
    op: &BinaryOperator,
    left: &Expr,
    right: &Expr,
    schema: &DFSchema,
) -> Option<Expr> {
    let op = match op {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    };
    let types = [left.get_type(schema).ok()?, right.get_type(schema).ok()?];
    let [one, other] = [&types[0], &types[1]].map(list_ndims);
    let is_one_type = element_of(&types[0]) == element_of(&types[1]);
    let are_unlike = one != other && one > 0 && other > 0 && is_one_type;
    are_unlike.then(|| binary_expr(array_order(left.clone()), op, array_order(right.clone())))
}

/// The type of an array's elements, in however many dimensions they are.
fn element_of(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(item) => element_of(item.data_type()),
        other => other,
    }
}

/// The sides of `@>`, `<@` and `&&`: their elements, in however many dimensions they are. A null is like no other, so the nulls
/// of one side are left out where both may have some.
pub(super) fn held(
    op: &BinaryOperator,
    left: Expr,
    right: Expr,
    schema: &DFSchema,
) -> (Expr, Expr) {
    let (left, right) = (in_one_dimension(left, schema), in_one_dimension(right, schema));
    let may_have_nulls = |side: &Expr| {
        side.get_type(schema).is_ok_and(|found| found.is_list()) && !is_without_nulls(side)
    };
    if !may_have_nulls(&left) || !may_have_nulls(&right) {
        return (left, right);
    }
    match op {
        BinaryOperator::ArrowAt => (left, array_compact(right)),
        _ => (array_compact(left), right),
    }
}

/// Whether an array has all elements of another one; null if one of them is. DataFusion finds nothing in a null, too.
pub(super) fn has_all(whole: Expr, part: Expr) -> Result<Expr> {
    let has = array_has_all(whole.clone(), part.clone());
    if has_elements(&part) {
        return Ok(has);
    }
    // The type of a parameter is told by the call alone.
    let sides = [whole, part].into_iter().filter(|side| !matches!(side, Expr::Placeholder(_)));
    match sides.map(Expr::is_not_null).reduce(Expr::and) {
        Some(are_there) => when(are_there, has).end(),
        None => Ok(has),
    }
}

/// Tells whether an array is written with elements.
fn has_elements(array: &Expr) -> bool {
    match array {
        Expr::Cast(cast) => has_elements(&cast.expr),
        Expr::ScalarFunction(call) if call.name() == "make_array" => !call.args.is_empty(),
        _ => false,
    }
}

/// Tells whether an array is written, and without nulls. Nobody asks for what is like a null.
fn is_without_nulls(array: &Expr) -> bool {
    match array {
        Expr::Cast(cast) => is_without_nulls(&cast.expr),
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => {
            !text.to_ascii_lowercase().contains("null")
        }
        Expr::ScalarFunction(call) if call.name() == "make_array" => {
            call.args.iter().all(is_written)
        }
        Expr::Placeholder(_) => true,
        _ => false,
    }
}

/// Tells whether an element is a literal other than null.
fn is_written(element: &Expr) -> bool {
    match element {
        Expr::Cast(cast) => is_written(&cast.expr),
        Expr::Literal(value, _) => !value.is_null(),
        _ => false,
    }
}

fn in_one_dimension(array: Expr, schema: &DFSchema) -> Expr {
    match array.get_type(schema) {
        Ok(data_type) if has_dimensions(&data_type) => flat(array),
        _ => array,
    }
}

/// An array and what is joined to it, numbers both of them, in the type that has room for each where one of them is a decimal.
pub(super) fn alike(sides: [Expr; 2], schema: &DFSchema) -> [Expr; 2] {
    let types = [&sides[0], &sides[1]].map(|side| side.get_type(schema).unwrap_or(DataType::Null));
    let element = |data_type: &DataType| match data_type {
        DataType::List(item) => item.data_type().clone(),
        other => other.clone(),
    };
    let (one, other) = (element(&types[0]), element(&types[1]));
    let mixed = one.is_numeric() && other.is_numeric() && one.is_decimal() != other.is_decimal();
    let Some(common) = type_union_coercion(&one, &other).filter(|_| mixed) else { return sides };
    let [left, right] = sides;
    let cast = |side: Expr, found: &DataType| {
        let to = match found {
            DataType::List(_) => DataType::new_list(common.clone(), true),
            _ => common.clone(),
        };
        if *found == to { side } else { Expr::Cast(Cast::new(Box::new(side), to)) }
    };
    [cast(left, &types[0]), cast(right, &types[1])]
}
