//! The statements that would make an object again, as PostgreSQL writes them.

use super::text::quote_ident;
use crate::query::postgres::facts::{Numbered, RelationKind};

/// The query of a view, also of a materialized one, ending in a semicolon.
pub(crate) fn view(relation: &Numbered) -> Option<String> {
    if relation.relation.kind == RelationKind::Table {
        return None;
    }
    let text = relation.relation.definition.as_deref()?.trim().trim_end_matches(';');
    Some(format!(" {text};"))
}

fn key_columns(relation: &Numbered) -> String {
    let names: Vec<String> =
        relation.relation.primary_key.iter().map(|name| quote_ident(name)).collect();
    names.join(", ")
}

/// The name of a relation with its schema.
pub(crate) fn table(relation: &Numbered) -> String {
    format!("{}.{}", quote_ident(&relation.relation.schema), quote_ident(&relation.relation.name))
}

/// The index of a primary key.
pub(crate) fn index(relation: &Numbered) -> String {
    index_on(relation, &table(relation))
}

/// The index of a primary key, the table written as given.
pub(crate) fn index_on(relation: &Numbered, table: &str) -> String {
    let name = quote_ident(&format!("{}_pkey", relation.relation.name));
    format!("CREATE UNIQUE INDEX {name} ON {table} USING btree ({})", key_columns(relation))
}

/// The primary key.
pub(crate) fn constraint(relation: &Numbered) -> String {
    format!("PRIMARY KEY ({})", key_columns(relation))
}
