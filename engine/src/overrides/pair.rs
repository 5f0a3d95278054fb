//! The name of a pair of records: a text that says which two they are, so that it means the same after every refresh, in every
//! copy of the lake, and whether or not anything is known of the pair.

use crate::error::{Error, Result};
use crate::identity::RecordName;

/// Two records, whichever was named first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RecordPair {
    records: [RecordName; 2],
}

impl RecordPair {
    pub(crate) fn of(one: RecordName, other: RecordName) -> Self {
        Self { records: if other < one { [other, one] } else { [one, other] } }
    }

    /// Reads the name of a pair.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let parts: Option<[String; 4]> = serde_json::from_str(text).ok();
        let [source, key, other_source, other_key] = parts.ok_or_else(|| Error::Standard {
            sqlstate: "22P02",
            message: "the pair is no list of source, key, source and key".into(),
            hint: "SELECT pair FROM cdp.identity_review shows names of pairs, such as [\"crm\",\"C-1\",\"shop\",\"77\"].".into(),
        })?;
        let one = RecordName { source, key };
        Ok(Self::of(one, RecordName { source: other_source, key: other_key }))
    }

    /// Returns the name of the pair.
    pub(crate) fn text(&self) -> String {
        let texts = self.records.iter().flat_map(|record| [&record.source, &record.key]);
        let quoted = texts.map(|text| serde_json::Value::from(text.as_str()).to_string());
        format!("[{}]", quoted.collect::<Vec<_>>().join(","))
    }

    pub(crate) fn records(&self) -> &[RecordName; 2] {
        &self.records
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record((source, key): (String, String)) -> RecordName {
        RecordName { source, key }
    }

    #[test]
    fn a_name_is_a_list_of_four_texts_in_one_order() {
        let names = [("shop", "7"), ("crm", "C-\"1\"")];
        let [one, other] = names.map(|(source, key)| record((source.into(), key.into())));
        let pair = RecordPair::of(one, other);
        assert_eq!(pair.text(), r#"["crm","C-\"1\"","shop","7"]"#);
        assert_eq!(RecordPair::read(r#" [ "shop", "7", "crm", "C-\"1\"" ] "#).unwrap(), pair);
        for text in ["", "crm", "[1,2,3,4]", r#"["a","b","c"]"#, r#"["a","b","c","d","e"]"#] {
            let error = RecordPair::read(text).unwrap_err();
            assert!(matches!(error, Error::Standard { sqlstate: "22P02", .. }), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn every_pair_is_read_back(one in any::<(String, String)>(), other in any::<(String, String)>()) {
            let pair = RecordPair::of(record(one.clone()), record(other.clone()));
            prop_assert_eq!(RecordPair::read(&pair.text()).unwrap(), pair.clone());
            prop_assert_eq!(RecordPair::of(record(other), record(one)), pair);
        }
    }
}
