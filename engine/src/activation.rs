//! Syncs: rows of persons on their way out, and the record of it.
//!
//! A sync's rows come from a query for its purpose. Before anything is visible outside, consent is looked at once more, batch by
//! batch, with what is in force then; and who is disclosed to whom is written to the lake. Only then does the destination
//! get the rows. From that look until the rows are visible no answer is recorded: whoever withdraws, and is told so before,
//! is not among them. A crash in between leaves a disclosure on record that did not happen, never one that did and is not.
//!
//! A sync has one run at a time, and each run is in `cdp.refreshes`. A run that is cancelled before that look sends nothing;
//! after it, the run goes on to its end, and whoever comes next waits for that.

mod query;
mod reserved;

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
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use crate::audit::{Class, Entry};
use crate::catalog::{Body, CatalogState, Change, Coverage, Destination, Kind, Sync, SyncInput};
use crate::engine::{Engine, Live, Shown};
use crate::error::{Error, Result};
use crate::identity::ProfileIds;
use crate::jobs::{Record, Run, Step, Trigger};
use crate::query::governed::PROFILE_ID;
use crate::query::postgres::has_ends;
use crate::query::reads::Reads;
use crate::tables;
use query::SyncQuery;

pub(crate) use query::query_of;

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

/// Runs the sync `name` on behalf of `role`, who asks for it; a dry run only counts.
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
    if dry_run {
        return count(engine, name, role).await;
    }
    let turn = engine.turn(&coverage_name(name)).await;
    send(engine, name, role, Trigger::Demand, turn).await
}

/// Runs the sync `name` if it is still due once no other run of it goes on.
pub(crate) async fn run_sync_if_due(
    engine: &Engine,
    name: &str,
    role: &str,
    is_due: impl FnOnce(&CatalogState) -> bool,
) -> Result<Option<SyncReport>> {
    let turn = engine.turn(&coverage_name(name)).await;
    if !is_due(&engine.live().published.state) {
        return Ok(None);
    }
    send(engine, name, role, Trigger::Schedule, turn).await.map(Some)
}

/// The name of a sync's runs, which the catalog keeps under it, too.
pub(crate) fn coverage_name(sync: &str) -> String {
    format!("sync {sync}")
}

/// Fails if a delivery to a destination of `state` would be refused whatever its rows are.
///
/// Where the project is not known no path can be looked at; a delivery needs to know it.
pub(crate) fn check_destinations(engine: &Engine, state: &CatalogState) -> Result<()> {
    if !matches!(engine.file_root().map(|root| root.try_exists()), Ok(Ok(true))) {
        return Ok(());
    }
    for definition in state.of_kind(Kind::Destination) {
        if let Body::Destination(destination) = &definition.body {
            open(engine, state, &definition.name, destination)?;
        }
    }
    Ok(())
}

/// Counts what a run would send.
async fn count(engine: &Engine, name: &str, role: &str) -> Result<SyncReport> {
    let live = engine.live();
    let (sync, _) = definitions(&live, name)?;
    let query = SyncQuery::plan(engine, &live, name, sync).await?;
    let mut audited = engine.audit().begin(entry(name, sync, role, Class::Read, &query)?).await?;
    let counted = async {
        let (batches, _, held_back) = still_allowed(engine, sync, &query.collect().await?)?;
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        Ok(SyncReport { run: new_run(), rows, held_back, location: None })
    };
    let counted = counted.await;
    match &counted {
        Ok(report) => audited.rows(report.rows),
        Err(_) => audited.failed(),
    }
    counted
}

/// Runs a sync while it has its `turn`.
async fn send(
    engine: &Engine,
    name: &str,
    role: &str,
    trigger: Trigger,
    turn: OwnedMutexGuard<()>,
) -> Result<SyncReport> {
    let live = engine.live();
    let (sync, destination) = definitions(&live, name)?;
    let run = Run::new(engine, coverage_name(name), trigger, false, &|_, _| {});
    let record = run.record();
    let collected = async {
        run.begin().await?;
        let query = SyncQuery::plan(engine, &live, name, sync).await?;
        let entry = entry(name, sync, role, Class::Disclosure, &query)?;
        let mut audited = engine.audit().begin(entry).await?;
        let ready = async { Ok((query.collect().await?, engine.answering().await?)) };
        match ready.await {
            Ok((found, answering)) => Ok((query.schema, found, answering, audited)),
            Err(error) => {
                audited.failed();
                Err(error)
            }
        }
    };
    let (schema, found, answering, mut audited) = match collected.await {
        Ok(collected) => collected,
        Err(error) => {
            record.failed(&error).await;
            return Err(error);
        }
    };
    let outgoing = Outgoing {
        engine: engine.clone(),
        name: name.into(),
        role: role.into(),
        sync: sync.clone(),
        destination: destination.clone(),
        schema,
        found,
        record,
        now: run.now,
    };
    let sent = async move {
        let _turn = turn;
        let sent = outgoing.send(answering).await;
        match &sent {
            Ok(report) => audited.rows(report.rows),
            Err(_) => audited.failed(),
        }
        sent
    };
    engine.catalog().lake().complete(sent).await
}

/// The rows of one run on their way out.
struct Outgoing {
    engine: Engine,
    name: String,
    role: String,
    sync: Sync,
    destination: Destination,
    schema: SchemaRef,
    found: Vec<RecordBatch>,
    record: Record,
    now: i64,
}

impl Outgoing {
    /// Delivers what is still allowed, and notes how that ends.
    async fn send(self, answering: OwnedMutexGuard<()>) -> Result<SyncReport> {
        let delivered = self.deliver().await;
        drop(answering);
        match &delivered {
            Ok(report) => {
                let found = self.found.iter().map(|batch| batch.num_rows() as u64).sum();
                let step = Step {
                    object: coverage_name(&self.name),
                    rows_in: found,
                    rows_out: report.rows,
                    worked: true,
                    churn: None,
                    stages: vec![],
                };
                // The rows are outside, whatever becomes of the note.
                if let Err(error) = self.record.done(&step, self.covered()).await {
                    let error = error.without_values();
                    tracing::error!(sync = self.name, error, "the end of a run could not be noted");
                }
            }
            Err(error) => self.record.failed(error).await,
        }
        delivered
    }

    /// Delivers what is still allowed. The caller holds the lock on answers.
    async fn deliver(&self) -> Result<SyncReport> {
        let (engine, sync) = (&self.engine, &self.sync);
        let (batches, people, held_back) = still_allowed(engine, sync, &self.found)?;
        batches.iter().try_for_each(check_ends)?;
        let segment = match &sync.input {
            SyncInput::Segment { segment, .. } => Some(segment.clone()),
            SyncInput::Query(_) => None,
        };
        let run = new_run();
        let delivery = Delivery {
            purpose: Purpose(sync.purpose.clone()),
            sync: self.name.clone(),
            segment,
            run: run.clone(),
            batches,
            schema: Arc::clone(&self.schema),
        };
        let state = &engine.live().published.state;
        let destination = open(engine, state, &sync.destination, &self.destination)?;
        let location = destination.location(&delivery)?;
        disclose(engine, sync, &delivery, &location, &self.role, &people).await?;
        let receipt = destination.deliver(delivery).await?;
        Ok(SyncReport { run, rows: receipt.rows, held_back, location: Some(receipt.location) })
    }

    /// Returns the change that says when the sync was last run to its end.
    fn covered(&self) -> Change {
        let (name, at) = (self.name.clone(), self.now);
        let mut change = Change::default();
        change.edit(move |state| {
            if state.get(Kind::Sync, &name).is_some() {
                let covered = Coverage { at, ..Coverage::default() };
                state.coverage.insert(coverage_name(&name), covered);
            }
            Ok(())
        });
        change
    }
}

/// Fails if a batch has an infinite date or timestamp, which is a day far away in a file.
fn check_ends(batch: &RecordBatch) -> Result<()> {
    let schema = batch.schema_ref();
    let found = batch.columns().iter().position(has_ends);
    found.map_or(Ok(()), |at| {
        Err(Error::Unsupported {
            what: format!(
                "an infinite date or timestamp in column \"{}\"",
                schema.field(at).name()
            ),
            hint: "Send null for no end: nullif(column, 'infinity').".into(),
        })
    })
}

fn new_run() -> String {
    Uuid::new_v4().simple().to_string()
}

/// What the audit log says of a run.
fn entry(name: &str, sync: &Sync, role: &str, class: Class, query: &SyncQuery) -> Result<Entry> {
    let mut relations = vec![format!("sync {name}")];
    relations.extend(Reads::of(&query.plan)?.relations);
    Ok(Entry { role: role.into(), purpose: sync.purpose.clone(), class, relations })
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
    state: &CatalogState,
    name: &str,
    destination: &Destination,
) -> Result<Box<dyn connectors::Destination>> {
    let root = engine.file_root()?;
    let spec = DestinationSpec {
        name: name.into(),
        connector: destination.connector.clone(),
        format: destination.format,
        reserved: reserved::reserved(engine.catalog().lake().directory(), state, &root)?,
        root,
    };
    Ok(connectors::open_destination(spec)?)
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
