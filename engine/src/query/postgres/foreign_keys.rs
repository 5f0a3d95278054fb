//! Foreign keys in the catalog, each with the relations of both ends.

use super::snapshot::{Numbered, NumberedKey, Snapshot};
use crate::catalog::{ForeignKey, placed};

/// A foreign key with the oid that it has in the catalog.
#[derive(Debug)]
pub struct NumberedForeignKey {
    /// The foreign key.
    pub key: ForeignKey,
    /// Its oid.
    pub oid: u32,
}

/// A foreign key, the relation that has it, and the one that it refers to with the key there.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// The foreign key.
    pub foreign: &'a NumberedForeignKey,
    /// The relation that has it.
    pub relation: &'a Numbered,
    /// The relation that it refers to.
    pub referred: &'a Numbered,
    /// The key there.
    pub key: &'a NumberedKey,
}

impl Snapshot {
    /// Returns the foreign keys of which both relations are there.
    pub fn references(&self) -> impl Iterator<Item = Reference<'_>> {
        let linked = self.relations.iter().filter(move |_| self.has_foreign_keys);
        let keys = linked.flat_map(|r| r.foreign_keys.iter().map(move |key| (r, key)));
        keys.filter_map(move |(relation, foreign)| {
            let (schema, name) = placed(&foreign.key.table);
            let referred = self.named(schema, name)?;
            let columns = &foreign.key.referred;
            let is_same = |key: &&NumberedKey| {
                key.columns.len() == columns.len()
                    && columns.iter().all(|column| key.columns.contains(column))
            };
            let key = referred.keys.iter().find(is_same)?;
            Some(Reference { foreign, relation, referred, key })
        })
    }
}
