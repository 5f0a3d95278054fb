//! Comparisons of two records.
//!
//! Equal numbers are equal texts, which settles most of them. Texts that differ are measured by cheap tests first, and
//! the level of a pair of texts is remembered: within a block the same names and streets meet over and over.

use udfs::{is_name_slip, is_one_slip};

use super::classes::Classes;
use super::levels::{ADDRESS, BIRTH, GIVEN, Levels, PERSON_COMPARISONS, SURNAME};
use super::levels::{address, given, identifier, surname};
use super::records::{
    Form, Kind, ROW_BIRTH, ROW_CITY, ROW_GIVEN, ROW_IDENTIFIERS, ROW_MIDDLE, ROW_POSTAL_CODE,
    ROW_SECOND, ROW_STREET, ROW_SURNAME, Records,
};
use super::vocabulary::split_house;
use crate::identity::ValueClass;
use crate::identity::hash;
use crate::identity::interner::NONE;
use crate::identity::memory::warm;

/// Remembered pairs of texts for each comparison of texts: 512 KB that stay in the cache of a core. Results do not depend on it.
const REMEMBERED: usize = 1 << 15;

/// Rows that are compared each with each from which remembering is worth the room for it. Results do not depend on it.
const ROWS_REMEMBERED_MIN: usize = 16;

/// Compares records of one table.
#[derive(Debug)]
pub(super) struct Comparer<'a> {
    records: &'a Records,
    classes: &'a Classes,
    memories: Memories,
}

/// What is remembered of the texts of one table. They keep their numbers while the table grows, so it may outlive a
/// comparer.
#[derive(Debug, Default)]
pub(crate) struct Memories {
    given: Memory,
    surname: Memory,
    street: Memory,
}

impl Memories {
    /// Makes room to remember; without, as of [`Memories::default`], every pair of texts is measured.
    pub(crate) fn new() -> Self {
        Self::of_slots(REMEMBERED)
    }

    /// Makes room for what so many rows say, which are compared each with each; none where they are few.
    pub(crate) fn of(rows: usize) -> Self {
        if rows < ROWS_REMEMBERED_MIN {
            return Self::default();
        }
        Self::of_slots((rows * rows).next_power_of_two().min(REMEMBERED))
    }

    fn of_slots(slots: usize) -> Self {
        let memory = || Memory { slots: vec![(u64::MAX, 0); slots] };
        Self { given: memory(), surname: memory(), street: memory() }
    }
}

/// Levels of pairs of numbers; a newer pair takes the place of an older one.
#[derive(Debug, Default)]
struct Memory {
    /// None, or a power of two.
    slots: Vec<(u64, u8)>,
}

impl Memory {
    /// Returns the level of a pair, whichever of the two comes first.
    fn level(&mut self, left: u32, right: u32, measure: impl FnOnce(u32, u32) -> u8) -> u8 {
        let (left, right) = (left.min(right), left.max(right));
        if self.slots.is_empty() {
            return measure(left, right);
        }
        let pair = u64::from(left) << 32 | u64::from(right);
        let place = hash::finish(pair) as usize & (self.slots.len() - 1);
        let slot = &mut self.slots[place];
        if slot.0 != pair {
            *slot = (pair, measure(left, right));
        }
        slot.1
    }
}

impl<'a> Comparer<'a> {
    pub(super) fn new(records: &'a Records, classes: &'a Classes) -> Self {
        Self::remembering(records, classes, Memories::new())
    }

    pub(super) fn remembering(
        records: &'a Records,
        classes: &'a Classes,
        memories: Memories,
    ) -> Self {
        Self { records, classes, memories }
    }

    pub(super) fn into_memories(self) -> Memories {
        self.memories
    }

    /// Brings what records are compared by into the cache: their rows first, then what is known of what these say.
    pub(super) fn warm(&self, rows: impl Iterator<Item = u32> + Clone) {
        let Self { records, classes, .. } = *self;
        records.warm(rows.clone());
        warm(rows.map(|row| {
            let row = records.row(row);
            let house = match row[ROW_STREET] {
                NONE => NONE,
                street => records.streets.house(street),
            };
            let kinds = records.kinds().iter().enumerate();
            kinds.fold(house, |known, (kind, Kind { form, .. })| {
                match row[ROW_IDENTIFIERS + kind] {
                    NONE => known,
                    value if *form == Form::Opaque => known ^ classes.get(kind, value) as u32,
                    value => {
                        known
                            ^ classes.get(kind, value) as u32
                            ^ records.values[kind].sketch(value).length()
                    }
                }
            })
        }));
    }

    /// Compares two records in every respect.
    pub(super) fn levels(&mut self, left: u32, right: u32) -> Levels {
        let (left, right) = (self.records.row(left), self.records.row(right));
        let mut levels = self.names(left, right);
        if left[ROW_BIRTH] != NONE && right[ROW_BIRTH] != NONE {
            levels = levels.with(BIRTH, udfs::birth_date_level(left[ROW_BIRTH], right[ROW_BIRTH]));
        }
        if let Some(level) = self.addresses(left, right) {
            levels = levels.with(ADDRESS, level);
        }
        for at in 0..self.records.kinds().len() {
            let (value, other) = (left[ROW_IDENTIFIERS + at], right[ROW_IDENTIFIERS + at]);
            if value != NONE
                && other != NONE
                && let Some(level) = self.identifiers(at, value, other)
            {
                levels = levels.with(PERSON_COMPARISONS + at, level);
            }
        }
        levels
    }

    fn names(&mut self, left: &[u32], right: &[u32]) -> Levels {
        let mut levels = Levels::default();
        let has_given = left[ROW_GIVEN] != NONE && right[ROW_GIVEN] != NONE;
        let has_surname = left[ROW_SURNAME] != NONE && right[ROW_SURNAME] != NONE;
        let records = self.records;
        if are_turned(records, left, right) {
            let (one, other) = (left[ROW_SURNAME], right[ROW_SURNAME]);
            let given = self.memories.given.level(one, other, |l, r| given_level(records, l, r));
            return levels.with(GIVEN, given).with(SURNAME, surname::SAME);
        }
        let given = has_given.then(|| {
            let memory = &mut self.memories.given;
            let first =
                memory.level(left[ROW_GIVEN], right[ROW_GIVEN], |l, r| given_level(records, l, r));
            with_second_names(records, first, left, right)
        });
        let mut surname = has_surname.then(|| {
            let memory = &mut self.memories.surname;
            memory.level(left[ROW_SURNAME], right[ROW_SURNAME], |l, r| surname_level(records, l, r))
        });
        if surname.is_some_and(|level| level < surname::LOOSE) && is_half(records, left, right) {
            surname = Some(surname::LOOSE);
        }
        if let Some(level) = given {
            levels = levels.with(GIVEN, level);
        }
        if let Some(level) = surname {
            levels = levels.with(SURNAME, level);
        }
        if given == Some(given::DIFFERENT)
            && has_surname
            && self.is_same_part(left[ROW_GIVEN], right[ROW_SURNAME])
            && self.is_same_part(right[ROW_GIVEN], left[ROW_SURNAME])
        {
            // It is one thing that happened, and counts once: how often it does, the given name says for both.
            levels = levels.with(GIVEN, given::SWAPPED).without(SURNAME);
        }
        levels
    }

    /// Tells whether a given name and a surname are one word, but for a slip.
    fn is_same_part(&mut self, given: u32, surname: u32) -> bool {
        let records = self.records;
        given == surname
            || records.names.given_hash(given) == records.names.given_hash(surname)
            || self.memories.surname.level(given, surname, |l, r| surname_level(records, l, r))
                >= surname::CLOSE
    }

    fn addresses(&mut self, left: &[u32], right: &[u32]) -> Option<u8> {
        let agree = |place: usize| {
            (left[place] != NONE && right[place] != NONE).then(|| left[place] == right[place])
        };
        let code = agree(ROW_POSTAL_CODE);
        let city = agree(ROW_CITY);
        let same_place = code.or(city) != Some(false);
        let (street, other) = (left[ROW_STREET], right[ROW_STREET]);
        let records = self.records;
        if street != NONE && other != NONE {
            let near = || {
                let (code, other) = (left[ROW_POSTAL_CODE], right[ROW_POSTAL_CODE]);
                code == NONE
                    || other == NONE
                    || is_one_slip(
                        records.postal_codes.text(code),
                        records.postal_codes.text(other),
                    )
            };
            let house = if street == other {
                SAME_HOUSE
            } else if !records.streets.may_share_number(street, other) {
                OTHER_HOUSE
            } else {
                self.memories.street.level(street, other, |l, r| street_level(records, l, r))
            };
            match house {
                SAME_HOUSE if same_place => return Some(address::SAME),
                SAME_HOUSE if city == Some(true) || near() => return Some(address::NEAR),
                SAME_HOUSE => return Some(address::STREET),
                ALIKE_HOUSE if same_place || near() => return Some(address::NEAR),
                _ => {}
            }
        } else if code.is_none() && city.is_none() {
            return None;
        }
        Some(match (code, city) {
            (Some(true), _) => address::POSTAL_CODE,
            (_, Some(true)) => address::CITY,
            _ => address::DIFFERENT,
        })
    }

    fn identifiers(&self, kind: usize, left: u32, right: u32) -> Option<u8> {
        let (left_class, right_class) =
            (self.classes.get(kind, left), self.classes.get(kind, right));
        if left_class == ValueClass::Nobody || right_class == ValueClass::Nobody {
            return None;
        }
        if left == right {
            let personal = left_class == ValueClass::Personal;
            return Some(if personal { identifier::PERSONAL } else { identifier::SHARED });
        }
        let values = &self.records.values[kind];
        let form = self.records.kinds()[kind].form;
        if form == Form::Opaque {
            return Some(identifier::DIFFERENT);
        }
        // Names of mailboxes that are equal have equal sketches.
        if !values.sketch(left).may_slip(values.sketch(right)) {
            return Some(identifier::DIFFERENT);
        }
        Some(udfs::identifier_level(values.split(left), values.split(right)))
    }
}

/// Tells whether two records of one surname have it first: `Nowak Anna` and `Nowak Piotr`, who would be one person with two
/// surnames else. Only where tables know what comes last as given names or what comes first as a family's, and nothing speaks
/// against it.
pub(super) fn are_turned(records: &Records, left: &[u32], right: &[u32]) -> bool {
    let names = &records.names;
    let (first, other) = (left[ROW_GIVEN], right[ROW_GIVEN]);
    if left[ROW_SURNAME] == right[ROW_SURNAME]
        || first == NONE
        || other == NONE
        || names.surname_key(first) != names.surname_key(other)
    {
        return false;
    }
    let is_turned = |row: &[u32]| {
        let (first, last) = (row[ROW_GIVEN], row[ROW_SURNAME]);
        last != NONE
            && !names.is_given(first)
            && !names.is_family(last)
            && (names.is_given(last) || names.is_family(first))
    };
    is_turned(left) && is_turned(right)
}

/// Tells whether one surname is a half of the other one, which is double.
fn is_half(records: &Records, left: &[u32], right: &[u32]) -> bool {
    let same = |half: u32, whole: u32| {
        half != NONE
            && whole != NONE
            && records.names.surname_key(half) == records.names.surname_key(whole)
    };
    same(left[ROW_MIDDLE], right[ROW_SURNAME]) || same(right[ROW_MIDDLE], left[ROW_SURNAME])
}

fn given_level(records: &Records, left: u32, right: u32) -> u8 {
    udfs::given_name_level(records.names.text(left), records.names.text(right))
}

/// Returns the level of given names whose first words have one. Most records say no second ones, or both the same. What is half of
/// the other one's surname is none: of Luis Alberto Martín Gómez, Martín is.
pub(super) fn with_second_names(records: &Records, first: u8, left: &[u32], right: &[u32]) -> u8 {
    let (second, other) = (left[ROW_SECOND], right[ROW_SECOND]);
    let are_compared = second != NONE && other != NONE;
    let is_half = are_compared && (second == right[ROW_MIDDLE] || other == left[ROW_MIDDLE]);
    if second == other || first >= given::SAME && (!are_compared || is_half) {
        return first;
    }
    let names = |row: &[u32]| {
        let text = |place: usize| match row[place] {
            NONE => "",
            part => records.names.text(part),
        };
        [text(ROW_GIVEN), text(ROW_SECOND)]
    };
    udfs::level_with_second_names(first, names(left), names(right))
}

fn surname_level(records: &Records, left: u32, right: u32) -> u8 {
    let names = &records.names;
    let key = |part: u32| names.text(names.surname_key(part));
    udfs::surname_level(key(left), key(right))
}

/// How two streets agree, as it is remembered: not, in all but a slip or an apartment that both say, or in street and house.
const OTHER_HOUSE: u8 = 0;
const ALIKE_HOUSE: u8 = 1;
const SAME_HOUSE: u8 = 2;

/// Compares two different streets whose houses may have one number: the apartment may be missing, the words may be mistyped,
/// the house may not.
fn street_level(records: &Records, left: u32, right: u32) -> u8 {
    let streets = &records.streets;
    let (left_house, right_house) = (streets.house(left), streets.house(right));
    if left_house == right_house {
        let without_apartment = left == left_house || right == right_house;
        return if without_apartment { SAME_HOUSE } else { ALIKE_HOUSE };
    }
    let (words, number) = split_house(streets.text(left_house));
    let (other_words, other_number) = split_house(streets.text(right_house));
    let alike = number == other_number && is_name_slip(words, other_words);
    if alike { ALIKE_HOUSE } else { OTHER_HOUSE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_was_measured() {
        for memories in [Memories::default(), Memories::of(20), Memories::new()] {
            let mut memory = memories.given;
            for (left, right) in [(1, 2), (2, 1), (700, 3), (1, 2), (5, 5)] {
                let measured = |left: u32, right: u32| ((left + right) % 7) as u8;
                assert_eq!(memory.level(left, right, measured), measured(left, right));
            }
        }
    }
}
