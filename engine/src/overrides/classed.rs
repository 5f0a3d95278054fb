//! The log of what people decided about identifiers: whom a value identifies, past all counting.
//!
//! Append-only: one row for each decision, and one without a class for each that was taken back. The newest row of a value
//! stands. Values are in the normal form of the graph that was in force; the graph that reads them brings them to its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use datafusion::error::DataFusionError;

use super::shown::{columns, over};
use crate::catalog::Published;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::identity::{Classed, ValueClass};
use crate::lake::Lake;
use crate::query::relations::Relation;
use crate::tables;

/// A row of the log.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Of the decision; what takes it back has its number.
    pub(super) number: i64,
    pub(super) kind: String,
    pub(super) value: String,
    /// Nothing, if the decision that stood is taken back.
    pub(super) class: Option<ValueClass>,
    pub(super) reason: String,
    /// The role that decided.
    pub(super) actor: String,
    pub(super) at: i64,
}

/// Reads the log as it is published, in its order.
pub(super) async fn read(lake: &Lake, published: &Published) -> Result<Vec<Entry>> {
    let path = tables::IDENTIFIER_OVERRIDES.path;
    let Some(table) = published.table(path) else { return Ok(vec![]) };
    let schema = tables::IDENTIFIER_OVERRIDES.schema();
    let mut entries = Vec::new();
    for file in table.files.iter() {
        for batch in crate::table_read::read_file(lake, path, file, &schema).await? {
            take(&batch, &mut entries)?;
        }
    }
    entries.sort_by_key(|entry: &Entry| (entry.at, entry.number));
    Ok(entries)
}

fn take(batch: &RecordBatch, entries: &mut Vec<Entry>) -> Result<()> {
    let numbers = batch.column(0).as_primitive::<Int64Type>();
    let texts = (1..6).map(|column| tables::texts(batch.column(column)));
    let texts: Vec<StringArray> = texts.collect::<Result<_>>()?;
    let times = batch.column(6).as_primitive::<TimestampMicrosecondType>();
    for row in 0..batch.num_rows() {
        let text = |column: usize| texts[column].value(row).to_owned();
        let class = match texts[2].is_valid(row).then(|| texts[2].value(row)) {
            None => None,
            Some(word) => Some(ValueClass::of_word(word).ok_or_else(|| Error::Corrupt {
                message: format!(
                    "table \"{}\" has an unknown class",
                    tables::IDENTIFIER_OVERRIDES.path
                ),
                source: None,
            })?),
        };
        entries.push(Entry {
            number: numbers.value(row),
            kind: text(0),
            value: text(1),
            class,
            reason: text(3),
            actor: text(4),
            at: times.value(row),
        });
    }
    Ok(())
}

/// Returns rows of the log as a batch of its table.
pub(super) fn batch(entries: &[Entry]) -> Result<RecordBatch> {
    let texts = |of: &dyn Fn(&Entry) -> Option<&str>| -> ArrayRef {
        Arc::new(entries.iter().map(of).collect::<StringArray>())
    };
    let times = entries.iter().map(|entry| entry.at);
    tables::IDENTIFIER_OVERRIDES.batch(vec![
        Arc::new(Int64Array::from_iter_values(entries.iter().map(|entry| entry.number))),
        texts(&|entry| Some(&entry.kind)),
        texts(&|entry| Some(&entry.value)),
        texts(&|entry| entry.class.map(ValueClass::word)),
        texts(&|entry| Some(&entry.reason)),
        texts(&|entry| Some(&entry.actor)),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
    ])
}

/// Returns the decisions that stand.
pub(super) fn standing<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<&'a Entry> {
    let mut newest: BTreeMap<(&str, &str), &Entry> = BTreeMap::new();
    for entry in entries {
        newest.insert((&entry.kind, &entry.value), entry);
    }
    newest.into_values().filter(|entry| entry.class.is_some()).collect()
}

/// Returns what the graph is to be made with.
pub(super) fn classes<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Classed> {
    let classed = |entry: &Entry| {
        let (kind, value) = (entry.kind.clone(), entry.value.clone());
        Some(Classed { kind, value, class: entry.class? })
    };
    standing(entries).into_iter().filter_map(classed).collect()
}

/// Returns the relation. A value is somebody's mailbox or number, so it is for those who see everyone.
pub(crate) fn relation(engine: &Engine, published: &Arc<Published>) -> Relation {
    let about = (
        "identifier_overrides",
        "what people decided about whom an identifier identifies, past all counting",
    );
    over(engine, published, about, &columns(&NAMES), |engine, published, schema| async move {
        rows_of(&read(engine.catalog().lake(), &published).await?, schema)
    })
}

/// The columns.
const NAMES: [&str; 10] = [
    "number",
    "kind",
    "value",
    "class",
    "reason",
    "actor",
    "created_at",
    "revoked_at",
    "revoked_by",
    "status",
];

fn rows_of(entries: &[Entry], schema: SchemaRef) -> Result<RecordBatch> {
    // What stands next about a value ends what stood.
    let next = |at: usize| {
        let made = &entries[at];
        entries[at + 1..]
            .iter()
            .find(|entry| (&entry.kind, &entry.value) == (&made.kind, &made.value))
    };
    let made = (0..entries.len()).filter(|at| entries[*at].class.is_some());
    let made: Vec<(&Entry, Option<&Entry>)> = made.map(|at| (&entries[at], next(at))).collect();
    let texts = |of: &dyn Fn(&Entry) -> Option<&str>| -> ArrayRef {
        Arc::new(made.iter().map(|(entry, _)| of(entry)).collect::<StringArray>())
    };
    let times = |times: Vec<Option<i64>>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
    };
    let status = made.iter().map(|(_, next)| {
        Some(match next.map(|next| next.class) {
            None => "in force",
            Some(None) => "revoked",
            Some(Some(_)) => "replaced",
        })
    });
    let revoked_by = made.iter().map(|(_, next)| next.map(|next| next.actor.as_str()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(made.iter().map(|(entry, _)| entry.number))),
        texts(&|entry| Some(&entry.kind)),
        texts(&|entry| Some(&entry.value)),
        texts(&|entry| entry.class.map(ValueClass::word)),
        texts(&|entry| Some(&entry.reason)),
        texts(&|entry| Some(&entry.actor)),
        times(made.iter().map(|(entry, _)| Some(entry.at)).collect()),
        times(made.iter().map(|(_, next)| next.map(|next| next.at)).collect()),
        Arc::new(revoked_by.collect::<StringArray>()),
        Arc::new(status.collect::<StringArray>()),
    ];
    Ok(RecordBatch::try_new(schema, columns).map_err(DataFusionError::from)?)
}
