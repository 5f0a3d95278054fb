//! The expressions of a part of a statement outside of the queries in it, in which names may mean something else.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Visit, VisitMut, Visitor, VisitorMut};

/// Shows `act` each expression, before those that it is made of.
pub(crate) fn see<B>(
    part: &impl Visit,
    act: impl FnMut(&Expr) -> ControlFlow<B>,
) -> ControlFlow<B> {
    part.visit(&mut Outside { act, queries: 0 })
}

/// Lets `act` change each expression, after those that it is made of.
pub(crate) fn change<B>(
    part: &mut impl VisitMut,
    act: impl FnMut(&mut Expr) -> ControlFlow<B>,
) -> ControlFlow<B> {
    part.visit(&mut Outside { act, queries: 0 })
}

struct Outside<F> {
    act: F,
    /// How many queries are open.
    queries: usize,
}

impl<B, F: FnMut(&Expr) -> ControlFlow<B>> Visitor for Outside<F> {
    type Break = B;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<B> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<B> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<B> {
        if self.queries == 0 { (self.act)(expr) } else { ControlFlow::Continue(()) }
    }
}

impl<B, F: FnMut(&mut Expr) -> ControlFlow<B>> VisitorMut for Outside<F> {
    type Break = B;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<B> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<B> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<B> {
        if self.queries == 0 { (self.act)(expr) } else { ControlFlow::Continue(()) }
    }
}
