//! Columns that are not there for whoever writes a statement. Among them are those by which it finds the rows that it changes:
//! the numbers of rows are those of hidden people's, too, so that no text may name them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Spanned, Visit, visit_expressions};

use super::Fault;
use crate::error::{Error, Result};
use crate::query::postgres::rewrite::normal;

const HINT: &str = "\\d name, or information_schema.columns, lists the columns of a relation.";

/// Fails if `part` names one of the columns `unseen`, by itself or as a column of one of the relations `of`.
pub(crate) fn refuse_unseen<V: Visit>(part: &V, unseen: &[&str], of: &[&str]) -> Result<()> {
    let found = visit_expressions(part, |expr| {
        let Some((relation, name)) = named(expr) else { return ControlFlow::Continue(()) };
        let is_of = relation.is_none_or(|relation| of.contains(&relation.as_str()));
        match is_of && unseen.contains(&name.as_str()) {
            true => ControlFlow::Break(missing_column(expr)),
            false => ControlFlow::Continue(()),
        }
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The answer to the name of a column that is not there, where it is written.
pub(crate) fn missing_column(written: &Expr) -> Error {
    let shown = match named(written) {
        Some((Some(relation), name)) => format!("{relation}.{name}"),
        Some((None, name)) => format!("\"{name}\""),
        None => written.to_string(),
    };
    Fault::new("42703", format!("column {shown} does not exist"), HINT).at(written.span())
}

/// Returns the relation and the column that an expression names, if it does.
fn named(expr: &Expr) -> Option<(Option<String>, String)> {
    match expr {
        Expr::Identifier(name) => Some((None, normal(name))),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., relation, name] => Some((Some(normal(relation)), normal(name))),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::planner::parse_one;

    #[test]
    fn what_is_not_seen_is_named_in_vain() {
        let of = |sql: &str| refuse_unseen(&parse_one(sql).unwrap(), &["_row"], &["t"]);
        for sql in [
            "UPDATE t SET a = _row",
            "UPDATE t SET a = 1 WHERE \"_row\" > 5",
            "UPDATE t SET a = (SELECT max(b) FROM u WHERE u.c = t._ROW)",
            "DELETE FROM t WHERE abs(t._row) = 1",
            "DELETE FROM t USING (SELECT t._row) u",
            "UPDATE t SET a = 1 RETURNING _row",
        ] {
            let Error::Query(error) = of(sql).unwrap_err() else { panic!("{sql}") };
            assert!(error.diagnostic().is_some_and(|found| found.span.is_some()), "{sql}");
        }
        for sql in ["UPDATE t SET a = u._row FROM u", "UPDATE t SET a = '_row'", "SELECT a FROM t"]
        {
            of(sql).unwrap();
        }
    }
}
