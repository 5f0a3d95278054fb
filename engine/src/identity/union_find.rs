//! Disjoint sets: connected components of plain edges, as fast as one core goes.
//!
//! [`UnionFind`] links the larger root below the smaller one and halves paths on the way up (van Leeuwen and van der
//! Weide, 1977), so that a set's root is its smallest member. [`EdgeComponents`] numbers 64-bit keys densely
//! by open addressing first, while another thread joins what has its numbers. The best SQL takes ten times as long, which
//! is why components are never computed in SQL here.

use std::convert::Infallible;
use std::sync::mpsc;
use std::thread;

use super::{hash, memory};

/// A slot without a key.
const FREE: u32 = 0;

/// Edges whose slots are fetched together: misses of one block overlap instead of being waited for one by one.
const EDGES_AHEAD: usize = 32;

/// Edges that are numbered before they are handed to the thread that joins them.
const EDGES_AT_ONCE: usize = 1 << 14;

/// Portions of numbered edges that wait to be joined at most.
const PORTIONS_WAITING_MAX: usize = 4;

/// Members whose roots are found between two questions.
const MEMBERS_AT_ONCE: usize = 1 << 14;

/// Disjoint sets of the numbers below a bound; the root of a set is its smallest member.
#[derive(Debug, Clone, Default)]
pub struct UnionFind {
    parents: Vec<u32>,
}

impl UnionFind {
    /// Makes `count` sets of one member each.
    pub fn new(count: u32) -> Self {
        Self { parents: (0..count).collect() }
    }

    /// Adds a set of one member and returns that member.
    pub fn push(&mut self) -> u32 {
        let member = self.parents.len() as u32;
        self.parents.push(member);
        member
    }

    /// Returns the smallest member of the set of `member`.
    pub fn find(&mut self, mut member: u32) -> u32 {
        loop {
            let parent = self.parents[member as usize];
            if parent == member {
                return member;
            }
            let grandparent = self.parents[parent as usize];
            self.parents[member as usize] = grandparent;
            member = grandparent;
        }
    }

    /// Joins the sets of two members. Returns whether they were apart.
    pub fn union(&mut self, left: u32, right: u32) -> bool {
        let (left, right) = (self.find(left), self.find(right));
        if left == right {
            return false;
        }
        let (root, child) = if left < right { (left, right) } else { (right, left) };
        self.parents[child as usize] = root;
        true
    }

    /// Joins the sets of many pairs of members below `count`.
    fn join(&mut self, pairs: &[(u32, u32)], count: usize) {
        self.parents.extend(self.parents.len() as u32..count as u32);
        for block in pairs.chunks(EDGES_AHEAD) {
            let parent = |member: u32| self.parents[member as usize];
            std::hint::black_box(
                block.iter().fold(0, |sum, &(left, right)| sum ^ parent(left) ^ parent(right)),
            );
            for &(left, right) in block {
                self.union(left, right);
            }
        }
    }

    /// Returns the smallest member of each member's set.
    pub fn into_roots(self) -> Vec<u32> {
        let Ok(roots) = self.into_roots_asking(|| Ok::<_, Infallible>(()));
        roots
    }

    /// As [`into_roots`](Self::into_roots), unless `ask`, which is asked again and again meanwhile, fails.
    pub(crate) fn into_roots_asking<E>(
        mut self,
        mut ask: impl FnMut() -> Result<(), E>,
    ) -> Result<Vec<u32>, E> {
        let parents = &mut self.parents;
        for from in (0..parents.len()).step_by(MEMBERS_AT_ONCE) {
            ask()?;
            // A parent is never larger than its child, so parents hold their final root when a child asks.
            for member in from..parents.len().min(from + MEMBERS_AT_ONCE) {
                parents[member] = parents[parents[member] as usize];
            }
        }
        Ok(self.parents)
    }
}

/// Keys in order of first appearance, and for each the position of the first key of its component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    /// The distinct keys.
    pub keys: Vec<u64>,
    /// For each key the position in `keys` of its component's first key.
    pub roots: Vec<u32>,
}

impl Components {
    /// Returns how many components there are.
    pub fn count(&self) -> usize {
        self.roots.iter().enumerate().filter(|&(position, &root)| position == root as usize).count()
    }
}

/// Returns the connected components of undirected edges between arbitrary 64-bit keys.
pub fn components_from_u64_edges(edges: &[(u64, u64)]) -> Components {
    // Graphs of identifiers have about as many keys as edges.
    let mut components = EdgeComponents::with_capacity(edges.len());
    components.add(edges);
    components.finish()
}

/// Connected components of undirected edges between arbitrary 64-bit keys that come in portions. Which edge is in which
/// portion makes no difference.
#[derive(Debug)]
pub struct EdgeComponents {
    numbering: Numbering,
    sets: UnionFind,
}

impl EdgeComponents {
    /// Makes room for `keys` keys; there may be more.
    pub fn with_capacity(keys: usize) -> Self {
        Self { numbering: Numbering::with_capacity(keys), sets: UnionFind::default() }
    }

    /// Takes in some edges.
    pub fn add(&mut self, edges: &[(u64, u64)]) {
        let Self { numbering, sets } = self;
        if edges.len() <= EDGES_AT_ONCE {
            sets.join(&numbering.numbered(edges), numbering.keys.len());
            return;
        }
        // Both wait for memory most of the time, and each for another part of it.
        thread::scope(|scope| {
            let (numbered, to_join) =
                mpsc::sync_channel::<(Vec<(u32, u32)>, usize)>(PORTIONS_WAITING_MAX);
            scope.spawn(move || {
                for (portion, members) in to_join {
                    sets.join(&portion, members);
                }
            });
            for portion in edges.chunks(EDGES_AT_ONCE) {
                let portion = numbering.numbered(portion);
                if numbered.send((portion, numbering.keys.len())).is_err() {
                    // The other thread has panicked, and the scope says so.
                    break;
                }
            }
        });
    }

    /// Returns how many keys there are.
    pub fn key_count(&self) -> usize {
        self.numbering.keys.len()
    }

    /// Returns how many bytes it takes at most while so many more edges come to it.
    pub(crate) fn memory_with(&self, edges: usize) -> usize {
        let Numbering { slots, keys } = &self.numbering;
        let count = keys.len() + 2 * edges;
        memory::table(slots.len(), count, size_of::<(u64, u32)>())
            + memory::list(keys.capacity(), count, size_of::<u64>())
            + memory::list(self.sets.parents.capacity(), count, size_of::<u32>())
    }

    /// Returns the components.
    pub fn finish(self) -> Components {
        let Ok(components) = self.finish_asking(|| Ok::<_, Infallible>(()));
        components
    }

    /// As [`finish`](Self::finish), unless `ask`, which is asked again and again meanwhile, fails.
    pub(crate) fn finish_asking<E>(
        self,
        ask: impl FnMut() -> Result<(), E>,
    ) -> Result<Components, E> {
        let roots = self.sets.into_roots_asking(ask)?;
        Ok(Components { keys: self.numbering.keys, roots })
    }
}

/// Dense numbers for keys. Key and number share a slot, so that a look-up touches one cache line.
#[derive(Debug)]
struct Numbering {
    /// Numbers count from one here: a free slot is all zeros, and memory comes so from the system.
    slots: Vec<(u64, u32)>,
    keys: Vec<u64>,
}

impl Numbering {
    fn with_capacity(count: usize) -> Self {
        let slots = (count + count / 4).next_power_of_two().max(16);
        Self { slots: vec![(0, FREE); slots], keys: Vec::with_capacity(count) }
    }

    /// Brings the slots of a block of edges into the cache.
    fn warm(&self, block: &[(u64, u64)]) {
        let mask = self.slots.len() - 1;
        let number = |key| self.slots[hash::finish(key) as usize & mask].1;
        std::hint::black_box(
            block.iter().fold(0, |sum, &(left, right)| sum ^ number(left) ^ number(right)),
        );
    }

    /// Returns the numbers of the keys of edges.
    fn numbered(&mut self, edges: &[(u64, u64)]) -> Vec<(u32, u32)> {
        let mut numbered = Vec::with_capacity(edges.len());
        for block in edges.chunks(EDGES_AHEAD) {
            self.warm(block);
            numbered
                .extend(block.iter().map(|&(left, right)| (self.number(left), self.number(right))));
        }
        numbered
    }

    fn number(&mut self, key: u64) -> u32 {
        if self.keys.len() * 5 >= self.slots.len() * 4 {
            self.grow();
        }
        let slot = slot_of(&self.slots, key);
        if self.slots[slot].1 == FREE {
            self.keys.push(key);
            self.slots[slot] = (key, self.keys.len() as u32);
        }
        self.slots[slot].1 - 1
    }

    fn grow(&mut self) {
        let mut slots = vec![(0, FREE); self.slots.len() * 2];
        for &(key, number) in self.slots.iter().filter(|(_, number)| *number != FREE) {
            let slot = slot_of(&slots, key);
            slots[slot] = (key, number);
        }
        self.slots = slots;
    }
}

fn slot_of(slots: &[(u64, u32)], key: u64) -> usize {
    let mask = slots.len() - 1;
    let mut slot = hash::finish(key) as usize & mask;
    while slots[slot].1 != FREE && slots[slot].0 != key {
        slot = (slot + 1) & mask;
    }
    slot
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn components_of_a_chain_and_a_loop() {
        let found = components_from_u64_edges(&[(7, u64::MAX), (0, 0), (u64::MAX, 9), (3, 4)]);
        assert_eq!(found.keys, [7, u64::MAX, 0, 9, 3, 4]);
        assert_eq!(found.roots, [0, 0, 2, 0, 4, 4]);
        assert_eq!(found.count(), 3);
        assert_eq!(components_from_u64_edges(&[]).count(), 0);
    }

    proptest! {
        #[test]
        fn portions_make_no_difference(
            edges in prop::collection::vec((0_u64..60, 0_u64..60), 0..80),
            portion in 1_usize..80,
        ) {
            let mut components = EdgeComponents::with_capacity(0);
            edges.chunks(portion).for_each(|edges| components.add(edges));
            prop_assert_eq!(components.finish(), components_from_u64_edges(&edges));
        }

        #[test]
        fn components_equal_repeated_relabelling(edges in prop::collection::vec((0_u64..60, 0_u64..60), 0..80)) {
            let mut labels: HashMap<u64, u64> = edges.iter().flat_map(|&(a, b)| [(a, a), (b, b)]).collect();
            for _ in 0..labels.len() {
                for (a, b) in &edges {
                    let smallest = labels[a].min(labels[b]);
                    labels.insert(*a, smallest);
                    labels.insert(*b, smallest);
                }
            }
            let found = components_from_u64_edges(&edges);
            for (i, a) in found.keys.iter().enumerate() {
                for (j, b) in found.keys.iter().enumerate() {
                    prop_assert_eq!(found.roots[i] == found.roots[j], labels[a] == labels[b]);
                }
            }
        }
    }
}
