//! Changes of a table's columns: `ALTER TABLE ... ADD`, `DROP` and `RENAME COLUMN`, and of what holds for them, `ALTER COLUMN`.
//!
//! The rows, those of hidden people included, are copied to a new table with the new columns, which takes the place of the
//! one before at the commit. Somebody else's change of a row in the meantime makes the commit fail. What holds for columns
//! changes without the rows.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use datafusion::sql::sqlparser::ast::{
    AlterColumnOperation, AlterTableOperation, ColumnDef, DropBehavior, Expr, Ident,
    TableConstraint,
};

use super::check_constraints::{self, NewCheck};
use super::column_changes::{Column, apply};
use super::dependents::Dependents;
use super::foreign_keys::{self, NewForeignKey, told};
use super::notice;
use super::objects::{definition_over, used};
use super::referring::Referring;
use super::sequence_objects::{OwnedSequences, without_sequences};
use super::statement::{Write, normal, unsupported};
use super::write::{Seen, Written, missing};
use super::{altered_keys, constraints, defaults, retyped};
use crate::catalog::{AnalyticsBody, CheckConstraint, Deferral, placed};
use crate::error::Result;
use crate::lake::{self, TableSchema};
use crate::query::governed::{PROFILE_ID, SUBJECT};
use crate::query::postgres::SessionFacts;
use crate::query::session::QuerySession;

/// What to do in the place of other changes of a table.
const ANEW: &str = "Make the table anew: CREATE TABLE ... AS SELECT, then rename it.";

/// One change of a table's columns.
#[derive(Debug, Clone)]
pub(crate) enum ColumnChange {
    /// `ADD COLUMN name type`: it has its default in the rows that are there.
    Add {
        name: String,
        if_not_exists: bool,
        default: Option<String>,
        not_null: bool,
        checks: Vec<CheckConstraint>,
        foreign_keys: Vec<NewForeignKey>,
    },
    /// `DROP COLUMN name`.
    Drop { name: String, if_exists: bool, cascade: bool },
    /// `RENAME COLUMN name TO to`.
    Rename { name: String, to: String },
    /// `ALTER COLUMN name TYPE type [USING expression]`.
    Type { name: String, using: Option<Expr> },
    /// `ALTER COLUMN name SET` or `DROP DEFAULT`.
    Default { name: String, default: Option<String> },
    /// `ALTER COLUMN name SET` or `DROP NOT NULL`.
    NotNull { name: String, not_null: bool },
    /// `ADD PRIMARY KEY` or `UNIQUE`, with its name if it is given one.
    AddKey { name: Option<String>, columns: Vec<String>, is_primary: bool },
    /// `ADD CHECK`.
    AddCheck(NewCheck),
    /// `ADD FOREIGN KEY`.
    AddForeignKey(NewForeignKey),
    /// `VALIDATE CONSTRAINT name`.
    Validate { name: String },
    /// `ALTER CONSTRAINT name`: when a foreign key is checked.
    AlterKey { name: String, deferral: Deferral },
    /// `RENAME CONSTRAINT name TO to`.
    RenameKey { name: String, to: String },
    /// `DROP CONSTRAINT name`.
    DropKey { name: String, if_exists: bool, cascade: bool },
}

impl ColumnChange {
    /// Tells whether rows stay as they are.
    fn keeps_rows(&self) -> bool {
        match self {
            ColumnChange::Default { .. } | ColumnChange::NotNull { .. } => true,
            _ => self.is_of_keys(),
        }
    }

    /// Tells whether it is of constraints of the table.
    fn is_of_keys(&self) -> bool {
        matches!(
            self,
            ColumnChange::AddKey { .. }
                | ColumnChange::AddCheck(_)
                | ColumnChange::AddForeignKey(_)
                | ColumnChange::Validate { .. }
                | ColumnChange::AlterKey { .. }
                | ColumnChange::RenameKey { .. }
                | ColumnChange::DropKey { .. }
        )
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
                changes.push(ColumnChange::Add {
                    name,
                    if_not_exists,
                    default: None,
                    not_null: false,
                    checks: vec![],
                    foreign_keys: vec![],
                });
                definitions.push(column_def.clone());
            }
            AlterTableOperation::DropColumn { column_names, if_exists, drop_behavior, .. } => {
                let (if_exists, cascade) = (*if_exists, is_cascade(drop_behavior.as_ref()));
                for column in column_names {
                    let name = own(column)?;
                    changes.push(ColumnChange::Drop { name, if_exists, cascade });
                }
            }
            AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
                let (name, to) = (own(old_column_name)?, own(new_column_name)?);
                changes.push(ColumnChange::Rename { name, to });
            }
            AlterTableOperation::AlterColumn {
                column_name,
                op: AlterColumnOperation::SetDataType { data_type, using, .. },
            } => {
                definitions.push(retyped::definition(column_name, data_type)?);
                let (name, using) = (own(column_name)?, using.clone());
                changes.push(ColumnChange::Type { name, using });
            }
            AlterTableOperation::AlterColumn { column_name, op } => {
                changes.push(altered(own(column_name)?, op)?);
            }
            AlterTableOperation::AddConstraint {
                constraint: TableConstraint::Check(check),
                not_valid,
            } => {
                let mut check = check_constraints::read(&name, None, check)?;
                check.not_valid = *not_valid;
                changes.push(ColumnChange::AddCheck(check));
            }
            AlterTableOperation::AddConstraint {
                constraint: TableConstraint::ForeignKey(key),
                not_valid,
            } => changes.push(match foreign_keys::altered(key, *not_valid)? {
                Some(change) => change,
                None => {
                    let mut key = foreign_keys::read(&name, None, key, facts)?;
                    key.not_valid = *not_valid;
                    ColumnChange::AddForeignKey(key)
                }
            }),
            AlterTableOperation::ValidateConstraint { name } => {
                changes.push(ColumnChange::Validate { name: normal(name) });
            }
            AlterTableOperation::AddConstraint { constraint, not_valid: false } => {
                changes.push(altered_keys::added(constraint)?);
            }
            AlterTableOperation::RenameConstraint { old_name, new_name } => {
                let (name, to) = (normal(old_name), normal(new_name));
                changes.push(ColumnChange::RenameKey { name, to });
            }
            AlterTableOperation::DropConstraint { if_exists, name, drop_behavior } => {
                let (name, if_exists) = (normal(name), *if_exists);
                let cascade = is_cascade(drop_behavior.as_ref());
                changes.push(ColumnChange::DropKey { name, if_exists, cascade });
            }
            _ => return Err(unsupported(BUT_FOR, ANEW)),
        }
    }
    let added = match definitions.is_empty() {
        true => None,
        false => Some(constraints::read(&name, &definitions, &[], facts)?),
    };
    let Some((added, _)) = added else {
        return Ok(Write::Columns { name, if_exists, changes, added: None });
    };
    for change in &mut changes {
        if let ColumnChange::Add { name: column, default, not_null, checks, foreign_keys, .. } =
            change
        {
            let own = definitions.iter().filter(|one| normal(&one.name) == *column).cloned();
            let (_, rules) = constraints::read(&name, &own.collect::<Vec<_>>(), &[], facts)?;
            *default = rules.defaults.get(column).cloned();
            *not_null = rules.not_null.contains(column);
            if !rules.generated.is_empty() {
                let hint = "Make the table anew with the column.";
                return Err(unsupported("ADD COLUMN with GENERATED ALWAYS AS", hint));
            }
            if !rules.is_plain() || *not_null && default.is_none() {
                let hint =
                    "Add the column without constraints: it is null in the rows that are there.";
                let what = "ADD COLUMN with keys, numbers, or NOT NULL without a default";
                return Err(unsupported(what, hint));
            }
            *checks = rules.checks;
            *foreign_keys = rules.foreign_keys;
        }
    }
    Ok(Write::Columns { name, if_exists, changes, added: Some(added) })
}

fn is_cascade(behavior: Option<&DropBehavior>) -> bool {
    matches!(behavior, Some(DropBehavior::Cascade))
}

/// What there is of `ALTER TABLE`.
const BUT_FOR: &str = "ALTER TABLE but for RENAME TO, ADD, DROP and RENAME COLUMN, ALTER COLUMN with a type, NOT NULL or a default, and constraints";

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
        let what = format!("adding, dropping, renaming or retyping \"{PROFILE_ID}\"");
        return Err(unsupported(what, &hint));
    }
    Ok(name)
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
        let (relation, table) = match (seen.find(name), changes.as_slice()) {
            // What a view shows is called what is wanted.
            (Some(view), [ColumnChange::Rename { name: column, to }]) if view.query().is_some() => {
                if view.view().is_some() {
                    let of_view = (name.as_str(), view);
                    return self.rename_view_column(seen, of_view, (column, to)).await;
                }
                seen.stored(name, "ALTER TABLE")?
            }
            _ => seen.table(name, "ALTER TABLE")?,
        };
        self.require_owner(name, relation)?;
        written.tag = format!("ALTER {}", relation.word().to_uppercase());
        let before = seen.live.published.table(&table.path).ok_or_else(|| missing(name))?;
        let mut after = relation.clone();
        let mut columns = Column::all(&before.schema);
        let mut added = added.fields().iter();
        let state = &seen.live.published.state;
        let mut sequences = OwnedSequences::of(state, name);
        let mut referring = Referring::to(state, name);
        // Those that read a column which is dropped.
        let mut views: Vec<String> = vec![];
        // Those that read a column which is renamed, or would show or mean another one that is added, as they become.
        let mut following = vec![];
        let new = changes.iter().filter_map(|change| match change {
            ColumnChange::Add { name, .. } => Some(name.as_str()),
            _ => None,
        });
        let new: Vec<&str> = new.collect();
        self.refuse_pending(name)?;
        let keeps_rows = changes.iter().all(ColumnChange::keeps_rows);
        if !keeps_rows && changes.iter().any(ColumnChange::is_of_keys) {
            let hint = "Change the constraints in a statement of its own.";
            return Err(unsupported("ALTER TABLE of constraints and of columns at once", hint));
        }
        for change in changes {
            if change.is_of_keys() {
                let of_table = (name.as_str(), table);
                let changed = (&mut after, &mut referring);
                let notices = self.change_keys(seen, of_table, &before, change, changed).await?;
                written.notices.extend(notices);
                continue;
            }
            if !matches!(change, ColumnChange::Add { .. })
                && !change.keeps_rows()
                && let Some(user) = definition_over(state, name)
            {
                return Err(used(name, user));
            }
            // A line for each object that goes with a column.
            let mut going = vec![];
            if let ColumnChange::Drop { name: column, cascade, .. } = change {
                let snapshot = self.facts().snapshot();
                let of_column = (name.as_str(), column.as_str());
                let readers = Dependents::of_column(state, &snapshot, of_column, views);
                if !cascade {
                    readers.refuse_column(&format!("column {column} of table {}", told(name)))?;
                }
                going.extend(readers.going());
                views = readers.into_gone();
            }
            match change {
                ColumnChange::Drop { name, .. } => sequences.drop_with(name),
                ColumnChange::Rename { name, to } => sequences.rename(name, to),
                _ => {}
            }
            going.extend(referring.change_with(&mut after, change)?);
            written.notices.extend(notice::cascade(going));
            let skipped = apply(name, &mut columns, &mut after, change, &mut added)?;
            let is_made = skipped.is_none();
            written.notices.extend(skipped);
            if is_made && matches!(change, ColumnChange::Add { .. }) && following.is_empty() {
                following = self.views_of_wider(seen, (name, table), &new)?;
            }
            if let ColumnChange::Rename { name: column, to } = change {
                following = self.views_of_renamed(seen, (name, table), (column, to), &mut after)?;
                if changes.len() > 1 && !following.is_empty() {
                    let hint = "Rename the column in a statement of its own.";
                    let what = "RENAME COLUMN of what views read beside other changes";
                    return Err(unsupported(what, hint));
                }
            }
            let of_table = (name.as_str(), table);
            self.check_and_fill(seen, of_table, &before, change, &mut columns).await?;
            // Whether it is null in the rows that are there is known by now.
            if let ColumnChange::Add { foreign_keys, .. } = change
                && is_made
            {
                let of_table = (name.as_str(), &mut after);
                self.link_column(seen, of_table, &before, &columns, foreign_keys)?;
            }
            if let ColumnChange::Type { name: changed, .. } = change
                && let Some(column) = columns.iter().find(|one| one.field.name() == changed)
                && let Some(from) = column.from
            {
                let from = lake::logical_field(before.schema.field(from));
                let of_column = (from.as_ref(), column);
                self.check_retyped(seen, of_table, of_column, &mut sequences).await?;
            }
        }
        if keeps_rows {
            self.note(seen, name).await?;
            let mut staged = self.staged().lock();
            staged.put(&seen.base.published, name, Some(after));
            for (name, relation) in referring.into_relations() {
                staged.put(&seen.base.published, &name, Some(relation));
            }
            return Ok(written);
        }
        if let Some((view, user)) =
            views.iter().find_map(|view| Some((view, definition_over(state, view)?)))
        {
            return Err(used(view, user));
        }
        // What other tables are numbered by stays.
        let gone = [sequences.gone(), vec![name.clone()]].concat();
        without_sequences(state, &gone, false)?;
        let fields: Vec<FieldRef> = columns.iter().map(|one| Arc::clone(&one.field)).collect();
        let system = || if table.of_persons { vec![SUBJECT.to_owned()] } else { vec![] };
        let layout = TableSchema {
            stats_columns: system(),
            sort: system(),
            ..TableSchema::new(Arc::new(Schema::new(fields)))
        };
        following.retain(|(view, _)| !views.contains(view));
        let read_by = following.iter().map(|(view, _)| view);
        for name in std::iter::once(name).chain(&views).chain(read_by) {
            self.note(seen, name).await?;
        }
        let (made, fresh) = self.engine().fresh_table(layout).await?;
        let AnalyticsBody::Table(changed) = &mut after.body else { return Err(missing(name)) };
        changed.path = made.path().to_owned();
        let of_table = (name.as_str(), table, &*changed);
        let files = self.copy_files(seen, of_table, &before, &made, &columns).await?;
        let mut staged = self.staged().lock();
        staged.copied(&seen.base.published, &table.path);
        staged.found.takes(&seen.base.published.state, name);
        staged.add_table(made, fresh, files);
        staged.put(&seen.base.published, name, Some(after));
        for view in &views {
            staged.found.takes(&seen.base.published.state, view);
            staged.put(&seen.base.published, view, None);
        }
        for (view, relation) in following {
            staged.put(&seen.base.published, &view, Some(relation));
        }
        for (name, sequence) in sequences.into_relations() {
            staged.put(&seen.base.published, &name, sequence);
        }
        for (name, relation) in referring.into_relations() {
            staged.put(&seen.base.published, &name, Some(relation));
        }
        Ok(written)
    }
}
