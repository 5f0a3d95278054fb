//! The ground of the resolution: subjects, what they carry, what they say; and which pairs that proposes.

use super::agreement::{Agreement, Contradiction};
use super::edges::{Candidate, Refusal, Violation};
use super::hash;
use super::interner::NONE;
use super::people::People;
use super::person::PersonFields;
use super::rules::{MatchOn, Rules};
use super::values::{ValueClass, Values};
use crate::{Error, Result};

/// Different descriptions of people that share a value, at most; a value with more identifies nobody. It bounds the
/// comparisons that one value costs, and is far above any `shared_limit` of use.
const PEOPLE_PER_VALUE_MAX: usize = 64;

/// Subjects and links of one graph at most: their numbers are 32 bits wide, one of them is reserved.
const ORDINALS_MAX: usize = u32::MAX as usize - 1;

/// Separates the number of a source from the key of its record.
pub(super) const RECORD_SEPARATOR: char = '\u{1f}';

/// A distinct tuple of identifiers as a row carries it, in log order of first appearance.
#[derive(Debug, Clone, Copy)]
pub struct NewSubject<'a> {
    /// The number of the source.
    pub source: u16,
    /// `TRUST` of the source.
    pub trust: u16,
    /// The key of the record, in a source that has one person in each record.
    pub record: Option<&'a str>,
    /// Numbers of kinds, and raw identifiers.
    pub identifiers: &'a [(u16, &'a str)],
    /// What the row says about its person, in a source that has one person in each record.
    pub person: Option<&'a PersonFields>,
}

/// What is kept of a subject besides its links.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    /// Its number in [`People`], or [`NONE`] for a subject that no person describes, such as an event's.
    pub(super) person: u32,
    /// The value of its record's key, or [`NONE`].
    pub(super) record: u32,
    pub(super) trust: u16,
    /// A hash of everything it says, the same whenever it arrives.
    pub(super) content: u64,
}

/// Everything that was added.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) rules: Rules,
    pub(super) values: Values,
    pub(super) people: People,
    pub(super) subjects: Vec<Subject>,
}

/// What two people who agree on a value are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Propose(u8),
    Refuse(Refusal),
    Ignore,
}

impl Graph {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, values: Values::new(), people: People::new(), subjects: Vec::new() }
    }

    /// Adds a subject and returns its ordinal.
    pub(super) fn add(&mut self, subject: &NewSubject<'_>) -> Result<u32> {
        let links =
            self.values.link_count() + subject.identifiers.len() + self.rules.matches.len() + 1;
        if links.max(self.values.texts.len()) >= ORDINALS_MAX {
            return Err(Error::Limit {
                sqlstate: "54000",
                message: format!("identity graph has more than {ORDINALS_MAX} links"),
                hint: "Use fewer identifiers or MATCH rules.".to_owned(),
            });
        }
        let person = match (subject.person, subject.record) {
            (Some(fields), _) => self.people.add(fields),
            (None, Some(_)) => self.people.add(&PersonFields::default()),
            (None, None) => NONE,
        };
        let mut values = self.identifiers(subject, person);
        let mut content = hash::mix(
            u64::from(subject.source),
            if person == NONE { 0 } else { self.people.content(person) },
        );
        for &value in &values {
            let text = self.values.text(value).expect("identifiers have a text");
            content =
                hash::mix(content, hash::mix(u64::from(self.values.rule(value)), hash::text(text)));
        }
        let mut record = NONE;
        if let Some(key) = subject.record {
            content = hash::mix(content, hash::text(key));
            let text = format!("{}{RECORD_SEPARATOR}{key}", subject.source);
            record = self.values.identifier(&self.rules, self.rules.record_rule(), &text);
            values.push(record);
        }
        if person != NONE {
            self.add_blocks(person, &mut values);
        }
        self.values.link(&values);
        self.subjects.push(Subject { person, record, trust: subject.trust, content });
        Ok((self.subjects.len() - 1) as u32)
    }

    /// Returns the values of a subject's identifiers, from the strongest to the weakest, each once.
    fn identifiers(&mut self, subject: &NewSubject<'_>, person: u32) -> Vec<u32> {
        let region = if person == NONE { None } else { self.people.country(person) };
        let normalized = subject.identifiers.iter().filter_map(|&(kind, raw)| {
            Some((
                self.rules.kinds.get(usize::from(kind))?.priority,
                kind,
                self.rules.normalize(kind, raw, region)?,
            ))
        });
        let mut normalized: Vec<_> = normalized.collect();
        normalized.sort_unstable();
        normalized.dedup();
        let mut values = Vec::with_capacity(normalized.len() + self.rules.matches.len() + 1);
        values.extend(
            normalized
                .iter()
                .map(|(_, kind, text)| self.values.identifier(&self.rules, *kind, text)),
        );
        values
    }

    /// Adds the blocks of MATCH rules: one for each rule on whose fields the person says something.
    fn add_blocks(&mut self, person: u32, values: &mut Vec<u32>) {
        let identifiers = values.len();
        for index in 0..self.rules.matches.len() {
            let rule = self.rules.match_rule(index);
            let mut hashes = vec![u64::from(rule)];
            for on in &self.rules.matches[index].exact_on {
                let parts: Vec<u64> = match *on {
                    MatchOn::Field(field) => {
                        self.people.match_key(person, field).into_iter().collect()
                    }
                    MatchOn::Kind(kind) => {
                        let of_kind = values[..identifiers]
                            .iter()
                            .filter(|&&value| self.values.rule(value) == kind);
                        of_kind.map(|&value| u64::from(value)).collect()
                    }
                };
                hashes = hashes
                    .iter()
                    .flat_map(|hash| parts.iter().map(|part| hash::mix(*hash, *part)))
                    .collect();
            }
            values.extend(hashes.iter().map(|hash| self.values.block(rule, *hash)));
        }
    }

    /// Tells whether a subject has no person of its own, such as an event's.
    pub(super) fn is_linker(&self, subject: u32) -> bool {
        self.subjects[subject as usize].person == NONE
    }

    pub(super) fn content(&self, subject: u32) -> u64 {
        self.subjects[subject as usize].content
    }

    /// Returns the identifiers of a subject that identify somebody, from the strongest.
    pub(super) fn usable(&self, subject: u32) -> impl Iterator<Item = u32> {
        let of_kinds = self
            .values
            .of(subject)
            .take_while(|&value| self.rules.is_kind(self.values.rule(value)));
        of_kinds.filter(|&value| self.values.class(value) != ValueClass::Nobody)
    }

    /// Determines whom a value identifies, by counting different people.
    ///
    /// The idea of profiling a value before it may join anything is that of guarded stitching: placeholders, role
    /// mailboxes and kiosks need no list when each value knows how many names, or how many accounts, use it.
    pub(super) fn classify(&self, value: u32) -> ValueClass {
        let rule = self.values.rule(value);
        if self.values.is_blocked(value) {
            return ValueClass::Nobody;
        }
        if rule == self.rules.record_rule() || self.values.is_lone(value) {
            return ValueClass::Personal;
        }
        let mut people: Vec<u32> = self
            .values
            .subjects(value)
            .map(|subject| self.subjects[subject as usize].person)
            .collect();
        people.retain(|&person| person != NONE && self.people.get(person).has_name());
        people.sort_unstable();
        people.dedup();
        if people.len() > PEOPLE_PER_VALUE_MAX {
            return ValueClass::Nobody;
        }
        people.sort_unstable_by_key(|&person| self.people.content(person));
        if !self.rules.is_kind(rule) {
            return if self.has_namesakes(&people) {
                ValueClass::Shared
            } else {
                ValueClass::Personal
            };
        }
        match self.different_people(&people).max(self.accounts(value)) {
            0 | 1 => ValueClass::Personal,
            count if count <= self.rules.shared_limit as usize => ValueClass::Shared,
            _ => ValueClass::Nobody,
        }
    }

    /// Counts groups of people whose given names and suffixes agree, in an order that does not depend on arrival.
    fn different_people(&self, people: &[u32]) -> usize {
        let mut groups: Vec<Vec<u32>> = Vec::new();
        for &person in people {
            let fits = |group: &Vec<u32>| {
                group.iter().all(|&other| {
                    self.people.names(person, other).given != Agreement::Different
                        && !self.people.get(person).contradicts_suffix(self.people.get(other))
                })
            };
            match groups.iter().position(fits) {
                Some(at) => groups[at].push(person),
                None => groups.push(vec![person]),
            }
            if groups.len() > self.rules.shared_limit as usize {
                break;
            }
        }
        groups.len()
    }

    /// Counts the different stronger identifiers that subjects without a person carry beside a value: the accounts
    /// that logged in on a device.
    fn accounts(&self, value: u32) -> usize {
        let priority = self.rules.priority(self.values.rule(value));
        let strongest = |subject| {
            let mut others =
                self.values.of(subject).filter(|&other| !self.values.is_blocked(other));
            others.next().filter(|&other| self.rules.priority(self.values.rule(other)) < priority)
        };
        let linkers = self.values.subjects(value).filter(|&subject| self.is_linker(subject));
        let mut accounts: Vec<u32> = linkers.filter_map(strongest).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.len()
    }

    /// Tells whether people of one name who cannot be one, such as father and son, are among those of a block.
    fn has_namesakes(&self, people: &[u32]) -> bool {
        people.iter().enumerate().any(|(i, &left)| {
            people[i + 1..].iter().any(|&right| {
                matches!(
                    self.people.contradiction(left, right),
                    Some(Contradiction::Suffix | Contradiction::BirthDate)
                ) && self.people.names(left, right).is_alike()
            })
        })
    }

    /// Proposes the pairs of a value's subjects, and refuses those that a look at the two alone refuses.
    ///
    /// Subjects with one description make a star, descriptions are compared each with each.
    pub(super) fn propose(
        &self,
        value: u32,
        candidates: &mut Vec<Candidate>,
        refused: &mut Vec<Violation>,
    ) {
        let mut subjects: Vec<u32> =
            self.values.subjects(value).filter(|&subject| !self.is_linker(subject)).collect();
        if subjects.len() < 2 {
            return;
        }
        let person = |subject: u32| self.subjects[subject as usize].person;
        subjects.sort_unstable_by_key(|&subject| {
            (self.people.content(person(subject)), self.content(subject), subject)
        });
        let rule = self.values.rule(value);
        let mut pair = |left: u32, right: u32, verdict: Verdict| {
            let record = self.subjects[left as usize].record;
            if rule != self.rules.record_rule()
                && record != NONE
                && record == self.subjects[right as usize].record
            {
                return;
            }
            let turned = (self.content(right), right) < (self.content(left), left);
            let (left, right) = if turned { (right, left) } else { (left, right) };
            let candidate = |strength| Candidate { left, right, value, rule, strength };
            match verdict {
                Verdict::Propose(strength) => candidates.push(candidate(strength)),
                Verdict::Refuse(reason) => refused.push(candidate(0).refused(right, reason)),
                Verdict::Ignore => {}
            }
        };
        let mut first_of_each: Vec<u32> = Vec::new();
        for &subject in &subjects {
            match first_of_each.last() {
                Some(&first) if person(first) == person(subject) => {
                    pair(first, subject, self.judge(value, person(first), person(first)));
                }
                _ => first_of_each.push(subject),
            }
        }
        for (i, &left) in first_of_each.iter().enumerate() {
            for &right in &first_of_each[i + 1..] {
                pair(left, right, self.judge(value, person(left), person(right)));
            }
        }
    }

    fn judge(&self, value: u32, left: u32, right: u32) -> Verdict {
        let rule = self.values.rule(value);
        if rule == self.rules.record_rule() {
            return Verdict::Propose(0);
        }
        let shared = self.values.class(value) == ValueClass::Shared;
        if self.rules.is_kind(rule) {
            self.judge_identifier(shared, left, right)
        } else {
            self.judge_block(shared, left, right)
        }
    }

    /// Judges two people who share an identifier: the name veto.
    fn judge_identifier(&self, shared: bool, left: u32, right: u32) -> Verdict {
        if let Some(contradiction) = self.people.contradiction(left, right) {
            return Verdict::Refuse(contradiction.into());
        }
        let names = self.people.names(left, right);
        let (left, right) = (self.people.get(left), self.people.get(right));
        let birth = left.birth_agreement(right);
        let strength = names.strength() + birth as u8;
        if !left.has_name() || !right.has_name() {
            return if shared { Verdict::Ignore } else { Verdict::Propose(strength) };
        }
        if names.surname == Agreement::Different {
            // Marriage changes surnames; then the given name is the same, and on a shared value something else, too.
            let corroborated = birth >= Agreement::Similar || left.same_postal_code(right);
            let changed = names.given == Agreement::Same && (!shared || corroborated);
            return if changed {
                Verdict::Propose(strength)
            } else {
                Verdict::Refuse(Refusal::Surname)
            };
        }
        // An initial is enough beside the same surname, not beside a similar one.
        if names.strength() >= 4 { Verdict::Propose(strength) } else { Verdict::Ignore }
    }

    /// Judges two people of one block: names agree, nothing contradicts, and where namesakes are known, birth or suffix
    /// decides.
    fn judge_block(&self, namesakes: bool, left: u32, right: u32) -> Verdict {
        let names = self.people.names(left, right);
        if !names.is_alike() || self.people.contradiction(left, right).is_some() {
            return Verdict::Ignore;
        }
        let (left, right) = (self.people.get(left), self.people.get(right));
        let birth = left.birth_agreement(right);
        if namesakes && birth < Agreement::Similar && !left.same_suffix(right) {
            return Verdict::Ignore;
        }
        Verdict::Propose(names.strength() + birth as u8)
    }
}

impl From<Contradiction> for Refusal {
    fn from(contradiction: Contradiction) -> Self {
        match contradiction {
            Contradiction::GivenName => Self::GivenName,
            Contradiction::Suffix => Self::Suffix,
            Contradiction::BirthDate => Self::BirthDate,
        }
    }
}
