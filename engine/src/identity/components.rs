//! Connected components of plain edges between arbitrary 64-bit keys, on all cores.
//!
//! An edge has two *ends*, which are numbered in the order of the edges. They are parted by the hash of their key, so that
//! what is known of the keys of one part stays in the cache of a core (Manegold, Boncz and Kersten, 2002), and each is told
//! the first end of its key. That is a forest of sets, each rooted in its least member, in which the two ends of each edge
//! are then joined, by all cores at once and without locks: a root is linked below a smaller one if it is a root still
//! (Anderson and Woll, 1991), and paths are halved on the way up. The best SQL takes ten times as long, which is why
//! components are never computed in SQL here.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use super::halt::Halt;
use super::hash;
use super::memory::{table, warm};
use super::threads::threads;

/// Edges from which they are work for more than one core.
const EDGES_SHARED_MIN: usize = 1 << 16;

/// Ends in a part, about: what is known of their keys takes half a megabyte at most.
const ENDS_PER_PART: usize = 1 << 14;

/// Parts at most: there is a place in memory for each that is written to next, and the cache has room for so many.
const PARTS_MAX: usize = 1 << 11;

/// Ends whose roots are looked for together, an even number.
const ENDS_TOGETHER: usize = 64;

/// Between two questions whether to go on.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// No end: there are fewer.
const FREE: u32 = u32::MAX;

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

/// Returns the connected components of undirected edges, of which there are fewer than 2³¹.
pub fn components_from_u64_edges(edges: &[(u64, u64)]) -> Components {
    let Ok(components) = components_asking(edges, || Ok::<_, Infallible>(()));
    components
}

/// As [`components_from_u64_edges`], unless `ask`, which is asked again and again meanwhile, fails.
pub(crate) fn components_asking<E>(
    edges: &[(u64, u64)],
    mut ask: impl FnMut() -> Result<(), E>,
) -> Result<Components, E> {
    let workers = workers(edges.len());
    let parents = firsts(edges, workers, &mut ask)?;
    let keyed = Keyed::of(&parents);
    join_edges(&parents, workers, &mut ask)?;
    let (mut keys, mut roots) = (vec![0; keyed.count()], vec![0; keyed.count()]);
    let shares = keyed.shares(workers, &mut keys, &mut roots);
    let work = |worker: usize, halt: &Halt| {
        if let Some(share) = shares.get(worker) {
            keyed.tell(
                edges,
                &parents,
                &mut share.lock().unwrap_or_else(PoisonError::into_inner),
                halt,
            );
        }
    };
    on_threads(workers, work, &mut ask)?;
    drop(shares);
    Ok(Components { keys, roots })
}

/// Returns how many bytes the components of so many edges take at most until they are told, the edges left out.
pub(crate) fn memory(edges: usize) -> usize {
    let ends = 2 * edges;
    let forest = ends * size_of::<u32>();
    // A hash parts keys evenly, but for a sixteenth of them. While a table grows, the one half as large is there beside it.
    let keys = ends / parts(edges);
    let table = table(0, keys + keys / 16, size_of::<(u64, u32)>());
    let parted = ends * size_of::<End>() + workers(edges) * (table + table / 2);
    let told = ends * (size_of::<u64>() + size_of::<u32>()) + ends / 4;
    forest + parted.max(told)
}

/// Returns how many threads join so many edges. On a single core two take turns, so that there is somebody who can ask.
fn workers(edges: usize) -> usize {
    if edges < EDGES_SHARED_MIN { 1 } else { threads().max(2) }
}

/// Returns how many parts the ends of so many edges have.
fn parts(edges: usize) -> usize {
    (2 * edges / ENDS_PER_PART).next_power_of_two().clamp(2, PARTS_MAX)
}

/// Does work on threads and waits for them, unless `ask`, which is asked again and again meanwhile, fails.
fn on_threads<E>(
    workers: usize,
    work: impl Fn(usize, &Halt) + Sync,
    ask: &mut impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    ask()?;
    let halt = Halt::default();
    if workers == 1 {
        work(0, &halt);
        return Ok(());
    }
    thread::scope(|scope| {
        // Whoever ends drops it, and so tells.
        let (working, ended) = mpsc::channel::<Infallible>();
        for worker in 0..workers {
            let (working, work, halt) = (working.clone(), &work, &halt);
            scope.spawn(move || {
                work(worker, halt);
                drop(working);
            });
        }
        drop(working);
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(ASK_AGAIN) {
            if let Err(error) = ask() {
                halt.halt();
                return Err(error);
            }
        }
        Ok(())
    })
}

/// The halves of a key, and the number of an end that has it.
type End = [u32; 3];

/// Ends in the order of their parts, and where parts start; one more than there are parts.
struct Parted {
    ends: Vec<End>,
    starts: Vec<u32>,
}

/// How ends are parted: by the first bits of a hash, which nobody can foresee.
#[derive(Clone, Copy)]
struct Parting {
    seed: u64,
    parts: usize,
}

impl Parting {
    fn hash(self, key: u64) -> u64 {
        hash::finish(key ^ self.seed)
    }

    fn part(self, key: u64) -> usize {
        (self.hash(key) >> (u64::BITS - self.parts.ilog2())) as usize
    }

    /// Parts the ends of some edges, of which the first has a number.
    fn parted(self, edges: &[(u64, u64)], first: usize, halt: &Halt) -> Parted {
        let some = || edges.chunks(EDGES_SHARED_MIN).take_while(|_| !halt.is_halted());
        let mut starts = vec![0_u32; self.parts + 1];
        for edges in some() {
            for key in edges.iter().flat_map(|&(left, right)| [left, right]) {
                starts[self.part(key) + 1] += 1;
            }
        }
        for part in 1..starts.len() {
            starts[part] += starts[part - 1];
        }
        let mut next = starts.clone();
        let mut ends: Vec<End> = vec![[0; 3]; 2 * edges.len()];
        let mut number = 2 * first as u32;
        for edges in some() {
            for key in edges.iter().flat_map(|&(left, right)| [left, right]) {
                let place = &mut next[self.part(key)];
                ends[*place as usize] = [key as u32, (key >> 32) as u32, number];
                *place += 1;
                number += 1;
            }
        }
        Parted { ends, starts }
    }
}

/// Returns for each end the first one of its key.
fn firsts<E>(
    edges: &[(u64, u64)],
    workers: usize,
    ask: &mut impl FnMut() -> Result<(), E>,
) -> Result<Vec<AtomicU32>, E> {
    let parts = parts(edges.len());
    let parting = Parting { seed: RandomState::new().hash_one(parts), parts };
    let share = edges.len().div_ceil(workers).max(1);
    let parted: Vec<OnceLock<Parted>> = (0..workers).map(|_| OnceLock::new()).collect();
    let part = |worker: usize, halt: &Halt| {
        if let Some(edges) = edges.chunks(share).nth(worker) {
            parted[worker].get_or_init(|| parting.parted(edges, worker * share, halt));
        }
    };
    on_threads(workers, part, ask)?;
    let parted: Vec<Parted> = parted.into_iter().filter_map(OnceLock::into_inner).collect();
    let parents: Vec<AtomicU32> = (0..2 * edges.len() as u32).map(AtomicU32::new).collect();
    let next = AtomicUsize::new(0);
    let number = |_: usize, halt: &Halt| {
        let mut firsts = Firsts::new(parting);
        loop {
            let part = next.fetch_add(1, Relaxed);
            if part >= parts || halt.is_halted() {
                break;
            }
            firsts.clear();
            for Parted { ends, starts } in &parted {
                for &[low, high, end] in &ends[starts[part] as usize..starts[part + 1] as usize] {
                    let first = firsts.of(u64::from(high) << 32 | u64::from(low), end);
                    if first != end {
                        parents[end as usize].store(first, Relaxed);
                    }
                }
            }
        }
    };
    on_threads(workers, number, ask)?;
    Ok(parents)
}

/// The first end of each key of a part, by open addressing with linear probing.
struct Firsts {
    parting: Parting,
    /// At most three quarters full.
    slots: Vec<(u64, u32)>,
    count: usize,
}

impl Firsts {
    fn new(parting: Parting) -> Self {
        Self { parting, slots: vec![(0, FREE); 16], count: 0 }
    }

    fn clear(&mut self) {
        self.slots.fill((0, FREE));
        self.count = 0;
    }

    /// Returns the first end of a key: this one if there was none.
    fn of(&mut self, key: u64, end: u32) -> u32 {
        if self.count * 4 >= self.slots.len() * 3 {
            let more = vec![(0, FREE); self.slots.len() * 2];
            for (key, first) in std::mem::replace(&mut self.slots, more) {
                if first != FREE {
                    let slot = self.slot(key);
                    self.slots[slot] = (key, first);
                }
            }
        }
        let slot = self.slot(key);
        if self.slots[slot].1 == FREE {
            self.slots[slot] = (key, end);
            self.count += 1;
        }
        self.slots[slot].1
    }

    fn slot(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.parting.hash(key) as usize & mask;
        while self.slots[slot].1 != FREE && self.slots[slot].0 != key {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// Joins the two ends of each edge.
fn join_edges<E>(
    parents: &[AtomicU32],
    workers: usize,
    ask: &mut impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let work = |_: usize, halt: &Halt| {
        while !halt.is_halted() {
            let from = next.fetch_add(EDGES_SHARED_MIN, Relaxed);
            let Some(rest) = parents.len().checked_sub(from).filter(|rest| *rest > 0) else {
                break;
            };
            let to = from + rest.min(EDGES_SHARED_MIN);
            for from in (from..to).step_by(ENDS_TOGETHER) {
                let ends = from..to.min(from + ENDS_TOGETHER);
                warm(ends.clone().map(|end| parent(parents, parent(parents, end as u32))));
                for end in ends.step_by(2) {
                    join(parents, end as u32, end as u32 + 1);
                }
            }
        }
    };
    on_threads(workers, work, ask)
}

fn parent(parents: &[AtomicU32], end: u32) -> u32 {
    parents[end as usize].load(Relaxed)
}

/// Returns the root of an end, as it is now. A parent that another core replaces meanwhile stays an ancestor.
fn root(parents: &[AtomicU32], mut end: u32) -> u32 {
    loop {
        let above = parent(parents, end);
        let next = parent(parents, above);
        if next == above {
            return above;
        }
        parents[end as usize].store(next, Relaxed);
        end = next;
    }
}

fn join(parents: &[AtomicU32], left: u32, right: u32) {
    let (mut left, mut right) = (left, right);
    loop {
        (left, right) = (root(parents, left), root(parents, right));
        if left == right {
            return;
        }
        let (least, other) = (left.min(right), left.max(right));
        if parents[other as usize].compare_exchange(other, least, Relaxed, Relaxed).is_ok() {
            return;
        }
    }
}

/// Which ends are the first ones of their keys, and so how keys are numbered.
struct Keyed {
    /// A bit for each end.
    firsts: Vec<u64>,
    /// How many there are before each word.
    before: Vec<u32>,
}

/// Keys that one worker tells: those of these words.
type Share<'a> = (Range<usize>, &'a mut [u64], &'a mut [u32]);

impl Keyed {
    /// Reads a forest in which nothing is joined yet.
    fn of(parents: &[AtomicU32]) -> Self {
        let words = parents.len().div_ceil(u64::BITS as usize);
        let (mut firsts, mut before) = (Vec::with_capacity(words), Vec::with_capacity(words + 1));
        let mut count = 0;
        for (parents, from) in parents.chunks(u64::BITS as usize).zip((0_u32..).step_by(64)) {
            let is_first = |(parent, end): (&AtomicU32, u32)| parent.load(Relaxed) == end;
            let bits = parents.iter().zip(from..).map(is_first).zip(0..);
            let word = bits.fold(0, |word: u64, (bit, at)| word | u64::from(bit) << at);
            firsts.push(word);
            before.push(count);
            count += word.count_ones();
        }
        before.push(count);
        Self { firsts, before }
    }

    fn count(&self) -> usize {
        self.before.last().map_or(0, |count| *count as usize)
    }

    /// Returns the number of the key of a first end.
    fn number(&self, first: u32) -> u32 {
        let (word, bit) = ((first / u64::BITS) as usize, first % u64::BITS);
        self.before[word] + (self.firsts[word] & ((1 << bit) - 1)).count_ones()
    }

    /// Cuts the keys into shares of as many words.
    fn shares<'a>(
        &self,
        workers: usize,
        mut keys: &'a mut [u64],
        mut roots: &'a mut [u32],
    ) -> Vec<Mutex<Share<'a>>> {
        let words = self.firsts.len();
        let share = words.div_ceil(workers).max(1);
        let mut shares = Vec::with_capacity(workers);
        for from in (0..words).step_by(share) {
            let to = words.min(from + share);
            let count = (self.before[to] - self.before[from]) as usize;
            let (own_keys, other_keys) = std::mem::take(&mut keys).split_at_mut(count);
            let (own_roots, other_roots) = std::mem::take(&mut roots).split_at_mut(count);
            shares.push(Mutex::new((from..to, own_keys, own_roots)));
            (keys, roots) = (other_keys, other_roots);
        }
        shares
    }

    /// Tells the keys of a share, and the roots of their components.
    fn tell(
        &self,
        edges: &[(u64, u64)],
        parents: &[AtomicU32],
        share: &mut Share<'_>,
        halt: &Halt,
    ) {
        let (words, keys, roots) = share;
        let mut told = keys.iter_mut().zip(roots.iter_mut());
        let mut ends = Vec::with_capacity(u64::BITS as usize);
        for word in words.clone() {
            if halt.is_halted() {
                return;
            }
            ends.clear();
            let mut bits = self.firsts[word];
            while bits != 0 {
                ends.push(word as u32 * u64::BITS + bits.trailing_zeros());
                bits &= bits - 1;
            }
            warm(ends.iter().map(|&end| parent(parents, parent(parents, end))));
            for (&end, (key, number)) in ends.iter().zip(&mut told) {
                let (left, right) = edges[end as usize / 2];
                *key = if end % 2 == 0 { left } else { right };
                *number = self.number(root(parents, end));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::identity::interner::KeyTable;
    use crate::identity::union_find::UnionFind;

    #[test]
    fn components_of_a_chain_and_a_loop() {
        let found = components_from_u64_edges(&[(7, u64::MAX), (0, 0), (u64::MAX, 9), (3, 4)]);
        assert_eq!(found.keys, [7, u64::MAX, 0, 9, 3, 4]);
        assert_eq!(found.roots, [0, 0, 2, 0, 4, 4]);
        assert_eq!(found.count(), 3);
        assert_eq!(components_from_u64_edges(&[]).count(), 0);
    }

    #[test]
    fn many_edges_on_all_cores_make_what_one_core_makes_of_them() {
        let key = |number: usize| hash::mix(7, number as u64 % 150_000);
        let edges: Vec<(u64, u64)> =
            (0..EDGES_SHARED_MIN + 1_000).map(|at| (key(at), key(at * at + 1))).collect();
        let (mut keys, mut sets) = (KeyTable::new(), UnionFind::default());
        for &(left, right) in &edges {
            let [left, right] = [left, right].map(|key| {
                let number = keys.insert(key);
                if keys.len() > sets.len() {
                    sets.push();
                }
                number
            });
            sets.union(left, right);
        }
        let expected = Components { keys: keys.into_keys(), roots: sets.into_roots() };
        assert_eq!(components_from_u64_edges(&edges), expected);
        assert!(expected.count() > 1);
        // Before each of four steps at least somebody is asked.
        for last in 1..=4 {
            let mut asked = 1..;
            let ask = || if asked.next() == Some(last) { Err(last) } else { Ok(()) };
            assert_eq!(components_asking(&edges, ask), Err(last));
        }
    }

    proptest! {
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
