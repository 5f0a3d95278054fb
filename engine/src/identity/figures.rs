//! What runs of the resolver did, in numbers: how long each step took, and what became of the pairs of each rule.
//!
//! Time is taken for portions of components, and pairs are counted by lists of them: no pair takes longer for being counted.

use std::time::{Duration, Instant};

use super::cluster::Clusters;
use super::edges::Refusal;
use super::resolver::Resolver;
use super::rules::{OVERRIDE_RULE, Rules};

/// The steps of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Counting whom values identify.
    Classify,
    /// Looking candidates up and weighing them by the model.
    Weigh,
    /// Walking to all that hang together, and proposing the pairs of the values that they carry.
    Propose,
    /// Joining parts, or refusing to.
    Join,
    /// Leading subjects without a person to their profiles.
    Lead,
    /// Weighing who is of one household with whom.
    Households,
}

impl Phase {
    const COUNT: usize = 6;
}

/// What became of the pairs of one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleFigures {
    /// Its name.
    pub rule: String,
    /// Pairs that were compared since they agree on a value of the rule, or share a key of the FUZZY rule.
    pub candidates: u64,
    /// Pairs that were weighed by the model: candidates, and what else is weighed together with them.
    pub scored: u64,
    /// Pairs that are one person by the rule.
    pub accepted: u64,
    /// Pairs that something refused.
    pub refused: u64,
    /// Pairs that the FUZZY rule takes for one person and that were parted by what other pairs say.
    pub cut: u64,
}

/// What a resolver did since this was taken last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    times: [Duration; Phase::COUNT],
    /// Subjects that were looked at.
    pub subjects: u64,
    /// How many components they make.
    pub components: u64,
    /// Subjects of the largest one.
    pub largest_component: u64,
    /// Pairs that were weighed before it was known who hangs together.
    pub weighed: u64,
    /// Subjects without a person that were led to the profile of another one.
    pub led: u64,
    /// Values that a `LIMIT` kept from leading there.
    pub not_led: u64,
    /// How many profiles there are.
    pub profiles: u64,
    /// In the order of their numbers; what people decided comes last.
    pub rules: Vec<RuleFigures>,
}

/// Takes the time of one step after the other.
#[derive(Debug)]
pub(crate) struct Watch(Instant);

impl Figures {
    pub(super) fn of(rules: &Rules) -> Self {
        let numbers = (0..=rules.record_rule()).chain([OVERRIDE_RULE]);
        let rules = numbers.map(|number| RuleFigures {
            rule: rules.rule_name(number).to_owned(),
            ..RuleFigures::default()
        });
        Self { rules: rules.collect(), ..Self::default() }
    }

    /// Returns how long a step took.
    pub fn took(&self, phase: Phase) -> Duration {
        self.times[phase as usize]
    }

    /// Returns the same with the time that another run took before it.
    pub fn with_times_of(mut self, before: &Figures) -> Self {
        for (time, before) in self.times.iter_mut().zip(before.times) {
            *time += before;
        }
        self
    }

    /// Adds up the pairs of all rules.
    pub fn sum(&self, of: impl Fn(&RuleFigures) -> u64) -> u64 {
        self.rules.iter().map(of).sum()
    }

    /// Adds the time that has passed to a step.
    pub(super) fn lap(&mut self, phase: Phase, watch: &mut Watch) {
        self.times[phase as usize] += watch.lap();
    }

    /// Adds pairs that were compared, by the number of their rule.
    pub(super) fn compared(&mut self, by_rule: &[u64]) {
        for (rule, compared) in self.rules.iter_mut().zip(by_rule) {
            rule.candidates += compared;
        }
    }

    /// Adds candidates of the FUZZY rule, which were weighed.
    pub(super) fn weighed(&mut self, rule: u16, pairs: u64) {
        self.weighed += pairs;
        let figures = self.rule(rule);
        figures.candidates += pairs;
        figures.scored += pairs;
    }

    /// Adds what became of the pairs of a component; `fuzzy` is the number of the FUZZY rule.
    pub(super) fn joined(&mut self, clusters: &Clusters, fuzzy: Option<u16>) {
        for edge in &clusters.edges {
            self.rule(edge.rule).accepted += 1;
        }
        for violation in &clusters.violations {
            let is_cut = matches!(violation.reason, Refusal::Outweighed | Refusal::Torn);
            let figures = self.rule(violation.rule);
            let count = if is_cut { &mut figures.cut } else { &mut figures.refused };
            *count += 1;
        }
        for &(rule, compared) in &clusters.seated {
            self.rule(rule).candidates += compared;
        }
        if let Some(rule) = fuzzy {
            self.rule(rule).scored += clusters.weighed;
        }
    }

    fn rule(&mut self, number: u16) -> &mut RuleFigures {
        let decided = self.rules.len() - 1;
        &mut self.rules[usize::from(number).min(decided)]
    }
}

impl Resolver {
    /// Returns what was done since this was asked last.
    pub fn take_figures(&mut self) -> Figures {
        let next = Figures::of(&self.graph.rules);
        std::mem::replace(&mut self.figures, next)
    }
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns how much time has passed since this was asked last, or since the start.
    pub(crate) fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now.duration_since(std::mem::replace(&mut self.0, now))
    }
}
