//! What can be said of JSON text without reading it into a tree: what it is, how many elements it has, its names, and what it
//! is as text.

use std::borrow::Cow;

use super::scan::{Scanner, string_of, unescape_into};
use super::tree::DEPTH_MAX;

/// What JSON text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array of so many elements.
    Array(usize),
    /// An object.
    Object,
}

impl Shape {
    /// Looks at JSON text; `None` if it is none.
    pub fn of(json: &str) -> Option<Shape> {
        let mut scanner = Scanner::within(json, DEPTH_MAX);
        let shape = match scanner.peek()? {
            // Its elements lie a level deeper than it does.
            b'[' => return Scanner::within(json, DEPTH_MAX - 1).elements().map(Shape::Array),
            b'{' => Shape::Object,
            b'"' => Shape::Text,
            b'n' => Shape::Null,
            b't' | b'f' => Shape::Bool,
            _ => Shape::Number,
        };
        scanner.value()?;
        scanner.end()?;
        Some(shape)
    }

    /// The name of its type, as `jsonb_typeof` says it.
    pub fn type_name(self) -> &'static str {
        match self {
            Shape::Null => "null",
            Shape::Bool => "boolean",
            Shape::Number => "number",
            Shape::Text => "string",
            Shape::Array(_) => "array",
            Shape::Object => "object",
        }
    }
}

/// Hands on the names that JSON text has: those of its members, its elements that are strings, or the string that it is.
/// Returns `None` if it is no JSON, which may be known only after some of them.
pub fn json_names<'a>(json: &'a str, mut each: impl FnMut(Cow<'a, str>)) -> Option<()> {
    let mut scanner = Scanner::within(json, DEPTH_MAX - 1);
    let mut first = true;
    match scanner.peek()? {
        b'{' => {
            scanner.take(b'{')?;
            while scanner.more(&mut first, b'}')? {
                each(scanner.name()?.said());
                scanner.value()?;
            }
        }
        b'[' => {
            scanner.take(b'[')?;
            while scanner.more(&mut first, b']')? {
                match scanner.peek()? {
                    b'"' => each(scanner.string()?.said()),
                    _ => {
                        scanner.value()?;
                    }
                }
            }
        }
        b'"' => each(scanner.string()?.said()),
        _ => {
            scanner.value()?;
        }
    }
    scanner.end()
}

/// Writes JSON text as text behind what `out` has: a string without quotes and escapes, all else as it stands. Returns
/// `None`, and writes nothing, for the JSON null and for what is no JSON.
pub fn json_as_text(json: &str, out: &mut String) -> Option<()> {
    let mut scanner = Scanner::within(json, DEPTH_MAX);
    let value = scanner.value()?;
    scanner.end()?;
    match string_of(value) {
        Some(string) => unescape_into(string, out),
        None if value == "null" => return None,
        None => out.push_str(value),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::get::tests::json;
    use super::super::tree::{Json, Keeping, View};
    use super::*;

    fn names(json: &str) -> Option<Vec<String>> {
        let mut names = Vec::new();
        json_names(json, |name| names.push(name.into_owned()))?;
        Some(names)
    }

    #[test]
    fn a_look_tells_what_it_is() {
        for (json, shape) in [
            (" [1, [2, 3], {}] ", Some(Shape::Array(3))),
            ("[]", Some(Shape::Array(0))),
            (r#"{"a": []}"#, Some(Shape::Object)),
            ("\"[]\"", Some(Shape::Text)),
            ("-1e5", Some(Shape::Number)),
            ("false", Some(Shape::Bool)),
            ("null", Some(Shape::Null)),
            ("", None),
            ("nul", None),
            ("[1,]", None),
            ("{} {}", None),
            ("'a'", None),
        ] {
            assert_eq!(Shape::of(json), shape, "{json}");
        }
    }

    #[test]
    fn names_are_those_of_the_outermost_level() {
        for (json, expected) in [
            (r#"{"a": {"b": 1}, "\u0063": "d", "a": 2}"#, Some(vec!["a", "c", "a"])),
            (r#"["a", ["b"], {"c": 1}, 1, "\n"]"#, Some(vec!["a", "\n"])),
            (r#" "a" "#, Some(vec!["a"])),
            ("1", Some(vec![])),
            (r#"{"a": 1"#, None),
            (r#"["a" 1]"#, None),
        ] {
            assert_eq!(names(json).as_deref(), expected.map(texts).as_deref(), "{json}");
        }
    }

    fn as_text(json: &str) -> Option<String> {
        let mut text = String::new();
        json_as_text(json, &mut text)?;
        Some(text)
    }

    fn texts(names: Vec<&str>) -> Vec<String> {
        names.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn text_is_what_a_string_says() {
        for (json, text) in [
            (r#" "a\u0062" "#, Some("ab")),
            (r#""null""#, Some("null")),
            (" null ", None),
            (" [1, \"null\"] ", Some("[1, \"null\"]")),
            (" 1 ", Some("1")),
            ("\"a", None),
            ("oops", None),
        ] {
            assert_eq!(as_text(json).as_deref(), text, "{json}");
        }
    }

    /// What a look tells, and what a tree does.
    fn check(text: &str) -> Result<(), TestCaseError> {
        let tree = Json::parse(text, Keeping::Everything);
        let shape = tree.as_ref().map(|json| match json.root().view() {
            View::Null => Shape::Null,
            View::Bool(_) => Shape::Bool,
            View::Number(_) => Shape::Number,
            View::Text(_) => Shape::Text,
            View::Array(elements) => Shape::Array(elements.count()),
            View::Object(_) => Shape::Object,
        });
        prop_assert_eq!(Shape::of(text), shape, "{}", text);
        let of_tree: Option<Vec<String>> = tree.as_ref().map(|json| match json.root().view() {
            View::Object(members) => members.map(|(name, _)| name.to_owned()).collect(),
            View::Array(elements) => elements
                .filter_map(|element| match element.view() {
                    View::Text(text) => Some(text.to_owned()),
                    _ => None,
                })
                .collect(),
            View::Text(text) => vec![text.to_owned()],
            _ => Vec::new(),
        });
        prop_assert_eq!(names(text), of_tree, "{}", text);
        let said = tree.as_ref().and_then(|json| match json.root().view() {
            View::Null => None,
            View::Text(said) => Some(said.to_owned()),
            _ => Some(text.trim().to_owned()),
        });
        prop_assert_eq!(as_text(text), said, "{}", text);
        Ok(())
    }

    #[test]
    fn a_look_and_a_tree_agree_on_how_deep_values_nest() {
        for depth in [1, 2, 510, 511, 512, 513, 514, 1_030] {
            for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
                for inner in ["", "1", "\"x\"", "[]"] {
                    let text = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
                    check(&text).unwrap();
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_look_and_a_tree_agree(text in "[\\[\\]{}\",:a0-9.eE\\\\u -]{0,24}|.*") {
            check(&text)?;
        }

        #[test]
        fn a_look_and_a_tree_agree_on_json(text in json()) {
            check(&text)?;
        }
    }
}
