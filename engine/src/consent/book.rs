//! The answers that stand, by identifier and by person.

use std::collections::HashMap;

/// What somebody answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Yes.
    Granted,
    /// No, a withdrawal, an objection, a restriction or an expiry.
    Refused,
}

impl Status {
    /// The words that a ledger may hold.
    pub const WORDS: [&'static str; 6] =
        ["granted", "denied", "withdrawn", "objected", "restricted", "expired"];

    /// Reads a ledger's word; anything but `granted` refuses.
    pub fn of(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase();
        Self::WORDS.contains(&word.as_str()).then_some(if word == "granted" {
            Status::Granted
        } else {
            Status::Refused
        })
    }
}

/// What a person's identifiers say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Some identifier allows it and none refuses.
    Granted,
    /// Some identifier refuses it.
    Refused,
    /// Nobody was asked, or the answer is not known.
    Unknown,
}

#[derive(Debug, Clone, Copy)]
struct Standing {
    status: Status,
    captured_at: i64,
}

/// The identifiers of one person.
#[derive(Debug, Default, Clone)]
struct Held {
    /// The identifier, and whether it identifies the person: a value that identifies nobody cannot grant.
    identifiers: Vec<(u32, bool)>,
}

/// The answers of a lake.
#[derive(Debug, Default, Clone)]
pub struct ConsentBook {
    identifiers: HashMap<Box<str>, u32>,
    purposes: HashMap<Box<str>, u16>,
    standing: HashMap<(u32, u16), Standing>,
    held: HashMap<u32, Held>,
    /// By identifier: whose it is.
    holders: HashMap<u32, Vec<u32>>,
}

impl ConsentBook {
    /// Notes that the person with this anchor has an identifier.
    pub fn hold(&mut self, anchor: u32, kind: &str, value: &str, identifies: bool) {
        let identifier = self.identifier(kind, value);
        self.held.entry(anchor).or_default().identifiers.push((identifier, identifies));
        self.holders.entry(identifier).or_default().push(anchor);
    }

    /// Forgets whose the identifiers are; the answers stay.
    pub fn forget_people(&mut self) {
        self.held.clear();
        self.holders.clear();
    }

    /// Forgets the answers; whose the identifiers are stays.
    pub fn forget_answers(&mut self) {
        self.standing.clear();
    }

    /// Notes an answer and returns whom it concerns.
    pub fn record(
        &mut self,
        kind: &str,
        value: &str,
        purpose: &str,
        status: Status,
        captured_at: i64,
    ) -> &[u32] {
        let identifier = self.identifier(kind, value);
        let next = self.purposes.len() as u16;
        let purpose = *self.purposes.entry(purpose.into()).or_insert(next);
        let new = Standing { status, captured_at };
        let standing = self.standing.entry((identifier, purpose)).or_insert(new);
        if (captured_at, status) > (standing.captured_at, standing.status) {
            *standing = new;
        }
        self.holders.get(&identifier).map_or(&[], Vec::as_slice)
    }

    /// Returns what the person with this anchor answers for a purpose.
    pub fn answer(&self, anchor: u32, purpose: &str) -> Answer {
        let (Some(held), Some(purpose)) = (self.held.get(&anchor), self.purposes.get(purpose))
        else {
            return Answer::Unknown;
        };
        let mut answer = Answer::Unknown;
        for (identifier, identifies) in &held.identifiers {
            match self.standing.get(&(*identifier, *purpose)).map(|standing| standing.status) {
                Some(Status::Refused) => return Answer::Refused,
                Some(Status::Granted) if *identifies => answer = Answer::Granted,
                _ => {}
            }
        }
        answer
    }

    /// Returns the people who have an identifier.
    pub fn holders(&self, kind: &str, value: &str) -> &[u32] {
        let identifier = self.identifiers.get(key(kind, value).as_str());
        identifier.and_then(|identifier| self.holders.get(identifier)).map_or(&[], Vec::as_slice)
    }

    /// Returns whether an identifier identifies those who have it.
    pub fn identifies(&self, anchor: u32, kind: &str, value: &str) -> bool {
        let Some(identifier) = self.identifiers.get(key(kind, value).as_str()) else {
            return false;
        };
        self.held.get(&anchor).is_some_and(|held| held.identifiers.contains(&(*identifier, true)))
    }

    /// Returns when the answer that stands for a person and a purpose was given: the newest that decides.
    pub fn decided_at(&self, anchor: u32, purpose: &str) -> Option<i64> {
        let answer = match self.answer(anchor, purpose) {
            Answer::Granted => Status::Granted,
            Answer::Refused => Status::Refused,
            Answer::Unknown => return None,
        };
        let (held, purpose) = (self.held.get(&anchor)?, self.purposes.get(purpose)?);
        let standing = held
            .identifiers
            .iter()
            .filter_map(|(identifier, _)| self.standing.get(&(*identifier, *purpose)));
        standing
            .filter(|standing| standing.status == answer)
            .map(|standing| standing.captured_at)
            .max()
    }

    fn identifier(&mut self, kind: &str, value: &str) -> u32 {
        let next = self.identifiers.len() as u32;
        *self.identifiers.entry(key(kind, value).into_boxed_str()).or_insert(next)
    }
}

fn key(kind: &str, value: &str) -> String {
    format!("{kind}\u{1f}{value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn book() -> ConsentBook {
        let mut book = ConsentBook::default();
        book.hold(1, "email", "a@x", true);
        book.hold(1, "phone", "+1", true);
        book.hold(2, "phone", "+1", true);
        book.hold(2, "email", "info@x", false);
        book
    }

    #[test]
    fn a_refusal_on_any_identifier_wins_and_unknown_is_no() {
        let mut book = book();
        assert_eq!(book.answer(1, "mail"), Answer::Unknown);
        book.record("email", "a@x", "mail", Status::Granted, 10);
        assert_eq!(book.answer(1, "mail"), Answer::Granted);
        assert_eq!(book.record("phone", "+1", "mail", Status::Refused, 5), [1, 2]);
        assert_eq!(
            (book.answer(1, "mail"), book.answer(2, "mail")),
            (Answer::Refused, Answer::Refused)
        );
        book.record("phone", "+1", "mail", Status::Granted, 20);
        assert_eq!(book.answer(1, "mail"), Answer::Granted);
    }

    #[test]
    fn a_value_that_identifies_nobody_refuses_but_does_not_grant() {
        let mut book = book();
        book.record("email", "info@x", "mail", Status::Granted, 1);
        assert_eq!(book.answer(2, "mail"), Answer::Unknown);
        book.record("email", "info@x", "mail", Status::Refused, 2);
        assert_eq!(book.answer(2, "mail"), Answer::Refused);
    }

    #[test]
    fn every_word_but_granted_refuses_and_others_are_no_answer() {
        assert_eq!(Status::of(" Granted"), Some(Status::Granted));
        for word in &Status::WORDS[1..] {
            assert_eq!(Status::of(word), Some(Status::Refused), "{word}");
        }
        assert_eq!(Status::of("maybe"), None);
    }

    proptest! {
        /// Answers may be learnt in any order, and a replayed one changes nothing.
        #[test]
        fn order_and_repetition_do_not_matter(
            mut rows in proptest::collection::vec((0usize..3, 0usize..2, any::<bool>(), 0i64..6), 0..30), seed in any::<u64>()
        ) {
            let play = |rows: &[(usize, usize, bool, i64)]| {
                let mut book = book();
                for (identifier, purpose, granted, at) in rows {
                    let (kind, value) = [("email", "a@x"), ("phone", "+1"), ("email", "info@x")][*identifier];
                    let status = if *granted { Status::Granted } else { Status::Refused };
                    book.record(kind, value, ["mail", "ads"][*purpose], status, *at);
                }
                [1, 2].map(|anchor| ["mail", "ads"].map(|purpose| book.answer(anchor, purpose)))
            };
            let once = play(&rows);
            rows.extend(rows.clone());
            let mut at = seed;
            for place in (1..rows.len()).rev() {
                at = at.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                rows.swap(place, (at >> 33) as usize % (place + 1));
            }
            prop_assert_eq!(once, play(&rows));
        }
    }
}
