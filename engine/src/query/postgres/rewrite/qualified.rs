//! Names of relations with their schemas: what a view keeps, whose readers may have other search paths.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, Statement, TableFactor, VisitMut, VisitorMut,
};

use super::{normal, parts};
use crate::query::postgres::catalog::definition;
use crate::query::postgres::facts::SessionFacts;

/// Gives each relation of a statement the schema that the session finds it in.
pub fn qualify(statement: &mut Statement, facts: &SessionFacts) {
    // The visitor never breaks off.
    let _ = statement.visit(&mut Qualifier { facts, ctes: Vec::new() });
}

struct Qualifier<'a> {
    facts: &'a SessionFacts,
    /// Names of common table expressions that are in scope, one list for each query that is open.
    ctes: Vec<Vec<String>>,
}

impl VisitorMut for Qualifier<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        self.ctes.push(with.map(|cte| normal(&cte.alias.name)).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.ctes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, args: None, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let names = parts(name);
        let table = match names.as_slice() {
            [table] if !self.ctes.iter().flatten().any(|cte| cte == table) => table,
            _ => return ControlFlow::Continue(()),
        };
        let snapshot = self.facts.snapshot();
        let has = |schema: &String| {
            definition(schema, table).is_some() || snapshot.named(schema, table).is_some()
        };
        if let Some(schema) = self.facts.search_path().into_iter().find(has) {
            let quoted = |part: &str| Ident::with_quote('"', part);
            *name = ObjectName::from(vec![quoted(&schema), quoted(table)]);
        }
        ControlFlow::Continue(())
    }
}
