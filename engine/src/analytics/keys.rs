//! Primary keys and unique constraints: no two rows of a table have the same values in their columns.
//!
//! Rows that bring keys, or change them, are held against those that are there, when all rows of their statement are known.
//! What two sessions do at the same time is settled when they commit: whoever brought keys fails if the table has changed
//! since, and whoever was given some by a sequence fails if somebody brought some since. Since the keys of a table of persons
//! would tell of those who are hidden, such tables have none.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::row::{Row, RowConverter, Rows, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::DataType as SqlType;
use uuid::Uuid;

use super::changed::Changed;
use super::insert::always;
use super::numbers::is_whole;
use super::rows::ROW;
use super::write::Seen;
use crate::catalog::{AnalyticsTable, Identity, UniqueConstraint};
use crate::error::{Error, Result};
use crate::query::session::QuerySession;
use crate::violation::{Violated, Violation};
use crate::{lake, table_read, tables};

/// Tells whether values of a type may be a key: two of them are the same if they are stored alike.
pub(super) fn may_be_key(data_type: &SqlType) -> bool {
    is_whole(data_type)
        || matches!(
            data_type,
            SqlType::Text
                | SqlType::Varchar(_)
                | SqlType::CharacterVarying(_)
                | SqlType::Char(_)
                | SqlType::Character(_)
                | SqlType::Uuid
                | SqlType::Date
                | SqlType::Timestamp(..)
        )
}

/// A primary key or a unique constraint, and how its values are held against each other.
#[derive(Debug)]
pub(crate) struct Key {
    /// What its table is kept under.
    table: String,
    constraint: String,
    columns: Vec<String>,
    converter: RowConverter,
}

/// The keys of rows; those with a null are none.
pub(super) struct Values {
    rows: Rows,
    nulls: Option<NullBuffer>,
}

impl Values {
    /// Returns the keys of rows of which these are the columns.
    pub(super) fn of(converter: &RowConverter, columns: &[ArrayRef]) -> Result<Self> {
        let nulls: Vec<Option<NullBuffer>> =
            columns.iter().map(|column| column.logical_nulls()).collect();
        let nulls = NullBuffer::union_many(nulls.iter().map(Option::as_ref));
        let rows = converter.convert_columns(columns).map_err(DataFusionError::from)?;
        Ok(Self { rows, nulls })
    }

    /// Returns the keys, each with the place of its row.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Row<'_>)> {
        let is_key = |at: usize| self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(at));
        self.rows.iter().enumerate().filter(move |(at, _)| is_key(*at))
    }
}

impl Key {
    /// Returns the keys of the table that is kept under `name`, whose rows are `stored` so: the primary key first.
    pub(super) fn all(name: &str, table: &AnalyticsTable, stored: &Schema) -> Result<Vec<Self>> {
        let key = |constraint: UniqueConstraint| -> Result<Self> {
            let UniqueConstraint { name: constraint, columns } = constraint;
            let field = |name: &String| {
                let field = stored.field_with_name(name);
                field.map(|field| SortField::new(field.data_type().clone()))
            };
            let fields = columns.iter().map(field).collect::<std::result::Result<Vec<_>, _>>();
            let converter = fields.and_then(RowConverter::new).map_err(DataFusionError::from)?;
            Ok(Self { table: name.to_owned(), constraint, columns, converter })
        };
        table.keys(name).into_iter().map(key).collect()
    }

    /// Returns the name of its constraint.
    pub(super) fn constraint(&self) -> &str {
        &self.constraint
    }

    /// Returns it as errors name it.
    pub(super) fn violated(&self) -> Violated {
        Violated::constraint(&self.table, &self.constraint)
    }

    /// Returns its columns, in order.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Returns the keys of rows as they are stored.
    fn values(&self, stored: &RecordBatch) -> Result<Values> {
        let columns = self.columns.iter().map(|name| tables::column(stored, name).cloned());
        Values::of(&self.converter, &columns.collect::<Result<Vec<ArrayRef>>>()?)
    }

    /// The answer to a key that the stored row at a place has and another one, too.
    fn twice(&self, stored: &RecordBatch, row: usize, table: &AnalyticsTable) -> Result<Error> {
        let shown = self.columns.iter().map(|column| shown(stored, column, row));
        let shown = shown.collect::<Result<Vec<_>>>()?.join(", ");
        let names = self.columns.join(", ");
        let hint = match self.columns.iter().find(|name| table.numbered.contains_key(*name)) {
            Some(column) => {
                format!("Leave \"{column}\" out: rows are numbered as they are put in.")
            }
            None => "Use another key, or UPDATE the row that is there; INSERT ... ON CONFLICT says what is done with such rows.".into(),
        };
        Ok(Violation {
            sqlstate: "23505",
            message: format!(
                "duplicate key value violates unique constraint \"{}\"",
                self.constraint
            ),
            detail: Some(format!("Key ({names})=({shown}) already exists.")),
            hint,
            object: self.violated(),
        }
        .into())
    }
}

/// Tells of each stored row whether no row before it has one of its keys, those before it left out that this is not so for.
pub(super) fn is_first(keys: &[&Key], stored: &RecordBatch) -> Result<BooleanArray> {
    let mut by_row: Vec<Vec<(usize, Box<[u8]>)>> = vec![vec![]; stored.num_rows()];
    for (number, key) in keys.iter().enumerate() {
        for (row, value) in key.values(stored)?.iter() {
            by_row[row].push((number, boxed(&value)));
        }
    }
    let mut known: HashSet<(usize, Box<[u8]>)> = HashSet::new();
    let first = by_row.into_iter().map(|values| {
        let first = values.iter().all(|value| !known.contains(value));
        if first {
            known.extend(values);
        }
        Some(first)
    });
    Ok(first.collect())
}

pub(super) fn bytes<'a>(value: &'a Row<'_>) -> &'a [u8] {
    value.as_ref()
}

pub(super) fn boxed(value: &Row<'_>) -> Box<[u8]> {
    Box::from(bytes(value))
}

/// Returns a value as PostgreSQL writes it.
pub(super) fn shown(stored: &RecordBatch, column: &str, row: usize) -> Result<String> {
    let schema = stored.schema();
    let at = schema.index_of(column).map_err(DataFusionError::from)?;
    let one = stored.project(&[at]).map_err(DataFusionError::from)?.slice(row, 1);
    let seen = lake::logical_batch(&one, &lake::logical(&one.schema()))?;
    let value = seen.column(0);
    if value.data_type() == &DataType::FixedSizeBinary(16)
        && let Ok(uuid) = Uuid::from_slice(value.as_fixed_size_binary().value(0))
    {
        return Ok(uuid.to_string());
    }
    let options = FormatOptions::new()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f+00"));
    let formatter =
        ArrayFormatter::try_new(value.as_ref(), &options).map_err(DataFusionError::from)?;
    Ok(formatter.value(0).to_string())
}

/// The keys that the rows of a statement bring, by constraint.
#[derive(Debug, Default)]
pub(crate) struct BroughtKeys {
    keys: BTreeMap<String, HashSet<Box<[u8]>>>,
    /// The answer to two rows that brought the same.
    twice: Option<Error>,
}

impl BroughtKeys {
    /// Takes the keys of stored rows.
    pub(super) fn take(
        &mut self,
        key: &Key,
        stored: &RecordBatch,
        table: &AnalyticsTable,
    ) -> Result<()> {
        let known = self.keys.entry(key.constraint.clone()).or_default();
        for (row, value) in key.values(stored)?.iter() {
            if !known.insert(boxed(&value)) && self.twice.is_none() {
                self.twice = Some(key.twice(stored, row, table)?);
            }
        }
        Ok(())
    }

    /// Tells whether two rows have the same.
    pub(super) fn are_same(&self) -> bool {
        self.twice.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.values().all(HashSet::is_empty)
    }
}

/// Fails if a statement changes what a sequence alone gives to rows, and does not take it from there, as it does for the
/// columns `numbered`.
pub(super) fn refuse_changed<'a>(
    table: &AnalyticsTable,
    targets: impl IntoIterator<Item = &'a Field>,
    numbered: &[String],
) -> Result<()> {
    let is_brought = |target: &&Field| {
        is_always_given(table, target.name()) && !numbered.contains(target.name())
    };
    match targets.into_iter().find(is_brought) {
        None => Ok(()),
        Some(target) => Err(Error::Row {
            sqlstate: "428C9",
            message: format!("column \"{}\" can only be updated to DEFAULT", target.name()),
            detail: Some(always(target.name())),
            hint: "Write DEFAULT for the next number, or leave the column out.".into(),
        }),
    }
}

/// Tells whether rows bring no numbers of their own in a column.
pub(super) fn is_always_given(table: &AnalyticsTable, column: &str) -> bool {
    let numbered = table.numbered.get(column);
    numbered.is_some_and(|numbered| numbered.identity == Some(Identity::Always))
}

impl QuerySession {
    /// Fails if a row of a table has a key that others brought, or two of those have. Rows that have it no more, as `gone` says,
    /// do not count.
    pub(super) async fn refuse_keys(
        &self,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        brought: BroughtKeys,
        gone: &[Changed],
    ) -> Result<()> {
        if let Some(twice) = brought.twice {
            return Err(twice);
        }
        let Some(snapshot) = seen.live.published.table(&table.path) else { return Ok(()) };
        let keys = Key::all(name, table, &snapshot.schema)?;
        let asked: Vec<(&Key, &HashSet<Box<[u8]>>)> =
            keys.iter().filter_map(|key| Some((key, brought.keys.get(&key.constraint)?))).collect();
        let mut columns = vec![ROW];
        for column in asked.iter().flat_map(|(key, _)| &key.columns) {
            if !columns.contains(&column.as_str()) {
                columns.push(column);
            }
        }
        let schema = table_read::project(&snapshot.schema, &columns)?;
        let lake = self.engine().catalog().lake();
        for file in snapshot.files.iter() {
            for batch in table_read::read_file(lake, &table.path, file, &schema).await? {
                let numbers = batch.column(0).as_primitive::<Int64Type>();
                for (key, brought) in &asked {
                    let there = key.values(&batch)?;
                    let met = there.iter().find(|(row, value)| {
                        let is_gone =
                            || gone.iter().any(|gone| gone.frees(key, numbers.value(*row)));
                        brought.contains(bytes(value)) && !is_gone()
                    });
                    if let Some((row, _)) = met {
                        return Err(key.twice(&batch, row, table)?);
                    }
                }
            }
        }
        Ok(())
    }
}
