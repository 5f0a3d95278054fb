//! How much memory growing lists and tables take, to be reserved before they grow, and how to wait for it once.
//!
//! While a list grows, the old one is there beside the new one; so it is with a table of slots.

/// Bytes of a list that has room for `room` elements of `element` bytes and is to hold `wanted`.
pub(crate) fn list(room: usize, wanted: usize, element: usize) -> usize {
    match wanted <= room {
        true => room * element,
        false => (room + wanted.max(room * 2)) * element,
    }
}

/// Bytes of a table of `slots` slots of `slot` bytes, a power of two, that is to hold `wanted` keys and be at most three
/// quarters full.
pub(crate) fn table(slots: usize, wanted: usize, slot: usize) -> usize {
    let needed = (wanted + wanted / 3 + 1).next_power_of_two();
    match needed <= slots {
        true => slots * slot,
        false => (slots + needed) * slot,
    }
}

/// Brings what is read here into the cache. No read waits for another one, so that their misses overlap.
pub(crate) fn warm(reads: impl Iterator<Item = u32>) {
    std::hint::black_box(reads.fold(0, |sum, read| sum ^ read));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_there_twice_for_a_while() {
        assert_eq!((list(8, 8, 4), list(8, 9, 4), list(8, 100, 4)), (32, 96, 432));
        assert_eq!((table(16, 11, 8), table(16, 12, 8), table(16, 40, 4)), (128, 384, 320));
    }
}
