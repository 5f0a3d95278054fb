//! Relations further out that are called like a column here: `(SELECT count(*) FROM emp WHERE emp.dept = dept.id)` of a `dept`.
//!
//! PostgreSQL takes `x.y` for a column of a relation wherever there is a relation `x`. DataFusion looks among the columns of the
//! select before it looks further out, and takes `y` for a part of its column `x`. With a schema in front `x` is a relation.
//!
//! Within arrays that are written, `ARRAY[1, dept.id]`, DataFusion does not look further out at all: those become calls.

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectNamePart, Select, Statement, TableFactor, VisitMut, VisitorMut,
    visit_expressions,
};

use super::scope::Scope;
use super::{NAMES_MAX, arrays, normal, parts};
use crate::query::postgres::facts::SessionFacts;

/// The schema of a relation that has none, which any schema stands for: no column has such a name.
const NO_SCHEMA: &str = "\u{1}";

/// Puts a schema in front of such relations where columns of them are named.
pub(super) fn qualify(statement: &mut Statement, facts: &SessionFacts) {
    let mut names = OuterNames { facts, open: Vec::new(), names_left: Cell::new(NAMES_MAX) };
    // The visitor never breaks off.
    let _ = statement.visit(&mut names);
}

struct OuterNames<'a> {
    facts: &'a SessionFacts,
    /// The selects that are open, the outermost first.
    open: Vec<Open>,
    /// How many names of columns may still be looked up.
    names_left: Cell<usize>,
}

/// What a select reads.
#[derive(Default)]
struct Open {
    /// What its relations are called, and what stands in front of that in their names.
    relations: Vec<(String, Vec<Ident>)>,
    /// What their columns are called; `None` where that is not known, as with common table expressions.
    columns: Option<HashSet<String>>,
}

impl Open {
    fn of(select: &Select) -> Open {
        let mut open = Open::default();
        for from in &select.from {
            open.read(&from.relation);
            for join in &from.joins {
                open.read(&join.relation);
            }
        }
        open
    }

    fn read(&mut self, factor: &TableFactor) {
        let (own, alias) = match factor {
            TableFactor::NestedJoin { table_with_joins, alias } => {
                self.read(&table_with_joins.relation);
                for join in &table_with_joins.joins {
                    self.read(&join.relation);
                }
                (None, alias)
            }
            TableFactor::Table { name, alias, .. } => (Some(name), alias),
            TableFactor::Derived { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. } => (None, alias),
            _ => return,
        };
        let no_schema = vec![Ident::with_quote('"', NO_SCHEMA)];
        match (alias, own) {
            (Some(alias), _) => self.relations.push((normal(&alias.name), no_schema)),
            (None, Some(name)) => {
                let Some(last) = parts(name).pop() else { return };
                let idents = name.0.iter().filter_map(ObjectNamePart::as_ident).cloned();
                let mut before: Vec<Ident> = idents.collect();
                before.pop();
                self.relations.push((last, if before.is_empty() { no_schema } else { before }));
            }
            (None, None) => {}
        }
    }

    /// What stands in front of a relation in its name, if there is such a relation.
    fn before(&self, name: &str) -> Option<&[Ident]> {
        let found = self.relations.iter().find(|(relation, _)| relation == name);
        found.map(|(_, before)| before.as_slice())
    }

    fn may_have_column(&self, name: &str) -> bool {
        self.columns.as_ref().is_none_or(|columns| columns.contains(name))
    }

    /// Tells whether an expression names a column of what is further out.
    fn names_further(&self, around: &[Open], expr: &Expr) -> bool {
        let named = visit_expressions(expr, |part| {
            let is_further = match part {
                Expr::Identifier(column) => !self.may_have_column(&normal(column)),
                Expr::CompoundIdentifier(idents) => idents.first().is_some_and(|relation| {
                    let name = normal(relation);
                    self.before(&name).is_none()
                        && around.iter().any(|open| open.before(&name).is_some())
                }),
                _ => false,
            };
            if is_further { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        named.is_break()
    }
}

impl VisitorMut for OuterNames<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut open = Open::of(select);
        // Of the outermost nothing is further out.
        if !self.open.is_empty() {
            let scope = Scope { facts: self.facts, ctes: &[], names_left: &self.names_left };
            let known = scope.relations(select);
            let columns = known.map(|known| known.into_iter().flat_map(|given| given.columns));
            open.columns = columns.map(Iterator::collect);
        }
        self.open.push(open);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.open.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Some((here, around)) = self.open.split_last() else { return ControlFlow::Continue(()) };
        if matches!(expr, Expr::Array(_)) && here.names_further(around, expr) {
            arrays::call_for_columns(expr);
        }
        if let Expr::CompoundIdentifier(idents) = expr
            && let [relation, _] = idents.as_slice()
        {
            let name = normal(relation);
            if here.before(&name).is_none()
                && here.may_have_column(&name)
                && let Some(before) = around.iter().rev().find_map(|open| open.before(&name))
            {
                idents.splice(0..0, before.iter().cloned());
            }
        }
        ControlFlow::Continue(())
    }
}
