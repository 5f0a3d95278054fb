//! Which columns of which relations a query reads, as far as its text and the catalog tell it: what `pg_depend` says of views.
//!
//! PostgreSQL notes each column that a view names, also one that nobody asks for further out, and a relation as a whole where
//! no column of it is named. A relation that the role does not see is passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, JoinConstraint, OrderBy, OrderByKind, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement, TableAlias, TableFactor,
    TableWithJoins, Visit,
};

use super::numbered::ORDINALITY;
use super::scope::{constraint, of_function, renamed};
use super::{columns, function_name, normal, parts};
use crate::query::PUBLIC;
use crate::query::postgres::catalog::definition;
use crate::query::postgres::snapshot::Snapshot;
use crate::query::syntax::{self, outside};

/// PostgreSQL notes nothing of what depends on objects whose oids are below this: they are always there.
const FIRST_UNPINNED_OID: u32 = 12000;

/// Returns the relations that a query reads by their oids, each with the numbers of the columns that it names.
pub(crate) fn columns_read(query: &str, snapshot: &Snapshot) -> BTreeMap<u32, BTreeSet<i64>> {
    let mut reader = Reader { snapshot, read: BTreeMap::new() };
    // What a view keeps was parsed before, so that it parses.
    for statement in syntax::statements(query).unwrap_or_default() {
        if let Statement::Query(query) = statement {
            reader.query(&query, None);
        }
    }
    reader.read
}

/// A relation or query of `FROM`, or a common table expression.
#[derive(Debug, Clone, Default)]
struct Source {
    /// What its columns can be named with.
    name: String,
    /// Its columns in order, if they are known.
    columns: Option<Vec<String>>,
    /// The oid of the relation that it is.
    oid: Option<u32>,
}

impl Source {
    fn place(&self, column: &str) -> Option<usize> {
        self.columns.as_ref()?.iter().position(|known| known == column)
    }

    /// The same under the names that an alias gives.
    fn called(mut self, alias: Option<&TableAlias>) -> Source {
        if let Some(alias) = alias {
            self.name = normal(&alias.name);
            self.columns = match self.columns {
                None if alias.columns.is_empty() => None,
                known => Some(renamed(known.unwrap_or_default(), Some(alias))),
            };
        }
        self
    }
}

/// What names mean where a query or a select stands.
#[derive(Default)]
struct Frame<'a> {
    outer: Option<&'a Frame<'a>>,
    ctes: Vec<Source>,
    sources: Vec<Source>,
}

impl Frame<'_> {
    fn cte(&self, name: &str) -> Option<&Source> {
        let own = self.ctes.iter().rev().find(|cte| cte.name == name);
        own.or_else(|| self.outer?.cte(name))
    }
}

struct Reader<'a> {
    snapshot: &'a Snapshot,
    read: BTreeMap<u32, BTreeSet<i64>>,
}

impl Reader<'_> {
    /// Reads a query. Returns the names of its columns, if they are known.
    fn query(&mut self, query: &Query, outer: Option<&Frame<'_>>) -> Option<Vec<String>> {
        let mut frame = Frame { outer, ..Frame::default() };
        if let Some(with) = &query.with {
            for cte in &with.cte_tables {
                let name = normal(&cte.alias.name);
                if with.recursive {
                    // It reads itself, and no relation of its name.
                    frame.ctes.push(Source { name: name.clone(), ..Source::default() });
                }
                let columns = self.query(&cte.query, Some(&frame));
                let read = Source { name, columns, oid: None };
                frame.ctes.push(read.called(Some(&cte.alias)));
            }
        }
        let names = self.body(&query.body, &frame, query.order_by.as_ref());
        self.expressions(&query.limit_clause, &frame);
        names
    }

    fn body(
        &mut self,
        body: &SetExpr,
        frame: &Frame<'_>,
        order: Option<&OrderBy>,
    ) -> Option<Vec<String>> {
        match body {
            SetExpr::Select(select) => self.select(select, frame, order),
            SetExpr::Query(query) => self.query(query, Some(frame)),
            SetExpr::SetOperation { left, right, .. } => {
                let names = self.body(left, frame, None);
                self.body(right, frame, None);
                names
            }
            SetExpr::Values(values) => {
                self.expressions(values, frame);
                let width = values.rows.first()?.len();
                Some((1..=width).map(|at| format!("column{at}")).collect())
            }
            _ => None,
        }
    }

    fn select(
        &mut self,
        select: &Select,
        outer: &Frame<'_>,
        order: Option<&OrderBy>,
    ) -> Option<Vec<String>> {
        let mut frame = Frame { outer: Some(outer), ..Frame::default() };
        for from in &select.from {
            self.joined(from, &mut frame);
        }
        self.expressions(select, &frame);
        let names = self.shown(select, &frame);
        if let Some(OrderBy { kind: OrderByKind::Expressions(list), .. }) = order {
            for by in list {
                // A name of the result comes before one of what is read.
                let is_shown = match &by.expr {
                    Expr::Identifier(name) => {
                        names.as_ref().is_some_and(|names| names.contains(&normal(name)))
                    }
                    _ => false,
                };
                if !is_shown {
                    self.expressions(&by.expr, &frame);
                }
            }
        }
        names
    }

    /// Reads the columns that stars stand for. Returns the names of what a select shows, if they are known.
    fn shown(&mut self, select: &Select, frame: &Frame<'_>) -> Option<Vec<String>> {
        let mut shown = Vec::with_capacity(select.projection.len());
        for item in &select.projection {
            shown.push(match item {
                SelectItem::Wildcard(_) => self.star(frame, None),
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(relation),
                    _,
                ) => self.star(frame, parts(relation).last().map(String::as_str)),
                other => columns::name_of(other).map(|name| vec![name]),
            });
        }
        let names: Option<Vec<Vec<String>>> = shown.into_iter().collect();
        names.map(|names| names.concat())
    }

    fn star(&mut self, frame: &Frame<'_>, relation: Option<&str>) -> Option<Vec<String>> {
        let mut names = Some(vec![]);
        let is_meant = |source: &&Source| relation.is_none_or(|name| source.name == name);
        for source in frame.sources.iter().filter(is_meant) {
            let known = source.columns.as_deref();
            for place in 0..known.map_or(0, <[String]>::len) {
                self.mark(source, place);
            }
            names = names.zip(known).map(|(names, known)| [names.as_slice(), known].concat());
        }
        names
    }

    fn joined(&mut self, table: &TableWithJoins, frame: &mut Frame<'_>) {
        let start = frame.sources.len();
        self.factor(&table.relation, frame);
        for join in &table.joins {
            let middle = frame.sources.len() - start;
            self.factor(&join.relation, frame);
            let (left, right) = frame.sources[start..].split_at(middle);
            let has = |sources: &[Source], name: &str| {
                sources.iter().any(|source| source.place(name).is_some())
            };
            let merged: Vec<String> = match constraint(&join.join_operator) {
                Some(JoinConstraint::Using(columns)) => {
                    columns.iter().filter_map(|name| parts(name).pop()).collect()
                }
                Some(JoinConstraint::Natural) => {
                    let names = left.iter().filter_map(|source| source.columns.as_ref()).flatten();
                    names.filter(|name| has(right, name.as_str())).cloned().collect()
                }
                _ => vec![],
            };
            for source in left.iter().chain(right) {
                for place in merged.iter().filter_map(|name| source.place(name)) {
                    self.mark(source, place);
                }
            }
        }
    }

    fn factor(&mut self, factor: &TableFactor, frame: &mut Frame<'_>) {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let source = self.relation(&parts(name), frame);
                frame.sources.push(source.called(alias.as_ref()));
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let columns = match lateral {
                    true => self.query(subquery, Some(&*frame)),
                    false => self.query(subquery, frame.outer),
                };
                let read = Source { columns, ..Source::default() };
                frame.sources.push(read.called(alias.as_ref()));
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let start = frame.sources.len();
                self.joined(table_with_joins, frame);
                if let Some(alias) = alias {
                    let name = normal(&alias.name);
                    frame.sources[start..].iter_mut().for_each(|one| one.name.clone_from(&name));
                }
            }
            TableFactor::Table { name, alias, with_ordinality, .. }
            | TableFactor::Function { name, alias, with_ordinality, .. } => {
                let name = function_name(name).unwrap_or_default();
                let mut columns = of_function(&name, alias.as_ref());
                let numbers = with_ordinality.then(|| ORDINALITY.to_owned());
                columns.iter_mut().for_each(|known| known.extend(numbers.clone()));
                frame.sources.push(Source { name, columns, oid: None }.called(alias.as_ref()));
            }
            TableFactor::UNNEST { alias, .. } => {
                frame.sources.push(Source::default().called(alias.as_ref()));
            }
            _ => frame.sources.push(Source::default()),
        }
    }

    /// Reads a relation that is named in `FROM`.
    fn relation(&mut self, names: &[String], frame: &Frame<'_>) -> Source {
        let (schema, table) = match names {
            [table] => match frame.cte(table) {
                Some(cte) => return cte.clone(),
                None => (PUBLIC, table.as_str()),
            },
            [.., schema, table] => (schema.as_str(), table.as_str()),
            [] => return Source::default(),
        };
        let name = table.to_owned();
        if let Some(found) = self.snapshot.named(schema, table) {
            self.read.entry(found.oid).or_default();
            let columns = found.relation.columns.iter().map(|column| column.name().clone());
            return Source { name, columns: Some(columns.collect()), oid: Some(found.oid) };
        }
        let Some(known) = definition(schema, table) else {
            return Source { name, ..Source::default() };
        };
        let oid = Some(known.oid).filter(|oid| *oid >= FIRST_UNPINNED_OID);
        if let Some(oid) = oid {
            self.read.entry(oid).or_default();
        }
        let columns = known.columns.iter().map(|column| column.name.to_owned());
        Source { name, columns: Some(columns.collect()), oid }
    }

    /// Reads the expressions of a part of a select, with the queries that are values in it.
    fn expressions(&mut self, part: &impl Visit, frame: &Frame<'_>) {
        // Nothing breaks it off.
        let _: ControlFlow<()> = outside::see(part, |expr| {
            self.expression(expr, frame);
            ControlFlow::Continue(())
        });
    }

    fn expression(&mut self, expr: &Expr, frame: &Frame<'_>) {
        match expr {
            Expr::Identifier(name) => self.column(frame, None, &normal(name)),
            Expr::CompoundIdentifier(names) => {
                if let [.., relation, name] = names.as_slice() {
                    self.column(frame, Some(&normal(relation)), &normal(name));
                }
            }
            Expr::Subquery(query)
            | Expr::Exists { subquery: query, .. }
            | Expr::InSubquery { subquery: query, .. }
            | Expr::Function(Function { args: FunctionArguments::Subquery(query), .. }) => {
                self.query(query, Some(frame));
            }
            _ => {}
        }
    }

    /// Reads a column by its name, which means one of the innermost select that has such a column. Where columns are not known
    /// it may be one of a select further out: rather something is kept that nobody needs than dropped under who reads it.
    fn column(&mut self, frame: &Frame<'_>, relation: Option<&str>, name: &str) {
        let mut open = Some(frame);
        while let Some(frame) = open {
            let mut is_here = false;
            for source in &frame.sources {
                match relation {
                    Some(relation) if source.name != relation => continue,
                    Some(_) => is_here = true,
                    // A function is the value that it gives.
                    None => is_here |= source.columns.is_none() && source.name == name,
                }
                if let Some(place) = source.place(name) {
                    return self.mark(source, place);
                }
            }
            if is_here {
                return;
            }
            open = frame.outer;
        }
    }

    fn mark(&mut self, source: &Source, place: usize) {
        if let Some(oid) = source.oid {
            self.read.entry(oid).or_default().insert(place as i64 + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};

    use super::*;
    use crate::catalog::Constraints;
    use crate::query::postgres::snapshot::{Relation, RelationKind};

    fn table(name: &str, columns: &[&str]) -> Relation {
        let columns = columns.iter().map(|name| Field::new(*name, DataType::Int32, true));
        Relation {
            schema: "analytics".into(),
            name: name.into(),
            owner: None,
            writable: false,
            kind: RelationKind::Table,
            comment: None,
            columns: columns.collect::<Vec<_>>().into(),
            primary_key: vec![],
            constraints: Constraints::default(),
            numbered: BTreeMap::new(),
            sequence: None,
            definition: None,
        }
    }

    #[test]
    fn columns_are_read_wherever_they_are_named() {
        let tables = vec![table("t", &["a", "b", "c"]), table("u", &["a", "d", "t"])];
        let snapshot = Snapshot::new(tables, &[], &[]);
        let name = |oid: u32| snapshot.relation(oid).unwrap().relation.name.clone();
        for (query, expected) in [
            ("SELECT count(*) FROM analytics.t", "t:"),
            ("SELECT b FROM analytics.t WHERE c > 1 ORDER BY 1", "t:2,3"),
            ("SELECT b AS a FROM analytics.t ORDER BY a", "t:2"),
            ("SELECT b FROM analytics.t ORDER BY a + 1", "t:1,2"),
            ("SELECT * FROM analytics.t", "t:1,2,3"),
            ("SELECT x.* FROM analytics.t x, analytics.u WHERE analytics.u.d = 1", "t:1,2,3 u:2"),
            ("SELECT 1 FROM analytics.t JOIN analytics.u USING (a)", "t:1 u:1"),
            ("SELECT 1 FROM analytics.t NATURAL JOIN analytics.u", "t:1 u:1"),
            ("SELECT 1 FROM analytics.t x(p, q) JOIN analytics.u ON q = d", "t:2 u:2"),
            ("SELECT a FROM (SELECT * FROM analytics.t) AS s", "t:1,2,3"),
            ("SELECT a FROM (SELECT a FROM analytics.t) AS s, analytics.u WHERE d = 1", "t:1 u:2"),
            ("WITH t AS (SELECT d AS a FROM analytics.u) SELECT t.a FROM t", "u:2"),
            (
                "WITH RECURSIVE t(n) AS (SELECT a FROM analytics.u UNION ALL SELECT n FROM t) SELECT n FROM t",
                "u:1",
            ),
            // What is not of the select is of the one around it.
            ("SELECT (SELECT max(d) FROM analytics.u WHERE d > b) FROM analytics.t", "t:2 u:2"),
            (
                "SELECT 1 FROM analytics.t x WHERE EXISTS (SELECT 1 FROM analytics.u WHERE x.c = u.d)",
                "t:3 u:2",
            ),
            ("SELECT 1 FROM analytics.t WHERE b IN (SELECT t FROM analytics.u)", "t:2 u:3"),
            ("SELECT s.n FROM analytics.t, LATERAL (SELECT b AS n) AS s", "t:2"),
            (
                "SELECT ARRAY(SELECT a FROM analytics.t) UNION ALL SELECT NULL FROM analytics.u",
                "t:1 u:",
            ),
            ("SELECT sum(a) OVER w FROM analytics.t WINDOW w AS (PARTITION BY b)", "t:1,2"),
            ("SELECT g FROM generate_series(1, 3) AS g, analytics.t WHERE t.a = g", "t:1"),
            (
                "SELECT 1 FROM analytics.t WHERE EXISTS (SELECT 1 FROM generate_series(1, 3) AS g WHERE b = g)",
                "t:2",
            ),
            (
                "SELECT 1 FROM analytics.t WHERE EXISTS (SELECT 1 FROM generate_series(1, 3) AS b WHERE b > 1)",
                "t:",
            ),
            (
                "SELECT 1 FROM analytics.t WHERE EXISTS (SELECT 1 FROM generate_series(1, 3) AS g(c) WHERE c > 1)",
                "t:",
            ),
            (
                "SELECT 1 FROM analytics.t AS x(key) WHERE EXISTS (SELECT 1 FROM jsonb_each('{}') WHERE key = b)",
                "t:2",
            ),
            ("SELECT a FROM analytics.missing", ""),
            ("SELECT relname FROM pg_catalog.pg_class", ""),
        ] {
            let read = columns_read(query, &snapshot);
            let shown = |(oid, columns): (&u32, &BTreeSet<i64>)| {
                let columns: Vec<String> = columns.iter().map(i64::to_string).collect();
                format!("{}:{}", name(*oid), columns.join(","))
            };
            let mut found: Vec<String> = read.iter().map(shown).collect();
            found.sort();
            assert_eq!(found.join(" "), expected, "{query}");
        }
        let listed = "SELECT table_name FROM information_schema.tables";
        assert_eq!(columns_read(listed, &snapshot).len(), 1);
    }
}
