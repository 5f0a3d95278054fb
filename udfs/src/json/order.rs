//! Values as bytes that stand in the order of `jsonb`: what compares, sorts and groups bytes does so with values.
//!
//! Objects stand above arrays, then come booleans, numbers, strings and null. Of arrays and of objects those with fewer
//! parts come first, and an empty array comes before all if it is the whole. Numbers are equal by their value: 1.0 is 1.

use std::cmp::Ordering;

use super::number;
use super::tree::{Value, View};

/// What bytes begin with, by what the value is.
const EMPTY_ARRAY: u8 = 0;
const NULL: u8 = 1;
const TEXT: u8 = 2;
const NUMBER: u8 = 3;
const FALSE: u8 = 4;
const TRUE: u8 = 5;
const ARRAY: u8 = 6;
const OBJECT: u8 = 7;

impl Value<'_> {
    /// Writes the bytes of a whole value. It must have been read as `jsonb`, which sorts names.
    pub fn write_order(self, out: &mut Vec<u8>) {
        match self.view() {
            View::Array(elements) if elements.clone().next().is_none() => out.push(EMPTY_ARRAY),
            _ => write(self, out),
        }
    }
}

/// Returns how two numbers stand to each other by their values.
pub fn number_order(one: &str, other: &str) -> Ordering {
    if let (Ok(one), Ok(other)) = (one.parse::<i64>(), other.parse::<i64>()) {
        return one.cmp(&other);
    }
    let [one, other] = [one, other].map(|text| {
        let mut order = Vec::new();
        number::write_order(text, &mut order);
        order
    });
    one.cmp(&other)
}

fn write(value: Value<'_>, out: &mut Vec<u8>) {
    match value.view() {
        View::Null => out.push(NULL),
        View::Bool(flag) => out.push(if flag { TRUE } else { FALSE }),
        View::Number(number) => {
            out.push(NUMBER);
            number::write_order(number, out);
        }
        View::Text(text) => {
            out.push(TEXT);
            write_text(text, out);
        }
        View::Array(elements) => {
            out.push(ARRAY);
            write_count(elements.clone().count(), out);
            elements.for_each(|element| write(element, out));
        }
        View::Object(members) => {
            out.push(OBJECT);
            write_count(members.clone().count(), out);
            for (name, value) in members {
                write_text(name, out);
                write(value, out);
            }
        }
    }
}

/// No text has the zero character, so that a text ends before all that are longer.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::get::tests::json;
    use super::super::tree::{Json, Keeping};
    use super::number_order;

    fn order(text: &str) -> Option<Vec<u8>> {
        let json = Json::parse(text, Keeping::Values)?;
        let mut bytes = Vec::new();
        json.root().write_order(&mut bytes);
        Some(bytes)
    }

    /// The order is that of PostgreSQL 15.
    #[test]
    fn values_stand_as_in_postgres() {
        let ascending = [
            "[]",
            "null",
            r#""""#,
            r#""B""#,
            r#""a""#,
            r#""ab""#,
            r#""b""#,
            "-1e500",
            "-100",
            "-99.5",
            "-1.25",
            "-1.2",
            "-0.001",
            "0",
            "1e-500",
            "0.001",
            "0.01",
            "1",
            "1.05",
            "1.5",
            "2",
            "10",
            "99",
            "100.1",
            "1e500",
            "false",
            "true",
            "[null]",
            "[[]]",
            "[{}]",
            "[1, 2]",
            "[1, 3]",
            r#"["a", 1, 2]"#,
            "{}",
            r#"{"a": 1}"#,
            r#"{"a": "1", "b": 2}"#,
            r#"{"a": 1, "b": 2}"#,
            r#"{"b": 1, "c": 2}"#,
        ];
        let bytes: Vec<_> = ascending.iter().map(|text| order(text).unwrap()).collect();
        for (at, pair) in bytes.windows(2).enumerate() {
            assert!(pair[0] < pair[1], "{} < {}", ascending[at], ascending[at + 1]);
        }
    }

    #[test]
    fn equal_values_are_the_same_bytes() {
        for (one, other) in [
            ("1", "1.00"),
            ("-0", "0.0e5"),
            ("120", "1.2e2"),
            ("-0.5", "-5e-1"),
            ("1e500", "10e499"),
            (r#"{"b": [1], "a": 2}"#, r#"{"a": 2.0, "b": [1.0], "a": 2}"#),
            (r#""a""#, r#""\u0061""#),
        ] {
            assert_eq!(order(one), order(other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_equal_where_values_are(one in json(), other in json()) {
            let trees = [&one, &other].map(|text| Json::parse(text, Keeping::Values));
            let [Some(first), Some(second)] = trees else { return Ok(()) };
            let same = first.root().is_same(second.root());
            prop_assert_eq!(order(&one) == order(&other), same, "{} {}", one, other);
        }

        #[test]
        fn numbers_stand_as_they_do(one in -1e6_f64..1e6, other in -1e6_f64..1e6) {
            let [first, second] = [one, other].map(|number| order(&number.to_string()).unwrap());
            prop_assert_eq!(first.cmp(&second), one.total_cmp(&other));
            let found = number_order(&one.to_string(), &other.to_string());
            prop_assert_eq!(found, one.total_cmp(&other));
        }
    }
}
