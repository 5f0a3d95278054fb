//! `json_get` and `json_get_text`: the operators `->` and `->>` on JSON that is kept as text.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result};

use super::scan::{Scanner, string_of, unescape, unescape_into};
use crate::column::{Accepts, Arguments, Parameter, Specification};

/// Bytes that are taken out of one batch at most. One document, taken for many rows, would be as many of it.
const FOUND_BYTES_MAX: usize = 256 << 20;

const PARAMETERS: &[Parameter] = &[
    Parameter { name: "json", description: "The JSON text.", accepts: Accepts::Document },
    Parameter {
        name: "key",
        description: "The name of an object's member, or the position of an array's element: from 0, or from -1 at its end.",
        accepts: Accepts::TextOrInteger,
    },
];

pub(crate) fn specification() -> Specification {
    Specification {
        name: "json_get",
        section: "JSON",
        description: "Returns a member of an object or an element of an array as JSON, as the operator `->` does: null when it is \
                      not there or the text is no JSON. Of members with one name the last counts.",
        parameters: PARAMETERS,
        required: 2,
        example: (&[r#"{"plan": ["basic", 2]}"#, "plan"], r#"["basic", 2]"#),
        returns: DataType::Utf8View,
        logical_type: Some("json"),
        evaluate: |arguments| get(arguments, |json, key, _| json_get(json, key)),
    }
}

pub(crate) fn specification_of_text() -> Specification {
    Specification {
        name: "json_get_text",
        section: "JSON",
        description: "Returns a member of an object or an element of an array as text, as the operator `->>` does: a string without \
                      quotes and escapes, all else as JSON; null when it is not there, is null, or the text is no JSON.",
        parameters: PARAMETERS,
        required: 2,
        example: (&[r#"{"plan": "basic \u0026 more"}"#, "plan"], "basic & more"),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| get(arguments, text_within),
    }
}

/// What to take out of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// The member of an object; arrays have none.
    Name(&'a str),
    /// The element of an array, from 0, or from -1 at its end; objects have none.
    Index(i64),
    /// The text itself, where it is neither an object nor an array.
    Itself,
}

/// Returns the text of a member or an element of `json`, as it stands there; `None` when it is not there or when `json`
/// is no JSON. Of members with one name the last counts.
pub fn json_get<'a>(json: &'a str, key: Key<'_>) -> Option<&'a str> {
    match key {
        Key::Name(name) => Scanner::new(json).member(name),
        Key::Index(index) => Scanner::new(json).element(index),
        Key::Itself => Scanner::new(json).scalar_alone(),
    }
}

/// Returns a member or an element of `json` as text: a string without quotes and escapes, all else as it stands; `None`
/// also for the JSON null.
pub fn json_get_text<'a>(json: &'a str, key: Key<'_>) -> Option<Cow<'a, str>> {
    let value = json_get(json, key)?;
    if value == "null" {
        return None;
    }
    Some(string_of(value).map_or(Cow::Borrowed(value), unescape))
}

/// The same, written into `spare` if it has escapes.
fn text_within<'v>(json: &'v str, key: Key<'_>, spare: &'v mut String) -> Option<&'v str> {
    let value = json_get(json, key)?;
    match string_of(value) {
        Some(string) if string.contains('\\') => {
            spare.clear();
            unescape_into(string, spare);
            Some(spare.as_str())
        }
        Some(string) => Some(string),
        None => (value != "null").then_some(value),
    }
}

fn get(
    arguments: &Arguments,
    get: impl for<'v, 'k> Fn(&'v str, Key<'k>, &'v mut String) -> Option<&'v str>,
) -> Result<ArrayRef> {
    if let Some(indexes) = arguments.integers(1) {
        let jsonb = arguments.are_jsonb();
        return collect(arguments, |json, row, spare| {
            let key = match indexes.get(row)? {
                // PostgreSQL keeps a `jsonb` that is no object in an array, which this operator looks into.
                0 | -1 if jsonb && is_scalar(json) => Key::Itself,
                index => Key::Index(index),
            };
            get(json, key, spare)
        });
    }
    let names = arguments.text(1)?;
    collect(arguments, |json, row, spare| get(json, Key::Name(names.get(row)?), spare))
}

/// Tells whether JSON is neither an object nor an array.
fn is_scalar(json: &str) -> bool {
    !json.trim_ascii_start().starts_with(['{', '['])
}

/// Collects what is found in each document. What has escapes is written into a text that all rows share.
fn collect(
    arguments: &Arguments,
    part: impl for<'v> Fn(&'v str, usize, &'v mut String) -> Option<&'v str>,
) -> Result<ArrayRef> {
    let documents = arguments.text(0)?;
    let mut pace = arguments.pace();
    let mut parts = StringViewBuilder::with_capacity(arguments.rows());
    let mut spare = String::new();
    let mut bytes = 0;
    for row in 0..arguments.rows() {
        let found = match documents.get(row) {
            Some(json) => {
                pace.pass(json.len())?;
                part(json, row, &mut spare)
            }
            None => None,
        };
        bytes += found.map_or(0, str::len);
        if bytes > FOUND_BYTES_MAX {
            let message = format!("a batch would have more than {FOUND_BYTES_MAX} bytes of JSON");
            return Err(DataFusionError::ResourcesExhausted(message));
        }
        parts.append_option(found);
    }
    Ok(Arc::new(parts.finish()))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::tree::{Json, Keeping, Value, View};
    use crate::json::write::Spacing;

    #[test]
    fn members_are_found() {
        for (json, name, expected, as_text) in [
            (r#"{"a": 1}"#, "a", Some("1"), Some("1")),
            (
                r#" { "a" : "x" , "b" : [ 1 , {"c":2} ] } "#,
                "b",
                Some(r#"[ 1 , {"c":2} ]"#),
                Some(r#"[ 1 , {"c":2} ]"#),
            ),
            (r#"{"a":"x"}"#, "a", Some(r#""x""#), Some("x")),
            (r#"{"a":1,"a":2}"#, "a", Some("2"), Some("2")),
            (r#"{"a":null}"#, "a", Some("null"), None),
            (r#"{"a":"null"}"#, "a", Some(r#""null""#), Some("null")),
            (r#"{"a":{"a":1}}"#, "a", Some(r#"{"a":1}"#), Some(r#"{"a":1}"#)),
            (r#"{"b":{"a":1}}"#, "a", None, None),
            (r#"{"\u0061":true}"#, "a", Some("true"), Some("true")),
            (r#"{"a\"b":-1.5e+3}"#, "a\"b", Some("-1.5e+3"), Some("-1.5e+3")),
            (
                r#"{"a":"\u00fc\n\"\/\\ \ud83d\ude00"}"#,
                "a",
                Some(r#""\u00fc\n\"\/\\ \ud83d\ude00""#),
                Some("ü\n\"/\\ 😀"),
            ),
            (
                r#"{"a":"\ud83d x\u0000"}"#,
                "a",
                Some(r#""\ud83d x\u0000""#),
                Some("\u{fffd} x\u{fffd}"),
            ),
            (r#"{"":"żółw"}"#, "", Some("\"żółw\""), Some("żółw")),
            ("{}", "a", None, None),
            ("[1]", "a", None, None),
            ("1", "a", None, None),
            ("", "a", None, None),
        ] {
            assert_eq!(json_get(json, Key::Name(name)), expected, "{json}");
            assert_eq!(json_get_text(json, Key::Name(name)).as_deref(), as_text, "{json}");
        }
    }

    #[test]
    fn scalars_are_found_in_themselves() {
        for (json, expected, as_text) in [
            (" 5 ", Some("5"), Some("5")),
            (r#""a\"b""#, Some(r#""a\"b""#), Some("a\"b")),
            ("null", Some("null"), None),
            ("true", Some("true"), Some("true")),
            ("[5]", None, None),
            (r#"{"a": 5}"#, None, None),
            ("5 6", None, None),
            ("", None, None),
        ] {
            assert_eq!(json_get(json, Key::Itself), expected, "{json}");
            assert_eq!(json_get_text(json, Key::Itself).as_deref(), as_text, "{json}");
            assert_eq!(json_get(json, Key::Index(0)).is_some(), json == "[5]", "{json}");
        }
        assert!(is_scalar(" 5") && !is_scalar(" [5]") && !is_scalar("{}"));
    }

    #[test]
    fn elements_are_found() {
        let json = r#"[1, "b", [], {"x": [2]}]"#;
        for (index, expected) in [
            (0, Some("1")),
            (1, Some(r#""b""#)),
            (2, Some("[]")),
            (3, Some(r#"{"x": [2]}"#)),
            (4, None),
            (-1, Some(r#"{"x": [2]}"#)),
            (-4, Some("1")),
            (-5, None),
            (i64::MIN, None),
            (i64::MAX, None),
        ] {
            assert_eq!(json_get(json, Key::Index(index)), expected, "{index}");
        }
        assert_eq!(json_get("[]", Key::Index(0)), None);
        assert_eq!(json_get(r#"{"0":1}"#, Key::Index(0)), None);
    }

    #[test]
    fn what_is_no_json_gives_nothing() {
        for json in [
            r#"{"a":1"#,
            r#"{"a":1,}"#,
            r#"{"a":1}}"#,
            r#"{"a":1} x"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":+1}"#,
            r#"{"a":1,"b":tru}"#,
            r#"{"a":1,"b":[1,]}"#,
            r#"{"a":1,"b":[1}"#,
            r#"{"a":1,"b":"\x"}"#,
            r#"{"a":1,"b":"\u12"}"#,
            "{\"a\":1,\"b\":\"\n\"}",
            "{a:1}",
            "{'a':1}",
            "{,\"a\":1}",
            "{\"a\" 1}",
        ] {
            assert_eq!(json_get(json, Key::Name("a")), None, "{json}");
        }
    }

    #[test]
    fn deep_nesting_neither_overflows_nor_is_followed_for_ever() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(json_get(&nested(1000), Key::Name("a")).is_some());
        assert_eq!(json_get(&nested(100_000), Key::Name("a")), None);
    }

    #[test]
    fn columns_of_positions_and_names_are_taken() {
        use arrow::array::{AsArray, Int64Array, StringArray};
        use datafusion_common::config::ConfigOptions;
        use datafusion_expr::{ColumnarValue, ScalarFunctionArgs};

        let function = crate::column::function(specification(), || Ok(()));
        let types = [DataType::Utf8, DataType::Int32];
        assert_eq!(function.coerce_types(&types).unwrap(), [DataType::Utf8, DataType::Int64]);
        let args = vec![
            ColumnarValue::Array(Arc::new(StringArray::from(vec!["[1,2]", "[3,4]", "{}"]))),
            ColumnarValue::Array(Arc::new(Int64Array::from(vec![Some(1), None, Some(0)]))),
        ];
        let return_field = Arc::new(arrow::datatypes::Field::new("r", DataType::Utf8View, true));
        let config_options = Arc::new(ConfigOptions::new());
        let call = ScalarFunctionArgs {
            args,
            arg_fields: vec![],
            number_rows: 3,
            return_field,
            config_options,
        };
        let result = function.invoke_with_args(call).unwrap().into_array(3).unwrap();
        let values: Vec<_> = result.as_string_view().iter().collect();
        assert_eq!(values, [Some("2"), None, None]);
    }

    /// JSON, and now and then what is nearly some.
    pub(in crate::json) fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,2})?([eE][+-]?[0-9])?",
            "\"([a-cż ]|\\\\[nt\"u/]|\\\\u00e9){0,4}\"",
        ]
        .prop_filter("strings end in whole escapes", |leaf| {
            !leaf.contains("\\u") || leaf.contains("\\u00e9")
        });
        leaf.prop_recursive(3, 20, 4, |inner| {
            let array = proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|all| format!("[{}]", all.join(" , ")));
            let object = proptest::collection::vec(("[ab]", inner), 0..4).prop_map(|all| {
                let members: Vec<_> =
                    all.iter().map(|(name, value)| format!("\"{name}\" :{value}")).collect();
                format!("{{ {} }}", members.join(","))
            });
            prop_oneof![array, object]
        })
    }

    /// What a tree has under a key.
    fn in_tree(text: &str, key: Key<'_>) -> Option<String> {
        let json = Json::parse(text, Keeping::Values)?;
        let found = match (json.root().view(), key) {
            (View::Object(members), Key::Name(name)) => members.named(name)?,
            (View::Array(mut elements), Key::Index(index)) => {
                let count = i64::try_from(elements.clone().count()).unwrap();
                let from_start = if index < 0 { index + count } else { index };
                elements.nth(usize::try_from(from_start).ok()?)?
            }
            _ => return None,
        };
        jsonb(found)
    }

    fn jsonb(value: Value<'_>) -> Option<String> {
        let mut written = String::new();
        value.write(Spacing::Blanks, usize::MAX, &mut written).ok().map(|()| written)
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_tree_has(text in json(), name in "[abc]?", index in -3_i64..4) {
            for key in [Key::Name(&name), Key::Index(index)] {
                let found = json_get(&text, key).and_then(|found| {
                    jsonb(Json::parse(found, Keeping::Values)?.root())
                });
                prop_assert_eq!(found, in_tree(&text, key), "{} {:?}", text, key);
            }
        }

        #[test]
        fn nothing_panics(text in "[\\[\\]{}\",:a0-9.\\\\u -]{0,24}|.*", index in any::<i64>()) {
            for key in [Key::Name("a"), Key::Index(index)] {
                let found = json_get_text(&text, key);
                let mut spare = "what was found before".to_owned();
                prop_assert_eq!(text_within(&text, key, &mut spare), found.as_deref());
            }
        }

        #[test]
        fn text_is_the_same_in_a_column(text in json()) {
            let array = format!("[{text}]");
            let found = json_get_text(&array, Key::Index(0));
            let mut spare = "what was found before".to_owned();
            prop_assert_eq!(text_within(&array, Key::Index(0), &mut spare), found.as_deref());
        }

        #[test]
        fn what_is_put_in_comes_out(before in json(), value in json(), after in json()) {
            // A string may hold an escape of the generator that is none; then the whole is no JSON.
            let object = format!("{{\"x\":{before}, \"a\" : {value} ,\"y\":{after}}}");
            let array = format!("[{before},{value} , {after}]");
            let all = json_get(&format!("[{before}]"), Key::Index(0)).is_some()
                && json_get(&format!("[{after}]"), Key::Index(0)).is_some()
                && json_get(&format!("[{value}]"), Key::Index(0)).is_some();
            let expected = all.then_some(value.as_str());
            prop_assert_eq!(json_get(&object, Key::Name("a")), expected);
            prop_assert_eq!(json_get(&array, Key::Index(1)), expected);
            prop_assert_eq!(json_get(&array, Key::Index(-2)), expected);
        }
    }
}
