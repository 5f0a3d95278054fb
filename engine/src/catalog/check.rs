//! Whether the definitions of a lake fit each other.

use super::definition::{Body, Kind, SyncInput};
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
        let from = format!("{} \"{}\"", definition.body.kind().word(), definition.name);
        let needs = |kind: Kind, name: &str| needs(state, &from, kind, name);
        match &definition.body {
            Body::Attribute(attribute) => {
                needs(Kind::IdentityGraph, &attribute.graph)?;
                attribute.inputs.iter().try_for_each(|input| needs(Kind::Source, &input.source))?;
            }
            Body::Trait(computed) => needs(Kind::IdentityGraph, &computed.graph)?,
            Body::Role(role) => {
                role.purposes.iter().try_for_each(|purpose| needs(Kind::Purpose, purpose))?
            }
            Body::Segment(segment) => {
                needs(Kind::IdentityGraph, &segment.graph)?;
                needs(Kind::Purpose, &segment.purpose)?;
            }
            Body::Sync(sync) => {
                needs(Kind::Destination, &sync.destination)?;
                needs(Kind::Purpose, &sync.purpose)?;
                if let SyncInput::Segment { segment, .. } = &sync.input {
                    needs(Kind::Segment, segment)?;
                }
            }
            Body::Secret(_) | Body::Source(_) | Body::Event(_) | Body::IdentityGraph(_) => {}
            Body::Purpose(_) | Body::ConsentFeed(_) | Body::Destination(_) => {}
        }
    }
    Ok(())
}

fn needs(state: &CatalogState, from: &str, kind: Kind, name: &str) -> Result<()> {
    if state.get(kind, name).is_some() {
        return Ok(());
    }
    Err(Error::Invalid {
        message: format!("{from} refers to {} \"{name}\", which does not exist", kind.word()),
        hint: format!(
            "Create it first, or drop what refers to it; SHOW {}S lists what there is.",
            kind.word().to_uppercase()
        ),
    })
}
