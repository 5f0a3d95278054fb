//! Going back: a table holds again what it held at an older version, by a commit that undoes what came since.
//!
//! This is how a commit is taken back that was made and never published: before a crash, a failure or a cancel.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;

use super::commit::Commit;
use super::file::FileEntry;
use super::store::unavailable;
use super::table::{Table, TableSnapshot};
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

    /// Makes the table hold the files again that it held at `version`. Columns that were added since stay.
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
        let commit = Commit::rewrite(current, adds, removes);
        self.commit(commit.with_message(format!("roll back to {version}"))).await
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
