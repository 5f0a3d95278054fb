//! One catalog document: everything about a lake that is not in its tables.

use std::collections::{BTreeMap, BTreeSet};

use connectors::Cursor;
use serde::{Deserialize, Serialize};

use super::analytics::{AnalyticsRelation, AnalyticsSchema};
use super::definition::{Body, Definition, Kind};
use super::identity::IdentityGraph;
use crate::error::{Error, Result};

/// The layout of catalog documents; another number is refused.
const FORMAT: u32 = 1;

/// The state of a lake after one publication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogState {
    format: u32,
    /// The number of this document.
    pub sequence: u64,
    /// The writer's fencing epoch.
    pub epoch: u64,
    /// When it was published, in microseconds since 1970.
    pub published_at: i64,
    /// The key of the permutation that makes profile ids, in hexadecimal.
    pub profile_key: String,
    /// Counts changes of definitions.
    pub definition_version: u64,
    /// The definitions by `kind/name`.
    definitions: BTreeMap<String, Stored>,
    /// The schemas that were made for tables and views, beside `analytics`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schemas: BTreeMap<String, AnalyticsSchema>,
    /// The tables, views and sequences that analysts made, by name: those of another schema than `analytics` by schema and name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub analytics: BTreeMap<String, AnalyticsRelation>,
    /// The greatest number in the path of such a table, or of a sequence: no two of them ever have the same.
    #[serde(default)]
    pub analytics_made: u64,
    /// The tables by their path in the lake.
    pub tables: BTreeMap<String, TableState>,
    /// Tables that are no more, and since when: their files go once nobody can read them any more.
    #[serde(default)]
    pub dropped: BTreeMap<String, i64>,
    /// When a process that ended after its work last looked for files that nobody needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swept_at: Option<i64>,
    /// The sources that were read.
    pub sources: BTreeMap<String, SourceState>,
    /// For each derived table, what it was computed from.
    pub coverage: BTreeMap<String, Coverage>,
    /// The next subject ordinal.
    pub next_subject: u64,
    /// The folder that file sources read from.
    pub file_root: Option<String>,
    /// Where the profiles lie; their columns follow the definitions, and other columns make another table.
    pub profiles_path: Option<String>,
    /// The identity graph that made the people there are. It can be another than the one that is defined: that one
    /// comes into force with the next refresh of identity.
    pub graph_in_force: Option<GraphInForce>,
}

/// The identity graph that people were made by: their identifiers are in its normal forms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphInForce {
    /// The `definition_version` that made it.
    pub version: u64,
    /// Its definition.
    pub graph: IdentityGraph,
}

/// A definition and when it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    definition: Definition,
    /// The `definition_version` that made it.
    version: u64,
    created_at: i64,
}

/// Which version of a table is current.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// The version in the table's own log.
    pub version: u64,
}

/// How far a source was read, and what was met on the way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceState {
    /// Where to resume.
    pub cursor: Cursor,
    /// For each file, by what tells it from others, the last position that was taken.
    pub positions: BTreeMap<String, u64>,
    /// Values that became null, by column.
    pub nulled: BTreeMap<String, u64>,
    /// Values that were left out, by a name that stands in no column: it came up after the columns were inferred.
    #[serde(default)]
    pub ignored: BTreeMap<String, u64>,
    /// Files that end within a row, which is read once it is complete.
    #[serde(default)]
    pub incomplete: BTreeSet<String>,
    /// Files, by what tells them apart, whose last row ended with the file and was taken: should it grow, it was none.
    #[serde(default)]
    pub provisional: BTreeSet<String>,
    /// Rows that could not be taken.
    pub rejected: u64,
    /// Rows that were there already.
    pub duplicates: u64,
    /// For each event name, the properties seen and the narrowest type that holds them.
    pub events: BTreeMap<String, BTreeMap<String, String>>,
    /// When it was last read to the end.
    pub refreshed_at: Option<i64>,
}

/// The versions of its inputs that a derived table covers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// By table path.
    pub inputs: BTreeMap<String, u64>,
    /// The newest definition that went into it.
    pub definition_version: u64,
    /// When it was computed, in microseconds since 1970.
    pub at: i64,
}

impl CatalogState {
    /// Returns the state of a lake that nothing was put into.
    pub fn new(profile_key: [u8; 16]) -> Self {
        Self {
            format: FORMAT,
            sequence: 0,
            epoch: 0,
            published_at: 0,
            profile_key: hex::encode(profile_key),
            definition_version: 0,
            definitions: BTreeMap::new(),
            schemas: BTreeMap::new(),
            analytics: BTreeMap::new(),
            analytics_made: 0,
            tables: BTreeMap::new(),
            dropped: BTreeMap::new(),
            swept_at: None,
            sources: BTreeMap::new(),
            coverage: BTreeMap::new(),
            next_subject: 0,
            file_root: None,
            profiles_path: None,
            graph_in_force: None,
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is damaged or of another layout.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut state: Self = serde_json::from_slice(bytes).map_err(|source| Error::Corrupt {
            message: "the catalog document cannot be read".into(),
            source: Some(Box::new(source)),
        })?;
        if state.format != FORMAT {
            return Err(Error::Corrupt {
                message: format!(
                    "the catalog has layout {}, this is for layout {FORMAT}",
                    state.format
                ),
                source: None,
            });
        }
        state.add_sequences();
        Ok(state)
    }

    /// Writes the document.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|source| Error::Corrupt {
            message: "the catalog document cannot be written".into(),
            source: Some(Box::new(source)),
        })
    }

    /// Returns the key of the permutation that makes profile ids.
    pub fn profile_key(&self) -> Result<[u8; 16]> {
        let mut key = [0; 16];
        hex::decode_to_slice(&self.profile_key, &mut key).map_err(|source| Error::Corrupt {
            message: "the catalog's profile key is damaged".into(),
            source: Some(Box::new(source)),
        })?;
        Ok(key)
    }

    /// Returns the definition of `kind` named `name`.
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Definition> {
        self.definitions.get(&key(kind, name)).map(|stored| &stored.definition)
    }

    /// Returns the definition of `kind` named `name`, or [`Error::Missing`].
    pub fn expect(&self, kind: Kind, name: &str) -> Result<&Definition> {
        self.get(kind, name).ok_or_else(|| Error::Missing {
            kind: kind.word(),
            name: name.into(),
            hint: format!("SHOW {} lists what there is.", kind.words().to_uppercase()),
        })
    }

    /// Returns which `definition_version` made an object, 0 if it is absent.
    pub fn version_of(&self, kind: Kind, name: &str) -> u64 {
        self.definitions.get(&key(kind, name)).map_or(0, |stored| stored.version)
    }

    /// Returns the newest `definition_version` of a kind of objects, 0 if there are none.
    pub fn newest_of(&self, kind: Kind) -> u64 {
        let prefix = format!("{}/", kind.word());
        self.definitions
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix))
            .map(|(_, stored)| stored.version)
            .max()
            .unwrap_or(0)
    }

    /// Returns when an object was made, in microseconds since 1970.
    pub fn created_at(&self, kind: Kind, name: &str) -> Option<i64> {
        self.definitions.get(&key(kind, name)).map(|stored| stored.created_at)
    }

    /// Returns the objects of one kind, by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Definition> {
        self.definitions
            .values()
            .map(|stored| &stored.definition)
            .filter(move |definition| definition.body.kind() == kind)
    }

    /// Returns every object, by kind and name.
    pub fn all(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.values().map(|stored| &stored.definition)
    }

    /// Returns the identity graph, if one is defined.
    pub fn graph(&self) -> Option<(&str, &IdentityGraph)> {
        self.of_kind(Kind::IdentityGraph).find_map(|definition| match &definition.body {
            Body::IdentityGraph(graph) => Some((definition.name.as_str(), graph)),
            _ => None,
        })
    }

    /// Returns the identity graph as it is defined, with its version.
    pub fn defined_graph(&self) -> Option<GraphInForce> {
        let (name, graph) = self.graph()?;
        let version = self.version_of(Kind::IdentityGraph, name);
        Some(GraphInForce { version, graph: graph.clone() })
    }

    /// Puts a definition in place of the one of its kind and name, if any.
    pub fn put(&mut self, definition: Definition, now: i64) {
        self.definition_version += 1;
        let stored = Stored { version: self.definition_version, created_at: now, definition };
        self.definitions
            .insert(key(stored.definition.body.kind(), &stored.definition.name), stored);
    }

    /// Changes a comment; the object keeps its version, since nothing computed depends on it.
    pub fn comment(&mut self, kind: Kind, name: &str, comment: Option<String>) -> Result<()> {
        self.expect(kind, name)?;
        if let Some(stored) = self.definitions.get_mut(&key(kind, name)) {
            stored.definition.comment = comment;
        }
        Ok(())
    }

    /// Removes a definition and tells whether it was there.
    pub fn remove(&mut self, kind: Kind, name: &str) -> bool {
        let there = self.definitions.remove(&key(kind, name)).is_some();
        self.definition_version += u64::from(there);
        there
    }
}

fn key(kind: Kind, name: &str) -> String {
    format!("{}/{name}", kind.word())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{LegalBasis, Purpose};

    fn purpose(name: &str) -> Definition {
        Definition {
            name: name.into(),
            sql: format!("CREATE PURPOSE {name} LEGAL BASIS consent"),
            comment: None,
            body: Body::Purpose(Purpose { basis: LegalBasis::Consent }),
        }
    }

    #[test]
    fn a_document_survives_its_bytes() {
        let mut state = CatalogState::new([7; 16]);
        state.put(purpose("analytics"), 5);
        let read = CatalogState::from_bytes(&state.to_bytes().unwrap()).unwrap();
        assert_eq!(read, state);
        assert_eq!(read.profile_key().unwrap(), [7; 16]);
    }

    #[test]
    fn replacing_counts_a_version_and_commenting_does_not() {
        let mut state = CatalogState::new([0; 16]);
        state.put(purpose("a"), 1);
        state.put(purpose("a"), 2);
        assert_eq!((state.version_of(Kind::Purpose, "a"), state.newest_of(Kind::Purpose)), (2, 2));
        state.comment(Kind::Purpose, "a", Some("why".into())).unwrap();
        assert_eq!(state.definition_version, 2);
        assert!(state.remove(Kind::Purpose, "a") && !state.remove(Kind::Purpose, "a"));
        assert!(matches!(state.comment(Kind::Purpose, "a", None), Err(Error::Missing { .. })));
    }

    #[test]
    fn another_layout_is_refused() {
        let bytes = CatalogState::new([0; 16]).to_bytes().unwrap();
        let changed = String::from_utf8(bytes).unwrap().replace("\"format\":1", "\"format\":2");
        assert!(matches!(CatalogState::from_bytes(changed.as_bytes()), Err(Error::Corrupt { .. })));
    }
}
