//! Consent: who allows what, and since when.
//!
//! The [ledger](crate::tables::CONSENT_LEDGER) is the truth: every row of every consent feed and every recorded answer,
//! append-only. A [`ConsentBook`] holds in memory what follows from it:
//!
//! 1. for each identifier and purpose the answer with the latest `captured_at` stands; of two at one time the stricter;
//! 2. a refusal that stands on any identifier of a person, shared ones included, refuses the purpose;
//! 3. otherwise one grant on an identifier that identifies the person allows it; no answer at all means no.
//!
//! From the book follows, for each purpose, the set of subjects that exist for it. A recorded answer changes the
//! set before it is acknowledged, so that it is in force for the next statement.

mod book;
mod feed;
mod ledger;

pub use book::{Answer, ConsentBook, Status};
pub use feed::refresh_feeds;
pub use ledger::{LedgerRow, Normalizer, append_recorded, load_answers, normalizer};

use crate::catalog::LegalBasis;
use crate::query::access::{People, SubjectSet, Visible};
use std::sync::Arc;

/// Returns whose rows exist for a purpose with this legal basis.
pub fn visible(book: &ConsentBook, people: &People, purpose: &str, basis: LegalBasis) -> Visible {
    let decide: Box<dyn Fn(Answer) -> bool> = match basis {
        LegalBasis::Contract => return Visible::Everyone,
        LegalBasis::LegalObligation => return Visible::Subjects(Arc::default()),
        LegalBasis::Consent => Box::new(|answer| answer == Answer::Granted),
        LegalBasis::LegitimateInterest => Box::new(|answer| answer != Answer::Refused),
    };
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
