//! Changes of a table's columns: `ALTER TABLE ... ADD`, `DROP` and `RENAME COLUMN`.
//!
//! The rows, those of hidden people included, are copied to a new table with the new columns, which takes the place of the
//! one before at the commit. Somebody else's change of a row in the meantime makes the commit fail.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{AlterTableOperation, ColumnDef, Ident};

use super::constraints;
use super::insert::no_column;
use super::objects::{definition_over, used};
use super::rows::{FileWriter, ROW, layout};
use super::sequence_objects::{OwnedSequences, without_sequences};
use super::statement::{Write, normal, unsupported};
use super::write::{Seen, Written, missing};
use crate::catalog::{AnalyticsBody, AnalyticsRelation, AnalyticsTable, placed};
use crate::error::{Error, Result};
use crate::lake::{FileEntry, Table, TableSchema, TableSnapshot};
use crate::query::governed::{PROFILE_ID, SUBJECT};
use crate::query::postgres::SessionFacts;
use crate::query::session::QuerySession;
use crate::table_read;

/// What to do in the place of other changes of a table.
const ANEW: &str = "Make the table anew: CREATE TABLE ... AS SELECT, then rename it.";

/// One change of a table's columns.
#[derive(Debug, Clone)]
pub(crate) enum ColumnChange {
    /// `ADD COLUMN name type`: it is null in the rows that are there.
    Add { name: String, if_not_exists: bool },
    /// `DROP COLUMN name`.
    Drop { name: String, if_exists: bool },
    /// `RENAME COLUMN name TO to`.
    Rename { name: String, to: String },
}

/// Reads the changes of an `ALTER TABLE` of `name`.
pub(super) fn alter(
    name: String,
    if_exists: bool,
    operations: &[AlterTableOperation],
    facts: &SessionFacts,
) -> Result<Write> {
    let mut changes = Vec::with_capacity(operations.len());
    let mut definitions: Vec<ColumnDef> = vec![];
    for operation in operations {
        match operation {
            AlterTableOperation::AddColumn { if_not_exists, column_def, .. } => {
                let name = own(&column_def.name)?;
                changes.push(ColumnChange::Add { name, if_not_exists: *if_not_exists });
                definitions.push(column_def.clone());
            }
            AlterTableOperation::DropColumn { column_names, if_exists, .. } => {
                for column in column_names {
                    let name = own(column)?;
                    changes.push(ColumnChange::Drop { name, if_exists: *if_exists });
                }
            }
            AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
                let (name, to) = (own(old_column_name)?, own(new_column_name)?);
                changes.push(ColumnChange::Rename { name, to });
            }
            _ => {
                let what = "ALTER TABLE but for RENAME TO, and ADD, DROP and RENAME COLUMN";
                return Err(unsupported(what, ANEW));
            }
        }
    }
    let added = match definitions.is_empty() {
        true => None,
        false => Some(constraints::read(&name, &definitions, &[], facts)?),
    };
    let added = match added {
        None => None,
        Some((query, rules)) if rules.is_empty() => Some(query),
        Some(_) => {
            let hint = "Add the column without constraints: it is null in the rows that are there.";
            return Err(unsupported("ADD COLUMN with NOT NULL, keys or numbers", hint));
        }
    };
    Ok(Write::Columns { name, if_exists, changes, added })
}

/// Returns the name of a column that can be changed.
fn own(name: &Ident) -> Result<String> {
    let name = normal(name);
    if name == PROFILE_ID {
        let hint = format!("It says whose a row is. {ANEW}");
        return Err(unsupported(format!("adding, dropping or renaming \"{PROFILE_ID}\""), &hint));
    }
    Ok(name)
}

/// A column of the table as it becomes.
struct Column {
    field: FieldRef,
    /// The stored column that its values come from; none for one that is added.
    from: Option<usize>,
}

impl QuerySession {
    /// `ALTER TABLE` with changes of columns. `added` has the columns that are added, in their order.
    pub(super) async fn alter_columns(
        &self,
        seen: &Seen,
        write: &Write,
        added: &Schema,
    ) -> Result<Written> {
        let Write::Columns { name, if_exists, changes, .. } = write else {
            return Err(missing(write.verb()));
        };
        let mut written = Written::tagged("ALTER TABLE");
        if seen.find(name).is_none() && *if_exists {
            let notice = format!("relation \"{}\" does not exist, skipping", placed(name).1);
            return Ok(written.noticed(notice));
        }
        let (relation, table) = seen.table(name, "ALTER TABLE")?;
        self.require_owner(name, relation)?;
        let before = seen.live.published.table(&table.path).ok_or_else(|| missing(name))?;
        let mut after = relation.clone();
        let mut columns: Vec<Column> = before
            .schema
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| Column { field: Arc::clone(field), from: Some(at) })
            .collect();
        let mut added = added.fields().iter();
        let state = &seen.live.published.state;
        let mut sequences = OwnedSequences::of(state, name);
        for change in changes {
            if !matches!(change, ColumnChange::Add { .. })
                && let Some(user) = definition_over(state, name)
            {
                return Err(used(name, user));
            }
            match change {
                ColumnChange::Add { .. } => {}
                ColumnChange::Drop { name, .. } => sequences.drop_with(name),
                ColumnChange::Rename { name, to } => sequences.rename(name, to),
            }
            let notice = apply(name, &mut columns, &mut after, change, &mut added)?;
            written.notices.extend(notice);
        }
        // What other tables are numbered by stays.
        let gone = [sequences.gone(), vec![name.clone()]].concat();
        without_sequences(state, &gone, false, &mut written.notices)?;
        let fields: Vec<FieldRef> = columns.iter().map(|one| Arc::clone(&one.field)).collect();
        let system = || if table.of_persons { vec![SUBJECT.to_owned()] } else { vec![] };
        let layout = TableSchema {
            stats_columns: system(),
            sort: system(),
            ..TableSchema::new(Arc::new(Schema::new(fields)))
        };
        self.note(seen, name).await?;
        let (made, fresh) = self.engine().fresh_table(layout).await?;
        let files = self.copy_files(&table.path, &before, &made, &columns).await?;
        if let AnalyticsBody::Table(table) = &mut after.body {
            table.path = made.path().to_owned();
        }
        let mut staged = self.staged().lock();
        staged.copied(&seen.base.published, &table.path);
        staged.add_table(made, fresh, files);
        staged.put(&seen.base.published, name, Some(after));
        for (name, sequence) in sequences.into_relations() {
            staged.put(&seen.base.published, &name, sequence);
        }
        Ok(written)
    }

    /// Writes the rows of `before`, a version of the table at `path`, to files of `made` with these columns.
    async fn copy_files(
        &self,
        path: &str,
        before: &TableSnapshot,
        made: &Table,
        columns: &[Column],
    ) -> Result<Vec<FileEntry>> {
        let lake = self.engine().catalog().lake();
        let stored = Arc::clone(&made.snapshot().schema);
        let mut writer = FileWriter::new(made);
        for file in before.files.iter() {
            for batch in table_read::read_file(lake, path, file, &before.schema).await? {
                let rows = batch.num_rows();
                let arrays: Vec<ArrayRef> = columns
                    .iter()
                    .map(|column| match column.from {
                        Some(at) => Arc::clone(batch.column(at)),
                        None => new_null_array(column.field.data_type(), rows),
                    })
                    .collect();
                let options = RecordBatchOptions::new().with_row_count(Some(rows));
                let copied =
                    RecordBatch::try_new_with_options(Arc::clone(&stored), arrays, &options)
                        .map_err(DataFusionError::from)?;
                writer.push(copied).await?;
            }
        }
        writer.finish().await
    }
}

/// Applies one change to the columns of a table and to what the catalog says of it. Returns what the client should know.
fn apply<'a>(
    relation: &str,
    columns: &mut Vec<Column>,
    after: &mut AnalyticsRelation,
    change: &ColumnChange,
    added: &mut impl Iterator<Item = &'a FieldRef>,
) -> Result<Option<String>> {
    let AnalyticsRelation { column_comments, body: AnalyticsBody::Table(table), .. } = after else {
        return Err(missing(relation));
    };
    let place = |columns: &[Column], name: &str| {
        let found = columns.iter().position(|column| column.field.name() == name);
        found.filter(|_| !name.starts_with('_'))
    };
    let name_of = placed(relation).1;
    match change {
        ColumnChange::Add { name, if_not_exists } => {
            let field = added.next().ok_or_else(|| missing(relation))?;
            if place(columns, name).is_some() {
                return match if_not_exists {
                    true => Ok(Some(format!(
                        "column \"{name}\" of relation \"{name_of}\" already exists, skipping"
                    ))),
                    false => Err(taken(name_of, name)),
                };
            }
            // The number of a row stays behind all columns.
            let end = columns.iter().position(|column| column.field.name() == ROW);
            let end = end.unwrap_or(columns.len());
            columns.insert(end, Column { field: storable(field)?, from: None });
        }
        ColumnChange::Drop { name, if_exists } => match place(columns, name) {
            Some(at) => {
                columns.remove(at);
                table.not_null.remove(name);
                table.numbered.remove(name);
                if table.primary_key.contains(name) {
                    table.primary_key.clear();
                }
                table.unique.retain(|key| !key.columns.contains(name));
                column_comments.remove(name);
            }
            None if *if_exists => {
                return Ok(Some(format!(
                    "column \"{name}\" of relation \"{name_of}\" does not exist, skipping"
                )));
            }
            None => return Err(no_column(relation, name)),
        },
        ColumnChange::Rename { name, to } => {
            let at = place(columns, name).ok_or_else(|| no_column(relation, name))?;
            if place(columns, to).is_some() {
                return Err(taken(name_of, to));
            }
            let renamed = columns[at].field.as_ref().clone().with_name(to);
            // Its name has to be one that can be kept, as that of a new column.
            layout(&Schema::new(vec![Field::new(to, DataType::Boolean, true)]))?;
            columns[at].field = Arc::new(renamed);
            rename(table, column_comments, name, to);
        }
    }
    Ok(None)
}

fn rename(
    table: &mut AnalyticsTable,
    comments: &mut std::collections::BTreeMap<String, String>,
    name: &str,
    to: &str,
) {
    if table.not_null.remove(name) {
        table.not_null.insert(to.to_owned());
    }
    if let Some(numbered) = table.numbered.remove(name) {
        table.numbered.insert(to.to_owned(), numbered);
    }
    let unique = table.unique.iter_mut().flat_map(|key| &mut key.columns);
    for key in table.primary_key.iter_mut().chain(unique).filter(|key| key.as_str() == name) {
        *key = to.to_owned();
    }
    if let Some(comment) = comments.remove(name) {
        comments.insert(to.to_owned(), comment);
    }
}

/// Returns the stored form of a new column, whose name has to be one that can be kept.
fn storable(field: &FieldRef) -> Result<FieldRef> {
    let (layout, _) = layout(&Schema::new(vec![Arc::clone(field)]))?;
    Ok(Arc::clone(&layout.fields.fields()[0]))
}

fn taken(relation: &str, column: &str) -> Error {
    Error::Standard {
        sqlstate: "42701",
        message: format!("column \"{column}\" of relation \"{relation}\" already exists"),
        hint: "Use another name, or ADD COLUMN IF NOT EXISTS.".into(),
    }
}
