//! What profiles are made of: whose rows changed, and the values that attributes choose from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, concat, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::error::DataFusionError;

use super::survivorship::Candidate;
use crate::catalog::{Attribute, Body, Catalog, Coverage, Format, Kind, Published, Shape, Source};
use crate::engine::Engine;
use crate::error::Result;
use crate::ingest::INGESTED_AT;
use crate::lake;
use crate::query::access::People;
use crate::query::governed::SUBJECT;
use crate::table_read::read_file;
use crate::tables;

/// The values of one attribute.
pub(super) struct Values {
    /// Whose they are, and since when.
    pub(super) candidates: Vec<Candidate>,
    /// The values, by row.
    pub(super) values: ArrayRef,
}

/// Returns the anchors of the people whose rows are other than at `covered`; `None` if that cannot be told.
pub(super) async fn touched(
    catalog: &Catalog,
    published: &Published,
    covered: &Coverage,
    people: &People,
) -> Result<Option<BTreeSet<u32>>> {
    let mut subjects: BTreeSet<u32> = BTreeSet::new();
    for (path, state) in
        published.state.tables.iter().filter(|(path, _)| path.starts_with("sources/"))
    {
        let version = covered.inputs.get(path).copied();
        if version == Some(state.version) {
            continue;
        }
        let (Some(table), Some(now)) =
            (published.tables().find(|table| table.path() == path), published.table(path))
        else {
            return Ok(None);
        };
        let before = match version {
            Some(version) => match table.snapshot_at(version).await {
                Ok(before) => before.files.to_vec(),
                Err(_) => return Ok(None),
            },
            None => vec![],
        };
        // A file that was rewritten holds old rows, too; what was taken since tells the new ones.
        let since = if path.ends_with("_superseded") { i64::MIN } else { covered.at };
        let schema = crate::table_read::project(&now.schema, &[SUBJECT, INGESTED_AT])?;
        for file in now.files.iter().filter(|file| !before.iter().any(|old| old.path == file.path))
        {
            for batch in read_file(catalog.lake(), path, file, &schema).await? {
                let of = batch.column(0).as_primitive::<Int64Type>();
                let at = batch.column(1).as_primitive::<TimestampMicrosecondType>();
                let new = (0..batch.num_rows())
                    .filter(|row| of.is_valid(*row) && at.value(*row) >= since);
                subjects.extend(new.map(|row| of.value(row) as u32));
            }
        }
    }
    Ok(Some(subjects.into_iter().filter_map(|subject| people.anchor(subject)).collect()))
}

/// Collects the values of every attribute for the people with these anchors.
pub(super) async fn candidates(
    engine: &Engine,
    published: &Published,
    people: &People,
    touched: &BTreeSet<u32>,
    all: bool,
) -> Result<BTreeMap<String, Values>> {
    let mut parts: BTreeMap<String, (Vec<Candidate>, Vec<ArrayRef>)> = BTreeMap::new();
    let mut wanted: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for definition in published.state.of_kind(Kind::Attribute) {
        let Body::Attribute(Attribute { inputs, .. }) = &definition.body else { continue };
        parts.insert(definition.name.clone(), (vec![], vec![]));
        for input in inputs {
            wanted.entry(&input.source).or_default().push((&definition.name, &input.expression));
        }
    }
    for (source, expressions) in wanted {
        let Some(rows) = Rows::read(engine, published, people, touched, all, source).await? else {
            continue;
        };
        let texts: Vec<String> =
            expressions.iter().map(|(_, expression)| (*expression).to_owned()).collect();
        let values = engine.planner().evaluate_as_is(&rows.logical, &texts).await?;
        for ((attribute, _), values) in expressions.into_iter().zip(values) {
            if let Some((candidates, arrays)) = parts.get_mut(attribute) {
                let base = arrays.iter().map(|array: &ArrayRef| array.len()).sum::<usize>() as u32;
                candidates.extend(rows.candidates(source, base, &tables::texts(&values)?));
                arrays.push(values);
            }
        }
    }
    parts
        .into_iter()
        .map(|(name, (candidates, arrays))| {
            Ok((name, Values { candidates, values: joined(&arrays)? }))
        })
        .collect()
}

/// Joins the values of several inputs: in their type if they share one, as texts otherwise.
fn joined(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let stored = |data_type: &DataType| match data_type {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
        other => other.clone(),
    };
    let mut types: Vec<DataType> = arrays
        .iter()
        .filter(|array| array.null_count() < array.len())
        .map(|array| stored(array.data_type()))
        .collect();
    types.dedup();
    let target = match types.as_slice() {
        [one] => one.clone(),
        _ => DataType::Utf8,
    };
    if arrays.is_empty() {
        return Ok(super::nothing(0));
    }
    let arrays = arrays
        .iter()
        .map(|array| Ok(cast(array, &target).map_err(DataFusionError::from)?))
        .collect::<Result<Vec<_>>>()?;
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    Ok(concat(&arrays).map_err(DataFusionError::from)?)
}

/// The rows of one source that belong to the touched people.
struct Rows {
    logical: RecordBatch,
    anchors: Vec<u32>,
    times: Vec<i64>,
    keys: Vec<Box<str>>,
}

impl Rows {
    async fn read(
        engine: &Engine,
        published: &Published,
        people: &People,
        touched: &BTreeSet<u32>,
        all: bool,
        source: &str,
    ) -> Result<Option<Self>> {
        let Body::Source(definition) = &published.state.expect(Kind::Source, source)?.body else {
            return Ok(None);
        };
        let path = tables::source_path(source);
        let Some(table) = published.table(&path) else { return Ok(None) };
        let mut batches = Vec::new();
        for file in table.files.iter() {
            for batch in read_file(engine.catalog().lake(), &path, file, &table.schema).await? {
                let subjects = subject_column(&batch);
                let keep: BooleanArray = (0..batch.num_rows())
                    .map(|row| {
                        let anchor = subjects
                            .is_valid(row)
                            .then(|| people.anchor(subjects.value(row) as u32))
                            .flatten();
                        Some(anchor.is_some_and(|anchor| all || touched.contains(&anchor)))
                    })
                    .collect();
                batches.push(filter_record_batch(&batch, &keep).map_err(DataFusionError::from)?);
            }
        }
        let rows = concat_batches(&table.schema, &batches).map_err(DataFusionError::from)?;
        let subjects = subject_column(&rows);
        let anchors =
            subjects.values().iter().filter_map(|subject| people.anchor(*subject as u32)).collect();
        let logical = lake::logical_batch(&rows, &lake::logical(&rows.schema()))?;
        let times = times(&logical, definition)?;
        let keys = keys(&rows, definition)?;
        Ok(Some(Self { logical, anchors, times, keys }))
    }

    fn candidates(
        &self,
        source: &str,
        base: u32,
        texts: &arrow::array::StringArray,
    ) -> Vec<Candidate> {
        let source: Arc<str> = source.into();
        let found = (0..self.anchors.len())
            .filter(|row| texts.is_valid(*row) && !texts.value(*row).is_empty());
        found
            .map(|row| Candidate {
                anchor: self.anchors[row],
                at: self.times[row],
                source: Arc::clone(&source),
                key: self.keys[row].clone(),
                text: texts.value(row).into(),
                row: base + row as u32,
            })
            .collect()
    }
}

fn subject_column(batch: &RecordBatch) -> arrow::array::Int64Array {
    let column = batch
        .column_by_name(SUBJECT)
        .and_then(|column| column.as_primitive_opt::<Int64Type>().cloned());
    column.unwrap_or_else(|| arrow::array::Int64Array::new_null(batch.num_rows()))
}

/// When each row was so: its version if that is a time, the time of its event, or when it was taken.
fn times(rows: &RecordBatch, source: &Source) -> Result<Vec<i64>> {
    let named = match &source.shape {
        Shape::Records { version_by, .. } => version_by.as_deref(),
        Shape::Events { event_time: Some(column), .. } => Some(column.as_str()),
        Shape::Events { .. } => (source.format == Format::Segment).then_some("occurred_at"),
    };
    let is_time = |column: &&ArrayRef| {
        matches!(column.data_type(), DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
    };
    let own = named.and_then(|name| rows.column_by_name(name)).filter(is_time);
    let taken = rows.column_by_name(INGESTED_AT);
    let micros = |column: &ArrayRef| -> Result<arrow::array::TimestampMicrosecondArray> {
        let utc = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))
            .map_err(DataFusionError::from)?;
        Ok(utc.as_primitive::<TimestampMicrosecondType>().clone())
    };
    let own = own.map(micros).transpose()?;
    let taken = taken.map(micros).transpose()?;
    let time = |row: usize| {
        let own = own.as_ref().filter(|times| times.is_valid(row)).map(|times| times.value(row));
        own.or_else(|| {
            taken.as_ref().filter(|times| times.is_valid(row)).map(|times| times.value(row))
        })
        .unwrap_or(0)
    };
    Ok((0..rows.num_rows()).map(time).collect())
}

/// The key of each row as text: a record's key or an event's message id.
fn keys(rows: &RecordBatch, source: &Source) -> Result<Vec<Box<str>>> {
    let names: Vec<&str> = match &source.shape {
        Shape::Records { key, .. } => key.iter().map(String::as_str).collect(),
        Shape::Events { key, .. } if key.is_empty() && source.format == Format::Segment => {
            vec!["message_id"]
        }
        Shape::Events { key, .. } => key.iter().map(String::as_str).collect(),
    };
    let columns = names
        .iter()
        .filter_map(|name| rows.column_by_name(name))
        .map(tables::texts)
        .collect::<Result<Vec<_>>>()?;
    let mut keys = vec![String::new(); rows.num_rows()];
    for (at, column) in columns.iter().enumerate() {
        for (row, key) in keys.iter_mut().enumerate() {
            if at > 0 {
                key.push('\u{1f}');
            }
            if column.is_valid(row) {
                key.push_str(column.value(row));
            }
        }
    }
    Ok(keys.into_iter().map(String::into_boxed_str).collect())
}
