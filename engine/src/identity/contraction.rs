//! Joining what weighed pairs outweigh: greedy additive edge contraction (Keuper et al., 2015) over the parts that stronger
//! rules left.
//!
//! A weighed pair is no single fact, such as a card that two records carry: it is a sum of small ones. In the order of their
//! weights, one pair that looks good would join two families. So parts are joined by what all their pairs say together: every
//! two subjects of the parts are weighed, those that speak against it included, and silence counts a little against it, since
//! friends of friends should find some agreement. The two parts for which most speaks come first. What refuses an edge of any
//! other rule refuses this, too, and whoever belongs nearly as well to two people who cannot be one is left alone.
//!
//! Parts and pairs come in the order of what they say, so that arrival decides nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::cluster::Joining;
use super::edges::{Candidate, Refusal};
use super::fuzzy::Fuzzy;
use crate::matching::{
    BITS_MAX, COMPONENT_MAX, Memories, Pairs, SILENCE_BITS, Scorer, TORN_BITS, Weight,
    may_be_namesakes, parts,
};

/// What is found out about two parts: that it is known, and that records of them contradict each other.
const KNOWN: u8 = 1;
const STANDS: u8 = 2;

/// Two subjects that the FUZZY rule takes for one person.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) left: u32,
    pub(super) right: u32,
    /// In [`parts`] of a bit.
    pub(super) weight: i32,
}

/// Parts that hang together through pairs.
#[derive(Default)]
struct Group {
    /// Those who describe a person.
    subjects: Vec<u32>,
    pairs: Vec<Pair>,
}

/// A pair of places in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    /// The heaviest first.
    weight: Reverse<i32>,
    left: usize,
    right: usize,
}

/// The parts of a group while they are joined.
struct Contraction<'a> {
    /// In the order of what they say.
    subjects: &'a [u32],
    /// Their rows in the matcher's table.
    rows: &'a [u32],
    pairs: Pairs,
    /// Weights of places.
    weights: Vec<i32>,
    /// For each group of places the root of its part.
    roots: Vec<u32>,
}

impl Joining<'_> {
    /// Joins parts, and says what became of each pair.
    pub(super) fn contract(&mut self, fuzzy: &Fuzzy, pairs: &[Pair]) {
        for mut group in self.groups(fuzzy, pairs) {
            let content = |subject: &u32| (self.graph.content(*subject), *subject);
            group.subjects.sort_by_cached_key(content);
            let subjects = group.subjects;
            let place = |subject: u32| {
                let found = subjects.binary_search_by_key(&content(&subject), content);
                found.expect("pairs lie within their group")
            };
            let placed = group.pairs.iter().map(|pair| {
                let (left, right) = (place(pair.left), place(pair.right));
                let (left, right) = (left.min(right), left.max(right));
                Placed { weight: Reverse(pair.weight), left, right }
            });
            let mut placed: Vec<Placed> = placed.collect();
            placed.sort_unstable();
            if subjects.len() <= COMPONENT_MAX {
                self.join_by_sums(fuzzy, &subjects, placed);
            } else {
                self.join_in_order(fuzzy, &subjects, &placed);
            }
        }
    }

    /// Returns the parts that hang together through pairs.
    fn groups(&mut self, fuzzy: &Fuzzy, pairs: &[Pair]) -> Vec<Group> {
        let mut reach = self.sets.clone();
        for pair in pairs {
            reach.union(self.position(pair.left), self.position(pair.right));
        }
        let mut groups: BTreeMap<u32, Group> = BTreeMap::new();
        for &pair in pairs {
            groups.entry(reach.find(self.position(pair.left))).or_default().pairs.push(pair);
        }
        for (&subject, position) in self.subjects.iter().zip(0..) {
            if fuzzy.row(subject).is_some()
                && !self.graph.is_left_out(subject)
                && let Some(group) = groups.get_mut(&reach.find(position))
            {
                group.subjects.push(subject);
            }
        }
        groups.into_values().collect()
    }

    /// Joins the parts of a group that is too large to weigh all its pairs: pair by pair, the heaviest first.
    fn join_in_order(&mut self, fuzzy: &Fuzzy, subjects: &[u32], placed: &[Placed]) {
        let Some(mut scorer) = fuzzy.scorer(Memories::default()) else { return };
        let rows = subjects.iter().filter_map(|&subject| fuzzy.row(subject));
        let rows: Vec<u32> = rows.collect();
        let mut torn: Vec<Candidate> = Vec::new();
        for &pair in placed {
            let candidate = candidate(fuzzy.rule, subjects, pair);
            if self.root(candidate.left) != self.root(candidate.right)
                && may_be_namesakes(&mut scorer, &[rows[pair.left]], &[rows[pair.right]])
            {
                torn.push(candidate);
            } else {
                self.take(&candidate);
            }
        }
        // Others may have joined their parts since, or something else stands between them.
        for candidate in torn {
            if self.root(candidate.left) == self.root(candidate.right) {
                self.take(&candidate);
                continue;
            }
            let refused = self.refusal(&candidate).unwrap_or((candidate.right, Refusal::Torn));
            self.clusters.violations.push(candidate.refused(refused.0, refused.1));
        }
    }

    fn join_by_sums(&mut self, fuzzy: &Fuzzy, subjects: &[u32], mut shown: Vec<Placed>) {
        let roots: Vec<u32> = subjects.iter().map(|&subject| self.root(subject)).collect();
        let mut joined: Vec<Placed> = Vec::new();
        let Some(mut scorer) = fuzzy.scorer(Memories::of(subjects.len())) else { return };
        let rows = subjects.iter().filter_map(|&subject| fuzzy.row(subject));
        let rows: Vec<u32> = rows.collect();
        if roots.iter().any(|root| *root != roots[0]) {
            // What lies within a part was not weighed for its own sake, and what lies between parts all is.
            shown.retain(|pair| roots[pair.left] == roots[pair.right]);
            let mut contraction = Contraction::new(subjects, &rows, roots);
            let weighed = contraction.weigh(&mut scorer, fuzzy.threshold_bits, &mut shown);
            self.clusters.weighed += weighed;
            while let Some((left, right)) = contraction.pairs.best() {
                if contraction.stands(self, left, right)
                    || contraction.is_claimed_twice(self, &mut scorer, left, right)
                {
                    contraction.pairs.refuse(left, right);
                    continue;
                }
                let strongest = contraction.strongest(left, right);
                let candidate = candidate(fuzzy.rule, subjects, strongest);
                // Nobody in them contradicts anybody, as was seen.
                if self.refusal_given(&candidate, |_, _, _| None).is_some() {
                    contraction.pairs.refuse(left, right);
                    continue;
                }
                for (one, other) in contraction.pairs.unlearnt(left, right) {
                    contraction.stands(self, one, other);
                }
                self.take(&candidate);
                contraction.pairs.join(left, right);
                contraction.roots[left] = self.root(candidate.left);
                joined.push(strongest);
            }
            shown.sort_unstable();
            joined.sort_unstable();
            shown.retain(|pair| joined.binary_search(pair).is_err());
            self.refuse_what_is_left(fuzzy.rule, &mut contraction, &mut scorer, &mut shown);
        }
        for pair in shown {
            self.take(&candidate(fuzzy.rule, subjects, pair));
        }
    }

    /// Says why pairs between parts were not joined, and leaves the others.
    fn refuse_what_is_left(
        &mut self,
        rule: u16,
        contraction: &mut Contraction<'_>,
        scorer: &mut Scorer<'_>,
        shown: &mut Vec<Placed>,
    ) {
        // Many pairs lie between the same two parts.
        let (mut contradictions, mut torn) = (HashMap::new(), HashMap::new());
        shown.retain(|&pair| {
            let candidate = candidate(rule, contraction.subjects, pair);
            let roots = (self.root(candidate.left), self.root(candidate.right));
            if roots.0 == roots.1 {
                return true;
            }
            let refused = self.refusal_given(&candidate, |this, left, right| {
                *contradictions.entry(roots).or_insert_with(|| this.against(left, right))
            });
            let (against, reason) = refused.unwrap_or_else(|| {
                let left = contraction.pairs.group_of(pair.left);
                let right = contraction.pairs.group_of(pair.right);
                let is_torn = *torn
                    .entry((left.min(right), left.max(right)))
                    .or_insert_with(|| contraction.is_claimed_twice(self, scorer, left, right));
                (candidate.right, if is_torn { Refusal::Torn } else { Refusal::Outweighed })
            });
            self.clusters.violations.push(candidate.refused(against, reason));
            false
        });
    }
}

/// Returns a pair of a group as other rules propose theirs: the one whose content is smaller stands left.
fn candidate(rule: u16, subjects: &[u32], pair: Placed) -> Candidate {
    let Placed { weight: Reverse(weight), left, right } = pair;
    let (left, right) = (subjects[left], subjects[right]);
    Candidate { left, right, value: weight.cast_unsigned(), rule, strength: 0 }
}

impl<'a> Contraction<'a> {
    /// Makes a group of places of each part.
    fn new(subjects: &'a [u32], rows: &'a [u32], roots: Vec<u32>) -> Self {
        let places: Vec<u32> = (0..subjects.len() as u32).collect();
        let weights = vec![i32::MIN; places.len() * places.len()];
        Self { subjects, rows, pairs: Pairs::new(&places), weights, roots }
    }

    /// Weighs every two places of different parts, adds those above the threshold to `shown`, and joins the places of each
    /// part. Returns how many pairs were weighed.
    fn weigh(
        &mut self,
        scorer: &mut Scorer<'_>,
        threshold_bits: f32,
        shown: &mut Vec<Placed>,
    ) -> u64 {
        let count = self.rows.len();
        for left in 0..count {
            for right in left + 1..count {
                if self.roots[left] == self.roots[right] {
                    continue;
                }
                let weight = scorer.weigh(self.rows[left], self.rows[right]);
                let same = parts(weight.same);
                self.weights[left * count + right] = same;
                self.pairs.set(left, right, [speaks(weight, threshold_bits), same, same]);
                if weight.same >= threshold_bits {
                    shown.push(Placed { weight: Reverse(same), left, right });
                }
            }
        }
        let mut first: BTreeMap<u32, usize> = BTreeMap::new();
        for place in 0..count {
            let first = *first.entry(self.roots[place]).or_insert(place);
            self.pairs.join_always(first, place);
        }
        let pairs_of = |places: usize| (places * places.saturating_sub(1) / 2) as u64;
        let within: u64 = self.pairs.groups.iter().map(|group| pairs_of(group.len())).sum();
        pairs_of(count) - within
    }

    /// Returns the heaviest pair between two groups, the first of several.
    fn strongest(&self, left: usize, right: usize) -> Placed {
        let count = self.subjects.len();
        let groups = &self.pairs.groups;
        let pairs = groups[left].iter().flat_map(|&one| {
            groups[right].iter().map(move |&other| {
                let (left, right) = (one.min(other) as usize, one.max(other) as usize);
                Placed { weight: Reverse(self.weights[left * count + right]), left, right }
            })
        });
        pairs.min().expect("groups that are joined have members")
    }

    /// Tells whether records of two groups contradict each other.
    fn stands(&mut self, joining: &Joining<'_>, left: usize, right: usize) -> bool {
        let mut facts = self.pairs.facts(left, right);
        if facts == 0 {
            let part = |group: usize| &joining.parts[self.roots[group] as usize];
            let stands = joining.against(part(left), part(right)).is_some();
            facts = if stands { KNOWN | STANDS } else { KNOWN };
            self.pairs.learn(left, right, facts);
        }
        facts & STANDS != 0
    }

    /// Tells whether one of two groups belongs nearly as well to somebody else: to a third one, or to a namesake of the other
    /// one who lives there.
    fn is_claimed_twice(
        &mut self,
        joining: &Joining<'_>,
        scorer: &mut Scorer<'_>,
        left: usize,
        right: usize,
    ) -> bool {
        let rows = |group: usize| -> Vec<u32> {
            self.pairs.groups[group].iter().map(|&place| self.rows[place as usize]).collect()
        };
        may_be_namesakes(scorer, &rows(left), &rows(right)) || self.is_torn(joining, left, right)
    }

    /// Tells whether one of two groups belongs nearly as well to a third, which cannot be the same person as the other: a
    /// record without birthday and suffix, of father or son.
    fn is_torn(&mut self, joining: &Joining<'_>, left: usize, right: usize) -> bool {
        for third in 0..self.pairs.groups.len() {
            if third == left || third == right || self.pairs.groups[third].is_empty() {
                continue;
            }
            for (one, other) in [(left, right), (right, left)] {
                let pairs = &self.pairs;
                let behind = pairs.same(one, other).saturating_sub(pairs.same(one, third));
                if pairs.sum(one, third) > 0
                    && behind < parts(TORN_BITS)
                    && !self.stands(joining, one, third)
                    && self.stands(joining, other, third)
                {
                    return true;
                }
            }
        }
        false
    }
}

/// Returns what a pair says for and against one person.
fn speaks(weight: Weight, threshold_bits: f32) -> i32 {
    let bits = if weight.same >= threshold_bits {
        weight.same - threshold_bits
    } else {
        weight.evidence.min(-SILENCE_BITS)
    };
    parts(bits.clamp(-BITS_MAX, BITS_MAX))
}
