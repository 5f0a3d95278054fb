//! The relations of `pg_catalog` about what happens to tables and indexes. They list those that a role sees; what other servers
//! count, scans and rows and blocks, is null: it would tell of rows that the role must not see.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;

use super::definition::{DEFINITIONS, Definition};
use super::rows::Rows;
use crate::query::postgres::snapshot::{DATABASE_OID, RelationKind, SYSTEM_SCHEMAS, Snapshot};

/// What one of the relations lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Tables,
    Indexes,
}

/// Of which schemas it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    All,
    System,
    User,
}

/// Builds such a relation; `None` for all others.
pub(super) fn build(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Option<Result<RecordBatch>> {
    if definition.name == "pg_stat_database" {
        return Some(databases(definition, database));
    }
    let (listed, whose) = described(definition.name)?;
    Some(match listed {
        Listed::Tables => tables(definition, snapshot, whose),
        Listed::Indexes => indexes(definition, snapshot, whose),
    })
}

fn described(name: &str) -> Option<(Listed, Whose)> {
    let prefixes = ["pg_statio_", "pg_stat_xact_", "pg_stat_"];
    let rest = prefixes.into_iter().find_map(|prefix| name.strip_prefix(prefix))?;
    Some(match rest {
        "all_tables" => (Listed::Tables, Whose::All),
        "sys_tables" => (Listed::Tables, Whose::System),
        "user_tables" => (Listed::Tables, Whose::User),
        "all_indexes" => (Listed::Indexes, Whose::All),
        "sys_indexes" => (Listed::Indexes, Whose::System),
        "user_indexes" => (Listed::Indexes, Whose::User),
        _ => return None,
    })
}

fn is_system(schema: &str) -> bool {
    SYSTEM_SCHEMAS.iter().any(|(known, _)| *known == schema)
}

fn databases(definition: &'static Definition, database: &str) -> Result<RecordBatch> {
    let mut rows = Rows::new(definition, &["datid", "datname"])?;
    rows.push(&[DATABASE_OID.into(), database.into()]);
    rows.finish()
}

fn tables(
    definition: &'static Definition,
    snapshot: &Snapshot,
    whose: Whose,
) -> Result<RecordBatch> {
    let mut rows = Rows::new(definition, &["relid", "schemaname", "relname"])?;
    if whose != Whose::User {
        for known in DEFINITIONS.iter().filter(|known| known.kind == "r") {
            rows.push(&[known.oid.into(), known.schema.into(), known.name.into()]);
        }
    }
    for r in snapshot.relations.iter().filter(|r| whose.has(&r.relation.schema)) {
        if matches!(r.relation.kind, RelationKind::Table | RelationKind::MaterializedView) {
            let (schema, name) = (r.relation.schema.as_str(), r.relation.name.as_str());
            rows.push(&[r.oid.into(), schema.into(), name.into()]);
        }
    }
    rows.finish()
}

fn indexes(
    definition: &'static Definition,
    snapshot: &Snapshot,
    whose: Whose,
) -> Result<RecordBatch> {
    let columns = ["relid", "indexrelid", "schemaname", "relname", "indexrelname"];
    let mut rows = Rows::new(definition, &columns)?;
    for r in snapshot.relations.iter().filter(|r| whose.has(&r.relation.schema)) {
        for key in &r.keys {
            rows.push(&[
                r.oid.into(),
                key.index.into(),
                r.relation.schema.as_str().into(),
                r.relation.name.as_str().into(),
                key.name.as_str().into(),
            ]);
        }
    }
    rows.finish()
}

impl Whose {
    fn has(self, schema: &str) -> bool {
        match self {
            Whose::All => true,
            Whose::System => is_system(schema),
            Whose::User => !is_system(schema),
        }
    }
}
