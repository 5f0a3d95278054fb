//! Which version of a record speaks for it.
//!
//! Of the versions of a record that one is the newest whose row stands, as far as the resolver is told; then the one that was
//! observed last, and of equal ones the one that came last. What the record says of who its person is, is what the newest
//! version says, and where it is silent what older ones say. A version that contradicts that was corrected: it was about
//! somebody else, so what it carries leads nobody to the record. The others are the record's history, and what they carry
//! still does. `LIMIT`s count what the newest version carries: what a later one corrects stands against nobody.
//!
//! All of it depends on the versions of one record alone. When one comes, or another one stands, they are settled anew before
//! anything else is looked at.

use std::cmp::Reverse;

use super::classes::COMPARED_MAX;
use super::graph::Graph;
use super::interner::NONE;
use super::resolver::Resolver;

/// What a subject is to its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// The newest of its versions. A subject without a record is its own.
    Newest,
    /// An older one, which does not contradict what the record says.
    Older,
    /// One that was about somebody else.
    Corrected,
}

/// What was told of the versions of records.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// By subject: whether a row that stands says it; short of those that came since.
    standing: Vec<bool>,
    /// Records of which others stand than when components were solved last.
    changed: Vec<u32>,
}

/// Versions whose records were settled.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// All versions of these records.
    pub(super) versions: Vec<u32>,
    /// Those that were corrected since.
    pub(super) corrected: Vec<u32>,
}

impl Resolver {
    /// Says of each subject, by ordinal, whether the row of its record that stands says it; those that are left out are not
    /// said by any. The next [`resolve`](Self::resolve) looks again at every record of which another version stands.
    pub fn set_standing(&mut self, mut standing: Vec<bool>) {
        let graph = &mut self.graph;
        standing.resize(graph.subjects.len(), false);
        let before = &graph.versions.standing;
        let is_other = |at: usize| standing[at] != before.get(at).copied().unwrap_or(false);
        let others = (0..standing.len()).filter(|&at| is_other(at));
        let records = others.map(|at| graph.subjects[at].record);
        let records = records.filter(|&record| record != NONE && !graph.values.is_lone(record));
        let records: Vec<u32> = records.collect();
        graph.versions.changed.extend(records);
        graph.versions.standing = standing;
    }

    /// Returns those whom a MATCH rule proposed together with a subject when components were solved last. Along pairs that
    /// are proposed no more nobody walks to them. Of a block with more people than are compared each with each it is all:
    /// one more of them may be compared with the others now.
    pub(super) fn proposed_with(&self, subject: u32) -> Vec<u32> {
        let (graph, edges, violations) = (&self.graph, &self.edges, &self.violations);
        let is_block = |value: &u32| {
            let rule = graph.values.rule(*value);
            !graph.rules.is_kind(rule) && rule != graph.rules.record_rule()
        };
        let leads_here = |other: u32| {
            edges.of(other).any(|edge| edge.right == subject)
                || violations.of(other).any(|violation| violation.right == subject)
        };
        let mut found: Vec<u32> = Vec::new();
        for value in graph.values.of(subject).filter(is_block) {
            let is_large = graph.values.subjects(value).nth(COMPARED_MAX).is_some();
            let others = graph.values.subjects(value);
            found.extend(others.filter(|&other| is_large || leads_here(other)));
        }
        found.extend(edges.of(subject).map(|edge| edge.right));
        found.extend(violations.of(subject).map(|violation| violation.right));
        found
    }
}

impl Graph {
    /// Finds out what those records say that have new versions, from `resolved` on, or of which others stand.
    pub(super) fn settle_versions(&mut self, resolved: u32) -> Settled {
        let new = self.subjects[resolved as usize..].iter().map(|subject| subject.record);
        let new = new.filter(|&record| record != NONE && !self.values.is_lone(record));
        let mut records: Vec<u32> = new.collect();
        records.append(&mut self.versions.changed);
        records.sort_unstable();
        records.dedup();
        let mut settled = Settled::default();
        for record in records {
            let mut versions: Vec<u32> = self.values.subjects(record).collect();
            versions.sort_unstable_by_key(|&subject| Reverse(self.age(subject)));
            self.settle(&versions, &mut settled.corrected);
            settled.versions.append(&mut versions);
        }
        settled
    }

    /// Settles the versions of one record, the newest first.
    fn settle(&mut self, versions: &[u32], corrected: &mut Vec<u32>) {
        let persons: Vec<u32> = versions.iter().map(|&subject| self.person(subject)).collect();
        let Some((&newest, older)) = persons.split_first() else { return };
        let said = self.people.spoken(newest, older);
        for (at, (&subject, &person)) in versions.iter().zip(&persons).enumerate() {
            let version = match self.people.contradiction(person, said) {
                _ if at == 0 => Version::Newest,
                None => Version::Older,
                Some(_) => Version::Corrected,
            };
            let row = &mut self.subjects[subject as usize];
            if version == Version::Corrected && row.version != version {
                corrected.push(subject);
            }
            (row.said, row.version) = (said, version);
        }
    }

    /// Returns what orders the versions of a record.
    fn age(&self, subject: u32) -> (bool, i64, u32) {
        let stands = self.versions.standing.get(subject as usize).copied().unwrap_or(false);
        (stands, self.times[subject as usize], subject)
    }

    /// Returns what the record of a subject says of who its person is: a number of [`People`](super::people::People), or
    /// [`NONE`] for a subject that no person describes.
    pub(super) fn said(&self, subject: u32) -> u32 {
        self.subjects[subject as usize].said
    }

    /// Tells whether a subject is the newest version of its record.
    pub(super) fn is_newest(&self, subject: u32) -> bool {
        self.subjects[subject as usize].version == Version::Newest
    }

    /// Tells whether a subject is a version of its record that was about somebody else.
    pub(super) fn is_corrected(&self, subject: u32) -> bool {
        self.subjects[subject as usize].version == Version::Corrected
    }

    /// Returns the subjects of a value, newest first, without those that were corrected; of the key of a record all.
    pub(super) fn users(&self, value: u32) -> impl Iterator<Item = u32> {
        let is_record = self.values.rule(value) == self.rules.record_rule();
        self.values.subjects(value).filter(move |&subject| is_record || !self.is_corrected(subject))
    }
}
