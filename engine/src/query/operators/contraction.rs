//! Greedy additive edge contraction (Keuper et al., 2015) over weights that are given: the two groups for which most speaks are
//! joined first, until nothing speaks for any two.
//!
//! What speaks for two groups is the sum over all their pairs. A pair that nothing is said about counts
//! [`SILENCE_BITS`] against them, as in the resolver, whose matrix of [`Pairs`](crate::matching::Pairs) joins alike; here only
//! the pairs that something is said about are kept, so that a component may be of any size.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use datafusion::error::Result;

use super::asking::Asking;
use crate::identity::union_find::UnionFind;
use crate::matching::{SILENCE_BITS, parts};
use crate::query::stop::check_current;

/// Bytes of a place: its neighbours' table, its size and its set.
const PLACE_BYTES: usize = 192;

/// Bytes of a pair, which stands in two tables and is proposed once.
const PAIR_BYTES: usize = 192;

/// What is said about the pairs of two groups.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    weight: i64,
    /// About how many pairs.
    pairs: u64,
}

/// Two groups for which something speaks, or did.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Proposal {
    sum: i64,
    /// Of equal ones the first two.
    groups: Reverse<(u32, u32)>,
}

/// Places that are joined to groups, each called by its first place.
#[derive(Debug)]
pub(super) struct Contraction {
    neighbours: Vec<HashMap<u32, Said>>,
    sizes: Vec<u64>,
    sets: UnionFind,
    proposals: BinaryHeap<Proposal>,
    asking: Asking,
}

impl Said {
    fn and(self, other: Self) -> Self {
        Self { weight: self.weight + other.weight, pairs: self.pairs + other.pairs }
    }

    /// Returns the sum over all pairs of two groups of these sizes.
    fn sum(self, left: u64, right: u64) -> i64 {
        let silent = left.saturating_mul(right).saturating_sub(self.pairs);
        let silent = i64::try_from(silent).unwrap_or(i64::MAX);
        self.weight.saturating_sub(silent.saturating_mul(i64::from(parts(SILENCE_BITS))))
    }
}

impl Contraction {
    /// Returns how many bytes so many places and pairs take, before proposals come to them.
    pub(super) fn memory_of(places: usize, pairs: usize) -> usize {
        places * PLACE_BYTES + pairs * PAIR_BYTES
    }

    /// Returns how many bytes proposals take.
    pub(super) fn proposals_memory(&self) -> usize {
        self.proposals.capacity() * size_of::<Proposal>()
    }

    /// Makes a group of each of `count` places. Each pair comes once, the smaller place first, with what speaks for it.
    pub(super) fn new(count: u32, pairs: &[(u32, u32, i32)]) -> Result<Self> {
        let mut asking = Asking::default();
        let mut neighbours: Vec<HashMap<u32, Said>> = Vec::with_capacity(count as usize);
        for _ in 0..count {
            neighbours.push(HashMap::new());
            asking.did(1)?;
        }
        let mut proposals = Vec::new();
        for &(left, right, weight) in pairs {
            let said = Said { weight: i64::from(weight), pairs: 1 };
            neighbours[left as usize].insert(right, said);
            neighbours[right as usize].insert(left, said);
            if weight > 0 {
                proposals.push(Proposal { sum: said.weight, groups: Reverse((left, right)) });
            }
            asking.did(1)?;
        }
        let (sizes, sets) = (vec![1; count as usize], UnionFind::new(count));
        Ok(Self { neighbours, sizes, sets, proposals: BinaryHeap::from(proposals), asking })
    }

    /// Joins groups until about so many pairs of groups were looked at. Returns whether there is more to do.
    pub(super) fn advance(&mut self, looks: usize) -> Result<bool> {
        let mut looked = 0;
        while looked < looks {
            let Some(Proposal { sum, groups: Reverse((left, right)) }) = self.proposals.pop()
            else {
                return Ok(false);
            };
            looked += 1;
            if !self.is_group(left) || !self.is_group(right) {
                continue;
            }
            match self.sum(left, right) {
                Some(now) if now == sum => looked += self.join(left, right)?,
                // One of them grew by what is silent about the other. What came to speak for them was proposed then.
                Some(now) if now < sum => self.propose(left, right),
                _ => {}
            }
        }
        Ok(true)
    }

    /// Returns for each place the first place of its group.
    pub(super) fn into_roots(self) -> Result<Vec<u32>> {
        self.sets.into_roots_asking(check_current)
    }

    fn is_group(&mut self, place: u32) -> bool {
        self.sets.find(place) == place
    }

    fn sum(&self, left: u32, right: u32) -> Option<i64> {
        let said = self.neighbours[left as usize].get(&right)?;
        Some(said.sum(self.sizes[left as usize], self.sizes[right as usize]))
    }

    fn propose(&mut self, left: u32, right: u32) {
        if let Some(sum) = self.sum(left, right).filter(|sum| *sum > 0) {
            let groups = Reverse((left.min(right), left.max(right)));
            self.proposals.push(Proposal { sum, groups });
        }
    }

    /// Joins two groups, and returns how many pairs of groups were looked at. The smaller of the two names stays.
    fn join(&mut self, left: u32, right: u32) -> Result<usize> {
        let mut kept = std::mem::take(&mut self.neighbours[left as usize]);
        let mut moved = std::mem::take(&mut self.neighbours[right as usize]);
        kept.remove(&right);
        moved.remove(&left);
        let renamed: Vec<u32> = moved.keys().copied().collect();
        for (group, said) in &moved {
            let theirs = &mut self.neighbours[*group as usize];
            theirs.remove(&right);
            let of_both = theirs.entry(left).or_default();
            *of_both = of_both.and(*said);
            self.asking.did(1)?;
        }
        if kept.len() < moved.len() {
            std::mem::swap(&mut kept, &mut moved);
        }
        for (group, said) in moved {
            let of_both = kept.entry(group).or_default();
            *of_both = of_both.and(said);
            self.asking.did(1)?;
        }
        self.neighbours[left as usize] = kept;
        self.sets.union(left, right);
        self.sizes[left as usize] += self.sizes[right as usize];
        // For its other neighbours no more speaks than before: they are looked at when their turn comes.
        for group in &renamed {
            self.propose(left, *group);
            self.asking.did(1)?;
        }
        Ok(renamed.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::matching::Pairs;
    use crate::query::stop::{Stop, during};

    fn joined(count: u32, pairs: &[(u32, u32, i32)], looks: usize) -> Vec<u32> {
        let mut contraction = Contraction::new(count, pairs).unwrap();
        while contraction.advance(looks).unwrap() {}
        contraction.into_roots().unwrap()
    }

    /// The same by the matrix with which the resolver joins.
    fn by_matrix(count: u32, pairs: &[(u32, u32, i32)]) -> Vec<u32> {
        let places: Vec<u32> = (0..count).collect();
        let mut matrix = Pairs::new(&places);
        for left in 0..count as usize {
            for right in left + 1..count as usize {
                let said =
                    pairs.iter().find(|pair| (pair.0 as usize, pair.1 as usize) == (left, right));
                let weight = said.map_or(-parts(SILENCE_BITS), |pair| pair.2);
                matrix.set(left, right, [weight; 3]);
            }
        }
        while let Some((left, right)) = matrix.best() {
            matrix.join(left, right);
        }
        (0..count as usize).map(|place| matrix.group_of(place) as u32).collect()
    }

    #[test]
    fn what_speaks_against_outweighs_a_chain() {
        let strong = parts(3.0);
        assert_eq!(joined(3, &[(0, 1, strong), (1, 2, strong)], 1), [0, 0, 0], "one is silent");
        let against = [(0, 1, strong), (0, 2, -parts(9.0)), (1, 2, strong)];
        assert_eq!(joined(3, &against, 1), [0, 0, 2]);
        assert_eq!(joined(2, &[(0, 1, 0)], 1), [0, 1], "nothing speaks for it");
        let weak = parts(0.5);
        assert_eq!(joined(3, &[(0, 1, weak), (1, 2, weak)], 1), [0, 0, 2], "silence outweighs it");
    }

    #[tokio::test]
    async fn who_is_to_stop_joins_no_more() {
        // One who is tied to more others than are looked at between two questions.
        let star: Vec<(u32, u32, i32)> = (1..50_000).map(|place| (0, place, parts(1.0))).collect();
        let mut begun = Contraction::new(50_000, &star).unwrap();
        let stop = Arc::new(Stop::default());
        stop.stop();
        let stopped = during(stop, async {
            let ended = [
                Contraction::new(50_000, &star).is_err(),
                begun.join(0, 1).is_ok(),
                begun.join(2, 0).is_err(),
            ];
            (ended, begun.into_roots().is_err())
        });
        assert_eq!(stopped.await, ([true; 3], true));
    }

    proptest! {
        #[test]
        fn joins_as_the_matrix_of_the_resolver_does(
            weights in prop::collection::vec(prop_oneof![Just(None), (-12_i32..12).prop_map(Some)], 45),
            count in 1_u32..10,
            looks in 1_usize..40,
        ) {
            let places = (0..count).flat_map(|left| (left + 1..count).map(move |right| (left, right)));
            let pairs: Vec<(u32, u32, i32)> = places
                .zip(weights)
                .filter_map(|((left, right), weight)| Some((left, right, weight? * parts(0.5))))
                .collect();
            prop_assert_eq!(joined(count, &pairs, looks), by_matrix(count, &pairs));
        }
    }
}
