//! Segments: who is a member, since when, and who is no more.
//!
//! A segment's query is planned for its purpose, so that whoever does not allow it is no member whatever the query says.
//! A refresh compares the people it finds with the members there are, and publishes who entered and who left together.
//! Other segments that the query reads are inputs like any table: when their members change, it is computed anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt;

use crate::catalog::{
    ANALYTICS, Body, CatalogState, Change, Coverage, Kind, Segment, SegmentsRead, segments_read,
};
use crate::engine::{Engine, Live};
use crate::error::{Error, Result};
use crate::identity::ProfileIds;
use crate::jobs::Run;
use crate::lake::Commit;
use crate::query::access::People;
use crate::query::governed::PROFILE_ID;
use crate::query::planner::{parse_one, physical, plan};
use crate::tables;

/// What a refresh of a segment did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SegmentReport {
    /// Members now.
    pub members: usize,
    /// Who entered.
    pub entered: usize,
    /// Who left.
    pub exited: usize,
}

/// Brings one segment up to date and adds its tables to `change`; `None` if nothing that it depends on is new.
pub async fn refresh(
    engine: &Engine,
    run: &Run<'_>,
    change: &mut Change,
    name: &str,
) -> Result<Option<SegmentReport>> {
    let live = engine.live();
    let state = &live.published.state;
    let Body::Segment(segment) = &state.expect(Kind::Segment, name)?.body else {
        return Ok(None);
    };
    let same = state.coverage.get(&coverage_name(name)).is_some_and(|covered| {
        covered.inputs == inputs(state, name, segment)
            && covered.definition_version == state.version_of(Kind::Segment, name)
    });
    if same && !run.full && !depends_on_time(&segment.query) {
        return Ok(None);
    }
    run.begin().await?;
    compute(engine, &live, run.now, change, name, segment).await.map(Some)
}

/// Computes the members that `segment` has as of `live` and adds its tables to `change`.
///
/// What it covers is noted with the definition that stands when `change` is published, so that a segment can be defined
/// and computed in one publication.
pub(crate) async fn compute(
    engine: &Engine,
    live: &Live,
    now: i64,
    change: &mut Change,
    name: &str,
    segment: &Segment,
) -> Result<SegmentReport> {
    let wanted = members_wanted(engine, live, name, segment).await?;
    let lake = engine.catalog().lake();
    let table = engine
        .catalog()
        .table(&tables::segment_path(name), || tables::SEGMENT_MEMBERS.table_schema())
        .await?;
    let before = table.snapshot();
    let mut current: BTreeMap<u32, i64> = BTreeMap::new();
    for batch in
        crate::table_read::read_table(lake, table.path(), &before, &["_subject", "entered_at"])
            .await?
    {
        let subjects = batch.column(0).as_primitive::<Int64Type>();
        let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            // Of two members that became one person the longer membership goes on.
            let anchor = live
                .people
                .anchor(subjects.value(row) as u32)
                .unwrap_or(subjects.value(row) as u32);
            current
                .entry(anchor)
                .and_modify(|since| *since = (*since).min(times.value(row)))
                .or_insert(times.value(row));
        }
    }
    let entered: Vec<u32> =
        wanted.iter().copied().filter(|anchor| !current.contains_key(anchor)).collect();
    let exited: Vec<(u32, i64)> = current
        .iter()
        .filter(|(anchor, _)| !wanted.contains(anchor))
        .map(|(anchor, at)| (*anchor, *at))
        .collect();
    let report =
        SegmentReport { members: wanted.len(), entered: entered.len(), exited: exited.len() };
    let merged = before.rows() != current.len() as u64;
    if !entered.is_empty() || !exited.is_empty() || merged {
        let rows: Vec<(u32, i64)> = wanted
            .iter()
            .map(|anchor| (*anchor, current.get(anchor).copied().unwrap_or(now)))
            .collect();
        let batch = tables::SEGMENT_MEMBERS
            .batch(vec![subjects_of(&rows), times_of(rows.iter().map(|(_, at)| *at))])?;
        let adds =
            if rows.is_empty() { vec![] } else { crate::ingest::write(&table, batch).await? };
        change.table(&table, table.commit(Commit::replace(before, adds)).await?);
    } else {
        change.table(&table, before);
    }
    let former = engine
        .catalog()
        .table(&tables::former_path(name), || tables::FORMER_MEMBERS.table_schema())
        .await?;
    let mut snapshot = former.snapshot();
    if !exited.is_empty() {
        let exits = times_of(std::iter::repeat_n(now, exited.len()));
        let batch = tables::FORMER_MEMBERS.batch(vec![
            subjects_of(&exited),
            times_of(exited.iter().map(|(_, at)| *at)),
            exits,
        ])?;
        snapshot =
            crate::ingest::append(&former, crate::ingest::write(&former, batch).await?).await?;
    }
    change.table(&former, snapshot);
    let (covered, inputs) = (name.to_owned(), inputs(&live.published.state, name, segment));
    change.edit(move |state| {
        let definition_version = state.version_of(Kind::Segment, &covered);
        let coverage = Coverage { inputs, definition_version, at: now };
        state.coverage.insert(coverage_name(&covered), coverage);
        Ok(())
    });
    Ok(report)
}

/// The name that the catalog keeps a segment's coverage under.
pub(crate) fn coverage_name(segment: &str) -> String {
    format!("segment {segment}")
}

/// The versions of the tables that a segment can depend on.
fn inputs(state: &CatalogState, name: &str, segment: &Segment) -> BTreeMap<String, u64> {
    let reads = segments_read(&segment.query);
    let own = [tables::segment_path(name), tables::former_path(name)];
    let tables = state.tables.iter().filter(|(path, _)| is_input(path, &reads));
    let others = tables.filter(|(path, _)| !own.contains(path));
    others.map(|(path, table)| (path.clone(), table.version)).collect()
}

/// Tells whether a table can be what a segment's query reads, or what decides who may be seen.
fn is_input(path: &str, reads: &SegmentsRead) -> bool {
    match path.split_once('/') {
        Some(("cdp", _)) => false,
        Some((ANALYTICS, _)) => reads.analytics,
        Some(("segments", segment)) => reads.members || reads.named.contains(segment),
        Some(("former_members", _)) => reads.members,
        _ => true,
    }
}

/// Tells whether a query can give other members without any new row.
fn depends_on_time(query: &str) -> bool {
    let mut query = query.to_ascii_lowercase();
    query.retain(|letter| !letter.is_whitespace());
    [
        "now()",
        "current_date",
        "current_timestamp",
        "current_time",
        "localtime",
        "'now'",
        "'today'",
        "'tomorrow'",
        "'yesterday'",
        "random()",
        "clock_timestamp",
        "transaction_timestamp",
        "statement_timestamp",
        "age(",
    ]
    .iter()
    .any(|word| query.contains(word))
}

/// Runs a segment's query for its purpose and returns the anchors of the profiles it gives.
async fn members_wanted(
    engine: &Engine,
    live: &Live,
    name: &str,
    segment: &Segment,
) -> Result<BTreeSet<u32>> {
    let relations = engine.purpose_relations(live, &segment.purpose)?;
    let state = engine.planner().state(&relations.scope());
    let plan = plan(&state, relations.facts(), parse_one(&segment.query)?).await?;
    let at = member_column(&plan, name)?;
    let physical = physical(&state, &plan).await?;
    let mut stream = execute_stream(physical, state.task_ctx())?;
    let ids = ProfileIds::new(live.published.state.profile_key()?);
    let mut anchors = BTreeSet::new();
    while let Some(batch) = stream.try_next().await? {
        let column = cast(batch.column(at), &DataType::Int64).map_err(DataFusionError::from)?;
        let found = column.as_primitive::<Int64Type>();
        anchors.extend(found.iter().flatten().filter_map(|id| anchor_of(&ids, &live.people, id)));
    }
    Ok(anchors)
}

/// Fails if `plan` is none of a segment.
pub(crate) fn check(plan: &LogicalPlan, name: &str) -> Result<()> {
    member_column(plan, name).map(drop)
}

/// Returns the column of a segment's query that names its members.
fn member_column(plan: &LogicalPlan, name: &str) -> Result<usize> {
    let fields = plan.schema().fields();
    let found = fields.iter().position(|field| field.name() == PROFILE_ID);
    let form = format!("SELECT {PROFILE_ID} FROM profiles WHERE ...");
    found.ok_or_else(|| Error::Invalid {
        message: format!("segment \"{name}\" does not select {PROFILE_ID}"),
        hint: format!("A segment is a query whose rows are its members: {form}"),
    })
}

/// Returns the anchor of a profile.
pub(crate) fn anchor_of(ids: &ProfileIds, people: &People, profile_id: i64) -> Option<u32> {
    let anchor = u32::try_from(ids.anchor_of(profile_id)?).ok()?;
    (people.anchor(anchor) == Some(anchor)).then_some(anchor)
}

fn subjects_of(rows: &[(u32, i64)]) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.iter().map(|(anchor, _)| i64::from(*anchor))))
}

fn times_of(times: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
}
