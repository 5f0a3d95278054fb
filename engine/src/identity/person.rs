//! What a record says about its person, before and after normalisation.

use std::borrow::Cow;

use super::agreement::{Agreement, Birth};
use super::interner::NONE;
pub(super) use udfs::MIDDLE_WORDS_MAX;

/// What a row says about its person besides identifiers, as it is written in the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct PersonFields {
    /// The full name; first and last name when absent.
    pub name: Option<String>,
    /// Given names.
    pub first_name: Option<String>,
    /// The surname.
    pub last_name: Option<String>,
    /// The day of birth.
    pub birth_date: Option<String>,
    /// Street, house and apartment.
    pub street: Option<String>,
    /// The postal code.
    pub postal_code: Option<String>,
    /// The town.
    pub city: Option<String>,
    /// The country, by code or by name.
    pub country: Option<String>,
}

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Tells whether a birthday is later than the day on which the row was taken that says so, at `seen_at` in microseconds. Nobody
/// was born then: it is a slip, or a year of two digits in the wrong century, and says nothing.
pub(crate) fn is_ahead(birth_date: Option<&str>, country: Option<&str>, seen_at: i64) -> bool {
    let born = birth_date.and_then(|text| udfs::normalize_birth_date(text, country));
    // Somewhere it is tomorrow already.
    born.is_some_and(|born| i64::from(born) > seen_at.div_euclid(DAY) + 1)
}

/// A field that MATCH rules compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Name,
    FirstName,
    LastName,
    BirthDate,
    Street,
    PostalCode,
    City,
    Country,
}

impl Field {
    /// The names of all fields.
    pub(super) const NAMES: [&str; 8] = [
        "name",
        "first_name",
        "last_name",
        "birth_date",
        "street",
        "postal_code",
        "city",
        "country",
    ];

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "name" => Self::Name,
            "first_name" => Self::FirstName,
            "last_name" => Self::LastName,
            "birth_date" => Self::BirthDate,
            "street" => Self::Street,
            "postal_code" => Self::PostalCode,
            "city" => Self::City,
            "country" => Self::Country,
            _ => return None,
        })
    }
}

/// What a record says about its person, each field in the one form of all its spellings.
#[derive(Debug, Default)]
pub(super) struct Description<'a> {
    pub(super) name: Option<String>,
    pub(super) birth: Option<Birth>,
    pub(super) street: Option<String>,
    pub(super) postal_code: Option<Cow<'a, str>>,
    pub(super) city: Option<String>,
    pub(super) country: Option<&'static str>,
}

impl<'a> Description<'a> {
    pub(super) fn of(fields: &'a PersonFields) -> Self {
        let country = fields.country.as_deref().and_then(udfs::normalize_country);
        let name = match (&fields.name, &fields.first_name, &fields.last_name) {
            (Some(name), ..) => udfs::normalize_name(name),
            (None, Some(first), Some(last)) => udfs::normalize_name_part(&whole_name(first, last)),
            (None, Some(first), None) => udfs::normalize_name_part(first),
            (None, None, last) => last.as_deref().and_then(udfs::normalize_family_name),
        };
        let birth =
            fields.birth_date.as_deref().and_then(|text| udfs::normalize_birth_date(text, country));
        Self {
            name,
            birth: birth.and_then(Birth::from_days),
            street: fields.street.as_deref().and_then(udfs::normalize_street),
            postal_code: fields.postal_code.as_deref().and_then(udfs::normalize_postal_code),
            city: fields.city.as_deref().and_then(udfs::normalize_name_part),
            country,
        }
    }
}

/// Returns a name of two columns as one. A comma among given names turns nothing round (`Mary, Ann`), unless the column holds the
/// whole name.
fn whole_name(first: &str, last: &str) -> String {
    let family = udfs::spelled_family(last.trim());
    match first.split_once(',') {
        Some((before, _)) if before.trim() != last.trim() => {
            format!("{} {family}", first.replace(',', " "))
        }
        _ => format!("{first} {family}"),
    }
}

/// A normalised description. Name parts and other texts are numbers of the [`People`](super::people::People) who hold
/// it; [`NONE`] where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Person {
    pub(super) given: u32,
    pub(super) surname: u32,
    pub(super) middle: [u32; MIDDLE_WORDS_MAX],
    /// A position in [`SUFFIXES`](udfs::SUFFIXES) plus one, or zero.
    pub(super) suffix: u8,
    pub(super) birth: Option<Birth>,
    pub(super) street: u32,
    pub(super) postal_code: u32,
    pub(super) city: u32,
    pub(super) country: u32,
}

impl Person {
    pub(super) fn has_name(&self) -> bool {
        self.surname != NONE
    }

    pub(super) fn same_suffix(&self, other: &Person) -> bool {
        self.suffix != 0 && self.suffix == other.suffix
    }

    pub(super) fn same_postal_code(&self, other: &Person) -> bool {
        self.postal_code != NONE && self.postal_code == other.postal_code
    }

    pub(super) fn birth_agreement(&self, other: &Person) -> Agreement {
        match (self.birth, other.birth) {
            (Some(left), Some(right)) => left.agreement(right),
            _ => Agreement::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_make_one_name() {
        for (first, last, expected) in [
            ("Anna", "Nowak", "Anna Nowak"),
            ("John, 5th Baronet", "Smith", "John  5th Baronet Smith"),
            ("Mary, Ann", "Smith Jr", "Mary  Ann Smith Jr"),
            ("Smith, John", "Smith", "Smith, John Smith"),
            ("John", "Smith, Jr", "John Smith, Jr"),
            ("민수", "이", "민수 Lee"),
        ] {
            assert_eq!(whole_name(first, last), expected);
        }
    }

    #[test]
    fn nobody_is_born_tomorrow() {
        // 2026-11-27, at noon.
        let noon = 20_784 * DAY + DAY / 2;
        for (birth_date, country, expected) in [
            (Some("1987-12-22"), None, false),
            (Some("2026-11-27"), None, false),
            (Some("2026-11-28"), None, false),
            (Some("2026-11-29"), None, true),
            (Some("2030-05-06"), None, true),
            (Some("12/01/2026"), Some("US"), true),
            (Some("12/01/2026"), Some("PL"), false),
            (Some("2050-05-06"), None, false),
            (Some("n/a"), None, false),
            (None, None, false),
        ] {
            assert_eq!(is_ahead(birth_date, country, noon), expected, "{birth_date:?} {country:?}");
        }
    }
}
