//! Primary keys: no two rows of a table have the same values in its columns.
//!
//! Rows that bring keys are held against those that are there. What two sessions do at the same time is settled when they
//! commit: whoever brought keys fails if the table has changed since, and whoever was given some by numbers fails if
//! somebody brought some since. Since the keys of a table of persons would tell of those who are hidden, such tables have
//! none.

use std::collections::HashSet;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::{Field, Schema};
use arrow::row::{Row, RowConverter, Rows, SortField};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{ColumnOption, DataType as SqlType, Expr, TableConstraint};

use super::numbers::{is_whole, refuse_numbered};
use super::statement::{normal, unsupported};
use super::write::Seen;
use crate::catalog::{AnalyticsTable, placed};
use crate::error::{Error, Result};
use crate::query::session::QuerySession;
use crate::{table_read, tables};

/// Tells whether values of a type may be a primary key: two of them are the same if they are stored alike.
pub(super) fn may_be_key(data_type: &SqlType) -> bool {
    is_whole(data_type)
        || matches!(
            data_type,
            SqlType::Text
                | SqlType::Varchar(_)
                | SqlType::CharacterVarying(_)
                | SqlType::Uuid
                | SqlType::Date
                | SqlType::Timestamp(..)
        )
}

/// Tells whether an option of a column makes it the primary key.
pub(super) fn is_key(option: &ColumnOption) -> bool {
    matches!(option, ColumnOption::PrimaryKey(key) if key.characteristics.is_none())
}

/// Returns the columns of a primary key; `None` for other constraints.
pub(super) fn key_columns(constraint: &TableConstraint) -> Option<Vec<String>> {
    let TableConstraint::PrimaryKey(key) = constraint else { return None };
    if key.characteristics.is_some() {
        return None;
    }
    let name = |column: &Expr| match column {
        Expr::Identifier(name) => Some(normal(name)),
        _ => None,
    };
    key.columns.iter().map(|column| name(&column.column.expr)).collect()
}

/// The primary key of a table, and how its values are held against each other.
#[derive(Debug)]
pub(crate) struct Key {
    columns: Vec<String>,
    converter: RowConverter,
}

impl Key {
    /// Returns the key of a table whose rows are `stored` so; `None` if it has none.
    pub(super) fn of(table: &AnalyticsTable, stored: &Schema) -> Result<Option<Self>> {
        if table.primary_key.is_empty() {
            return Ok(None);
        }
        let columns = table.primary_key.clone();
        let field = |name: &String| {
            let field = stored.field_with_name(name);
            field.map(|field| SortField::new(field.data_type().clone()))
        };
        let fields = columns.iter().map(field).collect::<std::result::Result<Vec<_>, _>>();
        let converter = fields.and_then(RowConverter::new).map_err(DataFusionError::from)?;
        Ok(Some(Self { columns, converter }))
    }

    /// Returns its columns, in order.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Returns the keys of rows as they are stored.
    fn values(&self, stored: &RecordBatch) -> Result<Rows> {
        let columns = self.columns.iter().map(|name| tables::column(stored, name).cloned());
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        Ok(self.converter.convert_columns(&columns).map_err(DataFusionError::from)?)
    }

    /// Tells of each stored row whether it is the first that has its key.
    pub(super) fn is_first(&self, stored: &RecordBatch) -> Result<BooleanArray> {
        let mut known = HashSet::new();
        let values = self.values(stored)?;
        Ok(values.iter().map(|value| Some(known.insert(boxed(&value)))).collect())
    }
}

fn bytes<'a>(value: &'a Row<'_>) -> &'a [u8] {
    value.as_ref()
}

fn boxed(value: &Row<'_>) -> Box<[u8]> {
    Box::from(bytes(value))
}

/// The keys that the rows of a statement bring.
#[derive(Debug, Default)]
pub(crate) struct BroughtKeys {
    keys: HashSet<Box<[u8]>>,
    /// Whether two rows brought the same.
    twice: bool,
}

impl BroughtKeys {
    /// Takes the keys of stored rows.
    pub(super) fn take(&mut self, key: &Key, stored: &RecordBatch) -> Result<()> {
        for value in key.values(stored)?.iter() {
            self.twice |= !self.keys.insert(boxed(&value));
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// The answer to a key that two rows would have.
fn twice(name: &str, table: &AnalyticsTable) -> Error {
    let constraint = format!("{}_pkey", placed(name).1);
    let hint = match table.primary_key.iter().find(|column| table.numbered.contains(*column)) {
        Some(column) => {
            format!("Leave \"{column}\" out: rows are numbered as they are put in.")
        }
        None => "Use another key, or UPDATE the row that is there; INSERT ... ON CONFLICT says what is done with such rows.".into(),
    };
    Error::Standard {
        sqlstate: "23505",
        message: format!("duplicate key value violates unique constraint \"{constraint}\""),
        hint,
    }
}

/// Fails if a statement changes the numbers or the primary keys of rows.
pub(super) fn refuse_changed<'a>(
    table: &AnalyticsTable,
    targets: impl IntoIterator<Item = &'a Field>,
) -> Result<()> {
    for target in targets {
        refuse_numbered(table, [target])?;
        if table.primary_key.contains(target.name()) {
            let what = format!("changing the primary key \"{}\"", target.name());
            let hint = "Delete the row, and insert it with another key in the same transaction.";
            return Err(unsupported(what, hint));
        }
    }
    Ok(())
}

impl QuerySession {
    /// Fails if a row of a table has a primary key that others brought, or two of those have.
    pub(super) async fn refuse_keys(
        &self,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        brought: &BroughtKeys,
    ) -> Result<()> {
        if brought.twice {
            return Err(twice(name, table));
        }
        let Some(snapshot) = seen.live.published.table(&table.path) else { return Ok(()) };
        let Some(key) = Key::of(table, &snapshot.schema)? else { return Ok(()) };
        let lake = self.engine().catalog().lake();
        let columns: Vec<&str> = key.columns().iter().map(String::as_str).collect();
        let schema = table_read::project(&snapshot.schema, &columns)?;
        for file in snapshot.files.iter() {
            for batch in table_read::read_file(lake, &table.path, file, &schema).await? {
                let there = key.values(&batch)?;
                if there.iter().any(|value| brought.keys.contains(bytes(&value))) {
                    return Err(twice(name, table));
                }
            }
        }
        Ok(())
    }
}
