//! What catalog functions and relations know: the relations that a role can see, and the session that asks.
//!
//! A [`Snapshot`] is made once for each catalog version and role, and shared by all sessions of that role; it numbers
//! every relation with an oid that depends on names alone, so that oids survive restarts. [`SessionFacts`] is one
//! session: who, where, its settings and the snapshot it reads now.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::Fields;
use parking_lot::RwLock;

use super::backends::Place;
use super::catalog::{Tables, definition};
use super::configured::Configuration;
use super::given::{GivenNumbers, sequence_of};
use super::locks::{AdvisoryLocks, SessionLocks, Span};
use super::settings;
use crate::catalog::{ANALYTICS, TEMPORARY};

/// What a relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelationKind {
    /// Rows of its own.
    Table,
    /// A query over others.
    View,
    /// Rows that a query over others gave.
    MaterializedView,
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
    /// Table, view or materialized view.
    pub kind: RelationKind,
    /// `COMMENT ON`.
    pub comment: Option<String>,
    /// Its columns; metadata may hold the logical type and a comment.
    pub columns: Fields,
    /// The columns of its primary key, in order; empty for none.
    pub primary_key: Vec<String>,
    /// The columns whose rows are numbered as they are put in.
    pub numbered: Vec<String>,
    /// The query of a view, also of a materialized one.
    pub definition: Option<String>,
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
    /// The oid of its row type.
    pub row_type: u32,
    /// The oids of the primary key's index and constraint.
    pub key: Option<(u32, u32)>,
    /// The names and the oids of the sequences of its numbered columns, in their order.
    pub sequences: Vec<(String, u32)>,
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
const OID_MAX: u32 = i32::MAX as u32;

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
    /// Places in `relations`: by the oid of the relation, of its row type, and of its key's index and constraint.
    by_oid: HashMap<u32, usize>,
    by_row_type: HashMap<u32, usize>,
    by_key: HashMap<u32, usize>,
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
                let mut number = |kind| oids.next(&[kind, &relation.schema, &relation.name]);
                let (oid, row_type) = (number("relation"), number("row type"));
                let key = (!relation.primary_key.is_empty())
                    .then(|| (number("index"), number("constraint")));
                let names = relation.numbered.iter();
                let sequences = names.map(|column| sequence_of(&relation.name, column));
                let sequences = sequences.map(|name| {
                    let oid = oids.next(&["sequence", &relation.schema, &name]);
                    (name, oid)
                });
                let sequences = sequences.collect();
                Numbered {
                    oid,
                    row_type,
                    key,
                    sequences,
                    schema_oid: schema.map_or(PUBLIC_OID, |(_, oid)| *oid),
                    owner_oid: relation.owner.as_deref().map_or(OWNER_OID, role_oid),
                    relation,
                }
            })
            .collect();
        let places = || numbered.iter().enumerate();
        let by_oid = places().map(|(at, r)| (r.oid, at)).collect();
        let by_row_type = places().map(|(at, r)| (r.row_type, at)).collect();
        let keys = |(at, r): (usize, &Numbered)| {
            r.key.into_iter().flat_map(move |(index, constraint)| [(index, at), (constraint, at)])
        };
        let by_key = places().flat_map(keys).collect();
        Arc::new(Snapshot {
            relations: numbered,
            schemas,
            owners,
            roles,
            by_oid,
            by_row_type,
            by_key,
            tables: Tables::default(),
        })
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

    /// Returns the relation whose primary key has this index or constraint.
    pub fn with_key(&self, oid: u32) -> Option<&Numbered> {
        self.by_key.get(&oid).map(|&at| &self.relations[at])
    }

    /// Returns the sequence with this name.
    pub fn sequence(&self, schema: &str, name: &str) -> Option<u32> {
        let of_schema = self.relations.iter().filter(|r| r.relation.schema == schema);
        let mut sequences = of_schema.flat_map(|r| &r.sequences);
        sequences.find(|(known, _)| known == name).map(|(_, oid)| *oid)
    }

    /// Returns the sequence with this oid, and the relation whose rows it numbers.
    pub fn with_sequence(&self, oid: u32) -> Option<(&Numbered, &str)> {
        let mut sequences = self
            .relations
            .iter()
            .flat_map(|r| r.sequences.iter().map(move |(name, known)| (r, name.as_str(), *known)));
        sequences.find(|(.., known)| *known == oid).map(|(r, name, _)| (r, name))
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

/// Numbers that depend on names: a hash, and the next free number where two names meet.
#[derive(Default)]
pub(super) struct Oids {
    taken: HashSet<u32>,
}

impl Oids {
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

/// One session, as its functions see it.
#[derive(Debug)]
pub struct SessionFacts {
    /// The role that logged in.
    pub role: String,
    /// The database, which is also the name of the DataFusion catalog.
    pub database: String,
    /// The number that cancels this session's queries.
    pub backend_pid: i32,
    /// When the server started, in microseconds since 1970.
    pub started_at_us: i64,
    settings: RwLock<BTreeMap<&'static str, String>>,
    custom: RwLock<BTreeMap<String, String>>,
    snapshot: RwLock<Arc<Snapshot>>,
    /// What functions set.
    pub(super) configured: Configuration,
    /// The advisory locks of the session.
    pub(super) locks: SessionLocks,
    /// How other sessions are reached.
    pub(super) place: Place,
    /// The numbers that its rows were given.
    pub(super) given: GivenNumbers,
}

impl SessionFacts {
    /// Makes the facts of a session whose settings are all at their defaults, and which shares locks with nobody.
    pub fn new(
        role: String,
        database: String,
        backend_pid: i32,
        started_at_us: i64,
        snapshot: Arc<Snapshot>,
    ) -> Arc<SessionFacts> {
        let locks = Arc::default();
        SessionFacts::sharing(&locks, role, database, backend_pid, started_at_us, snapshot)
    }

    /// The same for a session that shares these advisory locks with others.
    pub fn sharing(
        locks: &Arc<AdvisoryLocks>,
        role: String,
        database: String,
        backend_pid: i32,
        started_at_us: i64,
        snapshot: Arc<Snapshot>,
    ) -> Arc<SessionFacts> {
        Arc::new(SessionFacts {
            role,
            database,
            backend_pid,
            started_at_us,
            settings: RwLock::default(),
            custom: RwLock::default(),
            snapshot: RwLock::new(snapshot),
            configured: Configuration::default(),
            locks: SessionLocks::new(locks),
            place: Place::default(),
            given: GivenNumbers::default(),
        })
    }

    /// Returns the relations that the session sees now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read())
    }

    /// Tells whether the session sees a relation of this name, the system's included.
    pub fn has_relation(&self, schema: &str, name: &str) -> bool {
        definition(schema, name).is_some() || self.snapshot().named(schema, name).is_some()
    }

    /// Shows the session a newer catalog version.
    pub fn set_snapshot(&self, snapshot: Arc<Snapshot>) {
        *self.snapshot.write() = snapshot;
    }

    /// Returns the value of a setting; `None` when there is no such setting. Dotted names are those shared by
    /// [`SessionFacts::share`].
    pub fn setting(&self, name: &str) -> Option<String> {
        match settings::find(name) {
            Some(known) if known.name == "session_authorization" => Some(self.role.clone()),
            Some(known) => Some(
                self.settings
                    .read()
                    .get(known.name)
                    .cloned()
                    .unwrap_or_else(|| known.default.to_string()),
            ),
            None => self.custom.read().get(&name.to_lowercase()).cloned(),
        }
    }

    /// Changes a setting; `None` brings the default back. Returns false when there is no such setting or a session may
    /// not change it.
    pub fn set(&self, name: &str, value: Option<&str>) -> bool {
        let Some(known) = settings::find(name).filter(|known| known.user) else {
            return false;
        };
        let mut settings = self.settings.write();
        match value {
            Some(value) => settings.insert(known.name, value.to_string()),
            None => settings.remove(known.name),
        };
        true
    }

    /// Notes that a row was given a number in the column of a table.
    pub fn gave_number(&self, (schema, table): (&str, &str), column: &str, number: i64) {
        self.given.note(schema, sequence_of(table, column), number);
    }

    /// Forgets which numbers rows were given.
    pub fn forget_numbers(&self) {
        self.given.forget();
    }

    /// Gives back the advisory locks of the transaction that ends.
    pub fn end_transaction(&self) {
        self.locks.give_back_all(Span::Transaction);
    }

    /// Shows a dotted setting, such as `cdp.purpose`, to `current_setting`. The session layer owns it: it cannot be
    /// changed from here by a statement.
    pub fn share(&self, name: &str, value: &str) {
        self.custom.write().insert(name.to_lowercase(), value.to_string());
    }

    /// Returns the schemas that unqualified names are looked up in, those that exist, `pg_catalog` first. Nothing can be made
    /// in `public`: whoever names it has `analytics`, too, behind all others, so that what was made is found.
    pub fn search_path(&self) -> Vec<String> {
        let snapshot = self.snapshot();
        let path = self.setting("search_path").unwrap_or_default();
        let mut schemas = settings::schemas_of(&path, &self.role);
        schemas.retain(|schema| snapshot.schema_oid(schema).is_some());
        let names = |name: &str| schemas.iter().any(|schema| schema == name);
        if names("public") && !names(ANALYTICS) {
            schemas.push(ANALYTICS.to_string());
        }
        if !schemas.iter().any(|schema| schema == "pg_catalog") {
            schemas.insert(0, "pg_catalog".to_string());
        }
        if snapshot.schema_oid(TEMPORARY).is_some() {
            schemas.retain(|schema| schema != TEMPORARY);
            schemas.insert(0, TEMPORARY.to_string());
        }
        schemas
    }

    /// Returns the schema that `current_schema()` names: the first of the path that a user can own.
    pub fn current_schema(&self) -> Option<String> {
        let path = self.setting("search_path").unwrap_or_default();
        let snapshot = self.snapshot();
        settings::schemas_of(&path, &self.role)
            .into_iter()
            .find(|schema| snapshot.schema_oid(schema).is_some())
    }
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
            kind: RelationKind::Table,
            comment: None,
            columns: Fields::empty(),
            primary_key: vec![],
            numbered: vec![],
            definition: None,
        }
    }

    #[test]
    fn oids_depend_on_names_alone() {
        let one = Snapshot::new(vec![relation("public", "a"), relation("cdp", "b")], &[], &[]);
        let two = Snapshot::new(
            vec![relation("cdp", "b"), relation("public", "c"), relation("public", "a")],
            &[("marts".into(), "x".into())],
            &["x".into()],
        );
        for (schema, name) in [("public", "a"), ("cdp", "b")] {
            assert_eq!(
                one.named(schema, name).map(|r| r.oid),
                two.named(schema, name).map(|r| r.oid)
            );
        }
        assert!(two.relations.iter().all(|r| r.oid >= FIRST_OID));
    }

    #[test]
    fn settings_have_defaults_and_only_some_change() {
        let facts = SessionFacts::new(
            "ada".into(),
            "onefold".into(),
            1,
            0,
            Snapshot::new(vec![relation("cdp", "b")], &[], &[]),
        );
        assert_eq!(facts.setting("timezone").as_deref(), Some("UTC"));
        assert!(facts.set("SEARCH_PATH", Some("nowhere, cdp")));
        assert_eq!(facts.search_path(), ["pg_catalog", "cdp"]);
        assert_eq!(facts.current_schema().as_deref(), Some("cdp"));
        // What is made without a schema is found without one, behind everything else.
        assert!(facts.set("search_path", Some("public, cdp")));
        assert_eq!(facts.search_path(), ["pg_catalog", "public", "cdp", "analytics"]);
        assert!(facts.set("search_path", Some("analytics, public")));
        assert_eq!(facts.search_path(), ["pg_catalog", "analytics", "public"]);
        assert!(!facts.set("server_version", Some("16")));
        assert!(!facts.set("cdp.purpose", Some("analytics")));
        facts.share("cdp.purpose", "analytics");
        assert_eq!(facts.setting("cdp.purpose").as_deref(), Some("analytics"));
    }
}
