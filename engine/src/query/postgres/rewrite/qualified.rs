//! Names of relations with their schemas: what a view keeps, whose readers may have other search paths.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, Statement,
    TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::{normal, parts};
use crate::query::postgres::catalog::definition;
use crate::query::postgres::facts::SessionFacts;

/// Gives each relation of a statement the schema that the session finds it in.
pub fn qualify(statement: &mut Statement, facts: &SessionFacts) {
    // The visitor never breaks off.
    let _ = statement.visit(&mut Qualifier { facts, ctes: Vec::new() });
}

/// Lets a view, whose relations have their schemas, read a relation that has another schema or name now. Its columns are named
/// as before, so that it goes by its former name in there.
pub fn follow(statement: &mut Statement, (schema, from): (&str, &str), to: (&str, &str)) {
    // The visitor never breaks off.
    let _ = statement.visit(&mut Follower { schema, from, to });
}

fn quoted(part: &str) -> Ident {
    Ident::with_quote('"', part)
}

struct Follower<'a> {
    schema: &'a str,
    from: &'a str,
    to: (&'a str, &'a str),
}

impl Follower<'_> {
    fn is_meant(&self, names: &[String]) -> bool {
        matches!(names, [.., schema, table] if schema == self.schema && table == self.from)
    }
}

impl VisitorMut for Follower<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                _,
            ) = item
                && self.is_meant(&parts(name))
            {
                *name = ObjectName::from(vec![quoted(self.from)]);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, args: None, .. } = factor
            && self.is_meant(&parts(name))
        {
            *name = ObjectName::from(vec![quoted(self.to.0), quoted(self.to.1)]);
            let (name, columns) = (quoted(self.from), vec![]);
            alias.get_or_insert(TableAlias { explicit: true, name, columns, at: None });
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(idents) = expr
            && let [relation @ .., _] = idents.as_slice()
            && self.is_meant(&relation.iter().map(normal).collect::<Vec<_>>())
        {
            idents.drain(..idents.len() - 2);
        }
        ControlFlow::Continue(())
    }
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
            *name = ObjectName::from(vec![quoted(&schema), quoted(table)]);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::planner::parse_one;

    #[test]
    fn views_follow_relations_that_have_another_name() {
        for (sql, expected) in [
            (
                "SELECT t.a, s.t.b, s.t.*, x.c FROM \"s\".\"t\" JOIN s.t AS x ON x.a = t.a",
                "SELECT t.a, t.b, \"t\".*, x.c FROM \"s\".\"u\" AS \"t\" JOIN \"s\".\"u\" AS x ON x.a = t.a",
            ),
            (
                "WITH t AS (SELECT a FROM s.t) SELECT a FROM t WHERE a IN (SELECT a FROM r.t)",
                "WITH t AS (SELECT a FROM \"s\".\"u\" AS \"t\") SELECT a FROM t WHERE a IN (SELECT a FROM r.t)",
            ),
        ] {
            let mut statement = parse_one(sql).unwrap();
            follow(&mut statement, ("s", "t"), ("s", "u"));
            assert_eq!(statement.to_string(), expected);
        }
    }
}
