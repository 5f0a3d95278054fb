//! The order of rows that come back where `RETURNING` has a query: that one is joined to them, and a join hands rows on in any
//! order. So each row has its place beside its columns, and what is computed is sorted by it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, SetExpr, Statement, TableFactor};

use crate::error::Result;

/// The place of a row among those that come back. Columns of tables have no such name.
pub(super) const PLACE: &str = "_place";

/// Returns these columns with the place behind them.
pub(super) fn columns(of_rows: &Schema) -> SchemaRef {
    let place = Arc::new(Field::new(PLACE, DataType::Int64, true));
    let fields = of_rows.fields().iter().cloned().chain([place]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Gives rows their places; `columns` are those with the place.
pub(super) fn rows(batches: &[RecordBatch], columns: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let mut next = 0_i64;
    let placed = |batch: &RecordBatch| {
        let first = next;
        next = first.saturating_add(i64::try_from(batch.num_rows()).unwrap_or(i64::MAX));
        let places: ArrayRef = Arc::new(Int64Array::from_iter_values(first..next));
        let arrays = batch.columns().iter().cloned().chain([places]).collect();
        let placed = RecordBatch::try_new(Arc::clone(columns), arrays);
        Ok(placed.map_err(DataFusionError::from)?)
    };
    batches.iter().map(placed).collect()
}

/// Writes the stars of a query over rows out, which would show the place.
pub(super) fn without_stars(query: &Statement, of_table: &[String]) -> Statement {
    let mut query = query.clone();
    if let Statement::Query(query) = &mut query
        && let SetExpr::Select(select) = query.body.as_mut()
        && let [from] = select.from.as_slice()
        && let TableFactor::Table { alias: Some(alias), .. } = &from.relation
    {
        let column = |name: &String| {
            let parts = vec![alias.name.clone(), Ident::with_quote('"', name)];
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts))
        };
        let mut written = Vec::with_capacity(select.projection.len());
        for item in &select.projection {
            match item {
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                    written.extend(of_table.iter().map(column));
                }
                item => written.push(item.clone()),
            }
        }
        select.projection = written;
    }
    query
}
