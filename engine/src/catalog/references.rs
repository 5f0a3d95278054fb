//! Which objects an object names: in its clauses, and as relations in its query.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{ObjectNamePart, visit_relations};

use super::analytics::is_reserved;
use super::definition::{Body, Definition, Kind, SyncInput};
use crate::query::{PUBLIC, syntax};

/// Returns every object that a definition names, in the order of the text where that is cheap to tell.
pub fn references(definition: &Definition) -> Vec<(Kind, String)> {
    let mut found = clauses(definition);
    match &definition.body {
        Body::ConsentFeed(feed) => relations(&feed.query, &mut found),
        Body::IdentityOverrides(overrides) => relations(&overrides.query, &mut found),
        Body::Trait(computed) => relations(&computed.query, &mut found),
        Body::Segment(segment) => relations(&segment.query, &mut found),
        Body::Sync(sync) => {
            if let SyncInput::Query(query) = &sync.input {
                relations(query, &mut found);
            }
        }
        Body::Secret(_) | Body::Source(_) | Body::Event(_) | Body::IdentityGraph(_) => {}
        Body::Attribute(_) | Body::Purpose(_) | Body::Role(_) | Body::Destination(_) => {}
    }
    found
}

/// Returns the objects that the clauses of a definition name.
pub(super) fn clauses(definition: &Definition) -> Vec<(Kind, String)> {
    let mut found = Vec::new();
    let mut add = |kind, name: &str| found.push((kind, name.to_owned()));
    match &definition.body {
        Body::Role(role) => {
            role.purposes.iter().for_each(|purpose| add(Kind::Purpose, purpose));
            role.password_secret.iter().for_each(|secret| add(Kind::Secret, secret));
        }
        Body::Attribute(attribute) => {
            add(Kind::IdentityGraph, &attribute.graph);
            attribute.inputs.iter().for_each(|input| add(Kind::Source, &input.source));
        }
        Body::Trait(computed) => add(Kind::IdentityGraph, &computed.graph),
        Body::Segment(segment) => {
            add(Kind::IdentityGraph, &segment.graph);
            add(Kind::Purpose, &segment.purpose);
        }
        Body::Sync(sync) => {
            if let SyncInput::Segment { segment, .. } = &sync.input {
                add(Kind::Segment, segment);
            }
            add(Kind::Destination, &sync.destination);
            add(Kind::Purpose, &sync.purpose);
        }
        Body::Secret(_) | Body::Source(_) | Body::Event(_) | Body::IdentityGraph(_) => {}
        Body::Purpose(_) | Body::ConsentFeed(_) | Body::Destination(_) => {}
        Body::IdentityOverrides(_) => {}
    }
    found
}

/// Adds the sources and segments that a query reads by `sources.name` and `segments.name`.
fn relations(query: &str, found: &mut Vec<(Kind, String)>) {
    found.extend(relations_read(query).into_iter().filter_map(|(schema, name)| {
        match schema.as_deref() {
            Some("sources") => {
                let source = name.strip_suffix("_history").unwrap_or(&name);
                Some((Kind::Source, source.to_owned()))
            }
            Some("segments") => Some((Kind::Segment, name)),
            _ => None,
        }
    }));
}

/// Which segments a query reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SegmentsRead {
    /// Those that it names.
    pub(crate) named: BTreeSet<String>,
    /// Whether it reads `segment_members`: who is and who was a member of any of them.
    pub(crate) members: bool,
    /// Whether it reads what analysts make.
    pub(crate) analytics: bool,
}

/// Returns which segments a query reads.
pub(crate) fn segments_read(query: &str) -> SegmentsRead {
    let mut read = SegmentsRead::default();
    for (schema, name) in relations_read(query) {
        match schema.as_deref() {
            Some("segments") => drop(read.named.insert(name)),
            None | Some(PUBLIC) => read.members |= name == "segment_members",
            Some(schema) => read.analytics |= !is_reserved(schema),
        }
    }
    read
}

/// Returns the relations that a query names, each with its schema if it names that, too.
pub(crate) fn relations_read(query: &str) -> Vec<(Option<String>, String)> {
    let mut found = Vec::new();
    // The dialect has read this text before, so that it parses; if it did not, there would be nothing to add.
    let Ok(statements) = syntax::statements(query) else { return found };
    let _ = visit_relations(&statements, |relation| {
        let mut parts: Vec<String> = relation
            .0
            .iter()
            .filter_map(ObjectNamePart::as_ident)
            .map(|ident| match ident.quote_style {
                Some(_) => ident.value.clone(),
                None => ident.value.to_lowercase(),
            })
            .collect();
        if let Some(name) = parts.pop() {
            found.push((parts.pop(), name));
        }
        ControlFlow::<()>::Continue(())
    });
    found
}
