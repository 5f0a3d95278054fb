//! How often records agree by chance.
//!
//! Random pairs show it for names, birthdays and addresses. Equal identifiers are too rare for that and are counted: `n`
//! records with one value make `n(n-1)/2` pairs.

use super::classes::{Classes, rows_by_value};
use super::compare::Comparer;
use super::levels::{LEVELS_MAX, PERSON_COMPARISONS, identifier};
use super::records::{ROW_GIVEN, ROW_SURNAME, Records};
use crate::identity::ValueClass;
use crate::identity::hash;
use crate::identity::interner::NONE;
use crate::identity::threads::on_each;

/// Pairs that were drawn, by comparison and level.
pub(super) type Counts = Vec<[f64; LEVELS_MAX]>;

/// Compares random pairs and counts levels.
///
/// A pair is a function of the seed and of its own number, so that the result does not hang on threads.
pub(super) fn sample(
    records: &Records,
    classes: &Classes,
    pairs: u64,
    seed: u64,
    threads: usize,
) -> Counts {
    let comparisons = PERSON_COMPARISONS + records.kinds().len();
    let threads = threads.max(1);
    let pairs = if records.len() > 1 { pairs } else { 0 };
    let work = |from: usize| {
        let mut comparer = Comparer::new(records, classes);
        let mut counts = vec![[0.0; LEVELS_MAX]; comparisons];
        let seed = hash::finish(seed);
        for pair in (from as u64..pairs).step_by(threads) {
            let draw = |number: u64| (hash::mix(seed, number) % records.len() as u64) as u32;
            let (left, right) = (draw(pair * 2), draw(pair * 2 + 1));
            if left == right {
                continue;
            }
            let levels = comparer.levels(left, right);
            for (comparison, counts) in counts.iter_mut().enumerate() {
                if let Some(level) = levels.get(comparison) {
                    counts[level as usize] += 1.0;
                }
            }
        }
        counts
    };
    let all: Vec<Counts> = on_each(threads, work);
    let mut sum = vec![[0.0; LEVELS_MAX]; comparisons];
    for counts in all {
        for (sum, counts) in sum.iter_mut().flatten().zip(counts.iter().flatten()) {
            *sum += counts;
        }
    }
    sum
}

/// Returns how often two records agree on given name and surname, whichever forms of them.
pub(super) fn full_name_rate(records: &Records) -> f64 {
    let full_name = |row| {
        let row = records.row(row);
        let (given, surname) = (row[ROW_GIVEN], row[ROW_SURNAME]);
        let names = &records.names;
        (given != NONE && surname != NONE)
            .then(|| hash::mix(names.given_hash(given), names.surname_hash(surname)))
    };
    let mut full_names: Vec<u64> = (0..records.len() as u32).filter_map(full_name).collect();
    full_names.sort_unstable();
    let pairs = |count: usize| count as f64 * (count as f64 - 1.0) / 2.0;
    let same: f64 =
        full_names.chunk_by(|left, right| left == right).map(|same| pairs(same.len())).sum();
    same / pairs(full_names.len()).max(1.0)
}

/// How many pairs of records carry one value of a kind: of several people's values and of personal ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Collisions {
    /// Pairs by [`identifier::SHARED`] and [`identifier::PERSONAL`].
    pub(super) pairs: [f64; 2],
    /// All pairs of records that carry a value of the kind.
    pub(super) of: f64,
}

impl Collisions {
    /// Counts the pairs of a kind.
    pub(super) fn count(records: &Records, classes: &Classes, kind: usize) -> Self {
        let (starts, rows) = rows_by_value(records, kind);
        let (mut pairs, mut usable) = ([0.0; 2], 0.0);
        for (value, range) in starts.windows(2).enumerate() {
            let count = f64::from(range[1] - range[0]);
            let same = count * (count - 1.0) / 2.0;
            match classes.get(kind, value as u32) {
                ValueClass::Personal => pairs[1] += same,
                ValueClass::Shared => pairs[0] += same,
                ValueClass::Nobody => continue,
            }
            usable += count;
        }
        debug_assert!(usable <= rows.len() as f64, "values are counted once");
        Self { pairs, of: (usable * (usable - 1.0) / 2.0).max(1.0) }
    }

    /// Returns how often two records agree at a level.
    pub(super) fn rate(&self, level: u8) -> f64 {
        self.pairs[usize::from(level - identifier::SHARED)] / self.of
    }
}
