//! Which pairs of subjects a value proposes, and which of them a look at the two alone refuses.

use super::agreement::Agreement;
use super::classes::COMPARED_MAX;
use super::edges::{Candidate, Refusal, Violation};
use super::graph::Graph;
use super::interner::NONE;
use super::values::ValueClass;

/// What two people who agree on a value are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Propose(u8),
    Refuse(Refusal),
    Ignore,
}

/// What was done about the subjects of a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Proposed {
    /// Pairs that were compared.
    pub(super) compared: u64,
    /// Whether there were too many to compare each with each.
    pub(super) too_many: bool,
}

impl Graph {
    /// Proposes the pairs of a value's subjects, and refuses those that a look at the two alone refuses.
    ///
    /// Subjects that are judged alike make a star, unless somebody told them apart, and of these stars the first ones are
    /// compared with all others. Those for whom there is no room in their star are seated while edges are taken.
    pub(super) fn propose(
        &self,
        value: u32,
        candidates: &mut Vec<Candidate>,
        refused: &mut Vec<Violation>,
    ) -> Proposed {
        let mut subjects: Vec<u32> =
            self.users(value).filter(|&subject| !self.is_linker(subject)).collect();
        if subjects.len() < 2 {
            return Proposed::default();
        }
        let judged = |subject: u32| self.people.judged(self.person(subject));
        subjects.sort_by_cached_key(|&subject| (judged(subject), self.content(subject), subject));
        let mut pair = |left: u32, right: u32| {
            if self.are_versions(value, left, right) {
                return;
            }
            match self.judge(value, left, right) {
                Verdict::Propose(strength) => {
                    candidates.push(self.candidate(value, left, right, strength));
                }
                Verdict::Refuse(reason) => {
                    let candidate = self.candidate(value, left, right, 0);
                    refused.push(candidate.refused(candidate.right, reason));
                }
                Verdict::Ignore => {}
            }
        };
        // Whoever stands for others may be kept apart from them: then each one stands for itself.
        let apart = self.people_decided(value) > 0;
        let mut stars: Vec<u32> = Vec::new();
        for &subject in &subjects {
            match stars.last() {
                Some(&first) if !apart && judged(first) == judged(subject) => pair(first, subject),
                _ => stars.push(subject),
            }
        }
        for (at, &left) in stars.iter().take(COMPARED_MAX).enumerate() {
            for &right in &stars[at + 1..] {
                pair(left, right);
            }
        }
        let between = (0..stars.len().min(COMPARED_MAX)).map(|at| stars.len() - at - 1);
        let compared = subjects.len() - stars.len() + between.sum::<usize>();
        Proposed { compared: compared as u64, too_many: stars.len() > COMPARED_MAX }
    }

    /// Returns the edge that a value proposes between two of its subjects, if it proposes one.
    pub(super) fn proposed(&self, value: u32, left: u32, right: u32) -> Option<Candidate> {
        if self.are_versions(value, left, right) {
            return None;
        }
        match self.judge(value, left, right) {
            Verdict::Propose(strength) => Some(self.candidate(value, left, right, strength)),
            Verdict::Refuse(_) | Verdict::Ignore => None,
        }
    }

    /// Tells whether two subjects are versions of one record, which its key joins and no other value.
    fn are_versions(&self, value: u32, left: u32, right: u32) -> bool {
        let record = self.subjects[left as usize].record;
        self.values.rule(value) != self.rules.record_rule()
            && record != NONE
            && record == self.subjects[right as usize].record
    }

    fn candidate(&self, value: u32, left: u32, right: u32, strength: u8) -> Candidate {
        let turned = (self.content(right), right) < (self.content(left), left);
        let (left, right) = if turned { (right, left) } else { (left, right) };
        Candidate { left, right, value, rule: self.values.rule(value), strength }
    }

    fn judge(&self, value: u32, left: u32, right: u32) -> Verdict {
        let rule = self.values.rule(value);
        if rule == self.rules.record_rule() {
            return Verdict::Propose(0);
        }
        let shared = self.values.class(value) == ValueClass::Shared;
        let people = (self.person(left), self.person(right));
        if self.rules.is_kind(rule) {
            self.judge_identifier(shared, people.0, people.1)
        } else {
            self.judge_block(people.0, people.1, || shared || self.have_namesakes(left, right))
        }
    }

    /// Judges two people who share an identifier: the name veto.
    fn judge_identifier(&self, shared: bool, left: u32, right: u32) -> Verdict {
        if let Some(contradiction) = self.people.contradiction(left, right) {
            return Verdict::Refuse(contradiction.into());
        }
        let names = self.people.names(left, right);
        let (left, right) = (self.people.get(left), self.people.get(right));
        let birth = left.birth_agreement(right);
        let strength = names.strength() + birth as u8;
        if !left.has_name() || !right.has_name() {
            return if shared {
                Verdict::Refuse(Refusal::Unnamed)
            } else {
                Verdict::Propose(strength)
            };
        }
        if names.surname == Agreement::Different {
            // Marriage changes surnames; then the given name is the same, and on a shared value something else, too.
            let corroborated = birth >= Agreement::Similar || left.same_postal_code(right);
            let changed = names.given == Agreement::Same && (!shared || corroborated);
            return if changed {
                Verdict::Propose(strength)
            } else {
                Verdict::Refuse(Refusal::Surname)
            };
        }
        // An initial is enough beside the same surname, not beside a similar one.
        if names.strength() >= 4 {
            Verdict::Propose(strength)
        } else {
            Verdict::Refuse(Refusal::Name)
        }
    }

    /// Judges two people of one block: names agree, nothing contradicts, and where namesakes are known, birth or suffix
    /// decides.
    fn judge_block(&self, left: u32, right: u32, namesakes: impl FnOnce() -> bool) -> Verdict {
        let names = self.people.names(left, right);
        if !names.is_alike() {
            return Verdict::Ignore;
        }
        if let Some(contradiction) = self.people.contradiction(left, right) {
            return Verdict::Refuse(contradiction.into());
        }
        let (left, right) = (self.people.get(left), self.people.get(right));
        let birth = left.birth_agreement(right);
        if birth < Agreement::Similar && !left.same_suffix(right) && namesakes() {
            return Verdict::Ignore;
        }
        Verdict::Propose(names.strength() + birth as u8)
    }

    /// Tells whether two subjects share another block in which there are people of their name who cannot be one.
    fn have_namesakes(&self, left: u32, right: u32) -> bool {
        let shared = |value: &u32| self.values.of(right).any(|other| other == *value);
        let mut homes = self.values.of(left).filter(|&value| self.is_home_of_namesakes(value));
        homes.any(|value| shared(&value) && self.has_namesakes_of(value, self.person(left)))
    }
}
