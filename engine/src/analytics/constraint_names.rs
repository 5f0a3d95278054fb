//! Names of constraints: those that they are given, or else those that PostgreSQL would choose.

use crate::catalog::object_name;
use crate::error::{Error, Result};

/// Returns the name of a new key of a table with these columns, which no other relation or constraint of its schema has.
///
/// # Errors
/// SQLSTATE 42P07 if the one that is wanted is taken.
pub(super) fn of_key(
    (table, columns, is_primary): (&str, &[String], bool),
    wanted: Option<&str>,
    is_taken: impl Fn(&str) -> bool,
) -> Result<String> {
    match wanted {
        Some(wanted) if is_taken(wanted) => Err(Error::Standard {
            sqlstate: "42P07",
            message: format!("relation \"{wanted}\" already exists"),
            hint: "Give the constraint another name, or none.".into(),
        }),
        Some(wanted) => Ok(wanted.to_owned()),
        None if is_primary => Ok(free((table, "", "pkey"), is_taken)),
        None => Ok(free((table, &columns.join("_"), "key"), is_taken)),
    }
}

/// Returns the first name for columns of a table that is free; the label at its end is counted on.
pub(super) fn free(
    (table, columns, label): (&str, &str, &str),
    is_taken: impl Fn(&str) -> bool,
) -> String {
    let mut name = object_name(table, columns, label);
    let mut pass = 0;
    while is_taken(&name) {
        pass += 1;
        name = object_name(table, columns, &format!("{label}{pass}"));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_name_that_is_wanted_or_the_first_that_is_free() {
        let columns = ["a".to_owned(), "b".to_owned()];
        let taken = ["t_pkey", "t_a_b_key", "t_a_b_key1"];
        let named = |is_primary: bool, wanted: Option<&str>| {
            of_key(("t", &columns, is_primary), wanted, |name| taken.contains(&name))
        };
        assert_eq!(named(true, None).unwrap(), "t_pkey1");
        assert_eq!(named(false, None).unwrap(), "t_a_b_key2");
        assert_eq!(named(true, Some("own")).unwrap(), "own");
        assert_eq!(named(true, Some("t_pkey")).unwrap_err().sqlstate(), "42P07");
    }
}
