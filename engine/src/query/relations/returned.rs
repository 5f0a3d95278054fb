//! Rows that a part of a statement gives back, as a relation for the parts behind it.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use super::{Relation, RelationSource};
use crate::catalog::TEMPORARY;
use crate::error::Result;
use crate::query::governed::Whose;
use crate::query::selection::BATCH_ROWS;

/// Where rows come from that are given back.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The table that they are from.
    pub(crate) of: String,
    /// Whose they are.
    pub(crate) whose: Whose,
    /// Their columns that are the id of a person, whatever they are called.
    pub(crate) ids: Vec<String>,
    /// The relation about onefold itself that is in them, if one is.
    pub(crate) log: Option<String>,
}

/// Rows that are given back. They are as personal as what they are made of.
#[derive(Debug)]
pub(crate) struct ReturnedTable {
    origin: Origin,
    schema: SchemaRef,
    rows: Vec<RecordBatch>,
}

impl ReturnedTable {
    /// Returns the table that the rows are from.
    pub(crate) fn of(&self) -> &str {
        &self.origin.of
    }

    /// Returns whose the rows are.
    pub(crate) fn whose(&self) -> Whose {
        self.origin.whose
    }

    /// Tells whether a column is the id of a person.
    pub(crate) fn is_id(&self, column: &str) -> bool {
        self.origin.ids.iter().any(|id| id == column)
    }

    /// Returns the relation about onefold itself that is in the rows.
    pub(crate) fn log(&self) -> Option<&str> {
        self.origin.log.as_deref()
    }
}

impl Relation {
    /// Rows that a part of a statement gives back.
    pub(crate) fn returned(
        name: &str,
        columns: &Schema,
        rows: &[RecordBatch],
        origin: Origin,
    ) -> Result<Self> {
        let fields = columns.fields().iter();
        let fields: Vec<_> =
            fields.map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let mut batches = vec![];
        for batch in rows {
            let batch = conformed(batch, &schema).map_err(DataFusionError::from)?;
            let starts = (0..batch.num_rows()).step_by(BATCH_ROWS);
            batches.extend(starts.map(|at| batch.slice(at, BATCH_ROWS.min(batch.num_rows() - at))));
        }
        let columns = Arc::clone(&schema);
        let table = ReturnedTable { origin, schema, rows: batches };
        let source = RelationSource::Returned(Arc::new(table));
        Ok(Self::new(TEMPORARY, name, columns, source).unlisted())
    }
}

/// Returns a batch with the columns of a schema, which may be of types that only look the same.
fn conformed(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> std::result::Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast(column, field.data_type()),
        }
    });
    let columns = columns.collect::<std::result::Result<Vec<ArrayRef>, ArrowError>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

#[async_trait]
impl TableProvider for ReturnedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let (rows, schema) = (self.rows.clone(), Arc::clone(&self.schema));
        let plan = MemorySourceConfig::try_new_exec(&[rows], schema, projection.cloned())?;
        Ok(plan)
    }
}
