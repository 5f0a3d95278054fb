//! Aggregates of a query further out in a subquery of it: `SELECT city, (SELECT count(*) FROM t WHERE t.n < max(p.n)) FROM p
//! GROUP BY city`.
//!
//! PostgreSQL takes an aggregate for one of the innermost query that it names a column of. Where that is one further out than the
//! one that it stands in, that query becomes two: one in `FROM` that groups, whose columns are what it groups by and all
//! aggregates, and around it the one that chooses groups, shows and orders them, whose subqueries name those columns.

mod open;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, GroupByExpr, Ident, OrderBy, OrderByKind, Query, Select,
    SelectItem, SetExpr, Spanned, Statement, TableFactor, TableWithJoins, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use self::open::{Level, Open, Reads, name_of};
use super::alone::has_column;
use super::expressions::{self, take};
use super::made::bare;
use super::{columns, dependent, normal};
use crate::error::{Error, Result};
use crate::query::postgres::diagnosis::{Misplaced, is_aggregate};
use crate::query::postgres::facts::SessionFacts;
use crate::query::syntax::outside;

/// What columns of the query that groups are called where they are no columns of relations: no text of a statement has such
/// names.
const AGGREGATE: &str = "\u{1}aggregate ";
const GROUP: &str = "\u{1}group ";

/// Splits the queries whose aggregates stand in subqueries of them.
///
/// # Errors
/// SQLSTATE 42803 for such aggregates in clauses that take none, and 0A000 for those that cannot be moved.
pub(super) fn split(statement: &mut Statement, facts: &SessionFacts) -> Result<()> {
    if statement.visit(&mut Candidates { subqueries: 0 }).is_continue() {
        return Ok(());
    }
    match statement.visit(&mut Levels { open: Open::new(facts), made: 0 }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Looks for aggregates of columns in subqueries of expressions.
struct Candidates {
    subqueries: usize,
}

impl VisitorMut for Candidates {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.subqueries > 0 && is_aggregate(expr) && has_column(expr) {
            return ControlFlow::Break(());
        }
        self.subqueries += usize::from(holds_query(expr));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.subqueries -= usize::from(holds_query(expr));
        ControlFlow::Continue(())
    }
}

fn holds_query(expr: &Expr) -> bool {
    match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => true,
        Expr::Function(Function { args, .. }) => matches!(args, FunctionArguments::Subquery(_)),
        _ => false,
    }
}

struct Levels<'a> {
    open: Open<'a>,
    /// How many columns were made.
    made: usize,
}

impl VisitorMut for Levels<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.open.bring(query);
        match self.body(&mut query.body, query.order_by.as_mut()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.open.drop_ctes();
        ControlFlow::Continue(())
    }
}

impl Levels<'_> {
    fn body(&mut self, body: &mut SetExpr, order: Option<&mut OrderBy>) -> Result<()> {
        match body {
            SetExpr::Select(select) => self.select(select, order),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, None)?;
                self.body(right, None)
            }
            _ => Ok(()),
        }
    }

    /// Splits a select if subqueries of it have aggregates of it.
    fn select(&mut self, select: &mut Select, mut order: Option<&mut OrderBy>) -> Result<()> {
        self.open.begin(select);
        check_clauses(select, &mut self.open)?;
        // A subquery is called like what it shows, which may be an aggregate.
        let names: Vec<Option<String>> = select.projection.iter().map(columns::name_of).collect();
        let mut made = Made { first: self.made, aggregates: vec![] };
        let mut place = None;
        let moved =
            shown(select, order.as_deref_mut(), &names, &mut self.open, |expr, open, in_one| {
                if open.depth() == 0 || !is_aggregate(expr) || !open.is_of_first(expr) {
                    return ControlFlow::Continue(());
                }
                if in_one {
                    return ControlFlow::Break(Misplaced::Aggregate.at(called(expr)));
                }
                place.get_or_insert_with(|| called(expr));
                *expr = made.column(take(expr));
                ControlFlow::Continue(())
            });
        if let ControlFlow::Break(error) = moved {
            return Err(error);
        }
        let Some(place) = place else { return Ok(()) };
        dependent::group(select, order.as_deref(), &self.open.scope());
        let groups = match (names.iter().all(Option::is_some), self.open.first()) {
            (true, Some(reads)) => Groups::of(select, reads),
            _ => None,
        };
        let Some(groups) = groups else { return Err(Misplaced::FurtherOut.at(place)) };
        let settled = shown(select, order, &names, &mut self.open, |expr, open, _| {
            // Subqueries can name columns that are grouped by, and nothing else.
            let own = open.first().filter(|_| open.depth() == 0);
            if let Some(column) = own.and_then(|reads| groups.made_of(expr, reads)) {
                *expr = column;
            } else if own.is_some() && is_aggregate(expr) {
                *expr = made.column(take(expr));
            } else if let Some(error) = groups.ungrouped(expr, open) {
                return ControlFlow::Break(error);
            }
            ControlFlow::Continue(())
        });
        if let ControlFlow::Break(error) = settled {
            return Err(error);
        }
        self.made += made.aggregates.len();
        for (item, name) in select.projection.iter_mut().zip(names) {
            if let (SelectItem::UnnamedExpr(expr), Some(name)) = (&mut *item, name)
                && name_of(expr).is_none_or(is_made)
            {
                let alias = Ident::with_quote('"', name);
                *item = SelectItem::ExprWithAlias { expr: take(expr), alias };
            }
        }
        put_around(select, groups.items().chain(made.items()).collect());
        Ok(())
    }
}

/// Refuses such aggregates where the select takes none.
fn check_clauses(select: &mut Select, open: &mut Open<'_>) -> Result<()> {
    let found = within(&mut select.selection, open, |expr, open, _| {
        match open.depth() > 0 && is_aggregate(expr) && open.is_of_first(expr) {
            true => ControlFlow::Break(Misplaced::Where.at(called(expr))),
            false => ControlFlow::Continue(()),
        }
    });
    match found {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn within(
    part: &mut impl VisitMut,
    open: &mut Open<'_>,
    act: impl FnMut(&mut Expr, &mut Open<'_>, bool) -> ControlFlow<Error>,
) -> ControlFlow<Error> {
    part.visit(&mut Within { open, aggregates: 0, act })
}

/// Shows `act` what a select makes of its groups, and what it orders them by: not the names of its columns there.
fn shown(
    select: &mut Select,
    order: Option<&mut OrderBy>,
    names: &[Option<String>],
    open: &mut Open<'_>,
    act: impl FnMut(&mut Expr, &mut Open<'_>, bool) -> ControlFlow<Error>,
) -> ControlFlow<Error> {
    let mut within = Within { open, aggregates: 0, act };
    select.distinct.visit(&mut within)?;
    select.projection.visit(&mut within)?;
    select.having.visit(&mut within)?;
    select.named_window.visit(&mut within)?;
    let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = order else {
        return ControlFlow::Continue(());
    };
    for by in order {
        let is_name = matches!(&by.expr, Expr::Identifier(ident)
            if names.iter().flatten().any(|name| *name == normal(ident)));
        if !is_name {
            by.expr.visit(&mut within)?;
        }
    }
    ControlFlow::Continue(())
}

/// Shows `act` each expression, with the queries that are open around it and whether it stands in an aggregate of the outermost.
struct Within<'o, 'a, F> {
    open: &'o mut Open<'a>,
    /// How many aggregates of the outermost are open.
    aggregates: usize,
    act: F,
}

impl<F> VisitorMut for Within<'_, '_, F>
where
    F: FnMut(&mut Expr, &mut Open<'_>, bool) -> ControlFlow<Error>,
{
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.open.enter_query(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.open.leave_query();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        self.open.enter_select(select);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<Error> {
        self.open.leave_select();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        (self.act)(expr, self.open, self.aggregates > 0)?;
        self.aggregates += usize::from(self.open.depth() == 0 && is_aggregate(expr));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        self.aggregates -= usize::from(self.open.depth() == 0 && is_aggregate(expr));
        ControlFlow::Continue(())
    }
}

/// Where the name of a call stands.
fn called(expr: &Expr) -> Span {
    match expr {
        Expr::Function(function) => function.name.span(),
        other => other.span(),
    }
}

fn column(name: String) -> Expr {
    Expr::Identifier(Ident::with_quote('"', name))
}

/// Tells whether a column is one of those that are made here.
fn is_made(name: &[Ident]) -> bool {
    name.last().is_some_and(|name| name.value.starts_with('\u{1}'))
}

/// The aggregates that become columns.
struct Made {
    /// The number of the first.
    first: usize,
    aggregates: Vec<Expr>,
}

impl Made {
    fn name(&self, at: usize) -> String {
        format!("{AGGREGATE}{}", self.first + at)
    }

    /// The column of an aggregate.
    fn column(&mut self, aggregate: Expr) -> Expr {
        let at = self.aggregates.iter().position(|known| *known == aggregate);
        let at = at.unwrap_or_else(|| {
            self.aggregates.push(aggregate);
            self.aggregates.len() - 1
        });
        column(self.name(at))
    }

    fn items(&self) -> impl Iterator<Item = SelectItem> {
        self.aggregates.iter().enumerate().map(|(at, aggregate)| SelectItem::ExprWithAlias {
            expr: aggregate.clone(),
            alias: Ident::with_quote('"', self.name(at)),
        })
    }
}

/// What a select is grouped by.
#[derive(Default)]
struct Groups {
    /// Columns as they are written.
    columns: Vec<Expr>,
    /// All else, as it is written and with the relations of its columns.
    others: Vec<(Expr, Expr)>,
}

impl Groups {
    /// Puts what positions and names of columns stand for into the groups of a select, and collects them; `None` where that
    /// cannot be told.
    fn of(select: &mut Select, reads: &Reads) -> Option<Self> {
        let mut groups = Groups::default();
        let Select { projection, group_by: GroupByExpr::Expressions(by, _), .. } = select else {
            return None;
        };
        for by in by {
            match by {
                Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => {
                    for member in sets.iter_mut().flatten() {
                        groups.take(member, projection, reads)?;
                    }
                }
                one => groups.take(one, projection, reads)?,
            }
        }
        Some(groups)
    }

    fn take(&mut self, by: &mut Expr, projection: &[SelectItem], reads: &Reads) -> Option<()> {
        if let Expr::Tuple(members) = by {
            return members.iter_mut().try_for_each(|by| self.take(by, projection, reads));
        }
        let meant = dependent::meant(by, projection);
        let named = projection.iter().find_map(|item| match (meant, item) {
            (Expr::Identifier(name), SelectItem::ExprWithAlias { expr, alias })
                if normal(name) == normal(alias) =>
            {
                Some((name, expr))
            }
            _ => None,
        });
        let meant = match named {
            // A column of a relation is meant before one of the select list.
            Some((name, expr)) if !reads.has(std::slice::from_ref(name))? => expr,
            _ => meant,
        };
        let meant = bare(meant).clone();
        match name_of(&meant) {
            Some(name) if self.has(name) => {}
            Some(_) => self.columns.push(meant.clone()),
            None => {
                let whole = with_relations(meant.clone(), reads);
                if self.others.iter().all(|(_, known)| *known != whole) {
                    self.others.push((meant.clone(), whole));
                }
            }
        }
        *by = meant;
        Some(())
    }

    /// Tells whether a column is one of those that are grouped by.
    fn has(&self, name: &[Ident]) -> bool {
        let is_same = |known: &[Ident]| match (known, name) {
            ([.., of, known], [.., relation, name]) => {
                normal(of) == normal(relation) && normal(known) == normal(name)
            }
            _ => known.last().map(normal) == name.last().map(normal),
        };
        self.columns.iter().filter_map(name_of).any(is_same)
    }

    /// The column of an expression that is grouped by, unless it is one of a relation.
    fn made_of(&self, expr: &Expr, reads: &Reads) -> Option<Expr> {
        if self.others.is_empty() || matches!(expr, Expr::Value(_)) || name_of(expr).is_some() {
            return None;
        }
        let whole = with_relations(expr.clone(), reads);
        let at = self.others.iter().position(|(_, known)| *known == whole)?;
        Some(column(format!("{GROUP}{at}")))
    }

    /// What is wrong with a column that is not grouped by.
    fn ungrouped(&self, expr: &Expr, open: &Open<'_>) -> Option<Error> {
        let name = name_of(expr)?;
        // In the order of a subquery a name may be that of one of its own columns.
        let is_told = open.depth() == 0 || name.len() > 1;
        if !is_told || open.level(name) != Level::At(0) || self.has(name) {
            return None;
        }
        let mut parts: Vec<String> = name.iter().map(normal).collect();
        if let [column] = parts.as_slice()
            && let Some(relation) = open.first().and_then(|reads| reads.relation_of(column))
        {
            parts.insert(0, relation.to_owned());
        }
        let name = parts.join(".");
        Some(match open.depth() {
            0 => Misplaced::Ungrouped(name).at(expr.span()),
            _ => Misplaced::UngroupedWithin(name).at(expr.span()),
        })
    }

    fn items(&self) -> impl Iterator<Item = SelectItem> {
        let named = |(at, (expr, _)): (usize, &(Expr, Expr))| SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::with_quote('"', format!("{GROUP}{at}")),
        };
        let columns = self.columns.iter().cloned().map(SelectItem::UnnamedExpr);
        columns.chain(self.others.iter().enumerate().map(named))
    }
}

/// An expression whose columns are named with the relations that have them.
fn with_relations(mut expr: Expr, reads: &Reads) -> Expr {
    let quoted = |name: &str| Ident::with_quote('"', name);
    let _ = outside::change(&mut expr, |part| {
        let of = match &*part {
            Expr::Identifier(name) => reads.relation_of(&normal(name)).map(quoted),
            Expr::CompoundIdentifier(names) => names.iter().rev().nth(1).cloned(),
            _ => None,
        };
        if let (Some(of), Some(name)) = (of, name_of(part).and_then(<[Ident]>::last)) {
            *part = Expr::CompoundIdentifier(vec![quoted(&normal(&of)), quoted(&normal(name))]);
        }
        ControlFlow::<()>::Continue(())
    });
    expr
}

/// Puts the groups of a select into a query in its `FROM` that shows these items.
fn put_around(select: &mut Select, items: Vec<SelectItem>) {
    let mut grouped = select.clone();
    grouped.projection = items;
    (grouped.distinct, grouped.having, grouped.into) = (None, None, None);
    grouped.named_window.clear();
    let mut query = expressions::select(vec![]);
    *query.body = SetExpr::Select(Box::new(grouped));
    // Without a name of its own, the columns of relations keep theirs.
    let (lateral, subquery, alias, sample) = (false, Box::new(query), None, None);
    let relation = TableFactor::Derived { lateral, subquery, alias, sample };
    select.from = vec![TableWithJoins { relation, joins: vec![] }];
    select.selection = select.having.take();
    select.group_by = GroupByExpr::Expressions(vec![], vec![]);
}
