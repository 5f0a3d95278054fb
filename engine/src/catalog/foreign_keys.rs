//! Foreign keys of tables that analysts make: rows of one table refer to rows of another by the values of a key.

use serde::{Deserialize, Serialize};

use super::analytics::{AnalyticsRelation, AnalyticsTable, qualified};
use super::state::CatalogState;
use crate::error::{Error, Result};

/// What becomes of rows that refer to one which goes, or whose key becomes another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceAction {
    /// There may be none when the constraint is checked.
    #[default]
    NoAction,
    /// There may be none when the statement has run, whatever comes behind it.
    Restrict,
    /// They go with it, or follow its key.
    Cascade,
    /// They refer to nothing.
    SetNull,
    /// They refer to what the defaults of their columns say.
    SetDefault,
}

impl ReferenceAction {
    /// Returns the letter that `pg_constraint` has for it.
    pub fn letter(self) -> &'static str {
        match self {
            ReferenceAction::NoAction => "a",
            ReferenceAction::Restrict => "r",
            ReferenceAction::Cascade => "c",
            ReferenceAction::SetNull => "n",
            ReferenceAction::SetDefault => "d",
        }
    }

    /// Returns how SQL writes it.
    pub fn words(self) -> &'static str {
        match self {
            ReferenceAction::NoAction => "NO ACTION",
            ReferenceAction::Restrict => "RESTRICT",
            ReferenceAction::Cascade => "CASCADE",
            ReferenceAction::SetNull => "SET NULL",
            ReferenceAction::SetDefault => "SET DEFAULT",
        }
    }
}

/// When a foreign key is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deferral {
    /// After each statement.
    #[default]
    None,
    /// After each statement, and it was made `DEFERRABLE`.
    Allowed,
    /// At the end of the transaction.
    Deferred,
}

/// A constraint by which the values of some columns are a key of a row of a table, unless one of them is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name, which no other constraint of the table has.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// What the table is kept under that it refers to.
    pub table: String,
    /// The columns there, in the order of those that refer to them: together they are a key.
    pub referred: Vec<String>,
    /// What becomes of rows when the row goes that they refer to.
    #[serde(default)]
    pub on_delete: ReferenceAction,
    /// What becomes of rows when the key changes that they refer to.
    #[serde(default)]
    pub on_update: ReferenceAction,
    /// Whether all columns are null or none is: `MATCH FULL`.
    #[serde(default)]
    pub match_full: bool,
    /// When it is checked.
    #[serde(default)]
    pub deferral: Deferral,
    /// Whether only rows that come are held to it: those that were there were not looked at.
    #[serde(default)]
    pub not_valid: bool,
}

impl AnalyticsTable {
    /// Tells whether columns, in whatever order, are a key of the table.
    pub fn has_key(&self, columns: &[String]) -> bool {
        let is_same = |key: &[String]| {
            key.len() == columns.len() && columns.iter().all(|column| key.contains(column))
        };
        is_same(&self.primary_key) || self.unique.iter().any(|key| is_same(&key.columns))
    }
}

impl CatalogState {
    /// Returns the foreign keys that refer to the table kept under `name`, each with its table and what that is kept under.
    pub fn referring_to<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a AnalyticsTable, &'a ForeignKey)> {
        let tables = self.analytics.iter().filter_map(|(other, one)| Some((other, one.table()?)));
        tables.flat_map(move |(other, table)| {
            let keys = table.foreign_keys.iter().filter(move |key| key.table == name);
            keys.map(move |key| (other, table, key))
        })
    }

    /// Tells whether the table that is kept under `name` has foreign keys, or others refer to it.
    pub fn has_links(&self, name: &str) -> bool {
        let table = self.analytics.get(name).and_then(AnalyticsRelation::table);
        table.is_some_and(|table| !table.foreign_keys.is_empty())
            || self.referring_to(name).next().is_some()
    }

    /// Fails if a foreign key refers to a table that is not there or has another purpose, or to columns that are no key.
    pub fn check_foreign_keys(&self) -> Result<()> {
        for (name, relation) in &self.analytics {
            let Some(table) = relation.table() else { continue };
            for key in &table.foreign_keys {
                let referred = self.analytics.get(&key.table).and_then(AnalyticsRelation::table);
                let holds = |referred: &AnalyticsTable| {
                    referred.has_key(&key.referred) && referred.purpose == table.purpose
                };
                if referred.is_some_and(holds) {
                    continue;
                }
                return Err(Error::Standard {
                    sqlstate: "40001",
                    message: format!(
                        "could not commit: \"{}\" refers to a key of \"{}\", which another session has changed",
                        qualified(name),
                        qualified(&key.table)
                    ),
                    hint: "Nothing was changed. Run the transaction again.".into(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::catalog::AnalyticsBody;

    fn relation(path: &str, rest: &str) -> AnalyticsRelation {
        let text =
            format!(r#"{{"path":"{path}","purpose":null,"of_persons":false,"not_null":[]{rest}}}"#);
        let table = serde_json::from_str(&text).unwrap();
        let body = AnalyticsBody::Table(table);
        AnalyticsRelation {
            owner: "ada".into(),
            comment: None,
            column_comments: BTreeMap::new(),
            body,
        }
    }

    #[test]
    fn a_foreign_key_needs_the_key_that_it_refers_to() {
        let mut state = CatalogState::new([0; 16]);
        let refers = r#","foreign_keys":[{"name":"f","columns":["x","y"],"table":"p","referred":["b","a"]}]"#;
        state.analytics.insert("c".into(), relation("analytics/1", refers));
        assert_eq!(state.check_foreign_keys().unwrap_err().sqlstate(), "40001");
        state.analytics.insert("p".into(), relation("analytics/2", r#","primary_key":["a"]"#));
        assert_eq!(state.check_foreign_keys().unwrap_err().sqlstate(), "40001");
        state.analytics.insert("p".into(), relation("analytics/2", r#","primary_key":["a","b"]"#));
        state.check_foreign_keys().unwrap();
        let bound = r#","primary_key":["b","a"]"#;
        let mut bound = relation("analytics/2", bound);
        if let AnalyticsBody::Table(table) = &mut bound.body {
            table.purpose = Some("service".into());
        }
        let open = state.analytics.insert("p".into(), bound).unwrap();
        assert_eq!(state.check_foreign_keys().unwrap_err().sqlstate(), "40001");
        state.analytics.insert("p".into(), open);
        assert_eq!(state.referring_to("p").count(), 1);
        assert_eq!(state.referring_to("c").count(), 0);
        assert!(state.has_links("p") && state.has_links("c") && !state.has_links("q"));
        assert_eq!(CatalogState::from_bytes(&state.to_bytes().unwrap()).unwrap(), state);
    }
}
