//! CSV by RFC 4180: a header, then rows whose quoted fields may hold commas, quotes and line breaks.
//!
//! The grammar is csv-core's; around it stand the bounds of a row, so that each row has a first line, an offset to go
//! on from, and bytes to show when it is refused. A quote that is never closed costs its own line, not the rest of the
//! file.

mod rows;

use std::collections::{HashMap, HashSet};

use arrow::datatypes::SchemaRef;
use memchr::memchr;

use super::SAMPLE_ROWS_MAX;
use super::column::{Column, NullTexts};
use super::guess::Guess;
use super::input::{Input, Origin};
use super::mark::At;
use super::part::{Filled, Part};
use super::reject::Reason;
use super::schema::Found;
use crate::contract::SourceSpec;
use crate::error::Result;
use rows::{Outcome, Rows};

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
    waiting: bool,
}

impl CsvFile {
    pub(super) fn open(
        origin: &Origin,
        at: At,
        schema: &SchemaRef,
        nulls: &NullTexts,
        declared: bool,
    ) -> Result<CsvFile> {
        CsvFile::open_until(origin, at, u64::MAX, schema, nulls, declared)
    }

    /// Opens a file as if a plain one ended at `end`.
    pub(super) fn open_until(
        origin: &Origin,
        at: At,
        end: u64,
        schema: &SchemaRef,
        nulls: &NullTexts,
        declared: bool,
    ) -> Result<CsvFile> {
        let mut rows = Rows::open_until(origin, end)?;
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
        let nulls = nulls.clone();
        Ok(CsvFile { rows, schema: schema.clone(), columns, places, nulls, waiting: false })
    }

    pub(super) fn input(&self) -> &Input {
        &self.rows.input
    }

    /// Tells whether the last row is not complete yet.
    pub(super) fn waiting(&self) -> bool {
        self.waiting
    }

    pub(super) fn at(&self) -> At {
        let (offset, line) = self.rows.at();
        let open = self.rows.open.filter(|_| self.rows.input.appendable());
        At { offset, line, open }
    }

    pub(super) fn read(&mut self, rows_max: usize) -> Result<Filled> {
        let mut part = Part::new(&self.schema, rows_max);
        let (mut last, mut provisional) = (self.waiting, false);
        while !part.full() && !last {
            let before = self.rows.open;
            let Some(outcome) = self.rows.next()? else {
                last = true;
                break;
            };
            if self.rows.is_begun(outcome, self.places.len()) {
                self.rows.unread();
                self.rows.open = before;
                (self.waiting, last) = (true, true);
                let file = &self.rows.input.origin.file;
                tracing::info!(%file, "the last row is not complete yet; it is read when it is");
                break;
            }
            let reason = match outcome {
                Outcome::Unterminated => Err(Reason::CsvUnterminatedQuote),
                Outcome::TooLarge => Err(Reason::TooLarge),
                Outcome::Row => self.append(),
            };
            let (origin, line, raw) = (&self.rows.input.origin, self.rows.line, self.rows.raw());
            match reason {
                Ok(()) => {
                    part.took(line, raw.len());
                    provisional = self.rows.at_end && self.rows.input.appendable();
                }
                Err(reason) => part.reject(reason, origin, line, raw),
            }
        }
        part.check(&self.columns, &self.rows.input.origin)?;
        Ok(Filled { provisional, ..part.finish(&mut self.columns, last) })
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
