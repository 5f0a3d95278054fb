//! NDJSON: one object on a line, its fields to columns of the same names.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::SchemaRef;

use super::SAMPLE_ROWS_MAX;
use super::column::{Column, NullTexts};
use super::guess::Guess;
use super::input::{Input, Lines, Origin};
use super::json;
use super::mark::At;
use super::part::{Filled, Part};
use super::reject::Reason;
use super::schema::Found;
use crate::contract::SourceSpec;
use crate::error::Result;

/// Adds to `guesses` what the first lines from `at` say about columns that are not `known`.
pub(super) fn sample(
    origin: &Origin,
    at: At,
    spec: &SourceSpec,
    known: &HashSet<String>,
    guesses: &mut Found<Guess>,
) -> Result<()> {
    let nulls = NullTexts::new(&spec.null_values);
    let mut lines = Lines::open(origin, at.offset, at.line)?;
    for _ in 0..SAMPLE_ROWS_MAX {
        let Some(line) = lines.next()? else { break };
        // What is wrong with a line is told when it is read.
        if !line.whole || json::fields(line.bytes, |_, _, _| ()).is_err() {
            continue;
        }
        let judged = json::fields(line.bytes, |_, key, raw| {
            if !known.contains(key) {
                let guess = guesses.entry(key, || Guess::Nothing);
                let is_null =
                    nulls.any() && json::text(raw).is_some_and(|text| nulls.contains(&text));
                if *guess != Guess::Text && !is_null {
                    *guess = guess.or(Guess::of_json(raw));
                }
            }
        });
        debug_assert!(judged.is_ok(), "the same line was judged before");
    }
    Ok(())
}

/// An NDJSON file that is read to batches.
pub(super) struct NdjsonFile {
    lines: Lines,
    schema: SchemaRef,
    columns: Vec<Column>,
    places: Places,
    nulls: NullTexts,
    /// Names that are not in the schema are meant to be left out.
    declared: bool,
    waiting: bool,
}

impl NdjsonFile {
    pub(super) fn open(
        origin: &Origin,
        at: At,
        schema: &SchemaRef,
        nulls: &NullTexts,
        declared: bool,
    ) -> Result<NdjsonFile> {
        Ok(NdjsonFile {
            lines: Lines::open(origin, at.offset, at.line)?,
            schema: schema.clone(),
            columns: schema
                .fields()
                .iter()
                .filter_map(|field| Column::new(field, declared))
                .collect(),
            places: Places::new(schema),
            nulls: nulls.clone(),
            declared,
            waiting: false,
        })
    }

    /// Tells whether the last line is not complete yet.
    pub(super) fn waiting(&self) -> bool {
        self.waiting
    }

    pub(super) fn input(&self) -> &Input {
        &self.lines.input
    }

    pub(super) fn at(&self) -> At {
        let (offset, line) = self.lines.at();
        At { offset, line, open: None }
    }

    pub(super) fn read(&mut self, rows_max: usize) -> Result<Filled> {
        let mut part = Part::new(&self.schema, rows_max);
        let mut slots: Vec<Option<&str>> = Vec::new();
        let mut last = self.waiting;
        let appendable = self.lines.input.appendable();
        let origin = self.lines.input.origin.clone();
        while !part.full() && !last {
            let mut row = emptied(slots, self.columns.len());
            let Some(line) = self.lines.next()? else {
                last = true;
                break;
            };
            let mut unknown = Vec::new();
            let judged = match (line.whole, line.bytes.trim_ascii().is_empty()) {
                (false, _) => Err(Reason::TooLarge),
                (true, true) => {
                    slots = emptied(row, 0);
                    continue;
                }
                (true, false) => {
                    json::fields(line.bytes, |nth, key, raw| match self.places.find(nth, key) {
                        Some(place) => row[place] = Some(raw),
                        None if self.declared => {}
                        None => unknown.push(key.to_owned()),
                    })
                }
            };
            match judged {
                Ok(()) => {
                    append(&mut self.columns, &row, &self.nulls);
                    part.took(line.number, line.bytes.len());
                    unknown.iter().for_each(|name| part.ignore(name));
                }
                // A line without an end is judged when it has one, if what is wrong is that it stops too early.
                Err(Reason::BadJsonTruncated) if !line.terminated && appendable => {
                    self.waiting = true;
                    last = true;
                }
                Err(reason) => part.reject(reason, &origin, line.number, line.bytes),
            }
            slots = emptied(row, 0);
        }
        if self.waiting {
            self.lines.unread();
            tracing::info!(file = %origin.file, "the last line is not complete yet; it is read when it is");
        }
        part.check(&self.columns, &origin)?;
        Ok(part.finish(&mut self.columns, last))
    }
}

/// Gives a vector of borrowed slots back its memory for the next line, which lives shorter or longer.
fn emptied<'a>(mut slots: Vec<Option<&str>>, length: usize) -> Vec<Option<&'a str>> {
    slots.clear();
    let mut slots: Vec<Option<&'a str>> = slots.into_iter().map(|_| None).collect();
    slots.resize(length, None);
    slots
}

fn append(columns: &mut [Column], row: &[Option<&str>], nulls: &NullTexts) {
    for (column, value) in columns.iter_mut().zip(row) {
        match value {
            None | Some("null") => column.append_null(),
            Some(raw) if column.json => column.append(raw),
            Some(raw) => match json::text(raw) {
                None => column.append(raw),
                Some(text) if nulls.contains(&text) => column.append_null(),
                Some(text) => column.append(&text),
            },
        }
    }
}

/// Where in the schema the keys of lines belong. Lines mostly have the same keys in the same order, so the key that
/// stood in the same place of an earlier line is tried first.
struct Places {
    names: Vec<String>,
    by_name: HashMap<String, usize>,
    expected: Vec<usize>,
}

impl Places {
    fn new(schema: &SchemaRef) -> Places {
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let by_name =
            names.iter().cloned().enumerate().map(|(place, name)| (name, place)).collect();
        let expected = (0..names.len()).collect();
        Places { names, by_name, expected }
    }

    fn find(&mut self, nth: usize, key: &str) -> Option<usize> {
        if let Some(place) = self.expected.get(nth)
            && self.names[*place] == key
        {
            return Some(*place);
        }
        let place = *self.by_name.get(key)?;
        if let Some(expected) = self.expected.get_mut(nth) {
            *expected = place;
        }
        Some(place)
    }
}
