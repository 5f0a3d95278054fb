//! Which version of a record speaks for it.
//!
//! Of the versions of a record that one is the newest whose row stands, as far as the resolver is told; then the one that was
//! observed last, and of equal ones the one that came last. What the record says of who its person is, is what the newest
//! version says, and where it is silent what older ones say. A version that contradicts that was corrected: it was about
//! somebody else, so what it carries leads nobody to the record. The others are the record's history, and what they carry
//! still does. `LIMIT`s count what the newest version carries: what a later one corrects stands against nobody.
//!
//! Of a source that tells of deletions, a record of which no version stands is gone: none of its versions speaks, belongs to
//! anybody or is counted, and people are made as if it had never been there. What it carried it leaves to those with whom it
//! would be one person, who can refuse by it.
//!
//! All of it depends on the versions of one record alone. When one comes, or another one stands, they are settled anew before
//! anything else is looked at.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::graph::{Graph, RECORD_SEPARATOR};
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
    /// One of a record that is gone.
    Gone,
}

/// What was told of the versions of records.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// By subject: whether a row that stands says it; short of those that came since.
    standing: Vec<bool>,
    /// By number of a source: whether it tells of deletions; short of those that came since.
    deleting: Vec<bool>,
    /// Records of which others stand than when components were solved last.
    changed: Vec<u32>,
    /// Values, each with a version that carries it of a record that is gone.
    gone: BTreeSet<(u32, u32)>,
}

/// Versions whose records were settled.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// All versions of these records.
    pub(super) versions: Vec<u32>,
    /// Those that were corrected since, or whose record is gone since.
    pub(super) left_out: Vec<u32>,
    /// Those whose record is gone since, or is back.
    pub(super) turned: Vec<u32>,
}

impl Resolver {
    /// Says which sources tell of deletions: of these, a record of which no version stands is gone.
    pub fn set_deleting(&mut self, is_deleting: impl Fn(&str) -> bool) {
        let graph = &mut self.graph;
        let deleting = graph.sources.iter().map(|source| is_deleting(source)).collect();
        let before = std::mem::replace(&mut graph.versions.deleting, deleting);
        let (sources, deleting) = (0..graph.sources.len(), &graph.versions.deleting);
        let others = sources.map(|at| deleting[at] != before.get(at).copied().unwrap_or(false));
        let others: Vec<bool> = others.collect();
        if others.contains(&true) {
            let records = graph.subjects.iter().map(|subject| subject.record);
            let records = records.filter(|&record| record != NONE);
            let records = records.filter(|&record| others[graph.source_of(record)]);
            let records: Vec<u32> = records.collect();
            graph.versions.changed.extend(records);
        }
    }

    /// Says of each subject, by ordinal, whether the row of its record that stands says it; those that are left out are not
    /// said by any. The next [`resolve`](Self::resolve) looks again at every record of which another version stands.
    pub fn set_standing(&mut self, mut standing: Vec<bool>) {
        let graph = &mut self.graph;
        standing.resize(graph.subjects.len(), false);
        let before = &graph.versions.standing;
        let is_other = |at: usize| standing[at] != before.get(at).copied().unwrap_or(false);
        let others = (0..standing.len()).filter(|&at| is_other(at));
        let records = others.map(|at| graph.subjects[at].record);
        let records = records.filter(|&record| graph.has_versions(record));
        let records: Vec<u32> = records.collect();
        graph.versions.changed.extend(records);
        graph.versions.standing = standing;
    }

    /// Returns those whom a MATCH rule proposed together with a subject when components were solved last. Along pairs that
    /// are proposed no more nobody walks to them. Of a block with more people than are compared each with each, or with more
    /// pairs than are kept when they are refused, it is all: one more of them may be compared with the others now.
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
            // Of a block with many pairs not all are compared, and not all that are refused are kept.
            let compared_max = graph.rules.compared_max;
            let count = graph.values.subjects(value).take(compared_max + 1).count();
            let pairs = count * (count - 1) / 2;
            let is_large = count > compared_max || pairs > graph.rules.violations_max;
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
        let new = new.filter(|&record| self.has_versions(record));
        let mut records: Vec<u32> = new.collect();
        records.append(&mut self.versions.changed);
        records.sort_unstable();
        records.dedup();
        let mut settled = Settled::default();
        for record in records {
            let mut versions: Vec<u32> = self.values.subjects(record).collect();
            versions.sort_unstable_by_key(|&subject| Reverse(self.age(subject)));
            let is_gone = self.deletes(record) && !versions.iter().any(|&one| self.stands(one));
            self.settle(&versions, is_gone, &mut settled);
            settled.versions.append(&mut versions);
        }
        self.observe_anew(&settled.turned);
        settled
    }

    /// Finds out when the values of these subjects were first observed with anybody who is there, where a `LIMIT` asks for it.
    fn observe_anew(&mut self, subjects: &[u32]) {
        let is_asked = |value: &u32| {
            let kind = self.rules.kinds.get(usize::from(self.values.rule(*value)));
            kind.and_then(|kind| kind.limit).is_some_and(|limit| limit.per_us.is_some())
        };
        let values = subjects.iter().flat_map(|&subject| self.values.of(subject));
        let mut values: Vec<u32> = values.filter(is_asked).collect();
        values.sort_unstable();
        values.dedup();
        for value in values {
            let subjects = self.values.subjects(value).filter(|&subject| !self.is_gone(subject));
            // What nobody carries takes no room.
            let first = subjects.map(|subject| self.times[subject as usize]).min();
            self.values.set_first_at(value, first.unwrap_or(i64::MAX));
        }
    }

    /// Tells whether it is to be found out what is said of a record: there are several versions of it, or it may be gone.
    fn has_versions(&self, record: u32) -> bool {
        record != NONE && (!self.values.is_lone(record) || self.deletes(record))
    }

    /// Tells whether the source of a record tells of deletions.
    fn deletes(&self, record: u32) -> bool {
        let deleting = &self.versions.deleting;
        deleting.contains(&true) && deleting.get(self.source_of(record)) == Some(&true)
    }

    /// Returns the number of the source of a record, with which the value of its key begins.
    fn source_of(&self, record: u32) -> usize {
        let text = self.values.text(record).and_then(|text| text.split(RECORD_SEPARATOR).next());
        text.and_then(|number| number.parse().ok()).expect("a record's key begins with its source")
    }

    /// Settles the versions of one record, the newest first.
    fn settle(&mut self, versions: &[u32], is_gone: bool, settled: &mut Settled) {
        let persons: Vec<u32> = versions.iter().map(|&subject| self.person(subject)).collect();
        let Some((&newest, older)) = persons.split_first() else { return };
        let said = self.people.spoken(newest, older);
        for (at, (&subject, &person)) in versions.iter().zip(&persons).enumerate() {
            let version = match self.people.contradiction(person, said) {
                _ if is_gone => Version::Gone,
                _ if at == 0 => Version::Newest,
                None => Version::Older,
                Some(_) => Version::Corrected,
            };
            let row = &mut self.subjects[subject as usize];
            if version.is_left_out() && row.version != version {
                settled.left_out.push(subject);
            }
            if (row.version == Version::Gone) != is_gone {
                settled.turned.push(subject);
                for value in self.values.of(subject) {
                    match is_gone {
                        true => self.versions.gone.insert((value, subject)),
                        false => self.versions.gone.remove(&(value, subject)),
                    };
                }
            }
            (row.said, row.version) = (said, version);
        }
    }

    /// Returns what orders the versions of a record.
    fn age(&self, subject: u32) -> (bool, i64, u32) {
        (self.stands(subject), self.times[subject as usize], subject)
    }

    fn stands(&self, subject: u32) -> bool {
        self.versions.standing.get(subject as usize).copied().unwrap_or(false)
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

    /// Tells whether a subject is a version of a record that is gone.
    pub(super) fn is_gone(&self, subject: u32) -> bool {
        self.subjects[subject as usize].version == Version::Gone
    }

    /// Tells whether any record is gone.
    pub(super) fn has_gone(&self) -> bool {
        !self.versions.gone.is_empty()
    }

    /// Returns the versions of records that are gone which carry a value, ascending.
    pub(super) fn gone_carriers(&self, value: u32) -> impl Iterator<Item = u32> {
        self.versions.gone.range((value, 0)..=(value, u32::MAX)).map(|(_, subject)| *subject)
    }

    /// Tells whether what a subject carries leads nobody to its record.
    pub(super) fn is_left_out(&self, subject: u32) -> bool {
        self.subjects[subject as usize].version.is_left_out()
    }

    /// Returns the subjects of a value, newest first, without those that lead to no record; of the key of a record that is
    /// there all.
    pub(super) fn users(&self, value: u32) -> impl Iterator<Item = u32> {
        let is_record = self.values.rule(value) == self.rules.record_rule();
        self.values.subjects(value).filter(move |&subject| match is_record {
            true => !self.is_gone(subject),
            false => !self.is_left_out(subject),
        })
    }
}

impl Version {
    fn is_left_out(self) -> bool {
        matches!(self, Self::Corrected | Self::Gone)
    }
}
