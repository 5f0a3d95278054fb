//! What a session may name: every relation of one published state, as one role sees it for one purpose.
//!
//! Personal relations are governed tables or views over them; relations about onefold itself are system tables, shown to
//! roles with the capability for them. A relation that a role may not read does not exist for it.

mod analytics;
mod personal;
mod returned;
mod viewer;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::datasource::ViewTable;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use parking_lot::Mutex;

use crate::catalog::{
    ANALYTICS, AnalyticsSchema, Constraints, LegalBasis, NumberedColumn, Published, TEMPORARY,
    is_reserved, placed,
};
use crate::error::Result;
use crate::functions::SessionFunctions;
use crate::lake::{self, TableSnapshot};
use crate::query::access::Access;
use crate::query::governed::{GovernedTable, HOUSEHOLD_ID, PROFILE_ID, ScanStore};
use crate::query::planner::{OneCatalog, Planner, Scope, parse_one, plan, plan_own};
use crate::query::postgres::{self, SessionFacts};
use crate::query::system::{Rows, SystemTable};

use analytics::{Made, MadeTable, too_many_views};
pub(in crate::query) use analytics::{ShownColumns, without_numbers};
pub(crate) use analytics::{columns_of, with_numbers};
use personal::{derived, events, segments, sources};
pub(crate) use returned::{Origin, ReturnedTable};
pub use viewer::Viewer;

/// Views that analysts wrote in one statement at most, those within others counted, too.
const VIEWS_MAX: usize = 512;

/// A relation and where its rows come from.
#[derive(Clone)]
pub struct Relation {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The role that made it; `None` for what is onefold's own.
    pub owner: Option<String>,
    /// Whether the viewer may write to it.
    pub writable: bool,
    /// What a user reads about it.
    pub comment: Option<String>,
    /// The columns that identify a row.
    pub primary_key: Vec<String>,
    /// What else holds for its rows.
    pub constraints: Constraints,
    /// The columns whose rows are numbered as they are put in, and by what.
    pub numbered: BTreeMap<String, NumberedColumn>,
    /// What columns are in rows that have no value for them, as SQL.
    pub defaults: BTreeMap<String, String>,
    /// What columns are computed of, as SQL.
    pub generated: BTreeMap<String, String>,
    /// What it is if it is a sequence.
    pub sequence: Option<postgres::Sequence>,
    /// The query that its rows were made by, if it is a materialized view.
    pub materialized: Option<String>,
    /// Its columns.
    pub columns: SchemaRef,
    source: RelationSource,
    /// Whether it is only there for views that onefold makes: no catalog lists it.
    unlisted: bool,
}

#[derive(Clone)]
enum RelationSource {
    /// Rows of persons, from these versions of tables.
    Governed(Vec<(String, Arc<TableSnapshot>)>),
    /// A query over other relations.
    View(String),
    /// Rows that analysts made.
    Made(MadeTable),
    /// A query that analysts wrote.
    MadeView(String),
    /// Rows that were made for another purpose, which is named.
    Reserved(String),
    /// Rows about onefold itself.
    System(Rows),
    /// Rows of onefold's own logs that tell of persons.
    Record(Rows),
    /// Rows that a part of the statement gives back.
    Returned(Arc<ReturnedTable>),
}

/// The relations of one statement.
pub struct Relations {
    planner: Planner,
    store: ScanStore,
    pub(in crate::query) access: Option<Arc<Access>>,
    facts: Arc<SessionFacts>,
    functions: SessionFunctions,
    relations: BTreeMap<(String, String), Relation>,
    /// The schemas that analysts made.
    schemas: BTreeMap<String, AnalyticsSchema>,
    /// How many views that analysts wrote were planned for the statement.
    expanded: AtomicUsize,
    /// Tables, and views of onefold's own, that a statement has named.
    named: Mutex<HashMap<(String, String), Arc<dyn TableProvider>>>,
}

impl fmt::Debug for Relations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.relations.keys()).finish()
    }
}

impl Relations {
    /// Collects what `viewer` may name in `published`; `system` adds what is known outside the lake's tables.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a statement's scope, each from another place"
    )]
    pub(crate) fn new(
        published: &Published,
        viewer: &Viewer,
        access: Option<Arc<Access>>,
        planner: Planner,
        store: ScanStore,
        facts: Arc<SessionFacts>,
        functions: SessionFunctions,
        system: Vec<Relation>,
    ) -> Self {
        let mut relations = BTreeMap::new();
        let mut add = |relation: Relation| {
            relations.insert((relation.schema.clone(), relation.name.clone()), relation);
        };
        let personal =
            viewer.purpose.as_ref().is_none_or(|(_, basis)| *basis != LegalBasis::LegalObligation);
        if personal {
            sources(published, viewer).into_iter().for_each(&mut add);
            events(published).into_iter().for_each(&mut add);
            derived(published, viewer).into_iter().for_each(&mut add);
            segments(published, viewer).into_iter().for_each(&mut add);
        }
        let made = Made { published, viewer, personal, sequences: facts.sequences() };
        made.relations(&store.shown).into_iter().for_each(&mut add);
        system.into_iter().for_each(&mut add);
        Self {
            planner,
            store,
            access,
            facts,
            functions,
            relations,
            schemas: published.state.schemas.clone(),
            expanded: AtomicUsize::new(0),
            named: Mutex::default(),
        }
    }

    /// Begins a statement, which has its own bounds.
    pub(crate) fn begin_statement(&self) {
        self.expanded.store(0, Ordering::Relaxed);
    }

    /// Adds relations for one internal statement, in place of those of their names.
    pub fn with(mut self, relations: Vec<Relation>) -> Self {
        for relation in relations {
            self.relations.insert((relation.schema.clone(), relation.name.clone()), relation);
        }
        self
    }

    /// Adds a table that analysts made with the numbers of its rows, for a statement that changes them. It has a name of its
    /// own there: what else the statement reads of the table has no columns but the table's.
    pub(crate) fn with_row_numbers(mut self, name: &str) -> Self {
        let (schema, name) = placed(name);
        let found = self.relations.get(&(schema.to_owned(), name.to_owned()));
        if let Some(mut relation) = found.cloned() {
            if let RelationSource::Made(table) = &mut relation.source {
                table.show_row_numbers();
            }
            self.relations.insert((schema.to_owned(), with_numbers(name)), relation.unlisted());
        }
        self
    }

    /// Takes a relation that analysts made out: its own query cannot read it.
    pub(crate) fn without_made(mut self, name: &str) -> Self {
        let (schema, name) = placed(name);
        self.relations.remove(&(schema.to_owned(), name.to_owned()));
        self
    }

    /// Leaves what the log says, and takes out what is made of it: profiles, the graph's tables and segments.
    pub(crate) fn of_log(mut self, published: &Published) -> Self {
        let events: Vec<String> =
            events(published).into_iter().map(|relation| relation.name).collect();
        self.relations.retain(|(schema, name), _| match schema.as_str() {
            "sources" => true,
            crate::query::PUBLIC => name == "profile_records" || events.contains(name),
            _ => false,
        });
        self
    }

    /// Leaves what does not hang on who is who: sources, events, and what analysts made.
    pub(crate) fn of_ground(mut self, published: &Published) -> Self {
        let events: Vec<String> =
            events(published).into_iter().map(|relation| relation.name).collect();
        self.relations.retain(|(schema, name), _| match schema.as_str() {
            "sources" => true,
            crate::query::PUBLIC => events.contains(name),
            schema => !is_reserved(schema),
        });
        self
    }

    /// Returns what the statement's functions know of their session.
    pub fn facts(&self) -> &Arc<SessionFacts> {
        &self.facts
    }

    /// Returns every relation.
    pub fn iter(&self) -> impl Iterator<Item = &Relation> {
        self.relations.values()
    }

    /// Builds what a statement is planned with.
    pub fn scope(self: &Arc<Self>) -> Scope {
        let names = [crate::query::PUBLIC, "segments", "sources", "cdp", ANALYTICS, TEMPORARY];
        let made = self.schemas.keys().map(String::as_str);
        let mut schemas: Vec<(String, Arc<dyn SchemaProvider>)> = names
            .into_iter()
            .chain(made)
            .map(|name| {
                (
                    name.to_owned(),
                    Arc::new(RelationSchema {
                        schema: name.to_owned(),
                        relations: Arc::clone(self),
                    }) as _,
                )
            })
            .collect();
        schemas.push(("pg_catalog".into(), postgres::pg_catalog(&self.facts)));
        schemas.push(("information_schema".into(), postgres::information_schema(&self.facts)));
        Scope {
            catalogs: Arc::new(OneCatalog { schemas }),
            facts: Arc::clone(&self.facts),
            access: self.access.clone(),
            functions: self.functions.clone(),
        }
    }

    async fn provider(self: &Arc<Self>, relation: &Relation) -> Result<Arc<dyn TableProvider>> {
        let kept = matches!(relation.source, RelationSource::Governed(_) | RelationSource::View(_));
        if !kept {
            return self.new_provider(relation).await;
        }
        let key = (relation.schema.clone(), relation.name.clone());
        if let Some(provider) = self.named.lock().get(&key) {
            return Ok(Arc::clone(provider));
        }
        let provider = self.new_provider(relation).await?;
        self.named.lock().insert(key, Arc::clone(&provider));
        Ok(provider)
    }

    async fn new_provider(self: &Arc<Self>, relation: &Relation) -> Result<Arc<dyn TableProvider>> {
        let name = format!("{}.{}", relation.schema, relation.name);
        Ok(match &relation.source {
            RelationSource::Governed(snapshots) => {
                let columns = &relation.columns;
                Arc::new(GovernedTable::new(name, snapshots, columns, self.store.clone()))
            }
            RelationSource::System(rows) => {
                Arc::new(SystemTable::new(name, Arc::clone(&relation.columns), Arc::clone(rows)))
            }
            RelationSource::Record(rows) => {
                let (columns, rows) = (Arc::clone(&relation.columns), Arc::clone(rows));
                Arc::new(SystemTable::new(name, columns, rows).put_on_record())
            }
            RelationSource::View(query) => {
                let state = self.planner.state(&self.scope());
                let plan = Box::pin(plan_own(&state, &self.facts, parse_one(query)?)).await?;
                Arc::new(ViewTable::new(plan, None))
            }
            RelationSource::Made(table) => Arc::new(table.provider(name, self.store.clone())),
            RelationSource::MadeView(query) => {
                if self.expanded.fetch_add(1, Ordering::Relaxed) >= VIEWS_MAX {
                    return Err(too_many_views());
                }
                let state = self.planner.state(&self.scope());
                let planned = Box::pin(plan(&state, &self.facts, parse_one(query)?)).await?;
                Arc::new(ViewTable::new(planned, None))
            }
            RelationSource::Returned(rows) => Arc::clone(rows) as Arc<dyn TableProvider>,
            RelationSource::Reserved(purpose) => return Err(analytics::reserved(&name, purpose)),
        })
    }

    /// Describes the relations to the Postgres catalog, whose roles are these.
    pub fn describe(&self, roles: &[String]) -> Arc<postgres::Snapshot> {
        let schemas = self.schemas.iter();
        let schemas: Vec<(String, String)> =
            schemas.map(|(name, schema)| (name.clone(), schema.owner.clone())).collect();
        let relations = self
            .relations
            .values()
            .filter(|relation| !relation.unlisted)
            .map(|relation| postgres::Relation {
                schema: relation.schema.clone(),
                name: relation.name.clone(),
                owner: relation.owner.clone(),
                writable: relation.writable,
                kind: match relation.source {
                    RelationSource::View(_) | RelationSource::MadeView(_) => {
                        postgres::RelationKind::View
                    }
                    _ if relation.materialized.is_some() => {
                        postgres::RelationKind::MaterializedView
                    }
                    _ if relation.sequence.is_some() => postgres::RelationKind::Sequence,
                    _ => postgres::RelationKind::Table,
                },
                comment: relation.comment.clone(),
                columns: relation.columns_with_defaults(),
                primary_key: relation.primary_key.clone(),
                constraints: relation.constraints.clone(),
                numbered: relation.numbered.clone(),
                sequence: relation.sequence.clone(),
                definition: match &relation.source {
                    RelationSource::View(query) | RelationSource::MadeView(query) => {
                        Some(query.clone())
                    }
                    _ => relation.materialized.clone(),
                },
            })
            .collect();
        postgres::Snapshot::new(relations, &schemas, roles)
    }
}

/// One schema of [`Relations`].
#[derive(Debug)]
struct RelationSchema {
    schema: String,
    relations: Arc<Relations>,
}

impl RelationSchema {
    fn find(&self, name: &str) -> Option<&Relation> {
        self.relations.relations.get(&(self.schema.clone(), name.to_owned()))
    }
}

#[async_trait]
impl SchemaProvider for RelationSchema {
    fn table_names(&self) -> Vec<String> {
        self.relations
            .relations
            .iter()
            .filter(|((schema, _), relation)| *schema == self.schema && !relation.unlisted)
            .map(|((_, name), _)| name.clone())
            .collect()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        match self.find(name) {
            Some(relation) => {
                let provider = self.relations.provider(relation).await;
                provider.map(Some).map_err(|error| DataFusionError::External(Box::new(error)))
            }
            // PostgreSQL looks into pg_catalog before the search path.
            None if self.schema == crate::query::PUBLIC => {
                postgres::pg_catalog(&self.relations.facts).table(name).await
            }
            None => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

impl Relation {
    /// A relation about onefold itself.
    pub fn system(schema: &str, name: &str, comment: &str, columns: SchemaRef, rows: Rows) -> Self {
        Self::new(schema, name, columns, RelationSource::System(rows)).with_comment(comment)
    }

    /// Marks a relation about onefold itself whose rows tell of persons: reads of it are noted in the audit log.
    pub fn put_on_record(mut self) -> Self {
        if let RelationSource::System(rows) = self.source {
            self.source = RelationSource::Record(rows);
        }
        self
    }

    /// A personal relation over these versions of tables.
    pub fn governed(
        schema: &str,
        name: &str,
        snapshots: Vec<(String, Arc<TableSnapshot>)>,
    ) -> Self {
        let columns = snapshots
            .first()
            .map_or_else(|| Arc::new(Schema::empty()), |(_, snapshot)| shown(&snapshot.schema));
        Self::new(schema, name, columns, RelationSource::Governed(snapshots))
    }

    fn view(schema: &str, name: &str, columns: Vec<Field>, query: String) -> Self {
        Self::new(schema, name, Arc::new(Schema::new(columns)), RelationSource::View(query))
    }

    fn new(schema: &str, name: &str, columns: SchemaRef, source: RelationSource) -> Self {
        Self {
            schema: schema.into(),
            name: name.into(),
            owner: None,
            writable: false,
            comment: None,
            primary_key: vec![],
            constraints: Constraints::default(),
            numbered: BTreeMap::new(),
            defaults: BTreeMap::new(),
            generated: BTreeMap::new(),
            sequence: None,
            materialized: None,
            columns,
            source,
            unlisted: false,
        }
    }

    fn with_comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Shows the household of each row's profile, which is worked out when rows are read.
    fn with_household(mut self) -> Self {
        if self.columns.field_with_name(HOUSEHOLD_ID).is_err() {
            let mut fields = self.columns.fields().to_vec();
            fields.insert(1, Arc::new(Field::new(HOUSEHOLD_ID, DataType::Int64, true)));
            self.columns = Arc::new(Schema::new(fields));
        }
        self
    }

    /// Leaves a column out.
    fn without(mut self, column: &str) -> Self {
        let kept = self.columns.fields().iter().filter(|field| field.name() != column);
        self.columns = Arc::new(Schema::new(kept.cloned().collect::<Vec<_>>()));
        self
    }

    fn with_key(mut self, key: &[&str]) -> Self {
        self.primary_key = key.iter().map(|column| (*column).to_owned()).collect();
        self
    }
}

/// The columns that queries see of a stored personal table.
fn shown(stored: &Schema) -> SchemaRef {
    let mut fields = vec![Arc::new(Field::new(PROFILE_ID, DataType::Int64, true))];
    let own = stored
        .fields()
        .iter()
        .filter(|field| !field.name().starts_with('_') && field.name() != PROFILE_ID);
    fields.extend(own.map(|field| lake::logical_field(field)));
    Arc::new(Schema::new(fields))
}
