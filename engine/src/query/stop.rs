//! What makes a cancelled statement stop, wherever it computes.
//!
//! Dropping a task ends it at the next point where it yields, and between two such points an operator can work for seconds:
//! a join that has nothing to hand on, an aggregate over a hundred batches, a rule of the planner. So each statement has a
//! [`Stop`], which is asked in between:
//!
//! - Plans: leaves, joins and what crosses from one task to another ask for each batch; where there are functions, those
//!   with long texts are cut. The filter of a nested loop asks for each batch of pairs.
//! - The planner asks before each rule, and for each node that a rule looks at.
//! - Aggregate functions that hold all of their values ask for each batch of them.

mod filter;
mod plans;
mod rules;
mod running;

use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::error::{DataFusionError, Result as DataFusionResult};

use crate::error::Error;

pub(super) use plans::stoppable;
pub(super) use rules::{analysis, optimization, physical_optimization};
pub(super) use running::Running;

/// Whether the statement that holds it is to stop.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Stops it.
    pub fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Fails once it is to stop.
    pub(super) fn check(&self) -> DataFusionResult<()> {
        if !self.0.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(DataFusionError::External(Box::new(Error::Limit {
            sqlstate: "57014",
            message: "the statement was cancelled".into(),
            hint: "Send it again if it was not meant to be.".into(),
        })))
    }

    /// Notes that this thread computes for its statement, until what is returned is dropped.
    fn compute(self: &Arc<Self>) -> Computing {
        Computing { before: CURRENT.replace(Some(Arc::clone(self))) }
    }
}

thread_local! {
    /// Of the statement that this thread computes for.
    static CURRENT: RefCell<Option<Arc<Stop>>> = const { RefCell::new(None) };
}

/// As long as it lives, its thread computes for a statement.
#[derive(Debug)]
#[must_use]
struct Computing {
    before: Option<Arc<Stop>>,
}

impl Drop for Computing {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

/// Fails once the statement that this thread computes for is to stop.
pub(super) fn check_current() -> DataFusionResult<()> {
    CURRENT.with_borrow(|current| match current {
        Some(stop) => stop.check(),
        None => Ok(()),
    })
}

/// Does `work` as what is computed for the statement that holds `stop`.
pub(super) async fn during<T>(stop: Arc<Stop>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let _computing = stop.compute();
        work.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_done_during_a_statement_asks_that_one() {
        let (outer, inner) = (Arc::new(Stop::default()), Arc::new(Stop::default()));
        inner.stop();
        let asked = during(Arc::clone(&outer), async {
            let before = check_current().is_ok();
            let within = during(Arc::clone(&inner), async { check_current().is_ok() }).await;
            // It is asked after a break, too.
            tokio::task::yield_now().await;
            let after = check_current().is_ok();
            outer.stop();
            (before, within, after, check_current().is_ok())
        });
        assert_eq!(asked.await, (true, false, true, false));
        assert!(check_current().is_ok(), "nothing is computed any more");
    }
}
