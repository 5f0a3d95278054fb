//! Normalisation of a batch: what each record says, in the forms that are compared.

use std::collections::HashMap;
use std::ops::Range;

use super::records::{Batch, Form, Kind, PersonField};
use crate::identity::interner::NONE;

/// Longer texts are no names, addresses or identifiers.
const TEXT_BYTES_MAX: usize = 512;

/// The slots of texts.
pub(super) struct Slot;

impl Slot {
    pub(super) const GIVEN: usize = 0;
    pub(super) const SURNAME: usize = 1;
    pub(super) const MIDDLE: usize = 2;
    pub(super) const STREET: usize = 3;
    pub(super) const POSTAL_CODE: usize = 4;
    pub(super) const CITY: usize = 5;
    pub(super) const IDENTIFIERS: usize = 6;
}

/// Part of the arena; empty where nothing is said.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

/// Normalised texts of some records, by columns.
#[derive(Debug)]
pub(super) struct Normal {
    arena: String,
    columns: Vec<Vec<Span>>,
    /// Numbers of [`SUFFIXES`](udfs::SUFFIXES), or [`NONE`].
    pub(super) suffixes: Vec<u32>,
    /// Birthdays as numbers of eight digits, or [`NONE`].
    pub(super) births: Vec<u32>,
}

/// A name in its parts.
#[derive(Debug, Clone, Copy)]
struct Name {
    given: Span,
    surname: Span,
    middle: Span,
    suffix: u32,
}

impl Default for Name {
    fn default() -> Self {
        Self {
            given: Span::default(),
            surname: Span::default(),
            middle: Span::default(),
            suffix: NONE,
        }
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
            suffixes: Vec::with_capacity(range.len()),
            births: Vec::with_capacity(range.len()),
        };
        normal.names(batch, range.clone());
        normal.addresses(batch, range.clone());
        for row in range.clone() {
            let country = field(batch, PersonField::Country, row);
            let birth = field(batch, PersonField::BirthDate, row)
                .and_then(|text| udfs::normalize_birth_date(text, country));
            normal.births.push(birth.and_then(udfs::eight_digits).unwrap_or(NONE));
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
        self.columns[slot].iter().map(|span| {
            (span.start < span.end).then(|| &self.arena[span.start as usize..span.end as usize])
        })
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
                    Name { given: given.given, ..surname }
                }
                (None, Some(first), None) if first.contains(' ') => {
                    once(self, first, Self::full_name, 0)
                }
                (None, Some(first), None) => once(self, first, Self::first_name, 1),
                (None, None, Some(last)) => once(self, last, Self::last_name, 2),
                (None, None, None) => Name::default(),
            };
            self.columns[Slot::GIVEN].push(name.given);
            self.columns[Slot::SURNAME].push(name.surname);
            self.columns[Slot::MIDDLE].push(name.middle);
            self.suffixes.push(name.suffix);
        }
    }

    fn addresses(&mut self, batch: &Batch<'_>, range: Range<usize>) {
        for row in range {
            let street = field(batch, PersonField::Street, row).and_then(udfs::normalize_street);
            let street = self.keep(street.as_deref());
            let code =
                field(batch, PersonField::PostalCode, row).and_then(udfs::normalize_postal_code);
            let code = self.keep(code.as_deref());
            let city = field(batch, PersonField::City, row).and_then(udfs::normalize_name);
            let city = self.keep(city.as_deref());
            self.columns[Slot::STREET].push(street);
            self.columns[Slot::POSTAL_CODE].push(code);
            self.columns[Slot::CITY].push(city);
        }
    }

    /// Reads `Given Middle Surname`, or a lone surname.
    fn full_name(&mut self, text: &str) -> Name {
        let Some(normal) = udfs::normalize_name(text) else { return Name::default() };
        let mut words: Vec<&str> = normal.split(' ').collect();
        let suffix = udfs::take_suffix(&mut words).map_or(NONE, u32::from);
        let Some(surname) = words.pop() else { return Name::default() };
        let mut rest = words.into_iter();
        let given = self.keep(rest.next());
        Name {
            given,
            surname: self.keep(Some(surname)),
            middle: self.keep(rest.next_back()),
            suffix,
        }
    }

    fn first_name(&mut self, text: &str) -> Name {
        let normal = udfs::normalize_name(text);
        let given = normal.as_deref().and_then(|normal| normal.split(' ').next());
        Name { given: self.keep(given), ..Name::default() }
    }

    /// Reads `Surname`, `Half-Surname`, `Surname Jr`.
    fn last_name(&mut self, text: &str) -> Name {
        let Some(normal) = udfs::normalize_name(text) else { return Name::default() };
        let mut words: Vec<&str> = normal.split(' ').collect();
        let suffix = udfs::take_suffix(&mut words).map_or(NONE, u32::from);
        let surname = words.pop();
        Name {
            given: Span::default(),
            surname: self.keep(surname),
            middle: self.keep(words.pop()),
            suffix,
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

    fn keep(&mut self, text: Option<&str>) -> Span {
        let Some(text) = text else { return Span::default() };
        let start = self.arena.len() as u32;
        self.arena.push_str(text);
        Span { start, end: self.arena.len() as u32 }
    }
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
        expected: [&str; 3],
        suffix: u32,
    ) {
        let mut batch = Batch { keys: vec![1], ..Batch::default() };
        batch.person[PersonField::Name as usize] = vec![full];
        batch.person[PersonField::FirstName as usize] = vec![first];
        batch.person[PersonField::LastName as usize] = vec![last];
        let normal = Normal::read(&batch, 0..1, &[]);
        let found = [Slot::GIVEN, Slot::SURNAME, Slot::MIDDLE]
            .map(|slot| normal.texts(slot).next().flatten().unwrap_or_default().to_owned());
        assert_eq!(found, expected);
        assert_eq!(normal.suffixes, [suffix]);
    }

    #[test]
    fn names_come_in_parts() {
        check(Some("Wójcik-Zając, Łukasz Jr."), None, None, ["lukasz", "zajac", "wojcik"], 0);
        check(None, Some("Mary Ann"), Some("Nowak-Zając sr"), ["mary", "zajac", "nowak"], 1);
        check(None, Some("Jan Kowalski"), None, ["jan", "kowalski", ""], NONE);
        check(None, None, Some("Kowalski"), ["", "kowalski", ""], NONE);
        check(Some("Kowalski"), None, None, ["", "kowalski", ""], NONE);
        check(Some("x".repeat(1_000_000).as_str()), None, None, ["", "", ""], NONE);
    }
}
