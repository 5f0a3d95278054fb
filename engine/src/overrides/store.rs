//! The log of overrides in the lake: append-only, one row for each pair of records that is decided about or given back.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use crate::catalog::Published;
use crate::error::{Error, Result};
use crate::identity::{Decided, Origin, Override, RecordName};
use crate::lake::Lake;
use crate::tables;

/// What a row of the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Two records are one person's.
    MustLink,
    /// Two records are two people's.
    CannotLink,
    /// What was decided about them under this number is taken back.
    Revocation,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::MustLink, Kind::CannotLink, Kind::Revocation];

    pub(super) fn of(decided: Decided) -> Self {
        match decided {
            Decided::MustLink => Kind::MustLink,
            Decided::CannotLink => Kind::CannotLink,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::MustLink => "must_link",
            Kind::CannotLink => "cannot_link",
            Kind::Revocation => "revocation",
        }
    }

    /// What it decides about two records; nothing, if it takes a decision back.
    pub(super) fn decided(self) -> Option<Decided> {
        match self {
            Kind::MustLink => Some(Decided::MustLink),
            Kind::CannotLink => Some(Decided::CannotLink),
            Kind::Revocation => None,
        }
    }
}

/// A row of the log.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Of the decision; its pairs of records share it.
    pub(super) number: i64,
    pub(super) kind: Kind,
    pub(super) left: RecordName,
    pub(super) right: RecordName,
    pub(super) reason: String,
    /// The role that decided.
    pub(super) actor: String,
    pub(super) at: i64,
}

impl Entry {
    pub(super) fn pair(&self) -> (i64, &RecordName, &RecordName) {
        (self.number, &self.left, &self.right)
    }

    /// What it decides; nothing, if it takes a decision back.
    pub(super) fn decided(&self) -> Option<Override> {
        Some(Override {
            origin: Origin::Decision(u32::try_from(self.number).ok()?),
            decided: self.kind.decided()?,
            left: self.left.clone(),
            right: self.right.clone(),
        })
    }
}

/// Reads the log as it is published, in its order.
pub(super) async fn read(lake: &Lake, published: &Published) -> Result<Vec<Entry>> {
    let path = tables::IDENTITY_OVERRIDES.path;
    let Some(table) = published.table(path) else { return Ok(vec![]) };
    let schema = tables::IDENTITY_OVERRIDES.schema();
    let mut entries = Vec::new();
    for file in table.files.iter() {
        for batch in crate::table_read::read_file(lake, path, file, &schema).await? {
            take(&batch, &mut entries)?;
        }
    }
    // Files may have been merged: the log's order is that of its times, and a number is taken back after it was given.
    entries.sort_by_key(|entry| (entry.at, entry.number));
    Ok(entries)
}

fn take(batch: &RecordBatch, entries: &mut Vec<Entry>) -> Result<()> {
    let numbers = batch.column(0).as_primitive::<Int64Type>();
    let texts = (1..8).map(|column| tables::texts(batch.column(column)));
    let texts: Vec<StringArray> = texts.collect::<Result<_>>()?;
    let times = batch.column(8).as_primitive::<TimestampMicrosecondType>();
    for row in 0..batch.num_rows() {
        let text = |column: usize| texts[column].value(row).to_owned();
        let word = texts[0].value(row);
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word);
        entries.push(Entry {
            number: numbers.value(row),
            kind: kind.ok_or_else(|| Error::Corrupt {
                message: format!(
                    "table \"{}\" has an unknown kind",
                    tables::IDENTITY_OVERRIDES.path
                ),
                source: None,
            })?,
            left: RecordName { source: text(1), key: text(2) },
            right: RecordName { source: text(3), key: text(4) },
            reason: text(5),
            actor: text(6),
            at: times.value(row),
        });
    }
    Ok(())
}

/// Returns the rows of the log as a batch of its table.
pub(super) fn batch(entries: &[Entry]) -> Result<RecordBatch> {
    let texts = |of: &dyn Fn(&Entry) -> String| -> ArrayRef {
        Arc::new(entries.iter().map(|entry| Some(of(entry))).collect::<StringArray>())
    };
    let times = entries.iter().map(|entry| entry.at);
    tables::IDENTITY_OVERRIDES.batch(vec![
        Arc::new(Int64Array::from_iter_values(entries.iter().map(|entry| entry.number))),
        texts(&|entry| entry.kind.word().to_owned()),
        texts(&|entry| entry.left.source.clone()),
        texts(&|entry| entry.left.key.clone()),
        texts(&|entry| entry.right.source.clone()),
        texts(&|entry| entry.right.key.clone()),
        texts(&|entry| entry.reason.clone()),
        texts(&|entry| entry.actor.clone()),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
    ])
}

/// Returns the decisions that were not taken back.
pub(super) fn standing<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<&'a Entry> {
    let entries: Vec<&Entry> = entries.into_iter().collect();
    let gone: BTreeSet<_> = entries
        .iter()
        .filter(|entry| entry.kind == Kind::Revocation)
        .map(|entry| entry.pair())
        .collect();
    let stands = |entry: &&&Entry| entry.kind != Kind::Revocation && !gone.contains(&entry.pair());
    entries.iter().filter(stands).copied().collect()
}

/// Returns what the graph is to be made with.
pub(super) fn overrides<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Override> {
    standing(entries).into_iter().filter_map(Entry::decided).collect()
}
