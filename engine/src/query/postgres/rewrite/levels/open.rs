//! The selects that are open around a place of a statement, and which of them a column is of.

use std::cell::Cell;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, Select, SetExpr, Visit, Visitor};

use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::rewrite::scope::{Cte, Given, Scope};
use crate::query::postgres::rewrite::{NAMES_MAX, normal, relation_names};

/// What a select reads.
pub(super) struct Reads {
    /// What its relations are called.
    relations: Vec<String>,
    /// Those with their columns; `None` where these are not known.
    given: Option<Vec<Given>>,
}

impl Reads {
    fn of(select: &Select, scope: &Scope<'_>) -> Self {
        let factors = select.from.iter().flat_map(|from| {
            std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
        });
        let relations = factors.flat_map(relation_names).collect();
        Reads { relations, given: scope.relations(select) }
    }

    /// Tells whether a name is that of a column here, or of a relation as a whole; `None` where that is not known.
    pub(super) fn has(&self, name: &[Ident]) -> Option<bool> {
        match name {
            [name] => {
                let name = normal(name);
                let mut given = self.given.as_ref()?.iter();
                let is_column = given.any(|given| given.columns.contains(&name));
                Some(is_column || self.relations.contains(&name))
            }
            [.., relation, _] => Some(self.relations.contains(&normal(relation))),
            [] => Some(false),
        }
    }

    /// The one relation that has a column of this name.
    pub(super) fn relation_of(&self, column: &str) -> Option<&str> {
        let has = |given: &&Given| given.columns.iter().any(|name| name == column);
        let mut having = self.given.as_ref()?.iter().filter(has);
        match (having.next(), having.next()) {
            (Some(given), None) => Some(&given.name),
            _ => None,
        }
    }
}

/// Why something is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is a query of one select, whose order names what that reads.
    OfSelect,
    /// It is a query of several selects, or of none.
    OfOthers,
    /// It is one of several selects.
    Select,
}

/// Which of the selects that are open a column is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// The outermost is the first.
    At(usize),
    /// One that is not among them, or none.
    Further,
    Unknown,
}

/// A select, and those within it that are open.
pub(super) struct Open<'a> {
    facts: &'a SessionFacts,
    /// Common table expressions that are in scope, one list for each query that is open.
    ctes: Vec<Vec<Cte>>,
    frames: Vec<(Kind, Reads)>,
    /// How many names of columns may still be looked up.
    names_left: Cell<usize>,
}

impl<'a> Open<'a> {
    pub(super) fn new(facts: &'a SessionFacts) -> Self {
        Open { facts, ctes: vec![], frames: vec![], names_left: Cell::new(NAMES_MAX) }
    }

    pub(super) fn scope(&self) -> Scope<'_> {
        Scope { facts: self.facts, ctes: &self.ctes, names_left: &self.names_left }
    }

    /// Brings the common table expressions of a query into scope.
    pub(super) fn bring(&mut self, query: &Query) {
        self.ctes.push(Vec::new());
        let Some(with) = &query.with else { return };
        for at in 0..with.cte_tables.len() {
            let cte = self.scope().cte(with, at);
            if let Some(open) = self.ctes.last_mut() {
                open.push(cte);
            }
        }
    }

    /// Takes those of the innermost query out of it.
    pub(super) fn drop_ctes(&mut self) {
        self.ctes.pop();
    }

    /// Opens the outermost select, which is that of a query whose common table expressions are in scope.
    pub(super) fn begin(&mut self, select: &Select) {
        let reads = Reads::of(select, &self.scope());
        self.frames = vec![(Kind::OfSelect, reads)];
    }

    pub(super) fn enter_query(&mut self, query: &Query) {
        self.bring(query);
        let frame = match query.body.as_ref() {
            SetExpr::Select(select) => (Kind::OfSelect, Reads::of(select, &self.scope())),
            _ => (Kind::OfOthers, Reads { relations: vec![], given: Some(vec![]) }),
        };
        self.frames.push(frame);
    }

    pub(super) fn leave_query(&mut self) {
        self.frames.pop();
        self.drop_ctes();
    }

    pub(super) fn enter_select(&mut self, select: &Select) {
        // The only one of a query is open already.
        if !matches!(self.frames.last(), Some((Kind::OfSelect, _))) {
            let reads = Reads::of(select, &self.scope());
            self.frames.push((Kind::Select, reads));
        }
    }

    pub(super) fn leave_select(&mut self) {
        self.frames.pop_if(|(kind, _)| *kind == Kind::Select);
    }

    /// How many queries are open within the outermost select.
    pub(super) fn depth(&self) -> usize {
        self.frames.len().saturating_sub(1)
    }

    /// What the outermost select reads.
    pub(super) fn first(&self) -> Option<&Reads> {
        self.frames.first().map(|(_, reads)| reads)
    }

    pub(super) fn level(&self, name: &[Ident]) -> Level {
        for (at, (_, reads)) in self.frames.iter().enumerate().rev() {
            match reads.has(name) {
                Some(true) => return Level::At(at),
                Some(false) => {}
                None => return Level::Unknown,
            }
        }
        Level::Further
    }

    /// Tells whether an expression names columns of the outermost select, and none of those within it that are open.
    pub(super) fn is_of_first(&mut self, expr: &Expr) -> bool {
        let depth = self.depth();
        let mut columns = Columns { open: self, depth, innermost: None, known: true };
        // The visitor never breaks off.
        let _ = expr.visit(&mut columns);
        columns.known && columns.innermost == Some(0)
    }
}

/// The name of a column.
pub(super) fn name_of(expr: &Expr) -> Option<&[Ident]> {
    match expr {
        Expr::Identifier(ident) => Some(std::slice::from_ref(ident)),
        Expr::CompoundIdentifier(idents) => Some(idents),
        _ => None,
    }
}

/// Looks for the innermost select whose columns an expression names; those of queries within the expression do not count.
struct Columns<'o, 'a> {
    open: &'o mut Open<'a>,
    /// How many queries are open around the expression.
    depth: usize,
    innermost: Option<usize>,
    known: bool,
}

impl Visitor for Columns<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.open.enter_query(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.open.leave_query();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.open.enter_select(select);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &Select) -> ControlFlow<()> {
        self.open.leave_select();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Some(name) = name_of(expr) {
            match self.open.level(name) {
                Level::At(at) if at <= self.depth => self.innermost = self.innermost.max(Some(at)),
                Level::At(_) | Level::Further => {}
                Level::Unknown => self.known = false,
            }
        }
        ControlFlow::Continue(())
    }
}
