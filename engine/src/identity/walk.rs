//! The walk from subjects to all that hang together with them.

use super::cluster::Component;
use super::contraction::Pair;
use super::fuzzy::{Fuzzy, Partner};
use super::graph::Graph;
use super::halt::Halt;
use super::proposed::{Proposals, Ranges};
use super::values::ValueClass;

/// Subjects from which no further component is walked to before those there are have been passed on: enough to be worth it, and
/// few enough that all cores end together. Results do not depend on it.
const SUBJECTS_TOGETHER: usize = 256;

/// Somebody who walks.
pub(super) struct Walker<'a> {
    pub(super) graph: &'a Graph,
    pub(super) fuzzy: Option<&'a Fuzzy>,
    pub(super) halt: &'a Halt,
    /// The walk that last came by each subject.
    pub(super) visits: &'a mut [u32],
    /// The last walk.
    pub(super) walk: &'a mut u32,
    /// The last walk of the run before.
    pub(super) before: u32,
}

impl Walker<'_> {
    /// Walks from the next seeds to all that hang together with each, until there is enough to be solved together; `None` if no
    /// seed is left.
    pub(super) fn portion(
        &mut self,
        seeds: &mut impl Iterator<Item = u32>,
        proposals: &mut Proposals,
    ) -> Option<Vec<Component>> {
        let (mut portion, mut subjects) = (Vec::new(), 0);
        while subjects < SUBJECTS_TOGETHER && !self.halt.is_halted() {
            let Some(seed) = seeds.next() else { break };
            if self.visits[seed as usize] > self.before {
                continue;
            }
            *self.walk += 1;
            let component = self.component_of(seed, proposals);
            subjects += component.subjects.len();
            portion.push(component);
        }
        (!portion.is_empty()).then_some(portion)
    }

    /// Walks from a subject to all that hang together with it: through identifiers and records to everybody who carries
    /// them, through blocks of MATCH rules along proposed and refused pairs only, and through must-links.
    fn component_of(&mut self, seed: u32, proposals: &mut Proposals) -> Component {
        let graph = self.graph;
        let mut component = Component::default();
        let mut open = vec![seed];
        self.visits[seed as usize] = *self.walk;
        let mut met = Vec::new();
        while let Some(subject) = open.pop() {
            component.subjects.push(subject);
            let partners = self.fuzzy.iter().flat_map(|fuzzy| fuzzy.partners(subject));
            let linked = graph.must_linked(subject);
            for other in partners.map(|partner| partner.subject).chain(linked) {
                if self.visits[other as usize] != *self.walk {
                    self.visits[other as usize] = *self.walk;
                    open.push(other);
                }
            }
            for value in graph.values.of(subject) {
                if graph.values.class(value) == ValueClass::Nobody || graph.values.is_lone(value) {
                    continue;
                }
                if let Some(pairs) = proposals.with(graph, value, subject) {
                    for (left, right) in pairs.ends() {
                        for other in [left, right] {
                            if self.visits[other as usize] != *self.walk {
                                self.visits[other as usize] = *self.walk;
                                open.push(other);
                            }
                        }
                    }
                    pairs.add_from(subject, &mut component);
                    continue;
                }
                let ranges = proposals.of(graph, value);
                let first_visit = std::mem::replace(&mut ranges.walk, *self.walk) != *self.walk;
                let ranges = ranges.clone();
                if first_visit && ranges.through_all {
                    met.push(value);
                }
                let (visits, walk) = (&mut *self.visits, *self.walk);
                let mut reach = |other: u32| {
                    if visits[other as usize] != walk {
                        visits[other as usize] = walk;
                        open.push(other);
                    }
                };
                if !ranges.through_all {
                    let ways = &proposals.pairs.ways[ranges.ways.clone()];
                    let from = ways.partition_point(|(from, _)| *from < subject);
                    let here = ways[from..].iter().take_while(|(from, _)| *from == subject);
                    here.for_each(|(_, to)| reach(*to));
                    proposals.pairs.add_from(&ranges, subject, &mut component);
                } else if first_visit {
                    graph.values.subjects(value).for_each(&mut reach);
                }
            }
        }
        component.subjects.sort_unstable();
        if let Some(fuzzy) = &self.fuzzy {
            let is_left_out = |subject: u32| graph.is_left_out(subject);
            for &left in component.subjects.iter().filter(|left| !is_left_out(**left)) {
                let pairs = fuzzy
                    .partners(left)
                    .filter(|partner| partner.subject > left && !is_left_out(partner.subject));
                component.pairs.extend(pairs.map(|Partner { subject: right, weight }| Pair {
                    left,
                    right,
                    weight,
                }));
            }
        }
        for value in met {
            let Ranges { candidates, violations, .. } = proposals.ranges[&value].clone();
            let here = |subject: u32| self.visits[subject as usize] == *self.walk;
            component.candidates.extend(
                proposals.pairs.candidates[candidates].iter().filter(|pair| here(pair.left)),
            );
            component.violations.extend(
                proposals.pairs.violations[violations].iter().filter(|pair| here(pair.left)),
            );
        }
        component
    }
}
