//! Reading a table: a plain Parquet scan over the files of a snapshot.
//!
//! [`LakeTable`] is raw: it knows no purpose and hides nobody, and stays inside the engine. It prunes files by the log's
//! bounds; row groups, pages and rows are pruned by DataFusion's Parquet source, into which the optimizer pushes filters.
//! [`scan_files`] is for a caller that has chosen the files itself. Columns that a file lacks are null.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::memory::DataSourceExec;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::file::{ColumnBounds, FileEntry};
use super::object_store_url;
use super::prune::may_hold;
use super::table::{Table, TableSnapshot};

/// How many rows each row group of a file has; the last one may have fewer.
pub(super) const ROW_GROUP_ROWS: usize = 131_072;
/// How much of the end of a file is read at first: the footer of a file with a few hundred columns.
const FOOTER_BYTES: usize = 64 << 10;

/// One snapshot of a table, for a plan.
#[derive(Debug)]
pub struct LakeTable {
    path: String,
    snapshot: Arc<TableSnapshot>,
}

impl LakeTable {
    /// Makes a snapshot of `table` readable; columns have their stored types.
    pub fn new(table: &Table, snapshot: Arc<TableSnapshot>) -> Self {
        Self { path: table.path().to_owned(), snapshot }
    }

    /// Returns the snapshot.
    pub fn snapshot(&self) -> &Arc<TableSnapshot> {
        &self.snapshot
    }

    /// Returns the files that may hold rows for which `filters` are true, judged by the log alone.
    pub fn prune(&self, state: &dyn Session, filters: &[Expr]) -> PlanResult<Vec<FileEntry>> {
        let files = &self.snapshot.files;
        let Some(filter) = conjunction(filters.to_vec()) else { return Ok(files.to_vec()) };
        let schema = &self.snapshot.schema;
        let filter = state.create_physical_expr(filter, &DFSchema::try_from(schema.clone())?)?;
        let kept = may_hold(&files.iter().collect::<Vec<_>>(), schema, &filter);
        let kept = files.iter().zip(kept).filter(|(_, kept)| *kept);
        Ok(kept.map(|(file, _)| file.clone()).collect())
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.snapshot.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        // The filter stays above the scan until the optimizer pushes it into the Parquet source: a predicate that was
        // set here as well would be evaluated twice.
        let files = self.prune(state, filters)?;
        let statistics = statistics(&self.snapshot.schema, &files);
        let groups = balance(&self.path, files, state.config().target_partitions());
        let source = source(state, &self.snapshot.schema);
        let config = FileScanConfigBuilder::new(object_store_url(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Scans chosen files of `table` in at most `groups` partitions. The same files always fall to the same partitions, and each
/// partition yields its files one after the other. `schema` is the one of their snapshot.
pub fn scan_files(
    state: &dyn Session,
    table: &Table,
    schema: &SchemaRef,
    files: Vec<FileEntry>,
    groups: usize,
) -> PlanResult<Arc<dyn ExecutionPlan>> {
    let source = Arc::new(source(state, schema));
    let config = FileScanConfigBuilder::new(object_store_url(), source)
        .with_file_groups(balance(table.path(), files, groups))
        // Otherwise a partition that is done takes over files of another one.
        .with_preserve_order(true)
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

fn source(state: &dyn Session, schema: &SchemaRef) -> ParquetSource {
    let global = state.config_options().execution.parquet.clone();
    ParquetSource::new(schema.clone())
        .with_table_parquet_options(TableParquetOptions {
            global,
            ..TableParquetOptions::default()
        })
        .with_pushdown_filters(true)
        .with_reorder_filters(true)
        .with_enable_page_index(true)
        .with_bloom_filter_on_read(true)
        .with_metadata_size_hint(FOOTER_BYTES)
}

/// Distributes files over at most `groups` groups of about the same size; the same files always fall the same way.
fn balance(table: &str, mut files: Vec<FileEntry>, groups: usize) -> Vec<FileGroup> {
    let mut balanced: Vec<(u64, Vec<PartitionedFile>)> =
        vec![(0, Vec::new()); groups.clamp(1, files.len().max(1))];
    files.sort_by_key(|file| std::cmp::Reverse(file.size));
    for file in files {
        let lightest = balanced
            .iter_mut()
            .min_by_key(|(bytes, _)| *bytes)
            .expect("there is at least one group");
        lightest.0 += file.size;
        lightest.1.push(partitioned(table, file));
    }
    balanced
        .into_iter()
        .filter(|(_, files)| !files.is_empty())
        .map(|(_, files)| FileGroup::new(files))
        .collect()
}

fn partitioned(table: &str, file: FileEntry) -> PartitionedFile {
    let meta = ObjectMeta {
        location: Path::from(format!("{table}/{}", file.path)),
        last_modified: chrono::DateTime::from_timestamp_millis(file.written_ms).unwrap_or_default(),
        size: file.size,
        e_tag: None,
        version: None,
    };
    // The plan holds the entry, and with it the file.
    PartitionedFile::new_from_meta(meta).with_extension(file)
}

/// Returns what the log knows of all files together: exact counts, and bounds where every file has some.
fn statistics(schema: &SchemaRef, files: &[FileEntry]) -> Statistics {
    let count = |number: u64| usize::try_from(number).map_or(Precision::Absent, Precision::Exact);
    let column = |name: &str| {
        let all: Option<Vec<&ColumnBounds>> =
            files.iter().map(|file| file.bounds_of(name)).collect();
        let all = all.filter(|all| !all.is_empty())?;
        let nulls: Option<u64> = all.iter().map(|bounds| bounds.nulls).sum();
        let mut known = ColumnStatistics::new_unknown();
        known.null_count = nulls.map_or(Precision::Absent, count);
        // Texts in a footer may be cut, so a bound need not be a value.
        if let Some(least) =
            all.iter().map(|bounds| bounds.min.as_ref()).reduce(|a, b| if b? < a? { b } else { a })
        {
            known.min_value = least.cloned().map_or(Precision::Absent, Precision::Inexact);
        }
        if let Some(most) =
            all.iter().map(|bounds| bounds.max.as_ref()).reduce(|a, b| if b? > a? { b } else { a })
        {
            known.max_value = most.cloned().map_or(Precision::Absent, Precision::Inexact);
        }
        Some(known)
    };
    Statistics {
        num_rows: count(files.iter().map(|file| file.rows).sum()),
        total_byte_size: Precision::Absent,
        column_statistics: schema
            .fields()
            .iter()
            .map(|field| column(field.name()).unwrap_or_else(ColumnStatistics::new_unknown))
            .collect(),
    }
}
