//! Blocks of MATCH rules with more people than are compared each with each: everybody at one address, all of one name.
//!
//! Those who are judged alike make a star around the first of them, and the first stars are compared with all others. Whoever
//! comes to such a block changes nothing between those who are there, unless a star has another middle by that, or there are
//! others among the first stars. So where all of that is as it was, only those are looked at who came, and all others to whom
//! pairs lead from them: each of them is compared alone, with those with whom it would be compared if all were.
//!
//! Whether a block is looked at as a whole decides nothing but the time that it takes. People hang together through the pairs
//! of a block, never through the block itself, so that components are the same either way.

use std::collections::hash_map::Entry;

use super::agreement::Contradiction;
use super::edges::{Candidate, Violation};
use super::graph::Graph;
use super::interner::{NONE, Table};
use super::union_find::UnionFind;
use super::values::ValueClass;

/// Those who describe a person and carry a value.
#[derive(Debug, Default)]
pub(super) struct Stars {
    /// By how they are judged and by what they say.
    subjects: Vec<u32>,
    /// Where each star begins, ascending. The middle comes first.
    starts: Vec<usize>,
}

/// Which large blocks a run looks at only where somebody comes by.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// `None` for a value that is looked at as a whole.
    stars: Table<u32, Option<Stars>>,
}

impl Blocks {
    /// Looks at a value to which subjects came. Tells whether those who were there are compared with each other as they were.
    pub(super) fn is_as_it_was(
        &mut self,
        graph: &Graph,
        value: u32,
        is_new: impl Fn(u32) -> bool,
        is_redecided: bool,
    ) -> bool {
        if !graph.is_large_block(value) {
            return true;
        }
        // Who is kept apart stands for itself, and so do all others of the block.
        if is_redecided || graph.people_decided(value) > 0 {
            self.stars.insert(value, None);
            return false;
        }
        let stars = graph.stars(value);
        let is_as_it_was = graph.are_pairs_as_before(&stars, is_new);
        let is_walked = is_as_it_was && stars.starts.len() > graph.rules.compared_max;
        self.stars.insert(value, is_walked.then_some(stars));
        is_as_it_was
    }

    /// Notes that all pairs of a value are looked at.
    pub(super) fn look_at_all(&mut self, graph: &Graph, value: u32) {
        if graph.is_large_block(value) {
            self.stars.insert(value, None);
        }
    }

    /// Returns the stars of a block of which only those are compared who are walked by; `None` if all are.
    pub(super) fn walked(&mut self, graph: &Graph, value: u32) -> Option<&Stars> {
        if !graph.is_block(value) {
            return None;
        }
        match self.stars.entry(value) {
            Entry::Occupied(known) => known.into_mut().as_ref(),
            Entry::Vacant(unknown) => {
                if !graph.is_large_block(value) {
                    return None;
                }
                let stars = graph.stars(value);
                let is_walked = stars.starts.len() > graph.rules.compared_max;
                unknown.insert(is_walked.then_some(stars)).as_ref()
            }
        }
    }
}

impl Graph {
    /// Tells whether a value is of a MATCH rule.
    fn is_block(&self, value: u32) -> bool {
        let rule = self.values.rule(value);
        !self.rules.is_kind(rule) && rule != self.rules.record_rule()
    }

    /// Tells whether more subjects carry such a value than are compared each with each.
    fn is_large_block(&self, value: u32) -> bool {
        self.is_block(value) && self.values.subjects(value).nth(self.rules.compared_max).is_some()
    }

    /// Returns those who carry a value as stars.
    fn stars(&self, value: u32) -> Stars {
        let users = self.users(value).filter(|&subject| !self.is_linker(subject));
        let mut subjects: Vec<u32> = users.collect();
        subjects.sort_by_cached_key(|&subject| self.place_of(subject));
        // Whoever stands for others may be kept apart from them: then each one stands for itself.
        let apart = self.people_decided(value) > 0;
        let mut starts: Vec<usize> = Vec::new();
        let mut last = None;
        for (at, &subject) in subjects.iter().enumerate() {
            let judged = Some(self.judged(subject));
            if apart || judged != last {
                starts.push(at);
                last = judged;
            }
        }
        Stars { subjects, starts }
    }

    fn judged(&self, subject: u32) -> u64 {
        self.people.judged(self.person(subject))
    }

    fn place_of(&self, subject: u32) -> (u64, u64, u32) {
        (self.judged(subject), self.content(subject), subject)
    }

    /// Tells whether those who were there before the new ones came are compared with each other as they were: no star of
    /// theirs has a new one in its middle, and none is among the first stars if there are too many to compare each with each.
    fn are_pairs_as_before(&self, stars: &Stars, is_new: impl Fn(u32) -> bool) -> bool {
        let compared_max = self.rules.compared_max;
        let are_many = stars.starts.len() > compared_max;
        (0..stars.starts.len()).all(|star| {
            let of_star = stars.of(star);
            let is_first = are_many && star < compared_max;
            match of_star.split_first() {
                Some((&middle, others)) if is_new(middle) => {
                    !is_first && others.iter().all(|&other| is_new(other))
                }
                _ => true,
            }
        })
    }

    /// Proposes the pairs of a value's subjects, and refuses those that a look at the two alone refuses. Returns how many were
    /// compared.
    pub(super) fn propose(
        &self,
        value: u32,
        candidates: &mut Vec<Candidate>,
        refused: &mut Vec<Violation>,
    ) -> u64 {
        let stars = self.stars(value);
        let mut compared = 0;
        let mut pair = |left: u32, right: u32| {
            compared += 1;
            self.compare(value, left, right, candidates, refused);
        };
        for star in 0..stars.starts.len() {
            if let Some((&middle, others)) = stars.of(star).split_first() {
                others.iter().for_each(|&other| pair(middle, other));
            }
        }
        let middles: Vec<u32> = stars.middles().collect();
        for (at, &left) in middles.iter().take(self.rules.compared_max).enumerate() {
            for &right in &middles[at + 1..] {
                pair(left, right);
            }
        }
        compared
    }

    /// Does the same with the pairs of one subject alone.
    pub(super) fn propose_with(
        &self,
        value: u32,
        stars: &Stars,
        subject: u32,
        candidates: &mut Vec<Candidate>,
        refused: &mut Vec<Violation>,
    ) -> u64 {
        let place = self.place_of(subject);
        let place_of = |other: &u32| self.place_of(*other);
        // Neither a linker nor a version that was about somebody else is among them.
        let Ok(at) = stars.subjects.binary_search_by_key(&place, place_of) else { return 0 };
        let own = stars.starts.partition_point(|&start| start <= at) - 1;
        let mut compared = 0;
        let mut pair = |left: u32, right: u32| {
            compared += 1;
            self.compare(value, left, right, candidates, refused);
        };
        let (middle, others) = stars.of(own).split_first().expect("a star has a middle");
        if *middle != subject {
            pair(*middle, subject);
            return compared;
        }
        others.iter().for_each(|&other| pair(subject, other));
        // As in a whole block, the one of the first star stands left.
        let compared_max = self.rules.compared_max;
        stars.middles().take(own.min(compared_max)).for_each(|other| pair(other, subject));
        if own < compared_max {
            stars.middles().skip(own + 1).for_each(|other| pair(subject, other));
        }
        compared
    }

    /// Determines whom a value identifies after subjects came to it. Where only those can matter, only they are compared.
    pub(super) fn classify_again(&self, value: u32, is_new: impl Fn(u32) -> bool) -> ValueClass {
        if !self.is_large_block(value) {
            return self.classify(value);
        }
        let said = self.users(value).map(|subject| (subject, self.person(subject)));
        let named =
            said.filter(|&(_, person)| person != NONE && self.people.get(person).has_name());
        let mut people: Vec<(u64, bool, u32)> = named
            .map(|(subject, person)| (self.people.who(person), is_new(subject), person))
            .collect();
        // What was said before comes first.
        people.sort_unstable();
        people.dedup_by_key(|(who, ..)| *who);
        let (first, others) = people.split_at(people.len().min(self.rules.compared_max));
        if first.iter().any(|(_, is_new, _)| *is_new) {
            return self.classify(value);
        }
        let has_namesake =
            |right: u32| first.iter().any(|&(.., left)| self.are_namesakes(left, right));
        let mut came = others.iter().filter(|(_, is_new, _)| *is_new);
        let is_shared = self.values.class(value) == ValueClass::Shared
            || came.any(|&(.., person)| has_namesake(person));
        if is_shared { ValueClass::Shared } else { ValueClass::Personal }
    }

    /// Tells whether two people of one name cannot be one, such as father and son.
    pub(super) fn are_namesakes(&self, left: u32, right: u32) -> bool {
        matches!(
            self.people.contradiction(left, right),
            Some(Contradiction::Suffix | Contradiction::BirthDate)
        ) && self.people.names(left, right).is_alike()
    }
}

impl Stars {
    /// Returns those of a star, the middle first.
    fn of(&self, star: usize) -> &[u32] {
        let end = self.starts.get(star + 1).copied().unwrap_or(self.subjects.len());
        &self.subjects[self.starts[star]..end]
    }

    /// Returns the middle of each star.
    fn middles(&self) -> impl Iterator<Item = u32> {
        self.starts.iter().map(|&start| self.subjects[start])
    }
}

/// Returns ways among those who hang together through pairs, both ways, ascending: from anybody to anybody else of them, with
/// two ways for each and not for each pair.
pub(super) fn ways(pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Vec<(u32, u32)> {
    let mut subjects: Vec<u32> = pairs.clone().flat_map(|(left, right)| [left, right]).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let place = |subject: u32| subjects.partition_point(|&other| other < subject) as u32;
    let mut sets = UnionFind::new(subjects.len() as u32);
    for (left, right) in pairs {
        sets.union(place(left), place(right));
    }
    let mut ways = Vec::with_capacity(2 * subjects.len());
    for (&subject, root) in subjects.iter().zip(sets.into_roots()) {
        let root = subjects[root as usize];
        if root != subject {
            ways.extend([(subject, root), (root, subject)]);
        }
    }
    ways.sort_unstable();
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_lead_to_all_who_hang_together() {
        let pairs = [(5, 9), (2, 7), (9, 3), (7, 2)];
        let expected = [(2, 7), (3, 5), (3, 9), (5, 3), (7, 2), (9, 3)];
        assert_eq!(ways(pairs.into_iter()), expected);
        assert!(ways([].into_iter()).is_empty());
    }
}
