//! What ingest remembers of the rows that a source's table holds, so that a row is taken once.
//!
//! Kept in memory between refreshes and rebuilt from the table when a process first reads the source. Bound: 64 bytes a
//! key and 16 a superseded version or message, besides what a hash map leaves free.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// What is known of the rows of one source.
#[derive(Debug)]
pub(super) enum Known {
    /// By key: the current version.
    Records(KnownRecords),
    /// The message ids that were taken.
    Messages(HashMap<u128, ()>),
    /// A log without message ids: nothing, its lines are looked up when a file is read again.
    Lines,
}

/// The current and the superseded versions of keyed rows.
#[derive(Debug, Default)]
pub(super) struct KnownRecords {
    current: HashMap<u128, Version>,
    /// Key, version and content of rows that were replaced.
    superseded: HashMap<u128, ()>,
    /// The keys of the rows that are not written yet.
    incoming: Vec<u128>,
    /// By key: the content of an earlier version, where that is what the running refresh read last of the key.
    returning: HashMap<u128, u128>,
}

/// What orders the versions of a key. One that is absent sorts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order(i128);

impl Order {
    /// The order of a row that says none.
    pub(super) const ABSENT: Order = Order(i128::MIN);

    /// The order of a time in microseconds, or of the digits of a number.
    pub(super) fn of(value: impl Into<i128>) -> Order {
        Order(value.into())
    }
}

/// One version of a keyed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    /// What orders versions.
    pub(super) order: Order,
    /// A hash of the whole row.
    pub(super) content: u128,
    /// Which file of the table holds it; [`Version::INCOMING`] for rows of the running refresh.
    pub(super) file: u32,
}

impl Version {
    /// The file number of rows that are not written yet.
    pub(super) const INCOMING: u32 = u32::MAX;
    /// The file number of a version that is current again and still in the history only.
    pub(super) const SUPERSEDED: u32 = u32::MAX - 1;
    /// The file number of a version that says that its record is gone. It is in the history, and stays there.
    pub(super) const DELETED: u32 = u32::MAX - 2;

    /// Tells whether the row of a version that was replaced is in the history already.
    pub(super) fn is_in_history(&self) -> bool {
        matches!(self.file, Self::SUPERSEDED | Self::DELETED)
    }
}

/// What becomes of a keyed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is the only version of its key.
    New,
    /// It replaces this version.
    Replaces(Version),
    /// A newer version is there already: it belongs to the history.
    Older,
    /// It is there already.
    Duplicate,
}

/// A version that was superseded and is current again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Returned {
    /// Its key.
    pub(super) key: u128,
    /// A hash of the whole row, which the history holds.
    pub(super) content: u128,
    /// The version that it replaces.
    pub(super) replaced: Version,
}

/// What stands for one version of one key.
pub(super) fn version_hash(key: u128, content: u128) -> u128 {
    key ^ content.rotate_left(17)
}

impl KnownRecords {
    /// Notes a version that a table holds.
    pub(super) fn load_current(&mut self, key: u128, version: Version) {
        self.current.insert(key, version);
    }

    /// Notes a version that says that its record is gone, where no table holds a current one.
    pub(super) fn load_deleted(&mut self, key: u128, version: Version) {
        self.current.entry(key).or_insert(version);
    }

    /// Notes a version that the history holds.
    pub(super) fn load_superseded(&mut self, key: u128, content: u128) {
        self.superseded.insert(version_hash(key, content), ());
    }

    /// Takes a row and tells what becomes of it.
    ///
    /// Of two versions with one order the later arrival wins: sources correct themselves without a new time stamp. A
    /// version that was superseded is there already; whether it has come back is told by [`KnownRecords::returned`], since
    /// who reads a whole log of changes again meets every version of a key on the way to the last.
    pub(super) fn take(&mut self, key: u128, order: Order, content: u128) -> Taken {
        let incoming = Version { order, content, file: Version::INCOMING };
        match self.current.entry(key) {
            Entry::Vacant(slot) => {
                slot.insert(incoming);
                self.incoming.push(key);
                Taken::New
            }
            Entry::Occupied(slot) if slot.get().content == content => {
                self.returning.remove(&key);
                Taken::Duplicate
            }
            Entry::Occupied(mut slot) => {
                if self.superseded.contains_key(&version_hash(key, content)) {
                    if order >= slot.get().order {
                        self.returning.insert(key, content);
                    }
                    return Taken::Duplicate;
                }
                if order < slot.get().order {
                    self.superseded.insert(version_hash(key, content), ());
                    return Taken::Older;
                }
                let replaced = slot.insert(incoming);
                self.superseded.insert(version_hash(key, replaced.content), ());
                self.incoming.push(key);
                self.returning.remove(&key);
                Taken::Replaces(replaced)
            }
        }
    }

    /// Returns the current version of a key.
    pub(super) fn current(&self, key: u128) -> Option<&Version> {
        self.current.get(&key)
    }

    /// Forgets the current version of `key`, which was none, and goes back to the one before it.
    pub(super) fn take_back(&mut self, key: u128, before: Option<Version>) {
        self.returning.remove(&key);
        match before {
            Some(version) => self.current.insert(key, version),
            None => self.current.remove(&key),
        };
    }

    /// Returns key and content of those of `keys` whose current version is in the history only.
    pub(super) fn in_history(&self, keys: &[u128]) -> Vec<(u128, u128)> {
        let current = keys.iter().filter_map(|key| Some((*key, self.current.get(key)?)));
        current
            .filter(|(_, version)| version.file == Version::SUPERSEDED)
            .map(|(key, version)| (key, version.content))
            .collect()
    }

    /// Ends a refresh: makes the versions current that came back, and returns them.
    pub(super) fn returned(&mut self) -> Vec<Returned> {
        let mut returned = Vec::with_capacity(self.returning.len());
        for (key, content) in std::mem::take(&mut self.returning) {
            let Some(current) = self.current.get_mut(&key) else { continue };
            let replaced = *current;
            *current = Version { content, file: Version::INCOMING, ..replaced };
            self.superseded.insert(version_hash(key, replaced.content), ());
            returned.push(Returned { key, content, replaced });
        }
        returned
    }

    /// Says that the rows that were incoming are in `file` now.
    pub(super) fn settle(&mut self, file: u32) {
        for key in std::mem::take(&mut self.incoming) {
            self.moved(key, file);
        }
    }

    /// Says that the current version of `key` is in `file` now.
    pub(super) fn moved(&mut self, key: u128, file: u32) {
        if let Some(version) = self.current.get_mut(&key) {
            version.file = file;
        }
    }

    /// Gives files the numbers of the committed table.
    pub(super) fn renumber(&mut self, numbers: &HashMap<u32, u32>) {
        if numbers.iter().all(|(before, after)| before == after) {
            return;
        }
        for version in self.current.values_mut() {
            version.file = numbers.get(&version.file).copied().unwrap_or(version.file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_newest_version_stands_and_the_others_are_history() {
        let mut known = KnownRecords::default();
        assert_eq!(known.take(1, Order::of(10), 100), Taken::New);
        assert_eq!(
            known.take(1, Order::of(20), 200),
            Taken::Replaces(Version {
                order: Order::of(10),
                content: 100,
                file: Version::INCOMING
            })
        );
        assert_eq!(known.take(1, Order::of(15), 150), Taken::Older);
        for content in [100, 150, 200] {
            assert_eq!(known.take(1, Order::of(10), content), Taken::Duplicate, "{content}");
        }
        assert_eq!(known.returned(), [], "they are older");
    }

    proptest! {
        /// Whatever the order of arrival, the version with the greatest time is current in the end.
        #[test]
        fn arrival_order_does_not_choose_the_version(times in proptest::collection::hash_set(0i64..1000, 1..20)) {
            let mut known = KnownRecords::default();
            for time in &times {
                known.take(7, Order::of(*time), *time as u128 + 5000);
            }
            prop_assert_eq!(known.current[&7].order, times.into_iter().max().map(Order::of).unwrap());
        }

        /// Where nothing orders versions, the last one read stands, however often contents come and go; and reading
        /// everything again changes nothing.
        #[test]
        fn of_equal_versions_the_last_one_read_stands(
            refreshes in proptest::collection::vec(proptest::collection::vec(0u128..4, 0..6), 1..6),
        ) {
            let mut known = KnownRecords::default();
            let mut all = vec![];
            for read in refreshes {
                for content in &read {
                    known.take(7, Order::ABSENT, *content);
                }
                all.extend(&read);
                known.returned();
                prop_assert_eq!(known.current.get(&7).map(|version| version.content), all.last().copied());
            }
            for content in &all {
                prop_assert_eq!(known.take(7, Order::ABSENT, *content), Taken::Duplicate);
            }
            prop_assert_eq!(known.returned(), []);
        }
    }
}
