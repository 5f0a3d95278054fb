//! Constrained union-find over one component: edges in a total order, each refused that would put a contradiction into
//! one cluster.
//!
//! The order is (priority, personal before shared, trust, strength, stable hash). Nothing in it depends on arrival, so
//! clusters don't either. A refusal is for ever within one run, since clusters only grow, and contradictions, values
//! and records with them. Guarded merging instead of plain components is what keeps one wrong edge from joining two
//! families (measured beside other clusterings of the same edges; the sources are greedy additive edge contraction,
//! Keuper et al. 2015, and cannot-link constraints, Wagstaff et al. 2001).

use std::cmp::Reverse;

use super::contraction::Pair;
use super::edges::{Candidate, Edge, Refusal, Violation};
use super::fuzzy::Fuzzy;
use super::graph::Graph;
use super::hash;
use super::overrides::Decisions;
use super::part::{Against, Contradictions, Part};
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
    /// Pairs that were weighed together.
    pub(super) weighed: u64,
    /// Pairs that were compared since a limit refused others, by rule.
    pub(super) seated: Vec<(u16, u64)>,
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
    contradictions: Contradictions,
    decisions: Decisions,
    pub(super) clusters: Clusters,
}

/// Clusters the subjects that have a person. Subjects without one stay `None`, and so do those of records that are gone.
pub(super) fn cluster(graph: &Graph, fuzzy: Option<&Fuzzy>, component: &mut Component) -> Clusters {
    let mut joining = Joining {
        graph,
        subjects: &component.subjects,
        sets: UnionFind::new(component.subjects.len() as u32),
        parts: Vec::new(),
        contradictions: Contradictions::default(),
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
        joining.take_ranks(&component.candidates[..weaker]);
        if let Some(fuzzy) = fuzzy {
            joining.contract(fuzzy, &component.pairs);
        }
        joining.take_ranks(&component.candidates[weaker..]);
    }
    let Joining { mut sets, mut clusters, decisions, .. } = joining;
    decisions.link(&component.subjects, &mut sets, &mut clusters);
    let roots = sets.into_roots();
    // Something else may tell that two namesakes are one person.
    let root = |subject: u32| component.subjects.binary_search(&subject).map(|at| roots[at]);
    let is_apart = |refused: &Violation| root(refused.left) != root(refused.right);
    clusters.violations.retain(|refused| refused.reason != Refusal::Namesake || is_apart(refused));
    let of = component.subjects.iter().zip(roots);
    let is_somebodys = |subject: u32| !graph.is_linker(subject) && !graph.is_gone(subject);
    clusters.of = of.map(|(&subject, root)| is_somebodys(subject).then_some(root)).collect();
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
        let mut joined = std::mem::take(&mut self.parts[left as usize]);
        joined.absorb(self.graph, std::mem::take(&mut self.parts[right as usize]));
        self.sets.union(left, right);
        self.decisions.joined(left, right);
        self.parts[left.min(right) as usize] = joined;
        self.clusters.edges.push(candidate.accepted(true, turn));
    }

    /// Returns what speaks against joining the parts of a candidate, and which subject.
    pub(super) fn refusal(&mut self, candidate: &Candidate) -> Option<(u32, Refusal)> {
        self.refusal_given(candidate, |this, left, right| this.against(left, right))
    }

    /// Returns the same, given what tells which records of the two parts contradict each other.
    pub(super) fn refusal_given(
        &mut self,
        candidate: &Candidate,
        against: impl FnOnce(&Self, &Part, &Part) -> Option<Against>,
    ) -> Option<(u32, Refusal)> {
        let (left, right) = (self.root(candidate.left), self.root(candidate.right));
        if let Some(against) = self.decisions.against(self.graph, left, right) {
            return Some((against, Refusal::Override));
        }
        let this = &*self;
        let (left, right) = (&this.parts[left as usize], &this.parts[right as usize]);
        refusal(this.graph, candidate, left, right, || against(this, left, right))
    }

    /// Returns the records of two parts that contradict each other.
    pub(super) fn against(&self, left: &Part, right: &Part) -> Option<Against> {
        self.contradictions.between(self.graph, left, right)
    }
}

/// The order in which edges are taken. The hash stands for "any, but always the same".
pub(super) fn order(graph: &Graph, candidate: &Candidate) -> impl Ord + use<> {
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
    against: impl FnOnce() -> Option<Against>,
) -> Option<(u32, Refusal)> {
    if candidate.rule == graph.rules.record_rule() {
        return None;
    }
    if left.records + right.records > graph.rules.merge_limit {
        return Some((candidate.right, Refusal::MergeLimit));
    }
    if let Some((one, other, contradiction)) = against() {
        let who = |subject: u32| graph.people.who(graph.said(subject));
        // Of the two that were proposed, one speaks against the other; else whoever is together with one of them.
        let against = match other.who == who(candidate.right) {
            true if one.who == who(candidate.left) => candidate.left,
            true => one.subject,
            false => other.subject,
        };
        return Some((against, contradiction.into()));
    }
    left.exceeded_with(graph, right).map(|(kind, against)| (against, Refusal::Limit(kind)))
}
