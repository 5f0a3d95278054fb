//! Making and committing tables of the schema `analytics`: one document makes all of a transaction's changes visible.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::path::Path;
use parking_lot::Mutex;

use super::sequences::Sequences;
use super::staged::{Fresh, Staged, overtaken};
use crate::catalog::{ANALYTICS, Change};
use crate::engine::{Engine, Shown};
use crate::error::{Error, Result};
use crate::lake::{Lake, Table, TableSchema};
use crate::query::session::isolation::not_serializable;

/// What the process keeps of changes that sessions have not committed, and of numbers that are given whether they do.
#[derive(Debug)]
pub(crate) struct Analytics {
    /// Held from reading what is published until a change of it is published.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    /// The numbers that sequences give.
    pub(crate) sequences: Arc<Sequences>,
    /// The greatest number that a table or a sequence was given here.
    made: AtomicU64,
    /// The paths of tables that were made and did not get into a document: their files go with the next commit.
    abandoned: Arc<Mutex<Vec<String>>>,
}

impl Analytics {
    pub(crate) fn new(lake: Lake) -> Self {
        let sequences = Arc::new(Sequences::new(lake));
        let (turn, made, abandoned) = (Arc::default(), AtomicU64::new(0), Arc::default());
        Self { turn, sequences, made, abandoned }
    }
}

impl Engine {
    /// Returns a number that no table and no sequence has or had.
    pub(crate) fn fresh_number(&self) -> u64 {
        let analytics = self.analytics();
        analytics.made.fetch_max(self.live().published.state.analytics_made, Ordering::SeqCst);
        analytics.made.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Makes a table that no document names: it is gone unless a commit keeps it.
    pub(crate) async fn fresh_table(&self, schema: TableSchema) -> Result<(Table, Arc<Fresh>)> {
        self.catalog().require_writable()?;
        self.catalog().check_lease().await?;
        let path = format!("{ANALYTICS}/{}", self.fresh_number());
        let abandoned = Arc::clone(&self.analytics().abandoned);
        let fresh = Arc::new(Fresh::new(path.clone(), abandoned));
        let lake = self.catalog().lake().clone();
        let make = async move { lake.create_table(&path, schema).await };
        Ok((self.catalog().lake().complete(make).await?, fresh))
    }

    /// Makes what is staged visible, all of it or nothing; a caller that is dropped does not stop it. `over` is the number
    /// of the document that must be the newest, if one must be.
    pub(crate) async fn commit_staged(&self, staged: Staged, over: Option<u64>) -> Result<()> {
        let engine = self.clone();
        let commit = async move { engine.commit_in_turn(staged, over).await };
        self.catalog().lake().complete(commit).await
    }

    async fn commit_in_turn(&self, staged: Staged, over: Option<u64>) -> Result<()> {
        self.catalog().require_writable()?;
        let _turn = self.analyzing().await?;
        self.delete_abandoned().await;
        let published = self.catalog().current();
        if over.is_some_and(|over| over != published.state.sequence) {
            return Err(not_serializable());
        }
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
