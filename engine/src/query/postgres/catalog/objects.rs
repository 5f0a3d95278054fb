//! The relations of `pg_catalog` that describe users' objects.

use std::collections::HashSet;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use datafusion::common::utils::list_ndims;

use super::definition::{DEFINITIONS, Definition, stored_rows};
use super::keys::key_columns;
use super::rows::{Cell, Rows};
use super::{dependencies, functions, keys, sequences, server, statistics, zones};
use crate::catalog::Identity;
use crate::query::postgres::foreign_keys::Reference;
use crate::query::postgres::snapshot::{Numbered, OWNER_OID, RelationKind, Snapshot};
use crate::query::postgres::types::{self, PgType, pg_type_of};

/// `pg_am.oid` of tables and of indexes.
const HEAP: i64 = 2;
const BTREE: i64 = 403;

/// Builds a relation of `pg_catalog`.
pub(super) fn build(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    match definition.name {
        "pg_class" => classes(definition, snapshot),
        "pg_attribute" => attributes(definition, snapshot),
        "pg_proc" => functions::build(definition, snapshot),
        "pg_type" => types_and_rows(definition, snapshot),
        "pg_namespace" => namespaces(definition, snapshot),
        "pg_index" => keys::indexes(definition, snapshot),
        "pg_constraint" => keys::constraints(definition, snapshot),
        "pg_attrdef" => sequences::defaults(definition, snapshot),
        "pg_depend" => dependencies::dependencies(definition, snapshot),
        "pg_shdepend" => dependencies::owners(definition, snapshot),
        "pg_sequence" => sequences::sequences(definition, snapshot),
        "pg_description" => descriptions(definition, snapshot),
        "pg_database" => server::databases(definition, database),
        "pg_roles" => server::roles(definition, snapshot),
        "pg_user" => server::users(definition, snapshot),
        "pg_tables" => server::tables(definition, snapshot),
        "pg_views" => server::views(definition, snapshot),
        "pg_matviews" => server::materialized_views(definition, snapshot),
        "pg_indexes" => keys::index_definitions(definition, snapshot),
        "pg_rewrite" => server::view_rules(definition, snapshot),
        "pg_timezone_abbrevs" => zones::abbreviations(definition),
        name => {
            if let Some(listed) = statistics::build(definition, snapshot, database) {
                return listed;
            }
            let mut rows = Rows::all(definition)?;
            stored_rows(name).iter().for_each(|row| rows.push_copy(row));
            rows.finish()
        }
    }
}

fn kind(relation: &Numbered) -> &'static str {
    match relation.relation.kind {
        RelationKind::Table => "r",
        RelationKind::View => "v",
        RelationKind::MaterializedView => "m",
        RelationKind::Sequence => "S",
    }
}

fn classes(definition: &'static Definition, snapshot: &Snapshot) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        definition,
        &[
            "oid",
            "relname",
            "relnamespace",
            "reltype",
            "relowner",
            "relam",
            "relfilenode",
            "reltuples",
            "relhasindex",
            "relpersistence",
            "relkind",
            "relnatts",
            "relhasrules",
            "relispopulated",
            "relreplident",
            "relchecks",
            "relhastriggers",
        ],
    )?;
    let heap = |kind: &str| Cell::Int(if matches!(kind, "v" | "S") { 0 } else { HEAP });
    for known in DEFINITIONS.iter() {
        let schema = snapshot.schema_oid(known.schema).unwrap_or_default();
        rows.push(&[
            known.oid.into(),
            known.name.into(),
            schema.into(),
            0.into(),
            OWNER_OID.into(),
            heap(known.kind),
            0.into(),
            Cell::Int(-1),
            (known.kind == "r").into(),
            "p".into(),
            known.kind.into(),
            Cell::Int(known.columns.len() as i64),
            (known.kind == "v").into(),
            true.into(),
            "n".into(),
            0.into(),
            false.into(),
        ]);
    }
    // PostgreSQL checks foreign keys by triggers of both tables, and psql asks for no foreign keys where there are none.
    let mut linked: HashSet<u32> = HashSet::new();
    for Reference { relation, referred, .. } in snapshot.references() {
        linked.extend([relation.oid, referred.oid]);
    }
    for r in &snapshot.relations {
        let kind = kind(r);
        let persistence = if r.is_temporary() { "t" } else { "p" };
        rows.push(&[
            r.oid.into(),
            r.relation.name.as_str().into(),
            r.schema_oid.into(),
            r.row_type.into(),
            r.owner_oid.into(),
            heap(kind),
            0.into(),
            Cell::Int(if kind == "S" { 1 } else { -1 }),
            (!r.keys.is_empty()).into(),
            persistence.into(),
            kind.into(),
            Cell::Int(r.relation.columns.len() as i64),
            matches!(kind, "v" | "m").into(),
            true.into(),
            (if matches!(kind, "v" | "S") { "n" } else { "d" }).into(),
            Cell::Int(r.checks.len() as i64),
            linked.contains(&r.oid).into(),
        ]);
        for key in &r.keys {
            rows.push(&[
                key.index.into(),
                key.name.as_str().into(),
                r.schema_oid.into(),
                0.into(),
                r.owner_oid.into(),
                BTREE.into(),
                0.into(),
                Cell::Int(-1),
                false.into(),
                persistence.into(),
                "i".into(),
                Cell::Int(key.columns.len() as i64),
                false.into(),
                true.into(),
                "n".into(),
                0.into(),
                false.into(),
            ]);
        }
    }
    rows.finish()
}

/// What is said of a column beside its type.
#[derive(Default)]
struct Given {
    not_null: bool,
    default: bool,
    /// `a` or `d` for an identity column.
    identity: &'static str,
    /// `s` for a column that is computed.
    generated: &'static str,
    /// How many dimensions an array was declared with, if more than one.
    dimensions: i64,
}

fn attributes(definition: &'static Definition, snapshot: &Snapshot) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        definition,
        &[
            "attrelid",
            "attname",
            "atttypid",
            "attstattarget",
            "attlen",
            "attnum",
            "attndims",
            "attcacheoff",
            "atttypmod",
            "attbyval",
            "attalign",
            "attstorage",
            "attnotnull",
            "atthasdef",
            "attidentity",
            "attgenerated",
            "attislocal",
            "attcollation",
        ],
    )?;
    let mut push =
        |relation: u32, name: &str, number: i64, t: &PgType, modifier: i32, given: Given| {
            let is_array = t.element != 0 && t.len == -1 && t.name.starts_with('_');
            let dimensions = if is_array { given.dimensions.max(1) } else { 0 };
            rows.push(&[
                relation.into(),
                name.into(),
                t.oid.into(),
                Cell::Int(-1),
                Cell::Int(t.len.into()),
                number.into(),
                dimensions.into(),
                Cell::Int(-1),
                Cell::Int(modifier.into()),
                t.by_value.into(),
                t.align.as_str().into(),
                t.storage.as_str().into(),
                given.not_null.into(),
                given.default.into(),
                given.identity.into(),
                given.generated.into(),
                true.into(),
                t.collation.into(),
            ]);
        };
    for known in DEFINITIONS.iter() {
        for (at, column) in known.columns.iter().enumerate() {
            if let Some(t) = types::by_name(column.pg_type) {
                let given = Given { not_null: !column.nullable, ..Given::default() };
                push(known.oid, column.name, at as i64 + 1, t, -1, given);
            }
        }
    }
    for r in &snapshot.relations {
        for (at, column) in r.relation.columns.iter().enumerate() {
            let (t, modifier) = pg_type_of(column);
            let name = column.name();
            // Columns of views can be null as far as PostgreSQL knows.
            let has_rows = matches!(r.relation.kind, RelationKind::Table | RelationKind::Sequence);
            let modifier = if has_rows { declared(column, modifier) } else { modifier };
            let numbered = r.relation.numbered.get(name);
            let given = Given {
                not_null: r.relation.primary_key.contains(name)
                    || (!column.is_nullable() && has_rows),
                default: numbered.is_some_and(|numbered| numbered.identity.is_none())
                    || r.default_of(name).is_some()
                    || r.generated_of(name).is_some(),
                generated: if r.generated_of(name).is_some() { "s" } else { "" },
                identity: match numbered.and_then(|numbered| numbered.identity) {
                    Some(Identity::Always) => "a",
                    Some(Identity::ByDefault) => "d",
                    None => "",
                },
                dimensions: i64::try_from(list_ndims(column.data_type())).unwrap_or(1),
            };
            push(r.oid, name, at as i64 + 1, t, modifier, given);
        }
        for key in &r.keys {
            for (at, number) in key_columns(r, key).iter().enumerate() {
                if let Some(column) =
                    usize::try_from(*number - 1).ok().and_then(|n| r.relation.columns.get(n))
                {
                    let (t, modifier) = pg_type_of(column);
                    let number = at as i64 + 1;
                    push(key.index, column.name(), number, t, modifier, Given::default());
                }
            }
        }
    }
    rows.finish()
}

/// The modifier that a column was declared with: that of an array is the digits of its numerics.
fn declared(column: &Field, modifier: i32) -> i32 {
    let mut leaf = column.data_type();
    while let DataType::List(item) = leaf {
        leaf = item.data_type();
    }
    match leaf {
        // Those of a plain numeric are none that were declared.
        DataType::Decimal128(digits, scale)
            if column.data_type().is_list() && *leaf != types::arrow_type("numeric") =>
        {
            ((i32::from(*digits) << 16) | (i32::from(*scale) & 0x7ff)) + 4
        }
        _ => modifier,
    }
}

fn types_and_rows(definition: &'static Definition, snapshot: &Snapshot) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    stored_rows("pg_type").iter().for_each(|row| rows.push_copy(row));
    for r in snapshot.relations.iter().filter(|r| r.row_type != 0) {
        let (oid, schema, relation) =
            (r.row_type.to_string(), r.schema_oid.to_string(), r.oid.to_string());
        rows.push_copy(&[
            &oid,
            &r.relation.name,
            &schema,
            "10",
            "-1",
            "f",
            "c",
            "C",
            "f",
            "t",
            ",",
            &relation,
            "-",
            "0",
            "0",
            "record_in",
            "record_out",
            "record_recv",
            "record_send",
            "-",
            "-",
            "-",
            "d",
            "x",
            "f",
            "0",
            "-1",
            "0",
            "0",
            "\\N",
            "\\N",
            "\\N",
        ]);
    }
    rows.finish()
}

fn namespaces(definition: &'static Definition, snapshot: &Snapshot) -> Result<RecordBatch> {
    let mut rows = Rows::new(definition, &["oid", "nspname", "nspowner"])?;
    for (name, oid) in &snapshot.schemas {
        rows.push(&[(*oid).into(), name.as_str().into(), snapshot.schema_owner(name).into()]);
    }
    rows.finish()
}

fn descriptions(definition: &'static Definition, snapshot: &Snapshot) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    let class = super::CLASS_OIDS.get("pg_class").copied().unwrap_or_default();
    for r in &snapshot.relations {
        for number in 0..=r.relation.columns.len() as i64 {
            if let Some(comment) = super::column_comment(snapshot, r.oid, number) {
                rows.push(&[r.oid.into(), class.into(), number.into(), comment.into()]);
            }
        }
    }
    rows.finish()
}
