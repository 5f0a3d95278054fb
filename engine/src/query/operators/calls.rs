//! Calls of operators in `FROM`, before a statement is checked and planned: the query that a call takes is put into a nest with
//! the operator's mark, where the planner of relations finds it.
//!
//! As an argument it would be a subquery that stands for one value; in a nest it is a relation like any other.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Query, Statement,
    TableAlias, TableFactor, TableFunctionArgs, TableWithJoins, VisitMut, VisitorMut,
};

use super::Operator;
use crate::error::{Error, Result};

/// Puts the query of each call in a statement into a nest that is marked.
///
/// # Errors
/// [`Error::Missing`] for a call with anything but one query.
pub(in crate::query) fn nest(statement: &mut Statement) -> Result<()> {
    match statement.visit(&mut Nester) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Nester;

impl VisitorMut for Nester {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name, args: Some(args), alias, with_ordinality: false, .. } =
            factor
        else {
            return ControlFlow::Continue(());
        };
        let Some(operator) = called(name) else { return ControlFlow::Continue(()) };
        let Some(query) = query_of(args) else { return ControlFlow::Break(wrong(operator)) };
        let alias = alias.take().unwrap_or_else(|| named(Ident::new(operator.function())));
        let query =
            TableFactor::Derived { lateral: false, subquery: query, alias: None, sample: None };
        let marked = nested(query, named(Ident::with_quote('"', operator.mark())));
        *factor = nested(marked, alias);
        ControlFlow::Continue(())
    }
}

/// The operator of this name.
fn called(name: &ObjectName) -> Option<Operator> {
    let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
    let called = |operator: &Operator| match ident.quote_style {
        Some(_) => ident.value == operator.function(),
        None => ident.value.eq_ignore_ascii_case(operator.function()),
    };
    Operator::ALL.into_iter().find(called)
}

/// The one query that a call takes.
fn query_of(args: &TableFunctionArgs) -> Option<Box<Query>> {
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = args.args.as_slice() else {
        return None;
    };
    let mut argument = argument.clone();
    loop {
        match argument {
            Expr::Nested(inner) => argument = *inner,
            Expr::Subquery(query) => return Some(query),
            _ => return None,
        }
    }
}

fn wrong(operator: Operator) -> Error {
    Error::Missing {
        kind: "function",
        name: operator.function().into(),
        hint: format!(
            "{} takes one query, in brackets of its own: {}.",
            operator.function(),
            operator.example()
        ),
    }
}

fn named(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: vec![], at: None }
}

fn nested(relation: TableFactor, alias: TableAlias) -> TableFactor {
    let table_with_joins = Box::new(TableWithJoins { relation, joins: vec![] });
    TableFactor::NestedJoin { table_with_joins, alias: Some(alias) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::planner::parse_one;

    fn nested_text(sql: &str) -> Result<String> {
        let mut statement = parse_one(sql).unwrap();
        nest(&mut statement).map(|()| statement.to_string().replace('\u{1}', "!"))
    }

    #[test]
    fn the_query_of_a_call_becomes_a_relation() {
        for (sql, expected) in [
            (
                "SELECT * FROM connected_components((SELECT a, b FROM t))",
                "SELECT * FROM (((SELECT a, b FROM t)) AS \"!connected components\") AS connected_components",
            ),
            (
                "SELECT c.id FROM Candidate_Pairs((SELECT a, b FROM t)) c(x, y)",
                "SELECT c.id FROM (((SELECT a, b FROM t)) AS \"!candidate pairs\") c (x, y)",
            ),
            ("SELECT * FROM \"Refine_Clusters\"(1)", "SELECT * FROM \"Refine_Clusters\"(1)"),
            ("SELECT * FROM refine_clusters", "SELECT * FROM refine_clusters"),
            ("SELECT * FROM s.refine_clusters(1)", "SELECT * FROM s.refine_clusters(1)"),
        ] {
            assert_eq!(nested_text(sql).unwrap(), expected, "{sql}");
        }
        let within = "SELECT * FROM refine_clusters(((SELECT a, b, 1 FROM candidate_pairs((SELECT 1, 2)) p)))";
        let nested = nested_text(within).unwrap();
        assert!(nested.contains("!refine clusters") && nested.contains("!candidate pairs"));
    }

    #[test]
    fn anything_else_is_no_call() {
        for arguments in ["", "'edges'", "1, 2", "edges", "(SELECT 1), (SELECT 2)", "$1"] {
            let sql = format!("SELECT * FROM connected_components({arguments})");
            let error = nested_text(&sql).unwrap_err();
            assert_eq!(error.sqlstate(), "42883", "{sql}");
            assert!(error.hint().unwrap().contains("((SELECT left_id, right_id"), "{sql}");
        }
    }
}
