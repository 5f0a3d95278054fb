//! Normalisation of a batch: what each record says, in the forms that are compared.

use std::collections::HashMap;
use std::ops::Range;

use super::records::{Batch, Form, Kind, PersonField};
use crate::identity::interner::NONE;

/// Longer texts are no names, addresses or identifiers: the longest mailbox has 254 bytes. What is longer says nothing.
const TEXT_BYTES_MAX: usize = 512;

/// The slots of texts that seldom repeat.
pub(super) struct Slot;

impl Slot {
    pub(super) const STREET: usize = 0;
    pub(super) const POSTAL_CODE: usize = 1;
    pub(super) const IDENTIFIERS: usize = 2;
}

/// Part of the arena; empty where nothing is said.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

/// Normalised texts of some records, by columns. What repeats, names and towns, is normalised and numbered once.
#[derive(Debug)]
pub(super) struct Normal {
    arena: String,
    columns: Vec<Vec<Span>>,
    /// Parts of names.
    parts: Vec<Span>,
    /// For each record the places of given name, surname, middle name and second given names among the parts, or [`NONE`].
    pub(super) names: Vec<[u32; 4]>,
    towns: Vec<Span>,
    /// For each record the place of its town, or [`NONE`].
    pub(super) cities: Vec<u32>,
    /// Numbers of [`SUFFIXES`](udfs::SUFFIXES), or [`NONE`].
    pub(super) suffixes: Vec<u32>,
    /// Birthdays as numbers of eight digits, or [`NONE`].
    pub(super) births: Vec<u32>,
}

/// A name: the places of its parts, and the number of its suffix.
#[derive(Debug, Clone, Copy)]
struct Name {
    given: u32,
    surname: u32,
    middle: u32,
    second: u32,
    suffix: u32,
}

impl Default for Name {
    fn default() -> Self {
        Self { given: NONE, surname: NONE, middle: NONE, second: NONE, suffix: NONE }
    }
}

impl Normal {
    /// Normalises a range of a batch.
    pub(super) fn read(batch: &Batch<'_>, range: Range<usize>, kinds: &[Kind]) -> Self {
        let mut normal = Self {
            arena: String::new(),
            columns: (0..Slot::IDENTIFIERS + kinds.len())
                .map(|_| Vec::with_capacity(range.len()))
                .collect(),
            parts: Vec::new(),
            names: Vec::with_capacity(range.len()),
            towns: Vec::new(),
            cities: Vec::with_capacity(range.len()),
            suffixes: Vec::with_capacity(range.len()),
            births: Vec::with_capacity(range.len()),
        };
        normal.names(batch, range.clone());
        normal.addresses(batch, range.clone());
        for row in range.clone() {
            let country = field(batch, PersonField::Country, row);
            let birth = field(batch, PersonField::BirthDate, row)
                .and_then(|text| udfs::birth_number(text, country));
            normal.births.push(birth.unwrap_or(NONE));
        }
        for (at, kind) in kinds.iter().enumerate() {
            for row in range.clone() {
                let country = field(batch, PersonField::Country, row);
                let value = batch.identifiers.get(at).and_then(|column| text_at(column, row));
                let span = value.map_or(Span::default(), |value| match batch.is_normalized {
                    true => normal.keep(Some(value)),
                    false => normal.identifier(kind.form, value, country),
                });
                normal.columns[Slot::IDENTIFIERS + at].push(span);
            }
        }
        normal
    }

    /// Returns the texts of a slot, record by record.
    pub(super) fn texts(&self, slot: usize) -> impl Iterator<Item = Option<&str>> {
        let said = |span: &Span| span.start < span.end;
        self.columns[slot].iter().map(move |span| said(span).then(|| self.text(*span)))
    }

    /// Returns the parts of names, each as often as a name that has it is written differently.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(move |span| self.text(*span))
    }

    /// Returns the towns, in the same way.
    pub(super) fn towns(&self) -> impl Iterator<Item = &str> {
        self.towns.iter().map(move |span| self.text(*span))
    }

    fn text(&self, span: Span) -> &str {
        &self.arena[span.start as usize..span.end as usize]
    }

    fn names(&mut self, batch: &Batch<'_>, range: Range<usize>) {
        // Names repeat: each is normalised once a batch.
        let mut known: [HashMap<&str, Name>; 3] = Default::default();
        for row in range {
            let full = field(batch, PersonField::Name, row);
            let first = field(batch, PersonField::FirstName, row);
            let last = field(batch, PersonField::LastName, row);
            let mut once =
                |normal: &mut Self, text, read: fn(&mut Self, &str) -> Name, of: usize| {
                    *known[of].entry(text).or_insert_with(|| read(normal, text))
                };
            let name = match (full, first, last) {
                (Some(full), ..) => once(self, full, Self::full_name, 0),
                (None, Some(first), Some(last)) => {
                    let given = once(self, first, Self::first_name, 1);
                    let surname = once(self, last, Self::last_name, 2);
                    Name { given: given.given, second: given.second, ..surname }
                }
                (None, Some(first), None) if first.contains(' ') => {
                    once(self, first, Self::full_name, 0)
                }
                (None, Some(first), None) => once(self, first, Self::first_name, 1),
                (None, None, Some(last)) => once(self, last, Self::last_name, 2),
                (None, None, None) => Name::default(),
            };
            self.names.push([name.given, name.surname, name.middle, name.second]);
            self.suffixes.push(name.suffix);
        }
    }

    fn addresses(&mut self, batch: &Batch<'_>, range: Range<usize>) {
        let mut known: HashMap<&str, u32> = HashMap::new();
        for row in range {
            let street = field(batch, PersonField::Street, row).and_then(udfs::normalize_street);
            let street = self.keep(street.as_deref());
            let code =
                field(batch, PersonField::PostalCode, row).and_then(udfs::normalize_postal_code);
            let code = self.keep(code.as_deref());
            let city = field(batch, PersonField::City, row).map_or(NONE, |text| {
                *known.entry(text).or_insert_with(|| {
                    let city = udfs::normalize_name_part(text);
                    let span = self.keep(city.as_deref());
                    place(&mut self.towns, span)
                })
            });
            self.columns[Slot::STREET].push(street);
            self.columns[Slot::POSTAL_CODE].push(code);
            self.cities.push(city);
        }
    }

    /// Reads `Given Middle Surname`, or a lone surname.
    fn full_name(&mut self, text: &str) -> Name {
        let Some(normal) = udfs::normalize_name(text) else { return Name::default() };
        let mut words: Vec<&str> = normal.split(' ').collect();
        let suffix = udfs::take_suffix(&mut words).map_or(NONE, u32::from);
        udfs::turn_family_name(&mut words);
        let Some(surname) = words.pop() else { return Name::default() };
        let between = words.get(1..).unwrap_or_default();
        Name {
            given: self.part(words.first().copied()),
            surname: self.part(Some(surname)),
            middle: self.part(between.last().copied()),
            second: self.second_names(between),
            suffix,
        }
    }

    /// Reads `Given Middle`; a title alone says nothing.
    fn first_name(&mut self, text: &str) -> Name {
        let normal = udfs::normalize_name_part(text);
        let given = normal
            .as_deref()
            .and_then(udfs::called_name)
            .filter(|given| !udfs::is_title(given) || !udfs::writes_vowels(text));
        let mut words: Vec<&str> = normal.as_deref().unwrap_or_default().split(' ').collect();
        udfs::take_suffix(&mut words);
        // Behind `Thị` the last word is the one that counts, and it is none that begins the names.
        let second = match words.split_first() {
            Some((first, rest)) if given == Some(*first) => self.second_names(rest),
            _ => NONE,
        };
        Name { given: self.part(given), second, ..Name::default() }
    }

    /// Keeps the words behind a first name that are compared, and returns their place, or [`NONE`]; initials are none.
    fn second_names(&mut self, words: &[&str]) -> u32 {
        let names = words.iter().take(udfs::MIDDLE_WORDS_MAX).filter(|word| word.len() > 1);
        let names: Vec<&str> = names.copied().collect();
        self.part(Some(&names.join(" ")))
    }

    /// Reads `Surname`, `Half-Surname`, `Surname Jr`.
    fn last_name(&mut self, text: &str) -> Name {
        let Some(normal) = udfs::normalize_family_name(text) else { return Name::default() };
        let mut words: Vec<&str> = normal.split(' ').collect();
        let suffix = udfs::take_suffix(&mut words).map_or(NONE, u32::from);
        let surname = words.pop();
        Name {
            surname: self.part(surname),
            middle: self.part(words.pop()),
            suffix,
            ..Name::default()
        }
    }

    fn identifier(&mut self, form: Form, value: &str, country: Option<&str>) -> Span {
        match form {
            Form::Email => self.keep(udfs::normalize_email(value).as_deref()),
            Form::Phone => self.keep(udfs::normalize_phone(value, country).as_deref()),
            Form::Code => {
                let start = self.arena.len();
                let kept = value.chars().filter(|c| c.is_alphanumeric());
                self.arena.extend(kept.flat_map(char::to_lowercase));
                Span { start: start as u32, end: self.arena.len() as u32 }
            }
            Form::Opaque => self.keep(Some(value.trim())),
        }
    }

    /// Keeps a part of a name, and returns its place, or [`NONE`].
    fn part(&mut self, text: Option<&str>) -> u32 {
        let span = self.keep(text);
        place(&mut self.parts, span)
    }

    fn keep(&mut self, text: Option<&str>) -> Span {
        let Some(text) = text else { return Span::default() };
        let start = self.arena.len() as u32;
        self.arena.push_str(text);
        Span { start, end: self.arena.len() as u32 }
    }
}

/// Adds a text to a list, and returns its place; [`NONE`] where nothing is said.
fn place(texts: &mut Vec<Span>, text: Span) -> u32 {
    if text.start == text.end {
        return NONE;
    }
    texts.push(text);
    (texts.len() - 1) as u32
}

fn field<'a>(batch: &Batch<'a>, field: PersonField, row: usize) -> Option<&'a str> {
    text_at(&batch.person[field as usize], row)
}

/// Returns the text of a row, unless it is too long to be what it claims to be.
fn text_at<'a>(column: &[Option<&'a str>], row: usize) -> Option<&'a str> {
    column.get(row).copied().flatten().filter(|text| text.len() <= TEXT_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        full: Option<&str>,
        first: Option<&str>,
        last: Option<&str>,
        expected: [&str; 4],
        suffix: u32,
    ) {
        let mut batch = Batch { keys: vec![1], ..Batch::default() };
        batch.person[PersonField::Name as usize] = vec![full];
        batch.person[PersonField::FirstName as usize] = vec![first];
        batch.person[PersonField::LastName as usize] = vec![last];
        let normal = Normal::read(&batch, 0..1, &[]);
        let parts: Vec<&str> = normal.parts().collect();
        let found = normal.names[0].map(|at| parts.get(at as usize).copied().unwrap_or_default());
        assert_eq!(found, expected);
        assert_eq!(normal.suffixes, [suffix]);
    }

    #[test]
    fn names_come_in_parts() {
        check(
            Some("Wójcik-Zając, Łukasz Jr."),
            None,
            None,
            ["lukasz", "zajac", "wojcik", "wojcik"],
            0,
        );
        check(None, Some("Mary Ann"), Some("Nowak-Zając sr"), ["mary", "zajac", "nowak", "ann"], 1);
        check(None, Some("Jean-Luc"), Some("Kot"), ["jean", "kot", "", "luc"], NONE);
        check(None, Some("John R. Jr"), Some("Smith"), ["john", "smith", "", ""], NONE);
        check(
            Some("Anna Maria Ewa Nowak"),
            None,
            None,
            ["anna", "nowak", "ewa", "maria ewa"],
            NONE,
        );
        check(None, Some("민수"), Some("이"), ["minsu", "lee", "", ""], NONE);
        check(Some("이민수"), None, None, ["minsu", "lee", "", ""], NONE);
        check(None, Some("Thị Lan"), Some("Nguyễn"), ["lan", "nguyen", "", ""], NONE);
        check(None, Some("Jan Kowalski"), None, ["jan", "kowalski", "", ""], NONE);
        check(None, Some("Sir Thomas"), Some("Smith"), ["thomas", "smith", "", ""], NONE);
        check(None, Some("Sir"), Some("Smith"), ["", "smith", "", ""], NONE);
        check(Some("Sir T. Hall, 2nd Baronet"), None, None, ["t", "hall", "", ""], NONE);
        check(Some("Nguyễn Văn Minh"), None, None, ["minh", "nguyen", "van", "van"], NONE);
        check(None, None, Some("Kowalski"), ["", "kowalski", "", ""], NONE);
        check(Some("Kowalski"), None, None, ["", "kowalski", "", ""], NONE);
        check(Some("x".repeat(1_000_000).as_str()), None, None, ["", "", "", ""], NONE);
    }
}
