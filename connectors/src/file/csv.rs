//! CSV by RFC 4180: a header, then rows whose quoted fields may hold commas, quotes and line breaks.
//!
//! The grammar is csv-core's; around it stand the bounds of a row, so that each row has a first line, an offset to go
//! on from, and bytes to show when it is refused. A quote that is never closed costs its own line, not the rest of the
//! file.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::SchemaRef;
use csv_core::ReadRecordResult;
use memchr::memchr;

use super::column::{Column, NullTexts};
use super::guess::Guess;
use super::input::{Input, Origin};
use super::mark::{At, OpenRow};
use super::part::{Filled, Part};
use super::reject::Reason;
use super::schema::Found;
use super::{ROW_BYTES_MAX, SAMPLE_ROWS_MAX};
use crate::contract::{Rejection, SourceSpec};
use crate::error::{Error, Result};

/// The rows of a CSV text.
struct Rows {
    input: Input,
    grammar: csv_core::Reader,
    /// The line that the row at the input's position begins on.
    line: u64,
    /// Bytes and line feeds of the row that was handed out last.
    taken: usize,
    taken_lines: u64,
    /// The fields of that row, one behind the other, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    field_count: usize,
    /// The last row that ended with the file instead of a line.
    open: Option<OpenRow>,
    /// The beginning of the row that was handed out last, if it is too long to be kept whole.
    oversized: Vec<u8>,
}

/// What was found where a row should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Row,
    Unterminated,
    TooLarge,
}

impl Rows {
    fn open(origin: &Origin) -> Result<Rows> {
        Ok(Rows {
            input: Input::open(origin)?,
            grammar: csv_core::Reader::new(),
            line: 1,
            taken: 0,
            taken_lines: 0,
            text: vec![0; 4096],
            ends: vec![0; 64],
            field_count: 0,
            open: None,
            oversized: Vec::new(),
        })
    }

    /// Reads the header: the names of the columns, without the blanks around them.
    fn header(&mut self) -> Result<Vec<String>> {
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
    fn skip_to(&mut self, at: At) -> Result<()> {
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
    fn at(&self) -> (u64, u64) {
        (self.input.offset() + self.taken as u64, self.line + self.taken_lines)
    }

    /// Reads the next row, or finds that there is none. Empty lines are no rows.
    fn next(&mut self) -> Result<Option<Outcome>> {
        self.input.consume(std::mem::take(&mut self.taken));
        self.line += std::mem::take(&mut self.taken_lines);
        self.oversized.clear();
        loop {
            match self.input.bytes().first() {
                Some(b'\n') => {
                    self.input.consume(1);
                    self.line += 1;
                }
                Some(b'\r') => self.input.consume(1),
                Some(_) => break,
                None => {
                    if !self.input.fill()? {
                        return Ok(None);
                    }
                }
            }
        }
        self.read_row().map(Some)
    }

    fn read_row(&mut self) -> Result<Outcome> {
        let (mut read, mut written, mut ended) = (0, 0, 0);
        let (first_line, mut lines, mut at_end) = (self.grammar.line(), 0, false);
        loop {
            if read == self.input.bytes().len() && !at_end {
                if read >= ROW_BYTES_MAX {
                    return match memchr(b'\n', &self.input.bytes()[..read]) {
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
                lines = self.grammar.line() - first_line;
            }
            match result {
                ReadRecordResult::InputEmpty if at_end => {
                    self.open = self.open.or(Some(self.open_row(false)));
                    return Ok(self.give_up(read, Outcome::Unterminated));
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        if at_end {
            self.open = self.open.or(Some(self.open_row(true)));
        }
        (self.taken, self.taken_lines, self.field_count) = (read, lines, ended);
        Ok(Outcome::Row)
    }

    fn open_row(&self, balanced: bool) -> OpenRow {
        OpenRow { offset: self.input.offset(), line: self.line, balanced }
    }

    /// Gives up the first line of a row, so that reading goes on with the second.
    fn give_up(&mut self, read: usize, outcome: Outcome) -> Outcome {
        let line_end = memchr(b'\n', &self.input.bytes()[..read]);
        self.taken = line_end.map_or(read, |index| index + 1);
        self.taken_lines = u64::from(line_end.is_some());
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
    fn field(&self, index: usize) -> Option<&str> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        std::str::from_utf8(&self.text[start..self.ends[index]]).ok()
    }

    /// Returns all fields of the row, one behind the other.
    fn fields(&self) -> &[u8] {
        match self.field_count {
            0 => &[],
            count => &self.text[..self.ends[count - 1]],
        }
    }

    /// Returns the row as it stands in the file.
    fn raw(&self) -> &[u8] {
        if !self.oversized.is_empty() {
            return &self.oversized;
        }
        self.input.bytes()[..self.taken].trim_ascii_end()
    }
}

/// Returns the names of a file's columns.
pub(super) fn header(origin: &Origin) -> Result<Vec<String>> {
    Rows::open(origin)?.header()
}

/// Adds to `guesses` what the first rows from `at` say about columns that are not `known`.
pub(super) fn sample(
    origin: &Origin,
    at: At,
    spec: &SourceSpec,
    known: &HashSet<String>,
    guesses: &mut Found<Guess>,
) -> Result<()> {
    let mut rows = Rows::open(origin)?;
    let header = rows.header()?;
    if header.iter().all(|name| known.contains(name)) {
        return Ok(());
    }
    let nulls = NullTexts::new(&spec.null_values);
    let mut columns = vec![Guess::Nothing; header.len()];
    rows.skip_to(at)?;
    for _ in 0..SAMPLE_ROWS_MAX {
        let Some(outcome) = rows.next()? else { break };
        if outcome != Outcome::Row || rows.field_count != columns.len() {
            continue;
        }
        for (index, guess) in
            columns.iter_mut().enumerate().filter(|(_, guess)| **guess != Guess::Text)
        {
            match rows.field(index) {
                Some(text) if !text.is_empty() && !nulls.contains(text) => {
                    *guess = guess.or(Guess::of_text(text));
                }
                _ => {}
            }
        }
    }
    for (name, guess) in header.iter().zip(columns).filter(|(name, _)| !known.contains(*name)) {
        let entry = guesses.entry(name, || Guess::Nothing);
        *entry = entry.or(guess);
    }
    Ok(())
}

/// A CSV file that is read to batches.
pub(super) struct CsvFile {
    rows: Rows,
    schema: SchemaRef,
    columns: Vec<Column>,
    /// For each field of a row, its place in the schema.
    places: Vec<Option<usize>>,
    nulls: NullTexts,
}

impl CsvFile {
    pub(super) fn open(
        origin: &Origin,
        at: At,
        schema: &SchemaRef,
        nulls: &NullTexts,
        declared: bool,
    ) -> Result<CsvFile> {
        let mut rows = Rows::open(origin)?;
        let header = rows.header()?;
        rows.open = at.open;
        rows.skip_to(at)?;
        let places: HashMap<_, _> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(place, field)| (field.name(), place))
            .collect();
        let places = header.iter().map(|name| places.get(name).copied()).collect();
        let columns = schema.fields().iter();
        let columns = columns.filter_map(|field| Column::new(field, declared)).collect();
        Ok(CsvFile { rows, schema: schema.clone(), columns, places, nulls: nulls.clone() })
    }

    pub(super) fn input(&self) -> &Input {
        &self.rows.input
    }

    pub(super) fn at(&self) -> At {
        let (offset, line) = self.rows.at();
        let open = self.rows.open.filter(|_| self.rows.input.appendable());
        At { offset, line, open }
    }

    pub(super) fn read(&mut self, rows_max: usize) -> Result<Filled> {
        let mut part = Part::new(&self.schema, rows_max);
        let mut last = false;
        while !part.full() {
            let Some(outcome) = self.rows.next()? else {
                last = true;
                break;
            };
            let reason = match outcome {
                Outcome::Unterminated => Err(Reason::CsvUnterminatedQuote),
                Outcome::TooLarge => Err(Reason::TooLarge),
                Outcome::Row => self.append(),
            };
            let (origin, line, raw) = (&self.rows.input.origin, self.rows.line, self.rows.raw());
            match reason {
                Ok(()) => part.took(line, raw.len()),
                Err(reason) => part.reject(reason, origin, line, raw),
            }
        }
        part.check(&self.columns, &self.rows.input.origin)?;
        Ok(part.finish(&mut self.columns, last))
    }

    /// Appends the row to the columns, or nothing of it.
    fn append(&mut self) -> Result<(), Reason> {
        let rows = &self.rows;
        if rows.field_count != self.places.len() {
            return Err(Reason::CsvFieldCount);
        }
        let text = std::str::from_utf8(rows.fields()).map_err(|_| Reason::InvalidUtf8)?;
        let ends = &rows.ends[..rows.field_count];
        if !ends.iter().all(|end| text.is_char_boundary(*end)) {
            return Err(Reason::InvalidUtf8);
        }
        if memchr(0, text.as_bytes()).is_some() {
            return Err(Reason::NulCharacter);
        }
        let mut start = 0;
        for (end, place) in ends.iter().zip(&self.places) {
            if let Some(place) = place {
                let value = &text[start..*end];
                match value.is_empty() || self.nulls.contains(value) {
                    true => self.columns[*place].append_null(),
                    false => self.columns[*place].append(value),
                }
            }
            start = *end;
        }
        Ok(())
    }
}
