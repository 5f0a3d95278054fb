//! Syncs: rows of persons on their way out, and the record of it.
//!
//! A sync's rows come from a query for its purpose. Before anything is visible outside, consent is looked at once more, batch by
//! batch, with what is in force then; and who is disclosed to whom is written to the lake. Only then does the destination
//! get the rows. From that look until the rows are visible no answer is recorded: whoever withdraws, and is told so before,
//! is not among them. A crash in between leaves a disclosure on record that did not happen, never one that did and is not.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use connectors::{Delivery, DestinationSpec, Purpose};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::collect;
use uuid::Uuid;

use crate::audit::{Class, Entry};
use crate::catalog::{Body, Change, Destination, Kind, Sync, SyncInput};
use crate::engine::{Engine, Live, Shown};
use crate::error::{Error, Result};
use crate::identity::ProfileIds;
use crate::query::governed::PROFILE_ID;
use crate::query::planner::{parse_one, physical, plan};
use crate::query::reads::Reads;
use crate::tables;

/// What a run of a sync did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReport {
    /// The run.
    pub run: String,
    /// Rows that were sent.
    pub rows: u64,
    /// Rows that were held back because consent was withdrawn while the run went on.
    pub held_back: u64,
    /// Where they are now; `None` for a dry run.
    pub location: Option<String>,
}

/// Runs the sync `name` on behalf of `role`.
///
/// # Errors
/// [`Error::Denied`] if its query may not be read for its purpose, [`Error::Connector`] if the destination refuses; then
/// nothing is visible there.
pub async fn run_sync(
    engine: &Engine,
    name: &str,
    role: &str,
    dry_run: bool,
) -> Result<SyncReport> {
    let live = engine.live();
    let (sync, destination) = definitions(&live, name)?;
    let query = plan_of(engine, &live, name, sync).await?;
    let mut relations = vec![format!("sync {name}")];
    relations.extend(Reads::of(&query.plan)?.relations);
    let entry = Entry {
        role: role.into(),
        purpose: sync.purpose.clone(),
        class: if dry_run { Class::Read } else { Class::Disclosure },
        relations,
    };
    let mut audited = engine.audit().begin(entry).await?;
    let work = async {
        let found = query.collect().await?;
        let _answering = match dry_run {
            true => None,
            false => Some(engine.answering().await?),
        };
        let (batches, people, held_back) = still_allowed(engine, sync, &found)?;
        let run = Uuid::new_v4().simple().to_string();
        if dry_run {
            let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
            return Ok(SyncReport { run, rows, held_back, location: None });
        }
        let segment = match &sync.input {
            SyncInput::Segment { segment, .. } => Some(segment.clone()),
            SyncInput::Query(_) => None,
        };
        let delivery = Delivery {
            purpose: Purpose(sync.purpose.clone()),
            sync: name.into(),
            segment,
            run: run.clone(),
            batches,
            schema: query.schema.clone(),
        };
        let destination = open(engine, &sync.destination, destination)?;
        let location = destination.location(&delivery)?;
        disclose(engine, sync, &delivery, &location, role, &people).await?;
        let receipt = destination.deliver(delivery).await?;
        Ok(SyncReport { run, rows: receipt.rows, held_back, location: Some(receipt.location) })
    };
    let result = work.await;
    match &result {
        Ok(report) => audited.rows(report.rows),
        Err(_) => audited.failed(),
    }
    result
}

/// Returns a sync and where it sends to.
fn definitions<'a>(live: &'a Live, name: &str) -> Result<(&'a Sync, &'a Destination)> {
    let state = &live.published.state;
    let Body::Sync(sync) = &state.expect(Kind::Sync, name)?.body else {
        return Err(Error::Missing {
            kind: "sync",
            name: name.into(),
            hint: "SHOW SYNCS lists what there is.".into(),
        });
    };
    let Body::Destination(destination) = &state.expect(Kind::Destination, &sync.destination)?.body
    else {
        return Err(Error::Missing {
            kind: "destination",
            name: sync.destination.clone(),
            hint: "SHOW DESTINATIONS lists what there is.".into(),
        });
    };
    Ok((sync, destination))
}

fn open(
    engine: &Engine,
    name: &str,
    destination: &Destination,
) -> Result<Box<dyn connectors::Destination>> {
    let spec = DestinationSpec {
        name: name.into(),
        connector: destination.connector.clone(),
        format: destination.format,
        root: engine.file_root()?,
    };
    Ok(connectors::open_destination(spec)?)
}

/// What a sync reads, planned for its purpose.
struct SyncQuery {
    plan: LogicalPlan,
    schema: SchemaRef,
    state: SessionState,
}

impl SyncQuery {
    async fn collect(&self) -> Result<Vec<RecordBatch>> {
        let physical = physical(&self.state, &self.plan).await?;
        Ok(collect(physical, self.state.task_ctx()).await?)
    }
}

/// Plans the query of a sync for its purpose.
async fn plan_of(engine: &Engine, live: &Live, name: &str, sync: &Sync) -> Result<SyncQuery> {
    let query = match &sync.input {
        SyncInput::Query(query) => query.clone(),
        SyncInput::Segment { segment, columns } => segment_query(live, segment, columns)?,
    };
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
    Ok(SyncQuery { plan, schema, state })
}

fn segment_query(live: &Live, segment: &str, columns: &[String]) -> Result<String> {
    live.published.state.expect(Kind::Segment, segment)?;
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
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

/// Keeps the rows of people who allow the purpose now, and returns who they are and how many rows were held back.
fn still_allowed(
    engine: &Engine,
    sync: &Sync,
    batches: &[RecordBatch],
) -> Result<(Vec<RecordBatch>, BTreeSet<u32>, u64)> {
    let live = engine.live();
    let visible = live.visible.get(&sync.purpose);
    let ids = ProfileIds::new(live.published.state.profile_key()?);
    let (mut kept, mut disclosed, mut held_back) = (vec![], BTreeSet::new(), 0);
    for batch in batches {
        let column = batch
            .column_by_name(PROFILE_ID)
            .ok_or_else(|| DataFusionError::Internal("a sync selects profile_id".into()))?;
        let profiles = cast(column, &DataType::Int64).map_err(DataFusionError::from)?;
        let profiles = profiles.as_primitive::<Int64Type>();
        let keep: BooleanArray = (0..batch.num_rows())
            .map(|row| {
                let anchor = profiles
                    .is_valid(row)
                    .then(|| profiles.value(row))
                    .and_then(|id| crate::segment::anchor_of(&ids, &live.people, id));
                let allowed = anchor
                    .filter(|anchor| visible.is_some_and(|visible| visible.contains(*anchor)));
                disclosed.extend(allowed);
                Some(allowed.is_some())
            })
            .collect();
        let allowed = filter_record_batch(batch, &keep).map_err(DataFusionError::from)?;
        held_back += (batch.num_rows() - allowed.num_rows()) as u64;
        kept.push(allowed);
    }
    Ok((kept, disclosed, held_back))
}

/// Writes who is about to be disclosed, and returns once that is durable. The caller holds the lock on answers.
async fn disclose(
    engine: &Engine,
    sync: &Sync,
    delivery: &Delivery,
    location: &str,
    role: &str,
    people: &BTreeSet<u32>,
) -> Result<()> {
    let now = engine.now();
    let count = people.len();
    let same = |value: &str| {
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, count))) as ArrayRef
    };
    let batch = tables::DISCLOSURES.batch(vec![
        Arc::new(Int64Array::from_iter_values(people.iter().map(|anchor| i64::from(*anchor)))),
        same(&delivery.sync),
        same(&delivery.run),
        same(&sync.destination),
        same(location),
        same(&sync.purpose),
        same(role),
        Arc::new(TimestampMicrosecondArray::from(vec![now; count]).with_timezone("UTC")),
    ])?;
    let table = engine
        .catalog()
        .table(tables::DISCLOSURES.path, || tables::DISCLOSURES.table_schema())
        .await?;
    if count > 0 {
        crate::ingest::widen(&table, &tables::DISCLOSURES.table_schema()).await?;
        let snapshot =
            crate::ingest::append(&table, crate::ingest::write(&table, batch).await?).await?;
        let mut change = Change::default();
        change.table(&table, snapshot);
        engine.publish(change, Shown::AsBefore).await?;
    }
    Ok(())
}
