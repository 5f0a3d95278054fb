//! Whole numbers as PostgreSQL types them: one that fits an `integer` is one, one that fits no `bigint` is a `numeric`.
//!
//! DataFusion takes each for a bigint, or for a number without a sign. [`narrow`] puts a cast around it, wherever it is a
//! value; positions in ORDER BY and GROUP BY, limits, bounds of window frames and arguments of functions in FROM stay as
//! they are written. [`super::super::settled`] makes literals of these casts. A number that no decimal holds is a float.

use datafusion::arrow::datatypes::DECIMAL256_MAX_PRECISION;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Distinct, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    GroupByExpr, LimitClause, OrderByKind, Query, Select, TableFactor, UnaryOperator, Value,
    WindowFrame, WindowFrameBound, WindowType,
};

use super::expressions::take;

/// Digits of the largest number without a sign.
const UNSIGNED_DIGITS: u64 = 20;

/// Digits of the least integer, which fit none without their sign.
const LEAST_DIGITS: &str = "2147483648";

/// The type of most numbers.
pub(super) const INTEGER: DataType = DataType::Int4(None);

/// Gives a whole number, or the negative of one, its type.
pub(super) fn narrow(expr: &mut Expr) {
    match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner }
        | Expr::Cast { expr: inner, .. } => {
            widen(inner);
        }
        Expr::Interval(interval) => widen(&mut interval.value),
        _ => {}
    }
    if let Expr::Value(value) = &mut *expr
        && let Value::Number(digits, _) = &value.value
        && !is_decimal(digits)
    {
        value.value = Value::SingleQuotedString(digits.replace('_', ""));
        *expr = Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(take(expr)),
            data_type: DataType::DoublePrecision,
            array: false,
            format: None,
        };
        return;
    }
    if let Some(data_type) = type_of(expr) {
        *expr = Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(take(expr)),
            data_type,
            array: false,
            format: None,
        };
    }
}

/// Tells whether a decimal holds a number. One that is larger or smaller than all of them, such as `1e300`, is a float.
fn is_decimal(number: &str) -> bool {
    let Some((digits, exponent)) = number.split_once(['e', 'E']) else { return true };
    let Ok(exponent) = exponent.parse::<i64>() else { return true };
    let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i64);
    let scale = fraction.saturating_sub(exponent);
    (i64::from(i8::MIN)..=i64::from(DECIMAL256_MAX_PRECISION)).contains(&scale)
}

/// Tells whether an expression is a number that fits an integer, before or after [`narrow`].
pub(super) fn is_integer(expr: &Expr) -> bool {
    let mut expr = expr.clone();
    widen(&mut expr);
    type_of(&expr) == Some(INTEGER)
}

/// Takes back what [`narrow`] did to an expression.
fn widen(expr: &mut Expr) {
    if let Expr::Cast { kind: CastKind::Cast, expr: inner, data_type, .. } = expr
        && type_of(inner).as_ref() == Some(&*data_type)
    {
        *expr = take(inner);
    }
}

/// The type of a literal that DataFusion would give another.
fn type_of(expr: &Expr) -> Option<DataType> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.parse::<i32>().is_ok() => Some(INTEGER),
            Value::Number(digits, _)
                if digits.parse::<i64>().is_err() && digits.parse::<u64>().is_ok() =>
            {
                Some(DataType::Numeric(ExactNumberInfo::PrecisionAndScale(UNSIGNED_DIGITS, 0)))
            }
            _ => None,
        },
        // The negative of a number that fits only as one keeps its type.
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => match inner.as_ref() {
            Expr::Value(value) if matches!(&value.value, Value::Number(digits, _) if digits == LEAST_DIGITS) => {
                Some(INTEGER)
            }
            Expr::Value(_) => type_of(inner).filter(|found| *found == INTEGER),
            _ => None,
        },
        _ => None,
    }
}

/// Positions and limits of a query.
pub(super) fn widen_query(query: &mut Query) {
    if let Some(order) = &mut query.order_by
        && let OrderByKind::Expressions(order) = &mut order.kind
    {
        order.iter_mut().for_each(|by| widen(&mut by.expr));
    }
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => {
            limit.iter_mut().for_each(widen);
            offset.iter_mut().for_each(|offset| widen(&mut offset.value));
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
            widen(offset);
            widen(limit);
        }
        None => {}
    }
    if let Some(quantity) = query.fetch.as_mut().and_then(|fetch| fetch.quantity.as_mut()) {
        widen(quantity);
    }
}

/// Positions of a select.
pub(super) fn widen_select(select: &mut Select) {
    if let GroupByExpr::Expressions(by, _) = &mut select.group_by {
        for expr in by {
            match expr {
                Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => {
                    sets.iter_mut().flatten().for_each(widen);
                }
                one => widen(one),
            }
        }
    }
    if let Some(Distinct::On(on)) = &mut select.distinct {
        on.iter_mut().for_each(widen);
    }
}

/// Bounds of a window's frame.
pub(super) fn widen_frame(function: &mut Function) {
    if let Some(WindowType::WindowSpec(window)) = &mut function.over {
        window.window_frame.iter_mut().for_each(widen_bounds);
    }
}

fn widen_bounds(frame: &mut WindowFrame) {
    for bound in std::iter::once(&mut frame.start_bound).chain(&mut frame.end_bound) {
        if let WindowFrameBound::Preceding(Some(rows)) | WindowFrameBound::Following(Some(rows)) =
            bound
        {
            widen(rows);
        }
    }
}

/// Arguments of a function in FROM.
pub(super) fn widen_table(factor: &mut TableFactor) {
    let args = match factor {
        TableFactor::Table { args: Some(args), .. } => &mut args.args,
        TableFactor::Function { args, .. } => args,
        _ => return,
    };
    for arg in args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
            widen(expr);
        }
    }
}
