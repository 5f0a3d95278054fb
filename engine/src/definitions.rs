//! Definitions are put into the catalog and taken out of it, each change whole or not at all.

mod check;
mod kept;

use crate::catalog::{
    Body, CatalogState, Change, Definition, GraphInForce, Kind, SegmentOrder, Source,
    check_identifiers, check_references, check_unused,
};
use crate::engine::{Engine, Put, Shown, Writing};
use crate::error::{Error, Result};
use crate::identity::Rules;
use crate::jobs::{Run, Trigger};
use crate::{activation, consent, overrides, segment, tables};

/// Definitions that are put into the catalog and taken out of it together.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// What is put in, and how.
    pub put: Vec<(Definition, Put)>,
    /// What is taken out; what is not there is passed over.
    pub removed: Vec<(Kind, String)>,
}

impl Engine {
    /// Puts definitions into the catalog, all or none.
    ///
    /// A source that is replaced by one that reads or keeps its rows otherwise is emptied: the next refresh reads it anew.
    ///
    /// # Errors
    /// [`Error::Exists`] for [`Put::Create`], [`Error::Invalid`] and [`Error::Missing`] if one does not fit the others.
    pub async fn define(&self, definitions: Vec<(Definition, Put)>) -> Result<()> {
        self.change(Changes { put: definitions, removed: vec![] }, false).await
    }

    /// Puts the definition that `make` makes of what is defined in the place of the one of its name. Nobody changes a definition
    /// between the two, so that nothing is lost of what others did.
    ///
    /// # Errors
    /// Those of `make`, [`Engine::check_query`] and [`Engine::define`].
    pub async fn redefine(
        &self,
        make: impl FnOnce(&CatalogState) -> Result<Definition> + Send,
    ) -> Result<()> {
        let mut writing = self.writing().await?;
        let definition = make(&self.catalog().current().state)?;
        self.check_query(&definition).await?;
        let changes = Changes { put: vec![(definition, Put::Replace)], removed: vec![] };
        self.change_alone(&mut writing, changes, false).await
    }

    /// Removes definitions, all or none, and what was derived from them alone.
    ///
    /// # Errors
    /// [`Error::InUse`] if one that stays refers to one of them.
    pub async fn remove_all(&self, removed: Vec<(Kind, String)>) -> Result<()> {
        self.change(Changes { put: vec![], removed }, false).await
    }

    /// Makes `changes` in one publication, once it is known that the queries of what is put in can be planned.
    ///
    /// # Errors
    /// Those of [`Engine::define`] and [`Engine::remove_all`], and [`Error::Definition`]; then nothing was changed.
    pub async fn apply(&self, changes: Changes) -> Result<()> {
        self.change(changes, true).await
    }

    /// Fails if [`Engine::apply`] would refuse `changes`.
    pub async fn check_changes(&self, changes: &Changes) -> Result<()> {
        let after = self.after(changes)?;
        self.check_queries(changes, after.clone()).await?;
        self.check_columns_kept(changes, &after).await
    }

    /// Returns the identity graph that `changes` would lead to, with the version that it would have.
    ///
    /// # Errors
    /// Those of [`Engine::define`].
    pub(crate) async fn graph_after(&self, changes: &Changes) -> Result<Option<GraphInForce>> {
        let after = self.after(changes)?;
        self.check_columns_kept(changes, &after).await?;
        Ok(after.defined_graph())
    }

    async fn change(&self, changes: Changes, plan: bool) -> Result<()> {
        if changes.put.is_empty() && changes.removed.is_empty() {
            return Ok(());
        }
        let mut writing = self.writing().await?;
        self.change_alone(&mut writing, changes, plan).await
    }

    /// Makes changes while nobody else writes.
    async fn change_alone(
        &self,
        writing: &mut Writing,
        changes: Changes,
        plan: bool,
    ) -> Result<()> {
        let after = self.after(&changes)?;
        if plan {
            self.check_queries(&changes, after.clone()).await?;
        }
        self.check_columns_kept(&changes, &after).await?;
        let emptied = changes.emptied(&self.catalog().current().state);
        emptied.iter().for_each(|source| writing.ingest.forget(source));
        self.publish(self.change_of(changes), Shown::Definitions).await
    }

    /// Returns the state that `changes` would lead to.
    fn after(&self, changes: &Changes) -> Result<CatalogState> {
        let mut state = self.catalog().current().state.clone();
        let dropped = changes.dropped(&state);
        changes.clone().make_in(&mut state, self.now())?;
        state.tables.retain(|path, _| !dropped.contains(path));
        let paths = [Kind::Source, Kind::Destination, Kind::Secret];
        if changes.put.iter().any(|(definition, _)| paths.contains(&definition.body.kind())) {
            activation::check_destinations(self, &state)?;
        }
        Ok(state)
    }

    /// Returns what is published to make `changes`.
    fn change_of(&self, changes: Changes) -> Change {
        let now = self.now();
        let mut change = Change::default();
        let dropped = changes.dropped(&self.catalog().current().state);
        dropped.into_iter().for_each(|path| change.drop_table(path));
        change.edit(move |state| changes.make_in(state, now));
        change
    }

    /// Puts a segment into the catalog together with its members, in one publication. Before there are profiles there is
    /// nothing to compute them from: then it has none until the next refresh.
    ///
    /// # Errors
    /// Those of [`Engine::define`], and what its query fails with; then nothing was defined.
    pub async fn define_segment(&self, definition: Definition, put: Put) -> Result<FirstMembers> {
        let _writing = self.writing().await?;
        let published = self.catalog().current();
        let there = published.state.get(Kind::Segment, &definition.name).is_some();
        let changes = Changes { put: vec![(definition.clone(), put)], removed: vec![] };
        let after = self.after(&changes)?;
        if put == Put::IfAbsent && there {
            return Ok(FirstMembers::Kept);
        }
        let Body::Segment(segment) = &definition.body else {
            return Err(Error::Invalid {
                message: format!("\"{}\" is no segment", definition.name),
                hint: "Define objects of other kinds by themselves.".into(),
            });
        };
        if after.profiles_path.is_none() {
            self.publish(self.change_of(changes), Shown::Definitions).await?;
            return Ok(FirstMembers::None);
        }
        let name = &definition.name;
        let run = Run::new(self, format!("segment {name}"), Trigger::Demand, false, &|_, _| {});
        let work = async |run: &Run<'_>| {
            run.begin().await?;
            let mut change = self.change_of(changes);
            let live = self.live();
            let report = segment::compute(self, &live, run.now, &mut change, name, segment).await?;
            self.publish(change, Shown::Definitions).await?;
            Ok(run.done(report.members as u64, (report.entered + report.exited) as u64))
        };
        run.step(work).await?;
        Ok(FirstMembers::Computed)
    }

    /// Removes a definition, and what was derived from it alone. Tells whether it was there.
    ///
    /// # Errors
    /// [`Error::Missing`] unless `if_exists`; [`Error::InUse`] if others refer to it.
    pub async fn remove(&self, kind: Kind, name: &str, if_exists: bool) -> Result<bool> {
        if self.live().published.state.get(kind, name).is_none() {
            if if_exists {
                return Ok(false);
            }
            self.live().published.state.expect(kind, name)?;
        }
        self.remove_all(vec![(kind, name.to_owned())]).await?;
        Ok(true)
    }

    /// Puts a comment on an object.
    pub async fn comment(&self, kind: Kind, name: &str, comment: Option<String>) -> Result<()> {
        let _writing = self.writing().await?;
        let mut change = Change::default();
        let owned = name.to_owned();
        change.edit(move |state| state.comment(kind, &owned, comment));
        self.publish(change, Shown::AsBefore).await
    }
}

impl Changes {
    /// Returns the sources whose rows go: those that are removed, and those that are replaced by one that reads otherwise.
    fn emptied(&self, state: &CatalogState) -> Vec<String> {
        let removed = self.removed.iter().filter(|(kind, _)| *kind == Kind::Source);
        let replaced = self.put.iter().filter(|(new, put)| {
            *put == Put::Replace
                && match (state.get(Kind::Source, &new.name).map(|old| &old.body), &new.body) {
                    (Some(Body::Source(old)), Body::Source(new)) => reads_otherwise(old, new),
                    _ => false,
                }
        });
        let removed = removed.map(|(_, name)| name.clone());
        removed.chain(replaced.map(|(new, _)| new.name.clone())).collect()
    }

    /// Returns the tables that go: those of sources that are emptied and of segments that are removed.
    fn dropped(&self, state: &CatalogState) -> Vec<String> {
        let sources = self.emptied(state).into_iter();
        let sources =
            sources.flat_map(|name| [tables::source_path(&name), tables::superseded_path(&name)]);
        let segments = self.removed.iter().filter(|(kind, _)| *kind == Kind::Segment);
        let segments =
            segments.flat_map(|(_, name)| [tables::segment_path(name), tables::former_path(name)]);
        sources.chain(segments).collect()
    }

    /// Makes the changes in `state`, but for its tables, and checks what came of it.
    fn make_in(self, state: &mut CatalogState, now: i64) -> Result<()> {
        let (emptied, dropped) = (self.emptied(state), self.dropped(state));
        for name in &emptied {
            state.sources.remove(name);
        }
        // What was computed from them is to be computed anew: tables of the same name that come later count their versions
        // from the beginning.
        let of_feeds = consent::feed_coverage("");
        state.coverage.retain(|name, covered| {
            if !dropped.iter().any(|path| covered.inputs.contains_key(path)) {
                return true;
            }
            // A feed is the same still, so that refusals of records that are gone stay.
            covered.inputs.clear();
            name.starts_with(&of_feeds)
        });
        for (kind, name) in &self.removed {
            state.remove(*kind, name);
            match kind {
                Kind::Segment => drop(state.coverage.remove(&segment::coverage_name(name))),
                Kind::Sync => drop(state.coverage.remove(&activation::coverage_name(name))),
                Kind::IdentityOverrides => {
                    drop(state.coverage.remove(&overrides::coverage_name(name)));
                }
                _ => {}
            }
        }
        let put = put_all(state, self.put, now)?;
        if !put.is_empty() {
            check_references(state)?;
        }
        if put.iter().any(|(kind, _)| *kind == Kind::IdentityGraph) {
            check_identifiers(state)?;
        }
        self.removed.iter().try_for_each(|(kind, name)| check_unused(state, *kind, name))?;
        let order = SegmentOrder::of(state);
        let mut segments = put.iter().filter(|(kind, _)| *kind == Kind::Segment);
        segments.try_for_each(|(_, name)| order.check(name))
    }
}

/// Puts definitions into `state` and returns which of them were put.
fn put_all(
    state: &mut CatalogState,
    definitions: Vec<(Definition, Put)>,
    now: i64,
) -> Result<Vec<(Kind, String)>> {
    let mut done = Vec::new();
    for (definition, put) in definitions {
        if let Body::IdentityGraph(graph) = &definition.body {
            Rules::from_graph(graph)?;
        }
        if let Body::ConsentFeed(feed) = &definition.body {
            consent::check_feed(&definition.name, &feed.query)?;
        }
        let kind = definition.body.kind();
        let there = state.get(kind, &definition.name).is_some();
        match put {
            Put::Create if there => {
                return Err(Error::Exists { kind: kind.word(), name: definition.name });
            }
            Put::IfAbsent if there => continue,
            _ => {}
        }
        done.push((kind, definition.name.clone()));
        state.put(definition, now);
    }
    Ok(done)
}

/// Tells whether rows that `old` took would be others if `new` had taken them.
fn reads_otherwise(old: &Source, new: &Source) -> bool {
    let Source { connector, format, columns, logical_types, shape, null_values, .. } = old;
    old.deleted_when != new.deleted_when
        || connector != &new.connector
        || format != &new.format
        || columns != &new.columns
        || logical_types != &new.logical_types
        || shape != &new.shape
        || null_values != &new.null_values
}

/// Whether the members of a segment that was defined are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstMembers {
    /// They were computed.
    Computed,
    /// There are no profiles yet: the first refresh computes them.
    None,
    /// The segment was there already and stays as it is.
    Kept,
}
