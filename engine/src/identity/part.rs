//! A cluster in the making: who its records say that it is, and what speaks against joining it with another one.
//!
//! Each record counts once, by its newest version and by what that says: all versions of a record are one part before
//! anything else is joined. Records that say the same of who they are, are compared once, so that the size of a part costs
//! nothing; and no two descriptions are compared twice in one component.

use std::cell::RefCell;
use std::collections::HashMap;

use super::agreement::Contradiction;
use super::graph::Graph;
use super::interner::NONE;

/// What was joined so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    /// What its records say of who it is, by [`Described::who`].
    people: Vec<Described>,
    pub(super) records: u32,
    /// Different values of kinds with a LIMIT, by kind and value.
    limited: Vec<Limited>,
}

/// What a record says of who its person is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Described {
    /// A hash of name, suffix and birthday.
    pub(super) who: u64,
    person: u32,
    /// A subject that says so: the first by content.
    pub(super) subject: u32,
}

/// A value of a kind with a LIMIT.
#[derive(Debug, Clone, Copy)]
struct Limited {
    /// The priority of its kind, and the kind.
    kind: (u16, u16),
    value: u32,
    /// A subject that carries it: the first by content.
    subject: u32,
}

/// Records of two parts that cannot be of one person, and why.
pub(super) type Against = (Described, Described, Contradiction);

/// What is known of pairs of descriptions, by what they say of who they are.
#[derive(Debug, Default)]
pub(super) struct Contradictions(RefCell<HashMap<(u64, u64), Option<Contradiction>>>);

impl Contradictions {
    /// Returns the records of two parts that cannot be of one person, and why.
    pub(super) fn between(&self, graph: &Graph, left: &Part, right: &Part) -> Option<Against> {
        left.people.iter().find_map(|&one| {
            right.people.iter().find_map(|&other| Some((one, other, self.of(graph, one, other)?)))
        })
    }

    fn of(&self, graph: &Graph, one: Described, other: Described) -> Option<Contradiction> {
        if one.who == other.who {
            return None;
        }
        let pair = (one.who.min(other.who), one.who.max(other.who));
        let mut known = self.0.borrow_mut();
        let found = known.entry(pair);
        *found.or_insert_with(|| graph.people.contradiction(one.person, other.person))
    }
}

impl Part {
    /// Makes a part of one subject.
    pub(super) fn of(graph: &Graph, subject: u32) -> Self {
        if graph.is_linker(subject) || !graph.is_newest(subject) {
            return Self::default();
        }
        let limited = graph.usable(subject).filter_map(|value| {
            let kind = graph.values.rule(value);
            graph.rules.kinds[usize::from(kind)].limit?;
            Some(Limited { kind: (graph.rules.priority(kind), kind), value, subject })
        });
        let mut limited: Vec<Limited> = limited.collect();
        limited.sort_unstable_by_key(Limited::place);
        let person = graph.said(subject);
        Self {
            people: vec![Described { who: graph.people.who(person), person, subject }],
            records: u32::from(graph.subjects[subject as usize].record != NONE),
            limited,
        }
    }

    /// Takes in another part.
    pub(super) fn absorb(&mut self, graph: &Graph, mut other: Self) {
        self.records += other.records;
        // What is few is put into what is much.
        if other.people.len() > self.people.len() {
            std::mem::swap(&mut self.people, &mut other.people);
        }
        for theirs in other.people {
            match self.people.binary_search_by_key(&theirs.who, |mine| mine.who) {
                Ok(at) => {
                    let first = graph.first_by_content(self.people[at].subject, theirs.subject);
                    self.people[at].subject = first;
                }
                Err(at) => self.people.insert(at, theirs),
            }
        }
        if other.limited.len() > self.limited.len() {
            std::mem::swap(&mut self.limited, &mut other.limited);
        }
        for theirs in other.limited {
            match self.limited.binary_search_by_key(&theirs.place(), Limited::place) {
                Ok(at) => {
                    let first = graph.first_by_content(self.limited[at].subject, theirs.subject);
                    self.limited[at].subject = first;
                }
                Err(at) => self.limited.insert(at, theirs),
            }
        }
    }

    /// Returns the kind of which this and another part have too many values together, and a subject of the other one with
    /// such a value.
    pub(super) fn exceeded_with(&self, graph: &Graph, other: &Self) -> Option<(u16, u32)> {
        other.limited.chunk_by(|one, next| one.kind == next.kind).find_map(|theirs| {
            let (first, rest) = theirs.split_first()?;
            let kind = first.kind.1;
            let limit = graph.rules.kinds[usize::from(kind)].limit?;
            let from = self.limited.partition_point(|mine| mine.kind < first.kind);
            let to = self.limited.partition_point(|mine| mine.kind <= first.kind);
            let mine = &self.limited[from..to];
            if mine.len() + theirs.len() <= limit.values {
                return None;
            }
            let both = mine.iter().chain(theirs).map(|limited| limited.value);
            let mut together: Vec<u32> = both.collect();
            together.sort_unstable();
            together.dedup();
            if together.len() <= limit.values {
                return None;
            }
            let times = together.into_iter().map(|value| graph.values.first_at(value));
            let mut times: Vec<i64> = times.collect();
            times.sort_unstable();
            let carriers = rest.iter().map(|limited| limited.subject);
            limit.is_exceeded(&times).then(|| {
                (kind, carriers.fold(first.subject, |one, next| graph.first_by_content(one, next)))
            })
        })
    }
}

impl Limited {
    fn place(&self) -> ((u16, u16), u32) {
        (self.kind, self.value)
    }
}
