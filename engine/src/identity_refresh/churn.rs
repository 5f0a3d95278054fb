//! How much a refresh changes of who was whose: ids are to be stable, and this says how stable they are.

use std::collections::HashSet;

use super::Memory;

/// What became of those who had a profile before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Churn {
    /// Records of persons that have another profile than before, or none any more.
    pub records_moved: u64,
    /// Profiles whose id leads to another one now.
    pub profiles_merged: u64,
    /// Profiles whose subjects are not together any more.
    pub profiles_split: u64,
}

impl Memory {
    /// Compares subjects with where they were: `before` gives some, at least all that moved, each with the anchor that it had.
    pub(super) fn churn(&self, before: impl Iterator<Item = (u32, u32)>) -> Churn {
        let (mut records, mut split) = (HashSet::new(), HashSet::new());
        let mut churn = Churn::default();
        for (subject, before) in before {
            let now = self.resolver.anchor_of(subject);
            if now == Some(before) {
                continue;
            }
            let seen = &self.seen[subject as usize];
            if let Some(key) = seen.record_key.as_deref() {
                records.insert((seen.source, key));
            }
            churn.profiles_merged += u64::from(subject == before && now.is_some());
            if now != self.resolver.anchor_of(before) {
                split.insert(before);
            }
        }
        churn.records_moved = records.len() as u64;
        churn.profiles_split = split.len() as u64;
        churn
    }
}
