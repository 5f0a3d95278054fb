//! What a run proposes for the values it comes by, so that each is looked at once.

use std::ops::Range;

use super::blocks::{Blocks, ways};
use super::cluster::Component;
use super::edges::{Candidate, Violation};
use super::graph::Graph;
use super::halt::Halt;
use super::interner::Table;
use super::rules::Rules;
use super::threads::{dealt, threads};
use super::values::ValueClass;

/// Values from which looking at them is work for all cores. Results do not depend on it.
const VALUES_SHARED_MIN: usize = 256;

/// Values that a core looks at in one go: few enough that all cores end together. Results do not depend on it.
const VALUES_PER_TASK: usize = 64;

/// What was proposed and refused.
#[derive(Debug, Default)]
pub(super) struct Proposals {
    pub(super) pairs: Pairs,
    pub(super) ranges: Table<u32, Ranges>,
    /// Large blocks, of which only the pairs of those are looked at who are walked by.
    pub(super) blocks: Blocks,
}

/// The pairs of some values.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) candidates: Vec<Candidate>,
    pub(super) violations: Vec<Violation>,
    /// For blocks of MATCH rules: who is reached from whom, both ways, ascending.
    pub(super) ways: Vec<(u32, u32)>,
    /// Pairs that were compared, by the number of their rule.
    pub(super) compared: Vec<u64>,
}

/// What of it is of one value.
#[derive(Debug, Clone)]
pub(super) struct Ranges {
    /// Of a block of a MATCH rule by their left subjects.
    pub(super) candidates: Range<usize>,
    /// The same.
    pub(super) violations: Range<usize>,
    pub(super) ways: Range<usize>,
    /// Whether everybody who carries the value is reached from anybody who does.
    pub(super) through_all: bool,
    /// The walk that last came by.
    pub(super) walk: u32,
}

/// What a large block proposes and refuses of one subject.
#[derive(Debug, Default)]
pub(super) struct PairsOf {
    candidates: Vec<Candidate>,
    violations: Vec<Violation>,
}

impl Proposals {
    pub(super) fn of_rules(rules: &Rules) -> Self {
        Self { pairs: Pairs::of_rules(rules), ..Self::default() }
    }

    /// Looks at the values that these subjects carry, on all cores, before anybody comes by.
    pub(super) fn look_ahead(
        &mut self,
        graph: &Graph,
        subjects: impl Iterator<Item = u32>,
        halt: &Halt,
    ) {
        let subjects: Vec<u32> = subjects.collect();
        let mut values = graph.values_of(&subjects);
        values.retain(|&value| {
            graph.values.class(value) != ValueClass::Nobody
                && !graph.values.is_lone(value)
                && !self.ranges.contains_key(&value)
                && self.blocks.walked(graph, value).is_none()
        });
        if values.len() < VALUES_SHARED_MIN {
            return;
        }
        let looked = dealt(threads(), values.chunks(VALUES_PER_TASK), |values| {
            let mut pairs = Pairs::of_rules(&graph.rules);
            let due = values.iter().take_while(|_| !halt.is_halted());
            let ranges: Vec<_> = due.map(|&value| (value, pairs.look_at(graph, value))).collect();
            (pairs, ranges)
        });
        self.ranges.reserve(values.len());
        for (pairs, ranges) in looked {
            let at = self.pairs.lengths();
            self.ranges.extend(ranges.into_iter().map(|(value, ranges)| (value, ranges.from(at))));
            self.pairs.append(pairs);
        }
    }

    /// Returns the pairs of one subject in a large block; `None` for a value of which all pairs are looked at together.
    pub(super) fn with(&mut self, graph: &Graph, value: u32, subject: u32) -> Option<PairsOf> {
        let stars = self.blocks.walked(graph, value)?;
        let mut pairs = PairsOf::default();
        let PairsOf { candidates, violations } = &mut pairs;
        let compared = graph.propose_with(value, stars, subject, candidates, violations);
        self.pairs.count(graph, value, compared);
        Some(pairs)
    }

    /// Returns the pairs of a value.
    pub(super) fn of(&mut self, graph: &Graph, value: u32) -> &mut Ranges {
        self.ranges.entry(value).or_insert_with(|| self.pairs.look_at(graph, value))
    }
}

impl Pairs {
    fn of_rules(rules: &Rules) -> Self {
        Self { compared: vec![0; usize::from(rules.record_rule()) + 1], ..Self::default() }
    }

    fn count(&mut self, graph: &Graph, value: u32, compared: u64) {
        if let Some(of_rule) = self.compared.get_mut(usize::from(graph.values.rule(value))) {
            *of_rule += compared;
        }
    }

    /// Adds the pairs of a value.
    fn look_at(&mut self, graph: &Graph, value: u32) -> Ranges {
        let [candidates, violations, from] = self.lengths();
        let compared = graph.propose(value, &mut self.candidates, &mut self.violations);
        self.count(graph, value, compared);
        let rule = graph.values.rule(value);
        let through_all = graph.rules.is_kind(rule) || rule == graph.rules.record_rule();
        if !through_all {
            self.candidates[candidates..].sort_unstable_by_key(|pair| pair.left);
            self.violations[violations..].sort_unstable_by_key(|pair| pair.left);
            let proposed = self.candidates[candidates..].iter().map(|pair| (pair.left, pair.right));
            let refused = self.violations[violations..].iter().map(|pair| (pair.left, pair.right));
            self.ways.extend(ways(proposed.chain(refused)));
        }
        Ranges {
            candidates: candidates..self.candidates.len(),
            violations: violations..self.violations.len(),
            ways: from..self.ways.len(),
            through_all,
            walk: 0,
        }
    }

    /// Returns how many there are of candidates, violations and ways.
    fn lengths(&self) -> [usize; 3] {
        [self.candidates.len(), self.violations.len(), self.ways.len()]
    }

    fn append(&mut self, mut others: Self) {
        self.candidates.append(&mut others.candidates);
        self.violations.append(&mut others.violations);
        self.ways.append(&mut others.ways);
        for (compared, others) in self.compared.iter_mut().zip(others.compared) {
            *compared += others;
        }
    }

    /// Adds those pairs of a block to a component in which a subject stands left.
    pub(super) fn add_from(&self, ranges: &Ranges, subject: u32, component: &mut Component) {
        let candidates = &self.candidates[ranges.candidates.clone()];
        let from = candidates.partition_point(|pair| pair.left < subject);
        let here = candidates[from..].iter().take_while(|pair| pair.left == subject);
        component.candidates.extend(here);
        let violations = &self.violations[ranges.violations.clone()];
        let from = violations.partition_point(|pair| pair.left < subject);
        let here = violations[from..].iter().take_while(|pair| pair.left == subject);
        component.violations.extend(here);
    }
}

impl Ranges {
    /// Returns where they lie behind so many other candidates, violations and ways.
    fn from(mut self, [candidates, violations, ways]: [usize; 3]) -> Self {
        let behind = |range: &Range<usize>, by: usize| range.start + by..range.end + by;
        self.candidates = behind(&self.candidates, candidates);
        self.violations = behind(&self.violations, violations);
        self.ways = behind(&self.ways, ways);
        self
    }
}

impl PairsOf {
    /// Returns both ends of each pair.
    pub(super) fn ends(&self) -> impl Iterator<Item = (u32, u32)> {
        let proposed = self.candidates.iter().map(|pair| (pair.left, pair.right));
        proposed.chain(self.violations.iter().map(|pair| (pair.left, pair.right)))
    }

    /// Adds those pairs to a component in which the subject stands left; the others are added with their own.
    pub(super) fn add_from(self, subject: u32, component: &mut Component) {
        let candidates = self.candidates.into_iter().filter(|pair| pair.left == subject);
        component.candidates.extend(candidates);
        let violations = self.violations.into_iter().filter(|pair| pair.left == subject);
        component.violations.extend(violations);
    }
}
