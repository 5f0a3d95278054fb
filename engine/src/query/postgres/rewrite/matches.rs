//! Patterns that only PostgreSQL has: `SIMILAR TO`, and the patterns of an array behind `LIKE ANY` and `LIKE ALL`.

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, DataType, Expr, Ident, LambdaFunction,
    LambdaFunctionParameter, LambdaSyntax, OneOrManyWithParens, UnaryOperator, Value,
};

use super::call;
use super::expressions::take;
use super::relations::cast;

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

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}
