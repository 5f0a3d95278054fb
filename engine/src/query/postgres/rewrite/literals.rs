//! Integer literals as PostgreSQL types them: one that fits is an `integer`, not a `bigint`.
//!
//! DataFusion takes each for a bigint. [`narrow`] puts a cast around it, wherever it is a value; positions in ORDER BY and
//! GROUP BY, limits, bounds of window frames and arguments of functions in FROM stay as they are written.

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Distinct, Expr, Function, FunctionArg, FunctionArgExpr, GroupByExpr,
    LimitClause, OrderByKind, Query, Select, TableFactor, UnaryOperator, Value, WindowFrameBound,
    WindowType,
};

use super::expressions::take;

/// Makes an integer of a literal that fits one, and of the negative of such a literal.
pub(super) fn narrow(expr: &mut Expr) {
    if let Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } = expr {
        widen(inner);
    }
    if is_integer(expr) {
        *expr = Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(take(expr)),
            data_type: DataType::Int4(None),
            array: false,
            format: None,
        };
    }
}

/// Takes back what [`narrow`] did to an expression.
fn widen(expr: &mut Expr) {
    if let Expr::Cast { kind: CastKind::Cast, expr: inner, data_type: DataType::Int4(None), .. } =
        expr
        && is_integer(inner)
    {
        *expr = take(inner);
    }
}

fn is_integer(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => {
            matches!(&value.value, Value::Number(digits, _) if digits.parse::<i32>().is_ok())
        }
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
            matches!(&**inner, Expr::Value(_)) && is_integer(inner)
        }
        _ => false,
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
        by.iter_mut().for_each(widen);
    }
    if let Some(Distinct::On(on)) = &mut select.distinct {
        on.iter_mut().for_each(widen);
    }
}

/// Bounds of a window's frame.
pub(super) fn widen_frame(function: &mut Function) {
    let Some(WindowType::WindowSpec(window)) = &mut function.over else { return };
    let Some(frame) = &mut window.window_frame else { return };
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
