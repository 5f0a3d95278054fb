//! `pg_depend` and `pg_shdepend`: what goes with what, and what cannot go while something else needs it.
//!
//! There is a row where both ends are something that the role sees, so that nobody learns of an object by what depends on it.
//! As in PostgreSQL, there is none of what is always there, such as the types of the system and its functions.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{Expr, visit_expressions};

use super::CLASS_OIDS;
use super::definition::Definition;
use super::rows::Rows;
use crate::query::postgres::foreign_keys::Reference;
use crate::query::postgres::rewrite::{columns_read, normal};
use crate::query::postgres::snapshot::{DATABASE_OID, Numbered, OWNER_OID, Snapshot};
use crate::query::syntax;

/// What goes with the object that it depends on.
const AUTO: &str = "a";
/// What is a part of the object that it depends on.
const INTERNAL: &str = "i";
/// What keeps the object that it depends on from going.
const NORMAL: &str = "n";
/// Whoever owns an object.
const OWNER: &str = "o";

/// An object, or a column of a relation.
#[derive(Debug, Clone, Copy)]
struct Object {
    /// The relation of the catalog that lists it.
    class: &'static str,
    oid: u32,
    /// The number of a column, from 1; 0 for an object as a whole.
    column: i64,
}

impl Object {
    fn of(class: &'static str, oid: u32) -> Object {
        Object { class, oid, column: 0 }
    }

    fn relation(oid: u32) -> Object {
        Object::of("pg_class", oid)
    }

    fn column(relation: &Numbered, name: &str) -> Object {
        Object { column: relation.column(name), ..Object::relation(relation.oid) }
    }

    fn class(self) -> u32 {
        CLASS_OIDS.get(self.class).copied().unwrap_or_default()
    }
}

/// Builds `pg_depend`.
pub(super) fn dependencies(
    definition: &'static Definition,
    snapshot: &Snapshot,
) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    let mut push = |object: Object, on: Object, kind: &str| {
        rows.push(&[
            object.class().into(),
            object.oid.into(),
            object.column.into(),
            on.class().into(),
            on.oid.into(),
            on.column.into(),
            kind.into(),
        ]);
    };
    for r in &snapshot.relations {
        let relation = Object::relation(r.oid);
        push(relation, Object::of("pg_namespace", r.schema_oid), NORMAL);
        if r.row_type != 0 {
            push(Object::of("pg_type", r.row_type), relation, INTERNAL);
        }
        of_columns(snapshot, r, &mut push);
        of_constraints(r, &mut push);
        of_rule(snapshot, r, &mut push);
    }
    for Reference { foreign, relation, referred, key } in snapshot.references() {
        let constraint = Object::of("pg_constraint", foreign.oid);
        for column in &foreign.key.columns {
            push(constraint, Object::column(relation, column), AUTO);
        }
        for column in &foreign.key.referred {
            push(constraint, Object::column(referred, column), NORMAL);
        }
        push(constraint, Object::relation(key.index), NORMAL);
    }
    rows.finish()
}

/// The sequences that go with columns, the defaults of columns, and what columns are computed of.
fn of_columns(snapshot: &Snapshot, r: &Numbered, push: &mut impl FnMut(Object, Object, &str)) {
    for column in r.relation.columns.iter().map(|column| column.name()) {
        let Some(sequence) = snapshot.sequence_of(r, column) else { continue };
        let owner = sequence.relation.sequence.as_ref().and_then(|one| one.owned_by.as_ref());
        let kind = if owner.is_some_and(|owner| owner.identity) { INTERNAL } else { AUTO };
        push(Object::relation(sequence.oid), Object::column(r, column), kind);
    }
    for (column, oid) in &r.defaults {
        let (default, own) = (Object::of("pg_attrdef", *oid), Object::column(r, column));
        let Some(expression) = r.generated_of(column) else {
            push(default, own, AUTO);
            if let Some(sequence) = snapshot.numbering(r, column) {
                push(default, Object::relation(sequence.oid), NORMAL);
            }
            continue;
        };
        push(default, own, INTERNAL);
        for computed_of in named_in(r, expression) {
            push(default, Object::column(r, &computed_of), NORMAL);
        }
    }
}

/// Returns the columns of a relation that an expression over its rows names.
fn named_in(r: &Numbered, expression: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    // What a column keeps was parsed before, so that it parses.
    for statement in syntax::statements(&format!("SELECT {expression}")).unwrap_or_default() {
        // Nothing breaks it off.
        let _: ControlFlow<()> = visit_expressions(&statement, |part| {
            if let Expr::Identifier(name) = part {
                named.insert(normal(name));
            }
            ControlFlow::Continue(())
        });
    }
    named.retain(|name| r.column(name) != 0);
    named
}

/// Keys with their indexes, and checks.
fn of_constraints(r: &Numbered, push: &mut impl FnMut(Object, Object, &str)) {
    for key in &r.keys {
        let constraint = Object::of("pg_constraint", key.constraint);
        for column in &key.columns {
            push(constraint, Object::column(r, column), AUTO);
        }
        push(Object::relation(key.index), constraint, INTERNAL);
    }
    for numbered in &r.checks {
        let constraint = Object::of("pg_constraint", numbered.oid);
        for column in &numbered.check.columns {
            push(constraint, Object::column(r, column), AUTO);
            push(constraint, Object::column(r, column), NORMAL);
        }
        if numbered.check.columns.is_empty() {
            push(constraint, Object::relation(r.oid), AUTO);
        }
    }
}

/// The rule that makes a view of a relation, and what that reads.
fn of_rule(snapshot: &Snapshot, r: &Numbered, push: &mut impl FnMut(Object, Object, &str)) {
    if r.rule == 0 {
        return;
    }
    let rule = Object::of("pg_rewrite", r.rule);
    let own = Object::relation(r.oid);
    push(rule, own, INTERNAL);
    // As the rows of before and after a change, of which rules may tell, are those of the view.
    push(rule, own, NORMAL);
    let query = r.relation.definition.as_deref().unwrap_or_default();
    for (oid, columns) in columns_read(query, snapshot) {
        let read = Object::relation(oid);
        if columns.is_empty() {
            push(rule, read, NORMAL);
        }
        for column in columns {
            push(rule, Object { column, ..read }, NORMAL);
        }
    }
}

/// Builds `pg_shdepend`: who owns what. Of what onefold itself owns, which is always there, there is nothing.
pub(super) fn owners(definition: &'static Definition, snapshot: &Snapshot) -> Result<RecordBatch> {
    let mut rows = Rows::all(definition)?;
    let schemas = snapshot
        .schemas
        .iter()
        .map(|(name, oid)| (Object::of("pg_namespace", *oid), snapshot.schema_owner(name)));
    let relations = snapshot.relations.iter().map(|r| (Object::relation(r.oid), r.owner_oid));
    for (object, owner) in schemas.chain(relations).filter(|(_, owner)| *owner != OWNER_OID) {
        let role = Object::of("pg_authid", owner);
        rows.push(&[
            DATABASE_OID.into(),
            object.class().into(),
            object.oid.into(),
            0.into(),
            role.class().into(),
            role.oid.into(),
            OWNER.into(),
        ]);
    }
    rows.finish()
}
