//! Which objects an object names, and the order that follows from it.

use std::collections::HashMap;

use engine::catalog::{Body, Definition, Kind, Sync, SyncInput};

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
    engine::catalog::references(definition)
        .into_iter()
        .map(|(kind, name)| Reference { kind, name, behind: behind(&definition.body, kind) })
        .collect()
}

/// The words that a definition puts before the name of an object of this kind.
fn behind(body: &Body, kind: Kind) -> &'static [&'static str] {
    match (body, kind) {
        (Body::Role(_), Kind::Purpose) | (Body::Attribute(_), Kind::Source) => &["(", ","],
        (Body::Sync(Sync { input: SyncInput::Segment { .. }, .. }), Kind::Segment) => &["segment"],
        (_, Kind::Source | Kind::Segment) => &["."],
        (_, Kind::IdentityGraph) => &["on"],
        (_, Kind::Purpose) => &["purpose"],
        (_, Kind::Secret) => &["secret"],
        (_, Kind::Destination) => &["to"],
        (
            _,
            Kind::Role
            | Kind::Event
            | Kind::ConsentFeed
            | Kind::IdentityOverrides
            | Kind::Attribute
            | Kind::Trait
            | Kind::Sync,
        ) => &[],
    }
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
