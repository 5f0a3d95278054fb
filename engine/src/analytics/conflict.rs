//! `INSERT ... ON CONFLICT` as a query: the rows that are proposed, each with the row of the table that has its key, by the
//! primary key or a unique constraint, and what becomes of that one.
//!
//! Tables with keys are of nobody, so that every row of them is there for whoever may write. The row that is there goes by
//! the name of the table, the one that is proposed by `excluded`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, ConflictTarget, DoUpdate, Expr, Function, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, OnConflict, OnConflictAction, OrderBy, OrderByExpr,
    OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableFactor, Value, WindowSpec,
    WindowType, visit_expressions,
};

use super::changes::{Assigned, assignments};
use super::defaults::Declared;
use super::insert::{self, typed};
use super::keys::refuse_changed;
use super::places::Places;
use super::proposed::{Proposed, refuse_unknown};
use super::rows::ROW;
use super::statement::{Write, normal, parts};
use super::write::{Seen, missing};
use crate::catalog::{AnalyticsTable, UniqueConstraint, placed, qualified};
use crate::error::{Error, Result};
use crate::query::kept::Context;
use crate::query::planner::parse_one;
use crate::query::session::QuerySession;

/// What the row that is proposed goes by.
pub(super) const EXCLUDED: &str = "excluded";
/// The place of a row among those that are proposed. Columns of tables have no such name.
pub(super) const PLACE: &str = "_place";
/// The column of the query that has it; the first one is the number of the row that is there.
pub(super) const PLACED: usize = 1;
/// The column that says whether the row that is there changes.
/// The values follow it.
pub(super) const CHANGES: usize = 2;

/// What is done with the rows that are proposed. Values are columns of the query.
#[derive(Debug, Clone)]
pub(crate) struct Upsert {
    /// The constraints by which a row that is there is met.
    pub(super) met: Vec<String>,
    /// The columns of new rows.
    pub(super) inserted: Vec<(String, usize)>,
    /// What rows that are there become; `None` if they stay as they are.
    pub(super) assigned: Option<Vec<(String, usize)>>,
    /// Those of the columns that are assigned which become the next number of their sequence.
    pub(super) numbered: Vec<String>,
    /// The other columns of rows that change.
    pub(super) kept: Vec<(String, usize)>,
}

impl Upsert {
    /// Fails unless the values can be put into the columns that they are assigned to. `columns` are those of the table,
    /// `given` those of the query.
    pub(super) fn check(&self, name: &str, columns: &[Field], given: &Schema) -> Result<()> {
        let Some(assigned) = &self.assigned else { return Ok(()) };
        let names: Vec<String> = assigned.iter().map(|(name, _)| name.clone()).collect();
        let targets = insert::targets(name, columns, Some(&names))?;
        let given: Vec<_> =
            assigned.iter().map(|(_, at)| Arc::clone(&given.fields()[*at])).collect();
        insert::check(&given, &targets, true, &Places::NONE)
    }
}

impl QuerySession {
    /// Makes of an `INSERT ... ON CONFLICT` one that looks for the rows which are there. One that meets none, since its
    /// table has no key, puts its rows in.
    pub(super) async fn arbitrated(
        &self,
        seen: &Seen,
        context: &Arc<Context>,
        (statement, write): (&Statement, Write),
        types: &[Option<DataType>],
    ) -> Result<Write> {
        let (name, alias, columns, query, overriding, conflict, returning) = match write {
            Write::Insert {
                name,
                alias,
                columns,
                query,
                overriding,
                conflict: Some(conflict),
                returning,
            } => (name, alias, columns, query, overriding, conflict, returning),
            other => return Ok(other),
        };
        let (_, table) = seen.table(&name, "INSERT")?;
        let shown = seen.columns(table);
        let met = arbiters(&name, table, &shown, &conflict)?;
        if met.is_empty() {
            let conflict = None;
            return Ok(Write::Insert {
                name,
                alias,
                columns,
                query,
                overriding,
                conflict,
                returning,
            });
        }
        let targets = insert::targets(&name, &shown, columns.as_deref())?;
        let source = insert::source(&query, &targets);
        let planned = self.plan_with(&seen.live, context, &source, types).await?;
        let given = planned.schema.fields();
        let places = Places::of_insert(statement).giving(&query);
        insert::check(given, &targets, columns.is_some(), &places)?;
        insert::refuse_given(table, &targets, given.len(), overriding)?;
        let proposed = Proposed {
            name: &name,
            alias: &alias,
            table,
            met: &met,
            shown: &shown,
            targets: targets.get(..given.len()).unwrap_or(&targets),
            width: given.len(),
        };
        refuse_unknown(&proposed, &conflict)?;
        let (upsert, query) = proposed.query(source, &conflict)?;
        Ok(Write::Upsert { name, upsert, returning, query: Box::new(query) })
    }
}

/// Returns the keys by which a row that is there may be met: all of them, unless the statement says which.
fn arbiters(
    name: &str,
    table: &AnalyticsTable,
    shown: &[Field],
    conflict: &OnConflict,
) -> Result<Vec<UniqueConstraint>> {
    let (keys, table_name) = (table.keys(name), placed(name).1);
    match &conflict.conflict_target {
        None if matches!(conflict.action, OnConflictAction::DoUpdate(_)) => Err(Error::Standard {
            sqlstate: "42601",
            message: "ON CONFLICT DO UPDATE requires inference specification or constraint name"
                .into(),
            hint: "For example, ON CONFLICT (column_name).".into(),
        }),
        None => Ok(keys),
        Some(ConflictTarget::Columns(columns)) => {
            let named: BTreeSet<String> = columns.iter().map(normal).collect();
            if let Some(unknown) =
                named.iter().find(|name| !shown.iter().any(|column| column.name() == *name))
            {
                return Err(Error::Standard {
                    sqlstate: "42703",
                    message: format!("column \"{unknown}\" does not exist"),
                    hint: format!("\\d {} lists the columns.", qualified(name)),
                });
            }
            let is_named = |key: &&UniqueConstraint| {
                key.columns.iter().cloned().collect::<BTreeSet<_>>() == named
            };
            if let Some(key) = keys.iter().find(is_named) {
                return Ok(vec![key.clone()]);
            }
            let listed = keys.iter().map(|key| format!("({})", key.columns.join(", ")));
            let listed = listed.collect::<Vec<_>>().join(", ");
            Err(Error::Standard {
                sqlstate: "42P10",
                message:
                    "there is no unique or exclusion constraint matching the ON CONFLICT specification"
                        .into(),
                hint: match keys.is_empty() {
                    true => format!("Make \"{table_name}\" with a PRIMARY KEY, or with UNIQUE."),
                    false => format!("The keys of \"{table_name}\" are: {listed}."),
                },
            })
        }
        Some(ConflictTarget::OnConstraint(constraint)) => {
            let wanted = parts(constraint).pop().unwrap_or_default();
            let found: Vec<_> = keys.into_iter().filter(|key| key.name == wanted).collect();
            match found.is_empty() {
                false => Ok(found),
                true => Err(Error::Standard {
                    sqlstate: "42704",
                    message: format!(
                        "constraint \"{wanted}\" for table \"{table_name}\" does not exist"
                    ),
                    hint: format!("\\d {} lists them; or name columns.", qualified(name)),
                }),
            }
        }
    }
}

impl Proposed<'_> {
    /// Returns what is done with the rows of `source`, and the query that finds out about each.
    fn query(&self, mut source: Statement, conflict: &OnConflict) -> Result<(Upsert, Statement)> {
        let Statement::Query(given) = &mut source else { return Err(missing(self.name)) };
        let place = number_rows(given);
        let with = given.with.take();
        let mut statement = parse_one(&self.frame(place)?)?;
        let (Statement::Query(query), Statement::Query(given)) = (&mut statement, source) else {
            return Err(missing(self.name));
        };
        query.with = with;
        let SetExpr::Select(select) = query.body.as_mut() else { return Err(missing(self.name)) };
        let innermost = select.from.first_mut().and_then(|from| derived(&mut from.relation));
        let innermost = innermost.and_then(|excluded| match excluded.body.as_mut() {
            SetExpr::Select(inner) => derived(&mut inner.from.first_mut()?.relation),
            _ => None,
        });
        *innermost.ok_or_else(|| missing(self.name))? = *given;
        let (changes, assigned) = self.changes(conflict)?;
        let is_numbered = |one: &&Assigned| one.is_numbered;
        let numbered = assigned.iter().flatten().filter(is_numbered);
        let numbered = numbered.map(|one| one.column.clone()).collect();
        let mut values = vec![changes];
        let mut add = |name: &str, value: Expr| {
            values.push(value);
            (name.to_owned(), CHANGES + values.len() - 1)
        };
        let excluded = Ident::with_quote('"', EXCLUDED);
        let inserted =
            self.targets.iter().map(|column| add(column.name(), of(&excluded, column.name())));
        let inserted = inserted.collect();
        let assigned: Option<Vec<(String, usize)>> =
            assigned.map(|list| list.into_iter().map(|one| add(&one.column, one.value)).collect());
        let is_kept =
            |column: &&Field| !assigned.iter().flatten().any(|(name, _)| name == column.name());
        let kept: Vec<&Field> = match assigned.is_some() {
            true => self.shown.iter().filter(is_kept).collect(),
            false => vec![],
        };
        let kept = kept.into_iter().map(|column| add(column.name(), of(self.alias, column.name())));
        let kept = kept.collect();
        let named = |(at, expr): (usize, Expr)| SelectItem::ExprWithAlias {
            expr,
            alias: Ident::new(format!("value_{at}")),
        };
        select.projection.extend(values.into_iter().enumerate().map(named));
        let met = self.met.iter().map(|key| key.name.clone()).collect();
        Ok((Upsert { met, inserted, assigned, numbered, kept }, statement))
    }

    /// Returns whether the row that is there changes, and what its columns become.
    fn changes(&self, conflict: &OnConflict) -> Result<(Expr, Option<Vec<Assigned>>)> {
        let OnConflictAction::DoUpdate(DoUpdate { assignments: list, selection }) =
            &conflict.action
        else {
            return Ok((Expr::Value(Value::Boolean(false).into()), None));
        };
        let is_there = Expr::IsNotNull(Box::new(of(self.alias, ROW)));
        let changes = match selection {
            None => is_there,
            Some(condition) => Expr::BinaryOp {
                left: Box::new(is_there),
                op: BinaryOperator::And,
                right: Box::new(Expr::Nested(Box::new(condition.clone()))),
            },
        };
        let mut assigned = Vec::with_capacity(list.len());
        let declared = Declared::made(self.table, self.shown)?;
        let mut list = assignments(list, &declared)?;
        declared.followers().follow(&mut list, self.alias)?;
        for Assigned { column, value, is_numbered } in list {
            let targets =
                insert::targets(self.name, self.shown, Some(std::slice::from_ref(&column)))?;
            // The key that was met is the same.
            let is_met = self.met.iter().any(|key| key.columns.contains(&column));
            if is_met && is_excluded(&value, &column) {
                continue;
            }
            if !is_numbered {
                refuse_changed(self.table, &targets, &[])?;
            }
            let value = targets.iter().fold(value, typed);
            // Nothing is computed for rows that stay as they are.
            let value = Expr::Case {
                case_token: AttachedToken::empty(),
                end_token: AttachedToken::empty(),
                operand: None,
                conditions: vec![CaseWhen { condition: changes.clone(), result: value }],
                else_result: None,
            };
            assigned.push(Assigned { column, value, is_numbered });
        }
        Ok((changes, Some(assigned)))
    }
}

/// How rows are numbered as they come.
const OF_QUERY: &str = "row_number() OVER ()";
/// How rows are that bring their numbers in a column of their own: those of `VALUES`, and those that are sorted.
pub(super) const OF_ROWS: &str = "given._place";

/// Functions that make several rows of one, which are sorted when they are made.
const OF_SEVERAL: [&str; 3] = ["generate_series", "generate_subscripts", "unnest"];

/// Numbers the rows of a source, if they are written out or sorted. Returns what their numbers are.
fn number_rows(source: &mut Query) -> &'static str {
    let Query { body, order_by, .. } = source;
    match body.as_mut() {
        SetExpr::Values(values) => {
            for (at, row) in values.rows.iter_mut().enumerate() {
                row.content.push(Expr::Value(Value::Number(at.to_string(), false).into()));
            }
            OF_ROWS
        }
        SetExpr::Select(select) => match order_by.as_ref().and_then(|order| place(select, order)) {
            Some(place) => {
                let alias = Ident::new(PLACE);
                select.projection.push(SelectItem::ExprWithAlias { expr: place, alias });
                OF_ROWS
            }
            None => OF_QUERY,
        },
        _ => OF_QUERY,
    }
}

/// Returns the place of each row of a select that is sorted; `None` if it is not known what by.
fn place(select: &Select, order: &OrderBy) -> Option<Expr> {
    let OrderByKind::Expressions(keys) = &order.kind else { return None };
    let makes_rows = visit_expressions(&select.projection, |expr| match expr {
        Expr::Function(call) if is_of_several(&call.name) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    if select.distinct.is_some() || makes_rows.is_break() {
        return None;
    }
    let key = |key: &OrderByExpr| {
        Some(OrderByExpr { expr: sorted_by(&key.expr, &select.projection)?, ..key.clone() })
    };
    let order_by = keys.iter().map(key).collect::<Option<Vec<_>>>()?;
    let spec = WindowSpec { window_name: None, partition_by: vec![], order_by, window_frame: None };
    let none = FunctionArgumentList { duplicate_treatment: None, args: vec![], clauses: vec![] };
    Some(Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("row_number")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(none),
        filter: None,
        null_treatment: None,
        over: Some(WindowType::WindowSpec(spec)),
        within_group: vec![],
    }))
}

fn is_of_several(function: &ObjectName) -> bool {
    parts(function).last().is_some_and(|name| OF_SEVERAL.contains(&name.as_str()))
}

/// Returns what a select is sorted by where `ORDER BY` has `key`: the place or the name of one of its columns, or an expression.
fn sorted_by(key: &Expr, columns: &[SelectItem]) -> Option<Expr> {
    match key {
        Expr::Value(value) => {
            let Value::Number(digits, _) = &value.value else { return None };
            let at = digits.parse::<usize>().ok()?.checked_sub(1)?;
            // Behind a star nobody knows which column that is.
            let known = columns.get(..=at)?.iter().map(value_of).collect::<Option<Vec<&Expr>>>()?;
            known.last().map(|value| (*value).clone())
        }
        Expr::Identifier(name) => {
            let named = columns.iter().find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } if normal(alias) == normal(name) => {
                    Some(expr.clone())
                }
                _ => None,
            });
            Some(named.unwrap_or_else(|| key.clone()))
        }
        other => Some(other.clone()),
    }
}

fn value_of(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

fn derived(relation: &mut TableFactor) -> Option<&mut Query> {
    match relation {
        TableFactor::Derived { subquery, .. } => Some(subquery.as_mut()),
        _ => None,
    }
}

fn of(relation: &Ident, column: &str) -> Expr {
    Expr::CompoundIdentifier(vec![relation.clone(), Ident::with_quote('"', column)])
}

/// Tells whether a value is that of the row which is proposed.
fn is_excluded(value: &Expr, column: &str) -> bool {
    matches!(value, Expr::CompoundIdentifier(parts) if matches!(parts.as_slice(),
        [relation, name] if normal(relation) == EXCLUDED && normal(name) == column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_sorted_have_places() {
        for (source, expected) in [
            ("SELECT a, b FROM s ORDER BY b DESC", "row_number() OVER (ORDER BY b DESC)"),
            ("SELECT a, b + 1 FROM s ORDER BY 2, a", "row_number() OVER (ORDER BY b + 1, a)"),
            ("SELECT a AS c FROM s ORDER BY c LIMIT 3", "row_number() OVER (ORDER BY a)"),
        ] {
            let Statement::Query(mut query) = parse_one(source).unwrap() else {
                panic!("{source}")
            };
            assert_eq!(number_rows(&mut query), OF_ROWS, "{source}");
            let SetExpr::Select(select) = *query.body else { panic!("{source}") };
            let last = select.projection.last().unwrap().to_string();
            assert_eq!(last, format!("{expected} AS {PLACE}"), "{source}");
        }
    }

    #[test]
    fn other_rows_are_numbered_as_they_come() {
        for source in [
            "SELECT a FROM s",
            "SELECT * FROM s ORDER BY 1",
            "SELECT DISTINCT a FROM s ORDER BY a",
            "SELECT unnest(a) FROM s ORDER BY 1",
        ] {
            let Statement::Query(mut query) = parse_one(source).unwrap() else {
                panic!("{source}")
            };
            assert_eq!(number_rows(&mut query), OF_QUERY, "{source}");
        }
    }
}
