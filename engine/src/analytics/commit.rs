//! Making and committing tables of the schema `analytics`: one document makes all of a transaction's changes visible.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::path::Path;
use parking_lot::Mutex;

use super::numbers::Numbers;
use super::staged::{Fresh, Staged, overtaken};
use crate::catalog::{ANALYTICS, Change};
use crate::engine::{Engine, Shown};
use crate::error::{Error, Result};
use crate::lake::{Table, TableSchema};

/// What the process keeps of changes that sessions have not committed.
#[derive(Debug, Default)]
pub(crate) struct Analytics {
    /// Held from reading what is published until a change of it is published.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    /// The numbers of rows.
    pub(crate) numbers: Numbers,
    /// The greatest number that a table was given here.
    made: AtomicU64,
    /// The paths of tables that were made and did not get into a document: their files go with the next commit.
    abandoned: Arc<Mutex<Vec<String>>>,
}

impl Engine {
    /// Makes a table that no document names: it is gone unless a commit keeps it.
    pub(crate) async fn fresh_table(&self, schema: TableSchema) -> Result<(Table, Arc<Fresh>)> {
        self.catalog().require_writable()?;
        self.catalog().check_lease().await?;
        let analytics = self.analytics();
        analytics.made.fetch_max(self.live().published.state.analytics_made, Ordering::SeqCst);
        let number = analytics.made.fetch_add(1, Ordering::SeqCst) + 1;
        let path = format!("{ANALYTICS}/{number}");
        let fresh = Arc::new(Fresh::new(path.clone(), Arc::clone(&analytics.abandoned)));
        let lake = self.catalog().lake().clone();
        let make = async move { lake.create_table(&path, schema).await };
        Ok((self.catalog().lake().complete(make).await?, fresh))
    }

    /// Makes what is staged visible, all of it or nothing; a caller that is dropped does not stop it.
    pub(crate) async fn commit_staged(&self, staged: Staged) -> Result<()> {
        let engine = self.clone();
        let commit = async move { engine.commit_in_turn(staged).await };
        self.catalog().lake().complete(commit).await
    }

    async fn commit_in_turn(&self, staged: Staged) -> Result<()> {
        self.catalog().require_writable()?;
        let _turn = self.analyzing().await?;
        self.delete_abandoned().await;
        let published = self.catalog().current();
        staged.check(&published)?;
        let made = self.analytics().made.load(Ordering::SeqCst);
        staged.apply(&mut published.state.clone(), made)?;
        let mut change = Change::default();
        let mut paths = HashSet::new();
        for (table, fresh, commit) in staged.commits() {
            if !fresh && self.catalog().existing(table.path()).await?.is_none() {
                return Err(overtaken(table.path()));
            }
            let path = table.path().to_owned();
            let snapshot = table.commit(commit).await.map_err(|error| match error {
                Error::Conflict { .. } => overtaken(&path),
                other => other,
            })?;
            change.table(&table, snapshot);
            paths.insert(path);
        }
        staged.dropped().into_iter().for_each(|path| change.drop_table(path));
        let applied = staged.clone();
        change.edit(move |state| applied.apply(state, made));
        self.publish(change, Shown::AsBefore).await?;
        staged.keep(&paths);
        Ok(())
    }

    /// Deletes the files of tables that did not get into a document.
    pub(crate) async fn delete_abandoned(&self) {
        let paths = std::mem::take(&mut *self.analytics().abandoned.lock());
        for path in paths {
            if let Err(error) = self.catalog().lake().delete_table(&path).await {
                let error = error.without_values();
                tracing::warn!(
                    error,
                    "the files of a table that was not kept could not be deleted"
                );
                self.analytics().abandoned.lock().push(path);
                return;
            }
        }
    }

    /// Finds the tables that a process left behind which ended before it committed them: their files go.
    pub(crate) async fn find_abandoned(&self) -> Result<()> {
        if self.catalog().require_writable().is_err() {
            return Ok(());
        }
        let store = self.catalog().lake().store();
        let listed = store.list_with_delimiter(Some(&Path::from(ANALYTICS))).await;
        let listed = listed.map_err(|source| Error::Unavailable {
            message: "the tables of the lake cannot be listed".into(),
            source: Some(Box::new(source)),
        })?;
        let state = &self.live().published.state;
        let paths = listed.common_prefixes.into_iter().map(|path| path.to_string());
        let unknown = paths
            .filter(|path| !state.tables.contains_key(path) && !state.dropped.contains_key(path));
        self.analytics().abandoned.lock().extend(unknown);
        self.delete_abandoned().await;
        Ok(())
    }
}
