//! The rows that `DELETE` and `UPDATE` change: the files that hold them are written anew.
//!
//! Rows of hidden people in these files go into the new ones as they are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch, interleave};
use arrow::datatypes::{Int64Type, Schema};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use futures::TryStreamExt;

use super::provenance::Provenance;
use super::rows::{self, FileWriter, ROW, assigned, check_not_null};
use super::write::{Seen, Written, missing};
use crate::catalog::{AnalyticsTable, qualified};
use crate::error::Result;
use crate::query::session::QuerySession;
use crate::table_read;

impl QuerySession {
    /// `DELETE` and `UPDATE`: writes the files anew that hold rows which the plan found.
    pub(super) async fn change_rows(
        &self,
        seen: &Seen,
        name: &str,
        verb: &str,
        columns: &[String],
        plan: LogicalPlan,
    ) -> Result<Written> {
        let (relation, table) = seen.table(name, verb)?;
        self.require_owner(name, relation)?;
        let provenance = Provenance::of_change(&plan, table.of_persons)?;
        self.may_fill(seen, name, table, provenance.personal, provenance.of_one_person_each)?;
        let target = qualified(name);
        let stream = self.run(&seen.live, plan, Some(&target)).await?;
        let schema = stream.schema();
        let found: Vec<RecordBatch> = stream.try_collect().await?;
        let found = concat_batches(&schema, &found).map_err(DataFusionError::from)?;
        // Of several matches of a row the first counts.
        let mut places: HashMap<i64, usize> = HashMap::with_capacity(found.num_rows());
        let numbers = found.column(0).as_primitive::<Int64Type>();
        for (place, row) in numbers.iter().enumerate() {
            if let Some(row) = row {
                places.entry(row).or_insert(place);
            }
        }
        let made = self.opened(&table.path).await?;
        let snapshot = seen.live.published.table(&table.path).ok_or_else(|| missing(name))?;
        let values = new_values(&snapshot.schema, table, columns, &found)?;
        let lake = self.engine().catalog().lake();
        let numbers_only = table_read::project(&snapshot.schema, &[ROW])?;
        let (mut adds, mut removes) = (vec![], vec![]);
        for file in snapshot.files.iter() {
            let rows = table_read::read_file(lake, &table.path, file, &numbers_only).await?;
            let hit = |batch: &RecordBatch| {
                let rows = batch.column(0).as_primitive::<Int64Type>();
                rows.iter().flatten().any(|row| places.contains_key(&row))
            };
            if !rows.iter().any(hit) {
                continue;
            }
            removes.push(file.clone());
            let mut writer = FileWriter::new(&made);
            for batch in table_read::read_file(lake, &table.path, file, &snapshot.schema).await? {
                let changed = match columns.is_empty() {
                    true => without(&batch, &places)?,
                    false => updated(&batch, &places, &values)?,
                };
                writer.push(changed).await?;
            }
            adds.extend(writer.finish().await?);
        }
        if !removes.is_empty() {
            self.stage_rows(seen, &made, adds, &removes);
        }
        Ok(Written::tagged(format!("{verb} {}", places.len())))
    }
}

/// Returns the new values of each assigned column, as they are stored.
fn new_values(
    stored: &Schema,
    table: &AnalyticsTable,
    columns: &[String],
    found: &RecordBatch,
) -> Result<Vec<(String, ArrayRef)>> {
    let value = |(at, name): (usize, &String)| {
        let (_, field) = stored.fields().find(name).ok_or_else(|| missing(name))?;
        let logical = crate::lake::logical_field(field);
        let array = assigned(found.column(at + 1), &logical)?;
        check_not_null(&array, name, table.not_null.contains(name))?;
        Ok((name.clone(), rows::stored(&array, &logical, field)?))
    };
    columns.iter().enumerate().map(value).collect()
}

/// Returns the rows of a batch that were not found.
fn without(batch: &RecordBatch, places: &HashMap<i64, usize>) -> Result<RecordBatch> {
    let kept: BooleanArray = numbers(batch)?
        .iter()
        .map(|place| Some(place.is_none_or(|row| !places.contains_key(&row))))
        .collect();
    Ok(filter_record_batch(batch, &kept).map_err(DataFusionError::from)?)
}

/// Returns a batch with the new values in the rows that were found.
fn updated(
    batch: &RecordBatch,
    places: &HashMap<i64, usize>,
    values: &[(String, ArrayRef)],
) -> Result<RecordBatch> {
    let from: Vec<(usize, usize)> = numbers(batch)?
        .iter()
        .enumerate()
        .map(|(at, row)| match row.and_then(|row| places.get(&row)) {
            Some(place) => (1, *place),
            None => (0, at),
        })
        .collect();
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, old)| {
        match values.iter().find(|(name, _)| name == field.name()) {
            None => Ok(Arc::clone(old)),
            Some((_, new)) => {
                let both: [&dyn Array; 2] = [old, new];
                Ok(interleave(&both, &from).map_err(DataFusionError::from)?)
            }
        }
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(&schema), columns).map_err(DataFusionError::from)?)
}

fn numbers(batch: &RecordBatch) -> Result<Int64Array> {
    Ok(crate::tables::column(batch, ROW)?.as_primitive::<Int64Type>().clone())
}
