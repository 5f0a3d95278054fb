//! `given_name_key` and `same_given_name`: one name, its spellings and its pet forms.
//!
//! What the tables know tells more than letters do: Marta and Maria are two people, one letter apart, and Marai is Maria,
//! mistyped, as no table knows it. A name beside its feminine form is two people even where the tables know neither.

use std::collections::HashMap;
use std::sync::LazyLock;

use arrow::datatypes::DataType;

use super::given_names::GIVEN_NAMES;
use super::more_given_names::{MORE_NAMES, PLAIN_NAMES, RARE_NAMES, VARIANTS};
use super::name::{compared, normalize_name_part};
use crate::agreement::slip::is_name_slip;
use crate::column::{Specification, booleans, text};

/// The shortest name in which a letter is taken for a slip where neither of two names is known.
const UNKNOWN_SLIP_LENGTH_MIN: usize = 4;

/// The shortest name of which an ending makes a feminine one.
const MASCULINE_LENGTH_MIN: usize = 3;

/// What the tables know of a name or a pet form.
struct Known {
    /// What it may stand for, likeliest first.
    full: Vec<&'static str>,
    /// The places in [`VARIANTS`] where it stands, or one of its full names.
    variants: Vec<usize>,
    /// Whether a slip in another name is the likelier reading.
    is_rare: bool,
}

impl Known {
    /// Tells whether it may be one name with another.
    fn is_one_with(&self, other: &Self) -> bool {
        self.full.iter().any(|name| other.full.contains(name))
    }

    /// Tells whether it may be the other one, written in another language or mistyped.
    fn may_be(&self, other: &Self) -> bool {
        self.is_rare
            || other.is_rare
            || self.variants.iter().any(|place| other.variants.contains(place))
    }
}

/// Every name and pet form of the tables.
static NAMES: LazyLock<HashMap<&'static str, Known>> = LazyLock::new(|| {
    let tables = || GIVEN_NAMES.iter().chain(MORE_NAMES);
    // A name stands for itself before it stands for another one: Jack is Jack, and may be John.
    let mut names: HashMap<&'static str, Vec<&'static str>> =
        tables().map(|(name, _)| (*name, vec![*name])).collect();
    names.extend(words(PLAIN_NAMES).map(|(_, name)| (name, vec![name])));
    for (name, forms) in tables() {
        for form in forms.split_ascii_whitespace() {
            names.entry(form).or_default().push(*name);
        }
    }
    let mut places: HashMap<&'static str, Vec<usize>> = HashMap::new();
    for (place, name) in words(VARIANTS) {
        places.entry(name).or_default().push(place);
    }
    let rare: Vec<&str> = RARE_NAMES.split_ascii_whitespace().collect();
    let known = |(name, full): (&'static str, Vec<&'static str>)| {
        let stands = full.iter().chain([&name]).filter_map(|name| places.get(name));
        let variants = stands.flatten().copied().collect();
        (name, Known { full, variants, is_rare: rare.contains(&name) })
    };
    names.into_iter().map(known).collect()
});

/// The forms of every full name, itself included.
static FORMS: LazyLock<HashMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let mut forms: HashMap<&'static str, Vec<&'static str>> = HashMap::new();
    for (form, known) in NAMES.iter() {
        known.full.iter().for_each(|name| forms.entry(name).or_default().push(form));
    }
    forms
});

/// Returns the words of each line of a table, with the place of the line.
fn words(lines: &'static [&'static str]) -> impl Iterator<Item = (usize, &'static str)> {
    let of_line = |(place, line): (usize, &'static &'static str)| {
        line.split_ascii_whitespace().map(move |word| (place, word))
    };
    lines.iter().enumerate().flat_map(of_line)
}

/// How two given names stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenNames {
    /// They are equal, or forms of one name.
    One,
    /// They are of two people, however alike they are.
    Two,
    /// One may be the other, mistyped: letters decide.
    Open,
}

pub(crate) fn specification_of_key() -> Specification {
    Specification {
        name: "given_name_key",
        section: "Normalisation",
        description: "Returns the full name that a given name is likeliest short for, as a lower-case ASCII word; a name that is not \
                      known stands for itself. Of several names the first one counts.",
        parameters: const { &[text("name", "The given name.")] },
        required: 1,
        example: (&["Gosia"], "malgorzata"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| {
            arguments.map_text(|name| Some(given_name_key(&first_word(name)?).to_owned()))
        },
    }
}

pub(crate) fn specification() -> Specification {
    Specification {
        name: "same_given_name",
        section: "Agreement",
        description: "Tells whether two given names can be one: equal, or forms of a name that they have in common. `Chris` can be \
                      `Christine` and `Christopher`, who cannot be each other.",
        parameters: const { &[text("left", "One given name."), text("right", "The other given name.")] },
        required: 2,
        example: (&["Bob", "Robert"], "true"),
        returns: DataType::Boolean,
        logical_type: None,
        evaluate: |arguments| {
            let (left, right) = (arguments.text(0)?, arguments.text(1)?);
            let same = |row| {
                Some(same_given_name(&first_word(left.get(row)?)?, &first_word(right.get(row)?)?))
            };
            Ok(booleans((0..arguments.rows()).map(same)))
        },
    }
}

/// Returns the first word of a name, folded.
fn first_word(name: &str) -> Option<String> {
    let mut normal = normalize_name_part(name)?;
    let first = normal.split(' ').next().map_or(0, |word| compared(word).len());
    normal.truncate(first);
    Some(normal)
}

/// Returns the full name that a folded given name is likeliest short for, or `token` itself when it is not known.
pub fn given_name_key(token: &str) -> &str {
    NAMES.get(token).and_then(|known| known.full.first()).copied().unwrap_or(token)
}

/// Tells whether the tables know a folded word as a given name or a form of one.
pub fn is_given_name(token: &str) -> bool {
    NAMES.contains_key(token)
}

/// Returns true if two folded given names can be one: equal, or with a full name in common (`chris` agrees with both
/// `christine` and `christopher`, which do not agree with each other).
pub fn same_given_name(left: &str, right: &str) -> bool {
    relate_given_names(left, right) == GivenNames::One
}

/// Returns how two folded given names stand to each other. Initials are for the caller to see to: they are no names.
pub fn relate_given_names(left: &str, right: &str) -> GivenNames {
    if left == right {
        return GivenNames::One;
    }
    match (NAMES.get(left), NAMES.get(right)) {
        (Some(one), Some(other)) if one.is_one_with(other) => GivenNames::One,
        (Some(one), Some(other)) if one.may_be(other) => GivenNames::Open,
        (Some(_), Some(_)) => GivenNames::Two,
        (None, None) if left.len().min(right.len()) < UNKNOWN_SLIP_LENGTH_MIN => GivenNames::Two,
        (one, other) => {
            let ends = is_feminine(left, right, one.is_some() || other.is_none())
                || is_feminine(right, left, other.is_some() || one.is_none());
            if ends { GivenNames::Two } else { GivenNames::Open }
        }
    }
}

/// Tells whether one of two folded given names, which no table knows, is a form of the other one with a slip: `Zbyszke` beside
/// `Zbigniew`, who is called Zbyszek.
pub fn is_slip_of_form(left: &str, right: &str) -> bool {
    let (word, known) = match (NAMES.get(left), NAMES.get(right)) {
        (None, Some(known)) => (left, known),
        (Some(known), None) => (right, known),
        _ => return false,
    };
    let mut forms = known.full.iter().filter_map(|name| FORMS.get(name)).flatten();
    forms.any(|form| is_name_slip(word, form) && relate_given_names(word, form) == GivenNames::Open)
}

/// Tells whether `name` with another ending is the feminine name: `Roman` and `Romana`, `Marcel` and `Marcelle`, `Paolo` and
/// `Paola`. `may_be_name` is false for what no table knows beside a name that one knows: `Katarzyn` has lost a letter.
fn is_feminine(name: &str, feminine: &str, may_be_name: bool) -> bool {
    if name.len() < MASCULINE_LENGTH_MIN {
        return false;
    }
    match feminine.strip_prefix(name) {
        Some("a") => may_be_name && !name.ends_with('a'),
        Some("le") => may_be_name && name.ends_with('l'),
        _ => name.strip_suffix('o').is_some_and(|stem| feminine.strip_suffix('a') == Some(stem)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn pet_forms_lead_to_names() {
        for (given, expected) in [
            ("kuba", "jakub"),
            ("gosia", "malgorzata"),
            ("bob", "robert"),
            ("hans", "johannes"),
            ("juergen", "jurgen"),
            ("kathryn", "katherine"),
            ("aukasz", "lukasz"),
            ("jan", "jan"),
            ("jack", "jack"),
            ("xyz", "xyz"),
            ("", ""),
        ] {
            assert_eq!(given_name_key(given), expected);
        }
    }

    #[test]
    fn pet_forms_of_several_names_agree_with_each() {
        for (left, right) in [
            ("chris", "christine"),
            ("christopher", "chris"),
            ("jack", "john"),
            ("ola", "aleksandra"),
            ("pat", "patricia"),
            ("kasia", "kaska"),
            ("x", "x"),
        ] {
            assert!(same_given_name(left, right), "{left} {right}");
        }
        for (left, right) in
            [("christine", "christopher"), ("jan", "anna"), ("x", "y"), ("maria", "marta")]
        {
            assert!(!same_given_name(left, right), "{left} {right}");
        }
    }

    #[test]
    fn known_names_are_two_people_and_unknown_words_are_slips() {
        use GivenNames::{One, Open, Two};
        for (expected, pairs) in [
            (One, "maks/maksymilian wiola/wioletta yulia/julia iuliia/yulia aga/agata"),
            (Two, "marta/maria marek/mirek marek/darek ola/ela ewa/ela ala/ola tom/tim ben/jen"),
            (Two, "jack/zack mark/mary lena/lea aleksander/aleksandra krystian/krystyna"),
            (Two, "christian/christina patrick/patricia daniel/danielle paul/paula jan/jana"),
            (Two, "kamil/kamila dominik/dominika stanislaw/stanislawa simon/simone mario/maria"),
            // Feminine forms that no table knows, and short words.
            (Two, "daniel/daniela marcel/marcelle zbigor/zbigora paolino/paolina"),
            (Two, "bai/bae"),
            // Names that are forms of one, and that two sisters or brothers have all the same.
            (Two, "hanna/anna hannah/anna katja/nina jan/jens rolf/rudolf"),
            (Two, "inge/ingo mia/maria mila/emilia liam/william nathan/jonathan angela/angelina"),
            (Two, "andrzej/jedrzej ilse/elisabeth markus/max christa/christina lisa/betty"),
            // One letter apart, in any language.
            (Two, "lara/laura lisa/luisa maja/kaja hasan/hakan seda/sema samir/amir selim/selin"),
            (Two, "hung/hong trung/trang mehmet/ahmet zoran/goran hana/jana ramesh/rakesh"),
            (Two, "mette/jette alberto/roberto julien/lucien orlando/rolando"),
            (One, "katja/katya katja/ekaterina paco/francisco lola/dolores md/mohammed"),
            (One, "ahmed/ahmad mohamed/muhammad fatma/fatima omar/umar hania/hanna hanna/johanna"),
            (Open, "kathrin/kathryn raphael/rafael luisa/luise hana/hanna niklas/nicholas"),
            (Open, "marai/maria katarzna/katarzyna katarzyn/katarzyna annaa/anna ewaa/ewa"),
            (Open, "mart/marta pjotr/piotr zbigro/zbigor"),
            // One name in several languages.
            (Open, "aleksandra/alexandra marcin/martin marie/maria julia/julie kate/katarzyna"),
        ] {
            for pair in pairs.split_ascii_whitespace() {
                let (left, right) = pair.split_once('/').unwrap();
                assert_eq!(relate_given_names(left, right), expected, "{left} {right}");
                assert_eq!(relate_given_names(right, left), expected, "{right} {left}");
            }
        }
    }

    #[test]
    fn a_pet_form_may_be_mistyped() {
        for pair in ["zbyszke/zbigniew", "marai/marysia", "wladyslwa/wladek", "mwagdalena/magda"] {
            let (left, right) = pair.split_once('/').unwrap();
            assert!(is_slip_of_form(left, right) && is_slip_of_form(right, left), "{pair}");
        }
        // What a table knows is no slip.
        for pair in ["marek/maria", "zbigor/zbigniew", "bob/robert"] {
            let (left, right) = pair.split_once('/').unwrap();
            assert!(!is_slip_of_form(left, right), "{pair}");
        }
    }

    #[test]
    fn tables_are_sound() {
        for table in [GIVEN_NAMES, MORE_NAMES] {
            let names: BTreeSet<_> = table.iter().map(|(name, _)| *name).collect();
            assert_eq!(names.len(), table.len(), "a name stands twice");
        }
        let mut forms = BTreeSet::new();
        for (name, given) in GIVEN_NAMES.iter().chain(MORE_NAMES) {
            for form in given.split_ascii_whitespace() {
                assert_ne!(form, *name);
                assert!(form.bytes().all(|byte| byte.is_ascii_lowercase()), "{form} is not folded");
                assert!(forms.insert((name, form)), "{form} stands twice with {name}");
                assert_eq!(given_name_key(given_name_key(form)), given_name_key(form));
            }
        }
        assert!(forms.len() >= 250, "{}", forms.len());
        let mut plain = BTreeSet::new();
        for (_, name) in words(PLAIN_NAMES) {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{name} is not folded");
            assert!(plain.insert(name), "{name} stands twice");
            assert_eq!(NAMES[name].full, [name], "{name} is in another table");
        }
        let rare = RARE_NAMES.split_ascii_whitespace().map(|name| (0, name));
        for (_, name) in words(VARIANTS).chain(rare) {
            assert!(NAMES.contains_key(name), "{name} is not known");
        }
    }
}
