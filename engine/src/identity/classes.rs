//! Whom a value identifies, by counting the different people who use it.
//!
//! The idea of profiling a value before it may join anything is that of guarded stitching: placeholders, role mailboxes
//! and kiosks need no list when each value knows how many names, birthdays or accounts use it. Every count is bounded:
//! what it compares grows with the limit, not with the square of those who share the value.

use super::agreement::Contradiction;
use super::graph::{Graph, RecordOf};
use super::interner::NONE;
use super::values::ValueClass;

/// A record, a hash of who a version of it says it is, and that description.
type Described = (RecordOf, u64, u32);

/// With how many others of a group, or of a block, each person is compared at most.
pub(super) const COMPARED_MAX: usize = 64;

impl Graph {
    /// Determines whom a value identifies.
    pub(super) fn classify(&self, value: u32) -> ValueClass {
        let rule = self.values.rule(value);
        if self.values.is_blocked(value) {
            return ValueClass::Nobody;
        }
        if rule == self.rules.record_rule() || self.values.is_lone(value) {
            return ValueClass::Personal;
        }
        if !self.rules.is_kind(rule) {
            return if self.has_namesakes(value) {
                ValueClass::Shared
            } else {
                ValueClass::Personal
            };
        }
        if self.unnamed_records(value) > self.rules.merge_limit as usize {
            return ValueClass::Nobody;
        }
        let counted = self.different_people(value).max(self.accounts(value));
        match counted.max(self.people_decided(value)) {
            0 | 1 => ValueClass::Personal,
            count if count <= self.rules.shared_limit as usize => ValueClass::Shared,
            _ => ValueClass::Nobody,
        }
    }

    /// Counts the records of a value's subjects that do not say who they are: more than a profile may have are not one
    /// person's.
    fn unnamed_records(&self, value: u32) -> usize {
        let persons = self.values.subjects(value).filter(|&subject| !self.is_linker(subject));
        let unnamed = persons.filter(|&subject| !self.people.tells_apart(self.person(subject)));
        let mut records: Vec<RecordOf> = unnamed.map(|subject| self.record_of(subject)).collect();
        records.sort_unstable();
        records.dedup();
        records.len()
    }

    /// Counts groups of records whose given names, suffixes and birthdays agree, in an order that does not depend on
    /// arrival.
    fn different_people(&self, value: u32) -> usize {
        let mut described: Vec<Described> = self
            .values
            .subjects(value)
            .map(|subject| (subject, self.person(subject)))
            .filter(|&(_, person)| person != NONE && self.people.tells_apart(person))
            .map(|(subject, person)| (self.record_of(subject), self.people.who(person), person))
            .collect();
        described.sort_unstable();
        described.dedup_by_key(|(record, who, _)| (*record, *who));
        let mut records: Vec<_> = described.chunk_by(|left, right| left.0 == right.0).collect();
        records.sort_unstable_by(|left, right| whos(left).cmp(whos(right)));
        records.dedup_by(|left, right| whos(left).eq(whos(right)));
        let mut groups: Vec<Vec<&[Described]>> = Vec::new();
        for record in records {
            let fits = |group: &Vec<&[Described]>| {
                group.iter().take(COMPARED_MAX).all(|other| {
                    self.people.contradiction_of_records(persons(record), persons(other)).is_none()
                })
            };
            match groups.iter().position(fits) {
                Some(at) => groups[at].push(record),
                None => groups.push(vec![record]),
            }
            if groups.len() > self.rules.shared_limit as usize {
                break;
            }
        }
        groups.len()
    }

    /// Counts the different stronger identifiers that subjects without a name carry beside a value: the accounts that
    /// logged in on a device.
    fn accounts(&self, value: u32) -> usize {
        let priority = self.rules.priority(self.values.rule(value));
        let strongest = |subject| {
            let mut others =
                self.values.of(subject).filter(|&other| !self.values.is_blocked(other));
            others.next().filter(|&other| self.rules.priority(self.values.rule(other)) < priority)
        };
        let nameless = |&subject: &u32| {
            self.is_linker(subject) || !self.people.get(self.person(subject)).has_name()
        };
        let mut accounts: Vec<u32> =
            self.values.subjects(value).filter(nameless).filter_map(strongest).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.len()
    }

    /// Tells whether people of one name who cannot be one, such as father and son, are among those of a block.
    fn has_namesakes(&self, value: u32) -> bool {
        let mut people: Vec<(u64, u32)> = self
            .values
            .subjects(value)
            .map(|subject| self.person(subject))
            .filter(|&person| person != NONE && self.people.get(person).has_name())
            .map(|person| (self.people.who(person), person))
            .collect();
        people.sort_unstable();
        people.dedup_by_key(|(who, _)| *who);
        people.iter().take(COMPARED_MAX).enumerate().any(|(at, &(_, left))| {
            people[at + 1..].iter().any(|&(_, right)| {
                matches!(
                    self.people.contradiction(left, right),
                    Some(Contradiction::Suffix | Contradiction::BirthDate)
                ) && self.people.names(left, right).is_alike()
            })
        })
    }

    pub(super) fn person(&self, subject: u32) -> u32 {
        self.subjects[subject as usize].person
    }
}

fn whos(record: &[Described]) -> impl Iterator<Item = u64> {
    record.iter().map(|(_, who, _)| *who)
}

fn persons(record: &[Described]) -> impl Iterator<Item = u32> + Clone {
    record.iter().map(|(.., person)| *person)
}
