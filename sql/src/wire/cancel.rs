//! CancelRequests: which connection has which secret, and how its running statement is stopped.
//!
//! A request that comes while nothing runs is forgotten: it never stops the next statement.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Enters a connection under a number that no other one has.
    pub(crate) fn register(self: &Arc<Self>) -> Registration {
        let slot = Arc::new(Slot { secret: rand::random(), running: Mutex::new(None) });
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
        if let Some(slot) = slot.filter(|slot| slot.secret == secret)
            && let Some(running) = lock(&slot.running).as_ref()
        {
            running.cancel();
        }
    }
}

impl Registration {
    /// Returns the secret that a CancelRequest must know.
    pub(crate) fn secret(&self) -> i32 {
        self.slot.secret
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
        let one = cancels.register();
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
}
