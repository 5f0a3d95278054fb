//! Guessing passwords made slow: who fails too often fails without being looked at, for a while.
//!
//! Failures are counted for each pair of user and address, and for each address, never for a user alone: a stranger
//! cannot lock anybody out. The answer of somebody who is held off is the answer to a wrong password.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::limits::FAILURES_REMEMBERED_MAX;

/// Failures of one user from one address that cost nothing.
const FREE_FAILURES: u32 = 10;
/// Failures from one address, of whatever users, that cost nothing.
const FREE_FAILURES_OF_ADDRESS: u32 = 60;
/// After so long without a failure they are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(300);
/// The longest that somebody is held off.
const HOLD_OFF_MAX: Duration = Duration::from_secs(300);

/// Who failed how often.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    hasher: RandomState,
    failures: Mutex<HashMap<u64, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
    held_until: Instant,
}

impl Throttle {
    /// Returns whether a log-in may be looked at.
    pub(crate) fn admits(&self, user: &str, address: IpAddr, now: Instant) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        self.keys(user, address)
            .iter()
            .all(|(key, _)| failures.get(key).is_none_or(|entry| entry.held_until <= now))
    }

    /// Notes a failure.
    pub(crate) fn failed(&self, user: &str, address: IpAddr, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() + 2 > FAILURES_REMEMBERED_MAX {
            make_room(&mut failures, now);
        }
        for (key, free) in self.keys(user, address) {
            let entry =
                failures.entry(key).or_insert(Failures { count: 0, last: now, held_until: now });
            if now.saturating_duration_since(entry.last) >= FORGET_AFTER {
                entry.count = 0;
            }
            entry.count = entry.count.saturating_add(1);
            entry.last = now;
            if let Some(over) = entry.count.checked_sub(free) {
                let seconds = 1u64.checked_shl(over).unwrap_or(u64::MAX);
                entry.held_until = now + Duration::from_secs(seconds).min(HOLD_OFF_MAX);
            }
        }
    }

    /// Forgets the failures of a user who has proved who it is.
    pub(crate) fn succeeded(&self, user: &str, address: IpAddr) {
        let [(key, _), _] = self.keys(user, address);
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    fn keys(&self, user: &str, address: IpAddr) -> [(u64, u32); 2] {
        [
            (self.hasher.hash_one((Some(user), address)), FREE_FAILURES),
            (self.hasher.hash_one((None::<&str>, address)), FREE_FAILURES_OF_ADDRESS),
        ]
    }
}

/// Forgets what is over, or else the oldest quarter: seldom enough that a flood of failures costs little.
fn make_room(failures: &mut HashMap<u64, Failures>, now: Instant) {
    failures.retain(|_, entry| now.saturating_duration_since(entry.last) < FORGET_AFTER);
    let excess =
        (failures.len() + FAILURES_REMEMBERED_MAX / 4).saturating_sub(FAILURES_REMEMBERED_MAX);
    let mut by_age: Vec<(Instant, u64)> =
        failures.iter().map(|(key, entry)| (entry.last, *key)).collect();
    if excess > 0 && excess < by_age.len() {
        by_age.select_nth_unstable(excess);
        for (_, key) in &by_age[..excess] {
            failures.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenth_failure_holds_off_and_strangers_lock_nobody_out() {
        let throttle = Throttle::default();
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 1]));
        let now = Instant::now();
        for _ in 0..9 {
            throttle.failed("ada", here, now);
            assert!(throttle.admits("ada", here, now));
        }
        throttle.failed("ada", here, now);
        assert!(!throttle.admits("ada", here, now));
        assert!(throttle.admits("ada", here, now + Duration::from_secs(1)));
        assert!(throttle.admits("ada", there, now));
        assert!(throttle.admits("bob", here, now));
        throttle.failed("ada", here, now);
        assert!(!throttle.admits("ada", here, now + Duration::from_secs(1)));
        throttle.succeeded("ada", here);
        assert!(throttle.admits("ada", here, now));
    }

    #[test]
    fn an_address_that_tries_many_users_is_held_off() {
        let throttle = Throttle::default();
        let here = IpAddr::from([127, 0, 0, 1]);
        let now = Instant::now();
        for index in 0..60 {
            throttle.failed(&format!("user{index}"), here, now);
        }
        assert!(!throttle.admits("somebody else", here, now));
        assert!(throttle.admits("ada", IpAddr::from([10, 0, 0, 1]), now));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for index in 0..u32::try_from(FAILURES_REMEMBERED_MAX).unwrap() + 10 {
            throttle.failed("ada", IpAddr::from(index.to_be_bytes()), now);
        }
        assert!(throttle.failures.lock().unwrap().len() <= FAILURES_REMEMBERED_MAX);
    }
}
