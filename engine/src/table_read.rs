//! Reading a table whole, file by file: for rebuilding what is kept in memory, and for rewrites.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use datafusion::parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader,
};
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::catalog::Published;
use crate::error::{Error, Result};
use crate::lake::{FileEntry, Lake, TableSnapshot};
use crate::tables::SystemLayout;

/// Rows that are decoded at a time.
const READ_ROWS: usize = 65_536;

/// Reads `columns` of every file of `snapshot`, a version of the table at `table`, in the order of files and rows.
pub(crate) async fn read_table(
    lake: &Lake,
    table: &str,
    snapshot: &TableSnapshot,
    columns: &[&str],
) -> Result<Vec<RecordBatch>> {
    let schema = project(&snapshot.schema, columns)?;
    let mut batches = Vec::new();
    for file in snapshot.files.iter() {
        batches.extend(read_file(lake, table, file, &schema).await?);
    }
    Ok(batches)
}

/// Reads one of onefold's own tables, in the order in which it was written; one that is not there has no rows.
pub(crate) async fn read_system_table(
    lake: &Lake,
    published: &Published,
    layout: &SystemLayout,
) -> Result<Vec<RecordBatch>> {
    let Some(table) = published.table(layout.path) else { return Ok(vec![]) };
    let schema = layout.schema();
    let mut batches = Vec::new();
    for file in table.files.iter() {
        batches.extend(read_file(lake, layout.path, file, &schema).await?);
    }
    Ok(batches)
}

/// Returns the named columns of `schema`, in the order of the names.
pub(crate) fn project(schema: &Schema, columns: &[&str]) -> Result<SchemaRef> {
    let fields = columns
        .iter()
        .map(|name| Ok(schema.field_with_name(name).map_err(DataFusionError::from)?.clone()));
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
}

/// Reads the columns of `schema` from one file; columns that the file was written without are null.
pub(crate) async fn read_file(
    lake: &Lake,
    table: &str,
    file: &FileEntry,
    schema: &SchemaRef,
) -> Result<Vec<RecordBatch>> {
    let path = format!("{table}/{}", file.path);
    let damaged = |source: DataFusionError| Error::Corrupt {
        message: format!("file \"{path}\" of the lake cannot be read"),
        source: Some(Box::new(source)),
    };
    let reader = StoreReader::new(lake.store(), &path, file.size);
    let builder = ParquetRecordBatchStreamBuilder::new(reader)
        .await
        .map_err(|error| damaged(error.into()))?;
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
    let mut stream = builder
        .with_projection(mask)
        .with_batch_size(READ_ROWS)
        .build()
        .map_err(|error| damaged(error.into()))?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await.map_err(|error| damaged(error.into()))? {
        batches.push(adapt(&batch, schema)?);
    }
    Ok(batches)
}

/// Reads what the footer of a file says, and where its pages are.
pub(crate) async fn read_footer(
    store: &Arc<dyn ObjectStore>,
    path: &str,
    size: u64,
) -> ParquetResult<ArrowReaderMetadata> {
    let mut reader = StoreReader::new(Arc::clone(store), path, size);
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .load_and_finish(&mut reader, size)
        .await?;
    ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
}

/// Brings a batch to `schema`: columns by name, casts where a type was laid out otherwise, nulls where one is absent.
pub(crate) fn adapt(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) => Ok(cast(column, field.data_type()).map_err(DataFusionError::from)?),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(DataFusionError::from)?)
}

/// Reads byte ranges of one Parquet file of a store.
pub(crate) struct StoreReader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl StoreReader {
    /// Reads the file at `path`, which is `size` bytes long.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: &str, size: u64) -> Self {
        Self { store, path: Path::from(path), size }
    }
}

impl AsyncFileReader for StoreReader {
    fn get_bytes(&mut self, range: std::ops::Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move {
            self.store
                .get_range(&self.path, range)
                .await
                .map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<std::ops::Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move {
            self.store
                .get_ranges(&self.path, &ranges)
                .await
                .map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size;
            Ok(Arc::new(ParquetMetaDataReader::new().load_and_finish(self, size).await?))
        }
        .boxed()
    }
}
