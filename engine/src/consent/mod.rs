//! Consent: who allows what, and since when.
//!
//! The [ledger](crate::tables::CONSENT_LEDGER) is the truth: every row of every consent feed and every recorded answer,
//! append-only. A [`ConsentBook`] holds in memory what follows from it:
//!
//! 1. for each identifier and purpose the answer with the latest `captured_at` stands; of two at one time the stricter;
//! 2. a refusal that stands on any identifier of a person, shared ones included, refuses the purpose;
//! 3. otherwise one grant on an identifier that identifies the person allows it; no answer at all means no.
//!
//! What a record carried before it was corrected counts as an identifier of its person that can refuse and cannot grant. So does
//! what a record carried that is gone, for those who would be one person with it; and a refusal that came with its rows stays.
//!
//! From the book follows, for each purpose, the set of subjects that exist for it. A recorded answer changes the
//! set before it is acknowledged, so that it is in force for the next statement.

mod book;
mod deleted;
mod feed;
mod ground;
mod learnt;
mod ledger;
mod record;

pub use book::{Answer, ConsentBook, FeedCounts, Holder, Holding, Status};
pub use feed::{FeedReport, feed_coverage, refresh_feeds};
pub use ground::check_feed;
pub use ledger::{Answers, LedgerRow, Normalizer, append_recorded, graph_version, normalizer};

use crate::catalog::LegalBasis;
use crate::query::access::{People, SubjectSet, Visible};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Returns whose rows exist for a purpose with this legal basis.
pub fn visible(book: &ConsentBook, people: &People, purpose: &str, basis: LegalBasis) -> Visible {
    let Some(decide) = decision(basis) else { return everyone_or_nobody(basis) };
    let mut allowed = SubjectSet::with_capacity(people.subject_count());
    for (anchor, _) in people.profiles() {
        if decide(book.answer(anchor, purpose)) {
            allowed.insert(anchor);
        }
    }
    let mut subjects = SubjectSet::with_capacity(people.subject_count());
    for subject in 0..people.subject_count() as u32 {
        if people.anchor(subject).is_some_and(|anchor| allowed.contains(anchor)) {
            subjects.insert(subject);
        }
    }
    Visible::Subjects(Arc::new(subjects))
}

/// As [`visible`], where only the people with the anchors `changed` may be others, or answer otherwise, than in `before`.
pub fn revised(
    book: &ConsentBook,
    people: &People,
    purpose: &str,
    basis: LegalBasis,
    before: &Visible,
    changed: &BTreeSet<u32>,
) -> Visible {
    let (Some(decide), Visible::Subjects(before)) = (decision(basis), before) else {
        return visible(book, people, purpose, basis);
    };
    if changed.is_empty() {
        return Visible::Subjects(Arc::clone(before));
    }
    let mut revised = SubjectSet::with_capacity(people.subject_count());
    let mut allowed = revised.clone();
    for anchor in changed {
        revised.insert(*anchor);
        if decide(book.answer(*anchor, purpose)) {
            allowed.insert(*anchor);
        }
    }
    let mut subjects = (**before).clone();
    for subject in 0..people.subject_count() as u32 {
        match people.anchor(subject) {
            Some(anchor) if !revised.contains(anchor) => {}
            Some(anchor) if allowed.contains(anchor) => subjects.insert(subject),
            _ => subjects.remove(subject),
        }
    }
    Visible::Subjects(Arc::new(subjects))
}

/// As [`revised`], where everybody is in the profile in which they were and only answers are others: then nobody else is
/// looked at, as soon as `people` knows the subjects of each profile.
pub fn answered(
    book: &ConsentBook,
    people: &People,
    purpose: &str,
    basis: LegalBasis,
    before: &Visible,
    changed: &BTreeSet<u32>,
) -> Visible {
    let anew = || revised(book, people, purpose, basis, before, changed);
    let (Some(decide), Visible::Subjects(was)) = (decision(basis), before) else { return anew() };
    if changed.is_empty() {
        return Visible::Subjects(Arc::clone(was));
    }
    let ids: Vec<i64> = changed.iter().filter_map(|anchor| people.profile_id(*anchor)).collect();
    let Some(subjects) = people.subjects_at_once(&ids) else { return anew() };
    // A person is asked once, however many subjects they are.
    let asked = changed.iter().copied();
    let allowed: SubjectSet =
        asked.filter(|anchor| decide(book.answer(*anchor, purpose))).collect();
    let mut visible = (**was).clone();
    for subject in subjects {
        match people.anchor(subject).is_some_and(|anchor| allowed.contains(anchor)) {
            true => visible.insert(subject),
            false => visible.remove(subject),
        }
    }
    Visible::Subjects(Arc::new(visible))
}

/// Which answers allow a purpose with this legal basis; `None` if nobody is asked.
fn decision(basis: LegalBasis) -> Option<fn(Answer) -> bool> {
    match basis {
        LegalBasis::Contract | LegalBasis::LegalObligation => None,
        LegalBasis::Consent => Some(|answer| answer == Answer::Granted),
        LegalBasis::LegitimateInterest => Some(|answer| answer != Answer::Refused),
    }
}

fn everyone_or_nobody(basis: LegalBasis) -> Visible {
    match basis {
        LegalBasis::Contract => Visible::Everyone,
        _ => Visible::Subjects(Arc::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::access::NO_SUBJECT;
    use proptest::prelude::*;

    /// Five subjects of up to five people, each with an identifier of its own.
    fn people(anchors: &[u32]) -> People {
        let ids = anchors.iter().map(|anchor| i64::from(*anchor) + 1).collect();
        People::new(1, ids, anchors.to_vec())
    }

    fn hold(book: &mut ConsentBook, anchors: &[u32]) {
        for (subject, anchor) in anchors.iter().enumerate().filter(|(_, at)| **at != NO_SUBJECT) {
            book.hold(*anchor, "id", &subject.to_string(), Holding::Identifies);
        }
    }

    /// Notes what a subject says, and returns the anchors of those who may answer otherwise.
    fn record(book: &mut ConsentBook, subject: u32, status: Status, at: i64) -> BTreeSet<u32> {
        let identifier = book.record("id", &subject.to_string(), "mail", status, at);
        let holders = identifier.into_iter().flat_map(|identifier| book.holders_of(identifier));
        holders.map(|holder| holder.anchor).collect()
    }

    /// Profiles over five subjects, the smallest of each its anchor; some subjects are nobody's.
    fn partitions() -> impl Strategy<Value = Vec<u32>> {
        proptest::collection::vec(proptest::option::of(0u32..3), 5).prop_map(|groups| {
            let first = |group: &Option<u32>| groups.iter().position(|other| other == group);
            let anchor = |group: &Option<u32>| group.and(first(group)).map(|at| at as u32);
            groups.iter().map(|group| anchor(group).unwrap_or(NO_SUBJECT)).collect()
        })
    }

    proptest! {
        /// Deciding anew for those who changed is deciding anew for all.
        #[test]
        fn revising_is_deciding_anew(
            before in partitions(), after in partitions(),
            first in proptest::collection::vec((0u32..5, any::<bool>()), 0..6),
            second in proptest::collection::vec((0u32..5, any::<bool>()), 0..6),
        ) {
            let status = |granted| if granted { Status::Granted } else { Status::Refused };
            for basis in [LegalBasis::Consent, LegalBasis::LegitimateInterest] {
                let mut book = ConsentBook::default();
                hold(&mut book, &before);
                for (at, (subject, granted)) in first.iter().enumerate() {
                    book.record("id", &subject.to_string(), "mail", status(*granted), at as i64);
                }
                let was = visible(&book, &people(&before), "mail", basis);
                let mut changed: BTreeSet<u32> = BTreeSet::new();
                for (old, new) in before.iter().zip(&after).filter(|(old, new)| old != new) {
                    changed.extend([*old, *new].into_iter().filter(|anchor| *anchor != NO_SUBJECT));
                }
                book.release(&changed);
                for (subject, anchor) in after.iter().enumerate() {
                    if changed.contains(anchor) {
                        book.hold(*anchor, "id", &subject.to_string(), Holding::Identifies);
                    }
                }
                for (at, (subject, granted)) in second.iter().enumerate() {
                    let at = (first.len() + at) as i64;
                    changed.extend(record(&mut book, *subject, status(*granted), at));
                }
                let after = people(&after);
                let revised = revised(&book, &after, "mail", basis, &was, &changed);
                let anew = visible(&book, &after, "mail", basis);
                prop_assert!((0..5).all(|subject| revised.contains(subject) == anew.contains(subject)));
                // The first time nobody knows yet who is in a profile.
                for (at, granted) in [(100, false), (101, true), (102, false)] {
                    let concerned = record(&mut book, 0, status(granted), at);
                    let answered = answered(&book, &after, "mail", basis, &revised, &concerned);
                    let anew = visible(&book, &after, "mail", basis);
                    prop_assert!((0..5).all(|subject| answered.contains(subject) == anew.contains(subject)));
                    after.subjects(&[1]);
                }
            }
        }
    }
}
