//! What a table asked of its rows when they were written: a commit fails if it asks more by then.

use std::collections::HashSet;
use std::sync::Arc;

use crate::catalog::{AnalyticsTable, CatalogState, ForeignKey, Published};

/// What a table asks of its rows, and which foreign keys refer to them.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    table: AnalyticsTable,
    referring: Vec<ForeignKey>,
}

impl Asked {
    /// Returns what the table asks whose rows lie at `path`.
    pub(super) fn at(state: &CatalogState, path: &str) -> Option<Self> {
        let (name, table) = table_at(state, path)?;
        let referring = state.referring_to(name).map(|(_, _, key)| key.clone()).collect();
        Some(Self { table: table.clone(), referring })
    }

    /// Tells whether the table at `path` asks more, or more refers to it, than this: its rows were never held against that.
    pub(super) fn is_less_than(&self, state: &CatalogState, path: &str) -> bool {
        let Some((name, now)) = table_at(state, path) else { return false };
        let Self { table: then, referring } = self;
        let is_new_key = !now.primary_key.is_empty() && now.primary_key != then.primary_key;
        let is_checked = |check| then.checks.contains(check);
        let is_known = |columns: &[String]| then.unique.iter().any(|key| key.columns == columns);
        is_new_key
            || !now.not_null.is_subset(&then.not_null)
            || now.unique.iter().any(|key| !is_known(&key.columns))
            || !now.checks.iter().all(is_checked)
            || !now.foreign_keys.iter().all(|key| then.foreign_keys.contains(key))
            || !state.referring_to(name).all(|(_, _, key)| referring.contains(key))
    }
}

/// Returns the table of a state whose rows lie at `path`, and what it is kept under.
fn table_at<'a>(state: &'a CatalogState, path: &str) -> Option<(&'a String, &'a AnalyticsTable)> {
    let mut tables = state.analytics.iter().filter_map(|(name, one)| Some((name, one.table()?)));
    tables.find(|(_, table)| table.path == path)
}

/// Tells whether the table at `path` still has all these files: no row has gone that was in one of them.
pub(super) fn are_there(published: &Published, path: &str, files: &HashSet<Arc<str>>) -> bool {
    let Some(table) = published.table(path) else { return false };
    table.files.iter().filter(|file| files.contains(&file.path)).count() == files.len()
}
