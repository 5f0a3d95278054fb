//! What records said last that are gone.
//!
//! The history holds it, as long as the source reads its rows in the same way, and nothing is noted beside it. So it is the
//! same after a restart and in a rebuild, and once a record is back there is nothing of it.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;

use super::deleted::{deletions_of, ingested_at};
use super::known::Order;
use super::{RowHasher, chunk, hash_key};
use crate::catalog::{Published, Shape, Source};
use crate::error::Result;
use crate::lake::{self, Lake};
use crate::query::planner::Planner;
use crate::tables;

/// A key, and whether a row says that its record is gone.
type Said = (u128, bool);

/// What orders the rows of a key: their version, and when they were taken.
type Turn = (Order, i64);

/// Returns rows of the history of a source: of each record that is gone the last one that said that it is there, and the last
/// one that says that it is gone, unless that says nothing else. Where nothing tells which row was the last, all that may be.
pub(crate) async fn gone_rows(
    lake: &Lake,
    planner: &Planner,
    published: &Published,
    (name, source): (&str, &Source),
) -> Result<Vec<RecordBatch>> {
    let path = tables::superseded_path(name);
    let (Shape::Records { key, version_by }, Some(condition)) =
        (&source.shape, &source.deleted_when)
    else {
        return Ok(vec![]);
    };
    let Some(history) = published.table(&path).filter(|table| !table.files.is_empty()) else {
        return Ok(vec![]);
    };
    let hasher = RowHasher::new();
    let there = keys_there(lake, published, name, key, &hasher).await?;
    let mut last: HashMap<Said, Turn> = HashMap::new();
    let mut found: Vec<(RecordBatch, Vec<(Said, Turn)>)> = Vec::new();
    for file in history.files.iter() {
        for batch in crate::table_read::read_file(lake, &path, file, &history.schema).await? {
            let keys = hash_key(&hasher, &batch, key)?;
            let is_gone: BooleanArray = keys.iter().map(|key| Some(!there.contains(key))).collect();
            if is_gone.true_count() == 0 {
                continue;
            }
            let batch = filter_record_batch(&batch, &is_gone).map_err(DataFusionError::from)?;
            let keys = hash_key(&hasher, &batch, key)?;
            let orders = chunk::orders(&batch, version_by.as_deref())?;
            let ingested = ingested_at(&batch)?;
            let deletions = deletions_of(planner, Some(condition), &batch).await?;
            let row_of = |row: usize| {
                ((keys[row], deletions.is_one(row)), (orders[row], ingested.value(row)))
            };
            let rows: Vec<(Said, Turn)> = (0..batch.num_rows()).map(row_of).collect();
            for (said, turn) in &rows {
                let newest = last.entry(*said).or_insert(*turn);
                *newest = (*newest).max(*turn);
            }
            found.push((batch, rows));
        }
    }
    let logical = lake::logical(&history.schema);
    let asked = planner.columns_read(&logical, std::slice::from_ref(condition)).await?;
    let tells = |column: &str| {
        let of_deletion = asked.contains(column) || version_by.as_deref() == Some(column);
        !column.starts_with('_') && !of_deletion && !key.iter().any(|key| key == column)
    };
    let found = found.into_iter().map(|(batch, rows)| last_of(&batch, &rows, &last, tells));
    found.collect()
}

/// Returns the keys of the records of a source that are there.
async fn keys_there(
    lake: &Lake,
    published: &Published,
    name: &str,
    key: &[String],
    hasher: &RowHasher,
) -> Result<HashSet<u128>> {
    let path = tables::source_path(name);
    let mut there = HashSet::new();
    let Some(current) = published.table(&path) else { return Ok(there) };
    let columns: Vec<&str> = key.iter().map(String::as_str).collect();
    let schema = crate::table_read::project(&current.schema, &columns)?;
    for file in current.files.iter() {
        for batch in crate::table_read::read_file(lake, &path, file, &schema).await? {
            there.extend(hash_key(hasher, &batch, key)?);
        }
    }
    Ok(there)
}

/// Returns those of some rows that are the last ones; of deletions those with a value in a column that `tells` something.
fn last_of(
    batch: &RecordBatch,
    rows: &[(Said, Turn)],
    last: &HashMap<Said, Turn>,
    tells: impl Fn(&str) -> bool,
) -> Result<RecordBatch> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let telling = columns.filter(|(field, _)| tells(field.name()));
    let telling = telling.map(|(_, column)| filled(column)).collect::<Result<Vec<_>>>()?;
    let is_last = rows.iter().enumerate().map(|(row, (said, turn))| {
        let tells = !said.1 || telling.iter().any(|column| column.value(row));
        Some(tells && last.get(said) == Some(turn))
    });
    let is_last: BooleanArray = is_last.collect();
    Ok(filter_record_batch(batch, &is_last).map_err(DataFusionError::from)?)
}

/// Tells of each row whether a column says something: a text without letters says nothing, either.
fn filled(column: &ArrayRef) -> Result<BooleanArray> {
    let is_text =
        matches!(column.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    if !is_text {
        return Ok((0..column.len()).map(|row| Some(column.is_valid(row))).collect());
    }
    let texts = tables::texts(column)?;
    Ok(texts.iter().map(|text| Some(text.is_some_and(|text| !text.trim().is_empty()))).collect())
}
