//! What columns are for which a row has no value: `DEFAULT` of a column.
//!
//! A default is kept as the SQL that it was declared with. The word `DEFAULT` in a statement is written out as it; the columns
//! that a statement does not name are computed when their rows are put in, once for all rows unless each has another value.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt64Array};
use arrow::compute::{concat, take};
use arrow::datatypes::Field;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArguments, Ident, Query, SelectItem, SetExpr, Statement, Value, visit_expressions,
};
use futures::{FutureExt, TryStreamExt};

use super::acting::acting;
use super::changes::is_default;
use super::followers::Followers;
use super::insert::{cast, sql_type};
use super::rows::assigned;
use super::statement::{parts, unsupported};
use super::write::{Seen, not_planned};
use crate::catalog::{AnalyticsTable, placed};
use crate::engine::Live;
use crate::error::{Error, Result};
use crate::query::governed::PROFILE_ID;
use crate::query::planner::parse_one;
use crate::query::postgres::{DEFAULT, GENERATED, SessionFacts, zone_of};
use crate::query::session::QuerySession;

/// Reads the default of a column. Returns what it is kept as; nothing if it is null.
pub(super) fn read(column: &str, value: &Expr) -> Result<Option<String>> {
    if column == PROFILE_ID {
        let hint = "It says whose a row is: give it with each row.";
        return Err(unsupported(format!("a default of \"{PROFILE_ID}\""), hint));
    }
    if matches!(value, Expr::Value(value) if matches!(value.value, Value::Null)) {
        return Ok(None);
    }
    let refused = visit_expressions(value, |part| match refusal(part) {
        Some(error) => ControlFlow::Break(error),
        None => ControlFlow::Continue(()),
    });
    match refused {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(Some(value.to_string())),
    }
}

/// Returns why a part of a default is none.
fn refusal(part: &Expr) -> Option<Error> {
    let refused = |what: &str| {
        Error::Standard {
        sqlstate: "0A000",
        message: format!("cannot use {what} in DEFAULT expression"),
        hint: "A default follows from nothing in its row or in other rows: write a value or call a function."
            .into(),
    }
    };
    match part {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Some(refused("column reference")),
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
            Some(refused("subquery"))
        }
        // ARRAY(SELECT ...)
        Expr::Function(function) if matches!(function.args, FunctionArguments::Subquery(_)) => {
            Some(refused("subquery"))
        }
        Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
            Some(refused("a parameter"))
        }
        // It would act on the session of whoever writes a row.
        Expr::Function(function) if let Some(name) = acting(&function.name) => Some(refused(&name)),
        Expr::Function(function) => {
            let name = parts(&function.name).pop().unwrap_or_default();
            let counts = ["nextval", "setval", "currval", "lastval"].contains(&name.as_str());
            let hint = "DEFAULT nextval('name') alone numbers a column of whole numbers.";
            counts.then(|| unsupported(format!("{name} in this DEFAULT"), hint))
        }
        _ => None,
    }
}

/// Returns what is kept as `sql`.
pub(super) fn parsed(sql: &str) -> Result<Expr> {
    let expr = match parse_one(&format!("SELECT {sql}"))? {
        Statement::Query(query) => match *query.body {
            SetExpr::Select(select) => match select.projection.into_iter().next() {
                Some(SelectItem::UnnamedExpr(expr)) => Some(expr),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    Ok(expr.ok_or_else(|| DataFusionError::Internal("a default is none".into()))?)
}

/// Returns what is kept as `sql` in the type of its column.
fn expression(sql: &str, target: &Field) -> Result<Expr> {
    let expr = parsed(sql)?;
    Ok(match sql_type(target) {
        Some(to) => cast(expr, to),
        None => expr,
    })
}

/// The defaults of a table, as a statement is read with them.
pub(super) struct Declared {
    /// All columns of the table, in order.
    columns: Vec<(String, Option<Expr>)>,
    /// Those whose rows are numbered, or computed.
    numbered: BTreeSet<String>,
    /// Those that are computed.
    followers: Followers,
}

impl Declared {
    /// Returns those of the table that is kept under `name`, as the catalog shows them.
    pub(super) fn shown(name: &str, facts: &SessionFacts) -> Result<Self> {
        let (schema, table) = placed(name);
        let snapshot = facts.snapshot();
        let found = snapshot.named(schema, table);
        let columns = found.iter().flat_map(|found| found.relation.columns.iter());
        let numbered = found.iter().flat_map(|found| found.relation.numbered.keys());
        let columns: Vec<&Field> = columns.map(|column| column.as_ref()).collect();
        let of = |key: &'static str| {
            columns.iter().map(move |column| (*column, column.metadata().get(key)))
        };
        Self::of(of(DEFAULT), numbered, of(GENERATED))
    }

    /// Returns those of a table with these columns.
    pub(super) fn made(table: &AnalyticsTable, columns: &[Field]) -> Result<Self> {
        let generated = columns.iter().map(|column| (column, table.generated.get(column.name())));
        let columns = columns.iter().map(|column| (column, table.defaults.get(column.name())));
        Self::of(columns, table.numbered.keys(), generated)
    }

    fn of<'a>(
        columns: impl Iterator<Item = (&'a Field, Option<&'a String>)>,
        numbered: impl Iterator<Item = &'a String>,
        generated: impl Iterator<Item = (&'a Field, Option<&'a String>)>,
    ) -> Result<Self> {
        let generated: Vec<(&Field, Option<&String>)> = generated.collect();
        let computed = generated.iter().filter(|(_, sql)| sql.is_some());
        let computed = computed.map(|(column, _)| column.name());
        let columns = columns.map(|(column, sql)| {
            let default = sql.map(|sql| expression(sql, column)).transpose()?;
            Ok((column.name().clone(), default))
        });
        Ok(Self {
            columns: columns.collect::<Result<_>>()?,
            numbered: numbered.chain(computed).cloned().collect(),
            followers: Followers::of(generated.iter().copied())?,
        })
    }

    /// Returns the columns that are computed of others.
    pub(super) fn followers(&self) -> &Followers {
        &self.followers
    }

    /// Returns the name of the column at a place.
    pub(super) fn name_at(&self, at: usize) -> Option<&str> {
        self.columns.get(at).map(|(name, _)| name.as_str())
    }

    /// Tells whether a column becomes the next number by `value`, the word `DEFAULT`.
    pub(super) fn is_numbered_by(&self, column: &str, value: &Expr) -> bool {
        is_default(value) && self.numbered.contains(column)
    }

    /// Returns what a column becomes by `value`: that, and its default where the word `DEFAULT` is written. Null stands for
    /// one that has none, and for a number that is still to be taken.
    pub(super) fn value(&self, column: &str, value: &Expr) -> Expr {
        if !is_default(value) {
            return value.clone();
        }
        self.default(column).unwrap_or_else(|| Expr::Value(Value::Null.into()))
    }

    fn default(&self, column: &str) -> Option<Expr> {
        let found = self.columns.iter().find(|(name, _)| name == column);
        found.and_then(|(_, default)| default.clone())
    }

    /// Writes the defaults into rows of an `INSERT` that say so; `named` are the columns that it names.
    pub(super) fn write_into(&self, named: Option<&[String]>, query: &mut Query) {
        let SetExpr::Values(values) = query.body.as_mut() else { return };
        for row in &mut values.rows {
            for (at, cell) in row.content.iter_mut().enumerate() {
                let column = match named {
                    Some(named) => named.get(at).map(String::as_str),
                    None => self.name_at(at),
                };
                if is_default(cell)
                    && let Some(default) = column.and_then(|column| self.default(column))
                {
                    *cell = default;
                }
            }
        }
    }
}

/// The columns that rows which are put in have no values for.
pub(crate) struct Defaults<'a> {
    session: &'a QuerySession,
    live: Arc<Live>,
    columns: Vec<(String, Expr)>,
    /// The values of one row, if all have the same.
    same: Option<Vec<ArrayRef>>,
}

impl<'a> Defaults<'a> {
    /// Returns those of a table with these columns for which `is_given` says no.
    pub(super) fn of(
        session: &'a QuerySession,
        seen: &Seen,
        table: &AnalyticsTable,
        columns: &[Field],
        is_given: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let missing = columns.iter().filter(|column| !is_given(column.name()));
        let missing = missing.filter_map(|column| {
            let sql = table.defaults.get(column.name())?;
            Some(expression(sql, column).map(|expr| (column.name().clone(), expr)))
        });
        let columns = missing.collect::<Result<_>>()?;
        Ok(Self { session, live: Arc::clone(&seen.live), columns, same: None })
    }

    /// Returns the values of so many rows, by column.
    pub(super) async fn take(&mut self, rows: usize) -> Result<BTreeMap<String, ArrayRef>> {
        if self.columns.is_empty() || rows == 0 {
            return Ok(BTreeMap::new());
        }
        let values = match &self.same {
            Some(same) => all_repeated(same, rows)?,
            None => {
                let (values, each) = self.computed(1).await?;
                match each {
                    true if rows == 1 => values,
                    true => self.computed(rows).await?.0,
                    false => all_repeated(self.same.insert(values), rows)?,
                }
            }
        };
        let names = self.columns.iter().map(|(name, _)| name.clone());
        Ok(names.zip(values).collect())
    }

    /// Computes the values of so many rows, and tells whether each has others.
    async fn computed(&self, rows: usize) -> Result<(Vec<ArrayRef>, bool)> {
        let from = match rows {
            1 => String::new(),
            rows => format!(" FROM generate_series(1, {rows})"),
        };
        let mut query = parse_one(&format!("SELECT 1{from}"))?;
        if let Statement::Query(query) = &mut query
            && let SetExpr::Select(select) = query.body.as_mut()
        {
            let named = self.columns.iter().enumerate().map(|(at, (_, expr))| {
                let alias = Ident::new(format!("value_{at}"));
                SelectItem::ExprWithAlias { expr: expr.clone(), alias }
            });
            select.projection = named.collect();
        }
        let context = self.session.context(&self.live)?;
        let planned = self.session.plan_with(&self.live, &context, &query, &[]).await?;
        let reads = planned.reads()?;
        if reads.personal || !reads.relations.is_empty() || reads.counts.is_some() {
            let hint = "Give the value with each row.";
            return Err(unsupported("a default that is looked up", hint));
        }
        if rows == 1 {
            refuse_over_rows(planned.plan())?;
        }
        let each = is_volatile(planned.plan())?;
        let mut stream = self.session.run(&self.live, planned.plan().clone(), None).await?;
        let (mut batches, mut count) = (vec![], 0);
        while let Some(batch) = stream.try_next().await? {
            count += batch.num_rows();
            if count > rows {
                break;
            }
            batches.push(batch);
        }
        // There are more or fewer only where an expression is a set.
        if count != rows {
            return Err(not_of_one_row("0A000", "set-returning functions"));
        }
        let values = (0..self.columns.len()).map(|at| {
            let parts: Vec<&dyn Array> =
                batches.iter().map(|batch| batch.column(at).as_ref()).collect();
            Ok(concat(&parts).map_err(DataFusionError::from)?)
        });
        Ok((values.collect::<Result<_>>()?, each))
    }
}

/// Fails if defaults are computed over rows, of which there are none.
fn refuse_over_rows(plan: &LogicalPlan) -> Result<()> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        found = found.or(match node {
            LogicalPlan::Aggregate(_) => Some(("42803", "aggregate functions")),
            LogicalPlan::Window(_) => Some(("42P20", "window functions")),
            _ => None,
        });
        Ok(TreeNodeRecursion::Continue)
    })?;
    found.map_or(Ok(()), |(sqlstate, what)| Err(not_of_one_row(sqlstate, what)))
}

fn not_of_one_row(sqlstate: &'static str, what: &str) -> Error {
    Error::Standard {
        sqlstate,
        message: format!("{what} are not allowed in DEFAULT expressions"),
        hint: "A default is one value: write it, or call a function that returns one.".into(),
    }
}

fn is_volatile(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.is_volatile();
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// Returns the value of one row as that of so many.
pub(super) fn repeated(value: &ArrayRef, rows: usize) -> Result<ArrayRef> {
    let first = UInt64Array::from(vec![0; rows]);
    Ok(take(value.as_ref(), &first, None).map_err(DataFusionError::from)?)
}

fn all_repeated(values: &[ArrayRef], rows: usize) -> Result<Vec<ArrayRef>> {
    values.iter().map(|value| repeated(value, rows)).collect()
}

impl QuerySession {
    /// Returns the default of a column, kept as `sql`, as the value of one row, and tells whether others may have another one.
    pub(super) async fn default_of(
        &self,
        seen: &Seen,
        sql: &str,
        column: &Field,
    ) -> Result<(ArrayRef, bool)> {
        let columns = vec![(column.name().clone(), expression(sql, column)?)];
        let live = Arc::clone(&seen.live);
        let default = Defaults { session: self, live, columns, same: None };
        let (mut values, differs) = default.computed(1).boxed().await?;
        let value = values.pop().ok_or_else(not_planned)?;
        Ok((assigned(&value, column, &zone_of(self.facts()))?, differs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(sql: &str) -> Expr {
        parsed(sql).unwrap()
    }

    #[test]
    fn a_default_follows_from_nothing_in_the_row() {
        for sql in ["1.5", "'x'", "now()", "CURRENT_DATE", "-1", "gen_random_uuid()", "1 + 2"] {
            assert_eq!(read("a", &written(sql)).unwrap().as_deref(), Some(sql));
        }
        assert_eq!(read("a", &written("NULL")).unwrap(), None);
        for sql in ["b", "t.b + 1", "(SELECT 1)", "ARRAY(SELECT 1)", "nextval('s') + 1", "$1"] {
            assert!(read("a", &written(sql)).is_err(), "{sql}");
        }
        for call in ["set_config('a.b', 'x', false)", "coalesce(pg_cancel_backend(1)::int, 1)"] {
            assert!(read("a", &written(call)).is_err(), "{call}");
        }
        assert!(read(PROFILE_ID, &written("1")).is_err());
    }

    #[test]
    fn the_word_stands_for_the_default_or_null() {
        let columns = vec![("a".to_owned(), Some(written("7"))), ("b".to_owned(), None)];
        let (numbered, followers) = (BTreeSet::from(["b".to_owned()]), Followers::default());
        let declared = Declared { columns, numbered, followers };
        let word = Expr::Identifier(Ident::new("DEFAULT"));
        assert_eq!(declared.value("a", &word).to_string(), "7");
        assert_eq!(declared.value("b", &word).to_string(), "NULL");
        assert!(declared.is_numbered_by("b", &word) && !declared.is_numbered_by("a", &word));
        assert!(!declared.is_numbered_by("b", &written("8")));
        assert_eq!(declared.value("a", &written("8")).to_string(), "8");
        let Statement::Query(mut query) = parse_one("VALUES (1, DEFAULT), (DEFAULT, 2)").unwrap()
        else {
            panic!("it is a query");
        };
        declared.write_into(Some(&["b".to_owned(), "a".to_owned()]), &mut query);
        assert_eq!(query.to_string(), "VALUES (1, 7), (DEFAULT, 2)");
    }
}
