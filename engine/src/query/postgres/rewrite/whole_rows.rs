//! The name of a relation where a value is expected: its row, as in `SELECT row_to_json(t) FROM t`, and so is `t.*` but within a
//! row, as in `ROW(t.*, 1)`, where it is written out.
//!
//! It is written out with the columns of the relation, which are those that the role sees, or those that a query in `FROM`
//! gives. Where a column has that name, the column is meant, and where groups are told, what the select list gives that name to.
//! Where an outer join finds no row of the relation, its row is null.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, Ident, JoinOperator, ObjectName, ObjectNamePart, OrderBy, OrderByKind, Query,
    Select, SelectItem, SetExpr, TableFactor, visit_expressions_mut,
};

use super::scope::{Given, Scope};
use super::{columns, function_name, kept_order, normal, parts, rows};
use crate::query::syntax::outside;

/// Replaces the names of relations that stand for their rows.
pub(super) fn replace(select: &mut Select, scope: &Scope<'_>) {
    let Some(found) = Rows::of(select, scope) else { return };
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
    let _: ControlFlow<()> = outside::change(select, |expr| found.spread(expr));
    let _: ControlFlow<()> = visit_expressions_mut(select, |expr| found.set_apart(expr));
    let _: ControlFlow<()> = outside::change(select, |expr| found.replace(expr));
    let _: ControlFlow<()> = visit_expressions_mut(select, name_fields);
    groups(select).for_each(name_again);
}

/// Replaces the names of relations by whose rows a query is ordered, but for those that are names of what it shows.
pub(super) fn replace_in_order(query: &mut Query, scope: &Scope<'_>) {
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = &mut query.order_by else {
        return;
    };
    if !order.iter().any(|by| names_relation(&by.expr, select)) {
        return;
    }
    let Some(found) = Rows::of(select, scope) else { return };
    let shown: HashSet<String> = select.projection.iter().filter_map(columns::name_of).collect();
    for by in order {
        found.name_row(&mut by.expr);
        let is_shown =
            matches!(&by.expr, Expr::Identifier(ident) if shown.contains(&normal(ident)));
        if !is_shown {
            // It never breaks off.
            let _: ControlFlow<()> = found.replace(&mut by.expr);
        }
    }
}

/// Tells whether an expression is the name of a relation in `FROM`, as far as its text tells it.
fn names_relation(expr: &Expr, select: &Select) -> bool {
    let name = match expr {
        Expr::Identifier(ident) => Some(normal(ident)),
        Expr::QualifiedWildcard(name, _) => parts(name).pop(),
        _ => None,
    };
    let Some(name) = name else { return false };
    let is_named = |factor: &TableFactor| match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. } => normal(&alias.name) == name,
        TableFactor::Table { name: relation, .. } => parts(relation).last() == Some(&name),
        _ => false,
    };
    select.from.iter().any(|from| {
        is_named(&from.relation) || from.joins.iter().any(|join| is_named(&join.relation))
    })
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

impl Row {
    fn values(&self) -> Vec<Expr> {
        let quoted = |part: &String| Ident::with_quote('"', part);
        let value = |column| Expr::CompoundIdentifier(vec![quoted(&self.name), quoted(column)]);
        self.columns.iter().map(value).collect()
    }
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
    /// The relations of a select whose names are those of no column; `None` where there are none.
    fn of(select: &Select, scope: &Scope<'_>) -> Option<Rows> {
        let relations = relations(select, scope)?;
        let columns: HashSet<&String> = relations.iter().flat_map(|known| &known.columns).collect();
        let rows = relations.iter().filter(|row| !columns.contains(&row.name)).cloned();
        let rows: Vec<Row> = rows.collect();
        (!rows.is_empty()).then_some(Rows { rows })
    }

    fn row(&self, ident: &Ident) -> Option<&Row> {
        let name = normal(ident);
        self.rows.iter().find(|known| known.name == name)
    }

    /// Writes what has the name of a relation and is no row of it in a way that nothing else is written in, and rows that are
    /// given to functions as `t.*` by their names.
    fn set_apart(&self, expr: &mut Expr) -> ControlFlow<()> {
        self.name_row(expr);
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

    /// Writes `t.*` that is a value of its own as the name of the relation.
    fn name_row(&self, expr: &mut Expr) {
        if let Expr::QualifiedWildcard(row, _) = &*expr
            && let Some((ident, _)) = self.named(row)
        {
            *expr = Expr::Identifier(ident.clone());
        }
    }

    /// The same of what a function is given.
    fn name_rows(&self, function: &mut Function) {
        let Some(name) = function_name(&function.name) else { return };
        let FunctionArguments::List(list) = &mut function.args else { return };
        // Where no row is missing all are counted, whatever they hold.
        let counts_all = name == "count" && list.duplicate_treatment.is_none();
        for argument in &mut list.args {
            if let FunctionArg::Unnamed(given) = argument
                && let FunctionArgExpr::QualifiedWildcard(row) = &*given
                && let Some((ident, known)) = self.named(row)
                && (known.may_miss || !counts_all)
            {
                let row = Expr::Identifier(ident.clone());
                *given = FunctionArgExpr::Expr(row);
            }
        }
    }

    /// The relation of `t.*`, with its name as it is written.
    fn named<'a>(&self, row: &'a ObjectName) -> Option<(&'a Ident, &Row)> {
        let [ObjectNamePart::Identifier(ident)] = row.0.as_slice() else { return None };
        Some((ident, self.row(ident)?))
    }

    /// Writes out the columns of `t.*` where it is a part of a row, as in `ROW(t.*, 1)`.
    fn spread(&self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Tuple(values) => {
                let written = std::mem::take(values).into_iter().flat_map(|value| {
                    let known = match &value {
                        Expr::QualifiedWildcard(row, _) => self.named(row).map(|found| found.1),
                        _ => None,
                    };
                    known.map_or_else(|| vec![value], Row::values)
                });
                *values = written.collect();
            }
            Expr::Function(function)
                if function_name(&function.name).is_some_and(|name| name == "row") =>
            {
                let FunctionArguments::List(list) = &mut function.args else {
                    return ControlFlow::Continue(());
                };
                let written = std::mem::take(&mut list.args).into_iter().flat_map(|argument| {
                    let known = match &argument {
                        FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(row)) => {
                            self.named(row).map(|found| found.1)
                        }
                        _ => None,
                    };
                    let Some(known) = known else { return vec![argument] };
                    let given = known.values().into_iter().map(FunctionArgExpr::Expr);
                    given.map(FunctionArg::Unnamed).collect()
                });
                list.args = written.collect();
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// Replaces the name of a relation.
    fn replace(&self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = &*expr
            && let Some(row) = self.row(ident)
        {
            let fields = row.columns.iter().cloned().zip(row.values());
            *expr = match row.may_miss {
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
