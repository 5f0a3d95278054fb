//! Samples: some profiles that would be one, and some that would fall apart, each with the edge that does it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::before::{Joined, Name};
use super::difference::Difference;
use super::lines::{Line, SAMPLES_MAX};
use super::{NO_SUBJECT, Trial};
use crate::identity::{Edge, Refusal, ValueClass, Violation, probability_of};

/// Where the subjects of a profile of now would be.
#[derive(Default)]
struct Members<'a> {
    subjects: Vec<u32>,
    /// The anchor then of each record.
    records: HashMap<(&'a str, &'a str), u32>,
}

impl Trial {
    /// Shows ids that would lead to another one, those first from which most records move.
    pub(super) fn merges(&self, difference: &Difference) -> Vec<Line> {
        let leaving = self.leaving(difference);
        let records = |anchor: &u32| leaving.get(anchor).copied().unwrap_or(0);
        let mut merged = difference.merged.clone();
        merged.sort_by_key(|(from, _)| Reverse(records(from)));
        merged.truncate(SAMPLES_MAX);
        let told = |(from, into): &(u32, u32)| {
            let line = Line::figure("merge", records(from));
            let line = line.of([self.id(*from), self.id(*into)]);
            match self.joining(*from, *into) {
                Some(edge) => {
                    let (rule, why) = self.joined(edge);
                    line.by(&rule).told(why)
                }
                None => line,
            }
        };
        merged.iter().map(told).collect()
    }

    /// Finds the edge that ties what is with `from` now to others: the first one on the way from there to `into`.
    fn joining(&self, from: u32, into: u32) -> Option<Edge> {
        let mut ways: HashMap<u32, Vec<Edge>> = HashMap::new();
        for edge in self.memory.resolver.edges(into).filter(|edge| edge.joined) {
            ways.entry(edge.left).or_default().push(edge);
            ways.entry(edge.right).or_default().push(edge);
        }
        let other = |edge: &Edge, end: u32| if edge.left == end { edge.right } else { edge.left };
        // Joining edges make a tree: from its root each subject is reached one way.
        let mut came_by: HashMap<u32, Edge> = HashMap::new();
        let mut open = vec![from];
        while let Some(subject) = open.pop() {
            for edge in ways.get(&subject).into_iter().flatten() {
                let next = other(edge, subject);
                if next != from && !came_by.contains_key(&next) {
                    came_by.insert(next, *edge);
                    open.push(next);
                }
            }
        }
        let (mut found, mut subject) = (None, into);
        while let Some(edge) = came_by.get(&subject) {
            if self.now(edge.left) != self.now(edge.right) {
                found = Some(*edge);
            }
            subject = other(edge, subject);
        }
        found
    }

    /// Shows how the profiles with these anchors, which ascend, would fall apart.
    pub(super) fn splits(&self, apart: &[u32], edges: &[Joined]) -> Vec<Line> {
        let mut members: HashMap<u32, Members<'_>> = HashMap::new();
        for (subject, now) in (0..).zip(&self.before) {
            if apart.binary_search(now).is_err() {
                continue;
            }
            let of = members.entry(*now).or_default();
            of.subjects.push(subject);
            if let (source, Some(key)) = self.name(subject) {
                of.records.insert((source, key), self.then(subject));
            }
        }
        let told = |anchor: &u32| {
            let of = members.get(anchor)?;
            let mut parts: BTreeSet<u32> =
                of.subjects.iter().map(|subject| self.then(*subject)).collect();
            let line = Line::figure("split", parts.len());
            parts.remove(&NO_SUBJECT);
            let ids = std::iter::once(*anchor).chain(parts.iter().copied());
            let line = line.of(ids.map(|anchor| self.id(anchor)));
            let (rule, why) =
                self.parting(of, &parts, edges.iter().filter(|edge| edge.anchor == *anchor));
            Some(match rule {
                Some(rule) => line.by(&rule).told(why),
                None => line.told(why),
            })
        };
        apart.iter().filter_map(told).collect()
    }

    /// Tells by which rule, and why, the subjects of a profile would not be together.
    fn parting<'a>(
        &self,
        of: &Members<'_>,
        parts: &BTreeSet<u32>,
        edges: impl Iterator<Item = &'a Joined>,
    ) -> (Option<String>, String) {
        let records: BTreeSet<u32> = of.records.values().copied().collect();
        if records.len() < 2 {
            let why = "devices, orders or events alone would leave it";
            return (None, why.to_owned());
        }
        let crosses = |edge: &&Joined| {
            let [left, right] = [0, 1].map(|end| {
                let (source, key) = &edge.ends[end];
                of.records.get(&(source.as_str(), key.as_str())).copied()
            });
            left != right
        };
        let edge = edges.into_iter().find(crosses);
        let resolver = &self.memory.resolver;
        let between = |violation: &Violation| {
            let [left, right] = [violation.left, violation.right];
            let here = |end: u32| of.subjects.binary_search(&end).is_ok();
            let is_pair = violation.reason.figure().is_none();
            is_pair && here(left) && here(right) && self.then(left) != self.then(right)
        };
        let refusals = parts.iter().flat_map(|part| resolver.violations_of(*part)).filter(between);
        let refusals: Vec<Violation> = refusals.collect();
        let of_edge = |violation: &&Violation| {
            let rule = resolver.rules().rule_name(violation.rule);
            edge.is_some_and(|edge| rule == edge.rule && self.connects(violation, edge))
        };
        if let Some(violation) = refusals.iter().find(of_edge).or(refusals.first()) {
            let (rule, why) = refused(self, *violation);
            return (Some(rule), why);
        }
        let Some(Joined { rule, value, ends: [left, right], .. }) = edge else {
            return (None, "nothing would connect its records any more".to_owned());
        };
        let kind = resolver.rules().kind(rule);
        let class = kind.and_then(|kind| resolver.value_class(kind, value));
        let why = match class {
            Some(ValueClass::Nobody) => "would be nobody's",
            _ => "would propose nothing",
        };
        let (left, right) = (named((&left.0, Some(&left.1))), named((&right.0, Some(&right.1))));
        (Some(rule.clone()), format!("{value}, which joins {left} and {right}, {why}"))
    }

    /// Whether a refused edge is between the records of an edge that joined.
    fn connects(&self, violation: &Violation, edge: &Joined) -> bool {
        let [left, right] = &edge.ends;
        let is = |subject: u32, (source, key): &(String, String)| {
            self.name(subject) == (source.as_str(), Some(key.as_str()))
        };
        (is(violation.left, left) && is(violation.right, right))
            || (is(violation.left, right) && is(violation.right, left))
    }

    /// Tells by which rule two records would be joined, and by what of theirs.
    fn joined(&self, edge: Edge) -> (String, String) {
        let resolver = &self.memory.resolver;
        let evidence = resolver.explain(edge);
        let kind = resolver.rules().kind(&evidence.rule);
        let class = kind.and_then(|kind| resolver.value_class(kind, &evidence.value));
        let class = class.map(|class| format!(" ({})", class.word())).unwrap_or_default();
        let sure = evidence.bits.map(|bits| format!(" (probability {:.4})", probability_of(bits)));
        let sure = sure.unwrap_or_default();
        let [left, right] = [edge.left, edge.right].map(|end| named(self.name(end)));
        (evidence.rule, format!("{}{class}{sure} joins {left} and {right}", evidence.value))
    }
}

/// Tells which rule proposed an edge that would be refused, and what stands against it.
pub(super) fn refused(trial: &Trial, violation: Violation) -> (String, String) {
    let evidence = trial.memory.resolver.explain_violation(violation);
    if let Some(figure) = evidence.figure {
        let (value, reason) = (evidence.value, evidence.reason);
        let why = match violation.reason {
            Refusal::More(_) => format!("{figure} more pairs that agree on {value} are refused"),
            Refusal::Nobody(_) => format!("{value}, which {figure} records carry, is nobody's"),
            _ => format!("{value}, which {figure} records carry, is {reason}"),
        };
        return (evidence.rule, why);
    }
    let [left, right] = [violation.left, violation.right].map(|end| named(trial.name(end)));
    let kind = evidence.limited_kind.map(|kind| format!(" of {kind}")).unwrap_or_default();
    let against = match violation.against {
        against if against == violation.left || against == violation.right => String::new(),
        against => format!(", against {}", named(trial.name(against))),
    };
    let (value, reason) = (evidence.value, evidence.reason);
    let why = format!("{value} between {left} and {right} is refused by {reason}{kind}{against}");
    (evidence.rule, why)
}

fn named((source, key): Name<'_>) -> String {
    match key {
        Some(key) => format!("{source} {key}"),
        None => format!("an event of {source}"),
    }
}
