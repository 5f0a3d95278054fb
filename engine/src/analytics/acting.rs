//! Functions that act on sessions: they set something in one, say something in its name, lock for it, stop or end it. In what
//! is kept, such as a check, a default or a view, they would act on the session of whoever writes or reads later, without being
//! asked to, so that they are refused there. PostgreSQL lets them in.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Statement, TableFactor, Visit, Visitor};

use super::statement::parts;
use crate::error::{Error, Result};

const NAMES: [&str; 4] = ["set_config", "pg_notify", "pg_cancel_backend", "pg_terminate_backend"];
/// How the names of functions for advisory locks begin.
const LOCKS: [&str; 2] = ["pg_advisory_", "pg_try_advisory_"];

/// Returns the function of this name if it acts on sessions.
pub(super) fn acting(function: &ObjectName) -> Option<String> {
    let name = parts(function).pop()?.to_ascii_lowercase();
    let acts = NAMES.contains(&name.as_str()) || LOCKS.iter().any(|lock| name.starts_with(lock));
    acts.then_some(name)
}

/// Fails if the query of a view calls a function that acts on sessions.
pub(super) fn refuse(query: &Statement) -> Result<()> {
    match query.visit(&mut Calls) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(name) => Err(Error::Standard {
            sqlstate: "0A000",
            message: format!("cannot use {name} in a view"),
            hint: "It would act on the session of whoever reads the view: call it in a query of its own.".into(),
        }),
    }
}

/// Looks for such functions among expressions and in FROM.
struct Calls;

impl Visitor for Calls {
    type Break = String;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        match expr {
            Expr::Function(function) => found(&function.name),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                found(name)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

fn found(function: &ObjectName) -> ControlFlow<String> {
    match acting(function) {
        Some(name) => ControlFlow::Break(name),
        None => ControlFlow::Continue(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::planner::parse_one;

    #[test]
    fn a_view_acts_on_no_session() {
        for (sql, name) in [
            ("SELECT set_config('a.b', 'x', false)", "set_config"),
            ("SELECT 1 FROM t WHERE pg_catalog.PG_TERMINATE_BACKEND(a)", "pg_terminate_backend"),
            ("SELECT (SELECT \"pg_cancel_backend\"(1))", "pg_cancel_backend"),
            ("SELECT * FROM pg_notify('a', 'b')", "pg_notify"),
            ("SELECT * FROM t, LATERAL pg_cancel_backend(t.a)", "pg_cancel_backend"),
            ("WITH w AS (SELECT pg_advisory_lock(1)) SELECT 1 FROM w", "pg_advisory_lock"),
            ("SELECT pg_try_advisory_xact_lock(1, 2)", "pg_try_advisory_xact_lock"),
        ] {
            let refused = refuse(&parse_one(sql).unwrap()).unwrap_err();
            assert_eq!(refused.to_string(), format!("cannot use {name} in a view"), "{sql}");
        }
        for sql in ["SELECT pg_backend_pid(), current_setting('a.b')", "SELECT * FROM pg_notify"] {
            refuse(&parse_one(sql).unwrap()).unwrap();
        }
    }
}
