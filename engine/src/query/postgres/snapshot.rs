//! The relations and roles of one catalog version as one role sees them, with the numbers that PostgreSQL's catalog gives to
//! everything.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use datafusion::arrow::datatypes::Fields;

use super::catalog::Tables;
use super::foreign_keys::NumberedForeignKey;
use super::oids::Oids;
use crate::analytics::Counted;
use crate::catalog::{
    ANALYTICS, CheckConstraint, Constraints, NumberedColumn, SequenceOwner, TEMPORARY, keyed,
    placed,
};

/// The key in the metadata of a column under which its default stands, as SQL.
pub(crate) const DEFAULT: &str = "default";

/// The key under which stands what it is computed of, as SQL.
pub(crate) const GENERATED: &str = "generated";

/// What a relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelationKind {
    /// Rows of its own.
    Table,
    /// A query over others.
    View,
    /// Rows that a query over others gave.
    MaterializedView,
    /// Numbers, each of which is given once.
    Sequence,
}

/// A relation that the role can see.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The role that owns it; `None` for what is onefold's own.
    pub owner: Option<String>,
    /// Whether the role may put rows into it, and change and delete those that there are.
    pub writable: bool,
    /// Table, view, materialized view or sequence.
    pub kind: RelationKind,
    /// `COMMENT ON`.
    pub comment: Option<String>,
    /// Its columns; metadata may hold the logical type and a comment.
    pub columns: Fields,
    /// The columns of its primary key, in order; empty for none.
    pub primary_key: Vec<String>,
    /// What else holds for its rows.
    pub constraints: Constraints,
    /// The columns whose rows are numbered as they are put in, and by what.
    pub numbered: BTreeMap<String, NumberedColumn>,
    /// What a sequence is.
    pub sequence: Option<Sequence>,
    /// The query of a view, also of a materialized one.
    pub definition: Option<String>,
}

/// A sequence that the role can see.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// How its numbers are counted.
    pub counted: Counted,
    /// The column that it goes with.
    pub owned_by: Option<SequenceOwner>,
    /// Whether the role may see which number it gave last.
    pub readable: bool,
    /// Whether the role may take numbers of it, and set it.
    pub usable: bool,
}

/// A primary key or a unique constraint with the oids that it has in the catalog.
#[derive(Debug)]
pub struct NumberedKey {
    /// The name of the constraint and of its index.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Whether it is the primary key.
    pub is_primary: bool,
    /// The oid of its index.
    pub index: u32,
    /// The oid of the constraint.
    pub constraint: u32,
}

/// A check with the oid that it has in the catalog.
#[derive(Debug)]
pub struct NumberedCheck {
    /// The check.
    pub check: CheckConstraint,
    /// Its oid.
    pub oid: u32,
}

/// A relation with the oids it has in the catalog.
#[derive(Debug)]
pub struct Numbered {
    /// The relation.
    pub relation: Relation,
    /// Its oid.
    pub oid: u32,
    /// The oid of its schema.
    pub schema_oid: u32,
    /// The oid of the role that owns it.
    pub owner_oid: u32,
    /// The oid of its row type; 0 for a sequence, which has none.
    pub row_type: u32,
    /// The oid of the rule that makes a view of it; 0 for what is none.
    pub rule: u32,
    /// Its keys, the primary key first.
    pub keys: Vec<NumberedKey>,
    /// What each of its rows fulfils.
    pub checks: Vec<NumberedCheck>,
    /// What its rows refer to.
    pub foreign_keys: Vec<NumberedForeignKey>,
    /// The columns that have a default, such as the next number of a sequence, or are computed, with the oids of that.
    pub defaults: Vec<(String, u32)>,
}

impl Numbered {
    /// Returns the number of a column, from 1; 0 if there is none of the name.
    pub(crate) fn column(&self, name: &str) -> i64 {
        let mut columns = self.relation.columns.iter();
        columns.position(|column| column.name() == name).map_or(0, |at| at as i64 + 1)
    }

    /// Tells whether it ends with the session.
    pub(super) fn is_temporary(&self) -> bool {
        self.relation.schema == TEMPORARY
    }

    /// Returns the default of a column that is not the number of a sequence.
    pub(super) fn default_of(&self, name: &str) -> Option<&str> {
        let column = self.relation.columns.iter().find(|column| column.name() == name)?;
        column.metadata().get(DEFAULT).map(String::as_str)
    }

    /// Returns what a column is computed of.
    pub(super) fn generated_of(&self, name: &str) -> Option<&str> {
        let column = self.relation.columns.iter().find(|column| column.name() == name)?;
        column.metadata().get(GENERATED).map(String::as_str)
    }
}

/// The oid of the role that owns everything.
pub(super) const OWNER_OID: u32 = 10;
/// The role that owns everything; nobody can log in as it.
pub(super) const OWNER: &str = "onefold";
/// The oid of the one database.
pub(super) const DATABASE_OID: u32 = 5;
/// Oids of users' objects are at least this.
pub(super) const FIRST_OID: u32 = 16384;
/// Oids fit clients that read them as signed integers.
pub(super) const OID_MAX: u32 = i32::MAX as u32;

/// The schemas that PostgreSQL itself has, with their oids.
pub(super) const SYSTEM_SCHEMAS: [(&str, u32); 2] =
    [("pg_catalog", 11), ("information_schema", 13207)];
const PUBLIC_OID: u32 = 2200;

/// The relations and roles of one catalog version as one role sees them.
#[derive(Debug)]
pub struct Snapshot {
    /// Relations, sorted by schema and name.
    pub relations: Vec<Numbered>,
    /// Schemas with their oids: the system's, `public`, `analytics`, those that analysts made, and those of the relations.
    pub schemas: Vec<(String, u32)>,
    /// The roles that own schemas which analysts made, by schema.
    owners: BTreeMap<String, u32>,
    /// Roles with their oids.
    pub roles: Vec<(String, u32)>,
    /// Places in `relations`: by the oid of the relation and of its row type, and by the column that a sequence goes with.
    by_oid: HashMap<u32, usize>,
    by_row_type: HashMap<u32, usize>,
    by_owner: HashMap<(String, String), usize>,
    /// Places in `relations` and among the keys there: by the oids of indexes and constraints.
    by_key: HashMap<u32, (usize, usize)>,
    /// Whether there are sequences.
    pub(super) has_sequences: bool,
    /// Whether columns have defaults, or are computed.
    pub(super) has_defaults: bool,
    /// Whether there are foreign keys.
    pub(super) has_foreign_keys: bool,
    /// How many were made in this process before.
    number: u32,
    /// Catalog relations, built when first read.
    pub(super) tables: Tables,
}

impl Snapshot {
    /// Numbers relations and roles; `made` are schemas that analysts made, with their owners. The same names get the same
    /// oids, in whatever order they come.
    pub fn new(
        mut relations: Vec<Relation>,
        made: &[(String, String)],
        roles: &[String],
    ) -> Arc<Snapshot> {
        relations.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
        let mut oids = Oids::default();
        let mut schemas: Vec<(String, u32)> =
            SYSTEM_SCHEMAS.iter().map(|(name, oid)| (name.to_string(), *oid)).collect();
        schemas.push(("public".to_string(), PUBLIC_OID));
        // It is there before anything is made in it.
        schemas.push((ANALYTICS.to_string(), oids.next(&["schema", ANALYTICS])));
        let names = made.iter().map(|(name, _)| name);
        for name in names.chain(relations.iter().map(|relation| &relation.schema)) {
            if !schemas.iter().any(|(known, _)| known == name) {
                schemas.push((name.clone(), oids.next(&["schema", name])));
            }
        }
        let roles: Vec<(String, u32)> = sorted(roles)
            .into_iter()
            .map(|role| (role.clone(), oids.next(&["role", role])))
            .collect();
        let role_oid = |owner: &str| {
            roles.iter().find(|(role, _)| role == owner).map_or(OWNER_OID, |(_, oid)| *oid)
        };
        let owners = made.iter().map(|(name, owner)| (name.clone(), role_oid(owner))).collect();
        let numbered: Vec<Numbered> = relations
            .into_iter()
            .map(|relation| {
                let schema = schemas.iter().find(|(name, _)| *name == relation.schema);
                let schema_oid = schema.map_or(PUBLIC_OID, |(_, oid)| *oid);
                let owner_oid = relation.owner.as_deref().map_or(OWNER_OID, role_oid);
                oids.number(relation, schema_oid, owner_oid)
            })
            .collect();
        let places = || numbered.iter().enumerate();
        let by_oid = places().map(|(at, r)| (r.oid, at)).collect();
        let by_row_type =
            places().filter(|(_, r)| r.row_type != 0).map(|(at, r)| (r.row_type, at)).collect();
        let keys = |(at, r): (usize, &Numbered)| {
            let keys = r.keys.iter().enumerate();
            keys.flat_map(move |(key, k)| [(k.index, (at, key)), (k.constraint, (at, key))])
                .collect::<Vec<_>>()
        };
        let by_key = places().flat_map(keys).collect();
        let owners_of_sequences = places().filter_map(|(at, r)| {
            let owner = r.relation.sequence.as_ref()?.owned_by.as_ref()?;
            Some(((owner.table.clone(), owner.column.clone()), at))
        });
        let by_owner = owners_of_sequences.collect();
        let has_sequences = numbered.iter().any(|r| r.relation.sequence.is_some());
        let has_defaults = numbered.iter().any(|r| !r.defaults.is_empty());
        let has_foreign_keys = numbered.iter().any(|r| !r.foreign_keys.is_empty());
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        Arc::new(Snapshot {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            relations: numbered,
            schemas,
            owners,
            roles,
            by_oid,
            by_row_type,
            by_owner,
            by_key,
            has_sequences,
            has_defaults,
            has_foreign_keys,
            tables: Tables::default(),
        })
    }

    /// Returns a number that grows with each version of the catalog that a server sees, also if it is started anew: clients
    /// take what has the number that they know for unchanged.
    pub(super) fn changed_at(&self, started_at_us: i64) -> u32 {
        let started = u32::try_from(started_at_us.max(0) / 1_000_000 % i64::from(OID_MAX));
        started.unwrap_or(0).saturating_add(self.number)
    }

    /// Returns the relation with this oid.
    pub fn relation(&self, oid: u32) -> Option<&Numbered> {
        self.by_oid.get(&oid).map(|&at| &self.relations[at])
    }

    /// Returns the relation with this name.
    pub fn named(&self, schema: &str, name: &str) -> Option<&Numbered> {
        let order = |r: &Numbered| {
            (r.relation.schema.as_str(), r.relation.name.as_str()).cmp(&(schema, name))
        };
        self.relations.binary_search_by(order).ok().map(|at| &self.relations[at])
    }

    /// Returns the oid of a schema.
    pub fn schema_oid(&self, name: &str) -> Option<u32> {
        self.schemas.iter().find(|(schema, _)| schema == name).map(|(_, oid)| *oid)
    }

    /// Returns the name of a role; the owner of everything included.
    pub fn role_name(&self, oid: u32) -> Option<&str> {
        if oid == OWNER_OID {
            return Some(OWNER);
        }
        self.roles.iter().find(|(_, role)| *role == oid).map(|(name, _)| name.as_str())
    }

    /// Returns the oid of the role that owns a schema.
    pub fn schema_owner(&self, name: &str) -> u32 {
        self.owners.get(name).copied().unwrap_or(OWNER_OID)
    }

    /// Returns the key that has this index or constraint, and its relation.
    pub fn with_key(&self, oid: u32) -> Option<(&Numbered, &NumberedKey)> {
        let &(at, key) = self.by_key.get(&oid)?;
        let relation = &self.relations[at];
        Some((relation, &relation.keys[key]))
    }

    /// Returns the key whose index has this name, and its relation.
    pub fn index(&self, schema: &str, name: &str) -> Option<(&Numbered, &NumberedKey)> {
        let of_schema = self.relations.iter().filter(|r| r.relation.schema == schema);
        let mut keys = of_schema.flat_map(|r| r.keys.iter().map(move |key| (r, key)));
        keys.find(|(_, key)| key.name == name)
    }

    /// Returns the checks, each with its relation.
    pub fn checks(&self) -> impl Iterator<Item = (&Numbered, &NumberedCheck)> {
        self.relations.iter().flat_map(|r| r.checks.iter().map(move |check| (r, check)))
    }

    /// Tells whether a constraint of a schema has this name.
    pub fn has_constraint(&self, schema: &str, name: &str) -> bool {
        let mut checks = self.checks();
        let mut foreign = self.references();
        self.index(schema, name).is_some()
            || checks.any(|(r, known)| r.relation.schema == schema && known.check.name == name)
            || foreign
                .any(|one| one.relation.relation.schema == schema && one.foreign.key.name == name)
    }

    /// Returns the sequences, each with its relation.
    pub fn sequences(&self) -> impl Iterator<Item = (&Numbered, &Sequence)> {
        self.relations.iter().filter_map(|r| Some((r, r.relation.sequence.as_ref()?)))
    }

    /// Returns the sequence that goes with a column.
    pub fn sequence_of(&self, relation: &Numbered, column: &str) -> Option<&Numbered> {
        let table = keyed(&relation.relation.schema, &relation.relation.name);
        let at = self.by_owner.get(&(table, column.to_owned()))?;
        Some(&self.relations[*at])
    }

    /// Returns the sequence that numbers the rows of a column.
    pub fn numbering(&self, relation: &Numbered, column: &str) -> Option<&Numbered> {
        let (schema, name) = placed(&relation.relation.numbered.get(column)?.sequence);
        self.named(schema, name)
    }

    /// Returns the relation whose rows have this type.
    pub fn with_row_type(&self, oid: u32) -> Option<&Numbered> {
        self.by_row_type.get(&oid).map(|&at| &self.relations[at])
    }
}

fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<&String> = names.iter().filter(|name| *name != OWNER).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(schema: &str, name: &str) -> Relation {
        let (schema, name) = (schema.to_string(), name.to_string());
        Relation {
            schema,
            name,
            owner: None,
            writable: false,
            kind: RelationKind::Table,
            comment: None,
            columns: Fields::empty(),
            primary_key: vec![],
            constraints: Constraints::default(),
            numbered: BTreeMap::new(),
            sequence: None,
            definition: None,
        }
    }

    #[test]
    fn oids_depend_on_names_alone() {
        let view = |schema, name| {
            let kind = RelationKind::View;
            Relation { kind, ..relation(schema, name) }
        };
        let one = Snapshot::new(vec![relation("public", "a"), view("cdp", "b")], &[], &[]);
        let two = Snapshot::new(
            vec![view("cdp", "b"), view("public", "c"), relation("public", "a")],
            &[("marts".into(), "x".into())],
            &["x".into()],
        );
        for (schema, name) in [("public", "a"), ("cdp", "b")] {
            let oids = |of: &Snapshot| of.named(schema, name).map(|r| (r.oid, r.row_type, r.rule));
            assert_eq!(oids(&one), oids(&two));
            assert_eq!(oids(&one).unwrap().2 != 0, name == "b", "a view alone has a rule");
        }
        assert!(two.relations.iter().all(|r| r.oid >= FIRST_OID));
    }
}
