//! Each distinct text once, in one arena, under a dense number; and the same for 64-bit keys.

use std::collections::HashMap;

use ahash::RandomState;

use super::{hash, memory};

/// A table by numbers and the like that this program made.
pub(super) type Table<K, V> = HashMap<K, V, RandomState>;

/// No number.
pub(crate) const NONE: u32 = u32::MAX;

/// A slot without a text; no number is [`NONE`].
const FREE: u64 = u64::MAX;

/// Slots of an empty table; a power of two.
const SLOTS_MIN: usize = 16;

/// Distinct texts, numbered in order of first appearance.
#[derive(Debug, Clone)]
pub(crate) struct Interner {
    arena: String,
    ends: Vec<usize>,
    /// Open addressing with linear probing, at most three quarters full. A slot has a number below and the text's hash above:
    /// most other texts are told apart without looking at them, and a larger table is filled without hashing again.
    slots: Vec<u64>,
    /// Seeded at random, so that no sender can make texts collide; numbers do not depend on it.
    hasher: RandomState,
}

impl Default for Interner {
    fn default() -> Self {
        Self::new()
    }
}

impl Interner {
    /// Makes an empty interner.
    pub(crate) fn new() -> Self {
        Self {
            arena: String::new(),
            ends: Vec::new(),
            slots: vec![FREE; SLOTS_MIN],
            hasher: RandomState::new(),
        }
    }

    /// Returns the number of `text`, which is new when it was unseen.
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        if self.ends.len() * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let hash = self.hash_of(text);
        let slot = self.slot_of(text, hash);
        if self.slots[slot] == FREE {
            self.slots[slot] = u64::from(hash) << 32 | self.ends.len() as u64;
            self.arena.push_str(text);
            self.ends.push(self.arena.len());
        }
        self.slots[slot] as u32
    }

    /// Returns the number of `text`, if it was seen.
    pub(crate) fn get(&self, text: &str) -> Option<u32> {
        let slot = self.slots[self.slot_of(text, self.hash_of(text))];
        (slot != FREE).then_some(slot as u32)
    }

    /// Brings what is known of some texts into the cache.
    pub(crate) fn warm<'t>(&self, texts: impl Iterator<Item = &'t str>) {
        let mask = self.slots.len() - 1;
        let hashes: Vec<u32> = texts.map(|text| self.hash_of(text)).collect();
        let slots = || hashes.iter().map(|&hash| (hash, self.slots[hash as usize & mask]));
        memory::warm(slots().map(|(_, slot)| slot as u32));
        let known = slots().filter(|&(hash, slot)| slot != FREE && (slot >> 32) as u32 == hash);
        let known: Vec<usize> = known.map(|(_, slot)| slot as u32 as usize).collect();
        memory::warm(known.iter().map(|&id| self.ends[id] as u32));
        let lasts = known.iter().filter_map(|&id| self.ends[id].checked_sub(1));
        memory::warm(lasts.map(|at| u32::from(self.arena.as_bytes()[at])));
    }

    /// Returns the text of a number that this interner gave.
    #[inline]
    pub(crate) fn text(&self, id: u32) -> &str {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.arena[start..self.ends[id]]
    }

    /// Returns how many texts there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns how many bytes it takes at most while so many more texts, of so many bytes together, come to it.
    pub(crate) fn memory_with(&self, texts: usize, bytes: usize) -> usize {
        let count = self.ends.len() + texts;
        memory::list(self.arena.capacity(), self.arena.len() + bytes, 1)
            + memory::list(self.ends.capacity(), count, size_of::<usize>())
            + memory::table(self.slots.len(), count, size_of::<u64>())
    }

    fn hash_of(&self, text: &str) -> u32 {
        self.hasher.hash_one(text) as u32
    }

    fn slot_of(&self, text: &str, hash: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let found = self.slots[slot];
            if found == FREE || (found >> 32) as u32 == hash && self.text(found as u32) == text {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![FREE; old.len() * 2];
        let mask = self.slots.len() - 1;
        for found in old.into_iter().filter(|slot| *slot != FREE) {
            let mut slot = (found >> 32) as usize & mask;
            while self.slots[slot] != FREE {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = found;
        }
    }
}

/// Distinct 64-bit keys, numbered in order of first appearance.
#[derive(Debug)]
pub(crate) struct KeyTable {
    keys: Vec<u64>,
    slots: Vec<u32>,
}

impl KeyTable {
    /// Makes an empty table.
    pub(crate) fn new() -> Self {
        Self { keys: Vec::new(), slots: vec![NONE; SLOTS_MIN] }
    }

    /// Returns the number of `key`, which is new when it was unseen.
    pub(crate) fn insert(&mut self, key: u64) -> u32 {
        if self.keys.len() * 4 >= self.slots.len() * 3 {
            self.slots = vec![NONE; self.slots.len() * 2];
            for id in 0..self.keys.len() {
                let slot = self.slot_of(self.keys[id]);
                self.slots[slot] = id as u32;
            }
        }
        let slot = self.slot_of(key);
        if self.slots[slot] == NONE {
            self.slots[slot] = self.keys.len() as u32;
            self.keys.push(key);
        }
        self.slots[slot]
    }

    /// Brings what is known of some keys into the cache.
    pub(super) fn warm<K: Iterator<Item = u64>>(&self, keys: impl Fn() -> K) {
        let mask = self.slots.len() - 1;
        let first = |key: u64| self.slots[hash::finish(key) as usize & mask];
        memory::warm(keys().map(first));
        let ids = keys().map(first).filter(|&id| id != NONE);
        memory::warm(ids.map(|id| self.keys[id as usize] as u32));
    }

    /// Returns the number of `key`, if it was seen.
    pub(super) fn get(&self, key: u64) -> Option<u32> {
        Some(self.slots[self.slot_of(key)]).filter(|&id| id != NONE)
    }

    /// Returns the key of a number that this table gave.
    pub(crate) fn key(&self, id: u32) -> u64 {
        self.keys[id as usize]
    }

    /// Returns how many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns the keys by their numbers.
    pub(crate) fn into_keys(self) -> Vec<u64> {
        self.keys
    }

    /// Returns how many bytes it takes at most while so many more keys come to it.
    pub(crate) fn memory_with(&self, keys: usize) -> usize {
        let count = self.keys.len() + keys;
        memory::list(self.keys.capacity(), count, size_of::<u64>())
            + memory::table(self.slots.len(), count, size_of::<u32>())
    }

    fn slot_of(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash::finish(key) as usize & mask;
        while self.slots[slot] != NONE && self.keys[self.slots[slot] as usize] != key {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_numbers_while_the_table_grows() {
        let mut interner = Interner::new();
        for round in 0..2 {
            for i in 0..5_000_u32 {
                assert_eq!(interner.intern(&format!("text {i}")), i, "round {round}");
            }
        }
        assert_eq!(interner.len(), 5_000);
        assert_eq!(interner.text(4_321), "text 4321");
        assert_eq!(
            (interner.get("text 0"), interner.get("text 5000"), interner.get("")),
            (Some(0), None, None)
        );
        assert_eq!(interner.intern(""), 5_000);
        assert_eq!(interner.text(5_000), "");
    }

    #[test]
    fn keys_keep_their_numbers_while_the_table_grows() {
        let mut table = KeyTable::new();
        for round in 0..2 {
            for i in 0..5_000_u64 {
                assert_eq!(u64::from(table.insert(i << 32)), i, "round {round}");
            }
        }
        assert_eq!(
            (table.get(7 << 32), table.get(7), table.key(7), table.len()),
            (Some(7), None, 7 << 32, 5_000)
        );
    }
}
