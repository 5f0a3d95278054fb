//! `EXPIRE AFTER`: a value that was not seen for so long identifies nobody any more.
//!
//! Time is that of the log, not of the clock: a value is measured against the newest time at which any subject was seen. So
//! nothing expires while nothing is recorded, and the same log gives the same profiles whenever it is resolved. A value that
//! is seen again identifies again whom it did.

use super::graph::Graph;
use super::resolver::Resolver;

/// Which values have expired.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// By value; short of those that came since.
    expired: Vec<bool>,
    /// Values of which that is otherwise than when components were solved last.
    pub(super) changed: Vec<u32>,
}

impl Resolver {
    /// Tells whether a rule asks when subjects were last seen: see [`set_last_seen`](Self::set_last_seen).
    pub fn asks_for_sightings(&self) -> bool {
        self.graph.rules.kinds.iter().any(|kind| kind.expire_us.is_some())
    }

    /// Says when each subject was last seen, by ordinal, in microseconds. The next [`resolve`](Self::resolve) looks again at
    /// everybody who carries a value that expired by that, or does not count as expired any more.
    pub fn set_last_seen(&mut self, times: &[i64]) {
        let Some(newest) = times.iter().copied().max() else { return };
        let (values, kinds) = (&self.graph.values, &self.graph.rules.kinds);
        let expire_us = |value: u32| kinds.get(usize::from(values.rule(value)))?.expire_us;
        let mut last: Vec<i64> = vec![i64::MIN; values.len()];
        for (subject, &at) in (0..).zip(times) {
            for value in values.of(subject).filter(|&value| expire_us(value).is_some()) {
                let last = &mut last[value as usize];
                *last = at.max(*last);
            }
        }
        let expired = (0..).zip(&last).map(|(value, &last)| {
            // Nobody carries what was never seen.
            let is_seen = last != i64::MIN;
            is_seen && expire_us(value).is_some_and(|after| newest.saturating_sub(last) > after)
        });
        let expired: Vec<bool> = expired.collect();
        let expiry = &mut self.graph.expiry;
        let was = |value: usize| expiry.expired.get(value).copied().unwrap_or(false);
        let changed = expired.iter().enumerate().filter(|(value, is)| **is != was(*value));
        let changed: Vec<u32> = changed.map(|(value, _)| value as u32).collect();
        expiry.changed.extend(changed);
        expiry.expired = expired;
    }
}

impl Graph {
    /// Tells whether a value was not seen for so long that it identifies nobody any more.
    pub(super) fn is_expired(&self, value: u32) -> bool {
        self.expiry.expired.get(value as usize).copied().unwrap_or(false)
    }
}
