//! What is published of the graph as it is now: the classes of identifiers, refused edges, and why profiles are one.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;

use super::EXPIRED;
use super::lines::PROFILES_MAX;
use crate::catalog::Published;
use crate::error::{Error, Result};
use crate::explain::may_have;
use crate::identity::{ValueClass, hash};
use crate::lake::Lake;
use crate::tables::{self, SystemLayout};

/// A rule, and the word for what refused its edges.
pub(super) type Refusals = BTreeMap<(String, String), usize>;

/// An identifier that profiles have now.
#[derive(Debug, Clone)]
pub(super) struct Held<'a> {
    pub(super) kind: &'a str,
    pub(super) value: &'a str,
    pub(super) class: &'static str,
}

/// A record, or what has no key: its source alone.
pub(super) type Name<'a> = (&'a str, Option<&'a str>);

/// An edge that joined two records.
#[derive(Debug, Clone)]
pub(super) struct Joined {
    /// The anchor of their profile.
    pub(super) anchor: u32,
    pub(super) rule: String,
    pub(super) value: String,
    /// Source and key of each.
    pub(super) ends: [(String, String); 2],
}

/// Identifiers and refused edges as they are published.
pub(super) struct Before {
    identifiers: Vec<RecordBatch>,
    pub(super) refusals: Refusals,
    /// By [`refusal_hash`].
    pub(super) refused: HashSet<u64>,
}

impl Before {
    pub(super) async fn read(lake: &Lake, published: &Published) -> Result<Self> {
        let columns = ["kind", "value", "status", "profile_id"];
        let identifiers =
            columns_of(lake, published, &tables::PROFILE_IDENTIFIERS, &columns).await?;
        let columns = [
            "rule",
            "reason",
            "left_source",
            "left_record_key",
            "right_source",
            "right_record_key",
        ];
        let violations =
            columns_of(lake, published, &tables::IDENTITY_VIOLATIONS, &columns).await?;
        let (mut refusals, mut refused) = (Refusals::new(), HashSet::new());
        for rows in &violations {
            let columns = texts_of(rows, columns.len())?;
            for row in 0..rows.num_rows() {
                let (rule, reason) = (columns[0].value(row), columns[1].value(row));
                *refusals.entry((rule.to_owned(), reason.to_owned())).or_default() += 1;
                let end = |at: usize| (columns[at].value(row), text(&columns[at + 1], row));
                refused.insert(refusal_hash(rule, reason, end(2), end(4)));
            }
        }
        Ok(Self { identifiers, refusals, refused })
    }

    /// Visits each identifier, once for each profile that has it.
    pub(super) fn each_identifier(&self, mut visit: impl FnMut(Held<'_>, i64)) -> Result<()> {
        for rows in &self.identifiers {
            let [kinds, values, classes] = [0, 1, 2].map(|at| tables::texts(rows.column(at)));
            let (kinds, values, classes) = (kinds?, values?, classes?);
            let profiles = rows.column(3).as_primitive::<Int64Type>();
            for row in 0..rows.num_rows() {
                let (kind, value) = (kinds.value(row), values.value(row));
                let class = class_of(classes.value(row))?;
                visit(Held { kind, value, class }, profiles.value(row));
            }
        }
        Ok(())
    }

    /// Returns the first profiles that have each of these identifiers, which are named by [`identifier_hash`].
    pub(super) fn holders(&self, identifiers: &HashSet<u64>) -> Result<HashMap<u64, Vec<i64>>> {
        let mut holders: HashMap<u64, Vec<i64>> = HashMap::new();
        self.each_identifier(|held, profile| {
            let hash = identifier_hash(held.kind, held.value);
            if identifiers.contains(&hash) {
                let known = holders.entry(hash).or_default();
                if known.len() < PROFILES_MAX {
                    known.push(profile);
                }
            }
        })?;
        Ok(holders)
    }
}

/// Reads the edges that join records of the profiles with these anchors, which ascend.
pub(super) async fn joined(
    lake: &Lake,
    published: &Published,
    anchors: &[u32],
) -> Result<Vec<Joined>> {
    let layout = &tables::IDENTITY_EDGES;
    let Some(table) = published.table(layout.path) else { return Ok(vec![]) };
    let columns = [
        "_subject",
        "joined",
        "rule",
        "value",
        "left_source",
        "left_record_key",
        "right_source",
        "right_record_key",
    ];
    let schema = crate::table_read::project(&table.schema, &columns)?;
    let mut found = Vec::new();
    for file in table.files_in_order() {
        if !may_have(&file, anchors) {
            continue;
        }
        for rows in crate::table_read::read_file(lake, layout.path, &file, &schema).await? {
            let subjects = rows.column(0).as_primitive::<Int64Type>();
            let joined = rows.column(1).as_boolean();
            let texts: Vec<StringArray> =
                (2..8).map(|at| tables::texts(rows.column(at))).collect::<Result<_>>()?;
            for row in 0..rows.num_rows() {
                let anchor = subjects.value(row) as u32;
                if !joined.value(row) || anchors.binary_search(&anchor).is_err() {
                    continue;
                }
                let end = |at: usize| {
                    let key = text(&texts[at + 1], row)?;
                    Some((texts[at].value(row).to_owned(), key.to_owned()))
                };
                if let (Some(left), Some(right)) = (end(2), end(4)) {
                    let (rule, value) = (texts[0].value(row), texts[1].value(row));
                    let (rule, value) = (rule.to_owned(), value.to_owned());
                    found.push(Joined { anchor, rule, value, ends: [left, right] });
                }
            }
        }
    }
    Ok(found)
}

async fn columns_of(
    lake: &Lake,
    published: &Published,
    layout: &SystemLayout,
    columns: &[&str],
) -> Result<Vec<RecordBatch>> {
    match published.table(layout.path) {
        Some(table) => crate::table_read::read_table(lake, layout.path, &table, columns).await,
        None => Ok(vec![]),
    }
}

fn texts_of(rows: &RecordBatch, columns: usize) -> Result<Vec<StringArray>> {
    (0..columns).map(|at| tables::texts(rows.column(at))).collect()
}

/// Returns whom a profile's identifier identifies.
fn class_of(word: &str) -> Result<&'static str> {
    let class = match word {
        EXPIRED => Some(ValueClass::Nobody),
        word => ValueClass::of_word(word),
    };
    class.map(ValueClass::word).ok_or_else(|| Error::Corrupt {
        message: format!("table \"{}\" has an unknown status", tables::PROFILE_IDENTIFIERS.path),
        source: None,
    })
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// Names an identifier, whatever number its kind has.
pub(super) fn identifier_hash(kind: &str, value: &str) -> u64 {
    hash::mix(hash::text(kind), hash::text(value))
}

/// Names a refused edge, whichever end is the left one.
pub(super) fn refusal_hash(rule: &str, reason: &str, left: Name<'_>, right: Name<'_>) -> u64 {
    let name = |(source, key): Name<'_>| hash::mix(hash::text(source), key.map_or(0, hash::text));
    let (left, right) = (name(left), name(right));
    let ends = hash::mix(left.min(right), left.max(right));
    hash::mix(hash::mix(hash::text(rule), hash::text(reason)), ends)
}
