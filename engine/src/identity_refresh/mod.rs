//! The identity graph as a derived table: from the subjects of the lake to who is whose.
//!
//! The [`Resolver`] keeps the graph in memory and is fed the subjects that it has not seen; what follows from it is
//! written to [`PEOPLE`](tables::PEOPLE), the identifiers, edges, refused edges and merges of the profiles that a refresh
//! touched, and what of them is worth a look. All of it is a pure function of the subjects, the [overrides] and the graph's
//! definition: dropped and rebuilt, the same rows come back.

mod churn;
mod decide;
mod households;
mod impact;
mod inputs;
mod load;
mod model;
mod news;
mod review;
mod rows;
mod sightings;
mod stages;
mod standing;

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use std::sync::Arc;

use crate::buckets::{self, Replaced, bucket_of};
use crate::catalog::{Catalog, Change, Coverage, GraphInForce, IdentityGraph, Published};
use crate::consent::{ConsentBook, Holding};
use crate::error::Result;
use crate::identity::{ProfileIds, Resolver, Rules, ValueClass};
use crate::jobs::Run;
use crate::lake::Lake;
use crate::overrides::{self, InForce};
use crate::query::access::{NO_SUBJECT, People};
use crate::tables::{self, SystemLayout};

pub use churn::Churn;
pub(crate) use decide::{decide, known};
pub use impact::columns as impact_columns;
use inputs::{coverage_now, same_rules, trusts};
pub use load::{load_identifiers, load_people};
pub use model::TRAINING_RECORDS_MIN;
pub(crate) use model::load as load_model;
use sightings::Sightings;
pub use stages::Stage;
pub(crate) use stages::{Stages, stage_rows};
use standing::Standing;

/// The name under which coverage is kept.
pub const IDENTITY: &str = "identity";

/// The status of an identifier that was not seen for too long.
const EXPIRED: &str = "expired";

/// What the one writer keeps of the graph between refreshes.
pub struct Memory {
    resolver: Resolver,
    /// Each source's trust.
    trusts: Vec<(String, u16)>,
    /// Where each subject was first seen: the source's number, the record's key, and when.
    seen: Vec<Seen>,
    /// Sources that are not defined any more and whose subjects are nobody's therefore.
    left_out: BTreeSet<String>,
    /// Which versions of records stand.
    standing: Standing,
    /// When each subject was last seen, if a rule asks for it.
    sightings: Option<Sightings>,
    /// What the refresh that goes on has done.
    stages: Stages,
}

struct Seen {
    source: u16,
    record_key: Option<Box<str>>,
    at: i64,
}

/// What a refresh of the graph yields.
pub struct Refreshed {
    /// Who is whose now.
    pub people: Arc<People>,
    /// The anchors of profiles that are made otherwise than before, and of those that are gone.
    pub touched: BTreeSet<u32>,
    /// Whether those are all there are.
    pub all: bool,
    /// Subjects that were looked at.
    pub subjects_resolved: usize,
    /// What became of those who had a profile before.
    pub churn: Churn,
    /// By which graph.
    pub graph: GraphInForce,
    /// What was done for it.
    pub(crate) stages: Stages,
}

/// Brings the graph up to date and adds its tables to `change`; `None` if nothing is new.
///
/// A process that has not worked with the graph before replays the subjects that the last refresh covered, so that what
/// it then adds is told apart from what was there: only that is written.
pub async fn refresh(
    catalog: &Catalog,
    memory: &mut Option<Memory>,
    change: &mut Change,
    run: &Run<'_>,
) -> Result<Option<Refreshed>> {
    let published = catalog.current();
    let Some((name, graph)) = published.state.graph() else { return Ok(None) };
    let trusts = trusts(&published);
    let coverage = coverage_now(&published, (name, graph), &trusts, run.now);
    let covered =
        published.state.coverage.get(IDENTITY).filter(|covered| same_rules(covered, &coverage));
    if !run.full
        && let Some(covered) = covered
        && news::is_current(&published, graph, (covered, &coverage), memory, catalog, change).await
    {
        return Ok(None);
    }
    run.begin().await?;
    let stages = Stages::default();
    let in_force = overrides::in_force(catalog.lake(), &published).await?;
    let is_back = |memory: &Memory| trusts.iter().any(|(name, _)| memory.left_out.contains(name));
    let mut fresh = run.full || covered.is_none() || memory.as_ref().is_some_and(is_back);
    if fresh {
        *memory = None;
    }
    let memory = match memory {
        Some(memory) => {
            memory.trusts = trusts;
            memory.stages = stages;
            memory.decide(&in_force)?;
            memory
        }
        None => {
            let (lake, version) = (catalog.lake(), coverage.definition_version);
            // What was there is made again with what was in force then.
            let before = covered.filter(|_| !fresh);
            let before = overrides::covered(lake, &published, before).await?;
            let new = Memory::new(lake, &published, version, graph, trusts, &before);
            let new = memory.insert(new.await?);
            new.stages = stages;
            if !fresh {
                fresh = !new.replay(lake, &published, covered).await?;
                new.note_taken("replay", 0);
            }
            new.decide(&in_force)?;
            new
        }
    };
    tracing::debug!(fresh, "what was there is known");
    let first = memory.seen.len();
    memory.load(catalog.lake(), &published, usize::MAX).await?;
    memory.see(catalog.lake(), &published, None).await?;
    memory.note_taken("read", first);
    tracing::debug!(subjects = memory.seen.len(), "subjects are read");
    let graph = GraphInForce { version: coverage.definition_version, graph: graph.clone() };
    memory.resolve(catalog, change, &published, coverage, graph, fresh).await.map(Some)
}

impl Memory {
    /// Makes a graph without subjects, of this version of its definition.
    async fn new(
        lake: &Lake,
        published: &Published,
        version: u64,
        graph: &IdentityGraph,
        trusts: Vec<(String, u16)>,
        in_force: &InForce,
    ) -> Result<Self> {
        let rules = Rules::from_graph(graph)?;
        let model = model::load(lake, published, &rules, version).await?;
        let mut resolver = Resolver::new(rules);
        if let Some(model) = model {
            resolver.set_model(model);
        }
        let sightings = resolver.asks_for_sightings().then(Sightings::default);
        let mut memory = Self {
            resolver,
            trusts,
            seen: vec![],
            left_out: BTreeSet::new(),
            standing: Standing::default(),
            sightings,
            stages: Stages::default(),
        };
        memory.decide(in_force)?;
        Ok(memory)
    }

    /// Feeds the resolver the subjects that the last refresh covered, and tells whether it makes the profiles of them that
    /// the lake has.
    async fn replay(
        &mut self,
        lake: &Lake,
        published: &Published,
        covered: Option<&Coverage>,
    ) -> Result<bool> {
        let known = load_people(lake, published).await?;
        self.load(lake, published, known.subject_count()).await?;
        self.see(lake, published, covered).await?;
        self.resolver.resolve();
        // That was done before.
        drop(self.resolver.take_figures());
        Ok(self.agrees_with(&known))
    }

    /// Brings profiles up to date with all that the resolver was told, and adds their tables to `change`; `fresh` if
    /// nothing of what the lake has may stay.
    async fn resolve(
        &mut self,
        catalog: &Catalog,
        change: &mut Change,
        published: &Published,
        coverage: Coverage,
        graph: GraphInForce,
        mut fresh: bool,
    ) -> Result<Refreshed> {
        let mut delta = self.resolver.resolve();
        let mut figures = self.resolver.take_figures();
        self.stages.lap();
        let trained = self.train(catalog, change, coverage.definition_version, coverage.at).await?;
        let training = self.stages.lap();
        if trained {
            // The model weighs those, too, who were there before it.
            delta = self.resolver.resolve();
            figures = self.resolver.take_figures().with_times_of(&figures);
            fresh = true;
        } else if self.resolver.lacks_model() || graph.graph.fuzzy.is_none() {
            model::forget(catalog, change).await?;
        }
        tracing::debug!(subjects = delta.subjects_resolved, "the graph is resolved");
        self.note_resolved(&figures, &graph.graph, trained.then_some(training));
        self.stages.lap();
        let (touched, churn): (BTreeSet<u32>, Churn) = if fresh {
            // A rebuilt graph may not have the profiles any more that the lake has now.
            let stored = load_people(catalog.lake(), published).await?;
            let anchors = stored.profiles().map(|(anchor, _)| anchor);
            let all = (0..self.seen.len() as u32).map(|subject| (subject, stored.anchor(subject)));
            let before = all.filter_map(|(subject, before)| Some((subject, before?)));
            (self.resolver.profiles().chain(anchors).collect(), self.churn(before))
        } else {
            let moved =
                delta.changed.iter().flat_map(|moved| [moved.before, moved.after]).flatten();
            let changed = delta.changed.iter();
            let before = changed.filter_map(|moved| Some((moved.subject, moved.before?)));
            (moved.chain(delta.touched.iter().copied()).collect(), self.churn(before))
        };
        let ids = ProfileIds::new(published.state.profile_key()?);
        let people = self.people(&ids, published.state.sequence + 1);
        let people = self.with_households(people, published.state.profile_key()?);
        self.write(catalog, change, &ids, &people, &touched, fresh, &delta).await?;
        self.stages.end(Stage::of("write"));
        let in_force = graph.clone();
        change.edit(move |state| {
            state.coverage.insert(IDENTITY.to_owned(), coverage);
            state.graph_in_force = Some(in_force);
            Ok(())
        });
        Ok(Refreshed {
            people: Arc::new(people),
            touched,
            all: fresh,
            subjects_resolved: delta.subjects_resolved,
            churn,
            graph,
            stages: std::mem::take(&mut self.stages),
        })
    }

    /// Tells whether the resolver has everybody in the profile in which the lake has them.
    fn agrees_with(&self, people: &People) -> bool {
        self.seen.len() == people.subject_count()
            && (0..self.seen.len() as u32)
                .all(|subject| self.resolver.anchor_of(subject) == people.anchor(subject))
    }

    /// Notes in `book` which identifiers the profiles with these anchors have.
    pub(crate) fn hold_identifiers(&self, anchors: &BTreeSet<u32>, book: &mut ConsentBook) {
        let kinds: Vec<&str> = self.resolver.rules().kinds().collect();
        for anchor in
            anchors.iter().filter(|anchor| self.resolver.anchor_of(**anchor) == Some(**anchor))
        {
            for identifier in self.resolver.identifiers(*anchor) {
                let holding = match identifier.class {
                    ValueClass::Nobody => Holding::Nobodys,
                    ValueClass::Personal | ValueClass::Shared => Holding::Identifies,
                };
                let kind = kinds[usize::from(identifier.kind)];
                book.hold(*anchor, kind, identifier.value, holding);
            }
            for identifier in self.resolver.former_identifiers(*anchor) {
                let kind = kinds[usize::from(identifier.kind)];
                book.hold(*anchor, kind, identifier.value, Holding::Former);
            }
        }
    }

    fn people(&self, ids: &ProfileIds, version: u64) -> People {
        let anchors: Vec<u32> = (0..self.seen.len() as u32)
            .map(|subject| self.resolver.anchor_of(subject).unwrap_or(NO_SUBJECT))
            .collect();
        let mut profile_ids: Vec<i64> = Vec::with_capacity(anchors.len());
        for (subject, anchor) in anchors.iter().enumerate() {
            // An anchor is the first subject of its profile: its id is known by then.
            profile_ids.push(match *anchor {
                NO_SUBJECT => 0,
                anchor if anchor as usize == subject => ids.id_of(u64::from(anchor)),
                anchor => profile_ids[anchor as usize],
            });
        }
        People::new(version, profile_ids, anchors)
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is one refresh")]
    async fn write(
        &self,
        catalog: &Catalog,
        change: &mut Change,
        ids: &ProfileIds,
        people: &People,
        touched: &BTreeSet<u32>,
        fresh: bool,
        delta: &crate::identity::Delta,
    ) -> Result<()> {
        let ids = &|anchor: u32| match people.profile_id(anchor) {
            Some(id) if people.anchor(anchor) == Some(anchor) => id,
            _ => ids.id_of(u64::from(anchor)),
        };
        let moved: BTreeSet<u32> = if fresh {
            (0..=bucket_of(self.seen.len().saturating_sub(1) as u32)).collect()
        } else {
            delta.changed.iter().map(|moved| bucket_of(moved.subject)).collect()
        };
        let people = self.people_rows(people, &moved)?;
        put(catalog, change, &tables::PEOPLE, &moved, Replaced::All, &people).await?;
        let dirty: BTreeSet<u32> = touched.iter().map(|anchor| bucket_of(*anchor)).collect();
        let replaced = match fresh {
            true => Replaced::All,
            false => Replaced::Of(Arc::new(touched.iter().copied().collect())),
        };
        let anchors: Vec<u32> = touched
            .iter()
            .copied()
            .filter(|anchor| self.resolver.anchor_of(*anchor) == Some(*anchor))
            .collect();
        let layouts = [
            &tables::PROFILE_IDENTIFIERS,
            &tables::FORMER_IDENTIFIERS,
            &tables::IDENTITY_EDGES,
            &tables::PROFILE_MERGES,
            &tables::IDENTITY_VIOLATIONS,
        ];
        for (layout, rows) in layouts.into_iter().zip(self.rows_of(ids, &anchors)?) {
            put(catalog, change, layout, &dirty, replaced.clone(), &rows).await?;
        }
        let review = self.review_rows(ids, &anchors)?;
        put(catalog, change, &tables::IDENTITY_REVIEW, &dirty, replaced, &review).await?;
        self.write_households(catalog, change, ids, fresh, &delta.households).await
    }
}

async fn put(
    catalog: &Catalog,
    change: &mut Change,
    layout: &SystemLayout,
    dirty: &BTreeSet<u32>,
    replaced: Replaced,
    rows: &RecordBatch,
) -> Result<()> {
    let table = catalog.table(layout.path, || layout.table_schema()).await?;
    crate::ingest::widen(&table, &layout.table_schema()).await?;
    let snapshot = buckets::update(catalog.lake(), &table, dirty, replaced, rows).await?;
    change.table(&table, snapshot);
    Ok(())
}
