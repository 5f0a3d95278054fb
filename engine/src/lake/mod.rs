//! The lake: Delta tables and numbered documents on a local directory or an object store.
//!
//! A [`Lake`] opens [`Table`]s. Whoever wants to add rows encodes them into Parquet files with [`write_files`], which
//! makes them durable but not visible, and then makes them visible with one [`Table::commit`]. Readers take a
//! [`TableSnapshot`], which never changes, and scan it with [`LakeTable`] or [`scan_files`]. Several tables become
//! visible together through a numbered document ([`Lake::create_document`]) that names a version of each.
//!
//! The tables follow the Delta protocol at reader version 1 and writer version 2 without any feature, so that other
//! engines read them as they are. The committer, the scan and the rewrites are onefold's own; `deltalake_core` loads a
//! table when it is opened, and writes checkpoints.
//!
//! Invariants: one committer for each table in a process, one writing process for each lake (the [`Lease`]); what was
//! acknowledged is durable; no value of a personal column ever stands in a log, a file name, a footer or a message.

mod commit;
mod compaction;
mod documents;
mod file;
mod lease;
mod log;
mod maintenance;
mod prune;
mod rollback;
mod scan;
mod schema;
mod store;
mod table;
mod types;
mod works;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, oneshot};
use url::Url;

pub use commit::{Commit, CommitKind};
pub use documents::Created;
pub use file::{ColumnBounds, FileEntry};
pub use lease::Lease;
pub use maintenance::{HISTORY, Report};
pub use prune::may_hold;
pub use scan::{LakeTable, scan_files};
pub use schema::{TableSchema, column_name, column_names, is_column_name};
pub use table::{Table, TableSnapshot};
pub use types::{
    COMMENT, LOGICAL_TYPE, logical, logical_batch, logical_field, physical, physical_batch,
    physical_field, same_type,
};
pub use writer::{WriteOptions, write_files, write_stream};

use crate::clock::Clock;
use crate::{Error, Result};

/// The address that plans name the lake's store by: no session can name another store with it.
const STORE_URL: &str = "onefold://lake/";

/// Where a lake lies.
#[derive(Clone)]
pub enum LakeLocation {
    /// A folder on a local disk; it is created, for its owner only, when it is absent.
    Directory(PathBuf),
    /// A bucket and a prefix, `s3://bucket/prefix`.
    Url {
        /// The bucket and the prefix.
        url: Url,
        /// Options of the store, such as `endpoint`, `region`, `access_key_id`, `secret_access_key` and `allow_http`.
        options: BTreeMap<String, String>,
    },
}

impl fmt::Debug for LakeLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LakeLocation::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            // Options hold keys.
            LakeLocation::Url { url, options } => f
                .debug_struct("Url")
                .field("url", &url.as_str())
                .field("options", &options.keys())
                .finish(),
        }
    }
}

/// A lake. Cheap to clone; clones share their tables.
#[derive(Clone)]
pub struct Lake(Arc<Inner>);

impl fmt::Debug for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lake({})", self.0.store)
    }
}

struct Inner {
    store: Arc<dyn ObjectStore>,
    /// Where the lake is on a local disk, if it is.
    directory: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    /// Whether this process holds the lake; asked before each commit.
    holding: Arc<lease::Holding>,
    /// Changes that go on to their end.
    works: Arc<works::Works>,
    /// Every table that was opened: all users of a table share its one committer.
    tables: Mutex<HashMap<String, Arc<OnceCell<Table>>>>,
}

impl Lake {
    /// Opens the lake at `location`, or makes an empty one. Reads nothing but the location itself.
    pub async fn open(location: &LakeLocation, clock: Arc<dyn Clock>) -> Result<Self> {
        let (store, directory): (Arc<dyn ObjectStore>, _) = match location {
            LakeLocation::Directory(path) => {
                (Arc::new(store::DurableDirectory::open(path)?), Some(path.clone()))
            }
            LakeLocation::Url { url, options } if url.scheme() == "file" && options.is_empty() => {
                let path = url.to_file_path().map_err(|()| Error::Invalid {
                    message: format!("\"{url}\" is not a local path"),
                    hint: "Write file:///absolute/path.".into(),
                })?;
                (Arc::new(store::DurableDirectory::open(&path)?), Some(path))
            }
            LakeLocation::Url { url, options } => (store::open_url(url, options)?, None),
        };
        Ok(Self::new(store, directory, clock))
    }

    /// Makes a lake of a store that the caller opened. The store must create conditionally and list in name order.
    pub fn with_store(store: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> Self {
        Self::new(Arc::new(store::ConditionalStore { inner: store }), None, clock)
    }

    fn new(store: Arc<dyn ObjectStore>, directory: Option<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            store,
            directory,
            clock,
            holding: Arc::default(),
            works: Arc::default(),
            tables: Mutex::default(),
        }))
    }

    /// Returns the store, rooted at the lake.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        self.0.store.clone()
    }

    /// Returns where the lake is on a local disk, if it is.
    pub fn directory(&self) -> Option<&std::path::Path> {
        self.0.directory.as_deref()
    }

    /// Returns the address that scans of this lake name its store by.
    pub fn object_store_url(&self) -> ObjectStoreUrl {
        object_store_url()
    }

    /// Makes plans over this lake executable in `runtime`.
    pub fn register(&self, runtime: &RuntimeEnv) {
        runtime.register_object_store(object_store_url().as_ref(), self.store());
    }

    /// Returns the clock that the lake dates its commits by.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.0.clock.clone()
    }

    /// Does `work`, to its end even if the caller is dropped meanwhile.
    pub(crate) async fn complete<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.0.works.complete(work).await
    }

    /// Starts `work` on a runtime, where it goes on to its end; whoever wants to know waits for its outcome.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        runtime: &Handle,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        self.0.works.start(runtime, work)
    }

    /// Waits until every change that goes on has come to its end.
    pub(crate) async fn settled(&self) {
        self.0.works.ended().await;
    }

    /// Creates an empty table at `path`, such as `sources/crm_contacts`, and fails if there is one.
    pub async fn create_table(&self, path: &str, schema: TableSchema) -> Result<Table> {
        check_path(path)?;
        log::create(&self.0.store, path, &schema, self.0.clock.now_us()).await?;
        self.open_table(path).await
    }

    /// Opens the table at `path`. All callers get the same table, hence the same committer.
    pub async fn open_table(&self, path: &str) -> Result<Table> {
        check_path(path)?;
        let cell = self.0.tables.lock().entry(path.to_owned()).or_default().clone();
        let table = cell.get_or_try_init(|| Table::open(&self.0, path)).await;
        if table.is_err() {
            let mut tables = self.0.tables.lock();
            if tables.get(path).is_some_and(|cell| cell.get().is_none()) {
                tables.remove(path);
            }
        }
        table.cloned()
    }

    /// Deletes the table at `path` with all its files, at once. Deleting what is not there succeeds, so that an
    /// interrupted deletion is finished by repeating it. Scans that still run over the table fail.
    pub async fn delete_table(&self, path: &str) -> Result<()> {
        check_path(path)?;
        let opened = self.0.tables.lock().remove(path);
        if let Some(table) = opened.as_ref().and_then(|cell| cell.get()) {
            table.retire().await;
        }
        let objects =
            self.0.store.list(Some(&Path::from(path))).map_ok(|object| object.location).boxed();
        let deleted: Result<Vec<_>, _> = self.0.store.delete_stream(objects).try_collect().await;
        deleted.map_err(|source| {
            store::unavailable(format_args!("delete table \"{path}\""), source)
        })?;
        Ok(())
    }
}

fn object_store_url() -> ObjectStoreUrl {
    ObjectStoreUrl::parse(STORE_URL)
        .expect("the address is a constant with a scheme, a host and no path")
}

/// Refuses paths that could collide with the lake's own objects or need escaping.
fn check_path(path: &str) -> Result<()> {
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if path.split('/').all(plain) {
        return Ok(());
    }
    Err(Error::Invalid {
        message: format!("\"{path}\" is not a path in the lake"),
        hint: "Use lower-case letters, digits and underscores, and slashes between folders.".into(),
    })
}
