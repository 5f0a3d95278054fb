//! Traits: values computed by a query over each person's own rows.
//!
//! The query is run once for all touched people, through governed tables that hold nobody else's rows. It may name what
//! the log says and nothing that is made of it, which would be that of the refresh before; and no row of one person may
//! meet another's, for which the [plan is checked](super::per_person).
//!
//! A sum of bigints, which is a numeric to a query, is kept as a bigint: what one person adds up to fits, takes half the
//! room, and profiles keep the types that they have had. A query that wants more digits says so with a cast.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{CastOptions, cast, cast_with_options, concat_batches, take};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::collect;

use crate::catalog::Published;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::lake::LOGICAL_TYPE;
use crate::query::access::{People, Visible};
use crate::query::governed::PROFILE_ID;
use crate::query::planner::{parse_one, physical, plan};
use crate::query::reads::reads_the_clock;
use crate::query::relations::Relations;

use super::per_person::check;

/// The rows of one trait query.
pub(super) struct TraitRows {
    rows: RecordBatch,
    /// Whether they are other ones at another time, without anything new in the log.
    pub(super) reads_the_clock: bool,
}

/// Returns what the query of a trait may name: sources and events, as far as `visible` goes.
pub(super) fn relations(
    engine: &Engine,
    published: &Arc<Published>,
    people: &Arc<People>,
    visible: Visible,
) -> Arc<Relations> {
    Arc::new(engine.internal(published, people, visible).of_log(published))
}

/// Runs the query of the trait `name` for the people of `visible`.
///
/// # Errors
/// [`Error::Invalid`] if it does not give one row for each `profile_id`, [`Error::Unsupported`] if rows of different
/// people meet in it.
pub(super) async fn compute(
    engine: &Engine,
    published: &Arc<Published>,
    people: &Arc<People>,
    visible: &Visible,
    name: &str,
    query: &str,
) -> Result<TraitRows> {
    let relations = relations(engine, published, people, visible.clone());
    let state = engine.planner().state(&relations.scope());
    let plan = plan(&state, relations.facts(), parse_one(query)?).await?;
    check(&plan, name)?;
    let schema = Arc::new(plan.schema().as_arrow().clone());
    let physical = physical(&state, &plan).await?;
    let batches = collect(physical, state.task_ctx()).await?;
    let rows = concat_batches(&schema, &batches).map_err(DataFusionError::from)?;
    Ok(TraitRows { rows, reads_the_clock: reads_the_clock(&plan)? })
}

/// Returns the type that values of a trait's column are kept in.
pub(super) fn stored_type(column: &Field) -> &DataType {
    match column.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => &DataType::Utf8,
        _ if is_whole_sum(column) => &DataType::Int64,
        other => other,
    }
}

/// Tells whether a column is a sum of bigints, and not a number that was cast to so many digits.
fn is_whole_sum(column: &Field) -> bool {
    let named = column.metadata().get(LOGICAL_TYPE).is_some_and(|logical| logical == "numeric");
    named && matches!(column.data_type(), DataType::Decimal128(_, 0))
}

/// Brings values into the type that they are kept in.
fn stored(name: &str, column: &Field, values: &ArrayRef) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(values, stored_type(column), &options).map_err(|error| {
        match is_whole_sum(column) {
            true => Error::Standard {
                sqlstate: "22003",
                message: format!(
                    "column \"{}\" of trait \"{name}\" is out of range for bigint",
                    column.name()
                ),
                hint: "Cast it to the digits that it needs, as in sum(value)::numeric(38, 0)."
                    .into(),
            },
            false => DataFusionError::from(error).into(),
        }
    })
}

impl TraitRows {
    /// Brings the values to the order of `ids`: one column for each value of the trait, null for people without a row.
    pub(super) fn place(&self, name: &str, ids: &[i64]) -> Result<Vec<(String, ArrayRef)>> {
        let profiles =
            cast(self.rows.column(0), &DataType::Int64).map_err(DataFusionError::from)?;
        let profiles = profiles.as_primitive::<Int64Type>();
        let mut rows: HashMap<i64, u32> = HashMap::with_capacity(profiles.len());
        for row in (0..profiles.len()).filter(|row| profiles.is_valid(*row)) {
            if rows.insert(profiles.value(row), row as u32).is_some() {
                return Err(Error::Invalid {
                    message: format!("trait \"{name}\" gives more than one row for a profile"),
                    hint: format!("Group by {PROFILE_ID}, so that each profile has one row."),
                });
            }
        }
        let order: UInt32Array = ids.iter().map(|id| rows.get(id).copied()).collect();
        let schema = self.rows.schema();
        let columns =
            schema.fields().iter().zip(self.rows.columns()).skip(1).map(|(field, column)| {
                let column = stored(name, field, column)?;
                Ok((
                    field.name().clone(),
                    take(&column, &order, None).map_err(DataFusionError::from)?,
                ))
            });
        columns.collect()
    }
}
