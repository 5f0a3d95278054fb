//! Names of result columns, as PostgreSQL gives them.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, CastKind, DataType, Expr, Ident, Select, SelectItem, SetExpr,
    Subscript, TrimWhereField, Value,
};

use super::literals::{INTEGER, is_integer};
use super::scope::{Scope, Shown};
use super::{arguments, call, function_name, normal};
use crate::query::postgres::functions::MOMENT_SERIES;
use crate::query::postgres::types;
use crate::query::syntax::outside;

/// Separates the name of a column from the number that makes it unique within a plan.
pub(super) const UNIQUE: char = '\u{1}';

/// Returns the name of a result column as a client shall see it.
pub fn column_name(name: &str) -> &str {
    name.split(UNIQUE).next().unwrap_or(name)
}

/// Returns a name that is a column's own; `again` counts those before it that have the same.
pub(super) fn unique(name: &str, again: usize) -> String {
    if again == 0 { name.to_owned() } else { format!("{name}{UNIQUE}{again}") }
}

/// Gives every column of a select list a name of its own.
pub(super) fn name(select: &mut Select, scope: &Scope<'_>) {
    let many = select.projection.len() > 1;
    let stars = select.projection.iter();
    let stars: Vec<Vec<Shown>> = stars
        .map(|item| match many {
            true => scope.star(select, item).flatten().unwrap_or_default(),
            false => vec![],
        })
        .collect();
    // Columns of stars keep their names, wherever those stand.
    let mut taken = Taken::default();
    let mut seen: HashSet<&Shown> = HashSet::new();
    for shown in stars.iter().flatten().filter(|shown| seen.insert(*shown)) {
        taken.star(shown);
    }
    seen.clear();
    let mut projection = Vec::with_capacity(select.projection.len());
    for (mut item, star) in std::mem::take(&mut select.projection).into_iter().zip(&stars) {
        if star.iter().any(|shown| seen.contains(shown)) {
            // The second of two stars over one relation is written out.
            projection.extend(star.iter().map(|shown| taken.written_out(shown, &seen)));
        } else {
            taken.own(&mut item);
            projection.push(item);
        }
        seen.extend(star);
    }
    select.projection = projection;
}

/// The names that columns of a select list have.
#[derive(Default)]
struct Taken {
    /// Those of columns of relations, the parts of each as it is written or shown.
    of_relations: Vec<Vec<String>>,
    /// Those of all others.
    others: Vec<String>,
    /// How many columns have a name.
    counts: HashMap<String, usize>,
}

impl Taken {
    fn star(&mut self, shown: &Shown) {
        let parts = shown.relation.iter().chain([&shown.name]).cloned();
        self.of_relations.push(parts.collect());
        self.count(&shown.name);
    }

    /// Counts a name, and returns how many columns have it already.
    fn count(&mut self, name: &str) -> usize {
        let count = self.counts.entry(name.to_owned()).or_default();
        *count += 1;
        *count - 1
    }

    /// Gives a column that is written a name of its own.
    fn own(&mut self, item: &mut SelectItem) {
        let (name, parts) = match &*item {
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => {
                (normal(ident), vec![normal(ident)])
            }
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => {
                let parts: Vec<String> = idents.iter().map(normal).collect();
                (parts.last().cloned().unwrap_or_default(), parts)
            }
            SelectItem::UnnamedExpr(expr) => (given(expr), vec![]),
            SelectItem::ExprWithAlias { alias, .. } => (normal(alias), vec![]),
            _ => return,
        };
        // Columns of different relations may share a name.
        let is_taken = self.counts.contains_key(&name)
            && (self.others.contains(&name)
                || self.of_relations.iter().any(|other| match parts.is_empty() {
                    true => other.last() == Some(&name),
                    false => is_same(other, &parts),
                }));
        let again = self.count(&name);
        let has_name = !parts.is_empty() || matches!(item, SelectItem::ExprWithAlias { .. });
        match parts.is_empty() {
            true => self.others.push(name.clone()),
            false => self.of_relations.push(parts),
        }
        if has_name && !is_taken {
            return;
        }
        let alias = Ident::with_quote('"', unique(&name, if is_taken { again } else { 0 }));
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let expr = std::mem::replace(expr, Expr::Value(Value::Null.into()));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
            SelectItem::ExprWithAlias { alias: old, .. } => *old = alias,
            _ => {}
        }
    }

    /// Returns a column of a star, with a name of its own if it was `seen` before.
    fn written_out(&mut self, shown: &Shown, seen: &HashSet<&Shown>) -> SelectItem {
        let expr = match &shown.relation {
            Some(relation) => Expr::CompoundIdentifier(vec![
                Ident::with_quote('"', relation.as_str()),
                shown.ident(),
            ]),
            None => Expr::Identifier(shown.ident()),
        };
        match seen.contains(shown) {
            true => {
                let again = self.count(&shown.name);
                let alias = Ident::with_quote('"', unique(&shown.name, again));
                SelectItem::ExprWithAlias { expr, alias }
            }
            false => SelectItem::UnnamedExpr(expr),
        }
    }
}

/// Whether two names of columns of relations mean the same: one without its relation may mean any.
fn is_same(one: &[String], other: &[String]) -> bool {
    match (one, other) {
        ([.., relation, column], [.., of, name]) => relation == of && column == name,
        _ => one.last() == other.last(),
    }
}

/// The name of a column of a select list; `None` for all columns of something.
pub(super) fn name_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(given(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(normal(alias)),
        _ => None,
    }
}

/// The name that PostgreSQL gives to an expression.
fn given(expr: &Expr) -> String {
    strong(expr).or_else(|| weak(expr)).unwrap_or_else(|| "?column?".to_string())
}

/// Names that survive a cast.
fn strong(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(normal(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(normal),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => strong(inner),
        Expr::Function(function) => {
            let last = function.name.0.last().and_then(|part| part.as_ident()).map(normal);
            function_name(&function.name).or(last)
        }
        Expr::Cast { expr: inner, .. } => strong(inner),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.as_slice() {
                [SelectItem::UnnamedExpr(expr)] => Some(given(expr)),
                [SelectItem::ExprWithAlias { alias, .. }] => Some(normal(alias)),
                _ => None,
            },
            SetExpr::Values(_) => Some("column1".to_string()),
            _ => None,
        },
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(Expr::Identifier(ident)) => Some(normal(ident)),
                AccessExpr::Subscript(Subscript::Index { .. })
                | AccessExpr::Subscript(_)
                | AccessExpr::Dot(_) => None,
            });
            field.or_else(|| strong(root))
        }
        Expr::Extract { .. } => Some("extract".to_string()),
        Expr::Substring { shorthand: true, .. } => Some("substr".to_string()),
        Expr::Substring { .. } => Some("substring".to_string()),
        Expr::Position { .. } => Some("position".to_string()),
        Expr::Overlay { .. } => Some("overlay".to_string()),
        Expr::Ceil { .. } => Some("ceil".to_string()),
        Expr::Floor { .. } => Some("floor".to_string()),
        Expr::AtTimeZone { .. } => Some("timezone".to_string()),
        Expr::Trim { trim_where, .. } => Some(
            match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                _ => "btrim",
            }
            .to_string(),
        ),
        // The last branch gives its name to the whole.
        Expr::Case { else_result: Some(last), .. } => strong(last),
        // NOT makes an operator of it.
        Expr::Exists { negated: false, .. } => Some("exists".to_string()),
        Expr::Array(_) => Some("array".to_string()),
        _ => None,
    }
}

/// Names that a cast replaces, by that of its type.
fn weak(expr: &Expr) -> Option<String> {
    let name = match expr {
        Expr::Nested(inner) => return weak(inner),
        // An element is called as its array is.
        Expr::CompoundFieldAccess { root, access_chain }
            if access_chain.iter().all(|access| matches!(access, AccessExpr::Subscript(_))) =>
        {
            return weak(root);
        }
        // "char" in quotes is another type.
        Expr::Cast { data_type: DataType::Char(_), .. } => "bpchar",
        Expr::Cast { data_type, .. } => {
            let text = data_type.to_string();
            let name = text.split(['(', '[']).next().unwrap_or(&text).trim();
            return Some(type_name(name));
        }
        Expr::TypedString(typed) => return Some(type_name(&typed.data_type.to_string())),
        Expr::Case { .. } => "case",
        Expr::Interval(_) => "interval",
        Expr::Tuple(_) => "row",
        _ => return None,
    };
    Some(name.to_string())
}

fn type_name(text: &str) -> String {
    match types::by_name(text) {
        Some(known) => known.name.clone(),
        None => text.rsplit('.').next().unwrap_or(text).to_lowercase(),
    }
}

/// Makes each series in a select list rows instead of one array.
pub(super) fn unnest_series(select: &mut Select) {
    // The visitor never breaks off.
    let _: ControlFlow<()> = outside::change(&mut select.projection, |expr| {
        if let Expr::Function(function) = &*expr
            && matches!(
                function_name(&function.name).as_deref(),
                Some("generate_series" | MOMENT_SERIES)
            )
        {
            let mut inner = std::mem::replace(expr, Expr::Value(Value::Null.into()));
            // DataFusion makes bigints of whatever it counts.
            if matches!(&inner, Expr::Function(f) if arguments(&f.args).iter().all(is_integer)) {
                inner = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(inner),
                    data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(
                        Box::new(INTEGER),
                        None,
                    )),
                    array: false,
                    format: None,
                };
            }
            *expr = call("unnest", vec![inner]);
        }
        ControlFlow::Continue(())
    });
}
