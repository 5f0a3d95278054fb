//! Literals that are arrays of objects, such as `'{int4,text}'::regtype[]`: each of their names is looked up on its own.

use datafusion::sql::sqlparser::ast::{Array, Expr, Value};

use super::expressions::{element_type, reg_type};
use super::{arrays, call};

/// Looks the names up; arrays of numbers are left as they are.
pub(super) fn replace(expr: &mut Expr) {
    if let Expr::Nested(inner) = expr {
        return replace(inner);
    }
    let Expr::Cast { expr: inner, data_type, .. } = &*expr else { return };
    let Some(object) = element_type(data_type).and_then(reg_type) else { return };
    let Expr::Value(value) = inner.as_ref() else { return };
    let Value::SingleQuotedString(text) = &value.value else { return };
    let Some(names) = arrays::elements(text) else { return };
    let is_name =
        |name: &Option<String>| name.as_ref().is_some_and(|name| name.parse::<i64>().is_err());
    if names.is_empty() || !names.iter().all(is_name) {
        return;
    }
    let looked_up = |name| call(object, vec![Expr::Value(Value::SingleQuotedString(name).into())]);
    let elem = names.into_iter().flatten().map(looked_up).collect();
    *expr = Expr::Array(Array { elem, named: true });
}
