//! Whether rows are what those of their table are to be: not null where they may not, and as its checks say.
//!
//! The answer to a row that is not shows its values, as PostgreSQL does. Whoever gets it has written them, or changes a row
//! that the session sees: nobody else's rows are looked at. Where rows of a table that are there are looked at, no value is told.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, Expr, Ident};
use futures::FutureExt;

use super::check_constraints::conditions;
use super::computed::{self, Computed};
use super::insert::cast;
use super::write::{Seen, missing};
use crate::catalog::{AnalyticsTable, CheckConstraint, placed};
use crate::engine::Live;
use crate::error::{Error, Result};
use crate::query::access::Access;
use crate::query::governed::{PROFILE_ID, SUBJECT};
use crate::query::postgres::types::{format_type, pg_type_of};
use crate::query::relations::columns_of;
use crate::query::session::QuerySession;
use crate::violation::{Violated, Violation};

/// What conditions are, as messages call them.
const CLAUSE: &str = "check constraint";

/// Bytes of a value that a message shows.
const SHOWN_BYTES_MAX: usize = 64;

/// What rows of a table are to be.
pub(crate) struct Checks<'a> {
    session: &'a QuerySession,
    live: Arc<Live>,
    /// What the table is kept under.
    name: String,
    table: &'a AnalyticsTable,
    /// Its columns, as queries see them.
    columns: Vec<Field>,
    /// Its checks in the order in which they are looked at: that of their names.
    checks: Vec<CheckConstraint>,
    computed: Option<Computed>,
    /// The row that was refused, from 0.
    refused: Option<usize>,
    /// Who is seen, if rows belong to persons.
    access: Option<Arc<Access>>,
}

impl<'a> Checks<'a> {
    /// Returns what the rows of the table that is kept under `name` are to be; they are stored with these columns.
    pub(super) fn of(
        session: &'a QuerySession,
        seen: &Seen,
        (name, table): (&str, &'a AnalyticsTable),
        stored: &Schema,
    ) -> Self {
        let mut checks = table.checks.clone();
        checks.sort_by(|one, other| one.name.cmp(&other.name));
        let columns = columns_of(stored, table);
        let access = match table.of_persons {
            true => session.persons(seen).ok().map(|persons| persons.access),
            false => None,
        };
        let (live, name) = (Arc::clone(&seen.live), name.to_owned());
        Self { session, live, name, table, columns, checks, computed: None, refused: None, access }
    }

    /// Returns what the table is kept under.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the row that was refused, among those that were looked at with it.
    pub(super) fn refused(&self) -> Option<usize> {
        self.refused
    }

    /// Tells whether there are conditions.
    pub(super) fn are_there(&self) -> bool {
        !self.checks.is_empty()
    }

    /// Fails unless all conditions can be computed of the columns, and are true or false.
    pub(super) async fn check(&self) -> Result<()> {
        if self.checks.is_empty() {
            return Ok(());
        }
        let (own, conditions) = (self.own(), conditions(&self.checks)?);
        let over = (self.name.as_str(), own.as_slice());
        computed::check(self.session, &self.live, over, &conditions, CLAUSE).await?;
        let computed = Computed::of(self.session, &self.live, over, &conditions).await?;
        let is_other =
            |given: &&Arc<Field>| !matches!(given.data_type(), DataType::Boolean | DataType::Null);
        if let Some(other) = computed.given.fields().iter().find(is_other) {
            let (pg_type, modifier) = pg_type_of(other);
            let data_type = format_type(i64::from(pg_type.oid), i64::from(modifier));
            return Err(Error::Standard {
                sqlstate: "42804",
                message: format!("argument of CHECK must be type boolean, not type {data_type}"),
                hint: "Compare it with something.".into(),
            });
        }
        Ok(())
    }

    /// The columns that conditions are over.
    fn own(&self) -> Vec<Field> {
        self.columns.iter().filter(|column| column.name() != PROFILE_ID).cloned().collect()
    }

    /// Fails unless rows with these columns, as queries see them, are what they are to be.
    pub(super) async fn hold(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let null = self.first_null(columns);
        let rows = columns.first().map_or(0, |column| column.len());
        // A row that lacks a value is looked at no further, and neither are those behind it.
        let whole = null.as_ref().map_or(rows, |(row, _)| *row);
        if self.are_there() && whole > 0 {
            let own = columns.iter().zip(&self.columns);
            let own = own.filter(|(_, field)| field.name() != PROFILE_ID);
            let own: Vec<ArrayRef> = own.map(|(column, _)| column.slice(0, whole)).collect();
            if let Some((row, check)) = self.first_broken(own).await? {
                self.refused = Some(row);
                let relation = placed(&self.name).1;
                let message = format!(
                    "new row for relation \"{relation}\" violates check constraint \"{check}\""
                );
                let hint = "\\d shows the condition: give the row values that fulfil it.".into();
                let detail = self.described(columns, row).await;
                let object = Violated::constraint(&self.name, &check);
                let sqlstate = "23514";
                return Err(Violation { sqlstate, message, detail, hint, object }.into());
            }
        }
        let Some((row, column)) = null else { return Ok(()) };
        self.refused = Some(row);
        let detail = self.described(columns, row).await;
        Err(null_value(&self.name, column.as_str(), detail))
    }

    /// As [`Checks::hold`], of rows as they are stored.
    pub(super) async fn hold_stored(&mut self, stored: &RecordBatch) -> Result<()> {
        let own = computed::shown(stored, &self.own())?;
        let mut shown = own.columns().iter().cloned();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for field in &self.columns {
            columns.push(match field.name() == PROFILE_ID {
                true => self.persons_of(stored)?,
                false => shown.next().ok_or_else(|| missing(&self.name))?,
            });
        }
        self.hold(&columns).await
    }

    /// Fails if a stored row of the table as it is does not fulfil the conditions.
    pub(super) async fn hold_there(&mut self, stored: &RecordBatch) -> Result<()> {
        let own = computed::shown(stored, &self.own())?;
        match self.first_broken(own.columns().to_vec()).await? {
            None => Ok(()),
            Some((_, check)) => Err(Violation {
                sqlstate: "23514",
                message: format!(
                    "check constraint \"{check}\" of relation \"{}\" is violated by some row",
                    placed(&self.name).1
                ),
                detail: None,
                hint: "UPDATE the rows for which its condition is false first.".into(),
                object: Violated::constraint(&self.name, &check),
            }
            .into()),
        }
    }

    /// Returns whose stored rows are, as far as the session sees them.
    fn persons_of(&self, stored: &RecordBatch) -> Result<ArrayRef> {
        let subjects = crate::tables::column(stored, SUBJECT)?.as_primitive::<Int64Type>().clone();
        let id = |subject: Option<i64>| {
            let subject = u32::try_from(subject?).ok()?;
            self.access.as_ref()?.profile_id(subject)
        };
        Ok(Arc::new(subjects.iter().map(id).collect::<Int64Array>()))
    }

    /// Returns the first row that has a null where it may have none, and its first such column.
    fn first_null(&self, columns: &[ArrayRef]) -> Option<(usize, String)> {
        let mut found: Option<(usize, String)> = None;
        for (column, field) in columns.iter().zip(&self.columns) {
            if !self.table.not_null.contains(field.name()) || column.logical_null_count() == 0 {
                continue;
            }
            let nulls = column.logical_nulls();
            let row = nulls.and_then(|nulls| nulls.iter().position(|is_valid| !is_valid));
            if let Some(row) = row
                && found.as_ref().is_none_or(|(first, _)| row < *first)
            {
                found = Some((row, field.name().clone()));
            }
        }
        found
    }

    /// Returns the first row for which a condition is false, and the name of the first such check.
    async fn first_broken(&mut self, own: Vec<ArrayRef>) -> Result<Option<(usize, String)>> {
        if self.computed.is_none() {
            let (fields, conditions) = (self.own(), conditions(&self.checks)?);
            let over = (self.name.as_str(), fields.as_slice());
            let computed = Computed::of(self.session, &self.live, over, &conditions).await?;
            self.computed = Some(computed);
        }
        let Some(computed) = &mut self.computed else { return Ok(None) };
        let fields = self.columns.iter().filter(|column| column.name() != PROFILE_ID);
        let fields = fields.map(|column| column.clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let rows = RecordBatch::try_new(schema, own).map_err(DataFusionError::from)?;
        let results = computed.take(self.session, &rows).await?;
        let mut found: Option<(usize, String)> = None;
        for (result, check) in results.iter().zip(&self.checks) {
            let Some(result) = result.as_boolean_opt() else { continue };
            let row = result.iter().position(|is_fulfilled| is_fulfilled == Some(false));
            if let Some(row) = row
                && found.as_ref().is_none_or(|(first, _)| row < *first)
            {
                found = Some((row, check.name.clone()));
            }
        }
        Ok(found)
    }

    /// Returns the values of a row as PostgreSQL shows them; nothing if they cannot be shown.
    async fn described(&self, columns: &[ArrayRef], row: usize) -> Option<String> {
        let fields = self.columns.iter().map(|column| column.clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let values = columns.iter().map(|column| column.slice(row, 1)).collect();
        let one = RecordBatch::try_new(schema, values).ok()?;
        let texts = self.columns.iter().map(|column| {
            let column = Expr::Identifier(Ident::with_quote('"', column.name()));
            cast(column, SqlType::Text)
        });
        let (texts, over) = (texts.collect::<Vec<_>>(), (self.name.as_str(), &*self.columns));
        let texts = Computed::of(self.session, &self.live, over, &texts);
        let texts = texts.boxed().await.ok()?.take(self.session, &one).await.ok()?;
        let mut shown = Vec::with_capacity(texts.len());
        for (text, field) in texts.iter().zip(&self.columns) {
            let text = crate::tables::texts(text).ok()?;
            shown.push(match (text.is_valid(0).then(|| text.value(0)), field.data_type()) {
                (None, _) => "null".to_owned(),
                (Some(text), DataType::Boolean) => text.chars().take(1).collect(),
                (Some(text), _) => cut(text),
            });
        }
        Some(format!("Failing row contains ({}).", shown.join(", ")))
    }
}

/// Returns a value as far as a message shows it.
fn cut(text: &str) -> String {
    if text.len() <= SHOWN_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=SHOWN_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end));
    format!("{}...", &text[..end.unwrap_or(0)])
}

/// Fails if a column that is never null has one.
pub(super) fn check_not_null(name: &str, column: &str, values: &ArrayRef) -> Result<()> {
    match values.logical_null_count() {
        0 => Ok(()),
        _ => Err(null_value(name, column, None)),
    }
}

/// The answer to a null in a column that is never null of the table that is kept under `name`.
pub(super) fn null_value(name: &str, column: &str, detail: Option<String>) -> Error {
    let relation = placed(name).1;
    Violation {
        sqlstate: "23502",
        message: format!(
            "null value in column \"{column}\" of relation \"{relation}\" violates not-null constraint"
        ),
        detail,
        hint: "Give the column a value, or leave such rows out.".into(),
        object: Violated::column(name, column),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_between_letters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(cut(&"x".repeat(65)), format!("{}...", "x".repeat(64)));
        assert_eq!(cut(&"ł€".repeat(20)), format!("{}...", "ł€".repeat(12) + "ł"));
        let null = null_value("marts.t", "a", None);
        let message = "null value in column \"a\" of relation \"t\" violates not-null constraint";
        assert_eq!((null.sqlstate(), null.to_string().as_str()), ("23502", message));
        assert_eq!(null.violated(), Some(&Violated::column("marts.t", "a")));
    }
}
