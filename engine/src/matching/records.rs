//! The table of records: normalised, every text a number.
//!
//! Batches come in by columns, as sources have them. What is kept is one short row of numbers for each record, since a
//! pair looks at every field of two records and no field of a third: a row is one or two cache lines. [`NONE`] stands
//! where a record says nothing.

use super::levels::KINDS_MAX;
use super::normal::{Normal, Slot};
use super::vocabulary::{Names, Streets, Values, Vocabulary};
use crate::identity::hash;
use crate::identity::interner::NONE;
use crate::identity::memory::warm;
use crate::identity::threads::dealt;
use crate::{Error, Result};

/// What a record may say about its person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum PersonField {
    /// The full name; first and last name when absent.
    Name,
    /// Given names.
    FirstName,
    /// The surname.
    LastName,
    /// The day of birth.
    BirthDate,
    /// Street, house and apartment.
    Street,
    /// The postal code.
    PostalCode,
    /// The town.
    City,
    /// The country, by code or by name: it decides how dates and phone numbers are read.
    Country,
}

impl PersonField {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Name, "name"),
        (Self::FirstName, "first_name"),
        (Self::LastName, "last_name"),
        (Self::BirthDate, "birth_date"),
        (Self::Street, "street"),
        (Self::PostalCode, "postal_code"),
        (Self::City, "city"),
        (Self::Country, "country"),
    ];
}

/// How the values of a kind of identifier are written, and so how they are mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A mailbox.
    Email,
    /// A phone number.
    Phone,
    /// A number that people type or read out: a card, a social security number.
    Code,
    /// What only machines write: a device, a cookie.
    Opaque,
}

/// A kind of identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// Its name.
    pub name: String,
    /// How its values are written.
    pub form: Form,
}

/// Some records, by columns. A column is as long as `keys`, or empty where the source does not have it.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// A number for each record that stays the same whenever it arrives: a hash of its source and its key there.
    pub keys: Vec<u64>,
    /// Columns by [`PersonField`].
    pub person: [Vec<Option<&'a str>>; PersonField::ALL.len()],
    /// Columns by kind of identifier.
    pub identifiers: Vec<Vec<Option<&'a str>>>,
    /// Whether identifiers come in the one form of all their spellings.
    pub is_normalized: bool,
}

/// Records from which reading a batch is work for several threads.
const ROWS_SHARED_MIN: usize = 256;

/// Texts that are looked up together, so that what is waited for is waited for once.
const TEXTS_WARMED: usize = 128;

/// Places in a row.
pub(super) const ROW_GIVEN: usize = 0;
pub(super) const ROW_SURNAME: usize = 1;
pub(super) const ROW_MIDDLE: usize = 2;
pub(super) const ROW_STREET: usize = 3;
pub(super) const ROW_POSTAL_CODE: usize = 4;
pub(super) const ROW_CITY: usize = 5;
/// `jr`, `sr` and the like, by number.
pub(super) const ROW_SUFFIX: usize = 6;
/// The birthday as a number of eight digits.
pub(super) const ROW_BIRTH: usize = 7;
/// The given names behind the first one, as one text.
pub(super) const ROW_SECOND: usize = 8;
/// Where identifiers begin.
pub(super) const ROW_IDENTIFIERS: usize = 9;

/// The places of parts of names, in the order in which [`Normal`] has them.
const NAMES: [usize; 4] = [ROW_GIVEN, ROW_SURNAME, ROW_MIDDLE, ROW_SECOND];

/// Records, normalised.
#[derive(Debug, Clone)]
pub struct Records {
    kinds: Vec<Kind>,
    stride: usize,
    rows: Vec<u32>,
    keys: Vec<u64>,
    /// For each row when it arrived.
    arrivals: Vec<u32>,
    pub(super) names: Names,
    pub(super) streets: Streets,
    pub(super) postal_codes: Vocabulary,
    pub(super) cities: Vocabulary,
    pub(super) values: Vec<Values>,
}

impl Records {
    /// Makes an empty table. Fails when there are more kinds of identifiers than a pair has room for.
    pub fn new(kinds: Vec<Kind>) -> Result<Self> {
        if kinds.len() > KINDS_MAX {
            return Err(Error::Limit {
                sqlstate: "54000",
                message: format!("matching compares at most {KINDS_MAX} kinds of identifiers"),
                hint: "Leave out the kinds that fewest records carry.".to_owned(),
            });
        }
        Ok(Self {
            stride: ROW_IDENTIFIERS + kinds.len(),
            values: kinds.iter().map(|_| Values::default()).collect(),
            kinds,
            rows: Vec::new(),
            keys: Vec::new(),
            arrivals: Vec::new(),
            names: Names::default(),
            streets: Streets::default(),
            postal_codes: Vocabulary::default(),
            cities: Vocabulary::default(),
        })
    }

    /// Normalises a batch and adds it, on several threads when it is large.
    pub fn add(&mut self, batch: &Batch<'_>, threads: usize) {
        let count = batch.keys.len();
        let threads = if count < ROWS_SHARED_MIN { 1 } else { threads.max(1) };
        let share = count.div_ceil(threads).max(1);
        let ranges = (0..count).step_by(share).map(|from| from..(from + share).min(count));
        let kinds = &self.kinds;
        let chunks = dealt(threads, ranges, |range| Normal::read(batch, range, kinds));
        let columns = self.intern(&chunks, threads);
        let (first, stride) = (self.rows.len(), self.stride);
        self.rows.resize(first + count * stride, NONE);
        let parts = self.rows[first..].chunks_mut(share * stride).zip((0..).step_by(share));
        dealt(threads, parts, |(part, from)| {
            for (place, column) in &columns {
                let rows = part.chunks_exact_mut(stride);
                rows.zip(&column[from..]).for_each(|(row, number)| row[*place] = *number);
            }
        });
        self.arrivals.extend(self.keys.len() as u32..(self.keys.len() + count) as u32);
        self.keys.extend(&batch.keys);
    }

    /// Numbers the texts of normalised chunks, and returns their columns with the places of these in a row. Each vocabulary is
    /// one task, those first that take longest.
    fn intern(&mut self, chunks: &[Normal], threads: usize) -> Vec<(usize, Vec<u32>)> {
        let Self { names, streets, postal_codes, cities, values, kinds, .. } = self;
        let mut tasks: Vec<Task<'_>> = Vec::with_capacity(kinds.len() + 4);
        for (at, (kind, values)) in kinds.iter().zip(values).enumerate() {
            let is_email = kind.form == Form::Email;
            tasks.push(Box::new(move || {
                let mut column = Vec::new();
                for texts in texts_of(chunks, Slot::IDENTIFIERS + at).chunks(TEXTS_WARMED) {
                    values.warm(texts.iter().copied().flatten());
                    let intern = |text: &str| values.intern(text, is_email);
                    number(texts, intern, &mut column);
                }
                vec![(ROW_IDENTIFIERS + at, column)]
            }));
        }
        tasks.push(Box::new(move || {
            let mut column = Vec::new();
            for texts in texts_of(chunks, Slot::STREET).chunks(TEXTS_WARMED) {
                streets.warm(texts.iter().copied().flatten());
                number(texts, |text| streets.intern(text), &mut column);
            }
            vec![(ROW_STREET, column)]
        }));
        tasks.push(Box::new(move || {
            let mut columns: [Vec<u32>; 4] = Default::default();
            for chunk in chunks {
                let parts: Vec<u32> = chunk.parts().map(|part| names.intern(part)).collect();
                for (at, column) in columns.iter_mut().enumerate() {
                    column.extend(chunk.names.iter().map(|places| at_place(&parts, places[at])));
                }
            }
            NAMES.into_iter().zip(columns).collect()
        }));
        tasks.push(Box::new(move || {
            let (texts, mut column) = (texts_of(chunks, Slot::POSTAL_CODE), Vec::new());
            number(&texts, |text| postal_codes.intern(text), &mut column);
            vec![(ROW_POSTAL_CODE, column)]
        }));
        tasks.push(Box::new(move || {
            let mut towns = Vec::new();
            for chunk in chunks {
                let known: Vec<u32> = chunk.towns().map(|town| cities.intern(town)).collect();
                towns.extend(chunk.cities.iter().map(|&place| at_place(&known, place)));
            }
            let all = |of: fn(&Normal) -> &[u32]| chunks.iter().flat_map(of).copied().collect();
            vec![
                (ROW_CITY, towns),
                (ROW_SUFFIX, all(|chunk| &chunk.suffixes)),
                (ROW_BIRTH, all(|chunk| &chunk.births)),
            ]
        }));
        dealt(threads, tasks.into_iter(), |task| task()).into_iter().flatten().collect()
    }

    /// Puts the rows in the order of names, and of keys among namesakes, so that nothing that follows depends on the order
    /// of arrival, and that most records that are compared lie beside each other in memory. The number of threads does not
    /// matter either.
    pub fn sort(&mut self, threads: usize) {
        let (stride, share) = (self.stride, self.len().div_ceil(threads.max(1)).max(1));
        let this = &*self;
        let mut order = vec![(0_u64, 0_u64, 0_u32); this.len()];
        std::thread::scope(|scope| {
            for (part, from) in order.chunks_mut(share).zip((0..).step_by(share)) {
                scope.spawn(move || {
                    for (place, row) in part.iter_mut().zip(from..) {
                        *place = (this.neighbourhood(row), this.key(row), row);
                    }
                });
            }
        });
        sort_on(threads, &mut order);
        // Versions of one record share a key: what they say decides between them.
        for versions in order.chunk_by_mut(|left, right| (left.0, left.1) == (right.0, right.1)) {
            if versions.len() > 1 {
                versions.sort_by_cached_key(|&(_, _, row)| this.content(row));
            }
        }
        let mut rows = vec![0; this.rows.len()];
        std::thread::scope(|scope| {
            for (rows, order) in rows.chunks_mut(share * stride).zip(order.chunks(share)) {
                scope.spawn(move || {
                    for (to, &(_, _, row)) in rows.chunks_exact_mut(stride).zip(order) {
                        to.copy_from_slice(this.row(row));
                    }
                });
            }
        });
        self.rows = rows;
        self.arrivals = order.iter().map(|&(_, _, row)| self.arrivals[row as usize]).collect();
        self.keys = order.into_iter().map(|(_, key, _)| key).collect();
    }

    /// Returns where a record stands among all: beside those of its surname, and there beside those of its given name.
    fn neighbourhood(&self, row: u32) -> u64 {
        let row = self.row(row);
        let hash = |part: u32, hash: &dyn Fn(u32) -> u64| if part == NONE { 0 } else { hash(part) };
        let surname = hash(row[ROW_SURNAME], &|part| self.names.surname_hash(part));
        let given = hash(row[ROW_GIVEN], &|part| self.names.given_hash(part));
        surname >> 32 << 32 | given >> 32
    }

    /// Hashes all that a record says.
    fn content(&self, row: u32) -> u64 {
        let row = self.row(row);
        let text =
            |number: u32, hash: &dyn Fn(u32) -> u64| if number == NONE { 0 } else { hash(number) };
        let name = |place: usize| text(row[place], &|part| self.names.hash(part));
        let mut content = NAMES.into_iter().map(name).fold(u64::from(row[ROW_SUFFIX]), hash::mix);
        content = hash::mix(content, u64::from(row[ROW_BIRTH]));
        content = hash::mix(content, text(row[ROW_STREET], &|street| self.streets.hash(street)));
        content =
            hash::mix(content, text(row[ROW_POSTAL_CODE], &|code| self.postal_codes.hash(code)));
        content = hash::mix(content, text(row[ROW_CITY], &|city| self.cities.hash(city)));
        for (at, values) in self.values.iter().enumerate() {
            content =
                hash::mix(content, text(row[ROW_IDENTIFIERS + at], &|value| values.hash(value)));
        }
        content
    }

    /// Returns how many records there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the kinds of identifiers.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Returns when the record of a row arrived, counted from zero.
    pub fn arrival(&self, row: u32) -> u32 {
        self.arrivals[row as usize]
    }

    /// Returns the value of a kind that a row carries, or [`NONE`].
    pub(crate) fn value(&self, row: u32, kind: usize) -> u32 {
        self.row(row)[ROW_IDENTIFIERS + kind]
    }

    /// Returns the number of a normalised value of a kind, if a row carries it.
    pub(crate) fn find_value(&self, kind: usize, text: &str) -> Option<u32> {
        self.values[kind].find(text)
    }

    /// Tells whether any two records, other than versions of one, carry one value of a kind.
    pub(crate) fn shares_values(&self, kind: usize) -> bool {
        let mut carrier: Vec<Option<u64>> = vec![None; self.values[kind].len()];
        (0..self.len() as u32).any(|row| {
            let (value, key) = (self.value(row, kind), self.key(row));
            value != NONE && *carrier[value as usize].get_or_insert(key) != key
        })
    }

    /// Returns the key of a row's record.
    pub fn key(&self, row: u32) -> u64 {
        self.keys[row as usize]
    }

    #[inline]
    pub(super) fn row(&self, row: u32) -> &[u32] {
        &self.rows[row as usize * self.stride..][..self.stride]
    }

    /// Brings rows that are to be compared into the cache.
    pub(crate) fn warm(&self, rows: impl Iterator<Item = u32>) {
        // A row may begin in one line of the cache and end in the next.
        warm(rows.map(|row| self.row(row)[0] ^ self.row(row)[self.stride - 1]));
    }
}

/// Numbers the texts of some columns.
type Task<'a> = Box<dyn FnOnce() -> Vec<(usize, Vec<u32>)> + Send + 'a>;

/// Returns the rows of pairs.
pub(super) fn both(pairs: &[(u32, u32)]) -> impl Iterator<Item = u32> {
    pairs.iter().flat_map(|&(left, right)| [left, right])
}

/// Returns the texts of one slot of all chunks.
fn texts_of(chunks: &[Normal], slot: usize) -> Vec<Option<&str>> {
    chunks.iter().flat_map(|chunk| chunk.texts(slot)).collect()
}

/// Numbers texts, and adds their numbers to a column.
fn number(texts: &[Option<&str>], mut intern: impl FnMut(&str) -> u32, column: &mut Vec<u32>) {
    column.extend(texts.iter().map(|text| text.map_or(NONE, &mut intern)));
}

/// Returns the number at a place, or [`NONE`] for none.
fn at_place(numbers: &[u32], place: u32) -> u32 {
    if place == NONE { NONE } else { numbers[place as usize] }
}

/// Sorts on several threads.
pub(super) fn sort_on<T: Ord + Send>(threads: usize, items: &mut [T]) {
    let share = items.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        for part in items.chunks_mut(share) {
            scope.spawn(|| part.sort_unstable());
        }
    });
    // It finds the parts that are sorted, and merges them.
    items.sort();
}
