//! Where in a statement something stands.
//!
//! What stands there more than once is nowhere: no place is better than a wrong one.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query,
    SetExpr, Spanned, Statement, Value, ValueWithSpan, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Span as TextSpan;

use super::calls::last_name;
use super::queries::column;
use super::{About, behind};

/// Returns where a statement holds what something is about.
pub(super) fn find(statement: &Statement, about: &About) -> Option<TextSpan> {
    match about {
        About::Text(text) => only(texts(statement, text)),
        About::Operator { operator, left, right } => {
            let all = operators(statement, operator);
            let fits = |side: &Expr, name: &Option<String>| {
                name.as_ref().is_none_or(|name| name_of(side).as_ref() == Some(name))
            };
            let found = all.into_iter().filter(|(l, r)| fits(l, left) && fits(r, right));
            only(found.map(|(left, _)| behind(left.span())).collect())
        }
        About::Argument { function, index } => only(
            calls(statement, function)
                .into_iter()
                .filter_map(|(_, arguments)| arguments.get(*index).map(Spanned::span))
                .collect(),
        ),
        About::UnionColumn(index) => only(unions(statement, *index)),
        About::Cast => only(casts(statement)),
        About::Nothing => None,
    }
}

/// Returns where a function is called; the first place, since they are planned in order.
pub(super) fn call(statement: &Statement, name: &str) -> Option<TextSpan> {
    calls(statement, name).into_iter().map(|(span, _)| span).next()
}

fn only(mut found: Vec<TextSpan>) -> Option<TextSpan> {
    let first = found.pop()?;
    found.is_empty().then_some(first)
}

/// What a visit over all expressions finds.
pub(super) fn expressions<T>(part: &impl Visit, say: impl Fn(&Expr) -> Option<T>) -> Vec<T> {
    let mut found = Vec::new();
    // It never breaks off.
    let _ = datafusion::sql::sqlparser::ast::visit_expressions(part, |expr| {
        found.extend(say(expr));
        ControlFlow::<()>::Continue(())
    });
    found
}

fn texts(statement: &Statement, wanted: &str) -> Vec<TextSpan> {
    struct Texts<'a>(&'a str, Vec<TextSpan>);
    impl Visitor for Texts<'_> {
        type Break = ();

        fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
            match &value.value {
                Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text)
                    if text.trim() == self.0.trim() =>
                {
                    self.1.push(value.span);
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut found = Texts(wanted, Vec::new());
    let _ = statement.visit(&mut found);
    found.1
}

fn operators(statement: &Statement, wanted: &str) -> Vec<(Expr, Expr)> {
    let same = |op: &BinaryOperator| op.to_string() == wanted;
    expressions(statement, |expr| match expr {
        Expr::BinaryOp { left, op, right } if same(op) => {
            Some((left.as_ref().clone(), right.as_ref().clone()))
        }
        _ => None,
    })
}

/// The last name of a column.
pub(super) fn name_of(expr: &Expr) -> Option<String> {
    let ident = match expr {
        Expr::Identifier(ident) => ident,
        Expr::CompoundIdentifier(parts) => parts.last()?,
        Expr::Nested(inner) => return name_of(inner),
        _ => return None,
    };
    Some(crate::query::postgres::rewrite::normal(ident))
}

fn calls(statement: &Statement, wanted: &str) -> Vec<(TextSpan, Vec<Expr>)> {
    expressions(statement, |expr| match expr {
        Expr::Function(function) if last_name(&function.name) == wanted => {
            let FunctionArguments::List(list) = &function.args else {
                return Some((function.name.span(), Vec::new()));
            };
            let arguments = list.args.iter().filter_map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            });
            Some((function.name.span(), arguments.collect()))
        }
        _ => None,
    })
}

fn unions(statement: &Statement, index: usize) -> Vec<TextSpan> {
    struct Unions(usize, Vec<TextSpan>);
    impl Visitor for Unions {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if let SetExpr::SetOperation { right, .. } = query.body.as_ref() {
                self.1.push(column(right, self.0));
            }
            ControlFlow::Continue(())
        }
    }
    let mut found = Unions(index, Vec::new());
    let _ = statement.visit(&mut found);
    found.1
}

fn casts(statement: &Statement) -> Vec<TextSpan> {
    expressions(statement, |expr| match expr {
        Expr::Cast { expr, kind: CastKind::DoubleColon, .. } => Some(behind(expr.span())),
        Expr::Cast { expr, .. } => Some(expr.span()),
        _ => None,
    })
}
