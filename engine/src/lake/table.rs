//! A table: its current snapshot, its committer, and the way from one to the next.
//!
//! The table is loaded once, when it is opened. From then on each commit, this process's own or another's, is applied to
//! the snapshot in memory: a commit costs one conditional write and a list of pointers, whatever the size of the table.
//! Reading the current snapshot takes no lock.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use arrow::datatypes::SchemaRef;
use deltalake_core::kernel::Metadata;
use object_store::ObjectStore;
use object_store::path::Path;
use parking_lot::Mutex;

use super::commit::Commit;
use super::file::{FileEntry, Pins};
use super::lease::Holding;
use super::log::{self, Entry};
use super::schema::TableSchema;
use super::works::Works;
use crate::clock::Clock;
use crate::{Error, Result};

/// How often a commit is planned anew after another writer was faster.
const COMMIT_ATTEMPTS_MAX: usize = 64;
/// How many of the last snapshots are kept for [`Table::snapshot_at`].
const RECENT_SNAPSHOTS: usize = 8;

/// One version of a table. It never changes, and its files are not deleted as long as it is held.
#[derive(Debug)]
pub struct TableSnapshot {
    /// The version in the Delta log.
    pub version: u64,
    /// The columns as they are stored and as scans yield them; [`super::logical`] gives what queries see.
    pub schema: SchemaRef,
    /// The columns again, with what is indexed and how rows are sorted.
    pub table_schema: Arc<TableSchema>,
    /// The files, oldest first.
    pub files: Arc<[FileEntry]>,
    /// The table's properties.
    pub properties: Arc<BTreeMap<String, String>>,
    pub(super) metadata: Arc<Metadata>,
}

impl TableSnapshot {
    /// Returns how many rows all files have together.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Returns this version with these of its files only: for reading what was added.
    pub fn with_files(&self, files: Vec<FileEntry>) -> Self {
        Self {
            version: self.version,
            schema: Arc::clone(&self.schema),
            table_schema: Arc::clone(&self.table_schema),
            files: files.into(),
            properties: Arc::clone(&self.properties),
            metadata: Arc::clone(&self.metadata),
        }
    }

    /// Returns the files by the least value of their first column with statistics, whatever the order in which the log
    /// lists them; files of equal ones by the greatest.
    pub fn files_in_order(&self) -> Vec<FileEntry> {
        let bounds = |file: &FileEntry| {
            let first = file.bounds.first();
            first.map(|bounds| (bounds.min.clone(), bounds.max.clone())).unwrap_or_default()
        };
        let mut files = self.files.to_vec();
        files
            .sort_by(|a, b| bounds(a).partial_cmp(&bounds(b)).unwrap_or(std::cmp::Ordering::Equal));
        files
    }

    /// Returns how many bytes all files have together.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    fn new(loaded: log::Loaded) -> Self {
        Self {
            version: loaded.version,
            schema: loaded.schema.fields.clone(),
            table_schema: Arc::new(loaded.schema),
            files: loaded.files.into(),
            properties: Arc::new(loaded.properties),
            metadata: Arc::new(loaded.metadata),
        }
    }

    /// Returns the next snapshot.
    pub(super) fn followed_by(
        &self,
        removes: &[FileEntry],
        adds: &[FileEntry],
        widened: Option<(Metadata, TableSchema)>,
    ) -> Self {
        let removed: HashSet<&str> = removes.iter().map(|file| &*file.path).collect();
        self.without(&removed, adds.iter().cloned(), widened)
    }

    fn without(
        &self,
        removed: &HashSet<&str>,
        adds: impl Iterator<Item = FileEntry>,
        widened: Option<(Metadata, TableSchema)>,
    ) -> Self {
        let kept = self
            .files
            .iter()
            .filter(|file| removed.is_empty() || !removed.contains(&*file.path))
            .cloned();
        let files = kept.chain(adds).collect();
        let mut next = Self {
            version: self.version + 1,
            schema: self.schema.clone(),
            table_schema: self.table_schema.clone(),
            files,
            properties: self.properties.clone(),
            metadata: self.metadata.clone(),
        };
        if let Some((metadata, schema)) = widened {
            next.schema = schema.fields.clone();
            next.table_schema = Arc::new(schema);
            next.properties = Arc::new(metadata.configuration().clone().into_iter().collect());
            next.metadata = Arc::new(metadata);
        }
        next
    }
}

/// A table of the lake. Cheap to clone; clones share one committer.
#[derive(Clone)]
pub struct Table(pub(super) Arc<Inner>);

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({}@{})", self.0.path, self.snapshot().version)
    }
}

pub(super) struct Inner {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) clock: Arc<dyn Clock>,
    holding: Arc<Holding>,
    works: Arc<Works>,
    pub(super) path: String,
    current: ArcSwap<TableSnapshot>,
    /// Held while a commit is made; waiters are served in order.
    committer: Arc<tokio::sync::Mutex<CommitterState>>,
    /// Held while files are deleted or brought back: maintenance and rollbacks take turns.
    pub(super) upkeep: tokio::sync::Mutex<super::maintenance::UpkeepState>,
    published: Mutex<Published>,
    pub(super) pins: Pins,
    /// When files were removed, in milliseconds, as far as this process has seen it.
    pub(super) removed_ms: Mutex<HashMap<Arc<str>, i64>>,
    /// Set when the table was deleted.
    retired: AtomicBool,
}

/// Whose commits were met in the log.
#[derive(Default)]
struct Met {
    /// The one that was looked for.
    own: bool,
    /// Any other.
    others: bool,
}

#[derive(Default)]
struct CommitterState {
    /// Set when it is not known whether the last commit is in the log.
    doubtful: bool,
}

/// Snapshots that can be had again without reading the log.
#[derive(Default)]
struct Published {
    recent: VecDeque<Arc<TableSnapshot>>,
    held: Vec<Weak<TableSnapshot>>,
}

impl Published {
    fn add(&mut self, snapshot: &Arc<TableSnapshot>) {
        self.held.retain(|held| held.strong_count() > 0);
        self.held.push(Arc::downgrade(snapshot));
        self.recent.push_back(snapshot.clone());
        if self.recent.len() > RECENT_SNAPSHOTS {
            self.recent.pop_front();
        }
    }

    fn find(&self, version: u64) -> Option<Arc<TableSnapshot>> {
        self.held.iter().filter_map(Weak::upgrade).find(|snapshot| snapshot.version == version)
    }
}

impl Table {
    pub(super) async fn open(lake: &super::Inner, path: &str) -> Result<Self> {
        let pins = Pins::default();
        let loaded = log::load(&lake.store, path, None, &pins).await?;
        let snapshot = Arc::new(TableSnapshot::new(loaded));
        let upkeep = super::maintenance::UpkeepState::opened(&snapshot);
        let inner = Inner {
            store: Arc::clone(&lake.store),
            clock: Arc::clone(&lake.clock),
            holding: Arc::clone(&lake.holding),
            works: Arc::clone(&lake.works),
            path: path.to_owned(),
            current: ArcSwap::new(snapshot.clone()),
            committer: Arc::default(),
            upkeep: tokio::sync::Mutex::new(upkeep),
            published: Mutex::default(),
            pins,
            removed_ms: Mutex::default(),
            retired: AtomicBool::new(false),
        };
        inner.published.lock().add(&snapshot);
        Ok(Self(Arc::new(inner)))
    }

    /// Returns the path in the lake.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Tells whether the table was made with this layout and no column was added since.
    pub(crate) fn has_layout(&self, schema: &TableSchema) -> bool {
        schema.stored().is_ok_and(|stored| stored == *self.snapshot().table_schema)
    }

    /// Returns the newest snapshot that this process knows. Never waits.
    pub fn snapshot(&self) -> Arc<TableSnapshot> {
        self.0.current.load_full()
    }

    /// Reads what other processes have committed, and returns the newest snapshot.
    pub async fn refresh(&self) -> Result<Arc<TableSnapshot>> {
        let _turn = self.0.committer.lock().await;
        self.check_alive()?;
        let known = self.snapshot().version;
        match log::versions_after(&*self.0.store, &self.0.path, known).await?.first() {
            None => {}
            Some(next) if *next == known + 1 => {
                self.catch_up(None).await?;
            }
            Some(_) => self.reload().await?,
        }
        Ok(self.snapshot())
    }

    /// Returns the snapshot of a version; of an old one, only as long as the log reaches back to it.
    pub async fn snapshot_at(&self, version: u64) -> Result<Arc<TableSnapshot>> {
        let current = match self.snapshot() {
            behind if behind.version < version => self.refresh().await?,
            current => current,
        };
        if current.version == version {
            return Ok(current);
        }
        let known = self.0.published.lock().find(version);
        if let Some(snapshot) = known {
            return Ok(snapshot);
        }
        let loaded = log::load(&self.0.store, &self.0.path, Some(version), &self.0.pins).await?;
        let snapshot = Arc::new(TableSnapshot::new(loaded));
        self.0.published.lock().held.push(Arc::downgrade(&snapshot));
        Ok(snapshot)
    }

    /// Returns the newest snapshot once no commit goes on any more and it is known how the last one ended.
    pub(super) async fn settled(&self) -> Result<Arc<TableSnapshot>> {
        let mut state = self.0.committer.lock().await;
        if state.doubtful {
            self.catch_up(None).await?;
            state.doubtful = false;
        }
        Ok(self.snapshot())
    }

    /// Makes a change visible and durable, all of it or nothing; a caller that is dropped does not stop it.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another commit came between that it may not follow: in a process that holds the lake any
    /// commit that is not its own. Also when the lake is no longer held.
    pub async fn commit(&self, commit: Commit) -> Result<Arc<TableSnapshot>> {
        if commit.is_empty() {
            return Ok(self.snapshot());
        }
        // Whoever has the turn keeps it until the commit has come to its end.
        let mut turn = Arc::clone(&self.0.committer).lock_owned().await;
        let table = self.clone();
        let work = async move { table.commit_in_turn(&mut turn, commit).await };
        self.0.works.complete(work).await
    }

    async fn commit_in_turn(
        &self,
        state: &mut CommitterState,
        commit: Commit,
    ) -> Result<Arc<TableSnapshot>> {
        let id = log::new_id();
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            self.check_alive()?;
            let current = self.snapshot();
            commit.check(&self.0.path, &current)?;
            let alone = self.0.holding.check()?;
            let now_us = self.0.clock.now_us();
            let plan = commit.plan(&self.0.path, &current, &id, now_us)?;
            let bytes = log::encode(&plan.actions);
            // Until the answer is there, and for ever if there is none, the log may have the commit.
            state.doubtful = true;
            let written =
                log::write(&*self.0.store, &self.0.path, plan.next.version, bytes).await?;
            if written {
                state.doubtful = false;
                self.note_removed(
                    commit.removes.iter().map(|file| (file.path.clone(), now_us / 1000)),
                );
                return Ok(self.publish(plan.next));
            }
            // Somebody was faster, unless it is our own write whose answer was lost.
            let met = self.catch_up(Some(&id)).await?;
            state.doubtful = false;
            if met.others && alone {
                return Err(self.intruded());
            }
            if met.own {
                return Ok(self.snapshot());
            }
        }
        Err(Error::Conflict {
            message: format!("table \"{}\" is committed to by others all the time", self.0.path),
            hint: "Try again.".into(),
        })
    }

    /// Returns the path of a data file in the lake.
    pub(super) fn file_path(&self, file: &str) -> Path {
        Path::from(format!("{}/{file}", self.0.path))
    }

    /// Refuses every further commit: the table is being deleted.
    pub(super) async fn retire(&self) {
        let _last = self.0.committer.lock().await;
        self.0.retired.store(true, Ordering::SeqCst);
    }

    /// Forgets the snapshots that nobody else holds, so that they pin no files.
    pub(super) fn forget_recent(&self) {
        self.0.published.lock().recent.clear();
        self.0.pins.tidy();
    }

    /// Fails if this process held the lake and may not be sure any more that nobody else does.
    pub(super) fn check_held(&self) -> Result<()> {
        self.0.holding.check().map(drop)
    }

    fn check_alive(&self) -> Result<()> {
        match self.0.retired.load(Ordering::SeqCst) {
            false => Ok(()),
            true => Err(Error::Missing {
                kind: "table",
                name: self.0.path.clone(),
                hint: "It was deleted.".into(),
            }),
        }
    }

    /// Applies all commits that follow the current snapshot, in the caller's turn, and tells the one with the id `own` from
    /// others.
    async fn catch_up(&self, own: Option<&str>) -> Result<Met> {
        let mut met = Met::default();
        loop {
            let version = self.snapshot().version + 1;
            let Some(entry) = log::read(&*self.0.store, &self.0.path, version).await? else {
                return Ok(met);
            };
            match own.is_some() && entry.id.as_deref() == own {
                true => met.own = true,
                false => met.others = true,
            }
            self.apply(entry)?;
        }
    }

    /// What a holder of the lake says when somebody else has committed: it may not build on rows that it does not know.
    /// They are taken back before the next change.
    fn intruded(&self) -> Error {
        Error::Conflict {
            message: format!("another process has committed to table \"{}\"", self.0.path),
            hint:
                "Nothing was changed. Make sure that one process writes to the lake, and try again."
                    .into(),
        }
    }

    /// Applies one commit of the log to the current snapshot.
    fn apply(&self, entry: Entry) -> Result<()> {
        let current = self.snapshot();
        let widened = match entry.metadata {
            None => None,
            Some(metadata) => {
                let (schema, _) = log::schema_of(&self.0.path, &metadata)?;
                Some((metadata, schema))
            }
        };
        let schema = widened.as_ref().map_or(&*current.table_schema, |(_, schema)| schema);
        let read = |add: deltalake_core::kernel::Add| {
            let stats = add.stats.as_deref();
            FileEntry::from_log(
                &add.path,
                add.size,
                add.modification_time,
                stats,
                schema,
                &self.0.pins,
            )
        };
        let adds = entry.adds.into_iter().map(read).collect::<Result<Vec<_>>>()?;
        let removed: HashSet<&str> = entry.removes.iter().map(|file| file.path.as_str()).collect();
        let next = current.without(&removed, adds.into_iter(), widened);
        let now_ms = self.0.clock.now_us() / 1000;
        let times = entry
            .removes
            .iter()
            .map(|file| (file.path.as_str().into(), file.deletion_timestamp.unwrap_or(now_ms)));
        self.note_removed(times);
        self.publish(next);
        Ok(())
    }

    /// Loads the table anew, after more of the log was cleaned up than this process has read.
    async fn reload(&self) -> Result<()> {
        let loaded = log::load(&self.0.store, &self.0.path, None, &self.0.pins).await?;
        self.publish(TableSnapshot::new(loaded));
        Ok(())
    }

    fn note_removed(&self, files: impl Iterator<Item = (Arc<str>, i64)>) {
        self.0.removed_ms.lock().extend(files);
    }

    fn publish(&self, next: TableSnapshot) -> Arc<TableSnapshot> {
        let next = Arc::new(next);
        self.0.published.lock().add(&next);
        self.0.current.store(next.clone());
        next
    }
}
