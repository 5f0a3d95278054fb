//! How far each file was read: the content of a file source's cursor.
//!
//! A file is unchanged when its size and time of modification are; it has only grown when, besides, the first and the
//! last [`HASHED_BYTES`] of what was read are still the same bytes. Everything else is read anew from its beginning.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::input::{Origin, Stat};
use crate::contract::{Cursor, Format};
use crate::error::Result;

/// How much of a file's read part is hashed at its beginning and at its end. Hashing all of it would make each append
/// to a log cost a read of the whole log; a rewrite in the middle of a file that also grows is not seen.
const HASHED_BYTES: u64 = 64 << 10;

/// The marks of a source's files, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Marks {
    pub(super) files: BTreeMap<String, Mark>,
}

impl Marks {
    /// Reads a cursor; the default one holds no file.
    pub(super) fn of(cursor: &Cursor) -> Result<Marks, serde_json::Error> {
        match cursor.0.is_null() {
            true => Ok(Marks::default()),
            false => Marks::deserialize(&cursor.0),
        }
    }

    /// Writes the cursor.
    pub(super) fn cursor(&self) -> Cursor {
        Cursor(serde_json::to_value(self).expect("maps with text keys, numbers and texts are JSON"))
    }
}

/// How far one file was read, and which version of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Mark {
    size: u64,
    modified_ns: i64,
    /// Everything that was there has been read.
    done: bool,
    at: At,
    /// SHA-256 of the first and of the last bytes before `offset`; absent for files that cannot grow.
    prefix_sha256: Option<String>,
    suffix_sha256: Option<String>,
}

/// A position within a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct At {
    /// Bytes read, after decompression; 0 for Parquet.
    pub(super) offset: u64,
    /// The number of the line at `offset`; rows read for Parquet.
    pub(super) line: u64,
    /// A row before `offset` that was not complete: if the file grows it is read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) open: Option<OpenRow>,
}

impl At {
    /// The beginning of a file.
    pub(super) const START: At = At { offset: 0, line: 1, open: None };
    /// The beginning of a file that counts rows.
    pub(super) const ROW_ZERO: At = At { offset: 0, line: 0, open: None };
}

/// A row that ended with the file and not with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenRow {
    /// Where it begins.
    pub(super) offset: u64,
    /// On which line.
    pub(super) line: u64,
    /// Whether its quotes were balanced: then it counts as read if a line end is what follows.
    pub(super) balanced: bool,
}

impl Mark {
    /// Marks a file as read up to `at`. `plain` is the file that was read, if its bytes are read as they are: under its
    /// name may lie another one meanwhile.
    pub(super) fn new(
        origin: &Origin,
        plain: Option<&File>,
        stat: Stat,
        at: At,
        done: bool,
    ) -> Result<Mark> {
        let mut mark = Mark {
            size: stat.size,
            modified_ns: stat.modified_ns,
            done,
            at,
            prefix_sha256: None,
            suffix_sha256: None,
        };
        if let Some(file) = plain.filter(|_| at.offset > 0) {
            let hashes = ends_sha256(file, at.offset).map_err(|error| origin.refused(error))?;
            (mark.prefix_sha256, mark.suffix_sha256) = (Some(hashes.0), Some(hashes.1));
        }
        Ok(mark)
    }

    /// Returns where to go on, or `None` if there is nothing new.
    pub(super) fn resume(&self, origin: &Origin, format: Format) -> Result<Option<At>> {
        let (file, stat) = origin.open()?;
        if (stat.size, stat.modified_ns) == (self.size, self.modified_ns) {
            return Ok((!self.done).then_some(self.at));
        }
        if self.only_grew(origin, &file, stat)? {
            return self.at.behind_open_row(&file).map(Some).map_err(|error| origin.refused(error));
        }
        Ok(Some(start_of(format)))
    }

    fn only_grew(&self, origin: &Origin, file: &File, stat: Stat) -> Result<bool> {
        Ok(stat.size > self.size && self.begins(origin, Some(file), stat)?)
    }

    /// Tells whether what was read is the beginning of a file that was opened, which is `plain` if its bytes are read as
    /// they are. Of other files only an unchanged one is known to begin alike.
    pub(super) fn begins(&self, origin: &Origin, plain: Option<&File>, stat: Stat) -> Result<bool> {
        let (Some(file), Some(prefix), Some(suffix)) =
            (plain, &self.prefix_sha256, &self.suffix_sha256)
        else {
            return Ok((stat.size, stat.modified_ns) == (self.size, self.modified_ns));
        };
        if stat.size < self.at.offset {
            return Ok(false);
        }
        let hashes = ends_sha256(file, self.at.offset).map_err(|error| origin.refused(error))?;
        Ok(&hashes.0 == prefix && &hashes.1 == suffix)
    }
}

impl At {
    /// Steps back over a row that has grown since it was read.
    fn behind_open_row(self, file: &File) -> io::Result<At> {
        let Some(row) = self.open else { return Ok(self) };
        let mut next = [0];
        file.read_exact_at(&mut next, self.offset)?;
        match row.balanced && matches!(next[0], b'\n' | b'\r') {
            true => Ok(At { open: None, ..self }),
            false => Ok(At { offset: row.offset, line: row.line, open: None }),
        }
    }
}

/// Returns the beginning of a file.
pub(super) fn start_of(format: Format) -> At {
    match format {
        Format::Parquet => At::ROW_ZERO,
        Format::Csv | Format::Ndjson | Format::Segment => At::START,
    }
}

/// Hashes the first and the last bytes of the first `length` bytes.
fn ends_sha256(file: &File, length: u64) -> io::Result<(String, String)> {
    let count = length.min(HASHED_BYTES);
    let mut bytes = vec![0; usize::try_from(count).expect("at most HASHED_BYTES")];
    file.read_exact_at(&mut bytes, 0)?;
    let prefix = hex::encode(Sha256::digest(&bytes));
    file.read_exact_at(&mut bytes, length - count)?;
    let suffix = hex::encode(Sha256::digest(&bytes));
    Ok((prefix, suffix))
}
