//! The scans below the leaf of a governed table.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetRowSelection,
};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema as ScanSchema;
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};

use super::GovernedTable;
use crate::query::inner_scan::{InnerScan, MemoryScan, Part};
use crate::query::selection::{BATCH_ROWS, Piece, Selection};

impl GovernedTable {
    /// Returns the scan below the leaf, and how many of the selected rows lie in files that it reads.
    pub(super) fn inner_scan(
        &self,
        session: &dyn Session,
        selection: &Selection,
        columns: Vec<usize>,
        predicate: Option<Arc<dyn PhysicalExpr>>,
        is_read: &[bool],
        picks: bool,
    ) -> DataFusionResult<(InnerScan, u64)> {
        let predicate = predicate.filter(|_| !picks);
        let from_memory =
            self.memory_scan(selection, &columns, predicate.as_ref(), is_read, picks)?;
        // Files are immutable: what their footers say is decoded once.
        let footers = session.runtime_env().cache_manager.get_file_metadata_cache();
        let reader = CachedParquetFileReaderFactory::new(Arc::clone(&self.store.store), footers);
        let mut source = ParquetSource::new(ScanSchema::from(Arc::clone(&self.physical)))
            .with_table_parquet_options(session.table_options().parquet.clone())
            .with_parquet_file_reader_factory(Arc::new(reader))
            .with_enable_page_index(true)
            // They were asked before the file is opened.
            .with_bloom_filter_on_read(false);
        if let Some(predicate) = predicate {
            source = source.with_predicate(predicate).with_pushdown_filters(true);
        }
        let pieces = selection.partitions.iter().flatten();
        let rows = pieces.filter(|piece| is_read[piece.file]).map(Piece::rows).sum();
        let groups = selection.partitions.iter().map(|pieces| {
            let pieces = pieces.iter().filter(|piece| is_read[piece.file]);
            pieces.map(|piece| self.partitioned_file(piece, picks)).collect()
        });
        let config = FileScanConfigBuilder::new(self.store.url.clone(), Arc::new(source))
            .with_file_groups(groups.map(FileGroup::new).collect())
            .with_projection_indices(Some(columns))?
            .with_batch_size(Some(BATCH_ROWS))
            // Otherwise a partition that is done takes files from another, and cuts would not be where they were made.
            .with_preserve_order(true)
            .build();
        Ok((InnerScan::new(DataSourceExec::from_data_source(config), from_memory), rows))
    }

    /// Returns the same scan out of memory, if what it reads may be kept there.
    fn memory_scan(
        &self,
        selection: &Selection,
        columns: &[usize],
        predicate: Option<&Arc<dyn PhysicalExpr>>,
        is_read: &[bool],
        picks: bool,
    ) -> DataFusionResult<Option<MemoryScan>> {
        let mut read = columns.to_vec();
        let named = predicate.map(collect_columns).unwrap_or_default();
        let mut also: Vec<usize> = named.iter().map(Column::index).collect();
        also.retain(|column| !columns.contains(column));
        also.sort_unstable();
        read.extend(also);
        let schema = self.physical.project(&read)?;
        let filter = predicate
            .map(|filter| reassign_expr_columns(Arc::clone(filter), &schema))
            .transpose()?;
        let mut places = vec![0; self.files.len()];
        let mut files = Vec::new();
        for (file, _) in self.files.iter().enumerate().filter(|(file, _)| is_read[*file]) {
            places[file] = files.len();
            files.push(self.block_file(&self.files[file]));
        }
        let parts = |pieces: &Vec<Piece>| {
            let pieces = pieces.iter().filter(|piece| is_read[piece.file]);
            let part = |piece: &Piece| Part {
                file: places[piece.file],
                ranges: match picks {
                    true => piece.read_ranges().into_owned(),
                    false => piece.ranges().to_vec(),
                },
            };
            pieces.map(part).collect::<Vec<_>>()
        };
        let partitions = selection.partitions.iter().map(parts).collect();
        let cache = Arc::clone(&self.store.decoded);
        MemoryScan::new(cache, files, partitions, read, columns.len(), filter)
    }

    fn partitioned_file(&self, piece: &Piece, picks: bool) -> PartitionedFile {
        let file = &self.files[piece.file];
        let scanned =
            PartitionedFile::new(file.path.clone(), file.size).with_extension(file.entry.clone());
        let selection = match picks {
            true => piece.read_selection(file.rows),
            false => piece.row_selection(file.rows),
        };
        if selection.skipped_row_count() == 0 {
            return scanned;
        }
        scanned.with_extension(ParquetRowSelection::new(selection))
    }
}
