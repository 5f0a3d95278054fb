//! Going back: a table holds again what it held at an older version, by a commit that undoes what came since.
//!
//! This is how a commit is taken back that was made and never published: before a crash, a failure or a cancel.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;

use super::commit::Commit;
use super::file::FileEntry;
use super::log;
use super::store::unavailable;
use super::table::{NOTHING_COMMITTED, Table, TableSnapshot};
use crate::{Error, Result};

/// How many files are looked up at a time.
const LOOKUPS: usize = 16;

impl Table {
    /// Takes back what was committed after `version`, which nobody has published, and returns the newest snapshot. Waits
    /// for a commit that goes on; costs nothing when there is nothing to take back.
    pub(crate) async fn take_back(&self, version: u64) -> Result<Arc<TableSnapshot>> {
        let ahead = self.settled().await?;
        if ahead.version == version {
            return Ok(ahead);
        }
        let restored = self.rollback_to(version).await?;
        if restored.version > ahead.version {
            tracing::warn!(table = self.path(), "a commit that was never published was taken back");
        }
        Ok(restored)
    }

    /// Makes the table hold the files again that it held at `version`, and lets applications commit again what they
    /// committed since. Columns that were added since stay.
    pub async fn rollback_to(&self, version: u64) -> Result<Arc<TableSnapshot>> {
        let _turn = self.0.upkeep.lock().await;
        let (target, current) = (self.snapshot_at(version).await?, self.snapshot());
        let paths = |snapshot: &TableSnapshot| -> HashSet<Arc<str>> {
            snapshot.files.iter().map(|file| file.path.clone()).collect()
        };
        let (wanted, present) = (paths(&target), paths(&current));
        let adds: Vec<_> =
            target.files.iter().filter(|file| !present.contains(&file.path)).cloned().collect();
        let removes =
            current.files.iter().filter(|file| !wanted.contains(&file.path)).cloned().collect();
        let look_up = |file: FileEntry| {
            let table = self.clone();
            async move { table.look_up(version, &file).await }
        };
        let lookups =
            futures::stream::iter(adds.clone().into_iter().map(look_up)).buffer_unordered(LOOKUPS);
        lookups.try_collect::<()>().await?;
        let mut commit = Commit::rewrite(current.clone(), adds, removes)
            .with_message(format!("roll back to {version}"));
        commit.restored_apps = self.apps_since(version, current.version).await?;
        self.commit(commit).await
    }

    /// Returns the applications that committed after version `from`, up to `to`, with what they had committed before.
    async fn apps_since(&self, from: u64, to: u64) -> Result<Vec<(String, i64)>> {
        let mut names = BTreeSet::new();
        for version in from + 1..=to {
            let entry = log::read(&*self.0.store, &self.0.path, version).await?;
            let entry = entry.ok_or_else(|| missing_version(&self.0.path, version))?;
            names.extend(entry.apps.into_iter().map(|(app, _)| app));
        }
        let mut apps = Vec::new();
        for app in names {
            let version = log::app_version(&self.0.store, &self.0.path, Some(from), &app).await?;
            apps.push((app, version.unwrap_or(NOTHING_COMMITTED)));
        }
        Ok(apps)
    }

    /// Fails when a file of an old version is gone.
    async fn look_up(&self, version: u64, file: &FileEntry) -> Result<()> {
        match self.0.store.head(&self.file_path(&file.path)).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::NotFound { .. }) => {
                Err(missing_version(&self.0.path, version))
            }
            Err(source) => Err(unavailable(
                format_args!("look up a file of table \"{}\"", self.0.path),
                source,
            )),
        }
    }
}

fn missing_version(path: &str, version: u64) -> Error {
    Error::Missing {
        kind: "table version",
        name: format!("{path}@{version}"),
        hint: "It is newer than the newest one, or it was cleaned up.".into(),
    }
}
