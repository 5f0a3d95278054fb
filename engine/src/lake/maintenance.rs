//! Upkeep of a table: checkpoints, log clean-up, deletion of files that nobody needs, and the merging of small files.
//!
//! Nothing runs by itself: the engine calls [`Table::compact`] and [`Table::upkeep`] from time to time, and publishes what
//! the first makes before it calls the second. An erasure calls the single
//! steps with no history to keep: commit the rewrite, [`Table::vacuum`], [`Table::checkpoint`], [`Table::clean_log`].
//!
//! A process that held the lake and may not be sure any more that it does deletes nothing.
//!
//! Invariant: a file is deleted only when no snapshot, scan or writer of this process holds it, and when it has been
//! unreferenced for longer than the history, for the sake of readers in other processes.

use std::sync::Arc;
use std::time::Duration;

use deltalake_core::DeltaTable;
use deltalake_core::checkpoints::{cleanup_expired_logs_for, create_checkpoint};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use super::log::{self, LOG_FOLDER};
use super::store::unavailable;
use super::table::{Table, TableSnapshot};
use crate::{Error, Result};

/// After how many commits a checkpoint is written.
const CHECKPOINT_EVERY: u64 = 64;
/// For how long old versions can be read and rolled back to.
pub const HISTORY: Duration = Duration::from_secs(24 * 60 * 60);
/// How often unreferenced files are looked for.
const VACUUM_EVERY_MS: i64 = 60 * 60 * 1000;
/// How many commits are read at a time.
const READS: usize = 16;
/// By how much the clock of the store may be ahead.
const STORE_CLOCK_AHEAD_MS: i64 = 60 * 60 * 1000;

/// What maintenance did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The version a checkpoint was written for.
    pub checkpoint: Option<u64>,
    /// How many old entries of the log were deleted.
    pub log_entries_deleted: usize,
    /// How many unreferenced files were deleted.
    pub files_deleted: usize,
}

/// What upkeep remembers from one time to the next.
#[derive(Debug)]
pub(super) struct UpkeepState {
    /// The version at which this process opened the table.
    opened_version: u64,
    /// The newest checkpoint, once it was looked up.
    checkpoint: Option<u64>,
    /// Whether the removals before `opened_version` were read.
    removals_read: bool,
    vacuumed_ms: Option<i64>,
}

impl UpkeepState {
    pub(super) fn opened(snapshot: &TableSnapshot) -> Self {
        Self {
            opened_version: snapshot.version,
            checkpoint: None,
            removals_read: false,
            vacuumed_ms: None,
        }
    }
}

impl Table {
    /// Does what is due besides merging files: writes a checkpoint and cleans up the log below it, deletes unreferenced
    /// files. Changes no version. The newest version is a published one.
    pub async fn upkeep(&self) -> Result<Report> {
        let mut state = self.0.upkeep.lock().await;
        self.upkeep_in_turn(&mut state).await
    }

    /// Does the part of [`Table::upkeep`] that the log needs: writes a checkpoint and cleans up the log below it, if that is
    /// due.
    pub async fn shorten_log(&self) -> Result<Report> {
        let mut state = self.0.upkeep.lock().await;
        self.shorten_log_in_turn(&mut state).await
    }

    async fn shorten_log_in_turn(&self, state: &mut UpkeepState) -> Result<Report> {
        let mut report = Report::default();
        let version = self.snapshot().version;
        let checkpoint = match state.checkpoint {
            Some(checkpoint) => checkpoint,
            None => *state.checkpoint.insert(self.newest_checkpoint().await?),
        };
        if version >= checkpoint + CHECKPOINT_EVERY {
            report.checkpoint = Some(self.checkpoint_in_turn(state).await?);
            report.log_entries_deleted = self.clean_log_in_turn(HISTORY).await?;
        }
        Ok(report)
    }

    async fn upkeep_in_turn(&self, state: &mut UpkeepState) -> Result<Report> {
        let mut report = self.shorten_log_in_turn(state).await?;
        let now_ms = self.0.clock.now_us() / 1000;
        // A process that is started to refresh and ends looks once.
        if state.vacuumed_ms.is_none_or(|at| now_ms - at >= VACUUM_EVERY_MS) {
            report.files_deleted = self.vacuum_in_turn(state, HISTORY).await?;
        }
        Ok(report)
    }

    /// Merges small files, if there are too many, and returns the newest snapshot.
    pub async fn compact(&self) -> Result<Arc<TableSnapshot>> {
        let _turn = self.0.upkeep.lock().await;
        self.compact_in_turn().await
    }

    /// Writes a checkpoint of the newest version, from which the table opens without reading the log before it.
    pub async fn checkpoint(&self) -> Result<u64> {
        let mut state = self.0.upkeep.lock().await;
        self.checkpoint_in_turn(&mut state).await
    }

    /// Deletes the entries of the log below the newest checkpoint that are older than `older_than`.
    pub async fn clean_log(&self, older_than: Duration) -> Result<usize> {
        let _turn = self.0.upkeep.lock().await;
        self.clean_log_in_turn(older_than).await
    }

    /// Deletes the files that no current version has had for `older_than`, and those that were never committed.
    pub async fn vacuum(&self, older_than: Duration) -> Result<usize> {
        let mut state = self.0.upkeep.lock().await;
        self.vacuum_in_turn(&mut state, older_than).await
    }

    async fn checkpoint_in_turn(&self, state: &mut UpkeepState) -> Result<u64> {
        let log = log::log_store(&self.0.store, &self.0.path);
        let runtime = tokio::runtime::Handle::current();
        let newest = self.settled().await?.version;
        // The checkpoint writer blocks its thread while it waits for the store.
        let written = tokio::task::spawn_blocking(move || {
            runtime.block_on(async move {
                let mut table = DeltaTable::new(log);
                table.load_version(newest).await?;
                create_checkpoint(&table, None).await?;
                Ok::<_, deltalake_core::DeltaTableError>(table.version().unwrap_or_default())
            })
        })
        .await;
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Unavailable {
            message: format!("a checkpoint of table \"{}\" could not be written", self.0.path),
            source: Some(source),
        };
        let version =
            written.map_err(|error| failed(error.into()))?.map_err(|error| failed(error.into()))?;
        state.checkpoint = Some(version);
        Ok(version)
    }

    async fn clean_log_in_turn(&self, older_than: Duration) -> Result<usize> {
        self.check_held()?;
        let log = log::log_store(&self.0.store, &self.0.path);
        let cutoff_ms = self.cutoff_ms(older_than);
        let deleted =
            cleanup_expired_logs_for(self.snapshot().version, &*log, cutoff_ms, None).await;
        deleted.map_err(|source| Error::Unavailable {
            message: format!("the log of table \"{}\" could not be cleaned up", self.0.path),
            source: Some(Box::new(source)),
        })
    }

    async fn vacuum_in_turn(&self, state: &mut UpkeepState, older_than: Duration) -> Result<usize> {
        let cutoff_ms = self.cutoff_ms(older_than);
        let failed =
            |source| unavailable(format_args!("clean up table \"{}\"", self.0.path), source);
        let folder = Path::from(self.0.path.as_str());
        self.check_held()?;
        // Files that others have committed are no orphans.
        self.refresh().await?;
        // The files are listed before it is asked who holds which: a writer pins a file before it creates it.
        let objects: Vec<ObjectMeta> =
            self.0.store.list(Some(&folder)).try_collect().await.map_err(failed)?;
        if !older_than.is_zero() && !state.removals_read {
            self.read_removals(state.opened_version, cutoff_ms, &objects).await?;
            state.removals_read = true;
        }
        self.forget_recent();
        let doomed: Vec<Path> = {
            let removed_ms = self.0.removed_ms.lock();
            let unneeded = |object: &&ObjectMeta| {
                data_file(&folder, &object.location).is_some_and(|name| {
                    object.last_modified.timestamp_millis() <= cutoff_ms
                        && removed_ms.get(name).is_none_or(|at| *at <= cutoff_ms)
                        && !self.0.pins.holds(name)
                })
            };
            objects.iter().filter(unneeded).map(|object| object.location.clone()).collect()
        };
        let count = doomed.len();
        // Listing takes its time.
        self.check_held()?;
        let doomed = futures::stream::iter(doomed.into_iter().map(Ok)).boxed();
        self.0
            .store
            .delete_stream(doomed)
            .try_for_each(|_| async { Ok(()) })
            .await
            .map_err(failed)?;
        self.0.removed_ms.lock().retain(|_, at| *at > cutoff_ms);
        state.vacuumed_ms = Some(self.0.clock.now_us() / 1000);
        Ok(count)
    }

    /// Reads from the log which files were removed after `cutoff_ms`, before this process opened the table.
    async fn read_removals(
        &self,
        opened_version: u64,
        cutoff_ms: i64,
        objects: &[ObjectMeta],
    ) -> Result<()> {
        let recent =
            objects.iter().filter(|object| object.last_modified.timestamp_millis() >= cutoff_ms);
        let versions: Vec<u64> = recent
            .filter_map(|object| log_version(object, ".json"))
            .filter(|version| *version <= opened_version)
            .collect();
        let reads = futures::stream::iter(versions)
            .map(|version| log::read(&*self.0.store, &self.0.path, version))
            .buffer_unordered(READS);
        let entries: Vec<_> = reads.try_collect().await?;
        let mut removed_ms = self.0.removed_ms.lock();
        for remove in entries.into_iter().flatten().flat_map(|entry| entry.removes) {
            let at_ms = remove.deletion_timestamp.unwrap_or(i64::MAX);
            let known = removed_ms.entry(Arc::from(remove.path)).or_insert(at_ms);
            *known = at_ms.max(*known);
        }
        Ok(())
    }

    async fn newest_checkpoint(&self) -> Result<u64> {
        let folder = Path::from(format!("{}/{LOG_FOLDER}", self.0.path));
        let objects: Vec<ObjectMeta> =
            self.0.store.list(Some(&folder)).try_collect().await.map_err(|source| {
                unavailable(format_args!("list the log of table \"{}\"", self.0.path), source)
            })?;
        Ok(objects
            .iter()
            .filter_map(|object| log_version(object, ".checkpoint.parquet"))
            .max()
            .unwrap_or(0))
    }

    /// Returns the time, in milliseconds, before which something must have happened to be older than `older_than`. With
    /// no history to keep, everything is old, whatever the clock of the store says.
    fn cutoff_ms(&self, older_than: Duration) -> i64 {
        let now_ms = self.0.clock.now_us() / 1000;
        match older_than.is_zero() {
            true => now_ms + STORE_CLOCK_AHEAD_MS,
            false => {
                now_ms.saturating_sub(i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX))
            }
        }
    }
}

/// Returns the name of a data file right in the table's folder.
fn data_file<'a>(folder: &Path, location: &'a Path) -> Option<&'a str> {
    let name = location.filename().filter(|name| name.ends_with(".parquet"))?;
    (location.as_ref().len() == folder.as_ref().len() + 1 + name.len()).then_some(name)
}

/// Returns the version of an entry of the log with this ending.
fn log_version(object: &ObjectMeta, ending: &str) -> Option<u64> {
    object.location.filename()?.strip_suffix(ending)?.parse().ok()
}
