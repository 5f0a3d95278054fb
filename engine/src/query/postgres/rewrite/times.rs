//! Times that only PostgreSQL writes: `timestamp(0)`, `current_timestamp(0)`, `age(x)`, `make_interval(days => 1)`, and
//! series of times.

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, Value,
};

use super::expressions::{is_text, niladic, number, take};
use super::spelled::placed;
use super::system_columns::is_transaction;
use super::{arguments, call, function_name};
use crate::query::postgres::functions::{MOMENT_SERIES, TIME_ROUNDED, TRANSACTION_AGE};
use crate::query::postgres::input::Span;

/// The parameters of `make_interval`, in order.
const UNITS: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];

/// What stands in the place of an expression; `None` for those that stay.
pub(super) fn replaced(expr: &mut Expr) -> Option<Expr> {
    if let Expr::Function(function) = expr {
        return of_function(function);
    }
    let data_type = match expr {
        Expr::Cast { data_type, .. } => data_type,
        Expr::TypedString(typed) => &mut typed.data_type,
        _ => return None,
    };
    let digits = match leaf(data_type) {
        DataType::Timestamp(digits, _) | DataType::Time(digits, _) => digits.take()?,
        _ => return None,
    };
    Some(call(TIME_ROUNDED, vec![take(expr), number(digits)]))
}

/// The type of the elements of arrays of however many dimensions, or the type itself.
fn leaf(data_type: &mut DataType) -> &mut DataType {
    match data_type {
        DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _)) => leaf(inner),
        other => other,
    }
}

/// What times with fewer digits are made of.
pub(super) fn rounded(expr: &Expr) -> Option<&Expr> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else {
        return None;
    };
    match list.args.first() {
        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(times)))
            if function_name(name).as_deref() == Some(TIME_ROUNDED) =>
        {
            Some(times)
        }
        _ => None,
    }
}

/// The time of the statement as a type.
pub(super) fn now_as(data_type: DataType) -> Expr {
    let (kind, expr) = (CastKind::Cast, Box::new(call("now", vec![])));
    Expr::Cast { kind, expr, data_type, array: false, format: None }
}

fn of_function(function: &mut Function) -> Option<Expr> {
    let name = function_name(&function.name)?;
    match (name.as_str(), arguments(&function.args).as_slice()) {
        ("current_timestamp" | "localtimestamp" | "localtime", [digits]) => {
            Some(call(TIME_ROUNDED, vec![niladic(&name)?, digits.clone()]))
        }
        ("age", [number]) if is_transaction(number) => {
            Some(call(TRANSACTION_AGE, vec![number.clone()]))
        }
        ("age", [since]) => Some(call("age", vec![now_as(DataType::Date), since.clone()])),
        ("generate_series", series) if are_times(series) => {
            function.name = ObjectName::from(vec![Ident::new(MOMENT_SERIES)]);
            None
        }
        ("make_interval", _) => Some(call("make_interval", units(&function.args)?)),
        _ => None,
    }
}

/// The arguments of `make_interval`, by place or by name; those that are not given are nothing.
fn units(given: &FunctionArguments) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = given else { return None };
    let units = placed(&UNITS, &list.args)?;
    Some(units.into_iter().map(|unit| unit.unwrap_or_else(|| number(0))).collect())
}

/// Tells whether the arguments of a series are times: its step is an interval, or a text and its start says so.
pub(super) fn are_times(series: &[Expr]) -> bool {
    fn is_of(expr: &Expr, is_type: fn(&DataType) -> bool) -> bool {
        match expr {
            Expr::Cast { data_type, .. } => is_type(data_type),
            Expr::TypedString(typed) => is_type(&typed.data_type),
            Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_of(inner, is_type),
            _ => false,
        }
    }
    fn is_interval(expr: &Expr) -> bool {
        match expr {
            Expr::Interval(_) => true,
            Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_interval(inner),
            Expr::BinaryOp { left, right, .. } => is_interval(left) || is_interval(right),
            other => is_of(other, |found| matches!(found, DataType::Interval { .. })),
        }
    }
    // Whatever the bounds are, a text that is no number can be nothing else.
    fn is_written_interval(expr: &Expr) -> bool {
        let Expr::Value(value) = expr else { return false };
        let Value::SingleQuotedString(text) = &value.value else { return false };
        text.trim().parse::<f64>().is_err() && Span::parse(text).is_some()
    }
    let [start, _, step] = series else { return false };
    let is_time = |found: &DataType| matches!(found, DataType::Date | DataType::Timestamp(..));
    is_interval(step) || is_written_interval(step) || is_text(step) && is_of(start, is_time)
}
