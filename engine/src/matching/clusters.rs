//! Clusters of records that are one person.
//!
//! Pairs above the threshold make components. Within a component every pair is weighed, and greedy additive edge
//! contraction (Keuper et al., 2015) joins groups from the strongest on, as long as what speaks for it outweighs what
//! speaks against it, and no contradiction stands between them. Weights are whole numbers of 1/1024 bit, so that sums do
//! not depend on their order.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::contradiction::{Contradiction, between};
use super::groups::Pairs;
use super::records::{Records, joined};
use super::score::{Scorer, Weight};
use crate::identity::union_find::UnionFind;

/// Parts of a bit.
const SCALE: f32 = 1024.0;

/// Bits of one pair at most, for and against: twenty bits are a million to one, beyond which pairs tell nothing about how
/// well the model fits.
const BITS_MAX: f32 = 20.0;

/// What a pair without evidence speaks against being one person: friends of friends should find some agreement.
const SILENCE_BITS: f32 = 1.0;

/// One contradiction is overcome by a pair that is of one person rather than of one household by 4096 to one: a mistyped
/// birthday, a name by which nobody else calls somebody. Two take twice as much; nothing overcomes senior and junior. In a
/// register without families no pair is of a household, so a wrong name alone splits nobody.
const CONTRADICTED_BITS: f32 = 12.0;

/// A record that two people claim goes to the one who claims it more by this much, nine to one, or to neither.
const TORN_BITS: f32 = 3.17;

/// Components that are refined as a whole. Larger ones are first taken apart at their weakest pairs.
const COMPONENT_MAX: usize = 256;

/// Components in the share of work that a thread takes at a time.
const COMPONENTS_PER_TASK: usize = 256;

/// A pair above the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// A row.
    pub left: u32,
    /// A larger row.
    pub right: u32,
    /// The weight in parts of a bit.
    weight: i32,
}

impl Edge {
    pub(super) fn new(left: u32, right: u32, weight: Weight) -> Self {
        Self { left, right, weight: parts(weight.same) }
    }

    /// Returns the weight in bits.
    pub fn bits(&self) -> f32 {
        self.weight as f32 / SCALE
    }
}

/// Why a pair above the threshold is not in one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cut {
    /// Nobody in the one cluster agrees with anybody in the other on this.
    Contradiction(Contradiction),
    /// Other pairs of the two clusters outweigh it.
    Outweighed,
    /// It was said that they are different.
    Never,
    /// It is the weakest link of a component that is too large to be refined as a whole.
    WeakLink,
}

/// A pair that was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CutEdge {
    /// The pair.
    pub edge: Edge,
    /// Why.
    pub cut: Cut,
}

/// What people decided, by rows.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Pairs that are one person.
    pub always: Vec<(u32, u32)>,
    /// Pairs that are not.
    pub never: Vec<(u32, u32)>,
}

/// The result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clusters {
    /// For each row the first row of its cluster.
    pub roots: Vec<u32>,
    /// Pairs above the threshold.
    pub edges: usize,
    /// Pairs above the threshold whose records are in different clusters.
    pub cut: Vec<CutEdge>,
    /// Pairs that are always one person, and are said to be different: they stay apart.
    pub contradictory: Vec<(u32, u32)>,
}

/// Makes clusters of edges. `scorer` is made once for each thread.
pub(super) fn cluster<'a>(
    records: &Records,
    mut edges: Vec<Edge>,
    overrides: &Overrides,
    threshold_bits: f32,
    threads: usize,
    scorer: impl Fn() -> Scorer<'a> + Sync,
) -> Clusters {
    edges.sort_unstable();
    edges.dedup_by_key(|edge| (edge.left, edge.right));
    let mut sets = UnionFind::new(records.len() as u32);
    for edge in &edges {
        sets.union(edge.left, edge.right);
    }
    for &(left, right) in &overrides.always {
        sets.union(left, right);
    }
    let roots = sets.into_roots();
    let components = components(&roots, &edges);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut refiner = Refiner {
            records,
            scorer: scorer(),
            overrides,
            threshold_bits,
            found: Vec::new(),
            cut: Vec::new(),
        };
        loop {
            let from = next.fetch_add(COMPONENTS_PER_TASK, Ordering::Relaxed);
            let Some(components) = components.get(from..) else { break };
            for component in components.iter().take(COMPONENTS_PER_TASK) {
                refiner.component(component);
            }
        }
        (refiner.found, refiner.cut)
    };
    let results = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| joined(worker.join())).collect::<Vec<_>>()
    });
    let mut clusters = Clusters {
        roots: (0..records.len() as u32).collect(),
        edges: edges.len(),
        ..Clusters::default()
    };
    for (found, cut) in results {
        for group in found {
            let root = group.iter().copied().min().unwrap_or_default();
            group.iter().for_each(|&row| clusters.roots[row as usize] = root);
        }
        clusters.cut.extend(cut);
    }
    clusters.cut.sort_unstable();
    let apart = |&&(left, right): &&(u32, u32)| {
        clusters.roots[left as usize] != clusters.roots[right as usize]
    };
    clusters.contradictory = overrides.always.iter().filter(apart).copied().collect();
    clusters
}

/// A component: its rows ascending, and its edges.
struct Component<'a> {
    rows: Vec<u32>,
    edges: Vec<&'a Edge>,
}

fn components<'a>(roots: &[u32], edges: &'a [Edge]) -> Vec<Component<'a>> {
    let mut members: Vec<(u32, u32)> = roots.iter().copied().zip(0..).collect();
    members.sort_unstable();
    let mut by_root: Vec<(u32, &Edge)> =
        edges.iter().map(|edge| (roots[edge.left as usize], edge)).collect();
    by_root.sort_by_key(|(root, _)| *root);
    let mut rest = by_root.into_iter().peekable();
    let mut components = Vec::new();
    for members in members.chunk_by(|left, right| left.0 == right.0) {
        if members.len() > 1 {
            let mut edges = Vec::new();
            while let Some((_, edge)) = rest.next_if(|(root, _)| *root == members[0].0) {
                edges.push(edge);
            }
            components
                .push(Component { rows: members.iter().map(|(_, row)| *row).collect(), edges });
        }
    }
    components
}

/// Refines components on one thread.
struct Refiner<'a, 'b> {
    records: &'b Records,
    scorer: Scorer<'a>,
    overrides: &'b Overrides,
    threshold_bits: f32,
    found: Vec<Vec<u32>>,
    cut: Vec<CutEdge>,
}

impl Refiner<'_, '_> {
    fn component(&mut self, component: &Component<'_>) {
        if component.rows.len() <= COMPONENT_MAX {
            let groups = self.contract(&component.rows);
            self.report(&groups, &component.edges);
            self.found.extend(groups);
            return;
        }
        // Take it apart at pairs that are as weak as the weakest that holds it together, one bit at a time.
        let weakest = component.edges.iter().map(|edge| edge.weight).min().unwrap_or(i32::MAX);
        let strongest = component.edges.iter().map(|edge| edge.weight).max().unwrap_or(i32::MAX);
        let least = weakest.saturating_add(SCALE as i32);
        if least > strongest {
            self.found.push(component.rows.clone());
            return;
        }
        let (kept, dropped): (Vec<&Edge>, Vec<&Edge>) =
            component.edges.iter().copied().partition(|edge: &&Edge| edge.weight >= least);
        let at = |row: u32| component.rows.partition_point(|&other| other < row) as u32;
        let mut sets = UnionFind::new(component.rows.len() as u32);
        for edge in &kept {
            sets.union(at(edge.left), at(edge.right));
        }
        for &(left, right) in &self.overrides.always {
            if component.rows.binary_search(&left).is_ok()
                && component.rows.binary_search(&right).is_ok()
            {
                sets.union(at(left), at(right));
            }
        }
        let roots = sets.into_roots();
        let root = |row: u32| roots[at(row) as usize];
        let mut parts: Vec<Component<'_>> = Vec::new();
        let mut numbers = vec![usize::MAX; component.rows.len()];
        for &row in &component.rows {
            let number = &mut numbers[root(row) as usize];
            if *number == usize::MAX {
                *number = parts.len();
                parts.push(Component { rows: Vec::new(), edges: Vec::new() });
            }
            parts[*number].rows.push(row);
        }
        for edge in kept {
            parts[numbers[root(edge.left) as usize]].edges.push(edge);
        }
        for edge in dropped {
            if root(edge.left) == root(edge.right) {
                parts[numbers[root(edge.left) as usize]].edges.push(edge);
            } else {
                self.cut.push(CutEdge { edge: *edge, cut: Cut::WeakLink });
            }
        }
        for part in parts.iter().filter(|part| part.rows.len() > 1) {
            // A part that kept all edges is the component without the weakest that do not hold it together.
            if part.rows.len() == component.rows.len() {
                let edges =
                    part.edges.iter().filter(|edge| edge.weight >= least).copied().collect();
                self.component(&Component { rows: part.rows.clone(), edges });
            } else {
                self.component(part);
            }
        }
    }

    /// Joins rows to groups.
    fn contract(&mut self, rows: &[u32]) -> Vec<Vec<u32>> {
        let count = rows.len();
        let mut pairs = Pairs::new(rows);
        for left in 0..count {
            for right in left + 1..count {
                let weight = self.scorer.weigh(rows[left], rows[right]);
                let bits = if weight.same >= self.threshold_bits {
                    weight.same - self.threshold_bits
                } else {
                    weight.evidence.min(-SILENCE_BITS)
                };
                pairs.set(
                    left,
                    right,
                    [
                        parts(bits.clamp(-BITS_MAX, BITS_MAX)),
                        parts(weight.same),
                        parts(weight.against_household),
                    ],
                );
            }
        }
        let at = |row: u32| rows.binary_search(&row).ok();
        for &(left, right) in &self.overrides.never {
            if let (Some(left), Some(right)) = (at(left), at(right)) {
                pairs.never.push((left, right));
            }
        }
        for &(left, right) in &self.overrides.always {
            if let (Some(left), Some(right)) = (at(left), at(right)) {
                pairs.join_always(left, right);
            }
        }
        while let Some((left, right)) = pairs.best() {
            if self.stands(&pairs, left, right).is_some() || self.is_torn(&pairs, left, right) {
                pairs.refuse(left, right);
            } else {
                pairs.join(left, right);
            }
        }
        pairs.groups.retain(|group| !group.is_empty());
        pairs.groups
    }

    /// Tells whether one of two groups belongs nearly as well to a third, which cannot be the same person as the other: a
    /// record without birthday and suffix, of father or son. It is left alone, since either would be a guess.
    fn is_torn(&self, pairs: &Pairs, left: usize, right: usize) -> bool {
        let margin = parts(TORN_BITS);
        let torn = |one: usize, other: usize, third: usize| {
            pairs.sum(one, third) > 0
                && pairs.same(one, other) - pairs.same(one, third) < margin
                && self.stands(pairs, one, third).is_none()
                && self.stands(pairs, other, third).is_some()
        };
        let others = (0..pairs.groups.len())
            .filter(|&third| third != left && third != right && !pairs.groups[third].is_empty());
        others.into_iter().any(|third| torn(left, right, third) || torn(right, left, third))
    }

    fn stands(&self, pairs: &Pairs, left: usize, right: usize) -> Option<Contradiction> {
        self.stands_between(&pairs.groups[left], &pairs.groups[right], pairs.strongest(left, right))
    }

    /// Returns the contradiction that a pair of some strength does not overcome.
    fn stands_between(&self, left: &[u32], right: &[u32], strongest: i32) -> Option<Contradiction> {
        let [given, birth, suffix] = between(self.records, left, right);
        let contradicted = f32::from(u8::from(given) + u8::from(birth)) * CONTRADICTED_BITS;
        let stands = suffix || (given || birth) && strongest < parts(contradicted);
        match (stands, given, birth) {
            (false, ..) => None,
            (true, true, _) => Some(Contradiction::GivenName),
            (true, false, true) => Some(Contradiction::BirthDate),
            (true, false, false) => Some(Contradiction::Suffix),
        }
    }

    /// Says why edges between groups were cut.
    fn report(&mut self, groups: &[Vec<u32>], edges: &[&Edge]) {
        if groups.len() == 1 {
            return;
        }
        let group_of =
            |row: u32| groups.iter().position(|group| group.contains(&row)).unwrap_or(usize::MAX);
        for &edge in edges {
            let (left, right) = (group_of(edge.left), group_of(edge.right));
            if left == right {
                continue;
            }
            let is_never = self.overrides.never.iter().any(|&(one, other)| {
                let (one, other) = (group_of(one), group_of(other));
                (one, other) == (left, right) || (one, other) == (right, left)
            });
            let weight = self.scorer.weigh(edge.left, edge.right);
            let strongest = parts(weight.against_household);
            let contradiction = self.stands_between(&groups[left], &groups[right], strongest);
            let cut = match contradiction {
                _ if is_never => Cut::Never,
                Some(contradiction) => Cut::Contradiction(contradiction),
                None => Cut::Outweighed,
            };
            self.cut.push(CutEdge { edge: *edge, cut });
        }
    }
}

fn parts(bits: f32) -> i32 {
    (bits * SCALE).round() as i32
}
