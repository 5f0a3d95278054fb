//! Whose the rows of a file are: so many of one subject, then so many of the next.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use parking_lot::Mutex;

use super::access::NO_SUBJECT;

/// How many files' runs are kept; the oldest half is dropped beyond that.
const CACHED_FILES_MAX: usize = 16_384;

/// A range of rows of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) rows: u64,
}

/// Consecutive rows of one subject in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The subject, or [`NO_SUBJECT`].
    pub subject: u32,
    /// How many rows.
    pub rows: u32,
}

/// How many runs lie between two whose first rows are known: few, since those between are looked through.
const STEP: usize = 64;

/// The runs of one file.
#[derive(Debug)]
pub struct Runs {
    runs: Box<[Run]>,
    /// The first row of every [`STEP`]th run.
    starts: Box<[u64]>,
    /// Whose it is. They lie close together, so that who looks for a subject waits for memory once or twice.
    subjects: Box<[u32]>,
    /// The subjects of the first and of the last run.
    pub(super) ends: Option<(u32, u32)>,
    /// Whether each subject has one run, and those are in the order of subjects.
    pub(super) sorted: bool,
}

impl Runs {
    pub(super) fn new(runs: Vec<Run>) -> Self {
        let mut at = 0;
        let mut starts = Vec::with_capacity(runs.len().div_ceil(STEP));
        for step in runs.chunks(STEP) {
            starts.push(at);
            at += step.iter().map(|run| u64::from(run.rows)).sum::<u64>();
        }
        let subjects = runs.iter().step_by(STEP).map(|run| run.subject).collect();
        let ends = runs.first().zip(runs.last()).map(|(first, last)| (first.subject, last.subject));
        let sorted = runs.is_sorted_by(|a, b| a.subject < b.subject);
        Self { runs: runs.into(), starts: starts.into(), subjects, ends, sorted }
    }

    /// Returns the rows of `subject` in a file where each subject has one run.
    pub(super) fn range_of(&self, subject: u32) -> Option<Range> {
        let step = self.subjects.partition_point(|first| *first <= subject).checked_sub(1)?;
        let mut start = self.starts[step];
        for run in self.runs[step * STEP..].iter().take(STEP) {
            if run.subject >= subject {
                let rows = u64::from(run.rows);
                return (run.subject == subject).then_some(Range { start, rows });
            }
            start += u64::from(run.rows);
        }
        None
    }
}

impl Runs {
    /// Returns whose row stands at this place of the file.
    pub(super) fn subject_at(&self, row: u64) -> Option<u32> {
        let step = self.starts.partition_point(|start| *start <= row).checked_sub(1)?;
        let mut end = self.starts[step];
        for run in self.runs[step * STEP..].iter().take(STEP) {
            end += u64::from(run.rows);
            if row < end {
                return Some(run.subject);
            }
        }
        None
    }
}

impl Deref for Runs {
    type Target = [Run];

    fn deref(&self) -> &[Run] {
        &self.runs
    }
}

/// Collapses the subjects of a file's rows, in file order, into runs.
pub fn runs_of(subjects: impl Iterator<Item = Option<i64>>) -> Runs {
    let mut runs: Vec<Run> = Vec::new();
    for subject in subjects {
        let subject = subject.and_then(|subject| u32::try_from(subject).ok()).unwrap_or(NO_SUBJECT);
        match runs.last_mut() {
            Some(run) if run.subject == subject => run.rows += 1,
            _ => runs.push(Run { subject, rows: 1 }),
        }
    }
    Runs::new(runs)
}

type CachedRuns = (u64, Arc<Runs>);

/// The runs of files, by path: files are immutable, so an entry never goes stale.
#[derive(Debug, Default)]
pub struct RunCache {
    /// By path: when the entry was last used, and the runs.
    files: Mutex<HashMap<String, CachedRuns>>,
    clock: std::sync::atomic::AtomicU64,
}

impl RunCache {
    /// Returns the runs of the file at `path`, if they are known.
    pub fn get(&self, path: &str) -> Option<Arc<Runs>> {
        let now = self.clock.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut files = self.files.lock();
        let (used, runs) = files.get_mut(path)?;
        *used = now;
        Some(Arc::clone(runs))
    }

    /// Remembers the runs of the file at `path`.
    pub fn insert(&self, path: String, runs: Runs) -> Arc<Runs> {
        let now = self.clock.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let runs = Arc::new(runs);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_of_the_subject_whose_run_it_is_in() {
        let subjects: Vec<Option<i64>> = (0..3_000)
            .flat_map(|subject| {
                std::iter::repeat_n(Some(subject % 2_000), (subject % 4) as usize + 1)
            })
            .collect();
        let runs = runs_of(subjects.iter().copied());
        for (row, subject) in subjects.iter().enumerate() {
            assert_eq!(runs.subject_at(row as u64).map(i64::from), *subject, "row {row}");
        }
        assert_eq!(runs.subject_at(subjects.len() as u64), None);
        assert_eq!(runs_of(std::iter::empty()).subject_at(0), None);
    }

    #[test]
    fn the_rows_of_each_subject_are_found_where_each_has_one_run() {
        // Every third subject is there, from 30 on.
        let of = |run: u32| Run { subject: 30 + run * 3, rows: run % 5 + 1 };
        let runs = Runs::new((0..1_000).map(of).collect());
        assert!(runs.sorted);
        assert_eq!(runs.ends, Some((30, 30 + 999 * 3)));
        let mut start = 0;
        for run in (0..1_000).map(of) {
            let rows = u64::from(run.rows);
            assert_eq!(runs.range_of(run.subject), Some(Range { start, rows }));
            assert_eq!(runs.range_of(run.subject + 1), None);
            assert_eq!(runs.range_of(run.subject - 1), None);
            start += rows;
        }
        let none = Runs::new(Vec::new());
        assert_eq!((none.ends, none.range_of(0)), (None, None));
    }
}
