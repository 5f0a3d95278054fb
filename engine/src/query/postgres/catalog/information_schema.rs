//! The relations of `information_schema`.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Field;
use datafusion::common::Result;

use super::definition::{DEFINITIONS, Definition};
use super::functions::routines;
use super::rows::{Cell, Rows};
use super::{constraints, elements, sequences};
use crate::catalog::{ANALYTICS, Identity, TEMPORARY};
use crate::query::postgres::Relation;
use crate::query::postgres::functions::{definitions_of, quote_ident};
use crate::query::postgres::snapshot::{Numbered, OWNER, RelationKind, Snapshot};
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
        "table_constraints" => constraints::of_tables(definition, snapshot, database),
        "check_constraints" => constraints::checks(definition, snapshot, database),
        "sequences" => sequences::standard(definition, snapshot, database),
        "key_column_usage" => constraints::key_columns(definition, snapshot, database),
        "constraint_column_usage" => constraints::columns_used(definition, snapshot, database),
        "constraint_table_usage" => constraints::tables_used(definition, snapshot, database),
        "referential_constraints" => constraints::referential(definition, snapshot, database),
        "collations" => elements::collations(definition, database),
        "element_types" => elements::element_types(definition, snapshot, database),
        "column_udt_usage" => elements::column_udt_usage(definition, snapshot, database),
        "data_type_privileges" => elements::data_type_privileges(definition, snapshot, database),
        "routines" => routines::routines(definition, database),
        "parameters" => routines::parameters(definition, database),
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

pub(super) fn yes(value: bool) -> Cell<'static> {
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
    let mut push = |schema: &str, name: &str, kind: &str, writable: bool| {
        let kind = if schema == TEMPORARY { "LOCAL TEMPORARY" } else { kind };
        rows.push(&[
            database.into(),
            schema.into(),
            name.into(),
            kind.into(),
            yes(writable),
            yes(false),
        ]);
    };
    let kind = |is_table: bool| if is_table { "BASE TABLE" } else { "VIEW" };
    for known in DEFINITIONS.iter() {
        push(known.schema, known.name, kind(known.kind == "r"), false);
    }
    for r in standard(snapshot) {
        let kind = kind(r.relation.kind == RelationKind::Table);
        push(&r.relation.schema, &r.relation.name, kind, is_writable(&r.relation));
    }
    rows.finish()
}

/// Tells whether rows can be put into a relation by whoever may: people made it, and it is no view.
fn is_writable(relation: &Relation) -> bool {
    relation.kind == RelationKind::Table && relation.owner.is_some()
}

fn columns(
    definition: &'static Definition,
    snapshot: &Snapshot,
    database: &str,
) -> Result<RecordBatch> {
    let writable = std::cell::Cell::new(false);
    let mut rows = Rows::new(
        definition,
        &[
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
            "column_default",
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
            "identity_generation",
            "identity_start",
            "identity_increment",
            "identity_maximum",
            "identity_minimum",
            "identity_cycle",
            "is_generated",
            "generation_expression",
            "is_updatable",
        ],
    )?;
    type Of<'a> = (&'a str, &'a str, usize);
    let mut push = |(schema, table, at): Of<'_>, column: &Field, nullable: bool, by: Numbers| {
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
            by.default.as_deref().into(),
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
            yes(by.generation.is_some()),
            by.generation.into(),
            by.range[0].as_deref().into(),
            by.range[1].as_deref().into(),
            by.range[2].as_deref().into(),
            by.range[3].as_deref().into(),
            yes(by.cycle),
            (if by.expression.is_some() { "ALWAYS" } else { "NEVER" }).into(),
            by.expression.as_deref().into(),
            yes(writable.get()),
        ]);
    };
    for known in DEFINITIONS.iter() {
        for (at, column) in known.columns.iter().enumerate() {
            let field = types::field(column.name, column.pg_type);
            push((known.schema, known.name, at), &field, column.nullable, Numbers::default());
        }
    }
    for r in standard(snapshot) {
        writable.set(is_writable(&r.relation));
        let key = &r.relation.primary_key;
        for (at, column) in r.relation.columns.iter().enumerate() {
            let nullable = !key.contains(column.name())
                && (column.is_nullable() || r.relation.kind == RelationKind::View);
            let by = Numbers::of(snapshot, r, column.name());
            push((&r.relation.schema, &r.relation.name, at), column, nullable, by);
        }
    }
    rows.finish()
}

/// What is said of the numbers of a column.
#[derive(Default)]
struct Numbers {
    default: Option<String>,
    generation: Option<&'static str>,
    /// The start, the increment, the maximum and the minimum of an identity column.
    range: [Option<String>; 4],
    cycle: bool,
    /// What the column is computed of.
    expression: Option<String>,
}

impl Numbers {
    fn of(snapshot: &Snapshot, r: &Numbered, column: &str) -> Self {
        let identity = r.relation.numbered.get(column).and_then(|numbered| numbered.identity);
        let Some(found) = snapshot.numbering(r, column) else {
            let default = definitions_of::default_of(r, column);
            let expression = r.generated_of(column).map(|sql| format!("({sql})"));
            return Self { default, expression, ..Self::default() };
        };
        let (schema, name) = (&found.relation.schema, &found.relation.name);
        let generation = match (identity, &found.relation.sequence) {
            (Some(Identity::Always), Some(sequence)) => ("ALWAYS", sequence),
            (Some(Identity::ByDefault), Some(sequence)) => ("BY DEFAULT", sequence),
            (None, _) | (_, None) => {
                let quoted = quote_ident(name);
                let shown = match schema.as_str() {
                    ANALYTICS => quoted,
                    schema => format!("{}.{quoted}", quote_ident(schema)),
                };
                let default = Some(definitions_of::default_by(&shown));
                return Self { default, ..Self::default() };
            }
        };
        let (generation, sequence) = (Some(generation.0), generation.1);
        let range = &sequence.counted.range;
        let numbers = [range.start, range.increment, range.maximum, range.minimum];
        let (range, cycle) = (numbers.map(|number| Some(number.to_string())), range.cycle);
        Self { generation, range, cycle, ..Self::default() }
    }
}

pub(super) fn data_type(t: &PgType) -> &str {
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

/// The relations that the standard knows of: it has no materialized views, and sequences are no tables.
pub(super) fn standard(snapshot: &Snapshot) -> impl Iterator<Item = &Numbered> {
    let is_known =
        |r: &&Numbered| matches!(r.relation.kind, RelationKind::Table | RelationKind::View);
    snapshot.relations.iter().filter(is_known)
}
