//! Views whose relations get other names for their columns: a view goes on to read what it has read, and its own columns keep
//! their names.
//!
//! A relation that is read in `FROM` becomes a query there that shows it under the names of before, so that nothing else of the
//! view changes, whatever names a column: a star, `USING` or an expression.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Statement, TableAlias, TableAliasColumnDef,
    TableFactor, Visit, VisitMut, Visitor, VisitorMut, visit_expressions,
};

use super::scope::constraint;
use super::{normal, parts};
use crate::error::Result;
use crate::query::planner::parse_one;

/// A column of a relation that gets another name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RenamedColumn<'a> {
    /// The schema of the relation.
    pub(crate) schema: &'a str,
    /// Its name.
    pub(crate) relation: &'a str,
    /// Its columns, as they are called before.
    pub(crate) columns: &'a [String],
    /// Those of them that the view reads.
    pub(crate) read: &'a [String],
    /// The column.
    pub(crate) from: &'a str,
    /// What it is called then.
    pub(crate) to: &'a str,
}

/// Lets the query of a view, in which relations have their schemas, read a relation whose column has another name.
///
/// # Errors
/// If what comes of it cannot be read.
pub(crate) fn follow_column(statement: &mut Statement, renamed: RenamedColumn<'_>) -> Result<()> {
    let mut named = vec![];
    // Nothing breaks it off.
    let _: ControlFlow<()> = visit_expressions(&*statement, |expr| {
        if let Expr::Identifier(name) = expr {
            named.push(normal(name));
        }
        ControlFlow::Continue(())
    });
    let mut follower = Follower { renamed, named, spared: false };
    match VisitMut::visit(statement, &mut follower) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Tells whether a query names columns of a relation by none of their names: by a star, or a `NATURAL` join.
pub(crate) fn has_star(statement: &Statement) -> bool {
    // What is found breaks it off.
    Visit::visit(statement, &mut Stars).is_break()
}

struct Stars;

impl Visitor for Stars {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let is_star = |item: &SelectItem| {
            matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
        };
        let mut joins = select.from.iter().flat_map(|from| &from.joins);
        let is_natural = joins
            .any(|join| matches!(constraint(&join.join_operator), Some(JoinConstraint::Natural)));
        match is_natural || select.projection.iter().any(is_star) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// Tells whether a query has one of these names with no relation before it: it means another column, or two, once a relation has
/// one of that name.
pub(crate) fn names_alone(statement: &Statement, names: &[&str]) -> bool {
    // What is found breaks it off.
    Visit::visit(statement, &mut Alone { names }).is_break()
}

struct Alone<'a> {
    names: &'a [&'a str],
}

impl Alone<'_> {
    fn has(&self, name: &str) -> ControlFlow<()> {
        match self.names.contains(&name) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for Alone<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => self.has(&normal(name)),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for join in select.from.iter().flat_map(|from| &from.joins) {
            if let Some(JoinConstraint::Using(columns)) = constraint(&join.join_operator) {
                let mut names = columns.iter().filter_map(|column| parts(column).pop());
                names.try_for_each(|name| self.has(&name))?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// Returns the query of a view whose columns are called `columns`.
///
/// # Errors
/// If the query cannot be read.
pub(crate) fn with_columns(query: &str, columns: &[&str]) -> Result<String> {
    let mut statement = parse_one(query)?;
    if let Some(alias) = named_as_a_whole(&mut statement)
        && alias.columns.len() == columns.len()
    {
        alias.columns = columns.iter().map(|name| defined(name)).collect();
        return Ok(statement.to_string());
    }
    let columns: Vec<String> = columns.iter().map(|name| quoted(name).to_string()).collect();
    Ok(format!("SELECT * FROM ({query}) AS renamed ({})", columns.join(", ")))
}

/// Returns the names that a query gives to all columns of the query which it is made of, if it does nothing else.
fn named_as_a_whole(statement: &mut Statement) -> Option<&mut TableAlias> {
    let Statement::Query(query) = statement else { return None };
    let whole = query.to_string();
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let [from] = select.from.as_mut_slice() else { return None };
    if whole != format!("SELECT * FROM {from}") || !from.joins.is_empty() {
        return None;
    }
    match &mut from.relation {
        TableFactor::Derived { alias, .. } => alias.as_mut(),
        _ => None,
    }
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

fn defined(name: &str) -> TableAliasColumnDef {
    TableAliasColumnDef { name: quoted(name), data_type: None }
}

struct Follower<'a> {
    renamed: RenamedColumn<'a>,
    /// Names that stand alone in the statement.
    named: Vec<String>,
    /// Whether the next relation of a `FROM` follows already.
    spared: bool,
}

impl Follower<'_> {
    fn is_meant(&self, names: &[String]) -> bool {
        let RenamedColumn { schema: own, relation, .. } = self.renamed;
        matches!(names, [.., schema, table] if schema == own && table == relation)
    }

    /// Renames the column in a query that shows columns of the relation and does nothing else. Returns whether it is one.
    fn follow_plain(&self, query: &mut Query) -> bool {
        let is_alone = query.with.is_none() && query.order_by.is_none();
        let SetExpr::Select(select) = query.body.as_mut() else { return false };
        if !is_alone || !self.is_plain(select) {
            return false;
        }
        for item in &mut select.projection {
            let (mut expr, alias) = match &*item {
                SelectItem::UnnamedExpr(expr) => (expr.clone(), None),
                SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), Some(alias.clone())),
                _ => continue,
            };
            let name = match &mut expr {
                Expr::Identifier(name) => name,
                Expr::CompoundIdentifier(names) => match names.last_mut() {
                    Some(name) => name,
                    None => continue,
                },
                _ => continue,
            };
            if normal(name) != self.renamed.from {
                continue;
            }
            *name = quoted(self.renamed.to);
            let alias = alias.unwrap_or_else(|| quoted(self.renamed.from));
            *item = match normal(&alias) == self.renamed.to {
                true => SelectItem::UnnamedExpr(expr),
                false => SelectItem::ExprWithAlias { expr, alias },
            };
        }
        true
    }

    fn is_plain(&self, select: &Select) -> bool {
        let [from] = select.from.as_slice() else { return false };
        let TableFactor::Table { name, alias, args: None, .. } = &from.relation else {
            return false;
        };
        let own = alias.as_ref().map(|alias| normal(&alias.name)).or_else(|| parts(name).pop());
        let is_column = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                // A name of the whole row would be shown under another one, and a query around may have a column of that name.
                match expr {
                    Expr::Identifier(name) => self.renamed.columns.contains(&normal(name)),
                    Expr::CompoundIdentifier(names) => {
                        matches!(names.as_slice(), [of, _] if own.as_ref() == Some(&normal(of)))
                    }
                    _ => false,
                }
            }
            _ => false,
        };
        if !from.joins.is_empty()
            || !self.is_meant(&parts(name))
            || alias.as_ref().is_some_and(|alias| !alias.columns.is_empty())
            || !select.projection.iter().all(is_column)
        {
            return false;
        }
        let shown: Vec<String> = select.projection.iter().map(SelectItem::to_string).collect();
        select.to_string() == format!("SELECT {} FROM {from}", shown.join(", "))
    }

    /// Returns the relation of a `FROM` under the names of before.
    fn as_before(&self, factor: &TableFactor) -> Result<Option<TableFactor>> {
        let mut inner = factor.clone();
        let TableFactor::Table { name, alias, args: None, .. } = &mut inner else {
            return Ok(None);
        };
        if !self.is_meant(&parts(name)) {
            return Ok(None);
        }
        let RenamedColumn { relation, columns, read, from, to, .. } = self.renamed;
        let alias = alias.take().unwrap_or_else(|| TableAlias {
            explicit: true,
            name: quoted(relation),
            columns: vec![],
            at: None,
        });
        // Names by their places, and rows as a whole, mean all columns.
        let called = normal(&alias.name);
        let is_whole = !columns.contains(&called) && self.named.contains(&called);
        let means_all = is_whole || !alias.columns.is_empty();
        let shown = columns.iter().filter(|column| means_all || read.contains(column));
        let shown = shown.map(|column| match column == from {
            true => format!("{} AS {}", quoted(to), quoted(from)),
            false => quoted(column).to_string(),
        });
        let shown: Vec<String> = shown.collect();
        let text = format!("SELECT {} FROM {inner}", shown.join(", "));
        let Statement::Query(subquery) = parse_one(&text)? else { return Ok(None) };
        let (lateral, alias, sample) = (false, Some(alias), None);
        Ok(Some(TableFactor::Derived { lateral, subquery, alias, sample }))
    }
}

impl VisitorMut for Follower<'_> {
    type Break = crate::error::Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.spared |= self.follow_plain(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                _,
            ) = item
                && self.is_meant(&parts(name))
            {
                *name = ObjectName::from(vec![quoted(self.renamed.relation)]);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::CompoundIdentifier(idents) = expr
            && let [relation @ .., _] = idents.as_slice()
            && self.is_meant(&relation.iter().map(normal).collect::<Vec<_>>())
        {
            idents.drain(..idents.len() - 2);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        if std::mem::take(&mut self.spared) {
            return ControlFlow::Continue(());
        }
        match self.as_before(factor) {
            Ok(Some(before)) => *factor = before,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(sql: &str, from: &str, to: &str) -> String {
        let columns = ["id", "name", "c"].map(str::to_owned);
        let read = ["id", from].map(str::to_owned);
        let mut statement = parse_one(sql).unwrap();
        let (schema, relation) = ("s", "t");
        let renamed = RenamedColumn { schema, relation, columns: &columns, read: &read, from, to };
        follow_column(&mut statement, renamed).unwrap();
        statement.to_string()
    }

    #[test]
    fn views_read_columns_that_have_other_names() {
        for (sql, expected) in [
            ("SELECT id, name FROM s.t", "SELECT id, \"title\" AS \"name\" FROM s.t"),
            ("SELECT t.name AS title, id AS n FROM s.t", "SELECT t.\"title\", id AS n FROM s.t"),
            (
                "SELECT name FROM s.t WHERE id > 5",
                "SELECT name FROM (SELECT \"id\", \"title\" AS \"name\" FROM s.t) AS \"t\" WHERE id > 5",
            ),
            (
                "SELECT s.t.name, s.t.* FROM s.t JOIN r.t AS x USING (id)",
                "SELECT t.name, \"t\".* FROM (SELECT \"id\", \"title\" AS \"name\" FROM s.t) AS \"t\" JOIN r.t AS x USING(id)",
            ),
            (
                "SELECT q FROM s.t AS x (p, q)",
                "SELECT q FROM (SELECT \"id\", \"title\" AS \"name\", \"c\" FROM s.t) AS x (p, q)",
            ),
            (
                "SELECT row_to_json(t), name FROM s.t",
                "SELECT row_to_json(t), name FROM (SELECT \"id\", \"title\" AS \"name\", \"c\" FROM s.t) AS \"t\"",
            ),
            (
                "WITH t AS (SELECT name FROM s.t) SELECT name FROM t",
                "WITH t AS (SELECT \"title\" AS \"name\" FROM s.t) SELECT name FROM t",
            ),
            ("SELECT name FROM r.t", "SELECT name FROM r.t"),
            (
                "SELECT (SELECT o.name FROM s.t LIMIT 1) FROM r.u AS o",
                "SELECT (SELECT o.name FROM (SELECT \"id\", \"title\" AS \"name\" FROM s.t) AS \"t\" LIMIT 1) FROM r.u AS o",
            ),
        ] {
            assert_eq!(followed(sql, "name", "title"), expected, "{sql}");
        }
    }

    #[test]
    fn a_view_follows_again_without_another_query() {
        let once = followed("SELECT name FROM s.t WHERE id > 5", "name", "title");
        let mut statement = parse_one(&once).unwrap();
        let columns = ["id", "title", "c"].map(str::to_owned);
        let (schema, relation, from, to) = ("s", "t", "title", "name");
        let renamed =
            RenamedColumn { schema, relation, columns: &columns, read: &columns, from, to };
        follow_column(&mut statement, renamed).unwrap();
        let expected = "SELECT name FROM (SELECT \"id\", \"name\" FROM s.t) AS \"t\" WHERE id > 5";
        assert_eq!(statement.to_string(), expected);
    }

    #[test]
    fn stars_are_found_wherever_they_are() {
        for (sql, expected) in [
            ("SELECT a FROM t", false),
            ("SELECT count(*) FROM t", false),
            ("SELECT t.* FROM t", true),
            ("SELECT a FROM (SELECT * FROM t) AS s", true),
            ("SELECT a FROM t NATURAL JOIN u", true),
            ("SELECT a FROM t JOIN u USING (a)", false),
        ] {
            assert_eq!(has_star(&parse_one(sql).unwrap()), expected, "{sql}");
        }
    }

    #[test]
    fn names_that_another_column_may_take_are_found() {
        for (sql, expected) in [
            ("SELECT x FROM t, u", true),
            ("SELECT u.x FROM t, u", false),
            ("SELECT u.x AS x FROM t, u ORDER BY u.x", false),
            ("SELECT \"X\" FROM t, u", false),
            ("SELECT id FROM u WHERE EXISTS (SELECT 1 FROM t WHERE X = 5)", true),
            ("SELECT 1 FROM t JOIN v USING (id) JOIN u USING (x)", true),
            ("SELECT 1 FROM t JOIN u USING (id)", false),
        ] {
            assert_eq!(names_alone(&parse_one(sql).unwrap(), &["y", "x"]), expected, "{sql}");
        }
    }

    #[test]
    fn the_columns_of_a_view_are_named_in_one_place() {
        let once = with_columns("SELECT a, b FROM s.t", &["x", "B"]).unwrap();
        assert_eq!(once, "SELECT * FROM (SELECT a, b FROM s.t) AS renamed (\"x\", \"B\")");
        let twice = with_columns(&once, &["x", "y"]).unwrap();
        assert_eq!(twice, "SELECT * FROM (SELECT a, b FROM s.t) AS renamed (\"x\", \"y\")");
    }
}
