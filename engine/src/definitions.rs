//! Definitions are put into the catalog and taken out of it, each change whole or not at all.

use crate::catalog::{
    Body, CatalogState, Change, Definition, Kind, SegmentOrder, Source, check_references,
    check_unused,
};
use crate::engine::{Engine, Put, Shown};
use crate::error::{Error, Result};
use crate::jobs::{Run, Trigger};
use crate::query::access::Visible;
use crate::query::planner;
use crate::segment;
use crate::tables;

impl Engine {
    /// Fails if the query of a segment or a trait cannot be planned. Before there are profiles nothing can be said.
    pub async fn check_query(&self, definition: &Definition) -> Result<()> {
        let live = self.live();
        if live.published.state.profiles_path.is_none() {
            return Ok(());
        }
        let (relations, query) = match &definition.body {
            Body::Segment(segment) => {
                (self.purpose_relations(&live, &segment.purpose)?, &segment.query)
            }
            Body::Trait(computed) => {
                let (published, people) = (&live.published, &live.people);
                let relations =
                    crate::profile::trait_relations(self, published, people, Visible::Everyone);
                (relations, &computed.query)
            }
            _ => return Ok(()),
        };
        let state = self.planner().state(&relations.scope());
        let plan = planner::plan(&state, relations.facts(), planner::parse_one(query)?).await?;
        match definition.body {
            Body::Trait(_) => crate::profile::check_trait(&plan, &definition.name),
            _ => crate::segment::check(&plan, &definition.name),
        }
    }

    /// Puts definitions into the catalog, all or none.
    ///
    /// A source that is replaced by one that reads or keeps its rows otherwise is emptied: the next refresh reads it anew.
    ///
    /// # Errors
    /// [`Error::Exists`] for [`Put::Create`], [`Error::Invalid`] and [`Error::Missing`] if one does not fit the others.
    pub async fn define(&self, definitions: Vec<(Definition, Put)>) -> Result<()> {
        let mut writing = self.writing().await?;
        let reread: Vec<String> = {
            let state = &self.catalog().current().state;
            let replaced = definitions.iter().filter(|(_, put)| *put == Put::Replace);
            replaced
                .filter(|(new, _)| match (state.get(Kind::Source, &new.name), &new.body) {
                    (Some(Definition { body: Body::Source(old), .. }), Body::Source(new)) => {
                        reads_otherwise(old, new)
                    }
                    _ => false,
                })
                .map(|(new, _)| new.name.clone())
                .collect()
        };
        let mut change = self.putting(definitions);
        for name in reread {
            writing.ingest.forget(&name);
            forget_source(&mut change, name);
        }
        self.publish(change, Shown::Definitions).await
    }

    /// Returns the change that puts definitions into the catalog.
    fn putting(&self, definitions: Vec<(Definition, Put)>) -> Change {
        let now = self.now();
        let mut change = Change::default();
        change.edit(move |state| put_all(state, definitions, now));
        change
    }

    /// Puts a segment into the catalog together with its members, in one publication. Before there are profiles there is
    /// nothing to compute them from: then it has none until the next refresh.
    ///
    /// # Errors
    /// Those of [`Engine::define`], and what its query fails with; then nothing was defined.
    pub async fn define_segment(&self, definition: Definition, put: Put) -> Result<FirstMembers> {
        let _writing = self.writing().await?;
        let mut after = self.live().published.state.clone();
        let there = after.get(Kind::Segment, &definition.name).is_some();
        put_all(&mut after, vec![(definition.clone(), put)], self.now())?;
        if put == Put::IfAbsent && there {
            return Ok(FirstMembers::Kept);
        }
        let definitions = vec![(definition.clone(), put)];
        let Body::Segment(segment) = &definition.body else {
            return Err(Error::Invalid {
                message: format!("\"{}\" is no segment", definition.name),
                hint: "Define objects of other kinds by themselves.".into(),
            });
        };
        if after.profiles_path.is_none() {
            self.publish(self.putting(definitions), Shown::Definitions).await?;
            return Ok(FirstMembers::None);
        }
        let name = &definition.name;
        let run = Run::new(self, format!("segment {name}"), Trigger::Demand, false, &|_, _| {});
        let work = async |run: &Run<'_>| {
            run.begin().await?;
            let mut change = self.putting(definitions);
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

    /// Removes definitions, all or none, and what was derived from them alone. What is not there is passed over.
    ///
    /// # Errors
    /// [`Error::InUse`] if one that stays refers to one of them.
    pub async fn remove_all(&self, removed: Vec<(Kind, String)>) -> Result<()> {
        if removed.is_empty() {
            return Ok(());
        }
        let mut writing = self.writing().await?;
        let mut change = Change::default();
        for (_, name) in removed.iter().filter(|(kind, _)| *kind == Kind::Segment) {
            change.drop_table(tables::segment_path(name));
            change.drop_table(tables::former_path(name));
        }
        for (_, name) in removed.iter().filter(|(kind, _)| *kind == Kind::Source) {
            writing.ingest.forget(name);
            forget_source(&mut change, name.clone());
        }
        change.edit(move |state| {
            for (kind, name) in &removed {
                state.remove(*kind, name);
                if *kind == Kind::Segment {
                    state.coverage.remove(&segment::coverage_name(name));
                }
            }
            removed.iter().try_for_each(|(kind, name)| check_unused(state, *kind, name))
        });
        self.publish(change, Shown::Definitions).await
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

/// Tells whether rows that `old` took would be others if `new` had taken them.
fn reads_otherwise(old: &Source, new: &Source) -> bool {
    let Source { connector, format, columns, logical_types, shape, null_values, .. } = old;
    connector != &new.connector
        || format != &new.format
        || columns != &new.columns
        || logical_types != &new.logical_types
        || shape != &new.shape
        || null_values != &new.null_values
}

/// Drops what was taken from a source, and how far it was read. What was computed from it is to be computed anew: tables
/// of the same name that come later count their versions from the beginning.
fn forget_source(change: &mut Change, name: String) {
    let paths = [tables::source_path(&name), tables::superseded_path(&name)];
    paths.iter().for_each(|path| change.drop_table(path.clone()));
    change.edit(move |state| {
        state.sources.remove(&name);
        state
            .coverage
            .retain(|_, covered| !paths.iter().any(|path| covered.inputs.contains_key(path)));
        Ok(())
    });
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

fn put_all(state: &mut CatalogState, definitions: Vec<(Definition, Put)>, now: i64) -> Result<()> {
    let mut segments = Vec::new();
    for (definition, put) in definitions {
        let kind = definition.body.kind();
        let there = state.get(kind, &definition.name).is_some();
        match put {
            Put::Create if there => {
                return Err(Error::Exists { kind: kind.word(), name: definition.name });
            }
            Put::IfAbsent if there => continue,
            _ => {}
        }
        if kind == Kind::Segment {
            segments.push(definition.name.clone());
        }
        state.put(definition, now);
    }
    check_references(state)?;
    let order = SegmentOrder::of(state);
    segments.iter().try_for_each(|name| order.check(name))
}
