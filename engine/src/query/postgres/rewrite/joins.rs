//! `USING` and `NATURAL` joins, whose columns are merged.
//!
//! DataFusion keeps both columns of such a join and picks one where the name stands alone: the wrong one where an outer
//! join made it null. A join whose merged columns nobody names by relation is therefore put into a nest of its own,
//! marked for [`MergedJoins`](super::super::merged_joins::MergedJoins), which plans it with PostgreSQL's merged columns.
//! Where a column is named by its relation, too, DataFusion's join answers, unless it would be wrong: then the column stays by a
//! name of its own ([`kept_columns`](super::kept_columns)). Where that cannot be, the join is refused.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectNamePart, Select, SelectItem,
    SelectItemQualifiedWildcardKind, Statement, TableAlias, TableFactor, TableWithJoins, Visit,
    Visitor,
};

use super::{normal, parts};
use crate::query::postgres::merged_joins::Mark;

/// Columns that a statement names together with their relation.
#[derive(Debug, Default)]
pub(super) struct Named {
    columns: HashSet<(String, String)>,
    /// Relations all of whose columns are named: `p.*`.
    whole: HashSet<String>,
}

impl Named {
    /// Collects them from the whole of a statement: one that another select of it names counts, too.
    pub(super) fn of(statement: &Statement) -> Self {
        let mut named = Self::default();
        // The visitor never breaks off.
        let _ = statement.visit(&mut named);
        named
    }

    /// Tells whether a column of one of `relations` that a join merges is named; every column may be with `NATURAL`.
    pub(super) fn any(&self, relations: &[String], merged: Option<&[String]>) -> bool {
        let one = |relation: &String, column: &String| {
            self.columns.contains(&(relation.clone(), column.clone()))
        };
        relations.iter().any(|relation| {
            self.whole.contains(relation)
                || match merged {
                    Some(columns) => columns.iter().any(|column| one(relation, column)),
                    None => self.columns.iter().any(|(named, _)| named == relation),
                }
        })
    }
}

impl Visitor for Named {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(idents) = expr
            && let [.., relation, column] = idents.as_slice()
        {
            self.columns.insert((normal(relation), normal(column)));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                _,
            ) = item
            {
                self.whole.extend(parts(name).pop());
            }
        }
        ControlFlow::Continue(())
    }
}

/// Which sides of a join may have no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Neither,
    Right,
    Left,
    Both,
}

/// Marks the joins of a select that merge columns.
pub(super) fn merge(select: &mut Select, named: &Named) {
    let star = select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
    for from in &mut select.from {
        merge_in(from, star, named);
    }
}

fn merge_in(from: &mut TableWithJoins, star: bool, named: &Named) {
    descend(&mut from.relation, star, named);
    // Columns of which the joins so far keep two.
    let mut doubled: HashSet<String> = HashSet::new();
    for mut join in std::mem::take(&mut from.joins) {
        descend(&mut join.relation, star, named);
        let Some((side, merged)) = merging(&join) else {
            from.joins.push(join);
            continue;
        };
        let merged = merged.as_deref();
        let mut left = relations(&from.relation);
        left.extend(from.joins.iter().flat_map(|join| relations(&join.relation)));
        let right = relations(&join.relation);
        let dropped = match side {
            Side::Neither | Side::Right => right,
            Side::Left => left,
            Side::Both => [left, right].concat(),
        };
        let again = match merged {
            Some(columns) => columns.iter().any(|column| doubled.contains(column)),
            None => !doubled.is_empty(),
        };
        let mark = if again {
            Mark::Refused
        } else if !named.any(&dropped, merged) {
            if star { Mark::MergedFirst } else { Mark::Merged }
        } else if side == Side::Neither || (side == Side::Right && !star) {
            doubled.extend(merged.unwrap_or_default().iter().cloned());
            from.joins.push(join);
            continue;
        } else {
            Mark::Refused
        };
        nest(from, join, mark);
    }
}

fn descend(factor: &mut TableFactor, star: bool, named: &Named) {
    let TableFactor::NestedJoin { table_with_joins, alias } = factor else { return };
    if alias.as_ref().and_then(Mark::of).is_none() {
        return merge_in(table_with_joins, star, named);
    }
    // Its join is marked already.
    descend(&mut table_with_joins.relation, star, named);
    for join in &mut table_with_joins.joins {
        descend(&mut join.relation, star, named);
    }
}

/// Returns what a join does and the columns that it names; `None` if it merges none, or none that can be marked.
pub(super) fn merging(join: &Join) -> Option<(Side, Option<Vec<String>>)> {
    let lateral = match &join.relation {
        TableFactor::Derived { lateral, .. } | TableFactor::Function { lateral, .. } => *lateral,
        TableFactor::UNNEST { .. } => true,
        _ => false,
    };
    let (side, constraint) = match &join.join_operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
            (Side::Neither, constraint)
        }
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
            (Side::Right, constraint)
        }
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (Side::Left, constraint)
        }
        JoinOperator::FullOuter(constraint) => (Side::Both, constraint),
        _ => return None,
    };
    match constraint {
        _ if lateral => None,
        JoinConstraint::Using(columns) => {
            Some((side, Some(columns.iter().filter_map(|name| parts(name).pop()).collect())))
        }
        JoinConstraint::Natural => Some((side, None)),
        JoinConstraint::On(_) | JoinConstraint::None => None,
    }
}

/// The names that the columns of a factor can be named by.
pub(in crate::query::postgres) fn relations(factor: &TableFactor) -> Vec<String> {
    let alias = match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. } => alias.as_ref(),
        TableFactor::NestedJoin { alias, .. } => {
            alias.as_ref().filter(|alias| Mark::of(alias).is_none())
        }
        _ => None,
    };
    match (factor, alias) {
        (_, Some(alias)) => vec![normal(&alias.name)],
        (TableFactor::Table { name, .. }, None) => {
            name.0.last().and_then(ObjectNamePart::as_ident).map(normal).into_iter().collect()
        }
        (TableFactor::NestedJoin { table_with_joins, .. }, None) => {
            let joined = table_with_joins.joins.iter().map(|join| &join.relation);
            std::iter::once(&table_with_joins.relation).chain(joined).flat_map(relations).collect()
        }
        _ => vec![],
    }
}

/// Puts everything so far and `join` into a marked nest.
pub(super) fn nest(from: &mut TableWithJoins, join: Join, mark: Mark) {
    let nested = |table_with_joins: TableWithJoins, alias: Option<TableAlias>| {
        TableFactor::NestedJoin { table_with_joins: Box::new(table_with_joins), alias }
    };
    let nothing = TableFactor::UNNEST {
        alias: None,
        array_exprs: vec![],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
    let relation = std::mem::replace(&mut from.relation, nothing);
    let joins = std::mem::take(&mut from.joins);
    let left = match joins.is_empty() {
        true => relation,
        false => nested(TableWithJoins { relation, joins }, None),
    };
    let marked = TableAlias {
        explicit: true,
        name: Ident::with_quote('"', mark.name()),
        columns: vec![],
        at: None,
    };
    from.relation = nested(TableWithJoins { relation: left, joins: vec![join] }, Some(marked));
}
