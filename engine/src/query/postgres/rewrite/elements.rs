//! Subqueries over the elements of an array of the row around, as in `EXISTS (SELECT 1 FROM unnest(tags) t WHERE t LIKE 'a%')`:
//! they need no rows. What is looked for among the elements is a function over the array, and so is what leaves some of them
//! out.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, LambdaFunction,
    LambdaFunctionParameter, LambdaSyntax, OneOrManyWithParens, Query, Select, SelectItem, SetExpr,
    TableFactor, UnaryOperator, Value, visit_expressions,
};

use super::expressions::{number, take};
use super::made::{nested, plain};
use super::{call, function_name, normal, parts};
use crate::query::postgres::functions::HAS;

/// The elements of an array of which a condition is true.
struct Elements {
    array: Expr,
    /// What an element is called.
    name: Ident,
    condition: Option<Expr>,
}

/// `EXISTS (SELECT ... FROM unnest(a) x WHERE ...)` asks whether the condition is true of any element.
pub(super) fn exists(expr: &mut Expr) {
    let Expr::Exists { subquery, negated } = expr else { return };
    let Some(select) = plain(subquery) else { return };
    let is_value = |item: &SelectItem| match item {
        SelectItem::Wildcard(_) => true,
        SelectItem::UnnamedExpr(expr) => matches!(expr, Expr::Value(_) | Expr::Identifier(_)),
        _ => false,
    };
    if !select.projection.iter().all(is_value) {
        return;
    }
    let Some(Elements { array, name, condition }) = elements(select) else { return };
    let any = match condition {
        None => {
            let (left, right) = (Box::new(call("cardinality", vec![array])), Box::new(number(0)));
            nested(Expr::BinaryOp { left, op: BinaryOperator::Gt, right })
        }
        Some(condition) => match equal_to(&condition, &name) {
            Some(value) => call(HAS, vec![array, value]),
            None => call("array_any_match", vec![array, lambda(&name, condition)]),
        },
    };
    *expr = negated_if(*negated, or_false(any));
}

/// `v IN (SELECT x FROM unnest(a) x)` and `v IN (SELECT unnest(a))` ask whether the value is an element.
pub(super) fn among(expr: &mut Expr) {
    let Expr::InSubquery { expr: value, subquery, negated } = expr else { return };
    if matches!(value.as_ref(), Expr::Tuple(_)) {
        return;
    }
    let Some(select) = plain(subquery) else { return };
    let [SelectItem::UnnamedExpr(shown)] = select.projection.as_slice() else { return };
    let found = match shown {
        Expr::Identifier(shown) => {
            elements(select).filter(|found| normal(&found.name) == normal(shown))
        }
        Expr::Function(function) if select.from.is_empty() && select.selection.is_none() => {
            let is_unnest = function_name(&function.name).as_deref() == Some("unnest");
            let array = match &function.args {
                FunctionArguments::List(list) if is_unnest => single(&list.args),
                _ => None,
            };
            let name = Ident::new("element");
            array.map(|array| Elements { array, name, condition: None })
        }
        _ => None,
    };
    let Some(found) = found else { return };
    // Nothing is among the elements of null.
    let array = call("array_or_empty", vec![found.kept()]);
    let value = nested(take(value));
    *expr = negated_if(*negated, call(HAS, vec![array, value]));
}

/// Leaves out the elements of which the condition of a subquery is not true before there are rows of them, where it asks for
/// nothing but the element.
pub(super) fn filter(query: &mut Query) {
    let Some(found) = plain(query).and_then(elements) else { return };
    let Elements { name, condition: Some(condition), .. } = &found else { return };
    let asks_more: ControlFlow<()> = visit_expressions(condition, |part| {
        let is_known = match part {
            Expr::Identifier(ident) => normal(ident) == normal(name),
            Expr::CompoundIdentifier(_) => false,
            Expr::Value(value) => !matches!(value.value, Value::Placeholder(_)),
            _ => true,
        };
        if is_known { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    if asks_more.is_break() {
        return;
    }
    let kept = found.kept();
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let Some(array) = select.from.first_mut().and_then(|from| array_of(&mut from.relation)) else {
        return;
    };
    *array = kept;
    select.selection = None;
}

impl Elements {
    /// The array without the elements of which the condition is not true.
    fn kept(self) -> Expr {
        let Elements { array, name, condition } = self;
        match condition {
            Some(condition) => call("array_filter", vec![array, lambda(&name, condition)]),
            None => array,
        }
    }
}

/// The elements of a column of the row around that a select is over, if it is over nothing else.
fn elements(select: &Select) -> Option<Elements> {
    let [from] = select.from.as_slice() else { return None };
    let mut relation = from.relation.clone();
    let array = array_of(&mut relation).cloned().filter(is_column)?;
    let alias = match &from.relation {
        TableFactor::UNNEST { alias, .. } | TableFactor::Table { alias, .. } => alias.as_ref()?,
        _ => return None,
    };
    let name = match alias.columns.as_slice() {
        [] => alias.name.clone(),
        [column] => column.name.clone(),
        _ => return None,
    };
    let condition = select.selection.clone();
    let is_simple = condition.as_ref().is_none_or(|condition| is_simple(condition, &alias.name));
    (from.joins.is_empty() && is_simple).then_some(Elements { array, name, condition })
}

/// The array that a relation is made of, if it is made of one.
fn array_of(relation: &mut TableFactor) -> Option<&mut Expr> {
    match relation {
        TableFactor::UNNEST { array_exprs, with_offset: false, with_ordinality: false, .. } => {
            match array_exprs.as_mut_slice() {
                [array] => Some(array),
                _ => None,
            }
        }
        TableFactor::Table { name, args: Some(args), with_ordinality: false, .. }
            if parts(name).last().is_some_and(|name| name == "unnest") =>
        {
            match args.args.as_mut_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] => Some(array),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The one argument of a call, if it is a column.
fn single(args: &[FunctionArg]) -> Option<Expr> {
    match args {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] => {
            Some(array.clone()).filter(is_column)
        }
        _ => None,
    }
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

/// Tells whether a condition can stand in a function over the elements: it reads no rows, and names elements without their
/// relation.
fn is_simple(condition: &Expr, relation: &Ident) -> bool {
    let found: ControlFlow<()> = visit_expressions(condition, |part| {
        let is_simple = match part {
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => false,
            Expr::Function(function) => function.over.is_none(),
            Expr::CompoundIdentifier(idents) => {
                idents.first().is_none_or(|first| normal(first) != normal(relation))
            }
            _ => true,
        };
        if is_simple { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    found.is_continue()
}

/// What an element is equal to, if that is all that a condition asks.
fn equal_to(condition: &Expr, name: &Ident) -> Option<Expr> {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { return None };
    let is_element =
        |side: &Expr| matches!(side, Expr::Identifier(ident) if normal(ident) == normal(name));
    let value: &Expr = match (is_element(left), is_element(right)) {
        (true, false) => right,
        (false, true) => left,
        _ => return None,
    };
    let names_element: ControlFlow<()> = visit_expressions(value, |part| {
        if is_element(part) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    names_element.is_continue().then(|| value.clone())
}

fn lambda(name: &Ident, body: Expr) -> Expr {
    Expr::Lambda(LambdaFunction {
        params: OneOrManyWithParens::One(LambdaFunctionParameter {
            name: name.clone(),
            data_type: None,
        }),
        body: Box::new(body),
        syntax: LambdaSyntax::Arrow,
    })
}

/// What is null is not true.
fn or_false(condition: Expr) -> Expr {
    call("coalesce", vec![condition, Expr::Value(Value::Boolean(false).into())])
}

fn negated_if(negated: bool, condition: Expr) -> Expr {
    match negated {
        true => nested(Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(nested(condition)) }),
        false => condition,
    }
}
