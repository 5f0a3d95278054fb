//! What the columns of a table become by the changes of an `ALTER TABLE`, and what the catalog says of them then.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};

use super::check_constraints;
use super::columns::ColumnChange;
use super::generated;
use super::insert::no_column;
use super::notice::Notice;
use super::retyped::{Turn, turn};
use super::rows::{ROW, layout};
use super::statement::unsupported;
use super::write::missing;
use crate::catalog::{AnalyticsBody, AnalyticsRelation, AnalyticsTable, placed, qualified};
use crate::error::{Error, Result};
use crate::lake;

/// A column of the table as it becomes.
pub(super) struct Column {
    pub(super) field: FieldRef,
    /// The stored column that its values come from; none for one that is added.
    pub(super) from: Option<usize>,
    /// The value that one that is added has in all rows, if it is not null.
    pub(super) filled: Option<ArrayRef>,
    /// How its values come to be, if it is of another type.
    pub(super) turned: Option<Turn>,
}

impl Column {
    fn new(field: FieldRef, from: Option<usize>) -> Self {
        Self { field, from, filled: None, turned: None }
    }

    /// Returns the columns of a table as they are stored.
    pub(super) fn all(stored: &Schema) -> Vec<Self> {
        let fields = stored.fields().iter().enumerate();
        fields.map(|(at, field)| Self::new(Arc::clone(field), Some(at))).collect()
    }
}

/// Applies one change to the columns of a table and to what the catalog says of it. Returns what the client should know.
pub(super) fn apply<'a>(
    relation: &str,
    columns: &mut Vec<Column>,
    after: &mut AnalyticsRelation,
    change: &ColumnChange,
    added: &mut impl Iterator<Item = &'a FieldRef>,
) -> Result<Option<Notice>> {
    let AnalyticsRelation { column_comments, body: AnalyticsBody::Table(table), .. } = after else {
        return Err(missing(relation));
    };
    let place = |columns: &[Column], name: &str| {
        let found = columns.iter().position(|column| column.field.name() == name);
        found.filter(|_| !name.starts_with('_'))
    };
    let name_of = placed(relation).1;
    generated::refuse_used(relation, table, change)?;
    match change {
        ColumnChange::Add { name, if_not_exists, default, not_null, checks, .. } => {
            let field = added.next().ok_or_else(|| missing(relation))?;
            if place(columns, name).is_some() {
                return match if_not_exists {
                    true => {
                        let what = format!("column \"{name}\" of relation \"{name_of}\"");
                        Ok(Some(Notice::of_skipped("42701", &what)))
                    }
                    false => Err(taken(name_of, name)),
                };
            }
            // The number of a row stays behind all columns.
            let end = columns.iter().position(|column| column.field.name() == ROW);
            let end = end.unwrap_or(columns.len());
            columns.insert(end, Column::new(storable(field)?, None));
            table.defaults.extend(default.clone().map(|default| (name.clone(), default)));
            table.not_null.extend(not_null.then(|| name.clone()));
            if table.of_persons && !checks.is_empty() {
                let hint = "Whether it is fulfilled would tell of persons who are hidden: make the table with it.";
                return Err(unsupported("ADD COLUMN with CHECK for rows of persons", hint));
            }
            for check in checks {
                let known = check_constraints::names_of(relation, table);
                check_constraints::check_room(relation, known.len())?;
                if known.contains(&check.name) {
                    return Err(check_constraints::taken(relation, &check.name));
                }
                table.checks.push(check.clone());
            }
        }
        ColumnChange::Drop { name, if_exists, .. } => match place(columns, name) {
            Some(at) => {
                columns.remove(at);
                table.not_null.remove(name);
                table.numbered.remove(name);
                table.defaults.remove(name);
                table.generated.remove(name);
                if table.primary_key.contains(name) {
                    table.drop_primary_key();
                }
                table.unique.retain(|key| !key.columns.contains(name));
                table.checks.retain(|check| !check.columns.contains(name));
                table.foreign_keys.retain(|key| !key.columns.contains(name));
                column_comments.remove(name);
            }
            None if *if_exists => {
                let skipped =
                    format!("column \"{name}\" of relation \"{name_of}\" does not exist, skipping");
                return Ok(Some(skipped.into()));
            }
            None => return Err(no_column(relation, name)),
        },
        ColumnChange::Rename { name, to } => {
            let at = place(columns, name).ok_or_else(|| unknown(relation, name))?;
            if place(columns, to).is_some() {
                return Err(taken(name_of, to));
            }
            let renamed = columns[at].field.as_ref().clone().with_name(to);
            // Its name has to be one that can be kept, as that of a new column.
            layout(&Schema::new(vec![Field::new(to, DataType::Boolean, true)]))?;
            columns[at].field = Arc::new(renamed);
            rename(table, column_comments, name, to);
            generated::rename(table, name, to)?;
            let mut checks = table.checks.iter_mut();
            checks.try_for_each(|check| check_constraints::rename(check, name, to))?;
        }
        ColumnChange::Type { name, using } => {
            let field = added.next().ok_or_else(|| missing(relation))?;
            let found = place(columns, name).filter(|at| columns[*at].from.is_some());
            let at = found.ok_or_else(|| no_column(relation, name))?;
            if columns[at].turned.is_some() {
                let what = format!("another type of column \"{name}\" twice");
                return Err(unsupported(what, "Name the type once."));
            }
            let (from, to) = (lake::logical_field(&columns[at].field), storable(field)?);
            columns[at].turned = Some(turn(&from, &lake::logical_field(&to), using.as_ref())?);
            columns[at].field = to;
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
        ColumnChange::AddKey { .. }
        | ColumnChange::AddCheck(_)
        | ColumnChange::AddForeignKey(_)
        | ColumnChange::Validate { .. }
        | ColumnChange::AlterKey { .. }
        | ColumnChange::RenameKey { .. }
        | ColumnChange::DropKey { .. } => {}
    }
    Ok(None)
}

fn rename(
    table: &mut AnalyticsTable,
    comments: &mut BTreeMap<String, String>,
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
    let foreign = table.foreign_keys.iter_mut().flat_map(|key| &mut key.columns);
    let keys = table.primary_key.iter_mut().chain(unique).chain(foreign);
    for key in keys.filter(|key| key.as_str() == name) {
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

/// The answer to another name for a column that is not there.
pub(super) fn unknown(relation: &str, column: &str) -> Error {
    Error::Standard {
        sqlstate: "42703",
        message: format!("column \"{column}\" does not exist"),
        hint: format!("\\d {} lists the columns.", qualified(relation)),
    }
}

/// The answer to a name that another column has.
pub(super) fn taken(relation: &str, column: &str) -> Error {
    Error::Standard {
        sqlstate: "42701",
        message: format!("column \"{column}\" of relation \"{relation}\" already exists"),
        hint: "Use another name, or ADD COLUMN IF NOT EXISTS.".into(),
    }
}
