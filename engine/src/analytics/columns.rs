//! Changes of a table's columns: `ALTER TABLE ... ADD`, `DROP` and `RENAME COLUMN`, and of what holds for them, `ALTER COLUMN`.
//!
//! The rows, those of hidden people included, are copied to a new table with the new columns, which takes the place of the
//! one before at the commit. Somebody else's change of a row in the meantime makes the commit fail. What holds for columns
//! changes without the rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    AlterColumnOperation, AlterTableOperation, ColumnDef, Ident,
};

use super::insert::no_column;
use super::objects::{definition_over, used};
use super::rows::{FileWriter, ROW, layout, stored};
use super::sequence_objects::{OwnedSequences, without_sequences};
use super::statement::{Write, normal, unsupported};
use super::write::{Seen, Written, missing};
use super::{altered_keys, constraints, defaults};
use crate::catalog::{AnalyticsBody, AnalyticsRelation, AnalyticsTable, placed};
use crate::error::{Error, Result};
use crate::lake::{self, FileEntry, Table, TableSchema, TableSnapshot};
use crate::query::governed::{PROFILE_ID, SUBJECT};
use crate::query::postgres::SessionFacts;
use crate::query::session::QuerySession;
use crate::table_read;

/// What to do in the place of other changes of a table.
const ANEW: &str = "Make the table anew: CREATE TABLE ... AS SELECT, then rename it.";

/// One change of a table's columns.
#[derive(Debug, Clone)]
pub(crate) enum ColumnChange {
    /// `ADD COLUMN name type`: it has its default in the rows that are there.
    Add { name: String, if_not_exists: bool, default: Option<String>, not_null: bool },
    /// `DROP COLUMN name`.
    Drop { name: String, if_exists: bool },
    /// `RENAME COLUMN name TO to`.
    Rename { name: String, to: String },
    /// `ALTER COLUMN name SET` or `DROP DEFAULT`.
    Default { name: String, default: Option<String> },
    /// `ALTER COLUMN name SET` or `DROP NOT NULL`.
    NotNull { name: String, not_null: bool },
    /// `ADD PRIMARY KEY` or `UNIQUE`, with its name if it is given one.
    AddKey { name: Option<String>, columns: Vec<String>, is_primary: bool },
    /// `DROP CONSTRAINT name`.
    DropKey { name: String, if_exists: bool },
}

impl ColumnChange {
    /// Tells whether rows stay as they are.
    fn keeps_rows(&self) -> bool {
        match self {
            ColumnChange::Default { .. } | ColumnChange::NotNull { .. } => true,
            _ => self.is_of_keys(),
        }
    }

    fn is_of_keys(&self) -> bool {
        matches!(self, ColumnChange::AddKey { .. } | ColumnChange::DropKey { .. })
    }
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
                let (name, if_not_exists) = (own(&column_def.name)?, *if_not_exists);
                let (default, not_null) = (None, false);
                changes.push(ColumnChange::Add { name, if_not_exists, default, not_null });
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
            AlterTableOperation::AlterColumn { column_name, op } => {
                changes.push(altered(own(column_name)?, op)?);
            }
            AlterTableOperation::AddConstraint { constraint, not_valid: false } => {
                changes.push(altered_keys::added(constraint)?);
            }
            AlterTableOperation::DropConstraint { if_exists, name, .. } => {
                let (name, if_exists) = (normal(name), *if_exists);
                changes.push(ColumnChange::DropKey { name, if_exists });
            }
            _ => return Err(unsupported(BUT_FOR, ANEW)),
        }
    }
    let added = match definitions.is_empty() {
        true => None,
        false => Some(constraints::read(&name, &definitions, &[], facts)?),
    };
    let Some((added, rules)) = added else {
        return Ok(Write::Columns { name, if_exists, changes, added: None });
    };
    for change in &mut changes {
        if let ColumnChange::Add { name, default, not_null, .. } = change {
            *default = rules.defaults.get(name).cloned();
            *not_null = rules.not_null.contains(name);
            if !rules.is_plain() || *not_null && default.is_none() {
                let hint =
                    "Add the column without constraints: it is null in the rows that are there.";
                let what = "ADD COLUMN with keys, numbers, or NOT NULL without a default";
                return Err(unsupported(what, hint));
            }
        }
    }
    Ok(Write::Columns { name, if_exists, changes, added: Some(added) })
}

/// What there is of `ALTER TABLE`.
const BUT_FOR: &str = "ALTER TABLE but for RENAME TO, ADD, DROP and RENAME COLUMN, ALTER COLUMN with NOT NULL or a default, and keys";

/// Reads what `ALTER COLUMN` of `name` says.
fn altered(name: String, operation: &AlterColumnOperation) -> Result<ColumnChange> {
    Ok(match operation {
        AlterColumnOperation::SetNotNull => ColumnChange::NotNull { name, not_null: true },
        AlterColumnOperation::DropNotNull => ColumnChange::NotNull { name, not_null: false },
        AlterColumnOperation::SetDefault { value } => {
            let default = defaults::read(&name, value)?;
            ColumnChange::Default { name, default }
        }
        AlterColumnOperation::DropDefault => ColumnChange::Default { name, default: None },
        _ => return Err(unsupported(BUT_FOR, ANEW)),
    })
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
    /// The value that one that is added has in all rows, if it is not null.
    filled: Option<ArrayRef>,
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
            .map(|(at, field)| Column { field: Arc::clone(field), from: Some(at), filled: None })
            .collect();
        let mut added = added.fields().iter();
        let state = &seen.live.published.state;
        let mut sequences = OwnedSequences::of(state, name);
        let keeps_rows = changes.iter().all(ColumnChange::keeps_rows);
        if !keeps_rows && changes.iter().any(ColumnChange::is_of_keys) {
            let hint = "Change the keys in a statement of its own.";
            return Err(unsupported("ALTER TABLE of keys and of columns at once", hint));
        }
        for change in changes {
            if change.is_of_keys() {
                let of_table = (name.as_str(), table);
                let notice = self.change_keys(seen, of_table, &before, change, &mut after).await?;
                written.notices.extend(notice);
                continue;
            }
            if !matches!(change, ColumnChange::Add { .. })
                && !change.keeps_rows()
                && let Some(user) = definition_over(state, name)
            {
                return Err(used(name, user));
            }
            match change {
                ColumnChange::Drop { name, .. } => sequences.drop_with(name),
                ColumnChange::Rename { name, to } => sequences.rename(name, to),
                _ => {}
            }
            let notice = apply(name, &mut columns, &mut after, change, &mut added)?;
            written.notices.extend(notice);
            let of_table = (name.as_str(), table);
            self.check_and_fill(seen, of_table, &before, change, &mut columns).await?;
        }
        if keeps_rows {
            self.note(seen, name).await?;
            self.staged().lock().put(&seen.base.published, name, Some(after));
            return Ok(written);
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

    /// Computes the default of a column that is added, or sees whether one is what it is to be in all rows that are there.
    async fn check_and_fill(
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
                    .map(|column| match (column.from, &column.filled) {
                        (Some(at), _) => Ok(Arc::clone(batch.column(at))),
                        (None, Some(value)) => defaults::repeated(value, rows),
                        (None, None) => Ok(new_null_array(column.field.data_type(), rows)),
                    })
                    .collect::<Result<_>>()?;
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
        ColumnChange::Add { name, if_not_exists, default, not_null } => {
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
            columns.insert(end, Column { field: storable(field)?, from: None, filled: None });
            table.defaults.extend(default.clone().map(|default| (name.clone(), default)));
            table.not_null.extend(not_null.then(|| name.clone()));
        }
        ColumnChange::Drop { name, if_exists } => match place(columns, name) {
            Some(at) => {
                columns.remove(at);
                table.not_null.remove(name);
                table.numbered.remove(name);
                table.defaults.remove(name);
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
        ColumnChange::Default { name, default } => {
            place(columns, name).ok_or_else(|| no_column(relation, name))?;
            if table.numbered.contains_key(name) {
                let hint = "Make the table anew with a column that is not numbered.";
                return Err(unsupported(format!("another default of \"{name}\""), hint));
            }
            match default {
                Some(default) => drop(table.defaults.insert(name.clone(), default.clone())),
                None => drop(table.defaults.remove(name)),
            }
        }
        ColumnChange::NotNull { name, not_null } => {
            place(columns, name).ok_or_else(|| no_column(relation, name))?;
            if !not_null && (table.primary_key.contains(name) || table.numbered.contains_key(name))
            {
                return Err(Error::Standard {
                    sqlstate: "42P16",
                    message: format!("column \"{name}\" is in a primary key"),
                    hint: "Columns of a primary key, and those that are numbered, are never null."
                        .into(),
                });
            }
            match not_null {
                true => drop(table.not_null.insert(name.clone())),
                false => drop(table.not_null.remove(name)),
            }
        }
        ColumnChange::AddKey { .. } | ColumnChange::DropKey { .. } => {}
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
    if let Some(default) = table.defaults.remove(name) {
        table.defaults.insert(to.to_owned(), default);
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
