//! What one read of a file yields: the rows of a batch and what could not become rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Builder};
use arrow::datatypes::SchemaRef;

use super::BATCH_BYTES_MAX;
use super::column::Column;
use super::input::Origin;
use super::reject::Reason;
use crate::contract::{Rejection, SourceBatch};
use crate::error::{Error, Result};

/// A batch that is being filled.
pub(super) struct Part {
    schema: SchemaRef,
    positions: UInt64Builder,
    rows: usize,
    rejected: Vec<Rejection>,
    ignored: BTreeMap<String, u64>,
    bytes: usize,
    rows_max: usize,
}

/// A batch as read from one file.
pub(super) struct Filled {
    pub(super) records: RecordBatch,
    pub(super) positions: arrow::array::UInt64Array,
    pub(super) rejected: Vec<Rejection>,
    pub(super) nulled: BTreeMap<String, u64>,
    pub(super) ignored: BTreeMap<String, u64>,
    /// Nothing follows in this file.
    pub(super) last: bool,
    /// The last row ended with the file and not with a line.
    pub(super) provisional: bool,
}

impl Part {
    pub(super) fn new(schema: &SchemaRef, rows_max: usize) -> Part {
        Part {
            schema: Arc::clone(schema),
            positions: UInt64Builder::new(),
            rows: 0,
            rejected: Vec::new(),
            ignored: BTreeMap::new(),
            bytes: 0,
            rows_max,
        }
    }

    /// Tells whether the batch has reached one of its bounds.
    pub(super) fn full(&self) -> bool {
        self.rows + self.rejected.len() >= self.rows_max || self.bytes >= BATCH_BYTES_MAX
    }

    /// Counts a row that was appended to the columns.
    pub(super) fn took(&mut self, position: u64, bytes: usize) {
        self.positions.append_value(position);
        self.rows += 1;
        self.bytes += bytes;
    }

    /// Takes down a row that cannot be taken.
    pub(super) fn reject(&mut self, reason: Reason, origin: &Origin, position: u64, raw: &[u8]) {
        self.bytes += raw.len().min(Rejection::RAW_BYTES_MAX);
        self.rejected.push(reason.reject(&origin.file, position, raw));
    }

    /// Counts a value whose name is not in the schema.
    pub(super) fn ignore(&mut self, name: &str) {
        if let Some(count) = self.ignored.get_mut(name) {
            *count += 1;
        } else if self.ignored.len() < SourceBatch::IGNORED_NAMES_MAX {
            self.ignored.insert(name.to_owned(), 1);
        }
    }

    /// Fails if a number does not fit the type that its column was inferred to have: whoever declares the column says
    /// whether it is a text or a longer number, and nothing is lost meanwhile.
    pub(super) fn check(&self, columns: &[Column], origin: &Origin) -> Result<()> {
        let mut found = self.schema.fields().iter().zip(columns);
        let found = found.find_map(|(field, column)| Some((field, column.misfit?)));
        let Some((field, row)) = found else { return Ok(()) };
        let line = self.positions.values_slice().get(row).copied().unwrap_or_default();
        Err(Error::Invalid {
            connector: "source",
            name: origin.source.to_string(),
            what: format!("column \"{}\"", field.name()),
            hint: format!(
                "The first rows made it {}, and line {line} of \"{}\" has a number that this cannot hold as it is \
                 written. Declare the columns of the source: this one as text, or with enough digits.",
                field.data_type(),
                origin.file
            ),
        })
    }

    /// Ends the batch with what was appended to `columns`.
    pub(super) fn finish(self, columns: &mut [Column], last: bool) -> Filled {
        let rows = self.rows;
        let arrays = columns.iter_mut().map(|column| column.finish(rows)).collect();
        let mut nulled = BTreeMap::new();
        for (field, column) in self.schema.fields().iter().zip(columns) {
            let count = std::mem::take(&mut column.nulled);
            if count > 0 {
                nulled.insert(field.name().clone(), count);
            }
        }
        self.finish_arrays(arrays, nulled, last)
    }

    /// Ends the batch with ready arrays, one for each column of the schema.
    pub(super) fn finish_arrays(
        mut self,
        arrays: Vec<ArrayRef>,
        nulled: BTreeMap<String, u64>,
        last: bool,
    ) -> Filled {
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let records = RecordBatch::try_new_with_options(self.schema, arrays, &options)
            .expect("each array was built from its field, with one value for each row");
        let positions = self.positions.finish();
        Filled {
            records,
            positions,
            rejected: self.rejected,
            nulled,
            ignored: self.ignored,
            last,
            provisional: false,
        }
    }
}
