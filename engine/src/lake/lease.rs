//! The lease: one writing process for each lake, and a way to notice that one has been replaced.
//!
//! On a local disk the lease is a lock on a file, which the kernel lets go of when the process dies, so that the next
//! writer takes over at once. On an object store it is an object that its holder renews; when the holder dies, it
//! expires, and the next writer replaces it by a conditional update.
//!
//! Either way each holder creates the next *epoch*, a numbered document. A holder that was suspended and replaced finds
//! a newer epoch in [`Lease::check`], which belongs before each publication.

use std::fmt;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::Lake;
use super::documents::{Created, numbers};
use super::store::{DurableDirectory, create_folder, unavailable};
use crate::clock::Clock;
use crate::{Error, Result};

/// How long a lease on an object store is good for without being renewed.
const EXPIRES_AFTER_US: i64 = 30_000_000;
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(8);
/// By how much the clocks of two machines may differ.
const CLOCK_SKEW_MAX_US: i64 = 5_000_000;
/// How many epochs are kept to look at.
const EPOCHS_KEPT: usize = 64;
/// How often an epoch is drawn anew when another process drew the same.
const DRAWS_MAX: usize = 16;

const EPOCHS: &str = "_lease/epochs";
const LEASE_OBJECT: &str = "_lease/lease.json";

/// The right to write to a lake. [`Lease::release`] gives it back; dropping it does so for a local lake.
pub struct Lease {
    epoch: u64,
    lake: Lake,
    hold: Hold,
}

enum Hold {
    /// The locked file: the lock lives as long as it is open.
    File(#[expect(dead_code, reason = "it is held, not used")] std::fs::File),
    /// The object, and the task that renews it.
    Object { renewal: Arc<Renewal>, task: JoinSet<()> },
}

/// What this process knows, without asking anybody, of its right to commit.
#[derive(Default)]
pub(super) struct Holding(Mutex<Held>);

#[derive(Default)]
enum Held {
    /// It never took the lake: whoever commits then goes by the rules of the log alone.
    #[default]
    Never,
    /// Its lock on the file holds as long as the process lives.
    File,
    /// Its lease is good as long as it is renewed in time.
    Object(Arc<Renewal>),
    /// It gave the lake back.
    Released,
}

impl Holding {
    /// Tells whether this process alone may commit.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it held the lake and may not be sure any more that nobody else does. Somebody who took the
    /// lake over refuses what is committed all the same, since it meets commits that it has not made.
    pub(super) fn check(&self) -> Result<bool> {
        match &*self.0.lock() {
            Held::Never => Ok(false),
            Held::File => Ok(true),
            Held::Object(renewal) if !renewal.is_over() => Ok(true),
            Held::Object(_) | Held::Released => Err(Error::Conflict {
                message: "this process no longer holds the lake".into(),
                hint: "Nothing was changed. Another process may have taken the lake over; stop this one."
                    .into(),
            }),
        }
    }

    fn set(&self, held: Held) {
        *self.0.lock() = held;
    }
}

/// A lease on an object store, as this process wrote it last.
struct Renewal {
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    held: Mutex<(Note, UpdateVersion)>,
    lost: AtomicBool,
}

/// What the lease says about its holder.
#[derive(Clone, Serialize, Deserialize)]
struct Note {
    epoch: u64,
    owner: String,
    since_us: i64,
    /// When it runs out; 0 when it was released. A local lease never runs out.
    expires_us: i64,
    /// Makes two notes of one owner differ.
    nonce: String,
}

impl Lake {
    /// Takes the lease for `owner` (such as a host name and a process id), or says who holds it.
    pub async fn acquire_lease(&self, owner: &str) -> Result<Lease> {
        let note = Note {
            epoch: 0,
            owner: owner.into(),
            since_us: self.0.clock.now_us(),
            expires_us: 0,
            nonce: uuid::Uuid::new_v4().simple().to_string(),
        };
        match self.0.directory.clone() {
            Some(directory) => self.lock_directory(&directory, note).await,
            None => self.lock_object(note).await,
        }
    }

    async fn lock_directory(&self, directory: &FilePath, note: Note) -> Result<Lease> {
        let location = Path::from(LEASE_OBJECT);
        let lock = directory.join("_lease").join("lock");
        let folder = directory.to_owned();
        let locked = tokio::task::spawn_blocking(move || try_lock(&folder, &lock)).await;
        let locked = locked.map_err(std::io::Error::other).and_then(|outcome| outcome);
        let Some(file) = locked.map_err(|source| Error::Unavailable {
            message: "the lake's lock file cannot be used".into(),
            source: Some(Box::new(source)),
        })?
        else {
            return Err(held_by(read_note(&*self.0.store, &location).await?.map(|(note, _)| note)));
        };
        let note = self.draw_epoch(note).await?;
        put_note(&*self.0.store, &location, &note, PutMode::Overwrite)
            .await
            .map_err(|source| unavailable("write the lease", source))?;
        self.0.holding.set(Held::File);
        Ok(Lease { epoch: note.epoch, lake: self.clone(), hold: Hold::File(file) })
    }

    async fn lock_object(&self, mut note: Note) -> Result<Lease> {
        let (store, clock) = (self.0.store.clone(), self.0.clock.clone());
        let location = Path::from(LEASE_OBJECT);
        note.expires_us = note.since_us + EXPIRES_AFTER_US;
        let mode = match read_note(&*store, &location).await? {
            None => PutMode::Create,
            Some((other, _))
                if note.since_us <= other.expires_us.saturating_add(CLOCK_SKEW_MAX_US)
                    && other.expires_us > 0 =>
            {
                return Err(held_by(Some(other)));
            }
            Some((_, version)) => PutMode::Update(version),
        };
        if let Err(error) = put_note(&*store, &location, &note, mode).await {
            // The answer to a note that was written may be lost, and the repetition is then refused.
            let found = read_note(&*store, &location).await?.map(|(note, _)| note);
            if found.as_ref().is_none_or(|found| found.nonce != note.nonce) {
                return Err(match error {
                    object_store::Error::AlreadyExists { .. }
                    | object_store::Error::Precondition { .. } => held_by(found),
                    source => unavailable("write the lease", source),
                });
            }
        }
        let drawn = self.draw_epoch(note).await?;
        let Some((_, version)) =
            read_note(&*store, &location).await?.filter(|(now, _)| now.nonce == drawn.nonce)
        else {
            return Err(held_by(None));
        };
        let epoch = drawn.epoch;
        let renewal = Arc::new(Renewal {
            store,
            clock,
            held: Mutex::new((drawn, version)),
            lost: AtomicBool::new(false),
        });
        let mut task = JoinSet::new();
        task.spawn(renewal.clone().run());
        self.0.holding.set(Held::Object(Arc::clone(&renewal)));
        Ok(Lease { epoch, lake: self.clone(), hold: Hold::Object { renewal, task } })
    }

    /// Creates the next epoch and returns the note with it.
    async fn draw_epoch(&self, mut note: Note) -> Result<Note> {
        for _ in 0..DRAWS_MAX {
            note.epoch = numbers(&*self.0.store, EPOCHS, None).await?.pop().unwrap_or(0) + 1;
            let bytes = serde_json::to_vec(&note).expect("a note has only text and numbers");
            if self.create_document(EPOCHS, note.epoch, bytes.into()).await? == Created::Yes {
                self.prune_documents(EPOCHS, EPOCHS_KEPT).await?;
                return Ok(note);
            }
        }
        Err(held_by(None))
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease(epoch {})", self.epoch)
    }
}

impl Lease {
    /// Returns the epoch: greater than that of every earlier holder. What is published carries it.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Fails when another process has taken the lake over, or when this one can no longer be sure that none has.
    pub async fn check(&self) -> Result<()> {
        let over = matches!(&self.hold, Hold::Object { renewal, .. } if renewal.is_over());
        if !over && numbers(&*self.lake.0.store, EPOCHS, Some(self.epoch)).await?.is_empty() {
            return Ok(());
        }
        Err(Error::Conflict {
            message: format!(
                "this process no longer holds the lake (its epoch was {})",
                self.epoch
            ),
            hint: "Another process took the lake over; stop this one.".into(),
        })
    }

    /// Gives the lake back, so that the next writer need not wait.
    pub async fn release(self) -> Result<()> {
        self.lake.0.holding.set(Held::Released);
        let Hold::Object { renewal, mut task } = self.hold else { return Ok(()) };
        task.shutdown().await;
        let (note, version) = renewal.held.lock().clone();
        let note = Note { expires_us: 0, ..note };
        match put_note(
            &*self.lake.0.store,
            &Path::from(LEASE_OBJECT),
            &note,
            PutMode::Update(version),
        )
        .await
        {
            Ok(_) | Err(object_store::Error::Precondition { .. }) => Ok(()),
            Err(source) => Err(unavailable("release the lease", source)),
        }
    }
}

impl Renewal {
    /// Renews the lease until it is lost.
    async fn run(self: Arc<Self>) {
        while !self.lost.load(Ordering::SeqCst) {
            tokio::time::sleep(RENEW_EVERY).await;
            self.renew().await;
        }
    }

    /// Renews the lease once, or notices that it is lost.
    async fn renew(&self) {
        let location = Path::from(LEASE_OBJECT);
        let (note, version) = self.held.lock().clone();
        let note = Note { expires_us: self.clock.now_us() + EXPIRES_AFTER_US, ..note };
        match put_note(&*self.store, &location, &note, PutMode::Update(version)).await {
            Ok(version) => *self.held.lock() = (note, version),
            Err(error @ object_store::Error::Precondition { .. }) => {
                match read_note(&*self.store, &location).await {
                    // The answer to an earlier renewal was lost: the object is still ours.
                    Ok(Some((now, version))) if now.nonce == note.nonce => {
                        *self.held.lock() = (now, version)
                    }
                    _ => {
                        tracing::error!(%error, "the lease on the lake was lost");
                        self.lost.store(true, Ordering::SeqCst);
                    }
                }
            }
            // It is tried again; if that goes on, the lease expires and `check` refuses.
            Err(error) => tracing::warn!(%error, "the lease on the lake could not be renewed"),
        }
    }

    fn is_over(&self) -> bool {
        self.lost.load(Ordering::SeqCst) || self.clock.now_us() >= self.held.lock().0.expires_us
    }
}

/// Locks the file, and clears away what a dead writer left; `None` when somebody else has it.
fn try_lock(directory: &FilePath, lock: &FilePath) -> std::io::Result<Option<std::fs::File>> {
    if let Some(folder) = lock.parent() {
        create_folder(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(lock)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
        Err(std::fs::TryLockError::Error(error)) => return Err(error),
    }
    DurableDirectory::sweep(directory)?;
    Ok(Some(file))
}

async fn put_note(
    store: &dyn ObjectStore,
    location: &Path,
    note: &Note,
    mode: PutMode,
) -> Result<UpdateVersion, object_store::Error> {
    let bytes = serde_json::to_vec(note).expect("a note has only text and numbers");
    store.put_opts(location, bytes.into(), mode.into()).await.map(Into::into)
}

async fn read_note(
    store: &dyn ObjectStore,
    location: &Path,
) -> Result<Option<(Note, UpdateVersion)>> {
    let failed = |source| unavailable("read the lease", source);
    let found = match store.get(location).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let version =
        UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
    let bytes = found.bytes().await.map_err(failed)?;
    let note = serde_json::from_slice(&bytes).map_err(|source| Error::Corrupt {
        message: format!("\"{location}\" in the lake is damaged"),
        source: Some(Box::new(source)),
    })?;
    Ok(Some((note, version)))
}

fn held_by(note: Option<Note>) -> Error {
    let message = match note {
        Some(note) => match chrono::DateTime::from_timestamp_micros(note.since_us) {
            Some(since) => format!(
                "the lake is held by \"{}\" since {}",
                note.owner,
                since.format("%F %T UTC")
            ),
            None => format!("the lake is held by \"{}\"", note.owner),
        },
        None => "the lake is held by another process".into(),
    };
    Error::Conflict {
        message,
        hint: "Stop that process, or use it: one process writes to a lake at a time.".into(),
    }
}

#[cfg(test)]
impl Lease {
    /// Renews a lease on an object store now, as its task does from time to time.
    pub(super) async fn renew_now(&self) {
        if let Hold::Object { renewal, .. } = &self.hold {
            renewal.renew().await;
        }
    }
}
