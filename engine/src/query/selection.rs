//! Which rows of a table exist for an access, worked out before a single page is read.
//!
//! Files are sorted by subject, so a file is a list of [`Run`]s: so many rows of one subject. The runs of a file never
//! change and are kept in memory ([`RunCache`]); from them follow the visible rows, their exact number, and cuts that
//! fall after every 8,192nd *visible* row. Files are read in the order of their visible subjects, so that one which was
//! written anew, and so is the last of its table, for a row of somebody hidden is read where it was read before. What a
//! hidden person adds to a file moves none of these, so batches and partitions, and with them sums of floating point
//! numbers and the order of rows, are the same whether that person is there or not.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parking_lot::Mutex;

use super::access::{Access, NO_SUBJECT, Visible};

/// Rows of one batch of a governed scan.
pub const BATCH_ROWS: usize = 8192;

/// How many files' runs are kept; the oldest half is dropped beyond that.
const CACHED_FILES_MAX: usize = 16_384;

/// Consecutive rows of one subject in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The subject, or [`NO_SUBJECT`].
    pub subject: u32,
    /// How many rows.
    pub rows: u32,
}

/// Collapses the subjects of a file's rows, in file order, into runs.
pub fn runs_of(subjects: impl Iterator<Item = Option<i64>>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for subject in subjects {
        let subject = subject.and_then(|subject| u32::try_from(subject).ok()).unwrap_or(NO_SUBJECT);
        match runs.last_mut() {
            Some(run) if run.subject == subject => run.rows += 1,
            _ => runs.push(Run { subject, rows: 1 }),
        }
    }
    runs.shrink_to_fit();
    runs
}

type CachedRuns = (u64, Arc<[Run]>);

/// The runs of files, by path: files are immutable, so an entry never goes stale.
#[derive(Debug, Default)]
pub struct RunCache {
    /// By path: when the entry was last used, and the runs.
    files: Mutex<HashMap<String, CachedRuns>>,
    clock: std::sync::atomic::AtomicU64,
}

impl RunCache {
    /// Returns the runs of the file at `path`, if they are known.
    pub fn get(&self, path: &str) -> Option<Arc<[Run]>> {
        let now = self.clock.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut files = self.files.lock();
        let (used, runs) = files.get_mut(path)?;
        *used = now;
        Some(Arc::clone(runs))
    }

    /// Remembers the runs of the file at `path`.
    pub fn insert(&self, path: String, runs: Vec<Run>) -> Arc<[Run]> {
        let now = self.clock.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let runs: Arc<[Run]> = runs.into();
        let mut files = self.files.lock();
        if files.len() >= CACHED_FILES_MAX {
            let mut uses: Vec<u64> = files.values().map(|(used, _)| *used).collect();
            uses.sort_unstable();
            let median = uses[uses.len() / 2];
            files.retain(|_, (used, _)| *used > median);
        }
        files.insert(path, (now, Arc::clone(&runs)));
        runs
    }
}

/// A range of rows of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    start: u64,
    rows: u64,
}

/// The rows of one file that one partition reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The file's place in the list of files.
    pub file: usize,
    ranges: Vec<Range>,
}

impl Piece {
    /// Returns how many rows are read.
    pub fn rows(&self) -> u64 {
        self.ranges.iter().map(|range| range.rows).sum()
    }

    /// Returns the selection of these rows in a file of `file_rows` rows.
    pub fn row_selection(&self, file_rows: u64) -> RowSelection {
        let mut selectors = Vec::with_capacity(self.ranges.len() * 2 + 1);
        let mut at = 0;
        for range in &self.ranges {
            if range.start > at {
                selectors.push(RowSelector::skip((range.start - at) as usize));
            }
            selectors.push(RowSelector::select(range.rows as usize));
            at = range.start + range.rows;
        }
        if file_rows > at {
            selectors.push(RowSelector::skip((file_rows - at) as usize));
        }
        RowSelection::from(selectors)
    }

    /// Calls `visit` with the subject and the number of rows of each selected run, in order.
    pub fn for_each_run(&self, runs: &[Run], mut visit: impl FnMut(u32, usize)) {
        let mut ranges = self.ranges.iter();
        let Some(mut range) = ranges.next() else { return };
        let mut start = 0u64;
        for run in runs {
            let end = start + u64::from(run.rows);
            while range.start < end {
                let from = range.start.max(start);
                let to = (range.start + range.rows).min(end);
                if from < to {
                    visit(run.subject, (to - from) as usize);
                }
                if range.start + range.rows > end {
                    break;
                }
                match ranges.next() {
                    Some(next) => range = next,
                    None => return,
                }
            }
            start = end;
        }
    }
}

/// The visible rows of a table, dealt to partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// For each partition, what it reads, in order.
    pub partitions: Vec<Vec<Piece>>,
}

impl Selection {
    /// Selects the rows that `access` sees and whose profile id `takes` takes, and cuts them into at most `partitions_max`
    /// partitions of whole batches.
    pub fn new(
        files: &[Arc<[Run]>],
        access: &Access,
        partitions_max: usize,
        takes: Option<&dyn Fn(Option<i64>) -> bool>,
    ) -> Self {
        let mut selected: Vec<(usize, Vec<Range>)> = Vec::with_capacity(files.len());
        let mut total = 0u64;
        let whole = takes.is_none() && matches!(access.visible, Visible::Everyone);
        for file in in_visible_order(files, &access.visible) {
            let runs = &files[file];
            let mut ranges: Vec<Range> = Vec::new();
            if whole {
                let rows = runs.iter().map(|run| u64::from(run.rows)).sum();
                total += rows;
                selected.push((file, vec![Range { start: 0, rows }]));
                continue;
            }
            let mut at = 0u64;
            for run in runs.iter() {
                let rows = u64::from(run.rows);
                if access.visible.contains(run.subject)
                    && takes.is_none_or(|takes| takes(access.people.profile_id(run.subject)))
                {
                    total += rows;
                    match ranges.last_mut() {
                        Some(last) if last.start + last.rows == at => last.rows += rows,
                        _ => ranges.push(Range { start: at, rows }),
                    }
                }
                at += rows;
            }
            selected.push((file, ranges));
        }
        Self { partitions: deal(selected, total, partitions_max) }
    }

    /// Returns how many rows one partition reads.
    pub fn rows(&self, partition: usize) -> u64 {
        self.partitions[partition].iter().map(Piece::rows).sum()
    }
}

/// Returns the order in which files are read: that of the visible subjects in them, and as they stand in the list where
/// those are the same. Files of a table that is sorted as a whole follow each other.
fn in_visible_order(files: &[Arc<[Run]>], visible: &Visible) -> Vec<usize> {
    fn subjects<'a>(runs: &'a [Run], visible: &'a Visible) -> impl Iterator<Item = u32> + 'a {
        runs.iter().map(|run| run.subject).filter(|subject| visible.contains(*subject))
    }
    // What comes before the first visible subject of a file is passed over once, and not in each comparison.
    let from_first = |runs: &Arc<[Run]>| {
        runs.iter().position(|run| visible.contains(run.subject)).unwrap_or(runs.len())
    };
    let mut order: Vec<(usize, &[Run])> =
        files.iter().enumerate().map(|(file, runs)| (file, &runs[from_first(runs)..])).collect();
    order.sort_by(|(_, a), (_, b)| subjects(a, visible).cmp(subjects(b, visible)));
    order.into_iter().map(|(file, _)| file).collect()
}

/// Cuts the selected ranges after whole batches, so that partitions are even and their edges fall on visible rows only.
fn deal(selected: Vec<(usize, Vec<Range>)>, total: u64, partitions_max: usize) -> Vec<Vec<Piece>> {
    let batches = total.div_ceil(BATCH_ROWS as u64);
    let partition_count = batches.clamp(1, partitions_max.max(1) as u64);
    let rows_each = batches.div_ceil(partition_count) * BATCH_ROWS as u64;
    let mut partitions: Vec<Vec<Piece>> = vec![Vec::new()];
    let mut room = rows_each;
    for (file, ranges) in selected {
        let mut piece = Piece { file, ranges: Vec::new() };
        for mut range in ranges {
            while range.rows > 0 {
                if room == 0 {
                    let full = std::mem::replace(&mut piece, Piece { file, ranges: Vec::new() });
                    push_piece(&mut partitions, full);
                    partitions.push(Vec::new());
                    room = rows_each;
                }
                let taken = range.rows.min(room);
                piece.ranges.push(Range { start: range.start, rows: taken });
                range.start += taken;
                range.rows -= taken;
                room -= taken;
            }
        }
        push_piece(&mut partitions, piece);
    }
    partitions
}

fn push_piece(partitions: &mut [Vec<Piece>], piece: Piece) {
    if let (false, Some(last)) = (piece.ranges.is_empty(), partitions.last_mut()) {
        last.push(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::access::{People, SubjectSet, Visible};
    use proptest::prelude::*;

    fn access(visible: &[u32], subjects: u32) -> Access {
        let mut set = SubjectSet::default();
        visible.iter().for_each(|subject| set.insert(*subject));
        Access {
            role: "analyst".into(),
            purpose: "analytics".into(),
            visible: Visible::Subjects(Arc::new(set)),
            people: Arc::new(People::new(
                1,
                (1..=i64::from(subjects)).collect(),
                (0..subjects).collect(),
            )),
        }
    }

    fn rows_of(selection: &Selection, files: &[Arc<[Run]>]) -> Vec<Vec<u32>> {
        let mut out = Vec::new();
        for partition in &selection.partitions {
            let mut rows = Vec::new();
            for piece in partition {
                piece.for_each_run(&files[piece.file], |subject, count| {
                    rows.extend(std::iter::repeat_n(subject, count))
                });
            }
            out.push(rows);
        }
        out
    }

    #[test]
    fn rows_without_a_subject_are_only_for_everyone() {
        let files = [Arc::from(runs_of([Some(0), None, None].into_iter()))];
        let governed = Selection::new(&files, &access(&[0], 1), 2, None);
        assert_eq!(governed.rows(0), 1);
        let all = Access { visible: Visible::Everyone, ..access(&[], 1) };
        assert_eq!(Selection::new(&files, &all, 2, None).rows(0), 3);
    }

    proptest! {
        /// Hidden rows, wherever they are, change neither the visible rows of a partition nor their order.
        #[test]
        fn partitions_do_not_depend_on_hidden_rows(
            visible in proptest::collection::vec((0u32..20, 1u32..6000), 0..30),
            hidden in proptest::collection::vec((20u32..40, 1u32..6000, 0usize..30), 0..30),
        ) {
            let access = access(&(0..20).collect::<Vec<_>>(), 40);
            let clean: Vec<Run> = visible.iter().map(|(subject, rows)| Run { subject: *subject, rows: *rows }).collect();
            let mut mixed = clean.clone();
            for (subject, rows, at) in hidden {
                mixed.insert(at.min(mixed.len()), Run { subject, rows });
            }
            let clean = [Arc::from(clean)];
            let mixed = [Arc::from(mixed)];
            let one = Selection::new(&clean, &access, 3, None);
            let other = Selection::new(&mixed, &access, 3, None);
            prop_assert_eq!(rows_of(&one, &clean), rows_of(&other, &mixed));
        }

        /// A file that is written anew for a hidden person, and so comes last, is read where it was.
        #[test]
        fn files_do_not_move_with_hidden_rows(
            files in proptest::collection::vec(proptest::collection::btree_map(0u32..40, 1u32..4000, 1..12), 1..5),
            hidden in proptest::collection::btree_map(20u32..40, 1u32..4000, 0..6), moved in 0usize..5,
        ) {
            let access = access(&(0..20).collect::<Vec<_>>(), 40);
            let runs = |rows: &std::collections::BTreeMap<u32, u32>| -> Arc<[Run]> {
                rows.iter().map(|(subject, rows)| Run { subject: *subject, rows: *rows }).collect()
            };
            let mut visible: Vec<Vec<u32>> = files.iter().map(|rows| rows.keys().copied().filter(|subject| *subject < 20).collect()).collect();
            visible.sort();
            visible.dedup();
            // Which of two files comes first that show the same subjects is told by nothing else.
            proptest::prop_assume!(visible.len() == files.len());
            let before: Vec<_> = files.iter().map(&runs).collect();
            let mut after = files;
            let mut rewritten = after.remove(moved % before.len());
            rewritten.retain(|subject, _| *subject < 20);
            rewritten.extend(hidden);
            after.push(rewritten);
            let after: Vec<_> = after.iter().map(runs).collect();
            let one = Selection::new(&before, &access, 3, None);
            let other = Selection::new(&after, &access, 3, None);
            prop_assert_eq!(rows_of(&one, &before), rows_of(&other, &after));
        }

        /// A row selection reads exactly the rows of its ranges.
        #[test]
        fn row_selections_cover_the_file(runs in proptest::collection::vec((0u32..6, 1u32..9000), 1..20)) {
            let files = [Arc::from(runs.iter().map(|(subject, rows)| Run { subject: *subject, rows: *rows }).collect::<Vec<_>>())];
            let total: u64 = runs.iter().map(|(_, rows)| u64::from(*rows)).sum();
            let selection = Selection::new(&files, &access(&[0, 2, 4], 6), 4, None);
            for piece in selection.partitions.iter().flatten() {
                let rows = piece.row_selection(total);
                prop_assert_eq!(rows.row_count() as u64, piece.rows());
                prop_assert_eq!(rows.row_count() as u64 + rows.skipped_row_count() as u64, total);
            }
        }
    }
}
