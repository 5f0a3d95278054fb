//! Whom a value identifies, by counting the different people who use it.
//!
//! The idea of profiling a value before it may join anything is that of guarded stitching: placeholders, role mailboxes
//! and kiosks need no list when each value knows how many names, birthdays or accounts use it. Every count is bounded:
//! what it compares grows with the limit, not with the square of those who share the value. Where people know better, what
//! they decide stands for the count.

use std::collections::HashMap;

use super::graph::{Graph, RecordOf};
use super::interner::NONE;
use super::resolver::Resolver;
use super::values::ValueClass;

/// A record, a hash of who a version of it says it is, and that description.
type Described = (RecordOf, u64, u32);

/// What somebody decided about whom a value identifies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Classed {
    /// The kind of identifier.
    pub kind: String,
    /// The value.
    pub value: String,
    /// Whom it identifies.
    pub class: ValueClass,
}

/// What was decided about values.
#[derive(Debug, Default)]
pub(super) struct DecidedClasses {
    /// As they were given, sorted, each once.
    given: Vec<Classed>,
    /// By kind and normalised value.
    of: HashMap<u16, HashMap<String, ValueClass>>,
    /// Values about which something else is decided than when components were solved last.
    pub(super) changed: Vec<u32>,
}

/// With how many others of a group, or of a block, each person is compared at most. It bounds the work of a value that a million
/// carry: pairs grow with those who carry it, not with their square. Half of it would be enough where the first 32 descriptions
/// of a block show what it is, and halves the work of large blocks; twice as much doubles it. Whoever comes behind the first 64
/// different descriptions is still compared with each of them, and with all who say the same.
pub(super) const COMPARED_MAX: usize = 64;

impl ValueClass {
    const ALL: [ValueClass; 3] = [Self::Personal, Self::Shared, Self::Nobody];

    /// Returns the word that relations show.
    pub fn word(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::Shared => "shared",
            Self::Nobody => "nobody",
        }
    }

    /// Returns the class of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.word() == word)
    }
}

impl Resolver {
    /// Puts these decisions in place of those there are; the next [`resolve`](Self::resolve) looks again at everybody whom that
    /// concerns. A value that nobody carries yet is waited for; one of a kind that the graph has not is passed over.
    pub fn set_classes(&mut self, classes: &[Classed]) {
        let mut given = classes.to_vec();
        given.sort_unstable();
        given.dedup();
        let graph = &mut self.graph;
        if given == graph.decided.given {
            return;
        }
        let before = std::mem::take(&mut graph.decided);
        let mut next = DecidedClasses { changed: before.changed, ..DecidedClasses::default() };
        let normal = |classed: &Classed| {
            let kind = graph.rules.kind(&classed.kind)?;
            let value = graph.rules.normalize(kind, &classed.value, None);
            Some((kind, value.unwrap_or_else(|| classed.value.clone())))
        };
        let gone = before.given.iter().filter(|classed| given.binary_search(classed).is_err());
        let new = given.iter().filter(|classed| before.given.binary_search(classed).is_err());
        let changed = gone.chain(new).filter_map(normal);
        next.changed.extend(changed.filter_map(|(kind, value)| graph.values.find(kind, &value)));
        for classed in &given {
            if let Some((kind, value)) = normal(classed) {
                next.of.entry(kind).or_default().insert(value, classed.class);
            }
        }
        next.given = given;
        graph.decided = next;
    }
}

impl Graph {
    /// Returns whom a value identifies, if somebody decided that.
    pub(super) fn decided_class(&self, value: u32) -> Option<ValueClass> {
        let of_kind = self.decided.of.get(&self.values.rule(value))?;
        of_kind.get(self.values.text(value)?).copied()
    }

    /// Tells whether a value identifies nobody, whoever uses it: somebody or a rule says so, or it has expired.
    pub(super) fn is_nobodys(&self, value: u32) -> bool {
        let decided = self.decided_class(value).map(|class| class == ValueClass::Nobody);
        decided.unwrap_or_else(|| self.values.is_blocked(value) || self.is_expired(value))
    }

    /// Determines whom a value identifies.
    pub(super) fn classify(&self, value: u32) -> ValueClass {
        if let Some(class) = self.decided_class(value) {
            return class;
        }
        if self.is_nobodys(value) {
            return ValueClass::Nobody;
        }
        let rule = self.values.rule(value);
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
        let persons = self.users(value).filter(|&subject| !self.is_linker(subject));
        let unnamed = persons.filter(|&subject| !self.people.tells_apart(self.person(subject)));
        let mut records: Vec<RecordOf> = unnamed.map(|subject| self.record_of(subject)).collect();
        records.sort_unstable();
        records.dedup();
        records.len()
    }

    /// Counts groups of records whose given names, suffixes and birthdays agree, and within each the people whom surnames tell
    /// apart, or the profiles that they fill.
    fn different_people(&self, value: u32) -> usize {
        let shared_limit = self.rules.shared_limit as usize;
        let groups = self.groups_of_people(value);
        if groups.len() > shared_limit {
            return groups.len();
        }
        let people = |whos: &Vec<u64>| match self.profiles_filled(value, whos) {
            // That is enough to tell, and of so many records surnames and homes take longer.
            filled if filled > shared_limit => filled,
            filled => filled.max(self.people_of_one_given_name(value, whos)),
        };
        groups.iter().map(people).sum()
    }

    /// Counts the profiles that the records of a value fill which say that they are one of `whos`. A profile takes no more records
    /// than `merge_limit`; which of many that are alike would be together, nothing would tell but a hash. So records that fill
    /// more profiles than people may share the value are namesakes, or one placeholder of a name, and the value joins nobody.
    fn profiles_filled(&self, value: u32, whos: &[u64]) -> usize {
        let merge_limit = self.rules.merge_limit as usize;
        // Nearly all values are carried by fewer.
        if self.values.subjects(value).nth(merge_limit).is_none() {
            return 1;
        }
        let is_of_them = |subject: &u32| {
            let said = self.said(*subject);
            said != NONE && whos.binary_search(&self.people.who(said)).is_ok()
        };
        let of_them = self.users(value).filter(is_of_them);
        let mut records: Vec<RecordOf> = of_them.map(|subject| self.record_of(subject)).collect();
        records.sort_unstable();
        records.dedup();
        records.len().div_ceil(merge_limit)
    }

    /// Returns such groups, in an order that does not depend on arrival: of each who its people say that they are, ascending.
    /// Beyond `shared_limit` there is one more at most.
    pub(super) fn groups_of_people(&self, value: u32) -> Vec<Vec<u64>> {
        let mut described: Vec<Described> = self
            .users(value)
            .map(|subject| (subject, self.said(subject)))
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
        let members = groups.iter().map(|group| {
            let mut members: Vec<u64> = group.iter().flat_map(|record| whos(record)).collect();
            members.sort_unstable();
            members
        });
        members.collect()
    }

    /// Counts the different stronger identifiers that subjects without a name carry beside a value: the accounts that
    /// logged in on a device.
    fn accounts(&self, value: u32) -> usize {
        let priority = self.rules.priority(self.values.rule(value));
        let strongest = |subject| {
            let mut others = self.values.of(subject).filter(|&other| !self.is_nobodys(other));
            others.next().filter(|&other| self.rules.priority(self.values.rule(other)) < priority)
        };
        let nameless = |&subject: &u32| {
            self.is_linker(subject) || !self.people.get(self.person(subject)).has_name()
        };
        let mut accounts: Vec<u32> =
            self.users(value).filter(nameless).filter_map(strongest).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.len()
    }

    /// Tells whether people of one name who cannot be one, such as father and son, are among those of a block.
    fn has_namesakes(&self, value: u32) -> bool {
        self.are_namesakes_among(value, |_| true)
    }

    /// Tells whether such people are among those of a block who have the name of `person`.
    pub(super) fn has_namesakes_of(&self, value: u32, person: u32) -> bool {
        self.are_namesakes_among(value, |other| self.people.names(person, other).is_alike())
    }

    /// Tells whether namesakes are among those of a block, and these are so few that they may live together: then what is
    /// known of them holds for every pair of the block.
    pub(super) fn is_home_of_namesakes(&self, value: u32) -> bool {
        let rule = self.values.rule(value);
        self.values.class(value) == ValueClass::Shared
            && !self.rules.is_kind(rule)
            && self.values.subjects(value).nth(self.rules.compared_max).is_none()
    }

    /// Tells whether it was so before the subjects from `resolved` on came, if its class is what it was.
    pub(super) fn was_home_of_namesakes(&self, value: u32, resolved: u32) -> bool {
        let before = self.values.subjects(value).filter(|&subject| subject < resolved);
        self.values.class(value) == ValueClass::Shared
            && !self.rules.is_kind(self.values.rule(value))
            && before.take(self.rules.compared_max + 1).count() <= self.rules.compared_max
    }

    fn are_namesakes_among(&self, value: u32, is_asked: impl Fn(u32) -> bool) -> bool {
        let mut people: Vec<(u64, u32)> = self
            .users(value)
            .map(|subject| self.person(subject))
            .filter(|&person| person != NONE && self.people.get(person).has_name())
            .filter(|&person| is_asked(person))
            .map(|person| (self.people.who(person), person))
            .collect();
        people.sort_unstable();
        people.dedup_by_key(|(who, _)| *who);
        people.iter().take(self.rules.compared_max).enumerate().any(|(at, &(_, left))| {
            people[at + 1..].iter().any(|&(_, right)| self.are_namesakes(left, right))
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
