//! `given_name_key` and `same_given_name`: one name, its spellings and its pet forms.

use std::collections::HashMap;
use std::sync::LazyLock;

use arrow::datatypes::DataType;

use super::given_names::GIVEN_NAMES;
use super::name::normalize_name;
use crate::column::{Specification, booleans, text};

/// For each name and pet form what it may stand for, likeliest first.
static NAMES: LazyLock<HashMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    // A name stands for itself before it stands for another one: Jack is Jack, and may be John.
    let mut names: HashMap<_, _> =
        GIVEN_NAMES.iter().map(|(name, _)| (*name, vec![*name])).collect();
    for (name, forms) in GIVEN_NAMES {
        for form in forms.split_ascii_whitespace() {
            names.entry(form).or_default().push(*name);
        }
    }
    names
});

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
    let mut normal = normalize_name(name)?;
    if let Some(end) = normal.find(' ') {
        normal.truncate(end);
    }
    Some(normal)
}

/// Returns the full name that a folded given name is likeliest short for, or `token` itself when it is not known.
pub fn given_name_key(token: &str) -> &str {
    NAMES.get(token).and_then(|names| names.first()).copied().unwrap_or(token)
}

/// Returns true if two folded given names can be one: equal, or with a full name in common (`chris` agrees with both
/// `christine` and `christopher`, which do not agree with each other).
pub fn same_given_name(left: &str, right: &str) -> bool {
    if left == right {
        return true;
    }
    match (NAMES.get(left), NAMES.get(right)) {
        (Some(left), Some(right)) => left.iter().any(|name| right.contains(name)),
        _ => false,
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
    fn table_is_sound() {
        let names: BTreeSet<_> = GIVEN_NAMES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), GIVEN_NAMES.len(), "a name stands twice");
        let mut forms = BTreeSet::new();
        for (name, given) in GIVEN_NAMES {
            for form in given.split_ascii_whitespace() {
                assert_ne!(form, *name);
                assert!(form.bytes().all(|byte| byte.is_ascii_lowercase()), "{form} is not folded");
                assert!(forms.insert((name, form)), "{form} stands twice with {name}");
                assert_eq!(given_name_key(given_name_key(form)), given_name_key(form));
            }
        }
        assert!(forms.len() >= 250, "{}", forms.len());
    }
}
