//! The audit log: who read whose data for which purpose, durable before the first row leaves.
//!
//! Each process appends to a segment of its own: on a local lake a file that is synced, on an object store one object for each
//! group of entries. Entries that are waiting at the same time share one sync, and a read that repeats one which is
//! durable since less than [`COVER_US`] waits for none. A segment holds one line when a statement begins and one when it
//! ends; it never holds a literal of the statement or a value of a person. The lake's upkeep folds segments that nobody
//! appends to any more.

mod fold;
mod read;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::lake::Lake;

/// The folder of the segments.
const FOLDER: &str = "_audit";

/// Bytes of lines that wait for a sync at most; a statement beyond that is refused.
const PENDING_BYTES_MAX: usize = 8 << 20;

/// How long a durable line that tells of a read stands for others like it, in microseconds: of the same role, for the
/// same purpose, of the same relations. Each of them has a line of its own besides, which is with the kernel before its
/// rows leave; only a loss of power can take those of the last moments, and then the one that is there tells of them.
pub const COVER_US: i64 = 1_000_000;

/// Kinds of reads that are remembered at a time; beyond that, those whose cover is over are forgotten.
const COVERED_MAX: usize = 1_024;

/// What kind of act is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Rows of persons were read.
    Read,
    /// An object was defined or dropped, a refresh was asked for, or somebody decided who is who.
    Define,
    /// A consent was recorded.
    Consent,
    /// Rows of persons left.
    Disclosure,
    /// A table or a view of the schema `analytics` was made, changed or dropped.
    Write,
}

/// What is noted when an act begins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// The segment of this process, for a lake on a local disk.
    local: Option<Local>,
    /// What the names of objects begin with, for a lake on an object store.
    segment: String,
    objects: AtomicU64,
    pending: Mutex<Pending>,
    syncing: tokio::sync::Mutex<()>,
    /// Whether a sync was started that nobody waits for.
    renewing: AtomicBool,
    /// Where lines are written: not where a heavy statement runs that waits for them, since others wait, too.
    runtime: Handle,
}

/// Where a process writes on a local disk.
struct Local {
    /// The folder of the segments.
    folder: PathBuf,
    /// The segment, once there is one. Whoever holds this is the one that writes to it; a sync need not hold it.
    open: Mutex<Option<Arc<File>>>,
}

#[derive(Default)]
struct Pending {
    /// Lines that were not written.
    lines: Vec<u8>,
    /// Lines that were written and may not be durable. If the disk fails, they are written again.
    written: Vec<u8>,
    /// Counts the lines that were ever added.
    added: u64,
    /// Counts the lines that are durable.
    durable: u64,
    /// What was begun since the last sync, and when last.
    begun: HashMap<Arc<Entry>, i64>,
    /// When that which is durable tells last of an entry like this.
    covered: HashMap<Arc<Entry>, i64>,
    /// Counts the segments that were given up.
    given_up: u64,
}

/// A statement that was noted and has not ended. Dropping it notes its end.
pub struct Statement {
    log: Arc<AuditLog>,
    id: Uuid,
    rows: u64,
    failed: bool,
}

impl AuditLog {
    /// Makes the log of a process, which writes on the runtime that this is called on; its segment is there once something
    /// is noted.
    pub fn new(lake: Lake, clock: Arc<dyn Clock>) -> Arc<Self> {
        let folder = lake.directory().map(|directory| directory.join(FOLDER));
        let segment = segment::name(&*clock);
        Arc::new(Self {
            lake,
            clock,
            local: folder.map(|folder| Local { folder, open: Mutex::default() }),
            segment,
            objects: AtomicU64::new(0),
            pending: Mutex::default(),
            syncing: tokio::sync::Mutex::new(()),
            renewing: AtomicBool::new(false),
            runtime: Handle::current(),
        })
    }

    /// Notes that an act begins and returns once that is durable, or, for a read, once it is [covered](COVER_US).
    pub async fn begin(self: &Arc<Self>, entry: Entry) -> Result<Statement> {
        let entry = Arc::new(entry);
        if let Some(statement) = self.begin_covered(&entry) {
            return Ok(statement);
        }
        let (statement, line) = self.line_of(&entry);
        let number = self.add(&line, Some(&entry))?;
        self.sync(number).await?;
        Ok(statement)
    }

    /// Notes a read at once, if the same role was noted to read the same for the same purpose a moment ago, durably.
    ///
    /// The line is with the kernel when this returns, so that it outlives the process; what a loss of power may take of
    /// it, the durable line tells: it stands for all reads like it until [`COVER_US`] later.
    pub(crate) fn begin_covered(self: &Arc<Self>, entry: &Arc<Entry>) -> Option<Statement> {
        let local = self.local.as_ref().filter(|_| entry.class == Class::Read)?;
        let age = {
            let pending = self.pending.lock();
            self.clock.now_us() - pending.covered.get(entry)?
        };
        if !(0..COVER_US).contains(&age) {
            return None;
        }
        let mut open = local.open.lock();
        let file = Arc::clone(open.as_ref()?);
        let (statement, line) = self.line_of(entry);
        self.add(&line, Some(entry)).ok()?;
        let lines = std::mem::take(&mut self.pending.lock().lines);
        let mut writer: &File = &file;
        let written = writer.write_all(&lines);
        self.pending.lock().written.extend_from_slice(&lines);
        if written.is_err() {
            // It may end in half a line. The lines go to another one, which the caller waits for.
            self.give_up(&mut open);
            return None;
        }
        drop(open);
        if age > COVER_US / 2 {
            self.renew();
        }
        Some(statement)
    }

    /// Starts a sync before what is durable is too old, so that nobody has to wait for one.
    fn renew(self: &Arc<Self>) {
        if self.renewing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (log, number) = (Arc::clone(self), self.pending.lock().added);
        let renewal = async move {
            let synced = log.sync_in_turn(number).await;
            log.renewing.store(false, Ordering::Release);
            if let Err(error) = &synced {
                let error = error.without_values();
                tracing::warn!(error, "the audit log is not written; who reads next waits for it");
            }
            synced
        };
        // Nobody waits for it, but the lake is not given back before it has ended.
        drop(self.lake.start(&self.runtime, renewal));
    }

    fn line_of(self: &Arc<Self>, entry: &Entry) -> (Statement, Line) {
        let id = Uuid::new_v4();
        let Entry { role, purpose, class, relations } = entry.clone();
        let line =
            Line::Begin { statement: id, at: self.clock.now_us(), role, purpose, class, relations };
        (Statement { log: Arc::clone(self), id, rows: 0, failed: false }, line)
    }

    /// Adds a line, which tells that `begun` begins if there is such.
    fn add(&self, line: &Line, begun: Option<&Arc<Entry>>) -> Result<u64> {
        let text = serde_json::to_string(line).map_err(|source| Error::Unavailable {
            message: "an audit entry cannot be written".into(),
            source: Some(Box::new(source)),
        })?;
        let mut pending = self.pending.lock();
        if pending.lines.len() + pending.written.len() + text.len() > PENDING_BYTES_MAX {
            return Err(Error::Unavailable {
                message: "the audit log is not written fast enough".into(),
                source: None,
            });
        }
        pending.lines.extend_from_slice(text.as_bytes());
        pending.lines.push(b'\n');
        pending.added += 1;
        if let (Some(entry), Line::Begin { at, .. }) = (begun, line) {
            pending.begun.insert(Arc::clone(entry), *at);
        }
        Ok(pending.added)
    }

    /// Returns once the line with this number is durable; whoever comes first writes for all that wait, to the end even if
    /// it is dropped meanwhile.
    async fn sync(self: &Arc<Self>, number: u64) -> Result<()> {
        let log = Arc::clone(self);
        let synced = self.lake.start(&self.runtime, async move { log.sync_in_turn(number).await });
        synced.await.map_err(|error| unwritten(Box::new(error)))?
    }

    async fn sync_in_turn(self: &Arc<Self>, number: u64) -> Result<()> {
        let _turn = self.syncing.lock().await;
        if self.pending.lock().durable >= number {
            return Ok(());
        }
        if self.local.is_none() {
            return self.put_pending().await;
        }
        let log = Arc::clone(self);
        match tokio::task::spawn_blocking(move || log.write_durably()).await {
            Ok(written) => written.map_err(|error| unwritten(Box::new(error))),
            Err(error) => Err(unwritten(Box::new(error))),
        }
    }

    /// Writes what waits to the segment, and syncs it. After a failure the segment is given up, with what half a line it
    /// may end in, and the next lines go to another: the lines wait to be written again.
    fn write_durably(&self) -> std::io::Result<()> {
        let Some(local) = &self.local else { return Ok(()) };
        let mut open = local.open.lock();
        let (lines, added, begun) = {
            let mut pending = self.pending.lock();
            let lines = std::mem::take(&mut pending.lines);
            // Whatever becomes of them now, they are no longer only in memory.
            pending.written.extend_from_slice(&lines);
            (lines, pending.added, std::mem::take(&mut pending.begun))
        };
        let written = match open.as_ref() {
            Some(segment) => Ok(Arc::clone(segment)),
            None => segment::create(&local.folder, &*self.clock).map(Arc::new),
        };
        let written = written.and_then(|segment| {
            let mut writer: &File = &segment;
            writer.write_all(&lines).map(|()| segment)
        });
        let segment = match written {
            Ok(segment) => segment,
            Err(error) => {
                self.give_up(&mut open);
                self.pending.lock().begun.extend(begun);
                return Err(error);
            }
        };
        *open = Some(Arc::clone(&segment));
        let (synced_bytes, given_up) = {
            let pending = self.pending.lock();
            (pending.written.len(), pending.given_up)
        };
        drop(open);
        // Others write on meanwhile.
        if let Err(error) = segment.sync_data() {
            self.give_up(&mut local.open.lock());
            self.pending.lock().begun.extend(begun);
            return Err(error);
        }
        let mut pending = self.pending.lock();
        pending.durable = added;
        if pending.given_up == given_up {
            pending.written.drain(..synced_bytes);
        }
        pending.cover(begun);
        Ok(())
    }

    /// Gives up the open segment: what may not be durable there is to be written again.
    fn give_up(&self, open: &mut Option<Arc<File>>) {
        *open = None;
        let mut pending = self.pending.lock();
        let newer = std::mem::take(&mut pending.lines);
        pending.lines = std::mem::take(&mut pending.written);
        pending.lines.extend(newer);
        pending.given_up += 1;
    }

    async fn put_pending(&self) -> Result<()> {
        let (lines, added) = {
            let mut pending = self.pending.lock();
            (std::mem::take(&mut pending.lines), pending.added)
        };
        if let Err((lines, error)) = self.put_object(lines).await {
            // What could not be written waits in front of what came since.
            let mut pending = self.pending.lock();
            let newer = std::mem::replace(&mut pending.lines, lines);
            pending.lines.extend(newer);
            return Err(error);
        }
        let mut pending = self.pending.lock();
        pending.durable = added;
        pending.begun.clear();
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

impl Pending {
    /// Takes note of what a sync has made durable.
    fn cover(&mut self, begun: HashMap<Arc<Entry>, i64>) {
        let newest = begun.values().copied().max().unwrap_or(0);
        self.covered.extend(begun);
        if self.covered.len() > COVERED_MAX {
            self.covered.retain(|_, at| *at > newest - COVER_US);
        }
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
        if let Err(error) = self.log.add(&line, None) {
            tracing::warn!(%error, "the end of an audited statement was not noted");
        }
    }
}
