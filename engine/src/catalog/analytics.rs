//! Tables, views and sequences that analysts make with SQL, in the schema `analytics` and in schemas of their own, and who
//! may read them.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::Field;
use serde::{Deserialize, Deserializer, Serialize};

use super::foreign_keys::ForeignKey;
use super::references::relations_read;
use super::sequences::{AnalyticsSequence, NumberedColumn, named_or_listed};
use super::state::CatalogState;
use crate::error::{Error, Result};

/// The schema that is there for tables and views of analysts before they make others.
pub const ANALYTICS: &str = "analytics";

/// The schema of temporary tables, which end with their session and are in no document.
pub const TEMPORARY: &str = "pg_temp";

/// Schemas of onefold and of PostgreSQL: nobody makes anything in them.
const RESERVED: [&str; 6] =
    ["public", "sources", "segments", "cdp", "pg_catalog", "information_schema"];

/// What names of PostgreSQL's schemas begin with.
const RESERVED_PREFIX: &str = "pg_";

/// Tells whether a schema is one of onefold's or PostgreSQL's own.
pub fn is_reserved(schema: &str) -> bool {
    RESERVED.contains(&schema) || schema.starts_with(RESERVED_PREFIX)
}

/// Returns the schema and the name of a relation that is kept under `key`.
pub fn placed(key: &str) -> (&str, &str) {
    key.split_once('.').unwrap_or((ANALYTICS, key))
}

/// Returns the qualified name of a relation that is kept under `key`, for messages and records.
pub fn qualified(key: &str) -> String {
    let (schema, name) = placed(key);
    format!("{schema}.{name}")
}

/// Returns what a relation of a schema is kept under. Neither name has a point in it.
pub fn keyed(schema: &str, name: &str) -> String {
    match schema {
        ANALYTICS => name.to_owned(),
        schema => format!("{schema}.{name}"),
    }
}

/// Relations that a view reads at most, each view that it reads written out.
const VIEW_RELATIONS_MAX: u64 = 512;
/// How many views may read each other in a row.
const VIEW_DEPTH_MAX: u64 = 32;

/// A schema that was made for tables and views, beside `analytics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalyticsSchema {
    /// The role that made it.
    pub owner: String,
}

/// A table, a view or a sequence that analysts made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalyticsRelation {
    /// The role that made it.
    pub owner: String,
    /// `COMMENT ON TABLE` or `VIEW`.
    pub comment: Option<String>,
    /// `COMMENT ON COLUMN`, by column.
    pub column_comments: BTreeMap<String, String>,
    /// What it is.
    pub body: AnalyticsBody,
}

/// What a relation that analysts made is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnalyticsBody {
    /// Rows of its own.
    Table(AnalyticsTable),
    /// A query, planned anew for whoever reads it.
    View(AnalyticsView),
    /// Numbers, each of which is given once.
    Sequence(AnalyticsSequence),
}

/// A table that analysts made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalyticsTable {
    /// Where its rows lie in the lake.
    pub path: String,
    /// The one purpose that it is read and written for; `None` if any will do.
    pub purpose: Option<String>,
    /// Whether each row belongs to a person, as its `profile_id` says: the row exists only for whom the person does.
    pub of_persons: bool,
    /// Columns that are never null.
    pub not_null: BTreeSet<String>,
    /// Columns whose rows are numbered as they are put in, and by what.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "named_or_listed"
    )]
    pub numbered: BTreeMap<String, NumberedColumn>,
    /// What columns are in rows that have no value for them, as SQL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, String>,
    /// What columns are computed of, as SQL over the others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub generated: BTreeMap<String, String>,
    /// The columns that are the primary key, in order; none if there is no key.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_more")]
    pub primary_key: Vec<String>,
    /// The name of the primary key, if it is another one than follows from that of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_key_name: Option<String>,
    /// What else keeps rows apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique: Vec<UniqueConstraint>,
    /// What each row fulfils.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckConstraint>,
    /// Which of its columns refer to keys of tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKey>,
    /// The query that `REFRESH MATERIALIZED VIEW` fills it with, if it is one. Names in it have their schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

/// A constraint by which no two rows have the same values in some columns. Nulls are no values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueConstraint {
    /// Its name, which no other constraint of the schema has.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
}

/// A constraint by which a condition is true or unknown for each row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckConstraint {
    /// Its name, which no other constraint of the table has.
    pub name: String,
    /// The condition, as SQL.
    pub condition: String,
    /// The columns that it is about, in order.
    pub columns: Vec<String>,
    /// Whether only rows that come fulfil it: those that were there were not looked at.
    #[serde(default)]
    pub not_valid: bool,
}

/// What holds for the rows of a relation beside that it has a primary key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraints {
    /// The name of the primary key, if it is another one than follows from that of the relation.
    pub primary_key_name: Option<String>,
    /// What else keeps rows apart.
    pub unique: Vec<UniqueConstraint>,
    /// What each row fulfils.
    pub checks: Vec<CheckConstraint>,
    /// Which of its columns refer to keys of tables.
    pub foreign_keys: Vec<ForeignKey>,
}

impl AnalyticsTable {
    /// Returns what holds for its rows beside that it has a primary key.
    pub fn constraints(&self) -> Constraints {
        let (primary_key_name, unique) = (self.primary_key_name.clone(), self.unique.clone());
        let (checks, foreign_keys) = (self.checks.clone(), self.foreign_keys.clone());
        Constraints { primary_key_name, unique, checks, foreign_keys }
    }

    /// Returns what keeps the rows of the table apart that is kept under `name`: the primary key first.
    pub fn keys(&self, name: &str) -> Vec<UniqueConstraint> {
        let primary = UniqueConstraint {
            name: self.name_of_primary_key(name),
            columns: self.primary_key.clone(),
        };
        let primary = Some(primary).filter(|key| !key.columns.is_empty());
        primary.into_iter().chain(self.unique.iter().cloned()).collect()
    }

    /// Returns the name that the primary key has, or would have, of the table that is kept under `name`.
    pub fn name_of_primary_key(&self, name: &str) -> String {
        let usual = || format!("{}_pkey", placed(name).1);
        self.primary_key_name.clone().unwrap_or_else(usual)
    }

    /// Makes columns the primary key, which is called `key`, of the table that is kept under `name`.
    pub fn set_primary_key(&mut self, name: &str, columns: Vec<String>, key: String) {
        self.drop_primary_key();
        self.primary_key_name = Some(key).filter(|key| *key != self.name_of_primary_key(name));
        self.not_null.extend(columns.iter().cloned());
        self.primary_key = columns;
    }

    /// Takes the primary key away. Its columns stay what they are.
    pub fn drop_primary_key(&mut self) {
        self.primary_key.clear();
        self.primary_key_name = None;
    }
}

/// Reads the names of columns; documents of earlier versions have one name and no list.
fn one_or_more<'de, D: Deserializer<'de>>(names: D) -> std::result::Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(String),
        More(Vec<String>),
    }
    Ok(match Names::deserialize(names)? {
        Names::One(name) => vec![name],
        Names::More(names) => names,
    })
}

/// A view that analysts made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalyticsView {
    /// Its query. Names in it have their schema.
    pub query: String,
    /// Its columns, as they were when it was made.
    pub columns: Vec<Field>,
}

impl AnalyticsRelation {
    /// Returns `table`, `view`, `materialized view` or `sequence`.
    pub fn word(&self) -> &'static str {
        match &self.body {
            AnalyticsBody::Table(table) if table.definition.is_some() => "materialized view",
            AnalyticsBody::Table(_) => "table",
            AnalyticsBody::View(_) => "view",
            AnalyticsBody::Sequence(_) => "sequence",
        }
    }

    /// Returns its query, if it is a view or a materialized one.
    pub fn query(&self) -> Option<&str> {
        match &self.body {
            AnalyticsBody::Table(table) => table.definition.as_deref(),
            AnalyticsBody::View(view) => Some(&view.query),
            AnalyticsBody::Sequence(_) => None,
        }
    }

    /// Returns the table, if it is one.
    pub fn table(&self) -> Option<&AnalyticsTable> {
        match &self.body {
            AnalyticsBody::Table(table) => Some(table),
            AnalyticsBody::View(_) | AnalyticsBody::Sequence(_) => None,
        }
    }

    /// Returns the view, if it is one.
    pub fn view(&self) -> Option<&AnalyticsView> {
        match &self.body {
            AnalyticsBody::View(view) => Some(view),
            AnalyticsBody::Table(_) | AnalyticsBody::Sequence(_) => None,
        }
    }

    /// Returns the sequence, if it is one.
    pub fn sequence(&self) -> Option<&AnalyticsSequence> {
        match &self.body {
            AnalyticsBody::Sequence(sequence) => Some(sequence),
            AnalyticsBody::Table(_) | AnalyticsBody::View(_) => None,
        }
    }
}

impl CatalogState {
    /// Fails if a relation is in a schema that is not there.
    pub fn check_schemas(&self) -> Result<()> {
        let known = |schema: &str| {
            schema == ANALYTICS || schema == TEMPORARY || self.schemas.contains_key(schema)
        };
        let lost = self.analytics.keys().map(|key| placed(key)).find(|(schema, _)| !known(schema));
        lost.map_or(Ok(()), |(schema, name)| {
            Err(Error::Standard {
                sqlstate: "40001",
                message: format!(
                    "could not commit: \"{name}\" is in schema \"{schema}\", which another session has dropped"
                ),
                hint: "Nothing was changed. Run the transaction again.".into(),
            })
        })
    }

    /// Returns the views that analysts made, materialized ones among them, and that name the relation kept under `name`, in
    /// the order of their names.
    pub fn views_over(&self, name: &str) -> Vec<String> {
        let reads = |query: &str| reads_analytics(query).any(|read| read == name);
        let views = self.analytics.iter().filter(|(view, relation)| {
            view.as_str() != name && relation.query().is_some_and(reads)
        });
        views.map(|(view, _)| view.clone()).collect()
    }

    /// Fails if a view that analysts made reads itself by way of others, or too much of them.
    pub fn check_views(&self) -> Result<()> {
        let mut counted = BTreeMap::new();
        self.analytics.keys().try_for_each(|name| self.weigh(name, &mut counted).map(drop))
    }

    /// Returns how many relations `name` stands for, and how many views lie below each other in it; `counted` has `None`
    /// for views that are being counted.
    fn weigh(
        &self,
        name: &str,
        counted: &mut BTreeMap<String, Option<(u64, u64)>>,
    ) -> Result<(u64, u64)> {
        match counted.get(name) {
            Some(Some(weight)) => return Ok(*weight),
            Some(None) => {
                return Err(Error::Standard {
                    sqlstate: "42P17",
                    message: format!("view \"{}\" would read itself", qualified(name)),
                    hint: "Name another relation in one of the views that it reads.".into(),
                });
            }
            None => {}
        }
        let Some(view) = self.analytics.get(name).and_then(AnalyticsRelation::view) else {
            return Ok((1, 0));
        };
        counted.insert(name.to_owned(), None);
        let (mut weight, mut depth) = (1u64, 1u64);
        for (schema, read) in relations_read(&view.query) {
            let (inner, below) = match made(schema.as_deref(), &read) {
                Some(key) => self.weigh(&key, counted)?,
                None => (1, 0),
            };
            weight = weight.saturating_add(inner);
            depth = depth.max(below + 1);
        }
        if weight > VIEW_RELATIONS_MAX || depth > VIEW_DEPTH_MAX {
            return Err(Error::Limit {
                sqlstate: "54001",
                message: format!(
                    "view \"{}\" reads more than {VIEW_RELATIONS_MAX} relations, or {VIEW_DEPTH_MAX} views one below the other",
                    qualified(name)
                ),
                hint: "Make a table of one of the views that it reads.".into(),
            });
        }
        counted.insert(name.to_owned(), Some((weight, depth)));
        Ok((weight, depth))
    }
}

/// Returns what the relations that a query names are kept under, of those that analysts make.
pub(crate) fn reads_analytics(query: &str) -> impl Iterator<Item = String> {
    let read = relations_read(query).into_iter();
    read.filter_map(|(schema, name)| made(schema.as_deref(), &name))
}

/// Returns what a relation that a query names is kept under, if it is in a schema for what analysts make.
fn made(schema: Option<&str>, name: &str) -> Option<String> {
    let is_theirs = |schema: &&str| *schema == TEMPORARY || !is_reserved(schema);
    let schema = schema.filter(is_theirs).filter(|schema| !schema.contains('.'))?;
    (!name.contains('.')).then(|| keyed(schema, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(views: &[(&str, &str)]) -> CatalogState {
        let mut state = CatalogState::new([0; 16]);
        for (name, query) in views {
            let body =
                AnalyticsBody::View(AnalyticsView { query: (*query).into(), columns: vec![] });
            let relation = AnalyticsRelation {
                owner: "ada".into(),
                comment: None,
                column_comments: BTreeMap::new(),
                body,
            };
            state.analytics.insert((*name).into(), relation);
        }
        state
    }

    #[test]
    fn a_view_may_not_read_itself_by_way_of_others() {
        let circle = [("a", "SELECT * FROM analytics.b"), ("b", "SELECT * FROM analytics.a")];
        assert_eq!(state(&circle).check_views().unwrap_err().sqlstate(), "42P17");
        let line = [("a", "SELECT * FROM analytics.b"), ("b", "SELECT * FROM public.a")];
        state(&line).check_views().unwrap();
        assert_eq!(state(&line).views_over("b"), ["a"]);
        let schemas = [("a", "SELECT * FROM marts.b"), ("marts.b", "SELECT * FROM analytics.a")];
        assert_eq!(state(&schemas).check_views().unwrap_err().sqlstate(), "42P17");
        assert_eq!(state(&schemas).views_over("a"), ["marts.b"]);
    }

    #[test]
    fn a_relation_is_in_a_schema_that_is_there() {
        let mut state = state(&[("a", "SELECT 1 AS one"), ("marts.a", "SELECT 2 AS two")]);
        assert_eq!(state.check_schemas().unwrap_err().sqlstate(), "40001");
        state.schemas.insert("marts".into(), AnalyticsSchema { owner: "ada".into() });
        state.check_schemas().unwrap();
        assert_eq!(placed("marts.a"), ("marts", "a"));
        assert_eq!((keyed(ANALYTICS, "a"), keyed("marts", "a")), ("a".into(), "marts.a".into()));
        assert!(is_reserved("sources") && is_reserved("pg_toast") && !is_reserved("analytics_x"));
    }

    #[test]
    fn views_over_views_are_counted_written_out() {
        let doubled: Vec<(String, String)> = (0..12)
            .map(|n| {
                let below = format!("analytics.v{}", n + 1);
                (format!("v{n}"), format!("SELECT * FROM {below} a, {below} b"))
            })
            .collect();
        let views: Vec<(&str, &str)> =
            doubled.iter().map(|(name, query)| (name.as_str(), query.as_str())).collect();
        assert_eq!(state(&views).check_views().unwrap_err().sqlstate(), "54001");
        state(&views[6..]).check_views().unwrap();
    }

    #[test]
    fn a_document_keeps_what_analysts_made() {
        let state = state(&[("a", "SELECT 1 AS one")]);
        assert_eq!(CatalogState::from_bytes(&state.to_bytes().unwrap()).unwrap(), state);
    }

    #[test]
    fn a_primary_key_keeps_the_name_that_it_is_given() {
        let text = r#"{"path":"analytics/1","purpose":null,"of_persons":false,"not_null":[]}"#;
        let mut table: AnalyticsTable = serde_json::from_str(text).unwrap();
        table.set_primary_key("marts.t", vec!["a".into()], "t_pkey".into());
        assert_eq!((table.primary_key_name.clone(), table.not_null.len()), (None, 1));
        table.set_primary_key("marts.t", vec!["b".into()], "own".into());
        assert_eq!(table.keys("marts.u")[0].name, "own");
        table.drop_primary_key();
        assert!(table.keys("marts.t").is_empty());
    }

    #[test]
    fn a_key_of_one_column_is_read_as_it_was_written_before() {
        for (key, columns) in [
            (r#","primary_key":"id""#, &["id"][..]),
            (r#","primary_key":["a","b"]"#, &["a", "b"][..]),
            ("", &[][..]),
        ] {
            let text = format!(
                r#"{{"path":"analytics/1","purpose":null,"of_persons":false,"not_null":[]{key}}}"#
            );
            let table: AnalyticsTable = serde_json::from_str(&text).unwrap();
            assert_eq!(table.primary_key, columns);
        }
    }
}
