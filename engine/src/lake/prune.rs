//! Which files of a table can hold rows for which a filter is true, judged by the log alone.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::file::{ColumnBounds, FileEntry};

/// Tells of each file whether it may hold rows for which `filter`, over `schema`, is true. One that bounds say nothing
/// about may.
pub fn may_hold(
    files: &[&FileEntry],
    schema: &SchemaRef,
    filter: &Arc<dyn PhysicalExpr>,
) -> Vec<bool> {
    let kept = PruningPredicateBuilder::new()
        .with_file_schema(schema.clone())
        .try_build(filter.clone())
        .and_then(|predicate| predicate.prune(&FileBounds { files, schema }));
    kept.unwrap_or_else(|_| vec![true; files.len()])
}

/// The log's bounds, as pruning reads them.
struct FileBounds<'a> {
    files: &'a [&'a FileEntry],
    schema: &'a SchemaRef,
}

impl FileBounds<'_> {
    fn values(
        &self,
        column: &Column,
        of: impl Fn(&ColumnBounds) -> Option<&ScalarValue>,
    ) -> Option<ArrayRef> {
        let none =
            ScalarValue::try_from(self.schema.field_with_name(&column.name).ok()?.data_type())
                .ok()?;
        let value =
            |file: &&FileEntry| file.bounds_of(&column.name).and_then(&of).unwrap_or(&none).clone();
        ScalarValue::iter_to_array(self.files.iter().map(value)).ok()
    }
}

impl PruningStatistics for FileBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |bounds| bounds.min.as_ref())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |bounds| bounds.max.as_ref())
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let nulls =
            |file: &&FileEntry| file.bounds_of(&column.name).and_then(|bounds| bounds.nulls);
        Some(Arc::new(self.files.iter().map(nulls).collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.files.iter().map(|file| Some(file.rows)).collect::<UInt64Array>()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
