//! Traits: values computed by a query over each person's own rows.
//!
//! The query is run once for all touched people, through governed tables that hold nobody else's rows. That gives the
//! same values as running it for everybody only if no row of one person meets another's, so the plan is checked for
//! that: rows may be grouped, joined and windowed by `profile_id` and by nothing coarser.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, take};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::collect;

use crate::catalog::Published;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::query::access::{People, Visible};
use crate::query::governed::PROFILE_ID;
use crate::query::planner::{parse_one, physical, plan};

/// The rows of one trait query.
pub(super) struct TraitRows {
    rows: RecordBatch,
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
    let relations = engine.internal_relations(published, people, visible.clone());
    let state = engine.planner().state(&relations.scope());
    let plan = plan(&state, relations.facts(), parse_one(query)?).await?;
    check(&plan, name)?;
    let schema = Arc::new(plan.schema().as_arrow().clone());
    let physical = physical(&state, &plan).await?;
    let batches = collect(physical, state.task_ctx()).await?;
    Ok(TraitRows { rows: concat_batches(&schema, &batches).map_err(DataFusionError::from)? })
}

/// Fails if `plan` is none of a trait: `profile_id` first, and nobody's rows meet another's.
pub(crate) fn check(plan: &LogicalPlan, name: &str) -> Result<()> {
    per_person(plan, name)?;
    if plan.schema().fields().first().map(|field| field.name().as_str()) != Some(PROFILE_ID) {
        return Err(Error::Invalid {
            message: format!("trait \"{name}\" must select {PROFILE_ID} first"),
            hint: format!("Write AS SELECT {PROFILE_ID}, ... GROUP BY {PROFILE_ID}."),
        });
    }
    Ok(())
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
                let column = match column.data_type() {
                    DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => {
                        cast(column, &DataType::Utf8).map_err(DataFusionError::from)?
                    }
                    _ => Arc::clone(column),
                };
                Ok((
                    field.name().clone(),
                    take(&column, &order, None).map_err(DataFusionError::from)?,
                ))
            });
        columns.collect()
    }
}

/// Fails if rows of different people can meet in `plan`.
fn per_person(plan: &LogicalPlan, name: &str) -> Result<()> {
    let is_profile = |expr: &Expr| matches!(expr.clone().unalias(), Expr::Column(column) if column.name == PROFILE_ID);
    let mut meets = None;
    plan.apply_with_subqueries(|node| {
        let found = match node {
            LogicalPlan::Aggregate(aggregate) if !aggregate.group_expr.iter().any(is_profile) => {
                Some("an aggregate that is not grouped by profile_id")
            }
            LogicalPlan::Window(window) => {
                let partitioned = |expr: &Expr| match expr.clone().unalias() {
                    Expr::WindowFunction(function) => {
                        function.params.partition_by.iter().any(is_profile)
                    }
                    _ => false,
                };
                (!window.window_expr.iter().all(partitioned))
                    .then_some("a window that is not partitioned by profile_id")
            }
            LogicalPlan::Join(join) => {
                let joined =
                    join.on.iter().any(|(left, right)| is_profile(left) && is_profile(right));
                let literal = |plan: &LogicalPlan| {
                    matches!(plan, LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_))
                };
                (!joined && !literal(&join.left) && !literal(&join.right))
                    .then_some("a join that is not on profile_id")
            }
            LogicalPlan::Limit(_) => Some("a LIMIT"),
            LogicalPlan::Subquery(_) => Some("a subquery in an expression"),
            LogicalPlan::RecursiveQuery(_) => Some("a recursive query"),
            _ => None,
        };
        if found.is_some() {
            meets = found;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match meets {
        None => Ok(()),
        Some(what) => Err(Error::Unsupported {
            what: format!("{what} in trait \"{name}\""),
            hint: "A trait is computed from each person's own rows: group, window and join by profile_id.".into(),
        }),
    }
}
