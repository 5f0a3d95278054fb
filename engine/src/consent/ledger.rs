//! The consent ledger in the lake: how its rows are read into a book, and how a recorded answer is added.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;

use super::book::{ConsentBook, Status};
use crate::catalog::{Catalog, Change, Kind, Published};
use crate::error::{Error, Result};
use crate::identity::Rules;
use crate::lake::{Lake, TableSnapshot};
use crate::tables;

/// The feed of answers that were recorded by a statement.
const RECORDED: &str = "recorded";

/// Brings the identifiers of the ledger to the form that profiles have them in.
pub struct Normalizer(Rules);

/// Returns the version of the lake's identity graph, on which the normal form of identifiers depends.
pub fn graph_version(published: &Published) -> u64 {
    let graph = published.state.graph();
    graph.map_or(0, |(name, _)| published.state.version_of(Kind::IdentityGraph, name))
}

/// Returns the normaliser of the lake's identity graph.
///
/// # Errors
/// [`Error::Missing`] if no graph is defined yet.
pub fn normalizer(published: &Published) -> Result<Normalizer> {
    let (_, graph) = published.state.graph().ok_or_else(|| Error::Missing {
        kind: "identity graph",
        name: "customer".into(),
        hint: "Create one: it says what identifiers there are and how they are normalised.".into(),
    })?;
    Ok(Normalizer(Rules::from_graph(graph)?))
}

impl Normalizer {
    /// Returns an identifier in normal form.
    ///
    /// # Errors
    /// [`Error::Missing`] for a kind that the graph does not have, [`Error::Invalid`] for a value that is none of its kind.
    pub fn normalize(&self, kind: &str, value: &str) -> Result<String> {
        let number = self.0.kind(kind).ok_or_else(|| Error::Missing {
            kind: "identifier kind",
            name: kind.into(),
            hint: format!(
                "The identity graph has {}.",
                self.0.kinds().collect::<Vec<_>>().join(", ")
            ),
        })?;
        self.0.normalize(number, value, None).ok_or_else(|| Error::Invalid {
            message: format!("the value is no identifier of kind \"{kind}\""),
            hint: "Write it as the person would: a mailbox, a phone number with its country code, an id.".into(),
        })
    }

    /// Returns an identifier in normal form, or `None` if it identifies nobody in this graph.
    pub fn normalized(&self, kind: &str, value: &str) -> Option<String> {
        self.0.normalize(self.0.kind(kind)?, value, None)
    }
}

/// An answer that is recorded by a statement.
#[derive(Debug, Clone, Copy)]
pub struct LedgerRow<'a> {
    /// The kind of identifier.
    pub kind: &'a str,
    /// The identifier as it was given.
    pub value: &'a str,
    /// The purpose.
    pub purpose: &'a str,
    /// The word.
    pub status: &'a str,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// The role that recorded it.
    pub by: &'a str,
}

/// Adds a recorded answer to the ledger: what is left to do is to publish it.
pub async fn append_recorded(catalog: &Catalog, row: LedgerRow<'_>) -> Result<Change> {
    let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let time = |at: i64| {
        Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC")) as ArrayRef
    };
    let batch = tables::CONSENT_LEDGER.batch(vec![
        text(RECORDED),
        text(row.kind),
        text(row.value),
        text(row.purpose),
        text(&row.status.to_ascii_lowercase()),
        time(row.at),
        time(row.at),
        text(row.by),
        Arc::new(StringArray::from(vec![None::<&str>])),
    ])?;
    let table = catalog
        .table(tables::CONSENT_LEDGER.path, || tables::CONSENT_LEDGER.table_schema())
        .await?;
    crate::ingest::widen(&table, &tables::CONSENT_LEDGER.table_schema()).await?;
    let written = crate::ingest::write(&table, batch).await?;
    let snapshot = crate::ingest::append(&table, written).await?;
    let mut change = Change::default();
    change.table(&table, snapshot);
    Ok(change)
}

/// What is read of an answer.
const ANSWER_COLUMNS: [&str; 6] =
    ["identifier_kind", "identifier", "purpose", "status", "captured_at", "recorded_at"];

/// Answers of the ledger, ready to be taken into a book.
pub struct Answers {
    normalizer: Option<Normalizer>,
    graph: u64,
    batches: Vec<AnswerRows>,
}

struct AnswerRows {
    /// Kind, identifier, purpose, status.
    texts: [StringArray; 4],
    captured: TimestampMicrosecondArray,
    recorded: TimestampMicrosecondArray,
}

impl Answers {
    /// Reads every answer of the ledger as it is published.
    pub async fn read(lake: &Lake, published: &Published) -> Result<Self> {
        match published.table(tables::CONSENT_LEDGER.path) {
            Some(ledger) => Self::read_from(lake, published, &ledger).await,
            None => Self::of(published, &[]),
        }
    }

    /// Reads every answer of this version of the ledger.
    pub async fn read_from(
        lake: &Lake,
        published: &Published,
        ledger: &TableSnapshot,
    ) -> Result<Self> {
        let path = tables::CONSENT_LEDGER.path;
        let rows = crate::table_read::read_table(lake, path, ledger, &ANSWER_COLUMNS).await?;
        Self::of(published, &rows)
    }

    /// Returns the answers in these rows of the ledger.
    pub fn of(published: &Published, rows: &[RecordBatch]) -> Result<Self> {
        let batches = rows.iter().map(AnswerRows::of).collect::<Result<_>>()?;
        Ok(Self {
            normalizer: normalizer(published).ok(),
            graph: graph_version(published),
            batches,
        })
    }

    /// Takes the answers into `book`, and returns the anchors of the people whom they concern.
    pub fn take_into(&self, book: &mut ConsentBook) -> BTreeSet<u32> {
        let mut concerned = BTreeSet::new();
        self.each(book, |holders| concerned.extend(holders));
        concerned
    }

    /// Takes the answers into `book` in place of those that it has.
    pub fn replace_in(&self, book: &mut ConsentBook) {
        book.forget_answers();
        book.set_graph(self.graph);
        self.each(book, |_| {});
    }

    fn each(&self, book: &mut ConsentBook, mut concern: impl FnMut(&[u32])) {
        let Some(normalizer) = &self.normalizer else { return };
        for batch in &self.batches {
            batch.take_into(normalizer, book, &mut concern);
        }
    }
}

impl AnswerRows {
    fn of(rows: &RecordBatch) -> Result<Self> {
        let column = |name: &str| {
            rows.column_by_name(name).cloned().ok_or_else(|| Error::Corrupt {
                message: format!("the consent ledger has no column \"{name}\""),
                source: None,
            })
        };
        let text = |at: usize| tables::texts(&column(ANSWER_COLUMNS[at])?);
        let time = |at: usize| {
            Ok::<_, Error>(
                column(ANSWER_COLUMNS[at])?.as_primitive::<TimestampMicrosecondType>().clone(),
            )
        };
        Ok(Self {
            texts: [text(0)?, text(1)?, text(2)?, text(3)?],
            captured: time(4)?,
            recorded: time(5)?,
        })
    }

    fn take_into(
        &self,
        normalizer: &Normalizer,
        book: &mut ConsentBook,
        concern: &mut impl FnMut(&[u32]),
    ) {
        let [kinds, values, purposes, words] = &self.texts;
        for row in 0..kinds.len() {
            if self.texts.iter().any(|column| column.is_null(row)) || self.captured.is_null(row) {
                continue;
            }
            // A word that nobody defined refuses: what is not understood is never taken for a yes.
            let status = Status::of(words.value(row)).unwrap_or(Status::Refused);
            let Some(value) = normalizer.normalized(kinds.value(row), values.value(row)) else {
                continue;
            };
            // An answer from the future counts from when it was learnt.
            let at = self.captured.value(row).min(self.recorded.value(row));
            concern(book.record(kinds.value(row), &value, purposes.value(row), status, at));
        }
    }
}
