//! Why two records are thought to be of one person: the weight, step by step.

use super::score::{Scorer, Weight};

/// One step of a waterfall.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is compared; `prior` is the first step.
    pub name: String,
    /// How far it agrees; empty where one of the records says nothing.
    pub label: &'static str,
    /// By how many bits this step moves the weight.
    pub bits: f32,
}

/// Returns the steps that lead to the weight of a pair, and the weight: steps add up to [`Weight::same`].
pub fn explain(scorer: &mut Scorer<'_>, left: u32, right: u32) -> (Vec<Step>, Weight) {
    let levels = scorer.levels(left, right);
    let mut sums = [0.0; 3];
    let mut weight = scorer.weight(sums);
    let mut steps = vec![Step { name: "prior".to_owned(), label: "", bits: weight.same }];
    for (at, comparison) in scorer.model().comparisons.iter().enumerate() {
        let bits = scorer.bits_of(at, levels, left, right);
        (0..3).for_each(|class| sums[class] += bits[class]);
        let next = scorer.weight(sums);
        let label = levels.get(at).map_or("", |level| comparison.levels[level as usize].label);
        steps.push(Step { name: comparison.name.clone(), label, bits: next.same - weight.same });
        weight = next;
    }
    (steps, weight)
}
