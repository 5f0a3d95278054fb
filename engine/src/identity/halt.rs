//! Ending a run early that nobody waits for any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a run is to end early. What it has made by then is not whole, and of no use.
#[derive(Debug, Clone, Default)]
pub struct Halt(Arc<AtomicBool>);

impl Halt {
    /// Lets every run that holds this end soon.
    pub fn halt(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Tells whether it is to end.
    pub fn is_halted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
