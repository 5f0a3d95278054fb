//! What a session has changed in the schema `analytics` and not committed: it sees that, and nobody else does.
//!
//! Files are written when a statement runs, and named by no log until the commit. So a change that is taken back, or whose
//! session ends, never was, and a savepoint is a copy of a short list.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::catalog::{
    AnalyticsRelation, CatalogState, Published, TEMPORARY, TableState, placed, qualified,
};
use crate::error::{Error, Result};
use crate::lake::{Commit, FileEntry, Table, TableSnapshot};

/// Changes of tables and views that are not committed. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Staged {
    /// Relations that were made, replaced, renamed, commented on or dropped, by name.
    relations: BTreeMap<String, Touched>,
    /// Tables whose rows are others, by path.
    tables: BTreeMap<String, StagedTable>,
    /// Another number after each change; 0 for none. A plan is good for one number.
    pub(crate) version: u64,
}

/// One relation before and after.
#[derive(Debug, Clone)]
struct Touched {
    before: Option<AnalyticsRelation>,
    after: Option<AnalyticsRelation>,
}

/// A table whose rows are others.
#[derive(Debug, Clone)]
struct StagedTable {
    table: Table,
    /// Set for a table that no document names yet.
    fresh: Option<Arc<Fresh>>,
    /// What was read before files were taken out.
    base: Arc<TableSnapshot>,
    adds: Vec<FileEntry>,
    /// Files of `base`.
    removes: Vec<FileEntry>,
}

/// A table that was made and is in no document yet. Unless it gets there, its files go.
#[derive(Debug)]
pub(crate) struct Fresh {
    path: String,
    abandoned: Arc<Mutex<Vec<String>>>,
    kept: AtomicBool,
}

impl Fresh {
    pub(crate) fn new(path: String, abandoned: Arc<Mutex<Vec<String>>>) -> Self {
        Self { path, abandoned, kept: AtomicBool::new(false) }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::SeqCst) {
            self.abandoned.lock().push(std::mem::take(&mut self.path));
        }
    }
}

impl Staged {
    /// Tells whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.relations.is_empty() && self.tables.is_empty()
    }

    /// Returns the changes of temporary tables, which outlive the transaction, or all others.
    pub(crate) fn part(&self, temporary: bool) -> Self {
        let is_temporary = |name: &String| placed(name).0 == TEMPORARY;
        let paths: HashSet<&String> = self
            .relations
            .iter()
            .filter(|(name, _)| is_temporary(name))
            .filter_map(|(_, touched)| touched.after.as_ref()?.table())
            .map(|table| &table.path)
            .collect();
        let relations = self.relations.iter().filter(|(name, touched)| {
            let dropped = touched.before.is_none() && touched.after.is_none();
            is_temporary(name) == temporary && !dropped
        });
        let tables = self.tables.iter().filter(|(path, _)| paths.contains(path) == temporary);
        Self {
            relations: relations.map(|(name, one)| (name.clone(), one.clone())).collect(),
            tables: tables.map(|(path, one)| (path.clone(), one.clone())).collect(),
            version: self.version,
        }
    }

    /// Puts a relation in the place of the one named `name`, or takes that one out.
    pub(crate) fn put(
        &mut self,
        published: &Published,
        name: &str,
        relation: Option<AnalyticsRelation>,
    ) {
        self.version = next_version();
        let before =
            || Touched { before: published.state.analytics.get(name).cloned(), after: None };
        self.relations.entry(name.to_owned()).or_insert_with(before).after = relation;
    }

    /// Adds a table that no document names yet.
    pub(crate) fn add_table(&mut self, table: Table, fresh: Arc<Fresh>, adds: Vec<FileEntry>) {
        self.version = next_version();
        let base = table.snapshot();
        let staged = StagedTable { fresh: Some(fresh), base, adds, removes: vec![], table };
        self.tables.insert(staged.table.path().to_owned(), staged);
    }

    /// Adds files to a table and takes others out, which its rows were read from as `read` has them.
    pub(crate) fn change_table(
        &mut self,
        table: &Table,
        read: &Arc<TableSnapshot>,
        adds: Vec<FileEntry>,
        removes: &[FileEntry],
    ) {
        self.version = next_version();
        let staged = self.tables.entry(table.path().to_owned()).or_insert_with(|| StagedTable {
            table: table.clone(),
            fresh: None,
            base: Arc::clone(read),
            adds: vec![],
            removes: vec![],
        });
        if staged.removes.is_empty() && staged.fresh.is_none() {
            staged.base = Arc::clone(read);
        }
        let gone: HashSet<&str> = removes.iter().map(|file| &*file.path).collect();
        let own: HashSet<Arc<str>> = staged.adds.iter().map(|file| file.path.clone()).collect();
        staged.adds.retain(|file| !gone.contains(&*file.path));
        staged.removes.extend(removes.iter().filter(|file| !own.contains(&file.path)).cloned());
        staged.adds.extend(adds);
    }

    /// Returns the table at `path` for a change of its rows, as it is published; tables that are published are opened by
    /// the catalog.
    pub(crate) fn fresh_table(&self, path: &str) -> Option<Table> {
        let staged = self.tables.get(path)?;
        staged.fresh.as_ref().map(|_| staged.table.clone())
    }

    /// Returns what a session sees with these changes over what is published.
    pub(crate) fn over(&self, published: &Published) -> Published {
        let mut state = published.state.clone();
        self.make_in(&mut state);
        let mut changed = Vec::new();
        for (path, staged) in &self.tables {
            let below = match published.table(path) {
                // Whoever took files out goes on from what was read then.
                Some(newest) if staged.removes.is_empty() => newest,
                _ => Arc::clone(&staged.base),
            };
            let gone: HashSet<&str> = staged.removes.iter().map(|file| &*file.path).collect();
            let kept = below.files.iter().filter(|file| !gone.contains(&*file.path)).cloned();
            let files = kept.chain(staged.adds.iter().cloned()).collect();
            let snapshot = Arc::new(below.with_files(files));
            state.tables.insert(path.clone(), TableState { version: snapshot.version });
            changed.push((staged.table.clone(), snapshot));
        }
        published.with_changes(state, changed)
    }

    fn make_in(&self, state: &mut CatalogState) {
        for (name, touched) in &self.relations {
            match &touched.after {
                Some(relation) => drop(state.analytics.insert(name.clone(), relation.clone())),
                None => drop(state.analytics.remove(name)),
            }
        }
    }

    /// Fails if somebody else has changed a relation that these changes are of.
    pub(crate) fn check(&self, published: &Published) -> Result<()> {
        let other = self.relations.iter().find(|(name, touched)| {
            published.state.analytics.get(name.as_str()) != touched.before.as_ref()
        });
        match other {
            None => Ok(()),
            Some((name, Touched { before: None, .. })) => Err(exists(name)),
            Some((name, _)) => Err(overtaken(name)),
        }
    }

    /// Makes the changes in `state`, which [`Staged::check`] was asked about, and returns the paths of the tables that go.
    pub(crate) fn apply(&self, state: &mut CatalogState, made: u64) -> Result<()> {
        self.make_in(state);
        state.analytics_made = state.analytics_made.max(made);
        state.check_views()
    }

    /// Returns the paths of published tables that no relation names any more.
    pub(crate) fn dropped(&self) -> Vec<String> {
        let paths = |after: bool| {
            let relation = move |touched: &Touched| match after {
                true => touched.after.clone(),
                false => touched.before.clone(),
            };
            let relations = self.relations.values().filter_map(relation);
            relations.filter_map(|one| one.table().map(|table| table.path.clone()))
        };
        let named: HashSet<String> = paths(true).collect();
        paths(false).filter(|path| !named.contains(path)).collect()
    }

    /// Returns the tables to commit to, each with its commit; those that are dropped again are left out.
    pub(crate) fn commits(&self) -> Vec<(Table, bool, Commit)> {
        let dropped = self.dropped();
        let named = |path: &String| {
            self.relations
                .values()
                .filter_map(|touched| touched.after.as_ref())
                .any(|relation| relation.table().is_some_and(|table| table.path == *path))
        };
        let stays = |(path, staged): &(&String, &StagedTable)| match staged.fresh {
            Some(_) => named(path),
            None => !dropped.contains(path),
        };
        let tables = self.tables.iter().filter(stays);
        let commit = |(_, staged): (&String, &StagedTable)| {
            let (adds, removes) = (staged.adds.clone(), staged.removes.clone());
            let commit = match removes.is_empty() {
                true => Commit::append(adds),
                false => Commit::rewrite(Arc::clone(&staged.base), adds, removes),
            };
            (staged.table.clone(), staged.fresh.is_some(), commit)
        };
        tables.map(commit).collect()
    }

    /// Notes that the tables of these changes are in a document now: they stay.
    pub(crate) fn keep(&self, paths: &HashSet<String>) {
        let kept = self.tables.iter().filter(|(path, _)| paths.contains(*path));
        kept.filter_map(|(_, staged)| staged.fresh.as_ref())
            .for_each(|fresh| fresh.kept.store(true, Ordering::SeqCst));
    }
}

/// Returns a number that no other change of the process has.
fn next_version() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// The answer to a relation that is there already.
pub(crate) fn exists(name: &str) -> Error {
    Error::Standard {
        sqlstate: "42P07",
        message: format!("relation \"{}\" already exists", placed(name).1),
        hint: format!("Use another name, or DROP TABLE or DROP VIEW {} first.", qualified(name)),
    }
}

/// The answer to a change of what somebody else has changed meanwhile.
pub(crate) fn overtaken(name: &str) -> Error {
    Error::Standard {
        sqlstate: "40001",
        message: format!("could not commit: \"{name}\" was changed by another session meanwhile"),
        hint: "Nothing was changed. Run the transaction again.".into(),
    }
}
