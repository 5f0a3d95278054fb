//! JSON as a value: what `jsonb` makes of a text, and how it is written.

use super::scan::{Scanner, unescape};

/// How deep arrays and objects may nest; text that nests deeper is no JSON to us.
const DEPTH_MAX: usize = 512;
/// Numbers with a larger exponent stay as they are written: written out they would be mostly zeros.
const EXPONENT_MAX: u64 = 400;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// A string, without quotes and escapes.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object: names with their values.
    Object(Vec<(String, Json)>),
}

/// What becomes of the members of objects and of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// All stays as it is written, as in `json`.
    Everything,
    /// The last of members with one name stays, names are sorted by length, and numbers have no exponent, as in `jsonb`.
    Values,
}

/// What stands between the parts of a value that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Nothing.
    None,
    /// A blank behind each comma and colon, as in `jsonb`.
    Blanks,
}

impl Json {
    /// Reads JSON text (RFC 8259); `None` if it is none.
    pub fn parse(text: &str, keeping: Keeping) -> Option<Json> {
        let mut scanner = Scanner::new(text);
        let value = read(&mut scanner, keeping, 0)?;
        scanner.end()?;
        Some(value)
    }

    /// Makes an object of members as `jsonb` keeps them.
    pub fn object(mut members: Vec<(String, Json)>) -> Json {
        // The last of equal names stands.
        members.reverse();
        members.sort_by(|(one, _), (other, _)| {
            (one.len(), one.as_bytes()).cmp(&(other.len(), other.as_bytes()))
        });
        members.dedup_by(|(later, _), (kept, _)| later == kept);
        Json::Object(members)
    }

    /// The name of its type, as `jsonb_typeof` says it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::Text(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }

    /// Whether it has no parts.
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Json::Array(_) | Json::Object(_))
    }

    /// Writes it on one line.
    pub fn write(&self, spacing: Spacing, out: &mut String) {
        let (comma, colon) = match spacing {
            Spacing::None => (",", ":"),
            Spacing::Blanks => (", ", ": "),
        };
        match self {
            Json::Array(elements) => {
                out.push('[');
                for (at, element) in elements.iter().enumerate() {
                    out.push_str(if at > 0 { comma } else { "" });
                    element.write(spacing, out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    out.push_str(if at > 0 { comma } else { "" });
                    quote_json(name, out);
                    out.push_str(colon);
                    value.write(spacing, out);
                }
                out.push('}');
            }
            scalar => scalar.write_scalar(out),
        }
    }

    /// Writes it with a line for each part, as `jsonb_pretty` does.
    pub fn write_pretty(&self, out: &mut String) {
        self.write_lines(0, out);
    }

    fn write_lines(&self, depth: usize, out: &mut String) {
        let line = |depth: usize, out: &mut String| {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str("    "));
        };
        match self {
            Json::Array(elements) => {
                out.push('[');
                for (at, element) in elements.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    line(depth + 1, out);
                    element.write_lines(depth + 1, out);
                }
                line(depth, out);
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    line(depth + 1, out);
                    quote_json(name, out);
                    out.push_str(": ");
                    value.write_lines(depth + 1, out);
                }
                line(depth, out);
                out.push('}');
            }
            scalar => scalar.write_scalar(out),
        }
    }

    fn write_scalar(&self, out: &mut String) {
        match self {
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Number(number) => out.push_str(number),
            Json::Text(text) => quote_json(text, out),
            _ => out.push_str("null"),
        }
    }

    /// Whether two values are equal: numbers by their value, and `1.0` is `1`.
    pub fn is_same(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Number(one), Json::Number(other)) => significant(one) == significant(other),
            (Json::Array(one), Json::Array(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| one.is_same(other))
            }
            (Json::Object(one), Json::Object(other)) => {
                one.len() == other.len()
                    && one
                        .iter()
                        .zip(other)
                        .all(|((key, one), (name, other))| key == name && one.is_same(other))
            }
            (one, other) => one == other,
        }
    }
}

fn read(scanner: &mut Scanner<'_>, keeping: Keeping, depth: usize) -> Option<Json> {
    if depth > DEPTH_MAX {
        return None;
    }
    scanner.space();
    Some(match scanner.peek()? {
        b'{' => {
            scanner.take(b'{')?;
            let (mut first, mut members) = (true, Vec::new());
            while scanner.more(&mut first, b'}')? {
                let name = unescape(scanner.string()?).into_owned();
                scanner.space();
                scanner.take(b':')?;
                members.push((name, read(scanner, keeping, depth + 1)?));
            }
            match keeping {
                Keeping::Everything => Json::Object(members),
                Keeping::Values => Json::object(members),
            }
        }
        b'[' => {
            scanner.take(b'[')?;
            let (mut first, mut elements) = (true, Vec::new());
            while scanner.more(&mut first, b']')? {
                elements.push(read(scanner, keeping, depth + 1)?);
            }
            Json::Array(elements)
        }
        b'"' => Json::Text(unescape(scanner.string()?).into_owned()),
        _ => match (scanner.plain()?, keeping) {
            ("null", _) => Json::Null,
            ("true", _) => Json::Bool(true),
            ("false", _) => Json::Bool(false),
            (number, Keeping::Everything) => Json::Number(number.to_owned()),
            (number, Keeping::Values) => Json::Number(written_out(number)),
        },
    })
}

/// A number as `numeric` writes it: without an exponent, and zero without a sign.
fn written_out(number: &str) -> String {
    let (sign, unsigned) =
        number.strip_prefix('-').map_or(("", number), |unsigned| ("-", unsigned));
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()),
        None => (unsigned, Some(0)),
    };
    let Some(exponent) = exponent.filter(|exponent| exponent.unsigned_abs() <= EXPONENT_MAX) else {
        return number.to_owned();
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    let scale = i64::try_from(fraction.len()).unwrap_or(i64::MAX).saturating_sub(exponent);
    let shift = usize::try_from(scale.unsigned_abs()).unwrap_or(usize::MAX);
    if scale <= 0 {
        digits.extend(std::iter::repeat_n('0', shift));
    } else {
        let missing = (shift + 1).saturating_sub(digits.len());
        digits.insert_str(0, &"0".repeat(missing));
        digits.insert(digits.len() - shift, '.');
    }
    let digits = digits.trim_start_matches('0');
    let zero = if digits.is_empty() || digits.starts_with('.') { "0" } else { "" };
    let sign = if digits.bytes().all(|digit| matches!(digit, b'0' | b'.')) { "" } else { sign };
    format!("{sign}{zero}{digits}")
}

/// A number without the zeros at the end of its fraction.
fn significant(number: &str) -> &str {
    match number.contains('.') && !number.contains(['e', 'E']) {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

/// Writes a text in quotes, with what JSON and PostgreSQL escape.
pub fn quote_json(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if u32::from(control) < 0x20 => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str, keeping: Keeping, spacing: Spacing) -> Option<String> {
        let mut out = String::new();
        Json::parse(text, keeping)?.write(spacing, &mut out);
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
            (r#"{"bb":1,"a":2,"ccc":3}"#, r#"{"a": 2, "bb": 1, "ccc": 3}"#),
            (r#""\ud83d\ude00 \n \\ \" \u0001""#, r#""😀 \n \\ \" \u0001""#),
            ("[]", "[]"),
            ("{}", "{}"),
            ("[null,true,false]", "[null, true, false]"),
            ("1e2", "100"),
            ("1.50e1", "15.0"),
            ("1.5E-3", "0.0015"),
            ("1.10", "1.10"),
            ("0.5e+1", "5"),
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("-12.5e0", "-12.5"),
            ("1e9999999", "1e9999999"),
            ("1e-9223372036854775808", "1e-9223372036854775808"),
            ("12345678901234567890123456789", "12345678901234567890123456789"),
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
        assert!(jsonb(&nested(500)).is_some() && jsonb(&nested(600)).is_none());
    }

    #[test]
    fn every_part_has_a_line_of_its_own() {
        let mut out = String::new();
        let value = Json::parse(r#"{"a":[1,{"b":null}],"c":[]}"#, Keeping::Values).unwrap();
        value.write_pretty(&mut out);
        let expected = "{\n    \"a\": [\n        1,\n        {\n            \"b\": null\n        }\n    ],\n    \"c\": [\n    ]\n}";
        assert_eq!(out, expected);
    }

    #[test]
    fn numbers_are_the_same_by_their_value() {
        let value = |text: &str| Json::parse(text, Keeping::Values).unwrap();
        assert!(value("[1.0, {\"a\": 1e1}]").is_same(&value("[1, {\"a\": 10.00}]")));
        assert!(!value("1").is_same(&value("\"1\"")) && !value("10").is_same(&value("1")));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_written_is_read_again(text in "[\\[\\]{}\",:a0-9.eE\\\\u -]{0,24}|.*") {
            if let Some(once) = jsonb(&text) {
                prop_assert_eq!(jsonb(&once), Some(once.clone()));
            }
        }
    }
}
