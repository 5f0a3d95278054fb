//! Keys of given names: one for a name, its spellings and its pet forms.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::given_names::GIVEN_NAMES;

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
