//! Which rows of a table exist for an access, worked out before a single page is read.
//!
//! Files are sorted by subject, so a file is a list of [`Run`]s: so many rows of one subject. The runs of a file never
//! change and are kept in memory ([`RunCache`](super::runs::RunCache)); from them follow the visible rows, their exact
//! number, and cuts that fall after every 8,192nd *visible* row. Files are read in the order of their visible subjects, so
//! that one which was written anew, and so is the last of its table, for a row of somebody hidden is read where it was read
//! before. What a hidden person adds to a file moves none of these, so batches and partitions, and with them sums of
//! floating point numbers and the order of rows, are the same whether that person is there or not.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use super::access::{Access, Visible};
use super::runs::{Range, Run, Runs};

/// Rows of one batch of a governed scan.
pub const BATCH_ROWS: usize = 8192;

/// So many rows at a stretch are worth to be passed over: they hold pages that need not be decoded.
const WHOLE_ROWS: u64 = 2048;

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

    /// Tells whether it is cheaper to read all rows from its first to its last and to drop those between that are not
    /// its own: they are many small gaps, and less than what is kept.
    pub fn is_riddled(&self) -> bool {
        let span = self.span().rows;
        self.ranges.len() as u64 * WHOLE_ROWS > span
            && span <= self.rows() * 2
            && span > self.rows()
    }

    /// The rows from its first to its last.
    fn span(&self) -> Range {
        match (self.ranges.first(), self.ranges.last()) {
            (Some(first), Some(last)) => {
                Range { start: first.start, rows: last.start + last.rows - first.start }
            }
            _ => Range { start: 0, rows: 0 },
        }
    }

    /// Calls `visit` for what is read of it in turn: how many rows, and whether they are its own.
    fn for_each_stretch(&self, mut visit: impl FnMut(u64, bool)) {
        let (mut at, riddled) = (self.span().start, self.is_riddled());
        for range in &self.ranges {
            if range.start > at && riddled {
                visit(range.start - at, false);
            }
            visit(range.rows, true);
            at = range.start + range.rows;
        }
    }

    /// Returns the selection of its rows in a file of `file_rows` rows.
    pub fn row_selection(&self, file_rows: u64) -> RowSelection {
        Self::selection_of(&self.ranges, file_rows)
    }

    /// Returns the same for who drops the rows between, and reads them if that is cheaper.
    pub fn read_selection(&self, file_rows: u64) -> RowSelection {
        Self::selection_of(&self.read_ranges(), file_rows)
    }

    /// Returns its rows.
    pub(super) fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// Returns what is read by who drops the rows between.
    pub(super) fn read_ranges(&self) -> Cow<'_, [Range]> {
        match self.is_riddled() {
            true => Cow::Owned(vec![self.span()]),
            false => Cow::Borrowed(&self.ranges),
        }
    }

    fn selection_of(ranges: &[Range], file_rows: u64) -> RowSelection {
        let mut selectors = Vec::with_capacity(ranges.len() * 2 + 1);
        let mut at = 0;
        for range in ranges {
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

/// Which people a statement asks for, where it says so.
pub struct Asked<'a> {
    /// Tells whether rows of the profile with this id are asked for.
    pub takes: &'a dyn Fn(Option<i64>) -> bool,
    /// All subjects of these profiles, sorted, if they are a few.
    pub subjects: Option<Vec<u32>>,
}

/// The visible rows of a table, dealt to partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// For each partition, what it reads, in order.
    pub partitions: Vec<Vec<Piece>>,
}

impl Selection {
    /// Selects the rows that `access` sees of the people who are `asked` for, and cuts them into at most
    /// `partitions_max` partitions of whole batches.
    pub fn new(
        files: &[Arc<Runs>],
        access: &Access,
        partitions_max: usize,
        asked: Option<&Asked<'_>>,
    ) -> Self {
        let mut selected: Vec<(usize, Vec<Range>)> = Vec::with_capacity(files.len());
        for file in in_visible_order(files, &access.visible) {
            selected.push((file, ranges_of(&files[file], access, asked)));
        }
        let total = selected.iter().flat_map(|(_, ranges)| ranges).map(|range| range.rows).sum();
        Self { partitions: deal(selected, total, partitions_max) }
    }

    /// Tells whether rows are read that are not selected.
    pub fn is_riddled(&self) -> bool {
        self.partitions.iter().flatten().any(Piece::is_riddled)
    }

    /// Returns which of the rows are selected that one partition reads of the files that are read.
    pub fn stretches(&self, partition: usize, is_read: &[bool]) -> Stretches {
        let mut stretches = Vec::new();
        for piece in self.partitions[partition].iter().filter(|piece| is_read[piece.file]) {
            piece.for_each_stretch(|rows, own| stretches.push((rows, own)));
        }
        stretches.reverse();
        Stretches(stretches)
    }

    /// Returns how many rows one partition reads.
    pub fn rows(&self, partition: usize) -> u64 {
        self.partitions[partition].iter().map(Piece::rows).sum()
    }
}

/// Which rows of a stream are selected, in stretches, the next one last.
#[derive(Debug)]
pub struct Stretches(Vec<(u64, bool)>);

impl Stretches {
    /// Tells whether all rows were asked for.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns which of the next `rows` rows are selected, or `None` if all are.
    pub fn next(&mut self, rows: usize) -> Option<BooleanBuffer> {
        let mut left = rows as u64;
        let mut mask = BooleanBufferBuilder::new(rows);
        let mut all = true;
        while left > 0 {
            // Rows that nothing tells of are not selected.
            let (taken, own) = match self.0.last_mut() {
                Some((stretch, own)) => {
                    let taken = left.min(*stretch);
                    *stretch -= taken;
                    (taken, *own)
                }
                None => (left, false),
            };
            if self.0.last().is_some_and(|(stretch, _)| *stretch == 0) {
                self.0.pop();
            }
            mask.append_n(taken as usize, own);
            all &= own;
            left -= taken;
        }
        (!all).then(|| mask.finish())
    }
}

/// Returns the rows of one file that are visible and asked for.
fn ranges_of(runs: &Runs, access: &Access, asked: Option<&Asked<'_>>) -> Vec<Range> {
    let exists = |subject: u32| {
        access.visible.contains(subject)
            && asked.is_none_or(|asked| (asked.takes)(access.people.profile_id(subject)))
    };
    let mut ranges: Vec<Range> = Vec::new();
    let mut add = |range: Range| match ranges.last_mut() {
        Some(last) if last.start + last.rows == range.start => last.rows += range.rows,
        _ => ranges.push(range),
    };
    match asked.and_then(|asked| asked.subjects.as_deref()) {
        Some(subjects) if runs.sorted => {
            let subjects = subjects.iter().copied().filter(|subject| exists(*subject));
            subjects.filter_map(|subject| runs.range_of(subject)).for_each(add);
        }
        None if asked.is_none() && matches!(access.visible, Visible::Everyone) => {
            add(Range { start: 0, rows: runs.iter().map(|run| u64::from(run.rows)).sum() });
        }
        _ => {
            let mut start = 0;
            for run in runs.iter() {
                let rows = u64::from(run.rows);
                if exists(run.subject) {
                    add(Range { start, rows });
                }
                start += rows;
            }
        }
    }
    ranges
}

/// Returns the order in which files are read: that of the visible subjects in them, and as they stand in the list where
/// those are the same. Files of a table that is sorted as a whole follow each other.
pub(super) fn in_visible_order(files: &[Arc<Runs>], visible: &Visible) -> Vec<usize> {
    fn subjects<'a>(runs: &'a [Run], visible: &'a Visible) -> impl Iterator<Item = u32> + 'a {
        runs.iter().map(|run| run.subject).filter(|subject| visible.contains(*subject))
    }
    // What comes before the first visible subject of a file is passed over once, and not in each comparison.
    let from_first = |runs: &Arc<Runs>| {
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
    use crate::query::runs::runs_of;
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

    fn rows_of(selection: &Selection, files: &[Arc<Runs>]) -> Vec<Vec<u32>> {
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
        let files = [Arc::new(runs_of([Some(0), None, None].into_iter()))];
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
            let clean = [Arc::new(Runs::new(clean))];
            let mixed = [Arc::new(Runs::new(mixed))];
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
            let runs = |rows: &std::collections::BTreeMap<u32, u32>| {
                let runs = rows.iter().map(|(subject, rows)| Run { subject: *subject, rows: *rows });
                Arc::new(Runs::new(runs.collect()))
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

        /// What is read holds exactly the rows that are selected, and stretches tell which they are.
        #[test]
        fn row_selections_cover_the_file(runs in proptest::collection::vec((0u32..6, 1u32..9000), 1..20)) {
            let runs: Vec<Run> = runs.iter().map(|(subject, rows)| Run { subject: *subject, rows: *rows }).collect();
            let files = [Arc::new(Runs::new(runs.clone()))];
            let total: u64 = runs.iter().map(|run| u64::from(run.rows)).sum();
            let selection = Selection::new(&files, &access(&[0, 2, 4], 6), 4, None);
            for piece in selection.partitions.iter().flatten() {
                prop_assert_eq!(piece.row_selection(total).row_count() as u64, piece.rows());
                let rows = piece.read_selection(total);
                prop_assert_eq!(rows.row_count() as u64 + rows.skipped_row_count() as u64, total);
                let (mut read, mut own) = (0, 0);
                piece.for_each_stretch(|rows, selected| {
                    read += rows;
                    own += if selected { rows } else { 0 };
                });
                prop_assert_eq!((read, own), (rows.row_count() as u64, piece.rows()));
            }
        }

        /// Of files that are read whole for many small gaps, exactly the selected rows are taken, however they come in batches.
        #[test]
        fn rows_between_are_dropped(runs in proptest::collection::vec((0u32..8, 1u32..60), 1..400), batch in 1usize..90) {
            let runs: Vec<Run> = runs.iter().map(|(subject, rows)| Run { subject: *subject, rows: *rows }).collect();
            let subjects: Vec<u32> = runs.iter().flat_map(|run| std::iter::repeat_n(run.subject, run.rows as usize)).collect();
            let files = [Arc::new(Runs::new(runs))];
            let selection = Selection::new(&files, &access(&[0, 1, 2, 4, 5, 7], 8), 2, None);
            for (partition, expected) in rows_of(&selection, &files).iter().enumerate() {
                let mut read = Vec::new();
                for piece in &selection.partitions[partition] {
                    let mut at = 0;
                    for selector in piece.read_selection(subjects.len() as u64).iter() {
                        if !selector.skip {
                            read.extend_from_slice(&subjects[at..at + selector.row_count]);
                        }
                        at += selector.row_count;
                    }
                }
                let mut stretches = selection.stretches(partition, &[true]);
                let mut taken = Vec::new();
                for rows in read.chunks(batch) {
                    let mask = stretches.next(rows.len());
                    let kept = |at: &usize| mask.as_ref().is_none_or(|mask| mask.value(*at));
                    taken.extend((0..rows.len()).filter(kept).map(|at| rows[at]));
                }
                prop_assert!(stretches.is_over(), "all that is read is told of");
                prop_assert_eq!(&taken, expected);
            }
        }

        /// Who looks for a few subjects finds the rows that who looks at all finds.
        #[test]
        fn subjects_are_found_where_they_are(
            files in proptest::collection::vec(proptest::collection::btree_map(0u32..2000, 1u32..50, 0..900), 1..4),
            asked in proptest::collection::btree_set(0u32..2100, 0..6), visible in proptest::collection::vec(0u32..2000, 0..2000),
        ) {
            let access = access(&visible, 2100);
            let runs = |rows: &std::collections::BTreeMap<u32, u32>| {
                Arc::new(Runs::new(rows.iter().map(|(subject, rows)| Run { subject: *subject, rows: *rows }).collect()))
            };
            let files: Vec<_> = files.iter().map(runs).collect();
            let takes = |id: Option<i64>| id.is_some_and(|id| asked.contains(&(id as u32 - 1)));
            let found = |subjects| Selection::new(&files, &access, 3, Some(&Asked { takes: &takes, subjects }));
            prop_assert_eq!(found(Some(asked.iter().copied().collect())), found(None));
        }
    }
}
