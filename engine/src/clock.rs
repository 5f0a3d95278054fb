//! The time, as the engine is given it: only the binary knows the wall clock, and tests set their own.

/// Tells the time. Whoever needs it is passed one.
pub trait Clock: Send + Sync {
    /// Returns the time in microseconds since 1970-01-01T00:00:00Z.
    fn now_us(&self) -> i64;
}

/// A clock that stands still until it is moved.
#[cfg(test)]
pub(crate) struct ManualClock(std::sync::atomic::AtomicI64);

#[cfg(test)]
impl ManualClock {
    /// Makes a clock that stands at `now_us`.
    pub(crate) fn new(now_us: i64) -> Self {
        Self(now_us.into())
    }

    /// Moves the clock forward.
    pub(crate) fn advance_us(&self, by_us: i64) {
        self.0.fetch_add(by_us, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn now_us(&self) -> i64 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}
