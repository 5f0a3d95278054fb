//! Windows that DataFusion gives one name: `sum(x) OVER w` and `sum(x::numeric) OVER w`, whose names lack the casts.
//!
//! It refuses a select with two of one name, so all but the first are asked of `coalesce(x)`, which is `x`.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, OrderBy, Select, Value,
    visit_expressions_mut,
};

use super::call;
use super::expressions::take;
use crate::query::syntax::outside;

/// Windows of one name that are told apart at most: each is written one level deeper than the one before. DataFusion refuses others.
const ALIKE_MAX: usize = 32;

/// Gives the windows of a select, and of the order that its rows are in, a name each.
pub(super) fn tell_apart(select: &mut Select, order: Option<&mut OrderBy>) {
    let mut seen = Seen::default();
    // The visitors never break off.
    let _: ControlFlow<()> = outside::change(&mut select.projection, |expr| seen.name(expr));
    if let Some(order) = order {
        let _: ControlFlow<()> = outside::change(order, |expr| seen.name(expr));
    }
}

/// The windows that were seen, as they are written, by what DataFusion calls them.
#[derive(Default)]
struct Seen {
    windows: HashMap<String, Vec<String>>,
}

impl Seen {
    fn name(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = &*expr
            && function.over.is_some()
        {
            let (name, written) = (without_casts(expr), expr.to_string());
            let known = self.windows.entry(name).or_default();
            let place = known.iter().position(|window| *window == written).unwrap_or(known.len());
            if place == ALIKE_MAX {
                return ControlFlow::Continue(());
            }
            if place == known.len() {
                known.push(written);
            }
            if let Expr::Function(function) = expr
                && let Some(value) = first_of(function)
            {
                for _ in 0..place {
                    *value = call("coalesce", vec![take(value)]);
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// An expression as DataFusion names it, as far as casts go.
fn without_casts(expr: &Expr) -> String {
    let mut bare = expr.clone();
    let _: ControlFlow<()> = visit_expressions_mut(&mut bare, |part| {
        match part {
            Expr::Cast { expr, .. } | Expr::Nested(expr) => {
                let inner = take(expr);
                *part = inner;
            }
            Expr::TypedString(typed) => {
                let text = Value::clone(&typed.value);
                *part = Expr::Value(text.into());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    bare.to_string()
}

/// The first value that a window is made of.
fn first_of(function: &mut Function) -> Option<&mut Expr> {
    let FunctionArguments::List(list) = &mut function.args else { return None };
    match list.args.first_mut()? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::{SetExpr, Statement};

    use super::*;
    use crate::query::planner::parse_one;

    /// Returns the select list of a query once its windows are told apart.
    fn told(sql: &str) -> String {
        let Statement::Query(mut query) = parse_one(sql).unwrap() else {
            panic!("no query: {sql}")
        };
        let SetExpr::Select(select) = query.body.as_mut() else { panic!("no select: {sql}") };
        tell_apart(select, query.order_by.as_mut());
        let shown: Vec<String> = select.projection.iter().map(ToString::to_string).collect();
        shown.join(", ")
    }

    #[test]
    fn windows_that_differ_by_a_cast_have_names_of_their_own() {
        assert_eq!(
            told("SELECT sum(x) OVER (), sum(x::text) OVER (), sum(x) OVER (), sum(y) OVER ()"),
            "sum(x) OVER (), sum(coalesce(x::TEXT)) OVER (), sum(x) OVER (), sum(y) OVER ()"
        );
    }

    #[test]
    fn windows_that_are_told_apart_have_a_bound() {
        let windows: Vec<String> =
            (1..2000).map(|digits| format!("sum(x::numeric({digits})) OVER ()")).collect();
        let told = told(&format!("SELECT {}", windows.join(", ")));
        let deepest = told.split(", ").map(|window| window.matches("coalesce").count()).max();
        assert_eq!(deepest, Some(ALIKE_MAX - 1));
    }
}
