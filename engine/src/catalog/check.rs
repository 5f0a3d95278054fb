//! Whether the definitions of a lake fit each other.

use super::definition::Kind;
use super::references::{clauses, references};
use super::state::CatalogState;
use crate::error::{Error, Result};

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
