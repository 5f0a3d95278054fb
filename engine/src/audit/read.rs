//! Reading the log: every segment of every process, folded or not, as one relation.
//!
//! Segments may be folded while they are read. A reader that misses one, or finds a folded one that it had not listed,
//! begins again; and since each statement is taken once, whatever lies both in a segment and in its fold counts once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use uuid::Uuid;

use super::{AuditLog, Class, FOLDER, Line, fold};
use crate::error::{Error, Result};
use crate::tables;

/// How often reading begins again.
const ATTEMPTS_MAX: usize = 16;

impl AuditLog {
    /// Returns the whole log, of all processes, in the layout of [`tables::AUDIT_LOG`], in the order of time.
    pub async fn read(self: &Arc<Self>) -> Result<RecordBatch> {
        self.flush().await?;
        for _ in 0..ATTEMPTS_MAX {
            let listed = self.list().await?;
            let Some(contents) = self.contents(&listed).await? else { continue };
            let known: HashSet<&Path> = listed.iter().map(|object| &object.location).collect();
            let folded_meanwhile = self.list().await?.iter().any(|object| {
                fold::is_folded(&object.location) && !known.contains(&object.location)
            });
            if !folded_meanwhile {
                return as_batch(&contents);
            }
        }
        Err(Error::Unavailable {
            message: "the audit log changes faster than it can be read".into(),
            source: None,
        })
    }

    /// Returns what segments there are, in the order of their names.
    pub(super) async fn list(&self) -> Result<Vec<ObjectMeta>> {
        let listed = self.lake.store().list(Some(&Path::from(FOLDER))).try_collect().await;
        let mut objects: Vec<ObjectMeta> = listed.map_err(|source| Error::Unavailable {
            message: "the audit log cannot be listed".into(),
            source: Some(Box::new(source)),
        })?;
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }

    /// Reads all of `listed`; `None` if one of them is gone, which means that it was folded.
    pub(super) async fn contents(
        &self,
        listed: &[ObjectMeta],
    ) -> Result<Option<Vec<(Path, Bytes)>>> {
        let mut contents = Vec::with_capacity(listed.len());
        for object in listed {
            match self.content(&object.location).await? {
                Some(bytes) => contents.push((object.location.clone(), bytes)),
                None => return Ok(None),
            }
        }
        Ok(Some(contents))
    }

    /// Reads one segment; `None` if it is gone.
    pub(super) async fn content(&self, location: &Path) -> Result<Option<Bytes>> {
        let unreadable = |source| Error::Unavailable {
            message: format!("audit segment \"{location}\" cannot be read"),
            source: Some(Box::new(source)),
        };
        match self.lake.store().get(location).await {
            Ok(object) => object.bytes().await.map(Some).map_err(unreadable),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unreadable(error)),
        }
    }
}

/// Returns the lines of a segment. A last one without its end was never acknowledged.
pub(super) fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"))
}

fn as_batch(contents: &[(Path, Bytes)]) -> Result<RecordBatch> {
    let mut begun = HashMap::new();
    let mut ended = HashMap::new();
    for (location, content) in contents {
        for line in lines(content) {
            let line: Line = serde_json::from_slice(line).map_err(|source| Error::Corrupt {
                message: format!("audit segment \"{location}\" is damaged"),
                source: Some(Box::new(source)),
            })?;
            match line {
                Line::Begin { statement, at, role, purpose, class, relations } => {
                    let texts = [role, purpose, word(class).into(), relations.join(", ")];
                    begun.insert(statement, (at, texts));
                }
                Line::End { statement, status, rows } => {
                    ended.insert(statement, (status, rows));
                }
            }
        }
    }
    let mut begun: Vec<(Uuid, (i64, [String; 4]))> = begun.into_iter().collect();
    begun.sort_by_key(|(statement, (at, _))| (*at, *statement));
    let ends = || begun.iter().map(|(statement, _)| ended.get(statement));
    let times = TimestampMicrosecondArray::from_iter_values(begun.iter().map(|(_, (at, _))| *at));
    let ids = begun.iter().map(|(statement, _)| statement.to_string());
    let text = |column: usize| {
        let values = begun.iter().map(|(_, (_, texts))| texts[column].as_str());
        Arc::new(StringArray::from_iter_values(values)) as ArrayRef
    };
    let statuses = ends().map(|end| end.map_or("started", |(status, _)| status.as_str()));
    let rows: Int64Array = ends().map(|end| end.map(|(_, rows)| *rows as i64)).collect();
    tables::AUDIT_LOG.batch(vec![
        Arc::new(StringArray::from_iter_values(ids)),
        Arc::new(times.with_timezone("UTC")),
        text(0),
        text(1),
        text(2),
        text(3),
        Arc::new(StringArray::from_iter_values(statuses)),
        Arc::new(rows),
    ])
}

fn word(class: Class) -> &'static str {
    match class {
        Class::Read => "read",
        Class::Define => "define",
        Class::Consent => "consent",
        Class::Disclosure => "disclosure",
        Class::Write => "write",
    }
}
