//! The runtime that statements run on, beside the one that listens: a statement that computes and never waits must not
//! keep a client, a signal or another statement from being heard.

use tokio::runtime::{Builder, Handle, Runtime};

use super::failure::Failure;

/// The runtime. What is left on it at its end is not waited for.
pub(super) struct Queries {
    runtime: Option<Runtime>,
    /// What work is given to it by.
    pub(super) handle: Handle,
}

impl Queries {
    /// Starts it.
    pub(super) fn start() -> Result<Queries, Failure> {
        let runtime = Builder::new_multi_thread()
            .thread_name("query")
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
