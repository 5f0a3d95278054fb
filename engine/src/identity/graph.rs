//! The ground of the resolution: subjects, what they carry, what they say; and which pairs that proposes.

use super::classes::DecidedClasses;
use super::expiry::Expiry;
use super::hash;
use super::interner::{NONE, Table};
use super::overrides::Overrides;
use super::people::People;
use super::person::{Description, PersonFields};
use super::rules::{MatchOn, Rules};
use super::values::{ValueClass, Values};
use super::versions::{Version, Versions};
use crate::{Error, Result};

/// Subjects and links of one graph at most: their numbers are 32 bits wide, one of them is reserved.
const ORDINALS_MAX: usize = u32::MAX as usize - 1;

/// Separates the number of a source from the key of its record.
pub(super) const RECORD_SEPARATOR: char = '\u{1f}';

/// A distinct tuple of identifiers as a row carries it, in log order of first appearance.
#[derive(Debug, Clone, Copy)]
pub struct NewSubject<'a> {
    /// The number of the source: see [`Resolver::source`](super::Resolver::source).
    pub source: u16,
    /// `TRUST` of the source.
    pub trust: u16,
    /// The key of the record, in a source that has one person in each record.
    pub record: Option<&'a str>,
    /// Numbers of kinds, and raw identifiers.
    pub identifiers: &'a [(u16, &'a str)],
    /// What the row says about its person, in a source that has one person in each record.
    pub person: Option<&'a PersonFields>,
    /// When the first row that said so was so, in microseconds.
    pub observed_at: i64,
}

/// What a subject says, in the one form of all spellings.
#[derive(Debug)]
pub(super) struct Normalized<'a> {
    /// Nothing of a subject that no person describes.
    person: Option<Description<'a>>,
    /// Kinds and identifiers, from the strongest to the weakest, each once.
    identifiers: Vec<(u16, String)>,
    /// The source and the key of the record.
    record: Option<String>,
}

/// What is kept of a subject besides its links.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    /// Its number in [`People`], or [`NONE`] for a subject that no person describes, such as an event's.
    pub(super) person: u32,
    /// What its record says of who its person is, after all its versions: a number like `person`.
    pub(super) said: u32,
    /// What it is to its record.
    pub(super) version: Version,
    /// The value of its record's key, or [`NONE`].
    pub(super) record: u32,
    pub(super) trust: u16,
    /// A hash of everything it says, the same whenever it arrives.
    pub(super) content: u64,
}

/// The record that a subject is a version of; a subject without one is like no other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RecordOf {
    Key(u32),
    Subject(u32),
}

/// Everything that was added.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) rules: Rules,
    /// Names of sources, by number.
    pub(super) sources: Vec<String>,
    pub(super) values: Values,
    pub(super) people: People,
    pub(super) subjects: Vec<Subject>,
    /// When each subject was observed.
    pub(super) times: Vec<i64>,
    pub(super) versions: Versions,
    pub(super) overrides: Overrides,
    /// Shared identifiers among whose people surnames tell some of one given name apart, with how many these are at most.
    pub(super) several_surnames: Table<u32, usize>,
    /// What was decided about values.
    pub(super) decided: DecidedClasses,
    /// Which values were not seen for too long.
    pub(super) expiry: Expiry,
}

impl Graph {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            sources: Vec::new(),
            values: Values::new(),
            people: People::new(),
            subjects: Vec::new(),
            times: Vec::new(),
            versions: Versions::default(),
            overrides: Overrides::default(),
            several_surnames: Table::default(),
            decided: DecidedClasses::default(),
            expiry: Expiry::default(),
        }
    }

    /// Reads what a subject says.
    pub(super) fn normalized<'a>(&self, subject: &NewSubject<'a>) -> Normalized<'a> {
        let person = match (subject.person, subject.record) {
            (Some(fields), _) => Some(Description::of(fields)),
            (None, Some(_)) => Some(Description::default()),
            (None, None) => None,
        };
        let region = person.as_ref().and_then(|person| person.country);
        let identifiers = subject.identifiers.iter().filter_map(|&(kind, raw)| {
            let text = self.rules.normalize(kind, raw, region)?;
            Some((self.rules.kinds[usize::from(kind)].priority, kind, text))
        });
        let mut identifiers: Vec<_> = identifiers.collect();
        identifiers.sort_unstable();
        identifiers.dedup();
        let identifiers = identifiers.into_iter().map(|(_, kind, text)| (kind, text)).collect();
        let record = subject.record.map(|key| format!("{}{RECORD_SEPARATOR}{key}", subject.source));
        Normalized { person, identifiers, record }
    }

    /// Brings what is known of what some subjects say into the cache, before they are added.
    pub(super) fn warm(&self, subjects: &[Normalized<'_>]) {
        let records = self.rules.record_rule();
        self.values.warm(|| {
            subjects.iter().flat_map(|said| {
                let record = said.record.iter().map(move |key| (records, key.as_str()));
                said.identifiers.iter().map(|(kind, text)| (*kind, text.as_str())).chain(record)
            })
        });
        self.people.warm(|| subjects.iter().filter_map(|said| said.person.as_ref()));
    }

    /// Adds a subject that says this, and returns its ordinal.
    pub(super) fn add(
        &mut self,
        subject: &NewSubject<'_>,
        normalized: &Normalized<'_>,
    ) -> Result<u32> {
        let links =
            self.values.link_count() + subject.identifiers.len() + self.rules.matches.len() + 1;
        if links.max(self.values.texts.len()) >= ORDINALS_MAX {
            return Err(Error::Limit {
                sqlstate: "54000",
                message: format!("identity graph has more than {ORDINALS_MAX} links"),
                hint: "Use fewer identifiers or MATCH rules.".to_owned(),
            });
        }
        let person = normalized.person.as_ref().map_or(NONE, |said| self.people.add(said));
        let identifiers = &normalized.identifiers;
        let mut values = Vec::with_capacity(identifiers.len() + self.rules.matches.len() + 1);
        values.extend(
            identifiers.iter().map(|(kind, text)| self.values.identifier(&self.rules, *kind, text)),
        );
        let mut content = if person == NONE { 0 } else { self.people.content(person) };
        for &value in &values {
            let text = self.values.text(value).expect("identifiers have a text");
            content =
                hash::mix(content, hash::mix(u64::from(self.values.rule(value)), hash::text(text)));
        }
        let mut record = NONE;
        if let (Some(key), Some(text)) = (subject.record, &normalized.record) {
            let source = &self.sources[usize::from(subject.source)];
            content = hash::mix(content, hash::mix(hash::text(source), hash::text(key)));
            record = self.values.identifier(&self.rules, self.rules.record_rule(), text);
            values.push(record);
        }
        if person != NONE {
            self.add_blocks(person, &mut values);
        }
        let observed_at = self.rules.ask_for_times().then_some(subject.observed_at);
        self.values.link(&values, observed_at);
        self.times.push(subject.observed_at);
        let (said, version, trust) = (person, Version::Newest, subject.trust);
        self.subjects.push(Subject { person, said, version, record, trust, content });
        Ok((self.subjects.len() - 1) as u32)
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
                        of_kind.map(|&value| self.values.content(value)).collect()
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

    /// Returns the values that some subjects carry, ascending, each once.
    pub(super) fn values_of(&self, subjects: &[u32]) -> Vec<u32> {
        let mut values: Vec<u32> =
            subjects.iter().flat_map(|&subject| self.values.of(subject)).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// Tells whether a subject has no person of its own, such as an event's.
    pub(super) fn is_linker(&self, subject: u32) -> bool {
        self.subjects[subject as usize].person == NONE
    }

    /// Returns when a subject was observed, if a rule asks for it.
    pub(super) fn time(&self, subject: u32) -> Option<i64> {
        self.rules.ask_for_times().then(|| self.times[subject as usize])
    }

    pub(super) fn content(&self, subject: u32) -> u64 {
        self.subjects[subject as usize].content
    }

    /// Returns the one of two subjects that comes first whichever arrived first.
    pub(super) fn first_by_content(&self, one: u32, other: u32) -> u32 {
        if self.content(other) < self.content(one) { other } else { one }
    }

    /// Returns the one of two subjects that was observed first, as far as a rule asks for it, whichever arrived first.
    pub(super) fn first_observed(&self, one: u32, other: u32) -> u32 {
        let order = |subject: u32| (self.time(subject), self.content(subject));
        if order(other) < order(one) { other } else { one }
    }

    pub(super) fn record_of(&self, subject: u32) -> RecordOf {
        match self.subjects[subject as usize].record {
            NONE => RecordOf::Subject(subject),
            key => RecordOf::Key(key),
        }
    }

    /// Returns the identifiers of a subject that identify somebody, from the strongest.
    pub(super) fn usable(&self, subject: u32) -> impl Iterator<Item = u32> {
        let of_kinds = self
            .values
            .of(subject)
            .take_while(|&value| self.rules.is_kind(self.values.rule(value)));
        of_kinds.filter(|&value| self.values.class(value) != ValueClass::Nobody)
    }
}
