//! The audit log: who read whose data for which purpose, durable before the first row leaves.
//!
//! Each process appends to a segment of its own: on a local lake a file that is synced, on an object store one object for each
//! group of entries. Entries that are waiting at the same time share one sync. A segment holds one line when a
//! statement begins and one when it ends; it never holds a literal of the statement or a value of a person.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::tables;

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
    /// The folder on the local disk, for a lake that lies there.
    local: Option<PathBuf>,
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
    /// Opens a new segment; `local` is the folder of a lake on a local disk.
    pub fn new(lake: Lake, clock: Arc<dyn Clock>, local: Option<PathBuf>) -> Arc<Self> {
        let segment = format!("{:020}-{}", clock.now_us(), Uuid::new_v4().simple());
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

    /// Returns once the line with this number is durable; whoever comes first writes for all that wait.
    async fn sync(&self, number: u64) -> Result<()> {
        let mut file = self.syncing.lock().await;
        let (lines, added) = {
            let mut pending = self.pending.lock();
            if pending.durable >= number {
                return Ok(());
            }
            (std::mem::take(&mut pending.lines), pending.added)
        };
        let written = match &self.local {
            Some(folder) => append_local(&mut file, folder, &self.segment, lines).await,
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
    pub async fn flush(&self) -> Result<()> {
        let number = self.pending.lock().added;
        self.sync(number).await
    }

    /// Returns the whole log, of all processes, in the layout of [`tables::AUDIT_LOG`].
    pub async fn read(&self) -> Result<RecordBatch> {
        self.flush().await?;
        let store = self.lake.store();
        let mut objects: Vec<_> =
            store.list(Some(&Path::from(FOLDER))).try_collect().await.map_err(|source| {
                Error::Unavailable {
                    message: "the audit log cannot be listed".into(),
                    source: Some(Box::new(source)),
                }
            })?;
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        let mut begun = Vec::new();
        let mut ended = std::collections::HashMap::new();
        for object in objects {
            let unreadable = |source| Error::Unavailable {
                message: format!("audit segment \"{}\" cannot be read", object.location),
                source: Some(Box::new(source)),
            };
            let bytes = store
                .get(&object.location)
                .await
                .map_err(unreadable)?
                .bytes()
                .await
                .map_err(unreadable)?;
            // A last line without its end was never acknowledged.
            for line in
                bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"))
            {
                let line: Line = serde_json::from_slice(line).map_err(|source| Error::Corrupt {
                    message: format!("audit segment \"{}\" is damaged", object.location),
                    source: Some(Box::new(source)),
                })?;
                match line {
                    Line::End { statement, status, rows } => {
                        drop(ended.insert(statement, (status, rows)))
                    }
                    begin => begun.push(begin),
                }
            }
        }
        as_batch(begun, &ended)
    }
}

fn as_batch(
    begun: Vec<Line>,
    ended: &std::collections::HashMap<Uuid, (String, u64)>,
) -> Result<RecordBatch> {
    let (mut ids, mut times, mut texts) = (vec![], vec![], [const { Vec::new() }; 5]);
    let mut counts = vec![];
    for line in begun {
        let Line::Begin { statement, at, role, purpose, class, relations } = line else { continue };
        let end = ended.get(&statement);
        ids.push(statement.to_string());
        times.push(at);
        let class = match class {
            Class::Read => "read",
            Class::Define => "define",
            Class::Consent => "consent",
            Class::Disclosure => "disclosure",
        };
        let status = end.map_or("started", |(status, _)| status.as_str());
        for (column, value) in
            texts.iter_mut().zip([role, purpose, class.into(), relations.join(", "), status.into()])
        {
            column.push(value);
        }
        counts.push(end.map(|(_, rows)| *rows as i64));
    }
    let [roles, purposes, classes, relations, statuses] =
        texts.map(|column| Arc::new(StringArray::from(column)) as ArrayRef);
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"));
    let ids: ArrayRef = Arc::new(StringArray::from(ids));
    tables::AUDIT_LOG.batch(vec![
        ids,
        times,
        roles,
        purposes,
        classes,
        relations,
        statuses,
        Arc::new(Int64Array::from(counts)),
    ])
}

async fn append_local(
    file: &mut Option<std::fs::File>,
    folder: &std::path::Path,
    segment: &str,
    lines: Vec<u8>,
) -> std::result::Result<(), (Vec<u8>, Error)> {
    use std::io::Write;
    let opened = file.take();
    let (folder, segment) = (folder.join(FOLDER), segment.to_owned());
    let work = tokio::task::spawn_blocking(move || {
        let write = || -> std::io::Result<std::fs::File> {
            let mut file = match opened {
                Some(file) => file,
                None => open_segment(&folder, &segment)?,
            };
            file.write_all(&lines)?;
            file.sync_data()?;
            Ok(file)
        };
        write().map_err(|error| (lines.clone(), error))
    });
    match work.await {
        Ok(Ok(written)) => {
            *file = Some(written);
            Ok(())
        }
        Ok(Err((lines, error))) => Err((lines, unwritten(Box::new(error)))),
        Err(error) => Err((vec![], unwritten(Box::new(error)))),
    }
}

/// Opens the segment's file, and makes its name durable.
fn open_segment(folder: &std::path::Path, segment: &str) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(format!("{segment}.ndjson"));
    let file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    std::fs::File::open(folder)?.sync_all()?;
    Ok(file)
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
