//! `REFERENCES` and `FOREIGN KEY` as they are read, and what is kept of them: which columns refer to which key.
//!
//! Both tables are open to every purpose, or bound to the same one, and rows of persons are in neither: whether a row is
//! referred to would tell of rows that are hidden. `profile_id` needs none: a row of persons is held to `profiles` by it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::{
    ConstraintCharacteristics, ConstraintReferenceMatchKind, DeferrableInitial,
    ForeignKeyConstraint, Ident, ObjectName, ReferentialAction,
};

use super::check_constraints::{check_room, names_of, taken};
use super::column_changes::Column;
use super::columns::ColumnChange;
use super::constraint_names;
use super::generated;
use super::statement::{normal, parts, plain, unsupported};
use super::write::Seen;
use crate::catalog::{
    ANALYTICS, AnalyticsBody, AnalyticsRelation, AnalyticsTable, Deferral, ForeignKey,
    ReferenceAction, TEMPORARY, is_reserved, keyed, placed, qualified,
};
use crate::error::{Error, Result};
use crate::lake::{self, TableSnapshot};
use crate::query::postgres::SessionFacts;
use crate::query::postgres::types::{format_type, pg_type_of};
use crate::query::relations::columns_of;
use crate::query::session::QuerySession;
use crate::query::syntax::ALTERED;

/// Why there is no foreign key to what is not made by analysts, and what to do.
const PROFILES: &str = "Tables of analysts alone are referred to. A column profile_id is held to profiles without: a row of somebody who is not there is refused, and each goes with its person. Leave REFERENCES out.";

/// What may refer to what.
const PURPOSES: &str = "Both tables are to be open to every purpose, or bound to the same one: which rows are referred to would tell of others.";

/// Families of types whose values are compared with each other.
const FAMILIES: [&[&str]; 4] = [
    &["int2", "int4", "int8"],
    &["text", "varchar", "bpchar"],
    &["uuid"],
    &["date", "timestamp", "timestamptz"],
];

/// A foreign key whose name and columns are not settled.
#[derive(Debug, Clone)]
pub(crate) struct NewForeignKey {
    /// The name that it is given.
    name: Option<String>,
    columns: Vec<String>,
    /// What the table that it refers to is kept under.
    table: String,
    /// The columns there; none stand for the primary key.
    referred: Vec<String>,
    on_delete: ReferenceAction,
    on_update: ReferenceAction,
    match_full: bool,
    deferral: Deferral,
    /// Whether the rows that are there are not looked at.
    pub(super) not_valid: bool,
}

/// Reads a foreign key of the table that is kept under `table`; `column` is the one that it stands behind.
pub(super) fn read(
    table: &str,
    column: Option<(&str, Option<&Ident>)>,
    written: &ForeignKeyConstraint,
    facts: &SessionFacts,
) -> Result<NewForeignKey> {
    let match_full = match written.match_kind {
        None | Some(ConstraintReferenceMatchKind::Simple) => false,
        Some(ConstraintReferenceMatchKind::Full) => true,
        Some(ConstraintReferenceMatchKind::Partial) => {
            return Err(Error::Standard {
                sqlstate: "0A000",
                message: "MATCH PARTIAL not yet implemented".into(),
                hint: "MATCH SIMPLE and MATCH FULL are there.".into(),
            });
        }
    };
    let (columns, name) = match column {
        Some((column, name)) => (vec![column.to_owned()], name),
        None => (written.columns.iter().map(normal).collect(), written.name.as_ref()),
    };
    Ok(NewForeignKey {
        name: name.map(normal),
        columns,
        table: target(table, &written.foreign_table, facts)?,
        referred: written.referred_columns.iter().map(normal).collect(),
        on_delete: action(written.on_delete.as_ref()),
        on_update: action(written.on_update.as_ref()),
        match_full,
        deferral: deferral(written.characteristics.as_ref())?,
        not_valid: false,
    })
}

/// Reads what `ALTER CONSTRAINT` says of one, which is read as a foreign key; `None` for a foreign key that is added.
///
/// # Errors
/// SQLSTATE 0A000 if it is to be `NOT VALID`.
pub(super) fn altered(
    written: &ForeignKeyConstraint,
    not_valid: bool,
) -> Result<Option<ColumnChange>> {
    let (true, Some(name)) = (parts(&written.foreign_table) == [ALTERED], &written.name) else {
        return Ok(None);
    };
    if not_valid {
        return Err(Error::Standard {
            sqlstate: "0A000",
            message: "FOREIGN KEY constraints cannot be marked NOT VALID".into(),
            hint: "Leave NOT VALID out, or drop the constraint and add it with NOT VALID.".into(),
        });
    }
    let deferral = deferral(written.characteristics.as_ref())?;
    Ok(Some(ColumnChange::AlterKey { name: normal(name), deferral }))
}

fn action(written: Option<&ReferentialAction>) -> ReferenceAction {
    match written {
        None | Some(ReferentialAction::NoAction) => ReferenceAction::NoAction,
        Some(ReferentialAction::Restrict) => ReferenceAction::Restrict,
        Some(ReferentialAction::Cascade) => ReferenceAction::Cascade,
        Some(ReferentialAction::SetNull) => ReferenceAction::SetNull,
        Some(ReferentialAction::SetDefault) => ReferenceAction::SetDefault,
    }
}

fn deferral(written: Option<&ConstraintCharacteristics>) -> Result<Deferral> {
    let Some(written) = written else { return Ok(Deferral::None) };
    if written.enforced == Some(false) {
        return Err(unsupported("FOREIGN KEY ... NOT ENFORCED", "Leave the constraint out."));
    }
    match (written.deferrable, &written.initially) {
        (Some(false), Some(DeferrableInitial::Deferred)) => Err(Error::Standard {
            sqlstate: "42601",
            message: "constraint declared INITIALLY DEFERRED must be DEFERRABLE".into(),
            hint: "Leave NOT DEFERRABLE out.".into(),
        }),
        (_, Some(DeferrableInitial::Deferred)) => Ok(Deferral::Deferred),
        (Some(true), _) => Ok(Deferral::Allowed),
        _ => Ok(Deferral::None),
    }
}

/// Returns what the table is kept under that a foreign key of the table `own` names.
fn target(own: &str, name: &ObjectName, facts: &SessionFacts) -> Result<String> {
    let mut names = parts(name);
    let table = names.pop().unwrap_or_default();
    let schema = match names.pop() {
        Some(schema) => schema,
        None => {
            // The table itself may not be there yet.
            let is_found = |schema: &String| {
                keyed(schema, &table) == own || facts.has_relation(schema, &table)
            };
            let found = facts.search_path().into_iter().find(is_found);
            found.unwrap_or_else(|| ANALYTICS.into())
        }
    };
    let found = keyed(&schema, plain(&table)?);
    if is_reserved(&schema) && schema != TEMPORARY {
        return Err(match facts.has_relation(&schema, &table) {
            true => unsupported(format!("a foreign key to \"{schema}.{table}\""), PROFILES),
            false => missing(&schema, &table),
        });
    }
    let is_temporary = |key: &str| placed(key).0 == TEMPORARY;
    match (is_temporary(own), is_temporary(&found)) {
        (false, false) => Ok(found),
        (true, true) => {
            let hint = "Make the tables in the schema analytics, or leave REFERENCES out.";
            Err(unsupported("a foreign key of a temporary table", hint))
        }
        (is_own, _) => {
            let word = if is_own { "temporary" } else { "permanent" };
            Err(Error::Standard {
                sqlstate: "42P16",
                message: format!("constraints on {word} tables may reference only {word} tables"),
                hint: "Leave REFERENCES out.".into(),
            })
        }
    }
}

fn missing(schema: &str, table: &str) -> Error {
    let name = if schema == ANALYTICS { table.to_owned() } else { format!("{schema}.{table}") };
    let hint = "Make the table first that is referred to.".into();
    Error::Missing { kind: "relation", name, hint }
}

/// Returns how messages call the table that is kept under `key`.
pub(super) fn told(key: &str) -> String {
    match placed(key) {
        (ANALYTICS, name) => name.to_owned(),
        _ => qualified(key),
    }
}

impl QuerySession {
    /// Adds a foreign key to a table, which is `stored` with these columns, under its name or the first one that is free.
    pub(super) fn add_foreign_key(
        &self,
        seen: &Seen,
        (name, table): (&str, &mut AnalyticsTable),
        stored: &Schema,
        new: NewForeignKey,
    ) -> Result<ForeignKey> {
        if table.of_persons {
            let hint = "Whether a row is there would tell of persons who are hidden. By profile_id each row goes with its person.";
            return Err(unsupported("a foreign key of rows of persons", hint));
        }
        let own;
        let (referred, columns) = match new.table == name {
            true => {
                own = table.clone();
                (&own, columns_of(stored, table))
            }
            false => {
                let referred = self.referred(seen, &new.table)?;
                (referred, seen.columns(referred))
            }
        };
        if referred.purpose != table.purpose {
            return Err(unsupported("a foreign key between tables of several purposes", PURPOSES));
        }
        let key = key_of(&new, referred)?;
        let own_columns = columns_of(stored, table);
        let of_own = found(&new.columns, &own_columns)?;
        let of_key = found(&key, &columns)?;
        if new.columns.iter().enumerate().any(|(at, name)| new.columns[..at].contains(name)) {
            let what = "a foreign key that has a column twice";
            return Err(unsupported(what, "Name each column once."));
        }
        if of_own.len() != of_key.len() {
            return Err(Error::Standard {
                sqlstate: "42830",
                message: "number of referencing and referenced columns for foreign key disagree"
                    .into(),
                hint: "Name as many columns of the other table.".into(),
            });
        }
        let mut sorted = key.clone();
        sorted.sort();
        sorted.dedup();
        if sorted.len() < key.len() || !referred.has_key(&key) {
            return Err(Error::Standard {
                sqlstate: "42830",
                message: format!(
                    "there is no unique constraint matching given keys for referenced table \"{}\"",
                    placed(&new.table).1
                ),
                hint: "Name the columns of its primary key, or of a unique constraint.".into(),
            });
        }
        let known = names_of(name, table);
        check_room(name, known.len())?;
        let constraint = self.name_of_foreign_key(name, &new, &known)?;
        for (own, key) in of_own.iter().zip(&of_key) {
            check_types(&constraint, own, key)?;
        }
        let added = ForeignKey {
            name: constraint,
            columns: new.columns,
            table: new.table,
            referred: key,
            on_delete: new.on_delete,
            on_update: new.on_update,
            match_full: new.match_full,
            deferral: new.deferral,
            not_valid: new.not_valid,
        };
        table.foreign_keys.push(added.clone());
        generated::refuse_actions(table)?;
        Ok(added)
    }

    /// Adds the foreign keys of a column that is added to a table, the last one of these.
    pub(super) fn link_column(
        &self,
        seen: &Seen,
        (name, after): (&str, &mut AnalyticsRelation),
        before: &TableSnapshot,
        columns: &[Column],
        new: &[NewForeignKey],
    ) -> Result<()> {
        let AnalyticsBody::Table(table) = &mut after.body else { return Ok(()) };
        let fields: Vec<_> = columns.iter().map(|column| Arc::clone(&column.field)).collect();
        let stored = Schema::new(fields);
        for new in new {
            let is_filled = |column: &Column| {
                new.columns.contains(column.field.name()) && column.filled.is_some()
            };
            if columns.iter().any(is_filled) && !before.files.is_empty() {
                let hint = "Add the column first, and then the constraint.";
                return Err(unsupported("ADD COLUMN with a default and REFERENCES", hint));
            }
            self.add_foreign_key(seen, (name, &mut *table), &stored, new.clone())?;
        }
        Ok(())
    }

    /// Returns the table that a foreign key may refer to.
    fn referred<'a>(&self, seen: &'a Seen, name: &str) -> Result<&'a AnalyticsTable> {
        let (schema, relation) = placed(name);
        let found = seen.find(name).ok_or_else(|| missing(schema, relation))?;
        let table = found.table().filter(|table| table.definition.is_none());
        let table = table.ok_or_else(|| Error::Standard {
            sqlstate: "42809",
            message: format!("referenced relation \"{relation}\" is not a table"),
            hint: "Name the table that it reads.".into(),
        })?;
        self.may_refer(name, found)?;
        Ok(table)
    }

    /// Fails unless the role may let rows refer to those of a relation: its owner deletes none of them then.
    fn may_refer(&self, name: &str, relation: &AnalyticsRelation) -> Result<()> {
        self.require_owner(name, relation).map_err(|_| Error::Denied {
            message: format!("permission denied for table {}", placed(name).1),
            hint: "Its owner alone refers to it, or a role with MAY (define).".into(),
        })
    }

    fn name_of_foreign_key(
        &self,
        table: &str,
        new: &NewForeignKey,
        known: &[String],
    ) -> Result<String> {
        let (schema, relation) = placed(table);
        match &new.name {
            Some(name) if known.contains(name) => Err(taken(table, name)),
            Some(name) => Ok(name.clone()),
            None => {
                let snapshot = self.facts().snapshot();
                let is_taken = |name: &str| {
                    known.iter().any(|known| known == name) || snapshot.has_constraint(schema, name)
                };
                let columns = new.columns.join("_");
                Ok(constraint_names::free((relation, &columns, "fkey"), is_taken))
            }
        }
    }
}

/// Returns the columns that a foreign key refers to.
fn key_of(new: &NewForeignKey, referred: &AnalyticsTable) -> Result<Vec<String>> {
    if !new.referred.is_empty() {
        return Ok(new.referred.clone());
    }
    match referred.primary_key.is_empty() {
        false => Ok(referred.primary_key.clone()),
        true => Err(Error::Standard {
            sqlstate: "42704",
            message: format!(
                "there is no primary key for referenced table \"{}\"",
                placed(&new.table).1
            ),
            hint: "Name the columns of one of its unique constraints.".into(),
        }),
    }
}

/// Finds the columns of a key.
fn found<'a>(names: &[String], columns: &'a [Field]) -> Result<Vec<&'a Field>> {
    let find = |name: &String| {
        let field = columns.iter().find(|column| column.name() == name);
        field.ok_or_else(|| Error::Standard {
            sqlstate: "42703",
            message: format!(
                "column \"{name}\" referenced in foreign key constraint does not exist"
            ),
            hint: "\\d lists the columns of a table.".into(),
        })
    };
    names.iter().map(find).collect()
}

/// Fails unless values of a column can be held against those of the key that it refers to.
fn check_types(constraint: &str, own: &Field, key: &Field) -> Result<()> {
    let name = |field: &Field| pg_type_of(field).0.name.as_str();
    let family = |name: &str| FAMILIES.iter().position(|family| family.contains(&name));
    let (from, to) = (name(own), name(key));
    let shown = |field: &Field| {
        let (pg_type, modifier) = pg_type_of(field);
        format_type(i64::from(pg_type.oid), i64::from(modifier))
    };
    match (family(from), family(to)) {
        (Some(one), Some(other)) if one == other => {
            // A day and a moment are compared in a zone.
            if one + 1 == FAMILIES.len() && from != to {
                let what = format!("a column of type {} that refers to {}", shown(own), shown(key));
                return Err(unsupported(what, "Give both columns the same type."));
            }
            Ok(())
        }
        _ => Err(Error::Row {
            sqlstate: "42804",
            message: format!("foreign key constraint \"{constraint}\" cannot be implemented"),
            detail: Some(format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                own.name(),
                key.name(),
                shown(own),
                shown(key)
            )),
            hint: "Give both columns the same type.".into(),
        }),
    }
}

/// Returns the type in which values of columns that are stored so are held against each other.
pub(super) fn compared(stored: &Field) -> DataType {
    match lake::logical_field(stored).data_type() {
        whole if whole.is_integer() => DataType::Int64,
        _ => stored.data_type().clone(),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::{
        AlterTable, AlterTableOperation, Statement, TableConstraint,
    };

    use super::*;

    #[test]
    fn whole_numbers_refer_to_others_and_texts_to_none() {
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        let (small, big) = (field("a", DataType::Int32), field("id", DataType::Int64));
        let (text, day) = (field("t", DataType::Utf8), field("d", DataType::Date32));
        check_types("c", &small, &big).unwrap();
        check_types("c", &text, &text).unwrap();
        check_types("c", &day, &day).unwrap();
        let refused = check_types("c", &text, &big).unwrap_err();
        assert_eq!(refused.sqlstate(), "42804");
        let detail = "Key columns \"t\" and \"id\" are of incompatible types: text and bigint.";
        assert_eq!(refused.detail(), Some(detail));
        assert_eq!((compared(&small), compared(&text)), (DataType::Int64, DataType::Utf8));
    }

    #[test]
    fn a_constraint_is_altered_and_none_is_added() {
        let read = |sql: &str| {
            let statement = crate::query::planner::parse_one(sql).unwrap();
            let Statement::AlterTable(AlterTable { operations, .. }) = statement else {
                panic!("{sql}")
            };
            match &operations[0] {
                AlterTableOperation::AddConstraint {
                    constraint: TableConstraint::ForeignKey(key),
                    not_valid,
                } => altered(key, *not_valid),
                other => panic!("{other}"),
            }
        };
        let deferred = read("ALTER TABLE t ALTER CONSTRAINT \"C\" INITIALLY DEFERRED").unwrap();
        assert!(matches!(
            deferred,
            Some(ColumnChange::AlterKey { name, deferral: Deferral::Deferred }) if name == "C"
        ));
        let at_once = read("ALTER TABLE t ALTER CONSTRAINT c").unwrap();
        assert!(matches!(at_once, Some(ColumnChange::AlterKey { deferral: Deferral::None, .. })));
        assert!(read("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u").unwrap().is_none());
        let refused = read("ALTER TABLE t ALTER CONSTRAINT c NOT VALID").unwrap_err();
        assert_eq!(refused.sqlstate(), "0A000");
    }

    #[test]
    fn what_is_deferred_may_be() {
        let given = |deferrable, initially| {
            let written = ConstraintCharacteristics { deferrable, initially, enforced: None };
            deferral(Some(&written))
        };
        assert_eq!(deferral(None).unwrap(), Deferral::None);
        assert_eq!(given(Some(true), None).unwrap(), Deferral::Allowed);
        assert_eq!(given(None, Some(DeferrableInitial::Deferred)).unwrap(), Deferral::Deferred);
        assert_eq!(given(Some(false), None).unwrap(), Deferral::None);
        let both = given(Some(false), Some(DeferrableInitial::Deferred)).unwrap_err();
        assert_eq!(both.sqlstate(), "42601");
    }
}
