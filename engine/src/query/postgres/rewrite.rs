//! PostgreSQL's syntax as statements that DataFusion plans, with the same meaning.
//!
//! A visit over the parsed statement. What depends on types alone is left to [`super::planners`], what needs a plan to
//! [`super::subqueries`]; here names are resolved, casts to object names become functions, functions in `FROM` become
//! relations, and columns without a name get the one that PostgreSQL would give.

mod alone;
mod array_text;
mod arrays;
mod columns;
mod conditions;
mod dependent;
mod distinct;
mod distinct_on;
mod distinct_order;
mod domains;
mod elements;
mod empty;
mod expressions;
mod gathered;
mod hypothetical;
mod joins;
mod json;
mod kept_columns;
mod kept_order;
mod lengths;
mod levels;
mod limits;
mod lists_beside;
mod literals;
mod made;
mod matches;
mod numbered;
mod object_arrays;
mod one_row;
mod order_beside;
mod outer_names;
mod overlapping;
mod qualified;
mod reads;
mod records;
mod recursive;
mod relations;
mod removed;
mod renamed_columns;
mod row_in;
mod rows;
mod sampled;
mod scope;
mod side_by_side;
mod spelled;
mod system_columns;
mod times;
mod true_types;
mod unpivoted;
mod values;
mod whole_rows;
mod window_names;
mod windows;

use std::cell::Cell;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, Query, Select, SetExpr, Statement, TableFactor, Value, VisitMut,
    VisitorMut,
};

pub use array_text::ArrayText;
pub(super) use array_text::malformed as malformed_array;
pub(crate) use arrays::elements as array_elements;
pub use columns::column_name;
pub(super) use domains::base as base_of_domain;
pub(super) use expressions::element_type;
pub(super) use joins::relations as relation_names;
pub use kept_order::comes_sorted;
pub use qualified::{follow, qualify};
pub(crate) use reads::columns_read;
pub(super) use relations::LISTS;
pub(crate) use renamed_columns::{
    RenamedColumn, follow_column, has_star, names_alone, with_columns,
};
pub(super) use rows::width as row_width;

use self::scope::{Cte, Scope};
use super::catalog::procedures;
use super::facts::SessionFacts;
use crate::error::{Error, Result};

/// Queries of a statement at most, those counted that are there several times once it is rewritten.
const QUERIES_MAX: usize = 8192;
/// Names of columns at most that are looked up for a statement.
const NAMES_MAX: usize = 1 << 19;

/// Turns what only PostgreSQL has into what DataFusion plans.
///
/// # Errors
/// SQLSTATE 42702 if a name means two columns of a query in `FROM`, and 54001 if it becomes too large.
pub fn rewrite(statement: &mut Statement, facts: &SessionFacts) -> Result<()> {
    outer_aggregates(statement, facts)?;
    let named = joins::Named::of(statement);
    let names_left = Cell::new(NAMES_MAX);
    let mut rewriter = Rewriter { facts, named, ctes: Vec::new(), queries: 0, names_left };
    match statement.visit(&mut rewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => {
            outer_names::qualify(statement, facts);
            Ok(())
        }
    }
}

/// Moves aggregates that stand in subqueries to the queries further out that they are of.
///
/// # Errors
/// SQLSTATE 42803 for those in clauses that take none, and 0A000 for those that cannot be moved.
pub fn outer_aggregates(statement: &mut Statement, facts: &SessionFacts) -> Result<()> {
    alone::replace(statement);
    levels::split(statement, facts)
}

struct Rewriter<'a> {
    facts: &'a SessionFacts,
    /// Columns that are named with their relation.
    named: joins::Named,
    /// Common table expressions that are in scope, one list for each query that is open.
    ctes: Vec<Vec<Cte>>,
    /// How many queries were visited.
    queries: usize,
    /// How many names of columns may still be looked up.
    names_left: Cell<usize>,
}

impl Rewriter<'_> {
    fn scope(&self) -> Scope<'_> {
        Scope { facts: self.facts, ctes: &self.ctes, names_left: &self.names_left }
    }

    /// Refuses a statement that grows without end: what is written several times holds such things itself.
    fn check_size(&self) -> Result<()> {
        let what = if self.queries > QUERIES_MAX {
            "queries"
        } else if self.names_left.get() == 0 {
            "columns"
        } else {
            return Ok(());
        };
        Err(Error::Limit {
            sqlstate: "54001",
            message: format!("the statement has too many {what} once it is written out"),
            hint: "Put fewer queries into one another, and name the columns that they show.".into(),
        })
    }

    /// Brings the common table expressions of a query into scope.
    fn open(&mut self, query: &mut Query) {
        self.ctes.push(Vec::new());
        let Some(with) = &mut query.with else { return };
        for at in 0..with.cte_tables.len() {
            let table = &mut with.cte_tables[at];
            limits::number_the_rest(&mut table.query, &self.scope());
            let cte = self.scope().cte(with, at);
            cte.keep_apart(&mut with.cte_tables[at].alias);
            if let Some(open) = self.ctes.last_mut() {
                open.push(cte);
            }
        }
    }
}

impl VisitorMut for Rewriter<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.queries += 1;
        recursive::widen(query);
        distinct_order::by_position(query);
        kept_order::keep_of_named(query);
        self.open(query);
        if let Err(error) = self.check_size() {
            return ControlFlow::Break(error);
        }
        whole_rows::replace_in_order(query, &self.scope());
        order_beside::work_out(query, &self.scope());
        // Rows are never changed in place, so there is nothing to lock.
        query.locks.clear();
        empty::leave_ancestors_out(&mut query.body);
        if let SetExpr::Select(select) = query.body.as_mut() {
            if let Err(error) = windows::write_out(select, query.order_by.as_mut()) {
                return ControlFlow::Break(error);
            }
            window_names::tell_apart(select, query.order_by.as_mut());
        }
        distinct_on::in_order(query);
        limits::number_the_rest_of_parts(&mut query.body, &self.scope());
        if let Err(error) = limits::rewrite(query) {
            return ControlFlow::Break(error);
        }
        if let SetExpr::Select(select) = query.body.as_mut() {
            dependent::group(select, query.order_by.as_ref(), &self.scope());
            kept_columns::rename(select, query.order_by.as_mut(), &self.named, &self.scope());
        }
        values::unfold(&mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        literals::widen_query(query);
        self.ctes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        let written = windows::write_out(select, None);
        if let Err(error) = written.and_then(|()| self.scope().check(select)) {
            return ControlFlow::Break(error);
        }
        window_names::tell_apart(select, None);
        conditions::of_select(select);
        // One of several selects of a query has no order.
        kept_columns::rename(select, None, &self.named, &self.scope());
        columns::name(select, &self.scope());
        kept_order::keep(select);
        gathered::by_position(select);
        lists_beside::move_out(select);
        json::name_values(select);
        whole_rows::replace(select, &self.scope());
        system_columns::replace(select, self.facts);
        empty::prune(select, self.facts);
        row_in::rewrite(select);
        rows::flatten(select);
        limits::group_all(select);
        match self.check_size() {
            Err(error) => ControlFlow::Break(error),
            Ok(()) => ControlFlow::Continue(()),
        }
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        literals::widen_select(select);
        columns::unnest_series(select);
        relations::qualify_wildcards(select);
        joins::merge(select, &self.named);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        if let Err(error) = sampled::rewrite(factor) {
            return ControlFlow::Break(error);
        }
        if let TableFactor::Derived { lateral, subquery, alias: Some(_), .. } = factor
            && !*lateral
        {
            // DataFusion joins no rows to a row around them once they are numbered.
            limits::number_the_rest(subquery, &self.scope());
        }
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            conditions::of_joins(table_with_joins);
        }
        self.scope().keep_apart(factor);
        self.scope().name_rest(factor);
        unpivoted::relation(factor);
        relations::rewrite(factor, self.facts, &self.ctes);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        literals::widen_table(factor);
        if let TableFactor::UNNEST { array_exprs, .. } = factor {
            for array in array_exprs {
                arrays::flatten_rows(array);
                arrays::call_for_columns(array);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        expressions::before(expr, self.facts);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        expressions::after(expr);
        literals::narrow(expr);
        ControlFlow::Continue(())
    }
}

/// An identifier as the catalog has it.
pub(crate) fn normal(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() }
}

/// The parts of a name as the catalog has them.
pub(crate) fn parts(name: &ObjectName) -> Vec<String> {
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
