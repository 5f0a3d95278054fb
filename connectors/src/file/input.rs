//! Bytes of a file, decompressed, behind a buffer that counts where it is; and the lines in them.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use memchr::memchr;

use super::ROW_BYTES_MAX;
use super::root::Found;
use crate::contract::Rejection;
use crate::error::{Error, Result};

/// How much is read from a file at once.
const READ_BYTES: usize = 256 << 10;

/// How a file is compressed, by the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    pub(super) fn of(name: &str) -> Compression {
        match Path::new(name).extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Compression::Gzip,
            Some("zst") => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

/// A file that is being read, and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// The source.
    pub(super) source: Arc<str>,
    /// The file, relative to the root.
    pub(super) file: Arc<str>,
    /// Where it is.
    pub(super) path: Arc<Path>,
    /// What it is known by, whatever its name is now.
    pub(super) id: Arc<str>,
}

impl Origin {
    pub(super) fn new(source: &Arc<str>, found: &Found) -> Origin {
        Origin {
            source: Arc::clone(source),
            file: found.name.as_str().into(),
            path: found.path.as_path().into(),
            id: found.name.as_str().into(),
        }
    }

    /// Opens the file; an unreadable one is an error, never skipped.
    pub(super) fn open(&self) -> Result<(File, Stat)> {
        let file = File::open(&self.path).map_err(|error| self.refused(error))?;
        let metadata = file.metadata().map_err(|error| self.refused(error))?;
        let modified_ns = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
        Ok((file, Stat { size: metadata.len(), modified_ns, inode: metadata.ino() }))
    }

    /// Returns the error for what the system refused.
    pub(super) fn refused(&self, error: io::Error) -> Error {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "Give the user that runs onefold access to it.",
            io::ErrorKind::NotFound => "It was there a moment ago: run the refresh again.",
            _ => "See what the system said.",
        };
        self.unusable(hint, Some(error))
    }

    /// Returns an error about the file as a whole.
    pub(super) fn unusable(&self, hint: &str, source: Option<io::Error>) -> Error {
        Error::File {
            connector: "source",
            name: self.source.to_string(),
            path: PathBuf::from(&*self.file),
            hint: hint.to_owned(),
            source,
        }
    }

    /// Returns the error for a damaged container.
    pub(super) fn damaged(
        &self,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::Damaged {
            name: self.source.to_string(),
            path: PathBuf::from(&*self.file),
            source: error.into(),
        }
    }
}

/// What tells one version of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) size: u64,
    pub(super) modified_ns: i64,
    /// Which file it is on its disk: it stays when the file is renamed.
    pub(super) inode: u64,
}

enum Bytes {
    /// A plain file, read up to the size that it had when it was opened.
    Plain {
        file: File,
        left: u64,
        size: u64,
    },
    Coded(Box<dyn Read + Send>),
}

/// A buffered, counted stream of decompressed bytes.
pub(super) struct Input {
    pub(super) origin: Origin,
    pub(super) stat: Stat,
    bytes: Bytes,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where `start` is in the decompressed stream.
    offset: u64,
}

impl Input {
    /// Opens a text file and steps over its byte order mark.
    pub(super) fn open(origin: &Origin) -> Result<Input> {
        Input::open_until(origin, u64::MAX)
    }

    /// Opens a text file as if a plain one ended at `end`.
    pub(super) fn open_until(origin: &Origin, end: u64) -> Result<Input> {
        let (file, stat) = origin.open()?;
        let bytes = match Compression::of(&origin.file) {
            Compression::None => {
                let size = stat.size.min(end);
                Bytes::Plain { file, left: size, size }
            }
            Compression::Gzip => {
                let reader = BufReader::with_capacity(READ_BYTES, file);
                Bytes::Coded(Box::new(MultiGzDecoder::new(reader)))
            }
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::new(file);
                Bytes::Coded(Box::new(decoder.map_err(|error| origin.damaged(error))?))
            }
        };
        let buffer = vec![0; READ_BYTES];
        let mut input =
            Input { origin: origin.clone(), stat, bytes, buffer, start: 0, end: 0, offset: 0 };
        while input.bytes().len() < 3 && input.fill()? {}
        match input.bytes() {
            [0xEF, 0xBB, 0xBF, ..] => input.consume(3),
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
                return Err(origin.unusable("It is UTF-16. Convert it to UTF-8.", None));
            }
            _ => {}
        }
        Ok(input)
    }

    /// Tells whether the file may grow at its end, which a compressed one cannot.
    pub(super) fn appendable(&self) -> bool {
        matches!(self.bytes, Bytes::Plain { .. })
    }

    /// Returns the file that is read if its bytes are read as they are.
    pub(super) fn plain_file(&self) -> Option<&File> {
        match &self.bytes {
            Bytes::Plain { file, .. } => Some(file),
            Bytes::Coded(_) => None,
        }
    }

    /// Returns the bytes that are buffered.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Returns where the first buffered byte is in the decompressed stream.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Steps over `count` buffered bytes.
    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        self.offset += count as u64;
    }

    /// Reads more behind the buffered bytes; answers `false` at the end.
    pub(super) fn fill(&mut self) -> Result<bool> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let room = &mut self.buffer[self.end..];
        let count = match &mut self.bytes {
            Bytes::Plain { file, left, .. } => {
                let room_len = room.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                let count = read_some(file, &mut room[..room_len]);
                let count = count.map_err(|error| self.origin.refused(error))?;
                *left -= count as u64;
                count
            }
            Bytes::Coded(reader) => {
                read_some(reader, room).map_err(|error| self.origin.damaged(error))?
            }
        };
        self.end += count;
        Ok(count > 0)
    }

    /// Goes back to `offset` of the decompressed stream, which was read before.
    pub(super) fn go_back(&mut self, offset: u64) -> Result<()> {
        match &mut self.bytes {
            Bytes::Plain { file, left, size } => {
                let seek = file.seek(SeekFrom::Start(offset));
                seek.map_err(|error| self.origin.refused(error))?;
                *left = *size - offset;
                (self.start, self.end, self.offset) = (0, 0, offset);
            }
            Bytes::Coded(_) => {
                // What the file was when it was first opened stays: if it is another one now, it is read anew next time.
                *self = Input { stat: self.stat, ..Input::open(&self.origin.clone())? };
                self.skip_to(offset)?;
            }
        }
        Ok(())
    }

    /// Goes forward to `offset` of the decompressed stream, or to the end.
    pub(super) fn skip_to(&mut self, offset: u64) -> Result<()> {
        while self.offset < offset {
            let step = usize::try_from(offset - self.offset).unwrap_or(usize::MAX);
            let step = step.min(self.bytes().len());
            self.consume(step);
            if self.offset == offset {
                break;
            }
            if let Bytes::Plain { file, left, size } = &mut self.bytes {
                let target = offset.min(*size);
                let seek = file.seek(SeekFrom::Start(target));
                seek.map_err(|error| self.origin.refused(error))?;
                *left = *size - target;
                self.offset = target;
                break;
            }
            if !self.fill()? {
                break;
            }
        }
        Ok(())
    }
}

fn read_some(reader: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// The lines of an input, by their number.
pub(super) struct Lines {
    pub(super) input: Input,
    /// The number of the line at `offset`.
    number: u64,
    /// Bytes of the line that was handed out last, its terminator included.
    taken: usize,
    taken_lines: u64,
    oversized: Vec<u8>,
}

/// One line.
pub(super) struct Line<'a> {
    /// The line without its terminator; its beginning only when it is not `whole`.
    pub(super) bytes: &'a [u8],
    /// From 1.
    pub(super) number: u64,
    /// Whether a line feed follows; without one it may still grow.
    pub(super) terminated: bool,
    /// Whether it is at most [`ROW_BYTES_MAX`] long.
    pub(super) whole: bool,
}

impl Lines {
    /// Starts at `offset`, where the line with the given number begins.
    pub(super) fn open(origin: &Origin, offset: u64, number: u64) -> Result<Lines> {
        let mut input = Input::open(origin)?;
        input.skip_to(offset)?;
        Ok(Lines { input, number, taken: 0, taken_lines: 0, oversized: Vec::new() })
    }

    /// Returns the position behind the line that was handed out last: its offset, and the number of the line there.
    pub(super) fn at(&self) -> (u64, u64) {
        (self.input.offset() + self.taken as u64, self.number + self.taken_lines)
    }

    /// Stays before the line that was handed out last.
    pub(super) fn unread(&mut self) {
        self.taken = 0;
        self.taken_lines = 0;
    }

    /// Returns the next line, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>> {
        self.input.consume(std::mem::take(&mut self.taken));
        self.number += std::mem::take(&mut self.taken_lines);
        let mut seen = 0;
        let length = loop {
            let bytes = self.input.bytes();
            if let Some(index) = memchr(b'\n', &bytes[seen..]) {
                self.taken_lines = 1;
                break seen + index;
            }
            seen = bytes.len();
            if seen >= ROW_BYTES_MAX {
                return self.skip_oversized().map(Some);
            }
            if !self.input.fill()? {
                if seen == 0 {
                    return Ok(None);
                }
                break seen;
            }
        };
        let terminated = self.taken_lines == 1;
        self.taken = length + usize::from(terminated);
        let bytes = &self.input.bytes()[..length];
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Ok(Some(Line { bytes, number: self.number, terminated, whole: true }))
    }

    fn skip_oversized(&mut self) -> Result<Line<'_>> {
        self.oversized = self.input.bytes()[..Rejection::RAW_BYTES_MAX].to_vec();
        loop {
            let bytes = self.input.bytes();
            let length = bytes.len();
            if let Some(index) = memchr(b'\n', bytes) {
                self.taken = index + 1;
                self.taken_lines = 1;
                break;
            }
            self.input.consume(length);
            if !self.input.fill()? {
                break;
            }
        }
        let terminated = self.taken_lines == 1;
        Ok(Line { bytes: &self.oversized, number: self.number, terminated, whole: false })
    }
}
