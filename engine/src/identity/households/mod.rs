//! Households: which profiles are of people who live together. No profile is made otherwise for it.
//!
//! The FUZZY rule knows pairs of records of three kinds: of one person, of two people of one household, of strangers. What
//! speaks for a household is the first two against the third, since one person is of one household, too; and more than one
//! thing has to speak for it. Profiles that hang together through such pairs make a [`Circle`]; in it every two are weighed by
//! the two of their records that say most, since people move and older addresses stay with them.
//!
//! A circle is no household: who moved in with somebody would make one of two families. It is taken apart as the FUZZY rule
//! joins people, by what all its pairs say together ([contraction](super::contraction)), and two whose records speak against
//! it are never in one. What more people than `shared_limit` share is nobody's, as with any value: then they are neighbours or
//! colleagues, and each is alone.
//!
//! Circles are made of everybody, households of those who may be seen: who asks finds those that the visible members of a
//! circle make, as if the others were not there. Whether somebody hidden lives with them is not told by it: pairs that are
//! not known to be of one household never speak for one, so that whom only the hidden one ties to each other stay apart.

mod found;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::matching::{Pairs, SCALE, SILENCE_BITS};

/// What keeps two apart, whatever speaks for it: more than all pairs of a circle can.
const NEVER: i32 = i32::MIN;

/// All circles, in one version of the graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Households {
    /// By the anchor of each member.
    circles: HashMap<u32, Arc<Circle>>,
    /// Different people of one household at most.
    people_max: usize,
}

/// Profiles that hang together through pairs of one household.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Circle {
    /// Their anchors, in the order of what their records say, so that arrival decides nothing.
    members: Vec<u32>,
    /// Of each two members, those of the first one first.
    ties: Vec<Tie>,
}

/// What two profiles say of living together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tie {
    /// What it counts for one household or against it, in [`parts`](crate::matching::parts) of a bit.
    pub(crate) speaks: i32,
    /// The logarithm of the odds that they are of one household, in parts of a bit.
    pub(crate) weight: i32,
    /// Whether they are one person more probably than two.
    pub(crate) one_person: bool,
}

/// A tie as a table holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredTie {
    /// The oldest anchor of the circle, which all its ties share.
    pub(crate) circle: u32,
    /// The anchor of the profile of the two that comes first in the circle's order.
    pub(crate) left: u32,
    /// The anchor of the other one.
    pub(crate) right: u32,
    pub(crate) tie: Tie,
}

impl Tie {
    /// Tells whether two are strangers by what their records say, rather than by saying nothing.
    fn stands(self) -> bool {
        (self.speaks as f32) < -SILENCE_BITS * SCALE
    }
}

impl Households {
    /// Makes a place for households of so many different people at most.
    pub(crate) fn of_at_most(people_max: u32) -> Self {
        Self { circles: HashMap::new(), people_max: people_max as usize }
    }

    /// Puts circles together of their ties, in any order.
    pub(crate) fn of_ties(people_max: u32, mut ties: Vec<StoredTie>) -> Self {
        let mut households = Self::of_at_most(people_max);
        ties.sort_unstable_by_key(|tie| tie.circle);
        for ties in ties.chunk_by(|left, right| left.circle == right.circle) {
            households.add(Circle::of_ties(ties));
        }
        households
    }

    /// Returns the circle of a profile, if it has one.
    pub(crate) fn circle(&self, anchor: u32) -> Option<&Circle> {
        self.circles.get(&anchor).map(Arc::as_ref)
    }

    /// Takes the circle of a profile away, and returns its members.
    fn dissolve(&mut self, anchor: u32) -> Vec<u32> {
        let Some(circle) = self.circles.remove(&anchor) else { return Vec::new() };
        for member in &circle.members {
            self.circles.remove(member);
        }
        circle.members.clone()
    }

    fn add(&mut self, circle: Circle) {
        let circle = Arc::new(circle);
        for member in &circle.members {
            self.circles.insert(*member, Arc::clone(&circle));
        }
    }

    /// Returns for each profile, by its anchor, the oldest one of its household, as those make it who `exist`: itself if it
    /// is alone.
    pub(crate) fn eldest(
        &self,
        anchors: impl Iterator<Item = Option<u32>>,
        exist: impl Fn(u32) -> bool,
    ) -> Vec<Option<u32>> {
        let mut known: HashMap<u32, u32> = HashMap::new();
        let mut eldest = |anchor: u32| {
            let Some(circle) = self.circles.get(&anchor) else { return anchor };
            if !known.contains_key(&anchor) {
                for household in circle.households(&exist, self.people_max) {
                    let eldest = household.iter().copied().min().unwrap_or(anchor);
                    known.extend(household.into_iter().map(|member| (member, eldest)));
                }
            }
            known.get(&anchor).copied().unwrap_or(anchor)
        };
        anchors.map(|anchor| anchor.map(&mut eldest)).collect()
    }

    /// Returns the household of one profile, as [`eldest`](Self::eldest) makes it: the anchors of its members, ascending.
    pub(crate) fn members(&self, anchor: u32, exist: impl Fn(u32) -> bool) -> Vec<u32> {
        let households = self.circle(anchor).map(|of| of.households(&exist, self.people_max));
        let own = households.into_iter().flatten().find(|members| members.contains(&anchor));
        let mut members = own.unwrap_or_else(|| vec![anchor]);
        members.sort_unstable();
        members
    }

    /// Returns for which of these profiles and another one most speaks, and what they say of living together.
    pub(crate) fn nearest(&self, anchor: u32, others: &[u32]) -> Option<(u32, Tie)> {
        let circle = self.circle(anchor)?;
        let ties = others.iter().filter_map(|&other| Some((other, circle.tie(anchor, other)?)));
        ties.max_by_key(|(other, tie)| (tie.speaks, tie.weight, Reverse(*other)))
    }
}

impl Circle {
    fn of_ties(ties: &[StoredTie]) -> Self {
        // The first one of a circle stands left of all others, the last one of nobody.
        let mut stands_left: BTreeMap<u32, usize> = BTreeMap::new();
        for tie in ties {
            *stands_left.entry(tie.left).or_default() += 1;
            stands_left.entry(tie.right).or_default();
        }
        let mut members: Vec<u32> = stands_left.keys().copied().collect();
        members.sort_by_key(|member| Reverse(stands_left.get(member).copied()));
        let places: HashMap<u32, usize> = members.iter().copied().zip(0..).collect();
        let count = members.len();
        let mut circle = Self { members, ties: vec![Tie::default(); count * (count - 1) / 2] };
        for tie in ties.iter().filter(|tie| tie.left != tie.right) {
            let at = circle.at(places[&tie.left], places[&tie.right]);
            circle.ties[at] = tie.tie;
        }
        circle
    }

    /// Returns the ties between an anchor and those that come after it.
    pub(crate) fn ties_from(&self, anchor: u32) -> impl Iterator<Item = StoredTie> {
        let circle = self.members.iter().copied().min().unwrap_or(anchor);
        let place = self.members.iter().position(|member| *member == anchor);
        let others = place.map_or(0..0, |place| place + 1..self.members.len());
        others.map(move |other| StoredTie {
            circle,
            left: anchor,
            right: self.members[other],
            tie: self.ties[self.at(place.unwrap_or(other), other)],
        })
    }

    fn tie(&self, one: u32, other: u32) -> Option<Tie> {
        let place = |anchor: u32| self.members.iter().position(|member| *member == anchor);
        let (one, other) = (place(one)?, place(other)?);
        (one != other).then(|| self.ties[self.at(one, other)])
    }

    /// Returns where the tie of two places is.
    fn at(&self, one: usize, other: usize) -> usize {
        let (left, right) = (one.min(other), one.max(other));
        left * self.members.len() - left * (left + 1) / 2 + right - left - 1
    }

    /// Returns the households of those who `exist`: all of them, each in one.
    fn households(&self, exist: &impl Fn(u32) -> bool, people_max: usize) -> Vec<Vec<u32>> {
        let places: Vec<usize> =
            (0..self.members.len()).filter(|place| exist(self.members[*place])).collect();
        let numbers: Vec<u32> = (0..places.len() as u32).collect();
        let mut pairs = Pairs::new(&numbers);
        for left in 0..places.len() {
            for right in left + 1..places.len() {
                let tie = self.ties[self.at(places[left], places[right])];
                let speaks = if tie.stands() { NEVER } else { tie.speaks };
                pairs.set(left, right, [speaks; 3]);
            }
        }
        while let Some((left, right)) = pairs.best() {
            pairs.join(left, right);
        }
        let mut households = Vec::new();
        for group in pairs.groups.iter().filter(|group| !group.is_empty()) {
            let mut group: Vec<usize> =
                group.iter().map(|number| places[*number as usize]).collect();
            group.sort_unstable();
            let is_one = self.people(&group) <= people_max;
            let members = group.iter().map(|place| self.members[*place]);
            if is_one {
                households.push(members.collect());
            } else {
                households.extend(members.map(|member| vec![member]));
            }
        }
        households
    }

    /// Counts the different people of places: profiles that are one person more probably than two count once.
    fn people(&self, places: &[usize]) -> usize {
        let mut people: Vec<usize> = Vec::new();
        for &place in places {
            let is_known = |&person: &usize| self.ties[self.at(person, place)].one_person;
            if !people.iter().any(is_known) {
                people.push(place);
            }
        }
        people.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BIT: i32 = SCALE as i32;
    const APART: Tie = Tie { speaks: -2 * BIT, weight: -40 * BIT, one_person: false };
    const HOME: Tie = Tie { speaks: 9 * BIT, weight: 12 * BIT, one_person: false };
    const SILENT: Tie = Tie { speaks: -BIT, weight: -8 * BIT, one_person: false };
    const ONE: Tie = Tie { speaks: 10 * BIT, weight: 13 * BIT, one_person: true };

    fn circle(members: &[u32], ties: &[Tie]) -> Circle {
        Circle { members: members.to_vec(), ties: ties.to_vec() }
    }

    /// The eldest of each member, in ascending order of members.
    fn eldest(circle: Circle, people_max: u32, hidden: &[u32]) -> Vec<u32> {
        let mut members = circle.members.clone();
        members.retain(|member| !hidden.contains(member));
        members.sort_unstable();
        let mut households = Households::of_at_most(people_max);
        households.add(circle);
        let exist = |anchor: u32| !hidden.contains(&anchor);
        let found = households.eldest(members.into_iter().map(Some), exist);
        found.into_iter().flatten().collect()
    }

    #[test]
    fn who_lives_together_has_the_eldest_of_them() {
        assert_eq!(eldest(circle(&[7, 3], &[HOME]), 5, &[]), [3, 3]);
        assert_eq!(eldest(circle(&[7, 3], &[APART]), 5, &[]), [3, 7]);
        let three = || circle(&[7, 3, 9], &[HOME, SILENT, HOME]);
        assert_eq!(eldest(three(), 5, &[]), [3, 3, 3], "friends of friends who say nothing");
        let households = Households::of_at_most(5);
        let found = households.eldest([Some(4), None].into_iter(), |_| true);
        assert_eq!(found, [Some(4), None], "who has no circle is alone");
        assert_eq!((households.members(4, |_| true), households.nearest(4, &[3])), (vec![4], None));
    }

    #[test]
    fn a_member_is_told_of_the_others_and_of_the_nearest_one() {
        let mut households = Households::of_at_most(5);
        households.add(circle(&[7, 3, 9], &[HOME, ONE, SILENT]));
        assert_eq!(households.members(7, |_| true), [3, 7, 9]);
        assert_eq!(households.nearest(7, &[3, 9]), Some((9, ONE)));
        assert_eq!(households.nearest(3, &[7, 9]), Some((7, HOME)));
        assert_eq!(households.members(7, |anchor| anchor != 9), [3, 7]);
        // Only the hidden one ties the two to each other.
        assert_eq!(households.members(3, |anchor| anchor != 7), [3]);
    }

    #[test]
    fn who_moved_in_with_somebody_does_not_make_one_of_two_families() {
        let chain = circle(&[1, 2, 3], &[HOME, APART, ONE]);
        assert_eq!(eldest(chain, 5, &[]), [1, 2, 2]);
    }

    #[test]
    fn what_too_many_share_is_no_household_and_one_person_counts_once() {
        let all = |tie: Tie| circle(&[1, 2, 3, 4], &[tie; 6]);
        assert_eq!(eldest(all(HOME), 4, &[]), [1, 1, 1, 1]);
        assert_eq!(eldest(all(HOME), 3, &[]), [1, 2, 3, 4]);
        assert_eq!(eldest(all(ONE), 1, &[]), [1, 1, 1, 1]);
        assert_eq!(eldest(all(HOME), 3, &[2]), [1, 1, 1], "the hidden one is not counted");
    }

    #[test]
    fn whom_only_somebody_hidden_ties_to_each_other_are_apart() {
        let three = || circle(&[1, 2, 3], &[HOME, SILENT, HOME]);
        assert_eq!(eldest(three(), 5, &[]), [1, 1, 1]);
        assert_eq!(eldest(three(), 5, &[2]), [1, 3]);
        assert_eq!(eldest(three(), 5, &[1]), [2, 2]);
    }

    fn ties() -> impl Strategy<Value = (Vec<u32>, Vec<Tie>)> {
        let tie = (-4..4_i32, any::<bool>());
        let tie = tie.prop_map(|(bits, one_person)| {
            let speaks = bits * BIT;
            Tie { speaks, weight: speaks, one_person }
        });
        (1_usize..8).prop_flat_map(move |count| {
            let members: Vec<u32> = (10..10 + count as u32).collect();
            let ties = prop::collection::vec(tie.clone(), count * (count - 1) / 2);
            (Just(members).prop_shuffle(), ties)
        })
    }

    proptest! {
        /// Answers about those who exist are those of a lake in which the others never were.
        #[test]
        fn the_hidden_do_not_matter((members, ties) in ties(), mask in 0_u32..256, people_max in 1_u32..6) {
            let whole = circle(&members, &ties);
            let hidden: Vec<u32> = members.iter().copied().filter(|member| mask >> (member - 10) & 1 == 1).collect();
            let left: Vec<u32> = members.iter().copied().filter(|member| !hidden.contains(member)).collect();
            let place = |member: u32| members.iter().position(|one| *one == member).unwrap();
            let mut between = Vec::new();
            for (at, one) in left.iter().enumerate() {
                for other in &left[at + 1..] {
                    between.push(whole.ties[whole.at(place(*one), place(*other))]);
                }
            }
            let without = circle(&left, &between);
            prop_assert_eq!(eldest(whole, people_max, &hidden), eldest(without, people_max, &[]));
        }

        #[test]
        fn circles_come_back_from_their_ties((members, ties) in ties(), (others, more) in ties()) {
            let mut households = Households::of_at_most(3);
            let others: Vec<u32> = others.iter().map(|member| member + 100).collect();
            for one in [circle(&members, &ties), circle(&others, &more)] {
                // A profile alone has no ties, and no circle.
                if one.members.len() > 1 {
                    households.add(one);
                }
            }
            let all = members.iter().chain(&others).filter_map(|anchor| Some((*anchor, households.circle(*anchor)?)));
            let mut stored: Vec<StoredTie> = all.flat_map(|(anchor, circle)| circle.ties_from(anchor)).collect();
            stored.reverse();
            prop_assert_eq!(Households::of_ties(3, stored), households);
        }
    }
}
