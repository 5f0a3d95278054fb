//! Profile ids: a keyed permutation of log positions, so that an id tells nobody how many profiles came before it.
//!
//! The permutation is a balanced Feistel network of six rounds over 54 bits whose round function is SipHash-2-4, a keyed
//! pseudo-random function of short inputs (Aumasson and Bernstein, 2012); results outside of 53 bits are permuted again
//! until they fit ("cycle walking", Black and Rogaway, Ciphers with Arbitrary Finite Domains, 2002), which takes two
//! permutations on average. Luby and Rackoff (1988) show that four rounds make a strong pseudo-random permutation. No
//! table, no state, no collision: a lake's ids depend on its log and its key alone.

use siphasher::sip::SipHasher24;

/// Ids are at most this, which every client can hold exactly, a 64-bit float included.
pub const PROFILE_ID_MAX: i64 = 1 << 53;

/// Rounds of the network: four make a strong permutation (Luby and Rackoff), two more are what they leave to chance. Another
/// number of rounds makes other ids of every lake.
const ROUNDS: u8 = 6;

/// Bits of each half: two of them are the 53 bits of an id, and one.
const HALF_BITS: u32 = 27;

const HALF_MASK: u32 = (1 << HALF_BITS) - 1;

/// The permutation of one lake.
#[derive(Clone)]
pub struct ProfileIds {
    keyed: SipHasher24,
}

impl std::fmt::Debug for ProfileIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProfileIds")
    }
}

impl ProfileIds {
    /// Makes the permutation of a lake's secret key.
    pub fn new(key: [u8; 16]) -> Self {
        Self { keyed: SipHasher24::new_with_key(&key) }
    }

    /// Makes the permutation of a lake's households, which has a key of its own: the id of a household is not the id of the
    /// profile whose anchor it is made of, and leads to nobody.
    pub fn of_households(key: [u8; 16]) -> Self {
        let keyed = SipHasher24::new_with_key(&key);
        let mut own = [0; 16];
        own[..8].copy_from_slice(&keyed.hash(b"households, one half").to_le_bytes());
        own[8..].copy_from_slice(&keyed.hash(b"households, the other half").to_le_bytes());
        Self::new(own)
    }

    /// Returns the id, from 1 to [`PROFILE_ID_MAX`], of the profile whose anchor is `anchor_seq`, which is below 2^53.
    pub fn id_of(&self, anchor_seq: u64) -> i64 {
        debug_assert!(anchor_seq < PROFILE_ID_MAX as u64, "log positions stay below 2^53");
        let mut block = self.encrypt(anchor_seq);
        while block >= PROFILE_ID_MAX as u64 {
            block = self.encrypt(block);
        }
        block as i64 + 1
    }

    /// Returns the anchor of an id, or `None` when no profile can have it.
    pub fn anchor_of(&self, id: i64) -> Option<u64> {
        if !(1..=PROFILE_ID_MAX).contains(&id) {
            return None;
        }
        let mut block = self.decrypt(id as u64 - 1);
        while block >= PROFILE_ID_MAX as u64 {
            block = self.decrypt(block);
        }
        Some(block)
    }

    fn encrypt(&self, block: u64) -> u64 {
        let (mut left, mut right) = split(block);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.round(round, right));
        }
        join(left, right)
    }

    fn decrypt(&self, block: u64) -> u64 {
        let (mut left, mut right) = split(block);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.round(round, left), left);
        }
        join(left, right)
    }

    fn round(&self, round: u8, half: u32) -> u32 {
        let half = half.to_le_bytes();
        let hash = self.keyed.hash(&[round, half[0], half[1], half[2], half[3]]);
        hash as u32 & HALF_MASK
    }
}

fn split(block: u64) -> (u32, u32) {
    ((block >> HALF_BITS) as u32, block as u32 & HALF_MASK)
}

fn join(left: u32, right: u32) -> u64 {
    u64::from(left) << HALF_BITS | u64::from(right)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_distinct_and_in_range() {
        let ids = ProfileIds::new(*b"a key of a lake.");
        let seen: HashSet<i64> = (0..20_000).map(|anchor| ids.id_of(anchor)).collect();
        assert_eq!(seen.len(), 20_000);
        assert!(seen.iter().all(|id| (1..=PROFILE_ID_MAX).contains(id)));
    }

    #[test]
    fn ids_depend_on_the_key_alone() {
        let (one, same, other) =
            (ProfileIds::new([1; 16]), ProfileIds::new([1; 16]), ProfileIds::new([2; 16]));
        assert_eq!(one.id_of(42), same.id_of(42));
        assert_ne!(one.id_of(42), other.id_of(42));
        assert_eq!(format!("{one:?}"), "ProfileIds");
    }

    #[test]
    fn households_have_other_ids_than_their_profiles() {
        let (ids, households) = (ProfileIds::new([1; 16]), ProfileIds::of_households([1; 16]));
        let of_profiles: HashSet<i64> = (0..20_000).map(|anchor| ids.id_of(anchor)).collect();
        assert!((0..20_000).all(|anchor| !of_profiles.contains(&households.id_of(anchor))));
        assert_eq!(households.id_of(7), ProfileIds::of_households([1; 16]).id_of(7));
    }

    #[test]
    fn no_anchor_outside_of_the_range() {
        let ids = ProfileIds::new([3; 16]);
        for id in [i64::MIN, -1, 0, PROFILE_ID_MAX + 1, i64::MAX] {
            assert_eq!(ids.anchor_of(id), None, "{id}");
        }
        for anchor in [0, 1, PROFILE_ID_MAX as u64 - 1] {
            assert_eq!(ids.anchor_of(ids.id_of(anchor)), Some(anchor));
        }
        for id in [1, PROFILE_ID_MAX] {
            assert_eq!(ids.anchor_of(id).map(|anchor| ids.id_of(anchor)), Some(id));
        }
    }

    proptest! {
        #[test]
        fn ids_lead_back(key: [u8; 16], anchor in 0..PROFILE_ID_MAX as u64) {
            let ids = ProfileIds::new(key);
            prop_assert_eq!(ids.anchor_of(ids.id_of(anchor)), Some(anchor));
        }
    }
}
