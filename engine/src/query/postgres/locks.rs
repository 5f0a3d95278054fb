//! Advisory locks: numbers that the sessions of one server lock against each other, as PostgreSQL's clients do to let one
//! of them work at a time. Nothing of onefold's own takes them.
//!
//! All sessions share one [`AdvisoryLocks`]; each has its [`SessionLocks`], which gives everything back when the session
//! ends. A lock is held for the session until it is unlocked as often as it was taken, or for the transaction until that
//! ends. Who waits is woken by whatever is given back, and fails instead of waiting if those who hold what it wants wait
//! for it in turn.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::{Error, Result};

/// Locks that one session may hold.
const LOCKS_MAX: usize = 10_000;

/// What is locked: one number of 64 bits or two of 32, which are never the same lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    One(i64),
    Two(i32, i32),
}

/// How it is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// By one session alone.
    Exclusive,
    /// By any number of sessions that share it.
    Shared,
}

/// How long it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    Session,
    Transaction,
}

/// How often a session holds one lock, in each way that it can.
#[derive(Debug, Default, Clone, Copy)]
struct Held {
    counts: [[u32; 2]; 2],
}

impl Held {
    fn count(&mut self, mode: Mode, span: Span) -> &mut u32 {
        &mut self.counts[usize::from(mode == Mode::Shared)][usize::from(span == Span::Transaction)]
    }

    fn is_free(&self) -> bool {
        self.counts.iter().flatten().all(|count| *count == 0)
    }

    fn conflicts(&self, mode: Mode) -> bool {
        let [exclusive, shared] = self.counts.map(|spans| spans.iter().any(|count| *count > 0));
        exclusive || (shared && mode == Mode::Exclusive)
    }
}

#[derive(Debug, Default)]
struct State {
    /// Who holds what, by session.
    held: HashMap<Key, HashMap<u64, Held>>,
    /// What each session holds: the end of a statement must not look at the locks of all others.
    keys: HashMap<u64, HashSet<Key>>,
    /// What each session waits for.
    waiting: HashMap<u64, (Key, Mode)>,
}

impl State {
    /// The other sessions that keep `session` from a lock.
    fn holders(&self, session: u64, key: Key, mode: Mode) -> impl Iterator<Item = u64> {
        let others = self.held.get(&key).into_iter().flatten();
        others
            .filter(move |(other, held)| **other != session && held.conflicts(mode))
            .map(|(other, _)| *other)
    }

    fn take(&mut self, session: u64, key: Key, mode: Mode, span: Span) -> Result<bool> {
        if self.holders(session, key, mode).next().is_some() {
            return Ok(false);
        }
        let keys = self.keys.entry(session).or_default();
        if keys.len() >= LOCKS_MAX && !keys.contains(&key) {
            return Err(Error::Limit {
                sqlstate: "53200",
                message: format!("a session holds at most {LOCKS_MAX} advisory locks"),
                hint: "Give back those that are done with: pg_advisory_unlock.".into(),
            });
        }
        keys.insert(key);
        *self.held.entry(key).or_default().entry(session).or_default().count(mode, span) += 1;
        Ok(true)
    }

    /// Tells whether those who hold what `session` wants wait for `session`, by whatever way round.
    fn is_deadlock(&self, session: u64, key: Key, mode: Mode) -> bool {
        let mut seen: HashSet<u64> = HashSet::new();
        let mut open: Vec<u64> = self.holders(session, key, mode).collect();
        while let Some(other) = open.pop() {
            if other == session {
                return true;
            }
            if seen.insert(other)
                && let Some((key, mode)) = self.waiting.get(&other)
            {
                open.extend(self.holders(other, *key, *mode));
            }
        }
        false
    }

    /// Changes what a session holds, lock by lock, and forgets what is free then. Tells whether it held anything.
    fn change(&mut self, session: u64, change: impl Fn(&mut Held)) -> bool {
        let Some(mut keys) = self.keys.remove(&session) else { return false };
        keys.retain(|key| self.changed(session, *key, &change));
        if !keys.is_empty() {
            self.keys.insert(session, keys);
        }
        true
    }

    /// Changes how a session holds one lock, and tells whether it still does.
    fn changed(&mut self, session: u64, key: Key, change: impl Fn(&mut Held)) -> bool {
        let Some(holders) = self.held.get_mut(&key) else { return false };
        let Some(held) = holders.get_mut(&session) else { return false };
        change(held);
        if !held.is_free() {
            return true;
        }
        holders.remove(&session);
        if holders.is_empty() {
            self.held.remove(&key);
        }
        false
    }
}

/// The advisory locks of one server.
#[derive(Debug, Default)]
pub struct AdvisoryLocks {
    state: Mutex<State>,
    released: Notify,
    sessions: AtomicU64,
}

/// The advisory locks of one session.
#[derive(Debug)]
pub(super) struct SessionLocks {
    shared: Arc<AdvisoryLocks>,
    session: u64,
}

impl SessionLocks {
    pub(super) fn new(shared: &Arc<AdvisoryLocks>) -> SessionLocks {
        let session = shared.sessions.fetch_add(1, Ordering::Relaxed);
        SessionLocks { shared: Arc::clone(shared), session }
    }

    /// Takes a lock if it is free.
    pub(super) fn try_take(&self, key: Key, mode: Mode, span: Span) -> Result<bool> {
        self.shared.state.lock().take(self.session, key, mode, span)
    }

    /// Takes a lock, and waits for it if need be.
    ///
    /// # Errors
    /// With SQLSTATE 40P01 if those who hold it wait for this session.
    pub(super) async fn take(&self, key: Key, mode: Mode, span: Span) -> Result<()> {
        loop {
            let released = self.shared.released.notified();
            tokio::pin!(released);
            // From here on nothing that is given back is missed.
            released.as_mut().enable();
            let _waiting = {
                let mut state = self.shared.state.lock();
                if state.take(self.session, key, mode, span)? {
                    return Ok(());
                }
                if state.is_deadlock(self.session, key, mode) {
                    return Err(Error::Standard {
                        sqlstate: "40P01",
                        message: "deadlock detected".into(),
                        hint: "Take advisory locks in the same order in every session.".into(),
                    });
                }
                state.waiting.insert(self.session, (key, mode));
                Waiting(self)
            };
            released.await;
        }
    }

    /// Gives a lock back once; false if the session does not hold it so.
    pub(super) fn give_back(&self, key: Key, mode: Mode) -> bool {
        let mut state = self.shared.state.lock();
        let Some(holders) = state.held.get_mut(&key) else { return false };
        let Some(held) = holders.get_mut(&self.session) else { return false };
        if *held.count(mode, Span::Session) == 0 {
            return false;
        }
        let one_less = |held: &mut Held| *held.count(mode, Span::Session) -= 1;
        if !state.changed(self.session, key, one_less)
            && let Some(keys) = state.keys.get_mut(&self.session)
        {
            keys.remove(&key);
            if keys.is_empty() {
                state.keys.remove(&self.session);
            }
        }
        drop(state);
        self.shared.released.notify_waiters();
        true
    }

    /// Gives back what the session holds for itself or for its transaction.
    pub(super) fn give_back_all(&self, span: Span) {
        self.change(|held| {
            for mode in [Mode::Exclusive, Mode::Shared] {
                *held.count(mode, span) = 0;
            }
        });
    }

    fn change(&self, change: impl Fn(&mut Held)) {
        if self.shared.state.lock().change(self.session, change) {
            self.shared.released.notify_waiters();
        }
    }
}

impl Drop for SessionLocks {
    fn drop(&mut self) {
        self.change(|held| *held = Held::default());
    }
}

/// Whoever waits no longer, because of a lock or because the statement was stopped, is off the list.
struct Waiting<'a>(&'a SessionLocks);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.shared.state.lock().waiting.remove(&self.0.session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key::One(7);

    fn sessions() -> (Arc<AdvisoryLocks>, SessionLocks, SessionLocks) {
        let shared = Arc::default();
        let (one, other) = (SessionLocks::new(&shared), SessionLocks::new(&shared));
        (shared, one, other)
    }

    fn try_take(session: &SessionLocks, mode: Mode) -> bool {
        session.try_take(KEY, mode, Span::Session).unwrap()
    }

    #[test]
    fn a_lock_is_held_as_often_as_it_was_taken() {
        let (shared, one, other) = sessions();
        assert!(try_take(&one, Mode::Exclusive) && try_take(&one, Mode::Exclusive));
        assert!(one.give_back(KEY, Mode::Exclusive));
        assert!(!try_take(&other, Mode::Exclusive));
        assert!(!other.give_back(KEY, Mode::Exclusive));
        assert!(one.give_back(KEY, Mode::Exclusive) && !one.give_back(KEY, Mode::Exclusive));
        assert!(try_take(&other, Mode::Exclusive));
        drop(other);
        let state = shared.state.lock();
        assert!(state.held.is_empty() && state.keys.is_empty());
    }

    #[test]
    fn a_session_holds_so_many_locks_and_gives_all_of_them_back() {
        let (shared, one, other) = sessions();
        let take = |session: &SessionLocks, number: usize| {
            session.try_take(Key::One(number as i64), Mode::Exclusive, Span::Transaction)
        };
        assert!((0..LOCKS_MAX).all(|number| take(&one, number).unwrap()));
        assert_eq!(take(&one, LOCKS_MAX).unwrap_err().sqlstate(), "53200");
        assert!(take(&one, 0).unwrap(), "what it holds it may take again");
        assert!(take(&other, LOCKS_MAX).unwrap(), "another session has a bound of its own");
        one.give_back_all(Span::Transaction);
        assert!((1..LOCKS_MAX).all(|number| take(&other, number).unwrap()));
        drop((one, other));
        let state = shared.state.lock();
        assert!(state.held.is_empty() && state.keys.is_empty());
    }

    #[test]
    fn shared_locks_keep_out_exclusive_ones_alone() {
        let (_, one, other) = sessions();
        assert!(try_take(&one, Mode::Shared) && try_take(&other, Mode::Shared));
        assert!(!try_take(&one, Mode::Exclusive));
        other.give_back_all(Span::Session);
        assert!(try_take(&one, Mode::Exclusive));
        assert!(other.try_take(Key::Two(0, 7), Mode::Exclusive, Span::Session).unwrap());
    }

    #[test]
    fn the_end_of_a_transaction_gives_back_what_it_took() {
        let (_, one, other) = sessions();
        assert!(one.try_take(KEY, Mode::Exclusive, Span::Transaction).unwrap());
        assert!(!one.give_back(KEY, Mode::Exclusive));
        one.give_back_all(Span::Session);
        assert!(!try_take(&other, Mode::Exclusive));
        one.give_back_all(Span::Transaction);
        assert!(try_take(&other, Mode::Exclusive));
    }

    #[tokio::test]
    async fn who_waits_gets_the_lock_or_learns_of_the_deadlock() {
        let (_, one, other) = sessions();
        let second = Key::One(8);
        assert!(try_take(&one, Mode::Exclusive));
        assert!(other.try_take(second, Mode::Exclusive, Span::Session).unwrap());
        let waits = other.take(KEY, Mode::Exclusive, Span::Session);
        tokio::pin!(waits);
        assert!(futures::poll!(&mut waits).is_pending());
        let error = one.take(second, Mode::Exclusive, Span::Session).await.unwrap_err();
        assert_eq!(error.sqlstate(), "40P01");
        assert!(one.give_back(KEY, Mode::Exclusive));
        waits.await.unwrap();
        assert!(!try_take(&one, Mode::Exclusive));
    }

    #[tokio::test]
    async fn who_waits_is_woken_when_a_lock_is_no_longer_held_alone() {
        let (_, one, other) = sessions();
        assert!(try_take(&one, Mode::Shared));
        assert!(one.try_take(KEY, Mode::Exclusive, Span::Transaction).unwrap());
        let waits = other.take(KEY, Mode::Shared, Span::Session);
        tokio::pin!(waits);
        assert!(futures::poll!(&mut waits).is_pending());
        one.give_back_all(Span::Transaction);
        waits.await.unwrap();
    }

    #[tokio::test]
    async fn who_stops_waiting_is_no_part_of_a_deadlock() {
        let (shared, one, other) = sessions();
        assert!(try_take(&one, Mode::Exclusive));
        let stopped = tokio::time::timeout(
            std::time::Duration::ZERO,
            other.take(KEY, Mode::Exclusive, Span::Session),
        );
        assert!(stopped.await.is_err());
        assert!(shared.state.lock().waiting.is_empty());
    }
}
