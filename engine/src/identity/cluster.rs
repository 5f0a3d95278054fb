//! Constrained union-find over one component: edges in a total order, each refused that would put a contradiction into
//! one cluster.
//!
//! The order is (priority, personal before shared, trust, strength, stable hash). Nothing in it depends on arrival, so
//! clusters don't either. A refusal is for ever within one run, since clusters only grow, and contradictions, values
//! and records with them. Guarded merging instead of plain components is what keeps one wrong edge from joining two
//! families (measured beside other clusterings of the same edges; the sources are greedy additive edge contraction,
//! Keuper et al. 2015, and cannot-link constraints, Wagstaff et al. 2001).

use std::cmp::Reverse;

use super::agreement::Contradiction;
use super::contraction::Pair;
use super::edges::{Candidate, Edge, Refusal, Violation};
use super::fuzzy::Fuzzy;
use super::graph::{Graph, RecordOf};
use super::hash;
use super::overrides::Decisions;
use super::union_find::UnionFind;
use super::values::ValueClass;

/// Subjects that hang together through values, with everything proposed and refused among them.
#[derive(Debug, Default)]
pub(super) struct Component {
    /// Ascending.
    pub(super) subjects: Vec<u32>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) violations: Vec<Violation>,
    /// What the FUZZY rule takes for one person.
    pub(super) pairs: Vec<Pair>,
}

/// What became of a component.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    /// For each subject of the component a cluster, or `None` when it belongs to nobody.
    pub(super) of: Vec<Option<u32>>,
    pub(super) edges: Vec<Edge>,
    pub(super) violations: Vec<Violation>,
}

/// A component whose parts are being joined.
pub(super) struct Joining<'a> {
    pub(super) graph: &'a Graph,
    /// Ascending.
    pub(super) subjects: &'a [u32],
    /// Of positions in `subjects`.
    pub(super) sets: UnionFind,
    /// By root.
    pub(super) parts: Vec<Part>,
    decisions: Decisions,
    pub(super) clusters: Clusters,
}

/// A cluster in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    /// What each record says about its person, each description once.
    people: Vec<Description>,
    records: u32,
    /// Different values of kinds with a LIMIT, each with a subject that carries it.
    limited: Vec<(u32, u32)>,
}

/// What a version of a record says about its person.
#[derive(Debug, Clone, Copy)]
struct Description {
    record: RecordOf,
    person: u32,
    subject: u32,
}

/// Clusters the subjects that have a person. Subjects without one stay `None`.
pub(super) fn cluster(graph: &Graph, fuzzy: Option<&Fuzzy>, component: &mut Component) -> Clusters {
    let mut joining = Joining {
        graph,
        subjects: &component.subjects,
        sets: UnionFind::new(component.subjects.len() as u32),
        parts: Vec::new(),
        decisions: Decisions::of(graph, &component.subjects),
        clusters: Clusters {
            violations: std::mem::take(&mut component.violations),
            ..Clusters::default()
        },
    };
    if !component.candidates.is_empty() || !component.pairs.is_empty() {
        let parts = component.subjects.iter().map(|&subject| Part::of(graph, subject));
        joining.parts = parts.collect();
        component.candidates.sort_by_cached_key(|candidate| order(graph, candidate));
        // Pairs are contracted when the turn of their rule comes.
        let is_stronger = |candidate: &Candidate| match fuzzy {
            Some(fuzzy) => graph.rules.priority(candidate.rule) <= graph.rules.priority(fuzzy.rule),
            None => true,
        };
        let weaker = component.candidates.partition_point(is_stronger);
        component.candidates[..weaker].iter().for_each(|candidate| joining.take(candidate));
        if let Some(fuzzy) = fuzzy {
            joining.contract(fuzzy, &component.pairs);
        }
        component.candidates[weaker..].iter().for_each(|candidate| joining.take(candidate));
    }
    let Joining { mut sets, mut clusters, decisions, .. } = joining;
    decisions.link(&component.subjects, &mut sets, &mut clusters);
    let roots = sets.into_roots();
    let of = component.subjects.iter().zip(roots);
    clusters.of = of.map(|(&subject, root)| (!graph.is_linker(subject)).then_some(root)).collect();
    clusters
}

impl Joining<'_> {
    pub(super) fn position(&self, subject: u32) -> u32 {
        self.subjects.binary_search(&subject).expect("candidates lie within their component") as u32
    }

    /// Returns the root of a subject's part.
    pub(super) fn root(&mut self, subject: u32) -> u32 {
        self.sets.find(self.position(subject))
    }

    /// Joins the parts of a candidate, or refuses to.
    pub(super) fn take(&mut self, candidate: &Candidate) {
        let (left, right) = (self.root(candidate.left), self.root(candidate.right));
        let turn = self.clusters.edges.len();
        if left == right {
            self.clusters.edges.push(candidate.accepted(false, turn));
            return;
        }
        if let Some((against, reason)) = self.refusal(candidate) {
            self.clusters.violations.push(candidate.refused(against, reason));
            return;
        }
        let same_record = candidate.rule == self.graph.rules.record_rule();
        let mut joined = std::mem::take(&mut self.parts[left as usize]);
        joined.absorb(std::mem::take(&mut self.parts[right as usize]), same_record);
        self.sets.union(left, right);
        self.decisions.joined(left, right);
        self.parts[left.min(right) as usize] = joined;
        self.clusters.edges.push(candidate.accepted(true, turn));
    }

    /// Returns what speaks against joining the parts of a candidate, and which subject.
    pub(super) fn refusal(&mut self, candidate: &Candidate) -> Option<(u32, Refusal)> {
        let (left, right) = (self.root(candidate.left), self.root(candidate.right));
        if let Some(against) = self.decisions.against(self.graph, left, right) {
            return Some((against, Refusal::Override));
        }
        refusal(self.graph, candidate, &self.parts[left as usize], &self.parts[right as usize])
    }
}

/// The order in which edges are taken. The hash stands for "any, but always the same".
fn order(graph: &Graph, candidate: &Candidate) -> impl Ord + use<> {
    let (left, right) =
        (&graph.subjects[candidate.left as usize], &graph.subjects[candidate.right as usize]);
    (
        candidate.rule != graph.rules.record_rule(),
        graph.rules.priority(candidate.rule),
        graph.values.class(candidate.value) == ValueClass::Shared,
        Reverse(left.trust.min(right.trust)),
        Reverse(candidate.strength),
        hash::mix(left.content, right.content),
        left.content,
        candidate.rule,
        graph.values.content(candidate.value),
    )
}

/// Returns what speaks against joining two parts, and which subject; versions of one record are always joined.
fn refusal(
    graph: &Graph,
    candidate: &Candidate,
    left: &Part,
    right: &Part,
) -> Option<(u32, Refusal)> {
    if candidate.rule == graph.rules.record_rule() {
        return None;
    }
    if left.records + right.records > graph.rules.merge_limit {
        return Some((candidate.right, Refusal::MergeLimit));
    }
    if let Some((one, other, contradiction)) = contradiction(graph, left, right) {
        let against = if other == candidate.right { one } else { other };
        return Some((against, contradiction.into()));
    }
    exceeded(graph, left, right).map(|(kind, against)| (against, Refusal::Limit(kind)))
}

/// Returns two subjects of two parts whose records cannot be of one person, and why.
pub(super) fn contradiction(
    graph: &Graph,
    left: &Part,
    right: &Part,
) -> Option<(u32, u32, Contradiction)> {
    for one in left.records() {
        for other in right.records() {
            let (of_one, of_other) = (left.persons_of(one.record), right.persons_of(other.record));
            if let Some(contradiction) = graph.people.contradiction_of_records(of_one, of_other) {
                return Some((one.subject, other.subject, contradiction));
            }
        }
    }
    None
}

/// Returns the kind of which two parts have too many values together, and a subject with such a value.
fn exceeded(graph: &Graph, left: &Part, right: &Part) -> Option<(u16, u32)> {
    right.limited.iter().find_map(|&(value, subject)| {
        let kind = graph.values.rule(value);
        let limit = graph.rules.kinds[usize::from(kind)].limit?;
        let both = left.limited.iter().chain(&right.limited).map(|(value, _)| *value);
        let mut together: Vec<u32> =
            both.filter(|value| graph.values.rule(*value) == kind).collect();
        together.sort_unstable();
        together.dedup();
        if together.len() <= limit.values {
            return None;
        }
        let times = together.into_iter().map(|value| graph.values.first_at(value));
        let mut times: Vec<i64> = times.collect();
        times.sort_unstable();
        limit.is_exceeded(&times).then_some((kind, subject))
    })
}

impl Part {
    fn of(graph: &Graph, subject: u32) -> Self {
        if graph.is_linker(subject) {
            return Self::default();
        }
        let limited =
            |&value: &u32| graph.rules.kinds[usize::from(graph.values.rule(value))].limit.is_some();
        let row = &graph.subjects[subject as usize];
        Self {
            people: vec![Description {
                record: graph.record_of(subject),
                person: row.person,
                subject,
            }],
            records: u32::from(row.record != super::interner::NONE),
            limited: graph.usable(subject).filter(limited).map(|value| (value, subject)).collect(),
        }
    }

    fn absorb(&mut self, other: Self, same_record: bool) {
        self.records = if same_record {
            self.records.max(other.records)
        } else {
            self.records + other.records
        };
        let known = self.people.len();
        for theirs in other.people {
            let is_known =
                |mine: &Description| mine.record == theirs.record && mine.person == theirs.person;
            if !self.people[..known].iter().any(is_known) {
                self.people.push(theirs);
            }
        }
        let known = self.limited.len();
        for theirs in other.limited {
            if self.limited[..known].iter().all(|(value, _)| *value != theirs.0) {
                self.limited.push(theirs);
            }
        }
    }

    /// Returns the first description of each record.
    fn records(&self) -> impl Iterator<Item = &Description> {
        self.people.iter().enumerate().filter_map(|(at, one)| {
            self.people[..at].iter().all(|other| other.record != one.record).then_some(one)
        })
    }

    fn persons_of(&self, record: RecordOf) -> impl Iterator<Item = u32> + Clone {
        self.people.iter().filter(move |one| one.record == record).map(|one| one.person)
    }
}
