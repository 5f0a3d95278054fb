//! What happens to foreign keys when a table changes to which they refer: its columns and keys, its name, and that it goes or
//! is emptied.

use std::collections::BTreeMap;

use super::columns::ColumnChange;
use super::dependents::others_depend;
use super::follow::pending;
use super::foreign_keys::told;
use super::statement::unsupported;
use super::write::{Seen, Written};
use crate::catalog::{AnalyticsBody, AnalyticsRelation, AnalyticsTable, CatalogState, ForeignKey};
use crate::error::{Error, Result};
use crate::query::session::QuerySession;

/// The tables that refer to one which changes, while it does.
pub(super) struct Referring<'a> {
    state: &'a CatalogState,
    /// What the table is kept under.
    name: &'a str,
    /// Those that change with it, by what they are kept under.
    others: BTreeMap<String, AnalyticsRelation>,
}

impl<'a> Referring<'a> {
    pub(super) fn to(state: &'a CatalogState, name: &'a str) -> Self {
        Self { state, name, others: BTreeMap::new() }
    }

    /// Returns the foreign keys to the table, `own` is what it has become, each with what its table is kept under.
    fn keys<'b>(
        &'b self,
        own: &'b AnalyticsTable,
    ) -> impl Iterator<Item = (&'b str, &'b ForeignKey)> {
        let to = self.name;
        let others = self.state.analytics.iter().filter(move |(name, _)| name.as_str() != to);
        let others = others.filter_map(move |(name, relation)| {
            let relation = self.others.get(name).unwrap_or(relation);
            Some((name.as_str(), relation.table()?))
        });
        let all = std::iter::once((to, own)).chain(others);
        all.flat_map(move |(name, table)| {
            let keys = table.foreign_keys.iter().filter(move |key| key.table == to);
            keys.map(move |key| (name, key))
        })
    }

    /// Changes the tables that refer to it, but for itself.
    fn change(&mut self, change: impl Fn(&mut ForeignKey)) {
        for (name, _, _) in self.state.referring_to(self.name) {
            if name != self.name {
                let table = self.others.entry(name.clone());
                let relation = table.or_insert_with(|| self.state.analytics[name].clone());
                keys_to(relation, self.name).for_each(&change);
            }
        }
    }

    /// A column has another name.
    fn rename_column(&mut self, own: &mut AnalyticsTable, column: &str, to: &str) {
        let rename = |key: &mut ForeignKey| {
            for referred in key.referred.iter_mut().filter(|name| name.as_str() == column) {
                to.clone_into(referred);
            }
        };
        self.change(rename);
        own.foreign_keys.iter_mut().filter(|key| key.table == self.name).for_each(rename);
    }

    /// Fails if a column is a part of a foreign key, or of a key that one refers to.
    fn refuse_retyped(&self, own: &AnalyticsTable, column: &str) -> Result<()> {
        let is_among = |columns: &[String]| columns.iter().any(|one| one == column);
        let is_own = own.foreign_keys.iter().any(|key| is_among(&key.columns));
        if is_own || self.keys(own).any(|(_, key)| is_among(&key.referred)) {
            let what = format!("another type of column \"{column}\", which is in a foreign key");
            return Err(unsupported(what, "DROP the constraint first, and add it again."));
        }
        Ok(())
    }

    /// Drops the foreign keys that lose what they refer to, as `what` goes, a part of which is `on`. Returns what the client
    /// should know.
    ///
    /// # Errors
    /// SQLSTATE 2BP01 if there are such, and not `cascade`.
    pub(super) fn drop_lost(
        &mut self,
        own: &mut AnalyticsTable,
        (what, on): (&str, &str),
        cascade: bool,
        is_lost: impl Fn(&ForeignKey) -> bool,
    ) -> Result<Vec<String>> {
        let lost = self.keys(own).filter(|(_, key)| is_lost(key));
        let lost: Vec<(String, String)> =
            lost.map(|(child, key)| (child.to_owned(), key.name.clone())).collect();
        if !cascade && !lost.is_empty() {
            let depends =
                lost.iter().map(|(child, key)| format!("{} depends on {on}", of(child, key)));
            return Err(others_depend(what, depends.collect()));
        }
        for (child, key) in &lost {
            if child == self.name {
                own.foreign_keys.retain(|own| own.name != *key);
                continue;
            }
            let table = self.others.entry(child.clone());
            let relation = table.or_insert_with(|| self.state.analytics[child].clone());
            if let AnalyticsBody::Table(table) = &mut relation.body {
                table.foreign_keys.retain(|own| own.name != *key);
            }
        }
        Ok(lost.iter().map(|(child, key)| format!("drop cascades to {}", of(child, key))).collect())
    }

    /// Lets foreign keys follow a change of the columns of the table, before it is applied to what becomes of that. Returns
    /// what the client should know.
    pub(super) fn change_with(
        &mut self,
        after: &mut AnalyticsRelation,
        change: &ColumnChange,
    ) -> Result<Vec<String>> {
        let AnalyticsBody::Table(own) = &mut after.body else { return Ok(vec![]) };
        match change {
            ColumnChange::Drop { name, cascade, .. } => {
                let what = format!("column {name} of table {}", told(self.name));
                let is_lost = |key: &ForeignKey| key.referred.contains(name);
                return self.drop_lost(own, (what.as_str(), what.as_str()), *cascade, is_lost);
            }
            ColumnChange::Rename { name, to } => self.rename_column(own, name, to),
            ColumnChange::Type { name, .. } => self.refuse_retyped(own, name)?,
            _ => {}
        }
        Ok(vec![])
    }

    /// Returns what becomes of the tables that refer to it.
    pub(super) fn into_relations(self) -> impl Iterator<Item = (String, AnalyticsRelation)> {
        self.others.into_iter()
    }
}

/// The foreign keys of a relation that refer to the table which is kept under `name`.
fn keys_to<'a>(
    relation: &'a mut AnalyticsRelation,
    name: &'a str,
) -> impl Iterator<Item = &'a mut ForeignKey> {
    let table = match &mut relation.body {
        AnalyticsBody::Table(table) => Some(table),
        AnalyticsBody::View(_) | AnalyticsBody::Sequence(_) => None,
    };
    let keys = table.into_iter().flat_map(|table| &mut table.foreign_keys);
    keys.filter(move |key| key.table == name)
}

/// A foreign key, as messages call it.
fn of(child: &str, key: &str) -> String {
    format!("constraint {key} on table {}", told(child))
}

/// Returns what becomes of the tables that refer to the one which is kept under `name` when it is kept under `to`, as `moved`.
pub(super) fn renamed(
    state: &CatalogState,
    name: &str,
    to: &str,
    moved: &mut AnalyticsRelation,
) -> Vec<(String, AnalyticsRelation)> {
    let rename = |key: &mut ForeignKey| to.clone_into(&mut key.table);
    keys_to(moved, name).for_each(rename);
    let mut referring = Referring::to(state, name);
    referring.change(rename);
    referring.into_relations().collect()
}

/// Drops the foreign keys of tables that stay which refer to relations that go: what these become is put into `left`.
pub(super) fn without_referring(
    state: &CatalogState,
    gone: &[String],
    left: &mut BTreeMap<String, AnalyticsRelation>,
) {
    for name in gone {
        let lost = state.referring_to(name).filter(|(child, _, _)| !gone.contains(child));
        for (child, _, key) in lost {
            let relation = left.entry(child.clone());
            let relation = relation.or_insert_with(|| state.analytics[child].clone());
            if let AnalyticsBody::Table(table) = &mut relation.body {
                table.foreign_keys.retain(|own| own.name != key.name);
            }
        }
    }
}

impl QuerySession {
    /// Adds the tables that refer to those which are emptied to these, if `cascade`: a row would refer to nothing.
    ///
    /// # Errors
    /// SQLSTATE 0A000 if there are such, and not `cascade`. For a table of somebody else 42501: what refers to it is not told.
    pub(super) fn emptied_with(
        &self,
        seen: &Seen,
        names: &[String],
        cascade: bool,
    ) -> Result<(Vec<String>, Written)> {
        let state = &seen.live.published.state;
        let (mut all, mut written) = (names.to_vec(), Written::tagged("TRUNCATE TABLE"));
        let mut at = 0;
        while at < all.len() {
            let name = all[at].clone();
            let (relation, _) = seen.table(&name, "TRUNCATE")?;
            self.require_owner(&name, relation)?;
            for (child, table, _) in state.referring_to(&name) {
                // Rows that come to it meanwhile would stay.
                self.staged().lock().copied(&seen.base.published, &table.path);
                if all.contains(child) {
                    continue;
                }
                if !cascade {
                    let (child, name) = (told(child), told(&name));
                    return Err(Error::Row {
                        sqlstate: "0A000",
                        message: "cannot truncate a table referenced in a foreign key constraint"
                            .into(),
                        detail: Some(format!("Table \"{child}\" references \"{name}\".")),
                        hint: format!(
                            "Truncate table \"{child}\" at the same time, or use TRUNCATE ... CASCADE."
                        ),
                    });
                }
                written =
                    written.noticed(format!("truncate cascades to table \"{}\"", told(child)));
                all.push(child.clone());
            }
            at += 1;
        }
        Ok((all, written))
    }

    /// Fails if a foreign key of a table is still to be checked.
    pub(super) fn refuse_pending(&self, name: &str) -> Result<()> {
        match self.staged().lock().owes(name) {
            true => Err(pending("ALTER TABLE", name)),
            false => Ok(()),
        }
    }
}
