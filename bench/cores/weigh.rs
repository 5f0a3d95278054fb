//! A FUZZY rule in the resolver: training, weighing all records, then one new record after the other, and small batches.
//!
//! With people's names in `--truth`, the profiles are compared with them, beside those of the exact rules alone. With
//! `--household 0.9` the rule has `HOUSEHOLD SCORE >= 0.9`, so that what households cost can be seen.

use std::collections::HashMap;
use std::time::Instant;

use engine::catalog::{FuzzyRule, IdentityGraph};
use engine::identity::{Resolver, Rules};

use crate::resolve::{Records, SOURCE, definition};
use crate::{Arguments, Outcome, Report};

/// Records that come one by one after all others but those of the batches.
const LATE: usize = 1_000;
/// Small batches that come last, and the records of each.
const BATCHES: usize = 20;
const BATCH: usize = 1_000;
/// The least probability of one person that joins.
const SCORE: f64 = 0.95;

/// Measures the rule.
pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let records = Records::read(arguments.required("records")?)?;
    let people = match arguments.required("truth") {
        Ok(column) => Some(Records::column(arguments.required("records")?, column)?),
        Err(_) => None,
    };
    let batches = records.count.saturating_sub(BATCHES * BATCH);
    let late = batches.saturating_sub(LATE);
    let graph = fuzzy(arguments)?;
    let mut resolver = Resolver::new(Rules::from_graph(&graph)?);
    let source = resolver.source(SOURCE)?;
    let [mut exact, mut train, mut weigh, mut one, mut batch] =
        ["weigh_exact", "weigh_train", "weigh_all", "weigh_one", "weigh_batch"].map(Report::new);
    records.add(0..late, source, &mut resolver)?;
    exact.measure(|| resolver.resolve());
    tell(&mut exact, &resolver, people.as_deref());
    let model = train.measure(|| resolver.train()).ok_or("there is no rule to train for")?;
    train
        .fact("records", late)
        .fact("prior", model.prior)
        .fact("spread", model.health.prior_spread);
    weigh.measure(|| {
        resolver.set_model(model);
        resolver.resolve()
    });
    tell(&mut weigh, &resolver, people.as_deref());
    let mut looked_at = 0;
    for record in late..batches {
        let begun = Instant::now();
        records.add(record..record + 1, source, &mut resolver)?;
        looked_at += resolver.resolve().subjects_resolved;
        one.add(begun.elapsed());
    }
    one.fact("resolved", looked_at);
    batch.fact("records", BATCH);
    for first in (batches..records.count).step_by(BATCH) {
        let begun = Instant::now();
        records.add(first..records.count.min(first + BATCH), source, &mut resolver)?;
        resolver.resolve();
        batch.add(begun.elapsed());
    }
    for report in [exact, train, weigh, one, batch] {
        report.print();
    }
    Ok(())
}

/// Returns the usual graph with a FUZZY rule, whose scores may be given.
pub(crate) fn fuzzy(arguments: &Arguments) -> Outcome<IdentityGraph> {
    let household = arguments.number("household", 0.0)?;
    let rule = FuzzyRule {
        name: "same_person".to_owned(),
        score: arguments.number("score", SCORE)?,
        review_below: None,
        household_score: (household > 0.0).then_some(household),
        priority: 1_000,
        block_on: vec![],
    };
    Ok(IdentityGraph { fuzzy: Some(rule), ..definition() })
}

/// Says how many profiles there are, and how well they agree with people.
fn tell(report: &mut Report, resolver: &Resolver, people: Option<&[String]>) {
    let counts = resolver.counts();
    let largest = resolver.profiles().map(|anchor| resolver.members(anchor).count()).max();
    report
        .fact("records", counts.subjects)
        .fact("profiles", counts.profiles)
        .fact("edges", counts.edges)
        .fact("refused", counts.violations)
        .fact("largest", largest);
    let Some(people) = people else { return };
    let mut cells: HashMap<(u32, &str), u64> = HashMap::new();
    for (anchor, person) in resolver.anchors().iter().zip(people) {
        *cells.entry((*anchor, person)).or_default() += 1;
    }
    let (mut of_profiles, mut of_people) = (HashMap::new(), HashMap::new());
    for ((anchor, person), count) in &cells {
        *of_profiles.entry(anchor).or_insert(0) += count;
        *of_people.entry(person).or_insert(0) += count;
    }
    let pairs = |counts: &mut dyn Iterator<Item = u64>| -> f64 {
        counts.map(|count| (count * (count - 1) / 2) as f64).sum()
    };
    let right = pairs(&mut cells.values().copied());
    let precision = right / pairs(&mut of_profiles.into_values());
    let recall = right / pairs(&mut of_people.into_values());
    report
        .fact("precision", precision)
        .fact("recall", recall)
        .fact("f1", 2.0 * precision * recall / (precision + recall));
}
