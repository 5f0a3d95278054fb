//! Where governed scans read from, and what is remembered of the files there.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use futures::TryStreamExt;
use object_store::ObjectStore;

use super::{SUBJECT, ScannedFile};
use crate::query::blooms::BloomCache;
use crate::query::decoded::DecodedCache;
use crate::query::relations::ShownColumns;
use crate::query::runs::{RunCache, Runs, runs_of};
use crate::query::value_index::IndexCache;
use crate::table_read::StoreReader;

/// Where governed scans read from: one lake's store, and what is remembered of its files.
#[derive(Debug, Clone)]
pub struct ScanStore {
    /// The store.
    pub(super) store: Arc<dyn ObjectStore>,
    /// Its name inside plans.
    pub(super) url: ObjectStoreUrl,
    /// The runs of its files.
    runs: Arc<RunCache>,
    /// The bloom filters of its files.
    pub(super) blooms: Arc<BloomCache>,
    /// Blocks of its files.
    pub(super) decoded: Arc<DecodedCache>,
    /// In which rows of its files values stand.
    pub(super) indexes: Arc<IndexCache>,
    /// The columns of the tables that analysts made.
    pub(in crate::query) shown: Arc<ShownColumns>,
}

impl ScanStore {
    /// Reads from `store`, which plans call `url`, and keeps at most so many bytes of decoded columns.
    pub fn new(store: Arc<dyn ObjectStore>, url: ObjectStoreUrl, decoded_bytes_max: usize) -> Self {
        let (runs, blooms, indexes, shown) = Default::default();
        let decoded = Arc::new(DecodedCache::new(decoded_bytes_max));
        Self { store, url, runs, blooms, decoded, indexes, shown }
    }

    /// Returns the subjects of the rows of `file` as runs.
    pub(super) async fn runs(&self, file: &ScannedFile) -> DataFusionResult<Arc<Runs>> {
        if let Some(runs) = self.runs.get(&file.path) {
            return Ok(runs);
        }
        let reader = StoreReader::new(Arc::clone(&self.store), &file.path, file.size);
        let builder = ParquetRecordBatchStreamBuilder::new(reader).await?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), [SUBJECT]);
        let mut stream = builder.with_projection(mask).with_batch_size(65_536).build()?;
        let mut subjects = Vec::new();
        while let Some(batch) = stream.try_next().await? {
            let column = batch.column_by_name(SUBJECT).ok_or_else(|| corrupt(&file.path))?;
            let column =
                column.as_primitive_opt::<Int64Type>().ok_or_else(|| corrupt(&file.path))?;
            subjects.push(column.clone());
        }
        let runs = runs_of(subjects.iter().flat_map(|column| column.iter()));
        Ok(self.runs.insert(file.path.clone(), runs))
    }
}

fn corrupt(path: &str) -> DataFusionError {
    DataFusionError::External(Box::new(crate::Error::Corrupt {
        message: format!("file \"{path}\" has no system column \"{SUBJECT}\" of type bigint"),
        source: None,
    }))
}
