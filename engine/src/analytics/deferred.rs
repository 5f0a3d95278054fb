//! `SET CONSTRAINTS`: which foreign keys wait for the end of the transaction, in this transaction alone.

use std::collections::BTreeMap;

use super::check_constraints::names_of;
use super::follow::Owed;
use super::write::Seen;
use crate::catalog::{AnalyticsRelation, Deferral, ForeignKey, placed};
use crate::error::{Error, Result};
use crate::query::session::QuerySession;

/// What a transaction has said of foreign keys that may be deferred.
#[derive(Debug, Clone, Default)]
pub(super) struct Deferrals {
    all: Option<bool>,
    /// By what their table is kept under, and their name.
    named: BTreeMap<(String, String), bool>,
}

impl Deferrals {
    /// Notes it of all of them.
    pub(super) fn set_all(&mut self, deferred: bool) {
        self.named.clear();
        self.all = Some(deferred);
    }

    /// Notes it of one.
    pub(super) fn set(&mut self, table: &str, constraint: &str, deferred: bool) {
        self.named.insert((table.to_owned(), constraint.to_owned()), deferred);
    }

    /// Tells whether a foreign key of a table waits for the end of the transaction.
    pub(super) fn is_deferred(&self, table: &str, key: &ForeignKey) -> bool {
        if key.deferral == Deferral::None {
            return false;
        }
        let named = self.named.get(&(table.to_owned(), key.name.clone())).copied();
        named.or(self.all).unwrap_or(key.deferral == Deferral::Deferred)
    }
}

/// Returns the tables, of the first schema of the path that has such, which have a constraint of this name.
fn with_constraint<'a>(
    seen: &'a Seen,
    schemas: &[String],
    constraint: &str,
) -> Vec<(&'a String, Option<&'a ForeignKey>)> {
    let state = &seen.live.published.state;
    for schema in schemas {
        let tables = state.analytics.iter().filter(|(name, _)| placed(name).0 == schema);
        let tables = tables.filter_map(|(name, relation)| Some((name, relation.table()?)));
        let tables = tables
            .filter(|(name, table)| names_of(name, table).iter().any(|known| known == constraint));
        let found: Vec<_> = tables
            .map(|(name, table)| {
                (name, table.foreign_keys.iter().find(|key| key.name == constraint))
            })
            .collect();
        if !found.is_empty() {
            return found;
        }
    }
    vec![]
}

impl QuerySession {
    /// `SET CONSTRAINTS`: lets foreign keys wait for the end of the transaction, or checks them now and after each statement.
    /// Constraints are named with their schema or without; `None` stands for all.
    ///
    /// # Errors
    /// SQLSTATE 42704 for one that is not there, 42809 for one that does not wait, and 23503 if a row refers to nothing.
    pub async fn set_constraints(
        &self,
        names: Option<&[(Option<String>, String)]>,
        deferred: bool,
    ) -> Result<()> {
        let seen = self.seen();
        let mut named: Vec<(String, String)> = vec![];
        for (schema, name) in names.unwrap_or_default() {
            let schemas = match schema {
                Some(schema) => vec![schema.clone()],
                None => self.facts().search_path(),
            };
            let found = with_constraint(&seen, &schemas, name);
            if found.is_empty() {
                return Err(Error::Standard {
                    sqlstate: "42704",
                    message: format!("constraint \"{name}\" does not exist"),
                    hint: "\\d shows the constraints of a table.".into(),
                });
            }
            for (table, key) in found {
                if key.is_none_or(|key| key.deferral == Deferral::None) {
                    return Err(Error::Standard {
                        sqlstate: "42809",
                        message: format!("constraint \"{name}\" is not deferrable"),
                        hint: "Make it a FOREIGN KEY that is DEFERRABLE.".into(),
                    });
                }
                named.push((table.clone(), name.clone()));
            }
        }
        self.staged().lock().set_deferred(names.map(|_| named.as_slice()), deferred);
        if deferred {
            return Ok(());
        }
        let owed = self.staged().lock().take_owed(true);
        for owed in owed {
            let table = seen.find(&owed.child).and_then(AnalyticsRelation::table);
            let mut keys = table.into_iter().flat_map(|table| &table.foreign_keys);
            let key = keys.find(|key| key.name == owed.constraint);
            let mut staged = self.staged().lock();
            let waits = key.is_some_and(|key| staged.is_deferred(&owed.child, key));
            staged.owe(Owed { at_commit: waits, ..owed });
        }
        self.settle_owed(false).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::ReferenceAction;

    #[test]
    fn what_is_said_last_of_a_constraint_counts() {
        let key = |deferral| ForeignKey {
            name: "f".into(),
            columns: vec![],
            table: "p".into(),
            referred: vec![],
            on_delete: ReferenceAction::NoAction,
            on_update: ReferenceAction::NoAction,
            match_full: false,
            deferral,
            not_valid: false,
        };
        let mut said = Deferrals::default();
        assert!(said.is_deferred("c", &key(Deferral::Deferred)));
        assert!(!said.is_deferred("c", &key(Deferral::Allowed)));
        said.set("c", "f", true);
        assert!(said.is_deferred("c", &key(Deferral::Allowed)));
        assert!(!said.is_deferred("d", &key(Deferral::Allowed)));
        said.set_all(false);
        assert!(!said.is_deferred("c", &key(Deferral::Deferred)));
        said.set_all(true);
        assert!(!said.is_deferred("c", &key(Deferral::None)));
    }
}
