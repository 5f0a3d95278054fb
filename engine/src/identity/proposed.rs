//! What a run proposes for the values it comes by, so that each is looked at once.

use std::collections::HashMap;
use std::ops::Range;

use super::blocks::{Blocks, ways};
use super::cluster::Component;
use super::edges::{Candidate, Violation};
use super::graph::Graph;
use super::rules::Rules;

/// What was proposed and refused.
#[derive(Debug, Default)]
pub(super) struct Proposals {
    pub(super) candidates: Vec<Candidate>,
    pub(super) violations: Vec<Violation>,
    /// Pairs that were compared, by the number of their rule.
    pub(super) compared: Vec<u64>,
    /// For blocks of MATCH rules: who is reached from whom, both ways, ascending.
    pub(super) ways: Vec<(u32, u32)>,
    pub(super) ranges: HashMap<u32, Ranges>,
    /// Large blocks, of which only the pairs of those are looked at who are walked by.
    pub(super) blocks: Blocks,
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
        Self { compared: vec![0; usize::from(rules.record_rule()) + 1], ..Self::default() }
    }

    /// Returns the pairs of one subject in a large block; `None` for a value of which all pairs are looked at together.
    pub(super) fn with(&mut self, graph: &Graph, value: u32, subject: u32) -> Option<PairsOf> {
        let stars = self.blocks.walked(graph, value)?;
        let mut pairs = PairsOf::default();
        let PairsOf { candidates, violations } = &mut pairs;
        let compared = graph.propose_with(value, stars, subject, candidates, violations);
        if let Some(of_rule) = self.compared.get_mut(usize::from(graph.values.rule(value))) {
            *of_rule += compared;
        }
        Some(pairs)
    }

    /// Returns the pairs of a value.
    pub(super) fn of(&mut self, graph: &Graph, value: u32) -> &mut Ranges {
        self.ranges.entry(value).or_insert_with(|| {
            let (candidates, violations) = (self.candidates.len(), self.violations.len());
            let compared = graph.propose(value, &mut self.candidates, &mut self.violations);
            let rule = graph.values.rule(value);
            if let Some(of_rule) = self.compared.get_mut(usize::from(rule)) {
                *of_rule += compared;
            }
            let through_all = graph.rules.is_kind(rule) || rule == graph.rules.record_rule();
            let from = self.ways.len();
            if !through_all {
                self.candidates[candidates..].sort_unstable_by_key(|pair| pair.left);
                self.violations[violations..].sort_unstable_by_key(|pair| pair.left);
                let proposed =
                    self.candidates[candidates..].iter().map(|pair| (pair.left, pair.right));
                let refused =
                    self.violations[violations..].iter().map(|pair| (pair.left, pair.right));
                self.ways.extend(ways(proposed.chain(refused)));
            }
            Ranges {
                candidates: candidates..self.candidates.len(),
                violations: violations..self.violations.len(),
                ways: from..self.ways.len(),
                through_all,
                walk: 0,
            }
        })
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
