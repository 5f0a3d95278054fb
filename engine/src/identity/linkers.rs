//! Subjects without a person: events, orders, deliveries. They join profiles and never join two of them.
//!
//! Such a subject goes to the one profile that its strongest known identifier leads to; where that leads to several
//! (a family's mailbox, a shared device), weaker ones may decide among these. What it carries besides then leads to its
//! profile, too: a log-in ties the device to the customer, and the device's earlier visits with it. When nothing
//! decides, it belongs to nobody. Identifiers that no profile knows found one: an anonymous visitor.
//!
//! All subjects are judged against the same state before any of them changes it, kind by kind from the strongest, so
//! that their order does not matter. Where a `LIMIT` leaves room for some only, a stable hash of what they say decides:
//! the others still belong to the profile, but the value that is too many does not lead to it.

use std::collections::HashMap;

use super::cluster::{Clusters, Component};
use super::edges::{Edge, Refusal, Violation};
use super::graph::Graph;

/// How often knowledge that one subject brings may lead the next one: device to mailbox to another device and so on.
const HOPS_MAX: usize = 4;

/// A profile that a value leads to, and the subject that says so.
#[derive(Debug, Clone, Copy)]
struct Owner {
    cluster: u32,
    subject: u32,
}

/// A linker that found its profile.
struct Found {
    position: usize,
    value: u32,
    owner: Owner,
}

/// How many values of a kind with a LIMIT lead to a profile, and a subject that carries one.
struct Held {
    values: u32,
    subject: u32,
}

struct Linking<'a> {
    graph: &'a Graph,
    subjects: &'a [u32],
    clusters: &'a mut Clusters,
    owners: HashMap<u32, Vec<Owner>>,
    /// By profile and kind.
    held: HashMap<(u32, u16), Held>,
    /// Positions of linkers without a profile.
    waiting: Vec<usize>,
}

/// Gives each linker of a component its profile.
pub(super) fn link(graph: &Graph, component: &Component, clusters: &mut Clusters) {
    let waiting: Vec<usize> = (0..component.subjects.len())
        .filter(|&position| graph.is_linker(component.subjects[position]))
        .collect();
    if waiting.is_empty() {
        return;
    }
    let mut linking = Linking {
        graph,
        subjects: &component.subjects,
        clusters,
        owners: HashMap::new(),
        held: HashMap::new(),
        waiting,
    };
    for position in 0..component.subjects.len() {
        if let Some(cluster) = linking.clusters.of[position] {
            linking.own(component.subjects[position], cluster, None);
        }
    }
    for &rank in &graph.rules.ranks {
        linking.pass(rank);
    }
    linking.settle();
    for &rank in &graph.rules.ranks {
        if linking.found_profiles(rank) {
            linking.settle();
        }
    }
}

impl Linking<'_> {
    /// Lets every usable identifier of a subject lead to its profile, as far as the LIMITs of the profile that a linker
    /// was `led` to leave room.
    fn own(&mut self, subject: u32, cluster: u32, led: Option<u32>) {
        let graph = self.graph;
        for value in graph.usable(subject) {
            let owners = self.owners.entry(value).or_default();
            let owner = owners.iter_mut().find(|owner| owner.cluster == cluster);
            let (known, rule) = (owner.is_some(), graph.values.rule(value));
            if let Some(owner) = owner {
                owner.subject = graph.first_by_content(owner.subject, subject);
            }
            if let Some(limit) = graph.rules.kinds[usize::from(rule)].limit {
                let held = self.held.entry((cluster, rule)).or_insert(Held { values: 0, subject });
                if let Some(right) = led.filter(|_| !known && held.values >= limit) {
                    let (left, against, reason) = (subject, held.subject, Refusal::Limit(rule));
                    let refused = Violation { left, right, against, rule, value, reason };
                    self.clusters.violations.push(refused);
                    continue;
                }
                held.values += u32::from(!known);
                held.subject = graph.first_by_content(held.subject, subject);
            }
            if !known {
                owners.push(Owner { cluster, subject });
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..HOPS_MAX {
            if !self.pass(u16::MAX) {
                return;
            }
        }
    }

    /// Judges all waiting linkers by identifiers of this priority and stronger ones. Returns whether any found a
    /// profile.
    fn pass(&mut self, rank: u16) -> bool {
        let found: Vec<Found> =
            self.waiting.iter().filter_map(|&position| self.decide(position, rank)).collect();
        self.take(found)
    }

    fn decide(&self, position: usize, rank: u16) -> Option<Found> {
        let mut choice: Vec<(u32, Owner)> = Vec::new();
        for value in self.graph.usable(self.subjects[position]) {
            if self.graph.rules.priority(self.graph.values.rule(value)) > rank {
                break;
            }
            let Some(owners) = self.owners.get(&value) else { continue };
            if choice.is_empty() {
                choice = owners.iter().map(|&owner| (value, owner)).collect();
            } else {
                choice.retain(|(_, chosen)| {
                    owners.iter().any(|owner| owner.cluster == chosen.cluster)
                });
            }
            match choice[..] {
                [] => return None,
                [(value, owner)] => return Some(Found { position, value, owner }),
                _ => {}
            }
        }
        None
    }

    /// Founds a profile on each strongest identifier of this priority that nobody knows. Returns whether any was
    /// founded.
    fn found_profiles(&mut self, rank: u16) -> bool {
        let mut founders: HashMap<u32, Owner> = HashMap::new();
        let mut found = Vec::new();
        for &position in &self.waiting {
            let subject = self.subjects[position];
            let mut usable = self.graph.usable(subject).peekable();
            let strongest = usable.peek().copied();
            let Some(value) = strongest
                .filter(|&value| self.graph.rules.priority(self.graph.values.rule(value)) == rank)
            else {
                continue;
            };
            if usable.any(|value| self.owners.contains_key(&value)) {
                continue;
            }
            let founder =
                founders.entry(value).or_insert(Owner { cluster: position as u32, subject });
            founder.subject = self.graph.first_by_content(founder.subject, subject);
            found.push((position, value));
        }
        let found = found
            .into_iter()
            .map(|(position, value)| Found { position, value, owner: founders[&value] })
            .collect();
        self.take(found)
    }

    fn take(&mut self, mut found: Vec<Found>) -> bool {
        found.sort_by_cached_key(|found| self.graph.content(self.subjects[found.position]));
        for &Found { position, value, owner } in &found {
            let (subject, rule) = (self.subjects[position], self.graph.values.rule(value));
            self.clusters.of[position] = Some(owner.cluster);
            let led = (subject != owner.subject).then_some(owner.subject);
            self.own(subject, owner.cluster, led);
            if let Some(left) = led {
                let turn = self.clusters.edges.len() as u32;
                let edge = Edge { left, right: subject, rule, value, joined: true, turn };
                self.clusters.edges.push(edge);
            }
        }
        let of = &self.clusters.of;
        self.waiting.retain(|&position| of[position].is_none());
        !found.is_empty()
    }
}
