//! Rows of a COPY that wait to be taken, and where each of them came from, which errors tell.

use arrow::array::{Array, ArrayRef, AsArray};
use engine::analytics::CopyPlace;

use super::error::{CopyContext, SHOWN_BYTES_MAX, shown};

/// The lines of rows, as far as errors show them.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The number of each, from 1.
    numbers: Vec<u64>,
    /// The beginnings of all, one behind the other, and where each of them ends.
    texts: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    /// Notes the line of the next row.
    pub(crate) fn push(&mut self, number: u64, line: &[u8]) {
        // One byte more than is shown tells that there is more.
        let kept = line.len().min(SHOWN_BYTES_MAX + 1);
        self.numbers.push(number);
        self.texts.extend_from_slice(&line[..kept]);
        self.ends.push(self.texts.len());
    }

    /// Returns the number of the line of a row, and its beginning.
    fn get(&self, row: usize) -> Option<(u64, &[u8])> {
        let number = self.numbers.get(row)?;
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before)).unwrap_or(&0);
        Some((*number, self.texts.get(*start..*self.ends.get(row)?)?))
    }
}

/// Where rows came from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// Lines of text or CSV.
    Lines(Lines),
    /// Rows in binary; the number of the first, from 1.
    Rows(u64),
}

/// Rows that were taken.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Their values, column by column.
    pub(crate) columns: Vec<ArrayRef>,
    /// Where they came from.
    pub(crate) origin: Origin,
}

impl Taken {
    /// Returns how errors tell of a place in them; `names` are the columns of `relation` that they fill.
    pub(crate) fn context(
        &self,
        place: CopyPlace,
        relation: &str,
        names: &[String],
    ) -> Option<CopyContext> {
        let row = usize::try_from(place.row).ok()?;
        let at = place.column.map(usize::from);
        let column = at.and_then(|at| names.get(at)).cloned();
        let (line, text) = match &self.origin {
            Origin::Rows(first) => (first + u64::from(place.row), None),
            Origin::Lines(lines) => {
                let (line, beginning) = lines.get(row)?;
                let value = at.and_then(|at| self.value(row, at));
                (line, Some(shown(value.map_or(beginning, str::as_bytes))))
            }
        };
        Some(CopyContext { relation: relation.to_owned(), line, column, text })
    }

    /// Returns a value that was written as text.
    fn value(&self, row: usize, column: usize) -> Option<&str> {
        let texts = self.columns.get(column)?.as_string_opt::<i32>()?;
        (row < texts.len()).then(|| texts.value(row))
    }
}
