//! Rows of `VALUES`: literals have the type that another row of their column is cast to, and where there are subqueries each
//! row becomes a select, since constant rows hold none.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Ident, Query, SelectItem, SetExpr, SetOperator, SetQuantifier, UnaryOperator,
    Value, VisitMut, VisitorMut,
};

use super::expressions;

/// Gives literals the type of their column, and turns lists of rows with subqueries into selects.
pub(super) fn unfold(body: &mut SetExpr) {
    match body {
        SetExpr::SetOperation { left, right, .. } => {
            unfold(left);
            unfold(right);
        }
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.content.len());
            for column in 0..width {
                let cells = values.rows.iter_mut().filter_map(|row| row.content.get_mut(column));
                cast_alike(cells.collect());
            }
            // Rows of different lengths are refused where they are planned.
            if values.rows.iter().any(|row| row.content.len() != width)
                || !values.rows.iter_mut().any(|row| has_subquery(&mut row.content))
            {
                return;
            }
            let rows = values.rows.iter().map(|row| select(&row.content)).collect();
            if let Some(all) = union(rows) {
                *body = all;
            }
        }
        _ => {}
    }
}

/// Casts texts without a type and nulls, and numbers beside floats, to the type that the first cast of a column names.
fn cast_alike(cells: Vec<&mut Expr>) {
    let cast = cells.iter().find_map(|cell| match &**cell {
        // A length is that of its own value.
        cast @ Expr::Cast { data_type, .. } if !data_type.to_string().contains('(') => {
            Some(cast.clone())
        }
        _ => None,
    });
    let Some(cast) = cast else { return };
    // Beside floats decimals are floats.
    let float = matches!(&cast, Expr::Cast { data_type, .. } if is_float(data_type));
    for cell in cells {
        let taken = match without_sign(cell) {
            Expr::Value(value) => match value.value {
                Value::SingleQuotedString(_) | Value::Null => matches!(cell, Expr::Value(_)),
                Value::Number(..) => float,
                _ => false,
            },
            _ => false,
        };
        if taken {
            let literal = expressions::take(cell);
            *cell = cast.clone();
            if let Expr::Cast { expr, .. } = cell {
                **expr = literal;
            }
        }
    }
}

/// What stands behind a sign.
fn without_sign(expr: &Expr) -> &Expr {
    match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => expr,
        other => other,
    }
}

fn is_float(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::DoublePrecision
            | DataType::Double(_)
            | DataType::Float8
            | DataType::Float4
            | DataType::Float(_)
            | DataType::Real
    )
}

fn has_subquery(row: &mut Vec<Expr>) -> bool {
    row.visit(&mut Find).is_break()
}

struct Find;

impl VisitorMut for Find {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

/// Selects one row, its columns named as those of `VALUES`.
fn select(row: &[Expr]) -> SetExpr {
    let item = |(number, expr): (usize, &Expr)| SelectItem::ExprWithAlias {
        expr: expr.clone(),
        alias: Ident::new(format!("column{number}")),
    };
    *expressions::select((1..).zip(row).map(item).collect()).body
}

/// Puts rows one behind the other, without nesting them deeply.
fn union(mut rows: Vec<SetExpr>) -> Option<SetExpr> {
    if rows.len() < 2 {
        return rows.pop();
    }
    let right = rows.split_off(rows.len() / 2);
    Some(SetExpr::SetOperation {
        op: SetOperator::Union,
        set_quantifier: SetQuantifier::All,
        left: Box::new(union(rows)?),
        right: Box::new(union(right)?),
    })
}
