//! A chunk of a source's rows on their way into the lake.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::compute::{
    SortColumn, cast, concat, concat_batches, filter, filter_record_batch, lexsort_to_indices,
    take_record_batch,
};
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use connectors::SourceBatch;
use datafusion::error::DataFusionError;
use sha2::{Digest, Sha256};

use super::known::Order;
use super::{BATCH_ROWS, CHUNK_BYTES, CHUNK_ROWS, INGESTED_AT, ORIGIN, message_key};
use crate::catalog::{Shape, Source};
use crate::error::{Error, Result};
use crate::lake;
use crate::query::governed::SUBJECT;

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It goes to the source's table.
    Current,
    /// It goes to the history: a newer version is there.
    History,
    /// It is there already.
    Duplicate,
    /// It was set aside.
    Rejected,
}

impl Outcome {
    /// Tells whether the row goes into the lake.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Outcome::Current | Outcome::History)
    }
}

/// Batches that wait until they are a chunk.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) batches: Vec<SourceBatch>,
    rows: usize,
    bytes: usize,
}

impl Pending {
    /// Adds a batch.
    pub(super) fn push(&mut self, batch: SourceBatch) {
        self.rows += batch.records.num_rows() + batch.rejected.len();
        self.bytes += batch.records.get_array_memory_size();
        self.bytes += batch.rejected.iter().map(|rejection| rejection.raw.len()).sum::<usize>();
        self.batches.push(batch);
    }

    /// Tells whether there are as many rows or bytes as are held at a time.
    pub(super) fn is_chunk(&self) -> bool {
        self.rows >= CHUNK_ROWS - BATCH_ROWS || self.bytes >= CHUNK_BYTES
    }
}

/// Rows of one or more batches, in the lake's columns and physical types.
pub(super) struct Chunk {
    /// The source's own columns.
    pub(super) rows: RecordBatch,
    /// For each row, its position in its file.
    pub(super) positions: UInt64Array,
    /// The batches that the rows came in.
    pub(super) parts: Vec<ChunkPart>,
}

/// The rows of a chunk that came in one batch.
pub(super) struct ChunkPart {
    /// The file, for people.
    pub(super) file: String,
    /// What tells the file from every other one.
    pub(super) origin: String,
    /// How many rows.
    pub(super) rows: usize,
    /// A row that was given before and is none, in the columns of the rows.
    pub(super) withdrawn: Option<RecordBatch>,
    /// Whether the last row may be withdrawn.
    pub(super) provisional: bool,
}

/// The names of a source's columns in the lake.
pub(super) fn lake_names(schema: &Schema) -> Vec<String> {
    // A leading underscore is for system columns.
    lake::column_names(schema.fields().iter().map(|field| field.name().trim_start_matches('_')))
}

impl Chunk {
    /// Joins batches of one source; `table` is the schema of its table.
    pub(super) fn new(batches: &[SourceBatch], table: &Schema) -> Result<Self> {
        let first = batches
            .first()
            .ok_or_else(|| DataFusionError::Internal("a chunk has a batch".into()))?;
        let schema = first.records.schema();
        let records = concat_batches(&schema, batches.iter().map(|batch| &batch.records))
            .map_err(DataFusionError::from)?;
        let rows = in_lake(&records, table)?;
        let positions: Vec<ArrayRef> =
            batches.iter().map(|batch| Arc::new(batch.positions.clone()) as ArrayRef).collect();
        let positions: Vec<&dyn Array> = positions.iter().map(AsRef::as_ref).collect();
        let positions = concat(&positions).map_err(DataFusionError::from)?.as_primitive().clone();
        let part = |batch: &SourceBatch| -> Result<ChunkPart> {
            let withdrawn = batch.withdrawn.as_ref().map(|row| in_lake(row, table)).transpose()?;
            Ok(ChunkPart {
                file: batch.file.clone(),
                origin: batch.origin.clone(),
                rows: batch.records.num_rows(),
                withdrawn,
                provisional: batch.provisional,
            })
        };
        let parts = batches.iter().map(part).collect::<Result<_>>()?;
        Ok(Self { rows, positions, parts })
    }

    /// Returns the rows that go into the lake, given the outcome of each.
    pub(super) fn taken(self, outcomes: &[Outcome]) -> Result<Self> {
        let is_taken: BooleanArray =
            outcomes.iter().map(|outcome| Some(outcome.is_taken())).collect();
        if is_taken.true_count() == outcomes.len() {
            return Ok(self);
        }
        let rows = filter_record_batch(&self.rows, &is_taken).map_err(DataFusionError::from)?;
        let positions = filter(&self.positions, &is_taken).map_err(DataFusionError::from)?;
        let mut from = 0;
        let parts = self.parts.into_iter().map(|part| {
            let taken = is_taken.slice(from, part.rows).true_count();
            from += part.rows;
            ChunkPart { rows: taken, ..part }
        });
        Ok(Self { rows, positions: positions.as_primitive().clone(), parts: parts.collect() })
    }

    /// Returns the rows in the types that expressions see.
    pub(super) fn logical(&self) -> Result<RecordBatch> {
        let schema = lake::logical(&self.rows.schema());
        lake::logical_batch(&self.rows, &schema)
    }

    /// Adds the system columns.
    pub(super) fn finish(
        self,
        subjects: &[Option<i64>],
        now: i64,
        source: &Source,
    ) -> Result<RecordBatch> {
        let rows = self.rows.num_rows();
        let mut fields =
            vec![Field::new(SUBJECT, DataType::Int64, true), Field::new(INGESTED_AT, utc(), true)];
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(subjects.to_vec())),
            Arc::new(TimestampMicrosecondArray::from(vec![now; rows]).with_timezone("UTC")),
        ];
        if matches!(source.shape, Shape::Events { .. }) && message_key(source).is_empty() {
            let origins = self
                .parts
                .iter()
                .flat_map(|part| std::iter::repeat_n(origin(&part.origin), part.rows));
            fields.push(Field::new(ORIGIN, DataType::Int64, true));
            columns.push(Arc::new(Int64Array::from_iter_values(origins)));
        }
        fields.extend(self.rows.schema().fields().iter().map(|field| field.as_ref().clone()));
        columns.extend(self.rows.columns().iter().cloned());
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(DataFusionError::from)?)
    }
}

/// Brings columns of a source to the names and the physical types that they have in `table`.
fn in_lake(records: &RecordBatch, table: &Schema) -> Result<RecordBatch> {
    let schema = records.schema();
    let names = lake_names(&schema);
    let fields = schema
        .fields()
        .iter()
        .zip(&names)
        .map(|(field, name)| field.as_ref().clone().with_name(name).with_nullable(true));
    let named = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let renamed =
        RecordBatch::try_new(named, records.columns().to_vec()).map_err(DataFusionError::from)?;
    let targets = names
        .iter()
        .map(|name| Ok(table.field_with_name(name).map_err(DataFusionError::from)?.clone()));
    let target: SchemaRef = Arc::new(Schema::new(targets.collect::<Result<Vec<_>>>()?));
    lake::physical_batch(&renamed, &target)
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The number that stands for a file in a log without message ids, given what tells it from others.
pub(super) fn origin(origin: &str) -> i64 {
    let digest = Sha256::digest(origin.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    i64::from_le_bytes(bytes)
}

/// Returns the chosen rows, sorted by the columns of `sort` and then by arrival.
pub(super) fn sorted(rows: &RecordBatch, chosen: &[u32], sort: &[String]) -> Result<RecordBatch> {
    let chosen = UInt32Array::from(chosen.to_vec());
    let rows = take_record_batch(rows, &chosen).map_err(DataFusionError::from)?;
    let mut columns: Vec<SortColumn> = sort
        .iter()
        .filter_map(|name| rows.column_by_name(name))
        .map(|column| SortColumn { values: Arc::clone(column), options: None })
        .collect();
    columns.push(SortColumn {
        values: Arc::new(UInt32Array::from_iter_values(0..rows.num_rows() as u32)),
        options: None,
    });
    let order = lexsort_to_indices(&columns, None).map_err(DataFusionError::from)?;
    Ok(take_record_batch(&rows, &order).map_err(DataFusionError::from)?)
}

/// Returns what orders the versions of rows: a time in microseconds, or a number with all its digits.
///
/// # Errors
/// [`Error::Invalid`] if the column is neither.
pub(super) fn orders(rows: &RecordBatch, version_by: Option<&str>) -> Result<Vec<Order>> {
    let Some(name) = version_by else { return Ok(vec![Order::ABSENT; rows.num_rows()]) };
    let column = rows
        .column_by_name(name)
        .ok_or_else(|| not_an_order(name, "is not a column of the source"))?;
    let numbers = match column.data_type() {
        DataType::Timestamp(_, zone) => {
            let microseconds =
                cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))
                    .map_err(DataFusionError::from)?;
            cast(&microseconds, &DataType::Int64)
        }
        DataType::Date32 | DataType::Date64 => cast(column, &DataType::Int64),
        DataType::Decimal128(..) => {
            // One column has one scale, so the digits alone order its values.
            let digits = column.as_primitive::<Decimal128Type>().iter();
            return Ok(digits.map(|digits| digits.map_or(Order::ABSENT, Order::of)).collect());
        }
        kind if kind.is_integer() => cast(column, &DataType::Int64),
        kind => {
            return Err(not_an_order(
                name,
                &format!("has type {kind}, which does not order versions"),
            ));
        }
    };
    let numbers = numbers.map_err(DataFusionError::from)?;
    let numbers = numbers.as_primitive::<Int64Type>().iter();
    Ok(numbers.map(|number| number.map_or(Order::ABSENT, Order::of)).collect())
}

fn not_an_order(name: &str, what: &str) -> Error {
    Error::Invalid {
        message: format!("VERSION BY column \"{name}\" {what}"),
        hint: "Name a column with a time, a date or a whole number, or declare its type in the source's column list.".into(),
    }
}

/// Returns the key of each row as one text; `None` if any part is null.
pub(super) fn key_texts(rows: &RecordBatch, key: &[String]) -> Result<Vec<Option<String>>> {
    let parts = key.iter().map(|name| {
        let column = rows.column_by_name(name).ok_or_else(|| Error::Invalid {
            message: format!("key column \"{name}\" is not a column of the source"),
            hint:
                "Name columns as they are in the lake: lower case letters, digits and underscores."
                    .into(),
        })?;
        crate::tables::texts(column)
    });
    let parts = parts.collect::<Result<Vec<StringArray>>>()?;
    let text = |row: usize| {
        let mut text = String::new();
        for (at, part) in parts.iter().enumerate() {
            if part.is_null(row) || part.value(row).is_empty() {
                return None;
            }
            if at > 0 {
                text.push('\u{1f}');
            }
            text.push_str(part.value(row));
        }
        Some(text)
    };
    Ok((0..rows.num_rows()).map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_by_subject_time_and_arrival() {
        let rows = RecordBatch::try_from_iter([
            (SUBJECT, Arc::new(Int64Array::from(vec![2, 1, 1, 1])) as ArrayRef),
            ("at", Arc::new(Int64Array::from(vec![0, 9, 3, 3])) as ArrayRef),
            ("n", Arc::new(Int64Array::from(vec![0, 1, 2, 3])) as ArrayRef),
        ])
        .unwrap();
        let sorted = sorted(&rows, &[3, 0, 1, 2], &[SUBJECT.to_owned(), "at".to_owned()]).unwrap();
        assert_eq!(sorted.column(2).as_primitive::<Int64Type>().values(), &[3, 2, 1, 0]);
    }

    #[test]
    fn long_rows_are_a_chunk_before_there_are_many() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(CHUNK_BYTES / 8)]));
        let batch = SourceBatch {
            records: RecordBatch::try_from_iter([("text", text)]).unwrap(),
            positions: UInt64Array::from(vec![1]),
            file: "in.csv".into(),
            origin: "in.csv".into(),
            rejected: vec![],
            nulled: Default::default(),
            ignored: Default::default(),
            again: false,
            incomplete: false,
            provisional: false,
            withdrawn: None,
            cursor: Default::default(),
        };
        let mut pending = Pending::default();
        for _ in 0..7 {
            pending.push(batch.clone());
        }
        assert!(!pending.is_chunk());
        pending.push(batch);
        assert!(pending.is_chunk());
    }

    #[test]
    fn only_times_and_numbers_order_versions() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let dates: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![19000]));
        let decimals: ArrayRef = Arc::new(
            arrow::array::Decimal128Array::from(vec![150]).with_precision_and_scale(38, 2).unwrap(),
        );
        let rows =
            RecordBatch::try_from_iter([("t", texts), ("d", dates), ("n", decimals)]).unwrap();
        assert_eq!(orders(&rows, Some("d")).unwrap(), [Order::of(19000)]);
        assert_eq!(orders(&rows, Some("n")).unwrap(), [Order::of(150)], "1.50 is not 1");
        assert!(matches!(orders(&rows, Some("t")), Err(Error::Invalid { .. })));
        assert!(matches!(orders(&rows, Some("x")), Err(Error::Invalid { .. })));
        assert_eq!(orders(&rows, None).unwrap(), [Order::ABSENT]);
    }
}
