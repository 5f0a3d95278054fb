//! Tests of the resolution as a whole.

mod blocking;
mod classes;
mod crowds;
mod deleted;
mod expiry;
mod figures;
mod fuzzy;
mod households;
mod limits;
mod names;
mod overrides;
mod properties;
mod review;
mod seating;
mod shop;
mod stories;
mod summaries;
mod surnames;
mod versions;

use std::time::Duration;

use super::*;
use crate::catalog::{IdentifierRule, IdentityGraph, MatchRule, Normalizer};

/// A subject that owns its texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) source: u16,
    pub(super) trust: u16,
    pub(super) record: Option<String>,
    pub(super) identifiers: Vec<(u16, String)>,
    pub(super) person: Option<PersonFields>,
    /// When it was observed.
    pub(super) at: i64,
}

pub(super) const CUSTOMER: u16 = 0;
pub(super) const EMAIL: u16 = 1;
pub(super) const PHONE: u16 = 2;
pub(super) const DEVICE: u16 = 3;

impl Row {
    /// A person's record.
    pub(super) fn record(key: &str, name: &str) -> Self {
        let person = PersonFields { name: Some(name.to_owned()), ..PersonFields::default() };
        Self { record: Some(key.to_owned()), person: Some(person), trust: 100, ..Self::default() }
    }

    /// An event.
    pub(super) fn event() -> Self {
        Self { source: 9, trust: 100, ..Self::default() }
    }

    pub(super) fn with(mut self, kind: u16, value: &str) -> Self {
        self.identifiers.push((kind, value.to_owned()));
        self
    }

    pub(super) fn at(mut self, at: i64) -> Self {
        self.at = at;
        self
    }

    pub(super) fn born(mut self, date: &str) -> Self {
        self.person.get_or_insert_default().birth_date = Some(date.to_owned());
        self
    }

    pub(super) fn lives(mut self, street: &str, postal_code: &str) -> Self {
        let person = self.person.get_or_insert_default();
        (person.street, person.postal_code) =
            (Some(street.to_owned()), Some(postal_code.to_owned()));
        self
    }

    pub(super) fn add_to(&self, resolver: &mut Resolver) -> u32 {
        let identifiers: Vec<(u16, &str)> =
            self.identifiers.iter().map(|(kind, value)| (*kind, value.as_str())).collect();
        let source = resolver.source(&format!("source {}", self.source)).unwrap();
        let subject = NewSubject {
            source,
            trust: self.trust,
            record: self.record.as_deref(),
            identifiers: &identifiers,
            person: self.person.as_ref(),
            observed_at: self.at,
        };
        resolver.add(&[subject]).unwrap()
    }
}

fn identifier(kind: &str, function: Option<&str>, priority: u16) -> IdentifierRule {
    let arguments = if function == Some("phone") { vec!["PL".to_owned()] } else { vec![] };
    let normalize =
        function.map(|function| Normalizer { function: function.to_owned(), arguments });
    IdentifierRule {
        kind: kind.to_owned(),
        normalize,
        priority,
        limit: None,
        limit_per: None,
        expire_after: None,
        block_values: vec![],
        block_matching: vec![],
    }
}

fn matching(name: &str, exact_on: &[&str], priority: u16) -> MatchRule {
    MatchRule {
        name: name.to_owned(),
        exact_on: exact_on.iter().map(|on| (*on).to_owned()).collect(),
        priority,
    }
}

/// The rules of most tests: customer, e-mail, phone, device; name and birthday; name and address.
pub(super) fn definition() -> IdentityGraph {
    IdentityGraph {
        identifiers: vec![
            identifier("customer_id", None, 1),
            IdentifierRule { limit: Some(3), ..identifier("email", Some("email"), 2) },
            identifier("phone", Some("phone"), 3),
            identifier("anonymous_id", None, 20),
        ],
        matches: vec![
            matching("name_birth", &["name", "birth_date"], 4),
            matching("name_address", &["name", "street", "postal_code"], 5),
        ],
        fuzzy: None,
        merge_limit: 12,
        shared_limit: 3,
    }
}

/// The same with one customer number, and limits for a time of ten: two mailboxes, one telephone, two devices.
pub(super) fn timed() -> IdentityGraph {
    let mut graph = definition();
    graph.identifiers[usize::from(CUSTOMER)].limit = Some(1);
    for (kind, limit) in [(EMAIL, 2), (PHONE, 1), (DEVICE, 2)] {
        let rule = &mut graph.identifiers[usize::from(kind)];
        rule.limit = Some(limit);
        rule.limit_per = Some(Duration::from_micros(10));
    }
    graph
}

/// The same as [`definition`] with a block of all who live at one address.
pub(super) fn homes() -> IdentityGraph {
    let mut graph = definition();
    graph.matches.push(matching("address", &["street", "postal_code"], 6));
    graph
}

pub(super) fn resolver() -> Resolver {
    Resolver::new(Rules::from_graph(&definition()).unwrap())
}

pub(super) fn resolve(rows: &[Row]) -> Resolver {
    resolve_by(definition(), rows)
}

pub(super) fn resolve_by(graph: IdentityGraph, rows: &[Row]) -> Resolver {
    let mut resolver = Resolver::new(Rules::from_graph(&graph).unwrap());
    for row in rows {
        row.add_to(&mut resolver);
    }
    resolver.resolve();
    resolver
}

/// Profiles as lists of members, by anchor.
pub(super) fn profiles(resolver: &Resolver) -> Vec<Vec<u32>> {
    resolver.profiles().map(|anchor| resolver.members(anchor).collect()).collect()
}

#[track_caller]
pub(super) fn check(rows: &[Row], expected: &[&[u32]]) -> Resolver {
    let resolver = resolve(rows);
    assert_eq!(profiles(&resolver), expected, "{:#?}", resolver.violations().collect::<Vec<_>>());
    resolver
}
