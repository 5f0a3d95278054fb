//! Relations about onefold itself and about what is kept in memory: rows that are made when they are asked for.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use futures::future::BoxFuture;

use super::selection::BATCH_ROWS;
use crate::error::Result;

/// Makes the rows of a relation.
pub type Rows = Arc<dyn Fn() -> BoxFuture<'static, Result<Vec<RecordBatch>>> + Send + Sync>;

/// A relation whose rows are made when a plan that reads it is made.
pub struct SystemTable {
    name: String,
    schema: SchemaRef,
    rows: Rows,
    /// What the audit log notes when it is read.
    on_record: Vec<String>,
}

impl SystemTable {
    /// Builds the relation `name` with the columns of `schema`.
    pub fn new(name: impl Into<String>, schema: SchemaRef, rows: Rows) -> Self {
        Self { name: name.into(), schema, rows, on_record: vec![] }
    }

    /// Marks that its rows tell of persons, so that each read of it is noted in the audit log.
    pub fn put_on_record(mut self) -> Self {
        self.on_record = vec![self.name.clone()];
        self
    }

    /// The same, for rows that are made of these relations.
    pub fn made_of(mut self, relations: &[&str]) -> Self {
        self.on_record = relations.iter().map(|relation| (*relation).to_owned()).collect();
        self
    }

    /// Returns its qualified name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the audit log notes when it is read.
    pub fn on_record(&self) -> &[String] {
        &self.on_record
    }
}

impl fmt::Debug for SystemTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemTable").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for SystemTable {
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
        let made =
            (self.rows)().await.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let mut batches = Vec::new();
        for batch in made {
            let batch = crate::table_read::adapt(&batch, &self.schema)
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            batches.extend(
                (0..batch.num_rows())
                    .step_by(BATCH_ROWS)
                    .map(|at| batch.slice(at, BATCH_ROWS.min(batch.num_rows() - at))),
            );
        }
        let plan = MemorySourceConfig::try_new_exec(
            &[batches],
            Arc::clone(&self.schema),
            projection.cloned(),
        )?;
        Ok(plan)
    }
}
