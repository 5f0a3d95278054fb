//! Overrides: what people decide about who is who, past all rules.
//!
//! `MERGE PROFILES` says that profiles are one person, `SPLIT PROFILE` that some records of a profile are somebody else's.
//! Both are kept as pairs of records in a log, never as profile ids, so that a rebuild comes to the same; taking one
//! back is one more row of it. A decision is in force with its statement: the log, the graph and the profiles of those whom
//! it touches are one publication, so that whoever reads sees all of it or nothing, and so does whoever comes after a
//! crash. Segments follow with their next refresh, as after any other change of profiles.
//!
//! A merge draws a must-link between the oldest records of the profiles. A split draws a cannot-link between each record
//! that is named and each one that is not: then no chain of edges can bring two of them together again. What either of the
//! two parts hangs together by is left to the rules. A decision that contradicts one which is in force is refused.
//!
//! Consent follows from identifiers, as ever: each part holds what its own records carry, an answer on an identifier that both
//! carry stands for both, and a refusal on any identifier of a merged person refuses.

mod relation;
mod store;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::audit::{Class, Entry};
use crate::catalog::{Capability, Change, Published};
use crate::consent::normalizer;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::identity::{Decided, ProfileIds, RecordName};
use crate::identity_refresh::{self, Memory};
use crate::jobs::{Run, Step, Trigger};
use crate::query::access::{Access, no_purpose};
use crate::query::session::QuerySession;
use crate::tables;

pub(crate) use relation::relation;
pub(crate) use store::in_force;
use store::{Entry as Row, Kind};

/// Pairs of records that one decision is about at most.
const PAIRS_MAX: usize = 10_000;

/// What somebody decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// These profiles are one person.
    Merge(Vec<i64>),
    /// A part of this profile is somebody else.
    Split(i64, Part),
    /// The decision of this number is taken back.
    Revoke(i64),
}

/// A part of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These records: source and key of each.
    Records(Vec<(String, String)>),
    /// The records that carry this identifier: its kind and its value.
    Carriers(String, String),
}

/// What came of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its number; for one that was taken back, the number that it had.
    pub number: i64,
    /// The profiles that the records it is about belong to now, as far as the session sees them; ascending.
    pub profiles: Vec<i64>,
}

impl Decision {
    /// What a role does that decides so, for messages.
    fn what(&self) -> &'static str {
        match self {
            Decision::Merge(_) => "merge profiles",
            Decision::Split(..) => "split profiles",
            Decision::Revoke(_) => "drop identity overrides",
        }
    }
}

impl Engine {
    /// Takes a decision about who is who; it is in force for every statement that begins after this returns.
    ///
    /// # Errors
    /// [`Error::Denied`] if the session may not, or has no purpose to see persons for; [`Error::Missing`] for a profile,
    /// a record or an override that is not there, or whose person is hidden from the session's purpose;
    /// [`Error::Invalid`] for what decides nothing, and SQLSTATE 23P01 for what contradicts another decision.
    pub async fn decide(
        &self,
        session: &QuerySession,
        decision: &Decision,
        reason: &str,
    ) -> Result<Outcome> {
        session.require(Capability::Define, decision.what())?;
        self.catalog().require_writable()?;
        let mut writing = self.writing().await?;
        let access = self.access_of(session)?;
        let published = self.catalog().current();
        let kept = store::read(self.catalog().lake(), &published).await?;
        let mut memory = writing.identity.take();
        let known = identity_refresh::known(self.catalog(), &mut memory).await?;
        let ground = Ground { published: &published, memory: known, kept: &kept, access: &access };
        let rows = match ground.rows_of(decision) {
            Ok(rows) => rows,
            Err(error) => {
                writing.identity = memory;
                return Err(error);
            }
        };
        let number = rows.first().map_or(0, |row| row.number);
        let entry = Entry {
            role: session.role().to_owned(),
            purpose: access.purpose.clone(),
            class: Class::Define,
            relations: vec![RELATION.into()],
        };
        let mut audited = self.audit().begin(entry).await?;
        let log = Log { rows, reason, actor: session.role(), kept };
        let quiet = |_: &str, _: Option<&Step>| {};
        let run = Run::new(self, OBJECT.into(), Trigger::Decision, false, &quiet);
        let mut records: BTreeSet<RecordName> = BTreeSet::new();
        let done = run.step(async |run: &Run<'_>| {
            run.begin().await?;
            records = log.records();
            let touched = self.put_in_force(&mut memory, run, log).await?;
            Ok(run.done(touched, touched))
        });
        if let Err(error) = done.await {
            audited.failed();
            return Err(error);
        }
        writing.identity = memory;
        let seen = self.access_of(session)?;
        let anchors = writing.identity.as_ref().map(|memory| memory.anchors_of(&records));
        let profiles = anchors.unwrap_or_default();
        let profiles = profiles.into_iter().filter_map(|anchor| seen.profile_id(anchor));
        let profiles: BTreeSet<i64> = profiles.collect();
        audited.rows(profiles.len() as u64);
        Ok(Outcome { number, profiles: profiles.into_iter().collect() })
    }

    /// What a session sees now.
    fn access_of(&self, session: &QuerySession) -> Result<Arc<Access>> {
        let live = self.live();
        session.access(&live, &session.viewer(&live)?)?.ok_or_else(no_purpose)
    }

    /// Writes the log, makes identity and profiles anew for the people whom that touches, and publishes all of it at once.
    /// Returns how many people that are.
    async fn put_in_force(
        &self,
        memory: &mut Option<Memory>,
        run: &Run<'_>,
        log: Log<'_>,
    ) -> Result<u64> {
        let Some(mut known) = memory.take() else { return Ok(0) };
        let mut change = Change::default();
        let (layout, catalog) = (tables::IDENTITY_OVERRIDES, self.catalog());
        let table = catalog.table(layout.path, || layout.table_schema()).await?;
        let written = crate::ingest::write(&table, log.batch(run.now)?).await?;
        let snapshot = crate::ingest::append(&table, written).await?;
        let version = snapshot.version;
        change.table(&table, snapshot);
        let all = store::overrides(log.kept.iter().chain(&log.entries(run.now)));
        let refreshed =
            identity_refresh::decide(catalog, &mut known, &mut change, run.now, &all, version)
                .await?;
        *memory = Some(known);
        let touched = refreshed.touched.len() as u64;
        self.publish_unified(memory, run, change, Some(refreshed)).await?;
        Ok(touched)
    }
}

/// The relation that shows overrides.
const RELATION: &str = "public.identity_overrides";

/// What `cdp.refreshes` calls the work of a decision.
const OBJECT: &str = "identity override";

/// What a decision is judged by.
struct Ground<'a> {
    published: &'a Published,
    memory: &'a Memory,
    kept: &'a [Row],
    access: &'a Access,
}

/// One row that a decision adds to the log.
struct Added {
    number: i64,
    kind: Kind,
    left: RecordName,
    right: RecordName,
}

/// The rows that a decision adds, and those that are there.
struct Log<'a> {
    rows: Vec<Added>,
    reason: &'a str,
    actor: &'a str,
    kept: Vec<Row>,
}

impl Log<'_> {
    fn records(&self) -> BTreeSet<RecordName> {
        self.rows.iter().flat_map(|row| [&row.left, &row.right]).cloned().collect()
    }

    fn entries(&self, now: i64) -> Vec<Row> {
        let entry = |row: &Added| Row {
            number: row.number,
            kind: row.kind,
            left: row.left.clone(),
            right: row.right.clone(),
            reason: self.reason.to_owned(),
            actor: self.actor.to_owned(),
            at: now,
        };
        self.rows.iter().map(entry).collect()
    }

    fn batch(&self, now: i64) -> Result<arrow::array::RecordBatch> {
        store::batch(&self.entries(now))
    }
}

impl Ground<'_> {
    fn rows_of(&self, decision: &Decision) -> Result<Vec<Added>> {
        match decision {
            Decision::Merge(profiles) => self.merge(profiles),
            Decision::Split(profile, part) => self.split(*profile, part),
            Decision::Revoke(number) => self.revoke(*number),
        }
    }

    fn merge(&self, profiles: &[i64]) -> Result<Vec<Added>> {
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
        let link = |right| Added { number, kind: Kind::MustLink, left: left.clone(), right };
        Ok(oldest.map(link).collect())
    }

    fn split(&self, profile: i64, part: &Part) -> Result<Vec<Added>> {
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
            let (left, right) = (left.clone(), right.clone());
            Added { number, kind: Kind::CannotLink, left, right }
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

    fn revoke(&self, number: i64) -> Result<Vec<Added>> {
        let standing = store::standing(self.kept);
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
        let between = |row: &&Row| {
            (left.contains(&row.left) && right.contains(&row.right))
                || (left.contains(&row.right) && right.contains(&row.left))
        };
        let standing = store::standing(self.kept);
        let mut contrary = standing.into_iter().filter(|row| row.kind.decided() == Some(decided));
        let Some(row) = contrary.find(between) else { return Ok(()) };
        let says = match decided {
            Decided::MustLink => "one person",
            Decided::CannotLink => "two people",
        };
        Err(Error::Standard {
            sqlstate: "23P01",
            message: format!(
                "identity override {} says that records of these are of {says}",
                row.number
            ),
            hint: format!("DROP IDENTITY OVERRIDE {} takes it back, if it is wrong.", row.number),
        })
    }

    fn next_number(&self) -> i64 {
        self.kept.iter().map(|row| row.number).max().unwrap_or(0) + 1
    }
}
