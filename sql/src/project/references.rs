//! Which objects an object names, and the order that follows from it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use engine::catalog::{Body, Definition, Kind, SyncInput};
use sqlparser::ast::visit_relations;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::FileDefinition;
use super::problem::{Problem, Problems};

/// One object that another one names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: String,
    /// The words that it stands behind in the text, for the place of a problem.
    pub(crate) behind: &'static [&'static str],
}

/// Returns every object that a definition names, in the order of the text where that is cheap to tell.
pub(crate) fn references(definition: &Definition) -> Vec<Reference> {
    let mut found = Vec::new();
    let mut add =
        |kind, name: &str, behind| found.push(Reference { kind, name: name.to_string(), behind });
    match &definition.body {
        Body::Secret(_)
        | Body::Purpose(_)
        | Body::Source(_)
        | Body::Event(_)
        | Body::IdentityGraph(_)
        | Body::Destination(_) => {}
        Body::Role(role) => {
            role.purposes.iter().for_each(|purpose| add(Kind::Purpose, purpose, &["(", ","]));
            role.password_secret.iter().for_each(|secret| add(Kind::Secret, secret, &["secret"]));
        }
        Body::ConsentFeed(feed) => relations(&feed.query, &mut add),
        Body::Attribute(attribute) => {
            add(Kind::IdentityGraph, &attribute.graph, &["on"]);
            attribute.inputs.iter().for_each(|input| add(Kind::Source, &input.source, &["(", ","]));
        }
        Body::Trait(computed) => {
            add(Kind::IdentityGraph, &computed.graph, &["on"]);
            relations(&computed.query, &mut add);
        }
        Body::Segment(segment) => {
            add(Kind::IdentityGraph, &segment.graph, &["on"]);
            add(Kind::Purpose, &segment.purpose, &["purpose"]);
            relations(&segment.query, &mut add);
        }
        Body::Sync(sync) => {
            match &sync.input {
                SyncInput::Segment { segment, .. } => add(Kind::Segment, segment, &["segment"]),
                SyncInput::Query(query) => relations(query, &mut add),
            }
            add(Kind::Destination, &sync.destination, &["to"]);
            add(Kind::Purpose, &sync.purpose, &["purpose"]);
        }
    }
    found
}

/// Adds the sources and segments that a query reads by `sources.name` and `segments.name`.
fn relations(query: &str, add: &mut impl FnMut(Kind, &str, &'static [&'static str])) {
    // The dialect has read this text before, so that it parses; if it did not, there would be nothing to add.
    let Ok(statements) = Parser::parse_sql(&PostgreSqlDialect {}, query) else { return };
    let _ = visit_relations(&statements, |relation| {
        let parts: Vec<String> = relation
            .0
            .iter()
            .filter_map(|part| part.as_ident())
            .map(|ident| match ident.quote_style {
                Some(_) => ident.value.clone(),
                None => ident.value.to_lowercase(),
            })
            .collect();
        match parts.as_slice() {
            [schema, name] if schema == "sources" => {
                add(Kind::Source, name.strip_suffix("_history").unwrap_or(name), &["."]);
            }
            [schema, name] if schema == "segments" => add(Kind::Segment, name, &["."]),
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
}

/// Sorts definitions by kind and name, and those of one kind so that each comes after the ones it names.
pub(crate) fn in_order(
    mut definitions: Vec<FileDefinition>,
) -> Result<Vec<FileDefinition>, Problems> {
    definitions
        .sort_by(|left, right| (left.kind(), left.name()).cmp(&(right.kind(), right.name())));
    let places: HashMap<(Kind, String), usize> = definitions
        .iter()
        .enumerate()
        .map(|(index, file)| ((file.kind(), file.name().to_string()), index))
        .collect();
    let needed: Vec<Vec<usize>> = definitions
        .iter()
        .map(|file| {
            let named = references(&file.parsed.definition).into_iter();
            named
                .filter_map(|reference| places.get(&(reference.kind, reference.name)).copied())
                .collect()
        })
        .collect();
    let mut order = Vec::with_capacity(definitions.len());
    let mut state = vec![State::New; definitions.len()];
    for start in 0..definitions.len() {
        if let Some(circle) = visit(start, &needed, &mut state, &mut order) {
            return Err(circular(&definitions[circle]).into());
        }
    }
    let mut slots: Vec<Option<FileDefinition>> = definitions.into_iter().map(Some).collect();
    let mut sorted: Vec<FileDefinition> =
        order.iter().filter_map(|&index| slots[index].take()).collect();
    // Kinds come in their own order first; a stable sort keeps the order within a kind.
    sorted.sort_by_key(FileDefinition::kind);
    Ok(sorted)
}

/// How far the walk over one definition is.
#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open,
    Done,
}

/// Walks what one definition needs, without recursion; returns a definition that needs itself.
fn visit(
    start: usize,
    needed: &[Vec<usize>],
    state: &mut [State],
    order: &mut Vec<usize>,
) -> Option<usize> {
    let mut stack = vec![(start, 0)];
    while let Some((index, next)) = stack.pop() {
        if next == 0 {
            if state[index] == State::Done {
                continue;
            }
            state[index] = State::Open;
        }
        match needed[index].get(next) {
            Some(&other) => {
                stack.push((index, next + 1));
                match state[other] {
                    State::Open => return Some(other),
                    State::New => stack.push((other, 0)),
                    State::Done => {}
                }
            }
            None => {
                state[index] = State::Done;
                order.push(index);
            }
        }
    }
    None
}

/// Returns the problem of a definition that needs itself.
fn circular(file: &FileDefinition) -> Problem {
    let message = format!("{} \"{}\" depends on itself", file.kind().word(), file.name());
    file.problem_at(file.name_byte(), message)
}
