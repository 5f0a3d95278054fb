//! `IS [NOT] DISTINCT FROM`, of which the parser takes all that stands behind for the right side: `a IS DISTINCT FROM b OR c`
//! is `(a IS DISTINCT FROM b) OR c`.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

use super::expressions::take;
use super::made::binary;

/// Ties `AND` and `OR` behind such a comparison as PostgreSQL does: `AND` first, and both from left to right.
pub(super) fn tie(expr: &mut Expr) {
    if !has_swallowed(expr) {
        return;
    }
    let (mut operands, mut operators) = (Vec::new(), Vec::new());
    flatten(take(expr), &mut operands, &mut operators);
    let mut operands = operands.into_iter();
    let Some(mut all_of) = operands.next() else { return };
    let mut any_of: Option<Expr> = None;
    for (operator, operand) in operators.into_iter().zip(operands) {
        match operator {
            BinaryOperator::And => all_of = binary(all_of, BinaryOperator::And, operand),
            or => {
                let before = std::mem::replace(&mut all_of, operand);
                any_of = Some(either(any_of, or, before));
            }
        }
    }
    *expr = either(any_of, BinaryOperator::Or, all_of);
}

/// Tells whether the last of the parts of `expr` is such a comparison whose right side has parts.
fn has_swallowed(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryOp { op, right, .. } if is_tie(op) => has_swallowed(right),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => has_swallowed(expr),
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => {
            matches!(right.as_ref(), Expr::BinaryOp { op, .. } if is_tie(op))
                || has_swallowed(right)
        }
        _ => false,
    }
}

fn is_tie(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::And | BinaryOperator::Or)
}

/// Appends the parts of `expr` and what stands between them, as they are written.
fn flatten(expr: Expr, operands: &mut Vec<Expr>, operators: &mut Vec<BinaryOperator>) {
    let first = operands.len();
    match expr {
        Expr::BinaryOp { left, op, right } if is_tie(&op) => {
            flatten(*left, operands, operators);
            operators.push(op);
            flatten(*right, operands, operators);
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } if has_swallowed(&expr) => {
            flatten(*expr, operands, operators);
            let negated = Box::new(take(&mut operands[first]));
            operands[first] = Expr::UnaryOp { op: UnaryOperator::Not, expr: negated };
        }
        Expr::IsDistinctFrom(left, right) => {
            flatten(*right, operands, operators);
            let right = Box::new(take(&mut operands[first]));
            operands[first] = Expr::IsDistinctFrom(left, right);
        }
        Expr::IsNotDistinctFrom(left, right) => {
            flatten(*right, operands, operators);
            let right = Box::new(take(&mut operands[first]));
            operands[first] = Expr::IsNotDistinctFrom(left, right);
        }
        part => operands.push(part),
    }
}

fn either(before: Option<Expr>, op: BinaryOperator, last: Expr) -> Expr {
    match before {
        Some(before) => binary(before, op, last),
        None => last,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn what_stands_behind_is_no_part_of_the_right_side() {
        for (written, meant) in [
            ("a IS DISTINCT FROM b", "a IS DISTINCT FROM b"),
            ("a IS DISTINCT FROM b OR c", "(a IS DISTINCT FROM b) OR c"),
            ("a IS DISTINCT FROM b AND c OR d", "((a IS DISTINCT FROM b) AND c) OR d"),
            ("a OR b IS DISTINCT FROM c AND d", "a OR ((b IS DISTINCT FROM c) AND d)"),
            (
                "a IS DISTINCT FROM b AND c IS NOT DISTINCT FROM d OR e",
                "((a IS DISTINCT FROM b) AND (c IS NOT DISTINCT FROM d)) OR e",
            ),
            ("NOT a IS DISTINCT FROM b AND c", "(NOT (a IS DISTINCT FROM b)) AND c"),
            ("a IS DISTINCT FROM (b OR c)", "a IS DISTINCT FROM (b OR c)"),
        ] {
            let read = |text: &str| {
                let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).unwrap();
                parser.parse_expr().unwrap()
            };
            let mut tied = read(written);
            tie(&mut tied);
            assert_eq!(bare(tied), bare(read(meant)), "{written}");
        }
    }

    /// Takes the parentheses away with which the tests show what is meant.
    fn bare(expr: Expr) -> String {
        fn shown(expr: &Expr) -> String {
            match expr {
                Expr::Nested(inner) => shown(inner),
                Expr::BinaryOp { left, op, right } => {
                    format!("({} {op} {})", shown(left), shown(right))
                }
                Expr::UnaryOp { op, expr } => format!("({op} {})", shown(expr)),
                Expr::IsDistinctFrom(left, right) => {
                    format!("({} <> {})", shown(left), shown(right))
                }
                Expr::IsNotDistinctFrom(left, right) => {
                    format!("({} = {})", shown(left), shown(right))
                }
                other => other.to_string(),
            }
        }
        shown(&expr)
    }
}
