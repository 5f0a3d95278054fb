//! How frequent names are, among people rather than records.
//!
//! Two records that share a rare name agree more than two that share a frequent one. A customer's own orders must not make
//! their name frequent, so records that a personal identifier joins count once.

use std::collections::HashMap;

use super::classes::{Classes, rows_by_value};
use super::records::{ROW_GIVEN, ROW_SURNAME, Records};
use crate::identity::ValueClass;
use crate::identity::interner::NONE;
use crate::identity::union_find::UnionFind;

/// Bits by which the frequency of a name may weigh less or more than that of names on average. What a table does not
/// hold twice is not as rare as it looks: eight bits more are a name 256 times as rare as the average, and without that bound every
/// mistyped name would be the rarest. Four bits less are one sixteen times as frequent, which still tells something.
const BITS_MIN: f64 = -4.0;
const BITS_MAX: f64 = 8.0;

/// People by name, for given names and surnames; names by the hash of their key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frequencies {
    /// People by given name.
    pub given: Counts,
    /// People by surname.
    pub surname: Counts,
}

/// People by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    people: HashMap<u64, u32>,
    sum: f64,
    /// The probability that two people agree.
    agreement: f64,
}

impl Frequencies {
    /// Counts people.
    pub(super) fn count(records: &Records, classes: &Classes) -> Self {
        let mut people = UnionFind::new(records.len() as u32);
        for kind in 0..records.kinds().len() {
            let (starts, rows) = rows_by_value(records, kind);
            for (value, range) in starts.windows(2).enumerate() {
                let rows = &rows[range[0] as usize..range[1] as usize];
                if classes.get(kind, value as u32) == ValueClass::Personal {
                    for pair in rows.windows(2) {
                        people.union(pair[0], pair[1]);
                    }
                }
            }
        }
        let people = people.into_roots();
        let names = &records.names;
        Self {
            given: Counts::count(records, &people, ROW_GIVEN, |part| names.given_hash(part)),
            surname: Counts::count(records, &people, ROW_SURNAME, |part| names.surname_hash(part)),
        }
    }
}

impl Counts {
    fn count(records: &Records, people: &[u32], place: usize, hash: impl Fn(u32) -> u64) -> Self {
        let said = people.iter().zip(0..).filter_map(|(&person, row)| {
            let part = records.row(row)[place];
            (part != NONE && records.names.text(part).len() > 1).then(|| (hash(part), person))
        });
        let mut said: Vec<(u64, u32)> = said.collect();
        said.sort_unstable();
        said.dedup();
        let sum = said.len() as f64;
        let mut counts = Self { people: HashMap::new(), sum, agreement: 0.0 };
        for same in said.chunk_by(|left, right| left.0 == right.0) {
            // A name of one person is as rare as one that nobody has, and nothing is kept of it.
            if same.len() > 1 {
                counts.people.insert(same[0].0, same.len() as u32);
            }
            counts.agreement += (same.len() as f64 / sum).powi(2);
        }
        counts
    }

    /// Puts together what [`names`](Self::names), [`sum`](Self::sum) and [`agreement`](Self::agreement) told.
    pub(crate) fn from_parts(
        names: impl Iterator<Item = (u64, u32)>,
        sum: f64,
        agreement: f64,
    ) -> Self {
        Self { people: names.collect(), sum, agreement }
    }

    /// Returns the names of several people by their hash, with how many people have each, in the order of the hashes.
    pub(crate) fn names(&self) -> Vec<(u64, u32)> {
        let mut names: Vec<(u64, u32)> =
            self.people.iter().map(|(name, people)| (*name, *people)).collect();
        names.sort_unstable();
        names
    }

    /// Returns how many people there are.
    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    /// Returns the probability that two people agree.
    pub(crate) fn agreement(&self) -> f64 {
        self.agreement
    }

    /// Returns by how many bits agreement on a name is worth more than agreement on names in general.
    pub(super) fn bits(&self, hash: u64) -> f64 {
        if self.sum == 0.0 {
            return 0.0;
        }
        let people = f64::from(self.people.get(&hash).copied().unwrap_or(1));
        (self.agreement.log2() - (people / self.sum).log2()).clamp(BITS_MIN, BITS_MAX)
    }
}
