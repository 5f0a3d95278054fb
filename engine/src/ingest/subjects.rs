//! Subjects: the distinct tuples of raw identifiers that rows carry, numbered in log order.
//!
//! A row of a source of persons (one with a `PERSON` clause) counts its record key among its identifiers, and what it says
//! about its person belongs to the tuple: each version of a record whose identifiers or description changed is a subject
//! of its own, and all of them meet in the key. Numbers are dense, never
//! reused, and depend on the order of the log alone. What a subject consists of is stored once, in the tables
//! [`SUBJECTS`](crate::tables::SUBJECTS) and [`SUBJECT_IDENTIFIERS`](crate::tables::SUBJECT_IDENTIFIERS); rows hold the number.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Builder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};

use arrow::datatypes::Int64Type;

use super::hash::RowHasher;
use crate::error::{Error, Result};
use crate::tables;

/// The kind of the implicit identifier of a person's record; its value is the source and the key.
pub const RECORD_KIND: &str = "record";

/// The fields of a `PERSON` clause, in the order of the subjects' table.
pub const PERSON_FIELDS: [&str; 8] =
    ["name", "first_name", "last_name", "birth_date", "street", "postal_code", "city", "country"];

/// The identifiers of a chunk of rows, as texts in columns.
pub struct IdentifierColumns<'a> {
    /// For each identifier of the source: its kind and its values.
    pub identifiers: Vec<(&'a str, StringArray)>,
    /// The record keys, if each row is a person's record. A row without one is nobody's record.
    pub record_keys: Option<StringArray>,
    /// What each row says about its person, in the order of [`PERSON_FIELDS`]; absent columns are never said.
    pub person: Vec<Option<StringArray>>,
    /// When each row was so, if its source says it.
    pub observed_at: Option<TimestampMicrosecondArray>,
}

/// The known subjects of a lake.
#[derive(Debug)]
pub struct Subjects {
    hasher: RowHasher,
    numbers: HashMap<u128, u32>,
    next: u32,
}

/// The subjects that one refresh met for the first time.
#[derive(Debug, Default)]
pub struct NewSubjects {
    subject: Int64Builder,
    source: StringBuilder,
    record_key: StringBuilder,
    person: Vec<StringBuilder>,
    observed_at: TimestampMicrosecondBuilder,
    identifier_subject: Int64Builder,
    identifier_kind: StringBuilder,
    identifier_value: StringBuilder,
}

impl Subjects {
    /// Returns the subjects of a lake without any.
    pub fn new() -> Self {
        Self { hasher: RowHasher::new(), numbers: HashMap::new(), next: 0 }
    }

    /// Returns the number that the next new subject gets.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Takes up stored subjects: whole tables of [`SUBJECT_IDENTIFIERS`](tables::SUBJECT_IDENTIFIERS), and of
    /// [`SUBJECTS`](tables::SUBJECTS) the number and [`PERSON_FIELDS`].
    pub fn load(
        &mut self,
        identifiers: &[RecordBatch],
        persons: &[RecordBatch],
        next: u32,
    ) -> Result<()> {
        let mut tuples: Vec<u128> = vec![0; next as usize];
        let mut add = |subject: i64, part: u128| {
            if let Some(tuple) = usize::try_from(subject).ok().and_then(|at| tuples.get_mut(at)) {
                *tuple = tuple.wrapping_add(part);
            }
        };
        for batch in identifiers {
            let subjects = batch.column(0).as_primitive::<Int64Type>();
            let (kinds, values) =
                (tables::texts(batch.column(1))?, tables::texts(batch.column(2))?);
            for row in 0..batch.num_rows() {
                let kind = self.kind(kinds.value(row));
                add(subjects.value(row), spread(kind ^ self.hasher.text(values.value(row))));
            }
        }
        for batch in persons {
            let subjects = batch.column(0).as_primitive::<Int64Type>();
            for (field, column) in PERSON_FIELDS.iter().zip(&batch.columns()[1..]) {
                let (field, values) = (self.field(field), tables::texts(column)?);
                for row in (0..batch.num_rows()).filter(|row| values.is_valid(*row)) {
                    add(subjects.value(row), spread(field ^ self.hasher.text(values.value(row))));
                }
            }
        }
        self.numbers = tuples.into_iter().zip(0..).collect();
        self.next = next;
        Ok(())
    }

    fn kind(&self, kind: &str) -> u128 {
        self.hasher.text(kind).rotate_left(1)
    }

    fn field(&self, field: &str) -> u128 {
        self.hasher.text(field).rotate_left(2)
    }

    /// Returns the subject of each row, `None` for a row without identifiers, and adds the new ones to `new`.
    ///
    /// # Errors
    /// [`Error::Limit`] beyond 2^32 - 2 subjects.
    pub fn assign(
        &mut self,
        source: &str,
        columns: &IdentifierColumns<'_>,
        rows: usize,
        new: &mut NewSubjects,
    ) -> Result<Vec<Option<i64>>> {
        let kinds: Vec<u128> =
            columns.identifiers.iter().map(|(kind, _)| self.kind(kind)).collect();
        let record_kind = self.kind(RECORD_KIND);
        let fields: Vec<(u128, &StringArray)> = PERSON_FIELDS
            .iter()
            .zip(&columns.person)
            .filter_map(|(field, values)| Some((self.field(field), values.as_ref()?)))
            .collect();
        let mut assigned = Vec::with_capacity(rows);
        let mut record = String::new();
        for row in 0..rows {
            let mut tuple = 0u128;
            let mut empty = true;
            for ((_, values), kind) in columns.identifiers.iter().zip(&kinds) {
                if let Some(value) = identifier(values, row) {
                    tuple = tuple.wrapping_add(spread(kind ^ self.hasher.text(value)));
                    empty = false;
                }
            }
            let keys = columns.record_keys.as_ref().filter(|keys| keys.is_valid(row));
            if let Some(keys) = keys {
                record_identifier(&mut record, source, keys.value(row));
                tuple = tuple.wrapping_add(spread(record_kind ^ self.hasher.text(&record)));
                for (field, values) in fields.iter().filter(|(_, values)| values.is_valid(row)) {
                    let part = spread(field ^ self.hasher.text(values.value(row)));
                    tuple = tuple.wrapping_add(part);
                }
                empty = false;
            }
            if empty {
                assigned.push(None);
                continue;
            }
            let number = match self.numbers.get(&tuple) {
                Some(number) => *number,
                None => {
                    let number = self.next;
                    self.next = number
                        .checked_add(1)
                        .filter(|next| *next < u32::MAX)
                        .ok_or_else(too_many)?;
                    self.numbers.insert(tuple, number);
                    new.push(
                        number,
                        source,
                        columns,
                        row,
                        keys.is_some().then_some(record.as_str()),
                    );
                    number
                }
            };
            assigned.push(Some(i64::from(number)));
        }
        Ok(assigned)
    }
}

impl Default for Subjects {
    fn default() -> Self {
        Self::new()
    }
}

/// The share of one part in the hash of a tuple; the order of parts does not matter.
fn spread(hash: u128) -> u128 {
    hash.wrapping_mul(0xda94_2042_e4dd_58b5_a0b4_28db_9c4a_4b97) ^ hash >> 61
}

fn record_identifier(text: &mut String, source: &str, key: &str) {
    text.clear();
    text.push_str(source);
    text.push('\u{1f}');
    text.push_str(key);
}

/// Returns an identifier's value; an empty or blank text is none.
fn identifier(values: &StringArray, row: usize) -> Option<&str> {
    (values.is_valid(row)).then(|| values.value(row).trim()).filter(|value| !value.is_empty())
}

fn too_many() -> Error {
    Error::Limit {
        sqlstate: "54000",
        message: format!("a lake holds at most {} subjects", u32::MAX - 1),
        hint: "Split the data over several lakes.".into(),
    }
}

impl NewSubjects {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.subject.values_slice().len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn push(
        &mut self,
        number: u32,
        source: &str,
        columns: &IdentifierColumns<'_>,
        row: usize,
        record: Option<&str>,
    ) {
        self.subject.append_value(i64::from(number));
        self.source.append_value(source);
        let keys = columns.record_keys.as_ref().filter(|keys| keys.is_valid(row));
        self.record_key.append_option(keys.map(|keys| keys.value(row)));
        self.person.resize_with(PERSON_FIELDS.len(), StringBuilder::new);
        for (field, values) in self.person.iter_mut().zip(&columns.person) {
            field.append_option(
                values
                    .as_ref()
                    .filter(|values| values.is_valid(row))
                    .map(|values| values.value(row)),
            );
        }
        let times = columns.observed_at.as_ref().filter(|times| times.is_valid(row));
        self.observed_at.append_option(times.map(|times| times.value(row)));
        let identifiers = columns
            .identifiers
            .iter()
            .filter_map(|(kind, values)| Some((*kind, identifier(values, row)?)));
        for (kind, value) in identifiers.chain(record.map(|record| (RECORD_KIND, record))) {
            self.identifier_subject.append_value(i64::from(number));
            self.identifier_kind.append_value(kind);
            self.identifier_value.append_value(value);
        }
    }

    /// Returns the rows for [`SUBJECTS`](tables::SUBJECTS) and [`SUBJECT_IDENTIFIERS`](tables::SUBJECT_IDENTIFIERS).
    pub fn finish(mut self, now: i64) -> Result<(RecordBatch, RecordBatch)> {
        let rows = self.len();
        self.person.resize_with(PERSON_FIELDS.len(), StringBuilder::new);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.subject.finish()),
            Arc::new(self.source.finish()),
            Arc::new(self.record_key.finish()),
        ];
        columns.extend(self.person.iter_mut().map(|field| Arc::new(field.finish()) as ArrayRef));
        columns
            .push(Arc::new(TimestampMicrosecondArray::from(vec![now; rows]).with_timezone("UTC")));
        columns.push(Arc::new(self.observed_at.finish().with_timezone("UTC")));
        let identifiers: Vec<ArrayRef> = vec![
            Arc::new(self.identifier_subject.finish()),
            Arc::new(self.identifier_kind.finish()),
            Arc::new(self.identifier_value.finish()),
        ];
        Ok((tables::SUBJECTS.batch(columns)?, tables::SUBJECT_IDENTIFIERS.batch(identifiers)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(emails: Vec<Option<&str>>, keys: Option<Vec<&str>>) -> IdentifierColumns<'static> {
        IdentifierColumns {
            identifiers: vec![("email", StringArray::from(emails))],
            record_keys: keys.map(StringArray::from),
            person: vec![None; PERSON_FIELDS.len()],
            observed_at: None,
        }
    }

    #[test]
    fn equal_tuples_are_one_subject_and_rows_without_identifiers_none() {
        let (mut subjects, mut new) = (Subjects::new(), NewSubjects::default());
        let rows = columns(vec![Some("a@x"), Some(" "), Some("b@x"), Some("a@x"), None], None);
        assert_eq!(
            subjects.assign("web", &rows, 5, &mut new).unwrap(),
            [Some(0), None, Some(1), Some(0), None]
        );
        assert_eq!(new.len(), 2);
    }

    #[test]
    fn records_of_persons_with_one_mailbox_stay_apart() {
        let (mut subjects, mut new) = (Subjects::new(), NewSubjects::default());
        let rows = columns(vec![Some("a@x"), Some("a@x")], Some(vec!["1", "2"]));
        assert_eq!(subjects.assign("crm", &rows, 2, &mut new).unwrap(), [Some(0), Some(1)]);
        assert_eq!(subjects.assign("shop", &rows, 2, &mut new).unwrap(), [Some(2), Some(3)]);
    }

    #[test]
    fn rows_without_a_key_share_no_record() {
        let (mut subjects, mut new) = (Subjects::new(), NewSubjects::default());
        let rows = IdentifierColumns {
            record_keys: Some(StringArray::from(vec![None, None, Some("1")])),
            ..columns(vec![Some("a@x"), None, None], None)
        };
        let assigned = subjects.assign("crm", &rows, 3, &mut new).unwrap();
        assert_eq!(assigned, [Some(0), None, Some(1)]);
        let (_, identifiers) = new.finish(0).unwrap();
        let values = tables::texts(identifiers.column(2)).unwrap();
        assert_eq!(values.iter().flatten().collect::<Vec<_>>(), ["a@x", "crm\u{1f}1"]);
    }

    #[test]
    fn what_was_stored_is_recognised() {
        let (mut first, mut new) = (Subjects::new(), NewSubjects::default());
        let mut rows = columns(vec![Some("a@x"), Some("b@x")], Some(vec!["1", "2"]));
        rows.person[0] = Some(StringArray::from(vec![Some("Jan Nowak"), None]));
        first.assign("crm", &rows, 2, &mut new).unwrap();
        let (persons, identifiers) = new.finish(0).unwrap();
        let columns: Vec<usize> = std::iter::once(0).chain(3..11).collect();
        let persons = persons.project(&columns).unwrap();
        let (mut second, mut none) = (Subjects::new(), NewSubjects::default());
        second.load(&[identifiers], &[persons], first.next()).unwrap();
        assert_eq!(second.assign("crm", &rows, 2, &mut none).unwrap(), [Some(0), Some(1)]);
        assert!(none.is_empty());
    }

    #[test]
    fn a_record_that_says_something_else_about_its_person_is_another_subject() {
        let (mut subjects, mut new) = (Subjects::new(), NewSubjects::default());
        let version = |name: &str| {
            let mut rows = columns(vec![Some("a@x")], Some(vec!["1"]));
            rows.person[0] = Some(StringArray::from(vec![name]));
            rows
        };
        let mut assign = |rows| subjects.assign("crm", &rows, 1, &mut new).unwrap()[0];
        assert_eq!(assign(version("Ana Nowak")), Some(0));
        assert_eq!(assign(version("Anna Nowak")), Some(1));
        assert_eq!(assign(version("Ana Nowak")), Some(0));
    }
}
