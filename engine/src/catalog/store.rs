//! The catalog of one open lake: what is published, and how the next document is.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use rand::RngCore;
use tokio::sync::Mutex;

use super::state::{CatalogState, TableState};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::lake::{Created, Lake, Lease, Table, TableSchema, TableSnapshot};

/// The folder of the numbered documents.
const FOLDER: &str = "_catalog";

/// Documents that are kept beside the newest one.
const DOCUMENTS_KEPT: usize = 64;

/// How many publications lie between two clean-ups of old documents.
const PRUNE_EVERY: u64 = 32;

/// One published state of the lake, with the tables that belong to it.
#[derive(Debug)]
pub struct Published {
    /// The document.
    pub state: CatalogState,
    tables: HashMap<String, (Table, Arc<TableSnapshot>)>,
}

impl Published {
    /// Returns the table at `path` as it is in this state.
    pub fn table(&self, path: &str) -> Option<Arc<TableSnapshot>> {
        self.tables.get(path).map(|(_, snapshot)| Arc::clone(snapshot))
    }

    /// Returns the version of the table at `path`, 0 if it is absent.
    pub fn version(&self, path: &str) -> u64 {
        self.state.tables.get(path).map_or(0, |table| table.version)
    }

    /// Returns what would be published with `state` in the place of this one, as far as there are tables for it.
    pub(crate) fn with_state(&self, state: CatalogState) -> Self {
        let tables = self.tables.iter().filter(|(path, _)| state.tables.contains_key(*path));
        let tables = tables.map(|(path, table)| (path.clone(), table.clone())).collect();
        Self { state, tables }
    }

    /// Returns what is published with `state` in the place of this one and with these tables in the places of theirs: what
    /// a session sees that has changed some of it.
    pub(crate) fn with_changes(
        &self,
        state: CatalogState,
        changed: Vec<(Table, Arc<TableSnapshot>)>,
    ) -> Self {
        let mut tables = self.tables.clone();
        for (table, snapshot) in changed {
            tables.insert(table.path().to_owned(), (table, snapshot));
        }
        Self { state, tables }
    }

    /// Returns every table that belongs to this state.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.values().map(|(table, _)| table)
    }
}

/// What one publication changes.
#[derive(Default)]
pub struct Change {
    tables: Vec<(Table, Arc<TableSnapshot>)>,
    dropped: Vec<String>,
    #[expect(clippy::type_complexity, reason = "one use, and a name would only repeat it")]
    edits: Vec<Box<dyn FnOnce(&mut CatalogState) -> Result<()> + Send>>,
}

impl Change {
    /// Makes `snapshot` the current version of `table`.
    pub fn table(&mut self, table: &Table, snapshot: Arc<TableSnapshot>) {
        self.tables.push((table.clone(), snapshot));
    }

    /// Forgets the table at `path`.
    pub fn drop_table(&mut self, path: impl Into<String>) {
        self.dropped.push(path.into());
    }

    /// Edits the document.
    pub fn edit(&mut self, edit: impl FnOnce(&mut CatalogState) -> Result<()> + Send + 'static) {
        self.edits.push(Box::new(edit));
    }
}

/// The catalog of an open lake.
pub struct Catalog {
    lake: Lake,
    writable: bool,
    clock: Arc<dyn Clock>,
    current: ArcSwap<Published>,
    /// Held while a document is made.
    writer: Mutex<Writer>,
    /// Tables that were made and are in no document yet.
    made: Arc<Mutex<HashMap<String, Table>>>,
}

/// What is needed to make the next document.
struct Writer {
    /// The lease of the one process that writes, until it is given back.
    lease: Option<Lease>,
    /// Documents of the next number of which it is not known whether they were created.
    attempts: Vec<(Bytes, Arc<Published>)>,
}

impl Catalog {
    /// Opens the catalog of `lake`; with a lease, tables that ran ahead of it are rolled back first.
    pub async fn open(lake: Lake, lease: Option<Lease>, clock: Arc<dyn Clock>) -> Result<Self> {
        let state = match lake.latest_document(FOLDER).await? {
            Some((_, bytes)) => CatalogState::from_bytes(&bytes)?,
            None => {
                let mut key = [0; 16];
                rand::rng().fill_bytes(&mut key);
                CatalogState::new(key)
            }
        };
        let mut tables = HashMap::new();
        let mut mended = Change::default();
        for (path, table_state) in &state.tables {
            let table = lake.open_table(path).await?;
            if lease.is_some() && table.snapshot().version > table_state.version {
                let snapshot = table.take_back(table_state.version).await?;
                mended.table(&table, Arc::clone(&snapshot));
                tables.insert(path.clone(), (table, snapshot));
                continue;
            }
            let snapshot = table.snapshot_at(table_state.version).await?;
            tables.insert(path.clone(), (table, snapshot));
        }
        let current = ArcSwap::from_pointee(Published { state, tables });
        let catalog = Self {
            lake,
            writable: lease.is_some(),
            clock,
            current,
            writer: Mutex::new(Writer { lease, attempts: vec![] }),
            made: Arc::default(),
        };
        if !mended.tables.is_empty() {
            catalog.publish(mended).await?;
        }
        Ok(catalog)
    }

    /// Returns the newest published state.
    pub fn current(&self) -> Arc<Published> {
        self.current.load_full()
    }

    /// Returns the lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Tells whether this process may write.
    pub fn writable(&self) -> bool {
        self.writable
    }

    /// Fails unless this process may write.
    pub fn require_writable(&self) -> Result<()> {
        if self.writable { Ok(()) } else { Err(read_only()) }
    }

    /// Tells whether another process has published since this one last knew.
    pub async fn is_behind(&self) -> Result<bool> {
        let newest = self.lake.latest_document(FOLDER).await?;
        let known = self.current.load().state.sequence;
        Ok(newest.is_some_and(|(number, _)| number > known))
    }

    /// Returns the table at `path` for writing, as it is published; made with `schema` if the lake has none. What was
    /// committed to it and never published, because the change failed or was cancelled half way, is taken back first.
    ///
    /// The caller sees to it that nobody else writes to the table until the change is published.
    ///
    /// # Errors
    /// [`Error::Conflict`] if this process does not hold the lease.
    pub async fn table(&self, path: &str, schema: impl FnOnce() -> TableSchema) -> Result<Table> {
        if let Some(table) = self.existing(path).await? {
            return Ok(table);
        }
        let mut made = Arc::clone(&self.made).lock_owned().await;
        // Somebody else may have made it meanwhile, and even published it.
        if let Some(table) = self.existing(path).await? {
            return Ok(table);
        }
        let schema = schema();
        if let Some(table) = made.get(path).filter(|table| table.has_layout(&schema)) {
            table.take_back(0).await?;
            return Ok(table.clone());
        }
        // A table that no document names was made by a writer that did not come to publish it: nobody ever saw it.
        let (lake, path) = (self.lake.clone(), path.to_owned());
        let make = async move {
            lake.delete_table(&path).await?;
            let table = lake.create_table(&path, schema).await?;
            made.insert(path, table.clone());
            Ok(table)
        };
        self.lake.complete(make).await
    }

    /// As [`Catalog::table`], but `None` if no document names the table.
    pub async fn existing(&self, path: &str) -> Result<Option<Table>> {
        self.require_writable()?;
        let Some((table, published)) = self.current.load().tables.get(path).cloned() else {
            return Ok(None);
        };
        table.take_back(published.version).await?;
        Ok(Some(table))
    }

    /// Fails unless this process still holds the lake.
    pub async fn check_lease(&self) -> Result<()> {
        self.writer.lock().await.lease.as_ref().ok_or_else(read_only)?.check().await
    }

    /// Finds out about a publication of which it is not known whether it was made, and tells whether it was: then it is
    /// the current state, though whoever made it was told that it failed.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another process has published instead.
    pub async fn settle(&self) -> Result<bool> {
        let mut writer = self.writer.lock().await;
        if writer.attempts.is_empty() {
            return Ok(false);
        }
        let next = self.current.load().state.sequence + 1;
        let Some(found) = self.lake.document(FOLDER, next).await? else { return Ok(false) };
        let attempt = writer.attempts.drain(..).find(|(bytes, _)| *bytes == found);
        let (_, published) = attempt.ok_or_else(taken_over)?;
        self.make_current(published).await;
        Ok(true)
    }

    /// Publishes `change` as the next document and returns the new state. The caller is not dropped meanwhile.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another process took the lake over; then nothing was published.
    /// [`Error::Unavailable`] if it is not known whether anything was: [`Catalog::settle`] finds out.
    pub async fn publish(&self, change: Change) -> Result<Arc<Published>> {
        let mut writer = self.writer.lock().await;
        let lease = writer.lease.as_ref().ok_or_else(read_only)?;
        let before = self.current.load_full();
        let mut state = before.state.clone();
        let mut tables = before.tables.clone();
        for edit in change.edits {
            edit(&mut state)?;
        }
        for (table, snapshot) in change.tables {
            // Of two appends to one log, the earlier may be published last: the later has its rows, too.
            if tables.get(table.path()).is_some_and(|(_, now)| now.version >= snapshot.version) {
                continue;
            }
            state.dropped.remove(table.path());
            state.tables.insert(table.path().to_owned(), TableState { version: snapshot.version });
            tables.insert(table.path().to_owned(), (table, snapshot));
        }
        state.sequence += 1;
        state.epoch = lease.epoch();
        state.published_at = self.clock.now_us();
        for path in change.dropped {
            tables.remove(&path);
            if state.tables.remove(&path).is_some() {
                state.dropped.insert(path, state.published_at);
            }
        }
        lease.check().await?;
        let number = state.sequence;
        let bytes = Bytes::from(state.to_bytes()?);
        let published = Arc::new(Published { state, tables });
        match self.lake.create_document(FOLDER, number, bytes.clone()).await {
            Ok(Created::Yes) => {}
            Ok(Created::AlreadyExists) if writer.attempts.is_empty() => return Err(taken_over()),
            Ok(Created::AlreadyExists) => return Err(uncertain()),
            Err(error) => {
                writer.attempts.push((bytes, published));
                return Err(error);
            }
        }
        writer.attempts.clear();
        self.make_current(Arc::clone(&published)).await;
        if number.is_multiple_of(PRUNE_EVERY)
            && let Err(error) = self.lake.prune_documents(FOLDER, DOCUMENTS_KEPT).await
        {
            // It is published all the same, and the next clean-up takes what this one left.
            let error = error.without_values();
            tracing::warn!(error, "old catalog documents could not be removed");
        }
        Ok(published)
    }

    async fn make_current(&self, published: Arc<Published>) {
        self.current.store(Arc::clone(&published));
        self.made.lock().await.retain(|path, _| !published.tables.contains_key(path));
    }

    /// Gives the lake back, so that another process may write at once.
    pub async fn release(&self) -> Result<()> {
        match self.writer.lock().await.lease.take() {
            Some(lease) => lease.release().await,
            None => Ok(()),
        }
    }
}

fn read_only() -> Error {
    Error::Conflict {
        message: "the lake is open for reading only".into(),
        hint: "Connect to the server that holds the lake, or stop it and try again.".into(),
    }
}

fn uncertain() -> Error {
    Error::Unavailable {
        message: "an earlier publication may have been made although it failed".into(),
        source: None,
    }
}

fn taken_over() -> Error {
    Error::Conflict {
        message: "another process took the lake over".into(),
        hint: "Nothing was published. Connect to the process that holds the lake now.".into(),
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
