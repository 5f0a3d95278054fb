//! The relations of `pg_catalog` about the database and its roles, and those that sum up others.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;

use super::definition::{DEFINITIONS, Definition};
use super::rows::{Cell, Rows};
use crate::query::postgres::functions::definitions_of;
use crate::query::postgres::snapshot::{
    DATABASE_OID, Numbered, OWNER, OWNER_OID, RelationKind, Snapshot,
};

/// The encoding number of UTF-8.
const UTF8: i64 = 6;
const DEFAULT_TABLESPACE: i64 = 1663;

pub(super) fn databases(definition: &'static Definition, database: &str) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        definition,
        &[
            "oid",
            "datname",
            "datdba",
            "encoding",
            "datlocprovider",
            "datallowconn",
            "datconnlimit",
            "dattablespace",
            "datcollate",
            "datctype",
        ],
    )?;
    rows.push(&[
        DATABASE_OID.into(),
        database.into(),
        OWNER_OID.into(),
        UTF8.into(),
        "c".into(),
        true.into(),
        Cell::Int(-1),
        DEFAULT_TABLESPACE.into(),
        "C".into(),
        "C".into(),
    ]);
    rows.finish()
}

pub(super) fn roles(definition: &'static Definition, snapshot: &Snapshot) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        definition,
        &[
            "rolname",
            "rolsuper",
            "rolinherit",
            "rolcreaterole",
            "rolcreatedb",
            "rolcanlogin",
            "rolreplication",
            "rolconnlimit",
            "rolpassword",
            "rolbypassrls",
            "oid",
        ],
    )?;
    let mut push = |name: &str, oid: u32, owner: bool| {
        let cell = Cell::Bool(owner);
        rows.push(&[
            name.into(),
            cell,
            true.into(),
            cell,
            cell,
            (!owner).into(),
            false.into(),
            Cell::Int(-1),
            "********".into(),
            cell,
            oid.into(),
        ]);
    };
    push(OWNER, OWNER_OID, true);
    for (name, oid) in &snapshot.roles {
        push(name, *oid, false);
    }
    rows.finish()
}

pub(super) fn users(definition: &'static Definition, snapshot: &Snapshot) -> Result<RecordBatch> {
    let columns =
        ["usename", "usesysid", "usecreatedb", "usesuper", "userepl", "usebypassrls", "passwd"];
    let mut rows = Rows::new(definition, &columns)?;
    for (name, oid) in &snapshot.roles {
        let no = Cell::Bool(false);
        rows.push(&[name.as_str().into(), (*oid).into(), no, no, no, no, "********".into()]);
    }
    rows.finish()
}

pub(super) fn tables(definition: &'static Definition, snapshot: &Snapshot) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    let mut push = |schema: &str, name: &str, owner: &str, indexes: bool| {
        let no = Cell::Bool(false);
        rows.push(&[
            schema.into(),
            name.into(),
            owner.into(),
            Cell::Null,
            indexes.into(),
            no,
            no,
            no,
        ]);
    };
    DEFINITIONS
        .iter()
        .filter(|known| known.kind == "r")
        .for_each(|known| push(known.schema, known.name, OWNER, true));
    for r in snapshot.relations.iter().filter(|r| r.relation.kind == RelationKind::Table) {
        let owner = snapshot.role_name(r.owner_oid).unwrap_or(OWNER);
        push(&r.relation.schema, &r.relation.name, owner, !r.keys.is_empty());
    }
    rows.finish()
}

pub(super) fn views(definition: &'static Definition, snapshot: &Snapshot) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    for known in DEFINITIONS.iter().filter(|known| known.kind == "v") {
        rows.push(&[known.schema.into(), known.name.into(), OWNER.into(), Cell::Null]);
    }
    for r in snapshot.relations.iter().filter(|r| r.relation.kind == RelationKind::View) {
        let text = definitions_of::view(r);
        rows.push(&[
            r.relation.schema.as_str().into(),
            r.relation.name.as_str().into(),
            snapshot.role_name(r.owner_oid).unwrap_or(OWNER).into(),
            text.as_deref().into(),
        ]);
    }
    rows.finish()
}

pub(super) fn materialized_views(
    definition: &'static Definition,
    snapshot: &Snapshot,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    let is_one = |r: &&Numbered| r.relation.kind == RelationKind::MaterializedView;
    for r in snapshot.relations.iter().filter(is_one) {
        let text = definitions_of::view(r);
        rows.push(&[
            r.relation.schema.as_str().into(),
            r.relation.name.as_str().into(),
            snapshot.role_name(r.owner_oid).unwrap_or(OWNER).into(),
            Cell::Null,
            false.into(),
            true.into(),
            text.as_deref().into(),
        ]);
    }
    rows.finish()
}

/// A view is a rule `_RETURN`: clients join through it to learn what a view reads.
pub(super) fn view_rules(
    definition: &'static Definition,
    snapshot: &Snapshot,
) -> Result<RecordBatch> {
    let columns = ["oid", "rulename", "ev_class", "ev_type", "ev_enabled", "is_instead"];
    let mut rows = Rows::new(definition, &columns)?;
    for r in snapshot.relations.iter().filter(|r| r.rule != 0) {
        rows.push(&[
            r.rule.into(),
            "_RETURN".into(),
            r.oid.into(),
            "1".into(),
            "O".into(),
            true.into(),
        ]);
    }
    rows.finish()
}
