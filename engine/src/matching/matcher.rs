//! From records to a model, and from a model to clusters.

use super::blocks::{BlockReport, Blocks};
use super::classes::Classes;
use super::clusters::{Clusters, Edge, Overrides, cluster};
use super::labels::Labels;
use super::model::Model;
use super::records::{Records, both};
use super::rules::{Rule, rules_for};
use super::score::Scorer;
use super::training::train;

/// How matching is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Decides which random pairs show how often records agree by chance.
    pub seed: u64,
    /// Threads to use. Results do not depend on it.
    pub threads: usize,
    /// Pairs that are one person with at least this probability may join: more likely than not, unless said otherwise.
    pub threshold: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, threads: 1, threshold: 0.5 }
    }
}

/// Records that are ready to be compared: values are classed, blocks are made.
#[derive(Debug)]
pub struct Matcher<'a> {
    records: &'a Records,
    options: Options,
    classes: Classes,
    rules: Vec<Rule>,
    blocks: Blocks,
}

impl<'a> Matcher<'a> {
    /// Classes values and makes blocks. Results do not depend on the order of arrival if the records were
    /// [sorted](Records::sort).
    pub fn new(records: &'a Records, options: Options) -> Self {
        Self::with_classes(records, options, Classes::count(records))
    }

    /// Makes blocks of records whose values were classed before.
    pub(crate) fn with_classes(records: &'a Records, options: Options, classes: Classes) -> Self {
        let rules = rules_for(records);
        let blocks = Blocks::build(records, &classes, &rules, options.threads);
        Self { records, options, classes, rules, blocks }
    }

    /// Returns what each blocking rule made of the records.
    pub fn block_reports(&self) -> Vec<BlockReport> {
        self.blocks.reports()
    }

    /// Trains a model on the records alone.
    pub fn train(&self) -> Model {
        self.train_with(&Labels::default())
    }

    /// Trains a model on the records and on what people said of pairs of them.
    pub fn train_with(&self, labels: &Labels) -> Model {
        let Options { seed, threads, .. } = self.options;
        train(self.records, &self.classes, &self.rules, &self.blocks, labels, seed, threads)
    }

    /// Returns what weighs pairs of records by a model.
    pub fn scorer<'b>(&'b self, model: &'b Model) -> Scorer<'b> {
        Scorer::new(self.records, &self.classes, model)
    }

    /// Returns the pairs above the threshold.
    pub fn edges(&self, model: &Model) -> Vec<Edge> {
        let threshold = self.threshold_bits();
        let state = || (self.scorer(model), Vec::new());
        let found = self.blocks.visit(self.options.threads, state, |(scorer, edges), pairs| {
            self.records.warm(both(pairs));
            for &(left, right) in pairs {
                if let Some(weight) = scorer.weigh_from(left, right, threshold) {
                    edges.push(Edge::new(left, right, weight));
                }
            }
        });
        found.into_iter().flat_map(|(_, edges)| edges).collect()
    }

    /// Returns clusters of pairs above the threshold.
    pub fn cluster(&self, model: &Model, edges: Vec<Edge>, overrides: &Overrides) -> Clusters {
        let Options { threads, .. } = self.options;
        cluster(self.records, edges, overrides, self.threshold_bits(), threads, || {
            self.scorer(model)
        })
    }

    fn threshold_bits(&self) -> f32 {
        (self.options.threshold / (1.0 - self.options.threshold)).log2() as f32
    }
}
