//! The rows of a CSV text, one after the other: the bounds of each, its fields, and the line that it begins on.

use std::collections::HashSet;

use csv_core::ReadRecordResult;
use memchr::{memchr, memchr_iter, memchr2};

use super::super::ROW_BYTES_MAX;
use super::super::input::{Input, Origin};
use super::super::mark::{At, OpenRow};
use crate::contract::Rejection;
use crate::error::{Error, Result};

/// The rows of a CSV text.
pub(super) struct Rows {
    pub(super) input: Input,
    grammar: csv_core::Reader,
    /// The line that the row at the input's position begins on.
    pub(super) line: u64,
    /// Bytes and line feeds of the row that was handed out last.
    taken: usize,
    taken_lines: u64,
    /// The fields of that row, one behind the other, and where each ends.
    text: Vec<u8>,
    pub(super) ends: Vec<usize>,
    pub(super) field_count: usize,
    /// Whether the row that was handed out last ended with the file instead of a line.
    pub(super) at_end: bool,
    /// The first row that ended with the file instead of a line.
    pub(super) open: Option<OpenRow>,
    /// The beginning of the row that was handed out last, if it is too long to be kept whole.
    oversized: Vec<u8>,
}

/// What was found where a row should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Row,
    Unterminated,
    TooLarge,
}

impl Rows {
    pub(super) fn open(origin: &Origin) -> Result<Rows> {
        Rows::open_until(origin, u64::MAX)
    }

    /// Opens a file as if a plain one ended at `end`.
    pub(super) fn open_until(origin: &Origin, end: u64) -> Result<Rows> {
        Ok(Rows {
            input: Input::open_until(origin, end)?,
            grammar: csv_core::Reader::new(),
            line: 1,
            taken: 0,
            taken_lines: 0,
            text: vec![0; 4096],
            ends: vec![0; 64],
            field_count: 0,
            at_end: false,
            open: None,
            oversized: Vec::new(),
        })
    }

    /// Reads the header: the names of the columns, without the blanks around them.
    pub(super) fn header(&mut self) -> Result<Vec<String>> {
        let origin = self.input.origin.clone();
        let no_header = || {
            origin.unusable(
                "It has no header. Write the names of the columns on the first line.",
                None,
            )
        };
        if self.next()? != Some(Outcome::Row) {
            return Err(no_header());
        }
        let mut names = Vec::with_capacity(self.field_count);
        for index in 0..self.field_count {
            let name = self.field(index).ok_or_else(no_header)?.trim();
            names.push(match name {
                "" => format!("column_{}", index + 1),
                name => name.to_owned(),
            });
        }
        let mut seen = HashSet::new();
        match names.iter().find(|name| !seen.insert(name.as_str())) {
            None => Ok(names),
            Some(name) => Err(Error::Invalid {
                connector: "source",
                name: origin.source.to_string(),
                what: format!("the header of file \"{}\"", origin.file),
                hint: format!("It has two columns \"{name}\". Rename one of them."),
            }),
        }
    }

    /// Goes forward to where an earlier run ended.
    pub(super) fn skip_to(&mut self, at: At) -> Result<()> {
        let (offset, _) = self.at();
        if at.offset > offset {
            self.input.skip_to(at.offset)?;
            self.taken = 0;
            self.taken_lines = 0;
            self.line = at.line;
            self.grammar = csv_core::Reader::new();
        }
        Ok(())
    }

    /// Returns the position behind the row that was handed out last: its offset and line.
    pub(super) fn at(&self) -> (u64, u64) {
        (self.input.offset() + self.taken as u64, self.line + self.taken_lines)
    }

    /// Stays before the row that was handed out last.
    pub(super) fn unread(&mut self) {
        self.taken = 0;
        self.taken_lines = 0;
    }

    /// Reads the next row, or finds that there is none. Empty lines are no rows.
    pub(super) fn next(&mut self) -> Result<Option<Outcome>> {
        self.input.consume(std::mem::take(&mut self.taken));
        self.line += std::mem::take(&mut self.taken_lines);
        self.oversized.clear();
        loop {
            let bytes = self.input.bytes();
            match (bytes.first().copied(), bytes.get(1).copied()) {
                // Of a carriage return at the end it is not known whether a line feed follows.
                (None, _) | (Some(b'\r'), None) => {
                    if !self.input.fill()? {
                        return Ok(None);
                    }
                }
                (Some(b'\r'), Some(b'\n')) => {
                    self.input.consume(2);
                    self.line += 1;
                }
                (Some(b'\n' | b'\r'), _) => {
                    self.input.consume(1);
                    self.line += 1;
                }
                (Some(_), _) => break,
            }
        }
        self.read_row().map(Some)
    }

    fn read_row(&mut self) -> Result<Outcome> {
        let (mut read, mut written, mut ended, mut at_end) = (0, 0, 0, false);
        self.at_end = false;
        loop {
            if read == self.input.bytes().len() && !at_end {
                if read >= ROW_BYTES_MAX {
                    return match line_end(&self.input.bytes()[..read]) {
                        Some(_) => Ok(self.give_up(read, Outcome::TooLarge)),
                        None => self.skip_oversized(read),
                    };
                }
                at_end = !self.input.fill()?;
            }
            // At the end of the file a line feed stands for the one that is missing: a row that it does not end has an
            // open quote.
            let text = if at_end { b"\n" } else { &self.input.bytes()[read..] };
            let (result, bytes, chars, ends) =
                self.grammar.read_record(text, &mut self.text[written..], &mut self.ends[ended..]);
            (written, ended) = (written + chars, ended + ends);
            if !at_end {
                read += bytes;
            }
            match result {
                ReadRecordResult::InputEmpty if at_end => {
                    self.at_end = true;
                    self.open = self.open.or(Some(self.open_row(false)));
                    return Ok(self.give_up(read, Outcome::Unterminated));
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        self.at_end = at_end;
        if at_end {
            self.open = self.open.or(Some(self.open_row(true)));
        }
        self.field_count = ended;
        self.take(read);
        Ok(Outcome::Row)
    }

    /// Takes `read` bytes as a row, without the carriage return at its end: to that belongs a line feed that may follow.
    fn take(&mut self, read: usize) {
        let bytes = &self.input.bytes()[..read];
        let lines = memchr_iter(b'\n', bytes).count();
        (self.taken, self.taken_lines) = match bytes.split_last() {
            Some((b'\r', row)) => (row.len(), (lines + lone_returns(row)) as u64),
            _ => (read, lines as u64),
        };
    }

    fn open_row(&self, balanced: bool) -> OpenRow {
        OpenRow { offset: self.input.offset(), line: self.line, balanced }
    }

    /// Gives up the first line of a row, so that reading goes on with the second.
    fn give_up(&mut self, read: usize, outcome: Outcome) -> Outcome {
        // What ends the line is stepped over when the next row is looked for.
        self.taken = line_end(&self.input.bytes()[..read]).unwrap_or(read);
        self.taken_lines = 0;
        self.grammar = csv_core::Reader::new();
        outcome
    }

    /// Steps over a row that is too long and of which `read` bytes, without a line feed, are read: to its end. If that is
    /// behind a quote that is never closed, only the first line is given up.
    fn skip_oversized(&mut self, read: usize) -> Result<Outcome> {
        let begun = self.open_row(false);
        self.oversized = self.input.bytes()[..Rejection::RAW_BYTES_MAX].to_vec();
        let first_line = self.grammar.line();
        let mut second_line = None;
        self.input.consume(read);
        let ended = loop {
            if self.input.bytes().is_empty() && !self.input.fill()? {
                break false;
            }
            let text = self.input.bytes();
            let (result, bytes, ..) =
                self.grammar.read_record(text, &mut self.text, &mut self.ends);
            if second_line.is_none()
                && let Some(index) = memchr(b'\n', &text[..bytes])
            {
                second_line = Some(self.input.offset() + index as u64 + 1);
            }
            self.input.consume(bytes);
            if matches!(result, ReadRecordResult::Record | ReadRecordResult::End) {
                break true;
            }
        };
        self.taken_lines = self.grammar.line() - first_line;
        self.grammar = csv_core::Reader::new();
        if !ended {
            self.open = self.open.or(Some(begun));
            if let Some(offset) = second_line {
                self.input.go_back(offset)?;
                self.taken_lines = 1;
            }
        }
        Ok(Outcome::TooLarge)
    }

    /// Returns a field of the row, or `None` if it is not UTF-8.
    pub(super) fn field(&self, index: usize) -> Option<&str> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        std::str::from_utf8(&self.text[start..self.ends[index]]).ok()
    }

    /// Returns all fields of the row, one behind the other.
    pub(super) fn fields(&self) -> &[u8] {
        match self.field_count {
            0 => &[],
            count => &self.text[..self.ends[count - 1]],
        }
    }

    /// Tells whether the row that was handed out last is the beginning of one that is not written to its end yet: too
    /// few fields, a quote that is not closed on the last line, a character of which bytes are missing.
    pub(super) fn is_begun(&self, outcome: Outcome, columns: usize) -> bool {
        if !self.at_end || !self.input.appendable() {
            return false;
        }
        match outcome {
            Outcome::Row if self.field_count == columns => {
                std::str::from_utf8(self.fields()).is_err_and(|error| error.error_len().is_none())
            }
            Outcome::Row => self.field_count < columns,
            Outcome::Unterminated => self.taken == self.input.bytes().len(),
            Outcome::TooLarge => false,
        }
    }

    /// Returns the row as it stands in the file.
    pub(super) fn raw(&self) -> &[u8] {
        if !self.oversized.is_empty() {
            return &self.oversized;
        }
        self.input.bytes()[..self.taken].trim_ascii_end()
    }
}

/// Returns where the first line of `bytes` ends.
fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr2(b'\n', b'\r', bytes)
}

/// Counts the carriage returns that no line feed follows: line ends where rows end like that.
fn lone_returns(row: &[u8]) -> usize {
    memchr_iter(b'\r', row).filter(|index| row.get(index + 1) != Some(&b'\n')).count()
}
