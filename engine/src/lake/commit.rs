//! What a commit changes, and when it may follow a commit that another writer made first.
//!
//! Every commit is planned on the newest snapshot that this process knows. When the version is taken, the winner's
//! commit is read, applied to the snapshot, and the rules below decide whether the commit is planned again:
//!
//! * an **append** follows anything;
//! * a **compaction** follows anything that left its inputs in the table;
//! * a **rewrite** follows only what left its inputs in the table *and* added no file, since it has read the whole table;
//! * columns are added to whatever schema the winner left, or refused when their types disagree.
//!
//! The rules are checked on states, not on the winners' actions: a compaction that swapped a file away is a conflict
//! exactly like a deletion, however it marked its removals.

use std::collections::HashSet;
use std::sync::Arc;

use deltalake_core::kernel::Action;

use super::file::FileEntry;
use super::log;
use super::schema::TableSchema;
use super::table::TableSnapshot;
use crate::{Error, Result};

/// What a commit does to the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitKind {
    /// It adds rows.
    Append,
    /// It replaces files, on the strength of everything that the table held.
    Rewrite,
    /// It replaces files by others with the same rows.
    Compaction,
}

/// A change of one table: nothing of it is visible before [`super::Table::commit`], and all of it afterwards.
#[derive(Debug, Clone)]
pub struct Commit {
    /// What it does to the rows.
    pub kind: CommitKind,
    /// Files to add, from [`super::write_files`].
    pub adds: Vec<FileEntry>,
    /// Files to remove.
    pub removes: Vec<FileEntry>,
    /// What a rewrite or a compaction has read.
    pub base: Option<Arc<TableSnapshot>>,
    /// Columns to add: those that the table lacks are added, the others must agree.
    pub schema: Option<TableSchema>,
    /// Whether what is indexed and how rows are sorted becomes as `schema` says, too.
    pub relays: bool,
    /// A message for the log. Everybody who can read the lake can read it: never a value of a person.
    pub message: Option<String>,
}

impl Commit {
    /// Adds files.
    pub fn append(adds: Vec<FileEntry>) -> Self {
        Self {
            kind: CommitKind::Append,
            adds,
            removes: Vec::new(),
            base: None,
            schema: None,
            relays: false,
            message: None,
        }
    }

    /// Replaces files of `base` by others, after reading all of `base`.
    pub fn rewrite(
        base: Arc<TableSnapshot>,
        adds: Vec<FileEntry>,
        removes: Vec<FileEntry>,
    ) -> Self {
        Self { kind: CommitKind::Rewrite, removes, base: Some(base), ..Self::append(adds) }
    }

    /// Replaces all files of `base`.
    pub fn replace(base: Arc<TableSnapshot>, adds: Vec<FileEntry>) -> Self {
        let removes = base.files.to_vec();
        Self::rewrite(base, adds, removes)
    }

    /// Replaces files of `base` by others that hold the same rows.
    pub fn compaction(
        base: Arc<TableSnapshot>,
        adds: Vec<FileEntry>,
        removes: Vec<FileEntry>,
    ) -> Self {
        Self { kind: CommitKind::Compaction, ..Self::rewrite(base, adds, removes) }
    }

    /// Adds the columns that the table lacks.
    pub fn with_schema(mut self, schema: TableSchema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Adds the columns that the table lacks, and writes files from then on with the statistics, the bloom filters and the
    /// order of `layout`.
    pub fn with_layout(self, layout: TableSchema) -> Self {
        Self { relays: true, ..self.with_schema(layout) }
    }

    /// Leaves a message in the log.
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.adds.is_empty() && self.removes.is_empty() && self.schema.is_none()
    }

    /// Fails when the commit may not follow `current`.
    pub(super) fn check(&self, table: &str, current: &TableSnapshot) -> Result<()> {
        let conflict = |what: &str| Error::Conflict {
            message: format!("{what} table \"{table}\" since it was read"),
            hint: "Read the table again and repeat the change.".into(),
        };
        let base = match (self.kind, &self.base) {
            (CommitKind::Append, _) if self.removes.is_empty() => return Ok(()),
            (CommitKind::Rewrite | CommitKind::Compaction, Some(base)) => base,
            _ => {
                return Err(Error::Invalid {
                    message: "a commit that removes files must say what it has read".into(),
                    hint: "Use Commit::rewrite or Commit::compaction.".into(),
                });
            }
        };
        if base.version == current.version {
            return Ok(());
        }
        let present: HashSet<&str> = current.files.iter().map(|file| &*file.path).collect();
        if self.removes.iter().any(|file| !present.contains(&*file.path)) {
            return Err(conflict("another writer removed files from"));
        }
        let read: HashSet<&str> = base.files.iter().map(|file| &*file.path).collect();
        if self.kind == CommitKind::Rewrite
            && current.files.iter().any(|file| !read.contains(&*file.path))
        {
            return Err(conflict("another writer added files to"));
        }
        Ok(())
    }

    /// Returns the actions and the snapshot of the commit when it follows `current`.
    pub(super) fn plan(
        &self,
        table: &str,
        current: &TableSnapshot,
        id: &str,
        now_us: i64,
    ) -> Result<Plan> {
        let widened = match &self.schema {
            Some(layout) if self.relays => current.table_schema.relaid(layout)?,
            Some(wider) => current.table_schema.widened(wider)?,
            None => None,
        };
        let data_change = self.kind != CommitKind::Compaction;
        let blind = self.kind == CommitKind::Append;
        let info = log::commit_info(id, now_us, blind, self.message.as_deref());
        let mut actions = vec![Action::CommitInfo(info)];
        let next = match widened {
            None => current.followed_by(&self.removes, &self.adds, None),
            Some(schema) => {
                let metadata = log::with_schema(table, &current.metadata, &schema)?;
                actions.push(Action::Metadata(metadata.clone()));
                current.followed_by(&self.removes, &self.adds, Some((metadata, schema)))
            }
        };
        actions.extend(
            self.removes
                .iter()
                .map(|file| Action::Remove(file.to_remove(now_us / 1000, data_change))),
        );
        actions.extend(self.adds.iter().map(|file| Action::Add(file.to_add(data_change))));
        Ok(Plan { actions, next })
    }
}

/// A commit that was planned on one snapshot.
pub(super) struct Plan {
    pub(super) actions: Vec<Action>,
    pub(super) next: TableSnapshot,
}
