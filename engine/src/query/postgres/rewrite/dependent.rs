//! Columns that depend on the primary key that rows are grouped by: `SELECT e.name, count(o.id) ... GROUP BY e.id`.
//!
//! They have one value in a group, so that they are grouped by, too: it makes no other groups.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, OrderBy, Select, SelectItem, SelectItemQualifiedWildcardKind,
    TableFactor, Value, Visit, Visitor,
};

use super::scope::{Given, Scope};
use super::{normal, parts};
use crate::query::relations::without_numbers;

/// A relation of `FROM` with a primary key.
struct Keyed {
    /// What its columns can be named with.
    name: String,
    columns: Vec<String>,
    key: Vec<String>,
}

/// Groups a select by the columns that depend on what it is grouped by.
pub(super) fn group(select: &mut Select, order: Option<&OrderBy>, scope: &Scope<'_>) {
    let by = match &select.group_by {
        GroupByExpr::Expressions(by, modifiers) if modifiers.is_empty() => by,
        _ => return,
    };
    let is_set = |by: &Expr| matches!(by, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_));
    if by.is_empty() || by.iter().any(is_set) {
        return;
    }
    let keyed = keyed(select, scope);
    if keyed.is_empty() {
        return;
    }
    let given = scope.relations(select);
    let grouped: HashSet<(usize, String)> = by
        .iter()
        .filter_map(|by| column(meant(by, &select.projection), &keyed, given.as_deref()))
        .collect();
    let determines =
        |at: usize| keyed[at].key.iter().all(|part| grouped.contains(&(at, part.clone())));
    let determining: Vec<usize> = (0..keyed.len()).filter(|at| determines(*at)).collect();
    if determining.is_empty() {
        return;
    }
    let mut found = Dependent { keyed: &keyed, given: given.as_deref(), grouped, columns: vec![] };
    // The visitor never breaks off.
    let _ = select.projection.visit(&mut found);
    let _ = select.having.visit(&mut found);
    if let Some(order) = order {
        let _ = order.visit(&mut found);
    }
    let Dependent { grouped, columns, .. } = found;
    let columns = columns.into_iter().filter(|(at, _)| determining.contains(at));
    let mut more: Vec<Expr> = columns.map(|(_, expr)| expr).collect();
    for at in determining {
        let Keyed { name, columns, .. } = &keyed[at];
        if select.projection.iter().any(|item| is_star_of(item, name)) {
            let quoted = |part: &String| Ident::with_quote('"', part.as_str());
            let rest = columns.iter().filter(|column| !grouped.contains(&(at, (*column).clone())));
            more.extend(
                rest.map(|column| Expr::CompoundIdentifier(vec![quoted(name), quoted(column)])),
            );
        }
    }
    if let GroupByExpr::Expressions(by, _) = &mut select.group_by {
        by.extend(more);
    }
}

/// The relations of a select that have a primary key.
fn keyed(select: &Select, scope: &Scope<'_>) -> Vec<Keyed> {
    let snapshot = scope.facts.snapshot();
    let factors = select.from.iter().flat_map(|from| {
        std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
    });
    let known = |factor: &TableFactor| {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return None };
        let names = parts(name);
        let known = match names.as_slice() {
            [table] if scope.ctes.iter().flatten().any(|cte| cte.name == *table) => None,
            [table] => {
                let mut path = scope.facts.search_path().into_iter();
                path.find_map(|schema| snapshot.named(&schema, without_numbers(table)))
            }
            [.., schema, table] => snapshot.named(schema, without_numbers(table)),
            [] => None,
        }?;
        let columns: Vec<String> =
            known.relation.columns.iter().map(|column| column.name().clone()).collect();
        // An alias that renames columns is left alone.
        let name = match alias {
            Some(alias) if alias.columns.is_empty() => normal(&alias.name),
            Some(_) => return None,
            None => names.last()?.clone(),
        };
        let key = known.relation.primary_key.clone();
        (!key.is_empty()).then_some(Keyed { name, columns, key })
    };
    factors.filter_map(known).collect()
}

/// What something is grouped by, where it is given by its position in the select list or by the name that it has there.
pub(super) fn meant<'a>(by: &'a Expr, projection: &'a [SelectItem]) -> &'a Expr {
    let item = match by {
        Expr::Value(value) => match &value.value {
            Value::Number(position, _) => {
                let at = position.parse::<usize>().ok().and_then(|at| at.checked_sub(1));
                at.and_then(|at| projection.get(at))
            }
            _ => None,
        },
        _ => None,
    };
    match item {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => expr,
        _ => by,
    }
}

/// The column of a relation with a primary key that an expression is.
fn column(expr: &Expr, keyed: &[Keyed], given: Option<&[Given]>) -> Option<(usize, String)> {
    match expr {
        Expr::Nested(inner) => column(inner, keyed, given),
        Expr::CompoundIdentifier(idents) => {
            let [.., relation, name] = idents.as_slice() else { return None };
            let (relation, name) = (normal(relation), normal(name));
            let at = keyed.iter().position(|keyed| keyed.name == relation)?;
            keyed[at].columns.contains(&name).then_some((at, name))
        }
        Expr::Identifier(ident) => {
            let name = normal(ident);
            let mut having = given?.iter().filter(|given| given.columns.contains(&name));
            let (relation, None) = (having.next()?, having.next()) else { return None };
            let at = keyed.iter().position(|keyed| keyed.name == relation.name)?;
            Some((at, name))
        }
        _ => None,
    }
}

fn is_star_of(item: &SelectItem, relation: &str) -> bool {
    match item {
        SelectItem::Wildcard(_) => true,
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            parts(name).last().is_some_and(|name| name == relation)
        }
        _ => false,
    }
}

/// Looks for columns that are not grouped by yet. Those within an aggregate are among them, which changes nothing.
struct Dependent<'a> {
    keyed: &'a [Keyed],
    given: Option<&'a [Given]>,
    grouped: HashSet<(usize, String)>,
    /// As they are written, with their relations.
    columns: Vec<(usize, Expr)>,
}

impl Visitor for Dependent<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
            && let Some((at, name)) = column(expr, self.keyed, self.given)
            && self.grouped.insert((at, name))
        {
            self.columns.push((at, expr.clone()));
        }
        ControlFlow::Continue(())
    }
}
