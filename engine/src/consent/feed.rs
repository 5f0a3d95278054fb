//! Consent feeds: queries over sources whose rows go into the ledger.
//!
//! A feed over a log of events is run over the files that it has not seen; one that joins, groups or reads keyed records is run
//! whole, and its rows take the place of those it gave before. An answer that it gives again keeps the time when it was
//! learnt first, and a refusal stays when the record that brought it is [gone](super::deleted).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::collect;

use super::deleted;
use super::learnt::Learnt;
use crate::catalog::{Body, Change, Coverage, Kind, Published};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::Run;
use crate::lake::{Commit, FileEntry, Lake, TableSnapshot};
use crate::query::access::Visible;
use crate::query::governed::GovernedTable;
use crate::query::planner::{parse_one, physical, plan};
use crate::query::relations::Relation;
use crate::tables;

/// The columns that a feed must give, and the one that it may.
pub(super) const COLUMNS: [&str; 5] =
    ["identifier_kind", "identifier", "purpose", "status", "captured_at"];

/// What a refresh of the feeds brought.
pub struct FeedReport {
    /// The rows that are new in the ledger.
    pub added: Vec<RecordBatch>,
    /// Whether rows were taken out of it, too: what follows from it is then to be worked out anew.
    pub replaced: bool,
    /// The ledger with them.
    pub ledger: Arc<TableSnapshot>,
}

/// Brings the ledger up to date with every feed and adds it to `change`; `None` if nothing is new.
pub async fn refresh_feeds(
    engine: &Engine,
    run: &Run<'_>,
    change: &mut Change,
) -> Result<Option<FeedReport>> {
    let (now, full) = (run.now, run.full);
    let published = engine.catalog().current();
    let (mut adds, mut removes, mut added) = (vec![], vec![], vec![]);
    if published.state.of_kind(Kind::ConsentFeed).next().is_none() {
        return Ok(None);
    }
    let table = engine
        .catalog()
        .table(tables::CONSENT_LEDGER.path, || tables::CONSENT_LEDGER.table_schema())
        .await?;
    let ledger = table.snapshot();
    let mut coverages = Vec::new();
    for definition in published.state.of_kind(Kind::ConsentFeed) {
        let Body::ConsentFeed(feed) = &definition.body else { continue };
        let name = feed_coverage(&definition.name);
        let covered = published.state.coverage.get(&name);
        let due =
            Feed { engine, published: &published, name: &definition.name, query: &feed.query };
        let inputs = due.inputs().await?;
        let deleting = deleted::deleting(&published, &inputs);
        let histories = deleted::histories(&published, &deleting);
        let has_history = !histories.is_empty();
        let coverage = Coverage {
            inputs: inputs.versions(&published).into_iter().chain(histories).collect(),
            definition_version: published.state.version_of(Kind::ConsentFeed, &definition.name),
            at: now,
        };
        if !full
            && covered.is_some_and(|covered| {
                covered.inputs == coverage.inputs
                    && covered.definition_version == coverage.definition_version
            })
        {
            continue;
        }
        run.begin().await?;
        let of_this_feed =
            covered.filter(|covered| covered.definition_version == coverage.definition_version);
        let only = match of_this_feed {
            Some(covered) if !full && inputs.row_wise && !has_history => {
                due.added_files(&inputs, covered).await?
            }
            _ => None,
        };
        let batch = match only {
            Some(only) => due.run(now, vec![only]).await?,
            None => {
                let of_feed =
                    |file: &&FileEntry| feed_of(file).as_deref() == Some(definition.name.as_str());
                let before: Vec<FileEntry> = ledger.files.iter().filter(of_feed).cloned().collect();
                let batch = due.run(now, vec![]).await?;
                let rows = read(engine.catalog().lake(), &before).await?;
                removes.extend(before);
                let may_stay = if of_this_feed.is_some() { rows.as_slice() } else { &[] };
                let batch = due.with_refusals(batch, &inputs, &deleting, may_stay, now).await?;
                Learnt::of(&rows)?.keep(&batch)?
            }
        };
        if batch.num_rows() > 0 {
            crate::ingest::widen(&table, &tables::CONSENT_LEDGER.table_schema()).await?;
            adds.extend(crate::ingest::write(&table, batch.clone()).await?);
            added.push(batch);
        }
        coverages.push((name, coverage));
    }
    if coverages.is_empty() {
        return Ok(None);
    }
    let replaced = !removes.is_empty();
    let snapshot = match (adds.is_empty(), removes.is_empty()) {
        (true, true) => ledger,
        (_, true) => table.commit(Commit::append(adds)).await?,
        _ => table.commit(Commit::rewrite(ledger, adds, removes)).await?,
    };
    change.table(&table, Arc::clone(&snapshot));
    change.edit(move |state| {
        state.coverage.extend(coverages);
        Ok(())
    });
    Ok(Some(FeedReport { added, replaced, ledger: snapshot }))
}

/// The name under which a feed's coverage is kept.
pub fn feed_coverage(feed: &str) -> String {
    format!("consent feed {feed}")
}

/// The feed whose rows a file of the ledger holds: each file is one feed's.
fn feed_of(file: &FileEntry) -> Option<String> {
    match file.bounds.first()?.min.as_ref()? {
        ScalarValue::Utf8(Some(feed)) | ScalarValue::Utf8View(Some(feed)) => Some(feed.clone()),
        _ => None,
    }
}

/// Returns the answers in these files of the ledger.
async fn read(lake: &Lake, files: &[FileEntry]) -> Result<Vec<RecordBatch>> {
    let (path, schema) = (tables::CONSENT_LEDGER.path, tables::CONSENT_LEDGER.schema());
    let mut rows = Vec::new();
    for file in files {
        rows.extend(crate::table_read::read_file(lake, path, file, &schema).await?);
    }
    Ok(rows)
}

/// What a feed reads.
pub(super) struct Inputs {
    /// The relations of persons, by qualified name: the tables that each of them shows.
    pub(super) relations: BTreeMap<String, Vec<String>>,
    /// Whether each row of the result follows from one row of one relation.
    pub(super) row_wise: bool,
}

impl Inputs {
    fn of(plan: &LogicalPlan) -> Result<Self> {
        let mut relations = BTreeMap::new();
        let (mut scans, mut other) = (0, false);
        plan.apply_with_subqueries(|node| {
            match node {
                LogicalPlan::TableScan(scan) => {
                    scans += 1;
                    let provider = source_as_provider(&scan.source)?;
                    let provider: &dyn std::any::Any = provider.as_ref();
                    if let Some(table) = provider.downcast_ref::<GovernedTable>() {
                        relations.insert(table.name().to_owned(), table.paths().to_vec());
                    }
                }
                LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::SubqueryAlias(_) => {}
                _ => other = true,
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(Self { relations, row_wise: scans == 1 && !other })
    }

    /// Returns the version of each table that is read.
    fn versions(&self, published: &Published) -> BTreeMap<String, u64> {
        let paths = self.relations.values().flatten();
        paths.map(|path| (path.clone(), published.version(path))).collect()
    }
}

/// A feed that is run.
pub(super) struct Feed<'a> {
    pub(super) engine: &'a Engine,
    pub(super) published: &'a Arc<Published>,
    name: &'a str,
    query: &'a str,
}

impl Feed<'_> {
    /// Plans the feed and returns what it reads.
    async fn inputs(&self) -> Result<Inputs> {
        let live = self.engine.live();
        let relations =
            self.engine.internal_relations(self.published, &live.people, Visible::Everyone);
        let state = self.engine.planner().state(&relations.scope());
        Inputs::of(&plan(&state, relations.facts(), parse_one(self.query)?).await?)
    }

    /// Returns the relation that the feed reads over the files that were added to it since `covered`, if it is one table
    /// and files were only added.
    async fn added_files(&self, inputs: &Inputs, covered: &Coverage) -> Result<Option<Relation>> {
        let [(name, paths)] = inputs.relations.iter().collect::<Vec<_>>()[..] else {
            return Ok(None);
        };
        // A relation that has more tables than before shows rows of theirs that the feed has not seen.
        let covered: Vec<(&String, &u64)> = covered.inputs.iter().collect();
        let ([path], [(before, version)]) = (paths.as_slice(), covered.as_slice()) else {
            return Ok(None);
        };
        let table = self.published.tables().find(|table| table.path() == path);
        let (Some((schema, name)), Some(table), Some(now), true) =
            (name.split_once('.'), table, self.published.table(path), path == *before)
        else {
            return Ok(None);
        };
        let Ok(before) = table.snapshot_at(**version).await else { return Ok(None) };
        if before.files.iter().any(|old| !now.files.iter().any(|file| file.path == old.path)) {
            return Ok(None);
        }
        let added: Vec<FileEntry> = now
            .files
            .iter()
            .filter(|file| !before.files.iter().any(|old| old.path == file.path))
            .cloned()
            .collect();
        let added = vec![(path.clone(), Arc::new(now.with_files(added)))];
        Ok(Some(Relation::governed(schema, name, added)))
    }

    /// Runs the feed, with some relations in the places of those of their names, and returns its rows for the ledger.
    pub(super) async fn run(&self, now: i64, others: Vec<Relation>) -> Result<RecordBatch> {
        let live = self.engine.live();
        let relations =
            self.engine.internal(self.published, &live.people, Visible::Everyone).with(others);
        let relations = Arc::new(relations);
        let state = self.engine.planner().state(&relations.scope());
        let plan = plan(&state, relations.facts(), parse_one(self.query)?).await?;
        let schema = Arc::new(plan.schema().as_arrow().clone());
        let physical = physical(&state, &plan).await?;
        let batches = collect(physical, state.task_ctx()).await?;
        let rows = concat_batches(&schema, &batches).map_err(DataFusionError::from)?;
        self.ledger_rows(&rows, now)
    }

    fn ledger_rows(&self, rows: &RecordBatch, now: i64) -> Result<RecordBatch> {
        let column = |name: &str| {
            rows.column_by_name(name).ok_or_else(|| Error::Invalid {
                message: format!("consent feed \"{}\" has no column \"{name}\"", self.name),
                hint: format!(
                    "A consent feed selects {}, and may select further columns.",
                    COLUMNS.join(", ")
                ),
            })
        };
        let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let count = rows.num_rows();
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from_iter_values(std::iter::repeat_n(self.name, count)))];
        for name in &COLUMNS[..4] {
            columns.push(Arc::new(tables::texts(column(name)?)?));
        }
        let captured = cast(column("captured_at")?, &micros).map_err(|_| Error::Invalid {
            message: format!("column \"captured_at\" of consent feed \"{}\" is no time", self.name),
            hint: "Cast it: captured_at::timestamptz.".into(),
        })?;
        columns.push(captured);
        columns
            .push(Arc::new(TimestampMicrosecondArray::from(vec![now; count]).with_timezone("UTC")));
        columns.push(Arc::new(StringArray::from(vec![None::<&str>; count])));
        columns.push(details(rows)?);
        tables::CONSENT_LEDGER.batch(columns)
    }
}

/// Writes the further columns of each row as JSON.
fn details(rows: &RecordBatch) -> Result<ArrayRef> {
    let schema = rows.schema();
    let further: Vec<(String, StringArray)> = schema
        .fields()
        .iter()
        .zip(rows.columns())
        .filter(|(field, _)| !COLUMNS.contains(&field.name().as_str()))
        .map(|(field, column)| {
            Ok((serde_json::Value::from(field.name().as_str()).to_string(), tables::texts(column)?))
        })
        .collect::<Result<_>>()?;
    let detail = |row: usize| {
        let held = further.iter().filter(|(_, column)| column.is_valid(row));
        let pairs: Vec<String> = held
            .map(|(name, column)| format!("{name}:{}", serde_json::Value::from(column.value(row))))
            .collect();
        (!pairs.is_empty()).then(|| format!("{{{}}}", pairs.join(",")))
    };
    Ok(Arc::new((0..rows.num_rows()).map(detail).collect::<StringArray>()))
}
