//! What a sync reads: a query of its own, or the columns of a segment's members.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::collect;

use crate::catalog::{Kind, Sync, SyncInput};
use crate::engine::{Engine, Live};
use crate::error::{Error, Result};
use crate::query::governed::PROFILE_ID;
use crate::query::planner::{parse_one, physical, plan};
use crate::query::quoted::quoted;

/// What a sync reads, planned for its purpose.
pub(super) struct SyncQuery {
    /// What it reads, and how.
    pub(super) plan: LogicalPlan,
    /// The columns of its rows.
    pub(super) schema: SchemaRef,
    state: SessionState,
}

impl SyncQuery {
    /// Plans the query of a sync for its purpose.
    pub(super) async fn plan(
        engine: &Engine,
        live: &Live,
        name: &str,
        sync: &Sync,
    ) -> Result<Self> {
        let query = query_of(live, sync)?;
        let relations = engine.purpose_relations(live, &sync.purpose)?;
        let state = engine.planner().state(&relations.scope());
        let plan = plan(&state, relations.facts(), parse_one(&query)?).await?;
        if plan.schema().index_of_column_by_name(None, PROFILE_ID).is_none() {
            return Err(Error::Invalid {
                message: format!("sync \"{name}\" does not select {PROFILE_ID}"),
                hint: "Consent is looked at for each person as rows leave: select profile_id, too."
                    .into(),
            });
        }
        let schema: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
        Ok(Self { plan, schema, state })
    }

    /// Runs it.
    pub(super) async fn collect(&self) -> Result<Vec<RecordBatch>> {
        let physical = physical(&self.state, &self.plan).await?;
        Ok(collect(physical, self.state.task_ctx()).await?)
    }
}

/// Returns the query of a sync.
///
/// # Errors
/// [`Error::Missing`] if it sends a segment that is not there.
pub(crate) fn query_of(live: &Live, sync: &Sync) -> Result<String> {
    match &sync.input {
        SyncInput::Query(query) => Ok(query.clone()),
        SyncInput::Segment { segment, columns } => segment_query(live, segment, columns),
    }
}

fn segment_query(live: &Live, segment: &str, columns: &[String]) -> Result<String> {
    live.published.state.expect(Kind::Segment, segment)?;
    let list = match columns {
        [] => "p.*".to_owned(),
        some => {
            let others = some
                .iter()
                .filter(|column| *column != PROFILE_ID)
                .map(|column| format!(", p.{}", quoted(column)));
            format!("p.{PROFILE_ID}{}", others.collect::<String>())
        }
    };
    Ok(format!(
        "SELECT {list} FROM public.profiles p JOIN segments.{} s ON s.{PROFILE_ID} = p.{PROFILE_ID} ORDER BY p.{PROFILE_ID}",
        quoted(segment)
    ))
}
