//! Which must-links cannot be in force, since cannot-links contradict them, in however many steps.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use super::overrides::{Decided, Override, RecordName};
use super::union_find::UnionFind;

/// Returns for each override, if it is a must-link that others contradict, the position of a cannot-link that does: one
/// between whose records it lies on a way of must-links.
pub fn contradicted(overrides: &[Override]) -> Vec<Option<usize>> {
    let mut numbers: HashMap<&RecordName, u32> = HashMap::new();
    let mut number = |record| {
        let next = numbers.len() as u32;
        *numbers.entry(record).or_insert(next)
    };
    let pairs: Vec<(u32, u32)> =
        overrides.iter().map(|pair| (number(&pair.left), number(&pair.right))).collect();
    let mut ways = Ways { links: vec![Vec::new(); numbers.len()] };
    let mut sets = UnionFind::new(numbers.len() as u32);
    for (at, &(left, right)) in pairs.iter().enumerate() {
        if overrides[at].decided == Decided::MustLink {
            ways.links[left as usize].push((right, at));
            ways.links[right as usize].push((left, at));
            sets.union(left, right);
        }
    }
    let mut found = vec![None; overrides.len()];
    for (at, &(left, right)) in pairs.iter().enumerate() {
        let keeps = overrides[at].decided == Decided::CannotLink && left != right;
        if keeps && sets.find(left) == sets.find(right) {
            for link in ways.between(left, right) {
                found[link].get_or_insert(at);
            }
        }
    }
    found
}

/// Must-links as a graph: for each record the others and the positions of the links.
struct Ways {
    links: Vec<Vec<(u32, usize)>>,
}

impl Ways {
    /// Returns the links between two records that hang together: all that is left of what hangs together with them once
    /// dead ends are taken away.
    fn between(&self, from: u32, to: u32) -> Vec<usize> {
        let mut reached = vec![from];
        let mut degrees: HashMap<u32, usize> = HashMap::from([(from, 0)]);
        let mut at = 0;
        while let Some(&record) = reached.get(at) {
            for &(other, _) in &self.links[record as usize] {
                if let Entry::Vacant(unseen) = degrees.entry(other) {
                    unseen.insert(0);
                    reached.push(other);
                }
            }
            degrees.insert(record, self.links[record as usize].len());
            at += 1;
        }
        let is_end = |record: u32| record != from && record != to;
        let mut dead: VecDeque<u32> = reached
            .iter()
            .copied()
            .filter(|&record| is_end(record) && degrees[&record] == 1)
            .collect();
        while let Some(record) = dead.pop_front() {
            degrees.remove(&record);
            for &(other, _) in &self.links[record as usize] {
                if let Some(degree) = degrees.get_mut(&other) {
                    *degree -= 1;
                    if *degree == 1 && is_end(other) {
                        dead.push_back(other);
                    }
                }
            }
        }
        let kept = reached.iter().filter(|record| degrees.contains_key(record));
        let links = kept.flat_map(|record| &self.links[*record as usize]);
        let mut found: Vec<usize> =
            links.filter(|(other, _)| degrees.contains_key(other)).map(|(_, at)| *at).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Origin;

    fn pair(decided: Decided, (left, right): (&str, &str)) -> Override {
        let record = |key: &str| RecordName { source: "s".into(), key: key.into() };
        let origin = Origin::Decision(1);
        Override { origin, decided, left: record(left), right: record(right) }
    }

    #[track_caller]
    fn check(musts: &[(&str, &str)], cannots: &[(&str, &str)], expected: &[bool]) {
        let musts = musts.iter().map(|records| pair(Decided::MustLink, *records));
        let cannots = cannots.iter().map(|records| pair(Decided::CannotLink, *records));
        let found: Vec<bool> = contradicted(&musts.chain(cannots).collect::<Vec<_>>())
            .iter()
            .map(Option::is_some)
            .collect();
        assert_eq!(&found[..expected.len()], expected);
        assert!(found[expected.len()..].iter().all(|found| !found), "a cannot-link holds");
    }

    #[test]
    fn every_must_link_between_two_who_are_kept_apart_is_contradicted() {
        check(&[("a", "b"), ("b", "c")], &[("a", "c")], &[true, true]);
        check(&[("a", "b"), ("b", "c")], &[("a", "d")], &[false, false]);
        check(&[("a", "b")], &[("b", "a")], &[true]);
        // What only hangs on is not between them; a way round is.
        check(
            &[("a", "b"), ("b", "c"), ("b", "d"), ("d", "e")],
            &[("a", "c")],
            &[true, true, false, false],
        );
        check(&[("a", "b"), ("b", "c"), ("a", "d"), ("d", "c")], &[("a", "c")], &[true; 4]);
        check(&[("a", "b"), ("c", "d")], &[("a", "b"), ("a", "c")], &[true, false]);
        check(&[], &[("a", "a")], &[]);
    }
}
