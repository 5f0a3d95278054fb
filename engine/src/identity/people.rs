//! All descriptions of people, each once, and whether two of them can be of one person.
//!
//! Pet forms, swapped names, initials and masculine forms of surnames count as agreement (Winkler's standardisation of
//! names). *Contradictions* are what no shared identifier outweighs: spouses, siblings and twins share a mailbox or an
//! address, but not a given name and a birthday; a father and a son of one name differ in `Sr` and `Jr` or in the
//! birthday.

use udfs::{NamePart, NameParts, NameWords};

use super::agreement::{Agreement, Birth, Contradiction, NameAgreement};
use super::hash;
use super::interner::{Interner, NONE, Table};
use super::person::{Description, Field, MIDDLE_WORDS_MAX, Person};

/// All distinct descriptions, numbered in order of first appearance.
#[derive(Debug)]
pub(super) struct People {
    persons: Vec<Person>,
    /// Depends on the description alone, not on its number.
    contents: Vec<Contents>,
    numbers: Table<Person, u32>,
    parts: Interner,
    /// For each name part its key: full given name, masculine surname.
    keys: Vec<u32>,
    texts: Interner,
}

/// Hashes of what a description says, and of the parts of it that are compared.
#[derive(Debug, Clone, Copy)]
struct Contents {
    all: u64,
    /// Name, suffix and birthday.
    who: u64,
    /// The same and the postal code.
    judged: u64,
}

impl People {
    pub(super) fn new() -> Self {
        Self {
            persons: Vec::new(),
            contents: Vec::new(),
            numbers: Table::default(),
            parts: Interner::new(),
            keys: Vec::new(),
            texts: Interner::new(),
        }
    }

    /// Brings what is known of the texts of some descriptions into the cache.
    pub(super) fn warm<'d, D: Iterator<Item = &'d Description<'d>>>(&self, said: impl Fn() -> D) {
        self.texts.warm(said().filter_map(|said| said.street.as_deref()));
        self.texts.warm(said().filter_map(|said| said.postal_code.as_deref()));
    }

    /// Returns the number of a description.
    pub(super) fn add(&mut self, said: &Description<'_>) -> u32 {
        let mut text = |text: Option<&str>| text.map_or(NONE, |text| self.texts.intern(text));
        let mut person = Person {
            given: NONE,
            surname: NONE,
            middle: [NONE; MIDDLE_WORDS_MAX],
            suffix: 0,
            birth: said.birth,
            street: text(said.street.as_deref()),
            postal_code: text(said.postal_code.as_deref()),
            city: text(said.city.as_deref()),
            country: text(said.country),
        };
        self.set_name(&mut person, said.name.as_deref().unwrap_or(""));
        self.intern(person)
    }

    fn intern(&mut self, person: Person) -> u32 {
        if let Some(&number) = self.numbers.get(&person) {
            return number;
        }
        let number = self.persons.len() as u32;
        self.contents.push(self.contents_of(&person));
        self.persons.push(person);
        self.numbers.insert(person, number);
        number
    }

    /// Hashes a description by what it says, not by the numbers of its parts.
    fn contents_of(&self, person: &Person) -> Contents {
        let part = |part: u32| if part == NONE { 0 } else { hash::text(self.parts.text(part)) };
        let text = |text: u32| if text == NONE { 0 } else { hash::text(self.texts.text(text)) };
        let who = [
            part(person.given),
            part(person.surname),
            part(person.middle[0]),
            part(person.middle[1]),
            person.birth.map_or(0, Birth::as_number),
        ]
        .into_iter()
        .fold(u64::from(person.suffix), hash::mix);
        let judged = hash::mix(who, text(person.postal_code));
        let all = [text(person.street), text(person.city), text(person.country)]
            .into_iter()
            .fold(judged, hash::mix);
        Contents { all, who, judged }
    }

    fn set_name(&mut self, person: &mut Person, name: &str) {
        let words = NameWords::of(name);
        person.suffix = words.suffix.map_or(0, |at| at + 1);
        let mut part = |word: Option<&str>| word.map_or(NONE, |word| self.part(word));
        person.surname = part(words.surname);
        person.given = part(words.given);
        person.middle = words.middle.map(part);
    }

    fn part(&mut self, part: &str) -> u32 {
        let number = self.parts.intern(part);
        if number as usize == self.keys.len() {
            self.keys.push(NONE);
            let key = udfs::name_key(part).into_owned();
            // A key may be a part of its own, whose key is then itself or the key of that.
            self.keys[number as usize] = if key == part { number } else { self.part(&key) };
        }
        number
    }

    pub(super) fn get(&self, number: u32) -> &Person {
        &self.persons[number as usize]
    }

    pub(super) fn content(&self, number: u32) -> u64 {
        self.contents[number as usize].all
    }

    /// Returns a hash of name, suffix and birthday.
    pub(super) fn who(&self, number: u32) -> u64 {
        self.contents[number as usize].who
    }

    /// Returns a hash of all by which two people who share a value are judged.
    pub(super) fn judged(&self, number: u32) -> u64 {
        self.contents[number as usize].judged
    }

    /// Tells whether a description says something by which people differ.
    pub(super) fn tells_apart(&self, number: u32) -> bool {
        let person = self.get(number);
        person.has_name() || person.birth.is_some()
    }

    /// Tells whether a description has a whole surname beside a given name, so that another surname is another one.
    pub(super) fn says_surname(&self, number: u32) -> bool {
        let person = self.get(number);
        person.given != NONE && self.parts.text(person.surname).len() > 1
    }

    /// Returns a hash that is equal for people who agree exactly on a field, or `None` where nothing is said.
    pub(super) fn match_key(&self, number: u32, field: Field) -> Option<u64> {
        let person = self.get(number);
        let text = |text: u32| (text != NONE).then(|| hash::text(self.texts.text(text)));
        let key = |part: u32| {
            (part != NONE).then(|| hash::text(self.parts.text(self.keys[part as usize])))
        };
        match field {
            // Whichever comes first: in some records they are swapped.
            Field::Name => {
                let (given, surname) = (key(person.given)?, key(person.surname)?);
                Some(hash::mix(given.min(surname), given.max(surname)))
            }
            Field::FirstName => key(person.given),
            Field::LastName => key(person.surname),
            Field::BirthDate => {
                person.birth.filter(|birth| !birth.is_new_year()).map(Birth::as_number)
            }
            Field::Street => text(person.street),
            Field::PostalCode => text(person.postal_code),
            Field::City => text(person.city),
            Field::Country => text(person.country),
        }
    }

    /// Returns a field as evidence shows it.
    pub(super) fn field_text(&self, number: u32, field: Field) -> Option<String> {
        let person = self.get(number);
        let text = |text: u32| (text != NONE).then(|| self.texts.text(text).to_owned());
        let part = |part: u32| (part != NONE).then(|| self.parts.text(part).to_owned());
        match field {
            Field::Name => Some(format!("{} {}", part(person.given)?, part(person.surname)?)),
            Field::FirstName => part(person.given),
            Field::LastName => part(person.surname),
            Field::BirthDate => person
                .birth
                .map(|birth| format!("{:04}-{:02}-{:02}", birth.year, birth.month, birth.day)),
            Field::Street => text(person.street),
            Field::PostalCode => text(person.postal_code),
            Field::City => text(person.city),
            Field::Country => text(person.country),
        }
    }

    /// Compares names, as they stand and with given name and surname swapped, and returns the better reading.
    pub(super) fn names(&self, left: u32, right: u32) -> NameAgreement {
        self.compare_names(self.get(left), self.get(right))
    }

    /// Compares surnames alone: a name of one word is taken for one, though it may be a given name.
    pub(super) fn surnames(&self, left: u32, right: u32) -> Agreement {
        let (left, right) = (self.get(left), self.get(right));
        let given = if left.given == NONE { right.given } else { left.given };
        let with = |person: &Person| match person.given {
            NONE => Person { given, ..*person },
            _ => *person,
        };
        self.compare_names(&with(left), &with(right)).surname
    }

    fn compare_names(&self, left: &Person, right: &Person) -> NameAgreement {
        let is_one = left.given == right.given && left.surname == right.surname;
        let has_second = |person: &Person| person.middle[0] != NONE;
        let may_differ = left.middle != right.middle && has_second(left) && has_second(right);
        if is_one && left.given != NONE && !may_differ {
            return NameAgreement { given: Agreement::Same, surname: Agreement::Same };
        }
        udfs::compare_names(&self.name_parts(left), &self.name_parts(right))
    }

    /// Tells whether two names, which agree as given, would be one but for second given names.
    pub(super) fn differ_in_second_names(
        &self,
        left: u32,
        right: u32,
        names: NameAgreement,
    ) -> bool {
        if names.given != Agreement::Different || names.surname < Agreement::Similar {
            return false;
        }
        let first_alone =
            |number: u32| Person { middle: [NONE; MIDDLE_WORDS_MAX], ..*self.get(number) };
        self.compare_names(&first_alone(left), &first_alone(right)).given >= Agreement::Similar
    }

    fn name_parts(&self, person: &Person) -> NameParts<'_> {
        let part = |part: u32| {
            let text = (part != NONE).then(|| self.parts.text(part))?;
            Some(NamePart { text, key: self.parts.text(self.keys[part as usize]) })
        };
        NameParts {
            given: part(person.given),
            middle: person.middle.map(part),
            surname: part(person.surname),
        }
    }

    /// Returns why two descriptions cannot be of one person, if so.
    pub(super) fn contradiction(&self, left: u32, right: u32) -> Option<Contradiction> {
        if left == right { None } else { self.contradict(self.get(left), self.get(right)) }
    }

    fn contradict(&self, left: &Person, right: &Person) -> Option<Contradiction> {
        if self.compare_names(left, right).given == Agreement::Different {
            Some(Contradiction::GivenName)
        } else if left.suffix != 0 && right.suffix != 0 && left.suffix != right.suffix {
            Some(Contradiction::Suffix)
        } else if left.birth_agreement(right) == Agreement::Different {
            Some(Contradiction::BirthDate)
        } else {
            None
        }
    }

    /// Returns what a record says of who its person is, given what its versions say, the newest first: name, suffix and
    /// birthday are each those of the newest version that says any and contradicts no newer one. The rest is the newest
    /// version's.
    ///
    /// An initial or a lone surname leaves the given name open, so that an older version speaks which has it whole.
    pub(super) fn spoken(&mut self, newest: u32, older: &[u32]) -> u32 {
        let mut named = *self.get(newest);
        for &version in older {
            let version = *self.get(version);
            if self.tells_of_name(&version) > self.tells_of_name(&named)
                && self.compare_names(&named, &version).given != Agreement::Different
            {
                named = version;
            }
        }
        let Person { given, surname, middle, .. } = named;
        let mut said = Person { given, surname, middle, ..*self.get(newest) };
        for &version in older {
            if said.suffix != 0 && said.birth.is_some() {
                break;
            }
            let version = *self.get(version);
            if self.contradict(&said, &version).is_none() {
                said.suffix = if said.suffix == 0 { version.suffix } else { said.suffix };
                said.birth = said.birth.or(version.birth);
            }
        }
        self.intern(said)
    }

    /// Returns how much a description tells of its given name: nothing at all, no more than a surname, its initial, or all.
    fn tells_of_name(&self, person: &Person) -> u8 {
        match person.given {
            NONE => u8::from(person.has_name()),
            given if self.parts.text(given).len() == 1 => 2,
            _ => 3,
        }
    }

    /// Returns why two records cannot be of one person: every description of the one contradicts every one of the other.
    pub(super) fn contradiction_of_records(
        &self,
        left: impl Iterator<Item = u32>,
        right: impl Iterator<Item = u32> + Clone,
    ) -> Option<Contradiction> {
        let mut found = None;
        for one in left {
            for other in right.clone() {
                let contradiction = self.contradiction(one, other)?;
                found = Some(found.map_or(contradiction, |found| contradiction.min(found)));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::person::PersonFields;
    use super::*;

    fn fields(name: &str, birth_date: &str) -> PersonFields {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        PersonFields { name: text(name), birth_date: text(birth_date), ..PersonFields::default() }
    }

    #[track_caller]
    fn check(
        left: (&str, &str),
        right: (&str, &str),
        expected: Option<Contradiction>,
        alike: bool,
    ) {
        let mut people = People::new();
        let [a, b] =
            [left, right].map(|said| people.add(&Description::of(&fields(said.0, said.1))));
        assert_eq!(people.contradiction(a, b), expected, "{left:?} {right:?}");
        assert_eq!(people.contradiction(b, a), expected, "{right:?} {left:?}");
        assert_eq!(
            people.names(a, b).is_alike(),
            alike,
            "{left:?} {right:?} {:?}",
            people.names(a, b)
        );
        assert_eq!(people.names(a, b), people.names(b, a), "{left:?} {right:?}");
    }

    #[test]
    fn one_person_in_two_spellings() {
        check(("Łukasz Wójcik", ""), ("WOJCIK, Lukasz", ""), None, true);
        check(("Kuba Nowak", ""), ("Jakub Nowak", ""), None, true);
        check(("Maria Kowalska", "1980-05-06"), ("Maria Kowalski", "1980-06-05"), None, true);
        check(("Nowak Paulina", ""), ("Paulina Nowak", ""), None, true);
        check(("Jennifer Linwood", "1980-05-06"), ("Jwnnifer Linwodo", "1981-05-06"), None, true);
        check(("Robert L. Jones", "1980-01-01"), ("Bob Jones", "1980-12-24"), None, true);
        check(("Anna Nowak-Zając", ""), ("Anna Nowak", ""), None, true);
        check(("Nowak Anna", ""), ("Nowak Ania", ""), None, true);
        check(("Nguyễn Văn Minh", ""), ("Minh Nguyen", ""), None, true);
        check(("Nguyễn Thị Lan Anh", ""), ("Lan Anh Nguyen", ""), None, true);
        check(("Mary Ann Smith", ""), ("Maryann Smith", ""), None, true);
        check(("Sir Thomas Hall, 2nd Baronet", ""), ("Hall, Thomas", ""), None, true);
        check(("P. Nowak", ""), ("Paulina Nowak", ""), None, false);
        check(("Nowak", ""), ("Paulina Nowak", ""), None, false);
        check(("", ""), ("Paulina Nowak", ""), None, false);
        check(("Anna Nowak", ""), ("Anna Zielińska", ""), None, false);
    }

    #[test]
    fn two_people() {
        use Contradiction::{BirthDate, GivenName, Suffix};
        check(("John Smith", ""), ("Mary Smith", ""), Some(GivenName), false);
        check(("K. Nowak", ""), ("Paulina Nowak", ""), Some(GivenName), false);
        check(("Nowak Anna", ""), ("Nowak Piotr", ""), Some(GivenName), false);
        check(("Nguyễn Văn Minh", ""), ("Nguyễn Thị Lan", ""), Some(GivenName), false);
        check(("Hanna Kot", ""), ("Anna Kot", ""), Some(GivenName), false);
        check(("Jean-Luc Kot", ""), ("Jean-Pierre Kot", ""), Some(GivenName), false);
        check(("Abdul Rahman Khan", ""), ("Abdul Aziz Khan", ""), Some(GivenName), false);
        check(("David Lars Sr", ""), ("David Lars, Jr.", ""), Some(Suffix), true);
        check(("David Lars", "1950-02-03"), ("David Lars", "1980-07-08"), Some(BirthDate), true);
        check(("David Lars", "1950-02-03"), ("David Lars", "1975-02-03"), Some(BirthDate), true);
    }

    #[test]
    fn descriptions_are_kept_once_and_hash_alike() {
        let mut people = People::new();
        let one = people.add(&Description::of(&fields("Łukasz Wójcik", "1980-05-06")));
        let address = PersonFields {
            street: Some("ul. Polna 5".to_owned()),
            ..fields("Łukasz Wójcik", "1980-05-06")
        };
        let with_address = people.add(&Description::of(&address));
        assert_eq!(people.add(&Description::of(&fields("wojcik, lukasz", "06.05.1980"))), one);
        assert_ne!(one, with_address);
        let mut others = People::new();
        let again = (
            others.add(&Description::of(&address)),
            others.add(&Description::of(&fields("Łukasz Wójcik", "1980-05-06"))),
        );
        assert_eq!(others.content(again.0), people.content(with_address));
        assert_eq!(others.content(again.1), people.content(one));
        assert_eq!(people.match_key(one, Field::Street), None);
        assert_eq!(people.field_text(one, Field::BirthDate).as_deref(), Some("1980-05-06"));
        assert_eq!(people.match_key(one, Field::Name), people.match_key(with_address, Field::Name));
    }
}
