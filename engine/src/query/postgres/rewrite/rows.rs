//! Rows as values: `(a, b) = (1, 2)` and `(a, b) IN ((1, 2), (3, 4))` as comparisons of what is in them, `ROW(a, b)` as a
//! record.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArguments, GroupByExpr, Select, UnaryOperator, Value, Visit,
    Visitor,
};

use super::made::nested;
use super::{arguments, call, function_name};
use crate::query::postgres::functions::{RECORD, RECORD_FOUND};

/// Parts that values may have, all copies of them counted: comparisons of many rows repeat the values of one.
const COPIED_MAX: usize = 1 << 17;

/// The values of a row that is written out.
pub(super) fn values(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(values) if !values.is_empty() => Some(values.clone()),
        Expr::Nested(inner) => values(inner),
        Expr::Function(function) => {
            let FunctionArguments::List(list) = &function.args else { return None };
            let name = function_name(&function.name);
            let name = name.filter(|name| name == "row" || is_record(name))?;
            let values = arguments(&function.args);
            let plain = !values.is_empty() && values.len() == list.args.len();
            match plain {
                // A record has names before its values.
                true if is_record(&name) => Some(values.into_iter().skip(1).step_by(2).collect()),
                true => Some(values),
                false => None,
            }
        }
        _ => None,
    }
}

/// How many values a row that is written out has.
pub(in crate::query::postgres) fn width(expr: &Expr) -> Option<usize> {
    values(expr).map(|values| values.len())
}

/// Rewrites a comparison of rows; it must come before its parts are visited.
pub(super) fn compare(expr: &mut Expr) {
    let found = match &*expr {
        Expr::BinaryOp { left, op, right } => pair(left, right, op),
        Expr::IsDistinctFrom(left, right) => {
            each(left, right, BinaryOperator::Or, Expr::IsDistinctFrom)
        }
        Expr::IsNotDistinctFrom(left, right) => {
            each(left, right, BinaryOperator::And, Expr::IsNotDistinctFrom)
        }
        Expr::IsNull(row) => tested(row, Expr::IsNull),
        Expr::IsNotNull(row) => tested(row, Expr::IsNotNull),
        Expr::InList { expr, list, negated } if is_copied(expr, list.len()) => {
            let equal = list.iter().map(|item| pair(expr, item, &BinaryOperator::Eq));
            let within = equal.collect::<Option<Vec<Expr>>>();
            let within = within.and_then(|equal| joined(equal, &BinaryOperator::Or));
            within.map(|within| match negated {
                true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(within) },
                false => within,
            })
        }
        _ => None,
    };
    if let Some(found) = found {
        *expr = found;
    }
}

/// The values of two rows of one width.
fn both(left: &Expr, right: &Expr) -> Option<Vec<(Expr, Expr)>> {
    let (left, right) = (values(left)?, values(right)?);
    (left.len() == right.len()).then(|| left.into_iter().zip(right).collect())
}

/// Whether so many copies of a row may be made: few parts, and no rows among them, of which copies would be made in turn.
fn is_copied(row: &Expr, copies: usize) -> bool {
    let mut parts = Parts(0);
    copies < 2
        || values(row).is_none_or(|values| {
            values.visit(&mut parts).is_continue() && parts.0.saturating_mul(copies) <= COPIED_MAX
        })
}

/// Counts the parts of values, up to the first row.
struct Parts(usize);

impl Visitor for Parts {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.0 += match expr {
            Expr::Value(value) => 1 + value.to_string().len() / 64,
            _ => 1,
        };
        match expr {
            Expr::Tuple(_) => ControlFlow::Break(()),
            Expr::Function(_) if width(expr).is_some() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn pair(left: &Expr, right: &Expr, op: &BinaryOperator) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    match op {
        Eq => joined(all(&both(left, right)?, &Eq), &And),
        NotEq => joined(all(&both(left, right)?, &NotEq), &Or),
        Lt | LtEq | Gt | GtEq => {
            let pairs = both(left, right)?;
            let copies = pairs.len().next_power_of_two().ilog2() as usize + 1;
            (is_copied(left, copies) && is_copied(right, copies)).then(|| ordered(&pairs, op))?
        }
        _ => None,
    }
}

/// Each pair with an operator between its sides.
fn all(pairs: &[(Expr, Expr)], op: &BinaryOperator) -> Vec<Expr> {
    let with = |(one, other): &(Expr, Expr)| {
        nested(Expr::BinaryOp {
            left: boxed(one.clone()),
            op: op.clone(),
            right: boxed(other.clone()),
        })
    };
    pairs.iter().map(with).collect()
}

/// What comes first decides, and where it is equal what follows. In halves: a chain of thousands would be as deep.
fn ordered(pairs: &[(Expr, Expr)], op: &BinaryOperator) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Gt, Lt, LtEq, Or};
    if pairs.len() < 2 {
        return all(pairs, op).pop();
    }
    let (first, rest) = pairs.split_at(pairs.len() / 2);
    let strict = if matches!(op, Lt | LtEq) { Lt } else { Gt };
    let tied = two(joined(all(first, &Eq), &And)?, &And, ordered(rest, op)?);
    Some(two(ordered(first, &strict)?, &Or, tied))
}

/// A test of each value against that of the other row.
fn each(
    left: &Expr,
    right: &Expr,
    op: BinaryOperator,
    test: fn(Box<Expr>, Box<Expr>) -> Expr,
) -> Option<Expr> {
    let pairs = both(left, right)?.into_iter();
    joined(pairs.map(|(one, other)| nested(test(boxed(one), boxed(other)))).collect(), &op)
}

/// A test that holds for a row if it does for each of its values.
fn tested(row: &Expr, test: fn(Box<Expr>) -> Expr) -> Option<Expr> {
    let tests = values(row)?.into_iter().map(|value| nested(test(boxed(value)))).collect();
    joined(tests, &BinaryOperator::And)
}

/// Joins conditions in halves: a chain of thousands would be as deep.
fn joined(mut conditions: Vec<Expr>, op: &BinaryOperator) -> Option<Expr> {
    if conditions.len() < 2 {
        return conditions.pop();
    }
    let later = conditions.split_off(conditions.len() / 2);
    Some(two(joined(conditions, op)?, op, joined(later, op)?))
}

fn two(left: Expr, op: &BinaryOperator, right: Expr) -> Expr {
    nested(Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) })
}

fn boxed(expr: Expr) -> Box<Expr> {
    Box::new(nested(expr))
}

/// The record that a row is as a value, which names its fields by their place.
pub(super) fn record(expr: &Expr) -> Option<Expr> {
    let values = match expr {
        Expr::Function(function) if is_record(&function_name(&function.name)?) => None,
        Expr::Nested(_) => None,
        other => values(other),
    }?;
    let fields = values.into_iter().enumerate();
    Some(named_record(fields.map(|(at, value)| (format!("f{}", at + 1), value))))
}

/// Tells whether a function makes a record of names and values.
fn is_record(function: &str) -> bool {
    function == RECORD || function == RECORD_FOUND
}

/// A record of values with names.
pub(super) fn named_record(fields: impl Iterator<Item = (String, Expr)>) -> Expr {
    record_by(RECORD, fields)
}

/// A record of the values of a relation, of which there may be no row.
pub(super) fn record_found(fields: impl Iterator<Item = (String, Expr)>) -> Expr {
    record_by(RECORD_FOUND, fields)
}

fn record_by(function: &str, fields: impl Iterator<Item = (String, Expr)>) -> Expr {
    let text = |name: String| Expr::Value(Value::SingleQuotedString(name).into());
    call(function, fields.flat_map(|(name, value)| [text(name), value]).collect())
}

/// `GROUP BY (a, b)` is `GROUP BY a, b`.
pub(super) fn flatten(select: &mut Select) {
    if let GroupByExpr::Expressions(by, _) = &mut select.group_by
        && by.iter().any(|expr| matches!(expr, Expr::Tuple(_)))
    {
        let flat = std::mem::take(by).into_iter().flat_map(|expr| match expr {
            Expr::Tuple(values) => values,
            other => vec![other],
        });
        *by = flat.collect();
    }
}
