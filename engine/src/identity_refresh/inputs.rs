//! What a graph is made from, as its coverage tells: tables by version, and how far each source is trusted.

use super::standing::{deletes, record_tables};
use crate::catalog::{Body, Coverage, IdentityGraph, Kind, Published};
use crate::tables;

/// What every graph is made from: the subjects, and what people or tables that are followed decided about them; besides, the
/// current rows of records, which say which versions stand. One with `EXPIRE AFTER` is made from all rows of all sources, which
/// say when subjects were seen.
const LOGS: [&str; 4] = [
    tables::SUBJECTS.path,
    tables::IDENTITY_OVERRIDES.path,
    tables::FOLLOWED_OVERRIDES.path,
    tables::IDENTIFIER_OVERRIDES.path,
];

/// The inputs of a graph as they are published.
pub(super) fn coverage_now(
    published: &Published,
    (name, graph): (&str, &IdentityGraph),
    trusts: &[(String, u16)],
    now: i64,
) -> Coverage {
    let expires = expires(graph);
    let sources = trusts.iter().filter(|_| expires).map(|(source, _)| source);
    let rows = sources.flat_map(|name| [tables::source_path(name), tables::superseded_path(name)]);
    let logs = LOGS.into_iter().map(str::to_owned).chain(rows).chain(record_tables(published));
    let versions = logs.map(|log| (published.version(&log), log));
    // A lake in which nobody decided anything has no such tables.
    let logs = versions.filter(|(version, log)| log == tables::SUBJECTS.path || *version > 0);
    let logs = logs.map(|(version, log)| (log, version));
    let told = |source: &str| match published.state.get(Kind::Source, source) {
        Some(definition) if deletes(&definition.body) => TELLS_OF_DELETIONS,
        _ => 0,
    };
    let trusts = trusts
        .iter()
        .map(|(source, trust)| (trust_input(source), u64::from(*trust) + told(source)));
    let resolution = (RESOLUTION_INPUT.to_owned(), RESOLUTION);
    Coverage {
        inputs: logs.chain(trusts).chain([resolution]).collect(),
        definition_version: published.state.version_of(Kind::IdentityGraph, name),
        at: now,
    }
}

/// Tells whether identifiers of a graph expire.
pub(super) fn expires(graph: &IdentityGraph) -> bool {
    graph.identifiers.iter().any(|rule| rule.expire_after.is_some())
}

/// The name under which [`RESOLUTION`] is kept in the graph's coverage; that of no table.
const RESOLUTION_INPUT: &str = "resolution";

/// Which resolution makes profiles: another number for each that may make others of the same subjects and rules, or tells more
/// of them. Profiles that one made are not added to by another.
const RESOLUTION: u64 = 5;

/// The name under which a source's trust is kept in the graph's coverage.
fn trust_input(source: &str) -> String {
    format!("{TRUST_INPUT}{source}")
}

/// What is added to the trust of a source that tells of deletions: people are made otherwise by it.
const TELLS_OF_DELETIONS: u64 = 1 << 16;

/// What the names of trusts begin with, and those of no table.
const TRUST_INPUT: &str = "trust of ";

/// Tells whether what was made at `covered` was made by the rules of `now`: the graph is the same and made in the same way,
/// and every source that was there is trusted as it was, and tells of deletions if it did.
pub(super) fn same_rules(covered: &Coverage, now: &Coverage) -> bool {
    let trusts = covered.inputs.iter().filter(|(input, _)| input.starts_with(TRUST_INPUT));
    covered.definition_version == now.definition_version
        && covered.inputs.get(RESOLUTION_INPUT) == Some(&RESOLUTION)
        && trusts.into_iter().all(|(input, trust)| now.inputs.get(input) == Some(trust))
}

pub(super) fn trusts(published: &Published) -> Vec<(String, u16)> {
    let sources = published.state.of_kind(Kind::Source);
    sources
        .filter_map(|definition| match &definition.body {
            Body::Source(source) => Some((definition.name.clone(), source.trust)),
            _ => None,
        })
        .collect()
}
