//! Keys under which a record is looked for in an index that grows with the records.
//!
//! [`blocks`](super::blocks) sees a whole table at once, so it can choose which keys to refine, and how far. An index knows
//! only the records there are by now, and what it compares must not hang on their order. So every record has all its keys
//! from the beginning, the coarse ones and the fine ones, and a key that too many records share is passed over: the finer
//! ones beside it stand in for it.
//!
//! Whoever writes a graph may name the keys instead. They decide which pairs are weighed, and nothing else: a model is
//! trained on the blocks of a whole table all the same.

use super::classes::Classes;
use super::records::{Form, Kind, ROW_IDENTIFIERS, Records};
use super::rules::{Part, key};
use crate::catalog::BlockPart;
use crate::identity::hash;
use crate::identity::interner::NONE;
use crate::{Error, Result, suggest};

/// The parts of each key: those of the rules that a table is blocked by, some of them refined.
const KEYS: [&[Part]; 16] = [
    &[Part::Given, Part::Surname],
    &[Part::Given, Part::Surname, Part::PostalCode],
    &[Part::Surname, Part::Birth],
    &[Part::Given, Part::Birth],
    &[Part::Given, Part::House],
    &[Part::Surname, Part::House],
    &[Part::Surname],
    &[Part::Surname, Part::Initial, Part::PostalCode],
    &[Part::Surname, Part::PostalCode],
    &[Part::Given, Part::PostalCode],
    &[Part::Surname, Part::BirthYear],
    &[Part::Given, Part::BirthYear],
    &[Part::Birth],
    &[Part::Birth, Part::PostalCode],
    &[Part::House, Part::PostalCode],
    &[Part::Initial, Part::SurnameInitial, Part::BirthDay],
];

/// Keys that a graph may name at most: each is looked up for every record, and the usual ones are fifteen.
const NAMED_MAX: usize = 32;

/// What a record says of its person, as keys name it.
const FIELDS: [(&str, Part); 6] = [
    ("given_name", Part::Given),
    ("surname", Part::Surname),
    ("birth_date", Part::Birth),
    ("street", Part::House),
    ("postal_code", Part::PostalCode),
    ("city", Part::City),
];

/// What keys may take of a field.
const FUNCTIONS: [(&str, &str, Part); 3] = [
    ("initial", "given_name", Part::Initial),
    ("initial", "surname", Part::SurnameInitial),
    ("year", "birth_date", Part::BirthYear),
];

/// What keys may take of a mailbox: what comes before the `@`.
const LOCAL: &str = "local";

/// The keys under which the records of one graph are looked for.
#[derive(Debug)]
pub(crate) struct BlockKeys {
    /// As they are named; the usual ones if there are none.
    named: Vec<Vec<Part>>,
    /// Classes that make no difference: they change while keys have to stay.
    classes: Classes,
}

impl BlockKeys {
    /// Makes the keys that `named` asks for, of records with identifiers of these kinds; the usual ones if it is empty.
    ///
    /// # Errors
    /// SQLSTATE 42703 for what is no field and no kind, 42883 for what cannot be taken of it, [`Error::Invalid`] for a key
    /// that is empty or given twice.
    pub(crate) fn new(named: &[Vec<BlockPart>], kinds: &[Kind]) -> Result<Self> {
        if named.len() > NAMED_MAX {
            return Err(Error::Limit {
                sqlstate: "54000",
                message: format!("BLOCK ON has more than {NAMED_MAX} keys"),
                hint: "Leave out those that find fewest candidates.".to_owned(),
            });
        }
        let mut keys: Vec<Vec<Part>> = Vec::new();
        for parts in named {
            let mut key: Vec<Part> = Vec::new();
            for part in parts {
                let found = part_of(part, kinds)?;
                if key.contains(&found) {
                    return Err(invalid(
                        format!("a key of BLOCK ON names {} twice", written(part)),
                        "Name each part of a key once.",
                    ));
                }
                key.push(found);
            }
            // Neither the order of parts nor that of keys makes another key.
            key.sort_unstable();
            let text = parts.iter().map(written).collect::<Vec<_>>().join(", ");
            if key.is_empty() {
                return Err(invalid(
                    "a key of BLOCK ON is empty",
                    "Name fields and kinds of identifiers: BLOCK ON ((surname, birth_date)).",
                ));
            }
            if keys.contains(&key) {
                return Err(invalid(
                    format!("BLOCK ON has the key ({text}) twice"),
                    "Give each key once; the order of its parts does not matter.",
                ));
            }
            keys.push(key);
        }
        keys.sort_unstable();
        Ok(Self { named: keys, classes: Classes::of_kinds(kinds.len()) })
    }

    /// Returns the keys of a row, as far as it says what they are made of.
    pub(crate) fn of(&self, records: &Records, row: u32) -> Vec<u64> {
        let said = |(number, parts): (usize, &[Part])| {
            Some(hash::mix(number as u64, key(records, &self.classes, parts, row)?))
        };
        if !self.named.is_empty() {
            let named = self.named.iter().map(Vec::as_slice);
            return named.enumerate().filter_map(said).collect();
        }
        let mut keys: Vec<u64> = KEYS.into_iter().enumerate().filter_map(said).collect();
        for (kind, named) in records.kinds().iter().enumerate() {
            let number = KEYS.len() + kind * 3;
            let value = records.row(row)[ROW_IDENTIFIERS + kind];
            if value != NONE {
                keys.push(hash::mix(number as u64, records.values[kind].hash(value)));
            }
            if named.form == Form::Email {
                let local = Part::Local(kind);
                keys.extend(said((number + 1, &[local])));
                keys.extend(said((number + 2, &[local, Part::Surname])));
            }
        }
        keys
    }
}

/// Returns what a part of a key is, among these kinds of identifiers.
fn part_of(part: &BlockPart, kinds: &[Kind]) -> Result<Part> {
    let field = FIELDS.iter().find(|(name, _)| *name == part.of);
    let kind = kinds.iter().position(|kind| kind.name == part.of);
    let Some(function) = &part.function else {
        return match (field, kind) {
            (Some((_, field)), _) => Ok(*field),
            (None, Some(kind)) => Ok(Part::Identifier(kind)),
            (None, None) => Err(unknown(&part.of, kinds)),
        };
    };
    if field.is_none() && kind.is_none() {
        return Err(unknown(&part.of, kinds));
    }
    let of_field = FUNCTIONS.iter().find(|(name, of, _)| name == function && *of == part.of);
    match (of_field, kind) {
        (Some((.., taken)), _) => Ok(*taken),
        (None, Some(kind))
            if field.is_none() && function == LOCAL && kinds[kind].form == Form::Email =>
        {
            Ok(Part::Local(kind))
        }
        _ => Err(Error::Standard {
            sqlstate: "42883",
            message: format!("BLOCK ON knows no {}", written(part)),
            hint: "There are initial(given_name), initial(surname), year(birth_date), and local(...) of a kind with NORMALIZE email."
                .to_owned(),
        }),
    }
}

/// Writes a part of a key as a statement does.
fn written(part: &BlockPart) -> String {
    match &part.function {
        Some(function) => format!("{function}({})", part.of),
        None => part.of.clone(),
    }
}

/// The error for a name that is no field and no kind of identifier.
fn unknown(name: &str, kinds: &[Kind]) -> Error {
    let fields = FIELDS.iter().map(|(field, _)| *field);
    let names: Vec<&str> = fields.chain(kinds.iter().map(|kind| kind.name.as_str())).collect();
    let near = suggest::nearest(name, names.iter().copied());
    let near = near.map(|near| format!("Did you mean {near}? ")).unwrap_or_default();
    Error::Standard {
        sqlstate: "42703",
        message: format!("BLOCK ON names \"{name}\", which is no field and no kind of identifier"),
        hint: format!("{near}Keys are made of {}.", names.join(", ")),
    }
}

fn invalid(message: impl Into<String>, hint: &str) -> Error {
    Error::Invalid { message: message.into(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds() -> [Kind; 2] {
        [("email", Form::Email), ("phone", Form::Phone)]
            .map(|(name, form)| Kind { name: name.to_owned(), form })
    }

    /// Reads keys such as `surname, year(birth_date)`.
    fn keys(texts: &[&str]) -> Result<Vec<Vec<Part>>> {
        let part = |text: &str| match text.trim().split_once('(') {
            Some((function, of)) => BlockPart {
                function: Some(function.to_owned()),
                of: of.trim_end_matches(')').to_owned(),
            },
            None => BlockPart { function: None, of: text.trim().to_owned() },
        };
        let key = |text: &&str| match text.is_empty() {
            true => vec![],
            false => text.split(',').map(part).collect(),
        };
        let named: Vec<Vec<BlockPart>> = texts.iter().map(key).collect();
        BlockKeys::new(&named, &kinds()).map(|keys| keys.named)
    }

    #[test]
    fn fields_kinds_and_what_is_taken_of_them_make_keys_in_any_order() {
        let made = keys(&["surname, birth_date", "local(email), initial(surname)", "phone"]);
        let turned = keys(&["phone", "initial(surname), local(email)", "birth_date, surname"]);
        let made = made.unwrap();
        assert_eq!(turned.unwrap(), made);
        let expected = [
            vec![Part::Surname, Part::Birth],
            vec![Part::SurnameInitial, Part::Local(0)],
            vec![Part::Identifier(1)],
        ];
        assert_eq!(made, expected);
        assert_eq!(keys(&[]).unwrap(), [] as [Vec<Part>; 0], "the usual ones");
    }

    #[test]
    fn what_makes_no_key_is_refused() {
        let refused = |texts: &[&str]| {
            let error = keys(texts).unwrap_err();
            (error.sqlstate(), error.to_string(), error.hint().unwrap())
        };
        let (code, message, hint) = refused(&["surname", "last_name"]);
        let said = "BLOCK ON names \"last_name\", which is no field and no kind of identifier";
        assert_eq!((code, message.as_str()), ("42703", said));
        let there = "given_name, surname, birth_date, street, postal_code, city, email, phone";
        assert_eq!(hint, format!("Keys are made of {there}."));
        assert!(refused(&["emial"]).2.starts_with("Did you mean email? Keys"));
        for wrong in ["year(surname)", "local(phone)", "local(street)", "soundex(surname)"] {
            let said = format!("BLOCK ON knows no {wrong}");
            assert_eq!((refused(&[wrong]).0, refused(&[wrong]).1), ("42883", said));
        }
        assert_eq!(refused(&["year(shoe)"]).0, "42703");
        let twice = "BLOCK ON has the key (email, surname) twice";
        assert_eq!(refused(&["surname, email", "email, surname"]).1, twice);
        let twice = "a key of BLOCK ON names surname twice";
        assert_eq!(refused(&["surname, surname"]).1, twice);
        assert_eq!(refused(&[""]).1, "a key of BLOCK ON is empty");
        let many: Vec<String> = (0..=NAMED_MAX).map(|_| "surname".to_owned()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(refused(&many).0, "54000");
    }
}
