//! Pairs of records about which people said whether they are one person: training takes their word for it.
//!
//! A pair that somebody decided is counted under the class that it was decided to be, whatever the model would guess: of one
//! person, or of two. Of two people, whether they share a household is still guessed. Nothing else differs from a pair that
//! nobody looked at: it counts once, in the blocks that hold it, so that a handful of answers moves a model by as much as a
//! handful of pairs should.

use std::collections::{HashMap, HashSet};

use super::records::Records;

/// What is known of a pair before it is weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Told {
    /// Nothing.
    Nothing,
    /// It is of one person.
    Same,
    /// It is of two people.
    Different,
}

/// What people said of pairs of records, by the keys of the records.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    told: HashMap<(u64, u64), bool>,
}

impl Labels {
    /// Makes labels of pairs of keys, each with whether it is of one person.
    pub fn new(pairs: impl IntoIterator<Item = (u64, u64, bool)>) -> Self {
        let ordered =
            |(left, right, same): (u64, u64, bool)| ((left.min(right), left.max(right)), same);
        Self { told: pairs.into_iter().map(ordered).collect() }
    }

    /// Returns how many pairs there are.
    pub fn len(&self) -> usize {
        self.told.len()
    }

    /// Tells whether nobody said anything.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Makes ready to ask about pairs of rows of a table.
    pub(super) fn of<'a>(&'a self, records: &'a Records) -> LabelsOfRows<'a> {
        let keys: HashSet<u64> =
            self.told.keys().flat_map(|&(left, right)| [left, right]).collect();
        let concerned = match self.is_empty() {
            true => Vec::new(),
            false => {
                (0..records.len() as u32).map(|row| keys.contains(&records.key(row))).collect()
            }
        };
        LabelsOfRows { labels: self, records, concerned }
    }
}

/// What people said of pairs of rows.
pub(super) struct LabelsOfRows<'a> {
    labels: &'a Labels,
    records: &'a Records,
    /// For each row whether anything was said of its record; empty if nobody said anything.
    concerned: Vec<bool>,
}

impl<'a> LabelsOfRows<'a> {
    pub(super) fn records(&self) -> &'a Records {
        self.records
    }

    pub(super) fn told(&self, left: u32, right: u32) -> Told {
        let concerns =
            |row: u32| self.concerned.get(row as usize).is_some_and(|concerns| *concerns);
        if !concerns(left) || !concerns(right) {
            return Told::Nothing;
        }
        let (left, right) = (self.records.key(left), self.records.key(right));
        match self.labels.told.get(&(left.min(right), left.max(right))) {
            None => Told::Nothing,
            Some(true) => Told::Same,
            Some(false) => Told::Different,
        }
    }
}
