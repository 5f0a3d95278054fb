//! The upkeep of a lake: small files are merged, logs are checkpointed and cleaned up, and files that nobody needs go.
//!
//! Each table is looked after by itself, and what fails for one is done for the others. A table is brought back to its
//! published version first, and what merging makes of it is published before its log is touched: the log always reaches
//! back to the version that the newest catalog document names.

use std::time::Duration;

use tokio::time::Instant;

use crate::catalog::{ANALYTICS, Change};
use crate::engine::{Engine, Shown};
use crate::error::{Error, Result};
use crate::lake::HISTORY;
use crate::tables;

/// How often processes that end after their work look for files that nobody needs.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// How many times in a row small files of one table are merged.
const MERGES_MAX: usize = 16;

/// How far one round of upkeep goes.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// When no further table is begun with.
    until: Option<Instant>,
    /// Whether files that nobody needs are looked for.
    sweeps: bool,
}

impl Round {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

impl Engine {
    /// Does what is due for every table, for tables that are no more, and for the audit log. What fails is logged, and
    /// tried again the next time.
    pub async fn upkeep(&self) {
        self.look_after_all(Round { until: None, sweeps: true }).await;
    }

    /// Does the same as [`Engine::upkeep`] at the end of a process that lives for its work only: begins with no further
    /// table after `most`, those of the most files come first, and files that nobody needs are looked for once an hour.
    pub async fn upkeep_in_passing(&self, most: Duration) {
        let every = i64::try_from(SWEEP_EVERY.as_micros()).unwrap_or(i64::MAX);
        let swept_at = self.catalog().current().state.swept_at;
        let sweeps = swept_at.is_none_or(|at| self.now().saturating_sub(at) >= every);
        self.look_after_all(Round { until: Some(Instant::now() + most), sweeps }).await;
    }

    async fn look_after_all(&self, round: Round) {
        let _writing = match self.writing().await {
            Ok(writing) => writing,
            Err(error) => return failed("all of it", error),
        };
        // Whoever was replaced may not delete a file.
        if let Err(error) = self.catalog().check_lease().await {
            return failed("all of it", error);
        }
        self.delete_abandoned().await;
        for path in self.tables_by_files() {
            if round.is_over() {
                return;
            }
            if let Err(error) = self.look_after(&path, round).await {
                failed(&path, error);
            }
        }
        if !round.sweeps {
            return;
        }
        if let Err(error) = self.delete_dropped().await {
            failed("dropped tables", error);
        }
        if let Err(error) = self.audit().fold().await {
            failed("the audit log", error);
        }
        // A process that stays remembers it.
        if round.until.is_some()
            && let Err(error) = self.note_sweep().await
        {
            failed("its log", error);
        }
    }

    /// Returns the paths of all tables, those of the most files first.
    fn tables_by_files(&self) -> Vec<String> {
        let published = self.catalog().current();
        let count = |path: &String| published.table(path).map_or(0, |table| table.files.len());
        let mut paths: Vec<String> = published.state.tables.keys().cloned().collect();
        paths.sort_by_cached_key(|path| std::cmp::Reverse(count(path)));
        paths
    }

    async fn note_sweep(&self) -> Result<()> {
        let now = self.now();
        let mut change = Change::default();
        change.edit(move |state| {
            state.swept_at = Some(now);
            Ok(())
        });
        self.publish(change, Shown::AsBefore).await
    }

    async fn look_after(&self, path: &str, round: Round) -> Result<()> {
        // Who holds the lake for refreshes holds these two not yet.
        let _beside = match path {
            path if is_written_by_notes(path) => Some(self.noting().await?),
            path if is_written_by_answers(path) => Some(self.answering().await?),
            path if is_analytics(path) => Some(self.analyzing().await?),
            _ => None,
        };
        let Some(table) = self.catalog().existing(path).await? else { return Ok(()) };
        let mut newest = table.snapshot();
        for _ in 0..if merges_files(path) { MERGES_MAX } else { 0 } {
            let merged = table.compact().await?;
            let is_all = merged.version == newest.version;
            newest = merged;
            if is_all || round.is_over() {
                break;
            }
        }
        if newest.version != self.catalog().current().version(path) {
            let mut change = Change::default();
            change.table(&table, newest);
            self.publish(change, Shown::AsBefore).await?;
        }
        match round.sweeps {
            true => table.upkeep().await.map(drop),
            false => table.shorten_log().await.map(drop),
        }
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

fn failed(what: &str, error: Error) {
    tracing::warn!(what, error = error.without_values(), "the upkeep of the lake failed");
}

/// Tells whether small files of the table at `path` may be merged. The files of bucketed tables and of the ledger each
/// say what they cover: merged, they would not.
fn merges_files(path: &str) -> bool {
    path.starts_with("sources/")
        || is_analytics(path)
        || path.starts_with("cdp/")
        || path == tables::SUBJECTS.path
        || path == tables::SUBJECT_IDENTIFIERS.path
}

/// Tells whether the table at `path` is one that analysts make.
fn is_analytics(path: &str) -> bool {
    path.split_once('/').is_some_and(|(folder, _)| folder == ANALYTICS)
}

/// Tells whether the table at `path` is written as it is noted how a run went, beside which syncs note theirs.
fn is_written_by_notes(path: &str) -> bool {
    path == tables::REFRESHES.path || path == tables::IDENTITY_STAGES.path
}

/// Tells whether the table at `path` is written by who records answers or lets rows leave, and not only by refreshes.
fn is_written_by_answers(path: &str) -> bool {
    path == tables::CONSENT_LEDGER.path || path == tables::DISCLOSURES.path
}
