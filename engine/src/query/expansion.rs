//! How much a statement is once it is written out.
//!
//! A plan holds a common table expression as often as it is named, and a filter holds the expressions that its columns
//! stand for. Twenty expressions, each of which joins the one before with itself, or adds a column of it to itself, are a
//! short text and a million relations or terms, and whoever plans them takes the memory of the process. So both are
//! counted before a statement is planned.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ObjectNamePart, Query, Select, SelectItem, Statement, TableAlias, TableFactor, Visit,
    Visitor,
};

use super::postgres::normal;
use super::syntax::outside;
use crate::error::{Error, Result};

/// Relations that a statement reads at most.
const RELATIONS_MAX: u64 = 512;
/// Columns that one expression of a statement names at most.
const TERMS_MAX: u64 = 250_000;
/// Subqueries that lie within one another as parts of expressions at most: with each, a plan takes twice as long to check.
const NESTED_MAX: usize = 16;

/// Refuses a statement that reads too many relations, has too long expressions or too many subqueries within subqueries.
///
/// # Errors
/// [`Error::Limit`] with 54001.
pub(super) fn check(statement: &Statement) -> Result<()> {
    let counted = Counter::of(statement);
    if counted.deepest > NESTED_MAX {
        return Err(Error::Limit {
            sqlstate: "54001",
            message: "the statement has too many subqueries within subqueries".into(),
            hint: "Join the relations, or make several statements of it.".into(),
        });
    }
    let message = if counted.relations > RELATIONS_MAX {
        format!(
            "the statement reads more than {RELATIONS_MAX} relations, each common table expression counted as often as it is named"
        )
    } else if counted.terms > TERMS_MAX {
        format!(
            "an expression of the statement names more than {TERMS_MAX} columns, once those of its queries are written out"
        )
    } else {
        return Ok(());
    };
    let hint = "Name queries and their columns less often, or make several statements of it.";
    Err(Error::Limit { sqlstate: "54001", message, hint: hint.into() })
}

/// Counts query by query, from the inside out.
#[derive(Default)]
struct Counter {
    /// The queries that are open, the innermost last.
    queries: Vec<Open>,
    /// The most relations of one query.
    relations: u64,
    /// The most columns of one expression.
    terms: u64,
    /// Subqueries of expressions that are open, and the most there were at a time.
    nested: usize,
    deepest: usize,
}

/// The name of columns that the statement gives none: what they are called is found out later.
const UNNAMED: &str = "";

/// Columns by name: how many columns of tables each of them stands for.
type Columns = HashMap<String, u64>;

/// A query that is being counted.
#[derive(Default)]
struct Open {
    /// Its common table expressions.
    expressions: Vec<Named>,
    /// Those that were counted, in order.
    counted: Vec<(u64, Columns)>,
    recursive: bool,
    relations: u64,
    /// For each `SELECT` that is open the columns that it reads.
    reads: Vec<Columns>,
    columns: Columns,
}

/// A common table expression: where it is in the statement, and what it and its columns are called.
struct Named {
    query: *const Query,
    name: String,
    columns: Vec<String>,
}

impl Open {
    fn of(query: &Query) -> Self {
        let expressions = query.with.iter().flat_map(|with| &with.cte_tables);
        let named = expressions.map(|cte| Named {
            query: std::ptr::from_ref(&*cte.query),
            name: normal(&cte.alias.name),
            columns: names(&cte.alias),
        });
        let recursive = query.with.as_ref().is_some_and(|with| with.recursive);
        Self { expressions: named.collect(), recursive, ..Self::default() }
    }

    /// The relations and columns of a common table expression; `None` if none of this query has the name.
    fn find(&self, name: &str) -> Option<(u64, Columns)> {
        let counted = self.expressions.iter().zip(&self.counted);
        let known = counted.rev().find(|(named, _)| named.name == name);
        // What names itself reads the rows of its last step.
        let itself = || self.expressions.get(self.counted.len()).filter(|open| open.name == name);
        match known {
            Some((_, counted)) => Some(counted.clone()),
            None if self.recursive => itself().map(|_| (1, Columns::new())),
            None => None,
        }
    }

    /// Notes what the innermost `SELECT` reads; beside it stand queries in brackets that are parts of a `UNION`.
    fn read(&mut self, columns: Columns) {
        let reads = self.reads.last_mut().unwrap_or(&mut self.columns);
        columns.into_iter().for_each(|(name, terms)| note(reads, name, terms));
    }
}

fn note(columns: &mut Columns, name: String, terms: u64) {
    let held = columns.entry(name).or_default();
    *held = terms.max(*held);
}

impl Counter {
    fn of(statement: &Statement) -> Self {
        let mut counter = Self::default();
        // The visitor never breaks off.
        let _ = statement.visit(&mut counter);
        counter
    }

    /// The columns that a part of a statement names, written out.
    fn terms(&mut self, part: &impl Visit, reads: &Columns) -> u64 {
        let mut count: u64 = 0;
        // Those of queries in it were counted for themselves. The visitor never breaks off.
        let _: ControlFlow<()> = outside::see(part, |expr| {
            if let Some(name) = name_of(expr) {
                let terms = reads.get(&name).or_else(|| reads.get(UNNAMED));
                count = count.saturating_add(terms.copied().unwrap_or(1));
            }
            ControlFlow::Continue(())
        });
        self.terms = self.terms.max(count);
        count
    }
}

/// Tells whether an expression holds a query.
fn holds_query(expr: &Expr) -> bool {
    matches!(expr, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. })
}

impl Visitor for Counter {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.nested += usize::from(holds_query(expr));
        self.deepest = self.deepest.max(self.nested);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.nested -= usize::from(holds_query(expr));
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.queries.push(Open::of(query));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let Some(done) = self.queries.pop() else { return ControlFlow::Continue(()) };
        self.relations = self.relations.max(done.relations);
        if let Some(outer) = self.queries.last_mut() {
            match outer.expressions.get(outer.counted.len()) {
                Some(next) if std::ptr::eq(next.query, query) => {
                    let columns = renamed(done.columns, &next.columns);
                    outer.counted.push((done.relations, columns));
                }
                _ => {
                    outer.relations = outer.relations.saturating_add(done.relations);
                    outer.read(done.columns);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, _: &Select) -> ControlFlow<()> {
        if let Some(open) = self.queries.last_mut() {
            open.reads.push(Columns::new());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let Some(reads) = self.queries.last_mut().and_then(|open| open.reads.pop()) else {
            return ControlFlow::Continue(());
        };
        self.terms(&select.from, &reads);
        self.terms(&select.selection, &reads);
        self.terms(&select.having, &reads);
        let mut columns = Columns::new();
        for item in &select.projection {
            let (expr, name) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, name_of(expr)),
                SelectItem::ExprWithAlias { expr, alias } => (expr, Some(normal(alias))),
                SelectItem::ExprWithAliases { expr, aliases } => {
                    (expr, aliases.first().map(normal))
                }
                SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
                    columns.extend(reads.clone());
                    continue;
                }
            };
            let terms = self.terms(expr, &reads);
            note(&mut columns, name.unwrap_or_else(|| UNNAMED.into()), terms);
        }
        if let Some(open) = self.queries.last_mut() {
            // The second of a UNION has the columns of the first, by their places.
            let names: Vec<String> = open.columns.keys().cloned().collect();
            open.columns.extend(columns.clone());
            if !names.is_empty() {
                open.columns = renamed(std::mem::take(&mut open.columns), &names);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let (relations, columns) = match factor {
            // Their parts are visited.
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => {
                return ControlFlow::Continue(());
            }
            TableFactor::Table { name, .. } => match name.0.as_slice() {
                [ObjectNamePart::Identifier(name)] => {
                    let name = normal(name);
                    let found = self.queries.iter().rev().find_map(|query| query.find(&name));
                    found.unwrap_or((1, Columns::new()))
                }
                _ => (1, Columns::new()),
            },
            _ => (1, Columns::new()),
        };
        if let Some(query) = self.queries.last_mut() {
            query.relations = query.relations.saturating_add(relations);
            query.read(columns);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let (TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. }) = factor else {
            return ControlFlow::Continue(());
        };
        let columns = alias.as_ref().map(names).unwrap_or_default();
        if let Some(query) = self.queries.last_mut().filter(|_| !columns.is_empty()) {
            let reads = query.reads.last().cloned().unwrap_or_default();
            query.read(renamed(reads, &columns));
        }
        ControlFlow::Continue(())
    }
}

/// Gives columns other names. Places are not kept: each of the names may be the largest of the columns.
fn renamed(columns: Columns, names: &[String]) -> Columns {
    if names.is_empty() {
        return columns;
    }
    let most = columns.values().copied().max().unwrap_or(1);
    columns.into_keys().chain(names.iter().cloned()).map(|name| (name, most)).collect()
}

/// The names that an alias gives to columns.
fn names(alias: &TableAlias) -> Vec<String> {
    alias.columns.iter().map(|column| normal(&column.name)).collect()
}

/// The name of the column that an expression is.
fn name_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(normal(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(normal),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::planner::parse_one;

    fn counted(sql: &str) -> (u64, u64) {
        let counter = Counter::of(&parse_one(sql).unwrap());
        (counter.relations, counter.terms)
    }

    /// `levels` common table expressions, each of which is made of the one before by a query in which `$` stands for it.
    fn chain(levels: usize, query: &str, end: &str) -> String {
        let more: Vec<String> = (1..=levels)
            .map(|level| {
                format!("c{level} AS ({})", query.replace('$', &format!("c{}", level - 1)))
            })
            .collect();
        format!(
            "WITH c0 AS (SELECT x FROM t), {} {}",
            more.join(", "),
            end.replace('$', &format!("c{levels}"))
        )
    }

    #[test]
    fn expressions_count_as_often_as_they_are_named() {
        for (sql, relations) in [
            ("SELECT 1", 0),
            ("SELECT * FROM a, b JOIN c ON true", 3),
            (
                "SELECT (SELECT max(x) FROM a) FROM (SELECT * FROM b, b) s WHERE x IN (SELECT y FROM c)",
                4,
            ),
            ("SELECT x FROM a UNION ALL SELECT x FROM b", 2),
            ("WITH c AS (SELECT * FROM a, b) SELECT * FROM c, c, d", 5),
            ("WITH c AS (SELECT * FROM a), C2 AS (SELECT * FROM C, c) SELECT * FROM c2, c2", 4),
            ("WITH c AS (SELECT * FROM a, b) SELECT * FROM s.c, \"C\"", 2),
            // The name of an outer one, and a name that is not known yet.
            (
                "WITH c AS (SELECT * FROM a, b) SELECT * FROM (WITH d AS (SELECT * FROM c) SELECT * FROM d, c) s",
                4,
            ),
            ("WITH c AS (SELECT * FROM c) SELECT * FROM c, c", 2),
            ("WITH c AS (SELECT * FROM d, d), d AS (SELECT * FROM a) SELECT * FROM c", 2),
            // An inner one hides an outer one of its name.
            (
                "WITH c AS (SELECT * FROM a, a, a) SELECT * FROM (WITH c AS (SELECT * FROM b) SELECT * FROM c) s",
                3,
            ),
            (
                "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT * FROM r, r, a) SELECT * FROM r, r",
                6,
            ),
            ("WITH unused AS (SELECT * FROM a, b, c, d) SELECT * FROM e", 4),
        ] {
            assert_eq!(counted(sql).0, relations, "{sql}");
        }
        assert_eq!(counted(&chain(40, "SELECT a.x FROM $ a, $ b", "SELECT * FROM $")).0, 1 << 40);
        assert_eq!(counted(&chain(90, "SELECT a.x FROM $ a, $ b", "SELECT * FROM $")).0, u64::MAX);
    }

    #[test]
    fn columns_count_as_often_as_they_are_named() {
        for (sql, terms) in [
            ("SELECT 1", 0),
            ("SELECT x + x * y FROM a WHERE x > 1 AND a.y > x", 3),
            ("SELECT z FROM (SELECT x + x AS z, y FROM a) s WHERE z + z + y > 1", 5),
            ("WITH c AS (SELECT x + x AS z FROM a) SELECT z FROM c d WHERE d.z > 1", 2),
            ("WITH c(w) AS (SELECT x + x + x FROM a) SELECT * FROM c WHERE w > 1", 3),
            ("SELECT * FROM (SELECT x + x AS z FROM a) s(w) WHERE w > 1", 2),
            (
                "WITH c AS (SELECT x FROM a UNION ALL SELECT y + y FROM a) SELECT * FROM c WHERE x > 1",
                2,
            ),
            (
                "WITH c AS ((SELECT x + x AS x FROM a) UNION (SELECT y FROM a)) SELECT * FROM c WHERE x + x > 1",
                4,
            ),
            ("SELECT * FROM (SELECT abs(x + x) FROM a) s WHERE abs > 1", 2),
        ] {
            assert_eq!(counted(sql).1, terms, "{sql}");
        }
        let doubled = chain(40, "SELECT x + x AS x FROM $", "SELECT * FROM $ WHERE x > 1");
        assert_eq!(counted(&doubled).1, 1 << 40);
        // Columns that are handed on stay what they are.
        let handed_on = chain(40, "SELECT * FROM $ WHERE x > 1 OR x < 0", "SELECT x FROM $");
        assert_eq!(counted(&handed_on).1, 2);
    }

    #[test]
    fn doubling_is_refused_before_anything_is_planned() {
        let joined = |levels| chain(levels, "SELECT a.x FROM $ a, $ b", "SELECT * FROM $");
        let added =
            |levels| chain(levels, "SELECT x + x AS x FROM $", "SELECT * FROM $ WHERE x > 1");
        let nested =
            |levels| (1..levels).fold("SELECT 1".to_owned(), |sql, _| format!("SELECT ({sql})"));
        for (sql, refused) in [
            (joined(9), false),
            (joined(10), true),
            (added(16), false),
            (added(20), true),
            (nested(17), false),
            (nested(18), true),
            (nested(18).replace("SELECT (", "SELECT 1 WHERE EXISTS ("), true),
            (nested(18).replace("SELECT (", "SELECT 1 WHERE 1 IN ("), true),
        ] {
            match check(&parse_one(&sql).unwrap()) {
                Ok(()) => assert!(!refused, "{sql}"),
                Err(error) => assert!(refused && error.sqlstate() == "54001", "{sql}: {error}"),
            }
        }
    }
}
