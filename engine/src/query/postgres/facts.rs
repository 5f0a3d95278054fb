//! What catalog functions and relations know: the relations that a role can see, and the session that asks.
//!
//! A [`Snapshot`] is made once for each catalog version and role, and shared by all sessions of that role; it numbers
//! every relation with an oid that depends on names alone, so that oids survive restarts. [`SessionFacts`] is one
//! session: who, where, its settings and the snapshot it reads now.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::backends::Place;
use super::catalog::definition;
use super::configured::{Configuration, NO_ROLE, ROLE};
use super::given::GivenNumbers;
use super::held::Held;
use super::locks::{AdvisoryLocks, SessionLocks, Span};
use super::notified::Notified;
use super::settings;
use super::snapshot::Snapshot;
use crate::analytics::Sequences;
use crate::catalog::{ANALYTICS, TEMPORARY};

/// The number of the transaction that asked for one last, whosever it is.
static LAST_TRANSACTION: AtomicI64 = AtomicI64::new(0);

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
    /// Counts what has changed of these.
    changes: AtomicU64,
    /// What functions set.
    pub(super) configured: Configuration,
    /// The advisory locks of the session.
    pub(super) locks: SessionLocks,
    /// How other sessions are reached.
    pub(super) place: Place,
    /// The numbers that it was given.
    pub(super) given: GivenNumbers,
    /// What it holds under names.
    pub(super) held: Held,
    /// What its statement says in channels.
    pub(super) notified: Notified,
    /// The number of its transaction; 0 as long as nobody asks for it.
    transaction: AtomicI64,
    /// When its transaction began, in microseconds since 1970, if several statements share it; 0 otherwise.
    began_us: AtomicI64,
    /// Who gives numbers, if it may ask for some.
    sequences: OnceLock<Arc<Sequences>>,
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
            changes: AtomicU64::new(0),
            configured: Configuration::default(),
            locks: SessionLocks::new(locks),
            place: Place::default(),
            given: GivenNumbers::default(),
            held: Held::default(),
            notified: Notified::default(),
            transaction: AtomicI64::new(0),
            began_us: AtomicI64::new(0),
            sequences: OnceLock::new(),
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
        self.note_change();
    }

    /// Counts the changes of settings and of the relations that are seen: as long as it is the same, so are these.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Notes a change, after it was made: who has counted before asks anew.
    fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
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
            // It has none but that which logged in.
            None if name.eq_ignore_ascii_case(ROLE) => Some(NO_ROLE.to_string()),
            None => self.custom.read().get(&name.to_lowercase()).cloned(),
        }
    }

    /// Changes a setting; `None` brings the default back. Returns false when there is no such setting or a session may
    /// not change it.
    pub fn set(&self, name: &str, value: Option<&str>) -> bool {
        let Some(known) = settings::find(name).filter(|known| known.user || known.is_told()) else {
            return false;
        };
        let mut settings = self.settings.write();
        match value {
            Some(value) => settings.insert(known.name, value.to_string()),
            None => settings.remove(known.name),
        };
        drop(settings);
        self.note_change();
        true
    }

    /// Lets the session ask for numbers of sequences.
    pub(crate) fn number_by(&self, sequences: &Arc<Sequences>) {
        self.sequences.get_or_init(|| Arc::clone(sequences));
    }

    /// Returns who gives numbers; `None` for queries of onefold's own, which take none.
    pub(crate) fn sequences(&self) -> Option<&Arc<Sequences>> {
        self.sequences.get()
    }

    /// Notes that the session was given a number of the sequence with this number of its own.
    pub fn gave_number(&self, sequence: u64, number: i64) {
        self.given.note(sequence, number);
    }

    /// Forgets which numbers it was given.
    pub fn forget_numbers(&self) {
        self.given.forget();
    }

    /// Notes when a transaction began that several statements share, unless it is known: it is the time that all of them have.
    pub fn begin_transaction(&self, at_us: i64) {
        let _ = self.began_us.compare_exchange(0, at_us, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Returns when the transaction began, if several statements share it.
    pub(super) fn transaction_began(&self) -> Option<i64> {
        Some(self.began_us.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }

    /// Gives back the advisory locks of the transaction that ends, its number and its time.
    pub fn end_transaction(&self) {
        self.locks.give_back_all(Span::Transaction);
        self.transaction.store(0, Ordering::Relaxed);
        self.began_us.store(0, Ordering::Relaxed);
    }

    /// Returns the number of the transaction that runs.
    pub(super) fn transaction_number(&self) -> i64 {
        let known = self.transaction.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        // Of two that ask at once the first one gives it its number.
        let number = LAST_TRANSACTION.fetch_add(1, Ordering::Relaxed) + 1;
        match self.transaction.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => number,
            Err(known) => known,
        }
    }

    /// Gives back the advisory locks of the session.
    pub fn unlock(&self) {
        self.locks.give_back_all(Span::Session);
    }

    /// Shows a dotted setting, such as `cdp.purpose`, to `current_setting`. The session layer owns it: it cannot be
    /// changed from here by a statement.
    pub fn share(&self, name: &str, value: &str) {
        self.custom.write().insert(name.to_lowercase(), value.to_string());
        self.note_change();
    }

    /// Returns how many such settings there are.
    pub(super) fn shares(&self) -> usize {
        self.custom.read().len()
    }

    /// Returns how many bytes they take, with their names, besides one of them.
    pub(super) fn shared_bytes(&self, besides: &str) -> usize {
        let shared = self.custom.read();
        let others = shared.iter().filter(|(name, _)| *name != besides);
        others.map(|(name, value)| name.len() + value.len()).sum()
    }

    /// Returns the schemas that unqualified names are looked up in, those that exist, `pg_catalog` first. Nothing can be made
    /// in `public`: whoever names it has `analytics`, too, directly behind it, so that what was made is found where it would be
    /// if it had been made there.
    pub fn search_path(&self) -> Vec<String> {
        let snapshot = self.snapshot();
        let path = self.setting("search_path").unwrap_or_default();
        let mut schemas = settings::schemas_of(&path, &self.role);
        schemas.retain(|schema| snapshot.schema_oid(schema).is_some());
        let place = |name: &str| schemas.iter().position(|schema| schema == name);
        if let (Some(public), None) = (place("public"), place(ANALYTICS)) {
            schemas.insert(public + 1, ANALYTICS.to_string());
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

    #[test]
    fn settings_have_defaults_and_only_some_change() {
        let facts = SessionFacts::new(
            "ada".into(),
            "onefold".into(),
            1,
            0,
            Snapshot::new(vec![], &[("cdp".into(), "ada".into())], &[]),
        );
        assert_eq!(facts.setting("timezone").as_deref(), Some("UTC"));
        assert!(facts.set("SEARCH_PATH", Some("nowhere, cdp")));
        assert_eq!(facts.search_path(), ["pg_catalog", "cdp"]);
        assert_eq!(facts.current_schema().as_deref(), Some("cdp"));
        // What is made without a schema is found without one, where it would be if it had been made in public.
        assert!(facts.set("search_path", Some("public, cdp")));
        assert_eq!(facts.search_path(), ["pg_catalog", "public", "analytics", "cdp"]);
        assert!(facts.set("search_path", Some("analytics, public")));
        assert_eq!(facts.search_path(), ["pg_catalog", "analytics", "public"]);
        assert!(!facts.set("server_version", Some("16")));
        assert!(!facts.set("cdp.purpose", Some("analytics")));
        facts.share("cdp.purpose", "analytics");
        assert_eq!(facts.setting("cdp.purpose").as_deref(), Some("analytics"));
    }
}
