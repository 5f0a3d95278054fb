//! How JSON is written: on one line, or with a line for each part.

use super::number::written_out;
use super::tree::{Keeping, Value, View};

/// What a level of a value is set in by that has a line for each part.
const INDENT: &str = "    ";

/// What stands between the parts of a value that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Nothing.
    None,
    /// A blank behind each comma and colon, as in `jsonb`.
    Blanks,
    /// A line for each part, as `jsonb_pretty` writes it.
    Lines,
}

/// Why writing ended: the text would be longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Writes values and their parts behind what a text has. A value can be written that was never read as one: its brackets,
/// its names and what is to be in it one by one.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut String,
    spacing: Spacing,
    bytes_max: usize,
    depth: usize,
}

impl<'o> Writer<'o> {
    /// Begins at the end of `out`, which may have so many bytes at most.
    pub fn new(out: &'o mut String, spacing: Spacing, bytes_max: usize) -> Self {
        Self { out, spacing, bytes_max, depth: 0 }
    }

    /// Writes a value.
    ///
    /// # Errors
    /// [`TooLong`] as soon as the text is too long.
    pub fn value(&mut self, value: Value<'_>) -> Result<(), TooLong> {
        match value.view() {
            View::Null => self.out.push_str("null"),
            View::Bool(flag) => self.out.push_str(if flag { "true" } else { "false" }),
            View::Number(number) => match value.keeping() {
                Keeping::Everything => self.out.push_str(number),
                Keeping::Values => self.out.push_str(&written_out(number)),
            },
            View::Text(text) => quote_json(text, self.out),
            View::Array(elements) => {
                self.open('[');
                let mut first = true;
                for element in elements {
                    self.part(&mut first);
                    self.value(element)?;
                }
                self.close(']');
            }
            View::Object(members) => {
                self.open('{');
                let mut first = true;
                for (name, value) in members {
                    self.part(&mut first);
                    self.name(name);
                    self.value(value)?;
                }
                self.close('}');
            }
        }
        if self.out.len() > self.bytes_max { Err(TooLong) } else { Ok(()) }
    }

    /// Opens an array or an object.
    pub fn open(&mut self, bracket: char) {
        self.out.push(bracket);
        self.depth += 1;
    }

    /// Begins the next part of what is open; the first one has no comma before it.
    pub fn part(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.out.push_str(if self.spacing == Spacing::Blanks { ", " } else { "," });
        }
        self.line();
    }

    /// Writes the name of a member, and its colon.
    pub fn name(&mut self, name: &str) {
        quote_json(name, self.out);
        self.out.push_str(if self.spacing == Spacing::None { ":" } else { ": " });
    }

    /// Closes what was opened last.
    pub fn close(&mut self, bracket: char) {
        self.depth = self.depth.saturating_sub(1);
        self.line();
        self.out.push(bracket);
    }

    fn line(&mut self) {
        if self.spacing == Spacing::Lines {
            self.out.push('\n');
            (0..self.depth).for_each(|_| self.out.push_str(INDENT));
        }
    }
}

impl Value<'_> {
    /// Writes it behind what `out` has, which may have so many bytes at most.
    ///
    /// # Errors
    /// [`TooLong`] as soon as the text is too long.
    pub fn write(
        self,
        spacing: Spacing,
        bytes_max: usize,
        out: &mut String,
    ) -> Result<(), TooLong> {
        Writer::new(out, spacing, bytes_max).value(self)
    }
}

/// Writes a text in quotes, with what JSON and PostgreSQL escape.
pub fn quote_json(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x8 => out.push_str("\\b"),
            0xc => out.push_str("\\f"),
            control => {
                out.push_str(if control < 0x10 { "\\u000" } else { "\\u001" });
                out.extend(char::from_digit(u32::from(control % 0x10), 0x10));
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::get::tests::json;
    use super::super::tree::Json;
    use super::*;

    fn written(text: &str, keeping: Keeping, spacing: Spacing) -> Option<String> {
        let mut out = String::new();
        let json = Json::parse(text, keeping)?;
        json.root().write(spacing, usize::MAX, &mut out).unwrap();
        Some(out)
    }

    fn jsonb(text: &str) -> Option<String> {
        written(text, Keeping::Values, Spacing::Blanks)
    }

    #[test]
    fn values_are_written_as_jsonb_writes_them() {
        for (text, expected) in [
            (r#" {"b": 1,  "a" :[1,2 , 3]} "#, r#"{"a": [1, 2, 3], "b": 1}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a": 2}"#),
            (r#"{"a":1,"\u0061":{"x":[]},"b":0,"a":[2]}"#, r#"{"a": [2], "b": 0}"#),
            (r#"{"bb":1,"a":2,"ccc":3}"#, r#"{"a": 2, "bb": 1, "ccc": 3}"#),
            (r#"{"ż":1,"zz":2,"":3}"#, r#"{"": 3, "zz": 2, "ż": 1}"#),
            (r#""\ud83d\ude00 \n \\ \" \u0001""#, r#""😀 \n \\ \" \u0001""#),
            ("[]", "[]"),
            ("{}", "{}"),
            ("[null,true,false]", "[null, true, false]"),
            ("1e2", "100"),
            ("[1.10, -0, -0.0]", "[1.10, 0, 0.0]"),
        ] {
            assert_eq!(jsonb(text).as_deref(), Some(expected), "{text}");
        }
        let kept = written(r#"{"b": 1e2, "a": [1], "b": 2}"#, Keeping::Everything, Spacing::None);
        assert_eq!(kept.as_deref(), Some(r#"{"b":1e2,"a":[1],"b":2}"#));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in
            ["", "{", "[1,]", "{\"a\":1,}", "{,\"a\":1}", "01", "tru", "1 2", "'a'", "\"\n\""]
        {
            assert_eq!(jsonb(text), None, "{text}");
        }
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(jsonb(&nested(513)).is_some() && jsonb(&nested(514)).is_none());
    }

    #[test]
    fn every_part_has_a_line_of_its_own() {
        let text = r#"{"a":[1,{"b":null}],"c":[]}"#;
        let expected = "{\n    \"a\": [\n        1,\n        {\n            \"b\": null\n        }\n    ],\n    \"c\": [\n    ]\n}";
        assert_eq!(written(text, Keeping::Values, Spacing::Lines).as_deref(), Some(expected));
    }

    #[test]
    fn letters_are_escaped_as_in_postgres() {
        let mut out = String::new();
        quote_json("a\"\\\n\r\t\u{8}\u{c}\u{1}\u{f}\u{10}\u{1f}\u{7f}ż", &mut out);
        assert_eq!(out, r#""a\"\\\n\r\t\b\f\u0001\u000f\u0010\u001f"#.to_owned() + "\u{7f}ż\"");
    }

    #[test]
    fn what_grows_ends_at_its_bound() {
        let many = format!("[{}1]", "1e400,".repeat(10_000));
        let deep = format!("{}{}1{}", "[".repeat(500), "1,".repeat(10_000), "]".repeat(500));
        for (text, spacing) in [(many, Spacing::None), (deep, Spacing::Lines)] {
            let json = Json::parse(&text, Keeping::Values).unwrap();
            let mut out = String::new();
            assert_eq!(json.root().write(spacing, 1 << 20, &mut out), Err(TooLong));
            assert!(out.len() < (1 << 20) + 10_000, "{} bytes", out.len());
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_written_is_read_again(text in "[\\[\\]{}\",:a0-9.eE\\\\u -]{0,24}|.*") {
            if let Some(once) = jsonb(&text) {
                prop_assert_eq!(jsonb(&once), Some(once.clone()));
            }
        }

        #[test]
        fn what_is_kept_as_it_is_written_is_read_as_the_same(text in json()) {
            let kept = written(&text, Keeping::Everything, Spacing::None);
            prop_assert_eq!(kept.as_deref().and_then(jsonb), jsonb(&text));
            let lines = written(&text, Keeping::Values, Spacing::Lines);
            prop_assert_eq!(lines.as_deref().and_then(jsonb), jsonb(&text));
        }
    }
}
