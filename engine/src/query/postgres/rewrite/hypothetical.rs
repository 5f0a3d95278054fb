//! `rank(x) WITHIN GROUP (ORDER BY y)` and its kin: which place a row that is not there would have among those that are.
//!
//! It is a count of the rows before it, which is what is made of the call: `count(*) FILTER (WHERE y < x) + 1`.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, DuplicateTreatment, Expr, Function, FunctionArguments, OrderByExpr,
};

use super::expressions::{count_of_rows, number};
use super::relations::cast;
use super::{arguments, call, function_name, null};

/// Replaces such a call; others, and those that [`super::super::diagnosis`] refuses, stay as they are.
pub(super) fn replace(expr: &mut Expr) {
    let Expr::Function(function) = &*expr else { return };
    if function.within_group.is_empty() || function.over.is_some() {
        return;
    }
    let given = arguments(&function.args);
    let (Some(name), true) =
        (function_name(&function.name), given.len() == function.within_group.len())
    else {
        return;
    };
    let filter = function.filter.as_deref();
    let keys: Vec<(&OrderByExpr, &Expr)> = function.within_group.iter().zip(&given).collect();
    let before = || counted(Some(stands_before(&keys, false)), filter);
    *expr = nested(match name.as_str() {
        "rank" => binary(before(), BinaryOperator::Plus, number(1)),
        "dense_rank" => match dense(&keys, filter) {
            Some(ranks) => binary(ranks, BinaryOperator::Plus, number(1)),
            None => return,
        },
        "percent_rank" => {
            let all = call("nullif", vec![counted(None, filter), number(0)]);
            let share = binary(double(before()), BinaryOperator::Divide, double(all));
            call("coalesce", vec![share, double(number(0))])
        }
        "cume_dist" => {
            let not_behind = counted(Some(stands_before(&keys, true)), filter);
            let one_more = |count: Expr| double(binary(count, BinaryOperator::Plus, number(1)));
            binary(one_more(not_behind), BinaryOperator::Divide, one_more(counted(None, filter)))
        }
        _ => return,
    });
}

/// How many different values stand before one; `None` where they are rows of several.
fn dense(keys: &[(&OrderByExpr, &Expr)], filter: Option<&Expr>) -> Option<Expr> {
    let [(key, _)] = keys else { return None };
    let mut values = call("count", vec![key.expr.clone()]);
    if let Expr::Function(Function { args: FunctionArguments::List(list), filter: of, .. }) =
        &mut values
    {
        list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
        *of = Some(Box::new(both(stands_before(keys, false), filter)));
    }
    // Nulls are one value, too, which is not counted with the others.
    let is_null = Expr::IsNull(Box::new(nested(key.expr.clone())));
    let nulls =
        counted(Some(binary(stands_before(keys, false), BinaryOperator::And, is_null)), filter);
    let one_at_most = call("least", vec![nulls, number(1)]);
    Some(binary(values, BinaryOperator::Plus, one_at_most))
}

/// Tells of a row whether it stands before the one that is not there, or also whether it is like that.
fn stands_before(keys: &[(&OrderByExpr, &Expr)], or_alike: bool) -> Expr {
    use BinaryOperator::{And, Gt, Lt, Or};
    let mut found: Option<Expr> = None;
    for (key, given) in keys.iter().rev() {
        let (value, given) = (nested(key.expr.clone()), nested((*given).clone()));
        let is_ascending = key.options.asc.unwrap_or(true);
        let nulls_first = key.options.nulls_first.unwrap_or(!is_ascending);
        let (first, second) = match nulls_first {
            true => (value.clone(), given.clone()),
            false => (given.clone(), value.clone()),
        };
        let (is_null, is_not_null) =
            (Expr::IsNull(Box::new(first)), Expr::IsNotNull(Box::new(second)));
        let null_before = binary(is_null, And, is_not_null);
        let op = if is_ascending { Lt } else { Gt };
        let before = binary(null_before, Or, binary(value.clone(), op, given.clone()));
        let alike = Expr::IsNotDistinctFrom(Box::new(value), Box::new(given));
        found = Some(match found {
            Some(rest) => binary(before, Or, binary(nested(alike), And, rest)),
            None if or_alike => binary(before, Or, nested(alike)),
            None => before,
        });
    }
    found.unwrap_or_else(null)
}

/// How many rows there are of which a condition is true, and the filter of the call.
fn counted(condition: Option<Expr>, filter: Option<&Expr>) -> Expr {
    let mut count = count_of_rows();
    if let Expr::Function(function) = &mut count {
        let condition = match condition {
            Some(condition) => Some(both(condition, filter)),
            None => filter.cloned(),
        };
        function.filter = condition.map(Box::new);
    }
    count
}

fn both(condition: Expr, filter: Option<&Expr>) -> Expr {
    match filter {
        Some(filter) => binary(nested(filter.clone()), BinaryOperator::And, condition),
        None => condition,
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    nested(Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) })
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn double(number: Expr) -> Expr {
    cast(number, DataType::DoublePrecision)
}
