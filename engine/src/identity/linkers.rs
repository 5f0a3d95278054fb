//! Subjects without a person: events, orders, deliveries. They join profiles and never join two of them.
//!
//! Such a subject goes to the one profile that its strongest known identifier leads to; where that leads to several
//! (a family's mailbox, a shared device), weaker ones may decide among these. What it carries besides then leads to its
//! profile, too: a log-in ties the device to the customer, and the device's earlier visits with it. When nothing
//! decides, it belongs to nobody. Identifiers that no profile knows found one: an anonymous visitor. So do those of a subject
//! that a weak identifier would lead to a profile whose `LIMIT` has no room for a stronger one: another account that was used
//! on the same device, or with the same mailbox, is another customer.
//!
//! All subjects are judged against the same state before any of them changes it, kind by kind from the strongest, so
//! that their order does not matter. Where a `LIMIT` leaves room for some only, a stable hash of what they say decides, and
//! where it is one of a time, who was observed first: the others still belong to the profile, but the value that is too many
//! does not lead to it.

use std::collections::HashMap;

use super::cluster::{Clusters, Component};
use super::edges::{Edge, Refusal, Violation};
use super::graph::Graph;

/// How often knowledge that one subject brings may lead the next one: device to mailbox to another device and so on. Each step is
/// less certain than the one before, and costs a pass over those who still wait. Two steps lead from a device over a log-in to
/// another device; with eight, a chain of as many visits that share a device two by two would be one customer's.
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

/// The values of a kind with a LIMIT that lead to a profile: when each was first observed, ascending, and a subject that
/// carries one.
struct Held {
    times: Vec<i64>,
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
    // What older versions carry leads to the profile and takes no room in it.
    for is_newest in [true, false] {
        for (position, &subject) in component.subjects.iter().enumerate() {
            if let Some(cluster) = linking.clusters.of[position]
                && graph.is_newest(subject) == is_newest
                && !graph.is_corrected(subject)
            {
                linking.own(subject, cluster, None);
            }
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
            if let Some(limit) = graph.rules.kinds[usize::from(rule)].limit
                && graph.is_newest(subject)
            {
                let at = graph.values.first_at(value);
                let none = || Held { times: Vec::new(), subject };
                let held = self.held.entry((cluster, rule)).or_insert_with(none);
                if let Some(right) = led.filter(|_| !known && limit.is_full(&held.times, at)) {
                    let (left, against, reason) = (subject, held.subject, Refusal::Limit(rule));
                    let refused = Violation { left, right, against, rule, value, reason };
                    self.clusters.violations.push(refused);
                    continue;
                }
                if !known {
                    held.times.insert(held.times.partition_point(|time| *time <= at), at);
                }
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
                let open = owners.iter().filter(|owner| {
                    self.refusal(**owner, self.subjects[position], value).is_none()
                });
                choice = open.map(|&owner| (value, owner)).collect();
                if choice.is_empty() {
                    continue;
                }
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

    /// Returns why a value does not lead a subject to a profile that it leads others to: a stronger identifier of the
    /// subject is none of the profile's, and a LIMIT leaves no room for it. Somebody else is at work there.
    fn refusal(&self, owner: Owner, subject: u32, value: u32) -> Option<Violation> {
        let rules = &self.graph.rules;
        let rule = self.graph.values.rule(value);
        let mut stronger = self.graph.usable(subject).take_while(|&other| {
            rules.priority(self.graph.values.rule(other)) < rules.priority(rule)
        });
        stronger.find_map(|other| {
            let kind = self.graph.values.rule(other);
            let limit = rules.kinds[usize::from(kind)].limit?;
            let held = self.held.get(&(owner.cluster, kind))?;
            let is_own = |known: &Owner| known.cluster == owner.cluster;
            let is_known = self.owners.get(&other).is_some_and(|known| known.iter().any(is_own));
            let is_full = limit.is_full(&held.times, self.graph.values.first_at(other));
            let (right, against, reason) = (owner.subject, held.subject, Refusal::Limit(kind));
            let refused = Violation { left: subject, right, against, rule, value, reason };
            (!is_known && is_full).then_some(refused)
        })
    }

    /// Founds a profile on each strongest identifier of this priority that nobody knows. Returns whether any was
    /// founded.
    fn found_profiles(&mut self, rank: u16) -> bool {
        let mut founders: HashMap<u32, Owner> = HashMap::new();
        let (mut found, mut violations) = (Vec::new(), Vec::new());
        let (this, graph) = (&*self, self.graph);
        for &position in &this.waiting {
            let subject = this.subjects[position];
            let has_rank = |value: &u32| graph.rules.priority(graph.values.rule(*value)) == rank;
            let Some(value) = graph.usable(subject).next().filter(has_rank) else { continue };
            let owned = graph.usable(subject).flat_map(|value| {
                let owners = this.owners.get(&value).into_iter().flatten();
                owners.map(move |&owner| this.refusal(owner, subject, value))
            });
            let Some(refused) = owned.collect::<Option<Vec<Violation>>>() else { continue };
            violations.extend(refused);
            let founder =
                founders.entry(value).or_insert(Owner { cluster: position as u32, subject });
            founder.subject = graph.first_observed(founder.subject, subject);
            found.push((position, value));
        }
        self.clusters.violations.extend(violations);
        let found = found
            .into_iter()
            .map(|(position, value)| Found { position, value, owner: founders[&value] })
            .collect();
        self.take(found)
    }

    fn take(&mut self, mut found: Vec<Found>) -> bool {
        found.sort_by_cached_key(|found| {
            let subject = self.subjects[found.position];
            (self.graph.time(subject), self.graph.content(subject))
        });
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
