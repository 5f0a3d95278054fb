//! `DELETE` and `UPDATE` as queries: which rows, by their number, and what their columns become.
//!
//! The query is planned like any other, through the leaf that shows the rows of people who may be seen and no others. So
//! rows of hidden people are neither counted nor changed, and no condition is ever asked about them.

use std::collections::BTreeSet;

use arrow::datatypes::Field;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, Query, SelectItem, SetExpr, Statement, TableFactor,
    TableWithJoins, Update, UpdateTableFromKind,
};

use super::defaults::Declared;
use super::insert::typed;
use super::returning::Returning;
use super::rows::ROW;
use super::statement::{Write, existing, normal, parts, unsupported};
use crate::catalog::placed;
use crate::error::{Error, Result};
use crate::query::governed::PROFILE_ID;
use crate::query::planner::parse_one;
use crate::query::postgres::{SessionFacts, check_assigned, refuse_unseen};
use crate::query::relations::with_numbers;

/// What to write in the place of a list of columns.
const ONE_BY_ONE: &str = "Assign columns one by one: SET a = ..., b = ...";

/// Reads a `DELETE`.
pub(super) fn delete(delete: &Delete, facts: &SessionFacts) -> Result<Write> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let [table] = from.as_slice() else {
        return Err(unsupported("DELETE of several tables", "Delete from one table at a time."));
    };
    let target = Target::of(table, "DELETE", facts)?;
    refuse_unseen(delete, &[ROW], &[target.alias.value.as_str()])?;
    let query = target.query(&[], delete.using.as_deref(), delete.selection.as_ref())?;
    let returning = target.returning(delete.returning.as_deref(), delete.using.is_some())?;
    let Target { name, alias } = target;
    let (verb, assigned, numbered, query) = ("DELETE", vec![], vec![], Box::new(query));
    Ok(Write::Change { name, alias, verb, assigned, numbered, returning, query })
}

/// Reads an `UPDATE`.
pub(super) fn update(update: &Update, facts: &SessionFacts) -> Result<Write> {
    let target = Target::of(&update.table, "UPDATE", facts)?;
    refuse_unseen(update, &[ROW], &[target.alias.value.as_str()])?;
    let from = match &update.from {
        Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => {
            Some(from.as_slice())
        }
        None => None,
    };
    let declared = Declared::shown(&target.name, facts)?;
    let (mut assigned, mut values) = (vec![], vec![]);
    let mut numbered: Vec<String> = vec![];
    let mut list = assignments(&update.assignments, &declared)?;
    declared.followers().follow(&mut list, &target.alias)?;
    for Assigned { column, value, is_numbered } in list {
        numbered.extend(is_numbered.then(|| column.clone()));
        assigned.push(column);
        values.push(value);
    }
    let query = target.query(&values, from, update.selection.as_ref())?;
    let returning = target.returning(update.returning.as_deref(), from.is_some())?;
    let Target { name, alias } = target;
    let (verb, query) = ("UPDATE", Box::new(query));
    Ok(Write::Change { name, alias, verb, assigned, numbered, returning, query })
}

/// A column, and what it becomes.
pub(super) struct Assigned {
    pub(super) column: String,
    pub(super) value: Expr,
    /// Whether it becomes the next number of its sequence, in whose place `value` is null.
    pub(super) is_numbered: bool,
}

/// Returns what stands behind `SET` column by column.
pub(super) fn pairs(list: &[Assignment]) -> Result<Vec<(&ObjectName, Expr)>> {
    let mut assigned = Vec::with_capacity(list.len());
    for Assignment { target, value } in list {
        match target {
            AssignmentTarget::ColumnName(column) => assigned.push((column, value.clone())),
            AssignmentTarget::Tuple(columns) => {
                let values = values_of(value)?;
                if values.len() != columns.len() {
                    return Err(Error::Standard {
                        sqlstate: "42601",
                        message: "number of columns does not match number of values".into(),
                        hint: "Give one value for each column.".into(),
                    });
                }
                assigned.extend(columns.iter().zip(values));
            }
        }
    }
    let mut names = BTreeSet::new();
    for column in assigned.iter().filter_map(|(column, _)| parts(column).pop()) {
        if !names.insert(column.clone()) {
            return Err(Error::Standard {
                sqlstate: "42601",
                message: format!("multiple assignments to same column \"{column}\""),
                hint: "Assign each column once.".into(),
            });
        }
    }
    Ok(assigned)
}

/// Reads what stands behind `SET`: columns of a table with these defaults, and what they become.
pub(super) fn assignments(list: &[Assignment], known: &Declared) -> Result<Vec<Assigned>> {
    let read = |(column, value): (&ObjectName, Expr)| {
        let column = parts(column).pop().unwrap_or_default();
        if column == PROFILE_ID {
            let hint = "A row stays with its person: delete it, and insert another.";
            return Err(unsupported(format!("assigning \"{PROFILE_ID}\""), hint));
        }
        check_assigned(&value)?;
        known.followers().refuse(&column, &value)?;
        let is_numbered = known.is_numbered_by(&column, &value);
        let value = known.value(&column, &value);
        Ok(Assigned { column, value, is_numbered })
    };
    pairs(list)?.into_iter().map(read).collect()
}

/// Takes a row apart that is assigned to several columns. One that a query gives becomes a value of its own for each.
fn values_of(row: &Expr) -> Result<Vec<Expr>> {
    match row {
        Expr::Tuple(values) => Ok(values.clone()),
        Expr::Nested(value) => Ok(vec![value.as_ref().clone()]),
        Expr::Function(function) if parts(&function.name) == ["row"] => {
            let FunctionArguments::List(list) = &function.args else {
                return Err(unsupported("SET (columns)", ONE_BY_ONE));
            };
            let value = |arg: &FunctionArg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Ok(value.clone()),
                _ => Err(unsupported("SET (columns)", ONE_BY_ONE)),
            };
            list.args.iter().map(value).collect()
        }
        Expr::Subquery(query) => values_of_query(query),
        _ => Err(unsupported("SET (columns)", ONE_BY_ONE)),
    }
}

/// Each of the queries of one value finds the same row, since there is one at most.
fn values_of_query(query: &Query) -> Result<Vec<Expr>> {
    let is_item = |item: &SelectItem| {
        matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
    };
    let items = match query.body.as_ref() {
        SetExpr::Select(select)
            if select.distinct.is_none()
                && query.order_by.is_none()
                && query.limit_clause.is_none()
                && query.fetch.is_none()
                && select.projection.iter().all(is_item) =>
        {
            &select.projection
        }
        _ => {
            let hint = "Name the query in FROM, and assign its columns one by one.";
            return Err(unsupported("SET (columns) by this form of a query", hint));
        }
    };
    let value = |item: &SelectItem| {
        let mut query = query.clone();
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.projection = vec![item.clone()];
        }
        Expr::Subquery(Box::new(query))
    };
    Ok(items.iter().map(value).collect())
}

/// Adds columns of the table whose rows change to the query that finds them, and those of `others` behind them.
pub(super) fn with_columns(
    query: &Statement,
    alias: &Ident,
    columns: impl Iterator<Item = String>,
    others: &[Expr],
) -> Statement {
    let mut query = query.clone();
    if let Statement::Query(query) = &mut query
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        let column = |name: String| {
            let name = Ident::with_quote('"', name);
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(vec![alias.clone(), name]))
        };
        select.projection.extend(columns.map(column));
        let named = others.iter().enumerate().map(|(at, expr)| {
            let alias = Ident::new(format!("other_{at}"));
            SelectItem::ExprWithAlias { expr: expr.clone(), alias }
        });
        select.projection.extend(named);
    }
    query
}

/// Gives literals and parameters that are assigned the types of their columns.
pub(super) fn type_values(query: &mut Statement, targets: &[Field]) {
    if let Statement::Query(query) = query
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        // Values stand behind the number of the row.
        for (item, target) in select.projection.iter_mut().skip(1).zip(targets) {
            if let SelectItem::ExprWithAlias { expr, .. } = item {
                *expr = typed(expr.clone(), target);
            }
        }
    }
}

pub(super) fn is_default(value: &Expr) -> bool {
    matches!(value, Expr::Identifier(word) if word.quote_style.is_none() && normal(word) == "default")
}

/// The table whose rows change, and what the statement calls it.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) alias: Ident,
}

impl Target {
    pub(super) fn of(table: &TableWithJoins, verb: &str, facts: &SessionFacts) -> Result<Self> {
        let TableFactor::Table { name, alias, args: None, .. } = &table.relation else {
            return Err(unsupported(format!("{verb} of a query"), "Name a table."));
        };
        if !table.joins.is_empty() {
            let hint = "Name other relations with FROM in UPDATE, and with USING in DELETE.";
            return Err(unsupported(format!("{verb} of a join"), hint));
        }
        let name = existing(name, verb, facts)?;
        let own = || placed(&name).1.to_owned();
        let alias = alias.as_ref().map_or_else(own, |alias| normal(&alias.name));
        Ok(Self { name, alias: Ident::with_quote('"', alias) })
    }

    /// Reads what stands behind `RETURNING`.
    fn returning(
        &self,
        list: Option<&[SelectItem]>,
        has_others: bool,
    ) -> Result<Option<Returning>> {
        list.map(|list| Returning::read(list, &self.alias.value, has_others)).transpose()
    }

    /// Returns the query that finds the rows by their number, with these values behind it.
    pub(super) fn query(
        &self,
        values: &[Expr],
        others: Option<&[TableWithJoins]>,
        condition: Option<&Expr>,
    ) -> Result<Statement> {
        let (schema, table) = placed(&self.name);
        let quoted = |name: &str| Ident::with_quote('"', name);
        let (schema, table) = (quoted(schema), quoted(&with_numbers(table)));
        let alias = &self.alias;
        let frame = format!("SELECT {alias}.{ROW} AS {ROW} FROM {schema}.{table} AS {alias}");
        let mut statement = parse_one(&frame)?;
        // What the user wrote is put in as it was read, so that errors point at where it stands.
        if let Statement::Query(query) = &mut statement
            && let SetExpr::Select(select) = query.body.as_mut()
        {
            let named = values.iter().enumerate().map(|(at, value)| SelectItem::ExprWithAlias {
                expr: value.clone(),
                alias: Ident::new(format!("value_{at}")),
            });
            select.projection.extend(named);
            select.from.extend(others.into_iter().flatten().cloned());
            select.selection = condition.cloned();
        }
        Ok(statement)
    }
}
