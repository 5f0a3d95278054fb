//! How far each file was read: the content of a file source's cursor.
//!
//! A file is unchanged when its size and time of modification are; it has only grown when, besides, the first and the
//! last [`HASHED_BYTES`] of what was read are still the same bytes. Everything else is read anew from its beginning, unless
//! it is another file that was [renamed](super::renamed).

use std::collections::{BTreeMap, BTreeSet};
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
    /// Names that files were read under which have other names now, and which no other file has had since.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) left: BTreeSet<String>,
    /// How many files came under a name that another one had left.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) followers: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Marks {
    /// Returns every name that a file was read under.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> + Clone {
        self.files.keys().chain(&self.left)
    }

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
    pub(super) modified_ns: i64,
    /// Which file it was; absent in marks of earlier versions of onefold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) inode: Option<u64>,
    /// What the file is known by, if that is not its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// Everything that was there has been read.
    done: bool,
    pub(super) at: At,
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
    const ROW_ZERO: At = At { offset: 0, line: 0, open: None };
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
            inode: Some(stat.inode),
            id: (origin.id != origin.file).then(|| origin.id.to_string()),
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

    /// Tells what became of the file since.
    pub(super) fn standing(&self, origin: &Origin, file: &File, stat: Stat) -> Result<Standing> {
        let same = (stat.size, stat.modified_ns) == (self.size, self.modified_ns)
            && (!self.is_other(stat) || self.begins(origin, Some(file), stat)?);
        match same || self.only_grew(origin, file, stat)? {
            true => self.goes_on(origin, file, stat),
            false => Ok(Standing::Replaced),
        }
    }

    /// Tells what is new in a file that begins with what was read.
    pub(super) fn goes_on(&self, origin: &Origin, file: &File, stat: Stat) -> Result<Standing> {
        Ok(match stat.size == self.size {
            true if self.done => Standing::Unchanged,
            true => Standing::GoesOn(Start::at(self.at)),
            false => {
                let start = self.at.behind_open_row(file);
                Standing::GoesOn(start.map_err(|error| origin.refused(error))?)
            }
        })
    }

    /// Tells whether a file is surely not the one that was read, but may be a copy of it.
    pub(super) fn is_other(&self, stat: Stat) -> bool {
        self.inode.is_some_and(|inode| inode != stat.inode)
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

/// What became of a file since it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Unchanged,
    /// What was read is there, and more of it.
    GoesOn(Start),
    /// Under its name lies something else.
    Replaced,
}

/// Where to begin to read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) at: At,
    /// Where the row at `at` ended when it was taken for whole, if it has grown since.
    pub(super) taken_until: Option<u64>,
}

impl Start {
    pub(super) fn at(at: At) -> Start {
        Start { at, taken_until: None }
    }
}

impl At {
    /// Steps back over a row that has grown since it was read.
    fn behind_open_row(self, file: &File) -> io::Result<Start> {
        let Some(row) = self.open else { return Ok(Start::at(self)) };
        let mut next = [0];
        file.read_exact_at(&mut next, self.offset)?;
        if row.balanced && matches!(next[0], b'\n' | b'\r') {
            return Ok(Start::at(At { open: None, ..self }));
        }
        let at = At { offset: row.offset, line: row.line, open: None };
        Ok(Start { at, taken_until: row.balanced.then_some(self.offset) })
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
