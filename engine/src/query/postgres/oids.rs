//! The oids of what analysts make and of what belongs to it. They depend on names, so that they survive restarts.

use std::collections::HashSet;

use datafusion::arrow::datatypes::FieldRef;

use super::foreign_keys::NumberedForeignKey;
use super::snapshot::{
    DEFAULT, FIRST_OID, GENERATED, Numbered, NumberedCheck, NumberedKey, OID_MAX, Relation,
    RelationKind,
};
use crate::catalog::{NumberedColumn, UniqueConstraint};

/// Numbers that depend on names: a hash, and the next free number where two names meet.
#[derive(Default)]
pub(super) struct Oids {
    taken: HashSet<u32>,
}

impl Oids {
    /// Numbers a relation and what belongs to it.
    pub(super) fn number(
        &mut self,
        relation: Relation,
        schema_oid: u32,
        owner_oid: u32,
    ) -> Numbered {
        let (schema, name) = (relation.schema.as_str(), relation.name.as_str());
        let oid = self.next(&["relation", schema, name]);
        let row_type = match relation.sequence {
            Some(_) => 0,
            None => self.next(&["row type", schema, name]),
        };
        let rule = match relation.kind {
            RelationKind::View | RelationKind::MaterializedView => {
                self.next(&["rule", schema, name])
            }
            RelationKind::Table | RelationKind::Sequence => 0,
        };
        let (constraints, usual) = (&relation.constraints, || format!("{name}_pkey"));
        let mut keys = vec![];
        if !relation.primary_key.is_empty() {
            keys.push(NumberedKey {
                name: constraints.primary_key_name.clone().unwrap_or_else(usual),
                columns: relation.primary_key.clone(),
                is_primary: true,
                index: self.next(&["index", schema, name]),
                constraint: self.next(&["constraint", schema, name]),
            });
        }
        for UniqueConstraint { name: constraint, columns } in &constraints.unique {
            keys.push(NumberedKey {
                name: constraint.clone(),
                columns: columns.clone(),
                is_primary: false,
                index: self.next(&["index", schema, name, constraint]),
                constraint: self.next(&["constraint", schema, name, constraint]),
            });
        }
        let checks = constraints.checks.iter().map(|check| {
            let oid = self.next(&["constraint", schema, name, &check.name]);
            NumberedCheck { check: check.clone(), oid }
        });
        let checks = checks.collect();
        let foreign_keys = constraints.foreign_keys.iter().map(|key| {
            let oid = self.next(&["constraint", schema, name, &key.name]);
            NumberedForeignKey { key: key.clone(), oid }
        });
        let foreign_keys = foreign_keys.collect();
        let has_default = |(_, by): &(&String, &NumberedColumn)| by.identity.is_none();
        let numbered = relation.numbered.iter().filter(has_default);
        let is_declared = |column: &&FieldRef| {
            let metadata = column.metadata();
            metadata.contains_key(DEFAULT) || metadata.contains_key(GENERATED)
        };
        let declared = relation.columns.iter().filter(is_declared);
        let declared = declared.map(|column| column.name().clone());
        let defaults = numbered.map(|(column, _)| column.clone()).chain(declared);
        let defaults = defaults.collect::<Vec<_>>();
        let defaults = defaults.into_iter().map(|column| {
            let oid = self.next(&["default", schema, name, &column]);
            (column, oid)
        });
        let defaults = defaults.collect();
        Numbered {
            relation,
            oid,
            schema_oid,
            owner_oid,
            row_type,
            rule,
            keys,
            checks,
            foreign_keys,
            defaults,
        }
    }

    pub(super) fn next(&mut self, name: &[&str]) -> u32 {
        // FNV-1a: stable over versions of Rust and of onefold.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for part in name {
            for byte in part.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        let range = u64::from(OID_MAX - FIRST_OID);
        let mut oid = FIRST_OID
            + u32::try_from(hash % range).expect("a remainder of a 31 bit number fits 32 bits");
        while !self.taken.insert(oid) {
            oid = if oid == OID_MAX { FIRST_OID } else { oid + 1 };
        }
        oid
    }
}
