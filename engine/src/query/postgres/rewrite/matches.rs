//! Patterns that only PostgreSQL has: `SIMILAR TO`, and the patterns of an array behind `LIKE ANY` and `LIKE ALL`; and the
//! values of an array behind `= ANY` and its kin.

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, DataType, Expr, Ident, LambdaFunction,
    LambdaFunctionParameter, LambdaSyntax, OneOrManyWithParens, UnaryOperator, Value,
};

use super::call;
use super::expressions::{number, take};
use super::made::nested;
use super::relations::cast;
use crate::query::postgres::functions::HAS;

/// What a pattern is called that is one of an array: no text of a statement has such a name.
const PATTERN: &str = "\u{1}pattern";

/// `x SIMILAR TO p` is `x ~` the regular expression that `p` stands for.
pub(super) fn similar(expr: &mut Expr) {
    let Expr::SimilarTo { negated, expr: text, pattern, escape_char } = expr else { return };
    let mut arguments = vec![take(pattern)];
    arguments.extend(escape_char.take().map(Expr::Value));
    let op = match negated {
        true => BinaryOperator::PGRegexNotMatch,
        false => BinaryOperator::PGRegexMatch,
    };
    let right = Box::new(call("similar_to_escape", arguments));
    *expr = Expr::BinaryOp { left: Box::new(take(text)), op, right };
}

/// `substring(text, pattern)`: what the first group of a pattern finds, or all of it if it has none.
pub(super) fn first(text: Expr, pattern: Expr) -> Expr {
    call("array_element", vec![call("regexp_match", vec![text, pattern]), number(1)])
}

/// `x LIKE ANY (patterns)` asks whether any of the patterns matches, `x LIKE ALL (patterns)` whether none does not.
pub(super) fn any_of(expr: &mut Expr) {
    let (left, op, right, is_all) = match expr {
        Expr::AnyOp { left, compare_op, right, .. } => (left, compare_op, right, false),
        Expr::AllOp { left, compare_op, right } => (left, compare_op, right, true),
        _ => return,
    };
    if !is_match(op) || matches!(right.as_ref(), Expr::Subquery(_)) {
        return;
    }
    let mut patterns = take(right);
    if is_placeholder(&patterns) {
        let texts = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None);
        patterns = cast(patterns, DataType::Array(texts));
    }
    let pattern = Ident::with_quote('"', PATTERN);
    let matches = nested(Expr::BinaryOp {
        left: Box::new(nested(take(left))),
        op: op.clone(),
        right: Box::new(Expr::Identifier(pattern.clone())),
    });
    let body = if is_all { not(matches) } else { matches };
    let lambda = Expr::Lambda(LambdaFunction {
        params: OneOrManyWithParens::One(LambdaFunctionParameter {
            name: pattern,
            data_type: None,
        }),
        body: Box::new(body),
        syntax: LambdaSyntax::Arrow,
    });
    let any = call("array_any_match", vec![patterns, lambda]);
    *expr = if is_all { not(any) } else { any };
}

/// `x = ANY (list)` asks whether a list has a value, and `x <> ALL (list)` whether it does not. Any other comparison holds for
/// `ANY` where its opposite does not hold for `ALL`, nulls included.
pub(super) fn among(expr: &mut Expr) {
    use BinaryOperator::{Eq, NotEq};
    *expr = match expr {
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. }
            if matches!(right.as_ref(), Expr::Subquery(_)) =>
        {
            return;
        }
        Expr::AnyOp { left, compare_op: Eq, right, .. } => has(right, left),
        Expr::AllOp { left, compare_op: NotEq, right } => not(has(right, left)),
        Expr::AnyOp { left, compare_op, right, .. } => {
            let Some(compare_op) = opposite(compare_op) else { return };
            let (left, right) = (Box::new(take(left)), Box::new(take(right)));
            not(Expr::AllOp { left, compare_op, right })
        }
        _ => return,
    };
}

fn has(list: &mut Expr, item: &mut Expr) -> Expr {
    call(HAS, vec![take(list), take(item)])
}

/// What holds of two values of which a comparison does not.
fn opposite(op: &BinaryOperator) -> Option<BinaryOperator> {
    Some(match op {
        BinaryOperator::NotEq => BinaryOperator::Eq,
        BinaryOperator::Lt => BinaryOperator::GtEq,
        BinaryOperator::LtEq => BinaryOperator::Gt,
        BinaryOperator::Gt => BinaryOperator::LtEq,
        BinaryOperator::GtEq => BinaryOperator::Lt,
        _ => return None,
    })
}

fn is_match(op: &BinaryOperator) -> bool {
    use BinaryOperator::*;
    matches!(
        op,
        PGLikeMatch
            | PGILikeMatch
            | PGNotLikeMatch
            | PGNotILikeMatch
            | PGRegexMatch
            | PGRegexIMatch
            | PGRegexNotMatch
            | PGRegexNotIMatch
    )
}

fn is_placeholder(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_placeholder(inner),
        Expr::Value(value) => matches!(value.value, Value::Placeholder(_)),
        _ => false,
    }
}

fn not(expr: Expr) -> Expr {
    nested(Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) })
}
