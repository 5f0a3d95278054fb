//! What a record says about its person, before and after normalisation.

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
