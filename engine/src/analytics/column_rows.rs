//! The rows of a table whose columns change: whether they are what they are to be, and their copies with the columns of then.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::error::DataFusionError;
use futures::FutureExt;

use super::checks::Checks;
use super::column_changes::Column;
use super::columns::ColumnChange;
use super::insert::no_column;
use super::retyped::Retyped;
use super::rows::{FileWriter, stored};
use super::statement::unsupported;
use super::write::{Seen, missing};
use super::{altered_keys, defaults};
use crate::catalog::AnalyticsTable;
use crate::error::Result;
use crate::lake::{self, FileEntry, Table, TableSnapshot};
use crate::query::session::QuerySession;
use crate::table_read;

impl QuerySession {
    /// Computes the default of a column that is added, or sees whether one is what it is to be in all rows that are there.
    pub(super) async fn check_and_fill(
        &self,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        before: &TableSnapshot,
        change: &ColumnChange,
        columns: &mut [Column],
    ) -> Result<()> {
        let changed = match change {
            ColumnChange::Add { name, .. }
            | ColumnChange::Default { name, .. }
            | ColumnChange::NotNull { name, .. } => name,
            _ => return Ok(()),
        };
        let found = columns.iter_mut().find(|column| column.field.name() == changed);
        let column = found.ok_or_else(|| no_column(name, changed))?;
        let shown = lake::logical_field(&column.field);
        match change {
            ColumnChange::Add { default: Some(default), not_null, .. } if column.from.is_none() => {
                let (value, differs) = self.default_of(seen, default, &shown).await?;
                if *not_null && value.logical_null_count() > 0 {
                    return Err(altered_keys::contains_nulls(name, changed));
                }
                if differs {
                    let hint = "Add the column without it, UPDATE the rows, and then SET DEFAULT.";
                    let what = "ADD COLUMN with a default that differs from row to row";
                    return Err(unsupported(what, hint));
                }
                column.filled = Some(stored(&value, &shown, &column.field)?);
            }
            ColumnChange::Default { default: Some(default), .. } => {
                self.default_of(seen, default, &shown).await?;
            }
            ColumnChange::NotNull { not_null: true, .. } => {
                if table.of_persons {
                    let hint = "Whether one is null would tell of persons who are hidden.";
                    return Err(unsupported("SET NOT NULL of rows of persons", hint));
                }
                self.may_fill(seen, name, false, false)?;
                self.refuse_nulls((name, table), before, column).await?;
                self.staged().lock().copied(&seen.base.published, &table.path);
            }
            _ => {}
        }
        Ok(())
    }

    /// Fails if a column is null in a row that is there.
    async fn refuse_nulls(
        &self,
        (name, table): (&str, &AnalyticsTable),
        before: &TableSnapshot,
        column: &Column,
    ) -> Result<()> {
        let lake = self.engine().catalog().lake();
        let mut has_null = column.from.is_none() && column.filled.is_none();
        has_null &= !before.files.is_empty();
        if let Some(from) = column.from {
            let stored = before.schema.field(from).name().as_str();
            let read = table_read::project(&before.schema, &[stored])?;
            for file in before.files.iter() {
                let batches = table_read::read_file(lake, &table.path, file, &read).await?;
                has_null |= batches.iter().any(|batch| batch.column(0).logical_null_count() > 0);
            }
        }
        match has_null {
            true => Err(altered_keys::contains_nulls(name, column.field.name())),
            false => Ok(()),
        }
    }

    /// Writes the rows of `before`, those of the table that is kept under `name`, to files of `made` with these columns.
    pub(super) async fn copy_files(
        &self,
        seen: &Seen,
        (name, table, after): (&str, &AnalyticsTable, &AnalyticsTable),
        before: &TableSnapshot,
        made: &Table,
        columns: &[Column],
    ) -> Result<Vec<FileEntry>> {
        let lake = self.engine().catalog().lake();
        let stored = Arc::clone(&made.snapshot().schema);
        let of_table = (name, table, after);
        let mut retyped = Retyped::of((self, seen), of_table, before, made, columns).await?;
        // Rows that are there are not held to those that are not valid.
        let valid = after.checks.iter().filter(|check| !check.not_valid).cloned().collect();
        let checked = AnalyticsTable { checks: valid, ..after.clone() };
        let mut checks = Checks::of(self, seen, (name, &checked), &stored);
        let is_new = after.checks.iter().any(|check| !table.checks.contains(check));
        let is_checked = checks.are_there() && (retyped.are_there() || is_new);
        if is_checked {
            self.may_fill(seen, name, false, false)?;
            checks.check().boxed().await?;
        }
        let mut writer = FileWriter::new(made);
        for file in before.files.iter() {
            for batch in table_read::read_file(lake, &table.path, file, &before.schema).await? {
                let rows = batch.num_rows();
                let mut turned = retyped.turned(&batch).await?.into_iter();
                let arrays: Vec<ArrayRef> = columns
                    .iter()
                    .map(|column| match (&column.turned, column.from, &column.filled) {
                        (Some(_), ..) => turned.next().ok_or_else(|| missing(name)),
                        (None, Some(at), _) => Ok(Arc::clone(batch.column(at))),
                        (None, None, Some(value)) => defaults::repeated(value, rows),
                        (None, None, None) => Ok(new_null_array(column.field.data_type(), rows)),
                    })
                    .collect::<Result<_>>()?;
                let options = RecordBatchOptions::new().with_row_count(Some(rows));
                let copied =
                    RecordBatch::try_new_with_options(Arc::clone(&stored), arrays, &options)
                        .map_err(DataFusionError::from)?;
                retyped.take_keys(&copied)?;
                // Of a row of persons a wider type makes nothing else.
                if is_checked && !table.of_persons {
                    checks.hold_there(&copied).boxed().await?;
                }
                writer.push(copied).await?;
            }
        }
        writer.finish().await
    }
}
