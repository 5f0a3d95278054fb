//! The short way to few rows of a governed table: by its profile or by one value, out of what is kept in memory.
//!
//! What decides is the same as in the leaf: the [`Access`] of the statement says which rows exist, before a value is
//! looked at, and rows come in the same order. What a statement finds here it filters again, as it does with what the leaf
//! hands on, so it is enough that no row is missing.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::{cast, concat};
use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result as DataFusionResult};

use super::{GovernedTable, ScannedFile};
use crate::lanes;
use crate::query::access::Access;
use crate::query::blooms::Wanted;
use crate::query::decoded::{BLOCK_ROWS, BlockFile};
use crate::query::scan::OutputColumn;
use crate::query::selection::in_visible_order;
use crate::query::value_index::{ValueHash, ValueIndex};

/// Rows that are found so at most.
pub(in crate::query) const ROWS_MAX: u64 = 256;

/// Rows of a table of which indexes are made at most: of a larger one the bloom filters have to do.
const INDEXED_ROWS_MAX: u64 = 4 << 20;

/// Which rows are sought.
#[derive(Debug)]
pub(in crate::query) enum Sought<'a> {
    /// Those of the profiles with these ids.
    Profiles(&'a [i64]),
    /// Those with one of these values in a column of the files.
    Values(usize, &'a [ScalarValue]),
}

/// What came of seeking rows.
#[derive(Debug)]
pub(in crate::query) enum Found {
    /// They are these, and perhaps others that the statement's filter drops.
    Rows(RecordBatch),
    /// Something has to be read first.
    Cold(Cold),
    /// This is no way to them: they are many, or nothing tells where they are.
    Unfit,
}

/// What has to be read before rows can be found.
#[derive(Debug)]
pub(in crate::query) enum Cold {
    /// Whose the rows of the files are, and who the subjects are.
    Runs,
    /// The index of a column of these files.
    Indexes(usize, Vec<usize>),
    /// These blocks of files, of these columns.
    Blocks(Vec<(usize, u64)>, Vec<usize>),
}

/// Consecutive rows of one subject in one file and one block.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    file: usize,
    subject: u32,
    start: u64,
    rows: u64,
}

/// How the columns of an answer are taken out of blocks, which is the same for every run of a statement.
#[derive(Debug)]
pub(in crate::query) struct Taking {
    /// The columns of the answer.
    pub(in crate::query) output: SchemaRef,
    /// For each what it is made of; of what is stored, the place in `stored`.
    columns: Vec<OutputColumn>,
    /// The columns of the files that are taken.
    stored: Vec<usize>,
}

impl GovernedTable {
    /// Finds out how these columns, of those that are shown, are taken out of blocks.
    pub(in crate::query) fn taking(&self, output: SchemaRef) -> Option<Taking> {
        let (mut columns, mut stored) = (Vec::new(), Vec::new());
        for field in output.fields() {
            columns.push(match self.made(field.name()) {
                Some(made) => made,
                None => {
                    stored.push(self.physical.index_of(field.name()).ok()?);
                    OutputColumn::Stored(stored.len() - 1)
                }
            });
        }
        Some(Taking { output, columns, stored })
    }

    /// Returns the place in the files of a column that can be looked for values in.
    pub(in crate::query) fn indexed_column(&self, name: &str) -> Option<usize> {
        let rows: u64 = self.files.iter().map(|file| file.rows).sum();
        let (at, physical) = self.physical.column_with_name(name)?;
        let shown = self.shown.field_with_name(name).ok()?;
        let fits = rows <= INDEXED_ROWS_MAX
            && physical.data_type() == shown.data_type()
            && ValueIndex::is_for(physical.data_type());
        fits.then_some(at)
    }

    /// Finds rows and takes columns of them, in the order in which a scan gives them.
    pub(in crate::query) fn seek(
        &self,
        access: DataFusionResult<Arc<Access>>,
        sought: &Sought<'_>,
        taking: &Taking,
    ) -> Found {
        // Whoever may not read it is told so by the plan.
        let Ok(access) = self.access(access) else { return Found::Unfit };
        let located = match sought {
            Sought::Profiles(ids) => self.of_profiles(&access, ids),
            Sought::Values(column, values) => self.of_values(&access, *column, values),
        };
        match located {
            Ok(stretches) => self.rows_of(&access, stretches, taking),
            Err(found) => found,
        }
    }

    /// Reads what was not at hand.
    pub(in crate::query) async fn warm(
        &self,
        access: DataFusionResult<Arc<Access>>,
        cold: Cold,
        sought: &Sought<'_>,
    ) -> DataFusionResult<()> {
        match cold {
            Cold::Runs => {
                self.runs().await?;
                // Whoever asks for one profile first puts all in order.
                self.access(access)?.people.subjects(&[]);
            }
            Cold::Indexes(column, files) => {
                for file in files {
                    self.index(column, &self.files[file], sought).await?;
                }
            }
            Cold::Blocks(blocks, columns) => {
                for (file, block) in blocks {
                    let file = self.block_file(&self.files[file]);
                    let read = self.store.decoded.read(&file, block, &columns).await;
                    read.map_err(|error| DataFusionError::External(Box::new(error)))?;
                    if self.store.decoded.is_due_ahead(&file, &columns) {
                        self.read_ahead(file, columns.clone());
                    }
                }
            }
        }
        Ok(())
    }

    async fn index(
        &self,
        column: usize,
        file: &ScannedFile,
        sought: &Sought<'_>,
    ) -> DataFusionResult<()> {
        if let Sought::Values(_, values) = sought {
            let wanted = Wanted::any_of(self.physical.field(column).name(), values);
            let (store, blooms) = (&self.store.store, &self.store.blooms);
            if !blooms.may_hold(store, &file.path, file.size, &wanted).await? {
                return Ok(());
            }
        }
        let values = self.store.decoded.read_column(&self.block_file(file), column).await;
        let values = values.map_err(|error| DataFusionError::External(Box::new(error)))?;
        if let Some(index) = ValueIndex::of(&values) {
            self.store.indexes.insert(&file.path, column, index);
        }
        Ok(())
    }

    /// Reads the rest of a file that is looked into again and again. Nobody waits for it.
    fn read_ahead(&self, file: BlockFile, columns: Vec<usize>) {
        let decoded = Arc::clone(&self.store.decoded);
        lanes::beside(async move {
            // Who wants rows of it and cannot have them is told why.
            if let Err(error) = decoded.read_ahead(&file, &columns).await {
                tracing::debug!(%error, path = file.path, "a file could not be read ahead");
            }
        });
    }

    pub(super) fn block_file(&self, file: &ScannedFile) -> BlockFile {
        BlockFile {
            store: Arc::clone(&self.store.store),
            path: file.path.clone(),
            size: file.size,
            rows: file.rows,
            schema: Arc::clone(&self.physical),
            entry: file.entry.clone(),
        }
    }

    /// Returns where the rows of profiles are that exist for `access`.
    fn of_profiles(&self, access: &Access, ids: &[i64]) -> Result<Vec<Stretch>, Found> {
        let runs = self.runs.get().ok_or(Found::Cold(Cold::Runs))?;
        let subjects = access.people.subjects_at_once(ids).ok_or(Found::Cold(Cold::Runs))?;
        let mut stretches = Vec::new();
        for (file, runs) in runs.iter().enumerate() {
            if !runs.sorted {
                return Err(Found::Unfit);
            }
            let Some((first, last)) = runs.ends else { continue };
            for subject in subjects.iter().copied() {
                if !(first..=last).contains(&subject) || !access.visible.contains(subject) {
                    continue;
                }
                if let Some(range) = runs.range_of(subject) {
                    stretches.push(Stretch { file, subject, start: range.start, rows: range.rows });
                }
            }
        }
        self.in_order(access, stretches)
    }

    /// Returns where rows are that exist for `access` and may hold one of `values` in a column.
    fn of_values(
        &self,
        access: &Access,
        column: usize,
        values: &[ScalarValue],
    ) -> Result<Vec<Stretch>, Found> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let all_runs = self.runs.get().ok_or(Found::Cold(Cold::Runs))?;
        let wanted = Wanted::any_of(self.physical.field(column).name(), values);
        let hashes: Option<Vec<ValueHash>> = values.iter().map(ValueHash::of).collect();
        let hashes = hashes.ok_or(Found::Unfit)?;
        let (mut stretches, mut absent, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        let paths = self.files.iter().map(|file| file.path.as_str());
        let indexes = self.store.indexes.of_files(paths, column);
        for (file, (index, runs)) in indexes.into_iter().zip(all_runs).enumerate() {
            let Some(index) = index else {
                if !self.store.blooms.is_known_to_lack(&self.files[file].path, &wanted) {
                    absent.push(file);
                }
                continue;
            };
            rows.clear();
            for hash in &hashes {
                rows.extend(index.rows(*hash).take(ROWS_MAX as usize + 1));
            }
            if rows.len() as u64 > ROWS_MAX {
                return Err(Found::Unfit);
            }
            rows.sort_unstable();
            rows.dedup();
            for row in rows.drain(..).map(u64::from) {
                let subject = runs.subject_at(row).ok_or(Found::Unfit)?;
                if access.visible.contains(subject) {
                    stretches.push(Stretch { file, subject, start: row, rows: 1 });
                }
            }
            if stretches.len() as u64 > ROWS_MAX {
                return Err(Found::Unfit);
            }
        }
        match absent.is_empty() {
            true => self.in_order(access, stretches),
            false => Err(Found::Cold(Cold::Indexes(column, absent))),
        }
    }

    /// Puts stretches, which are in the order of files, in that in which a scan reads these, and cuts them into blocks.
    fn in_order(&self, access: &Access, stretches: Vec<Stretch>) -> Result<Vec<Stretch>, Found> {
        if stretches.iter().map(|stretch| stretch.rows).sum::<u64>() > ROWS_MAX {
            return Err(Found::Unfit);
        }
        let mut files: Vec<usize> = stretches.iter().map(|stretch| stretch.file).collect();
        files.dedup();
        let order = match files.len() {
            // Most answers are of one file, for which there is no order to find.
            count @ (0 | 1) => (0..count).collect(),
            _ => {
                let runs = self.runs.get().ok_or(Found::Unfit)?;
                let of_files: Vec<_> = files.iter().map(|file| Arc::clone(&runs[*file])).collect();
                in_visible_order(&of_files, &access.visible)
            }
        };
        let mut ordered = Vec::with_capacity(stretches.len());
        for at in order {
            for mut stretch in stretches.iter().copied().filter(|found| found.file == files[at]) {
                while stretch.rows > 0 {
                    let room = BLOCK_ROWS - stretch.start % BLOCK_ROWS;
                    let rows = stretch.rows.min(room);
                    ordered.push(Stretch { rows, ..stretch });
                    stretch.start += rows;
                    stretch.rows -= rows;
                }
            }
        }
        Ok(ordered)
    }

    /// Takes rows out of the blocks that they are in.
    fn rows_of(&self, access: &Access, stretches: Vec<Stretch>, taking: &Taking) -> Found {
        let Taking { output, columns, stored } = taking;
        // The parts of each stretch lie behind those of the one before.
        let mut parts = Vec::with_capacity(stretches.len() * stored.len());
        let mut absent = Vec::new();
        let mut blocks: Option<((usize, u64), Vec<ArrayRef>)> = None;
        for stretch in &stretches {
            let place = (stretch.file, stretch.start / BLOCK_ROWS);
            if blocks.as_ref().is_none_or(|(known, _)| *known != place) {
                let path = &self.files[stretch.file].path;
                match self.store.decoded.get(path, place.1, stored) {
                    Some(values) => blocks = Some((place, values)),
                    None if stored.is_empty() => blocks = Some((place, Vec::new())),
                    None => {
                        absent.push(place);
                        continue;
                    }
                }
            }
            let Some((_, values)) = &blocks else { continue };
            let start = (stretch.start % BLOCK_ROWS) as usize;
            parts.extend(values.iter().map(|part| part.slice(start, stretch.rows as usize)));
        }
        if !absent.is_empty() {
            absent.dedup();
            return Found::Cold(Cold::Blocks(absent, stored.clone()));
        }
        let mut made: Vec<ArrayRef> = Vec::with_capacity(columns.len());
        for (field, column) in output.fields().iter().zip(columns) {
            let values = match column {
                OutputColumn::ProfileId => Ok(profile_ids(access, &stretches)),
                OutputColumn::HouseholdId => Ok(household_ids(access, &stretches)),
                OutputColumn::Stored(at) => {
                    let parts = parts.iter().skip(*at).step_by(stored.len());
                    let whole = joined(parts, self.physical.field(stored[*at]).data_type());
                    whole.and_then(|whole| match whole.data_type() == field.data_type() {
                        true => Ok(whole),
                        false => cast(&whole, field.data_type()),
                    })
                }
            };
            match values {
                Ok(values) => made.push(values),
                Err(_) => return Found::Unfit,
            }
        }
        let rows = stretches.iter().map(|stretch| stretch.rows as usize).sum();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        match RecordBatch::try_new_with_options(Arc::clone(output), made, &options) {
            Ok(batch) => Found::Rows(batch),
            Err(_) => Found::Unfit,
        }
    }
}

fn profile_ids(access: &Access, stretches: &[Stretch]) -> ArrayRef {
    let ids = stretches.iter().flat_map(|stretch| {
        std::iter::repeat_n(access.people.profile_id(stretch.subject), stretch.rows as usize)
    });
    Arc::new(ids.collect::<Int64Array>())
}

fn household_ids(access: &Access, stretches: &[Stretch]) -> ArrayRef {
    let subjects: Vec<u32> = stretches.iter().map(|stretch| stretch.subject).collect();
    let ids = access.household_ids(&subjects).into_iter().zip(stretches);
    let ids = ids.flat_map(|(id, stretch)| std::iter::repeat_n(id, stretch.rows as usize));
    Arc::new(ids.collect::<Int64Array>())
}

fn joined<'a>(
    mut parts: impl ExactSizeIterator<Item = &'a ArrayRef>,
    data_type: &arrow::datatypes::DataType,
) -> Result<ArrayRef, arrow::error::ArrowError> {
    match (parts.len(), parts.next()) {
        (1, Some(one)) => Ok(Arc::clone(one)),
        (_, Some(first)) => {
            let many: Vec<&dyn Array> =
                std::iter::once(first).chain(parts).map(AsRef::as_ref).collect();
            concat(&many)
        }
        (_, None) => Ok(arrow::array::new_empty_array(data_type)),
    }
}
