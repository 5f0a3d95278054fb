//! Whether a value proposes two of its subjects, and what a look at the two alone refuses.

use super::agreement::Agreement;
use super::edges::{Candidate, Refusal, Violation};
use super::graph::Graph;
use super::interner::NONE;
use super::values::ValueClass;

/// How far the names of two people agree at least whom an identifier joins, as [`NameAgreement::strength`] adds it up: an initial
/// beside the same surname, or a slip in both. One level less would be an initial beside a surname that is only similar, and one more
/// would keep J. Nowak from Jan Nowak's mailbox.
///
/// [`NameAgreement::strength`]: super::agreement::NameAgreement::strength
const STRENGTH_MIN: u8 = Agreement::Unknown as u8 + Agreement::Same as u8;

/// What two people who agree on a value are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Propose(u8),
    Refuse(Refusal),
    Ignore,
}

impl Graph {
    /// Compares two subjects of a value: proposes them, refuses them, or passes over them.
    pub(super) fn compare(
        &self,
        value: u32,
        left: u32,
        right: u32,
        candidates: &mut Vec<Candidate>,
        refused: &mut Vec<Violation>,
    ) {
        if self.are_versions(value, left, right) {
            return;
        }
        match self.judge(value, left, right) {
            Verdict::Propose(strength) => {
                candidates.push(self.candidate(value, left, right, strength));
            }
            Verdict::Refuse(reason) => {
                let candidate = self.candidate(value, left, right, 0);
                let has_suffix = |subject: u32| self.people.get(self.person(subject)).suffix != 0;
                // Of two namesakes the one who is called senior or junior tells that there is another.
                let is_left = reason == Refusal::Namesake
                    && has_suffix(candidate.left)
                    && !has_suffix(candidate.right);
                let against = if is_left { candidate.left } else { candidate.right };
                refused.push(candidate.refused(against, reason));
            }
            Verdict::Ignore => {}
        }
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
        if self.rules.is_kind(rule) {
            self.judge_identifier(value, shared, left, right)
        } else {
            let people = (self.person(left), self.person(right));
            self.judge_block(people.0, people.1, || shared || self.have_namesakes(left, right))
        }
    }

    /// Judges two subjects that share an identifier: the name veto.
    fn judge_identifier(&self, value: u32, shared: bool, left: u32, right: u32) -> Verdict {
        let people = (self.person(left), self.person(right));
        if let Some(contradiction) = self.people.contradiction(people.0, people.1) {
            return Verdict::Refuse(contradiction.into());
        }
        let names = self.people.names(people.0, people.1);
        let (one, other) = (self.people.get(people.0), self.people.get(people.1));
        let strength = names.strength() + one.birth_agreement(other) as u8;
        if !one.has_name() || !other.has_name() {
            return if shared {
                Verdict::Refuse(Refusal::Unnamed)
            } else {
                Verdict::Propose(strength)
            };
        }
        if names.surname == Agreement::Different {
            // Marriage changes surnames; then the given name is the same, and something else agrees, too.
            let changed =
                names.given == Agreement::Same && self.is_corroborated(value, left, right);
            return if changed {
                Verdict::Propose(strength)
            } else {
                Verdict::Refuse(Refusal::Surname)
            };
        }
        // An initial is enough beside the same surname, not beside a similar one. Where people of one given name share the
        // value, that name alone is not: it may be that of each of them.
        let tells = !shared
            || !self.several_surnames.contains_key(&value)
            || self.people.surnames(people.0, people.1) >= Agreement::Similar;
        if names.strength() >= STRENGTH_MIN && tells {
            Verdict::Propose(strength)
        } else {
            Verdict::Refuse(Refusal::Name)
        }
    }

    /// Judges two people of one block: names agree, nothing contradicts, and where namesakes are known, or one of the two has a
    /// suffix, birth or suffix decides. That people of other names share a block, such as an address, is no refusal; that second
    /// given names tell people of one name apart is.
    fn judge_block(&self, left: u32, right: u32, namesakes: impl FnOnce() -> bool) -> Verdict {
        let names = self.people.names(left, right);
        if !names.is_alike() {
            return match self.people.differ_in_second_names(left, right, names) {
                true => Verdict::Refuse(Refusal::GivenName),
                false => Verdict::Ignore,
            };
        }
        if let Some(contradiction) = self.people.contradiction(left, right) {
            return Verdict::Refuse(contradiction.into());
        }
        let (left, right) = (self.people.get(left), self.people.get(right));
        let birth = left.birth_agreement(right);
        // Whoever is called senior or junior has a namesake, mostly at the same address, whether or not anybody knows him.
        let has_namesake = || (left.suffix == 0) != (right.suffix == 0) || namesakes();
        if birth < Agreement::Similar && !left.same_suffix(right) && has_namesake() {
            return Verdict::Refuse(Refusal::Namesake);
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
