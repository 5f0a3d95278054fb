//! What a decision comes to: the rows that it adds to the log, or why it cannot be taken.

use std::collections::BTreeSet;

use super::store::{self, Entry as Row, Kind};
use super::{Added, AddedClass, Adds, Decision, Kept, PAIRS_MAX, Part, classed};
use crate::catalog::Published;
use crate::consent::normalizer;
use crate::error::{Error, Result};
use crate::identity::{Decided, Origin, Override, ProfileIds, RecordName, ValueClass};
use crate::identity_refresh::Memory;
use crate::query::access::Access;

/// What a decision is judged by.
pub(super) struct Ground<'a> {
    pub(super) published: &'a Published,
    pub(super) memory: &'a Memory,
    pub(super) kept: &'a Kept,
    pub(super) access: &'a Access,
}

impl Ground<'_> {
    /// Returns what a decision adds to the logs, with the reason that was given for all of it.
    pub(super) fn adds_of(&self, decision: &Decision, reason: &str) -> Result<Adds> {
        match decision {
            Decision::Merge(profiles) => self.merge(profiles, reason).map(Adds::Pairs),
            Decision::Split(profile, part) => self.split(*profile, part, reason).map(Adds::Pairs),
            Decision::Revoke(number) => self.revoke(*number, reason).map(Adds::Pairs),
            Decision::Answer(answers) => self.answers(answers).map(Adds::Pairs),
            Decision::Classify(kind, value, class) => {
                self.classify(kind, value, *class).map(Adds::Class)
            }
        }
    }

    /// Classes an identifier. Whether anybody carries it does not matter, and is not told.
    fn classify(&self, kind: &str, value: &str, class: Option<ValueClass>) -> Result<AddedClass> {
        let normalizer = normalizer(self.published)?.ok_or_else(|| Error::Missing {
            kind: "identifier kind",
            name: kind.into(),
            hint: "Create an identity graph and refresh: it says which kinds there are.".into(),
        })?;
        let value = normalizer.normalize(kind, value)?;
        let standing = classed::standing(&self.kept.values);
        let standing =
            standing.into_iter().find(|entry| entry.kind == kind && entry.value == value);
        let number = match (standing, class) {
            (None, None) => {
                return Err(Error::Standard {
                    sqlstate: "42704",
                    message: format!(
                        "nobody decided whom this identifier of kind \"{kind}\" identifies"
                    ),
                    hint: "SELECT kind, value, class FROM identifier_overrides WHERE status = 'in force' lists what is decided.".into(),
                });
            }
            (Some(entry), Some(_)) if entry.class == class => {
                return Err(Error::Invalid {
                    message: format!("identifier override {} says so already", entry.number),
                    hint: "RESET CLASS takes it back.".into(),
                });
            }
            (Some(entry), None) => entry.number,
            (_, Some(_)) => {
                let numbers = self.kept.values.iter().map(|entry| entry.number);
                numbers.max().unwrap_or(0) + 1
            }
        };
        Ok(AddedClass { number, kind: kind.to_owned(), value, class })
    }

    fn merge(&self, profiles: &[i64], reason: &str) -> Result<Vec<Added>> {
        if profiles.len() < 2 {
            return Err(Error::Invalid {
                message: "one profile alone cannot be merged".into(),
                hint: "Name at least two: MERGE PROFILES a, b REASON '...'.".into(),
            });
        }
        let mut parts: Vec<(i64, Vec<RecordName>)> = Vec::new();
        for &profile in profiles {
            if parts.iter().any(|(known, _)| *known == profile) {
                return Err(Error::Invalid {
                    message: format!("profile {profile} is named twice"),
                    hint: "Name each profile once.".into(),
                });
            }
            let records = self.memory.records_of(self.anchor(profile)?);
            if records.is_empty() {
                return Err(Error::Unsupported {
                    what: format!("merging profile {profile}, which has no record of a person,"),
                    hint: "Events follow their identifiers: add one of them to a record.".into(),
                });
            }
            parts.push((profile, records));
        }
        for (at, (_, left)) in parts.iter().enumerate() {
            for (_, right) in &parts[at + 1..] {
                self.expect_none(Decided::CannotLink, left, right)?;
            }
        }
        let number = self.next_number();
        let mut oldest = parts.into_iter().filter_map(|(_, mut records)| {
            records.truncate(1);
            records.pop()
        });
        let Some(left) = oldest.next() else { return Ok(vec![]) };
        let link = |right| Added {
            number,
            kind: Kind::MustLink,
            left: left.clone(),
            right,
            reason: reason.to_owned(),
        };
        Ok(oldest.map(link).collect())
    }

    fn split(&self, profile: i64, part: &Part, reason: &str) -> Result<Vec<Added>> {
        let anchor = self.anchor(profile)?;
        let records = self.memory.records_of(anchor);
        let named = match part {
            Part::Records(named) => self.named(profile, &records, named)?,
            Part::Carriers(kind, value) => self.carriers(profile, anchor, kind, value)?,
        };
        let (named, rest): (Vec<RecordName>, Vec<RecordName>) =
            records.into_iter().partition(|record| named.contains(record));
        if rest.is_empty() {
            return Err(Error::Invalid {
                message: format!("nothing would be left of profile {profile}"),
                hint: "Name the records that are somebody else's, and not all of them.".into(),
            });
        }
        if named.len().saturating_mul(rest.len()) > PAIRS_MAX {
            return Err(Error::Limit {
                sqlstate: "54000",
                message: format!("the split tells more than {PAIRS_MAX} pairs of records apart"),
                hint: "Block the values that join so many records in the identity graph.".into(),
            });
        }
        self.expect_none(Decided::MustLink, &named, &rest)?;
        let number = self.next_number();
        let pairs = named.iter().flat_map(|left| rest.iter().map(move |right| (left, right)));
        let apart = pairs.map(|(left, right)| {
            let (left, right, reason) = (left.clone(), right.clone(), reason.to_owned());
            Added { number, kind: Kind::CannotLink, left, right, reason }
        });
        Ok(apart.collect())
    }

    /// Finds records of a profile by the names that were given.
    fn named(
        &self,
        profile: i64,
        records: &[RecordName],
        named: &[(String, String)],
    ) -> Result<BTreeSet<RecordName>> {
        let mut found = BTreeSet::new();
        for (at, (source, key)) in named.iter().enumerate() {
            let record = RecordName { source: source.clone(), key: key.clone() };
            if !records.contains(&record) {
                return Err(Error::Standard {
                    sqlstate: "42704",
                    message: format!(
                        "record {} of the list is none of source \"{source}\" in profile {profile}",
                        at + 1
                    ),
                    hint: format!(
                        "SELECT source, record_key FROM profile_records WHERE profile_id = {profile} lists the records; those of sources with a PERSON clause can be split off."
                    ),
                });
            }
            if !found.insert(record) {
                return Err(Error::Invalid {
                    message: format!("record {} of the list is named twice", at + 1),
                    hint: "Name each record once.".into(),
                });
            }
        }
        Ok(found)
    }

    /// Finds the records of a profile that carry an identifier.
    fn carriers(
        &self,
        profile: i64,
        anchor: u32,
        kind: &str,
        value: &str,
    ) -> Result<BTreeSet<RecordName>> {
        let missing = || Error::Standard {
            sqlstate: "42704",
            message: format!(
                "no record of profile {profile} has this identifier of kind \"{kind}\""
            ),
            hint: format!(
                "SELECT kind, value FROM profile_identifiers WHERE profile_id = {profile} lists those it has."
            ),
        };
        let normalizer = normalizer(self.published)?.ok_or_else(missing)?;
        let normal = normalizer.normalize(kind, value)?;
        let found = self.memory.records_with(anchor, kind, &normal);
        if found.is_empty() { Err(missing()) } else { Ok(found.into_iter().collect()) }
    }

    fn revoke(&self, number: i64, reason: &str) -> Result<Vec<Added>> {
        let standing = store::standing(&self.kept.pairs);
        let rows: Vec<&Row> = standing.into_iter().filter(|row| row.number == number).collect();
        if rows.is_empty() || !rows.iter().all(|row| self.sees(row)) {
            return Err(Error::Missing {
                kind: "identity override",
                name: number.to_string(),
                hint: "SELECT number, status FROM identity_overrides lists what there is.".into(),
            });
        }
        let back = |row: &Row| Added {
            number,
            kind: Kind::Revocation,
            left: row.left.clone(),
            right: row.right.clone(),
            reason: reason.to_owned(),
        };
        Ok(rows.into_iter().map(back).collect())
    }

    /// Whether the session sees the people of both records.
    fn sees(&self, row: &Row) -> bool {
        [&row.left, &row.right].into_iter().all(|record| {
            let anchors = self.memory.anchors_of([record]);
            anchors.into_iter().all(|anchor| self.access.profile_id(anchor).is_some())
        })
    }

    /// Returns the anchor of a profile that the session sees. An id that became another one's leads to no profile, and
    /// somebody hidden is answered for as somebody who is not there.
    fn anchor(&self, profile: i64) -> Result<u32> {
        let ids = ProfileIds::new(self.published.state.profile_key()?);
        let anchor = crate::segment::anchor_of(&ids, &self.access.people, profile);
        anchor.filter(|anchor| self.access.profile_id(*anchor) == Some(profile)).ok_or_else(|| {
            Error::Missing {
                kind: "profile",
                name: profile.to_string(),
                hint: "SELECT profile_id FROM profiles shows whom your purpose lets you see; an id that was merged is another one's now.".into(),
            }
        })
    }

    /// Fails if a decision that is in force says the contrary of what is to be decided about two parts.
    fn expect_none(
        &self,
        decided: Decided,
        left: &[RecordName],
        right: &[RecordName],
    ) -> Result<()> {
        let between = |pair: &&Override| {
            (left.contains(&pair.left) && right.contains(&pair.right))
                || (left.contains(&pair.right) && right.contains(&pair.left))
        };
        let decisions = store::overrides(&self.kept.pairs);
        let mut said = decisions.iter().chain(&self.kept.followed);
        match said.find(|pair| pair.decided == decided && between(pair)) {
            Some(pair) => Err(contrary(pair)),
            None => Ok(()),
        }
    }

    pub(super) fn next_number(&self) -> i64 {
        self.kept.pairs.iter().map(|row| row.number).max().unwrap_or(0) + 1
    }
}

/// The refusal of a decision that contradicts one which is in force.
pub(super) fn contrary(said: &Override) -> Error {
    let whose = match said.decided {
        Decided::MustLink => "one person",
        Decided::CannotLink => "two people",
    };
    let (who, hint) = match &said.origin {
        Origin::Decision(number) => (
            format!("identity override {number} says"),
            format!("DROP IDENTITY OVERRIDE {number} takes it back, if it is wrong."),
        ),
        Origin::Followed(name) => (
            format!("a row of identity overrides \"{name}\" says"),
            "Change what they read, if it is wrong, and refresh.".to_owned(),
        ),
    };
    let message = format!("{who} that records of these are of {whose}");
    Error::Standard { sqlstate: "23P01", message, hint }
}
