//! `name_agreement`: how far two whole names agree, as exact rules and contradictions see it.
//!
//! Pet forms, swapped names, initials and masculine forms of surnames count as agreement (Winkler's standardisation of
//! names), and so does either half of a double surname.

use std::borrow::Cow;

use arrow::datatypes::DataType;

use super::second_name;
use super::slip::{SLIP_LENGTH_MIN, is_slip};
use crate::column::{Specification, text, texts};
use crate::normalize::family_name::{is_family_name, is_vietnamese, turn_family_name};
use crate::normalize::given_name::{
    GivenNames, given_name_key, is_given_name, is_slip_of_form, relate_given_names,
};
use crate::normalize::name::{compared, normalize_name, take_suffix};
use crate::normalize::surname::surname_key;

/// Words between the first and the last that are compared: middle names and double surnames.
pub const MIDDLE_WORDS_MAX: usize = 2;

/// How far two values agree; more is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agreement {
    /// They are different.
    Different = 0,
    /// One is absent, or no more than an initial of the other.
    Unknown = 1,
    /// They differ as slips of the keyboard do.
    Similar = 2,
    /// They are the same, or forms of the same.
    Same = 3,
}

impl Agreement {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Different => "different",
            Self::Unknown => "unknown",
            Self::Similar => "similar",
            Self::Same => "same",
        }
    }
}

/// Agreement of the given names and of the surnames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameAgreement {
    /// Of the given names.
    pub given: Agreement,
    /// Of the surnames.
    pub surname: Agreement,
}

impl NameAgreement {
    /// Tells whether both agree but for slips.
    pub fn is_alike(self) -> bool {
        self.given >= Agreement::Similar && self.surname >= Agreement::Similar
    }

    /// Returns how strong the agreement is, from 0 to 6.
    pub fn strength(self) -> u8 {
        self.given as u8 + self.surname as u8
    }
}

/// The words of a normalised name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NameWords<'a> {
    /// The first of several; of a Vietnamese name the one that somebody is called by.
    pub given: Option<&'a str>,
    /// Those between.
    pub middle: [Option<&'a str>; MIDDLE_WORDS_MAX],
    /// The last one, or the only one.
    pub surname: Option<&'a str>,
    /// The place of its suffix among [`SUFFIXES`](crate::SUFFIXES).
    pub suffix: Option<u8>,
}

impl<'a> NameWords<'a> {
    /// Takes a normalised name apart. Words that are too long for a name are cut.
    pub fn of(name: &'a str) -> Self {
        let mut words: Vec<&str> = name.split_ascii_whitespace().collect();
        let mut found = Self { suffix: take_suffix(&mut words), ..Self::default() };
        turn_family_name(&mut words);
        let Some((surname, others)) = words.split_last() else { return found };
        found.surname = Some(compared(surname));
        if let Some((given, middle)) = others.split_first() {
            found.given = Some(compared(given));
            let places = found.middle.iter_mut().zip(middle);
            places.for_each(|(place, word)| *place = Some(compared(word)));
        }
        found
    }
}

/// Returns what all forms of a word share, whether it is a given name or a surname.
pub fn name_key(word: &str) -> Cow<'_, str> {
    surname_key(given_name_key(word))
}

/// A word of a name, and its [key](name_key).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamePart<'a> {
    /// The word.
    pub text: &'a str,
    /// Its key.
    pub key: &'a str,
}

/// A name that is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NameParts<'a> {
    /// The given name.
    pub given: Option<NamePart<'a>>,
    /// The words between.
    pub middle: [Option<NamePart<'a>>; MIDDLE_WORDS_MAX],
    /// The surname.
    pub surname: Option<NamePart<'a>>,
}

pub(crate) fn specification() -> Specification {
    Specification {
        name: "name_agreement",
        section: "Agreement",
        description: "Returns how far two whole names agree, as the exact rules of an identity graph see it: `same` (or forms of one), \
                      `similar` (but for slips of the keyboard), `unknown` (an initial, or a part that is missing) or `different`, \
                      whichever is less of given name and surname. Names whose order is turned are read both ways, and two given \
                      names that are known, such as `Marta` and `Maria`, are different however alike they are.",
        parameters: const {
            &[text("left", "One name, whole."), text("right", "The other name, whole.")]
        },
        required: 2,
        example: (&["Łukasz Wójcik", "WOJCICK, Lukasz"], "similar"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| {
            let (left, right) = (arguments.text(0)?, arguments.text(1)?);
            let word = |row| Some(name_agreement(left.get(row)?, right.get(row)?)?.word());
            Ok(texts((0..arguments.rows()).map(word)))
        },
    }
}

/// Returns how far two names agree as they are written, the less of given name and surname; `None` where one is none.
pub fn name_agreement(left: &str, right: &str) -> Option<Agreement> {
    let (left, right) = (normalize_name(left)?, normalize_name(right)?);
    let (left, right) = (Keyed::of(&left), Keyed::of(&right));
    let NameAgreement { given, surname } = compare_names(&left.parts(), &right.parts());
    Some(given.min(surname))
}

/// The words of a name with their keys: given name, surname, middle words.
struct Keyed<'a>([Option<(&'a str, Cow<'a, str>)>; 2 + MIDDLE_WORDS_MAX]);

impl<'a> Keyed<'a> {
    fn of(name: &'a str) -> Self {
        let NameWords { given, surname, middle: [first, second], .. } = NameWords::of(name);
        let keyed = |word: Option<&'a str>| word.map(|word| (word, name_key(word)));
        Self([given, surname, first, second].map(keyed))
    }

    fn parts(&self) -> NameParts<'_> {
        let [given, surname, first, second] =
            self.0.each_ref().map(|word| word.as_ref().map(|(text, key)| NamePart { text, key }));
        NameParts { given, surname, middle: [first, second] }
    }
}

/// Compares names, as they stand and with given name and surname swapped, and returns the better reading. Where both begin with
/// the family's name, what comes last is compared as given names.
pub fn compare_names(left: &NameParts<'_>, right: &NameParts<'_>) -> NameAgreement {
    let mut straight = NameAgreement {
        given: given_names(left.given, right.given),
        surname: surnames(left, right),
    };
    if straight.given == Agreement::Same {
        if have_other_second_names(left, right) {
            straight.given = Agreement::Different;
        }
    } else if are_given_as_one(left, right)
        || are_given_as_one(right, left)
        || are_turned_within(left, right)
    {
        straight.given = Agreement::Same;
    }
    let is_of_family = straight.given == Agreement::Same && straight.surname < Agreement::Same;
    if is_of_family && are_family_first(left, right) {
        let given = given_names(left.surname, right.surname);
        return NameAgreement { given, surname: Agreement::Same };
    }
    if left.given.is_none() || right.given.is_none() {
        if have_other_given_names(left, right) || have_other_given_names(right, left) {
            straight.given = Agreement::Different;
        }
        return straight;
    }
    let turned = |(given, other), (surname, other_surname)| NameAgreement {
        given: given_names(given, other),
        surname: surname_words(surname, other_surname),
    };
    [
        turned((left.given, right.surname), (left.surname, right.given)),
        turned((left.surname, right.given), (left.given, right.surname)),
    ]
    .into_iter()
    .filter(|turned| turned.is_alike() && turned.strength() > straight.strength())
    .max_by_key(|turned| turned.strength())
    .unwrap_or(straight)
}

/// Tells whether a name of one word that tables know as a given name is none of the other one's words: `Anna` beside `Piotr` or
/// `Piotr Nowak`.
fn have_other_given_names(lone: &NameParts<'_>, other: &NameParts<'_>) -> bool {
    let Some(word) = lone.surname.filter(|word| is_given_name(word.text)) else { return false };
    let differs = |part| given_names(Some(word), Some(part)) == Agreement::Different;
    match (lone.given, other.given, other.surname) {
        (None, Some(given), Some(surname)) => {
            let mut all = [given, surname].into_iter().chain(other.middle.into_iter().flatten());
            all.all(differs)
        }
        (None, None, Some(surname)) => is_given_name(surname.text) && differs(surname),
        _ => false,
    }
}

/// Tells whether one given name is two of the other's without the space.
fn are_given_as_one(one: &NameParts<'_>, words: &NameParts<'_>) -> bool {
    let [second, _] = words.middle;
    let (Some(one), Some(first), Some(second)) = (one.given, words.given, second) else {
        return false;
    };
    second_name::is_written_as_one(one.text, first.text, second.text)
}

/// Tells whether two Vietnamese names have the same given names in another order: what is called Lan Anh is `Nguyễn Thị Lan Anh`,
/// of which the last word counts, and `Lan Anh Nguyen`.
fn are_turned_within(left: &NameParts<'_>, right: &NameParts<'_>) -> bool {
    let is_of = |name: &NameParts<'_>| name.surname.is_some_and(|last| is_vietnamese(last.text));
    let stands_within = |one: &NameParts<'_>, other: &NameParts<'_>| {
        one.given.is_some() && other.middle.contains(&one.given)
    };
    stands_within(left, right) && stands_within(right, left) && is_of(left) && is_of(right)
}

/// Tells whether two people of one first name have [second names](second_name) that differ.
fn have_other_second_names(left: &NameParts<'_>, right: &NameParts<'_>) -> bool {
    let first = left.given.map_or("", |given| given.key);
    second_name::differ(first, second_names(left), second_names(right))
}

/// Returns the words between first name and surname that may be names.
fn second_names<'a>(name: &NameParts<'a>) -> impl Iterator<Item = NamePart<'a>> + Clone + use<'a> {
    name.middle.into_iter().flatten().filter(|word| second_name::may_be_second_name(word.text))
}

/// Tells whether two names that begin with one word begin with the family's: `Nowak Anna` and `Nowak Piotr`, who would be one
/// person with two surnames else.
fn are_family_first(left: &NameParts<'_>, right: &NameParts<'_>) -> bool {
    let is_turned = |name: &NameParts<'_>| match (name.given, name.surname) {
        (Some(first), Some(last)) => are_turned(first.text, last.text),
        _ => false,
    };
    is_turned(left) && is_turned(right)
}

/// Tells whether the first word of a name is the family's, and the last one a given name: one of the two is known, and nothing
/// speaks against it.
fn are_turned(first: &str, last: &str) -> bool {
    !is_given_name(first) && !is_family_name(last) && (is_family_name(first) || is_given_name(last))
}

fn given_names(left: Option<NamePart<'_>>, right: Option<NamePart<'_>>) -> Agreement {
    let (Some(left), Some(right)) = (left, right) else { return Agreement::Unknown };
    if left.key == right.key {
        return Agreement::Same;
    }
    let related = relate_given_names(left.text, right.text);
    if related == GivenNames::One {
        return Agreement::Same;
    }
    let initial = |short: NamePart<'_>, long: NamePart<'_>| {
        short.text.len() == 1
            && (long.text.starts_with(short.text) || long.key.starts_with(short.text))
    };
    if left.text.len() == 1 || right.text.len() == 1 {
        let agree = initial(left, right) || initial(right, left);
        return if agree { Agreement::Unknown } else { Agreement::Different };
    }
    let is_slip = related == GivenNames::Open
        && (is_slip(left.text, right.text) || is_slip_of_form(left.text, right.text));
    if is_slip { Agreement::Similar } else { Agreement::Different }
}

/// Compares surnames; each half of a double surname may agree, its words may be written as one, and a lone name may be a
/// given name.
fn surnames(left: &NameParts<'_>, right: &NameParts<'_>) -> Agreement {
    if left.surname.is_none() || right.surname.is_none() {
        return Agreement::Unknown;
    }
    let mut best = surname_words(left.surname, right.surname);
    if best == Agreement::Same || is_written_as_one(left, right) || is_written_as_one(right, left) {
        return Agreement::Same;
    }
    let is_name =
        |part: &&Option<NamePart<'_>>| part.is_some_and(|part| part.text.len() >= SLIP_LENGTH_MIN);
    for half in left.middle.iter().filter(is_name) {
        best = best.max(surname_words(*half, right.surname));
    }
    for half in right.middle.iter().filter(is_name) {
        best = best.max(surname_words(left.surname, *half));
    }
    for (lone, other) in [(left, right), (right, left)] {
        if lone.given.is_none() && other.given.is_some() {
            best = best.max(given_names(lone.surname, other.given));
        }
    }
    best
}

/// Tells whether one surname is the other's words without the spaces: `Vanderberg` is `van der Berg`.
fn is_written_as_one(one: &NameParts<'_>, words: &NameParts<'_>) -> bool {
    let (Some(one), Some(last)) = (one.surname, words.surname) else { return false };
    let Some(mut rest) = one.text.strip_suffix(last.text) else { return false };
    for word in words.middle.iter().rev().flatten() {
        match rest.strip_suffix(word.text) {
            Some(before) => rest = before,
            None => return false,
        }
        if rest.is_empty() {
            return true;
        }
    }
    false
}

fn surname_words(left: Option<NamePart<'_>>, right: Option<NamePart<'_>>) -> Agreement {
    let (Some(left), Some(right)) = (left, right) else { return Agreement::Unknown };
    let (left, right) = (left.key, right.key);
    if left == right {
        return Agreement::Same;
    }
    if left.len() == 1 || right.len() == 1 {
        let agree = left.as_bytes().first() == right.as_bytes().first();
        return if agree { Agreement::Unknown } else { Agreement::Different };
    }
    if is_slip(left, right) { Agreement::Similar } else { Agreement::Different }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_agree_in_the_less_of_their_parts() {
        use Agreement::{Different, Same, Similar, Unknown};
        for (left, right, expected) in [
            ("Łukasz Wójcik", "WOJCIK, Lukasz", Some(Same)),
            ("Kuba Nowak", "Jakub Nowak Jr.", Some(Same)),
            ("Nowak Paulina", "Paulina Nowak", Some(Same)),
            ("Anna Nowak-Zając", "Anna Nowak", Some(Same)),
            ("Jennifer Linwood", "Jwnnifer Linwodo", Some(Similar)),
            ("P. Nowak", "Paulina Nowak", Some(Unknown)),
            ("Nowak", "Paulina Nowak", Some(Unknown)),
            ("Marai Nowak", "Maria Nowak", Some(Similar)),
            ("Katarzna Nowak", "Katarzyna Nowak", Some(Similar)),
            ("Aleksandra Nowak", "Alexandra Nowak", Some(Similar)),
            ("Jan van der Berg", "Jan Vanderberg", Some(Same)),
            ("Maria de Luca", "Maria Deluca", Some(Same)),
            ("Jan Maria Berg", "Jan Vanberg", Some(Different)),
            ("Юлия Ковальчук", "Yulia Kovalchuk", Some(Same)),
            ("Юлія Ковальчук", "Julia Kovalchuk", Some(Same)),
            ("Сергій Бойко", "Serhii Boiko", Some(Same)),
            ("Вячеслав Бойко", "Vyacheslav Boiko", Some(Same)),
            ("Євген Бойко", "Yevhen Boiko", Some(Same)),
            ("Дмитрий Бойко", "Dmytro Boiko", Some(Same)),
            ("Сергій Бойко", "Дмитрий Бойко", Some(Different)),
            ("Marta Nowak", "Maria Nowak", Some(Different)),
            ("Ola Nowak", "Ela Nowak", Some(Different)),
            ("Kamil Nowak", "Kamila Nowak", Some(Different)),
            ("Zbigor Nowak", "Zbigora Nowak", Some(Different)),
            ("John Smith", "Mary Smith", Some(Different)),
            ("Nowak Anna", "Nowak Piotr", Some(Different)),
            ("Nowak Marta", "Nowak Maria", Some(Different)),
            ("Nowak Anna", "Nowak Ania", Some(Same)),
            ("Nowak Marai", "Nowak Maria", Some(Similar)),
            ("Yılmaz Gülizar", "Yılmaz Mehmetcan", Some(Different)),
            ("Kowalska Zbigora", "Kowalski Adalmira", Some(Different)),
            ("Nguyễn Văn Minh", "Nguyễn Thị Lan", Some(Different)),
            ("Nguyễn Văn Minh", "Minh Nguyen", Some(Same)),
            ("Nowak Jan Piotr", "Jan Nowak", Some(Same)),
            ("Шевченко Оксана Петрівна", "Oksana Shevchenko", Some(Same)),
            ("Сидоров Иван Петрович", "Сидоров Тарас Петрович", Some(Different)),
            ("Nowak Jan Piotr", "Nowak Jan Adam", Some(Different)),
            ("Thi Lan Nguyen", "Thi Mai Nguyen", Some(Different)),
            ("Nguyễn Thị Lan", "Lan Thi Nguyen", Some(Same)),
            ("Anna Nowak", "Anna Zielińska", Some(Different)),
            ("Anna Nowak", "-", None),
        ] {
            assert_eq!(name_agreement(left, right), expected, "{left} {right}");
            assert_eq!(name_agreement(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn who_has_two_surnames_is_told_from_two_who_share_one() {
        use Agreement::{Different, Same, Similar, Unknown};
        let names = |left: &str, right: &str| {
            let (left, right) = (Keyed::of(left), Keyed::of(right));
            compare_names(&left.parts(), &right.parts())
        };
        let said = |given, surname| NameAgreement { given, surname };
        for (left, right, expected) in [
            ("nowak anna", "nowak piotr", said(Different, Same)),
            ("anna", "piotr nowak", said(Different, Different)),
            ("anna", "piotr", said(Different, Different)),
            ("marta", "maria", said(Different, Similar)),
            ("anna", "ania nowak", said(Unknown, Same)),
            ("anna", "nowak anna", said(Unknown, Same)),
            ("anna", "a nowak", said(Unknown, Unknown)),
            ("anna", "maria anna nowak", said(Unknown, Same)),
            ("adam", "ewa adam", said(Unknown, Same)),
            ("nowak", "anna kot", said(Unknown, Different)),
            ("jean luc picard", "jean pierre picard", said(Different, Same)),
            ("jan piotr kot", "jan adam kot", said(Different, Same)),
            ("maria jose garcia", "maria teresa garcia", said(Different, Same)),
            ("abdul rahman khan", "abdul aziz khan", said(Different, Same)),
            ("abd al rahman khan", "abd al aziz khan", said(Different, Same)),
            ("mohammed ali khan", "muhammad usman khan", said(Different, Same)),
            ("abdul rahman khan", "abdul rehman khan", said(Same, Same)),
            ("mohammed ali khan", "mohammed khan", said(Same, Same)),
            ("md ali khan", "mohammed ali khan", said(Same, Same)),
            ("abd al rahman khan", "abdul rahman khan", said(Same, Same)),
            ("abdulrahman khan", "abdul rahman khan", said(Same, Same)),
            ("maryann smith", "mary ann smith", said(Same, Same)),
            ("karlheinz kot", "karl heinz kot", said(Same, Same)),
            ("maryann smith", "mary lou smith", said(Different, Same)),
            ("nguyen thi lan anh", "lan anh nguyen", said(Same, Same)),
            ("nguyen thi lan anh", "nguyen thi lan", said(Different, Same)),
            ("anna maria kot", "maria anna kot", said(Different, Same)),
            ("jan piotr kot", "jan p kot", said(Same, Same)),
            ("jan piotr adam kot", "jan adam kot", said(Same, Same)),
            ("anna maria kot", "anna marie kot", said(Same, Same)),
            ("anna maria kot", "anna zajac kot", said(Same, Same)),
            ("anna nowak", "anna zielinska", said(Same, Different)),
            // Adam is a surname, too, but Anna is none that a family has.
            ("anna adam", "anna zielinska", said(Same, Different)),
            ("zbigora adam", "zbigora zielinska", said(Same, Different)),
            ("zbigora lis", "zbigora kot", said(Same, Different)),
        ] {
            assert_eq!(names(left, right), expected, "{left} {right}");
            assert_eq!(names(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn names_are_taken_apart() {
        let words = NameWords::of("anna maria nowak zajac jr");
        assert_eq!((words.given, words.surname), (Some("anna"), Some("zajac")));
        assert_eq!(words.middle, [Some("maria"), Some("nowak")]);
        assert_eq!(words.suffix, Some(0));
        assert_eq!(NameWords::of("jr").surname, Some("jr"));
        let words = NameWords::of("nguyen van minh");
        assert_eq!((words.given, words.surname), (Some("minh"), Some("nguyen")));
        let long = format!("{} {}", "a".repeat(40_000), "b".repeat(40_000));
        let words = NameWords::of(&long);
        assert_eq!([words.given, words.surname].map(|word| word.map(str::len)), [Some(100); 2]);
        assert_eq!(NameWords::of(""), NameWords::default());
    }
}
