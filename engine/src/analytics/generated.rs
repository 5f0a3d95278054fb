//! `GENERATED ALWAYS AS (expression) STORED`: columns that are computed of the others of their row.
//!
//! Rows that are put in have them computed when their other columns are known. Statements that change rows assign them beside
//! what they assign: see [`followers`](super::followers). Where foreign keys change rows, they are computed of the rows that come
//! of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Field, Int64Type, Schema};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{Expr, visit_expressions, visit_expressions_mut};
use futures::FutureExt;

use super::assignable::check_assignable;
use super::columns::ColumnChange;
use super::computed::{self, Computed};
use super::defaults::parsed;
use super::dependents::others_depend;
use super::insert::is_open;
use super::rows::{ROW, Shaper, assigned, stored};
use super::statement::{normal, unsupported};
use super::write::{Seen, missing};
use super::{check_constraints, foreign_keys, immutable};
use crate::catalog::{AnalyticsTable, CheckConstraint, ReferenceAction, placed};
use crate::engine::Live;
use crate::error::{Error, Result};
use crate::lake::{self, TableSnapshot};
use crate::query::governed::PROFILE_ID;
use crate::query::postgres::zone_of;
use crate::query::relations::columns_of;
use crate::query::session::QuerySession;
use crate::{table_read, tables};

/// What the expressions are, as messages call them.
const CLAUSE: &str = "column generation expression";

/// Returns the columns that an expression names.
pub(super) fn columns_in(expression: &Expr) -> BTreeSet<String> {
    let mut columns = BTreeSet::new();
    // The visitor never breaks off.
    let _: ControlFlow<()> = visit_expressions(expression, |part| {
        if let Expr::Identifier(name) = part {
            columns.insert(normal(name));
        }
        ControlFlow::Continue(())
    });
    columns
}

/// Returns those of the generated columns that are computed of a column.
pub(super) fn computed_of(table: &AnalyticsTable, column: &str) -> Result<Vec<String>> {
    let mut found = vec![];
    for (generated, sql) in &table.generated {
        if columns_in(&parsed(sql)?).contains(column) {
            found.push(generated.clone());
        }
    }
    Ok(found)
}

/// Lets generated columns follow a column that has another name.
pub(super) fn rename(table: &mut AnalyticsTable, name: &str, to: &str) -> Result<()> {
    for sql in table.generated.values_mut() {
        let columns = columns_in(&parsed(sql)?).into_iter().collect();
        let (condition, not_valid) = (sql.clone(), false);
        let mut written = CheckConstraint { name: String::new(), condition, columns, not_valid };
        check_constraints::rename(&mut written, name, to)?;
        *sql = written.condition;
    }
    if let Some(sql) = table.generated.remove(name) {
        table.generated.insert(to.to_owned(), sql);
    }
    Ok(())
}

/// Fails if a generated column is computed of one that goes, or becomes another type.
pub(super) fn refuse_used(name: &str, table: &AnalyticsTable, change: &ColumnChange) -> Result<()> {
    let told = foreign_keys::told(name);
    match change {
        ColumnChange::Drop { name: column, cascade, .. } => {
            let users = computed_of(table, column)?;
            if users.is_empty() {
                return Ok(());
            }
            if *cascade {
                let what = "DROP COLUMN CASCADE of what a generated column is computed of";
                return Err(unsupported(what, "Drop the generated column first."));
            }
            let what = format!("column {column} of table {told}");
            let line = |user: &String| format!("column {user} of table {told} depends on {what}");
            Err(others_depend(&what, users.iter().map(line).collect()))
        }
        ColumnChange::Type { name: column, .. } => {
            let users = computed_of(table, column)?;
            let is_one = table.generated.contains_key(column).then_some(column);
            match users.first().or(is_one) {
                None => Ok(()),
                Some(user) => Err(Error::Row {
                    sqlstate: "0A000",
                    message: "cannot alter type of a column used by a generated column".into(),
                    detail: Some(format!(
                        "Column \"{column}\" is used by generated column \"{user}\"."
                    )),
                    hint: "Drop the generated column first, or make the table anew.".into(),
                }),
            }
        }
        ColumnChange::Default { name: column, .. } if table.generated.contains_key(column) => {
            let relation = placed(name).1;
            Err(Error::Standard {
                sqlstate: "42601",
                message: format!(
                    "column \"{column}\" of relation \"{relation}\" is a generated column"
                ),
                hint: "It is computed: make the table anew with another expression.".into(),
            })
        }
        _ => Ok(()),
    }
}

/// Reads the expression of a column of the table that is kept under `table`. Returns it as it is kept.
pub(super) fn read(table: &str, expression: &Expr) -> Result<String> {
    let mut expression = expression.clone();
    // The visitor never breaks off.
    let _: ControlFlow<()> = visit_expressions_mut(&mut expression, |part| {
        if let Expr::CompoundIdentifier(names) = part
            && let [.., of, name] = names.as_slice()
            && normal(of) == placed(table).1
        {
            *part = Expr::Identifier(name.clone());
        }
        ControlFlow::Continue(())
    });
    if columns_in(&expression).contains(PROFILE_ID) {
        let hint = "It says whose a row is: compute the column of the others.";
        return Err(unsupported(format!("a column that is computed of \"{PROFILE_ID}\""), hint));
    }
    immutable::refuse_calls(&expression)?;
    Ok(expression.to_string())
}

/// The answer to a value for a generated column.
pub(super) fn refused(message: String, column: &str) -> Error {
    Error::Row {
        sqlstate: "428C9",
        message,
        detail: Some(format!("Column \"{column}\" is a generated column.")),
        hint: "Leave it out: it is computed.".into(),
    }
}

/// The generated columns of rows that are put in.
pub(crate) struct Generated<'a> {
    session: &'a QuerySession,
    live: Arc<Live>,
    /// What the table is kept under.
    name: String,
    /// The columns that expressions are over, as queries see them.
    columns: Vec<Field>,
    expressions: Vec<(String, Expr)>,
    computed: Option<Computed>,
}

impl<'a> Generated<'a> {
    /// Returns those of the table that is kept under `name`, whose rows are `stored` so.
    pub(super) fn of(
        session: &'a QuerySession,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        stored: &Schema,
    ) -> Result<Self> {
        let columns = match table.generated.is_empty() {
            true => vec![],
            false => own(columns_of(stored, table)),
        };
        let expressions =
            table.generated.iter().map(|(name, sql)| Ok((name.clone(), parsed(sql)?)));
        Ok(Self {
            session,
            live: Arc::clone(&seen.live),
            name: name.to_owned(),
            columns,
            expressions: expressions.collect::<Result<_>>()?,
            computed: None,
        })
    }

    /// Tells whether a column is one of them.
    pub(super) fn has(&self, column: &str) -> bool {
        self.expressions.iter().any(|(name, _)| name == column)
    }

    /// Tells whether there are none.
    pub(super) fn are_none(&self) -> bool {
        self.expressions.is_empty()
    }

    /// Computes them of rows of which these are the columns, as queries see them, by name.
    pub(super) async fn take(
        &mut self,
        known: &BTreeMap<String, ArrayRef>,
    ) -> Result<Vec<(String, ArrayRef)>> {
        if self.computed.is_none() {
            let expressions: Vec<Expr> =
                self.expressions.iter().map(|(_, expression)| expression.clone()).collect();
            let over = (self.name.as_str(), self.columns.as_slice());
            let computed = Computed::of(self.session, &self.live, over, &expressions).boxed();
            self.computed = Some(computed.await?);
        }
        let Some(computed) = &mut self.computed else { return Ok(vec![]) };
        let column = |field: &Field| known.get(field.name()).cloned();
        let columns = self.columns.iter().map(column).collect::<Option<Vec<ArrayRef>>>();
        let columns = columns.ok_or_else(|| missing(&self.name))?;
        let fields = self.columns.iter().map(|field| field.clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let rows = RecordBatch::try_new(schema, columns).map_err(DataFusionError::from)?;
        let values = computed.take(self.session, &rows).await?;
        let names = self.expressions.iter().map(|(name, _)| name.clone());
        Ok(names.zip(values).collect())
    }
}

/// What is known of rows while their generated columns are not.
#[derive(Default)]
pub(super) struct Open {
    /// Their columns as queries see them, by name.
    pub(super) known: BTreeMap<String, ArrayRef>,
    /// The places of those that are generated among the stored columns, and among those that queries see.
    pub(super) places: Vec<(usize, usize)>,
}

impl Shaper<'_> {
    /// Computes the generated columns of rows, and puts them into their places.
    pub(super) async fn compute(
        &mut self,
        open: &Open,
        columns: &mut [ArrayRef],
        shown: &mut [ArrayRef],
    ) -> Result<()> {
        let computed: BTreeMap<String, ArrayRef> =
            self.generated.take(&open.known).await?.into_iter().collect();
        for (at, place) in &open.places {
            let field = &self.stored.fields()[*at];
            let logical = lake::logical_field(field);
            let array = computed.get(field.name()).ok_or_else(|| missing(field.name()))?;
            let array = assigned(array, &logical, &self.zone)?;
            if let Some(returned) = &mut self.returned {
                returned.take_column(field.name(), &array);
            }
            columns[*at] = stored(&array, &logical, field)?;
            shown[*place] = array;
        }
        Ok(())
    }
}

fn own(columns: Vec<Field>) -> Vec<Field> {
    columns.into_iter().filter(|column| column.name() != PROFILE_ID).collect()
}

impl QuerySession {
    /// Fails unless the generated columns of a table can be computed of its others.
    pub(super) async fn check_generated(
        &self,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        stored: &Schema,
    ) -> Result<()> {
        if table.generated.is_empty() {
            return Ok(());
        }
        let columns = own(columns_of(stored, table));
        let mut expressions = vec![];
        for sql in table.generated.values() {
            let expression = parsed(sql)?;
            let named = columns_in(&expression);
            if let Some(other) = named.iter().find(|name| table.generated.contains_key(*name)) {
                return Err(Error::Row {
                    sqlstate: "42P17",
                    message: format!(
                        "cannot use generated column \"{other}\" in column generation expression"
                    ),
                    detail: Some(
                        "A generated column cannot reference another generated column.".into(),
                    ),
                    hint: "Write out what that one is computed of.".into(),
                });
            }
            expressions.push(expression);
        }
        let over = (name, columns.as_slice());
        computed::check(self, &seen.live, over, &expressions, CLAUSE).boxed().await?;
        let computed = Computed::of(self, &seen.live, over, &expressions).boxed().await?;
        immutable::refuse_plan(computed.plan())?;
        let given = computed.given.fields().iter().zip(table.generated.keys());
        for ((given, column), expression) in given.zip(&expressions) {
            let field = columns.iter().find(|field| field.name() == column);
            let field = field.ok_or_else(|| missing(name))?;
            if !is_open(expression) {
                check_assignable(given, field)?;
            }
        }
        refuse_actions(table)
    }

    /// Computes generated columns of rows in which a foreign key changes what they are computed of, and adds them to the `values`
    /// of those rows, which have these numbers, in the order in which they lie at `path`.
    pub(super) async fn recompute(
        &self,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        (path, snapshot, rows): (&str, &TableSnapshot, &[i64]),
        values: &mut Vec<(String, ArrayRef)>,
    ) -> Result<()> {
        let mut following = BTreeSet::new();
        for (column, _) in values.iter() {
            following.extend(computed_of(table, column)?);
        }
        if following.is_empty() {
            return Ok(());
        }
        let wanted: HashSet<i64> = rows.iter().copied().collect();
        let lake = self.engine().catalog().lake();
        let mut found = vec![];
        for file in snapshot.files.iter() {
            for batch in table_read::read_file(lake, path, file, &snapshot.schema).await? {
                let numbers = tables::column(&batch, ROW)?.as_primitive::<Int64Type>();
                let is_wanted = |row: &i64| Some(wanted.contains(row));
                let among: BooleanArray = numbers.values().iter().map(is_wanted).collect();
                let batch = filter_record_batch(&batch, &among).map_err(DataFusionError::from)?;
                found.push(batch);
            }
        }
        let before = concat_batches(&snapshot.schema, &found).map_err(DataFusionError::from)?;
        let numbers = tables::column(&before, ROW)?.as_primitive::<Int64Type>();
        if numbers.values().iter().ne(rows) {
            let lost = "rows that follow others lie in another order";
            return Err(DataFusionError::Internal(lost.into()).into());
        }
        let schema = before.schema();
        let columns = schema.fields().iter().zip(before.columns()).map(|(field, old)| {
            let new = values.iter().find(|(column, _)| column == field.name());
            Arc::clone(new.map_or(old, |(_, new)| new))
        });
        let after = RecordBatch::try_new(Arc::clone(&schema), columns.collect());
        let after = after.map_err(DataFusionError::from)?;
        let mut generated = Generated::of(self, seen, (name, table), &snapshot.schema)?;
        let shown = computed::shown(&after, &generated.columns)?;
        let names = generated.columns.iter().map(|column| column.name().clone());
        let known = names.zip(shown.columns().iter().cloned()).collect();
        let zone = zone_of(self.facts());
        for (column, array) in generated.take(&known).await? {
            if following.contains(&column) {
                let (_, field) =
                    snapshot.schema.fields().find(&column).ok_or_else(|| missing(&column))?;
                let logical = lake::logical_field(field);
                let array = assigned(&array, &logical, &zone)?;
                values.push((column, stored(&array, &logical, field)?));
            }
        }
        Ok(())
    }
}

/// Fails if an action of a foreign key would change a generated column.
pub(super) fn refuse_actions(table: &AnalyticsTable) -> Result<()> {
    for key in &table.foreign_keys {
        let changes =
            |action| matches!(action, ReferenceAction::SetNull | ReferenceAction::SetDefault);
        let follows = key.on_update == ReferenceAction::Cascade;
        let actions =
            [("UPDATE", follows || changes(key.on_update)), ("DELETE", changes(key.on_delete))];
        for (when, _) in actions.into_iter().filter(|(_, changes)| *changes) {
            for column in &key.columns {
                if table.generated.contains_key(column) {
                    return Err(Error::Standard {
                        sqlstate: "42601",
                        message: format!(
                            "invalid ON {when} action for foreign key constraint containing generated column"
                        ),
                        hint:
                            "Leave it out: the column is computed. ON DELETE CASCADE takes the row."
                                .into(),
                    });
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(sql: &str) -> Expr {
        parsed(sql).unwrap()
    }

    #[test]
    fn an_expression_is_computed_of_the_row_alone() {
        assert_eq!(read("marts.t", &written("t.a * 2 + b")).unwrap(), "a * 2 + b");
        for sql in ["now()", "a + random()", "current_date - a"] {
            assert_eq!(read("t", &written(sql)).unwrap_err().sqlstate(), "42P17", "{sql}");
        }
        assert_eq!(read("t", &written("profile_id + 1")).unwrap_err().sqlstate(), "0A000");
    }
}
