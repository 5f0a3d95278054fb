//! One line of JSON: its fields as they are written, after the whole line has been judged.
//!
//! Values stay the bytes they were, so that nothing is lost in a round trip. Judged are the grammar, and what a
//! grammar lets pass but no two programs read alike: repeated keys, lone surrogates, NUL, numbers beyond a double,
//! depth.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::reject::Reason;

/// How deep objects and arrays may nest, the line's own object included.
const DEPTH_MAX: u32 = 32;

/// Up to so many keys are compared one by one; more of them are hashed.
const KEYS_COMPARED_MAX: usize = 24;

/// Hands each field of the line's object to `each`: its place, its key, and its value as written. A line may be
/// refused after some of its fields have been handed out.
pub(super) fn fields<'a>(
    line: &'a [u8],
    mut each: impl FnMut(usize, &str, &'a str),
) -> Result<(), Reason> {
    let text = std::str::from_utf8(line).map_err(|error| match error.error_len() {
        None => Reason::BadJsonTruncated,
        Some(_) => Reason::BadJsonGarbage,
    })?;
    let start = text.trim_ascii_start();
    if !start.starts_with('{') {
        serde_json::from_str::<IgnoredAny>(start).map_err(|error| reason_of(&error))?;
        return Err(Reason::NotAnObject);
    }
    let too_deep = Cell::new(false);
    let mut json = serde_json::Deserializer::from_str(start);
    let visitor = Fields { each: &mut each, too_deep: &too_deep };
    let judged = json.deserialize_map(visitor).and_then(|()| json.end());
    judged.map_err(|error| if too_deep.get() { Reason::TooDeep } else { reason_of(&error) })
}

fn reason_of(error: &serde_json::Error) -> Reason {
    match error.classify() {
        Category::Eof => Reason::BadJsonTruncated,
        Category::Syntax | Category::Data | Category::Io => Reason::BadJsonGarbage,
    }
}

/// Reads a JSON text that is known to be valid.
pub(super) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    match memchr::memchr(b'\\', inner.as_bytes()) {
        None => Some(Cow::Borrowed(inner)),
        Some(_) => serde_json::from_str(raw).ok().map(Cow::Owned),
    }
}

struct Fields<'s, F> {
    each: &'s mut F,
    too_deep: &'s Cell<bool>,
}

impl<'de, F: FnMut(usize, &str, &'de str)> Visitor<'de> for Fields<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = Keys::default();
        let mut place = 0;
        while let Some(key) = map.next_key_seed(Key)? {
            let raw = map.next_value::<&'de RawValue>()?.get();
            if must_judge(raw) {
                let value = Judge { depth: 1, too_deep: self.too_deep };
                let mut json = serde_json::Deserializer::from_str(raw);
                value.deserialize(&mut json).map_err(A::Error::custom)?;
            }
            (self.each)(place, &key, raw);
            keys.add(key)?;
            place += 1;
        }
        Ok(())
    }
}

/// Tells whether a value whose grammar is right can still be wrong.
fn must_judge(raw: &str) -> bool {
    match raw.as_bytes()[0] {
        b'"' => memchr::memchr(b'\\', raw.as_bytes()).is_some(),
        b't' | b'f' | b'n' => false,
        b'{' | b'[' => true,
        // Only an exponent or hundreds of digits take a number beyond a double.
        _ => raw.len() > 300 || memchr::memchr2(b'e', b'E', raw.as_bytes()).is_some(),
    }
}

/// The keys of one object.
#[derive(Default)]
struct Keys<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Keys<'de> {
    fn add<E: serde::de::Error>(&mut self, key: Cow<'de, str>) -> Result<(), E> {
        let fresh = if self.few.len() < KEYS_COMPARED_MAX {
            let fresh = !self.few.contains(&key);
            self.few.push(key);
            fresh
        } else {
            !self.few.contains(&key) && self.many.insert(key)
        };
        if fresh { Ok(()) } else { Err(E::custom("repeated key")) }
    }
}

/// Reads a key without copying it unless it has escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Self::Value, E> {
        without_nul(key)?;
        Ok(Cow::Owned(key.to_owned()))
    }
}

fn without_nul<E: serde::de::Error>(text: &str) -> Result<(), E> {
    match memchr::memchr(0, text.as_bytes()) {
        None => Ok(()),
        Some(_) => Err(E::custom("NUL in a text")),
    }
}

/// Reads a value for the sake of its errors.
#[derive(Clone, Copy)]
struct Judge<'s> {
    /// How many objects and arrays are around it.
    depth: u32,
    too_deep: &'s Cell<bool>,
}

impl Judge<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            self.too_deep.set(true);
            return Err(E::custom("too deep"));
        }
        Ok(Judge { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Judge<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Judge<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_borrowed_str<E>(self, _: &'de str) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        without_nul(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut keys = Keys::default();
        while let Some(key) = map.next_key_seed(Key)? {
            keys.add(key)?;
            map.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(line: &str) -> Result<Vec<(String, String)>, Reason> {
        let mut found = Vec::new();
        fields(line.as_bytes(), |_, key, raw| found.push((key.to_owned(), raw.to_owned())))?;
        Ok(found)
    }

    #[test]
    fn values_stay_as_written() {
        let found = judge(r#" {"a": {"x" : 1.50 , "y":[ ]}, "\u0062":"\u017c"} "#).unwrap();
        assert_eq!(found[0], ("a".into(), r#"{"x" : 1.50 , "y":[ ]}"#.into()));
        assert_eq!(found[1], ("b".into(), r#""\u017c""#.into()));
        assert_eq!(text(&found[1].1).unwrap(), "ż");
    }

    #[test]
    fn what_programs_read_differently_is_garbage() {
        for line in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":["\ud800"]}"#,
            r#"{"a":"\u0000"}"#,
            r#"{"a\u0000":1}"#,
            r#"{"a":NaN}"#,
            r#"{"a":1e400}"#,
            r#"{"a":[1e400]}"#,
            r#"{"a":01}"#,
            r#"{"a":1} x"#,
            r#"{"a":1}{"b":2}"#,
            r#"{"a":1,}"#,
            "<html>",
            "{\"a\":\"\u{1}\"}",
        ] {
            assert_eq!(judge(line), Err(Reason::BadJsonGarbage), "{line}");
        }
        assert_eq!(fields(b"\x1f\x8b{}", |_, _, _| ()), Err(Reason::BadJsonGarbage));
    }

    #[test]
    fn every_true_beginning_of_a_line_is_truncated() {
        let line = r#"{"a":{"b":[1,true,null,"x\u017c"]},"ż":"x"}"#;
        assert!(judge(line).is_ok());
        for length in 1..line.len() {
            let found = fields(&line.as_bytes()[..length], |_, _, _| ());
            assert_eq!(
                found,
                Err(Reason::BadJsonTruncated),
                "{}",
                &line.as_bytes()[..length].escape_ascii()
            );
        }
    }

    #[test]
    fn other_values_are_no_objects() {
        for line in ["null", "42", "\"ping\"", "[{}]", "true"] {
            assert_eq!(judge(line), Err(Reason::NotAnObject), "{line}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(judge(&nested(31)).is_ok());
        assert_eq!(judge(&nested(32)), Err(Reason::TooDeep));
        assert_eq!(judge(&nested(100_000)), Err(Reason::TooDeep));
    }

    #[test]
    fn many_keys_are_told_apart() {
        let keys = |count: usize| (0..count).map(|key| format!("\"k{key}\":1")).collect::<Vec<_>>();
        let line = |keys: Vec<String>| format!("{{{}}}", keys.join(","));
        assert_eq!(judge(&line(keys(5000))).unwrap().len(), 5000);
        for repeated in ["\"k3\":1", "\"k4999\":1"] {
            let mut keys = keys(5000);
            keys.push(repeated.to_owned());
            assert_eq!(judge(&line(keys)), Err(Reason::BadJsonGarbage));
        }
    }
}
