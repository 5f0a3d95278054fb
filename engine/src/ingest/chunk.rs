//! A chunk of a source's rows on their way into the lake.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array, UInt64Array,
};
use arrow::compute::{
    SortColumn, cast, concat, concat_batches, lexsort_to_indices, take_record_batch,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use connectors::SourceBatch;
use datafusion::error::DataFusionError;
use sha2::{Digest, Sha256};

use super::{INGESTED_AT, ORIGIN, message_key};
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

/// Rows of one or more batches, in the lake's columns and physical types.
pub(super) struct Chunk {
    /// The source's own columns.
    pub(super) rows: RecordBatch,
    /// For each row, its position in its file.
    pub(super) positions: UInt64Array,
    /// For each run of rows of one file: the file and how many rows.
    pub(super) files: Vec<(String, usize)>,
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
        let names = lake_names(&schema);
        let fields = schema
            .fields()
            .iter()
            .zip(&names)
            .map(|(field, name)| field.as_ref().clone().with_name(name).with_nullable(true));
        let named = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let renamed = RecordBatch::try_new(named, records.columns().to_vec())
            .map_err(DataFusionError::from)?;
        let targets = names
            .iter()
            .map(|name| Ok(table.field_with_name(name).map_err(DataFusionError::from)?.clone()));
        let target: SchemaRef = Arc::new(Schema::new(targets.collect::<Result<Vec<_>>>()?));
        let rows = lake::physical_batch(&renamed, &target)?;
        let positions: Vec<ArrayRef> =
            batches.iter().map(|batch| Arc::new(batch.positions.clone()) as ArrayRef).collect();
        let positions: Vec<&dyn Array> = positions.iter().map(AsRef::as_ref).collect();
        let positions = concat(&positions).map_err(DataFusionError::from)?.as_primitive().clone();
        let files =
            batches.iter().map(|batch| (batch.file.clone(), batch.records.num_rows())).collect();
        Ok(Self { rows, positions, files })
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
            let origins =
                self.files.iter().flat_map(|(file, rows)| std::iter::repeat_n(origin(file), *rows));
            fields.push(Field::new(ORIGIN, DataType::Int64, true));
            columns.push(Arc::new(Int64Array::from_iter_values(origins)));
        }
        fields.extend(self.rows.schema().fields().iter().map(|field| field.as_ref().clone()));
        columns.extend(self.rows.columns().iter().cloned());
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(DataFusionError::from)?)
    }
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The number that stands for a file in a log without message ids.
pub(super) fn origin(file: &str) -> i64 {
    let digest = Sha256::digest(file.as_bytes());
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

/// Returns what orders the versions of rows: a time in microseconds, or a number.
///
/// # Errors
/// [`Error::Invalid`] if the column is neither.
pub(super) fn orders(rows: &RecordBatch, version_by: Option<&str>) -> Result<Vec<Option<i64>>> {
    let Some(name) = version_by else { return Ok(vec![None; rows.num_rows()]) };
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
        kind if kind.is_integer() || matches!(kind, DataType::Decimal128(..)) => {
            cast(column, &DataType::Int64)
        }
        kind => {
            return Err(not_an_order(
                name,
                &format!("has type {kind}, which does not order versions"),
            ));
        }
    };
    let numbers = numbers.map_err(DataFusionError::from)?;
    Ok(numbers.as_primitive::<Int64Type>().iter().collect())
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
    fn only_times_and_numbers_order_versions() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let dates: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![19000]));
        let rows = RecordBatch::try_from_iter([("t", texts), ("d", dates)]).unwrap();
        assert_eq!(orders(&rows, Some("d")).unwrap(), [Some(19000)]);
        assert!(matches!(orders(&rows, Some("t")), Err(Error::Invalid { .. })));
        assert!(matches!(orders(&rows, Some("x")), Err(Error::Invalid { .. })));
        assert_eq!(orders(&rows, None).unwrap(), [None]);
    }
}
