//! Keys under which a record is looked for in an index that grows with the records.
//!
//! [`blocks`](super::blocks) sees a whole table at once, so it can choose which keys to refine, and how far. An index knows
//! only the records there are by now, and what it compares must not hang on their order. So every record has all its keys
//! from the beginning, the coarse ones and the fine ones, and a key that too many records share is passed over: the finer
//! ones beside it stand in for it.

use super::classes::Classes;
use super::records::{Form, ROW_IDENTIFIERS, Records};
use super::rules::{Part, key};
use crate::identity::hash;
use crate::identity::interner::NONE;

/// The parts of each key: those of the rules that a table is blocked by, some of them refined.
const KEYS: [&[Part]; 15] = [
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
];

/// Returns the keys of a row, as far as it says what they are made of.
pub(crate) fn block_keys(records: &Records, row: u32) -> Vec<u64> {
    // Parts that ask for the class of a value are not among those of keys.
    let classes = Classes::default();
    let said = |(number, parts): (usize, &[Part])| {
        Some(hash::mix(number as u64, key(records, &classes, parts, row)?))
    };
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
