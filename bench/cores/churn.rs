//! How stable the ids of profiles are while records come: what share of the known ones has another id after a step.
//!
//! Half of the records come first, the rest in steps of a twentieth of all, as in the measurement that the aim is taken from.

use std::time::Instant;

use engine::identity::{Resolver, Rules};

use crate::resolve::{Records, SOURCE};
use crate::weigh::fuzzy;
use crate::{Arguments, Outcome, Report};

/// A step is one in so many of all records.
const STEP_SHARE: usize = 20;

/// Measures the exact rules and a FUZZY one together.
pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let records = Records::read(arguments.required("records")?)?;
    let mut resolver = Resolver::new(Rules::from_graph(&fuzzy(arguments)?)?);
    let source = resolver.source(SOURCE)?;
    let mut known = records.count / 2;
    records.add(0..known, source, &mut resolver)?;
    resolver.resolve();
    let model = resolver.train().ok_or("there is no rule to train for")?;
    resolver.set_model(model);
    resolver.resolve();
    let mut churn = Report::new("churn");
    let (mut shares, mut before) = (Vec::new(), resolver.anchors().to_vec());
    while known < records.count {
        let next = records.count.min(known + records.count / STEP_SHARE);
        let begun = Instant::now();
        records.add(known..next, source, &mut resolver)?;
        resolver.resolve();
        churn.add(begun.elapsed());
        let after = resolver.anchors();
        let moved = before.iter().zip(after).filter(|(before, after)| before != after).count();
        shares.push(moved as f64 / known as f64);
        before = after.to_vec();
        known = next;
    }
    churn.fact("mean", shares.iter().sum::<f64>() / shares.len().max(1) as f64);
    churn.fact("most", shares.iter().copied().fold(0.0, f64::max)).fact("records", known);
    churn.print();
    Ok(())
}
