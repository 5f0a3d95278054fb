//! Folding: many small segments of processes that have ended become one.
//!
//! ```text
//!  closed segments, locked -> one folded segment, durable -> segments removed
//! ```
//!
//! A crash in between leaves lines in two places. Readers take each statement once, and the next fold takes each line
//! once, so that no line is lost and none counts twice. On an object store every segment is an object that is never
//! written again, so each may be folded, whether its process goes on or not.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path as FilePath;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, PutMode, PutPayload};

use super::{AuditLog, FOLDER, read, segment};
use crate::error::{Error, Result};

/// How many segments may wait to be folded.
const SEGMENTS_WAITING_MAX: usize = 16;

/// How many segments are held open and folded at a time.
const SEGMENTS_AT_A_TIME: usize = 256;

/// A segment of so many bytes stays as it is, and a fold takes no more when it has so many.
const SEGMENT_BYTES: u64 = 8 << 20;

/// How the name of a folded segment ends.
const FOLDED: &str = "-folded.ndjson";

/// Tells whether a segment was made by folding others.
pub(super) fn is_folded(location: &Path) -> bool {
    location.filename().is_some_and(|name| name.ends_with(FOLDED))
}

/// Segments that nobody appends to, and that nobody can take for their own while this lives.
pub(super) struct Closed {
    pub(super) segments: Vec<Path>,
    #[expect(dead_code, reason = "they are held, not used")]
    locks: Vec<File>,
}

impl AuditLog {
    /// Folds small segments that nobody appends to any more, if there are many; returns how many were folded. For the
    /// process that holds the lake's lease.
    pub(crate) async fn fold(&self) -> Result<usize> {
        let closed = self.closed().await?;
        if closed.segments.len() <= SEGMENTS_WAITING_MAX {
            return Ok(0);
        }
        self.write_fold(&closed).await?;
        self.remove(&closed).await?;
        Ok(closed.segments.len())
    }

    /// Returns small segments that are closed, the oldest first, no more than one fold takes.
    pub(super) async fn closed(&self) -> Result<Closed> {
        let mut bytes = 0;
        let small = self.list().await?.into_iter().filter(|object| object.size < SEGMENT_BYTES);
        let segments: Vec<ObjectMeta> = small
            .take(SEGMENTS_AT_A_TIME)
            .take_while(|object| {
                let room = bytes < SEGMENT_BYTES;
                bytes += object.size;
                room
            })
            .collect();
        let locations = segments.into_iter().map(|object| object.location).collect();
        let Some(folder) = self.local.as_ref().map(|local| local.folder.clone()) else {
            return Ok(Closed { segments: locations, locks: vec![] });
        };
        let locked = tokio::task::spawn_blocking(move || locked(&folder, locations)).await;
        locked.map_err(std::io::Error::other).and_then(|closed| closed).map_err(|source| {
            Error::Unavailable {
                message: "the segments of the audit log cannot be locked".into(),
                source: Some(Box::new(source)),
            }
        })
    }

    /// Writes one segment that holds every line of `closed`, each once, and returns when it is durable.
    pub(super) async fn write_fold(&self, closed: &Closed) -> Result<()> {
        let mut contents = Vec::with_capacity(closed.segments.len());
        for location in &closed.segments {
            contents.extend(self.content(location).await?);
        }
        let mut taken = HashSet::new();
        let mut folded: Vec<u8> = Vec::new();
        for line in contents.iter().flat_map(|content| read::lines(content)) {
            if taken.insert(line) {
                folded.extend_from_slice(line);
            }
        }
        let path = Path::from(format!("{FOLDER}/{}{FOLDED}", segment::name(&*self.clock)));
        let payload = PutPayload::from_bytes(Bytes::from(folded));
        let put = self.lake.store().put_opts(&path, payload, PutMode::Create.into()).await;
        put.map(drop).map_err(|source| Error::Unavailable {
            message: format!("audit segment \"{path}\" cannot be written"),
            source: Some(Box::new(source)),
        })
    }

    /// Removes segments whose lines lie in a folded one.
    pub(super) async fn remove(&self, closed: &Closed) -> Result<()> {
        let locations = futures::stream::iter(closed.segments.clone().into_iter().map(Ok)).boxed();
        let removed: Result<Vec<Path>, _> =
            self.lake.store().delete_stream(locations).try_collect().await;
        removed.map(drop).map_err(|source| Error::Unavailable {
            message: "folded segments of the audit log cannot be removed".into(),
            source: Some(Box::new(source)),
        })
    }
}

/// Locks those segments that no process holds.
fn locked(folder: &FilePath, locations: Vec<Path>) -> std::io::Result<Closed> {
    let (mut segments, mut locks) = (vec![], vec![]);
    for location in locations {
        let Some(name) = location.filename() else { continue };
        let file = match File::open(folder.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if segment::lock(&file)? {
            locks.push(file);
            segments.push(location);
        }
    }
    Ok(Closed { segments, locks })
}
