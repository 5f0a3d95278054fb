//! `pg_catalog` and `information_schema`: two schemas whose relations describe what the role can see.
//!
//! Every relation that PostgreSQL 15 has is there with its columns, so that no client fails for want of a name. Those
//! that describe relations, columns, keys, types, comments and roles are filled from the [`Snapshot`]; those that describe
//! the session are built for it each time that they are read; the rest have the rows of a fresh server or none. A table is
//! built when it is first read and shared by every session of the same catalog version and role.

mod constraints;
mod definition;
mod dependencies;
mod elements;
mod functions;
mod grants;
mod information_schema;
mod keys;
mod objects;
mod rows;
mod sequences;
mod server;
mod session;
mod statistics;
mod zones;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemTable, SchemaProvider, Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

pub(super) use definition::{
    DEFINITIONS, Definition, definition, procedure_name, procedure_oid, stored_rows,
};
pub(super) use functions::{Procedure, procedure, procedures};
pub(crate) use functions::{volatilities, volatility_of};
pub(super) use sequences::DEFAULT_BY;

use super::facts::SessionFacts;
use super::snapshot::Snapshot;

const SECOND_US: i64 = 1_000_000;

/// Relations of the system catalog that have been read, by place in [`DEFINITIONS`].
#[derive(Debug)]
pub(super) struct Tables {
    built: Vec<OnceLock<Arc<MemTable>>>,
}

impl Default for Tables {
    fn default() -> Self {
        Tables { built: DEFINITIONS.iter().map(|_| OnceLock::new()).collect() }
    }
}

/// Returns the schema `pg_catalog` of a session.
pub fn pg_catalog(facts: &Arc<SessionFacts>) -> Arc<dyn SchemaProvider> {
    Arc::new(SystemSchema { schema: "pg_catalog", facts: Arc::clone(facts) })
}

/// Returns the schema `information_schema` of a session.
pub fn information_schema(facts: &Arc<SessionFacts>) -> Arc<dyn SchemaProvider> {
    Arc::new(SystemSchema { schema: "information_schema", facts: Arc::clone(facts) })
}

#[derive(Debug)]
struct SystemSchema {
    schema: &'static str,
    facts: Arc<SessionFacts>,
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        DEFINITIONS.iter().filter(|d| d.schema == self.schema).map(|d| d.name.to_string()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(place) =
            DEFINITIONS.iter().position(|d| d.schema == self.schema && d.name == name)
        else {
            return Ok(None);
        };
        if session::is_of_session(&DEFINITIONS[place]) {
            let (definition, facts) = (&DEFINITIONS[place], Arc::clone(&self.facts));
            return Ok(Some(Arc::new(OfSession { definition, facts })));
        }
        let snapshot = self.facts.snapshot();
        let built = &snapshot.tables.built[place];
        if let Some(table) = built.get() {
            return Ok(Some(Arc::clone(table) as Arc<dyn TableProvider>));
        }
        let definition = &DEFINITIONS[place];
        let batch = match self.schema {
            "pg_catalog" => objects::build(definition, &snapshot, &self.facts.database)?,
            _ => information_schema::build(definition, &snapshot, &self.facts.database)?,
        };
        let table = table(batch)?;
        Ok(Some(Arc::clone(built.get_or_init(|| table)) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        definition(self.schema, name).is_some()
    }
}

/// A relation that describes the session that reads it: its rows are those of the moment in which a statement runs, also
/// if that was planned before.
#[derive(Debug)]
pub(in crate::query) struct OfSession {
    definition: &'static Definition,
    facts: Arc<SessionFacts>,
}

#[async_trait]
impl TableProvider for OfSession {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.definition.arrow)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let began = state.execution_props().query_execution_start_time;
        let at = began.map_or(self.facts.started_at_us / SECOND_US, |began| began.timestamp());
        let batch = session::build(self.definition, &self.facts, at)?;
        let plan =
            MemorySourceConfig::try_new_exec(&[vec![batch]], self.schema(), projection.cloned())?;
        Ok(plan)
    }
}

fn table(batch: RecordBatch) -> Result<Arc<MemTable>> {
    Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
}

/// Comments by place: relations at 0, columns from 1.
pub(super) fn column_comment(snapshot: &Snapshot, relation: u32, column: i64) -> Option<&str> {
    let relation = &snapshot.relation(relation)?.relation;
    if column == 0 {
        return relation.comment.as_deref();
    }
    let at = usize::try_from(column).ok()?.checked_sub(1)?;
    relation.columns.get(at)?.metadata().get(super::types::COMMENT_KEY).map(String::as_str)
}

/// Oids of system relations that others point to.
pub(super) static CLASS_OIDS: std::sync::LazyLock<HashMap<&'static str, u32>> =
    std::sync::LazyLock::new(|| {
        DEFINITIONS.iter().filter(|d| d.schema == "pg_catalog").map(|d| (d.name, d.oid)).collect()
    });
