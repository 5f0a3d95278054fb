//! Columns whose rows are numbered as they are put in, by a sequence of their own or by another one, unless they bring
//! numbers: those of type `serial`, `GENERATED ... AS IDENTITY` and `DEFAULT nextval('name')`.
//!
//! A number is given once, also if the rows that it was given to are taken back, and none below one that rows brought. Since
//! the numbers of a table of persons would tell of those who are hidden, such tables have none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::compute::{cast, max, min};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::DataType as SqlType;
use parking_lot::Mutex;

use super::changed::Changed;
use super::counted::Counted;
use super::keys::BroughtKeys;
use super::links::Doubts;
use super::sequences::Sequences;
use super::statement::parts;
use super::write::{Seen, missing};
use crate::catalog::{
    AnalyticsRelation, AnalyticsSequence, AnalyticsTable, CatalogState, WholeNumber,
};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::lake::TableSnapshot;
use crate::query::session::QuerySession;
use crate::table_read;

/// The types of numbered columns, and what their numbers are.
const SERIALS: [(&str, WholeNumber); 6] = [
    ("smallserial", WholeNumber::Smallint),
    ("serial2", WholeNumber::Smallint),
    ("serial", WholeNumber::Integer),
    ("serial4", WholeNumber::Integer),
    ("bigserial", WholeNumber::Bigint),
    ("serial8", WholeNumber::Bigint),
];

/// The numbers of one column, for one statement.
#[derive(Debug, Clone)]
pub(crate) struct Numbering {
    sequences: Arc<Sequences>,
    counted: Counted,
    /// How many statements had brought numbers before this one.
    brought: u64,
    /// The number that this statement took last.
    last: Arc<Mutex<Option<i64>>>,
    /// Whether no number that is given is in a row.
    is_ahead: bool,
}

impl Numbering {
    fn of(sequences: &Arc<Sequences>, counted: Counted) -> Self {
        let brought = sequences.counter(&counted).brought();
        let is_ahead = sequences.is_ahead(&counted);
        Self { sequences: Arc::clone(sequences), counted, brought, last: Arc::default(), is_ahead }
    }

    /// Returns as many numbers that nobody else gets.
    ///
    /// # Errors
    /// SQLSTATE 2200H if there are not so many.
    pub(super) async fn take(&self, rows: usize) -> Result<ArrayRef> {
        let numbers = self.sequences.take(&self.counted, rows).await?;
        if let Some(last) = numbers.last() {
            *self.last.lock() = Some(*last);
        }
        Ok(Arc::new(Int64Array::from(numbers)))
    }

    /// Tells whether rows have none of the numbers that are given.
    pub(super) fn is_ahead(&self) -> bool {
        self.is_ahead
    }

    /// Tells whether another statement has brought numbers, which may be those that were given to rows of this one.
    pub(super) fn is_overtaken(&self) -> bool {
        self.sequences.counter(&self.counted).brought() != self.brought
    }

    /// Tells whether the sequence was made to begin anew since: others may have been given the numbers of rows of this one.
    pub(super) fn is_replaced(&self, state: &CatalogState) -> bool {
        let Counted { number, key, .. } = &self.counted;
        let mut sequences = state.analytics.values().filter_map(AnalyticsRelation::sequence);
        sequences.any(|sequence| sequence.number == *number && sequence.key() != *key)
    }

    /// Notes that a statement of the same session, which saw the rows of this one, brought numbers of the same sequence.
    pub(super) fn follow(&mut self, other: &Self) {
        self.brought += u64::from(self.counted.key == other.counted.key);
    }

    /// Gives no number any more that lies up to those which rows brought.
    async fn pass(&self, (least, greatest): (i64, i64)) -> Result<()> {
        let farthest = if self.counted.range.increment > 0 { greatest } else { least };
        self.sequences.pass(&self.counted, farthest).await
    }
}

/// Numbers and keys that rows bring.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    /// The least and the greatest of each column.
    numbers: BTreeMap<String, (i64, i64)>,
    /// The keys.
    pub(super) keys: BroughtKeys,
    /// What is to be asked about foreign keys.
    pub(super) doubts: Doubts,
}

impl Brought {
    /// Takes the numbers of a column.
    pub(super) fn take(&mut self, name: &str, values: &ArrayRef) -> Result<()> {
        let numbers = cast(values, &DataType::Int64).map_err(DataFusionError::from)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        if let (Some(least), Some(greatest)) = (min(numbers), max(numbers)) {
            let known = self.numbers.entry(name.to_owned()).or_insert((least, greatest));
            *known = (least.min(known.0), greatest.max(known.1));
        }
        Ok(())
    }
}

/// Returns the type of the numbers of a `serial` column; `None` for other types.
pub(super) fn numbered(data_type: &SqlType) -> Option<WholeNumber> {
    let SqlType::Custom(name, modifiers) = data_type else { return None };
    let name = parts(name);
    let ([name], true) = (name.as_slice(), modifiers.is_empty()) else { return None };
    SERIALS.iter().find(|(serial, _)| serial == name).map(|(_, plain)| *plain)
}

/// Returns the type of whole numbers that a type of SQL is; `None` for other types.
pub(super) fn whole(data_type: &SqlType) -> Option<WholeNumber> {
    match data_type {
        SqlType::SmallInt(_) | SqlType::Int2(_) => Some(WholeNumber::Smallint),
        SqlType::Int(_) | SqlType::Int4(_) | SqlType::Integer(_) => Some(WholeNumber::Integer),
        SqlType::BigInt(_) | SqlType::Int8(_) => Some(WholeNumber::Bigint),
        _ => None,
    }
}

/// Tells whether values of a type are whole numbers.
pub(super) fn is_whole(data_type: &SqlType) -> bool {
    whole(data_type).or_else(|| numbered(data_type)).is_some()
}

/// Fails if a statement that gives none gives numbers to rows.
pub(super) fn refuse_numbered<'a>(
    table: &AnalyticsTable,
    targets: impl IntoIterator<Item = &'a Field>,
) -> Result<()> {
    match targets.into_iter().find(|target| table.numbered.contains_key(target.name())) {
        None => Ok(()),
        Some(target) => Err(Error::Standard {
            sqlstate: "428C9",
            message: format!("column \"{}\" is numbered and takes no values here", target.name()),
            hint: "Leave it out. Rows that INSERT and COPY put in may bring numbers.".into(),
        }),
    }
}

/// Fails if a sequence numbers the rows of a table that goes with another one, which is read for one purpose: its numbers
/// would tell others how many rows that was given.
fn refuse_bound(seen: &Seen, sequence: &AnalyticsSequence, table: &AnalyticsTable) -> Result<()> {
    let owner = sequence.owned_by.as_ref();
    let owner = owner.and_then(|owner| seen.find(&owner.table)?.table());
    match owner.and_then(|owner| owner.purpose.as_ref()) {
        Some(purpose) if table.purpose.as_ref() != Some(purpose) => Err(Error::Denied {
            message: format!(
                "rows are numbered by the sequence of a table that is read for purpose \"{purpose}\" alone"
            ),
            hint: "Make the table anew with a column of type serial.".into(),
        }),
        _ => Ok(()),
    }
}

impl QuerySession {
    /// Gives none of the numbers any more that rows brought, nor one below them. Fails if a key that they brought is one that
    /// another row has, those which are `gone` or have become others left out, and notes what has to hold when the rows are
    /// committed. Returns what is to be asked about foreign keys when they are staged.
    pub(super) async fn settle_rows(
        &self,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        numbers: &BTreeMap<String, Numbering>,
        brought: Brought,
        gone: &[Changed],
    ) -> Result<Doubts> {
        let Brought { numbers: own, keys, doubts } = brought;
        if !keys.is_empty() {
            self.refuse_keys(seen, (name, table), keys, gone).await?;
            self.staged().lock().copied(&seen.base.published, &table.path);
        }
        for (column, ends) in own {
            let Some(numbering) = numbers.get(&column) else { continue };
            numbering.pass(ends).await?;
            self.staged().lock().passed(numbering);
        }
        for (column, numbering) in numbers {
            let Some(last) = *numbering.last.lock() else { continue };
            self.facts().gave_number(numbering.counted.number, last);
            // Others were held against those that are there.
            let is_key = table.keys(name).iter().any(|key| key.columns.contains(column));
            if is_key && numbering.is_ahead() {
                self.staged().lock().gave_keys(&table.path, column, numbering);
            }
        }
        Ok(doubts)
    }

    /// Returns the numbers of each numbered column of a table.
    pub(super) fn numbers(
        &self,
        seen: &Seen,
        table: &AnalyticsTable,
    ) -> Result<BTreeMap<String, Numbering>> {
        let sequences = &self.engine().analytics().sequences;
        let mut found = BTreeMap::new();
        for (column, numbered) in &table.numbered {
            let sequence = seen.find(&numbered.sequence).and_then(AnalyticsRelation::sequence);
            let sequence = sequence.ok_or_else(|| missing(&numbered.sequence))?;
            refuse_bound(seen, sequence, table)?;
            let counted = Counted::of(&numbered.sequence, sequence);
            found.insert(column.clone(), Numbering::of(sequences, counted));
        }
        Ok(found)
    }
}

impl Engine {
    /// Reads which numbers the sequences have given.
    pub(crate) async fn open_sequences(&self) -> Result<()> {
        let live = self.live();
        let state = &live.published.state;
        let known = state.analytics.iter().filter_map(|(name, relation)| {
            relation.sequence().map(|sequence| Counted::of(name, sequence))
        });
        let known: Vec<Counted> = known.collect();
        let keys: BTreeSet<String> = known.iter().map(|counted| counted.key.clone()).collect();
        let sequences = &self.analytics().sequences;
        sequences.open(&keys, self.catalog().writable()).await?;
        // Numbers of tables that an earlier version has made are in their rows alone.
        let all = state.analytics.values().filter_map(AnalyticsRelation::sequence);
        let unused = known.iter().zip(all).filter(|(counted, _)| {
            let unused = !counted.restarted && sequences.is_unused(&counted.key);
            self.catalog().writable() && unused
        });
        let unused: Vec<(&Counted, &AnalyticsSequence)> = unused.collect();
        for (counted, sequence) in unused {
            let Some(owner) = &sequence.owned_by else { continue };
            let table = state.analytics.get(&owner.table).and_then(AnalyticsRelation::table);
            let snapshot = table.and_then(|table| live.published.table(&table.path));
            let Some((table, snapshot)) = table.zip(snapshot) else { continue };
            if let Some(greatest) = self.greatest(&table.path, &snapshot, &owner.column).await? {
                sequences.pass(counted, greatest).await?;
            }
        }
        Ok(())
    }

    /// Keeps what sequences have given, and no more.
    pub(crate) async fn close_sequences(&self) {
        if let Err(error) = self.analytics().sequences.close().await {
            let error = error.without_values();
            tracing::warn!(error, "the next process will skip some numbers of sequences");
        }
    }

    /// Returns the greatest number in the rows of a table that are committed.
    async fn greatest(
        &self,
        path: &str,
        snapshot: &TableSnapshot,
        column: &str,
    ) -> Result<Option<i64>> {
        let lake = self.catalog().lake();
        let schema = table_read::project(&snapshot.schema, &[column])?;
        let mut greatest: Option<i64> = None;
        for file in snapshot.files.iter() {
            for batch in table_read::read_file(lake, path, file, &schema).await? {
                let numbers =
                    cast(batch.column(0), &DataType::Int64).map_err(DataFusionError::from)?;
                greatest = greatest.max(max(numbers.as_primitive::<Int64Type>()));
            }
        }
        Ok(greatest)
    }
}
