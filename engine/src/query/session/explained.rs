//! `EXPLAIN` as PostgreSQL answers it: one column, with a row for each line.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

/// What DataFusion calls the plan that is run.
const PHYSICAL: &str = "physical_plan";

/// Returns the column of the answer to a plan that is an `EXPLAIN`.
pub(super) fn columns_of(plan: &LogicalPlan) -> Option<SchemaRef> {
    matches!(plan, LogicalPlan::Explain(_)).then(columns)
}

fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8, true)]))
}

/// Makes lines of the rows of DataFusion's `EXPLAIN`, each of which is a kind of plan and its text.
pub(super) fn lines(rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let lines = rows.map(|batch| batch.and_then(|batch| lines_of(&batch)));
    Box::pin(RecordBatchStreamAdapter::new(columns(), lines))
}

/// Writes the plan that is run, and behind it how the query was understood.
fn lines_of(batch: &RecordBatch) -> Result<RecordBatch> {
    let (Some(kinds), Some(texts)) = (
        batch.column(0).as_string_opt::<i32>(),
        batch.columns().get(1).and_then(|texts| texts.as_string_opt::<i32>()),
    ) else {
        return Err(DataFusionError::Internal("EXPLAIN has another form".into()));
    };
    let (mut run, mut understood) = (Vec::new(), Vec::new());
    for row in 0..batch.num_rows() {
        let text = if texts.is_null(row) { "" } else { texts.value(row) };
        match kinds.value(row) {
            PHYSICAL => run.extend(text.lines().map(str::to_owned)),
            _ => understood.extend(text.lines().map(|line| format!("  {line}"))),
        }
    }
    if !understood.is_empty() {
        run.push("Logical Plan:".to_owned());
        run.extend(understood);
    }
    let lines: ArrayRef = Arc::new(StringArray::from(run));
    Ok(RecordBatch::try_new(columns(), vec![lines])?)
}
