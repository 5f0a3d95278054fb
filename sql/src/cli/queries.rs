//! The runtimes that statements run on, beside the one that listens: a statement that computes and never waits must not
//! keep a client, a signal or another statement from being heard.
//!
//! There are two, for [what answers at once and for what computes for long](engine::lanes). The threads of the second have
//! a lower priority, which the kernel gives a thread for itself alone.

use tokio::runtime::{Builder, Handle, Runtime};

use super::failure::Failure;

/// How much more others are worth than a heavy statement, in steps of the kernel: while both want a core, a thread of
/// normal priority gets nine times as much of it.
const HEAVY_NICENESS: i32 = 10;

/// A runtime. What is left on it at its end is not waited for.
pub(super) struct Queries {
    runtime: Option<Runtime>,
    /// What work is given to it by.
    pub(super) handle: Handle,
}

impl Queries {
    /// Starts the one for all statements at first, and for small ones to their end.
    pub(super) fn start() -> Result<Queries, Failure> {
        Self::started(Builder::new_multi_thread().thread_name("query"))
    }

    /// Starts the one for heavy statements, and for refreshes.
    pub(super) fn start_heavy() -> Result<Queries, Failure> {
        Self::started(Builder::new_multi_thread().thread_name("heavy").on_thread_start(|| {
            // A kernel that does not let a thread step back serves as before, only less evenly.
            if let Err(error) = rustix::process::nice(HEAVY_NICENESS) {
                tracing::warn!(%error, "a thread cannot lower its priority");
            }
        }))
    }

    fn started(builder: &mut Builder) -> Result<Queries, Failure> {
        let runtime = builder
            .thread_stack_size(super::STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|error| Failure::failed("the query runtime cannot be started", error))?;
        let handle = runtime.handle().clone();
        Ok(Queries { runtime: Some(runtime), handle })
    }
}

impl Drop for Queries {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
