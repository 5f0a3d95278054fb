//! Columns of type `serial`: rows are numbered as they are put in, and nobody else gives them numbers.
//!
//! A number is given once, also if the rows that it was given to are taken back. Since the numbers of a table that is made
//! by rows of persons would tell of those who are hidden, such tables have none.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::compute::{cast, max};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{ColumnOption, DataType as SqlType, Expr, TableConstraint};

use super::statement::{normal, parts};
use super::write::Seen;
use crate::catalog::AnalyticsTable;
use crate::error::{Error, Result};
use crate::query::session::QuerySession;
use crate::table_read;

/// The types of such columns, and what their numbers are.
const SERIALS: [(&str, &str); 6] = [
    ("smallserial", "smallint"),
    ("serial2", "smallint"),
    ("serial", "integer"),
    ("serial4", "integer"),
    ("bigserial", "bigint"),
    ("serial8", "bigint"),
];

/// What the process has given out: the greatest number of each column that was asked for one.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// By the path of the table, which no other table has after it, and the name of the column.
    greatest: tokio::sync::Mutex<HashMap<(String, String), Numbering>>,
}

/// The numbers of one column.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbering(Arc<AtomicI64>);

impl Numbering {
    /// Returns as many numbers that nobody else gets.
    pub(super) fn take(&self, rows: usize) -> ArrayRef {
        let count = i64::try_from(rows).unwrap_or(i64::MAX);
        let before = self.0.fetch_add(count, Ordering::SeqCst);
        Arc::new(Int64Array::from_iter_values((1..=count).map(|row| before.saturating_add(row))))
    }
}

/// Returns the type of the numbers of a `serial` column; `None` for other types.
pub(super) fn numbered(data_type: &SqlType) -> Option<&'static str> {
    let SqlType::Custom(name, modifiers) = data_type else { return None };
    let name = parts(name);
    let ([name], true) = (name.as_slice(), modifiers.is_empty()) else { return None };
    SERIALS.iter().find(|(serial, _)| serial == name).map(|(_, plain)| *plain)
}

/// Tells whether an option of a column makes it the primary key.
pub(super) fn is_key(option: &ColumnOption) -> bool {
    matches!(option, ColumnOption::PrimaryKey(key) if key.characteristics.is_none())
}

/// Returns the one column of a primary key; `None` for other constraints.
pub(super) fn key_column(constraint: &TableConstraint) -> Option<String> {
    let TableConstraint::PrimaryKey(key) = constraint else { return None };
    let ([column], None) = (key.columns.as_slice(), &key.characteristics) else { return None };
    match &column.column.expr {
        Expr::Identifier(name) => Some(normal(name)),
        _ => None,
    }
}

/// Fails if a statement gives numbers to rows itself.
pub(super) fn refuse_numbered<'a>(
    table: &AnalyticsTable,
    targets: impl IntoIterator<Item = &'a Field>,
) -> Result<()> {
    match targets.into_iter().find(|target| table.numbered.contains(target.name())) {
        None => Ok(()),
        Some(target) => Err(Error::Standard {
            sqlstate: "428C9",
            message: format!("column \"{}\" is numbered and takes no values", target.name()),
            hint: "Leave it out, and name the other columns: INSERT INTO name (a, b) ...".into(),
        }),
    }
}

impl QuerySession {
    /// Returns the numbers of each numbered column of a table.
    pub(super) async fn numbers(
        &self,
        seen: &Seen,
        table: &AnalyticsTable,
    ) -> Result<BTreeMap<String, Numbering>> {
        let mut found = BTreeMap::new();
        if table.numbered.is_empty() {
            return Ok(found);
        }
        // Held while the greatest is looked for: of two who ask first, one looks and the other waits.
        let mut greatest = self.engine().analytics().numbers.greatest.lock().await;
        for column in &table.numbered {
            let key = (table.path.clone(), column.clone());
            if !greatest.contains_key(&key) {
                let numbering = Numbering::default();
                numbering.0.store(self.greatest(seen, table, column).await?, Ordering::SeqCst);
                greatest.insert(key.clone(), numbering);
            }
            found.extend(greatest.get(&key).map(|numbers| (column.clone(), numbers.clone())));
        }
        Ok(found)
    }

    /// Returns the greatest number in the rows of a table that are committed; 0 for none.
    async fn greatest(&self, seen: &Seen, table: &AnalyticsTable, column: &str) -> Result<i64> {
        let Some(snapshot) = seen.base.published.table(&table.path) else { return Ok(0) };
        let lake = self.engine().catalog().lake();
        let schema = table_read::project(&snapshot.schema, &[column])?;
        let mut greatest = 0;
        for file in snapshot.files.iter() {
            for batch in table_read::read_file(lake, &table.path, file, &schema).await? {
                let numbers =
                    cast(batch.column(0), &DataType::Int64).map_err(DataFusionError::from)?;
                greatest = greatest.max(max(numbers.as_primitive::<Int64Type>()).unwrap_or(0));
            }
        }
        Ok(greatest)
    }
}
