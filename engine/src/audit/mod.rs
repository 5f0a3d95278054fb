//! The audit log: who read whose data for which purpose, durable before the first row leaves.
//!
//! Each process appends to a segment of its own: on a local lake a file that is synced, on an object store one object for each
//! group of entries. Entries that are waiting at the same time share one sync. A segment holds one line when a
//! statement begins and one when it ends; it never holds a literal of the statement or a value of a person. The lake's
//! upkeep folds segments that nobody appends to any more.

mod fold;
mod read;
mod segment;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::lake::Lake;

/// The folder of the segments.
const FOLDER: &str = "_audit";

/// Bytes of lines that wait for a sync at most; a statement beyond that is refused.
const PENDING_BYTES_MAX: usize = 8 << 20;

/// What kind of act is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Rows of persons were read.
    Read,
    /// An object was defined or dropped, or a refresh was asked for.
    Define,
    /// A consent was recorded.
    Consent,
    /// Rows of persons left.
    Disclosure,
    /// A table or a view of the schema `analytics` was made, changed or dropped.
    Write,
}

/// What is noted when an act begins.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who.
    pub role: String,
    /// What for.
    pub purpose: String,
    /// What.
    pub class: Class,
    /// The relations or objects that it touches.
    pub relations: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    Begin {
        statement: Uuid,
        at: i64,
        role: String,
        purpose: String,
        class: Class,
        relations: Vec<String>,
    },
    End {
        statement: Uuid,
        status: String,
        rows: u64,
    },
}

/// The audit log of one process.
pub struct AuditLog {
    lake: Lake,
    clock: Arc<dyn Clock>,
    /// The folder of the segments, for a lake on a local disk.
    local: Option<PathBuf>,
    /// What the names of objects begin with, for a lake on an object store.
    segment: String,
    objects: AtomicU64,
    pending: Mutex<Pending>,
    syncing: tokio::sync::Mutex<Option<std::fs::File>>,
}

#[derive(Default)]
struct Pending {
    lines: Vec<u8>,
    /// Counts the lines that were ever added.
    added: u64,
    /// Counts the lines that are durable.
    durable: u64,
}

/// A statement that was noted and has not ended. Dropping it notes its end.
pub struct Statement {
    log: Arc<AuditLog>,
    id: Uuid,
    rows: u64,
    failed: bool,
}

impl AuditLog {
    /// Makes the log of a process; its segment is there once something is noted.
    pub fn new(lake: Lake, clock: Arc<dyn Clock>) -> Arc<Self> {
        let local = lake.directory().map(|directory| directory.join(FOLDER));
        let segment = segment::name(&*clock);
        Arc::new(Self {
            lake,
            clock,
            local,
            segment,
            objects: AtomicU64::new(0),
            pending: Mutex::default(),
            syncing: tokio::sync::Mutex::new(None),
        })
    }

    /// Notes that an act begins and returns once that is durable.
    pub async fn begin(self: &Arc<Self>, entry: Entry) -> Result<Statement> {
        let id = Uuid::new_v4();
        let Entry { role, purpose, class, relations } = entry;
        let line =
            Line::Begin { statement: id, at: self.clock.now_us(), role, purpose, class, relations };
        let number = self.add(&line)?;
        self.sync(number).await?;
        Ok(Statement { log: Arc::clone(self), id, rows: 0, failed: false })
    }

    fn add(&self, line: &Line) -> Result<u64> {
        let text = serde_json::to_string(line).map_err(|source| Error::Unavailable {
            message: "an audit entry cannot be written".into(),
            source: Some(Box::new(source)),
        })?;
        let mut pending = self.pending.lock();
        if pending.lines.len() + text.len() > PENDING_BYTES_MAX {
            return Err(Error::Unavailable {
                message: "the audit log is not written fast enough".into(),
                source: None,
            });
        }
        pending.lines.extend_from_slice(text.as_bytes());
        pending.lines.push(b'\n');
        pending.added += 1;
        Ok(pending.added)
    }

    /// Returns once the line with this number is durable; whoever comes first writes for all that wait, to the end even if
    /// it is dropped meanwhile.
    async fn sync(self: &Arc<Self>, number: u64) -> Result<()> {
        let log = Arc::clone(self);
        self.lake.complete(async move { log.sync_in_turn(number).await }).await
    }

    async fn sync_in_turn(&self, number: u64) -> Result<()> {
        let mut file = self.syncing.lock().await;
        let (lines, added) = {
            let mut pending = self.pending.lock();
            if pending.durable >= number {
                return Ok(());
            }
            (std::mem::take(&mut pending.lines), pending.added)
        };
        let written = match &self.local {
            Some(folder) => segment::append(&mut file, folder, &*self.clock, lines).await,
            None => self.put_object(lines).await,
        };
        if let Err((lines, error)) = written {
            // What could not be written waits in front of what came since.
            let mut pending = self.pending.lock();
            let newer = std::mem::replace(&mut pending.lines, lines);
            pending.lines.extend(newer);
            return Err(error);
        }
        self.pending.lock().durable = added;
        Ok(())
    }

    async fn put_object(&self, lines: Vec<u8>) -> std::result::Result<(), (Vec<u8>, Error)> {
        let number = self.objects.fetch_add(1, Ordering::Relaxed);
        let path = Path::from(format!("{FOLDER}/{}-{number:010}.ndjson", self.segment));
        let payload = PutPayload::from_bytes(Bytes::from(lines.clone()));
        match self.lake.store().put(&path, payload).await {
            Ok(_) => Ok(()),
            Err(source) => Err((lines, unwritten(Box::new(source)))),
        }
    }

    /// Writes what waits, such as the ends of statements.
    pub async fn flush(self: &Arc<Self>) -> Result<()> {
        let number = self.pending.lock().added;
        self.sync(number).await
    }
}

fn unwritten(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Unavailable {
        message: "the audit log cannot be written, so no row may leave".into(),
        source: Some(source),
    }
}

impl Statement {
    /// Notes how many rows left so far.
    pub fn rows(&mut self, rows: u64) {
        self.rows = rows;
    }

    /// Notes that it failed.
    pub fn failed(&mut self) {
        self.failed = true;
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        let status = if self.failed { "failed" } else { "ended" };
        let line = Line::End { statement: self.id, status: status.into(), rows: self.rows };
        // The end waits for the next sync: that the statement ran is durable already.
        if let Err(error) = self.log.add(&line) {
            tracing::warn!(%error, "the end of an audited statement was not noted");
        }
    }
}
