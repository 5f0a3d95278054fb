//! What records left that are gone, and to whom.
//!
//! A refusal must outlive the record that brought it. So whoever would hang together with a record that is gone, if it were
//! there, has what it carried as something of old: by that they can refuse, and cannot be found or grant. The tie is a value
//! that both carry while nothing contradicts that they are one person, a pair of the FUZZY rule, or a must-link; and records
//! that are gone lead to each other in the same way. In doubt there is a tie: it joins nobody, and can only refuse.
//!
//! The invariant: it is a function of the subjects, the rules, the overrides and which records are there, as profiles are.

use std::collections::HashSet;

use super::graph::Graph;
use super::interner::NONE;
use super::resolver::Resolver;
use super::values::ValueClass;

/// Versions of records that are gone on one identifier or block at most that lead to each other: what more of them carry is no
/// person's, though nobody is there any more to be counted on it. Far above what people have, since what it drops is a refusal: at
/// half and at double of it, the same mailboxes of people lead to them, and a placeholder to nobody.
const CARRIERS_MAX: usize = 1_024;

impl Resolver {
    /// Returns the versions of records that are gone and have left something to a profile, ascending: those to which a walk
    /// comes from its members, along values that tie two of their subjects to each other, pairs of the FUZZY rule and
    /// must-links.
    pub(super) fn gone_with(&self, anchor: u32) -> Vec<u32> {
        let graph = &self.graph;
        if !graph.has_gone() {
            return Vec::new();
        }
        let mut open: Vec<u32> =
            self.members(anchor).filter(|&subject| !graph.is_left_out(subject)).collect();
        let mut found: HashSet<u32> = HashSet::new();
        while let Some(subject) = open.pop() {
            let mut reached: Vec<u32> = self.tied_to(subject).collect();
            for value in graph.values.of(subject).filter(|&value| graph.leads_to_gone(value)) {
                let others = graph.gone_carriers(value).filter(|other| !found.contains(other));
                reached.extend(others.filter(|&other| graph.may_be_one(value, subject, other)));
            }
            let is_new = |other: &u32| graph.is_gone(*other) && found.insert(*other);
            open.extend(reached.into_iter().filter(is_new));
        }
        let mut found: Vec<u32> = found.into_iter().collect();
        found.sort_unstable();
        found
    }

    /// Adds to those who are looked at again those to whom records that are gone leave something else than before, given the
    /// versions of those that are `turned`: gone since, or back.
    pub(super) fn add_heirs(&self, turned: &[u32], seeds: &mut Vec<u32>) {
        let gone = seeds.iter().copied().filter(|&subject| self.graph.is_gone(subject));
        let changed: Vec<u32> = gone.chain(turned.iter().copied()).collect();
        if !changed.is_empty() {
            seeds.extend(self.heirs_of(changed));
        }
    }

    /// Returns those to whom records leave something else than before that are gone, given the versions of such records about
    /// which something is other than before. There may be more of them: whatever two carry is taken for a tie.
    fn heirs_of(&self, changed: Vec<u32>) -> Vec<u32> {
        let graph = &self.graph;
        let mut found: HashSet<u32> = changed.iter().copied().collect();
        let (mut open, mut heirs) = (changed, Vec::new());
        let mut values: HashSet<u32> = HashSet::new();
        while let Some(subject) = open.pop() {
            let from = heirs.len();
            heirs.extend(self.tied_to(subject));
            for value in graph.values.of(subject) {
                if graph.values.class(value) != ValueClass::Nobody && values.insert(value) {
                    heirs.extend(graph.values.subjects(value));
                }
            }
            let is_new = |other: &u32| graph.is_gone(*other) && found.insert(*other);
            open.extend(heirs[from..].iter().copied().filter(is_new));
        }
        heirs.sort_unstable();
        heirs.dedup();
        heirs
    }

    /// Returns those whom a pair of the FUZZY rule or a must-link ties to a subject.
    fn tied_to(&self, subject: u32) -> impl Iterator<Item = u32> {
        let partners = self.fuzzy.iter().flat_map(move |fuzzy| fuzzy.partners(subject));
        partners.map(|partner| partner.subject).chain(self.graph.must_linked(subject))
    }
}

impl Graph {
    /// Tells whether a value may tie somebody to a record that is gone.
    fn leads_to_gone(&self, value: u32) -> bool {
        let is_record = self.values.rule(value) == self.rules.record_rule();
        self.values.class(value) != ValueClass::Nobody
            && (is_record || self.gone_carriers(value).nth(CARRIERS_MAX).is_none())
    }

    /// Tells whether two subjects that carry a value may be one person, by their names and birthdays.
    fn may_be_one(&self, value: u32, one: u32, other: u32) -> bool {
        let rule = self.values.rule(value);
        let (left, right) = (self.person(one), self.person(other));
        if rule == self.rules.record_rule() || left == NONE || right == NONE {
            return true;
        }
        let is_alike = || self.rules.is_kind(rule) || self.people.names(left, right).is_alike();
        self.people.contradiction(left, right).is_none() && is_alike()
    }
}
