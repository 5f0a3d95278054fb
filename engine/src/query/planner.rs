//! The one function that plans every SELECT: from the wire, a segment, a trait, a view, a consent feed, COPY or ingest.
//!
//! A [`Planner`] holds what all statements of a process share: the functions, the memory and the store. A statement adds the
//! relations that it may name and, if it may see persons, its [`Access`]. What is planned is checked before it is
//! returned: every scan must be one of ours, and nothing in the plan may write, configure or reach outside.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::compute::cast;
use datafusion::catalog::memory::MemorySchemaProvider;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::{MemTable, source_as_provider};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::functions_table::generate_series::GenerateSeriesTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement as ParsedStatement;
use datafusion::sql::sqlparser::ast::Statement;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use url::Url;

use super::access::Access;
use super::expansion;
use super::governed::GovernedTable;
use super::one_store::OneStore;
use super::operators::{self, OperatorNode, OperatorQueries};
use super::postgres::{self, AdvisoryLocks, Backends, SessionFacts, diagnosis};
use super::relations::ReturnedTable;
use super::scan::GovernedScanExec;
use super::syntax;
use super::system::SystemTable;
use crate::error::{Error, Result};
use crate::functions::SessionFunctions;
use crate::lake::{Lake, LakeTable};

/// How deep expressions may nest.
const RECURSION_MAX: usize = 50;

/// Bytes that operators of all statements may put into temporary files together.
const SPILL_BYTES_MAX: u64 = 32 << 30;

/// Statements of sessions that are planned at a time; others wait.
const PLANNING_MAX: usize = 64;

/// How many consumers an out-of-memory error names.
const CONSUMERS_NAMED: std::num::NonZeroUsize =
    std::num::NonZeroUsize::new(3).expect("three is not zero");

/// What all statements of one process share.
#[derive(Clone)]
pub struct Planner {
    runtime: Arc<RuntimeEnv>,
    target_partitions: usize,
    planning: Arc<Semaphore>,
    locks: Arc<AdvisoryLocks>,
    backends: Arc<Backends>,
}

/// What may be named in a statement.
pub struct Scope {
    /// The relations, by schema.
    pub catalogs: Arc<dyn CatalogProviderList>,
    /// What the statement's functions may know of its session.
    pub facts: Arc<SessionFacts>,
    /// Who may be seen; without it a personal relation refuses to be scanned.
    pub access: Option<Arc<Access>>,
    /// Functions that belong to this statement alone, such as `consent_allows` and `why_merged`.
    pub(crate) functions: SessionFunctions,
}

impl Planner {
    /// Builds the planner of a process that reads `lake` with at most `memory_bytes_max` of operator memory.
    pub fn new(lake: &Lake, target_partitions: usize, memory_bytes_max: usize) -> Result<Self> {
        let pool = TrackConsumersPool::new(FairSpillPool::new(memory_bytes_max), CONSUMERS_NAMED);
        let url = lake.object_store_url();
        let url: &Url = url.as_ref();
        let registry = OneStore { url: url.clone(), store: lake.store() };
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_max_temp_directory_size(SPILL_BYTES_MAX)
            .with_object_store_registry(Arc::new(registry))
            .build_arc()?;
        let planning = Arc::new(Semaphore::new(PLANNING_MAX));
        Ok(Self {
            runtime,
            target_partitions,
            planning,
            locks: Arc::default(),
            backends: Arc::default(),
        })
    }

    /// Returns where the memory of all statements of the process is counted.
    pub(crate) fn memory(&self) -> &Arc<dyn MemoryPool> {
        &self.runtime.memory_pool
    }

    /// Returns the advisory locks of the process.
    pub(crate) fn locks(&self) -> &Arc<AdvisoryLocks> {
        &self.locks
    }

    /// Returns the sessions of the process.
    pub(crate) fn backends(&self) -> &Arc<Backends> {
        &self.backends
    }

    /// Plans on a thread of its own, away from those that run statements.
    ///
    /// Planning computes for as long as it takes, a second for a large statement, and never yields. On the threads of the
    /// runtime a few such statements would keep all others from being run.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.planning).acquire_owned().await;
        let permit = permit.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let runtime = Handle::current();
        let planning = tokio::task::spawn_blocking(move || {
            // Given back when the work ends, also when nobody waits for it any more.
            let _permit = permit;
            runtime.block_on(work)
        });
        match planning.await {
            Ok(planned) => planned,
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            Err(stopped) => Err(DataFusionError::External(Box::new(stopped)).into()),
        }
    }

    /// Builds the state that one statement is planned and run with.
    pub fn state(&self, scope: &Scope) -> SessionState {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.target_partitions)
            .with_batch_size(super::selection::BATCH_ROWS)
            .with_default_catalog_and_schema(super::DATABASE, super::PUBLIC)
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(false);
        let options = config.options_mut();
        options.sql_parser.dialect = datafusion::common::config::Dialect::PostgreSQL;
        options.sql_parser.parse_float_as_decimal = true;
        options.sql_parser.collect_spans = true;
        options.execution.time_zone = Some("+00:00".into());
        // DataFusion itself is of two minds whether `x IS TRUE` below an aggregate can be null.
        options.execution.skip_physical_aggregate_schema_check = true;
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        options.explain.logical_plan_only = false;
        if let Some(access) = &scope.access {
            config = config.with_extension(Arc::clone(access));
        }
        if let Some(weigher) = &scope.functions.weigher {
            config = config.with_extension(Arc::clone(weigher));
        }
        let builder = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_query_planner(Arc::new(OperatorQueries))
            .with_catalog_list(Arc::clone(&scope.catalogs));
        let of_statement = scope.functions.scalar.iter().cloned();
        let own = postgres::own().into_iter().chain(of_statement);
        let mut state = postgres::extend(builder, &scope.facts, own.collect()).build();
        for function in &scope.functions.tables {
            state.register_udtf(function.name(), Arc::clone(function.function()));
        }
        // The time that now() gives to the whole statement.
        state.mark_start_execution();
        state
    }

    /// Evaluates scalar expressions over the rows of `batch` and returns them as texts, in the order of the rows.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the expression which does not fit.
    pub async fn evaluate(
        &self,
        batch: &RecordBatch,
        expressions: &[String],
    ) -> Result<Vec<ArrayRef>> {
        let columns = self.evaluate_as_is(batch, expressions).await?;
        columns
            .iter()
            .map(|column| Ok(cast(column, &DataType::Utf8).map_err(DataFusionError::from)?))
            .collect()
    }

    /// Evaluates scalar expressions over the rows of `batch`, each in its own type.
    pub async fn evaluate_as_is(
        &self,
        batch: &RecordBatch,
        expressions: &[String],
    ) -> Result<Vec<ArrayRef>> {
        if expressions.is_empty() {
            return Ok(vec![]);
        }
        let (state, plan) = self.plan_over_input(batch, expressions).await?;
        let physical = state.create_physical_plan(&plan).await?;
        let batches = collect(physical, state.task_ctx()).await?;
        let schema = Arc::new(plan.schema().as_arrow().clone());
        let whole =
            arrow::compute::concat_batches(&schema, &batches).map_err(DataFusionError::from)?;
        if whole.num_rows() != batch.num_rows() {
            return Err(Error::Invalid {
                message: format!("an expression over the rows of a source changes their number: {}", expressions.join(", ")),
                hint: "Write scalar expressions over one row: no aggregates, no set-returning functions.".into(),
            });
        }
        Ok(whole.columns().to_vec())
    }

    /// Returns the columns of `schema` that scalar expressions over its rows read.
    pub async fn columns_read(
        &self,
        schema: &SchemaRef,
        expressions: &[String],
    ) -> Result<BTreeSet<String>> {
        let nothing = RecordBatch::new_empty(Arc::clone(schema));
        let (_, plan) = self.plan_over_input(&nothing, expressions).await?;
        let mut read = BTreeSet::new();
        plan.apply_with_subqueries(|node| {
            for expression in node.expressions() {
                read.extend(expression.column_refs().into_iter().map(|column| column.name.clone()));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        read.retain(|name| schema.column_with_name(name).is_some());
        Ok(read)
    }

    /// Plans scalar expressions over the rows of `batch`, which keep their order.
    async fn plan_over_input(
        &self,
        batch: &RecordBatch,
        expressions: &[String],
    ) -> Result<(SessionState, LogicalPlan)> {
        let scope = Scope::of_table(
            "input",
            Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch.clone()]])?),
        )?;
        let mut state = self.state(&scope);
        // One partition keeps the rows in order.
        state = SessionStateBuilder::new_from_existing(state.clone())
            .with_config(state.config().clone().with_target_partitions(1))
            .build();
        let list: Vec<String> = expressions
            .iter()
            .enumerate()
            .map(|(at, expression)| format!("({expression}) AS c{at}"))
            .collect();
        let statement = parse_one(&format!("SELECT {} FROM input", list.join(", ")))?;
        let plan = plan(&state, &scope.facts, statement).await?;
        Ok((state, plan))
    }
}

impl Scope {
    /// Returns the scope of an internal statement over a single table.
    pub fn of_table(name: &str, table: Arc<dyn TableProvider>) -> Result<Self> {
        let schema = MemorySchemaProvider::new();
        schema.register_table(name.into(), table)?;
        Ok(Self {
            catalogs: Arc::new(OneCatalog {
                schemas: vec![(super::PUBLIC.into(), Arc::new(schema))],
            }),
            facts: SessionFacts::new(
                "onefold".into(),
                super::DATABASE.into(),
                0,
                0,
                postgres::Snapshot::new(vec![], &[], &[]),
            ),
            access: None,
            functions: SessionFunctions::default(),
        })
    }
}

/// Parses the text of one SELECT.
pub fn parse_one(sql: &str) -> Result<Statement> {
    let mut statements = syntax::parser(sql)
        .and_then(|parser| parser.with_recursion_limit(RECURSION_MAX).parse_statements())
        .map_err(|error| DataFusionError::SQL(Box::new(error), None))?;
    match (statements.pop(), statements.pop()) {
        (Some(statement), None) => Ok(statement),
        _ => Err(Error::Invalid {
            message: "one statement was expected".into(),
            hint: "Send statements one by one.".into(),
        }),
    }
}

/// Plans one statement in `state` and checks the plan: the one way from text to rows.
///
/// # Errors
/// [`Error::Limit`] if the statement is too large to be planned, and all that a statement can have wrong.
pub async fn plan(
    state: &SessionState,
    facts: &Arc<SessionFacts>,
    mut statement: Statement,
) -> Result<LogicalPlan> {
    operators::nest(&mut statement)?;
    expansion::check(&statement)?;
    // What is said of a statement is said of aggregates where they are worked out.
    postgres::outer_aggregates(&mut statement, facts)?;
    diagnosis::check(&statement)?;
    let written = statement.clone();
    let planned = match plan_own(state, facts, statement).await {
        Ok(plan) => diagnosis::check_plan(&plan).map(|()| plan),
        Err(Error::Query(error)) => Err(error),
        Err(error) => return Err(error),
    };
    planned.map_err(|error| diagnosis::explain(error, &written, facts))
}

/// As [`plan`], for a query that onefold wrote itself: a view over as many relations as there are.
pub(super) async fn plan_own(
    state: &SessionState,
    facts: &Arc<SessionFacts>,
    mut statement: Statement,
) -> Result<LogicalPlan> {
    let comes_sorted = postgres::comes_sorted(&statement);
    postgres::rewrite(&mut statement, facts)?;
    let statement = ParsedStatement::Statement(Box::new(statement));
    let plan = match comes_sorted {
        true => with_orders(state).statement_to_plan(statement).await?,
        false => state.statement_to_plan(statement).await?,
    };
    check(&plan)?;
    diagnosis::check_choices(&plan)?;
    Ok(postgres::ObjectNames::new(facts).present(postgres::settle(plan, facts)?)?)
}

/// A state that plans the order of queries in `FROM`, too.
fn with_orders(state: &SessionState) -> SessionState {
    let mut state = state.clone();
    state.config_mut().options_mut().sql_parser.enable_subquery_sort_elimination = false;
    state
}

/// Optimizes a plan, makes the physical plan and checks it: no scan but ours is visible in it.
pub async fn physical(state: &SessionState, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    let optimized = state.optimize(plan).map_err(|error| postgres::of_subqueries(error, plan))?;
    checked_physical(state, &optimized).await
}

/// Makes the physical plan of an optimized plan and checks it.
pub(super) async fn checked_physical(
    state: &SessionState,
    optimized: &LogicalPlan,
) -> Result<Arc<dyn ExecutionPlan>> {
    postgres::check_joined(optimized)?;
    let physical = state.query_planner().create_physical_plan(optimized, state).await?;
    check_physical(&physical)?;
    Ok(physical)
}

/// Refuses a plan that holds anything but reading: the second lock behind the allow-list of statements.
fn check(plan: &LogicalPlan) -> Result<()> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        let allowed = match node {
            LogicalPlan::TableScan(scan) => known_provider(&scan.source),
            LogicalPlan::Extension(extension) => {
                extension.node.as_any().downcast_ref::<OperatorNode>().is_some()
            }
            LogicalPlan::Ddl(_) | LogicalPlan::Dml(_) | LogicalPlan::Copy(_) => false,
            LogicalPlan::Statement(_) | LogicalPlan::DescribeTable(_) | LogicalPlan::Analyze(_) => {
                false
            }
            // Verbose plans show what optimizer rules saw.
            LogicalPlan::Explain(explain) => !explain.verbose,
            _ => true,
        };
        if allowed {
            return Ok(TreeNodeRecursion::Continue);
        }
        refused = Some(
            node.display()
                .to_string()
                .split_whitespace()
                .next()
                .unwrap_or("statement")
                .trim_end_matches(':')
                .to_owned(),
        );
        Ok(TreeNodeRecursion::Stop)
    })?;
    match refused {
        None => Ok(()),
        Some(what) => Err(Error::Denied {
            message: format!("{what} is not allowed in a query"),
            hint: "Queries read relations of this database and nothing else.".into(),
        }),
    }
}

fn known_provider(source: &Arc<dyn datafusion::logical_expr::TableSource>) -> bool {
    let Ok(provider) = source_as_provider(source) else { return false };
    let provider: &dyn std::any::Any = provider.as_ref();
    provider.is::<GovernedTable>()
        || provider.is::<SystemTable>()
        || provider.is::<ReturnedTable>()
        || provider.is::<MemTable>()
        || provider.is::<postgres::OfSession>()
        || provider.is::<LakeTable>()
        || provider.is::<GenerateSeriesTable>()
        || provider.is::<datafusion::datasource::ViewTable>()
        || provider.is::<datafusion::datasource::cte_worktable::CteWorkTable>()
}

fn check_physical(plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let node: &dyn std::any::Any = plan.as_ref();
    if plan.children().is_empty() && !node.is::<GovernedScanExec>() {
        let name = plan.name();
        let allowed = [
            "DataSourceExec",
            "PlaceholderRowExec",
            "EmptyExec",
            "WorkTableExec",
            "LazyMemoryExec",
            "SystemScanExec",
            "ExplainExec",
        ];
        if !allowed.contains(&name) {
            return Err(Error::Denied {
                message: format!("{name} is not allowed in a plan"),
                hint: "Queries read relations of this database and nothing else.".into(),
            });
        }
    }
    plan.children().into_iter().try_for_each(check_physical)
}

/// A list with one catalog, the database.
#[derive(Debug)]
pub struct OneCatalog {
    /// Its schemas, by name.
    pub schemas: Vec<(String, Arc<dyn SchemaProvider>)>,
}

impl CatalogProviderList for OneCatalog {
    fn register_catalog(
        &self,
        _: String,
        _: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![super::DATABASE.into()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == super::DATABASE).then(|| {
            Arc::new(OneCatalog { schemas: self.schemas.clone() }) as Arc<dyn CatalogProvider>
        })
    }
}

impl CatalogProvider for OneCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.schemas.iter().map(|(name, _)| name.clone()).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        self.schemas
            .iter()
            .find(|(schema, _)| schema == name)
            .map(|(_, provider)| Arc::clone(provider))
    }
}
