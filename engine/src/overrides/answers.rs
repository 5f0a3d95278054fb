//! Answers about pairs of records: that two are of one person, or of two.
//!
//! One answer is one decision, with a number of its own by which it is taken back. Several that come together are in force
//! together or not at all. An answer that is in force already decides nothing new, so that a list may be applied again; one
//! that contradicts what is in force is refused, also where the contradiction needs several steps: whoever is one person with
//! somebody is one person with all whom others said that they are.

use std::collections::HashMap;

use super::ground::{Ground, contrary};
use super::pair::RecordPair;
use super::store::{self, Kind};
use super::{Added, Decision, Outcome, PAIRS_MAX, REASON_BYTES_MAX};
use crate::error::{Error, Result};
use crate::identity::{Decided, Origin, Override, RecordName, contradicted};

/// What somebody says of two records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub(super) pair: RecordPair,
    pub(super) decided: Decided,
    reason: String,
}

impl Answer {
    /// Reads an answer about the pair of this name: `same` or `different`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another word or a reason that is too long, SQLSTATE 22P02 for what names no pair.
    pub fn about(pair: &str, decision: &str, reason: &str) -> Result<Self> {
        Self::new(RecordPair::read(pair)?, decision, reason)
    }

    /// Reads an answer about two records, each by its source and its key.
    ///
    /// # Errors
    /// As [`Answer::about`].
    pub fn about_records(records: [(&str, &str); 2], decision: &str, reason: &str) -> Result<Self> {
        let [one, other] = records
            .map(|(source, key)| RecordName { source: source.to_owned(), key: key.to_owned() });
        Self::new(RecordPair::of(one, other), decision, reason)
    }

    fn new(pair: RecordPair, decision: &str, reason: &str) -> Result<Self> {
        let [one, other] = pair.records();
        if one == other {
            return Err(Error::Invalid {
                message: "the pair is one and the same record".into(),
                hint: "Name two records.".into(),
            });
        }
        let decided = match decision.trim() {
            word if word.eq_ignore_ascii_case("same") => Decided::MustLink,
            word if word.eq_ignore_ascii_case("different") => Decided::CannotLink,
            _ => {
                return Err(Error::Invalid {
                    message: "the decision is neither same nor different".into(),
                    hint: "Two records are of the 'same' person, or of 'different' people.".into(),
                });
            }
        };
        if reason.len() > REASON_BYTES_MAX {
            return Err(Error::Invalid {
                message: format!("the reason is longer than {REASON_BYTES_MAX} bytes"),
                hint: "Make it short.".into(),
            });
        }
        Ok(Self { pair, decided, reason: reason.to_owned() })
    }

    /// Names an answer in messages: its place among several.
    fn name(at: usize, all: &[Answer]) -> String {
        if all.len() == 1 { "the pair".into() } else { format!("pair {} of {}", at + 1, all.len()) }
    }
}

impl Ground<'_> {
    /// Returns the rows that answers add.
    pub(super) fn answers(&self, answers: &[Answer]) -> Result<Vec<Added>> {
        if answers.len() > PAIRS_MAX {
            return Err(Error::Limit {
                sqlstate: "54000",
                message: format!("there are more than {PAIRS_MAX} pairs to decide about"),
                hint: "Decide about them in several statements.".into(),
            });
        }
        let mut known = self.known();
        let mut added = Vec::new();
        let mut number = self.next_number();
        for (at, answer) in answers.iter().enumerate() {
            let [left, right] = answer.pair.records();
            if !self.is_seen(left) || !self.is_seen(right) {
                return Err(Error::Standard {
                    sqlstate: "42704",
                    message: format!(
                        "{} names a record that is in no profile",
                        Answer::name(at, answers)
                    ),
                    hint: "SELECT source, record_key FROM profile_records lists those that your purpose lets you see; those of sources with a PERSON clause can be decided about.".into(),
                });
            }
            if known.insert((answer.pair.clone(), answer.decided), number).is_some() {
                continue;
            }
            added.push(Added {
                number,
                kind: Kind::of(answer.decided),
                left: left.clone(),
                right: right.clone(),
                reason: answer.reason.clone(),
            });
            number += 1;
        }
        self.expect_agreement(&added)?;
        Ok(added)
    }

    /// Returns what comes of answers that are all in force already.
    pub(super) fn nothing_new(&self, decision: &Decision) -> Outcome {
        let answers = match decision {
            Decision::Answer(answers) => answers.as_slice(),
            _ => &[],
        };
        let known = self.known();
        let first = answers.first().map(|answer| (answer.pair.clone(), answer.decided));
        let records = answers.iter().flat_map(|answer| answer.pair.records());
        let anchors = self.memory.anchors_of(records).into_iter();
        let mut profiles: Vec<i64> =
            anchors.filter_map(|anchor| self.access.profile_id(anchor)).collect();
        profiles.sort_unstable();
        let number = first.and_then(|first| known.get(&first).copied()).unwrap_or(0);
        Outcome { number, added: 0, profiles }
    }

    /// Returns what is in force about pairs, with its number.
    fn known(&self) -> HashMap<(RecordPair, Decided), i64> {
        let in_force = store::standing(&self.kept.pairs).into_iter();
        let known = in_force.filter_map(|row| {
            let pair = RecordPair::of(row.left.clone(), row.right.clone());
            Some(((pair, row.kind.decided()?), row.number))
        });
        known.collect()
    }

    /// Whether a record is in a profile that the session sees.
    fn is_seen(&self, record: &RecordName) -> bool {
        let mut anchors = self.memory.anchors_of([record]).into_iter();
        anchors.next().is_some_and(|anchor| self.access.profile_id(anchor).is_some())
    }

    /// Fails if what is added contradicts what is in force, or itself.
    fn expect_agreement(&self, added: &[Added]) -> Result<()> {
        let standing = store::standing(&self.kept.pairs).into_iter();
        let before = standing.map(|row| (row.number, row.kind, &row.left, &row.right));
        let new = added.iter().map(|row| (row.number, row.kind, &row.left, &row.right));
        let pairs = before.chain(new).filter_map(|(number, kind, left, right)| {
            let decided = kind.decided()?;
            let origin = Origin::Decision(u32::try_from(number).ok()?);
            Some(Override { origin, decided, left: left.clone(), right: right.clone() })
        });
        let pairs: Vec<Override> = pairs.chain(self.kept.followed.iter().cloned()).collect();
        let first_new = added.first().map_or(i64::MAX, |row| row.number);
        let is_new = |pair: &Override| match &pair.origin {
            Origin::Decision(number) => i64::from(*number) >= first_new,
            Origin::Followed(_) => false,
        };
        let found = contradicted(&pairs).into_iter().enumerate().find_map(|(at, by)| {
            let (must, cannot) = (&pairs[at], &pairs[by?]);
            (is_new(must) || is_new(cannot)).then_some((must, cannot))
        });
        let Some((must, cannot)) = found else { return Ok(()) };
        let named = |pair: &Override| RecordPair::of(pair.left.clone(), pair.right.clone()).text();
        let (new, refusal) = match (is_new(must), is_new(cannot)) {
            (true, true) => {
                let (must, cannot) = (named(must), named(cannot));
                return Err(Error::Standard {
                    sqlstate: "23P01",
                    message: format!(
                        "the pairs contradict each other: {must} is of one person, {cannot} of two people"
                    ),
                    hint: "Look for pairs that lead from the records of the one to those of the other."
                        .into(),
                });
            }
            (true, false) => (must, contrary(cannot)),
            (false, _) => (cannot, contrary(must)),
        };
        // Of many, it is told which one.
        Err(match refusal {
            Error::Standard { sqlstate, message, hint } if added.len() > 1 => {
                Error::Standard { sqlstate, message: format!("{}: {message}", named(new)), hint }
            }
            refusal => refusal,
        })
    }
}
