//! The relations of `information_schema`.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Field;
use datafusion::common::Result;

use super::definition::{DEFINITIONS, Definition};
use super::rows::{Cell, Rows};
use crate::query::postgres::facts::{Numbered, OWNER, RelationKind, Snapshot};
use crate::query::postgres::functions::definitions_of;
use crate::query::postgres::types::{self, PgType, pg_type_of};

/// Builds a relation of `information_schema`.
pub(super) fn build(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    match definition.name {
        "information_schema_catalog_name" => {
            let mut rows = Rows::all(definition)?;
            rows.push(&[database.into()]);
            rows.finish()
        }
        "schemata" => schemata(definition, snapshot, database),
        "tables" => tables(definition, snapshot, database),
        "columns" => columns(definition, snapshot, database),
        "views" => views(definition, snapshot, database),
        "table_constraints" => table_constraints(definition, snapshot, database),
        "key_column_usage" | "constraint_column_usage" => {
            key_columns(definition, snapshot, database)
        }
        "table_privileges" | "role_table_grants" => {
            table_privileges(definition, snapshot, database)
        }
        "character_sets" => {
            let columns = [
                "character_set_name",
                "character_repertoire",
                "form_of_use",
                "default_collate_catalog",
            ];
            let mut rows = Rows::new(definition, &columns)?;
            rows.push(&["UTF8".into(), "UCS".into(), "UTF8".into(), database.into()]);
            rows.finish()
        }
        _ => Rows::all(definition)?.finish(),
    }
}

fn yes(value: bool) -> Cell<'static> {
    Cell::Text(if value { "YES" } else { "NO" })
}

fn schemata(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let mut rows = Rows::new(definition, &["catalog_name", "schema_name", "schema_owner"])?;
    for (name, _) in &snapshot.schemas {
        let owner = snapshot.role_name(snapshot.schema_owner(name)).unwrap_or(OWNER);
        rows.push(&[database.into(), name.as_str().into(), owner.into()]);
    }
    rows.finish()
}

fn tables(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let columns = [
        "table_catalog",
        "table_schema",
        "table_name",
        "table_type",
        "is_insertable_into",
        "is_typed",
    ];
    let mut rows = Rows::new(definition, &columns)?;
    let mut push = |schema: &str, name: &str, table: bool| {
        let kind = if table { "BASE TABLE" } else { "VIEW" };
        rows.push(&[
            database.into(),
            schema.into(),
            name.into(),
            kind.into(),
            yes(false),
            yes(false),
        ]);
    };
    DEFINITIONS.iter().for_each(|known| push(known.schema, known.name, known.kind == "r"));
    for r in standard(snapshot) {
        push(&r.relation.schema, &r.relation.name, r.relation.kind == RelationKind::Table);
    }
    rows.finish()
}

fn columns(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        definition,
        &[
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
            "is_nullable",
            "data_type",
            "character_maximum_length",
            "character_octet_length",
            "numeric_precision",
            "numeric_precision_radix",
            "numeric_scale",
            "datetime_precision",
            "udt_catalog",
            "udt_schema",
            "udt_name",
            "dtd_identifier",
            "is_self_referencing",
            "is_identity",
            "identity_cycle",
            "is_generated",
            "is_updatable",
        ],
    )?;
    let mut push = |schema: &str, table: &str, at: usize, column: &Field, nullable: bool| {
        let (t, modifier) = pg_type_of(column);
        let (length, octets) = character_length(t, modifier);
        let (precision, radix, scale) = numeric_shape(t, modifier);
        let number = (at + 1).to_string();
        rows.push(&[
            database.into(),
            schema.into(),
            table.into(),
            column.name().as_str().into(),
            Cell::Int(at as i64 + 1),
            yes(nullable),
            data_type(t).into(),
            length,
            octets,
            precision,
            radix,
            scale,
            datetime_precision(t),
            database.into(),
            "pg_catalog".into(),
            t.name.as_str().into(),
            number.as_str().into(),
            yes(false),
            yes(false),
            yes(false),
            "NEVER".into(),
            yes(false),
        ]);
    };
    for known in DEFINITIONS.iter() {
        for (at, column) in known.columns.iter().enumerate() {
            push(
                known.schema,
                known.name,
                at,
                &types::field(column.name, column.pg_type),
                column.nullable,
            );
        }
    }
    for r in standard(snapshot) {
        let key = &r.relation.primary_key;
        for (at, column) in r.relation.columns.iter().enumerate() {
            let nullable = !key.contains(column.name())
                && (column.is_nullable() || r.relation.kind == RelationKind::View);
            push(&r.relation.schema, &r.relation.name, at, column, nullable);
        }
    }
    rows.finish()
}

fn data_type(t: &PgType) -> &str {
    if t.name.starts_with('_') { "ARRAY" } else { &t.display }
}

fn character_length(t: &PgType, modifier: i32) -> (Cell<'static>, Cell<'static>) {
    match t.name.as_str() {
        "varchar" | "bpchar" if modifier > 4 => {
            let length = i64::from(modifier) - 4;
            (Cell::Int(length), Cell::Int(length * 4))
        }
        // What a value without a limit may take, in octets.
        "text" | "varchar" | "bpchar" => (Cell::Null, Cell::Int(1 << 30)),
        _ => (Cell::Null, Cell::Null),
    }
}

fn numeric_shape(t: &PgType, modifier: i32) -> (Cell<'static>, Cell<'static>, Cell<'static>) {
    let binary = |bits, scale| (Cell::Int(bits), Cell::Int(2), scale);
    match t.name.as_str() {
        "int2" => binary(16, Cell::Int(0)),
        "int4" => binary(32, Cell::Int(0)),
        "int8" => binary(64, Cell::Int(0)),
        "float4" => binary(24, Cell::Null),
        "float8" => binary(53, Cell::Null),
        "numeric" if modifier >= 4 => {
            let packed = i64::from(modifier) - 4;
            (
                Cell::Int((packed >> 16) & 0xffff),
                Cell::Int(10),
                Cell::Int(((packed & 0x7ff) ^ 1024) - 1024),
            )
        }
        "numeric" => (Cell::Null, Cell::Int(10), Cell::Null),
        _ => (Cell::Null, Cell::Null, Cell::Null),
    }
}

fn datetime_precision(t: &PgType) -> Cell<'static> {
    match t.name.as_str() {
        "date" => Cell::Int(0),
        "time" | "timetz" | "timestamp" | "timestamptz" | "interval" => Cell::Int(6),
        _ => Cell::Null,
    }
}

fn views(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for r in snapshot.relations.iter().filter(|r| r.relation.kind == RelationKind::View) {
        let text = definitions_of::view(r);
        let no = yes(false);
        rows.push(&[
            database.into(),
            r.relation.schema.as_str().into(),
            r.relation.name.as_str().into(),
            text.as_deref().into(),
            "NONE".into(),
            no,
            no,
            no,
            no,
            no,
        ]);
    }
    rows.finish()
}

/// The relations that the standard knows of: it has no materialized views.
fn standard(snapshot: &Snapshot) -> impl Iterator<Item = &Numbered> {
    snapshot.relations.iter().filter(|r| r.relation.kind != RelationKind::MaterializedView)
}

fn keyed(snapshot: &Snapshot) -> impl Iterator<Item = (&Numbered, String)> {
    snapshot
        .relations
        .iter()
        .filter(|r| r.key.is_some())
        .map(|r| (r, format!("{}_pkey", r.relation.name)))
}

fn table_constraints(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        definition,
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "constraint_type",
            "is_deferrable",
            "initially_deferred",
            "enforced",
        ],
    )?;
    for (r, name) in keyed(snapshot) {
        let schema = Cell::Text(&r.relation.schema);
        rows.push(&[
            database.into(),
            schema,
            name.as_str().into(),
            database.into(),
            schema,
            r.relation.name.as_str().into(),
            "PRIMARY KEY".into(),
            yes(false),
            yes(false),
            yes(true),
        ]);
    }
    rows.finish()
}

fn key_columns(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let mut columns = vec![
        "constraint_catalog",
        "constraint_schema",
        "constraint_name",
        "table_catalog",
        "table_schema",
        "table_name",
        "column_name",
    ];
    if definition.name == "key_column_usage" {
        columns.push("ordinal_position");
    }
    let mut rows = Rows::new(definition, &columns)?;
    for (r, name) in keyed(snapshot) {
        let schema = Cell::Text(&r.relation.schema);
        for (at, column) in r.relation.primary_key.iter().enumerate() {
            rows.push(&[
                database.into(),
                schema,
                name.as_str().into(),
                database.into(),
                schema,
                r.relation.name.as_str().into(),
                column.as_str().into(),
                Cell::Int(at as i64 + 1),
            ]);
        }
    }
    rows.finish()
}

/// A role may read what it sees, and nothing else.
fn table_privileges(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let columns = [
        "grantor",
        "grantee",
        "table_catalog",
        "table_schema",
        "table_name",
        "privilege_type",
        "is_grantable",
        "with_hierarchy",
    ];
    let mut rows = Rows::new(definition, &columns)?;
    for r in standard(snapshot) {
        rows.push(&[
            OWNER.into(),
            "PUBLIC".into(),
            database.into(),
            r.relation.schema.as_str().into(),
            r.relation.name.as_str().into(),
            "SELECT".into(),
            yes(false),
            yes(true),
        ]);
    }
    rows.finish()
}
