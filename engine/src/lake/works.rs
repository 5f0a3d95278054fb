//! Work that goes on to its end once it has begun, whether anybody still waits for it or not.
//!
//! A statement that is cancelled is dropped wherever it waits. What the store is asked to write then it may write all the
//! same, later and unnoticed. So everything that changes the state of a table or of the catalog runs as a task of its own:
//! who is dropped no longer waits for it, but whoever comes next does.

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::{Error, Result};

/// The tasks of one lake.
#[derive(Debug, Default)]
pub(super) struct Works(Mutex<JoinSet<()>>);

impl Works {
    /// Does `work`, to its end even if the caller is dropped meanwhile.
    pub(super) async fn complete<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let done = self.start(&Handle::current(), work);
        done.await.map_err(|source| Error::Unavailable {
            message: "a change of the lake was broken off".into(),
            source: Some(Box::new(source)),
        })?
    }

    /// Starts work on a runtime, and returns what tells its outcome to whoever wants to know.
    pub(super) fn start<T: Send + 'static>(
        &self,
        runtime: &Handle,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        let (sender, receiver) = oneshot::channel();
        let mut running = self.0.lock();
        while running.try_join_next().is_some() {}
        let work = async move {
            // Nobody is told when nobody waits any more.
            let _ = sender.send(work.await);
        };
        running.spawn_on(work, runtime);
        receiver
    }

    /// Waits until nothing goes on any more.
    pub(super) async fn ended(&self) {
        loop {
            let mut running = std::mem::take(&mut *self.0.lock());
            if running.is_empty() {
                return;
            }
            while running.join_next().await.is_some() {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_without_whoever_asked_for_it() {
        let (works, done) = (Works::default(), Arc::new(AtomicBool::new(false)));
        let (go, wait) = oneshot::channel::<()>();
        {
            let done = Arc::clone(&done);
            let work = works.complete(async move {
                let _ = wait.await;
                done.store(true, Ordering::SeqCst);
                Ok(())
            });
            let mut work = std::pin::pin!(work);
            assert!(poll!(&mut work).is_pending());
        }
        go.send(()).unwrap();
        works.ended().await;
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error() {
        let works = Works::default();
        let work = async { panic!("on purpose") };
        let failed: Result<()> = works.complete(work).await;
        assert!(matches!(failed, Err(Error::Unavailable { .. })), "{failed:?}");
    }
}
