//! What depends on relations that go, as messages tell it: views over them and over those, foreign keys that refer to them, and
//! the defaults of columns that sequences number.

use super::foreign_keys::told;
use super::notice::listed;
use crate::catalog::{AnalyticsRelation, CatalogState, placed};
use crate::error::{Error, Result};
use crate::query::postgres::{Snapshot, columns_read};

/// Something that depends on something else, both as messages call them.
#[derive(Debug, PartialEq, Eq)]
struct Dependent {
    what: String,
    on: String,
}

/// What depends on relations that go.
pub(super) struct Dependents<'a> {
    state: &'a CatalogState,
    /// What the relations are kept under that go, and the views over them.
    gone: Vec<String>,
    /// Each behind what it depends on.
    found: Vec<Dependent>,
}

impl<'a> Dependents<'a> {
    /// Returns what depends on relations that are kept under these names.
    pub(super) fn of(state: &'a CatalogState, gone: &[String]) -> Self {
        let mut dependents = Self { state, gone: gone.to_vec(), found: vec![] };
        for name in gone {
            dependents.visit(name);
        }
        dependents
    }

    /// Returns what depends on a column of a table: the views that read it, and what depends on those, but for views that are
    /// `gone` already.
    pub(super) fn of_column(
        state: &'a CatalogState,
        snapshot: &Snapshot,
        (table, column): (&str, &str),
        gone: Vec<String>,
    ) -> Self {
        let mut dependents = Self { state, gone, found: vec![] };
        let (schema, name) = placed(table);
        let known = snapshot.named(schema, name);
        for view in state.views_over(table) {
            let query = state.analytics.get(&view).and_then(AnalyticsRelation::query);
            // A table of persons is none for a purpose that sees nobody: each view over it may read the column.
            let reads = known.is_none_or(|known| {
                let read = columns_read(query.unwrap_or_default(), snapshot);
                let columns = read.get(&known.oid);
                columns.is_some_and(|columns| columns.contains(&known.column(column)))
            });
            if reads && !dependents.gone.contains(&view) {
                let on = format!("column {column} of table {}", told(table));
                dependents.found.push(Dependent { what: called(state, &view), on });
                dependents.gone.push(view.clone());
                dependents.visit(&view);
            }
        }
        dependents
    }

    fn visit(&mut self, name: &str) {
        let (state, on) = (self.state, called(self.state, name));
        for (child, _, key) in state.referring_to(name) {
            if !self.gone.contains(child) {
                let what = format!("constraint {} on table {}", key.name, told(child));
                self.found.push(Dependent { what, on: on.clone() });
            }
        }
        // An identity column has its sequence as a part of it.
        let owner = state.sequence(name).and_then(|sequence| sequence.owned_by.as_ref());
        let is_part = owner.is_some_and(|owner| owner.identity);
        for (table, column) in state.numbered_by(name).filter(|_| !is_part) {
            if !self.gone.contains(table) {
                let what = format!("default value for column {column} of table {}", told(table));
                self.found.push(Dependent { what, on: on.clone() });
            }
        }
        for view in state.views_over(name) {
            if !self.gone.contains(&view) {
                let what = called(state, &view);
                self.found.push(Dependent { what, on: on.clone() });
                self.gone.push(view.clone());
                self.visit(&view);
            }
        }
    }

    /// Fails if there are some; the first `count` relations are those that a statement drops.
    ///
    /// # Errors
    /// SQLSTATE 2BP01.
    pub(super) fn refuse(&self, count: usize) -> Result<()> {
        match self.gone.as_slice() {
            _ if self.found.is_empty() => Ok(()),
            [name, ..] if count == 1 => Err(others_depend(&called(self.state, name), self.lines())),
            _ => {
                let message =
                    "cannot drop desired object(s) because other objects depend on them".into();
                Err(refused(message, self.lines()))
            }
        }
    }

    /// Fails if there are some of a column, which messages call `what`.
    ///
    /// # Errors
    /// SQLSTATE 2BP01.
    pub(super) fn refuse_column(&self, what: &str) -> Result<()> {
        match self.found.is_empty() {
            true => Ok(()),
            false => Err(others_depend(what, self.lines())),
        }
    }

    fn lines(&self) -> Vec<String> {
        self.found.iter().map(|one| format!("{} depends on {}", one.what, one.on)).collect()
    }

    /// Returns what clients are told when all of it goes, a line for each.
    pub(super) fn going(&self) -> Vec<String> {
        self.found.iter().map(|one| format!("drop cascades to {}", one.what)).collect()
    }

    /// Returns all relations that go then.
    pub(super) fn into_gone(self) -> Vec<String> {
        self.gone
    }
}

/// Returns how messages call a relation, with what it is.
fn called(state: &CatalogState, name: &str) -> String {
    let word = state.analytics.get(name).map_or("table", AnalyticsRelation::word);
    format!("{word} {}", told(name))
}

/// The answer to a change that takes `what` away; each line tells what depends on what.
pub(super) fn others_depend(what: &str, lines: Vec<String>) -> Error {
    refused(format!("cannot drop {what} because other objects depend on it"), lines)
}

fn refused(message: String, lines: Vec<String>) -> Error {
    Error::Row {
        sqlstate: "2BP01",
        message,
        detail: Some(listed(&lines)),
        hint: "Use DROP ... CASCADE to drop the dependent objects too.".into(),
    }
}
