//! Parquet: columns as they are stored, in the types that the lake has.
//!
//! Exactness comes first: unsigned numbers become decimals, nanoseconds become microseconds, nested values become JSON
//! text. A value that does not fit is null and counted.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use ::parquet::basic::Type as PhysicalType;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, new_null_array};
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::{CastOptions, can_cast_types, cast_with_options, nullif};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;

use super::BATCH_BYTES_MAX;
use super::column::{Column, NullTexts};
use super::encode;
use super::input::{Compression, Origin, Stat};
use super::mark::At;
use super::part::{Filled, Part};
use super::schema::json_field;
use crate::error::Result;
use crate::{LOGICAL_TYPE_JSON, LOGICAL_TYPE_KEY};

/// Tells whether Parquet values can be read as a declared type.
pub(super) fn castable(data_type: &DataType) -> bool {
    !data_type.is_nested() && can_cast_types(&DataType::Utf8, data_type)
}

/// Returns the columns of a file in the types that they are read as.
pub(super) fn fields(origin: &Origin) -> Result<Vec<Field>> {
    let (file, _) = origin.open()?;
    let metadata = metadata(origin, &file)?;
    Ok(metadata.schema().fields().iter().map(|field| stored(field)).collect())
}

fn metadata(origin: &Origin, file: &File) -> Result<ArrowReaderMetadata> {
    if Compression::of(&origin.file) != Compression::None {
        return Err(
            origin.unusable("Parquet compresses its own columns. Decompress the file.", None)
        );
    }
    let load =
        |options| ArrowReaderMetadata::load(file, options).map_err(|error| origin.damaged(error));
    let metadata = load(ArrowReaderOptions::new())?;
    let leaves = metadata.parquet_schema().columns();
    let int96: Vec<_> = leaves
        .iter()
        .filter(|leaf| {
            leaf.physical_type() == PhysicalType::INT96 && leaf.path().parts().len() == 1
        })
        .map(|leaf| leaf.name())
        .collect();
    if int96.is_empty() {
        return Ok(metadata);
    }
    // Read as nanoseconds, which is the default, years beyond 2262 would be other years.
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let hinted = metadata.schema().fields().iter().map(|field| {
        match int96.contains(&field.name().as_str()) {
            true => field.as_ref().clone().with_data_type(micros.clone()),
            false => field.as_ref().clone(),
        }
    });
    load(ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(hinted.collect::<Vec<_>>()))))
}

/// Returns the column that a Parquet column is read as.
fn stored(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Dictionary(_, values) => {
            return stored(&field.clone().with_data_type(values.as_ref().clone()));
        }
        nested if nested.is_nested() => return json_field(field.name()),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            DataType::Decimal128(20, 0)
        }
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal256(precision, scale) => {
            DataType::Decimal128((*precision).min(38), *scale)
        }
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into()))
        }
        DataType::Duration(_) | DataType::Interval(_) => DataType::Utf8,
        data_type => data_type.clone(),
    };
    Field::new(field.name(), data_type, true)
}

/// A Parquet file that is read to batches.
pub(super) struct ParquetFile {
    origin: Origin,
    stat: Stat,
    reader: ParquetRecordBatchReader,
    rows: u64,
    schema: SchemaRef,
    nulls: NullTexts,
}

impl ParquetFile {
    pub(super) fn open(
        origin: &Origin,
        at: At,
        schema: &SchemaRef,
        nulls: &NullTexts,
        rows_max: usize,
    ) -> Result<ParquetFile> {
        let (file, stat) = origin.open()?;
        let metadata = metadata(origin, &file)?;
        let rows_max = rows_max.min(rows_of_bytes(&metadata));
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        let offset = usize::try_from(at.line).unwrap_or(usize::MAX);
        let reader = builder.with_batch_size(rows_max).with_offset(offset).build();
        Ok(ParquetFile {
            origin: origin.clone(),
            stat,
            reader: reader.map_err(|error| origin.damaged(error))?,
            rows: at.line,
            schema: schema.clone(),
            nulls: nulls.clone(),
        })
    }

    pub(super) fn stat(&self) -> Stat {
        self.stat
    }

    pub(super) fn at(&self) -> At {
        At { offset: 0, line: self.rows, open: None }
    }

    pub(super) fn read(&mut self, rows_max: usize) -> Result<Filled> {
        let mut part = Part::new(&self.schema, rows_max);
        let mut nulled = BTreeMap::new();
        let Some(batch) = self.reader.next() else {
            let empty =
                self.schema.fields().iter().map(|field| new_null_array(field.data_type(), 0));
            return Ok(part.finish_arrays(empty.collect(), nulled, true));
        };
        let batch = batch.map_err(|error| self.origin.damaged(error))?;
        let mut arrays = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            let (array, lost) = self.column(&batch, field)?;
            if lost > 0 {
                nulled.insert(field.name().clone(), lost);
            }
            arrays.push(array);
        }
        for _ in 0..batch.num_rows() {
            self.rows += 1;
            part.took(self.rows, 0);
        }
        Ok(part.finish_arrays(arrays, nulled, false))
    }

    /// Returns a column of the schema, and how many of its values did not fit.
    fn column(&self, batch: &RecordBatch, field: &Field) -> Result<(ArrayRef, u64)> {
        let Some(found) = batch.column_by_name(field.name()) else {
            return Ok((new_null_array(field.data_type(), batch.num_rows()), 0));
        };
        let array = match found.data_type() {
            // A key array without a null may point to a null value: only the unpacked array tells.
            DataType::Dictionary(_, values) => cast(found, values),
            _ => Ok(Arc::clone(found)),
        };
        let array = array.map_err(|error| self.origin.damaged(error))?;
        let is_json =
            field.metadata().get(LOGICAL_TYPE_KEY).is_some_and(|name| name == LOGICAL_TYPE_JSON);
        let flat = match is_json || array.data_type().is_nested() {
            true => encode::json_texts(&array).map_err(|error| self.origin.damaged(error))?,
            false => Arc::clone(&array),
        };
        let is_text =
            matches!(flat.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        if is_text
            && field.data_type() != &DataType::Utf8
            && let Some(column) = Column::new(field, false)
        {
            return self.parsed(&flat, column);
        }
        let exact = exact(&flat, field.data_type()).map_err(|error| self.origin.damaged(error))?;
        let lost = exact.null_count().saturating_sub(array.null_count()) as u64;
        Ok((self.without_null_texts(exact)?, lost))
    }

    /// Reads texts as values of a column that is none of texts, as those of a text file are read.
    fn parsed(&self, texts: &ArrayRef, mut column: Column) -> Result<(ArrayRef, u64)> {
        let texts = cast(texts, &DataType::Utf8).map_err(|error| self.origin.damaged(error))?;
        for text in texts.as_string::<i32>() {
            match text.filter(|text| !self.nulls.contains(text)) {
                Some(text) => column.append(text),
                None => column.append_null(),
            }
        }
        Ok((column.finish(texts.len()), column.nulled))
    }

    fn without_null_texts(&self, array: ArrayRef) -> Result<ArrayRef> {
        if array.data_type() != &DataType::Utf8 || !self.nulls.any() {
            return Ok(array);
        }
        let texts = array.as_string::<i32>();
        let is_null: BooleanArray = texts
            .iter()
            .map(|text| Some(text.is_some_and(|text| self.nulls.contains(text))))
            .collect();
        nullif(&array, &is_null).map_err(|error| self.origin.damaged(error))
    }
}

fn cast(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, arrow::error::ArrowError> {
    // Safe: what does not fit becomes null.
    cast_with_options(array, data_type, &CastOptions { safe: true, ..CastOptions::default() })
}

/// Casts what is stored to what it is read as. A value that would be another one, such as 12.5 as a whole number or a
/// time as a day, is null. Nanoseconds are microseconds before that, as everywhere.
fn exact(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, arrow::error::ArrowError> {
    let read_as = stored(&Field::new("", array.data_type().clone(), true));
    let read = cast(array, read_as.data_type())?;
    if !can_cast_types(read.data_type(), data_type) {
        return Ok(new_null_array(data_type, array.len()));
    }
    let cast_values = cast(&read, data_type)?;
    if read.data_type() == data_type
        || data_type == &DataType::Utf8
        || !can_cast_types(data_type, read.data_type())
    {
        return Ok(cast_values);
    }
    let back = cast(&cast_values, read.data_type())?;
    nullif(&cast_values, &distinct(&back, &read)?)
}

/// Returns how many rows of the file's mean width make a batch of at most [`BATCH_BYTES_MAX`].
fn rows_of_bytes(metadata: &ArrowReaderMetadata) -> usize {
    let groups = metadata.metadata().row_groups();
    let bytes: i64 = groups.iter().map(|group| group.total_byte_size()).sum();
    let rows: i64 = groups.iter().map(|group| group.num_rows()).sum();
    let row_bytes = usize::try_from(bytes / rows.max(1)).unwrap_or(0).max(1);
    (BATCH_BYTES_MAX / row_bytes).max(1)
}
