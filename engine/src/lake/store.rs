//! The object stores that a lake lies on, made to keep two promises that the plain ones break.
//!
//! * **What was acknowledged is on disk.** [`DurableDirectory`] writes a staged file, fsyncs it, gives it its name by a
//!   hard link or a rename, and fsyncs the folder before it answers. A reader therefore never sees half an object, and a
//!   power cut never takes an acknowledged one back. Listings come in name order, as object stores give them.
//! * **Create means create.** [`ConditionalStore`] answers a refused [`PutMode::Create`] with
//!   [`object_store::Error::AlreadyExists`], also where the service says "precondition failed" (Azure does).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result as StoreResult, RetryConfig, UploadPart,
};
use parking_lot::Mutex;
use url::Url;

use crate::{Error, Result};

/// How often a request to an object store is repeated.
const RETRIES_MAX: usize = 8;
/// How long a request to an object store is repeated for.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long is waited at most between two attempts.
const RETRY_BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Makes an [`Error`] of a failed call, saying what was being done.
pub(super) fn unavailable(doing: impl fmt::Display, source: object_store::Error) -> Error {
    Error::Unavailable {
        message: format!("the lake did not answer to {doing}"),
        source: Some(Box::new(source)),
    }
}

/// Opens the store behind `url`; `options` are those of `object_store` and are never taken from the environment.
pub(super) fn open_url(
    url: &Url,
    options: &BTreeMap<String, String>,
) -> Result<Arc<dyn ObjectStore>> {
    if !matches!(url.scheme(), "s3" | "s3a") {
        return Err(Error::Unsupported {
            what: format!("a lake at \"{}://\"", url.scheme()),
            hint: "Use a directory or an s3:// URL.".into(),
        });
    }
    let retry = RetryConfig {
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIMEOUT,
        backoff: BackoffConfig { max_backoff: RETRY_BACKOFF_MAX, ..BackoffConfig::default() },
    };
    let mut builder = AmazonS3Builder::new().with_url(url.as_str()).with_retry(retry);
    for (key, value) in options {
        let key: AmazonS3ConfigKey = key.parse().map_err(|_| Error::Invalid {
            message: format!("unknown option \"{key}\" for the lake"),
            hint: "Use endpoint, region, access_key_id, secret_access_key or allow_http.".into(),
        })?;
        builder = builder.with_config(key, value);
    }
    let bucket =
        builder.build().map_err(|source| unavailable(format_args!("open \"{url}\""), source))?;
    let store = ConditionalStore { inner: Arc::new(bucket) };
    let prefix = Path::from_url_path(url.path())
        .map_err(|source| unavailable(format_args!("open \"{url}\""), source.into()))?;
    Ok(if prefix.as_ref().is_empty() {
        Arc::new(store)
    } else {
        Arc::new(PrefixStore::new(store, prefix))
    })
}

/// A store on a local disk that fsyncs before it acknowledges.
#[derive(Debug)]
pub(super) struct DurableDirectory {
    inner: LocalFileSystem,
    root: PathBuf,
}

impl DurableDirectory {
    /// Opens `root`, and creates it, readable by its owner only, when it is absent.
    pub(super) fn open(root: &FilePath) -> Result<Self> {
        let failed = |source: io::Error| Error::Unavailable {
            message: format!("the lake's directory \"{}\" cannot be opened", root.display()),
            source: Some(Box::new(source)),
        };
        let root = std::path::absolute(root).map_err(failed)?;
        create_folder(&root).map_err(failed)?;
        let inner = LocalFileSystem::new_with_prefix(&root)
            .map_err(|source| unavailable(format_args!("open \"{}\"", root.display()), source))?;
        Ok(Self { inner, root })
    }

    /// Deletes files that a writer had staged when it died. Only for whoever holds the lake's lease.
    pub(super) fn sweep(root: &FilePath) -> io::Result<usize> {
        let mut swept = 0;
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else if is_staged(&entry.file_name().to_string_lossy()) {
                    std::fs::remove_file(entry.path())?;
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }
}

impl fmt::Display for DurableDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory {}", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for DurableDirectory {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> StoreResult<PutResult> {
        let create = match opts.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => return self.inner.put_opts(location, payload, opts).await,
        };
        let file = self.inner.path_to_filesystem(location)?;
        blocking(move || write_durably(&file, &payload, create)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        let file = self.inner.path_to_filesystem(location)?;
        let folder = file.clone();
        blocking(move || create_parent(&folder)).await?;
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(DurableUpload { inner, file }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        let folders = Arc::new(Mutex::new(BTreeSet::new()));
        let (seen, inner) = (folders.clone(), self.inner.clone());
        let deleted = self.inner.delete_stream(locations).inspect_ok(move |location| {
            let folder = inner
                .path_to_filesystem(location)
                .ok()
                .and_then(|file| file.parent().map(FilePath::to_owned));
            seen.lock().extend(folder);
        });
        let sync = stream::once(async move {
            let folders = std::mem::take(&mut *folders.lock());
            blocking(move || folders.iter().try_for_each(|folder| sync_folder(folder))).await
        });
        deleted.chain(sync.filter_map(|outcome| async { outcome.err().map(Err) })).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        let listing = self.inner.list(prefix);
        stream::once(async move {
            let mut objects: Vec<ObjectMeta> = listing.try_collect().await?;
            objects.sort_unstable_by(|a, b| a.location.cmp(&b.location));
            Ok::<_, object_store::Error>(stream::iter(objects.into_iter().map(Ok)))
        })
        .try_flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        let content = self.inner.get_opts(from, GetOptions::default()).await?.bytes().await?;
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        self.put_opts(to, content.into(), mode.into()).await.map(|_| ())
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> StoreResult<()> {
        let (source, target) =
            (self.inner.path_to_filesystem(from)?, self.inner.path_to_filesystem(to)?);
        let synced = source.clone();
        blocking(move || std::fs::File::open(&synced)?.sync_all()).await?;
        self.inner.rename_opts(from, to, options).await?;
        blocking(move || sync_parent(&target).and_then(|()| sync_parent(&source))).await
    }
}

/// An upload in parts that is fsynced when it completes.
#[derive(Debug)]
struct DurableUpload {
    inner: Box<dyn MultipartUpload>,
    file: PathBuf,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> StoreResult<PutResult> {
        let result = self.inner.complete().await?;
        let file = self.file.clone();
        blocking(move || std::fs::File::open(&file)?.sync_all().and_then(|()| sync_parent(&file)))
            .await?;
        Ok(result)
    }

    async fn abort(&mut self) -> StoreResult<()> {
        self.inner.abort().await
    }
}

/// Writes a whole file: staged, fsynced, named, and the name fsynced.
fn write_durably(file: &FilePath, payload: &PutPayload, create: bool) -> io::Result<()> {
    create_parent(file)?;
    let staged = staged_name(file);
    let outcome = write_staged(&staged, payload).and_then(|()| match create {
        true => std::fs::hard_link(&staged, file),
        false => std::fs::rename(&staged, file),
    });
    if create || outcome.is_err() {
        match std::fs::remove_file(&staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound && outcome.is_ok() => {
                return Err(error);
            }
            _ => {}
        }
    }
    outcome.and_then(|()| sync_parent(file))
}

fn write_staged(staged: &FilePath, payload: &PutPayload) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(staged)?;
    payload.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()
}

/// Returns a name that listings leave out: a name, `#`, and digits.
fn staged_name(file: &FilePath) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!("#{}", uuid::Uuid::new_v4().as_u128()));
    name.into()
}

fn is_staged(name: &str) -> bool {
    name.rsplit_once('#')
        .is_some_and(|(_, digits)| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn create_parent(file: &FilePath) -> io::Result<()> {
    file.parent().map_or(Ok(()), create_folder)
}

/// Creates a folder and those above it, for their owner only, and fsyncs the names of the new ones.
pub(super) fn create_folder(folder: &FilePath) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    create_parent(folder)?;
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_parent(folder),
    }
}

fn sync_parent(file: &FilePath) -> io::Result<()> {
    file.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &FilePath) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Runs file work off the runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> StoreResult<T> {
    let outcome = tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| object_store::Error::JoinError { source })?;
    outcome.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => {
            object_store::Error::AlreadyExists { path: String::new(), source: Box::new(source) }
        }
        io::ErrorKind::NotFound => {
            object_store::Error::NotFound { path: String::new(), source: Box::new(source) }
        }
        _ => object_store::Error::Generic { store: "directory", source: Box::new(source) },
    })
}

/// A remote store whose refusal to create is always "already exists".
#[derive(Debug)]
pub(super) struct ConditionalStore {
    /// The store itself.
    pub(super) inner: Arc<dyn ObjectStore>,
}

impl fmt::Display for ConditionalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for ConditionalStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> StoreResult<PutResult> {
        let create = matches!(opts.mode, PutMode::Create);
        self.inner.put_opts(location, payload, opts).await.map_err(|error| match error {
            object_store::Error::Precondition { path, source } if create => {
                object_store::Error::AlreadyExists { path, source }
            }
            other => other,
        })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> StoreResult<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
