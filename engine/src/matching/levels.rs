//! How far two records agree on each thing that is compared, packed into one word.
//!
//! A comparison has at most fifteen levels and takes four bits: zero where one of the two records says nothing, otherwise
//! the level plus one. A whole pair is a `u64`, so that equal patterns of agreement are counted as equal numbers.

pub(super) use udfs::agreement::{birth_date as birth, given_name as given, identifier, surname};

/// The comparisons that every table has; those of identifiers follow.
pub(super) const GIVEN: usize = 0;
pub(super) const SURNAME: usize = 1;
pub(super) const BIRTH: usize = 2;
pub(super) const ADDRESS: usize = 3;

/// What they are called.
pub(crate) const PERSON_NAMES: [&str; PERSON_COMPARISONS] =
    ["given name", "surname", "birth date", "address"];

/// How many comparisons come before those of identifiers.
pub(crate) const PERSON_COMPARISONS: usize = 4;

/// Comparisons at most: what fits into a word.
pub(crate) const COMPARISONS_MAX: usize = 16;

/// Kinds of identifiers at most.
pub(crate) const KINDS_MAX: usize = COMPARISONS_MAX - PERSON_COMPARISONS;

/// Levels of a comparison at most.
pub(super) const LEVELS_MAX: usize = 8;

const BITS: u32 = 4;
const CODE: u64 = (1 << BITS) - 1;

/// Levels of addresses.
pub(super) mod address {
    pub(crate) const DIFFERENT: u8 = 0;
    pub(crate) const CITY: u8 = 1;
    pub(crate) const POSTAL_CODE: u8 = 2;
    pub(crate) const STREET: u8 = 3;
    pub(crate) const NEAR: u8 = 4;
    pub(crate) const SAME: u8 = 5;
    pub(crate) const LABELS: &[&str] = &[
        "different",
        "equal city",
        "equal postal code",
        "equal street and house, another postal code",
        "alike",
        "equal",
    ];
}

/// The labels of the levels of a comparison, lowest first.
pub(crate) fn labels(comparison: usize) -> &'static [&'static str] {
    match comparison {
        GIVEN => given::LABELS,
        SURNAME => surname::LABELS,
        BIRTH => birth::LABELS,
        ADDRESS => address::LABELS,
        _ => identifier::LABELS,
    }
}

/// The levels of one pair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Levels(pub(super) u64);

impl Levels {
    /// Returns the level of a comparison, or `None` where one of the two records says nothing.
    pub(super) fn get(self, comparison: usize) -> Option<u8> {
        let code = (self.0 >> (comparison as u32 * BITS)) & CODE;
        (code != 0).then(|| (code - 1) as u8)
    }

    pub(super) fn with(self, comparison: usize, level: u8) -> Self {
        let shift = comparison as u32 * BITS;
        Self(self.0 & !(CODE << shift) | (u64::from(level) + 1) << shift)
    }

    /// Returns the same pair as if a comparison had nothing to say.
    pub(super) fn without(self, comparison: usize) -> Self {
        Self(self.0 & !(CODE << (comparison as u32 * BITS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_kept_apart() {
        let levels = Levels::default().with(0, 6).with(15, 4).with(3, 0);
        assert_eq!([0, 1, 3, 15].map(|at| levels.get(at)), [Some(6), None, Some(0), Some(4)]);
        assert_eq!(levels.with(0, 1).get(0), Some(1));
        assert_eq!(levels.without(15).get(15), None);
        for comparison in 0..COMPARISONS_MAX {
            assert!(labels(comparison).len() <= LEVELS_MAX);
        }
    }
}
