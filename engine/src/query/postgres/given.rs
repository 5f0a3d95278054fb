//! The numbers that this session was given: what `currval` and `lastval` tell.

use std::collections::HashMap;

use parking_lot::Mutex;

/// The numbers that were given last.
#[derive(Debug, Default)]
pub(super) struct GivenNumbers(Mutex<Given>);

#[derive(Debug, Default)]
struct Given {
    /// The sequence that gave the last one.
    last: Option<u64>,
    /// By the number of the sequence itself, which stays if it gets another name.
    by_sequence: HashMap<u64, i64>,
}

impl GivenNumbers {
    pub(super) fn note(&self, sequence: u64, number: i64) {
        let mut given = self.0.lock();
        given.last = Some(sequence);
        given.by_sequence.insert(sequence, number);
    }

    /// Notes what a sequence was set to, which counts as if it had given that.
    pub(super) fn set(&self, sequence: u64, number: i64) {
        self.0.lock().by_sequence.insert(sequence, number);
    }

    pub(super) fn of(&self, sequence: u64) -> Option<i64> {
        self.0.lock().by_sequence.get(&sequence).copied()
    }

    pub(super) fn last(&self) -> Option<i64> {
        let given = self.0.lock();
        given.by_sequence.get(&given.last?).copied()
    }

    pub(super) fn forget(&self) {
        *self.0.lock() = Given::default();
    }
}
