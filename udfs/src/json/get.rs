//! `json_get` and `json_get_text`: the operators `->` and `->>` on JSON that is kept as text.

use std::borrow::Cow;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::scan::{Scanner, unescape};
use crate::column::{Accepts, Arguments, Parameter, Specification, text, texts};

const PARAMETERS: &[Parameter] = &[
    text("json", "The JSON text."),
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
        evaluate: |arguments| get(arguments, json_get),
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
        evaluate: |arguments| get(arguments, json_get_text),
    }
}

/// What to take out of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// The member of an object; arrays have none.
    Name(&'a str),
    /// The element of an array, from 0, or from -1 at its end; objects have none.
    Index(i64),
}

/// Returns the text of a member or an element of `json`, as it stands there; `None` when it is not there or when `json`
/// is no JSON. Of members with one name the last counts.
pub fn json_get<'a>(json: &'a str, key: Key<'_>) -> Option<&'a str> {
    match key {
        Key::Name(name) => Scanner::new(json).member(name),
        Key::Index(index) => Scanner::new(json).element(index),
    }
}

/// Returns a member or an element of `json` as text: a string without quotes and escapes, all else as it stands; `None`
/// also for the JSON null.
pub fn json_get_text<'a>(json: &'a str, key: Key<'_>) -> Option<Cow<'a, str>> {
    let value = json_get(json, key)?;
    if value == "null" {
        return None;
    }
    match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        Some(string) => Some(unescape(string)),
        None => Some(Cow::Borrowed(value)),
    }
}

fn get<'a, S: AsRef<str>>(
    arguments: &'a Arguments,
    get: impl for<'k> Fn(&'a str, Key<'k>) -> Option<S>,
) -> Result<ArrayRef> {
    let documents = arguments.text(0)?;
    if let Some(indexes) = arguments.integers(1) {
        let element = |row| get(documents.get(row)?, Key::Index(indexes.get(row)?));
        return Ok(texts((0..arguments.rows()).map(element)));
    }
    let names = arguments.text(1)?;
    let member = |row| get(documents.get(row)?, Key::Name(names.get(row)?));
    Ok(texts((0..arguments.rows()).map(member)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        use std::sync::Arc;

        use arrow::array::{AsArray, Int64Array, StringArray};
        use datafusion_common::config::ConfigOptions;
        use datafusion_expr::{ColumnarValue, ScalarFunctionArgs};

        let function = crate::column::function(specification());
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

    fn json() -> impl Strategy<Value = String> {
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

    proptest! {
        #[test]
        fn nothing_panics(text in "[\\[\\]{}\",:a0-9.\\\\u -]{0,24}|.*", index in any::<i64>()) {
            json_get_text(&text, Key::Name("a"));
            json_get_text(&text, Key::Index(index));
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
