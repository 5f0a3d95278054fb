//! The answers that stand, by identifier and by person.

use std::collections::{BTreeSet, HashMap};

use super::ledger::RECORDED;
use crate::identity::Interner;

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

/// What an identifier is to a person who has it. Whatever it is, a refusal by it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// It identifies them, and so can grant.
    Identifies,
    /// It identifies nobody.
    Nobodys,
    /// A record of theirs carried it until it was corrected or deleted. Who writes from a mailbox of old is heard; whether that
    /// is they or the one whom the record was about is not known.
    Former,
}

/// An identifier as a person has it.
#[derive(Debug, Clone, Copy)]
struct Held {
    identifier: u32,
    holding: Holding,
}

/// A person as somebody who has an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The oldest subject of their profile.
    pub anchor: u32,
    /// What the identifier is to them.
    pub holding: Holding,
}

/// What was made of the rows that a feed gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedCounts {
    /// Rows that are answers.
    pub answers: u64,
    /// Rows that say nothing: a column is null, or the identifier is none of a kind that the graph has.
    pub not_understood: u64,
}

/// The answers of a lake.
#[derive(Debug, Default)]
pub struct ConsentBook {
    /// Kinds and values, as [`write_key`] joins them.
    identifiers: Interner,
    purposes: HashMap<Box<str>, u16>,
    standing: HashMap<(u32, u16), Standing>,
    /// By anchor.
    held: Vec<Vec<Held>>,
    /// By identifier: whose it is.
    holders: Vec<Vec<Holder>>,
    scratch: String,
    feeds: Vec<(Box<str>, FeedCounts)>,
    /// The version of the identity graph whose normal forms the answers are in.
    graph: Option<u64>,
}

impl ConsentBook {
    /// Notes that the person with this anchor has an identifier.
    pub fn hold(&mut self, anchor: u32, kind: &str, value: &str, holding: Holding) {
        let identifier = self.identifier(kind, value);
        if self.held.len() <= anchor as usize {
            self.held.resize(anchor as usize + 1, Vec::new());
        }
        self.held[anchor as usize].push(Held { identifier, holding });
        self.holders[identifier as usize].push(Holder { anchor, holding });
    }

    /// Forgets which identifiers the people with these anchors have. Those who have an identifier are gone through once, however
    /// many of them these are.
    pub fn release(&mut self, anchors: &BTreeSet<u32>) {
        let mut identifiers: Vec<u32> = Vec::new();
        for anchor in anchors {
            if let Some(held) = self.held.get_mut(*anchor as usize) {
                identifiers.extend(std::mem::take(held).into_iter().map(|held| held.identifier));
            }
        }
        identifiers.sort_unstable();
        identifiers.dedup();
        for identifier in identifiers {
            self.holders[identifier as usize].retain(|holder| !anchors.contains(&holder.anchor));
        }
    }

    /// Forgets whose the identifiers are; the answers stay.
    pub fn release_all(&mut self) {
        self.held.clear();
        self.holders.iter_mut().for_each(Vec::clear);
    }

    /// Forgets the answers; whose the identifiers are stays.
    pub fn forget_answers(&mut self) {
        self.standing.clear();
        self.feeds.clear();
        self.graph = None;
    }

    /// Returns what was made of the rows of each feed, by its name.
    pub fn feeds(&self) -> impl Iterator<Item = (&str, FeedCounts)> {
        self.feeds.iter().map(|(name, counts)| (&**name, *counts))
    }

    /// Returns the number under which rows of a feed are counted.
    pub(super) fn feed(&mut self, name: &str) -> usize {
        let known = self.feeds.iter().position(|(known, _)| **known == *name);
        known.unwrap_or_else(|| {
            self.feeds.push((name.into(), FeedCounts::default()));
            self.feeds.len() - 1
        })
    }

    /// Counts an answer that a statement recorded.
    pub fn count_recorded(&mut self) {
        let feed = self.feed(RECORDED);
        self.count(feed, true);
    }

    pub(super) fn count(&mut self, feed: usize, understood: bool) {
        let counts = &mut self.feeds[feed].1;
        match understood {
            true => counts.answers += 1,
            false => counts.not_understood += 1,
        }
    }

    /// Tells whether the answers are in the normal forms of this version of the identity graph.
    pub fn is_of_graph(&self, version: u64) -> bool {
        self.graph == Some(version)
    }

    pub(super) fn set_graph(&mut self, version: u64) {
        self.graph = Some(version);
    }

    /// Notes an answer, and returns the number of its identifier if those who have that may answer otherwise than before.
    pub fn record(
        &mut self,
        kind: &str,
        value: &str,
        purpose: &str,
        status: Status,
        captured_at: i64,
    ) -> Option<u32> {
        let identifier = self.identifier(kind, value);
        let purpose = match self.purposes.get(purpose) {
            Some(purpose) => *purpose,
            None => {
                let next = self.purposes.len() as u16;
                self.purposes.insert(purpose.into(), next);
                next
            }
        };
        let new = Standing { status, captured_at };
        let mut is_other = false;
        let standing = self.standing.entry((identifier, purpose)).or_insert_with(|| {
            is_other = true;
            new
        });
        if (captured_at, status) > (standing.captured_at, standing.status) {
            is_other = standing.status != status;
            *standing = new;
        }
        is_other.then_some(identifier)
    }

    /// Returns what the person with this anchor answers for a purpose.
    pub fn answer(&self, anchor: u32, purpose: &str) -> Answer {
        let Some(purpose) = self.purposes.get(purpose) else { return Answer::Unknown };
        let mut answer = Answer::Unknown;
        for held in self.held_by(anchor) {
            let standing = self.standing.get(&(held.identifier, *purpose));
            match standing.map(|standing| standing.status) {
                Some(Status::Refused) => return Answer::Refused,
                Some(Status::Granted) if held.holding == Holding::Identifies => {
                    answer = Answer::Granted;
                }
                _ => {}
            }
        }
        answer
    }

    /// Returns the people who have an identifier.
    pub fn holders(&self, kind: &str, value: &str) -> &[Holder] {
        self.known(kind, value).map_or(&[], |identifier| self.holders_of(identifier))
    }

    /// As [`holders`](Self::holders), by the number of the identifier.
    pub fn holders_of(&self, identifier: u32) -> &[Holder] {
        &self.holders[identifier as usize]
    }

    /// Returns when the answer that stands for a person and a purpose was given: the newest that decides.
    pub fn decided_at(&self, anchor: u32, purpose: &str) -> Option<i64> {
        let answer = match self.answer(anchor, purpose) {
            Answer::Granted => Status::Granted,
            Answer::Refused => Status::Refused,
            Answer::Unknown => return None,
        };
        let purpose = self.purposes.get(purpose)?;
        let decides =
            |held: &&Held| answer == Status::Refused || held.holding == Holding::Identifies;
        let standing = self
            .held_by(anchor)
            .iter()
            .filter(decides)
            .filter_map(|held| self.standing.get(&(held.identifier, *purpose)));
        standing
            .filter(|standing| standing.status == answer)
            .map(|standing| standing.captured_at)
            .max()
    }

    fn held_by(&self, anchor: u32) -> &[Held] {
        self.held.get(anchor as usize).map_or(&[], Vec::as_slice)
    }

    fn known(&self, kind: &str, value: &str) -> Option<u32> {
        let mut key = String::new();
        write_key(&mut key, kind, value);
        self.identifiers.get(&key)
    }

    fn identifier(&mut self, kind: &str, value: &str) -> u32 {
        write_key(&mut self.scratch, kind, value);
        let identifier = self.identifiers.intern(&self.scratch);
        if self.holders.len() <= identifier as usize {
            self.holders.push(Vec::new());
        }
        identifier
    }
}

fn write_key(key: &mut String, kind: &str, value: &str) {
    key.clear();
    key.push_str(kind);
    key.push('\u{1f}');
    key.push_str(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn book() -> ConsentBook {
        let mut book = ConsentBook::default();
        book.hold(1, "email", "a@x", Holding::Identifies);
        book.hold(1, "phone", "+1", Holding::Identifies);
        book.hold(2, "phone", "+1", Holding::Identifies);
        book.hold(2, "email", "info@x", Holding::Nobodys);
        book
    }

    /// Notes an answer, and returns the anchors of those who may answer otherwise.
    fn concerned(
        book: &mut ConsentBook,
        kind: &str,
        value: &str,
        status: Status,
        at: i64,
    ) -> Vec<u32> {
        let identifier = book.record(kind, value, "mail", status, at);
        let holders = identifier.into_iter().flat_map(|identifier| book.holders_of(identifier));
        holders.map(|holder| holder.anchor).collect()
    }

    #[test]
    fn a_refusal_on_any_identifier_wins_and_unknown_is_no() {
        let mut book = book();
        assert_eq!(book.answer(1, "mail"), Answer::Unknown);
        book.record("email", "a@x", "mail", Status::Granted, 10);
        assert_eq!(book.answer(1, "mail"), Answer::Granted);
        assert_eq!(concerned(&mut book, "phone", "+1", Status::Refused, 5), [1, 2]);
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
    fn a_former_identifier_refuses_but_does_not_grant() {
        let mut book = book();
        book.hold(1, "email", "old@x", Holding::Former);
        book.hold(3, "email", "old@x", Holding::Identifies);
        assert_eq!(concerned(&mut book, "email", "old@x", Status::Granted, 1), [1, 3]);
        let answers = [1, 3].map(|anchor| book.answer(anchor, "mail"));
        assert_eq!(answers, [Answer::Unknown, Answer::Granted]);
        book.record("email", "a@x", "mail", Status::Granted, 0);
        assert_eq!(book.decided_at(1, "mail"), Some(0), "it did not decide");
        book.record("email", "old@x", "mail", Status::Refused, 2);
        book.record("email", "a@x", "mail", Status::Granted, 3);
        assert_eq!([1, 3].map(|anchor| book.answer(anchor, "mail")), [Answer::Refused; 2]);
        let holders = book.holders("email", "old@x").iter().map(|holder| holder.holding);
        assert_eq!(holders.collect::<Vec<_>>(), [Holding::Former, Holding::Identifies]);
        assert!(book.holders("email", "new@x").is_empty());
        book.release(&BTreeSet::from([1, 2]));
        assert_eq!(book.answer(1, "mail"), Answer::Unknown);
        let left = Holder { anchor: 3, holding: Holding::Identifies };
        assert_eq!(book.holders("email", "old@x"), [left]);
        assert_eq!(book.answer(3, "mail"), Answer::Refused);
    }

    #[test]
    fn an_answer_that_changes_nothing_concerns_nobody() {
        let mut book = book();
        assert_eq!(concerned(&mut book, "phone", "+1", Status::Granted, 5), [1, 2]);
        for (status, at) in [(Status::Granted, 7), (Status::Granted, 7), (Status::Refused, 6)] {
            let concerned = concerned(&mut book, "phone", "+1", status, at);
            assert!(concerned.is_empty(), "{status:?} {at}");
        }
        assert_eq!(book.decided_at(1, "mail"), Some(7));
        // Of two at one time the stricter one.
        assert_eq!(concerned(&mut book, "phone", "+1", Status::Refused, 7), [1, 2]);
        assert_eq!(book.answer(1, "mail"), Answer::Refused);
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
