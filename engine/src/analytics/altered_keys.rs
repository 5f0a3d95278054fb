//! Keys and checks of tables that are there: `ALTER TABLE ... ADD PRIMARY KEY`, `ADD UNIQUE`, `ADD CHECK`, `ADD FOREIGN KEY`,
//! `ALTER CONSTRAINT` and `DROP CONSTRAINT`.
//!
//! A key is added once all rows that are there have been held against each other, and a check once each fulfils it; whoever
//! changes rows in the meantime makes the commit fail.

use arrow::array::Array;
use arrow::datatypes::Field;
use datafusion::sql::sqlparser::ast::TableConstraint;
use futures::FutureExt;

use super::check_constraints;
use super::checks::Checks;
use super::columns::ColumnChange;
use super::constraint_names;
use super::constraints::{CONSTRAINTS, is_kept, is_plain, names};
use super::foreign_keys::told;
use super::keys::{BroughtKeys, Key};
use super::notice::{self, Notice};
use super::referring::Referring;
use super::statement::{normal, unsupported};
use super::write::{Seen, missing};
use crate::catalog::{
    AnalyticsBody, AnalyticsRelation, AnalyticsTable, CheckConstraint, ForeignKey,
    UniqueConstraint, placed,
};
use crate::error::{Error, Result};
use crate::lake::TableSnapshot;
use crate::query::postgres::types::pg_type_of;
use crate::query::relations::columns_of;
use crate::query::session::QuerySession;
use crate::table_read;
use crate::violation::{Violated, Violation};

/// Types whose values may be a key.
const TYPES: [&str; 10] = [
    "int2",
    "int4",
    "int8",
    "text",
    "varchar",
    "bpchar",
    "uuid",
    "date",
    "timestamp",
    "timestamptz",
];

/// Reads a constraint that is added.
pub(super) fn added(constraint: &TableConstraint) -> Result<ColumnChange> {
    let refused = || unsupported(format!("\"{constraint}\""), CONSTRAINTS);
    let (name, columns, is_primary) = match constraint {
        TableConstraint::PrimaryKey(key) if is_plain(key.characteristics.as_ref()) => {
            (key.name.as_ref().map(normal), names(&key.columns), true)
        }
        TableConstraint::Unique(unique) if is_kept(unique) => {
            (unique.name.as_ref().map(normal), names(&unique.columns), false)
        }
        _ => return Err(refused()),
    };
    let columns = columns.filter(|columns| !columns.is_empty()).ok_or_else(refused)?;
    Ok(ColumnChange::AddKey { name, columns, is_primary })
}

impl QuerySession {
    /// Adds a key to a table, or takes one from it; foreign keys to it may go with it. Returns what the client should know.
    pub(super) async fn change_keys(
        &self,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        before: &TableSnapshot,
        change: &ColumnChange,
        (after, referring): (&mut AnalyticsRelation, &mut Referring<'_>),
    ) -> Result<Vec<Notice>> {
        let AnalyticsBody::Table(changed) = &mut after.body else { return Err(missing(name)) };
        let (constraint, columns, is_primary) = match change {
            ColumnChange::AddKey { name, columns, is_primary } => (name, columns, *is_primary),
            ColumnChange::AddCheck(check) => {
                let check = check.clone();
                let known = check_constraints::names_of(name, changed);
                let check = check.named(name, &known, self.facts())?;
                changed.checks.push(check.clone());
                self.refuse_unfulfilled(seen, (name, table), before, check).await?;
                return Ok(vec![]);
            }
            ColumnChange::AddForeignKey(key) => {
                let of_table = (name, &mut *changed);
                let key = self.add_foreign_key(seen, of_table, &before.schema, key.clone())?;
                if !key.not_valid {
                    self.may_fill(seen, name, false, false)?;
                    self.refuse_dangling(seen, (name, table), before, &key).boxed().await?;
                }
                return Ok(vec![]);
            }
            ColumnChange::Validate { name: constraint } => {
                let mut foreign = changed.foreign_keys.iter_mut();
                if let Some(key) = foreign.find(|key| key.name == *constraint) {
                    if std::mem::take(&mut key.not_valid) {
                        self.may_fill(seen, name, false, false)?;
                        self.refuse_dangling(seen, (name, table), before, key).boxed().await?;
                    }
                    return Ok(vec![]);
                }
                let found = changed.checks.iter_mut().find(|check| check.name == *constraint);
                let check = found.ok_or_else(|| no_check(name, table, constraint))?;
                if check.not_valid {
                    check.not_valid = false;
                    let check = check.clone();
                    self.refuse_unfulfilled(seen, (name, table), before, check).await?;
                }
                return Ok(vec![]);
            }
            ColumnChange::AlterKey { name: constraint, deferral } => {
                let mut foreign = changed.foreign_keys.iter_mut();
                let key = foreign.find(|key| key.name == *constraint);
                let key = key.ok_or_else(|| no_foreign_key(name, table, constraint))?;
                key.deferral = *deferral;
                return Ok(vec![]);
            }
            ColumnChange::RenameKey { name: constraint, to } => {
                self.rename_constraint(name, changed, constraint, to)?;
                return Ok(vec![]);
            }
            ColumnChange::DropKey { name: constraint, if_exists, cascade } => {
                let skipped = dropped(name, changed, constraint, *if_exists)?;
                let kept = changed.clone();
                let is_lost = |key: &ForeignKey| !kept.has_key(&key.referred);
                let what = format!("constraint {constraint} on table {}", told(name));
                let index = format!("index {constraint}");
                let of_key = (what.as_str(), index.as_str());
                let lost = referring.drop_lost(changed, of_key, *cascade, is_lost)?;
                return Ok(notice::cascade(lost)
                    .into_iter()
                    .chain(skipped.map(Notice::from))
                    .collect());
            }
            _ => return Ok(vec![]),
        };
        check(name, changed, before, columns, is_primary)?;
        // Whether a key fits tells of the rows.
        self.may_fill(seen, name, false, false)?;
        let named = self.name_of_key(name, changed, constraint.as_deref(), columns, is_primary)?;
        match is_primary {
            true => changed.set_primary_key(name, columns.clone(), named.clone()),
            false => {
                let (name, columns) = (named.clone(), columns.clone());
                changed.unique.push(UniqueConstraint { name, columns });
            }
        }
        let keys = Key::all(name, changed, &before.schema)?;
        let key = keys.iter().find(|key| key.constraint() == named).ok_or_else(|| missing(name))?;
        self.refuse_same((name, table), before, key, is_primary).await?;
        self.staged().lock().copied(&seen.base.published, &table.path);
        Ok(vec![])
    }

    /// Gives a constraint of a table another name.
    fn rename_constraint(
        &self,
        name: &str,
        table: &mut AnalyticsTable,
        constraint: &str,
        to: &str,
    ) -> Result<()> {
        let known = check_constraints::names_of(name, table);
        if !known.iter().any(|known| known == constraint) {
            let relation = placed(name).1;
            return Err(Error::Standard {
                sqlstate: "42704",
                message: format!(
                    "constraint \"{constraint}\" for table \"{relation}\" does not exist"
                ),
                hint: "\\d shows the constraints of a table.".into(),
            });
        }
        if known.iter().any(|known| known == to) {
            return Err(check_constraints::taken(name, to));
        }
        if let Some(check) = table.checks.iter_mut().find(|check| check.name == constraint) {
            to.clone_into(&mut check.name);
            return Ok(());
        }
        if let Some(key) = table.foreign_keys.iter_mut().find(|key| key.name == constraint) {
            to.clone_into(&mut key.name);
            return Ok(());
        }
        let key = self.name_of_key(name, table, Some(to), &[], false)?;
        match table.unique.iter_mut().find(|key| key.name == constraint) {
            Some(unique) => unique.name = key,
            None => table.primary_key_name = Some(key),
        }
        Ok(())
    }

    /// Fails if a row that is there does not fulfil a check, unless only those that come are to.
    async fn refuse_unfulfilled(
        &self,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        before: &TableSnapshot,
        check: CheckConstraint,
    ) -> Result<()> {
        let not_valid = check.not_valid;
        let checked = AnalyticsTable { checks: vec![check], ..table.clone() };
        let mut checks = Checks::of(self, seen, (name, &checked), &before.schema);
        checks.check().boxed().await?;
        if not_valid {
            return Ok(());
        }
        if table.of_persons {
            let hint = "Whether those that are there fulfil it would tell of persons who are hidden: add it with NOT VALID, for those that come.";
            return Err(unsupported("a check of rows of persons that are there", hint));
        }
        self.may_fill(seen, name, false, false)?;
        let lake = self.engine().catalog().lake();
        for file in before.files.iter() {
            for batch in table_read::read_file(lake, &table.path, file, &before.schema).await? {
                checks.hold_there(&batch).boxed().await?;
            }
        }
        self.staged().lock().copied(&seen.base.published, &table.path);
        Ok(())
    }

    /// Fails if two rows that are there have the same key, or one has a null where there may be none.
    async fn refuse_same(
        &self,
        (name, table): (&str, &AnalyticsTable),
        before: &TableSnapshot,
        key: &Key,
        is_primary: bool,
    ) -> Result<()> {
        let columns: Vec<&str> = key.columns().iter().map(String::as_str).collect();
        let schema = table_read::project(&before.schema, &columns)?;
        let lake = self.engine().catalog().lake();
        let mut known = BroughtKeys::default();
        for file in before.files.iter() {
            for batch in table_read::read_file(lake, &table.path, file, &schema).await? {
                let mut stored = columns.iter().zip(batch.columns());
                if let Some((column, _)) =
                    stored.find(|(_, values)| is_primary && values.logical_null_count() > 0)
                {
                    return Err(contains_nulls(name, column));
                }
                known.take(key, &batch, table)?;
            }
        }
        if !known.are_same() {
            return Ok(());
        }
        Err(not_unique(key))
    }

    /// Returns the name of a new key, which no other relation or constraint of its schema has.
    fn name_of_key(
        &self,
        name: &str,
        table: &AnalyticsTable,
        wanted: Option<&str>,
        columns: &[String],
        is_primary: bool,
    ) -> Result<String> {
        let (schema, relation) = placed(name);
        let keys = table.keys(name);
        let snapshot = self.facts().snapshot();
        let is_others = |wanted: &str| {
            let found = snapshot.index(schema, wanted);
            // Its own may be gone by the same statement.
            found.is_some_and(|(other, _)| other.relation.name != relation)
        };
        let is_taken = |wanted: &str| {
            wanted == relation
                || keys.iter().any(|key| key.name == wanted)
                || self.facts().has_relation(schema, wanted)
                || is_others(wanted)
        };
        constraint_names::of_key((relation, columns, is_primary), wanted, is_taken)
    }
}

/// The answer to whoever alters a constraint that is no foreign key.
fn no_foreign_key(name: &str, table: &AnalyticsTable, constraint: &str) -> Error {
    let relation = placed(name).1;
    let of_relation = format!("constraint \"{constraint}\" of relation \"{relation}\"");
    let is_there = check_constraints::names_of(name, table).iter().any(|one| one == constraint);
    let (sqlstate, message) = match is_there {
        true => ("42809", format!("{of_relation} is not a foreign key constraint")),
        false => ("42704", format!("{of_relation} does not exist")),
    };
    let hint = "\\d shows the constraints of a table.".into();
    Error::Standard { sqlstate, message, hint }
}

/// The answer to whoever validates a constraint that is no check.
fn no_check(name: &str, table: &AnalyticsTable, constraint: &str) -> Error {
    let relation = placed(name).1;
    let of_relation = format!("constraint \"{constraint}\" of relation \"{relation}\"");
    let is_key = table.keys(name).iter().any(|key| key.name == constraint);
    let (sqlstate, message) = match is_key {
        true => ("42809", format!("{of_relation} is not a foreign key or check constraint")),
        false => ("42704", format!("{of_relation} does not exist")),
    };
    let hint = "\\d shows the constraints of a table.".into();
    Error::Standard { sqlstate, message, hint }
}

/// Fails unless columns may be a new key of a table.
fn check(
    name: &str,
    table: &AnalyticsTable,
    before: &TableSnapshot,
    columns: &[String],
    is_primary: bool,
) -> Result<()> {
    if table.of_persons {
        let hint = "Keys would tell of persons who are hidden.";
        return Err(unsupported("a key of rows of persons", hint));
    }
    if is_primary && !table.primary_key.is_empty() {
        return Err(Error::Standard {
            sqlstate: "42P16",
            message: format!(
                "multiple primary keys for table \"{}\" are not allowed",
                placed(name).1
            ),
            hint: "A key of several columns is one: PRIMARY KEY (a, b).".into(),
        });
    }
    let shown = columns_of(&before.schema, table);
    for (at, column) in columns.iter().enumerate() {
        let field = shown.iter().find(|field| field.name() == column);
        let field = field.ok_or_else(|| Error::Standard {
            sqlstate: "42703",
            message: format!("column \"{column}\" named in key does not exist"),
            hint: "Name columns of the table.".into(),
        })?;
        if columns[..at].contains(column) {
            let what = if is_primary { "primary key" } else { "unique" };
            return Err(Error::Standard {
                sqlstate: "42701",
                message: format!("column \"{column}\" appears twice in {what} constraint"),
                hint: "Name it once.".into(),
            });
        }
        check_type(field)?;
    }
    Ok(())
}

/// Fails unless values of a column may be in a key.
pub(super) fn check_type(column: &Field) -> Result<()> {
    let data_type = pg_type_of(column).0.name.as_str();
    if TYPES.contains(&data_type) {
        return Ok(());
    }
    let what = format!("column \"{}\" of type {data_type} in a key", column.name());
    Err(unsupported(what, CONSTRAINTS))
}

/// The answer to rows of which two have the same key.
pub(super) fn not_unique(key: &Key) -> Error {
    Violation {
        sqlstate: "23505",
        message: format!("could not create unique index \"{}\"", key.constraint()),
        detail: None,
        hint: format!(
            "Rows have the same values: GROUP BY {} HAVING count(*) > 1 finds them.",
            key.columns().join(", ")
        ),
        object: key.violated(),
    }
    .into()
}

/// The answer to rows in which a column is null that is never to be.
pub(super) fn contains_nulls(name: &str, column: &str) -> Error {
    let relation = placed(name).1;
    Violation {
        sqlstate: "23502",
        message: format!("column \"{column}\" of relation \"{relation}\" contains null values"),
        detail: None,
        hint: "UPDATE the rows in which it is null first.".into(),
        object: Violated::column(name, column),
    }
    .into()
}

/// Takes a constraint from a table.
fn dropped(
    name: &str,
    table: &mut AnalyticsTable,
    constraint: &str,
    if_exists: bool,
) -> Result<Option<String>> {
    let relation = placed(name).1;
    if !table.primary_key.is_empty() && constraint == table.name_of_primary_key(name) {
        table.drop_primary_key();
        return Ok(None);
    }
    let count =
        |table: &AnalyticsTable| table.unique.len() + table.checks.len() + table.foreign_keys.len();
    let before = count(table);
    table.unique.retain(|key| key.name != constraint);
    table.checks.retain(|check| check.name != constraint);
    table.foreign_keys.retain(|key| key.name != constraint);
    if count(table) < before {
        return Ok(None);
    }
    let message = format!("constraint \"{constraint}\" of relation \"{relation}\" does not exist");
    match if_exists {
        true => Ok(Some(format!("{message}, skipping"))),
        false => Err(Error::Standard {
            sqlstate: "42704",
            message,
            hint: "\\d shows the constraints of a table.".into(),
        }),
    }
}
