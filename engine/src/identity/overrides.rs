//! What people decided about pairs of records: that two are of one person, or of two.
//!
//! A decision names records, never profiles, so that it holds however often profiles are made anew. A must-link joins
//! whatever profiles its records are in, past vetoes and limits; a cannot-link keeps its records apart, past every edge.
//! Rules decide as they would without must-links, and what they made is joined afterwards: so a must-link never takes
//! somebody out of a profile. A cannot-link is looked at before every edge, with the must-links already drawn, so that no
//! later one can break it.
//!
//! The invariant: of overrides that contradict each other the cannot-links hold, and no must-link between the records of
//! one is in force. Which of them is wrong is not guessed. What follows from overrides depends on the set of them alone.

use std::collections::{BTreeSet, HashMap};

use super::cluster::Clusters;
use super::contradicted::contradicted;
use super::edges::{Candidate, Refusal, Violation};
use super::fuzzy::record_key;
use super::graph::{Graph, RECORD_SEPARATOR};
use super::interner::NONE;
use super::resolver::Resolver;
use super::rules::OVERRIDE_RULE;
use super::union_find::UnionFind;
use crate::Result;
use crate::matching::Labels;

/// A record, as people name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordName {
    /// The source.
    pub source: String,
    /// The key of the record in it.
    pub key: String,
}

/// What was decided about two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Decided {
    /// They are one person's.
    MustLink,
    /// They are two people's.
    CannotLink,
}

/// Who says of two records whose they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// A decision, by its number; it may be about several pairs.
    Decision(u32),
    /// The rows of identity overrides that are followed, by their name, which is no number.
    Followed(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Decision(number) => write!(f, "{number}"),
            Self::Followed(name) => f.write_str(name),
        }
    }
}

/// What is decided about two records, and in force.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Override {
    /// Who says so.
    pub origin: Origin,
    /// What was decided.
    pub decided: Decided,
    /// A record.
    pub left: RecordName,
    /// Another record.
    pub right: RecordName,
}

/// The overrides of a graph, by the values of its records' keys.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    /// As they were given, sorted, each once.
    given: Vec<Override>,
    must_links: Vec<MustLink>,
    /// For each record its must-links, by position.
    linked: HashMap<u32, Vec<u32>>,
    /// For each record those that it is kept apart from, ascending.
    apart: HashMap<u32, Vec<u32>>,
    /// Records whose overrides are others than when components were solved last.
    changed: Vec<u32>,
}

#[derive(Debug)]
struct MustLink {
    left: u32,
    right: u32,
    /// The value that its edge shows: who says so.
    value: u32,
    /// The records of a cannot-link that contradicts it.
    contradicted_by: Option<(u32, u32)>,
}

impl Overrides {
    fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    fn concerns(&self, record: u32) -> bool {
        self.linked.contains_key(&record) || self.apart.contains_key(&record)
    }

    /// Returns what the decisions that are in force say of pairs of records.
    pub(super) fn labels(&self) -> Labels {
        let key = |record: &RecordName| record_key(&record.source, &record.key);
        let in_force = self.given.iter().zip(contradicted(&self.given));
        let in_force = in_force.filter(|(_, by)| by.is_none()).map(|(pair, _)| pair);
        Labels::new(
            in_force
                .map(|pair| (key(&pair.left), key(&pair.right), pair.decided == Decided::MustLink)),
        )
    }

    fn are_apart(&self, left: u32, right: u32) -> bool {
        self.apart.get(&left).is_some_and(|others| others.binary_search(&right).is_ok())
    }
}

impl Resolver {
    /// Puts these overrides in place of those there are; the next [`resolve`](Self::resolve) looks again at everybody whom
    /// that concerns. A record that is not there yet is waited for; one that is set against itself is passed over.
    pub fn set_overrides(&mut self, overrides: &[Override]) -> Result<()> {
        let mut given: Vec<Override> =
            overrides.iter().filter(|pair| pair.left != pair.right).cloned().collect();
        given.sort_unstable();
        given.dedup();
        if given == self.graph.overrides.given {
            return Ok(());
        }
        let before = std::mem::take(&mut self.graph.overrides);
        let mut next = Overrides { changed: before.changed, ..Overrides::default() };
        let only = |these: &[Override], those: &[Override]| -> Vec<Override> {
            these.iter().filter(|pair| those.binary_search(pair).is_err()).cloned().collect()
        };
        let mut changed = only(&before.given, &given);
        changed.extend(only(&given, &before.given));
        for pair in &changed {
            next.changed.extend([self.record_value(&pair.left)?, self.record_value(&pair.right)?]);
        }
        let contradictions = contradicted(&given);
        for (pair, by) in given.iter().zip(contradictions) {
            let (left, right) = (self.record_value(&pair.left)?, self.record_value(&pair.right)?);
            match pair.decided {
                Decided::MustLink => {
                    let contradicted_by = match by {
                        None => None,
                        Some(at) => Some((
                            self.record_value(&given[at].left)?,
                            self.record_value(&given[at].right)?,
                        )),
                    };
                    let (rules, origin) = (&self.graph.rules, pair.origin.to_string());
                    let value = self.graph.values.identifier(rules, OVERRIDE_RULE, &origin);
                    let at = next.must_links.len() as u32;
                    next.linked.entry(left).or_default().push(at);
                    next.linked.entry(right).or_default().push(at);
                    next.must_links.push(MustLink { left, right, value, contradicted_by });
                }
                Decided::CannotLink => {
                    next.apart.entry(left).or_default().push(right);
                    next.apart.entry(right).or_default().push(left);
                }
            }
        }
        for others in next.apart.values_mut() {
            others.sort_unstable();
            others.dedup();
        }
        next.given = given;
        self.graph.overrides = next;
        Ok(())
    }

    /// Returns the anchor of the profile that a record belongs to.
    pub fn anchor_of_record(&self, record: &RecordName) -> Option<u32> {
        let source = self.graph.sources.iter().position(|source| *source == record.source)?;
        let text = format!("{source}{RECORD_SEPARATOR}{}", record.key);
        let value = self.graph.values.find(self.graph.rules.record_rule(), &text)?;
        self.anchor_of(self.graph.values.subjects(value).next()?)
    }

    /// Returns the anchors of the profiles that decisions keep apart from this one.
    pub(super) fn anchors_apart(&self, anchor: u32) -> BTreeSet<u32> {
        let apart = &self.graph.overrides.apart;
        if apart.is_empty() {
            return BTreeSet::new();
        }
        let records = self.members(anchor).map(|one| self.graph.subjects[one as usize].record);
        let others = records.filter_map(|record| apart.get(&record)).flatten();
        let subjects = others.filter_map(|&other| self.graph.values.subjects(other).next());
        subjects.filter_map(|subject| self.anchor_of(subject)).collect()
    }

    /// Returns the value of a record's key, whether the record is there or not.
    fn record_value(&mut self, record: &RecordName) -> Result<u32> {
        let source = self.source(&record.source)?;
        let text = format!("{source}{RECORD_SEPARATOR}{}", record.key);
        let rules = &self.graph.rules;
        Ok(self.graph.values.identifier(rules, rules.record_rule(), &text))
    }
}

impl Graph {
    /// Returns the subjects about whom something else is decided than when this was asked last, or of whose values something
    /// else is decided or known.
    pub(super) fn take_reopened(&mut self) -> Vec<u32> {
        let mut changed = std::mem::take(&mut self.overrides.changed);
        changed.append(&mut self.decided.changed);
        changed.append(&mut self.expiry.changed);
        changed.into_iter().flat_map(|value| self.values.subjects(value)).collect()
    }

    /// Returns the subjects of records about which people decided something else since components were solved last.
    pub(super) fn redecided(&self) -> Vec<u32> {
        let records = self.overrides.changed.iter();
        records.flat_map(|&record| self.values.subjects(record)).collect()
    }

    /// Returns the subjects that must-links lead to from a subject, also those that are contradicted.
    pub(super) fn must_linked(&self, subject: u32) -> impl Iterator<Item = u32> {
        let record = self.subjects[subject as usize].record;
        let links = self.overrides.linked.get(&record).map_or(&[][..], Vec::as_slice);
        links.iter().flat_map(move |&at| {
            let link = &self.overrides.must_links[at as usize];
            self.values.subjects(if link.left == record { link.right } else { link.left })
        })
    }

    /// Counts the people that overrides tell apart among those who carry a value: two, or none if they say nothing.
    pub(super) fn people_decided(&self, value: u32) -> usize {
        if self.overrides.apart.is_empty() {
            return 0;
        }
        let subjects = self.values.subjects(value).filter(|&subject| !self.is_gone(subject));
        let records = subjects.map(|subject| self.subjects[subject as usize].record);
        let mut records: Vec<u32> =
            records.filter(|record| self.overrides.apart.contains_key(record)).collect();
        records.sort_unstable();
        records.dedup();
        let others = |record: &u32| self.overrides.apart[record].iter();
        let is_told =
            |record: &u32| others(record).any(|other| records.binary_search(other).is_ok());
        if records.iter().any(is_told) { 2 } else { 0 }
    }

    /// Returns the one of a record's subjects that stands for it, whichever arrived first; none of a record that is gone.
    fn bearer(&self, record: u32) -> Option<u32> {
        let subjects = self.values.subjects(record).filter(|&subject| !self.is_gone(subject));
        subjects.min_by_key(|&subject| (self.content(subject), subject))
    }
}

/// What overrides decide within one component, while it is clustered.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    /// Must-links that are in force, in an order that does not depend on arrival.
    links: Vec<Candidate>,
    contradicted: Vec<Violation>,
    kept: Option<Kept>,
}

/// Who is kept apart: clusters as they are with the must-links drawn, by the positions of subjects.
#[derive(Debug)]
struct Kept {
    groups: UnionFind,
    /// By group: its records that are kept apart from some, and the subjects that stand for them.
    records: HashMap<u32, Vec<(u32, u32)>>,
}

impl Decisions {
    /// Finds what was decided about the subjects of a component, which ascend.
    pub(super) fn of(graph: &Graph, subjects: &[u32]) -> Self {
        if graph.overrides.is_empty() {
            return Self::default();
        }
        let record_of = |position: usize| graph.subjects[subjects[position] as usize].record;
        let mut positions: HashMap<u32, Vec<u32>> = HashMap::new();
        for position in 0..subjects.len() {
            let record = record_of(position);
            if record != NONE && graph.overrides.concerns(record) {
                positions.entry(record).or_default().push(position as u32);
            }
        }
        let mut decisions = Self::default();
        if positions.is_empty() {
            return decisions;
        }
        let mut groups = UnionFind::new(subjects.len() as u32);
        for versions in positions.values() {
            for &position in versions {
                groups.union(versions[0], position);
            }
        }
        let mut links: Vec<u32> = positions
            .keys()
            .filter_map(|record| graph.overrides.linked.get(record))
            .flatten()
            .copied()
            .collect();
        links.sort_unstable();
        links.dedup();
        for link in links.iter().map(|&at| &graph.overrides.must_links[at as usize]) {
            let (Some(left), Some(right)) = (graph.bearer(link.left), graph.bearer(link.right))
            else {
                continue;
            };
            let turned = (graph.content(right), right) < (graph.content(left), left);
            let (left, right) = if turned { (right, left) } else { (left, right) };
            let candidate =
                Candidate { left, right, value: link.value, rule: OVERRIDE_RULE, strength: 0 };
            match link.contradicted_by {
                None => {
                    groups.union(positions[&link.left][0], positions[&link.right][0]);
                    decisions.links.push(candidate);
                }
                Some((one, other)) => {
                    let of_right = graph.subjects[right as usize].record;
                    let against = if other == of_right { one } else { other };
                    let against = graph.bearer(against).unwrap_or(right);
                    decisions.contradicted.push(candidate.refused(against, Refusal::Contradicted));
                }
            }
        }
        // Numbers in their order, and names behind them.
        decisions.links.sort_by_cached_key(|link| {
            let text = graph.values.text(link.value).unwrap_or_default().to_owned();
            let number = text.parse::<u32>().unwrap_or(u32::MAX);
            (number, text, graph.content(link.left), graph.content(link.right))
        });
        let mut kept = Kept { groups, records: HashMap::new() };
        for (&record, versions) in &positions {
            if graph.overrides.apart.contains_key(&record)
                && let Some(bearer) = graph.bearer(record)
            {
                let group = kept.groups.find(versions[0]);
                kept.records.entry(group).or_default().push((record, bearer));
            }
        }
        if !kept.records.is_empty() {
            decisions.kept = Some(kept);
        }
        decisions
    }

    /// Returns the subject whose record a cannot-link keeps out of the cluster at the other position, if joining the two
    /// would bring together what is kept apart.
    pub(super) fn against(&mut self, graph: &Graph, left: u32, right: u32) -> Option<u32> {
        let kept = self.kept.as_mut()?;
        let (left, right) = (kept.groups.find(left), kept.groups.find(right));
        let (lefts, rights) = (kept.records.get(&left)?, kept.records.get(&right)?);
        if left == right {
            return None;
        }
        let pairs = lefts.iter().flat_map(|one| rights.iter().map(move |other| (one, other)));
        let apart = pairs.filter(|(one, other)| graph.overrides.are_apart(one.0, other.0));
        let found = apart.map(|(one, other)| (one.1, other.1));
        let first = found.min_by_key(|&(one, other)| {
            let (one, other) = (graph.content(one), graph.content(other));
            (one.min(other), one.max(other))
        });
        // Which of the two is on the left hangs on ordinals.
        first.map(|(one, other)| graph.first_by_content(one, other))
    }

    /// Notes that the clusters at two positions were joined.
    pub(super) fn joined(&mut self, left: u32, right: u32) {
        let Some(kept) = &mut self.kept else { return };
        let (left, right) = (kept.groups.find(left), kept.groups.find(right));
        if left == right {
            return;
        }
        kept.groups.union(left, right);
        let mut records = kept.records.remove(&left).unwrap_or_default();
        records.extend(kept.records.remove(&right).unwrap_or_default());
        if !records.is_empty() {
            kept.records.insert(left.min(right), records);
        }
    }

    /// Draws the must-links between the clusters that the rules made, and reports those that are contradicted.
    pub(super) fn link(self, subjects: &[u32], sets: &mut UnionFind, clusters: &mut Clusters) {
        let position = |subject: u32| subjects.partition_point(|&other| other < subject) as u32;
        for link in self.links {
            let joined = sets.union(position(link.left), position(link.right));
            clusters.edges.push(link.accepted(joined, clusters.edges.len()));
        }
        clusters.violations.extend(self.contradicted);
    }
}
