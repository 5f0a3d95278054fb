//! Identity overrides that are followed: queries whose rows say who is who, for as long as they are there.
//!
//! `CREATE IDENTITY OVERRIDES` takes a query whose rows have the form of those that `APPLY IDENTITY OVERRIDES` takes. A refresh
//! runs it before the graph, if what it reads is other than before, and puts its rows in the place of those that it gave
//! then. So a row is in force from the refresh that finds it there to the one that does not.
//!
//! The query reads what the log says and what analysts made, and nothing that is made of who is who, which would hang on
//! itself: `profile_id` is null in it. What comes of it is a function of the tables that it reads, so that a rebuild comes to
//! the same. It reads the rows of everybody, so that whoever defines it has to see everyone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, StringArray};
use arrow::datatypes::Schema;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt;

use super::followed::{self, Followed, Said};
use super::{COLUMNS, REASON};
use crate::catalog::{Body, Change, Coverage, Kind, Published, relations_read};
use crate::engine::{Engine, Shown};
use crate::error::{Error, Result};
use crate::jobs::{Run, Step};
use crate::lake::Commit;
use crate::query::access::{People, Visible};
use crate::query::planner::{parse_one, physical, plan};
use crate::query::reads::{reads_the_clock, tables_read};
use crate::query::session::QuerySession;
use crate::{query, tables};

/// Rows of one definition at most: all of them are held in memory with the graph.
const ROWS_MAX: usize = 100_000;

/// The column that says who decided, which may be left out.
const ACTOR: &str = "actor";

/// The name under which the coverage of a definition is kept.
pub(crate) fn coverage_name(name: &str) -> String {
    format!("identity overrides {name}")
}

/// Returns the names of what is followed, and of what was and left rows.
pub(crate) fn names(published: &Published) -> BTreeSet<String> {
    let defined = published.state.of_kind(Kind::IdentityOverrides);
    let mut names: BTreeSet<String> = defined.map(|definition| definition.name.clone()).collect();
    if let Some(table) = published.table(tables::FOLLOWED_OVERRIDES.path) {
        names.extend(table.files.iter().filter_map(followed::definition_of));
    }
    names
}

impl Engine {
    /// Fails unless the session sees everyone, as who defines identity overrides has to.
    ///
    /// # Errors
    /// [`Error::Denied`], also without a purpose.
    pub fn expect_everyone(&self, session: &QuerySession) -> Result<()> {
        let access = self.access_of(session)?;
        if matches!(access.visible, Visible::Everyone) {
            return Ok(());
        }
        Err(Error::Denied {
            message: format!(
                "purpose \"{}\" does not define identity overrides, which tell of two persons at a time",
                access.purpose
            ),
            hint: "A purpose with LEGAL BASIS contract does.".into(),
        })
    }

    /// Brings the rows of one definition up to date; takes them out if there is no such definition any more.
    pub(crate) async fn follow_overrides(&self, run: &Run<'_>, name: &str) -> Result<Step> {
        let published = self.catalog().current();
        let mut change = Change::default();
        let Some(definition) = published.state.get(Kind::IdentityOverrides, name) else {
            run.begin().await?;
            let gone = self.put_followed(&published, &mut change, name, vec![], run.now).await?;
            self.publish(change, Shown::AsBefore).await?;
            return Ok(run.done(0, gone));
        };
        let Body::IdentityOverrides(of) = &definition.body else { return Ok(run.idle()) };
        let query = Query { engine: self, published: &published, name, query: &of.query };
        let planned = query.plan().await?;
        let paths = tables_read(&planned.plan)?.into_iter();
        let inputs: BTreeMap<String, u64> =
            paths.map(|path| (path.clone(), published.version(&path))).collect();
        let coverage = Coverage {
            inputs,
            definition_version: published.state.version_of(Kind::IdentityOverrides, name),
            at: run.now,
        };
        let covered = published.state.coverage.get(&coverage_name(name));
        let is_covered = covered.is_some_and(|covered| {
            covered.inputs == coverage.inputs
                && covered.definition_version == coverage.definition_version
        });
        if is_covered && !run.full && !reads_the_clock(&planned.plan)? {
            return Ok(run.idle());
        }
        run.begin().await?;
        let rows = query.rows(planned).await?;
        let count = rows.len() as u64;
        let changed = self.put_followed(&published, &mut change, name, rows, run.now).await?;
        let covers = coverage_name(name);
        change.edit(move |state| {
            state.coverage.insert(covers, coverage);
            Ok(())
        });
        self.publish(change, Shown::AsBefore).await?;
        Ok(run.done(count, changed))
    }

    /// Puts rows in the place of those that a definition gave before, unless they are the same, and returns how many are new
    /// or gone. A row that was there keeps the time at which it was seen first.
    async fn put_followed(
        &self,
        published: &Published,
        change: &mut Change,
        name: &str,
        rows: Vec<Said>,
        now: i64,
    ) -> Result<u64> {
        let layout = &tables::FOLLOWED_OVERRIDES;
        let before = match published.table(layout.path) {
            Some(table) => followed::files_of(&table, name),
            None => vec![],
        };
        let known = followed::read_files(self.catalog().lake(), &before).await?;
        let known: BTreeMap<Said, i64> = known.into_iter().map(|row| (row.said, row.at)).collect();
        let rows: BTreeSet<Said> = rows.into_iter().collect();
        let added = rows.iter().filter(|said| !known.contains_key(*said)).count();
        let gone = known.keys().filter(|said| !rows.contains(*said)).count();
        if added + gone == 0 {
            return Ok(0);
        }
        let row = |said: Said| {
            let at = known.get(&said).copied().unwrap_or(now);
            Followed { definition: name.to_owned(), said, at }
        };
        let rows: Vec<Followed> = rows.into_iter().map(row).collect();
        let table = self.catalog().table(layout.path, || layout.table_schema()).await?;
        let base = table.snapshot();
        let adds = match rows.is_empty() {
            true => vec![],
            false => crate::ingest::write(&table, followed::batch(&rows)?).await?,
        };
        let snapshot = table.commit(Commit::rewrite(base, adds, before)).await?;
        change.table(&table, snapshot);
        Ok((added + gone) as u64)
    }
}

/// Fails if the query of a definition cannot be planned, reads what is made of who is who, or lacks a column.
pub(crate) async fn check(
    engine: &Engine,
    published: &Arc<Published>,
    name: &str,
    query: &str,
) -> Result<()> {
    Query { engine, published, name, query }.plan().await.map(drop)
}

/// The query of one definition.
struct Query<'a> {
    engine: &'a Engine,
    published: &'a Arc<Published>,
    name: &'a str,
    query: &'a str,
}

/// A query that is planned, with what it is planned over.
struct Planned {
    state: SessionState,
    plan: LogicalPlan,
    /// Where the parts of what a row says stand.
    places: [Option<usize>; 7],
}

impl Query<'_> {
    async fn plan(&self) -> Result<Planned> {
        self.expect_ground()?;
        let nobody = Arc::new(People::default());
        let relations = self.engine.internal(self.published, &nobody, Visible::Everyone);
        let relations = Arc::new(relations.of_ground(self.published));
        let state = self.engine.planner().state(&relations.scope());
        let plan = plan(&state, relations.facts(), parse_one(self.query)?).await?;
        let places = self.places(plan.schema().as_arrow())?;
        Ok(Planned { state, plan, places })
    }

    /// Fails if a relation is named that is made of who is who.
    fn expect_ground(&self) -> Result<()> {
        let made = relations_read(self.query).into_iter().find(|(schema, name)| {
            let is_event = name == "events" || name.starts_with("events_");
            match schema.as_deref() {
                Some(query::PUBLIC) => !is_event,
                Some("segments" | "cdp") => true,
                _ => false,
            }
        });
        let Some((schema, name)) = made else { return Ok(()) };
        let schema = schema.unwrap_or_default();
        Err(Error::Unsupported {
            what: format!("reading {schema}.{name} in identity overrides \"{}\"", self.name),
            hint: "It is made of who is who, which would hang on itself. Read sources, events, or a table of the schema analytics.".into(),
        })
    }

    fn places(&self, schema: &Schema) -> Result<[Option<usize>; 7]> {
        let mut places = [None; 7];
        for (place, name) in places.iter_mut().zip(COLUMNS.into_iter().chain([REASON, ACTOR])) {
            *place = schema.column_with_name(name).map(|(at, _)| at);
            if place.is_none() && COLUMNS.contains(&name) {
                return Err(Error::Invalid {
                    message: format!(
                        "the query of identity overrides \"{}\" has no column \"{name}\"",
                        self.name
                    ),
                    hint: format!(
                        "It needs {} and may have {REASON} and {ACTOR}.",
                        COLUMNS.join(", ")
                    ),
                });
            }
        }
        Ok(places)
    }

    /// Runs the query.
    async fn rows(&self, planned: Planned) -> Result<Vec<Said>> {
        let Planned { state, plan, places } = &planned;
        let physical = physical(state, plan).await?;
        let mut stream = execute_stream(physical, state.task_ctx())?;
        let mut rows: Vec<Said> = Vec::new();
        while let Some(batch) = stream.try_next().await? {
            if rows.len() + batch.num_rows() > ROWS_MAX {
                return Err(Error::Limit {
                    sqlstate: "54000",
                    message: format!(
                        "identity overrides \"{}\" have more than {ROWS_MAX} rows",
                        self.name
                    ),
                    hint: "Leave out rows about records that the rules decide alike.".into(),
                });
            }
            let texts = |at: usize| tables::texts(batch.column(at));
            let columns: Vec<Option<StringArray>> =
                places.iter().map(|place| place.map(texts).transpose()).collect::<Result<_>>()?;
            for row in 0..batch.num_rows() {
                rows.push(std::array::from_fn(|at| {
                    let column = columns[at].as_ref().filter(|column| column.is_valid(row))?;
                    Some(column.value(row).to_owned())
                }));
            }
        }
        Ok(rows)
    }
}
