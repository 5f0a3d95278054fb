//! `(start, end) OVERLAPS (start, end)`, where an end may be written as how long it lasts.

use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType, Expr};

use super::{call, rows};
use crate::query::postgres::functions::OVERLAPS;

/// Makes a call of the operator; it must come before rows are looked at.
pub(super) fn replace(expr: &mut Expr) {
    let Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } = &*expr else { return };
    let (Some(mut one), Some(other)) = (ends(left), ends(right)) else { return };
    one.extend(other);
    *expr = call(OVERLAPS, one);
}

/// The two ends of a span of time.
fn ends(row: &Expr) -> Option<Vec<Expr>> {
    let mut ends = rows::values(row).filter(|values| values.len() == 2)?;
    let end = ends.pop()?;
    let start = ends.first()?.clone();
    ends.push(match is_length(&end) {
        true => Expr::Nested(Box::new(Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(start))),
            op: BinaryOperator::Plus,
            right: Box::new(end),
        })),
        false => end,
    });
    Some(ends)
}

fn is_length(end: &Expr) -> bool {
    match end {
        Expr::Interval(_) => true,
        Expr::Nested(inner) => is_length(inner),
        Expr::Cast { data_type: DataType::Interval { .. }, .. } => true,
        Expr::TypedString(typed) => matches!(typed.data_type, DataType::Interval { .. }),
        _ => false,
    }
}
