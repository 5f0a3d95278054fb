//! What a session has changed in the schemas of analysts and not committed: it sees that, and nobody else does.
//!
//! Files are written when a statement runs, and named by no log until the commit. So a change that is taken back, or whose
//! session ends, never was, and a savepoint is a copy of a short list.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::asked::{Asked, are_there};
use super::deferred::Deferrals;
use super::follow::Owed;
use super::found::Found;
use super::numbers::Numbering;
use crate::catalog::{
    AnalyticsRelation, AnalyticsSchema, CatalogState, ForeignKey, Published, TEMPORARY, TableState,
    placed, qualified,
};
use crate::error::{Error, Result};
use crate::lake::{Commit, FileEntry, Table, TableSnapshot};

/// Changes of tables and views that are not committed. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Staged {
    /// Schemas that were made or dropped, by name.
    schemas: BTreeMap<String, Touched<AnalyticsSchema>>,
    /// Relations that were made, replaced, renamed, commented on or dropped, by name.
    relations: BTreeMap<String, Touched<AnalyticsRelation>>,
    /// Tables whose rows are others, by path.
    tables: BTreeMap<String, StagedTable>,
    /// The versions of published tables whose rows were copied to others that take their places, or had their keys held
    /// against those of new rows, by path.
    copied: BTreeMap<String, u64>,
    /// The numbers that are keys and were given to rows, by the path of their table and their column.
    numbered: BTreeMap<(String, String), Numbering>,
    /// What the published tables whose rows are others asked of them when that began, by path.
    changed: BTreeMap<String, Asked>,
    /// The files of published tables in which foreign keys found what they refer to, by path.
    leant_on: BTreeMap<String, HashSet<Arc<str>>>,
    /// What foreign keys are to be asked about before the end.
    owed: Vec<Owed>,
    /// Which of them wait for it.
    deferrals: Deferrals,
    /// What was found of views and of what they read.
    pub(super) found: Found,
    /// What the end of a transaction makes of temporary tables, by name.
    pub(super) endings: BTreeMap<String, Ending>,
    /// Another number after each change; 0 for none. A plan is good for one number.
    pub(crate) version: u64,
}

/// What the end of a transaction makes of a temporary table: `ON COMMIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is gone.
    Drop,
    /// It is empty.
    DeleteRows,
}

/// A schema or a relation before and after.
#[derive(Debug, Clone)]
struct Touched<T> {
    before: Option<T>,
    after: Option<T>,
}

impl<T: Clone + PartialEq> Touched<T> {
    /// Puts `after` in the place of what is kept under `name`, or takes that out.
    fn put(
        touched: &mut BTreeMap<String, Self>,
        published: &BTreeMap<String, T>,
        name: &str,
        after: Option<T>,
    ) {
        let before = || Self { before: published.get(name).cloned(), after: None };
        touched.entry(name.to_owned()).or_insert_with(before).after = after;
    }

    /// Returns one that somebody else has changed.
    fn overtaken<'a>(
        touched: &'a BTreeMap<String, Self>,
        published: &BTreeMap<String, T>,
    ) -> Option<(&'a String, &'a Self)> {
        touched.iter().find(|(name, one)| published.get(name.as_str()) != one.before.as_ref())
    }

    fn make_in(touched: &BTreeMap<String, Self>, state: &mut BTreeMap<String, T>) {
        for (name, one) in touched {
            match &one.after {
                Some(after) => drop(state.insert(name.clone(), after.clone())),
                None => drop(state.remove(name)),
            }
        }
    }
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
        self.schemas.is_empty() && self.relations.is_empty() && self.tables.is_empty()
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
        let mut part = Self {
            relations: relations.map(|(name, one)| (name.clone(), one.clone())).collect(),
            tables: tables.map(|(path, one)| (path.clone(), one.clone())).collect(),
            version: self.version,
            ..Self::default()
        };
        if temporary {
            part.endings = self.endings.clone();
        } else {
            let made = self.schemas.iter();
            let made = made.filter(|(_, one)| one.before.is_some() || one.after.is_some());
            part.schemas = made.map(|(name, one)| (name.clone(), one.clone())).collect();
            part.copied = self.copied.clone();
            part.numbered = self.numbered.clone();
            part.changed = self.changed.clone();
            part.leant_on = self.leant_on.clone();
            part.found = self.found.clone();
        }
        part
    }

    /// Makes a schema, or takes it out.
    pub(crate) fn put_schema(
        &mut self,
        published: &Published,
        name: &str,
        schema: Option<AnalyticsSchema>,
    ) {
        self.version = next_version();
        Touched::put(&mut self.schemas, &published.state.schemas, name, schema);
    }

    /// Puts a relation in the place of the one named `name`, or takes that one out.
    pub(crate) fn put(
        &mut self,
        published: &Published,
        name: &str,
        relation: Option<AnalyticsRelation>,
    ) {
        self.version = next_version();
        if relation.is_none() {
            self.endings.remove(name);
        }
        Touched::put(&mut self.relations, &published.state.analytics, name, relation);
    }

    /// Notes what the end of a transaction makes of the temporary table that is kept under `name`.
    pub(super) fn end_with(&mut self, name: &str, ending: Ending) {
        self.endings.insert(name.to_owned(), ending);
    }

    /// Returns temporary tables as the end of a transaction leaves them.
    pub(super) fn ended(mut self) -> Self {
        if self.endings.is_empty() {
            return self;
        }
        self.version = next_version();
        for (name, ending) in std::mem::take(&mut self.endings) {
            let table = self.relations.get(&name).and_then(|one| one.after.as_ref()?.table());
            let path = table.map(|table| table.path.clone()).unwrap_or_default();
            match ending {
                Ending::Drop => {
                    let goes_with = |one: &AnalyticsRelation| {
                        let owner = one.sequence().and_then(|sequence| sequence.owned_by.as_ref());
                        owner.is_some_and(|owner| owner.table == name)
                    };
                    self.relations.remove(&name);
                    self.relations.retain(|_, one| !one.after.as_ref().is_some_and(goes_with));
                    self.tables.remove(&path);
                }
                Ending::DeleteRows => {
                    if let Some(staged) = self.tables.get_mut(&path) {
                        staged.adds.clear();
                    }
                    self.endings.insert(name, ending);
                }
            }
        }
        self
    }

    /// Notes that the rows of the table at `path` were copied as `published` has them, to another that takes its place, or
    /// that keys were held against theirs.
    pub(crate) fn copied(&mut self, published: &Published, path: &str) {
        if let Some(table) = published.state.tables.get(path) {
            self.copied.entry(path.to_owned()).or_insert(table.version);
        }
    }

    /// Notes that rows of the table at `path` are others, by the rules that `published` has for them.
    pub(super) fn changed(&mut self, published: &Published, path: &str) {
        if !self.changed.contains_key(path)
            && let Some(asked) = Asked::at(&published.state, path)
        {
            self.changed.insert(path.to_owned(), asked);
        }
    }

    /// Notes in which files of the table at `path`, of those that are published, foreign keys found what they refer to.
    pub(super) fn leans_on(
        &mut self,
        published: &Published,
        path: &str,
        found: &HashSet<Arc<str>>,
    ) {
        let Some(table) = published.table(path) else { return };
        let files = table.files.iter().map(|file| &file.path).filter(|file| found.contains(*file));
        self.leant_on.entry(path.to_owned()).or_default().extend(files.cloned());
    }

    /// Notes what a foreign key is to be asked about before the end.
    pub(super) fn owe(&mut self, owed: Owed) {
        self.owed.push(owed);
    }

    /// Notes that these foreign keys, by table and name, wait for the end or do not; `None` stands for all.
    pub(super) fn set_deferred(&mut self, named: Option<&[(String, String)]>, deferred: bool) {
        // The end of the transaction forgets it, as it does changes.
        self.version = next_version();
        match named {
            None => self.deferrals.set_all(deferred),
            Some(named) => {
                named.iter().for_each(|(table, key)| self.deferrals.set(table, key, deferred));
            }
        }
    }

    /// Tells whether a foreign key of this table waits for the end.
    pub(super) fn is_deferred(&self, table: &str, key: &ForeignKey) -> bool {
        self.deferrals.is_deferred(table, key)
    }

    /// Takes what was noted for the end of a statement, or all if the transaction ends.
    pub(super) fn take_owed(&mut self, at_commit: bool) -> Vec<Owed> {
        let all = std::mem::take(&mut self.owed);
        let (now, later) = all.into_iter().partition(|owed| at_commit || !owed.at_commit);
        self.owed = later;
        now
    }

    /// Tells whether something was noted of a foreign key of this table.
    pub(super) fn owes(&self, name: &str) -> bool {
        self.owed.iter().any(|owed| owed.child == name)
    }

    /// Notes that new rows brought numbers of a sequence.
    pub(super) fn passed(&mut self, numbering: &Numbering) {
        self.numbered.values_mut().for_each(|given| given.follow(numbering));
    }

    /// Notes that new rows of the table at `path` were given keys.
    pub(super) fn gave_keys(&mut self, path: &str, column: &str, numbering: &Numbering) {
        let key = (path.to_owned(), column.to_owned());
        self.numbered.entry(key).or_insert_with(|| numbering.clone());
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
        Touched::make_in(&self.schemas, &mut state.schemas);
        Touched::make_in(&self.relations, &mut state.analytics);
    }

    /// Fails if somebody else has changed a schema or a relation that these changes are of, or rows that were copied.
    pub(crate) fn check(&self, published: &Published) -> Result<()> {
        let state = &published.state;
        match Touched::overtaken(&self.schemas, &state.schemas) {
            None => {}
            Some((name, Touched { before: None, .. })) => return Err(schema_exists(name)),
            Some((name, _)) => return Err(overtaken(name)),
        }
        let copied = self.copied.iter().find(|(path, version)| {
            state.tables.get(path.as_str()).map(|table| table.version) != Some(**version)
        });
        let mut numbered = self.numbered.iter();
        let numbered = numbered
            .find(|(_, numbering)| numbering.is_overtaken() || numbering.is_replaced(state));
        let numbered = numbered.map(|((path, _), _)| path);
        let changed = self
            .changed
            .iter()
            .find(|(path, then)| then.is_less_than(state, path))
            .map(|(path, _)| path);
        let mut leant_on = self.leant_on.iter();
        let leant_on = leant_on.find(|(path, files)| !are_there(published, path, files));
        let leant_on = leant_on.map(|(path, _)| path);
        let (copied, found) = (copied.map(|(path, _)| path), self.found.overtaken(state));
        if let Some(path) = copied.or(numbered).or(changed).or(leant_on).or(found) {
            return Err(overtaken(path));
        }
        match Touched::overtaken(&self.relations, &state.analytics) {
            None => Ok(()),
            Some((name, Touched { before: None, .. })) => Err(exists(name)),
            Some((name, _)) => Err(overtaken(name)),
        }
    }

    /// Makes the changes in `state`, which [`Staged::check`] was asked about, and returns the paths of the tables that go.
    pub(crate) fn apply(&self, state: &mut CatalogState, made: u64) -> Result<()> {
        self.make_in(state);
        state.analytics_made = state.analytics_made.max(made);
        state.check_schemas()?;
        state.check_foreign_keys()?;
        state.check_views()
    }

    /// Returns the paths of published tables that no relation names any more.
    pub(crate) fn dropped(&self) -> Vec<String> {
        let paths = |after: bool| {
            let relation = move |touched: &Touched<AnalyticsRelation>| match after {
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

/// The answer to a schema that is there already.
pub(crate) fn schema_exists(name: &str) -> Error {
    Error::Standard {
        sqlstate: "42P06",
        message: format!("schema \"{name}\" already exists"),
        hint: "CREATE SCHEMA IF NOT EXISTS passes over it.".into(),
    }
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
