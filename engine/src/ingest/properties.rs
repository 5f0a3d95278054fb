//! What the properties of each event name look like: the columns of its typed view.

use std::collections::BTreeMap;
use std::fmt;

use arrow::array::{Array, StringArray};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// Properties of one event name at most; further ones stay in the JSON.
const PROPERTIES_MAX: usize = 200;

/// Event names at most; events of further names get no view.
const EVENT_NAMES_MAX: usize = 1000;

/// For each event name, the SQL type of each property.
pub(super) type EventProperties = BTreeMap<String, BTreeMap<String, String>>;

/// Widens `known` by what the rows of a chunk hold.
pub(super) fn observe(known: &mut EventProperties, names: &StringArray, properties: &StringArray) {
    for row in 0..names.len() {
        if names.is_null(row) {
            continue;
        }
        let name = names.value(row);
        if !known.contains_key(name) {
            if known.len() >= EVENT_NAMES_MAX {
                continue;
            }
            known.insert(name.to_owned(), BTreeMap::new());
        }
        if properties.is_null(row) {
            continue;
        }
        if let Some(event) = known.get_mut(name) {
            let mut reader = serde_json::Deserializer::from_str(properties.value(row));
            // A row whose properties are no object was refused by the source; nothing is learnt from one that slips by.
            let _ = reader.deserialize_map(Types { event });
        }
    }
}

/// The SQL type that holds both.
fn widest(known: &str, seen: &'static str) -> &'static str {
    match (known, seen) {
        ("boolean", "boolean") => "boolean",
        ("bigint", "bigint") => "bigint",
        ("bigint" | "double precision", "bigint" | "double precision") => "double precision",
        ("jsonb", _) | (_, "jsonb") => "jsonb",
        _ => "text",
    }
}

/// Reads an object's keys and the types of its values, and no value.
struct Types<'a> {
    event: &'a mut BTreeMap<String, String>,
}

impl<'de> Visitor<'de> for Types<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let seen = map.next_value::<TypeOf>()?.0;
            let Some(seen) = seen else { continue };
            if let Some(known) = self.event.get_mut(key.as_ref()) {
                let widened = if known == seen { seen } else { widest(known, seen) };
                if known != widened {
                    *known = widened.to_owned();
                }
            } else if self.event.len() < PROPERTIES_MAX {
                self.event.insert(key.into_owned(), seen.to_owned());
            }
        }
        Ok(())
    }
}

/// The SQL type of a JSON value; `None` for null.
struct TypeOf(Option<&'static str>);

impl<'de> serde::Deserialize<'de> for TypeOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kind;
        impl<'de> Visitor<'de> for Kind {
            type Value = TypeOf;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, _: bool) -> Result<TypeOf, E> {
                Ok(TypeOf(Some("boolean")))
            }
            fn visit_i64<E>(self, _: i64) -> Result<TypeOf, E> {
                Ok(TypeOf(Some("bigint")))
            }
            fn visit_u64<E>(self, value: u64) -> Result<TypeOf, E> {
                Ok(TypeOf(Some(if i64::try_from(value).is_ok() {
                    "bigint"
                } else {
                    "double precision"
                })))
            }
            fn visit_f64<E>(self, _: f64) -> Result<TypeOf, E> {
                Ok(TypeOf(Some("double precision")))
            }
            fn visit_str<E>(self, _: &str) -> Result<TypeOf, E> {
                Ok(TypeOf(Some("text")))
            }
            fn visit_unit<E>(self) -> Result<TypeOf, E> {
                Ok(TypeOf(None))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<TypeOf, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(TypeOf(Some("jsonb")))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TypeOf, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(TypeOf(Some("jsonb")))
            }
        }
        deserializer.deserialize_any(Kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_widen_and_never_narrow() {
        let mut known = EventProperties::new();
        let names = StringArray::from(vec![Some("buy"), Some("buy"), Some("view"), None]);
        let rows = StringArray::from(vec![
            Some(r#"{"price": 3, "ok": true, "tag": "x", "gone": null}"#),
            Some(r#"{"price": 3.5, "ok": "yes", "list": [1, {"a": 2}]}"#),
            None,
            Some(r#"{"ignored": 1}"#),
        ]);
        observe(&mut known, &names, &rows);
        let buy: Vec<_> =
            known["buy"].iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
        assert_eq!(
            buy,
            [("list", "jsonb"), ("ok", "text"), ("price", "double precision"), ("tag", "text")]
        );
        assert!(known["view"].is_empty());
    }
}
