//! Texts where a condition is expected, as in `WHERE ('true')` and `ON ('true')`, which Hasura writes: PostgreSQL reads them as
//! booleans, and DataFusion takes them for texts.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, JoinConstraint, JoinOperator, Select, TableWithJoins,
    UnaryOperator,
};

use super::expressions::{is_text, take};

/// Reads the texts that are conditions of a select.
pub(super) fn of_select(select: &mut Select) {
    select.from.iter_mut().for_each(of_joins);
    select.selection.iter_mut().chain(&mut select.having).for_each(read);
}

/// Reads those that are conditions of joins.
pub(super) fn of_joins(from: &mut TableWithJoins) {
    for join in &mut from.joins {
        if let JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) = &mut join.join_operator
            && let JoinConstraint::On(condition) = constraint
        {
            read(condition);
        }
    }
}

/// Reads those that an expression takes for conditions.
pub(super) fn within(expr: &mut Expr) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
            read(left);
            read(right);
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => read(expr),
        Expr::Case { operand: None, conditions, .. } => {
            conditions.iter_mut().for_each(|when| read(&mut when.condition));
        }
        _ => {}
    }
}

fn read(condition: &mut Expr) {
    if let Expr::Nested(inner) = condition {
        read(inner);
    } else if is_text(condition) {
        *condition = Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(take(condition)),
            data_type: DataType::Boolean,
            array: false,
            format: None,
        };
    }
}
