//! What a refresh of the graph did, stage by stage: how long each stage took and what came of it. `cdp.identity_stages` shows
//! it, beside `cdp.refreshes`.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};

use super::Memory;
use crate::catalog::IdentityGraph;
use crate::error::Result;
use crate::identity::{Figures, OVERRIDE_NAME, Phase, RECORD_RULE, RuleFigures, Watch};
use crate::tables;

/// A stage of a refresh, or what became of the pairs of one rule in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: &'static str,
    /// The rule that it is about, if it is about one.
    pub rule: Option<String>,
    /// How long it took.
    pub took: Option<Duration>,
    /// Subjects that it took or looked at.
    pub subjects: Option<u64>,
    /// Those of them that are a record's, or the records that a model was trained from.
    pub records: Option<u64>,
    /// Pairs that were compared.
    pub candidates: Option<u64>,
    /// Pairs that were weighed by the model.
    pub scored: Option<u64>,
    /// Pairs that are one person, or subjects that were led to one.
    pub accepted: Option<u64>,
    /// Pairs that were refused.
    pub refused: Option<u64>,
    /// Weighed pairs that were parted by what other pairs say.
    pub cut: Option<u64>,
    /// Components that were solved.
    pub components: Option<u64>,
    /// Subjects of the largest one.
    pub largest_component: Option<u64>,
    /// Profiles that there are, or that were made anew.
    pub profiles: Option<u64>,
}

/// The stages that are over, while a refresh goes on.
#[derive(Debug)]
pub(crate) struct Stages {
    watch: Watch,
    over: Vec<Stage>,
}

impl Default for Stages {
    fn default() -> Self {
        Self { watch: Watch::start(), over: Vec::new() }
    }
}

impl Stage {
    pub(crate) fn of(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }
}

impl Stages {
    /// Notes a stage that began when the one before it ended, and ends now.
    pub(crate) fn end(&mut self, stage: Stage) {
        let took = Some(self.watch.lap());
        self.over.push(Stage { took, ..stage });
    }

    pub(crate) fn into_vec(self) -> Vec<Stage> {
        self.over
    }

    /// Returns how much time has passed since a stage ended, or since this was asked, and begins the next one.
    pub(super) fn lap(&mut self) -> Duration {
        self.watch.lap()
    }

    /// Notes what the resolver did by this graph.
    fn resolved(&mut self, figures: &Figures, graph: &IdentityGraph) {
        let stage = |name: &'static str, phase: Phase| Stage {
            took: Some(figures.took(phase)),
            ..Stage::of(name)
        };
        let candidates = figures.sum(|rule| rule.candidates) - figures.weighed;
        let scored = figures.sum(|rule| rule.scored) - figures.weighed;
        self.over.push(stage("classify", Phase::Classify));
        if graph.fuzzy.is_some() {
            self.over.push(Stage {
                candidates: Some(figures.weighed),
                scored: Some(figures.weighed),
                ..stage("weigh", Phase::Weigh)
            });
        }
        self.over.push(Stage {
            subjects: Some(figures.subjects),
            candidates: Some(candidates),
            components: Some(figures.components),
            largest_component: Some(figures.largest_component),
            ..stage("propose", Phase::Propose)
        });
        self.over.push(Stage {
            scored: Some(scored),
            accepted: Some(figures.sum(|rule| rule.accepted)),
            refused: Some(figures.sum(|rule| rule.refused)),
            cut: Some(figures.sum(|rule| rule.cut)),
            ..stage("join", Phase::Join)
        });
        self.over.extend(figures.rules.iter().filter_map(of_rule));
        self.over.push(Stage {
            accepted: Some(figures.led),
            refused: Some(figures.not_led),
            profiles: Some(figures.profiles),
            ..stage("lead", Phase::Lead)
        });
        if graph.has_households() {
            self.over.push(stage("households", Phase::Households));
        }
    }
}

/// What became of the pairs of a rule. Versions of records, and what people decided, are shown where there are any.
fn of_rule(figures: &RuleFigures) -> Option<Stage> {
    let RuleFigures { rule, candidates, scored, accepted, refused, cut } = figures;
    let counts = [*candidates, *scored, *accepted, *refused, *cut];
    let is_defined = ![RECORD_RULE, OVERRIDE_NAME].contains(&rule.as_str());
    (is_defined || counts != [0; 5]).then(|| {
        let [candidates, scored, accepted, refused, cut] = counts.map(Some);
        let rule = Some(rule.clone());
        Stage { rule, candidates, scored, accepted, refused, cut, ..Stage::of("join") }
    })
}

impl Memory {
    /// Notes a stage that took in the subjects from `from` on.
    pub(super) fn note_taken(&mut self, name: &'static str, from: usize) {
        let taken = &self.seen[from..];
        let records = taken.iter().filter(|seen| seen.record_key.is_some()).count();
        let (subjects, records) = (Some(taken.len() as u64), Some(records as u64));
        self.stages.end(Stage { subjects, records, ..Stage::of(name) });
    }

    /// Notes what the resolver did by this graph, and how long a model was trained, if one was.
    pub(super) fn note_resolved(
        &mut self,
        figures: &Figures,
        graph: &IdentityGraph,
        training: Option<Duration>,
    ) {
        self.stages.resolved(figures, graph);
        if training.is_some() {
            let records = Some(self.resolver.record_count() as u64);
            self.stages.over.push(Stage { took: training, records, ..Stage::of("train") });
        }
    }
}

/// The rows of a run that ended at this time.
pub(crate) fn stage_rows(run: &str, at: i64, stages: &[Stage]) -> Result<RecordBatch> {
    let count = stages.len();
    let counts = |of: fn(&Stage) -> Option<u64>| -> ArrayRef {
        let counts = stages.iter().map(|stage| of(stage).map(|count| count as i64));
        Arc::new(counts.collect::<Int64Array>())
    };
    let seconds = stages.iter().map(|stage| stage.took.map(|took| took.as_secs_f64()));
    tables::IDENTITY_STAGES.batch(vec![
        Arc::new(StringArray::from(vec![run; count])),
        Arc::new(TimestampMicrosecondArray::from(vec![at; count]).with_timezone("UTC")),
        Arc::new(Int64Array::from_iter_values(1..=count as i64)),
        Arc::new(StringArray::from_iter_values(stages.iter().map(|stage| stage.name))),
        Arc::new(stages.iter().map(|stage| stage.rule.as_deref()).collect::<StringArray>()),
        Arc::new(seconds.collect::<Float64Array>()),
        counts(|stage| stage.subjects),
        counts(|stage| stage.records),
        counts(|stage| stage.candidates),
        counts(|stage| stage.scored),
        counts(|stage| stage.accepted),
        counts(|stage| stage.refused),
        counts(|stage| stage.cut),
        counts(|stage| stage.components),
        counts(|stage| stage.largest_component),
        counts(|stage| stage.profiles),
    ])
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;

    use super::*;

    #[test]
    fn stages_are_rows_in_their_order() {
        let mut stages = Stages::default();
        stages.end(Stage { subjects: Some(7), ..Stage::of("read") });
        stages.over.push(Stage { rule: Some("email".into()), cut: Some(2), ..Stage::of("join") });
        let stages = stages.into_vec();
        assert!(stages[0].took.is_some() && stages[1].took.is_none());
        let rows = stage_rows("run", 5, &stages).unwrap();
        assert_eq!((rows.num_rows(), rows.schema()), (2, tables::IDENTITY_STAGES.schema()));
        let is_null = |name: &str| rows.column_by_name(name).unwrap().null_count();
        let nulls = ["number", "rule", "seconds", "subjects", "cut", "profiles"].map(is_null);
        assert_eq!(nulls, [0, 1, 1, 1, 1, 2]);
    }

    #[test]
    fn a_rule_that_nobody_wrote_is_shown_where_it_did_something() {
        let figures = |rule: &str, accepted: u64| RuleFigures {
            rule: rule.to_owned(),
            accepted,
            ..RuleFigures::default()
        };
        let shown = |rule, accepted| of_rule(&figures(rule, accepted)).is_some();
        assert!(shown("email", 0) && shown(RECORD_RULE, 1) && shown(OVERRIDE_NAME, 1));
        assert!(!shown(RECORD_RULE, 0) && !shown(OVERRIDE_NAME, 0));
    }
}
