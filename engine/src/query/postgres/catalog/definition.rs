//! The relations of `pg_catalog` and `information_schema`: names, oids, columns and types as PostgreSQL 15 has them.
//!
//! Small files hold what never changes: `relations.tsv` (every relation with its columns), `rows.tsv` (rows of
//! relations such as `pg_type`, in COPY format) and `procedures.tsv` (type functions, and those functions of sessions that
//! have one form only).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{Schema, SchemaRef};

use crate::query::postgres::types;

/// One relation of the system catalog.
#[derive(Debug)]
pub(in crate::query::postgres) struct Definition {
    /// `pg_catalog` or `information_schema`.
    pub(in crate::query::postgres) schema: &'static str,
    /// Its name.
    pub(in crate::query::postgres) name: &'static str,
    /// Its oid.
    pub(in crate::query::postgres) oid: u32,
    /// `r` or `v`.
    pub(in crate::query::postgres) kind: &'static str,
    /// Its columns in order.
    pub(in crate::query::postgres) columns: Vec<Column>,
    /// The same as an Arrow schema.
    pub(super) arrow: SchemaRef,
}

/// One column of a relation of the system catalog.
#[derive(Debug)]
pub(in crate::query::postgres) struct Column {
    /// Its name.
    pub(in crate::query::postgres) name: &'static str,
    /// Its type, named as in `pg_type`.
    pub(in crate::query::postgres) pg_type: &'static str,
    /// Whether it can be null.
    pub(in crate::query::postgres) nullable: bool,
}

/// Every relation of the system catalog, sorted by schema and name.
pub(in crate::query::postgres) static DEFINITIONS: LazyLock<Vec<Definition>> =
    LazyLock::new(|| include_str!("data/relations.tsv").lines().filter_map(parse).collect());

fn parse(line: &'static str) -> Option<Definition> {
    let mut parts = line.split('\t');
    let (schema, name) = parts.next()?.split_once('.')?;
    let oid = parts.next()?.parse().ok()?;
    let kind = parts.next()?;
    let columns: Vec<Column> = parts.next()?.split(' ').filter_map(column).collect();
    let fields: Vec<_> =
        columns.iter().map(|c| types::field(c.name, c.pg_type).with_nullable(c.nullable)).collect();
    Some(Definition { schema, name, oid, kind, columns, arrow: Arc::new(Schema::new(fields)) })
}

fn column(text: &'static str) -> Option<Column> {
    let (name, pg_type) = text.split_once(':')?;
    let nullable = !pg_type.ends_with('!');
    Some(Column { name, pg_type: pg_type.trim_end_matches('!'), nullable })
}

static BY_NAME: LazyLock<HashMap<(&'static str, &'static str), usize>> = LazyLock::new(|| {
    DEFINITIONS.iter().enumerate().map(|(at, d)| ((d.schema, d.name), at)).collect()
});

/// Returns the relation of the system catalog with this name.
pub(in crate::query::postgres) fn definition(
    schema: &str,
    name: &str,
) -> Option<&'static Definition> {
    BY_NAME.get(&(schema, name)).map(|&at| &DEFINITIONS[at])
}

static STORED: LazyLock<HashMap<&'static str, Vec<Vec<&'static str>>>> = LazyLock::new(|| {
    let mut stored: HashMap<&'static str, Vec<Vec<&'static str>>> = HashMap::new();
    let mut relation = "";
    for line in include_str!("data/rows.tsv").lines() {
        match line.strip_prefix('@') {
            Some(name) => relation = name,
            None => stored.entry(relation).or_default().push(line.split('\t').collect()),
        }
    }
    stored
});

/// Returns the rows that a relation of `pg_catalog` has on every server, cells in COPY format.
pub(in crate::query::postgres) fn stored_rows(name: &str) -> &'static [Vec<&'static str>] {
    STORED.get(name).map_or(&[], |rows| rows)
}

static PROCEDURES: LazyLock<Vec<(i64, &'static str)>> = LazyLock::new(|| {
    let pairs =
        include_str!("data/procedures.tsv").lines().filter_map(|line| line.split_once('\t'));
    pairs.filter_map(|(oid, name)| Some((oid.parse().ok()?, name))).collect()
});

/// Returns the name of a function.
pub(in crate::query::postgres) fn procedure_name(oid: i64) -> Option<&'static str> {
    PROCEDURES.binary_search_by_key(&oid, |(oid, _)| *oid).ok().map(|at| PROCEDURES[at].1)
}

/// Returns the oid of a function.
pub(in crate::query::postgres) fn procedure_oid(name: &str) -> Option<i64> {
    PROCEDURES.iter().find(|(_, known)| *known == name).map(|(oid, _)| *oid)
}
