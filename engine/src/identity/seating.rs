//! Seating those together for whom a limit left no room.
//!
//! Subjects that are judged alike are proposed as a star around the first of them, so that many of them cost no square. When the
//! profile of the first is full (a `LIMIT`, `merge_limit`, somebody who is kept apart), the others would be alone, though many
//! of them may be one person. So those who were refused form the next star, around the first of them, until none is left. That
//! comes behind all edges of the same priority and before those of the next, and the order of everything in it hangs on what
//! subjects say, never on arrival.
//!
//! A refusal here is no row of its own: that of the first star says why. The work is linear: whoever stands in the middle is
//! compared with the next few, and with more as long as some of them join.

use std::collections::VecDeque;

use super::classes::COMPARED_MAX;
use super::cluster::{Joining, order};
use super::edges::{Candidate, Refusal, Violation};
use super::values::ValueClass;

impl Joining<'_> {
    /// Takes candidates, which are in their order, and after each priority seats those who were refused for want of room.
    pub(super) fn take_ranks(&mut self, candidates: &[Candidate]) {
        let graph = self.graph;
        let priority = |candidate: &Candidate| graph.rules.priority(candidate.rule);
        let of_one_rank = |one: &Candidate, other: &Candidate| priority(one) == priority(other);
        for rank in candidates.chunk_by(of_one_rank) {
            let from = self.clusters.violations.len();
            rank.iter().for_each(|candidate| self.take(candidate));
            for (value, waiting) in self.waiting(from) {
                self.seat(value, waiting);
            }
        }
    }

    /// Returns for each value whom refusals from `from` on left without room, in the order of what they say.
    fn waiting(&self, from: usize) -> Vec<(u32, VecDeque<u32>)> {
        let graph = self.graph;
        let judged = |subject: u32| graph.people.judged(graph.person(subject));
        let lacks_room = |refused: &&Violation| {
            matches!(refused.reason, Refusal::Limit(_) | Refusal::MergeLimit | Refusal::Override)
        };
        let refused = self.clusters.violations[from..].iter().filter(lacks_room);
        let mut waiting: Vec<(u32, u32)> = Vec::new();
        for refused in refused {
            waiting.push((refused.value, refused.right));
            // The left one of a star is its middle, with which all others were compared.
            if judged(refused.left) != judged(refused.right) {
                waiting.push((refused.value, refused.left));
            }
        }
        waiting.sort_by_cached_key(|&(value, subject)| {
            (
                graph.values.class(value) == ValueClass::Shared,
                graph.values.rule(value),
                graph.values.content(value),
                value,
                graph.content(subject),
                subject,
            )
        });
        waiting.dedup();
        let values = waiting.chunk_by(|one, other| one.0 == other.0);
        values.map(|of| (of[0].0, of.iter().map(|(_, subject)| *subject).collect())).collect()
    }

    /// Lets the first of those who wait join the others, and then the first of those who still do.
    fn seat(&mut self, value: u32, mut waiting: VecDeque<u32>) {
        let mut compared = 0;
        while let Some(first) = waiting.pop_front() {
            let mut passed: Vec<u32> = Vec::new();
            loop {
                let near = waiting.len().min(COMPARED_MAX);
                let near: Vec<u32> = waiting.drain(..near).collect();
                let before = passed.len();
                compared += self.seat_with(value, first, &near, &mut passed);
                if passed.len() - before == near.len() {
                    break;
                }
            }
            passed.into_iter().rev().for_each(|subject| waiting.push_front(subject));
        }
        if compared > 0 {
            self.clusters.seated.push((self.graph.values.rule(value), compared));
        }
    }

    /// Joins `first` with those of `others` for whom there is room, and passes on the rest. Returns how many were compared.
    fn seat_with(&mut self, value: u32, first: u32, others: &[u32], passed: &mut Vec<u32>) -> u64 {
        let graph = self.graph;
        let mut compared = 0;
        let mut candidates: Vec<Candidate> = Vec::new();
        for &other in others {
            if self.root(first) != self.root(other) {
                compared += 1;
                candidates.extend(graph.proposed(value, first, other));
            }
        }
        candidates.sort_by_cached_key(|candidate| order(graph, candidate));
        for candidate in &candidates {
            if self.root(candidate.left) != self.root(candidate.right)
                && self.refusal(candidate).is_none()
            {
                self.take(candidate);
            }
        }
        for &other in others {
            if self.root(first) != self.root(other) {
                passed.push(other);
            }
        }
        compared
    }
}
