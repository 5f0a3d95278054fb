//! Each distinct text once, with what is asked of it over and over: its hash, its key, its house.
//!
//! What is asked of it millions of times is inlined where it is asked.

use crate::identity::hash;
use crate::identity::interner::{Interner, NONE};

/// Distinct texts with their stable hashes.
#[derive(Debug, Clone, Default)]
pub(super) struct Vocabulary {
    interner: Interner,
    hashes: Vec<u64>,
}

impl Vocabulary {
    /// Returns the number of a text, which is new when it was unseen.
    pub(super) fn intern(&mut self, text: &str) -> u32 {
        let number = self.interner.intern(text);
        if number as usize == self.hashes.len() {
            self.hashes.push(hash::text(text));
        }
        number
    }

    fn warm<'t>(&self, texts: impl Iterator<Item = &'t str>) {
        self.interner.warm(texts);
    }

    #[inline]
    pub(super) fn text(&self, number: u32) -> &str {
        self.interner.text(number)
    }

    #[inline]
    pub(super) fn hash(&self, number: u32) -> u64 {
        self.hashes[number as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }
}

/// Parts of names. A part's keys are parts, too: the full given name that it is short for, and the masculine surname.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    parts: Vocabulary,
    given_keys: Vec<u32>,
    surname_keys: Vec<u32>,
    /// Whether each part is known as a given name.
    are_given: Vec<bool>,
    /// Whether each part is known as the name of a family.
    are_family: Vec<bool>,
}

impl Names {
    /// Returns the number of a normalised part of a name, which is new when it was unseen.
    pub(super) fn intern(&mut self, part: &str) -> u32 {
        let number = self.parts.intern(part);
        if number as usize == self.given_keys.len() {
            self.given_keys.push(number);
            self.surname_keys.push(number);
            self.are_given.push(udfs::is_given_name(part));
            self.are_family.push(udfs::is_family_name(part));
            let given = self.intern_key(udfs::given_name_key(part), number);
            let surname = self.intern_key(&udfs::surname_key(part), number);
            self.given_keys[number as usize] = given;
            self.surname_keys[number as usize] = surname;
        }
        number
    }

    /// Interns a key of `part`; most parts are their own.
    fn intern_key(&mut self, key: &str, part: u32) -> u32 {
        if self.parts.text(part) == key { part } else { self.intern(key) }
    }

    pub(super) fn text(&self, part: u32) -> &str {
        self.parts.text(part)
    }

    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    #[inline]
    pub(super) fn given_key(&self, part: u32) -> u32 {
        self.given_keys[part as usize]
    }

    #[inline]
    pub(super) fn surname_key(&self, part: u32) -> u32 {
        self.surname_keys[part as usize]
    }

    /// Tells whether a part is known as a given name.
    #[inline]
    pub(super) fn is_given(&self, part: u32) -> bool {
        self.are_given[part as usize]
    }

    /// Tells whether a part is known as the name of a family, and as no given name.
    #[inline]
    pub(super) fn is_family(&self, part: u32) -> bool {
        self.are_family[part as usize]
    }

    /// Returns a hash that all forms of a given name share.
    #[inline]
    pub(super) fn given_hash(&self, part: u32) -> u64 {
        self.parts.hash(self.given_key(part))
    }

    /// Returns a hash that all forms of a surname share.
    #[inline]
    pub(super) fn surname_hash(&self, part: u32) -> u64 {
        self.parts.hash(self.surname_key(part))
    }

    pub(super) fn hash(&self, part: u32) -> u64 {
        self.parts.hash(part)
    }
}

/// Normalised streets. Each knows its house, which is the street without an apartment.
#[derive(Debug, Clone, Default)]
pub(super) struct Streets {
    lines: Vocabulary,
    houses: Vec<House>,
}

/// A house: its line, and a hash of its number, by which most houses are told apart without looking at their lines.
#[derive(Debug, Clone, Copy)]
struct House {
    line: u32,
    number: u32,
}

impl Streets {
    /// Returns the number of a normalised street, which is new when it was unseen.
    pub(super) fn intern(&mut self, line: &str) -> u32 {
        let number = self.lines.intern(line);
        if number as usize == self.houses.len() {
            let house = house_of(line);
            let hash = hash::text(split_house(house).1) as u32;
            self.houses.push(House { line: number, number: hash });
            if house.len() < line.len() {
                self.houses[number as usize].line = self.intern(house);
            }
        }
        number
    }

    /// Brings what is known of some streets into the cache.
    pub(super) fn warm<'t>(&self, lines: impl Iterator<Item = &'t str>) {
        self.lines.warm(lines);
    }

    pub(super) fn text(&self, line: u32) -> &str {
        self.lines.text(line)
    }

    /// Returns the street and house of a line: itself when it has no apartment.
    #[inline]
    pub(super) fn house(&self, line: u32) -> u32 {
        self.houses[line as usize].line
    }

    /// Tells whether the houses of two lines may have one number.
    #[inline]
    pub(super) fn may_share_number(&self, line: u32, other: u32) -> bool {
        self.houses[line as usize].number == self.houses[other as usize].number
    }

    #[inline]
    pub(super) fn house_hash(&self, line: u32) -> u64 {
        self.lines.hash(self.house(line))
    }

    pub(super) fn hash(&self, line: u32) -> u64 {
        self.lines.hash(line)
    }
}

/// Returns a normalised street up to its first number: the words come first, then the house, then the apartment.
fn house_of(line: &str) -> &str {
    let mut end = 0;
    for token in line.split(' ') {
        end += token.len();
        if token.starts_with(|c: char| c.is_ascii_digit()) {
            return &line[..end];
        }
        end += 1;
    }
    line
}

/// Splits a house into the words of the street and the number.
pub(super) fn split_house(house: &str) -> (&str, &str) {
    match house.rsplit_once(' ') {
        Some((words, number)) if number.starts_with(|c: char| c.is_ascii_digit()) => {
            (words, number)
        }
        _ => (house, ""),
    }
}

/// Values of one kind of identifier.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    texts: Vocabulary,
    /// For mailboxes the number of the part before the `@`, otherwise nothing.
    locals: Vec<u32>,
    names: Vocabulary,
    sketches: Vec<Sketch>,
}

/// The ends of a text, its length, and which bytes it has: what two texts have to share if there is only one slip between them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sketch {
    start: [u8; 4],
    end: [u8; 3],
    length: u8,
    /// A bit for every byte of it; bytes that leave one remainder share theirs.
    bytes: u32,
}

impl Sketch {
    fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let length = bytes.len().min(255) as u8;
        let has = bytes.iter().fold(0, |has, byte| has | 1 << (byte % 32));
        let mut sketch = Self { start: [0; 4], end: [0; 3], length, bytes: has };
        sketch.start.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        sketch.end.iter_mut().zip(bytes.iter().rev()).for_each(|(to, from)| *to = *from);
        sketch
    }

    pub(super) fn length(self) -> u32 {
        u32::from(self.length)
    }

    /// Tells whether there may be one slip between two texts. In eight letters one slip, a swap of neighbours included,
    /// leaves the first four or the last three alone, and a slip puts one letter in the place of another one at most.
    pub(super) fn may_slip(self, other: Self) -> bool {
        let is_short = self.length < 8 || other.length < 8;
        self.length.abs_diff(other.length) <= 1
            && (self.bytes ^ other.bytes).count_ones() <= 2
            && (is_short || self.start == other.start || self.end == other.end)
    }
}

impl Values {
    /// Returns the number of a normalised value, which is new when it was unseen.
    pub(super) fn intern(&mut self, value: &str, is_email: bool) -> u32 {
        let number = self.texts.intern(value);
        if number as usize == self.locals.len() {
            let local = value.split_once('@').filter(|_| is_email);
            let local = local.map_or(NONE, |(local, _)| self.names.intern(local));
            self.locals.push(local);
            let mistyped = if local == NONE { value } else { self.names.text(local) };
            self.sketches.push(Sketch::new(mistyped));
        }
        number
    }

    /// Brings what is known of some values into the cache.
    pub(super) fn warm<'t>(&self, values: impl Iterator<Item = &'t str>) {
        self.texts.warm(values);
    }

    /// Returns the number of a normalised value, if it was seen.
    pub(super) fn find(&self, value: &str) -> Option<u32> {
        self.texts.interner.get(value)
    }

    pub(super) fn text(&self, value: u32) -> &str {
        self.texts.text(value)
    }

    #[inline]
    pub(super) fn hash(&self, value: u32) -> u64 {
        self.texts.hash(value)
    }

    /// Returns the number of a mailbox's name, or [`NONE`].
    #[inline]
    pub(super) fn local(&self, value: u32) -> u32 {
        self.locals[value as usize]
    }

    /// Returns the sketch of a value, or of a mailbox's name.
    #[inline]
    pub(super) fn sketch(&self, value: u32) -> Sketch {
        self.sketches[value as usize]
    }

    /// Returns what is before the `@` and behind it, or the value and nothing.
    pub(super) fn split(&self, value: u32) -> (&str, &str) {
        let text = self.text(value);
        if self.local(value) == NONE {
            (text, "")
        } else {
            text.split_once('@').unwrap_or((text, ""))
        }
    }

    pub(super) fn local_hash(&self, value: u32) -> Option<u64> {
        let local = self.local(value);
        (local != NONE).then(|| self.names.hash(local))
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_slip_shows_in_no_sketch(left in "[a-d]{0,12}", right in "[a-d]{0,12}") {
            let is_slip = udfs::osa_distance(&left, &right) <= 1;
            prop_assert!(!is_slip || Sketch::new(&left).may_slip(Sketch::new(&right)));
        }
    }

    #[test]
    fn keys_and_houses_are_found() {
        let mut names = Names::default();
        let [kuba, jakub, kowalska, kowalski] =
            ["kuba", "jakub", "kowalska", "kowalski"].map(|part| names.intern(part));
        assert_eq!(names.given_key(kuba), jakub);
        assert_eq!(names.surname_hash(kowalska), names.surname_hash(kowalski));
        assert_eq!(names.intern("kuba"), kuba);
        let mut streets = Streets::default();
        let [flat, house, lane] =
            ["center 125 51", "center 125", "back lane"].map(|line| streets.intern(line));
        assert_eq!([flat, house, lane].map(|line| streets.house(line)), [house, house, lane]);
        assert_eq!(split_house("center 125"), ("center", "125"));
        assert_eq!(split_house("back lane"), ("back lane", ""));
        let mut values = Values::default();
        let mailbox = values.intern("ada@example.org", true);
        assert_eq!(values.split(mailbox), ("ada", "example.org"));
    }
}
