//! PostgreSQL's syntax as statements that DataFusion plans, with the same meaning.
//!
//! A visit over the parsed statement. What depends on types alone is left to [`super::planners`], what needs a plan to
//! [`super::subqueries`]; here names are resolved, casts to object names become functions, functions in `FROM` become
//! relations, and columns without a name get the one that PostgreSQL would give.

mod arrays;
mod columns;
mod empty;
mod expressions;
mod joins;
mod json;
mod literals;
mod qualified;
mod relations;
mod row_in;
mod rows;
mod values;
mod whole_rows;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, Query, Select, Statement, TableFactor, Value, VisitMut, VisitorMut,
};

pub(super) use arrays::elements as array_elements;
pub use columns::column_name;
pub(super) use expressions::element_type;
pub use qualified::qualify;
pub(super) use rows::width as row_width;

use super::catalog::procedures;
use super::facts::SessionFacts;

/// Turns what only PostgreSQL has into what DataFusion plans.
pub fn rewrite(statement: &mut Statement, facts: &SessionFacts) {
    let named = joins::Named::of(statement);
    let mut rewriter = Rewriter { facts, named, ctes: Vec::new() };
    // The visitor never breaks off.
    let _ = statement.visit(&mut rewriter);
}

struct Rewriter<'a> {
    facts: &'a SessionFacts,
    /// Columns that are named with their relation.
    named: joins::Named,
    /// Names of common table expressions that are in scope, one list for each query that is open.
    ctes: Vec<Vec<String>>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        self.ctes.push(with.map(|cte| normal(&cte.alias.name)).collect());
        // Rows are never changed in place, so there is nothing to lock.
        query.locks.clear();
        values::unfold(&mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        literals::widen_query(query);
        self.ctes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        columns::name(select);
        json::name_values(select);
        whole_rows::replace(select, self.facts, &self.ctes);
        relations::replace_table_oids(select, self.facts);
        empty::prune(select);
        row_in::rewrite(select);
        rows::flatten(select);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        literals::widen_select(select);
        columns::unnest_series(select);
        relations::qualify_wildcards(select);
        joins::merge(select, &self.named);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        relations::rewrite(factor, self.facts, &self.ctes);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        literals::widen_table(factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        expressions::before(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        expressions::after(expr);
        literals::narrow(expr);
        ControlFlow::Continue(())
    }
}

/// An identifier as the catalog has it.
pub(super) fn normal(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The parts of a name as the catalog has them.
fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(ObjectNamePart::as_ident).map(normal).collect()
}

/// The name of a function without its schema; `None` for functions of schemas that have none. Those that PostgreSQL does not
/// have are in `public`.
fn function_name(name: &ObjectName) -> Option<String> {
    match parts(name).as_slice() {
        [name] => Some(name.clone()),
        [schema, name] if schema == "pg_catalog" => Some(name.clone()),
        [schema, name] if schema == "public" => {
            procedures(Some("public"), name).next().map(|_| name.clone())
        }
        _ => None,
    }
}

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

/// A call of a function with these arguments.
fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments
        .into_iter()
        .map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)))
        .collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// The expressions that a function is called with.
fn arguments(list: &FunctionArguments) -> Vec<Expr> {
    let FunctionArguments::List(list) = list else { return Vec::new() };
    unnamed(&list.args)
}

fn unnamed(args: &[FunctionArg]) -> Vec<Expr> {
    let expr = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    args.iter().filter_map(expr).collect()
}
