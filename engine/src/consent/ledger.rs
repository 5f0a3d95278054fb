//! The consent ledger in the lake: how its rows are read into a book, and how a recorded answer is added.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;

use super::book::{ConsentBook, Status};
use crate::catalog::{Catalog, Change, Published};
use crate::error::{Error, Result};
use crate::identity::Rules;
use crate::lake::Lake;
use crate::tables;

/// The feed of answers that were recorded by a statement.
const RECORDED: &str = "recorded";

/// Brings the identifiers of the ledger to the form that profiles have them in.
pub struct Normalizer(Rules);

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

/// Adds a recorded answer to the ledger and publishes it.
pub async fn append_recorded(catalog: &Catalog, row: LedgerRow<'_>) -> Result<Arc<Published>> {
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
    let written = crate::ingest::write(&table, batch).await?;
    let snapshot = crate::ingest::append(&table, written).await?;
    let mut change = Change::default();
    change.table(&table, snapshot);
    catalog.publish(change).await
}

/// Reads every answer of the ledger into `book`.
pub async fn load_answers(
    lake: &Lake,
    published: &Published,
    book: &mut ConsentBook,
) -> Result<()> {
    let Some(ledger) = published.table(tables::CONSENT_LEDGER.path) else { return Ok(()) };
    let Ok(normalizer) = normalizer(published) else { return Ok(()) };
    let columns =
        ["identifier_kind", "identifier", "purpose", "status", "captured_at", "recorded_at"];
    for batch in
        crate::table_read::read_table(lake, tables::CONSENT_LEDGER.path, &ledger, &columns).await?
    {
        record_batch(&normalizer, book, &batch)?;
    }
    Ok(())
}

/// Takes the answers of one batch into `book`: identifier kind, identifier, purpose, status, captured at, recorded at.
pub(super) fn record_batch(
    normalizer: &Normalizer,
    book: &mut ConsentBook,
    batch: &RecordBatch,
) -> Result<()> {
    let texts = batch.columns()[..4].iter().map(tables::texts).collect::<Result<Vec<_>>>()?;
    let captured = batch.column(4).as_primitive::<TimestampMicrosecondType>();
    let recorded = batch.column(5).as_primitive::<TimestampMicrosecondType>();
    for row in 0..batch.num_rows() {
        if texts.iter().any(|column| column.is_null(row)) || captured.is_null(row) {
            continue;
        }
        // A word that nobody defined refuses: what is not understood is never taken for a yes.
        let status = Status::of(texts[3].value(row)).unwrap_or(Status::Refused);
        let Some(value) = normalizer.normalized(texts[0].value(row), texts[1].value(row)) else {
            continue;
        };
        // An answer from the future counts from when it was learnt.
        let at = captured.value(row).min(recorded.value(row));
        book.record(texts[0].value(row), &value, texts[2].value(row), status, at);
    }
    Ok(())
}
