//! The sessions of one server, by the number that their clients know them by: who else of a role there is, and how one of
//! them stops another. A role reaches its own sessions; that there are others it does not learn.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use super::facts::SessionFacts;

/// What one session asks of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// To stop the statement that it runs, if it runs one.
    Cancel,
    /// To end.
    End,
}

/// The statement that a session runs, or ran last.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Its text.
    pub text: Arc<str>,
    /// The purpose of its session, empty if there was none; `None` if there were several.
    pub purpose: Option<Arc<str>>,
}

/// A session that others can reach.
pub trait Reachable: Send + Sync {
    /// Hears what another session asks of it.
    fn hear(&self, signal: Signal);
    /// Tells whether it runs a statement.
    fn is_busy(&self) -> bool;
    /// Returns the statement that it runs, or ran last.
    fn statement(&self) -> Shown;
}

/// The sessions that can be reached.
#[derive(Debug, Default)]
pub struct Backends(Mutex<BTreeMap<i32, Weak<SessionFacts>>>);

impl Backends {
    /// Enters a session, which leaves with its facts.
    pub(crate) fn enter(self: &Arc<Self>, facts: &Arc<SessionFacts>, session: Arc<dyn Reachable>) {
        facts.place.0.get_or_init(|| (Arc::clone(self), session));
        let mut known = self.0.lock();
        known.retain(|_, facts| facts.strong_count() > 0);
        known.insert(facts.backend_pid, Arc::downgrade(facts));
    }

    fn of_role(&self, role: &str) -> Vec<Arc<SessionFacts>> {
        let mut known: Vec<_> = self.0.lock().values().filter_map(Weak::upgrade).collect();
        known.retain(|facts| facts.role == role);
        known
    }
}

/// The place of a session among the others, once it has one.
#[derive(Default)]
pub(super) struct Place(OnceLock<(Arc<Backends>, Arc<dyn Reachable>)>);

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.0.get().is_some()).finish()
    }
}

/// A session as others of its role see it.
pub(super) struct Seen {
    pub(super) pid: i32,
    pub(super) application: String,
    pub(super) is_busy: bool,
    /// The text of its statement, if this may be seen.
    pub(super) statement: Option<Arc<str>>,
}

impl SessionFacts {
    /// Returns the sessions of the role, this one included. A text may name persons whom its purpose lets see: under another
    /// one it is not seen.
    pub(super) fn sessions_of_role(&self) -> Vec<Seen> {
        let purpose = self.setting("cdp.purpose").unwrap_or_default();
        let seen = |facts: &SessionFacts| {
            let session = facts.place.0.get().map(|(_, session)| session);
            let is_own = std::ptr::eq(facts, self);
            let shown = session.map(|session| session.statement()).unwrap_or_default();
            let is_visible =
                is_own || shown.text.is_empty() || shown.purpose.as_deref() == Some(&*purpose);
            Seen {
                pid: facts.backend_pid,
                application: facts.setting("application_name").unwrap_or_default(),
                // Whoever asks is running what it asks with.
                is_busy: is_own || session.is_some_and(|session| session.is_busy()),
                statement: is_visible.then_some(shown.text),
            }
        };
        match self.place.0.get() {
            Some((all, _)) => all.of_role(&self.role).iter().map(|facts| seen(facts)).collect(),
            None => vec![seen(self)],
        }
    }

    /// Asks something of a session of the role; returns whether there is such a session.
    pub(super) fn ask(&self, pid: i64, signal: Signal) -> bool {
        let Some((all, _)) = self.place.0.get() else { return false };
        let others = all.of_role(&self.role);
        let asked = others.iter().find(|facts| i64::from(facts.backend_pid) == pid);
        let session = asked.and_then(|facts| facts.place.0.get());
        session.map(|(_, session)| session.hear(signal)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::postgres::snapshot::Snapshot;

    #[derive(Default)]
    struct Session(Mutex<Vec<Signal>>, Mutex<Shown>);

    impl Reachable for Session {
        fn hear(&self, signal: Signal) {
            self.0.lock().push(signal);
        }

        fn is_busy(&self) -> bool {
            false
        }

        fn statement(&self) -> Shown {
            self.1.lock().clone()
        }
    }

    #[test]
    fn a_role_reaches_its_own_sessions_alone() {
        let all = Arc::<Backends>::default();
        let open = |role: &str, pid: i32| {
            let snapshot = Snapshot::new(vec![], &[], &[]);
            let facts = SessionFacts::new(role.into(), "onefold".into(), pid, 0, snapshot);
            let session = Arc::<Session>::default();
            all.enter(&facts, session.clone());
            (facts, session)
        };
        let (ada, heard_by_ada) = open("ada", 1);
        let (other, heard_by_other) = open("ada", 2);
        let (_bob, heard_by_bob) = open("bob", 3);
        let pids = || ada.sessions_of_role().iter().map(|seen| seen.pid).collect::<Vec<_>>();
        assert_eq!(pids(), [1, 2]);
        let shows = |shown: Option<&str>| {
            let seen = ada.sessions_of_role();
            assert_eq!(seen[0].statement.as_deref(), Some("SELECT 1"));
            assert_eq!(seen[1].statement.as_deref(), shown);
        };
        let (text, purpose): (Arc<str>, Option<Arc<str>>) = ("SELECT 1".into(), Some("".into()));
        *heard_by_ada.1.lock() = Shown { text: Arc::clone(&text), purpose: None };
        shows(Some(""));
        *heard_by_other.1.lock() = Shown { text, purpose };
        shows(Some("SELECT 1"));
        ada.share("cdp.purpose", "analytics");
        shows(None);
        heard_by_other.1.lock().purpose = Some("analytics".into());
        shows(Some("SELECT 1"));
        heard_by_other.1.lock().purpose = None;
        shows(None);
        assert!(ada.ask(2, Signal::Cancel) && ada.ask(1, Signal::End));
        assert!(!ada.ask(3, Signal::End) && !ada.ask(4, Signal::End));
        assert_eq!(*heard_by_other.0.lock(), [Signal::Cancel]);
        assert_eq!(*heard_by_ada.0.lock(), [Signal::End]);
        assert!(heard_by_bob.0.lock().is_empty());
        drop(other);
        assert_eq!(pids(), [1]);
    }
}
