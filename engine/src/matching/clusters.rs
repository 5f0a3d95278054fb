//! Clusters of records that are one person.
//!
//! Pairs above the threshold make components. Within a component every pair is weighed, and greedy additive edge
//! contraction (Keuper et al., 2015) joins groups from the strongest on, as long as what speaks for it outweighs what
//! speaks against it, and no contradiction stands between them. Weights are whole numbers of 1/1024 bit, so that sums do
//! not depend on their order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::components::{Component, Components};
use super::contradiction::{Contradiction, said, says_same, stand};
use super::groups::Pairs;
use super::levels::{BIRTH, GIVEN, birth, given};
use super::model::Model;
use super::namesakes::may_be_namesakes;
use super::records::{Records, sort_on};
use super::score::{Scorer, Weight};
use crate::identity::threads::on_each;
use crate::identity::union_find::UnionFind;

/// Parts of a bit: weights are whole numbers of them, so that a sum does not depend on the order in which it is added up. A thousandth
/// of a bit is far less than a weight is sure of.
pub(crate) const SCALE: f32 = 1024.0;

/// Bits of one pair at most, for and against: twenty bits are a million to one, beyond which pairs tell nothing about how
/// well the model fits. With ten, what contradicts would count no more than a name and a birthday do; with forty, one pair
/// would outvote a whole profile.
pub(crate) const BITS_MAX: f32 = 20.0;

/// What a pair without evidence speaks against being one person: friends of friends should find some agreement. One bit
/// was better than none over four labelled sets that differ in kind (Febrl, RLdata, a census, customers) by the best threshold of
/// each, and as good by the usual one. With less of it chains grow; with more, records that say little fall out of their profile.
pub(crate) const SILENCE_BITS: f32 = 1.0;

/// One contradiction is overcome by a pair that is of one person rather than of one household by 4096 to one: a mistyped
/// birthday, a name by which nobody else calls somebody. Two take twice as much; nothing overcomes senior and junior. In a
/// register without families no pair is of a household, so a wrong name alone splits nobody. With six bits, a mailbox of the
/// family would overcome a given name; with twenty-four, nothing would that one pair can say.
const CONTRADICTED_BITS: f32 = 12.0;

/// It takes less, in proportion, where the model knows that one person's records differ like that oftener than once in so many
/// bits: where one birthday in four is wrong, another one tells little. Five bits are one in thirty-two; with half of it,
/// contradictions would take less only in registers where every sixth value is wrong, with twice as much in nearly all.
const CONTRADICTIONS_RARE_BITS: f32 = 5.0;

/// A record that two people claim goes to the one who claims it more by this much, nine to one, or to neither. Three to one would
/// give a father's record to his son up to one time in four; eighty to one would leave nearly every record without a birthday alone that
/// lies beside a namesake.
pub(crate) const TORN_BITS: f32 = 3.17;

/// Components of which all pairs are weighed: thirty thousand of them, some ten milliseconds. There is no limit on the size of a
/// cluster: larger components are joined pair by pair. With twice as many records the longest component takes four times as long.
pub(crate) const COMPONENT_MAX: usize = 256;

/// Rows that stand for a group of a larger component: with more different descriptions it is nobody's anyway. It bounds what two
/// groups cost to compare, at its square.
const SPEAKERS_MAX: usize = 16;

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
    /// Other pairs of the two clusters outweigh it, or another cluster claims the record, too, or a namesake at home may.
    Outweighed,
    /// It was said that they are different.
    Never,
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
    sort_on(threads, &mut edges);
    edges.dedup_by_key(|edge| (edge.left, edge.right));
    let mut sets = UnionFind::new(records.len() as u32);
    for edge in &edges {
        sets.union(edge.left, edge.right);
    }
    for &(left, right) in &overrides.always {
        sets.union(left, right);
    }
    let components = Components::new(&sets.into_roots(), &edges, overrides);
    let next = AtomicUsize::new(0);
    let work = |_| {
        let scorer = scorer();
        let mut refiner = Refiner {
            records,
            contradicted: contradicted_bits(scorer.model()),
            scorer,
            threshold_bits,
            found: Vec::new(),
            cut: Vec::new(),
        };
        loop {
            let from = next.fetch_add(COMPONENTS_PER_TASK, Ordering::Relaxed);
            let to = components.len().min(from + COMPONENTS_PER_TASK);
            if from >= to {
                break;
            }
            (from..to).for_each(|number| refiner.component(components.get(number)));
        }
        (refiner.found, refiner.cut)
    };
    let results = on_each(threads, work);
    let mut clusters = Clusters {
        roots: (0..records.len() as u32).collect(),
        edges: edges.len(),
        ..Clusters::default()
    };
    for (found, cut) in results {
        found.into_iter().for_each(|(row, root)| clusters.roots[row as usize] = root);
        clusters.cut.extend(cut);
    }
    clusters.cut.sort_unstable();
    let apart = |&&(left, right): &&(u32, u32)| {
        clusters.roots[left as usize] != clusters.roots[right as usize]
    };
    clusters.contradictory = overrides.always.iter().filter(apart).copied().collect();
    clusters
}

/// Refines components on one thread.
struct Refiner<'a, 'b> {
    records: &'b Records,
    scorer: Scorer<'a>,
    threshold_bits: f32,
    /// What overcomes another given name, and another birthday.
    contradicted: [f32; 2],
    /// Rows with the first rows of their groups, where that is another one.
    found: Vec<(u32, u32)>,
    cut: Vec<CutEdge>,
}

impl Refiner<'_, '_> {
    fn component(&mut self, component: Component<'_>) {
        if let &[left, right] = component.rows
            && component.always.is_empty()
            && component.never.is_empty()
            && self.are_one(left, right)
        {
            return self.found.push((right, left));
        }
        let is_small = component.rows.len() <= COMPONENT_MAX;
        let groups =
            if is_small { self.contract(component) } else { self.join_in_order(component) };
        self.report(&groups, component);
        for group in groups {
            let root = group.iter().copied().min().unwrap_or_default();
            self.found.extend(group.into_iter().map(|row| (row, root)));
        }
    }

    /// Tells whether the only two rows of a component are one person, as most of them are.
    fn are_one(&mut self, left: u32, right: u32) -> bool {
        let weight = self.scorer.weigh(left, right);
        let said = said(self.records, &[left], &[right]);
        self.speaks(weight) > 0
            && stands_between(said, parts(weight.against_household), self.contradicted).is_none()
            && !may_be_namesakes(&mut self.scorer, &[left], &[right])
    }

    /// Joins the groups of a component that is too large to weigh all its pairs: edge by edge, the heaviest first, unless
    /// a contradiction stands between the groups.
    fn join_in_order(&mut self, component: Component<'_>) -> Vec<Vec<u32>> {
        let rows = component.rows;
        let at = |row: u32| rows.partition_point(|&other| other < row) as u32;
        let mut sets = UnionFind::new(rows.len() as u32);
        // Of each group a few rows that say different things stand for all.
        let mut speakers: Vec<Vec<u32>> = rows.iter().map(|&row| vec![row]).collect();
        let mut edges = component.edges.to_vec();
        edges.sort_unstable_by_key(|edge| (std::cmp::Reverse(edge.weight), edge.left, edge.right));
        let always = component.always.iter().map(|&(left, right)| (left, right, true));
        let weighed = edges.iter().map(|edge| (edge.left, edge.right, false));
        for (left, right, is_always) in always.chain(weighed) {
            let (one, other) = (sets.find(at(left)), sets.find(at(right)));
            if one == other {
                continue;
            }
            let is_never = component.never.iter().any(|&(left, right)| {
                let (left, right) = (sets.find(at(left)), sets.find(at(right)));
                (left, right) == (one, other) || (right, left) == (one, other)
            });
            let strongest = parts(self.scorer.weigh(left, right).against_household);
            let mut stands = || {
                let said = said(self.records, &speakers[one as usize], &speakers[other as usize]);
                stands_between(said, strongest, self.contradicted).is_some()
                    || may_be_namesakes(&mut self.scorer, &[left], &[right])
            };
            if is_never || !is_always && stands() {
                continue;
            }
            sets.union(one, other);
            let moved = std::mem::take(&mut speakers[one.max(other) as usize]);
            let kept = &mut speakers[one.min(other) as usize];
            let says_more = |kept: &[u32], row: u32| {
                kept.len() < SPEAKERS_MAX
                    && kept.iter().all(|&other| !says_same(self.records, row, other))
            };
            for row in moved {
                if says_more(kept, row) {
                    kept.push(row);
                }
            }
        }
        let mut groups: Vec<Vec<u32>> = vec![Vec::new(); rows.len()];
        for (&row, root) in rows.iter().zip(sets.into_roots()) {
            groups[root as usize].push(row);
        }
        groups.retain(|group| !group.is_empty());
        groups
    }

    /// Joins rows to groups.
    fn contract(&mut self, component: Component<'_>) -> Vec<Vec<u32>> {
        let rows = component.rows;
        let count = rows.len();
        let mut pairs = Pairs::new(rows);
        for left in 0..count {
            for right in left + 1..count {
                let weight = self.scorer.weigh(rows[left], rows[right]);
                let (same, against) = (parts(weight.same), parts(weight.against_household));
                pairs.set(left, right, [self.speaks(weight), same, against]);
            }
        }
        let at = |row: u32| rows.binary_search(&row).ok();
        for &(left, right) in component.never {
            if let (Some(left), Some(right)) = (at(left), at(right)) {
                pairs.never.push((left, right));
            }
        }
        for &(left, right) in component.always {
            if let (Some(left), Some(right)) = (at(left), at(right)) {
                pairs.join_always(left, right);
            }
        }
        while let Some((left, right)) = pairs.best() {
            if self.stands(&mut pairs, left, right).is_some()
                || self.is_torn(&mut pairs, left, right)
                || may_be_namesakes(&mut self.scorer, &pairs.groups[left], &pairs.groups[right])
            {
                pairs.refuse(left, right);
                continue;
            }
            for (one, other) in pairs.unlearnt(left, right) {
                self.stands(&mut pairs, one, other);
            }
            pairs.join(left, right);
        }
        pairs.groups.retain(|group| !group.is_empty());
        pairs.groups
    }

    /// Returns what a pair says for and against one person.
    fn speaks(&self, weight: Weight) -> i32 {
        let bits = if weight.same >= self.threshold_bits {
            weight.same - self.threshold_bits
        } else {
            weight.evidence.min(-SILENCE_BITS)
        };
        parts(bits.clamp(-BITS_MAX, BITS_MAX))
    }

    /// Tells whether one of two groups belongs nearly as well to a third, which cannot be the same person as the other: a
    /// record without birthday and suffix, of father or son. It is left alone, since either would be a guess.
    fn is_torn(&self, pairs: &mut Pairs, left: usize, right: usize) -> bool {
        let margin = parts(TORN_BITS);
        for third in 0..pairs.groups.len() {
            if third == left || third == right || pairs.groups[third].is_empty() {
                continue;
            }
            for (one, other) in [(left, right), (right, left)] {
                if pairs.sum(one, third) > 0
                    && pairs.same(one, other) - pairs.same(one, third) < margin
                    && self.stands(pairs, one, third).is_none()
                    && self.stands(pairs, other, third).is_some()
                {
                    return true;
                }
            }
        }
        false
    }

    fn stands(&self, pairs: &mut Pairs, left: usize, right: usize) -> Option<Contradiction> {
        let mut facts = pairs.facts(left, right);
        if facts == 0 {
            facts = said(self.records, &pairs.groups[left], &pairs.groups[right]);
            pairs.learn(left, right, facts);
        }
        stands_between(facts, pairs.strongest(left, right), self.contradicted)
    }

    /// Says why edges between groups were cut.
    fn report(&mut self, groups: &[Vec<u32>], component: Component<'_>) {
        if groups.len() == 1 {
            return;
        }
        let numbered = groups.iter().enumerate();
        let group_of: HashMap<u32, usize> =
            numbered.flat_map(|(at, group)| group.iter().map(move |&row| (row, at))).collect();
        let few = |group: usize| &groups[group][..groups[group].len().min(COMPONENT_MAX)];
        let mut known: HashMap<(usize, usize), u8> = HashMap::new();
        for &edge in component.edges {
            let (left, right) = (group_of[&edge.left], group_of[&edge.right]);
            if left == right {
                continue;
            }
            let is_never = component.never.iter().any(|(one, other)| {
                let (one, other) = (group_of[one], group_of[other]);
                (one, other) == (left, right) || (one, other) == (right, left)
            });
            let weight = self.scorer.weigh(edge.left, edge.right);
            let strongest = parts(weight.against_household);
            let known = known.entry((left.min(right), left.max(right)));
            let said = *known.or_insert_with(|| said(self.records, few(left), few(right)));
            let contradiction = stands_between(said, strongest, self.contradicted);
            let cut = match contradiction {
                _ if is_never => Cut::Never,
                Some(contradiction) => Cut::Contradiction(contradiction),
                None => Cut::Outweighed,
            };
            self.cut.push(CutEdge { edge, cut });
        }
    }
}

/// Returns the bits that overcome another given name, and another birthday.
fn contradicted_bits(model: &Model) -> [f32; 2] {
    [(GIVEN, given::DIFFERENT), (BIRTH, birth::YEAR)].map(|(comparison, to)| {
        let levels = model.comparisons[comparison].levels.iter().take(usize::from(to) + 1);
        let share: f64 = levels.map(|level| level.same).sum();
        let rare = -share.log2() as f32 / CONTRADICTIONS_RARE_BITS;
        CONTRADICTED_BITS * rare.clamp(0.0, 1.0)
    })
}

/// Returns the contradiction, by what two groups say, that a pair of some strength does not overcome.
fn stands_between(said: u8, strongest: i32, contradicted: [f32; 2]) -> Option<Contradiction> {
    let [given, birth, suffix] = stand(said);
    let contradicted =
        f32::from(u8::from(given)) * contradicted[0] + f32::from(u8::from(birth)) * contradicted[1];
    let stands = suffix || (given || birth) && strongest < parts(contradicted);
    match (stands, given, birth) {
        (false, ..) => None,
        (true, true, _) => Some(Contradiction::GivenName),
        (true, false, true) => Some(Contradiction::BirthDate),
        (true, false, false) => Some(Contradiction::Suffix),
    }
}

/// Returns a weight in whole parts of a bit.
pub(crate) fn parts(bits: f32) -> i32 {
    (bits * SCALE).round() as i32
}
