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
//! two parts hangs together by is left to the rules. An answer about a pair, `cdp.decide`, draws a link between exactly these
//! two records, and what was answered so teaches the FUZZY rule's next model. A decision that contradicts one which is in force
//! is refused.
//!
//! `CREATE IDENTITY OVERRIDES` has such answers from a query that is followed: they come and go with its rows, at each
//! refresh. Rows that contradict each other or a decision are shown as such and not guessed about: the cannot-links hold.
//!
//! `ALTER IDENTIFIER VALUE` says whom an identifier identifies: one person, some, or nobody. It stands for the count of the
//! people who use it, and for what the graph blocks, until it is taken back. Names and birthdays still refuse what they refuse.
//!
//! Consent follows from identifiers, as ever: each part holds what its own records carry, an answer on an identifier that both
//! carry stands for both, and a refusal on any identifier of a merged person refuses.

mod answers;
mod classed;
mod follow;
mod followed;
mod ground;
mod pair;
mod relation;
mod shown;
mod store;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::audit::{Class, Entry};
use crate::catalog::{Capability, Change, Coverage, Published};
use crate::engine::Engine;
use crate::error::Result;
use crate::identity::{Classed, Override, RecordName, ValueClass};
use crate::identity_refresh::{self, Memory};
use crate::jobs::{Run, Step, Trigger};
use crate::lake::Lake;
use crate::query::access::{Access, no_purpose};
use crate::query::session::QuerySession;
use crate::tables::{self, SystemLayout};

pub use answers::Answer;
pub(crate) use classed::relation as identifier_relation;
pub(crate) use follow::{check, coverage_name, names};
use ground::Ground;
pub(crate) use pair::RecordPair;
pub(crate) use relation::relation;
use store::{Entry as Row, Kind};

/// Pairs of records that one decision is about at most.
pub const PAIRS_MAX: usize = 10_000;

/// The columns of a query that name two records and say what is decided about them: `same` or `different`.
pub const COLUMNS: [&str; 5] =
    ["left_source", "left_record_key", "right_source", "right_record_key", "decision"];

/// The column that says why, which may be left out.
pub const REASON: &str = "reason";

/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 2_000;

/// What somebody decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// These profiles are one person.
    Merge(Vec<i64>),
    /// A part of this profile is somebody else.
    Split(i64, Part),
    /// The decision of this number is taken back.
    Revoke(i64),
    /// These pairs of records are of one person, or of two: all of that, or nothing.
    Answer(Vec<Answer>),
    /// An identifier, its kind and its value, identifies one person, some, or nobody; without a class, whomever the graph
    /// counts again.
    Classify(String, String, Option<ValueClass>),
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
    /// Its number; for one that was taken back, the number that it had; of several the first one.
    pub number: i64,
    /// How many pairs of records it decided that were not so before.
    pub added: usize,
    /// The profiles that the records it is about belong to now, or that carry the identifier that it is about, as far as the
    /// session sees them; ascending.
    pub profiles: Vec<i64>,
}

impl Decision {
    /// What a role does that decides so, for messages.
    fn what(&self) -> &'static str {
        match self {
            Decision::Merge(_) => "merge profiles",
            Decision::Split(..) => "split profiles",
            Decision::Revoke(_) => "drop identity overrides",
            Decision::Answer(_) => "decide about records",
            Decision::Classify(..) => "alter identifier values",
        }
    }
}

impl Engine {
    /// Takes a decision about who is who; it is in force for every statement that begins after this returns.
    ///
    /// # Errors
    /// [`Error::Denied`](crate::Error::Denied) if the session may not, or has no purpose to see persons for;
    /// [`Error::Missing`](crate::Error::Missing) or SQLSTATE 42704 for a profile, a record or an override that is not there, or
    /// whose person is hidden from the session's purpose; [`Error::Invalid`](crate::Error::Invalid) for what decides nothing, and
    /// SQLSTATE 23P01 for what contradicts another decision. Answers that are in force already are no error.
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
        // Rows that are followed are in force as the graph has them: others come with its next refresh.
        let covered = published.state.coverage.get(identity_refresh::IDENTITY);
        let kept = Kept::read(self.catalog().lake(), &published, covered).await?;
        let mut memory = writing.identity.take();
        let known = identity_refresh::known(self.catalog(), &mut memory).await?;
        let ground = Ground { published: &published, memory: known, kept: &kept, access: &access };
        let adds = match ground.adds_of(decision, reason) {
            Ok(Adds::Pairs(rows)) if rows.is_empty() => {
                let outcome = ground.nothing_new(decision);
                writing.identity = memory;
                return Ok(outcome);
            }
            Ok(adds) => adds,
            Err(error) => {
                writing.identity = memory;
                return Err(error);
            }
        };
        let (number, added, about) = (adds.number(), adds.count(), adds.about());
        let entry = Entry {
            role: session.role().to_owned(),
            purpose: access.purpose.clone(),
            class: Class::Define,
            relations: vec![adds.relation().into()],
        };
        let mut audited = self.audit().begin(entry).await?;
        let log = Log { adds, reason, actor: session.role(), kept };
        let quiet = |_: &str, _: Option<&Step>| {};
        let run = Run::new(self, OBJECT.into(), Trigger::Decision, false, &quiet);
        let done = run.step(async |run: &Run<'_>| {
            run.begin().await?;
            let touched = self.put_in_force(&mut memory, run, log).await?;
            Ok(run.done(touched, touched))
        });
        if let Err(error) = done.await {
            audited.failed();
            return Err(error);
        }
        writing.identity = memory;
        let seen = self.access_of(session)?;
        let anchors = writing.identity.as_ref().map(|memory| about.anchors(memory));
        let profiles = anchors.unwrap_or_default();
        let profiles = profiles.into_iter().filter_map(|anchor| seen.profile_id(anchor));
        let profiles: BTreeSet<i64> = profiles.collect();
        audited.rows(profiles.len() as u64);
        Ok(Outcome { number, added, profiles: profiles.into_iter().collect() })
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
        let (layout, rows, in_force) = log.written(run.now)?;
        let catalog = self.catalog();
        let table = catalog.table(layout.path, || layout.table_schema()).await?;
        let written = crate::ingest::write(&table, rows).await?;
        let snapshot = crate::ingest::append(&table, written).await?;
        let version = (layout.path, snapshot.version);
        change.table(&table, snapshot);
        let refreshed =
            identity_refresh::decide(catalog, &mut known, &mut change, run.now, &in_force, version)
                .await?;
        *memory = Some(known);
        let touched = refreshed.touched.len() as u64;
        self.publish_unified(memory, run, change, Some(refreshed)).await?;
        Ok(touched)
    }
}

/// What `cdp.refreshes` calls the work of a decision.
const OBJECT: &str = "identity override";

/// What the graph is to be made with.
pub(crate) struct InForce {
    /// What was decided about pairs of records.
    pub(crate) overrides: Vec<Override>,
    /// What was decided about identifiers.
    pub(crate) classes: Vec<Classed>,
}

/// Reads what the graph is to be made with.
pub(crate) async fn in_force(lake: &Lake, published: &Published) -> Result<InForce> {
    Ok(Kept::read(lake, published, None).await?.in_force())
}

/// Reads what the graph was made with that `covered` tells of; what is in force if nothing is told. Decisions are published with
/// what they change, so that they are those of now; rows that are followed may have changed since.
pub(crate) async fn covered(
    lake: &Lake,
    published: &Published,
    covered: Option<&Coverage>,
) -> Result<InForce> {
    Ok(Kept::read(lake, published, covered).await?.in_force())
}

/// The logs as they are, and what is followed.
struct Kept {
    pairs: Vec<Row>,
    values: Vec<classed::Entry>,
    followed: Vec<Override>,
}

impl Kept {
    async fn read(lake: &Lake, published: &Published, covered: Option<&Coverage>) -> Result<Self> {
        let pairs = store::read(lake, published).await?;
        let values = classed::read(lake, published).await?;
        let rows = match covered {
            Some(covered) => followed::read_covered(lake, published, covered).await?,
            None => followed::read(lake, published).await?,
        };
        Ok(Self { pairs, values, followed: followed::overrides(&rows, &published.state) })
    }

    fn in_force(self) -> InForce {
        let mut overrides = store::overrides(&self.pairs);
        overrides.extend(self.followed);
        InForce { overrides, classes: classed::classes(&self.values) }
    }
}

/// What a decision adds to one of the logs.
enum Adds {
    Pairs(Vec<Added>),
    Class(AddedClass),
}

/// A row about two records.
struct Added {
    number: i64,
    kind: Kind,
    left: RecordName,
    right: RecordName,
    reason: String,
}

/// A row about an identifier.
struct AddedClass {
    number: i64,
    kind: String,
    value: String,
    class: Option<ValueClass>,
}

/// Whom a decision is about.
enum About {
    Records(BTreeSet<RecordName>),
    Carriers(String, String),
}

impl About {
    fn anchors(&self, memory: &Memory) -> BTreeSet<u32> {
        match self {
            About::Records(records) => memory.anchors_of(records),
            About::Carriers(kind, value) => memory.anchors_with(kind, value),
        }
    }
}

impl Adds {
    fn number(&self) -> i64 {
        match self {
            Adds::Pairs(rows) => rows.first().map_or(0, |row| row.number),
            Adds::Class(row) => row.number,
        }
    }

    fn count(&self) -> usize {
        match self {
            Adds::Pairs(rows) => rows.len(),
            Adds::Class(_) => 1,
        }
    }

    fn about(&self) -> About {
        match self {
            Adds::Pairs(rows) => {
                let records = rows.iter().flat_map(|row| [&row.left, &row.right]);
                About::Records(records.cloned().collect())
            }
            Adds::Class(row) => About::Carriers(row.kind.clone(), row.value.clone()),
        }
    }

    /// Returns the name of the relation that shows such decisions.
    fn relation(&self) -> &'static str {
        match self {
            Adds::Pairs(_) => "public.identity_overrides",
            Adds::Class(_) => "public.identifier_overrides",
        }
    }
}

/// What a decision adds, and what is there.
struct Log<'a> {
    adds: Adds,
    reason: &'a str,
    actor: &'a str,
    kept: Kept,
}

impl Log<'_> {
    /// Returns the rows of a table that say so, and what is in force with them.
    fn written(self, now: i64) -> Result<(SystemLayout, RecordBatch, InForce)> {
        let (reason, actor) = (self.reason.to_owned(), self.actor.to_owned());
        let mut kept = self.kept;
        let (layout, rows) = match self.adds {
            Adds::Pairs(added) => {
                let entry = |Added { number, kind, left, right, reason }| {
                    let actor = actor.clone();
                    Row { number, kind, left, right, reason, actor, at: now }
                };
                let entries: Vec<Row> = added.into_iter().map(entry).collect();
                let rows = store::batch(&entries)?;
                kept.pairs.extend(entries);
                (tables::IDENTITY_OVERRIDES, rows)
            }
            Adds::Class(AddedClass { number, kind, value, class }) => {
                let entry = classed::Entry { number, kind, value, class, reason, actor, at: now };
                let rows = classed::batch(std::slice::from_ref(&entry))?;
                kept.values.push(entry);
                (tables::IDENTIFIER_OVERRIDES, rows)
            }
        };
        Ok((layout, rows, kept.in_force()))
    }
}
