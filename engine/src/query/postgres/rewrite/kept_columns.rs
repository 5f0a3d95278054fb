//! Columns that a join merges and that are named with their relation: `SELECT id, a.id FROM a FULL JOIN b USING (id)`.
//!
//! The merged column has the name alone. Those that it is made of, and that are not the same as it, stay beside it by names that
//! no statement has, and are named so wherever the statement names them with their relation.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, OrderBy, Select, SelectItem, TableFactor, TableWithJoins, VisitMut,
    VisitorMut,
};

use super::expressions::take;
use super::joins::{Named, Side, merging, nest, relations};
use super::scope::{Scope, Shown};
use super::{columns, normal};
use crate::query::postgres::merged_joins::{Mark, hidden};

/// Columns of relations that a join merges.
struct Kept {
    relations: Vec<String>,
    columns: Vec<String>,
}

/// Marks such joins of a select, and renames the columns.
pub(super) fn rename(
    select: &mut Select,
    order: Option<&mut OrderBy>,
    named: &Named,
    scope: &Scope<'_>,
) {
    if !select.from.iter().any(has_merging) {
        return;
    }
    // What a star shows is known before the joins are marked.
    let mut projection = Vec::with_capacity(select.projection.len());
    for item in &select.projection {
        match scope.star(select, item) {
            None => projection.push(item.clone()),
            Some(Some(shown)) => projection.extend(shown.iter().map(written_out)),
            Some(None) => return,
        }
    }
    let star = select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
    let mut kept: Vec<Kept> = Vec::new();
    for from in &mut select.from {
        put_names(from, &kept);
        mark(from, star, named, scope, &mut kept);
    }
    if kept.is_empty() {
        return;
    }
    select.projection = projection;
    for item in &mut select.projection {
        let name = columns::name_of(item);
        put_names(item, &kept);
        if let (Some(name), SelectItem::UnnamedExpr(expr)) = (name, &mut *item)
            && columns::name_of(&SelectItem::UnnamedExpr(expr.clone())).as_ref() != Some(&name)
        {
            let alias = Ident::with_quote('"', name);
            *item = SelectItem::ExprWithAlias { expr: take(expr), alias };
        }
    }
    put_names(&mut select.distinct, &kept);
    put_names(&mut select.selection, &kept);
    put_names(&mut select.group_by, &kept);
    put_names(&mut select.having, &kept);
    put_names(&mut select.named_window, &kept);
    if let Some(order) = order {
        put_names(order, &kept);
    }
}

fn has_merging(from: &TableWithJoins) -> bool {
    let in_nest = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => has_merging(table_with_joins),
        _ => false,
    };
    let has = |join: &Join| merging(join).is_some() || in_nest(&join.relation);
    in_nest(&from.relation) || from.joins.iter().any(has)
}

/// A column of a star.
fn written_out(shown: &Shown) -> SelectItem {
    SelectItem::UnnamedExpr(match &shown.relation {
        Some(relation) => {
            Expr::CompoundIdentifier(vec![Ident::with_quote('"', relation.as_str()), shown.ident()])
        }
        None => Expr::Identifier(shown.ident()),
    })
}

/// Marks the joins that DataFusion's would not do for; what is behind them names columns of them already as they are then.
fn mark(
    from: &mut TableWithJoins,
    star: bool,
    named: &Named,
    scope: &Scope<'_>,
    kept: &mut Vec<Kept>,
) {
    mark_nest(&mut from.relation, star, named, scope, kept);
    let mut rest: VecDeque<Join> = std::mem::take(&mut from.joins).into();
    while let Some(mut join) = rest.pop_front() {
        put_names(&mut join, kept);
        let before = kept.len();
        mark_nest(&mut join.relation, star, named, scope, kept);
        put_names(&mut join.join_operator, &kept[before..]);
        match merged(from, &join, scope) {
            Some((side, columns)) => {
                let mut left = relations(&from.relation);
                left.extend(from.joins.iter().flat_map(|join| relations(&join.relation)));
                let right = relations(&join.relation);
                let relations = match side {
                    Side::Neither | Side::Right => right,
                    Side::Left => left,
                    Side::Both => [left, right].concat(),
                };
                let is_told_apart = match side {
                    Side::Left | Side::Both => true,
                    Side::Right => star,
                    Side::Neither => false,
                };
                let again = || rest.iter().any(|next| merges(next, &columns));
                if named.any(&relations, Some(&columns)) && (is_told_apart || again()) {
                    kept.push(Kept { relations, columns });
                    nest(from, join, Mark::Kept);
                } else {
                    from.joins.push(join);
                }
            }
            None => from.joins.push(join),
        }
    }
}

/// The same in brackets.
fn mark_nest(
    factor: &mut TableFactor,
    star: bool,
    named: &Named,
    scope: &Scope<'_>,
    kept: &mut Vec<Kept>,
) {
    if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
        mark(table_with_joins, star, named, scope, kept);
    }
}

/// The columns that a join merges, and what it does; `None` where these are not known, or none.
fn merged(from: &TableWithJoins, join: &Join, scope: &Scope<'_>) -> Option<(Side, Vec<String>)> {
    let (side, columns) = merging(join)?;
    let columns = match columns {
        Some(columns) => columns,
        None => {
            let right = scope.shown(&join.relation)?;
            let both = |name: &String| right.iter().any(|shown| shown.name == *name);
            scope.joined(from)?.into_iter().map(|shown| shown.name).filter(both).collect()
        }
    };
    Some((side, columns))
}

/// Tells whether a join merges one of these columns.
fn merges(join: &Join, columns: &[String]) -> bool {
    match merging(join) {
        Some((_, Some(merged))) => merged.iter().any(|column| columns.contains(column)),
        Some((_, None)) => true,
        None => false,
    }
}

/// Names columns as they are called once they are merged.
fn put_names(part: &mut impl VisitMut, kept: &[Kept]) {
    if !kept.is_empty() {
        // The visitor never breaks off.
        let _ = part.visit(&mut Names { kept, open: Vec::new() });
    }
}

struct Names<'a> {
    kept: &'a [Kept],
    /// What the relations of the selects within are called: there a name is theirs.
    open: Vec<Vec<String>>,
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let factors = select.from.iter().flat_map(|from| {
            std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
        });
        self.open.push(factors.flat_map(relations).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.open.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(idents) = expr
            && let [.., relation, column] = idents.as_mut_slice()
        {
            let (relation, name) = (normal(relation), normal(column));
            let is_kept =
                |kept: &Kept| kept.relations.contains(&relation) && kept.columns.contains(&name);
            let is_own = self.open.iter().any(|open| open.contains(&relation));
            if !is_own && self.kept.iter().any(is_kept) {
                *column = Ident { span: column.span, ..Ident::with_quote('"', hidden(&name)) };
            }
        }
        ControlFlow::Continue(())
    }
}
