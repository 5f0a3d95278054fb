//! Keys of tables that are there: `ALTER TABLE ... ADD PRIMARY KEY`, `ADD UNIQUE` and `DROP CONSTRAINT`.
//!
//! A key is added once all rows that are there have been held against each other; whoever changes rows in the meantime makes
//! the commit fail.

use arrow::array::Array;
use datafusion::sql::sqlparser::ast::TableConstraint;

use super::columns::ColumnChange;
use super::constraints::{CONSTRAINTS, is_kept, is_plain, names};
use super::keys::{BroughtKeys, Key};
use super::statement::{normal, unsupported};
use super::write::{Seen, missing};
use crate::catalog::{
    AnalyticsBody, AnalyticsRelation, AnalyticsTable, UniqueConstraint, object_name, placed,
};
use crate::error::{Error, Result};
use crate::lake::TableSnapshot;
use crate::query::postgres::types::pg_type_of;
use crate::query::relations::columns_of;
use crate::query::session::QuerySession;
use crate::table_read;

/// Types whose values may be a key.
const TYPES: [&str; 9] =
    ["int2", "int4", "int8", "text", "varchar", "uuid", "date", "timestamp", "timestamptz"];

/// Reads a constraint that is added.
pub(super) fn added(constraint: &TableConstraint) -> Result<ColumnChange> {
    let refused = || unsupported(format!("\"{constraint}\""), CONSTRAINTS);
    let (name, columns, is_primary) = match constraint {
        TableConstraint::PrimaryKey(key) if is_plain(key.characteristics.as_ref()) => {
            (None, names(&key.columns), true)
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
    /// Adds a key to a table, or takes one from it. Returns what the client should know.
    pub(super) async fn change_keys(
        &self,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        before: &TableSnapshot,
        change: &ColumnChange,
        after: &mut AnalyticsRelation,
    ) -> Result<Option<String>> {
        let AnalyticsBody::Table(changed) = &mut after.body else { return Err(missing(name)) };
        let (constraint, columns, is_primary) = match change {
            ColumnChange::AddKey { name, columns, is_primary } => (name, columns, *is_primary),
            ColumnChange::DropKey { name: constraint, if_exists } => {
                return dropped(name, changed, constraint, *if_exists);
            }
            _ => return Ok(None),
        };
        check(name, changed, before, columns, is_primary)?;
        // Whether a key fits tells of the rows.
        self.may_fill(seen, name, false, false)?;
        let named = self.name_of_key(name, changed, constraint.as_deref(), columns, is_primary)?;
        match is_primary {
            true => {
                changed.primary_key = columns.clone();
                changed.not_null.extend(columns.iter().cloned());
            }
            false => {
                let (name, columns) = (named.clone(), columns.clone());
                changed.unique.push(UniqueConstraint { name, columns });
            }
        }
        let keys = Key::all(name, changed, &before.schema)?;
        let key = keys.iter().find(|key| key.constraint() == named).ok_or_else(|| missing(name))?;
        self.refuse_same((name, table), before, key, is_primary).await?;
        self.staged().lock().copied(&seen.base.published, &table.path);
        Ok(None)
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
        Err(Error::Standard {
            sqlstate: "23505",
            message: format!("could not create unique index \"{}\"", key.constraint()),
            hint: format!(
                "Rows have the same values: GROUP BY {} HAVING count(*) > 1 finds them.",
                columns.join(", ")
            ),
        })
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
        if is_primary {
            let wanted = format!("{relation}_pkey");
            return match keys.iter().any(|key| key.name == wanted) {
                true => Err(taken(&wanted)),
                false => Ok(wanted),
            };
        }
        let snapshot = self.facts().snapshot();
        let is_taken = |wanted: &str| {
            wanted == relation
                || keys.iter().any(|key| key.name == wanted)
                || self.facts().has_relation(schema, wanted)
                || snapshot.index(schema, wanted).is_some()
        };
        match wanted {
            Some(wanted) if is_taken(wanted) => Err(taken(wanted)),
            Some(wanted) => Ok(wanted.to_owned()),
            None => {
                let labels = (1..).map(|pass| format!("key{pass}"));
                let mut labels = std::iter::once("key".to_owned()).chain(labels);
                let free = labels.find_map(|label| {
                    let name = object_name(relation, &columns.join("_"), &label);
                    (!is_taken(&name)).then_some(name)
                });
                free.ok_or_else(|| missing(name))
            }
        }
    }
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
        let data_type = pg_type_of(field).0.name.as_str();
        if !TYPES.contains(&data_type) {
            let what = format!("column \"{column}\" of type {data_type} in a key");
            return Err(unsupported(what, CONSTRAINTS));
        }
    }
    Ok(())
}

/// The answer to rows in which a column is null that is never to be.
pub(super) fn contains_nulls(name: &str, column: &str) -> Error {
    let relation = placed(name).1;
    Error::Standard {
        sqlstate: "23502",
        message: format!("column \"{column}\" of relation \"{relation}\" contains null values"),
        hint: "UPDATE the rows in which it is null first.".into(),
    }
}

/// The answer to a name that another relation or constraint has.
fn taken(name: &str) -> Error {
    Error::Standard {
        sqlstate: "42P07",
        message: format!("relation \"{name}\" already exists"),
        hint: "Give the constraint another name, or none.".into(),
    }
}

/// Takes a constraint from a table.
fn dropped(
    name: &str,
    table: &mut AnalyticsTable,
    constraint: &str,
    if_exists: bool,
) -> Result<Option<String>> {
    let relation = placed(name).1;
    if !table.primary_key.is_empty() && constraint == format!("{relation}_pkey") {
        table.primary_key.clear();
        return Ok(None);
    }
    let before = table.unique.len();
    table.unique.retain(|key| key.name != constraint);
    if table.unique.len() < before {
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
