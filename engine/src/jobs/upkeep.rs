//! The upkeep of a lake: small files are merged, logs are checkpointed and cleaned up, and files that nobody needs go.
//!
//! Each table is looked after by itself, and what fails for one is done for the others. A table is brought back to its
//! published version first, and what merging makes of it is published before its log is touched: the log always reaches
//! back to the version that the newest catalog document names.

use crate::catalog::Change;
use crate::engine::{Engine, Shown};
use crate::error::{Error, Result};
use crate::lake::HISTORY;
use crate::tables;

impl Engine {
    /// Does what is due for every table, for tables that are no more, and for the audit log. What fails is logged, and
    /// tried again the next time.
    pub async fn upkeep(&self) {
        let failed = |what: &str, error: Error| {
            tracing::warn!(what, error = error.without_values(), "the upkeep of the lake failed");
        };
        let _writing = match self.writing().await {
            Ok(writing) => writing,
            Err(error) => return failed("all of it", error),
        };
        // Whoever was replaced may not delete a file.
        if let Err(error) = self.catalog().check_lease().await {
            return failed("all of it", error);
        }
        let paths: Vec<String> = self.catalog().current().state.tables.keys().cloned().collect();
        for path in paths {
            if let Err(error) = self.look_after(&path).await {
                failed(&path, error);
            }
        }
        if let Err(error) = self.delete_dropped().await {
            failed("dropped tables", error);
        }
        if let Err(error) = self.audit().fold().await {
            failed("the audit log", error);
        }
    }

    async fn look_after(&self, path: &str) -> Result<()> {
        // Who holds the lake for refreshes holds these two not yet.
        let _beside = match path {
            path if path == tables::REFRESHES.path => Some(self.noting().await?),
            path if is_written_by_answers(path) => Some(self.answering().await?),
            _ => None,
        };
        let Some(table) = self.catalog().existing(path).await? else { return Ok(()) };
        let newest = match merges_files(path) {
            true => table.compact().await?,
            false => table.snapshot(),
        };
        if newest.version != self.catalog().current().version(path) {
            let mut change = Change::default();
            change.table(&table, newest);
            self.publish(change, Shown::AsBefore).await?;
        }
        table.upkeep().await.map(drop)
    }

    /// Deletes tables that were dropped so long ago that nobody reads them any more.
    async fn delete_dropped(&self) -> Result<()> {
        let before =
            self.now().saturating_sub(i64::try_from(HISTORY.as_micros()).unwrap_or(i64::MAX));
        let dropped = self.catalog().current().state.dropped.clone();
        let old: Vec<String> =
            dropped.into_iter().filter(|(_, at)| *at < before).map(|(path, _)| path).collect();
        if old.is_empty() {
            return Ok(());
        }
        for path in &old {
            self.catalog().lake().delete_table(path).await?;
        }
        let mut change = Change::default();
        change.edit(move |state| {
            state.dropped.retain(|path, _| !old.contains(path));
            Ok(())
        });
        self.publish(change, Shown::AsBefore).await
    }
}

/// Tells whether small files of the table at `path` may be merged. The files of bucketed tables and of the ledger each
/// say what they cover: merged, they would not.
fn merges_files(path: &str) -> bool {
    path.starts_with("sources/")
        || path.starts_with("cdp/")
        || path == tables::SUBJECTS.path
        || path == tables::SUBJECT_IDENTIFIERS.path
}

/// Tells whether the table at `path` is written by who records answers or lets rows leave, and not only by refreshes.
fn is_written_by_answers(path: &str) -> bool {
    path == tables::CONSENT_LEDGER.path || path == tables::DISCLOSURES.path
}
