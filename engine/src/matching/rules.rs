//! Which records are looked at together: rules that each make a key of a record.

use super::levels::{ADDRESS, BIRTH, GIVEN, PERSON_COMPARISONS, SURNAME};
use super::records::{
    Form, ROW_BIRTH, ROW_CITY, ROW_GIVEN, ROW_IDENTIFIERS, ROW_POSTAL_CODE, ROW_STREET,
    ROW_SURNAME, Records,
};
use crate::identity::ValueClass;
use crate::identity::hash;
use crate::identity::interner::NONE;

use super::classes::Classes;

/// Month and day of what stands for an unknown day of a year.
const NEW_YEAR: u32 = 101;

/// A part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The given name, whichever form of it.
    Given,
    /// Its first letter.
    Initial,
    /// The surname, whichever form of it.
    Surname,
    SurnameInitial,
    Birth,
    BirthYear,
    /// Month and day of the birthday, whichever year; the first of January is none.
    BirthDay,
    /// Street and house.
    House,
    PostalCode,
    City,
    /// A kind of identifier.
    Identifier(usize),
    /// The part of a mailbox before the `@`.
    Local(usize),
}

/// A rule: records that agree on all parts are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) parts: Vec<Part>,
    /// What is added to the key, one after the other, of records whose block is too large.
    pub(super) refine: Vec<Part>,
    pub(super) teaches: Teaches,
}

/// What the model learns from pairs of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Teaches {
    /// All that the rule's key leaves open.
    All,
    /// The same, of comparisons about which no other rule says anything: most pairs of such a rule are of strangers.
    Rest,
    Nothing,
}

impl Rule {
    /// Tells whether the key is something that two people of one household have in common as such. Those who share a given name
    /// or a birthday are namesakes and twins, and no picture of a household; most such pairs are of strangers.
    pub(super) fn finds_households(&self) -> bool {
        self.parts.iter().all(|part| !matches!(part.comparison(), GIVEN | BIRTH))
    }
}

impl Part {
    /// Returns the comparison that says nothing new about records that agree on this part.
    pub(super) fn comparison(self) -> usize {
        match self {
            Self::Given | Self::Initial => GIVEN,
            Self::Surname | Self::SurnameInitial => SURNAME,
            Self::Birth | Self::BirthYear | Self::BirthDay => BIRTH,
            Self::House | Self::PostalCode | Self::City => ADDRESS,
            Self::Identifier(kind) | Self::Local(kind) => PERSON_COMPARISONS + kind,
        }
    }

    /// Returns a hash of what a record says, or `None` where it says nothing or names nobody.
    fn key(self, records: &Records, classes: &Classes, row: u32) -> Option<u64> {
        let row = records.row(row);
        let at = |place: usize| Some(row[place]).filter(|&number| number != NONE);
        let initial = |key: u32| records.names.text(key).bytes().next().map(u64::from);
        Some(match self {
            Self::Given => records.names.given_hash(at(ROW_GIVEN)?),
            Self::Initial => initial(records.names.given_key(at(ROW_GIVEN)?))?,
            Self::Surname => records.names.surname_hash(at(ROW_SURNAME)?),
            Self::SurnameInitial => initial(records.names.surname_key(at(ROW_SURNAME)?))?,
            Self::Birth => u64::from(at(ROW_BIRTH)?),
            Self::BirthYear => u64::from(at(ROW_BIRTH)? / 10_000),
            Self::BirthDay => {
                u64::from(Some(at(ROW_BIRTH)? % 10_000).filter(|&day| day != NEW_YEAR)?)
            }
            Self::House => records.streets.house_hash(at(ROW_STREET)?),
            Self::PostalCode => records.postal_codes.hash(at(ROW_POSTAL_CODE)?),
            Self::City => records.cities.hash(at(ROW_CITY)?),
            Self::Identifier(kind) => {
                let value = at(ROW_IDENTIFIERS + kind)?;
                if classes.get(kind, value) == ValueClass::Nobody {
                    return None;
                }
                records.values[kind].hash(value)
            }
            Self::Local(kind) => records.values[kind].local_hash(at(ROW_IDENTIFIERS + kind)?)?,
        })
    }
}

/// Returns the key of a record under some parts, or `None` where one of them is missing.
pub(super) fn key(records: &Records, classes: &Classes, parts: &[Part], row: u32) -> Option<u64> {
    parts.iter().try_fold(0, |key, part| Some(hash::mix(key, part.key(records, classes, row)?)))
}

/// Returns the rules for the fields that a table has.
///
/// Identifiers come first, then pairs of fields that rarely agree by chance, then single fields, which find records that
/// agree on nothing else exactly. In a small table a single field makes small blocks; in a large one its blocks are
/// refined.
pub(super) fn rules_for(records: &Records) -> Vec<Rule> {
    use Part::{
        Birth, BirthDay, BirthYear, City, Given, House, Identifier, Initial, Local, PostalCode,
        Surname, SurnameInitial,
    };
    let has = |place: usize| (0..records.len() as u32).any(|row| records.row(row)[place] != NONE);
    let present: Vec<bool> = (0..ROW_IDENTIFIERS + records.kinds().len()).map(has).collect();
    // Without streets, a postal code tells how many households there are.
    let postal_code_teaches = if present[ROW_STREET] { Teaches::Nothing } else { Teaches::Rest };
    let mut rules = Vec::new();
    let mut add = |name: &str, parts: &[Part], refine: &[Part], teaches: Teaches| {
        rules.push(Rule {
            name: name.to_owned(),
            parts: parts.to_vec(),
            refine: refine.to_vec(),
            teaches,
        });
    };
    for (kind, named) in records.kinds().iter().enumerate() {
        add(&named.name, &[Identifier(kind)], &[], Teaches::All);
    }
    add("given name, surname", &[Given, Surname], &[PostalCode], Teaches::All);
    add("surname, birth date", &[Surname, Birth], &[], Teaches::All);
    add("given name, birth date", &[Given, Birth], &[SurnameInitial], Teaches::All);
    add("given name, street", &[Given, House], &[PostalCode], Teaches::All);
    add("surname, street", &[Surname, House], &[Initial], Teaches::All);
    add("surname", &[Surname], &[Initial, PostalCode], Teaches::Rest);
    add("surname, postal code", &[Surname, PostalCode], &[Initial], postal_code_teaches);
    add("given name, postal code", &[Given, PostalCode], &[SurnameInitial], Teaches::Nothing);
    add("surname, birth year", &[Surname, BirthYear], &[Initial, City], Teaches::Nothing);
    add("given name, birth year", &[Given, BirthYear], &[SurnameInitial, City], Teaches::Nothing);
    add("birth date", &[Birth], &[Initial, PostalCode], Teaches::Rest);
    add("street, postal code", &[House, PostalCode], &[Initial], Teaches::Nothing);
    // Neither name has to be right here, nor the year: any of them may be mistyped, or written as another language does.
    let loose = [Initial, SurnameInitial, BirthDay];
    add("initials, day of birth", &loose, &[PostalCode, City], Teaches::Nothing);
    for (kind, named) in records.kinds().iter().enumerate() {
        if named.form == Form::Email {
            add(&format!("{} before @", named.name), &[Local(kind)], &[Surname], Teaches::Nothing);
        }
    }
    rules.retain(|rule| rule.parts.iter().all(|part| present[place(*part)]));
    for rule in &mut rules {
        rule.refine.retain(|part| present[place(*part)]);
    }
    rules
}

/// Returns where a record says what a part is made of.
pub(super) fn place(part: Part) -> usize {
    match part {
        Part::Given | Part::Initial => ROW_GIVEN,
        Part::Surname | Part::SurnameInitial => ROW_SURNAME,
        Part::Birth | Part::BirthYear | Part::BirthDay => ROW_BIRTH,
        Part::House => ROW_STREET,
        Part::PostalCode => ROW_POSTAL_CODE,
        Part::City => ROW_CITY,
        Part::Identifier(kind) | Part::Local(kind) => ROW_IDENTIFIERS + kind,
    }
}
