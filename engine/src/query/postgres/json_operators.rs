//! Operators that mean something else over `jsonb` than over arrays, texts and numbers: `@>`, `<@`, `||` and `-`;
//! and subscripts, which are `->` by a name and a step of a path by a number.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::facts::SessionFacts;
use super::functions::{
    CHOOSING, CONCAT, CONTAINED, CONTAINS, DELETE, bounded, call_json, failure, own,
};
use super::types::TYPE_KEY;
use crate::Error;

/// The call that an operator is; `None` where neither side is `jsonb`.
pub(super) fn planned(
    op: &BinaryOperator,
    left: &Expr,
    right: &Expr,
    schema: &DFSchema,
    facts: &Arc<SessionFacts>,
) -> Option<Expr> {
    let sides = (is_jsonb(left, schema), is_jsonb(right, schema));
    let function = match (op, sides) {
        (BinaryOperator::AtArrow, (true, _) | (_, true)) => CONTAINS,
        (BinaryOperator::ArrowAt, (true, _) | (_, true)) => CONTAINED,
        (BinaryOperator::StringConcat, (true, true)) => CONCAT,
        (BinaryOperator::StringConcat, (true, false)) if is_open(right) => CONCAT,
        (BinaryOperator::StringConcat, (false, true)) if is_open(left) => CONCAT,
        (BinaryOperator::Minus, (true, false)) => match right.get_type(schema).ok()? {
            DataType::Null => DELETE[0],
            text if text.is_string() => DELETE[0],
            number if number.is_integer() => DELETE[1],
            names if names.is_list() => DELETE[2],
            _ => return None,
        },
        _ => return None,
    };
    call_json(function, vec![left.clone(), right.clone()], facts)
}

/// A part of a `jsonb` by its name or its position; `None` of other types.
pub(super) fn subscript(
    access: &GetFieldAccess,
    document: &Expr,
    schema: &DFSchema,
    facts: &Arc<SessionFacts>,
) -> Result<Option<Expr>> {
    if !is_jsonb(document, schema) {
        return Ok(None);
    }
    let key = match access {
        GetFieldAccess::NamedStructField { name } => Expr::Literal(name.clone(), None),
        // A step of a path, and not `->`, which finds a scalar in itself.
        GetFieldAccess::ListIndex { key } if is_number(key, schema) => {
            let step = Expr::Cast(Cast::new(key.clone(), DataType::Utf8));
            let path = bounded::call("make_array", vec![step]);
            let at = |path| call_json("json_get_path", vec![document.clone(), path], facts);
            return Ok(path.and_then(at));
        }
        GetFieldAccess::ListIndex { key } => key.as_ref().clone(),
        GetFieldAccess::ListRange { .. } => {
            return Err(failure(Error::Standard {
                sqlstate: "42804",
                message: "jsonb subscript does not support slices".to_owned(),
                hint: "Take the elements apart with jsonb_array_elements().".to_owned(),
            }));
        }
    };
    let get = own().into_iter().find(|function| function.name() == "json_get");
    Ok(get.map(|get| get.call(vec![document.clone(), key])))
}

fn is_number(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|found| found.is_integer())
}

fn is_jsonb(expr: &Expr, schema: &DFSchema) -> bool {
    // A cast to text, whose field DataFusion gives what it casts tells of itself.
    if matches!(expr, Expr::Cast(cast) if cast.field.metadata().is_empty()) {
        return false;
    }
    // Values of which one is chosen have one type, which DataFusion does not give to what chooses.
    if let Expr::Case(case) = expr {
        let thens = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
        return thens.chain(case.else_expr.as_deref()).any(|branch| is_jsonb(branch, schema));
    }
    if let Expr::ScalarFunction(call) = expr
        && CHOOSING.contains(&call.name())
    {
        return call.args.iter().any(|value| is_jsonb(value, schema));
    }
    let field = expr.to_field(schema).map(|(_, field)| field);
    field.is_ok_and(|field| field.metadata().get(TYPE_KEY).is_some_and(|name| name == "jsonb"))
}

/// Whether an expression takes the type of what stands beside it: a text in quotes, a null or a parameter.
fn is_open(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, None) => value.is_null() || matches!(value, ScalarValue::Utf8(_)),
        Expr::Placeholder(_) => true,
        _ => false,
    }
}
