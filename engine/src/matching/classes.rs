//! Whom each value of an identifier identifies: one person, a few, or nobody.
//!
//! A value is asked how many different people carry it. People differ when their given names, birthdays or suffixes
//! contradict each other; records that say nothing of the kind count for nobody. Placeholders, role mailboxes and kiosks
//! then need no list.

use super::contradiction::contradictions;
use super::records::{
    ROW_BIRTH, ROW_GIVEN, ROW_IDENTIFIERS, ROW_SECOND, ROW_SUFFIX, ROW_SURNAME, Records,
};
use crate::identity::ValueClass;
use crate::identity::hash;
use crate::identity::interner::NONE;
use crate::identity::threads::{dealt, threads};

/// People who may share a value, where no graph says so by its `shared_limit`; with more it identifies nobody. A household of six
/// is larger than 99 of 100. With three, the telephone of a family of four would be nobody's; with twelve, that of a small firm a
/// family's.
const SHARED_PEOPLE_MAX: usize = 6;

/// Descriptions of a value that are looked at, the most frequent first: what is compared stays bounded for a placeholder that a
/// million carry. With half of it, a seventh person would be missed where the 32 most frequent descriptions are of six.
const DESCRIPTIONS_MAX: usize = 64;

/// The classes of all values, by kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Classes {
    kinds: Vec<Vec<ValueClass>>,
    /// One bit for each kind whose values say nothing.
    silent: u32,
}

impl Classes {
    /// Counts the people of each value.
    pub(super) fn count(records: &Records) -> Self {
        let kinds = 0..records.kinds().len();
        let kinds = dealt(threads(), kinds, |kind| classes_of(records, kind));
        Self { kinds, silent: 0 }
    }

    /// Returns classes that are [set](Self::set) by somebody else.
    pub(crate) fn of_kinds(kinds: usize) -> Self {
        Self { kinds: vec![Vec::new(); kinds], silent: 0 }
    }

    /// Sets the class of a value.
    pub(crate) fn set(&mut self, kind: usize, value: u32, class: ValueClass) {
        let classes = &mut self.kinds[kind];
        if classes.len() <= value as usize {
            classes.resize(value as usize + 1, ValueClass::Personal);
        }
        classes[value as usize] = class;
    }

    /// Lets the values of these kinds say nothing, and those of all others something.
    pub(crate) fn silence(&mut self, kinds: impl Iterator<Item = usize>) {
        self.silent = kinds.fold(0, |silent, kind| silent | 1 << kind);
    }

    fn is_silent(&self, kind: usize) -> bool {
        self.silent >> kind & 1 != 0
    }

    /// Returns the class of a value; one that was not there when values were counted is personal.
    #[inline]
    pub(super) fn get(&self, kind: usize, value: u32) -> ValueClass {
        if self.is_silent(kind) {
            return ValueClass::Nobody;
        }
        self.kinds[kind].get(value as usize).copied().unwrap_or(ValueClass::Personal)
    }
}

/// Returns for each value of a kind the rows that carry it: where they start, and the rows.
pub(super) fn rows_by_value(records: &Records, kind: usize) -> (Vec<u32>, Vec<u32>) {
    let count = records.values[kind].len();
    let mut starts = vec![0_u32; count + 1];
    let values = || {
        let rows = 0..records.len() as u32;
        rows.map(|row| (row, records.row(row)[ROW_IDENTIFIERS + kind]))
            .filter(|&(_, value)| value != NONE)
    };
    for (_, value) in values() {
        starts[value as usize + 1] += 1;
    }
    for at in 0..count {
        starts[at + 1] += starts[at];
    }
    let mut next = starts.clone();
    let mut rows = vec![0; starts[count] as usize];
    for (row, value) in values() {
        rows[next[value as usize] as usize] = row;
        next[value as usize] += 1;
    }
    (starts, rows)
}

fn classes_of(records: &Records, kind: usize) -> Vec<ValueClass> {
    let (starts, rows) = rows_by_value(records, kind);
    let carriers = starts.windows(2).map(|range| &rows[range[0] as usize..range[1] as usize]);
    carriers
        .map(|rows| match people(records, rows) {
            0 | 1 => ValueClass::Personal,
            2..=SHARED_PEOPLE_MAX => ValueClass::Shared,
            _ => ValueClass::Nobody,
        })
        .collect()
}

/// Counts the different people among the records of a value, the most frequent descriptions first.
fn people(records: &Records, rows: &[u32]) -> usize {
    if rows.len() < 2 {
        return rows.len();
    }
    let mut described: Vec<(u64, u32)> = rows
        .iter()
        .filter(|&&row| {
            let row = records.row(row);
            row[ROW_GIVEN] != NONE || row[ROW_BIRTH] != NONE
        })
        .map(|&row| (description(records, row), row))
        .collect();
    described.sort_unstable();
    let mut descriptions: Vec<(usize, u64, u32)> = described
        .chunk_by(|left, right| left.0 == right.0)
        .map(|same| (same.len(), same[0].0, same[0].1))
        .collect();
    descriptions.sort_unstable_by_key(|&(count, hash, _)| (std::cmp::Reverse(count), hash));
    let mut leaders: Vec<u32> = Vec::new();
    for &(.., row) in descriptions.iter().take(DESCRIPTIONS_MAX) {
        let known = |&leader: &u32| !contradictions(records, leader, row).contains(&true);
        if !leaders.iter().any(known) {
            leaders.push(row);
        }
        if leaders.len() > SHARED_PEOPLE_MAX {
            break;
        }
    }
    leaders.len()
}

/// Hashes what people differ in.
fn description(records: &Records, row: u32) -> u64 {
    let row = records.row(row);
    let name =
        |place: usize| if row[place] == NONE { 0 } else { records.names.given_hash(row[place]) };
    let names = [ROW_GIVEN, ROW_SURNAME, ROW_SECOND].into_iter().map(name);
    names.chain([ROW_BIRTH, ROW_SUFFIX].map(|place| u64::from(row[place]))).fold(0, hash::mix)
}
