//! What a session may name: every relation of one published state, as one role sees it for one purpose.
//!
//! Personal relations are governed tables or views over them; relations about onefold itself are system tables, shown to
//! roles with the capability for them. A relation that a role may not read does not exist for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::datasource::ViewTable;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::ScalarUDF;

use super::access::Access;
use super::governed::{GovernedTable, PROFILE_ID, ScanStore};
use super::planner::{OneCatalog, Planner, Scope, parse_one, plan};
use super::postgres::{self, SessionFacts};
use super::system::{Rows, SystemTable};
use crate::catalog::{Body, Capability, Format, Kind, LegalBasis, Published, Shape};
use crate::error::Result;
use crate::lake::{self, TableSnapshot};
use crate::tables;

/// Who looks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Viewer {
    /// The role.
    pub role: String,
    /// What it may do.
    pub capabilities: Vec<Capability>,
    /// The declared purpose and what allows it.
    pub purpose: Option<(String, LegalBasis)>,
}

impl Viewer {
    /// Tells whether the role has `capability`.
    pub fn may(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Tells whether the role looks after the lake: sources, refreshes, rows set aside.
    pub fn operates(&self) -> bool {
        [Capability::Define, Capability::Refresh, Capability::Audit]
            .iter()
            .any(|capability| self.may(*capability))
    }
}

/// A relation and where its rows come from.
#[derive(Clone)]
pub struct Relation {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What a user reads about it.
    pub comment: Option<String>,
    /// The columns that identify a row.
    pub primary_key: Vec<String>,
    /// Its columns.
    pub columns: SchemaRef,
    source: RelationSource,
}

#[derive(Clone)]
enum RelationSource {
    /// Rows of persons, from these versions of tables.
    Governed(Vec<(String, Arc<TableSnapshot>)>),
    /// A query over other relations.
    View(String),
    /// Rows about onefold itself.
    System(Rows),
}

/// The relations of one statement.
pub struct Relations {
    planner: Planner,
    store: ScanStore,
    access: Option<Arc<Access>>,
    facts: Arc<SessionFacts>,
    functions: Vec<Arc<ScalarUDF>>,
    relations: BTreeMap<(String, String), Relation>,
}

impl fmt::Debug for Relations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.relations.keys()).finish()
    }
}

impl Relations {
    /// Collects what `viewer` may name in `published`; `system` adds what is known outside the lake's tables.
    pub fn new(
        published: &Published,
        viewer: &Viewer,
        access: Option<Arc<Access>>,
        planner: Planner,
        store: ScanStore,
        facts: Arc<SessionFacts>,
        functions: Vec<Arc<ScalarUDF>>,
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
        system.into_iter().for_each(&mut add);
        Self { planner, store, access, facts, functions, relations }
    }

    /// Adds relations for one internal statement, in place of those of their names.
    pub fn with(mut self, relations: Vec<Relation>) -> Self {
        for relation in relations {
            self.relations.insert((relation.schema.clone(), relation.name.clone()), relation);
        }
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
        let mut names: Vec<&str> = vec![super::PUBLIC, "segments", "sources", "cdp"];
        names.dedup();
        let mut schemas: Vec<(String, Arc<dyn SchemaProvider>)> = names
            .into_iter()
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
        let name = format!("{}.{}", relation.schema, relation.name);
        Ok(match &relation.source {
            RelationSource::Governed(snapshots) => {
                Arc::new(GovernedTable::new(name, snapshots, self.store.clone()))
            }
            RelationSource::System(rows) => {
                Arc::new(SystemTable::new(name, Arc::clone(&relation.columns), Arc::clone(rows)))
            }
            RelationSource::View(query) => {
                let state = self.planner.state(&self.scope());
                let plan = Box::pin(plan(&state, &self.facts, parse_one(query)?)).await?;
                Arc::new(ViewTable::new(plan, None))
            }
        })
    }

    /// Describes the relations to the Postgres catalog.
    pub fn describe(&self) -> Vec<postgres::Relation> {
        self.relations
            .values()
            .map(|relation| postgres::Relation {
                schema: relation.schema.clone(),
                name: relation.name.clone(),
                kind: match relation.source {
                    RelationSource::View(_) => postgres::RelationKind::View,
                    _ => postgres::RelationKind::Table,
                },
                comment: relation.comment.clone(),
                columns: relation
                    .columns
                    .fields()
                    .iter()
                    .map(|field| field.as_ref().clone())
                    .collect(),
                primary_key: relation.primary_key.clone(),
                definition: match &relation.source {
                    RelationSource::View(query) => Some(query.clone()),
                    _ => None,
                },
            })
            .collect()
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
            .keys()
            .filter(|(schema, _)| *schema == self.schema)
            .map(|(_, name)| name.clone())
            .collect()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        match self.find(name) {
            Some(relation) => {
                let provider = self.relations.provider(relation).await;
                provider.map(Some).map_err(|error| DataFusionError::External(Box::new(error)))
            }
            // PostgreSQL looks into pg_catalog before the search path.
            None if self.schema == super::PUBLIC => {
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
        Self {
            schema: schema.into(),
            name: name.into(),
            comment: Some(comment.into()),
            primary_key: vec![],
            columns,
            source: RelationSource::System(rows),
        }
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
        let source = RelationSource::Governed(snapshots);
        Self {
            schema: schema.into(),
            name: name.into(),
            comment: None,
            primary_key: vec![],
            columns,
            source,
        }
    }

    fn view(schema: &str, name: &str, columns: Vec<Field>, query: String) -> Self {
        let source = RelationSource::View(query);
        Self {
            schema: schema.into(),
            name: name.into(),
            comment: None,
            primary_key: vec![],
            columns: Arc::new(Schema::new(columns)),
            source,
        }
    }

    fn with_comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
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

fn timestamptz(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), true)
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8View, true)
}

/// Quotes a name for a query that onefold writes itself.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text for a query that onefold writes itself.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// One relation for each source, its history, and the records of all of them.
fn sources(published: &Published, viewer: &Viewer) -> Vec<Relation> {
    let mut found = Vec::new();
    let mut records = Vec::new();
    for definition in published.state.of_kind(Kind::Source) {
        let Body::Source(source) = &definition.body else { continue };
        let path = tables::source_path(&definition.name);
        let Some(current) = published.table(&path) else { continue };
        // A source without identifiers is about nobody that can be found: for those who see everyone.
        if source.identifiers.is_empty() && source.person.is_empty() && !sees_everyone(viewer) {
            continue;
        }
        let comment = definition
            .comment
            .clone()
            .unwrap_or_else(|| format!("rows of source {}", definition.name));
        let relation = Relation::governed(
            "sources",
            &definition.name,
            vec![(path.clone(), Arc::clone(&current))],
        )
        .with_comment(comment);
        match &source.shape {
            Shape::Records { key, .. } => {
                let key: Vec<&str> = key.iter().map(String::as_str).collect();
                let parts: Vec<String> = key
                    .iter()
                    .map(|column| format!("CAST({} AS VARCHAR)", quoted(column)))
                    .collect();
                records.push(format!(
                    "SELECT {} AS source, {} AS record_key, profile_id FROM sources.{}",
                    literal(&definition.name),
                    parts.join(" || '\u{1f}' || "),
                    quoted(&definition.name)
                ));
                found.push(relation.with_key(&key));
                let mut snapshots = vec![(path, current)];
                let superseded = tables::superseded_path(&definition.name);
                if let Some(older) = published.table(&superseded) {
                    snapshots.push((superseded, older));
                }
                let name = format!("{}_history", definition.name);
                let comment = format!("every version of the rows of source {}", definition.name);
                found.push(Relation::governed("sources", &name, snapshots).with_comment(comment));
            }
            Shape::Events { .. } => found.push(relation),
        }
    }
    if !records.is_empty() {
        let columns =
            vec![text("source"), text("record_key"), Field::new(PROFILE_ID, DataType::Int64, true)];
        let view =
            Relation::view(super::PUBLIC, "profile_records", columns, records.join(" UNION ALL "));
        found.push(view.with_comment("which profile each record belongs to"));
    }
    found
}

fn sees_everyone(viewer: &Viewer) -> bool {
    matches!(viewer.purpose, Some((_, LegalBasis::Contract)))
}

/// `events` over all sources of Segment calls, and one typed view for each event name.
fn events(published: &Published) -> Vec<Relation> {
    let mut snapshots = Vec::new();
    let mut names: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for definition in published.state.of_kind(Kind::Source) {
        let Body::Source(source) = &definition.body else { continue };
        let path = tables::source_path(&definition.name);
        if let (Format::Segment, Some(table)) = (source.format, published.table(&path)) {
            snapshots.push((path, table));
            let seen = published.state.sources.get(&definition.name).map(|state| &state.events);
            for (event, properties) in seen.into_iter().flatten() {
                let known = names.entry(event.clone()).or_default();
                properties.iter().for_each(|(name, kind)| {
                    known
                        .entry(name.clone())
                        .and_modify(|held| {
                            if held != kind {
                                *held = "text".into()
                            }
                        })
                        .or_insert_with(|| kind.clone());
                });
            }
        }
    }
    if snapshots.is_empty() {
        return vec![];
    }
    for definition in published.state.of_kind(Kind::Event) {
        if let Body::Event(event) = &definition.body {
            let declared = event
                .properties
                .iter()
                .map(|property| (property.name.clone(), sql_type(&property.data_type)));
            names.insert(definition.name.clone(), declared.collect());
        }
    }
    let events = Relation::governed(super::PUBLIC, "events", snapshots)
        .with_comment("every event of every source, with its person");
    let views = names.iter().map(|(event, properties)| event_view(event, properties));
    let views: Vec<Relation> = views.collect();
    std::iter::once(events).chain(views).collect()
}

fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".into(),
        DataType::Int16 | DataType::Int32 | DataType::Int64 => "bigint".into(),
        DataType::Float32 | DataType::Float64 => "double precision".into(),
        DataType::Decimal128(precision, scale) => format!("numeric({precision},{scale})"),
        DataType::Date32 => "date".into(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".into(),
        _ => "text".into(),
    }
}

fn event_view(event: &str, properties: &BTreeMap<String, String>) -> Relation {
    let fixed = ["message_id", "profile_id", "occurred_at", "anonymous_id", "user_id", "context"];
    let mut columns = vec![
        text("message_id"),
        Field::new(PROFILE_ID, DataType::Int64, true),
        timestamptz("occurred_at"),
        text("anonymous_id"),
        text("user_id"),
        text("context").with_metadata([(lake::LOGICAL_TYPE.to_owned(), "jsonb".to_owned())].into()),
    ];
    let mut list: Vec<String> = fixed.iter().map(|column| (*column).to_owned()).collect();
    let names = lake::column_names(properties.keys().map(String::as_str));
    for ((property, kind), name) in properties.iter().zip(names) {
        let name = if fixed.contains(&name.as_str()) { format!("property_{name}") } else { name };
        let value = format!("json_get_text(properties, {})", literal(property));
        let (value, data_type, logical) = match kind.as_str() {
            "boolean" => (format!("TRY_CAST({value} AS boolean)"), DataType::Boolean, None),
            "bigint" => (format!("TRY_CAST({value} AS bigint)"), DataType::Int64, None),
            "double precision" => {
                (format!("TRY_CAST({value} AS double precision)"), DataType::Float64, None)
            }
            "date" => (format!("TRY_CAST({value} AS date)"), DataType::Date32, None),
            "timestamptz" => (
                format!("TRY_CAST({value} AS timestamp with time zone)"),
                timestamptz("").data_type().clone(),
                None,
            ),
            "jsonb" => (
                format!("json_get(properties, {})", literal(property)),
                DataType::Utf8View,
                Some("jsonb"),
            ),
            numeric if numeric.starts_with("numeric(") => {
                (format!("TRY_CAST({value} AS {numeric})"), numeric_type(numeric), None)
            }
            _ => (value, DataType::Utf8View, None),
        };
        let mut field = Field::new(&name, data_type, true);
        if let Some(logical) = logical {
            field =
                field.with_metadata([(lake::LOGICAL_TYPE.to_owned(), logical.to_owned())].into());
        }
        columns.push(field);
        list.push(format!("{value} AS {}", quoted(&name)));
    }
    let query =
        format!("SELECT {} FROM public.events WHERE event = {}", list.join(", "), literal(event));
    let name = format!("events_{}", lake::column_name(event));
    Relation::view(super::PUBLIC, &name, columns, query)
        .with_comment(format!("events named {event}, their properties as columns"))
}

fn numeric_type(text: &str) -> DataType {
    let mut parts = text.trim_start_matches("numeric(").trim_end_matches(')').split(',');
    let precision = parts.next().and_then(|part| part.trim().parse().ok()).unwrap_or(38);
    let scale = parts.next().and_then(|part| part.trim().parse().ok()).unwrap_or(0);
    DataType::Decimal128(precision, scale)
}

/// Profiles and the identity graph.
fn derived(published: &Published, viewer: &Viewer) -> Vec<Relation> {
    let mut found = Vec::new();
    let mut add = |path: &str, name: &str, key: &[&str], comment: &str| {
        if let Some(table) = published.table(path) {
            found.push(
                Relation::governed(super::PUBLIC, name, vec![(path.to_owned(), table)])
                    .with_key(key)
                    .with_comment(comment),
            );
        }
    };
    let profiles = published.state.profiles_path.as_deref().unwrap_or(tables::PROFILES_PATH);
    add(profiles, "profiles", &[PROFILE_ID], "one row for each person: golden values and traits");
    add(
        tables::ATTRIBUTE_SOURCES.path,
        "attribute_sources",
        &[],
        "where each golden value comes from",
    );
    add(
        tables::PROFILE_IDENTIFIERS.path,
        "profile_identifiers",
        &[],
        "the normalised identifiers of each person",
    );
    // These tell of two persons at a time, one of whom may be hidden: for those who see everyone.
    if sees_everyone(viewer) {
        add(tables::IDENTITY_EDGES.path, "identity_edges", &[], "why records are one person");
        add(
            tables::IDENTITY_VIOLATIONS.path,
            "identity_violations",
            &[],
            "joins that were refused, by which rule and against what",
        );
        add(
            tables::PROFILE_MERGES.path,
            "profile_merges",
            &[],
            "ids that became another profile's",
        );
    }
    found
}

/// One relation for each segment of the viewer's purpose, its former members, and the members of all of them.
fn segments(published: &Published, viewer: &Viewer) -> Vec<Relation> {
    let mut found = Vec::new();
    let mut members = Vec::new();
    for definition in published.state.of_kind(Kind::Segment) {
        let (Body::Segment(segment), Some((purpose, basis))) = (&definition.body, &viewer.purpose)
        else {
            continue;
        };
        let path = tables::segment_path(&definition.name);
        let Some(table) = published.table(&path) else { continue };
        if segment.purpose != *purpose && *basis != LegalBasis::Contract {
            continue;
        }
        let name = &definition.name;
        let comment =
            definition.comment.clone().unwrap_or_else(|| format!("members of segment {name}"));
        found.push(
            Relation::governed("segments", name, vec![(path, table)])
                .with_key(&[PROFILE_ID])
                .with_comment(comment),
        );
        let columns = "profile_id, entered_at, exited_at";
        members.push(format!(
            "SELECT {} AS segment, profile_id, entered_at, CAST(NULL AS timestamp with time zone) AS exited_at FROM segments.{}",
            literal(name),
            quoted(name)
        ));
        let path = tables::former_path(name);
        if let Some(table) = published.table(&path) {
            let former = format!("{name}_former");
            members.push(format!(
                "SELECT {} AS segment, {columns} FROM segments.{}",
                literal(name),
                quoted(&former)
            ));
            let comment = format!("who was a member of segment {name} and is no more");
            found.push(
                Relation::governed("segments", &former, vec![(path, table)]).with_comment(comment),
            );
        }
    }
    if !members.is_empty() {
        let columns = vec![
            text("segment"),
            Field::new(PROFILE_ID, DataType::Int64, true),
            timestamptz("entered_at"),
            timestamptz("exited_at"),
        ];
        let view =
            Relation::view(super::PUBLIC, "segment_members", columns, members.join(" UNION ALL "));
        found.push(view.with_comment("who entered and left which segment, and when"));
    }
    found
}
