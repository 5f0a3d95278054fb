//! What can be asked of a resolver.

use super::edges::{Edge, Refusal, Violation, weight_of};
use super::interner::NONE;
use super::resolver::{Resolver, some};
use super::rules::{MatchOn, Rules};
use super::values::ValueClass;
use crate::matching::SCALE;

/// An identifier of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileIdentifier<'a> {
    /// The number of its kind.
    pub kind: u16,
    /// The normalised value.
    pub value: &'a str,
    /// Whom it identifies.
    pub class: ValueClass,
    /// Whether it identifies nobody because it was not seen for too long.
    pub is_expired: bool,
    /// Whether the graph blocks it.
    pub is_blocked: bool,
    /// How many of the profile's records carry it.
    pub records: usize,
    /// The profile's oldest subject that carries it.
    pub first_subject: u32,
}

/// An edge in words.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeEvidence {
    /// The kind of identifier, the MATCH rule, or `record`.
    pub rule: String,
    /// The value on which both agree; of the FUZZY rule, in what.
    pub value: String,
    /// The logarithm of the odds of one person; of the FUZZY rule alone.
    pub bits: Option<f64>,
    /// A subject.
    pub left: u32,
    /// Another subject.
    pub right: u32,
    /// Whether this edge joined two parts; otherwise they were together already when its turn came.
    pub joined: bool,
}

/// A refused edge in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationEvidence {
    /// The kind of identifier or MATCH rule that proposed the edge.
    pub rule: String,
    /// The value on which both agree.
    pub value: String,
    /// A subject.
    pub left: u32,
    /// Another subject.
    pub right: u32,
    /// The subject that speaks against it.
    pub against: u32,
    /// What refused it: see [`Refusal::word`].
    pub reason: &'static str,
    /// The kind whose LIMIT would be exceeded.
    pub limited_kind: Option<String>,
    /// How many records, or refused edges, it stands for: see [`Refusal::figure`].
    pub figure: Option<u32>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Subjects that were added and resolved.
    pub subjects: usize,
    /// Profiles.
    pub profiles: usize,
    /// Subjects that belong to nobody.
    pub unresolved: usize,
    /// Edges.
    pub edges: usize,
    /// Refused edges.
    pub violations: usize,
    /// Identifiers of one person.
    pub personal: usize,
    /// Identifiers of several people.
    pub shared: usize,
    /// Identifiers of nobody.
    pub nobody: usize,
}

impl Resolver {
    /// Returns the name of a source.
    pub fn source_name(&self, number: u16) -> &str {
        &self.graph.sources[usize::from(number)]
    }

    /// Returns the rules.
    pub fn rules(&self) -> &Rules {
        &self.graph.rules
    }

    /// Returns the oldest subject of the profile of `subject`, or `None` when it belongs to nobody or is not resolved
    /// yet.
    pub fn anchor_of(&self, subject: u32) -> Option<u32> {
        self.anchors.get(subject as usize).copied().and_then(some)
    }

    /// Returns the anchor of each resolved subject, by ordinal; `u32::MAX` for those that belong to nobody.
    pub fn anchors(&self) -> &[u32] {
        &self.anchors
    }

    /// Returns the anchors of all profiles, ascending.
    pub fn profiles(&self) -> impl Iterator<Item = u32> {
        self.anchors
            .iter()
            .enumerate()
            .filter(|&(subject, &anchor)| subject == anchor as usize)
            .map(|(_, &anchor)| anchor)
    }

    /// Returns the subjects of a profile, ascending; none when `anchor` is no anchor.
    pub fn members(&self, anchor: u32) -> impl Iterator<Item = u32> {
        let first = some(anchor).filter(|&anchor| self.anchor_of(anchor) == Some(anchor));
        std::iter::successors(first, |&subject| some(self.next_members[subject as usize]))
    }

    /// Returns the identifiers of a profile, by kind and value, each once. What a version of a record carries that was about
    /// somebody else is none of them.
    pub fn identifiers(&self, anchor: u32) -> Vec<ProfileIdentifier<'_>> {
        self.carried_by(self.members(anchor).filter(|&subject| !self.graph.is_corrected(subject)))
    }

    /// Returns what is none of the [`identifiers`](Self::identifiers) of a profile because only versions of its records carry it
    /// that were about somebody else, or records that are gone and would be together with it, by kind and value, each once.
    pub fn former_identifiers(&self, anchor: u32) -> Vec<ProfileIdentifier<'_>> {
        let corrected = self.members(anchor).filter(|&subject| self.graph.is_corrected(subject));
        let mut former = self.carried_by(corrected.chain(self.gone_with(anchor)));
        if !former.is_empty() {
            let held = self.identifiers(anchor);
            former.retain(|former| {
                let by_name = |held: &ProfileIdentifier<'_>| {
                    (held.kind, held.value).cmp(&(former.kind, former.value))
                };
                held.binary_search_by(by_name).is_err()
            });
        }
        former
    }

    /// Returns the identifiers that some subjects of a profile carry, by kind and value, each once.
    fn carried_by(&self, subjects: impl Iterator<Item = u32>) -> Vec<ProfileIdentifier<'_>> {
        let mut found: Vec<(u32, u32)> = subjects
            .flat_map(|subject| self.graph.values.of(subject).map(move |value| (value, subject)))
            .filter(|&(value, _)| self.graph.rules.is_kind(self.graph.values.rule(value)))
            .filter(|&(value, subject)| !self.is_beyond_limit(value, subject))
            .collect();
        found.sort_unstable();
        let carried = found.chunk_by(|one, next| one.0 == next.0);
        let mut identifiers: Vec<_> = carried
            .filter_map(|carried| {
                let &(value, first_subject) = carried.first()?;
                self.identifier(value, first_subject, carried.iter().map(|(_, subject)| *subject))
            })
            .collect();
        identifiers.sort_unstable_by_key(|identifier| (identifier.kind, identifier.value));
        identifiers
    }

    /// Tells whether a subject that belongs to a profile carries a value that the profile's LIMIT leaves no room for.
    fn is_beyond_limit(&self, value: u32, subject: u32) -> bool {
        let own = Refusal::Limit(self.graph.values.rule(value));
        let is_limit = |violation: &Violation| violation.value == value && violation.reason == own;
        self.graph.is_linker(subject)
            && self.violations.of(subject).any(|violation| is_limit(&violation))
    }

    fn identifier(
        &self,
        value: u32,
        first_subject: u32,
        carriers: impl Iterator<Item = u32>,
    ) -> Option<ProfileIdentifier<'_>> {
        let (kind, class) = (self.graph.values.rule(value), self.graph.values.class(value));
        Some(ProfileIdentifier {
            kind,
            value: self.graph.values.text(value)?,
            class,
            is_expired: class == ValueClass::Nobody && self.graph.is_expired(value),
            is_blocked: self.graph.values.is_blocked(value),
            records: self.count_records(carriers),
            first_subject,
        })
    }

    /// Counts the records of subjects, each once.
    fn count_records(&self, subjects: impl Iterator<Item = u32>) -> usize {
        let records = subjects.map(|subject| self.graph.subjects[subject as usize].record);
        let mut records = records.filter(|&record| record != NONE);
        let Some(first) = records.next() else { return 0 };
        // Most values are one record's.
        let mut others: Vec<u32> = records.filter(|&record| record != first).collect();
        others.sort_unstable();
        others.dedup();
        1 + others.len()
    }

    /// Returns the subjects that carry a normalised identifier, ascending.
    pub fn subjects_by_value(&self, kind: u16, value: &str) -> Vec<u32> {
        let Some(value) = self.find(kind, value) else { return Vec::new() };
        let mut subjects: Vec<u32> = self.graph.values.subjects(value).collect();
        subjects.reverse();
        subjects
    }

    /// Returns the anchors of the profiles that carry a normalised identifier, ascending; more than one for a shared
    /// identifier, none for one that identifies nobody.
    pub fn profiles_by_value(&self, kind: u16, value: &str) -> Vec<u32> {
        let Some(value) = self
            .find(kind, value)
            .filter(|&value| self.graph.values.class(value) != ValueClass::Nobody)
        else {
            return Vec::new();
        };
        let mut anchors: Vec<u32> = self
            .graph
            .users(value)
            .filter(|&subject| !self.is_beyond_limit(value, subject))
            .filter_map(|subject| self.anchor_of(subject))
            .collect();
        anchors.sort_unstable();
        anchors.dedup();
        anchors
    }

    /// Returns whom a normalised identifier identifies, or `None` when no subject carries it.
    pub fn value_class(&self, kind: u16, value: &str) -> Option<ValueClass> {
        self.find(kind, value).map(|value| self.graph.values.class(value))
    }

    /// Returns the identifiers that identify nobody, with the oldest subject that carries each.
    pub fn nobody_identifiers(&self) -> impl Iterator<Item = ProfileIdentifier<'_>> {
        let values = (0..self.graph.values.len() as u32)
            .filter(|&value| self.graph.values.class(value) == ValueClass::Nobody);
        let of_kinds =
            values.filter(|&value| self.graph.rules.is_kind(self.graph.values.rule(value)));
        of_kinds.filter_map(|value| {
            let carriers = self.graph.values.subjects(value);
            self.identifier(value, self.graph.values.subjects(value).last()?, carriers)
        })
    }

    fn find(&self, kind: u16, value: &str) -> Option<u32> {
        self.graph.values.find(kind, value).filter(|_| self.graph.rules.is_kind(kind))
    }

    /// Returns the edges of a profile.
    pub fn edges(&self, anchor: u32) -> impl Iterator<Item = Edge> {
        self.members(anchor).flat_map(|subject| self.edges.of(subject))
    }

    /// Returns the edges of all profiles.
    pub fn all_edges(&self) -> impl Iterator<Item = Edge> {
        self.edges.iter()
    }

    /// Returns all refused edges.
    pub fn violations(&self) -> impl Iterator<Item = Violation> {
        self.violations.iter()
    }

    /// Returns the refused edges from subjects of a profile.
    pub fn violations_of(&self, anchor: u32) -> impl Iterator<Item = Violation> {
        self.members(anchor).flat_map(|subject| self.violations.of(subject))
    }

    /// Returns an edge in words.
    pub fn explain(&self, edge: Edge) -> EdgeEvidence {
        let Edge { left, right, rule, value, joined, .. } = edge;
        EdgeEvidence {
            rule: self.graph.rules.rule_name(rule).to_owned(),
            value: self.evidence(rule, value, left, right),
            bits: self.bits(rule, value),
            left,
            right,
            joined,
        }
    }

    /// Returns a refused edge in words.
    pub fn explain_violation(&self, violation: Violation) -> ViolationEvidence {
        let Violation { left, right, against, rule, value, reason } = violation;
        ViolationEvidence {
            rule: self.graph.rules.rule_name(rule).to_owned(),
            value: self.evidence(rule, value, left, right),
            left,
            right,
            against,
            reason: reason.word(),
            limited_kind: match reason {
                Refusal::Limit(kind) => Some(self.graph.rules.rule_name(kind).to_owned()),
                _ => None,
            },
            figure: reason.figure(),
        }
    }

    /// Returns the chain of joining edges that leads from one subject to another of the same profile.
    pub fn path(&self, from: u32, to: u32) -> Option<Vec<Edge>> {
        let anchor = self.anchor_of(from).filter(|&anchor| self.anchor_of(to) == Some(anchor))?;
        let edges: Vec<Edge> = self.edges(anchor).filter(|edge| edge.joined).collect();
        // Joining edges make a tree, so that one way leads to each subject.
        let mut came_by: Vec<(u32, Option<Edge>)> = vec![(from, None)];
        let mut at = 0;
        while let Some(&(subject, _)) = came_by.get(at) {
            if subject == to {
                break;
            }
            for edge in &edges {
                let other = if edge.left == subject { edge.right } else { edge.left };
                let touches = edge.left == subject || edge.right == subject;
                if touches && came_by.iter().all(|(seen, _)| *seen != other) {
                    came_by.push((other, Some(*edge)));
                }
            }
            at += 1;
        }
        let mut path = Vec::new();
        let mut subject = to;
        while let Some(edge) = came_by.iter().find(|(seen, _)| *seen == subject)?.1 {
            path.push(edge);
            subject = if edge.left == subject { edge.right } else { edge.left };
        }
        path.reverse();
        Some(path)
    }

    /// Returns how much there is.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            subjects: self.anchors.len(),
            profiles: self.profile_count,
            unresolved: self.anchors.iter().filter(|&&anchor| anchor == NONE).count(),
            edges: self.edges.len(),
            violations: self.violations.len(),
            ..Counts::default()
        };
        for value in 0..self.graph.values.len() as u32 {
            if self.graph.rules.is_kind(self.graph.values.rule(value)) {
                match self.graph.values.class(value) {
                    ValueClass::Personal => counts.personal += 1,
                    ValueClass::Shared => counts.shared += 1,
                    ValueClass::Nobody => counts.nobody += 1,
                }
            }
        }
        counts
    }

    /// Returns what an edge of a rule stands on.
    pub(super) fn evidence(&self, rule: u16, value: u32, left: u32, right: u32) -> String {
        match &self.fuzzy {
            Some(fuzzy) if fuzzy.rule == rule => fuzzy.agreement(left, right),
            _ => self.value_text(value, left),
        }
    }

    /// Returns the weight of an edge of the FUZZY rule.
    pub(super) fn bits(&self, rule: u16, value: u32) -> Option<f64> {
        let is_weighed = self.fuzzy.as_ref().is_some_and(|fuzzy| fuzzy.rule == rule);
        is_weighed.then(|| f64::from(weight_of(value)) / f64::from(SCALE))
    }

    /// Returns what two subjects agree on: the identifier, the key of the record, or the fields of a MATCH rule.
    fn value_text(&self, value: u32, subject: u32) -> String {
        let (graph, rule) = (&self.graph, self.graph.values.rule(value));
        if rule == graph.rules.record_rule() {
            let text = graph.values.text(value).unwrap_or_default();
            return text
                .split_once(super::graph::RECORD_SEPARATOR)
                .map_or(text, |(_, key)| key)
                .to_owned();
        }
        if let Some(text) = graph.values.text(value) {
            return text.to_owned();
        }
        let person = graph.subjects[subject as usize].person;
        let text = |on: &MatchOn| match *on {
            MatchOn::Field(field) => graph.people.field_text(person, field),
            MatchOn::Kind(kind) => {
                let mut of_kind =
                    graph.values.of(subject).filter(|&value| graph.values.rule(value) == kind);
                of_kind.next().and_then(|value| graph.values.text(value)).map(str::to_owned)
            }
        };
        let rule = &graph.rules.matches[usize::from(rule) - graph.rules.kinds.len()];
        rule.exact_on.iter().filter_map(text).collect::<Vec<_>>().join(", ")
    }
}
