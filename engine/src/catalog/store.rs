//! The catalog of one open lake: what is published, and how the next document is.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
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
    /// Held while a document is made: the lease of the one process that writes, until it is given back.
    lease: Mutex<Option<Lease>>,
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
                tracing::warn!(table = path, "rolling back a commit that was never published");
                let snapshot = table.rollback_to(table_state.version).await?;
                mended.table(&table, Arc::clone(&snapshot));
                tables.insert(path.clone(), (table, snapshot));
                continue;
            }
            let snapshot = table.snapshot_at(table_state.version).await?;
            tables.insert(path.clone(), (table, snapshot));
        }
        let current = ArcSwap::from_pointee(Published { state, tables });
        let catalog =
            Self { lake, writable: lease.is_some(), clock, current, lease: Mutex::new(lease) };
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

    /// Returns the table at `path` for writing; made with `schema` if the lake has none.
    ///
    /// # Errors
    /// [`Error::Conflict`] if this process does not hold the lease.
    pub async fn table(&self, path: &str, schema: impl FnOnce() -> TableSchema) -> Result<Table> {
        if !self.writable {
            return Err(read_only());
        }
        if let Some((table, _)) = self.current.load().tables.get(path) {
            return Ok(table.clone());
        }
        // A table that no document names was made by a writer that died before it published: nobody ever saw it.
        self.lake.delete_table(path).await?;
        self.lake.create_table(path, schema()).await
    }

    /// Publishes `change` as the next document and returns the new state.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another process took the lake over; then nothing was published.
    pub async fn publish(&self, change: Change) -> Result<Arc<Published>> {
        let lease = self.lease.lock().await;
        let lease = lease.as_ref().ok_or_else(read_only)?;
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
            state.tables.insert(table.path().to_owned(), TableState { version: snapshot.version });
            tables.insert(table.path().to_owned(), (table, snapshot));
        }
        for path in &change.dropped {
            state.tables.remove(path);
            tables.remove(path);
        }
        state.sequence += 1;
        state.epoch = lease.epoch();
        state.published_at = self.clock.now_us();
        lease.check().await?;
        let number = state.sequence;
        match self.lake.create_document(FOLDER, number, state.to_bytes()?.into()).await? {
            Created::Yes => {}
            Created::AlreadyExists => return Err(taken_over()),
        }
        let published = Arc::new(Published { state, tables });
        self.current.store(Arc::clone(&published));
        if number.is_multiple_of(PRUNE_EVERY) {
            self.lake.prune_documents(FOLDER, DOCUMENTS_KEPT).await?;
        }
        Ok(published)
    }

    /// Gives the lake back, so that another process may write at once.
    pub async fn release(&self) -> Result<()> {
        match self.lease.lock().await.take() {
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

fn taken_over() -> Error {
    Error::Conflict {
        message: "another process took the lake over".into(),
        hint: "Nothing was published. Connect to the process that holds the lake now.".into(),
    }
}
