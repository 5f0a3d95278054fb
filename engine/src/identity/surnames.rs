//! People of one given name who share a value, and whether they can be one person.
//!
//! Marriage changes surnames, so two surnames beside one given name may be one person's. They may be those of two colleagues
//! on one telephone, too, and that they share it does not tell. So something else has to agree: the birthday, the postal code
//! or another identifier. Feminine forms, halves of double surnames and slips of the keyboard are one surname. Nobody has had
//! more than a few surnames, though: ten colleagues of one given name share a telephone and the firm's mailbox and address.
//!
//! Where a whole name is the same, and yet each of many records has a home and a stronger identifier of its own, these are
//! namesakes whom a kiosk or a counter brings together.
//!
//! All of it is a function of those who carry the value, of what their records say and carry, and of what is nobody's whoever
//! uses it. So whoever comes to a value can change its class, and nobody else can.

use std::collections::HashMap;

use super::agreement::{Agreement, Birth};
use super::classes::COMPARED_MAX;
use super::graph::{Graph, RECORD_SEPARATOR};
use super::interner::NONE;
use super::union_find::UnionFind;
use super::values::ValueClass;

/// Homes that one person has at most, of those who share a value. Who moves takes mailbox and telephone along, a few times in
/// the years that a customer stays; each home beyond that has nothing else in common with any other. It is no share of any data,
/// but what one life holds: with half of it, somebody who moves three times and changes mailboxes each time would lose the
/// telephone; with twice as many, ten namesakes at a kiosk would be one customer.
const HOMES_MAX: usize = 5;

/// Surnames that one person has had at most that have nothing to do with each other: a maiden name and those of two marriages.
/// With one, each marriage would make a new customer where nothing but a postal code ties the two; with six, a firm's address
/// would make one woman of six colleagues of one given name.
const SURNAMES_MAX: usize = 3;

/// Somebody who carries a value and describes a person.
#[derive(Debug, Clone, Copy)]
struct Carrier {
    subject: u32,
    /// What the record says of who its person is.
    said: u32,
}

/// What two carriers may have in common besides the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tie {
    Record(u32),
    /// A hash of name, suffix and birthday.
    Who(u64),
    PostalCode(u32),
    Birth(Birth),
    Identifier(u32),
}

impl Graph {
    /// Tells whether something besides a value that both carry speaks for one person: the birthday, the postal code, another
    /// identifier, or somebody who decided that the value is one person's. Of the two identifiers one at least has to be one
    /// person's: a family shares a mailbox and a telephone. Where the value has more surnames than one person has, the postal
    /// code may be that of the firm.
    pub(super) fn is_corroborated(&self, value: u32, left: u32, right: u32) -> bool {
        let birth = |subject: u32| self.people.get(self.said(subject));
        let home = |subject: u32| self.people.get(self.person(subject));
        birth(left).birth_agreement(birth(right)) >= Agreement::Similar
            || (self.several_surnames.get(&value).is_none_or(|&people| people <= SURNAMES_MAX)
                && home(left).same_postal_code(home(right)))
            || self.share_another(value, left, right)
            || self.decided_class(value) == Some(ValueClass::Personal)
    }

    /// Notes whether surnames tell people of one given name apart among those who share an identifier: that name alone is then
    /// nobody's.
    pub(super) fn note_surnames(&mut self, value: u32) {
        let people = match self.values.class(value) {
            ValueClass::Shared => self.most_of_one_given_name(value),
            ValueClass::Personal | ValueClass::Nobody => 0,
        };
        if people > 1 {
            self.several_surnames.insert(value, people);
        } else {
            self.several_surnames.remove(&value);
        }
    }

    fn most_of_one_given_name(&self, value: u32) -> usize {
        let groups = self.groups_of_people(value);
        let counts = groups.iter().map(|whos| self.people_of_one_given_name(value, whos));
        counts.max().unwrap_or_default()
    }

    fn share_another(&self, value: u32, left: u32, right: u32) -> bool {
        let is_personal = |value: u32| self.values.class(value) == ValueClass::Personal;
        let mut others = self
            .usable(left)
            .filter(|&other| other != value && (is_personal(other) || is_personal(value)));
        others.any(|other| self.values.of(right).any(|held| held == other))
    }

    /// Counts the people among those of a value who say that they are one of `whos`, which ascend and do not contradict each
    /// other.
    pub(super) fn people_of_one_given_name(&self, value: u32, whos: &[u64]) -> usize {
        // Few who all say the same of who they are: nearly all values are so.
        if whos.len() == 1 && self.values.subjects(value).nth(HOMES_MAX).is_none() {
            return 1;
        }
        let all = self.users(value).map(|subject| Carrier { subject, said: self.said(subject) });
        let is_of_them = |carrier: &Carrier| {
            carrier.said != NONE && whos.binary_search(&self.people.who(carrier.said)).is_ok()
        };
        let carriers: Vec<Carrier> = all.filter(is_of_them).collect();
        let homes = self.homes(value, &carriers);
        if homes > HOMES_MAX {
            return homes.max(self.rules.shared_limit as usize + 1);
        }
        self.surnames_among(value, &carriers).max(1)
    }

    /// Counts surnames that nothing ties to each other; where there are more of them than one person has, only what says who
    /// somebody is ties them. A lone name or an initial is no surname.
    fn surnames_among(&self, value: u32, carriers: &[Carrier]) -> usize {
        let mut described: Vec<(u64, u32, u32)> = Vec::new();
        for (carrier, place) in carriers.iter().zip(0..) {
            // An older version that carries the value may have the surname of before.
            for person in [carrier.said, self.person(carrier.subject)] {
                if self.people.says_surname(person) {
                    described.push((self.people.who(person), person, place));
                }
            }
        }
        described.sort_unstable();
        described.dedup_by_key(|(who, ..)| *who);
        described.truncate(COMPARED_MAX);
        let mut related: Vec<(u32, u32)> = Vec::new();
        let mut unrelated = 0;
        for (at, &(_, one, left)) in described.iter().enumerate() {
            for &(_, other, right) in &described[at + 1..] {
                let births = [one, other].map(|person| self.people.get(person));
                if self.people.names(one, other).surname != Agreement::Different
                    || births[0].birth_agreement(births[1]) >= Agreement::Similar
                {
                    related.push((left, right));
                } else {
                    unrelated += 1;
                }
            }
        }
        if unrelated == 0 {
            return usize::from(!described.is_empty());
        }
        let places: Vec<u32> = described.iter().map(|&(.., place)| place).collect();
        let of_record = |carrier: &Carrier, ties: &mut Vec<Tie>| {
            let says = [carrier.said, self.person(carrier.subject)];
            ties.extend(says.map(|person| Tie::Who(self.people.who(person))));
            let record = self.subjects[carrier.subject as usize].record;
            ties.extend((record != NONE).then_some(Tie::Record(record)));
        };
        let surnames = count_apart(&places, &related, tied(carriers, of_record));
        if surnames > SURNAMES_MAX {
            return surnames;
        }
        let sets = tied(carriers, |carrier, ties| {
            of_record(carrier, ties);
            self.ties(value, carrier, ties);
        });
        count_apart(&places, &related, sets)
    }

    /// Counts homes that nothing but the value ties to each other: those whose records say a postal code and carry a stronger
    /// identifier, which is not the key of the record itself.
    fn homes(&self, value: u32, carriers: &[Carrier]) -> usize {
        if carriers.len() <= HOMES_MAX {
            return 0;
        }
        let mut sets = tied(carriers, |carrier, ties| self.ties(value, carrier, ties));
        let priority = self.rules.priority(self.values.rule(value));
        let has_own = |subject: u32| {
            let mut others = self.identifiers_beside(value, subject);
            others.any(|other| {
                self.rules.priority(self.values.rule(other)) < priority
                    && !self.is_key_of(other, subject)
            })
        };
        let mut homes: HashMap<u32, (bool, bool)> = HashMap::new();
        for (carrier, place) in carriers.iter().zip(0..) {
            let subject = carrier.subject;
            let (has_code, has_identifier) = homes.entry(sets.find(place)).or_default();
            *has_code |= self.people.get(self.person(subject)).postal_code != NONE;
            *has_identifier |= has_own(subject);
        }
        homes.into_values().filter(|known| *known == (true, true)).count()
    }

    /// Adds what besides a value may tie a carrier to others.
    fn ties(&self, value: u32, carrier: &Carrier, ties: &mut Vec<Tie>) {
        let subject = carrier.subject;
        let record = self.subjects[subject as usize].record;
        let postal_code = self.people.get(self.person(subject)).postal_code;
        ties.extend((record != NONE).then_some(Tie::Record(record)));
        ties.extend((postal_code != NONE).then_some(Tie::PostalCode(postal_code)));
        ties.extend(self.people.get(carrier.said).birth.map(Tie::Birth));
        ties.extend(self.identifiers_beside(value, subject).map(Tie::Identifier));
    }

    /// Returns the other identifiers of a subject, without those that are nobody's whoever uses them.
    fn identifiers_beside(&self, value: u32, subject: u32) -> impl Iterator<Item = u32> {
        let of_kinds = self
            .values
            .of(subject)
            .take_while(|&other| self.rules.is_kind(self.values.rule(other)));
        of_kinds.filter(move |&other| other != value && !self.is_nobodys(other))
    }

    /// Tells whether an identifier is the key of the subject's record.
    fn is_key_of(&self, value: u32, subject: u32) -> bool {
        let record = self.subjects[subject as usize].record;
        let key = (record != NONE).then(|| self.values.text(record)).flatten();
        let key = key.and_then(|key| key.split_once(RECORD_SEPARATOR)).map(|(_, key)| key.trim());
        key.zip(self.values.text(value)).is_some_and(|(key, text)| key.eq_ignore_ascii_case(text))
    }
}

/// Counts the sets of some carriers once pairs of them are put together, too.
fn count_apart(places: &[u32], related: &[(u32, u32)], mut sets: UnionFind) -> usize {
    for &(left, right) in related {
        sets.union(left, right);
    }
    let mut roots: Vec<u32> = places.iter().map(|&place| sets.find(place)).collect();
    roots.sort_unstable();
    roots.dedup();
    roots.len()
}

/// Puts those carriers together that have a tie in common.
fn tied(carriers: &[Carrier], ties_of: impl Fn(&Carrier, &mut Vec<Tie>)) -> UnionFind {
    let mut sets = UnionFind::new(carriers.len() as u32);
    let mut first: HashMap<Tie, u32> = HashMap::new();
    let mut ties = Vec::new();
    for (carrier, place) in carriers.iter().zip(0..) {
        ties_of(carrier, &mut ties);
        for tie in ties.drain(..) {
            sets.union(*first.entry(tie).or_insert(place), place);
        }
    }
    sets
}
