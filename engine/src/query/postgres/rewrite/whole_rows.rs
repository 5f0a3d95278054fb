//! The name of a relation where a value is expected: its row, as in `SELECT row_to_json(t) FROM t`.
//!
//! It is written out with the columns of the relation, which are those that the role sees, or those that a query in `FROM`
//! gives. Where a column has that name, the column is meant, and where groups are told, what the select list gives that name to.
//! Where an outer join finds no row of the relation, its row is null.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, Ident, JoinOperator, ObjectNamePart, Select, SelectItem, TableFactor,
    visit_expressions_mut,
};

use super::scope::{Given, Scope};
use super::{function_name, kept_order, normal, rows};
use crate::query::syntax::outside;

/// Functions that make a document of a row, for which `t.*` is the row of `t`.
const OF_ROWS: [&str; 5] = ["row_to_json", "to_json", "to_jsonb", "json_agg", "jsonb_agg"];

/// Replaces the names of relations that stand for their rows.
pub(super) fn replace(select: &mut Select, scope: &Scope<'_>) {
    let Some(relations) = relations(select, scope) else { return };
    let columns: HashSet<&String> = relations.iter().flat_map(|known| &known.columns).collect();
    let rows = relations.iter().filter(|row| !columns.contains(&row.name)).cloned().collect();
    let found = Rows { rows };
    if found.rows.is_empty() {
        return;
    }
    set_results_apart(select);
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(ident)) = item
            && found.row(ident).is_some()
        {
            let (alias, expr) = (ident.clone(), Expr::Identifier(ident.clone()));
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
    // The visitors never break off.
    let _: ControlFlow<()> = visit_expressions_mut(select, |expr| found.set_apart(expr));
    let _: ControlFlow<()> = outside::change(select, |expr| found.replace(expr));
    let _: ControlFlow<()> = visit_expressions_mut(select, name_fields);
    groups(select).for_each(name_again);
}

/// Writes the names of what the select list shows, where groups are told by them, in a way that no relation is written in.
fn set_results_apart(select: &mut Select) {
    let given = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(normal(alias)),
        _ => None,
    });
    let given: HashSet<String> = given.collect();
    for group in groups(select) {
        if let Expr::Identifier(ident) = &*group
            && given.contains(&normal(ident))
        {
            *group = Expr::CompoundIdentifier(vec![ident.clone()]);
        }
    }
}

/// What the rows of a select are grouped by, or told apart by.
fn groups(select: &mut Select) -> impl Iterator<Item = &mut Expr> {
    let groups = match &mut select.group_by {
        GroupByExpr::Expressions(groups, _) => groups.as_mut_slice(),
        GroupByExpr::All(_) => &mut [],
    };
    let distinct = match &mut select.distinct {
        Some(Distinct::On(distinct)) => distinct.as_mut_slice(),
        _ => &mut [],
    };
    groups.iter_mut().chain(distinct)
}

/// Writes a name as it was before it was set apart.
fn name_again(expr: &mut Expr) {
    if let Expr::CompoundIdentifier(parts) = expr
        && let [ident] = parts.as_slice()
    {
        *expr = Expr::Identifier(ident.clone());
    }
}

/// A relation whose name may stand for its row.
#[derive(Clone)]
struct Row {
    name: String,
    columns: Vec<String>,
    /// Whether an outer join may find no row of it.
    may_miss: bool,
}

/// The relations and queries of a select by name, with their columns; `None` where those of one are not known, and where
/// something else is among them.
fn relations(select: &Select, scope: &Scope<'_>) -> Option<Vec<Row>> {
    let named = |factor: &TableFactor| match factor {
        TableFactor::Table { args: None, .. } | TableFactor::Derived { alias: Some(_), .. } => {
            let Given { name, mut columns } = scope.factor(factor)?.pop()?;
            columns.retain(|column| !kept_order::is_key(column));
            let is_unique = columns.iter().collect::<HashSet<_>>().len() == columns.len();
            is_unique.then_some(Row { name, columns, may_miss: false })
        }
        _ => None,
    };
    let mut all = Vec::new();
    for from in &select.from {
        let mut joined = vec![named(&from.relation)?];
        for join in &from.joins {
            let mut row = named(&join.relation)?;
            let (before, this) = may_miss(&join.join_operator);
            row.may_miss = this;
            joined.iter_mut().for_each(|row| row.may_miss |= before);
            joined.push(row);
        }
        all.extend(joined);
    }
    Some(all)
}

/// Whether a join may find no row of what stands before it, and of what it joins.
fn may_miss(join: &JoinOperator) -> (bool, bool) {
    match join {
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) | JoinOperator::OuterApply => {
            (false, true)
        }
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (true, false),
        JoinOperator::FullOuter(_) => (true, true),
        _ => (false, false),
    }
}

/// The relations whose names stand for rows.
struct Rows {
    rows: Vec<Row>,
}

impl Rows {
    fn row(&self, ident: &Ident) -> Option<&Row> {
        let name = normal(ident);
        self.rows.iter().find(|known| known.name == name)
    }

    /// Writes what has the name of a relation and is no row of it in a way that nothing else is written in, and rows that are
    /// given to functions as `t.*` by their names.
    fn set_apart(&self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.name_rows(function);
        }
        if let Expr::CompoundFieldAccess { root, access_chain } = expr {
            // In `t.column[1]` it is the qualifier of a column.
            if let Expr::Identifier(ident) = root.as_ref()
                && self.row(ident).is_some()
                && let Some(AccessExpr::Dot(Expr::Identifier(column))) = access_chain.first()
            {
                **root = Expr::CompoundIdentifier(vec![ident.clone(), column.clone()]);
                access_chain.remove(0);
            }
            // In `(record).t` it is the name of a field.
            for field in fields(access_chain) {
                if let Expr::Identifier(ident) = field {
                    *field = Expr::CompoundIdentifier(vec![ident.clone()]);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn name_rows(&self, function: &mut Function) {
        let is_one =
            function_name(&function.name).is_some_and(|name| OF_ROWS.contains(&name.as_str()));
        let FunctionArguments::List(list) = &mut function.args else { return };
        if !is_one {
            return;
        }
        for argument in &mut list.args {
            if let FunctionArg::Unnamed(given) = argument
                && let FunctionArgExpr::QualifiedWildcard(row) = &*given
                && let [ObjectNamePart::Identifier(ident)] = row.0.as_slice()
                && self.row(ident).is_some()
            {
                let row = Expr::Identifier(ident.clone());
                *given = FunctionArgExpr::Expr(row);
            }
        }
    }

    /// Replaces the name of a relation.
    fn replace(&self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = &*expr
            && let Some(Row { name, columns, may_miss }) = self.row(ident)
        {
            let quoted = |part: &String| Ident::with_quote('"', part);
            let fields = columns.iter().map(|column| {
                let parts = vec![quoted(name), quoted(column)];
                (column.clone(), Expr::CompoundIdentifier(parts))
            });
            *expr = match may_miss {
                true => rows::record_found(fields),
                false => rows::named_record(fields),
            };
        }
        ControlFlow::Continue(())
    }
}

/// Writes the names of fields as they were before they were set apart.
fn name_fields(expr: &mut Expr) -> ControlFlow<()> {
    if let Expr::CompoundFieldAccess { access_chain, .. } = expr {
        fields(access_chain).for_each(name_again);
    }
    ControlFlow::Continue(())
}

/// The fields that are taken of a value.
fn fields(accesses: &mut [AccessExpr]) -> impl Iterator<Item = &mut Expr> {
    accesses.iter_mut().filter_map(|access| match access {
        AccessExpr::Dot(field) => Some(field),
        AccessExpr::Subscript(_) => None,
    })
}
