//! Who is whose now and who would be, subject by subject.

use std::collections::BTreeSet;

use crate::query::access::NO_SUBJECT;

/// What becomes of profiles. Each is named by its anchor, which its id follows from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Profiles now.
    pub(super) now: usize,
    /// Profiles then.
    pub(super) then: usize,
    /// Profiles that have the same subjects then.
    pub(super) unchanged: usize,
    /// Profiles whose id would lead to another one, and to which; ascending.
    pub(super) merged: Vec<(u32, u32)>,
    /// Profiles whose id would lead to nobody.
    pub(super) gone: Vec<u32>,
    /// Profiles that would come about.
    pub(super) new: Vec<u32>,
    /// Profiles of now whose subjects would not be together; ascending.
    pub(super) split: Vec<u32>,
    /// Subjects that would have another profile, or one at all, or none any more; ascending.
    pub(super) moved: Vec<u32>,
}

impl Difference {
    /// Compares the anchor of each subject now and then, [`NO_SUBJECT`] where it belongs to nobody. An anchor is the first
    /// subject of its profile.
    pub(super) fn between(before: &[u32], after: &[u32]) -> Self {
        debug_assert_eq!(before.len(), after.len());
        let mut found = Self::default();
        // Profiles that lose a subject, and those that gain one.
        let (mut split, mut grown) = (BTreeSet::new(), BTreeSet::new());
        for (subject, (&now, &then)) in (0..).zip(before.iter().zip(after)) {
            found.now += usize::from(now == subject);
            found.then += usize::from(then == subject);
            match (now == subject, then) {
                (true, NO_SUBJECT) => found.gone.push(subject),
                (true, into) if into != subject => found.merged.push((subject, into)),
                (false, anchor) if anchor == subject => found.new.push(subject),
                _ => {}
            }
            if now == then {
                continue;
            }
            found.moved.push(subject);
            if now != NO_SUBJECT && then != after[now as usize] {
                split.insert(now);
            }
            if then != NO_SUBJECT {
                grown.insert(then);
            }
        }
        let stays = |(subject, (now, then)): &(u32, (&u32, &u32))| {
            *now == subject && *then == subject && !split.contains(subject)
        };
        let stay = (0..).zip(before.iter().zip(after)).filter(stays);
        found.unchanged = stay.filter(|(subject, _)| !grown.contains(subject)).count();
        found.split = split.into_iter().collect();
        found
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const NOBODY: u32 = NO_SUBJECT;

    #[test]
    fn merges_splits_and_moves_are_told_apart() {
        // 0 and 1 become one; 2 and 3 fall apart; 4 is left alone; 5 loses everything; 6 was nobody's.
        let before = [0, 1, 2, 2, 4, 5, NOBODY];
        let after = [0, 0, 2, 3, 4, NOBODY, 6];
        let found = Difference::between(&before, &after);
        let expected = Difference {
            now: 5,
            then: 5,
            unchanged: 1,
            merged: vec![(1, 0)],
            gone: vec![5],
            new: vec![3, 6],
            split: vec![2],
            moved: vec![1, 3, 5, 6],
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_profile_whose_anchor_leaves_it_is_split() {
        // 1 goes to 0, and 2, which was with it, is a profile of its own.
        let found = Difference::between(&[0, 1, 1], &[0, 0, 2]);
        assert_eq!((found.merged, found.new, found.split), (vec![(1, 0)], vec![2], vec![1]));
        assert_eq!((found.moved, found.unchanged), (vec![1, 2], 0));
    }

    /// Anchors of a partition: subjects with one colour are one profile, the first colour is nobody's.
    fn anchors(colours: &[u8]) -> Vec<u32> {
        let mut first: BTreeMap<u8, u32> = BTreeMap::new();
        let anchor = |(subject, colour): (u32, &u8)| match *colour {
            0 => NOBODY,
            colour => *first.entry(colour).or_insert(subject),
        };
        (0..).zip(colours).map(anchor).collect()
    }

    fn profiles(anchors: &[u32]) -> BTreeMap<u32, BTreeSet<u32>> {
        let mut profiles: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for (subject, anchor) in (0..).zip(anchors).filter(|(_, anchor)| **anchor != NOBODY) {
            profiles.entry(*anchor).or_default().insert(subject);
        }
        profiles
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_figures_are_those_of_the_two_sets_of_profiles(
            colours in prop::collection::vec((0_u8..6, 0_u8..6), 0..12),
        ) {
            let (now, then): (Vec<u8>, Vec<u8>) = colours.into_iter().unzip();
            let (before, after) = (anchors(&now), anchors(&then));
            let found = Difference::between(&before, &after);
            let (now, then) = (profiles(&before), profiles(&after));
            prop_assert_eq!((found.now, found.then), (now.len(), then.len()));
            let same = now.iter().filter(|(anchor, members)| then.get(anchor) == Some(members));
            prop_assert_eq!(found.unchanged, same.count());
            let apart = |members: &BTreeSet<u32>| {
                let ends: BTreeSet<u32> = members.iter().map(|member| after[*member as usize]).collect();
                ends.len() > 1
            };
            let split: Vec<u32> =
                now.iter().filter(|(_, members)| apart(members)).map(|(anchor, _)| *anchor).collect();
            prop_assert_eq!(found.split, split);
            prop_assert_eq!(found.now + found.new.len(), found.then + found.merged.len() + found.gone.len());
            let moved = (0..).zip(before.iter().zip(&after)).filter(|(_, (now, then))| now != then);
            prop_assert_eq!(found.moved, moved.map(|(subject, _)| subject).collect::<Vec<u32>>());
        }
    }
}
