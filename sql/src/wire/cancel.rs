//! CancelRequests and what other sessions ask: which connection has which secret, and how its running statement or the
//! connection itself is ended.
//!
//! A request that comes while nothing runs is forgotten: it never stops the next statement.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::query::postgres::{Reachable, Shown, Signal};
use tokio_util::sync::CancellationToken;

/// Every connection that can be cancelled.
#[derive(Debug, Default)]
pub(crate) struct Cancels {
    slots: Mutex<HashMap<i32, Arc<Slot>>>,
}

#[derive(Debug)]
struct Slot {
    secret: i32,
    running: Mutex<Option<CancellationToken>>,
    /// What it runs, or ran last.
    statement: Mutex<Shown>,
    ended: CancellationToken,
}

/// The entry of one connection, which goes with it.
#[derive(Debug)]
pub(crate) struct Registration {
    cancels: Arc<Cancels>,
    slot: Arc<Slot>,
    /// What the client knows the connection by.
    pub(crate) pid: i32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cancels {
    /// Enters a connection under a number that no other one has. It ends with the server.
    pub(crate) fn register(self: &Arc<Self>, shutdown: &CancellationToken) -> Registration {
        let (secret, running) = (rand::random(), Mutex::new(None));
        let (statement, ended) = (Mutex::default(), shutdown.child_token());
        let slot = Arc::new(Slot { secret, running, statement, ended });
        let mut slots = lock(&self.slots);
        let pid = loop {
            let pid = rand::random_range(1..i32::MAX);
            if !slots.contains_key(&pid) {
                break pid;
            }
        };
        slots.insert(pid, slot.clone());
        Registration { cancels: self.clone(), slot, pid }
    }

    /// Stops what a connection runs, if the secret is right.
    pub(crate) fn cancel(&self, pid: i32, secret: i32) {
        let slot = lock(&self.slots).get(&pid).cloned();
        if let Some(slot) = slot.filter(|slot| slot.secret == secret) {
            slot.hear(Signal::Cancel);
        }
    }
}

impl Reachable for Slot {
    fn hear(&self, signal: Signal) {
        match signal {
            Signal::Cancel => {
                if let Some(running) = lock(&self.running).as_ref() {
                    running.cancel();
                }
            }
            Signal::End => self.ended.cancel(),
        }
    }

    fn is_busy(&self) -> bool {
        lock(&self.running).is_some()
    }

    fn statement(&self) -> Shown {
        lock(&self.statement).clone()
    }
}

impl Registration {
    /// Returns the secret that a CancelRequest must know.
    pub(crate) fn secret(&self) -> i32 {
        self.slot.secret
    }

    /// Returns what other sessions reach the connection through.
    pub(crate) fn reachable(&self) -> Arc<dyn Reachable> {
        self.slot.clone()
    }

    /// Waits until the connection has to end: with the server, or because another session wants it.
    pub(crate) async fn ended(&self) {
        self.slot.ended.cancelled().await;
    }

    /// Shows others of the role what the connection runs, as long as they have this purpose, too.
    pub(crate) fn show(&self, text: Arc<str>, purpose: &str) {
        let mut shown = lock(&self.slot.statement);
        shown.text = text;
        if shown.purpose.as_deref() != Some(purpose) {
            shown.purpose = Some(purpose.into());
        }
    }

    /// Shows it to nobody any more, since the connection goes over to another purpose.
    pub(crate) fn hide(&self) {
        lock(&self.slot.statement).purpose = None;
    }

    /// Notes that a statement runs, and returns what will tell it to stop.
    pub(crate) fn begin(&self) -> CancellationToken {
        let token = CancellationToken::new();
        *lock(&self.slot.running) = Some(token.clone());
        token
    }

    /// Notes that nothing runs.
    pub(crate) fn end(&self) {
        *lock(&self.slot.running) = None;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.cancels.slots).remove(&self.pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_running_statement_of_the_right_secret_is_cancelled() {
        let cancels = Arc::new(Cancels::default());
        let shutdown = CancellationToken::new();
        let one = cancels.register(&shutdown);
        cancels.cancel(one.pid, one.secret());
        let token = one.begin();
        assert!(!token.is_cancelled(), "a request from before does not count");
        cancels.cancel(one.pid, one.secret().wrapping_add(1));
        assert!(!token.is_cancelled());
        cancels.cancel(one.pid, one.secret());
        assert!(token.is_cancelled());
        drop(one);
        assert!(lock(&cancels.slots).is_empty());
    }

    #[test]
    fn what_is_shown_is_of_one_purpose() {
        let one = Arc::new(Cancels::default()).register(&CancellationToken::new());
        let purpose = || one.reachable().statement().purpose;
        assert_eq!(purpose(), None);
        one.show("SELECT 1".into(), "analytics");
        assert_eq!(purpose().as_deref(), Some("analytics"));
        one.hide();
        assert_eq!((purpose(), &*one.reachable().statement().text), (None, "SELECT 1"));
        one.show("SELECT 2".into(), "");
        assert_eq!(purpose().as_deref(), Some(""));
    }
}
