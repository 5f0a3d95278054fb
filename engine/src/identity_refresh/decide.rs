//! Deciding about records between two refreshes: the graph as the last refresh made it, and what an override makes of it.

use std::collections::HashSet;

use super::*;
use crate::error::Error;
use crate::identity::RecordName;

/// Brings `memory` to what the last refresh of the graph covered, if it is not there.
///
/// # Errors
/// [`Error::Missing`] without a graph, [`Error::Conflict`] if profiles are to be made by other rules than they were.
pub(crate) async fn known<'a>(
    catalog: &Catalog,
    memory: &'a mut Option<Memory>,
) -> Result<&'a Memory> {
    let published = catalog.current();
    let Some((name, graph)) = published.state.graph() else {
        return Err(Error::Missing {
            kind: "identity graph",
            name: "customer".into(),
            hint: "Create one and refresh: without it there are no profiles.".into(),
        });
    };
    let trusts = trusts(&published);
    let now = coverage_now(&published, (name, graph), &trusts, 0);
    let covered = published.state.coverage.get(IDENTITY);
    let Some(covered) = covered.filter(|covered| same_rules(covered, &now)) else {
        return Err(stale("REFRESH ALL"));
    };
    match memory {
        Some(known) => Ok(known),
        None => {
            let (lake, version) = (catalog.lake(), now.definition_version);
            let in_force = overrides::covered(lake, &published, Some(covered)).await?;
            let new = Memory::new(lake, &published, version, graph, trusts, &in_force);
            let mut new = new.await?;
            if !new.replay(catalog.lake(), &published, Some(covered)).await? {
                return Err(stale("REFRESH ALL FULL"));
            }
            Ok(memory.insert(new))
        }
    }
}

fn stale(statement: &str) -> Error {
    Error::Conflict {
        message: "the rules of identity have changed since profiles were made".into(),
        hint: format!("{statement} makes them anew; then decide."),
    }
}

/// Puts these decisions in force, which `version` of a table of them completes, and adds the graph's tables to `change`.
/// Subjects that came since the last refresh wait for the next one.
pub(crate) async fn decide(
    catalog: &Catalog,
    memory: &mut Memory,
    change: &mut Change,
    now: i64,
    in_force: &InForce,
    (log, version): (&str, u64),
) -> Result<Refreshed> {
    let published = catalog.current();
    let (covered, graph) =
        (published.state.coverage.get(IDENTITY), published.state.defined_graph());
    let (Some(covered), Some(graph)) = (covered, graph) else { return Err(stale("REFRESH ALL")) };
    let mut coverage = Coverage { at: now, ..covered.clone() };
    coverage.inputs.insert(log.to_owned(), version);
    memory.decide(in_force)?;
    memory.resolve(catalog, change, &published, coverage, graph, false).await
}

impl Memory {
    /// Returns the records of the profile with this anchor, the oldest first, each once.
    pub(crate) fn records_of(&self, anchor: u32) -> Vec<RecordName> {
        let mut seen: HashSet<RecordName> = HashSet::new();
        let records = self.resolver.members(anchor).filter_map(|subject| self.record(subject));
        records.filter(|record| seen.insert(record.clone())).collect()
    }

    /// Returns those of the records of a profile that carry an identifier of the kind `kind`, in normal form.
    pub(crate) fn records_with(&self, anchor: u32, kind: &str, value: &str) -> Vec<RecordName> {
        let Some(kind) = self.resolver.rules().kind(kind) else { return vec![] };
        let carriers = self.resolver.subjects_by_value(kind, value).into_iter();
        let own = carriers.filter(|subject| self.resolver.anchor_of(*subject) == Some(anchor));
        let mut records: Vec<RecordName> = own.filter_map(|subject| self.record(subject)).collect();
        records.sort_unstable();
        records.dedup();
        records
    }

    /// Returns the anchors of the profiles that these records belong to, ascending.
    pub(crate) fn anchors_of<'a>(
        &self,
        records: impl IntoIterator<Item = &'a RecordName>,
    ) -> BTreeSet<u32> {
        let records = records.into_iter();
        records.filter_map(|record| self.resolver.anchor_of_record(record)).collect()
    }

    /// Returns the anchors of the profiles with a subject that carries an identifier in normal form, ascending.
    pub(crate) fn anchors_with(&self, kind: &str, value: &str) -> BTreeSet<u32> {
        let Some(kind) = self.resolver.rules().kind(kind) else { return BTreeSet::new() };
        let carriers = self.resolver.subjects_by_value(kind, value).into_iter();
        carriers.filter_map(|subject| self.resolver.anchor_of(subject)).collect()
    }

    /// Makes the graph with what people decided.
    pub(super) fn decide(&mut self, in_force: &InForce) -> Result<()> {
        self.resolver.set_classes(&in_force.classes);
        self.resolver.set_overrides(&in_force.overrides)
    }

    pub(super) fn record(&self, subject: u32) -> Option<RecordName> {
        let seen = &self.seen[subject as usize];
        let source = self.resolver.source_name(seen.source).to_owned();
        Some(RecordName { source, key: seen.record_key.as_deref()?.to_owned() })
    }
}
