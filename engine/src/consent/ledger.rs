//! The consent ledger in the lake: how its rows are read into a book, and how a recorded answer is added.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;

use super::book::{ConsentBook, Status};
use crate::catalog::{Catalog, Change, GraphInForce, Published};
use crate::error::{Error, Result};
use crate::identity::Rules;
use crate::lake::{Lake, TableSnapshot};
use crate::tables;

/// The feed of answers that were recorded by a statement.
pub(super) const RECORDED: &str = "recorded";

/// Brings the identifiers of the ledger to the form that people have them in.
pub struct Normalizer {
    rules: Rules,
    /// The version of the identity graph whose forms they are.
    graph: u64,
}

/// Returns the version of the graph whose normal forms people's identifiers are in; 0 if there is none.
pub fn graph_version(published: &Published) -> u64 {
    let state = &published.state;
    let in_force = state.graph_in_force.as_ref().map(|graph| graph.version);
    in_force.or_else(|| Some(state.defined_graph()?.version)).unwrap_or(0)
}

/// Returns the normaliser of the graph that is in force, or of the defined one where nobody was identified yet; `None` if
/// there is no graph.
///
/// A graph that was defined since is not asked: whose an identifier is, is known by the forms of the one in force, and an
/// answer in other forms would be nobody's.
pub fn normalizer(published: &Published) -> Result<Option<Normalizer>> {
    match (&published.state.graph_in_force, published.state.defined_graph()) {
        (Some(graph), _) => Normalizer::new(graph).map(Some),
        (None, Some(graph)) => Normalizer::new(&graph).map(Some),
        (None, None) => Ok(None),
    }
}

impl Normalizer {
    /// Returns the normaliser of a graph.
    pub fn new(graph: &GraphInForce) -> Result<Self> {
        Ok(Self { rules: Rules::from_graph(&graph.graph)?, graph: graph.version })
    }

    /// Returns an identifier in normal form.
    ///
    /// # Errors
    /// [`Error::Missing`] for a kind that the graph does not have, [`Error::Invalid`] for a value that is none of its
    /// kind, or that could be one of several: a phone number without its country.
    pub fn normalize(&self, kind: &str, value: &str) -> Result<String> {
        let number = self.rules.kind(kind).ok_or_else(|| Error::Missing {
            kind: "identifier kind",
            name: kind.into(),
            hint: format!(
                "People are identified by {}. What a graph adds is known after the next refresh.",
                self.rules.kinds().collect::<Vec<_>>().join(", ")
            ),
        })?;
        let normal = self.rules.normalize(number, value, None).ok_or_else(|| Error::Invalid {
            message: format!("the value is no identifier of kind \"{kind}\""),
            hint: "Write it as the person would: a mailbox, a phone number with its country code, an id.".into(),
        })?;
        // Records read a national number by their person's country, which is not known here.
        if self.rules.depends_on_country(number, value) {
            return Err(Error::Invalid {
                message: format!("the value of kind \"{kind}\" does not say its country"),
                hint: "Write phone numbers with their country code, such as +49 or 0049.".into(),
            });
        }
        Ok(normal)
    }

    /// Returns an identifier in normal form, or `None` if it identifies nobody in this graph.
    pub fn normalized(&self, kind: &str, value: &str) -> Option<String> {
        self.rules.normalize(self.rules.kind(kind)?, value, None)
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
const ANSWER_COLUMNS: [&str; 7] =
    ["feed", "identifier_kind", "identifier", "purpose", "status", "captured_at", "recorded_at"];

/// Answers of the ledger, ready to be taken into a book.
pub struct Answers {
    /// Without a graph nobody has identifiers, and no answer is anybody's.
    normalizer: Option<Normalizer>,
    batches: Vec<AnswerRows>,
}

struct AnswerRows {
    /// Feed, kind, identifier, purpose, status.
    texts: [StringArray; 5],
    captured: TimestampMicrosecondArray,
    recorded: TimestampMicrosecondArray,
}

impl Answers {
    /// Reads every answer of the ledger as it is published, for people whose identifiers `normalizer` made.
    pub async fn read(
        lake: &Lake,
        published: &Published,
        normalizer: Option<Normalizer>,
    ) -> Result<Self> {
        match published.table(tables::CONSENT_LEDGER.path) {
            Some(ledger) => Self::read_from(lake, &ledger, normalizer).await,
            None => Self::of(&[], normalizer),
        }
    }

    /// Reads every answer of this version of the ledger.
    pub async fn read_from(
        lake: &Lake,
        ledger: &TableSnapshot,
        normalizer: Option<Normalizer>,
    ) -> Result<Self> {
        let path = tables::CONSENT_LEDGER.path;
        let rows = crate::table_read::read_table(lake, path, ledger, &ANSWER_COLUMNS).await?;
        Self::of(&rows, normalizer)
    }

    /// Returns the answers in these rows of the ledger.
    pub fn of(rows: &[RecordBatch], normalizer: Option<Normalizer>) -> Result<Self> {
        let batches = rows.iter().map(AnswerRows::of).collect::<Result<_>>()?;
        Ok(Self { normalizer, batches })
    }

    /// Takes the answers into `book`, and returns the anchors of the people whom they concern.
    pub fn take_into(&self, book: &mut ConsentBook) -> BTreeSet<u32> {
        // Identifiers first: those who share one are gone through once, however many answers it has.
        let mut identifiers: BTreeSet<u32> = BTreeSet::new();
        self.each(book, |identifier| {
            identifiers.insert(identifier);
        });
        let holders = identifiers.iter().flat_map(|identifier| book.holders_of(*identifier));
        holders.map(|holder| holder.anchor).collect()
    }

    /// Takes the answers into `book` in place of those that it has.
    pub fn replace_in(&self, book: &mut ConsentBook) {
        book.forget_answers();
        book.set_graph(self.normalizer.as_ref().map_or(0, |normalizer| normalizer.graph));
        self.each(book, |_| {});
    }

    fn each(&self, book: &mut ConsentBook, mut concern: impl FnMut(u32)) {
        let Some(normalizer) = &self.normalizer else { return };
        for batch in &self.batches {
            batch.take_into(normalizer, book, &mut concern);
        }
    }
}

impl AnswerRows {
    fn of(rows: &RecordBatch) -> Result<Self> {
        let text = |at: usize| tables::texts(tables::column(rows, ANSWER_COLUMNS[at])?);
        let time = |at: usize| {
            let column = tables::column(rows, ANSWER_COLUMNS[at])?;
            Ok::<_, Error>(column.as_primitive::<TimestampMicrosecondType>().clone())
        };
        Ok(Self {
            texts: [text(0)?, text(1)?, text(2)?, text(3)?, text(4)?],
            captured: time(5)?,
            recorded: time(6)?,
        })
    }

    fn take_into(
        &self,
        normalizer: &Normalizer,
        book: &mut ConsentBook,
        concern: &mut impl FnMut(u32),
    ) {
        let [feeds, kinds, values, purposes, words] = &self.texts;
        let mut feed = None;
        for row in 0..kinds.len() {
            // Rows of one feed stand together.
            let at = match feed {
                Some((at, name)) if name == feeds.value(row) => at,
                _ => book.feed(feeds.value(row)),
            };
            feed = Some((at, feeds.value(row)));
            let whole =
                !self.captured.is_null(row) && !self.texts.iter().any(|column| column.is_null(row));
            let value = match whole {
                true => normalizer.normalized(kinds.value(row), values.value(row)),
                false => None,
            };
            book.count(at, value.is_some());
            let Some(value) = value else { continue };
            // A word that nobody defined refuses: what is not understood is never taken for a yes.
            let status = Status::of(words.value(row)).unwrap_or(Status::Refused);
            // An answer from the future counts from when it was learnt.
            let at = self.captured.value(row).min(self.recorded.value(row));
            let changed = book.record(kinds.value(row), &value, purposes.value(row), status, at);
            if let Some(identifier) = changed {
                concern(identifier);
            }
        }
    }
}
