//! The statements that would make an object again, as PostgreSQL writes them.

use super::text::quote_ident;
use crate::catalog::CheckConstraint;
use crate::query::postgres::snapshot::{Numbered, NumberedKey, RelationKind};

/// The query of a view, also of a materialized one, ending in a semicolon.
pub(crate) fn view(relation: &Numbered) -> Option<String> {
    if matches!(relation.relation.kind, RelationKind::Table | RelationKind::Sequence) {
        return None;
    }
    let text = relation.relation.definition.as_deref()?.trim().trim_end_matches(';');
    Some(format!(" {text};"))
}

fn key_columns(key: &NumberedKey) -> String {
    let names: Vec<String> = key.columns.iter().map(|name| quote_ident(name)).collect();
    names.join(", ")
}

/// The name of a relation with its schema.
pub(crate) fn table(relation: &Numbered) -> String {
    format!("{}.{}", quote_ident(&relation.relation.schema), quote_ident(&relation.relation.name))
}

/// The index of a key.
pub(crate) fn index(relation: &Numbered, key: &NumberedKey) -> String {
    index_on(key, &table(relation))
}

/// The index of a key, the table written as given.
pub(crate) fn index_on(key: &NumberedKey, table: &str) -> String {
    let (name, columns) = (quote_ident(&key.name), key_columns(key));
    format!("CREATE UNIQUE INDEX {name} ON {table} USING btree ({columns})")
}

/// A primary key or a unique constraint.
pub(crate) fn constraint(key: &NumberedKey) -> String {
    let what = if key.is_primary { "PRIMARY KEY" } else { "UNIQUE" };
    format!("{what} ({})", key_columns(key))
}

/// A check; pretty text has no more brackets than are needed.
pub(crate) fn check(check: &CheckConstraint, is_pretty: bool) -> String {
    let not_valid = if check.not_valid { " NOT VALID" } else { "" };
    match is_pretty {
        true => format!("CHECK ({}){not_valid}", check.condition),
        false => format!("CHECK (({})){not_valid}", check.condition),
    }
}

/// The default of a column that a sequence numbers, which is called `name`.
pub(crate) fn default_by(name: &str) -> String {
    format!("nextval('{}'::regclass)", name.replace('\'', "''"))
}
