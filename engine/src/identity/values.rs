//! The values that subjects carry, who carries each, and how many different people that can be.
//!
//! A value is an identifier (kind and normalised text), a block key of a MATCH rule, or the key of a record. Links
//! between subjects and values lie in three flat arrays: a subject's links are a range, a value's links are a chain
//! from the newest to the oldest, twelve bytes a link.

use super::hash;
use super::interner::{Interner, KeyTable, NONE};
use super::memory;
use super::rules::Rules;

/// Marks keys of MATCH rules, which are hashes, among identifiers, which are exact.
const HASHED: u64 = 1 << 63;

/// Whom a value identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ValueClass {
    /// One person, as far as can be seen.
    Personal,
    /// A few people, such as a family: it joins only records whose names agree, and counts for the consent of each.
    Shared,
    /// Nobody: blocked by a rule, or used by more people than `shared_limit`. It makes no edge.
    Nobody,
}

/// All values and links.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) texts: Interner,
    keys: KeyTable,
    rules: Vec<u16>,
    classes: Vec<ValueClass>,
    blocked: Vec<bool>,
    /// When each value was first observed, as far as a rule asks for it.
    first_at: Vec<i64>,
    /// The newest link of each value.
    heads: Vec<u32>,
    /// Where the links of each subject start; one more than there are subjects.
    starts: Vec<u32>,
    links: Vec<Link>,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    value: u32,
    subject: u32,
    /// The next older link of the value.
    next: u32,
}

impl Values {
    pub(super) fn new() -> Self {
        Self {
            texts: Interner::new(),
            keys: KeyTable::new(),
            rules: Vec::new(),
            classes: Vec::new(),
            blocked: Vec::new(),
            first_at: Vec::new(),
            heads: Vec::new(),
            starts: vec![0],
            links: Vec::new(),
        }
    }

    /// Returns the value of a kind of identifier, or the key of a record.
    pub(super) fn identifier(&mut self, rules: &Rules, rule: u16, text: &str) -> u32 {
        let text_id = self.texts.intern(text);
        let value = self.value(key(rule, text_id), rule);
        if value as usize + 1 == self.blocked.len()
            && self.heads[value as usize] == NONE
            && rules.is_kind(rule)
            && rules.kinds[usize::from(rule)].blocks(text)
        {
            self.blocked[value as usize] = true;
            self.classes[value as usize] = ValueClass::Nobody;
        }
        value
    }

    /// Brings what is known of some identifiers and keys of records into the cache.
    pub(super) fn warm<'t, T: Iterator<Item = (u16, &'t str)>>(&self, values: impl Fn() -> T) {
        self.texts.warm(values().map(|(_, text)| text));
        let known = values().filter_map(|(rule, text)| Some(key(rule, self.texts.get(text)?)));
        let known: Vec<u64> = known.collect();
        self.keys.warm(|| known.iter().copied());
        let known = known.iter().filter_map(|&key| self.keys.get(key));
        memory::warm(known.map(|value| self.heads[value as usize]));
    }

    /// Returns the value of a block of a MATCH rule. Two blocks share a 64-bit hash once in millions of millions, and
    /// then cost a comparison: names are compared anyway.
    pub(super) fn block(&mut self, rule: u16, hash: u64) -> u32 {
        self.value(hash | HASHED, rule)
    }

    fn value(&mut self, key: u64, rule: u16) -> u32 {
        let value = self.keys.insert(key);
        if value as usize == self.rules.len() {
            self.rules.push(rule);
            self.classes.push(ValueClass::Personal);
            self.blocked.push(false);
            self.heads.push(NONE);
        }
        value
    }

    /// Links the next subject to its values, which were observed then.
    pub(super) fn link(&mut self, values: &[u32], observed_at: Option<i64>) {
        let subject = (self.starts.len() - 1) as u32;
        if observed_at.is_some() {
            self.first_at.resize(self.rules.len(), i64::MAX);
        }
        for &value in values {
            if let Some(at) = observed_at {
                let first = &mut self.first_at[value as usize];
                *first = at.min(*first);
            }
            let next = self.heads[value as usize];
            self.heads[value as usize] = self.links.len() as u32;
            self.links.push(Link { value, subject, next });
        }
        self.starts.push(self.links.len() as u32);
    }

    /// Returns the value of a normalised identifier, if any subject carries it.
    pub(super) fn find(&self, rule: u16, text: &str) -> Option<u32> {
        self.keys.get(key(rule, self.texts.get(text)?))
    }

    /// Returns the values of a subject: identifiers from the strongest, then its record, then blocks.
    pub(super) fn of(&self, subject: u32) -> impl DoubleEndedIterator<Item = u32> {
        let range =
            self.starts[subject as usize] as usize..self.starts[subject as usize + 1] as usize;
        self.links[range].iter().map(|link| link.value)
    }

    /// Returns the subjects of a value, newest first.
    pub(super) fn subjects(&self, value: u32) -> Subjects<'_> {
        Subjects { values: self, link: self.heads[value as usize] }
    }

    /// Tells whether at most one subject carries a value.
    pub(super) fn is_lone(&self, value: u32) -> bool {
        let head = self.heads[value as usize];
        head == NONE || self.links[head as usize].next == NONE
    }

    /// Returns how many values of a kind, a rule or records there are.
    pub(super) fn count_of(&self, rule: u16) -> usize {
        self.rules.iter().filter(|of| **of == rule).count()
    }

    pub(super) fn rule(&self, value: u32) -> u16 {
        self.rules[value as usize]
    }

    pub(super) fn class(&self, value: u32) -> ValueClass {
        self.classes[value as usize]
    }

    /// Returns when a value was first observed; zero if no rule asks for it.
    pub(super) fn first_at(&self, value: u32) -> i64 {
        self.first_at.get(value as usize).copied().unwrap_or(0)
    }

    /// Says when a value was first observed, which a rule asks for and a subject carries.
    pub(super) fn set_first_at(&mut self, value: u32, at: i64) {
        self.first_at[value as usize] = at;
    }

    pub(super) fn set_class(&mut self, value: u32, class: ValueClass) {
        self.classes[value as usize] = class;
    }

    /// Tells whether a rule says that the value identifies nobody.
    pub(super) fn is_blocked(&self, value: u32) -> bool {
        self.blocked[value as usize]
    }

    /// Returns the text of an identifier or record key; `None` for a block of a MATCH rule.
    pub(super) fn text(&self, value: u32) -> Option<&str> {
        let key = self.keys.key(value);
        (key & HASHED == 0).then(|| self.texts.text(key as u32))
    }

    /// Returns a hash of what a value says, the same whenever it arrives.
    pub(super) fn content(&self, value: u32) -> u64 {
        self.text(value).map_or_else(|| self.keys.key(value), hash::text)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn link_count(&self) -> usize {
        self.links.len()
    }
}

/// Returns the key of an identifier, given the number of its text.
fn key(rule: u16, text: u32) -> u64 {
    u64::from(rule) << 32 | u64::from(text)
}

/// The subjects of a value.
pub(super) struct Subjects<'a> {
    values: &'a Values,
    link: u32,
}

impl Iterator for Subjects<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let link = *self.values.links.get(self.link as usize)?;
        self.link = link.next;
        Some(link.subject)
    }
}
