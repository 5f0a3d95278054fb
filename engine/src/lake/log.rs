//! The Delta log of one table: creating it, loading it when the table is opened, and reading and writing single commits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use deltalake_core::DeltaTableError;
use deltalake_core::kernel::{
    Action, Add, CommitInfo, Metadata, MetadataExt, Protocol, Remove, Snapshot,
};
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore, get_actions};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use serde_json::{Value, json};
use url::Url;

use super::STORE_URL;
use super::documents::numbers;
use super::file::{FileEntry, Pins};
use super::schema::TableSchema;
use super::store::unavailable;
use crate::{Error, Result};

/// The folder of the log in a table's folder.
pub(super) const LOG_FOLDER: &str = "_delta_log";
/// What each commit says about its writer.
const ENGINE: &str = concat!("onefold/", env!("CARGO_PKG_VERSION"));
/// The key under which a commit carries its own id, by which its writer knows it again.
const COMMIT_ID: &str = "txnId";

/// A table as it was loaded.
pub(super) struct Loaded {
    pub(super) version: u64,
    pub(super) metadata: Metadata,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) schema: TableSchema,
    pub(super) files: Vec<FileEntry>,
}

/// One commit of the log.
#[derive(Default)]
pub(super) struct Entry {
    /// Its id, if onefold wrote it.
    pub(super) id: Option<String>,
    pub(super) metadata: Option<Metadata>,
    pub(super) adds: Vec<Add>,
    pub(super) removes: Vec<Remove>,
}

/// Creates the log of an empty table.
pub(super) async fn create(
    store: &Arc<dyn ObjectStore>,
    path: &str,
    schema: &TableSchema,
    now_us: i64,
) -> Result<()> {
    let schema = schema.stored()?;
    let protocol = json!({"minReaderVersion": 1, "minWriterVersion": 2});
    let metadata = json!({
        "id": uuid::Uuid::new_v4().to_string(),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": serde_json::to_string(&schema.to_delta()?).map_err(damaged(path))?,
        "partitionColumns": [],
        "configuration": schema.to_properties(),
        "createdTime": now_us / 1000,
    });
    let id = new_id();
    let actions = [
        Action::CommitInfo(commit_info(&id, now_us, false, None)),
        Action::Protocol(serde_json::from_value::<Protocol>(protocol).map_err(damaged(path))?),
        Action::Metadata(serde_json::from_value::<Metadata>(metadata).map_err(damaged(path))?),
    ];
    if write(&**store, path, 0, encode(&actions)).await? {
        return Ok(());
    }
    // It may be our own, whose answer was lost.
    match read(&**store, path, 0).await? {
        Some(entry) if entry.id.as_ref() == Some(&id) => Ok(()),
        _ => Err(Error::Exists { kind: "table", name: path.to_owned() }),
    }
}

/// Loads a table at its newest version, or at the one asked for.
pub(super) async fn load(
    store: &Arc<dyn ObjectStore>,
    path: &str,
    version: Option<u64>,
    pins: &Pins,
) -> Result<Loaded> {
    let log = log_store(store, path);
    let failed = |error| load_error(path, version, error);
    let snapshot = Snapshot::try_new(&*log, version).await.map_err(failed)?;
    let protocol = snapshot.protocol();
    if protocol.min_reader_version() > 1 || protocol.min_writer_version() > 2 {
        return Err(Error::Unsupported {
            what: format!("the Delta protocol version of table \"{path}\""),
            hint: "onefold reads version 1 and writes version 2, without features.".into(),
        });
    }
    let metadata = snapshot.metadata().clone();
    let properties: BTreeMap<String, String> =
        metadata.configuration().clone().into_iter().collect();
    let schema = TableSchema::from_delta(&snapshot.schema(), &properties)?;
    let views: Vec<_> = snapshot.file_views(&*log, None).try_collect().await.map_err(failed)?;
    let entry = |view: deltalake_core::kernel::LogicalFileView| {
        let stats = view.stats();
        FileEntry::from_log(
            &view.path(),
            view.size(),
            view.modification_time(),
            stats.as_deref(),
            &schema,
            pins,
        )
    };
    let mut files = views.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
    // The log is replayed newest first; a table that was never reloaded has its oldest files first.
    files.reverse();
    Ok(Loaded { version: snapshot.version(), metadata, properties, schema, files })
}

/// Returns the versions above `after` that the log has, ascending.
pub(super) async fn versions_after(
    store: &dyn ObjectStore,
    path: &str,
    after: u64,
) -> Result<Vec<u64>> {
    numbers(store, &format!("{path}/{LOG_FOLDER}"), Some(after)).await
}

/// Reads one commit, if it is there.
pub(super) async fn read(
    store: &dyn ObjectStore,
    path: &str,
    version: u64,
) -> Result<Option<Entry>> {
    let failed =
        |source| unavailable(format_args!("read version {version} of table \"{path}\""), source);
    let bytes = match store.get(&commit_path(path, version)).await {
        Ok(found) => found.bytes().await.map_err(failed)?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    decode(path, version, &bytes).map(Some)
}

/// Writes one commit, unless the version is taken. Returns whether it did; when it did, the commit is durable. A version
/// that is taken may be taken by this very commit, when the answer to an attempt was lost.
///
/// # Errors
/// [`Error::Unavailable`] if it is not known whether the version was written.
pub(super) async fn write(
    store: &dyn ObjectStore,
    path: &str,
    version: u64,
    bytes: Bytes,
) -> Result<bool> {
    match store.put_opts(&commit_path(path, version), bytes.into(), PutMode::Create.into()).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
        Err(source) => match store.head(&commit_path(path, version)).await {
            Ok(_) => Ok(false),
            Err(_) => Err(unavailable(format_args!("commit to table \"{path}\""), source)),
        },
    }
}

/// Returns the lines of a commit.
pub(super) fn encode(actions: &[Action]) -> Bytes {
    let mut bytes = Vec::new();
    for action in actions {
        serde_json::to_writer(&mut bytes, action)
            .expect("actions have only text, numbers and maps with text keys");
        bytes.push(b'\n');
    }
    bytes.into()
}

fn decode(path: &str, version: u64, bytes: &Bytes) -> Result<Entry> {
    let mut entry = Entry::default();
    let actions = get_actions(version, bytes).map_err(|source| Error::Corrupt {
        message: format!("version {version} of table \"{path}\" is damaged"),
        source: Some(Box::new(source)),
    })?;
    for action in actions {
        match action {
            Action::Metadata(metadata) => entry.metadata = Some(metadata),
            Action::Add(add) if add.deletion_vector.is_none() => entry.adds.push(add),
            Action::Remove(remove) if remove.deletion_vector.is_none() => {
                entry.removes.push(remove)
            }
            Action::Txn(_) => {}
            Action::CommitInfo(info) => {
                entry.id = info.info.get(COMMIT_ID).and_then(Value::as_str).map(str::to_owned);
            }
            Action::Protocol(_) if version == 0 => {}
            Action::Protocol(_)
            | Action::Add(_)
            | Action::Remove(_)
            | Action::Cdc(_)
            | Action::DomainMetadata(_) => {
                return Err(Error::Unsupported {
                    what: format!(
                        "a Delta feature that version {version} of table \"{path}\" uses"
                    ),
                    hint: "Another engine wrote it; onefold's tables use none.".into(),
                });
            }
        }
    }
    Ok(entry)
}

/// Returns the metadata of a table after its schema was widened.
pub(super) fn with_schema(
    path: &str,
    metadata: &Metadata,
    schema: &TableSchema,
) -> Result<Metadata> {
    fn failed<E: std::error::Error + Send + Sync + 'static>(path: &str) -> impl Fn(E) -> Error {
        let message = format!("the schema of table \"{path}\" cannot be written");
        move |source| Error::Corrupt { message: message.clone(), source: Some(Box::new(source)) }
    }
    let mut metadata = metadata.clone().with_schema(&schema.to_delta()?).map_err(failed(path))?;
    for (key, value) in schema.to_properties() {
        metadata = metadata.add_config_key(key, value).map_err(failed(path))?;
    }
    Ok(metadata)
}

/// Reads the schema and the properties of a table from its metadata.
pub(super) fn schema_of(
    path: &str,
    metadata: &Metadata,
) -> Result<(TableSchema, BTreeMap<String, String>)> {
    let parsed = metadata.parse_schema().map_err(|source| Error::Corrupt {
        message: format!("the schema of table \"{path}\" is damaged"),
        source: Some(Box::new(source)),
    })?;
    let properties: BTreeMap<String, String> =
        metadata.configuration().clone().into_iter().collect();
    Ok((TableSchema::from_delta(&parsed, &properties)?, properties))
}

/// Returns what a commit says about itself: when, by what, and an opaque message; never a value or a predicate.
pub(super) fn commit_info(
    id: &str,
    now_us: i64,
    blind_append: bool,
    message: Option<&str>,
) -> CommitInfo {
    CommitInfo {
        timestamp: Some(now_us / 1000),
        operation: Some("WRITE".into()),
        operation_parameters: Some(HashMap::from([("mode".into(), json!("Append"))])),
        is_blind_append: Some(blind_append),
        engine_info: Some(ENGINE.into()),
        user_metadata: message.map(str::to_owned),
        info: HashMap::from([(COMMIT_ID.into(), json!(id))]),
        ..CommitInfo::default()
    }
}

/// Returns a new id for a commit.
pub(super) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Returns the log of a table as `deltalake_core` wants it.
pub(super) fn log_store(store: &Arc<dyn ObjectStore>, path: &str) -> LogStoreRef {
    let url = Url::parse(STORE_URL).and_then(|url| url.join(&format!("{path}/")));
    let url = url.expect("a checked path makes a valid address");
    let table = Arc::new(PrefixStore::new(store.clone(), path));
    default_logstore(table, store.clone(), &url, &StorageConfig::default())
}

fn commit_path(path: &str, version: u64) -> Path {
    Path::from(format!("{path}/{LOG_FOLDER}/{version:020}.json"))
}

fn damaged(path: &str) -> impl Fn(serde_json::Error) -> Error + '_ {
    move |source| Error::Corrupt {
        message: format!("the schema of table \"{path}\" cannot be written"),
        source: Some(Box::new(source)),
    }
}

fn load_error(path: &str, version: Option<u64>, error: DeltaTableError) -> Error {
    match (error, version) {
        (DeltaTableError::NotATable(_), None) => Error::Missing {
            kind: "table",
            name: path.to_owned(),
            hint: "It was never created, or it was deleted.".into(),
        },
        (error @ DeltaTableError::ObjectStore { .. }, _) | (error, None) => Error::Unavailable {
            message: format!("table \"{path}\" cannot be loaded"),
            source: Some(Box::new(error)),
        },
        (_, Some(version)) => Error::Missing {
            kind: "table version",
            name: format!("{path}@{version}"),
            hint: "It is newer than the newest one, or it was cleaned up.".into(),
        },
    }
}
