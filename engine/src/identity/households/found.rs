//! Finding circles: the resolver's walk from profiles that changed to all that hang together with them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Circle, Households, Tie};
use crate::identity::fuzzy::Fuzzy;
use crate::identity::resolver::Resolver;
use crate::identity::threads::{dealt, threads};
use crate::matching::{BITS_MAX, COMPONENT_MAX, Memories, SILENCE_BITS, Scorer, Together, parts};

/// Circles from which weighing is work for all cores.
const CIRCLES_SHARED_MIN: usize = 64;

impl Resolver {
    /// Returns the households, if the graph asks for them.
    pub(crate) fn households(&self) -> Option<&Arc<Households>> {
        self.fuzzy.as_ref()?.household_bits.map(|_| &self.households)
    }

    /// Makes circles anew of the profiles with these anchors, of those that lost a housemate, and of all that hang or
    /// hung together with them, unless it is to halt. Returns the anchors of all of these, before and now, ascending.
    pub(in crate::identity) fn settle_households(&mut self, touched: &[u32]) -> Vec<u32> {
        let loosened = match &mut self.fuzzy {
            Some(fuzzy) if fuzzy.household_bits.is_some() => fuzzy.take_loosened(),
            _ => return Vec::new(),
        };
        let mut open: Vec<u32> = touched.to_vec();
        open.extend(loosened.into_iter().filter_map(|subject| self.anchor_of(subject)));
        if open.is_empty() {
            return open;
        }
        let mut shared = std::mem::take(&mut self.households);
        let households = Arc::make_mut(&mut shared);
        let (mut looked_at, mut circles) = (BTreeSet::new(), Vec::new());
        while let Some(anchor) = open.pop()
            && !self.halt.is_halted()
        {
            if looked_at.insert(anchor) {
                open.extend(households.dissolve(anchor));
                let circle = self.circle_around(anchor, households, &mut looked_at, &mut open);
                if circle.len() > 1 {
                    circles.push(circle);
                }
            }
        }
        self.weighed(&circles).into_iter().for_each(|circle| households.add(circle));
        self.households = shared;
        looked_at.into_iter().collect()
    }

    /// Walks from a profile to all that hang together with it. The members of the circles that these were in are added to
    /// `open`.
    fn circle_around(
        &self,
        anchor: u32,
        households: &mut Households,
        looked_at: &mut BTreeSet<u32>,
        open: &mut Vec<u32>,
    ) -> Vec<u32> {
        let Some(fuzzy) = self.fuzzy.as_ref().filter(|_| self.anchor_of(anchor) == Some(anchor))
        else {
            return Vec::new();
        };
        let mut circle = vec![anchor];
        let mut at = 0;
        while let Some(&anchor) = circle.get(at)
            && !self.halt.is_halted()
        {
            at += 1;
            for near in self.members(anchor).flat_map(|subject| fuzzy.near(subject)) {
                if let Some(other) = self.anchor_of(near)
                    && looked_at.insert(other)
                {
                    open.extend(households.dissolve(other));
                    circle.push(other);
                }
            }
        }
        circle
    }

    /// Weighs the profiles of each circle, on all cores if there are many.
    fn weighed(&self, circles: &[Vec<u32>]) -> Vec<Circle> {
        let Some(fuzzy) = &self.fuzzy else { return Vec::new() };
        let weigh = |circles: &[Vec<u32>], memories: Memories| -> Vec<Circle> {
            let Some(mut scorer) = fuzzy.scorer(memories) else { return Vec::new() };
            let due = circles.iter().take_while(|_| !self.halt.is_halted());
            due.filter_map(|anchors| self.weigh(fuzzy, &mut scorer, anchors)).collect()
        };
        if circles.len() < CIRCLES_SHARED_MIN {
            let largest = circles.iter().map(Vec::len).max().unwrap_or_default();
            return weigh(circles, Memories::of(largest));
        }
        let shares = circles.chunks(circles.len().div_ceil(threads()));
        let found = dealt(threads(), shares, |share| weigh(share, Memories::new()));
        found.into_iter().flatten().collect()
    }

    /// Weighs the profiles of one circle; `None` if nothing in it speaks for a household, if it has more records than are
    /// weighed together, or if it is to halt.
    fn weigh(&self, fuzzy: &Fuzzy, scorer: &mut Scorer<'_>, anchors: &[u32]) -> Option<Circle> {
        let threshold = parts(fuzzy.household_bits?);
        let described = |anchor: u32| -> Vec<u32> {
            let is_told =
                |subject: &u32| fuzzy.row(*subject).is_some() && !self.graph.is_corrected(*subject);
            self.members(anchor).filter(is_told).collect()
        };
        let mut profiles: Vec<(u64, u32, Vec<u32>)> = Vec::with_capacity(anchors.len());
        for &anchor in anchors {
            let subjects = described(anchor);
            let content = subjects.iter().map(|&subject| self.graph.content(subject)).min()?;
            profiles.push((content, anchor, subjects));
        }
        let count: usize = profiles.iter().map(|(_, _, subjects)| subjects.len()).sum();
        if count > COMPONENT_MAX {
            return None;
        }
        profiles.sort_unstable();
        let mut ties = Vec::with_capacity(profiles.len() * (profiles.len() - 1) / 2);
        for (at, (.., left)) in profiles.iter().enumerate() {
            if self.halt.is_halted() {
                return None;
            }
            let near: BTreeSet<u32> =
                left.iter().flat_map(|&subject| fuzzy.near(subject)).collect();
            for (.., right) in &profiles[at + 1..] {
                let is_near = right.iter().any(|subject| near.contains(subject));
                let two = [left.as_slice(), right.as_slice()];
                ties.push(tie(fuzzy, scorer, two, is_near.then_some(threshold)));
            }
        }
        let members = profiles.into_iter().map(|(_, anchor, _)| anchor).collect();
        ties.iter().any(|tie: &Tie| tie.speaks > 0).then_some(Circle { members, ties })
    }
}

/// Weighs two profiles by the two of their records that say most. Only where records are near, which the threshold stands for,
/// does it speak for a household.
fn tie(
    fuzzy: &Fuzzy,
    scorer: &mut Scorer<'_>,
    [left, right]: [&[u32]; 2],
    threshold: Option<i32>,
) -> Tie {
    let (mut most, mut evidence, mut above) = ((i32::MIN, false), f32::NEG_INFINITY, None);
    for left in left.iter().filter_map(|&subject| fuzzy.row(subject)) {
        for right in right.iter().filter_map(|&subject| fuzzy.row(subject)) {
            let sums = scorer.sums(left, right);
            let Together { weight, evidence: speaks, one_person } = scorer.together(sums);
            let weight = parts(weight);
            most = most.max((weight, one_person > 0.0));
            evidence = evidence.max(speaks);
            if let Some(threshold) = threshold.filter(|threshold| weight >= *threshold)
                && above < Some(weight - threshold)
                && scorer.is_corroborated(left, right)
            {
                above = Some(weight - threshold);
            }
        }
    }
    let (weight, one_person) = most;
    let speaks = match above {
        Some(bits) => bits.min(parts(BITS_MAX)),
        None => parts(evidence.clamp(-BITS_MAX, -SILENCE_BITS)),
    };
    Tie { speaks, weight, one_person }
}
