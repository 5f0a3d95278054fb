//! Whether the definitions of a lake fit each other.

use super::definition::{Body, Kind};
use super::references::{clauses, references};
use super::state::CatalogState;
use crate::error::{Error, Result};
use crate::suggest::nearest;

/// Fails if an object refers to one that is not there.
pub fn check_references(state: &CatalogState) -> Result<()> {
    if state.of_kind(Kind::IdentityGraph).count() > 1 {
        return Err(Error::Unsupported {
            what: "a second identity graph".into(),
            hint: "A lake has one for now: CREATE OR REPLACE the one there is, or drop it first."
                .into(),
        });
    }
    for definition in state.all() {
        for (kind, name) in clauses(definition) {
            if state.get(kind, &name).is_none() {
                let from = format!("{} \"{}\"", definition.body.kind().word(), definition.name);
                return Err(missing(&from, kind, &name));
            }
        }
    }
    Ok(())
}

/// Fails if the identity graph has a kind of identifier that no source gives, where a source gives one of nearly the same name
/// that the graph has not: then one of the two is misspelt. A kind that no source gives yet may be that of a source to come.
///
/// # Errors
/// [`Error::Standard`] with 42704, which names both.
pub fn check_identifiers(state: &CatalogState) -> Result<()> {
    let Some((name, graph)) = state.graph() else { return Ok(()) };
    let mut given: Vec<(&str, &str)> = Vec::new();
    for source in state.of_kind(Kind::Source) {
        if let Body::Source(body) = &source.body {
            let kinds = body.identifiers.iter().map(|identifier| identifier.kind.as_str());
            given.extend(kinds.map(|kind| (kind, source.name.as_str())));
        }
    }
    let is_known = |kind: &str| graph.identifiers.iter().any(|rule| rule.kind == kind);
    let is_given = |kind: &str| given.iter().any(|(given, _)| *given == kind);
    let unknown = || given.iter().filter(|(kind, _)| !is_known(kind));
    for kind in graph.identifiers.iter().map(|rule| rule.kind.as_str()) {
        if is_given(kind) {
            continue;
        }
        let near = nearest(kind, unknown().map(|(kind, _)| *kind));
        if let Some((near, source)) = unknown().find(|(kind, _)| Some(*kind) == near) {
            return Err(Error::Standard {
                sqlstate: "42704",
                message: format!(
                    "identifier \"{kind}\" of identity graph \"{name}\" is given by no source"
                ),
                hint: format!("Did you mean \"{near}\"? Source \"{source}\" gives it."),
            });
        }
    }
    Ok(())
}

/// Fails if an object that stays in `state` refers to the one of `kind` named `name`.
///
/// # Errors
/// [`Error::InUse`], which names all that do.
pub fn check_unused(state: &CatalogState, kind: Kind, name: &str) -> Result<()> {
    let users: Vec<(Kind, String)> = state
        .all()
        .map(|definition| (definition.body.kind(), definition))
        .filter(|(own, definition)| (*own, definition.name.as_str()) != (kind, name))
        .filter(|(_, definition)| {
            references(definition).iter().any(|(other, used)| *other == kind && used == name)
        })
        .map(|(own, definition)| (own, definition.name.clone()))
        .collect();
    if users.is_empty() {
        return Ok(());
    }
    Err(Error::InUse { kind, name: name.to_owned(), users })
}

fn missing(from: &str, kind: Kind, name: &str) -> Error {
    Error::Invalid {
        message: format!("{from} refers to {} \"{name}\", which does not exist", kind.word()),
        hint: format!(
            "Create it first, or drop what refers to it; SHOW {} lists what there is.",
            kind.words().to_uppercase()
        ),
    }
}
