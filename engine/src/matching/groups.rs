//! Groups of records of one component while they are joined, with what speaks for and against each two of them.
//!
//! A matrix for each component: nearly all are small, and large ones are joined in another way. Where many are alike, most
//! that speaks for two groups is refused in the end, so the next two are not looked for among all pairs each time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Two groups for which something speaks, or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Proposal {
    sum: i64,
    /// Of equal ones the first two.
    groups: Reverse<(usize, usize)>,
}

/// Groups of one component, with what speaks for and against each pair of them.
pub(crate) struct Pairs {
    pub(crate) groups: Vec<Vec<u32>>,
    sums: Vec<i64>,
    /// The largest weight of a pair.
    same: Vec<i32>,
    /// What speaks most for one person rather than one household.
    strongest: Vec<i32>,
    refused: Vec<bool>,
    /// What was found out about each pair of groups; zero where that is nothing yet.
    facts: Vec<u8>,
    /// Everything for which something speaks, once it is asked for, among much that does no more.
    proposals: Option<BinaryHeap<Proposal>>,
    /// Pairs of places that stay apart.
    pub(crate) never: Vec<(usize, usize)>,
    /// For each place the group that it is in.
    group_of: Vec<usize>,
}

impl Pairs {
    pub(crate) fn new(rows: &[u32]) -> Self {
        let count = rows.len();
        Self {
            groups: rows.iter().map(|&row| vec![row]).collect(),
            sums: vec![0; count * count],
            same: vec![i32::MIN; count * count],
            strongest: vec![i32::MIN; count * count],
            refused: vec![false; count * count],
            facts: vec![0; count * count],
            proposals: None,
            never: Vec::new(),
            group_of: (0..count).collect(),
        }
    }

    fn at(&self, left: usize, right: usize) -> usize {
        left.min(right) * self.group_of.len() + left.max(right)
    }

    /// Sets what speaks for two rows being one, the weight of the pair, and its weight against one household.
    pub(crate) fn set(
        &mut self,
        left: usize,
        right: usize,
        [speaks, same, against_household]: [i32; 3],
    ) {
        let at = self.at(left, right);
        self.sums[at] = i64::from(speaks);
        self.same[at] = same;
        self.strongest[at] = against_household;
    }

    pub(crate) fn sum(&self, left: usize, right: usize) -> i64 {
        self.sums[self.at(left, right)]
    }

    pub(crate) fn same(&self, left: usize, right: usize) -> i32 {
        self.same[self.at(left, right)]
    }

    pub(crate) fn strongest(&self, left: usize, right: usize) -> i32 {
        self.strongest[self.at(left, right)]
    }

    /// Returns what was found out about two groups, in bits; zero if that is nothing yet.
    pub(crate) fn facts(&self, left: usize, right: usize) -> u8 {
        self.facts[self.at(left, right)]
    }

    /// Notes what was found out about two groups. What is found out about joined groups is what was about either.
    pub(crate) fn learn(&mut self, left: usize, right: usize, facts: u8) {
        let at = self.at(left, right);
        self.facts[at] = facts;
    }

    /// Returns pairs of groups about which something is to be found out before two groups are joined, since it was about
    /// the other one of the two. So nothing is ever looked at twice.
    pub(crate) fn unlearnt(&self, left: usize, right: usize) -> Vec<(usize, usize)> {
        let half_known = |other: usize| match (self.facts(left, other), self.facts(right, other)) {
            (0, 0) => None,
            (0, _) => Some((left, other)),
            (_, 0) => Some((right, other)),
            _ => None,
        };
        self.others(left, right).filter_map(half_known).collect()
    }

    /// Returns all groups but two.
    fn others(&self, left: usize, right: usize) -> impl Iterator<Item = usize> {
        (0..self.groups.len())
            .filter(move |&other| other != left && other != right && !self.groups[other].is_empty())
    }

    /// Returns the two groups for which most speaks, the first of several. They are to be joined or refused before this is
    /// asked again.
    pub(crate) fn best(&mut self) -> Option<(usize, usize)> {
        let mut proposals = match self.proposals.take() {
            Some(proposals) => proposals,
            None => self.all_proposals(),
        };
        let mut best = None;
        while best.is_none()
            && let Some(Proposal { sum, groups: Reverse((left, right)) }) = proposals.pop()
        {
            let at = self.at(left, right);
            let stands = self.sums[at] == sum
                && !self.refused[at]
                && !self.groups[left].is_empty()
                && !self.groups[right].is_empty()
                && !self.is_never(left, right);
            best = stands.then_some((left, right));
        }
        self.proposals = Some(proposals);
        best
    }

    fn all_proposals(&self) -> BinaryHeap<Proposal> {
        let mut proposals = Vec::new();
        for left in 0..self.groups.len() {
            for right in left + 1..self.groups.len() {
                let sum = self.sum(left, right);
                if sum > 0 && !self.groups[left].is_empty() && !self.groups[right].is_empty() {
                    proposals.push(Proposal { sum, groups: Reverse((left, right)) });
                }
            }
        }
        BinaryHeap::from(proposals)
    }

    fn is_never(&self, left: usize, right: usize) -> bool {
        self.never.iter().any(|&(one, other)| {
            let (one, other) = (self.group_of[one], self.group_of[other]);
            (one, other) == (left, right) || (one, other) == (right, left)
        })
    }

    /// Returns the group that a place is in.
    pub(crate) fn group_of(&self, place: usize) -> usize {
        self.group_of[place]
    }

    /// Refuses a pair of groups until one of them changes.
    pub(crate) fn refuse(&mut self, left: usize, right: usize) {
        let at = self.at(left, right);
        self.refused[at] = true;
    }

    pub(crate) fn join_always(&mut self, left: usize, right: usize) {
        let (left, right) = (self.group_of[left], self.group_of[right]);
        if left != right && !self.is_never(left, right) {
            self.join(left.min(right), left.max(right));
        }
    }

    pub(crate) fn join(&mut self, left: usize, right: usize) {
        let moved = std::mem::take(&mut self.groups[right]);
        self.groups[left].extend(moved);
        self.group_of.iter_mut().filter(|group| **group == right).for_each(|group| *group = left);
        for other in 0..self.groups.len() {
            if other == left || other == right || self.groups[other].is_empty() {
                continue;
            }
            let (to, from) = (self.at(left, other), self.at(right, other));
            self.sums[to] += self.sums[from];
            self.same[to] = self.same[to].max(self.same[from]);
            self.strongest[to] = self.strongest[to].max(self.strongest[from]);
            self.refused[to] = false;
            let are_known = self.facts[to] != 0 && self.facts[from] != 0;
            self.facts[to] = if are_known { self.facts[to] | self.facts[from] } else { 0 };
            if self.sums[to] > 0
                && let Some(proposals) = &mut self.proposals
            {
                let groups = Reverse((left.min(other), left.max(other)));
                proposals.push(Proposal { sum: self.sums[to], groups });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Looks for the best two among all.
    fn best_of_all(pairs: &Pairs) -> Option<(usize, usize)> {
        let count = pairs.groups.len();
        let all = (0..count).flat_map(|left| (left + 1..count).map(move |right| (left, right)));
        let stand = all.filter(|&(left, right)| {
            pairs.sum(left, right) > 0
                && !pairs.refused[pairs.at(left, right)]
                && !pairs.groups[left].is_empty()
                && !pairs.groups[right].is_empty()
                && !pairs.is_never(left, right)
        });
        stand.max_by_key(|&(left, right)| (pairs.sum(left, right), Reverse((left, right))))
    }

    proptest! {
        #[test]
        fn the_best_two_are_those_of_all_pairs(
            weights in prop::collection::vec(-6_i32..8, 45),
            refusals in prop::collection::vec(any::<bool>(), 200),
            never in prop::option::of((0_usize..10, 0_usize..10)),
        ) {
            let mut pairs = Pairs::new(&(0..10).collect::<Vec<u32>>());
            let places = (0..10_usize).flat_map(|left| (left + 1..10).map(move |right| (left, right)));
            for ((left, right), weight) in places.zip(weights) {
                pairs.set(left, right, [weight; 3]);
            }
            pairs.never.extend(never.filter(|(one, other)| one != other));
            pairs.join_always(2, 7);
            for is_refused in refusals {
                let expected = best_of_all(&pairs);
                prop_assert_eq!(pairs.best(), expected);
                match expected {
                    Some((left, right)) if is_refused => pairs.refuse(left, right),
                    Some((left, right)) => pairs.join(left, right),
                    None => break,
                }
            }
        }
    }

    #[test]
    fn what_is_known_of_both_is_known_of_the_joined() {
        let mut pairs = Pairs::new(&[0, 1, 2, 3]);
        pairs.learn(0, 2, 1);
        pairs.learn(2, 1, 4);
        pairs.learn(3, 0, 2);
        assert_eq!(pairs.unlearnt(0, 1), [(1, 3)]);
        pairs.join(0, 1);
        assert_eq!((pairs.facts(2, 0), pairs.facts(0, 3), pairs.facts(2, 3)), (5, 0, 0));
    }
}
