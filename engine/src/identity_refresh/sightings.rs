//! When each subject was last seen, for graphs with `EXPIRE AFTER`.
//!
//! The rows of the sources say so, those that newer versions replaced included, each by its own time but never later than
//! when it was taken: a clock that is ahead lets nothing expire. What is known follows from the files that are published, and
//! each is read once. Where one is gone, as after a compaction, all are read anew, so that nothing is kept that no row says.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, Schema, SchemaRef};

use crate::catalog::{Body, Kind, Published, Source};
use crate::error::Result;
use crate::ingest::{self, INGESTED_AT};
use crate::lake::{self, Lake, TableSnapshot};
use crate::query::governed::SUBJECT;
use crate::tables;

/// What is known of the times of subjects.
#[derive(Default)]
pub(super) struct Sightings {
    /// When the first row of each subject was so.
    first: Vec<i64>,
    /// The newest time of any row of each subject; short of those that have none.
    seen: Vec<i64>,
    /// Files that were read.
    read: HashSet<String>,
}

impl Sightings {
    /// Takes up the next subject.
    pub(super) fn add(&mut self, first: i64) {
        self.first.push(first);
    }

    /// Reads the rows that are published and were not read, and returns when each subject was last seen.
    pub(super) async fn last(&mut self, lake: &Lake, published: &Published) -> Result<Vec<i64>> {
        let mut tables: Vec<(String, Arc<TableSnapshot>, &Source)> = Vec::new();
        for definition in published.state.of_kind(Kind::Source) {
            let Body::Source(source) = &definition.body else { continue };
            let name = &definition.name;
            for path in [tables::source_path(name), tables::superseded_path(name)] {
                if let Some(table) = published.table(&path) {
                    tables.push((path, table, source));
                }
            }
        }
        let names = tables.iter().flat_map(|(path, table, _)| {
            table.files.iter().map(move |file| format!("{path}/{}", file.path))
        });
        if !self.read.is_subset(&names.collect()) {
            self.read.clear();
            self.seen.clear();
        }
        for (path, table, source) in &tables {
            let schema = columns(&table.schema, source);
            for file in table.files.iter() {
                if !self.read.insert(format!("{path}/{}", file.path)) {
                    continue;
                }
                for batch in crate::table_read::read_file(lake, path, file, &schema).await? {
                    self.take(&batch, source)?;
                }
            }
        }
        let seen = self.seen.iter().copied().chain(std::iter::repeat(i64::MIN));
        Ok(self.first.iter().zip(seen).map(|(first, seen)| seen.max(*first)).collect())
    }

    fn take(&mut self, rows: &arrow::array::RecordBatch, source: &Source) -> Result<()> {
        let logical = lake::logical_batch(rows, &lake::logical(&rows.schema()))?;
        let own = ingest::times(&logical, source)?;
        let (Some(subjects), Some(taken)) =
            (rows.column_by_name(SUBJECT), rows.column_by_name(INGESTED_AT))
        else {
            return Ok(());
        };
        let (subjects, taken) = (subjects.as_primitive::<Int64Type>(), ingest::micros(taken)?);
        for row in (0..rows.num_rows()).filter(|row| subjects.is_valid(*row)) {
            let own = own.as_ref().filter(|own| own.is_valid(row)).map(|own| own.value(row));
            let at = own.map_or(taken.value(row), |own| own.min(taken.value(row)));
            let subject = subjects.value(row) as usize;
            if self.seen.len() <= subject {
                self.seen.resize(subject + 1, i64::MIN);
            }
            self.seen[subject] = at.max(self.seen[subject]);
        }
        Ok(())
    }
}

/// The columns that say whose a row is and when it was so.
fn columns(schema: &Schema, source: &Source) -> SchemaRef {
    let names = [Some(SUBJECT), Some(INGESTED_AT), ingest::time_column(source)];
    let fields =
        schema.fields().iter().filter(|field| names.contains(&Some(field.name().as_str())));
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}
